"""Training in epochs: as many in a compiled call as scikit-learn's rules between them allow."""

from __future__ import annotations

import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastbp.fit.between_epochs import Hooks
from fastbp.fit.callbacks import Fit, Progress
from fastbp.fit.fit import EPOCHS_A_BLOCK, DivergenceWarning, Job, next_passes, with_rates
from fastbp.fit.history import History
from fastbp.fit.in_python import train as stepwise_train
from fastbp.kernels import training
from fastbp.kernels.optimizers import LEARNING_RATE, UPDATES
from fastbp.kernels.state import CLIP_NORM, Data
from fastbp.kernels.workspace import BIT_GENERATOR, CAPACITY
from fastbp.machine.jit import ready
from fastbp.mlp import MLP
from fastbp.sklearn.optimizers import OptimizerMemory
from fastbp.sklearn.randomness import bits_of
from fastbp.sklearn.validation import Validation

NOT_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and "
    "need to be preprocessed."
)


class Epochs:
    """Runs epochs of a network on rows that were checked before.

    Parameters
    ----------
    net : MLP
    data : Data
    batch_size : int
        At most the number of rows.
    random_state : numpy.random.RandomState or None
        Shuffles the order of the rows before each epoch, as sklearn.utils.shuffle; None: they are
        taken as they stand.
    """

    def __init__(
        self, net: MLP, data: Data, batch_size: int, random_state: np.random.RandomState | None
    ) -> None:
        rows = data.inputs.size // net.layer_sizes[0]
        self.net, self.char = net, net.dtype.char
        self.random_state = random_state  # lives as long as its address is in use
        self.address, self.lock = 0, cast(AbstractContextManager[Any], nullcontext())
        if random_state is not None:
            self.address, self.lock = bits_of(random_state)
            data = data._replace(order=np.arange(rows), n_order=rows)
        network, work = net.workspace(batch_size, training=True)
        capacity = int(work.places[CAPACITY])
        self.job = Job(
            network, work, data, net.optimizer_state(), net.state.random, net.params.copy(),
            rows, batch_size, net.optimizer.learning_rate, net.in_python,
        )  # fmt: skip
        self.passes = max(1, net.rows_in_a_call // (4 * min(batch_size, capacity)))
        self.progress, self.losses = np.zeros(training.N_PROGRESS, np.int64), np.zeros(0)
        self.call = cast(Any, training.train)
        own = net.in_python
        if own is not None:
            self.call = partial(stepwise_train, own)
        whole = batch_size > capacity or net.rules[CLIP_NORM] > 0
        self.grad = np.empty(net.params.size if whole else 0, net.dtype)

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return self.job.rows

    def refresh(self) -> None:
        """Take over what callbacks have changed of the optimiser."""
        net = self.net
        self.job = self.job._replace(
            optimizer=net.optimizer_state(), learning_rate=net.optimizer.learning_rate
        )

    def run(self, epochs: int) -> bool:
        """Run some epochs; whether they ended finite.

        Whatever stops them, `finished` tells how far they came. Between the compiled calls the
        random state is free for others, as it is between scikit-learn's shuffles.
        """
        job, places = self.job, self.job.work.places
        self.progress.fill(0)
        self.losses = np.zeros(epochs + 2)
        updates = -(-job.rows // job.batch_size)
        end = int(job.optimizer.scalars[UPDATES]) + epochs * updates
        places[BIT_GENERATOR] = self.address
        try:
            while True:
                optimizer, passes = with_rates(job, self.passes, end)
                arguments = (
                    job.network, job.work, job.data, optimizer, self.grad, job.random,
                    self.progress, self.losses, job.snapshot, job.rows, job.batch_size, passes,
                )  # fmt: skip
                ready(self.call, self.char, arguments)
                start = time.perf_counter()
                with self.lock:
                    status = self.call(*arguments)
                if status != training.RUNNING:
                    return bool(status == training.FINISHED)
                self.passes = next_passes(passes, time.perf_counter() - start, None)
        finally:
            places[BIT_GENERATOR] = 0

    @property
    def finished(self) -> list[float]:
        """The losses of the epochs that the last run finished, each batch's before its update."""
        losses: list[float] = self.losses[: self.progress[training.EPOCH]].tolist()
        return losses

    @property
    def unfinished(self) -> float:
        """The loss of the epoch in which the last run diverged."""
        return float(self.losses[self.progress[training.EPOCH]])


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
        self.estimator, self.net, self.validation = estimator, net, validation
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
        estimator.validation_loss_curve_.append(loss)
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
        return {name: getattr(self.estimator, curves[name])[-1] for name in self.names}


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
    epochs : Epochs
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
        epochs: Epochs,
        memory: OptimizerMemory,
        validation: Validation | None,
        listener: Any,
        incremental: bool,
    ) -> None:
        self.estimator, self.epochs, self.memory = estimator, epochs, memory
        self.net, self.listener, self.incremental = epochs.net, listener, incremental
        self.max_iter = 1 if incremental else int(estimator.max_iter)
        self.stopping = Stopping(estimator, self.net, validation)
        self.hooks = hooks_of(estimator, self.net, validation, self.max_iter)

    def train(self, first: bool) -> None:
        """Train; `first` says that there are no parameters worth keeping yet.

        Raises
        ------
        ValueError
            When the first epoch of a first fit is not finite.
        """
        self.estimator.n_iter_ = 0
        with self.hooks if self.hooks is not None else nullcontext():
            try:
                self._train(first)
            except KeyboardInterrupt:
                if not np.isfinite(self.net.params).all():
                    self.net.params[:] = self.epochs.job.snapshot
                warnings.warn("Training interrupted by user.", stacklevel=6)
            self.stopping.end()

    def _train(self, first: bool) -> None:
        estimator = self.estimator
        while estimator.n_iter_ < self.max_iter:
            self.listener.begin_epoch()
            start = time.perf_counter()
            try:
                finite = self.epochs.run(self._at_once())
            finally:
                for loss in self.epochs.finished:
                    self._note(loss, time.perf_counter() - start)
            if not finite:
                if first and estimator.n_iter_ == 0:
                    raise ValueError(NOT_FINITE)
                self._diverged(self.epochs.unfinished)
                return
            if self._stops() or self.incremental:
                return
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the "
            "optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=7,
        )

    def _at_once(self) -> int:
        """Epochs that can run in one call: only the last of them may end training or be seen."""
        estimator, stopping = self.estimator, self.stopping
        seen = estimator.verbose or self.listener.listens or self.hooks is not None
        if seen or stopping.validation is not None or self.memory.rule == "invscaling":
            return 1
        return int(min(stopping.patience, self.max_iter - estimator.n_iter_, EPOCHS_A_BLOCK))

    def _note(self, loss: float, seconds: float) -> None:
        """Write an epoch down and measure what is to be measured."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_ = loss
        estimator.t_ += self.epochs.rows
        estimator.loss_curve_.append(loss)
        if estimator.verbose and estimator.verbose != "bar":
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        self.stopping.see()
        self.memory.end_epoch(estimator.t_)
        if self.hooks is not None:
            rate = float(self.net.state.scalars[LEARNING_RATE])
            self.hooks.fit.history.add(loss, seconds, learning_rate=rate)
            self.hooks.end_epoch()
            self.epochs.refresh()

    def _stops(self) -> bool:
        """Whether that was the last epoch."""
        estimator, message = self.estimator, self.stopping.message
        if message:
            what = self.memory.stops()
            if estimator.verbose and estimator.verbose != "bar":
                print(f"{message} {what}")
            if what.endswith("Stopping."):
                self.listener.end_epoch()
                return True
            estimator._no_improvement_count = 0
        asked = self.hooks is not None and bool(self.hooks.fit.stopped)
        return self.listener.end_epoch() or asked

    def _diverged(self, loss: float) -> None:
        """Keep the last finite parameters; the curves have the epoch that was not finite."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.loss_curve_.append(loss)
        for name in ("validation_scores_", "validation_loss_curve_"):
            if getattr(estimator, name, None) is not None:
                getattr(estimator, name).append(float("nan"))
        warnings.warn(
            f"training diverged in epoch {estimator.n_iter_}: the loss or a parameter is not "
            "finite. The parameters are the last finite ones. Try a smaller learning_rate_init, "
            "or scale the inputs",
            DivergenceWarning,
            stacklevel=8,
        )


def clipped_batch_size(estimator: Any, rows: int) -> int:
    """The batch size for so many rows, with scikit-learn's warning where it is too large."""
    if isinstance(estimator.batch_size, str):  # "auto"
        return min(200, rows)
    if estimator.batch_size > rows:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=6,
        )
    return int(min(estimator.batch_size, rows))


def begin_curves(estimator: Any, first: bool) -> None:
    """Attributes before the first epoch; a warm start goes on from those that are there."""
    fresh: dict[str, Any] = {"loss_curve_": [], "_no_improvement_count": 0}
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
        elif isinstance(known, list):
            setattr(estimator, name, list(known))  # the old list stays what it was
