"""A fit by several threads beside one by one thread, and two threads on one busy core.

``python asv_benchmarks/several_threads.py`` prints a table. One thread and several take turns, each
for a fifth of a second, beside a measurement of the barriers that the threads wait at: a
pair of them takes 0.1 to 0.2 us on cores that share a cache and 0.5 us and more on others, or where
other programs have the cores, and every line that one core wrote and another reads takes its time
accordingly. So turns are told apart by it: NEAR and FAR, and what is in neither was disturbed. Of
each kind the best times are compared, and the times that a tenth of the turns were below.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import NamedTuple

import numpy as np

from fastbp import MLP
from fastbp.fit.threads import NEAR, Team, team_for, usable_cores
from fastbp.tables import as_lines
from workloads import WORKLOADS, Workload

#: Workloads and batch sizes, and how many times as fast two threads on near cores are to be.
CASES = (
    ("digits", 64, None),
    ("default", 200, None),
    ("mnist", 128, 1.5),
    ("deep", 128, 1.6),
    ("deep", 512, 1.9),
    ("wide", 256, 1.9),
)
#: A pair of barriers that takes longer was disturbed by other programs.
FAR = 1.0e-6
#: A fit has some 2 ms of checks and starts of threads, which are not to be seen in a step.
SECONDS_A_TURN = 0.2
#: Two threads on one core may take so many times as long as one.
MOST_OVERSUBSCRIBED = 3.0
#: The share of turns whose best time counts as usual.
USUAL = 0.1


class Turn(NamedTuple):
    """Seconds of a pair of barriers, and of a step by one thread and by several."""

    pair: float
    one: float
    several: float


def step_seconds(net: MLP, data: tuple, batch_size: int, epochs: int, threads: int) -> float:
    """Time some epochs, per step."""
    start = time.perf_counter()
    net.fit(*data, epochs=epochs, batch_size=batch_size, threads=threads)
    return (time.perf_counter() - start) / (epochs * -(-len(data[0]) // batch_size))


def turns_of(job: Workload, batch_size: int, threads: int, seconds: float) -> list[Turn]:
    """Let one thread and several take turns."""
    rng = np.random.default_rng(0)
    rows = min(job.rows, 32 * batch_size) // batch_size * batch_size
    X = rng.standard_normal((rows, job.layer_sizes[0]), dtype="float32")
    data = X, rng.standard_normal((rows, job.layer_sizes[-1]), dtype="float32")
    nets = [MLP(job.layer_sizes, activation=job.activation, seed=0) for _ in range(2)]
    for net, number in zip(nets, (1, threads), strict=True):
        step_seconds(net, data, batch_size, 2, number)
    if not np.array_equal(nets[0].params, nets[1].params):
        raise AssertionError(f"{threads} threads have other parameters than one")
    team: Team = team_for(nets[1], batch_size, threads)
    step = step_seconds(nets[0], data, batch_size, 1, 1)
    epochs = max(1, int(SECONDS_A_TURN / (step * rows / batch_size)))
    turns = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pair = team.seconds_of_barriers()
        times = [
            step_seconds(net, data, batch_size, epochs, number)
            for net, number in zip(nets, (1, threads), strict=True)
        ]
        turns.append(Turn(max(pair, team.seconds_of_barriers()), *times))
    return turns


def compared(turns: list[Turn]) -> str:
    """How many times as fast several threads were: by the best, and by usual times."""
    if not turns:
        return "-"
    one, several = (sorted(times) for times in list(zip(*turns, strict=True))[1:])
    usual = int(USUAL * len(turns))
    best = f"{one[0] * 1e6:.3g} / {several[0] * 1e6:.3g} us = {one[0] / several[0]:.2f}x"
    return f"{best}, usual {one[usual] / several[usual]:.2f}x, n {len(turns)}"


def oversubscribed(job: Workload, batch_size: int, seconds: float) -> str:
    """How many times as long two threads take on one core as one thread does."""
    if not hasattr(os, "sched_setaffinity"):
        return "-"
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        turns = turns_of(job, batch_size, 2, seconds)
    finally:
        os.sched_setaffinity(0, before)
    one, several = (float(np.median(times)) for times in list(zip(*turns, strict=True))[1:])
    mark = "" if several <= MOST_OVERSUBSCRIBED * one else f" (goal {MOST_OVERSUBSCRIBED:g}x)"
    return f"{several / one:.2f}x{mark}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12.0, help="for each net")
    parser.add_argument("--only", nargs="*", help="workloads; all by default")
    args = parser.parse_args()
    print(f"{args.threads} threads on {usable_cores()} cores, load {os.getloadavg()[0]:.1f}")
    rows = [["net, batch", "pair of barriers", "near", "far", "goal near", "two on one core"]]
    for name, batch_size, goal in CASES:
        if args.only and name not in args.only:
            continue
        job = WORKLOADS[name]
        turns = turns_of(job, batch_size, args.threads, args.seconds)
        pairs = sorted(turn.pair * 1e6 for turn in turns)
        near = [turn for turn in turns if turn.pair < NEAR]
        far = [turn for turn in turns if NEAR <= turn.pair < FAR]
        rows.append(
            [
                f"{name} b{batch_size}",
                f"{pairs[0]:.2f} to {pairs[-1]:.2f} us",
                compared(near),
                compared(far),
                "-" if goal is None else f"{goal}x",
                oversubscribed(job, batch_size, args.seconds / 2),
            ]
        )
    print("\n".join(as_lines(rows)))


if __name__ == "__main__":
    main()
