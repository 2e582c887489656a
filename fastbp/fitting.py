"""The Python side of the epoch loop: compiled calls of bounded length, and what they leave."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp._jit import ready
from fastbp.history import History
from fastbp.kernels import training
from fastbp.kernels.network import Data, Network
from fastbp.kernels.regularization import CLIP_NORM
from fastbp.kernels.updates import OptimizerState
from fastbp.layout import CAPACITY, Workspace

SECONDS_A_CALL = 0.1
"""About how long one compiled call lasts: Ctrl-C and progress are seen between calls."""
FIRST_PASSES = 10_000
"""Bound on the passes of the first call, before any is measured: even a tiny net needs 0.2 us."""
MOST_PASSES = 1 << 40
"""Bound on the passes of any call."""
EPOCHS_A_BLOCK = 1 << 16
"""Epochs whose losses are kept in one array."""


class Job(NamedTuple):
    """What is trained, on what, and how: the arguments that all compiled calls share.

    Attributes
    ----------
    network, work, data, optimizer : Network, Workspace, Data, OptimizerState
    random : array of uint64, shape (1,)
    snapshot : array, shape (n_params,)
        The parameters after the last epoch that ended finite.
    rows, batch_size : int
    """

    network: Network
    work: Workspace
    data: Data
    optimizer: OptimizerState
    random: npt.NDArray[np.uint64]
    snapshot: npt.NDArray[np.floating]
    rows: int
    batch_size: int


class _Log:
    """Writes the finished epochs of a block into a history.

    The truth is in `progress` and `losses`, which the compiled loop keeps; writing again what
    an interruption left half written is harmless.
    """

    def __init__(self, history: History, rows: int, epochs: int) -> None:
        self.history, self.rows, self.before = history, rows, len(history)
        self.progress = np.zeros(training.N_PROGRESS, np.int64)
        self.losses = np.zeros(epochs + 2)
        self.start = time.perf_counter()
        self.marks = [(0, 0.0)]  # rows done, and when

    def write(self) -> int:
        """Note the time, write what is new, return how many epochs that is."""
        epoch, row, done = (int(x) for x in self.progress)
        self.marks.append((epoch * self.rows + row + done, time.perf_counter() - self.start))
        history = self.history
        known = min(len(history.loss), len(history.seconds))
        del history.loss[known:], history.seconds[known:]
        first = known - self.before
        ends = np.arange(first, epoch + 1) * self.rows
        rows, times = (list(column) for column in zip(*self.marks, strict=True))
        seconds = np.diff(np.interp(ends, rows, times))
        history.loss.extend(self.losses[first:epoch].tolist())
        history.seconds.extend(seconds.tolist())
        past = sum(rows <= epoch * self.rows for rows, _ in self.marks)
        del self.marks[: past - 1]  # the next epoch begins at or after the last of them
        return epoch - first


def run_epochs(
    job: Job, epochs: int, passes: int, history: History, verbose: bool
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
    verbose : bool
        Whether to print a line an epoch.

    Returns
    -------
    status : int
        FINISHED or DIVERGED.
    losses : array of float64
        Of the epochs of the last block, the one that diverged included.
    """
    params, capacity = job.network.params, int(job.work.places[CAPACITY])
    rules = job.optimizer.rules
    whole = job.batch_size > capacity or (rules.size > 0 and rules[CLIP_NORM] > 0)
    grad = np.empty(params.size if whole else 0, params.dtype)
    passes, status, total = max(1, min(passes, FIRST_PASSES)), training.FINISHED, epochs
    losses = np.zeros(0)
    while epochs and status == training.FINISHED:
        block = min(epochs, EPOCHS_A_BLOCK)
        log, epochs, status = _Log(history, job.rows, block), epochs - block, training.RUNNING
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
                new = log.write()
                if verbose:
                    _print_epochs(history, new, total)
                pace = min(SECONDS_A_CALL / max(spent, 1e-6), 4.0)
                passes = min(max(1, int(passes * pace)), MOST_PASSES)
        except BaseException:
            log.write()
            raise
    return status, losses


def _print_epochs(history: History, count: int, epochs: int) -> None:
    width = len(str(epochs))
    for number in range(len(history) - count, len(history)):
        print(
            f"epoch {number + 1:{width}}/{epochs}  loss {history.loss[number]:.6f}  "
            f"{history.seconds[number] * 1e3:.2f} ms",
            flush=True,
        )
