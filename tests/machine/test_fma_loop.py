"""The sums of the loop at the arithmetic peak, compiled and in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from entry_points import entry_point

from fastbp.machine import simd, uncompiled
from fastbp.machine.fma_loop import SUMS, UNROLLED
from fastbp.machine.processor import VECTOR_BITS


@entry_point
def compiled(numbers, turns):
    simd.multiply_adds(simd.pointer(numbers, 0), turns)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turns", [1, 5])
def test_multiply_adds(dtype, turns) -> None:
    lanes = VECTOR_BITS // 8 // np.dtype(dtype).itemsize
    before = np.arange(2 * lanes + 3, dtype=dtype)  # whole numbers: no sum is rounded
    expected = before.copy()
    expected[:lanes] *= before[lanes : 2 * lanes] * (SUMS * UNROLLED * turns)
    for run in (compiled, lambda x, n: uncompiled.multiply_adds(uncompiled.pointer(x, 0), n)):
        numbers = before.copy()
        run(numbers, turns)
        assert np.array_equal(numbers, expected)


def test_enough_sums_to_hide_the_latency() -> None:
    """Two multiply-adds a cycle, each of four or five cycles; and all of them in registers."""
    assert 10 <= SUMS <= 24
