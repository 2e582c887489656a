"""scikit-learn's callback protocol, if the installed version has it (1.9 on)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastbp.mlp import MLP

__all__ = ["CallbackSupport", "Listener"]

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupport
except ImportError:  # before 1.9

    class CallbackSupport:  # type: ignore[no-redef]
        """An empty base class: this scikit-learn has no callbacks."""


HAS_CALLBACKS = hasattr(CallbackSupport, "set_callbacks")


class NobodyListens:
    """What a training loop needs of a `Listener` where there are no callbacks."""

    listens = False

    def begin_epoch(self) -> None:
        """Nothing happens."""

    def end_epoch(self) -> bool:
        """Nobody asks to stop."""
        return False


class Listener(NobodyListens):
    """Calls scikit-learn's callbacks around a fit and around each of its epochs or iterations.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    net : MLP
    X, y, sample_weight : array-like
        The data as the user passed them.
    subtasks : int
        The largest number of epochs or iterations.
    task_name : str
        Name of one epoch or iteration.
    """

    def __init__(
        self, estimator: Any, net: MLP, X: Any, y: Any, sample_weight: Any, subtasks: int,
        task_name: str,
    ) -> None:  # fmt: skip
        self.estimator = estimator
        self.net = net
        self.task_name = task_name
        self.subtask: Any = None
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.shared = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        self.task: Any = None
        if HAS_CALLBACKS:
            self.task = estimator._init_callback_context(max_subtasks=subtasks)
            self.task.call_on_fit_task_begin(**self.shared)
        self.listens = hasattr(estimator, "_skl_callbacks")

    def begin_epoch(self) -> None:
        """Call the callbacks before an epoch."""
        if self.listens:
            self.subtask = self.task.subcontext(task_name=self.task_name)
            self._call(self.subtask.call_on_fit_task_begin)

    def end_epoch(self) -> bool:
        """Call the callbacks after an epoch; returns whether one asks to stop."""
        if self.subtask is None:
            return False
        subtask = self.subtask
        self.subtask = None
        return bool(self._call(subtask.call_on_fit_task_end))

    def end(self) -> None:
        """Call the callbacks after the last epoch."""
        self.end_epoch()
        if self.task is not None:
            self._call(self.task.call_on_fit_task_end)

    def _call(self, hook: Callable[..., Any]) -> Any:
        def attributes() -> dict[str, Any]:
            return {
                "coefs_": [weights.copy() for weights in self.net.weights],
                "intercepts_": [biases.copy() for biases in self.net.biases],
            }

        return hook(**self.shared, reconstruction_attributes=attributes)
