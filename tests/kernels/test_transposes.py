"""The moves of a product's operands at ragged shapes, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES, SOAK

from fastbp.kernels.transposes import copy, transpose, transpose_blocks
from fastbp.machine.processor import TILE_VECTORS, VECTOR_BITS
from fastbp.machine.simd import pointer

SEEDS = range(300 if SOAK else 30)
PADDING = -777.0


@entry_point
def run_copy(out, source, count):
    copy(pointer(out, 0), pointer(source, 0), count)


@entry_point
def run_transpose_blocks(out, out_stride, source, rows, m, n, panels, panel_rows):
    transpose_blocks(
        pointer(out, 0), out_stride, pointer(source, 0), pointer(rows, 0), m, n,
        pointer(panels, 0), panel_rows,
    )  # fmt: skip


@entry_point
def run_transpose(out, out_stride, source, at, rows, m, n):
    transpose(pointer(out, 0), out_stride, pointer(source, at), pointer(rows, 0), m, n)


def sizes(seed):
    """Rows, columns and spare rows from 1 to 40; the first seeds take the awkward ones."""
    rng = np.random.default_rng(seed)
    chosen = [(1, 1, 1), (40, 40, 40), (13, 1, 33), (1, 40, 17), (12, 32, 32), (15, 16, 64)]
    if seed < len(chosen):
        return rng, *chosen[seed]
    return rng, *(int(n) for n in rng.integers(1, 41, 3))


def random(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_copy(dtype, seed) -> None:
    rng, m, n, _ = sizes(seed)
    before = random(rng, dtype, m * n + 1)
    out = before.copy()
    run_copy(out, -before, m * n)
    assert np.array_equal(out[:-1], -before[:-1])
    assert out[-1] == before[-1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_transpose(dtype, seed) -> None:
    """Rows found through offsets, in any order, some twice."""
    rng, m, n, spare = sizes(seed)
    source = random(rng, dtype, m + 3, n)
    rows = rng.integers(0, m + 3, m)
    out = np.full((n, m + spare), PADDING, dtype)
    run_transpose(out.reshape(-1), m + spare, source.reshape(-1), 0, rows * n, m, n)
    assert np.array_equal(out[:, :m], source[rows].T)
    assert np.all(out[:, m:] == PADDING)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_transpose_blocks_fills_panels(dtype, seed) -> None:
    """The rows stand in the panels too, after those that are there already."""
    rng, m, n, before = sizes(seed)
    source, rows = random(rng, dtype, m + 3, n), rng.integers(0, m + 3, m)
    width = TILE_VECTORS * VECTOR_BITS // 8 // np.dtype(dtype).itemsize
    count = -(-n // width)
    panels = np.full((count, before + m, width), PADDING, dtype)
    out = np.full((n, m), PADDING, dtype)
    run_transpose_blocks(
        out.reshape(-1), m, source.reshape(-1), rows * n, m, n,
        panels.reshape(-1)[before * width :], before + m,
    )  # fmt: skip
    assert np.array_equal(out, source[rows].T)
    copied = panels[:, before:].transpose(1, 0, 2).reshape(m, count * width)
    assert np.array_equal(copied[:, :n], source[rows])
    assert np.all(panels[:, :before] == PADDING)
