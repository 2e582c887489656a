"""The processor: what it is called, how wide its vectors are, how fast it can multiply and add."""

from __future__ import annotations

import platform
import time
from typing import Any

import numpy as np

from fastbp.machine.fma_loop import SUMS, UNROLLED
from fastbp.machine.jit import call, kernel
from fastbp.machine.processor import VECTOR_BITS
from fastbp.machine.simd import multiply_adds, pointer

FMA_LOOP_LENGTH = 64
"""Length of the array that `fma_loop` works on: at least two vectors of any processor."""


@kernel(cached=True)
def fma_loop(values: Any, count: int) -> None:
    """`count` turns of multiply-adds on registers, at least one; returns nothing."""
    multiply_adds(pointer(values, 0), count)


def lanes(dtype: str = "float32") -> int:
    """How many values of `dtype` one vector register holds."""
    return VECTOR_BITS // (8 * np.dtype(dtype).itemsize)


def fma_flops(count: int, dtype: str = "float32") -> int:
    """Operations that ``fma_loop(values, count)`` carries out; a multiply-add is two."""
    return 2 * count * SUMS * UNROLLED * lanes(dtype)


def fma_peak(dtype: str = "float32", seconds: float = 0.2) -> float:
    """Multiply-adds on registers alone: the arithmetic limit of one core, measured now.

    Parameters
    ----------
    dtype : {"float32", "float64"}, default="float32"
    seconds : float, default=0.2
        About how long to measure; the fastest of several rounds counts.

    Returns
    -------
    float
        GFLOP/s; a multiply-add is two.
    """
    values = np.zeros(FMA_LOOP_LENGTH, dtype=dtype)
    call(fma_loop, dtype, values, 1)
    count = 700
    flops = fma_flops(count, dtype)
    best = float("inf")
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        fma_loop(values, count)
        best = min(best, time.perf_counter() - start)
    return flops / best / 1e9


def cpu_model() -> str:
    """The processor's name as the operating system reports it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
