"""A team of threads for one net: its tables, and calls in which all its members take part.

The members are Python threads; while they are in compiled code none of them has the interpreter's
lock. Uncompiled (NUMBA_DISABLE_JIT=1) they take turns as Python threads do: concurrent, and slow.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.fit import calls
from fastbp.fit.calls import Random
from fastbp.fit.data import Job
from fastbp.kernels import team, threads
from fastbp.kernels.addresses import (
    BLOCKS,
    COLUMN_LOSSES,
    COUNT,
    FIRST,
    MEMBER,
    N_MEMBERS,
    OFFSETS,
    PARAMS,
    PLACES,
    ROWS,
    SCALARS,
    SUMS,
    TEAM,
)
from fastbp.kernels.state import Data, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.training import DONE, EPOCH, ROW
from fastbp.kernels.workspace import CAPACITY, LANES_BYTES, aligned_zeros
from fastbp.machine import jit
from fastbp.machine.processor import TILE_VECTORS
from fastbp.machine.processor import usable_cores as usable_cores
from fastbp.machine.waiting import address_of_yield
from fastbp.model.net import FloatArray, Net

FEW_PAIRS, PAIRS = 50, 2000
"""How many pairs of barriers are measured."""
PATIENCE = 20e-6
"""Seconds of a pair above which no more of them are measured."""

OWN = PLACES, OFFSETS, SCALARS, BLOCKS, MEMBER
"""Cells in which the members' tables differ."""


def tile_columns(dtype: np.dtype[Any]) -> int:
    """Rows of a batch that are not shared out any further."""
    return TILE_VECTORS * LANES_BYTES // dtype.itemsize


