"""The one driver of compiled loops: call one for about a tenth of a second, look, call again.

A compiled loop makes at most as many passes as its last argument says, goes on from where the call
before it ended, and returns RUNNING, FINISHED or DIVERGED.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from fastbp.fit import calls, explained, in_python
from fastbp.fit.data import Job
from fastbp.fit.limits import LIMITS, Clock, Limits
from fastbp.kernels import training
from fastbp.kernels.optimizers import UPDATES
from fastbp.kernels.state import RATES, SCHEDULED, Data, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.training import RUNNING
from fastbp.kernels.workspace import CAPACITY
from fastbp.machine.jit import ready
from fastbp.model.net import FloatArray, Net
from fastbp.model.schedules import Rate, rate_in_updates, rates_of


class Watch(Protocol):
    """Looks on between compiled calls."""

    def seconds_left(self) -> float:
        """How long the next call may last at the most."""
        ...

    def look(self, running: bool) -> bool:
        """See how far training is, after each call; whether to go on while it is `running`."""
        ...


NO_LOCK = cast(AbstractContextManager[Any], nullcontext())


class Pace:
    """How many passes a compiled call may make, from the times of the calls before.

    Parameters
    ----------
    passes : int
        A cautious guess at how many take `limits.seconds_a_call`.
    limits : Limits
    clock : callable

    Attributes
    ----------
    passes : int
        Bound on the passes of the next call.
    start : float
        When the last call began.
    """

    def __init__(
        self, passes: int, limits: Limits = LIMITS, clock: Clock = time.perf_counter
    ) -> None:
        self.passes = max(1, min(passes, limits.first_passes))
        self.start = 0.0
        self.limits = limits
        self.clock = clock

    def call(
        self, loop: Any, kind: str, arguments: tuple[Any, ...], watch: Watch | None = None,
        lock: AbstractContextManager[Any] = NO_LOCK,
    ) -> int:  # fmt: skip
        """Call a compiled loop once.

        Parameters
        ----------
        loop : dispatcher or callable
        kind : str
            As in `fastbp.machine.jit.ready`.
        arguments : tuple
            Those of the loop but for the last, which is the bound on its passes.
        watch : Watch, optional
            Bounds the time of the next call.
        lock : context manager
            Held while the loop runs, and not while it is compiled.

        Returns
        -------
        int
            RUNNING, FINISHED or DIVERGED.
        """
        arguments = (*arguments, self.passes)
        ready(loop, kind, arguments)  # compiling is no part of the time
        with lock:
            self.start = self.clock()
            status = int(loop(*arguments))
            spent = self.clock() - self.start
        wanted = self.limits.seconds_a_call
        if status == RUNNING or spent >= wanted:  # else it ended early and says nothing
            if watch is not None:
                wanted = min(wanted, watch.seconds_left())
            self.passes = next_passes(self.passes, spent, wanted, self.limits.most_passes)
        return status


def next_passes(passes: int, spent: float, wanted: float, most: int) -> int:
    """How many passes take about the wanted time, from the time that the last ones took.

    The number grows at most fourfold.
    """
    pace = min(wanted / max(spent, 1e-6), 4.0)
    return min(max(1, int(passes * pace)), most)


def with_rates(optimizer: OptimizerState, rates: npt.NDArray[np.floating]) -> OptimizerState:
    """The optimiser with the learning rates of the next updates."""
    settings = np.concatenate([optimizer.settings, rates])
    settings[SCHEDULED] = 1
    settings[RATES] = optimizer.settings.size - int(optimizer.scalars[UPDATES])
    return optimizer._replace(settings=settings)


class Bits(NamedTuple):
    """A bit generator of NumPy, from which the orders of rows are drawn.

    Attributes
    ----------
    address : int
        Where compiled code finds it; 0 for the net's own random stream instead.
    lock : context manager
        Held during compiled calls: nobody else draws meanwhile. It may not be reentrant, so
        that functions of the user's, which may draw from the same generator, run without it.
    owner : object
        Lives as long as its address is in use.
    """

    address: int
    lock: AbstractContextManager[Any]
    owner: object


NO_BITS = Bits(0, NO_LOCK, None)


class Epochs:
    """Runs epochs of a net.

    Parameters
    ----------
    net : Net
    snapshot : array of the net's dtype, shape (n_params,), optional
        Becomes the parameters after each epoch of a job that ends finite, and is restored where
        one does not; by default a copy of the parameters.
    bits : Bits
    limits : Limits
    clock : callable
    updates_an_epoch : int, optional
        For schedules that count epochs; by default those of the job. 0 where nobody knows.
    threads : int or "auto", default=1
        As in `MLP.fit`.

    Attributes
    ----------
    job : Job
        What `take` was given last.
    losses : array of float64
        The losses of the epochs of the last run, each batch's before its update; the one that
        diverged included.
    """

    job = Job(cast(Data, None), 0, 1)  # none yet
    table: Table
    grad: FloatArray
    optimizer: OptimizerState
    learning_rate: Rate
    pace: Pace

    def __init__(
        self, net: Net, snapshot: FloatArray | None = None, bits: Bits = NO_BITS,
        limits: Limits = LIMITS, clock: Clock = time.perf_counter,
        updates_an_epoch: int | None = None, threads: int | str = 1,
    ) -> None:  # fmt: skip
        self.net = net
        self.threads = threads
        self.updates_an_epoch = updates_an_epoch
        self.snapshot = net.state.params.copy() if snapshot is None else snapshot
        self.bits = bits
        self.limits = limits
        self.clock = clock
        self.progress: npt.NDArray[np.int64] = np.zeros(training.N_PROGRESS, np.int64)
        self.losses: npt.NDArray[np.float64] = np.zeros(1)
        own = net.in_python
        self._train: Callable[..., int] = calls.train
        self._ready = calls.ready
        self._lock = NO_LOCK
        if own is not None:
            self._train = partial(in_python.train, own, bits.lock)
        elif net.explaining is not None:
            self._train = explained.Training(net, net.explaining, bits.lock, bits.owner)
        else:
            self._lock = bits.lock

    def refresh(self) -> None:
        """Take over what callbacks have changed of the optimiser.

        Raises
        ------
        RuntimeError
            If the buffers of the net are others than those that are trained.
        """
        if not self.job.rows:
            return  # nothing was taken
        if self.table.network.params is not self.net.state.params:
            raise RuntimeError(
                "the net was made anew while it is trained, by __init__ or __setstate__ in a "
                "callback or in another thread; make another net instead"
            )
        self.optimizer = self.net.optimizer_state()
        rate = self.net.optimizer.learning_rate
        updates = self.job.updates if self.updates_an_epoch is None else self.updates_an_epoch
        self.learning_rate = rate_in_updates(rate, updates) if updates else rate

    def take(self, job: Job) -> None:
        """Run this job from now on; nothing changes when it is the one of the run before."""
        if job is self.job:
            return
        net = self.net
        self.job = job
        sparse = job.data.entries is not None
        self.table = net.workspace(job.batch_size, training=True, sparse=sparse)
        if self.threads != 1:
            from fastbp.fit.threads import runner_for

            runner = runner_for(net, job, self.threads, self.table)
            if runner is not None:
                self._train = runner.train
                self._ready = runner.ready
                self.table = runner.table
        self.refresh()
        capacity = int(self.table.work.places[CAPACITY])
        whole = net.needs_gradient(job.batch_size, capacity)
        self.grad = np.empty(net.params.size if whole else 0, net.dtype)
        passes = net.rows_in_a_call // (4 * min(job.batch_size, capacity))
        self.pace = Pace(passes, self.limits, self.clock)

    def run(self, epochs: int, watch: Watch | None = None, trail: FloatArray | None = None) -> int:
        """Run some epochs of the job.

        Whatever stops them, `finished` tells how far they came.

        Parameters
        ----------
        epochs : int
        watch : Watch, optional
        trail : array of the net's dtype, shape (epochs + 1, n_params), optional
            Becomes the parameters at the start and after each epoch; not for nets that are
            computed in Python.

        Returns
        -------
        int
            FINISHED or DIVERGED; RUNNING where `watch` ended it.
        """
        job = self.job
        progress = self.progress
        progress.fill(0)
        self.losses = np.zeros(epochs + 2)
        end = int(self.optimizer.scalars[UPDATES]) + epochs * job.updates
        data = job.data._replace(generator=self.bits.address)
        snapshot = self.snapshot
        if trail is not None:
            snapshot = trail.reshape(-1)
            trail[0] = self.snapshot
        self._ready(self.table, data.entries is not None)  # compiling is no part of the time
        while True:
            optimizer = self._with_rates(end)
            arguments = (
                self.table, data, optimizer, self.grad, self.net.state.random, progress,
                self.losses, snapshot, job.rows, job.batch_size,
            )  # fmt: skip
            status = self.pace.call(self._train, "", arguments, watch, self._lock)
            running = status == RUNNING
            going = watch is None or watch.look(running)
            if not (running and going):
                if trail is not None:
                    self.snapshot[:] = trail[progress[training.EPOCH]]
                return status

    def _with_rates(self, end: int) -> OptimizerState:
        """The optimiser with the rates of the next updates, those before `end`, for a schedule."""
        optimizer = self.optimizer
        if not callable(self.learning_rate):
            return optimizer
        pace = self.pace
        pace.passes = min(pace.passes, self.limits.most_rates)
        first = int(optimizer.scalars[UPDATES])
        count = min(pace.passes, end - first)
        try:
            rates = rates_of(self.learning_rate, first, count)
        except (TypeError, ValueError):
            if count == 1:
                raise
            pace.passes = 1  # the updates before the bad rate are made, however many a call makes
            rates = rates_of(self.learning_rate, first, 1)
        return with_rates(optimizer, rates)

    @property
    def done(self) -> tuple[int, int]:
        """Epochs that the last run finished, and rows of the one after them."""
        epoch, row, rows_of_batch = self.progress.tolist()
        return epoch, row + rows_of_batch

    @property
    def finished(self) -> list[float]:
        """The losses of the epochs that the last run finished, each batch's before its update."""
        losses: list[float] = self.losses[: self.progress[training.EPOCH]].tolist()
        return losses

    @property
    def unfinished(self) -> float:
        """The loss of the epoch in which the last run diverged."""
        return float(self.losses[self.progress[training.EPOCH]])
