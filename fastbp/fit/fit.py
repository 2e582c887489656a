"""The Python side of the epoch loop: compiled calls of bounded length, and what they leave."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import data as dataset
from fastbp.fit.augmenting import Augmentation, Augmented, Rows, augmentations
from fastbp.fit.between_epochs import Hooks, Options, prepare
from fastbp.fit.data import Examples
from fastbp.fit.history import History
from fastbp.fit.in_python import evaluate as stepwise_evaluate
from fastbp.fit.in_python import train as stepwise_train
from fastbp.fit.sources import Batches, Mapped, check_columns, is_on_disk
from fastbp.kernels import evaluation, training
from fastbp.kernels.optimizers import UPDATES
from fastbp.kernels.state import CLIP_NORM, RATES, SCHEDULED, Data, Network, OptimizerState
from fastbp.kernels.workspace import CAPACITY, Workspace
from fastbp.machine.jit import ready
from fastbp.model.net import SECONDS_A_CALL, InPython, Net
from fastbp.model.schedules import Rate, rates_at, rates_of

FIRST_PASSES = 10_000
"""Bound on the passes of the first call, before any is measured: even a tiny net needs 0.2 us."""
MOST_PASSES = 1 << 40
"""Bound on the passes of any call."""
MOST_RATES = 10_000
"""Learning rates that are computed in advance for one call."""
EPOCHS_A_BLOCK = 1 << 16
"""Epochs whose losses are kept in one array."""


FloatArray = npt.NDArray[np.floating]
Run = Callable[[FloatArray], tuple[int, npt.NDArray[np.float64]]]


class DivergenceWarning(RuntimeWarning):
    """Training produced numbers that are not finite and was stopped."""


class Job(NamedTuple):
    """What is trained, on what, and how: the arguments that all compiled calls share.

    Attributes
    ----------
    network, work, data, optimizer : Network, Workspace, Data, OptimizerState
    random : array of uint64, shape (1,)
    snapshot : array, shape (n_params,)
        The parameters after the last epoch that ended finite.
    rows, batch_size : int
    learning_rate : float, Schedule or callable
    own : InPython or None
        The loss and the activations in Python.
    """

    network: Network
    work: Workspace
    data: Data
    optimizer: OptimizerState
    random: npt.NDArray[np.uint64]
    snapshot: npt.NDArray[np.floating]
    rows: int
    batch_size: int
    learning_rate: Rate
    own: InPython | None


class _Log:
    """Writes the finished epochs of a block into a history.

    The truth is in `progress` and `losses`, which the compiled loop keeps; writing again what
    an interruption left half written is harmless.
    """

    def __init__(
        self, history: History, rows: int, epochs: int, rate: Rate = math.nan,
        updates: tuple[int, int] = (0, 1),
    ) -> None:  # fmt: skip
        self.history, self.rows, self.before = history, rows, len(history)
        self.rate = rate if callable(rate) else float(rate)
        self.first_update, self.updates_an_epoch = updates
        self.progress = np.zeros(training.N_PROGRESS, np.int64)
        self.losses = np.zeros(epochs + 2)
        self.start = 0.0
        self.marks = [(0, 0.0)]  # rows done, and when
        history.others.setdefault("learning_rate", [])

    def write(self) -> int:
        """Note the time, write what is new, return how many epochs that is."""
        epoch, row, done = (int(x) for x in self.progress)
        self.marks.append((epoch * self.rows + row + done, time.perf_counter() - self.start))
        history, used = self.history, self.history.others["learning_rate"]
        known = min(len(history.loss), len(history.seconds), len(used))
        del history.loss[known:], history.seconds[known:], used[known:]
        first = known - self.before
        ends = np.arange(first, epoch + 1) * self.rows
        rows, times = (list(column) for column in zip(*self.marks, strict=True))
        seconds = np.diff(np.interp(ends, rows, times))
        history.loss.extend(self.losses[first:epoch].tolist())
        history.seconds.extend(seconds.tolist())
        rates = self._rates(first, epoch) if callable(self.rate) else [self.rate] * (epoch - first)
        used.extend(rates)
        for column in history.others.values():
            if column is not used:  # not measured yet
                column.extend([math.nan] * (len(used) - len(column)))
        past = sum(rows <= epoch * self.rows for rows, _ in self.marks)
        del self.marks[: past - 1]  # the next epoch begins at or after the last of them
        return epoch - first

    def _rates(self, first: int, end: int) -> list[float]:
        """The learning rate of the last update of each epoch from `first` to `end`."""
        after = np.arange(first + 1, end + 1, dtype=np.int64) * self.updates_an_epoch
        rates: list[float] = rates_at(self.rate, self.first_update + after - 1).tolist()
        return rates


def run_epochs(
    job: Job, epochs: int, passes: int, history: History, hooks: Hooks | None
) -> tuple[int, npt.NDArray[np.float64]]:
    """Run the compiled epoch loop, a bounded number of passes a call.

    Whatever stops it, the history holds the finished epochs.

    Parameters
    ----------
    job : Job
    epochs : int
    passes : int
        A cautious guess at how many passes take SECONDS_A_CALL.
    history : History
        Gets what is finished.
    hooks : Hooks or None
        What is done after each epoch. None lets one compiled call run many epochs.

    Returns
    -------
    status : int
        FINISHED or DIVERGED; RUNNING when the hooks' time ran out within an epoch.
    losses : array of float64
        Of the epochs of the last block, the one that diverged included; 0 where a callback
        stopped all before the first.
    """
    params, capacity = job.network.params, int(job.work.places[CAPACITY])
    rules = job.optimizer.rules
    whole = job.batch_size > capacity or rules[CLIP_NORM] > 0
    grad = np.empty(params.size if whole else 0, params.dtype)
    passes, status = max(1, min(passes, FIRST_PASSES)), training.FINISHED
    updates, number = -(-job.rows // job.batch_size), int(job.optimizer.scalars[UPDATES])
    losses, call = np.zeros(1), cast(Callable[..., int], training.train)
    if job.own is not None:
        call = partial(stepwise_train, job.own)
    while epochs and status == training.FINISHED and (hooks is None or not hooks.fit.stopped):
        block = min(epochs, EPOCHS_A_BLOCK if hooks is None else 1)
        log = _Log(history, job.rows, block, job.learning_rate, (number, updates))
        epochs, end, status = epochs - block, number + block * updates, training.RUNNING
        losses = log.losses
        try:
            while status == training.RUNNING:
                optimizer, passes = with_rates(job, passes, end)
                arguments = (
                    job.network, job.work, job.data, optimizer, grad, job.random, log.progress,
                    losses, job.snapshot, job.rows, job.batch_size, passes,
                )  # fmt: skip
                ready(call, params.dtype.char, arguments)
                start = time.perf_counter()
                log.start = log.start or start  # compiling is no part of the first epoch
                status = call(*arguments)
                spent = time.perf_counter() - start
                log.write()
                if status != training.RUNNING and spent < SECONDS_A_CALL:
                    break  # it ended early and says nothing about the bound
                passes = next_passes(passes, spent, hooks)
                if status == training.RUNNING and hooks is not None and hooks.out_of_time():
                    break
            number = end
            if status == training.FINISHED and hooks is not None:
                hooks.end_epoch()
                net = hooks.fit.net
                job = job._replace(
                    optimizer=net.optimizer_state(), learning_rate=net.optimizer.learning_rate
                )
                number = int(job.optimizer.scalars[UPDATES])
        except BaseException:
            log.write()
            raise
    return status, losses


def with_rates(job: Job, passes: int, end: int) -> tuple[OptimizerState, int]:
    """The optimiser with the rates of the next updates, those before `end`, for a schedule."""
    if not callable(job.learning_rate):
        return job.optimizer, passes
    passes, first = min(passes, MOST_RATES), int(job.optimizer.scalars[UPDATES])
    count = min(passes, end - first)
    try:
        rates = rates_of(job.learning_rate, first, count)
    except (TypeError, ValueError):
        if count == 1:
            raise
        passes = 1  # the updates before the bad rate are made, however many a call may make
        rates = rates_of(job.learning_rate, first, passes)
    rules = np.concatenate([job.optimizer.rules, rates])
    rules[SCHEDULED], rules[RATES] = 1, job.optimizer.rules.size - first
    return job.optimizer._replace(rules=rules), passes


def next_passes(passes: int, spent: float, hooks: Hooks | None) -> int:
    """How many passes the next call may make, from the time that the last one took."""
    wanted = SECONDS_A_CALL if hooks is None else min(SECONDS_A_CALL, hooks.seconds_left())
    pace = min(wanted / max(spent, 1e-6), 4.0)
    return min(max(1, int(passes * pace)), MOST_PASSES)


def run_parts(
    net: Net, parts: Augmented | Batches | Mapped, epochs: int, snapshot: FloatArray,
    history: History, hooks: Hooks | None,
) -> tuple[int, npt.NDArray[np.float64]]:  # fmt: skip
    """As `run_epochs`, on data that come in parts; each is one job.

    Bad data are found on the way; then the net becomes what it was before the fit.
    """
    before, status, losses = _Kept(net), training.FINISHED, np.full(1, math.nan)
    latest = snapshot.copy()  # after a part, while `snapshot` is of the last epoch
    for _ in range(epochs):
        total, weight, start, number = 0.0, 0.0, time.perf_counter(), 0
        iterator = iter(parts)
        while status == training.FINISHED:
            try:
                part = next(iterator, None)
                if part is None:
                    break
                data, rows = dataset.rows_and_targets(
                    *part, net.layer_sizes, net.spec.loss, net.dtype
                )
            except (TypeError, ValueError) as error:
                before.restore(net)
                error.add_note(f"in batch or part {number} of the epoch, counted from 0")
                raise
            batch_size = min(parts.batch_size, rows)
            if parts.shuffle and batch_size < rows:
                data = data._replace(order=np.arange(rows), n_order=rows)
            job, passes = _job(net, data, rows, batch_size, latest)
            status, losses = run_epochs(job, 1, passes, History(), None)
            total, weight, number = total + losses[0] * data.total, weight + data.total, number + 1
            if hooks is not None and hooks.out_of_time():
                status = training.RUNNING if status == training.FINISHED else status
        if status == training.DIVERGED:
            net.state.params[:] = snapshot
        if status != training.FINISHED:
            break
        if number == 0:
            if len(history) == 0:
                raise ValueError("there are no batches to train on: the iterable is empty")
            history.stopped = f"the batches ran out after epoch {len(history)}"
            break
        snapshot[:], rate = net.state.params, float(job.optimizer.scalars[0])
        history.add(total / weight, time.perf_counter() - start, learning_rate=rate)
        if hooks is not None:
            hooks.end_epoch()
            if hooks.fit.stopped:
                break
    return status, losses


class _Kept:
    """All that training and callbacks change of a net, to restore it."""

    def __init__(self, net: Net) -> None:
        self.optimizer, self.state = net.optimizer, net.state.copy()

    def restore(self, net: Net) -> None:
        """Make the net what it was."""
        net.optimizer = self.optimizer
        for array, kept in zip(net.state, self.state, strict=True):
            array[:] = kept


def _job(net: Net, data: Data, rows: int, batch_size: int, snapshot: FloatArray) -> tuple[Job, int]:
    """A job, and a cautious guess at how many passes take SECONDS_A_CALL."""
    network, work = net.workspace(batch_size, training=True)
    job = Job(
        network, work, data, net.optimizer_state(), net.state.random, snapshot, rows, batch_size,
        net.optimizer.learning_rate, net.in_python,
    )  # fmt: skip
    return job, net.rows_in_a_call // (4 * min(batch_size, int(work.places[CAPACITY])))


def train(net: Net, run: Run, history: History, hooks: Hooks | None = None) -> float:
    """Train, and never leave parameters that are not finite; returns the first loss.

    Parameters
    ----------
    net : Net
    run : callable
        Given the array of the last finite parameters, trains; returns what `run_epochs` does.
    history : History
    hooks : Hooks, optional
    """
    params, kept = net.state.params, "the last finite epoch"
    if not np.isfinite(params).all():
        warnings.warn(
            "net.params are not finite before training, which would change nothing; set them "
            "to finite numbers or make a new net",
            DivergenceWarning,
            stacklevel=4,
        )
        return math.nan
    snapshot = params.copy()
    try:
        status, losses = run(snapshot)
    except BaseException:
        if not np.isfinite(params).all():  # an update overflowed, and its epoch not over
            params[:] = snapshot
            net.restart_optimizer()
        raise
    if status == training.RUNNING and not np.isfinite(params).all():
        params[:], status = snapshot, training.DIVERGED
    if status == training.DIVERGED:
        net.restart_optimizer()
        history.stopped = f"diverged in epoch {len(history) + 1}"
        if hooks is not None:
            hooks.end()
            if hooks.fit.restored:
                kept = f"epoch {hooks.fit.restored}, the best"
        warnings.warn(
            f"training diverged in epoch {len(history) + 1}: the loss or a parameter is not "
            f"finite. The parameters are those after {kept}, the optimizer's state is reset. "
            "Try a smaller learning_rate or scale the inputs",
            DivergenceWarning,
            stacklevel=4,
        )
    return float(losses[0])


def evaluate(net: Net, data: Data, rows: int, optimizer: OptimizerState, grad: FloatArray) -> float:
    """Loss averaged over the rows, without dropout; its gradient in `grad`, unless that is empty.

    The penalties are those of `optimizer`.
    """
    network, work = net.workspace(rows, training=True)
    own = net.in_python
    if own is not None:
        return stepwise_evaluate(own, network, work, data, optimizer, grad, rows)
    shared, loss = (network, work, data, optimizer, grad), 0.0
    for first in range(0, rows, net.rows_in_a_call):
        arguments = (*shared, first, min(net.rows_in_a_call, rows - first), rows)
        ready(evaluation.evaluate, net.dtype.char, arguments)
        loss += evaluation.evaluate(*arguments)
    return loss


def step(net: Net, X: Any, y: Any, sample_weight: Any) -> float:
    """`MLP.step`, whose parameters these are."""
    dataset.check_trainable(net.activations)
    data, rows = dataset.rows_and_targets(
        X, y, sample_weight, net.layer_sizes, net.spec.loss, net.dtype
    )
    history = History()

    def run(snapshot: FloatArray) -> tuple[int, npt.NDArray[np.float64]]:
        job, passes = _job(net, data, rows, rows, snapshot)
        return run_epochs(job, 1, passes, history, None)

    return train(net, run, history)


def fit(
    net: Net, examples: Examples, epochs: int, batch_size: int, shuffle: bool, options: Options,
    augment: Any = None,
) -> History:  # fmt: skip
    """`MLP.fit`, whose parameters these are."""
    epochs = checks.count("epochs", epochs, 0, 2**31 - 1)
    batch_size, shuffle = checks.count("batch_size", batch_size), checks.flag("shuffle", shuffle)
    dataset.check_trainable(net.activations)
    functions = augmentations(augment)
    if examples.y is None or is_on_disk(examples.X):
        prepare_them = _in_parts
    else:
        prepare_them = _augmented if functions else _in_memory
    hooks, run = prepare_them(net, examples, epochs, batch_size, shuffle, options, functions)
    history = History() if hooks is None else hooks.fit.history
    with hooks if hooks is not None and epochs else nullcontext():
        net.history = history
        if epochs:
            train(net, lambda snapshot: run(snapshot, history), history, hooks)
    return history


def rows_in_memory(
    net: Net, examples: Examples, epochs: int, shuffle: bool, options: Options
) -> tuple[tuple[Data, int], Hooks | None, Examples]:
    """The rows to train on, checked, and how many they are; the hooks; the rows as arrays."""
    shape = (net.layer_sizes, net.spec.loss, net.dtype)
    (data, rows), hooks = dataset.rows_and_targets(*examples, *shape), None
    table = data.inputs.reshape(rows, -1)
    weights = data.weights if data.n_weights else None
    whole = Examples(table, np.asarray(examples.y), weights)
    if options.any_given():
        hooks, kept = prepare(net, whole, shuffle, epochs, options)
        if kept is not None:
            whole = whole.take(kept)
            data, rows = dataset.rows_and_targets(*whole, *shape)
    return (data, rows), hooks, whole


def _in_memory(
    net: Net, examples: Examples, epochs: int, batch_size: int, shuffle: bool, options: Options,
    functions: tuple[Augmentation, ...],
) -> tuple[Hooks | None, Any]:  # fmt: skip
    """The hooks and what trains, for arrays in memory."""
    (data, rows), hooks, _ = rows_in_memory(net, examples, epochs, shuffle, options)
    batch_size = min(batch_size, rows)
    if shuffle and batch_size < rows:  # the order within one batch changes nothing
        data = data._replace(order=np.arange(rows), n_order=rows)

    def run(snapshot: FloatArray, history: History) -> tuple[int, npt.NDArray[np.float64]]:
        job, passes = _job(net, data, rows, batch_size, snapshot)
        return run_epochs(job, epochs, passes, history, hooks)

    return hooks, run


def _augmented(
    net: Net, examples: Examples, epochs: int, batch_size: int, shuffle: bool, options: Options,
    functions: tuple[Augmentation, ...],
) -> tuple[Hooks | None, Any]:  # fmt: skip
    """Likewise where each batch is changed before it is trained on."""
    _, hooks, whole = rows_in_memory(net, examples, epochs, shuffle, options)
    source = Rows(*whole, batch_size, shuffle, net.state.random)
    parts = Augmented(source, functions, net.dtype, net.state.random)

    def run(snapshot: FloatArray, history: History) -> tuple[int, npt.NDArray[np.float64]]:
        return run_parts(net, parts, epochs, snapshot, history, hooks)

    return hooks, run


def _in_parts(
    net: Net, examples: Examples, epochs: int, batch_size: int, shuffle: bool, options: Options,
    functions: tuple[Augmentation, ...],
) -> tuple[Hooks | None, Any]:  # fmt: skip
    """Likewise for an iterable of batches or an array on disk."""
    parts: Batches | Mapped | Augmented
    if examples.y is None:
        if examples.sample_weight is not None:
            raise TypeError(
                "sample_weight beside batches has no rows of its own; put the weights into the "
                "batches: tuples (X, y, sample_weight)"
            )
        parts = Batches(examples.X)
        examples = Examples(None, None)
    else:
        parts = Mapped(*examples, batch_size, shuffle, net.state.random)
        check_columns(examples.X, net.layer_sizes[0])
        examples = Examples(parts.X, parts.y, parts.sample_weight)
    hooks = None
    if options.any_given():
        hooks, _ = prepare(net, examples, shuffle, epochs, options)
    if functions:
        parts = Augmented(parts, functions, net.dtype, net.state.random)

    def run(snapshot: FloatArray, history: History) -> tuple[int, npt.NDArray[np.float64]]:
        return run_parts(net, parts, epochs, snapshot, history, hooks)

    return hooks, run
