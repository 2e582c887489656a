"""What all benchmarks share: fixed inner loops, a clock that divides by them, the FMA peak.

With a `setup`, asv times one call at a time, and a call of a microsecond drowns in its clock. So
a timed call repeats its work a fixed number of times, and the clock goes so much slower: asv
sees, and shows, the seconds of one unit of work.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

import numpy as np

import peak
from peak import now

#: Operations at the FMA peak that a timed call should last, about: 10 to 40 ms.
TURN_FLOPS = 2e9


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
    found = np.asarray(found, np.float64)
    expected = np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        raise WrongResultError(f"{what} has shape {found.shape} instead of {expected.shape}")
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
            Carries out the number of repetitions that it is given.
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
        self.work = work
        self.flops = flops
        self.dtype = dtype
        self.repetitions = ceil(TURN_FLOPS / (units * (flops if cost is None else cost)))
        self.units = units * self.repetitions
        self.clock.units = self.units
        work(1)

    def again(self) -> None:
        """Do the work once more, with all its repetitions."""
        self.work(self.repetitions)

    def flops_at_peak(self) -> float:
        """Return how many operations the FMA units could have done during one unit of work."""
        return peak.flops_at_peak(self.again, self.dtype) / self.units

    def share_of_peak(self) -> float:
        """Return the share of the FMA peak that the work attains."""
        return self.flops / self.flops_at_peak()
