"""The three products at ragged shapes, and the moves of their operands, against NumPy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES, SOAK

from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_BIAS,
    FROM_OUTPUT,
    FROM_ZERO,
    RELU_BACKWARD,
    RELU_FORWARD,
    Product,
    multiply_rows,
    outer_product,
    products_of_rows,
    rows_of_block,
)
from fastbp.kernels.transposes import pack_columns, transpose
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS, VECTOR_BITS
from fastbp.machine.simd import pointer

SEEDS = range(300 if SOAK else 30)
PADDING = -777.0


class Matrix(NamedTuple):
    """Numbers in a flat array: element (i, j) stands at ``at + i * row + j * step``."""

    values: np.ndarray
    at: int
    row: int
    step: int


@entry_point
def run_rows(rows, c, a, b, b_wide, n, k, start, bias, first, finish, y):
    x = Product(
        pointer(c.values, c.at), c.row, pointer(a.values, a.at), a.row, a.step,
        pointer(b.values, b.at), b.row, b_wide, k, start, pointer(bias, first), finish,
        pointer(y, c.at),
    )  # fmt: skip
    multiply_rows(rows, x, n)


@entry_point
def blocks(left, columns, width):
    return rows_of_block(left, columns, width)


@entry_point
def run_products_of_rows(out, a, stride, n, x, count, start, before):
    products_of_rows(
        pointer(out, 0), pointer(a, 0), stride, n, pointer(x, 0), count, start, pointer(before, 0)
    )


@entry_point
def run_outer(c, a, b, start):
    outer_product(pointer(c, 0), pointer(a, 0), a.shape[0], pointer(b, 0), b.shape[0], start)


@entry_point
def run_pack(packed, a, at, a_step, rows, k):
    pack_columns(pointer(packed, 0), pointer(a, at), a_step, rows, k)


@entry_point
def run_transpose(out, out_stride, source, at, rows, m, n):
    transpose(pointer(out, 0), out_stride, pointer(source, at), pointer(rows, 0), m, n)


def lanes_of(dtype):
    return VECTOR_BITS // 8 // np.dtype(dtype).itemsize


def matrix(x, stride=None):
    return Matrix(x.reshape(-1), 0, x.shape[1] if stride is None else stride, 1)


def product(
    c, a, b, m, n, k, start=FROM_ZERO, bias=None, finish=AS_IT_IS, y=None, packed=None, b_wide=None
):
    """C = A B a block of rows at a time, as the layers do it."""
    b_wide = TILE_VECTORS * lanes_of(c.values.dtype) if b_wide is None else b_wide
    bias = np.zeros(m, c.values.dtype) if bias is None else bias
    y = c.values if y is None else y
    done = 0
    while done < m:
        rows = blocks(m - done, n, lanes_of(c.values.dtype))
        left = a._replace(at=a.at + done * a.row)
        if packed is not None:
            run_pack(packed, a.values, left.at, a.step, rows, k)
            left = Matrix(packed, 0, 1, TILE_ROWS)
        block = c._replace(at=c.at + done * c.row)
        run_rows(rows, block, left, b, b_wide, n, k, start, bias, done, finish, y)
        done += rows


def close(got, left, right, begin=0.0):
    """Whether `got` is begin + left @ right up to the rounding of sums of k products."""
    left, right, begin = (np.asarray(x, np.float64) for x in (left, right, begin))
    k = left.shape[1]
    size = np.abs(begin) + np.abs(left) @ np.abs(right)
    error = np.abs(got - (begin + left @ right))
    return bool(np.all(error <= (k + 2) * np.finfo(got.dtype).eps * size))


def with_padding(x, stride):
    """Rows of x `stride` apart."""
    padded = np.full((len(x), stride), PADDING, x.dtype)
    padded[:, : x.shape[1]] = x
    return padded


def some_stride(rng, batch, dtype):
    """Whole vectors, as the right operands of products have them; now and then one more."""
    width = lanes_of(dtype)
    return -(-batch // width) * width + int(rng.integers(0, 3)) * width


def sizes(seed):
    """Units, inputs and rows of a batch from 1 to 40; the first seeds take the awkward ones.

    A single unit has tiles of eight vectors of rows; with one term there are no tiles.
    """
    rng = np.random.default_rng(seed)
    chosen = [(1, 1, 1), (40, 40, 40), (13, 1, 33), (1, 40, 17), (12, 32, 32), (15, 16, 64)]
    chosen += [(1, 20, 300), (1, 300, 5), (9, 70, 1), (14, 1, 300)]
    if seed < len(chosen):
        return rng, *chosen[seed]
    return rng, *(int(n) for n in rng.integers(1, 41, 3))


def random(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_net_input(dtype, seed) -> None:
    """Z = W X, from zero, the bias, or what is there; with ReLU."""
    rng, units, inputs, batch = sizes(seed)
    stride = some_stride(rng, batch, dtype)
    w, x = random(rng, dtype, units, inputs), random(rng, dtype, inputs, batch)
    bias, before = random(rng, dtype, units), with_padding(random(rng, dtype, units, batch), stride)
    x_rows = with_padding(x, stride)
    for start, begin in (
        (FROM_ZERO, 0.0),
        (FROM_BIAS, bias[:, None]),
        (FROM_OUTPUT, before[:, :batch]),
    ):
        z, relu = before.copy(), before.copy()
        args = matrix(w), matrix(x_rows), units, batch, inputs, start, bias
        product(matrix(z), *args)
        assert close(z[:, :batch], w, x, begin), f"start {start}"
        assert np.all(z[:, batch:] == PADDING)
        product(matrix(relu), *args, RELU_FORWARD)
        assert np.array_equal(relu[:, :batch], np.maximum(z[:, :batch], 0)), f"start {start}"
        assert np.all(relu[:, batch:] == PADDING)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_input_gradient(dtype, seed) -> None:
    """dX = W^T D from the columns of W as they stand, and packed; with ReLU's derivative."""
    rng, units, inputs, batch = sizes(seed)
    stride = some_stride(rng, batch, dtype)
    w, d = random(rng, dtype, units, inputs), random(rng, dtype, units, batch)
    y = with_padding(np.maximum(random(rng, dtype, inputs, batch), 0), stride)
    for packed in (None, np.zeros(TILE_ROWS * units + 64, dtype)):
        dx, dz = (np.full((inputs, stride), PADDING, dtype) for _ in range(2))
        args = Matrix(w.reshape(-1), 0, 1, inputs), matrix(with_padding(d, stride))
        product(matrix(dx), *args, inputs, batch, units, packed=packed)
        assert close(dx[:, :batch], w.T, d)
        product(matrix(dz), *args, inputs, batch, units, FROM_ZERO, None, RELU_BACKWARD,
                y.reshape(-1), packed)  # fmt: skip
        assert np.array_equal(dz[:, :batch], np.where(y[:, :batch] > 0, dx[:, :batch], 0))
        for got in (dx, dz):
            assert np.all(got[:, batch:] == PADDING)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_weight_gradient(dtype, seed) -> None:
    """dW = D X^T from panels of the inputs sample by sample; overwritten and added to."""
    rng, units, inputs, batch = sizes(seed)
    stride = some_stride(rng, batch, dtype)
    x, d = random(rng, dtype, inputs, batch), random(rng, dtype, units, batch)
    before = random(rng, dtype, units, inputs)
    x_rows, d_rows = with_padding(x, stride).reshape(-1), with_padding(d, stride)
    width = TILE_VECTORS * lanes_of(dtype)
    wide = batch * width
    panels, rows_at = np.zeros(-(-inputs // width) * wide, dtype), np.arange(width) * stride
    for j in range(0, inputs, width):
        columns, panel = min(width, inputs - j), panels[j // width * wide :]
        run_transpose(panel, width, x_rows, j * stride, rows_at, columns, batch)
    for start, begin in ((FROM_ZERO, 0.0), (FROM_OUTPUT, before)):
        dw = before.copy()
        args = matrix(dw), matrix(d_rows), Matrix(panels, 0, width, 1), units, inputs, batch
        product(*args, start, b_wide=wide)
        assert close(dw, d, x.T, begin), f"start {start}"


def test_no_products_leave_the_start() -> None:
    """With no inputs (k = 0) a product is what it starts from."""
    none, bias = Matrix(np.zeros(1), 0, 0, 0), np.array([3.0, 4.0])
    for start, expected in ((FROM_ZERO, [0, 0, 0, 0]), (FROM_BIAS, [3, 3, 4, 4])):
        c = np.full((2, 2), PADDING)
        product(matrix(c), none, none, 2, 2, 0, start, bias)
        assert c.reshape(-1).tolist() == expected


def test_not_a_number_passes_relu() -> None:
    c, w = np.zeros((1, 2)), np.ones((1, 1))
    x = with_padding(np.array([[np.nan, -np.inf]]), lanes_of("float64"))
    product(matrix(c), matrix(w), matrix(x), 1, 2, 1, finish=RELU_FORWARD)
    assert np.array_equal(c, [[np.nan, 0.0]], equal_nan=True)


def blocks_of(m, columns):
    left, found = m, []
    while left:
        found.append(blocks(left, columns, 16))
        assert 1 <= found[-1] <= min(TILE_ROWS, left)
        left -= found[-1]
    return found


def test_blocks_of_rows() -> None:
    for m in range(1, 60):
        # Few rows stand alone only when there are no more; tiles of 6 rows cut 7 into 3 and 4.
        fewest = 4 if TILE_ROWS == 12 else 3
        assert m < 4 or min(blocks_of(m, 17)) >= fewest
    if TILE_ROWS == 12:
        assert [blocks_of(m, 17) for m in (12, 15, 16, 28)] == [[12], [7, 8], [12, 4], [12, 12, 4]]
        assert [blocks_of(m, 16) for m in (12, 15, 16, 28)] == [[12], [8, 7], [8, 8], [8, 8, 12]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_products_of_rows(dtype, seed) -> None:
    """A x, from zero, from other values, and from what is there."""
    rng, n, k, spare = sizes(seed)
    a, x, before = random(rng, dtype, n, k), random(rng, dtype, k), random(rng, dtype, n)
    rows = with_padding(a, k + spare).reshape(-1)
    for start, begin in ((FROM_ZERO, 0.0), (FROM_BIAS, before), (FROM_OUTPUT, before)):
        out = np.append(before, np.asarray(PADDING, dtype))
        other = out if start == FROM_OUTPUT else before
        run_products_of_rows(out, rows, k + spare, n, x, k, start, other)
        assert close(out[:n, None], a, x[:, None], np.reshape(begin, (-1, 1))), f"start {start}"
        assert out[n] == PADDING


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_outer_product(dtype, seed) -> None:
    rng, m, n, _ = sizes(seed)
    a, b, before = random(rng, dtype, m), random(rng, dtype, n), random(rng, dtype, m * n + 1)
    for start, begin in ((FROM_ZERO, 0.0), (FROM_OUTPUT, before[:-1].reshape(m, n))):
        c = before.copy()
        run_outer(c, a, b, start)
        assert close(c[:-1].reshape(m, n), a[:, None], b[None], begin), f"start {start}"
        assert c[-1] == before[-1]
