"""The Python side of the epoch loop: compiled calls of bounded length, and what they leave."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp._jit import ready
from fastbp.history import History
from fastbp.hooks import Hooks
from fastbp.kernels import training
from fastbp.kernels.network import Data, Network
from fastbp.kernels.updates import OptimizerState
from fastbp.layout import CAPACITY, Workspace
from fastbp.schedules import Rate, rates_at

SECONDS_A_CALL = 0.1
"""About how long one compiled call lasts: Ctrl-C and progress are seen between calls."""
FIRST_PASSES = 10_000
"""Bound on the passes of the first call, before any is measured: even a tiny net needs 0.2 us."""
MOST_PASSES = 1 << 40
"""Bound on the passes of any call."""
EPOCHS_A_BLOCK = 1 << 16
"""Epochs whose losses are kept in one array."""


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
        For the history.
    first_update : int
        The number of the next update, by which a schedule knows it.
    """

    network: Network
    work: Workspace
    data: Data
    optimizer: OptimizerState
    random: npt.NDArray[np.uint64]
    snapshot: npt.NDArray[np.floating]
    rows: int
    batch_size: int
    learning_rate: Rate = math.nan
    first_update: int = 0


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
        self.losses = np.zeros(epochs + 1)
        self.start = time.perf_counter()
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
    grad = np.empty(params.size if job.batch_size > capacity else 0, params.dtype)
    passes, status = max(1, min(passes, FIRST_PASSES)), training.FINISHED
    updates, number, losses = -(-job.rows // job.batch_size), job.first_update, np.zeros(1)
    while epochs and status == training.FINISHED and (hooks is None or not hooks.fit.stopped):
        block = min(epochs, EPOCHS_A_BLOCK if hooks is None else 1)
        log = _Log(history, job.rows, block, job.learning_rate, (number, updates))
        epochs, number, status = epochs - block, number + block * updates, training.RUNNING
        losses = log.losses
        arguments = (
            job.network, job.work, job.data, job.optimizer, grad, job.random, log.progress,
            losses, job.snapshot, job.rows, job.batch_size,
        )  # fmt: skip
        ready(training.train, params.dtype.char, (*arguments, passes))
        try:
            while status == training.RUNNING:
                start = time.perf_counter()
                status = training.train(*arguments, passes)
                spent = time.perf_counter() - start
                log.write()
                if status != training.RUNNING and spent < SECONDS_A_CALL:
                    break  # it ended early and says nothing about the bound
                passes = _next_passes(passes, spent, hooks)
                if status == training.RUNNING and hooks is not None and hooks.out_of_time():
                    break
            if status == training.FINISHED and hooks is not None:
                hooks.end_epoch()
                rate = getattr(hooks.fit.net.optimizer, "learning_rate", math.nan)
                job = job._replace(optimizer=hooks.state(), learning_rate=rate)
        except BaseException:
            log.write()
            raise
    return status, losses


def _next_passes(passes: int, spent: float, hooks: Hooks | None) -> int:
    """How many passes the next call may make, from the time that the last one took."""
    wanted = SECONDS_A_CALL if hooks is None else min(SECONDS_A_CALL, hooks.seconds_left())
    pace = min(wanted / max(spent, 1e-6), 4.0)
    return min(max(1, int(passes * pace)), MOST_PASSES)
