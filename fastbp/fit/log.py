"""What is written into a history while epochs run, whatever stops them."""

from __future__ import annotations

import math
from types import TracebackType

import numpy as np

from fastbp.fit.between_epochs import Hooks
from fastbp.fit.epochs import Epochs
from fastbp.fit.history import History
from fastbp.kernels.optimizers import LEARNING_RATE, UPDATES
from fastbp.kernels.training import FINISHED, RUNNING
from fastbp.model.schedules import rates_at


class Log:
    """Notes epochs, and looks at the clock: a context around a block of them.

    Parameters
    ----------
    history : History
        Gets the epochs that are finished.
    epochs : Epochs
        What runs them.
    hooks : Hooks or None
        Whose time may run out.
    """

    def __init__(self, history: History, epochs: Epochs, hooks: Hooks | None) -> None:
        self.history = history
        self.epochs = epochs
        self.hooks = hooks
        history.other_columns.setdefault("learning_rate", [])

    def seconds_left(self) -> float:
        """Until the time runs out."""
        return math.inf if self.hooks is None else self.hooks.seconds_left()

    def out_of_time(self) -> bool:
        """Whether the time has run out; then training stops."""
        return self.hooks is not None and self.hooks.out_of_time()


class BlockLog(Log):
    """Notes the epochs of one job, of which a compiled call may run many.

    The truth is in what `epochs` has done and its losses, which the compiled loop keeps; writing
    again what an interruption left half written is harmless.
    """

    def __enter__(self) -> BlockLog:
        self.before = len(self.history)
        self.first_update = int(self.epochs.net.state.scalars[UPDATES])
        self.start = 0.0
        self.marks = [(0, 0.0)]  # rows done, and when
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self.epochs.job.rows:
            self.write()

    def look(self, running: bool) -> bool:
        """Write what is new; whether there is time to go on."""
        self.write()
        return not (running and self.out_of_time())

    def end_job(self, status: int) -> int:
        """What the job came to: it is all that there is of its epochs."""
        return status

    def end(self) -> None:
        """All is written."""

    def write(self) -> int:
        """Note the time, write what is new, return how many epochs that is."""
        job = self.epochs.job
        epoch, row = self.epochs.done
        self.start = self.start or self.epochs.pace.start
        now = self.epochs.clock() - self.start
        self.marks.append((epoch * job.rows + row, now))
        history = self.history
        used = history.other_columns["learning_rate"]
        known = min(len(history.loss), len(history.seconds), len(used))
        del history.loss[known:], history.seconds[known:], used[known:]
        first = known - self.before
        if epoch > first:
            history.loss.extend(self.epochs.losses[first:epoch].tolist())
            history.seconds.extend(self._seconds(first, epoch, job.rows))
            used.extend(self._rates(first, epoch, job.updates))
        for column in history.other_columns.values():
            if column is not used:  # not measured yet
                column.extend([math.nan] * (len(used) - len(column)))
        past = sum(rows <= epoch * job.rows for rows, _ in self.marks)
        del self.marks[: past - 1]  # the next epoch begins at or after the last of them
        return epoch - first

    def _seconds(self, first: int, end: int, rows: int) -> list[float]:
        """The times of the epochs from `first` to `end`, in proportion to their rows."""
        marks = self.marks
        if end - first == 1 and marks[0][0] == first * rows and marks[-1][0] == end * rows:
            return [marks[-1][1] - marks[0][1]]  # a tenth of the time of what follows
        done, times = zip(*marks, strict=True)
        ends = np.arange(first, end + 1) * rows
        seconds: list[float] = np.diff(np.interp(ends, done, times)).tolist()
        return seconds

    def _rates(self, first: int, end: int, updates_an_epoch: int) -> list[float]:
        """The learning rate of the last update of each epoch from `first` to `end`."""
        rate = self.epochs.learning_rate
        if not callable(rate):
            return [float(rate)] * (end - first)
        after = np.arange(first + 1, end + 1, dtype=np.int64) * updates_an_epoch
        rates: list[float] = rates_at(rate, self.first_update + after - 1).tolist()
        return rates


class EpochLog(Log):
    """Notes an epoch of several jobs, when all of them have run."""

    def __enter__(self) -> EpochLog:
        self.start = self.epochs.clock()
        self.jobs = 0
        self.loss = 0.0
        self.weight = 0.0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def look(self, running: bool) -> bool:
        """Whether there is time to go on."""
        return not (running and self.out_of_time())

    def end_job(self, status: int) -> int:
        """Add the job's loss; RUNNING where the time has run out."""
        job = self.epochs.job
        self.jobs += 1
        self.loss += self.epochs.losses[0] * job.data.total
        self.weight += job.data.total
        return RUNNING if status == FINISHED and self.out_of_time() else status

    def end(self) -> None:
        """Write the epoch.

        Raises
        ------
        ValueError
            When there was no job in the first epoch.
        """
        history = self.history
        if self.jobs == 0:
            if len(history) == 0:
                raise ValueError("there are no batches to train on: the iterable is empty")
            history.stop_reason = f"the batches ran out after epoch {len(history)}"
            return
        seconds = self.epochs.clock() - self.start
        rate = float(self.epochs.optimizer.scalars[LEARNING_RATE])
        history.add(float(self.loss / self.weight), seconds, learning_rate=rate)
