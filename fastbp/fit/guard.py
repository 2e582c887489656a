"""What training leaves, however it ends: never parameters that are not finite."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol

import numpy as np

from fastbp.fit.history import History
from fastbp.fit.warn import DivergenceWarning, warn
from fastbp.kernels.training import DIVERGED, FINISHED, RUNNING
from fastbp.model.net import Net


class Ends(Protocol):
    """What is told that training is over: the hooks."""

    fit: Any

    def end(self) -> None:
        """It is over."""
        ...


def is_finite_before(net: Net) -> bool:
    """Whether the parameters are finite before training; warns where they are not."""
    if np.isfinite(net.state.params).all():
        return True
    warn(
        "net.params are not finite before training, which would change nothing; set them "
        "to finite numbers or make a new net",
        DivergenceWarning,
    )
    return False


class Guard:
    """Never leaves parameters that are not finite: a context around training.

    Parameters
    ----------
    net : Net
    history : History
        Says why training stopped.
    hooks : Ends, optional
        Are told that it is over, since they may restore the best parameters.

    Attributes
    ----------
    snapshot : array of the net's dtype, shape (n_params,)
        The parameters after the last epoch that ended finite.
    status : int
        What training came to.
    """

    def __init__(self, net: Net, history: History, hooks: Ends | None = None) -> None:
        self.net = net
        self.history = history
        self.hooks = hooks
        self.snapshot = net.state.params.copy()
        self.status = FINISHED

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        params = self.net.state.params
        if error is not None:
            if not np.isfinite(params).all():  # an update overflowed, and its epoch not over
                self._restore()
        elif self.status == DIVERGED or (self.status == RUNNING and not np.isfinite(params).all()):
            self._restore()
            self._tell()

    def _restore(self) -> None:
        self.net.state.params[:] = self.snapshot
        self.net.restart_optimizer()

    def _tell(self) -> None:
        epoch = len(self.history) + 1
        kept = "the last finite epoch"
        self.history.stop_reason = f"diverged in epoch {epoch}"
        if self.hooks is not None:
            self.hooks.end()
            if self.hooks.fit.restored_epoch:
                kept = f"epoch {self.hooks.fit.restored_epoch}, the best"
        warn(
            f"training diverged in epoch {epoch}: the loss or a parameter is not "
            f"finite. The parameters are those after {kept}, the optimizer's state is reset. "
            "Try a smaller learning_rate or scale the inputs; diagnose(net, X, y) looks for causes",
            DivergenceWarning,
        )
