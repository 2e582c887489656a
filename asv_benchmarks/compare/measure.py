"""Measure one workload: training, and prediction of one row and of many, in every library."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compare.peer_base import CannotRunError, Peer
from compare.timing import (
    check_same_outputs,
    check_same_work,
    repeated,
    rounds_of_calls,
    rounds_of_steps,
)
from peak import flops_at_peak
from workloads import Goals, Workload

#: Rows that are predicted in one call, beside a single one.
MANY = 10_000
#: What training lasts between two turns of the FMA loop: its clock follows within that time.
SHARE_SECONDS = 0.03


class Measured(NamedTuple):
    """What came out for one workload in one dtype.

    Attributes
    ----------
    workload : Workload
    dtype : {"float32", "float64"}
    training : dict of str to float
        Seconds of an update, by library.
    share : float
        Share of the FMA peak that fastbp attains in training; see peak.py.
    one, many : dict of str to float
        Seconds for the prediction of one row, and of `MANY` rows, by library.
    failures : dict of str to str
        Why a library that is installed could not do this, by library.
    """

    workload: Workload
    dtype: str
    training: dict[str, float]
    share: float
    one: dict[str, float]
    many: dict[str, float]
    failures: dict[str, str]

    @property
    def goals(self) -> Goals | None:
        """What training is held to: in float32 alone."""
        return self.workload.goals if self.dtype == "float32" else None

    def ratios(self, kind: str) -> dict[str, float]:
        """Return how many times longer than fastbp each other library takes."""
        taken: dict[str, float] = getattr(self, kind)
        return {name: taken[name] / taken["fastbp"] for name in taken if name != "fastbp"}


def tried(
    workload: Workload, dtype: str, libraries: Sequence[type[Peer]], inputs: Sequence[NDArray]
) -> tuple[dict[str, Peer], dict[str, str]]:
    """Let every library do all of the work once, which compiles what it compiles.

    Returns
    -------
    peers : dict of str to Peer
        Those that can, with their initial weights.
    failures : dict of str to str
        Why the others cannot.
    """
    peers = {}
    failures = {}
    for library in libraries:
        try:
            peer = library(workload, dtype)
            for X in inputs:
                peer.predict(X)
            peer.train(1, shuffle=False)
        except CannotRunError as error:
            failures[library.name] = str(error)
            print(f"{workload.name}, {dtype}: {library.name} fails: {error}", file=sys.stderr)
        else:
            peer.reset()
            peers[library.name] = peer
    return peers, failures


def prediction_times(
    peers: Mapping[str, Peer], X: NDArray, rounds: int, seconds: float
) -> dict[str, float]:
    """Return the best time for the prediction of `X` of each library."""
    actions = {name: repeated(peer.predict, X) for name, peer in peers.items()}
    found = rounds_of_calls(actions, rounds=rounds, seconds=seconds)
    return {name: min(times) for name, times in found.items()}


def measure(
    workload: Workload,
    dtype: str,
    libraries: Sequence[type[Peer]],
    *,
    rounds: int,
    seconds: float,
) -> Measured:
    """Check one workload, then time it.

    Parameters
    ----------
    workload, dtype
        What is computed.
    libraries : sequence of Peer classes
        By which; the first is fastbp.
    rounds, seconds
        As in `timing.rounds_of_calls`; a turn of prediction lasts half as long.

    Raises
    ------
    timing.DisagreementError
        If the libraries do not do the same work.
    """
    rows = np.random.default_rng(2).standard_normal((MANY, workload.layer_sizes[0])).astype(dtype)
    peers, failures = tried(workload, dtype, libraries, (rows[:1], rows))
    check_same_outputs(peers, rows)
    check_same_work(peers)

    found = rounds_of_steps(peers, rounds=rounds, seconds=seconds)
    training = {name: min(times) for name, times in found.items()}
    peers["fastbp"].reset()
    epochs = ceil(SHARE_SECONDS / (training["fastbp"] * workload.steps))
    flops = workload.step_flops * workload.steps * epochs
    share = flops / flops_at_peak(lambda: peers["fastbp"].train(epochs), dtype)
    one = prediction_times(peers, rows[:1], rounds, seconds / 2)
    many = prediction_times(peers, rows, rounds, seconds / 2)
    for what, times in (("a step", training), ("one row", one), ("many rows", many)):
        shown = ", ".join(f"{name} {1e6 * time:.2f}" for name, time in times.items())
        print(f"{workload.name}, {dtype}, {what}: {shown} us", file=sys.stderr, flush=True)
    return Measured(workload, dtype, training, share, one, many, failures)
