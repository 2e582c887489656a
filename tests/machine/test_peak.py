"""What `hardware` says about this processor."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import COMPILED

from fastbp.machine import peak as hardware
from fastbp.machine.processor import VECTOR_BITS


def test_lanes():
    assert hardware.lanes("float32") == VECTOR_BITS // 32
    assert hardware.lanes("float64") == VECTOR_BITS // 64
    assert VECTOR_BITS in (128, 256, 512)


def test_cpu_model():
    assert hardware.cpu_model().strip()


@pytest.mark.skipif(not COMPILED, reason="times compiled code")
def test_fma_peak():
    single, double = hardware.fma_peak("float32"), hardware.fma_peak("float64")
    # Any processor of this century does more than one multiply-add in a nanosecond with its
    # vectors, none does a thousand on one core. float64 has half the lanes.
    assert 1 < single < 2000
    assert 0.2 < double / single < 1.3


def test_fma_loop_adds_nothing_to_zeros():
    numbers = np.zeros(hardware.FMA_LOOP_NUMBERS, np.float32)
    hardware.fma_loop(numbers, 3)
    assert not numbers.any()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fma_flops_counts_each_multiply_add_twice(dtype):
    numbers = np.ones(hardware.FMA_LOOP_NUMBERS, dtype)
    hardware.fma_loop(numbers, 3)  # each multiply-add of ones adds one
    lanes = hardware.lanes(dtype)
    assert 2 * numbers[:lanes].sum() == hardware.fma_flops(3, dtype)
    assert np.all(numbers[lanes:] == 1)
