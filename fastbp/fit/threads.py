"""A team of threads for one net: its tables, and calls in which all its members take part.

The members are Python threads; while they are in compiled code none of them has the interpreter's
lock. Uncompiled (NUMBA_DISABLE_JIT=1) they take turns as Python threads do: concurrent, and slow.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.fit import calls
from fastbp.fit.calls import Random
from fastbp.fit.data import Job
from fastbp.kernels import team, threads
from fastbp.kernels.addresses import (
    BLOCKS,
    MEMBER,
    N_MEMBERS,
    OFFSETS,
    PLACES,
    SCALARS,
    SUMS,
    TEAM,
)
from fastbp.kernels.state import Data, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.workspace import CAPACITY, LANES_BYTES, aligned_zeros
from fastbp.machine import jit
from fastbp.machine.processor import TILE_VECTORS
from fastbp.machine.waiting import address_of_yield
from fastbp.model.net import FloatArray, Net

OWN = PLACES, OFFSETS, SCALARS, BLOCKS, MEMBER
"""Cells in which the members' tables differ."""


def tile_columns(dtype: np.dtype[Any]) -> int:
    """Rows of a batch that are not shared out any further."""
    return TILE_VECTORS * LANES_BYTES // dtype.itemsize


def members_for(net: Net, job: Job, wanted: int) -> int:
    """How many threads can share a job: 1 where there is nothing to share.

    So it is for batches of less than two tiles, sparse rows, and nets of which a part is in Python.
    """
    if job.data.entries is not None or net.in_python is not None:
        return 1
    capacity = net.capacity_for(job.batch_size)
    return max(1, min(wanted, capacity // tile_columns(net.dtype)))


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
        One for each member, the first that of the leader, in whose thread calls are made.
    """

    def __init__(self, net: Net, batch_size: int, members: int) -> None:
        self.tables = net.team_workspaces(batch_size, members)
        places = self.tables[0].work.places
        groups = -(-int(places[CAPACITY]) // tile_columns(net.dtype))
        self.words = aligned_zeros(team.words(members), np.dtype(np.int64))
        self.words[team.YIELD] = address_of_yield()
        sums = aligned_zeros(threads.GROUPS + groups, np.dtype(np.float64))
        blocks = members + 2 + sum(3 * (n // 2 + 2) for n in net.layer_sizes[1:])
        for member, table in enumerate(self.tables):
            table.put(TEAM, self.words)
            table.put(SUMS, sums)
            table.put(BLOCKS, np.zeros(blocks, np.int64))
            table.cells[MEMBER] = member
            table.cells[N_MEMBERS] = members

    def train(
        self, table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray,
        random: Random, progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64],
        snapshot: FloatArray, rows: int, batch_size: int, passes: int,
    ) -> int:  # fmt: skip
        """As `calls.train`; the table is the leader's."""
        leader = self.tables[0]
        calls.fill_training(
            leader, data, optimizer, grad, random, progress, losses, snapshot, rows, batch_size,
            passes,
        )  # fmt: skip
        for other in self.tables[1:]:
            other.put(SCALARS, aligned_copy(optimizer.scalars))
        return int(self.carry_out(threads.TRAIN))

    def carry_out(self, operation: int) -> float:
        """Let all members carry out an operation of `kernels.threads.operate`; the leader's result.

        Whatever ends it, no other member is left in compiled code.
        """
        leader, *others = self.tables
        self.ready()
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
                thread.start()
                started.append(thread)
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

    def ready(self) -> None:
        """Compile what `carry_out` calls, or load it, unless that was done."""
        blank = self.tables[0].blank
        arguments = self.tables[0].cells, threads.TRAIN, blank
        jit.ready(threads.train_together, blank.dtype.char, arguments)


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
    copied: npt.NDArray[np.float64] = aligned_zeros(x.size + 16, x.dtype)[: x.size]
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
