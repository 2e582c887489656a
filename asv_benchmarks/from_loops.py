"""From plain loops to fastbp, step by step: what each idea gains.

``python asv_benchmarks/from_loops.py`` prints a table as Markdown; with --docs the table and its
picture go into docs/how_it_works.md. It takes a minute. After an epoch all have to be at the
parameters of fastbp/plain.py. A time is the processor's, the best of many turns on one core; that
of Python is computed from a step by one row and a step by two.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

import from_loops_kernels as kernels
import from_loops_page as page
import peak
from compare import one_thread
from compare.peer_base import LEARNING_RATE
from compare.peers import FastBP
from fastbp import plain
from from_loops_page import Found
from workloads import WORKLOADS, Workload

#: The second is the widest of the suite, with fewer rows: an epoch of plain loops takes seconds.
NETS = (Workload("small", (64, 64, 10), 1_024, 64), replace(WORKLOADS["wide"], rows=2_048))
#: How far an epoch may end from that of fastbp/plain.py, as a share of the way it has gone: Adam
#: divides by the size of a gradient, so that rounding shows where that is almost 0.
TOLERANCE = 0.01
#: Seconds of work in a turn, at least; what takes longer than the second is measured once.
TURN, LONG = 0.01, 0.5


class Kind(NamedTuple):
    """A way to train: the parameters, and what trains them for some epochs."""

    params: NDArray
    train: Callable[[int], None]


class Job:
    """One net and its batches, for every way to train."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        hidden = len(workload.layer_sizes) - 2
        activations = np.array([plain.RELU] * hidden + [plain.IDENTITY])
        sizes = np.array(workload.layer_sizes)
        self.net = plain.Net(sizes, activations, plain.SQUARED_ERROR, True)
        peer = FastBP(workload)
        self.start = peer.net.params.copy()
        shape = (workload.steps, workload.batch_size, -1)
        self.batches = list(zip(peer.X.reshape(shape), peer.Y.reshape(shape), strict=True))

    def by_loops(self, step: Callable[..., float], work: Any) -> Kind:
        """By a function like `plain.train_step`, a call for each batch."""
        params = self.start.copy()
        done = count(1)

        def train(epochs: int) -> None:
            for _ in range(epochs):
                for x, t in self.batches:
                    step(params, work, self.net, x, t, next(done), LEARNING_RATE)

        return Kind(params, train)

    def by_step(self) -> Kind:
        """By `MLP.step`, a call for each batch."""
        net = FastBP(self.workload).net

        def train(epochs: int) -> None:
            for _ in range(epochs):
                for x, t in self.batches:
                    net.step(x, t)

        return Kind(net.params, train)

    def by_fit(self) -> Kind:
        """By `MLP.fit`, in one call."""
        peer = FastBP(self.workload)
        return Kind(peer.net.params, lambda epochs: peer.train(epochs, shuffle=False))

    def kinds(self) -> dict[str, Kind]:
        """Every way to train but that of Python."""
        rows = self.workload.batch_size
        found = {
            "plain": self.by_loops(plain.train_step, plain.workspace(self.start, self.net, rows))
        }
        for name, pieces in kernels.STEPS.items():
            work = kernels.workspace(self.start, self.workload.layer_sizes, rows)
            found[name] = self.by_loops(kernels.train_step_by(*pieces), work)
        return found | {"step": self.by_step(), "fit": self.by_fit()}

    def check(self, name: str, params: NDArray, right: NDArray) -> None:
        """Raise an AssertionError unless parameters are those of fastbp/plain.py."""
        way = np.linalg.norm(right - self.start)
        apart = np.linalg.norm(params - right)
        if not apart <= TOLERANCE * way:  # NaN fails, too
            raise AssertionError(f"{name}: {apart:.2g} from plain.py, after a way of {way:.2g}")

    def measured(self, kind: Kind) -> Found:
        """Time a way to train."""
        epochs = 1
        while (lasted := seconds_of(kind.train, epochs)) < TURN:
            epochs *= 2
        turns = []
        once = peak.flops_at_peak(
            lambda: turns.append(seconds_of(kind.train, epochs)),
            "float32",
            peak.TURNS if lasted < LONG else 1,
        )
        updates = epochs * self.workload.steps
        return Found(min(turns) / updates, updates * self.workload.step_flops / once)

    def in_python(self) -> float:
        """Seconds of an update in Python, from those by one row and by two."""
        step = uncompiled_step()
        seconds = []
        for rows in (1, 2):
            x, t = (part[:rows] for part in self.batches[0])
            params, right = self.start.copy(), self.start.copy()
            work = [plain.workspace(params, self.net, rows) for _ in range(2)]
            plain.train_step(right, work[0], self.net, x, t, 1, LEARNING_RATE)
            begin = peak.now()
            step(params, work[1], self.net, x, t, 1, LEARNING_RATE)
            seconds.append(peak.now() - begin)
            self.check("python", params, right)
        return seconds[0] + (self.workload.batch_size - 1) * max(0.0, seconds[1] - seconds[0])


def uncompiled_step() -> Callable[..., float]:
    """`plain.train_step` as Python runs it."""
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        return runpy.run_path(plain.__file__)["train_step"]
    finally:
        numba.config.DISABLE_JIT = before


def seconds_of(train: Callable[[int], None], epochs: int) -> float:
    """Seconds of the processor for some epochs."""
    begin = peak.now()
    train(epochs)
    return peak.now() - begin


def measure(workload: Workload) -> dict[str, Found]:
    """Check and time every way to train, by its key in `from_loops_page.TITLES`."""
    job = Job(workload)
    kinds = job.kinds()
    for name, kind in kinds.items():
        kind.train(1)
        job.check(name, kind.params, kinds["plain"].params)
    found = {name: job.measured(kind) for name, kind in kinds.items()}
    seconds = job.in_python()
    slower = seconds / found["plain"].seconds
    return {"python": Found(seconds, found["plain"].share / slower)} | found


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print the table, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--docs", action="store_true", help="write table and picture into docs/how_it_works.md"
    )
    args = parser.parse_args(argv)
    one_thread()
    nets = {}
    for workload in NETS:
        print(f"{workload.name}: {workload.layer_sizes}", file=sys.stderr, flush=True)
        sizes = "-".join(map(str, workload.layer_sizes))
        nets[f"{sizes}, {workload.batch_size} rows"] = measure(workload)
    text = page.report(nets)
    print(text)
    if args.docs:
        page.write(text)
        page.draw(nets)


if __name__ == "__main__":
    main()
