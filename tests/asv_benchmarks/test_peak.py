"""The suite's loop is that of this checkout, and counts its operations as `hardware` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import needs_compiler

import peak
from fastbp.machine import fma_loop as chains
from fastbp.machine import peak as hardware


def test_it_is_the_file_of_this_checkout() -> None:
    assert peak.FILE.read_bytes() == Path(chains.__file__).read_bytes()
    assert peak.chains is not chains
    assert peak.LENGTH == hardware.FMA_LOOP_LENGTH


@needs_compiler
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loop_and_operations(dtype) -> None:
    values = np.ones(peak.LENGTH, dtype)
    peak.fma_loop(values, 4)
    assert 2 * values[: hardware.lanes(dtype)].sum() == peak.fma_flops(4, dtype)
    assert peak.fma_flops(4, dtype) == hardware.fma_flops(4, dtype)


def test_the_share_is_a_median_against_the_loop_around_the_work(monkeypatch) -> None:
    now = 0.0
    loops = iter([1.0] + [1.0, 3.0] * 20)  # the first compiles
    works = iter([9.0] + [4.0] * 5 + [400.0] + [4.0] * 20)

    def pass_time(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(peak, "now", lambda: now)
    monkeypatch.setattr(peak, "fma_loop", lambda values, turns: pass_time(next(loops)))
    found = peak.flops_at_peak(lambda: pass_time(next(works)), "float64")
    assert found == 2.0 * peak.fma_flops(peak.FMA_COUNT, "float64")
