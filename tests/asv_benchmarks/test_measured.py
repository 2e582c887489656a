"""What the benchmarks share: the clock of the inner loops, the check of results."""

from __future__ import annotations

import math
import sys
import time

import numpy as np
import pytest

import measured
from measured import TURN_FLOPS, Clock, Measured, WrongResultError, check_close, tolerance_of


def test_the_clock_shows_the_seconds_of_a_unit(monkeypatch) -> None:
    monkeypatch.setattr(measured, "now", lambda: 12.0)
    clock = Clock()
    assert clock() == 12.0
    clock.units = 48
    assert clock() == 0.25


@pytest.mark.skipif(sys.platform == "win32", reason="Windows counts it too coarsely")
def test_only_the_time_of_this_process_counts() -> None:
    assert measured.now is time.process_time


def test_repetitions_follow_from_the_cost_alone() -> None:
    calls: list[int] = []
    benchmark = Measured()
    benchmark.measure(calls.append, flops=TURN_FLOPS / 100, units=4)
    assert (benchmark.repetitions, benchmark.units, calls) == (25, 100, [1])
    assert benchmark.timer.units == 100
    benchmark.measure(calls.append, flops=1, cost=TURN_FLOPS / 10)
    assert (benchmark.repetitions, benchmark.units) == (10, 10)
    benchmark.measure(calls.append, flops=10 * TURN_FLOPS)
    benchmark.again()
    assert calls == [1, 1, 1, 1]


def test_what_the_peak_could_have_done_meanwhile(monkeypatch) -> None:
    """Work of 3 s a unit beside a loop of 2 s: one and a half times the loop's operations."""
    now = 0.0

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(measured.peak, "now", lambda: now)
    monkeypatch.setattr(measured.peak, "fma_loop", lambda values, count: pass_time(2.0))
    monkeypatch.setattr(measured.peak, "fma_flops", lambda count, dtype: 1000)
    benchmark = Measured()
    benchmark.measure(lambda repetitions: pass_time(6.0 * repetitions), flops=300, units=2)
    assert benchmark.flops_at_peak() == 1500.0
    assert benchmark.share_of_peak() == 0.2


def test_wrong_results_are_not_timed() -> None:
    x = np.linspace(1.0, 2.0, 50)
    check_close("x", x * (1 + 1e-7), x, 1e-6)
    for wrong in (x * (1 + 1e-5), np.where(x > 1.9, math.nan, x), x[:-1]):
        with pytest.raises(WrongResultError, match="^x "):
            check_close("x", wrong, x, 1e-6)
    assert tolerance_of("float64") < 1e-12 < tolerance_of("float32")
