"""Training in epochs: as many in a compiled call as scikit-learn's rules between them allow."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, cast

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp.fit.between_epochs import Hooks
from fastbp.fit.callbacks import Fit, Progress
from fastbp.fit.data import Job, row_count
from fastbp.fit.epochs import NO_BITS, Bits, Epochs
from fastbp.fit.history import History
from fastbp.fit.limits import LIMITS, Limits
from fastbp.fit.warn import DivergenceWarning, warn
from fastbp.kernels.optimizers import LEARNING_RATE
from fastbp.kernels.state import Data
from fastbp.kernels.training import FINISHED
from fastbp.machine.jit import without_compiling
from fastbp.mlp import MLP
from fastbp.sklearn.optimizers import OptimizerMemory
from fastbp.sklearn.randomness import bits_of, shuffling_state_of
from fastbp.sklearn.recognition import NETWORKS
from fastbp.sklearn.validation import FloatArray, Validation

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)

NEVER_FINITE = (
    "coefs_ or intercepts_ hold NaN or infinity, so that training would change nothing. Set them "
    "to finite numbers, or fit anew."
)


def epochs_of(
    net: MLP, data: Data, batch_size: int, random_state: np.random.RandomState | None,
    limits: Limits = LIMITS, threads: int | str = 1,
) -> Epochs:  # fmt: skip
    """What runs epochs of a network on rows that were checked before.

    Parameters
    ----------
    net : MLP
    data : Data
    batch_size : int
        At most the number of rows.
    random_state : numpy.random.RandomState or None
        Shuffles the order of the rows before each epoch, as sklearn.utils.shuffle; None: they are
        taken as they stand. Between the compiled calls it is free for others, as it is between
        scikit-learn's shuffles. NumPy's global generator only gives a seed.
    limits : Limits
    threads : int or "auto", default=1
    """
    rows = row_count(data, net.layer_sizes[0])
    bits = NO_BITS
    if random_state is not None:
        stream = shuffling_state_of(random_state)
        bits = Bits(*bits_of(stream), stream)
        data = data._replace(order=np.arange(rows), n_order=rows)
    epochs = Epochs(net, bits=bits, limits=limits, threads=threads)
    epochs.take(Job(data, rows, batch_size))
    return epochs


class Stopping:
    """When training has converged, and the best parameters of early stopping.

    What counts epochs without improvement stays in the estimator, from one warm start to the
    next.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    net : MLP
    validation : Validation or None
        With early stopping, what is scored.
    """

    def __init__(self, estimator: Any, net: MLP, validation: Validation | None) -> None:
        self.estimator = estimator
        self.net = net
        self.validation = validation
        self.early = bool(estimator.early_stopping)
        self.best = net.params.copy() if self.early else None

    def see(self) -> None:
        """Take in an epoch: count it, if nothing has improved."""
        estimator = self.estimator
        if self.validation is not None:
            self._validate(self.validation)
        if self.early:
            return
        loss = estimator.loss_curve_[-1]
        if loss > estimator.best_loss_ - estimator.tol:
            estimator._no_improvement_count += 1
        else:
            estimator._no_improvement_count = 0
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss

    def _validate(self, validation: Validation) -> None:
        estimator = self.estimator
        loss = validation.loss(self.net)
        estimator.validation_loss_curve_.append(np.float64(loss))
        if not self.early:
            return
        score = -loss if estimator.scoring == "loss" else validation.score(estimator, self.net)
        estimator.validation_scores_.append(score)
        if estimator.verbose and estimator.verbose != "bar":
            print(f"Validation score: {score:f}")
        if score < estimator.best_validation_score_ + estimator.tol:
            estimator._no_improvement_count += 1
        else:
            estimator._no_improvement_count = 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best = self.net.params.copy()

    @property
    def patience(self) -> float:
        """Epochs after which training can stop at the earliest."""
        estimator = self.estimator
        return float(max(1, estimator.n_iter_no_change + 1 - estimator._no_improvement_count))

    @property
    def message(self) -> str:
        """Why training stops, "" while it does not."""
        estimator = self.estimator
        if estimator._no_improvement_count <= estimator.n_iter_no_change:
            return ""
        what = "Validation score did not improve" if self.early else "Training loss did not improve"
        return (
            f"{what} more than tol={estimator.tol:f} for {estimator.n_iter_no_change} consecutive "
            "epochs."
        )

    def end(self) -> None:
        """Restore the parameters with the best score."""
        if self.best is not None:
            self.net.params[:] = self.best


class _Measured:
    """What callbacks see beside the loss, from the estimator's attributes."""

    def __init__(self, estimator: Any, validation: Validation | None) -> None:
        self.estimator = estimator
        self.names = [] if validation is None else ["val_loss"]
        if estimator.early_stopping:
            self.names.append("val_score")

    def __call__(self) -> dict[str, float]:
        curves = {"val_loss": "validation_loss_curve_", "val_score": "validation_scores_"}
        return {name: float(getattr(self.estimator, curves[name])[-1]) for name in self.names}


