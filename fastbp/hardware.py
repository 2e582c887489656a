"""The processor: what it is called, how wide its vectors are, how fast it can multiply and add."""

from __future__ import annotations

import platform
import time
from typing import Any

import numpy as np

from fastbp._jit import kernel
from fastbp.simd import pointer, rows_at, tile_fma, tile_shape, tile_store, tile_zeros
from fastbp.target import TILE_ROWS, TILE_VECTORS, VECTOR_BITS

FMA_LOOP_ROWS = 8 if TILE_ROWS > 6 else 4
"""Rows of its tile: with both factors it has to fit the registers. A full tile leaves no room for
the factors, which the loop does not change: LLVM put some of them on the stack, and where that was
not aligned to their size, in three processes of four, the loop lost a sixth of its speed."""
FMA_LOOP_NUMBERS = 2 * TILE_ROWS * 32
"""Length of the array that `fma_loop` works on."""


@kernel(cached=True)
def fma_loop(numbers: Any, count: int) -> None:
    """`count` times a tile of multiply-adds on registers; returns nothing."""
    p = pointer(numbers, 0)
    if TILE_ROWS > 6:  # known when compiling
        shape = tile_shape(8, 2)
    else:
        shape = tile_shape(4, 2)
    tile, rows = tile_zeros(shape, p), rows_at(shape, p, 1)
    for _ in range(count):
        tile = tile_fma(tile, rows, p)
    tile_store(tile, p, 2 * 16, 16)


def lanes(dtype: str = "float32") -> int:
    """Numbers of `dtype` in one vector register."""
    return VECTOR_BITS // (8 * np.dtype(dtype).itemsize)


def fma_flops(count: int, dtype: str = "float32") -> int:
    """Operations that ``fma_loop(numbers, count)`` carries out; a multiply-add is two."""
    return 2 * count * FMA_LOOP_ROWS * TILE_VECTORS * lanes(dtype)


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
    numbers = np.zeros(FMA_LOOP_NUMBERS, dtype=dtype)
    fma_loop(numbers, 1)
    count = 2000
    flops = fma_flops(count, dtype)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        fma_loop(numbers, count)
        best = min(best, time.perf_counter() - start)
    return flops / best / 1e9


def cpu_model() -> str:
    """The processor's name as the operating system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