def members_for(net: Net, batch_size: int, wanted: int | str, sparse: bool) -> int:
    """How many threads can share a batch: 1 where there is nothing to share.

    So it is for batches of less than two tiles, sparse rows, and nets of which a part is in Python.
    """
    if sparse or net.in_python is not None or net.explaining is not None:
        return 1
    most = usable_cores() if isinstance(wanted, str) else wanted
    return max(1, min(most, net.capacity_for(batch_size) // tile_columns(net.dtype)))


class Team:
    """Threads that train a net together.

    Parameters
    ----------
    net : Net
    batch_size : int
    members : int
        At least 2.

    Attributes
    ----------
    tables : list of Table
        One for each member.
    table : Table
        The first, that of the leader: calls are made in its thread.
    """

    def __init__(self, net: Net, batch_size: int, members: int) -> None:
        self.tables = net.team_workspaces(batch_size, members)
        places = self.tables[0].work.places
        self.words = aligned_zeros(team.words(members), np.dtype(np.int64))
        self.words[team.YIELD] = address_of_yield()
        sums = aligned_zeros(threads.N_SUMS, np.dtype(np.float64))
        losses = aligned_zeros(int(places[CAPACITY]) + tile_columns(net.dtype), net.dtype)
        blocks = 4 * members + 2 + sum(3 * (n // 2 + 2) for n in net.layer_sizes[1:])
        self.table = self.tables[0]
        for member, table in enumerate(self.tables):
            table.put(TEAM, self.words)
            table.put(SUMS, sums)
            table.put(COLUMN_LOSSES, losses)
            table.put(BLOCKS, np.zeros(blocks, np.int64))
            table.cells[MEMBER] = member
            table.cells[N_MEMBERS] = members

    def train(
        self, table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray,
        random: Random, progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64],
        snapshot: FloatArray, rows: int, batch_size: int, passes: int,
    ) -> int:  # fmt: skip
        """As `calls.train`; the leader's table is taken, whatever is given."""
        calls.fill_training(
            self.table, data, optimizer, grad, random, progress, losses, snapshot, rows, batch_size,
            passes,
        )  # fmt: skip
        for other in self.tables[1:]:
            other.put(SCALARS, aligned_copy(optimizer.scalars))
        return int(self.carry_out(threads.TRAIN))

    def evaluate(
        self, data: Data, optimizer: OptimizerState, grad: FloatArray, first: int, count: int,
        rows: int, params: FloatArray | None = None,
    ) -> float:  # fmt: skip
        """As `calls.evaluate`, with a gradient, at other parameters than the net's where given."""
        leader = self.table
        calls.fill(leader, data, optimizer, grad, calls.NO_RANDOM)
        leader.cells[FIRST : ROWS + 1] = first, count, rows
        leader.put(PARAMS, leader.network.params if params is None else params)
        for other in self.tables[1:]:
            other.put(SCALARS, optimizer.scalars)
        try:
            return self.carry_out(threads.EVALUATE)
        finally:
            leader.put(PARAMS, leader.network.params)

    def carry_out(self, operation: int) -> float:
        """Let all members carry out an operation of `kernels.threads.operate`; the leader's result.

        Whatever ends it, no other member is left in compiled code.
        """
        leader, *others = self.tables
        self.ready(leader, False)
        words = self.words
        words[: team.YIELD] = 0
        words[team.TOLD :] = 0
        errors: list[BaseException] = []

        def take_part(table: Table) -> None:
            try:
                threads.train_together(table.cells, operation, table.blank)
            except BaseException as error:
                words[team.STOPPED] = 1
                errors.append(error)

        for other in others:
            other.follow(leader, OWN)
        started = []
        try:
            for other in others:
                thread = threading.Thread(target=take_part, args=(other,), daemon=True)
                started.append(thread)  # first: an interrupt may come between the two
                thread.start()
            result = float(threads.train_together(leader.cells, operation, leader.blank))
        except BaseException:
            words[team.STOPPED] = 1
            raise
        finally:
            _join(started)
            for table in self.tables:
                table.forget()
        if errors:
            raise errors[0]
        return result

    def ready(self, table: Table, sparse: bool) -> None:
        """Compile what `carry_out` calls, or load it, unless that was done."""
        blank = table.blank
        arguments = table.cells, threads.TRAIN, blank
        jit.ready(threads.train_together, blank.dtype.char, arguments)

    def seconds_of_barriers(self) -> float:
        """How long two barriers take, the shortest of some measurements.

        On a busy machine, where members wait for their turns, a few are measured, once.
        """
        few = self._seconds_of(FEW_PAIRS)
        if few > PATIENCE:
            return few
        return min(self._seconds_of(PAIRS) for _ in range(3))

    def _seconds_of(self, pairs: int) -> float:
        """How long two barriers take, out of so many pairs; without what starts the members."""
        times = []
        for count in (0, 2 * pairs):
            self.table.cells[COUNT] = count
            start = time.perf_counter()
            self.carry_out(threads.WAIT)
            times.append(time.perf_counter() - start)
        return max(0.0, times[1] - times[0]) / pairs


def _join(started: list[threading.Thread]) -> None:
    """Wait for threads that end by themselves; Ctrl-C is raised when all have."""
    interrupt = None
    for thread in started:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt as error:
                interrupt = error
    if interrupt is not None:
        raise interrupt


def aligned_copy(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The same numbers on lines of the cache of their own."""
    copied: npt.NDArray[Any] = aligned_zeros(x.size + 16, x.dtype)[: x.size]
    copied[:] = x
    return copied


def team_for(net: Net, batch_size: int, members: int) -> Team:
    """The team of this Python thread, kept for its next call."""
    kept: dict[str, Any] = net._spaces.__dict__
    key = net.capacity_for(batch_size), members
    found = kept.get("team")
    if found is None or found[0] != key:
        found = kept["team"] = key, Team(net, batch_size, members)
    made: Team = found[1]
    return made


# ---- many rows -----------------------------------------------------------------------------------

ROWS_A_THREAD = 1024
"""Rows of a call below which another thread does not pay."""
SECONDS_ALONE = 1e-3
"""About how long a call takes with one thread where "auto" takes more."""
WORK_A_SECOND = 2e10
"""Weights times rows that go through in a second, forward."""


def members_for_rows(net: Net, rows: int, wanted: int | str, sparse: bool) -> int:
    """How many threads share a prediction, or a gradient, of so many rows."""
    if sparse or net.in_python is not None or net.explaining is not None:
        return 1
    if isinstance(wanted, str):
        if rows * net.n_params < SECONDS_ALONE * WORK_A_SECOND:
            return 1
        wanted = usable_cores()
    return max(1, min(wanted, rows // ROWS_A_THREAD))


def predict(net: Net, inputs: FloatArray, out: FloatArray, logits: bool, members: int) -> int:
    """Outputs of all rows in `out`; -1, or the flat index of the first input not finite.

    Each thread takes blocks of whole passes, those that one thread goes through as well.
    """
    rows = len(inputs)
    capacity = net.capacity_for(rows)
    block = min(net.rows_in_a_call, max(1, rows // (4 * members * capacity)) * capacity)
    starts = iter(range(0, rows, block))
    lock = threading.Lock()
    bad: list[int] = []
    errors: list[BaseException] = []

    def take_part() -> None:
        try:
            table = net.workspace(rows, False, logits)
            while not (bad or errors):
                with lock:
                    first = next(starts, rows)
                if first == rows:
                    return
                some = slice(first, first + block)
                index = calls.predict(table, inputs[some], None, out[some])
                if index >= 0:
                    bad.append(first * inputs.shape[1] + index)
        except BaseException as error:
            errors.append(error)

    calls.ready(net.workspace(rows, False, logits), False)
    started = []
    try:
        for _ in range(members - 1):
            thread = threading.Thread(target=take_part, daemon=True)
            started.append(thread)
            thread.start()
        take_part()
    except BaseException as error:
        errors.append(error)
        raise
    finally:
        _join(started)
    if errors:
        raise errors[0]
    return min(bad, default=-1)


# ---- whether a team is worth it ------------------------------------------------------------------

NEAR = 0.25e-6
"""Seconds of a pair of barriers below which cores are near each other: they share a cache."""
STEP_NEAR, STEP_FAR = 100e-6, 2.5e-3
"""Seconds of a step of one thread above which a team may be faster, on cores near and far."""


class Auto:
    """Trains with one thread or several, whatever is faster; the bits are the same.

    The first call has one thread. If a step takes long enough for cores as near as these, the
    second has several, and whatever took less time a row stays.

    Parameters
    ----------
    net : Net
    job : Job
    members : int
        How many threads the team has.
    table : Table
        For one thread.
    """

    def __init__(self, net: Net, job: Job, members: int, table: Table) -> None:
        self.net = net
        self.job = job
        self.members = members
        self.table = table
        self.ready = calls.ready
        self.chosen: Callable[..., int] | None = None
        self.seconds_a_row = 0.0
        self.team: Team | None = None

    def train(self, table: Table, *arguments: Any) -> int:
        """As `calls.train`."""
        if self.chosen is not None:
            return self.chosen(table, *arguments)
        progress = arguments[4]
        before = self._rows(progress)
        run = calls.train if self.team is None else self.team.train
        start = time.perf_counter()
        status = run(table, *arguments)
        seconds = (time.perf_counter() - start) / max(1, self._rows(progress) - before)
        if self.team is not None:
            self.chosen = self.team.train if seconds < self.seconds_a_row else calls.train
        elif self._may_pay(seconds * self.job.batch_size):
            self.seconds_a_row = seconds
        else:
            self.chosen = calls.train
        return status

    def _rows(self, progress: npt.NDArray[np.int64]) -> int:
        """How many rows were trained on."""
        return int(progress[EPOCH] * self.job.rows + progress[ROW] + progress[DONE])

    def _may_pay(self, step: float) -> bool:
        """Whether a step of so many seconds is long enough; then the team is there."""
        if step < STEP_NEAR:
            return False
        team = team_for(self.net, self.job.batch_size, self.members)
        team.ready(team.table, False)
        if step < STEP_FAR and team.seconds_of_barriers() > NEAR:
            return False
        self.team = team
        return True


def runner_for(net: Net, job: Job, wanted: int | str, table: Table) -> Team | Auto | None:
    """What trains with as many threads as are wanted and can share the job; None for one."""
    members = members_for(net, job.batch_size, wanted, job.data.entries is not None)
    if members == 1:
        return None
    if isinstance(wanted, str):
        return Auto(net, job, members, table)
    return team_for(net, job.batch_size, members)