def hooks_of(estimator: Any, net: MLP, validation: Validation | None, epochs: int) -> Hooks | None:
    """What runs the core's callbacks, None where there are none."""
    callbacks = list(estimator.callbacks or ())
    if estimator.verbose == "bar":
        callbacks.append(Progress())
    if not callbacks:
        return None
    measured = cast(Any, _Measured(estimator, validation))
    return Hooks(Fit(net, epochs, History()), callbacks, measured, np.inf)


class Trainer:
    """Fits an estimator by epochs.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its fitted attributes are those before the first epoch.
    net : MLP
    epochs : Epochs
        Runs those of the net.
    memory : OptimizerMemory
    validation : Validation or None
    listener : EpochListener
        scikit-learn's callbacks.
    incremental : bool
        Whether this is `partial_fit`: one epoch, no warning.
    """

    def __init__(
        self,
        estimator: Any,
        net: MLP,
        epochs: Epochs,
        memory: OptimizerMemory,
        validation: Validation | None,
        listener: Any,
        incremental: bool,
    ) -> None:
        self.estimator = estimator
        self.epochs = epochs
        self.memory = memory
        self.net = net
        self.listener = listener
        self.incremental = incremental
        self.max_iter = 1 if incremental else int(estimator.max_iter)
        self.stopping = Stopping(estimator, self.net, validation)
        self.hooks = hooks_of(estimator, self.net, validation, self.max_iter)

    def train(self, first: bool) -> None:
        """Train; `first` says that there are no parameters worth keeping yet.

        Raises
        ------
        ValueError
            When the first epoch of a first fit is not finite, or parameters are not before it.
        """
        self.estimator.n_iter_ = 0
        with self.hooks if self.hooks is not None else nullcontext():
            try:
                self._train(first)
            except KeyboardInterrupt:
                if not np.isfinite(self.net.params).all():
                    self.net.params[:] = self.epochs.snapshot
                warn("Training interrupted by user.", module=NETWORKS)
            self.stopping.end()

    def _train(self, first: bool) -> None:
        estimator = self.estimator
        clock = without_compiling(time.perf_counter)
        while estimator.n_iter_ < self.max_iter:
            self.listener.begin_epoch()
            at_once = self._at_once()
            trail = self._trail(at_once)
            start = clock()
            try:
                finite = self.epochs.run(at_once, trail=trail) == FINISHED
            finally:
                self._note_all(trail, clock() - start)
            if not finite:
                if first and estimator.n_iter_ == 0:
                    raise ValueError(NOT_FINITE)
                if not np.isfinite(self.epochs.snapshot).all():
                    raise ValueError(NEVER_FINITE)
                self._diverged(self.epochs.unfinished)
                return
            if self._stops() or self.incremental:
                return
        warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            NETWORKS,
        )

    def _at_once(self) -> int:
        """Epochs that can run in one call: only the last of them may end training or be seen."""
        estimator = self.estimator
        stopping = self.stopping
        seen = estimator.verbose or self.listener.listens or self.hooks is not None
        most = min(self.max_iter - estimator.n_iter_, self.epochs.limits.epochs_a_block)
        if stopping.validation is not None:
            seen = seen or not stopping.validation.can_wait
            seen = seen or self.net.in_python is not None or self.net.explaining is not None
            most = min(most, self.epochs.limits.trail_bytes // self.net.params.nbytes)
        if seen or self.memory.rule == "invscaling":
            return 1
        return int(max(1, min(stopping.patience, most)))

    def _trail(self, epochs: int) -> FloatArray | None:
        """Room for the parameters after each epoch where validation wants them afterwards."""
        if epochs == 1 or self.stopping.validation is None:
            return None
        return np.empty((epochs + 1, self.net.params.size), self.net.dtype)

    def _note_all(self, trail: FloatArray | None, seconds: float) -> None:
        """Write down the epochs of a run, each with the parameters that it ended with."""
        params = self.net.params
        last = params.copy() if trail is not None else params
        for number, loss in enumerate(self.epochs.finished, 1):
            if trail is not None:
                params[:] = trail[number]
            self._note(loss, seconds)
        if trail is not None:
            params[:] = last

    def _note(self, loss: float, seconds: float) -> None:
        """Write an epoch down and measure what is to be measured."""
        estimator = self.estimator
        loss = np.float64(loss)  # the type of scikit-learn's losses
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self.epochs.job.rows
        estimator.loss_curve_.append(loss)
        if estimator.verbose and estimator.verbose != "bar":
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        self.stopping.see()
        self.memory.end_epoch(estimator.t_)
        if self.hooks is not None:
            rate = float(self.net.state.scalars[LEARNING_RATE])
            self.hooks.fit.history.add(float(loss), seconds, learning_rate=rate)
            self.hooks.end_epoch()
            self.epochs.refresh()

    def _stops(self) -> bool:
        """Whether that was the last epoch."""
        estimator = self.estimator
        message = self.stopping.message
        if message:
            what = self.memory.stops()
            if estimator.verbose and estimator.verbose != "bar":
                print(f"{message} {what}")
            if what.endswith("Stopping."):
                self.listener.end_epoch()
                return True
            estimator._no_improvement_count = 0
        asked = self.hooks is not None and bool(self.hooks.fit.stop_reason)
        return self.listener.end_epoch() or asked

    def _diverged(self, loss: float) -> None:
        """Keep the last finite parameters; the curves have the epoch that was not finite."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_curve_.append(np.float64(loss))
        for name in ("validation_scores_", "validation_loss_curve_"):
            if getattr(estimator, name, None) is not None:
                getattr(estimator, name).append(np.float64("nan"))
        warn(
            f"training diverged in epoch {estimator.n_iter_}: the loss or a parameter is not "
            "finite. The parameters are the last finite ones. Try a smaller learning_rate_init, "
            "or scale the inputs",
            DivergenceWarning,
        )


def clipped_batch_size(estimator: Any, rows: int) -> int:
    """The batch size for so many rows, with scikit-learn's warning where it is too large."""
    if isinstance(estimator.batch_size, str):  # "auto"
        return min(200, rows)
    if estimator.batch_size > rows:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            module=NETWORKS,
        )
    return int(min(estimator.batch_size, rows))


def begin_curves(estimator: Any, first: bool) -> None:
    """Attributes before the first epoch; a warm start goes on from those that are there."""
    fresh: dict[str, Any] = {"t_": 0, "loss_curve_": [], "_no_improvement_count": 0}
    if estimator.early_stopping:
        fresh |= {
            "validation_scores_": [], "best_validation_score_": -np.inf, "best_loss_": None,
        }  # fmt: skip
    else:
        fresh |= {"best_loss_": np.inf, "validation_scores_": None, "best_validation_score_": None}
    for name, value in fresh.items():
        known = getattr(estimator, name, None)
        if first or known is None:
            setattr(estimator, name, value)
