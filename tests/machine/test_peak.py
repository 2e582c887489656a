"""The FMA peak and what this processor is called."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import COMPILED

from fastbp.machine import peak
from fastbp.machine.processor import VECTOR_BITS


def test_lanes():
    assert peak.lanes("float32") == VECTOR_BITS // 32
    assert peak.lanes("float64") == VECTOR_BITS // 64
    assert VECTOR_BITS in (128, 256, 512)


def test_cpu_model():
    assert peak.cpu_model().strip()


@pytest.mark.skipif(not COMPILED, reason="times compiled code")
def test_fma_peak():
    single = peak.fma_peak("float32")
    double = peak.fma_peak("float64")
    # Any processor of this century does more than one multiply-add in a nanosecond with its
    # vectors, none does a thousand on one core. float64 has half the lanes.
    assert 1 < single < 2000
    assert 0.2 < double / single < 1.3


def test_fma_loop_adds_nothing_to_zeros():
    values = np.zeros(peak.FMA_LOOP_LENGTH, np.float32)
    peak.fma_loop(values, 3)
    assert not values.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_flops_counts_each_multiply_add_twice(dtype):
    values = np.ones(peak.FMA_LOOP_LENGTH, dtype)
    peak.fma_loop(values, 3)  # each multiply-add of ones adds one
    lanes = peak.lanes(dtype)
    assert 2 * values[:lanes].sum() == peak.fma_flops(3, dtype)
    assert np.all(values[lanes:] == 1)
