"""What all benchmarks share: fixed inner loops, a clock that divides by them, the FMA peak.

With a `setup`, asv times one call at a time, and a call of a microsecond drowns in its clock. So
a timed call repeats its work a fixed number of times, and the clock goes so much slower: asv
sees, and shows, the seconds of one unit of work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import ceil
from time import perf_counter, process_time

import numpy as np

import peak

#: Seconds of the processor: what another program on the same core takes is not the benchmark's, and
#: on a shared machine that is half of the time. Windows counts them too coarsely.
now = perf_counter if sys.platform == "win32" else process_time
#: Operations at the FMA peak that a timed call should last, about: 10 to 40 ms.
TURN_FLOPS = 2e9
#: Turns of the FMA loop in one call, about 1 ms.
FMA_COUNT = 130_000
#: Turns of the work, and of the FMA loop around each, in one measurement of a share.
TURNS = 11


class Clock:
    """A timer for asv that shows seconds divided by the units of work in a timed call."""

    units = 1

    def __call__(self) -> float:
        return now() / self.units


class WrongResultError(Exception):
    """What was to be timed does not compute what it should."""


def check_close(what: str, found: object, expected: object, tolerance: float) -> None:
    """Compare arrays in the Euclidean norm, relative to `expected`.

    Raises
    ------
    WrongResultError
        If they are further apart than `tolerance`; NaN is.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise WrongResultError(f"{what} has shape {found.shape} in place of {expected.shape}")
    apart = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    if not apart <= tolerance:
        raise WrongResultError(f"{what} is {apart:.2g} off, {tolerance:.2g} is allowed")


def tolerance_of(dtype: str) -> float:
    """Relative error that rounding explains in a sum of some hundreds of products."""
    return 1e-5 if dtype == "float32" else 1e-13


class Measured:
    """A benchmark that repeats one piece of work.

    A subclass has a ``setup`` that ends in `measure`, a method ``time_...`` that calls `again`,
    and beside it a ``track_...`` that returns `share_of_peak` or `flops_at_peak`.
    """

    clock = Clock()
    timer = clock
    number = 1  # calls a sample: the inner loop is ours
    repeat = 5
    rounds = 2
    warmup_time = 0.0  # `measure` has warmed up
    version = "2"

    def measure(
        self,
        work: Callable[[int], object],
        *,
        flops: float,
        units: int = 1,
        dtype: str = "float32",
        cost: float | None = None,
    ) -> None:
        """Set what is measured, and run it once: it is compiled then, and warm.

        Parameters
        ----------
        work : callable
            Carries out as many repetitions as it is told.
        flops : float
            Useful operations of a unit.
        units : int, default=1
            What is counted in one repetition, such as the updates of an epoch.
        dtype : {"float32", "float64"}, default="float32"
            Whose FMA peak is the measure.
        cost : float, optional
            About how many operations at the FMA peak a unit lasts, where that is far from `flops`:
            the number of repetitions follows from it and so is always the same.
        """
        self.work, self.flops, self.dtype = work, flops, dtype
        self.repetitions = ceil(TURN_FLOPS / (units * (flops if cost is None else cost)))
        self.units = self.clock.units = units * self.repetitions
        work(1)

    def again(self) -> None:
        """Do the work once more, with all its repetitions."""
        self.work(self.repetitions)

    def flops_at_peak(self) -> float:
        """Return how many operations the FMA units could have done during one unit of work.

        The median over turns, each beside the FMA loop right before and right after it, because
        the processor's clock moves by a fifth within seconds.
        """
        numbers = np.zeros(peak.NUMBERS, self.dtype)
        loop = peak.fma_flops(FMA_COUNT, self.dtype)

        def seconds(function: Callable[..., object], *arguments: object) -> float:
            begin = now()
            function(*arguments)
            return now() - begin

        peak.fma_loop(numbers, 1)
        before, found = seconds(peak.fma_loop, numbers, FMA_COUNT), []
        for _ in range(TURNS):
            worked = seconds(self.again) / self.units
            after = seconds(peak.fma_loop, numbers, FMA_COUNT)
            found.append(worked * loop / (0.5 * (before + after)))
            before = after
        return float(np.median(found))

    def share_of_peak(self) -> float:
        """Return the share of the FMA peak that the work attains."""
        return self.flops / self.flops_at_peak()
