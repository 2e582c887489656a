"""Each register primitive against plain NumPy, on ragged random inputs.

A program below runs as the suite runs: compiled, or with NUMBA_DISABLE_JIT=1 on the primitives
of ``uncompiled.py``. Compiled runs are compared with those as well.
"""

from __future__ import annotations

import types
from fractions import Fraction

import numba
import numpy as np
import pytest
from entry_points import entry_point
from helpers import COMPILED, DTYPES, SOAK

from fastbp.machine import simd, uncompiled
from fastbp.machine.processor import IS_X86, VECTOR_BITS
from fastbp.machine.simd import (
    advance,
    flush_denormals,
    is_single,
    lanes,
    load,
    pointer,
    restore_denormals,
    rows_at,
    rows_next,
    splat,
    store,
    tile_add_products,
    tile_add_some_products,
    tile_fill,
    tile_fma,
    tile_gather,
    tile_gather_whole,
    tile_load,
    tile_put,
    tile_relu,
    tile_shape,
    tile_square,
    tile_store,
    tile_sums,
    tile_times_tanh_slope,
    tile_transpose,
    tile_where_positive,
    tile_zeros,
    vabs,
    vexponent,
    vfma,
    vload,
    vmax,
    vmin,
    vpow2,
    vquotient,
    vreciprocal,
    vreciprocal_estimate,
    vround,
    vsqrt,
    vstore,
    vsum,
    vwhere_greater,
)

POINTS = 100_000 if SOAK else 10_000
UNTOUCHED = -777.0


def in_numpy(program, helpers=()):
    """The same program on the uncompiled primitives."""
    names = {name: getattr(uncompiled, name) for name in simd.__all__}
    for name, helper in helpers:
        names[name] = in_numpy(helper)
    return types.FunctionType(program.__code__, program.__globals__ | names)


def ulps(got, expected):
    """Distance in units in the last place of `expected`."""
    got = np.asarray(got)
    expected = np.asarray(expected)
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        distance = np.abs(got - expected) / np.spacing(np.abs(expected))
    return np.where(same, 0.0, distance)


def numbers(rng, count, dtype, exponent):
    """Random numbers of either sign between 2**-exponent and 2**exponent."""
    size = np.exp2(rng.uniform(-exponent, exponent, count)) * rng.choice([-1.0, 1.0], count)
    return size.astype(dtype)


# Vectors.


def by_lane(out, stride, x, y, z, s, n):
    """Each function of vectors on n numbers; result k starts at out[k * stride]."""
    to = pointer(out, 0)
    zeros = splat(to, 0.0)
    for i in range(0, n, lanes(to)):
        tail = n - i
        a = vload(pointer(x, i), tail)
        b = vload(pointer(y, i), tail)
        c = vload(pointer(z, i), tail)
        size = vabs(a)
        vstore(advance(to, i), a + b, tail)
        vstore(advance(to, stride + i), a - b, tail)
        vstore(advance(to, 2 * stride + i), a * b, tail)
        vstore(advance(to, 3 * stride + i), a / b, tail)
        vstore(advance(to, 4 * stride + i), a + s, tail)
        vstore(advance(to, 5 * stride + i), s - a, tail)
        vstore(advance(to, 6 * stride + i), s * a, tail)
        vstore(advance(to, 7 * stride + i), s / a, tail)
        vstore(advance(to, 8 * stride + i), a * 2, tail)
        vstore(advance(to, 9 * stride + i), size, tail)
        vstore(advance(to, 10 * stride + i), vround(a), tail)
        vstore(advance(to, 11 * stride + i), vsqrt(size), tail)
        vstore(advance(to, 12 * stride + i), vreciprocal(a), tail)
        vstore(advance(to, 13 * stride + i), vquotient(c, a), tail)
        vstore(advance(to, 14 * stride + i), vexponent(size), tail)
        vstore(advance(to, 15 * stride + i), vpow2(vexponent(size)), tail)
        vstore(advance(to, 16 * stride + i), vmax(b, c), tail)
        vstore(advance(to, 17 * stride + i), vmin(b, c), tail)
        vstore(advance(to, 18 * stride + i), vwhere_greater(b, c, a, zeros), tail)
        vstore(advance(to, 19 * stride + i), -a, tail)
        vstore(advance(to, 20 * stride + i), vfma(a, c, -(a * c)), tail)
        vstore(advance(to, 21 * stride + i), vreciprocal_estimate(a), tail)


N_RESULTS = 22
run_by_lane = entry_point(by_lane)


def lanes_of(dtype):
    return VECTOR_BITS // 8 // np.dtype(dtype).itemsize


def all_by_lane(run, x, y, z, s):
    """Results, one a row, each followed by a vector's worth of untouched places."""
    n = len(x)
    width = lanes_of(x.dtype)
    stride = n + 2 * width
    out = np.full(N_RESULTS * stride, UNTOUCHED, x.dtype)
    run(out, stride, x, y, z, s, n)
    return out.reshape(N_RESULTS, stride)


def padded(x, count):
    """`x` followed by zeros, `count` numbers in all."""
    return np.concatenate([x, np.zeros(count - len(x), x.dtype)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_vectors(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    width = lanes_of(dtype)
    exponent = 125 if dtype == "float32" else 1020
    n = POINTS + seed if seed == 0 else int(rng.integers(1, 4 * width))
    x = numbers(rng, n, dtype, exponent)
    x[: n // 2] = numbers(rng, n // 2, dtype, 8)  # where roundings have something to round
    # Quotients of numbers not much larger than what divides them: they do not overflow.
    z = (x.astype(np.float64) * numbers(rng, n, "float64", 0.5)).astype(dtype)
    y = numbers(rng, n, dtype, 8)
    y[rng.random(n) < 0.1] = np.nan
    y[rng.random(n) < 0.1] = 0.0
    s = 1.0 / 3.0  # rounded to the vector's dtype before the operation
    r = np.dtype(dtype).type(s)
    got = all_by_lane(run_by_lane, x, y, z, s)
    with np.errstate(all="ignore"):
        expected = [
            x + y, x - y, x * y, x / y, x + r, r - x, r * x, r / x, x * 2, np.abs(x), np.rint(x),
            np.sqrt(np.abs(x)), 1 / x, z / x, np.frexp(x)[1] - 1.0,
            np.ldexp(1.0, np.frexp(x)[1] - 1), np.where(y > z, y, z), np.where(y < z, y, z),
            np.where(y > z, x, 0),
        ]  # fmt: skip
    allowed = {3: 1.0, 7: 1.0, 11: 2.0, 12: 2.0, 13: 2.0}  # ulp; the others are exact
    for k, values in enumerate(expected):
        worst = ulps(got[k, :n], values.astype(dtype)).max()
        assert worst <= allowed.get(k, 0.0), f"result {k}: {worst} ulp"
        assert np.all(got[k, n:] == UNTOUCHED), f"result {k} was written beyond its end"
    assert np.array_equal(got[19, :n], -x)
    assert np.abs(got[21, :n].astype(np.float64) * x - 1.0).max() <= 2.0**-14
    in_uncompiled = all_by_lane(in_numpy(by_lane), x, y, z, s)
    for k in range(20):
        assert ulps(got[k], in_uncompiled[k]).max() <= allowed.get(k, 0.0), f"result {k}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_multiply_add_rounds_once(dtype) -> None:
    """What the rounding of a product lost is itself a number of the dtype."""
    rng = np.random.default_rng(6)
    x = numbers(rng, 100, dtype, 8)
    z = numbers(rng, 100, dtype, 8)
    lost = [float(Fraction(float(a)) * Fraction(float(c)) - Fraction(float(a * c)))
            for a, c in zip(x, z, strict=True)]  # fmt: skip
    assert np.count_nonzero(lost) > 50
    for run in (run_by_lane, in_numpy(by_lane)):
        assert np.array_equal(all_by_lane(run, x, x, z, 1.0)[20, :100], np.array(lost, dtype))


def test_not_a_number_in_larger_and_smaller() -> None:
    x = np.array([np.nan, 1.0, np.nan, np.inf, -np.inf, 0.0])
    y = np.array([1.0, np.nan, np.nan, 2.0, 2.0, -0.0])
    got = all_by_lane(run_by_lane, np.ones(6), x, y, 1.0)[16:18, :6]
    assert np.array_equal(got[0], [1.0, np.nan, np.nan, np.inf, 2.0, -0.0], equal_nan=True)
    assert np.array_equal(got[1], [1.0, np.nan, np.nan, 2.0, -np.inf, -0.0], equal_nan=True)


# Pointers, and what is known of a dtype.


def by_number(out, facts, x, integers, words, n):
    """Loads, stores and sums; `facts` tells what the primitives say of the dtype."""
    p = pointer(x, 0)
    to = pointer(out, 0)
    width = lanes(pointer(x, 0))
    for i in range(n):
        store(to, i, load(advance(p, i + 1), -1) * 0.5)
    store(to, n, vsum(vload(p, n)))
    store(to, n + 1, vsum(splat(p, 1.0 / 3.0)))
    store(pointer(integers, 1), 1, load(pointer(integers, 0), 0) + 1)
    word = load(pointer(words, 0), 0)
    store(pointer(words, 1), 0, (word * np.uint64(3)) ^ (word >> np.uint64(5)))
    facts[0] = width
    facts[1] = is_single(splat(p, 0.0))


run_by_number = entry_point(by_number)


def sum_by_halves(x):
    while len(x) > 1:
        x = x[: len(x) // 2] + x[len(x) // 2 :]
    return x[0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pointers(dtype) -> None:
    rng = np.random.default_rng(5)
    width = lanes_of(dtype)
    for n in (1, width - 1, width):
        x = rng.normal(size=n).astype(dtype)
        first = int(rng.integers(2**63, 2**64, dtype=np.uint64))
        results = []
        for run in (run_by_number, in_numpy(by_number)):
            out = np.full(n + 3, UNTOUCHED, dtype)
            facts = np.zeros(2, np.int64)
            integers = np.array([2**40, 0, 0], np.int64)
            words = np.array([first, 0], np.uint64)
            run(out, facts, x, integers, words, n)
            assert facts.tolist() == [width, dtype == "float32"]
            assert integers.tolist() == [2**40, 0, 2**40 + 1]
            assert int(words[1]) == (first * 3 % 2**64) ^ (first >> 5)
            results.append(out)
            third = np.full(width, 1.0 / 3.0, dtype)
            sums = [sum_by_halves(padded(x, width)), sum_by_halves(third), UNTOUCHED]
            assert np.array_equal(out, [*(x * np.dtype(dtype).type(0.5)), *sums])
        assert np.array_equal(*results)


@entry_point
def halve(out, x):
    """Half of a number without denormal numbers, and with them."""
    mode = flush_denormals()
    out[0] = x[0] * 0.5
    restore_denormals(mode)
    out[1] = x[0] * 0.5


@pytest.mark.skipif(not COMPILED, reason="NumPy never flushes denormal numbers")
@pytest.mark.skipif(not IS_X86, reason="only x86 has this switch in fastbp")
def test_denormal_numbers() -> None:
    out = np.ones(2)
    smallest = np.full(1, np.finfo(np.float64).tiny)
    halve(out, smallest)
    assert out.tolist() == [0.0, smallest[0] / 2]
    assert smallest[0] * 0.5 > 0.0  # the caller's mode is as it was


# Tiles.


def multiply(shape, c, c_stride, a, a_row, a_step, b, b_step, bias, k, tail):
    """c <- relu(c + a b) where c was positive, else 0; returns bias + a b."""
    tile = tile_load(tile_zeros(shape, c), c, c_stride, tail)
    filled = tile_fill(tile_zeros(shape, c), bias)
    rows = rows_at(shape, a, a_row)
    for _ in range(k):
        filled = tile_fma(filled, rows, b)
        tile = tile_fma(tile, rows, b)
        rows = rows_next(rows, a_step)
        b = advance(b, b_step)
    tile_store(tile_where_positive(tile_relu(tile), c, c_stride, tail), c, c_stride, tail)
    return filled


multiply_shape = numba.njit(multiply)
SHAPES = ((12, 2), (6, 2), (5, 1), (1, 2), (1, 1))


def multiply_all(c, filled, c_stride, size, a, a_row, a_step, b, b_step, bias, k, tail):
    """The product with a tile of each shape, `size` apart; `filled` starts from the bias."""
    x = pointer(a, 0)
    y = pointer(b, 0)
    z = pointer(bias, 0)
    d = pointer(c, 0)
    e = pointer(filled, 0)
    tile = multiply_shape(tile_shape(12, 2), d, c_stride, x, a_row, a_step, y, b_step, z, k, tail)
    tile_store(tile, e, c_stride, tail)
    d = advance(d, size)
    e = advance(e, size)
    tile_6 = multiply_shape(tile_shape(6, 2), d, c_stride, x, a_row, a_step, y, b_step, z, k, tail)
    tile_store(tile_6, e, c_stride, tail)
    d = advance(d, size)
    e = advance(e, size)
    tile_5 = multiply_shape(tile_shape(5, 1), d, c_stride, x, a_row, a_step, y, b_step, z, k, tail)
    tile_store(tile_5, e, c_stride, tail)
    d = advance(d, size)
    e = advance(e, size)
    tile_1 = multiply_shape(tile_shape(1, 2), d, c_stride, x, a_row, a_step, y, b_step, z, k, tail)
    tile_store(tile_1, e, c_stride, tail)
    d = advance(d, size)
    e = advance(e, size)
    least = multiply_shape(tile_shape(1, 1), d, c_stride, x, a_row, a_step, y, b_step, z, k, tail)
    tile_store(least, e, c_stride, tail)


run_multiply_all = entry_point(multiply_all)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(8))
def test_tiles(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    width = lanes_of(dtype)
    k = int(rng.integers(0, 9))
    tail = int(rng.integers(1, width + 3))
    columns = width + min(tail, width)
    c_stride = columns + int(rng.integers(0, 5))
    b_step = 2 * width + int(rng.integers(0, 5))
    transposed = bool(rng.integers(0, 2))  # the left operand by columns
    a = rng.normal(size=(k + 1, 12) if transposed else (12, k + 1)).astype(dtype)
    a_row, a_step = (1, 12) if transposed else (k + 1, 1)
    # As long as the kernels need it and no longer: they read whole vectors.
    b = rng.normal(size=max(k - 1, 0) * b_step + 2 * width).astype(dtype)
    bias = rng.normal(size=12).astype(dtype)
    size = 12 * c_stride
    before = rng.normal(size=len(SHAPES) * size).astype(dtype)
    results = []
    for run in (run_multiply_all, in_numpy(multiply_all, [("multiply_shape", multiply)])):
        c = before.copy()
        filled = before.copy()
        run(c, filled, c_stride, size, a.ravel(), a_row, a_step, b, b_step, bias, k, tail)
        results.append((c, filled))
    left = (a.T if transposed else a)[:, :k].astype(np.float64)
    right = np.lib.stride_tricks.sliding_window_view(b, columns)[::b_step][:k].astype(np.float64)
    bound = 2 * (k + 1) * np.finfo(dtype).eps * (np.abs(left) @ np.abs(right) + 4.0)
    product = left @ right
    for c, filled in results:
        for s, (rows, vectors) in enumerate(SHAPES):
            inside = slice(None, rows), slice(None, (vectors - 1) * width + min(tail, width))
            old, new, from_bias = (
                whole[s * size :][:size].reshape(12, c_stride) for whole in (before, c, filled)
            )
            expected = np.where(old[inside] > 0, np.maximum(old[inside] + product[inside], 0), 0)
            error = np.abs(new[inside] - expected)
            assert np.all(error <= bound[inside]), f"tile {rows} x {vectors}"
            error = np.abs(from_bias[inside] - (bias[:rows, None] + product[inside]))
            assert np.all(error <= bound[inside]), f"tile {rows} x {vectors} from the bias"
            outside = np.ones_like(old, bool)
            outside[inside] = False
            assert np.array_equal(new[outside], old[outside])
            assert np.array_equal(from_bias[outside], old[outside])


def run_relu(out, x, tail):
    p = pointer(x, 0)
    shape = tile_square(p)
    tile = tile_relu(tile_load(tile_zeros(shape, p), p, lanes(p), tail))
    tile_put(tile, pointer(out, 0), lanes(p), 1, tail)
    tile = tile_where_positive(tile_load(tile_zeros(shape, p), p, lanes(p), tail), p, 0, tail)
    tile_put(tile, pointer(out, lanes(p)), lanes(p), 1, tail)


def test_not_a_number_in_relu() -> None:
    x = np.full(lanes_of("float64") ** 2, 1.0)
    x[:2] = [np.nan, -np.inf]
    for run in (entry_point(run_relu), in_numpy(run_relu)):
        out = np.full(len(x), UNTOUCHED)
        run(out, x, 2)
        assert np.array_equal(out[:2], [np.nan, 0.0], equal_nan=True)
        assert out[lanes_of("float64") :][:2].tolist() == [0.0, 0.0]


def run_tanh_slope(out, x, tail):
    p = pointer(x, 0)
    shape = tile_square(p)
    tile = tile_load(tile_zeros(shape, p), p, lanes(p), tail)
    tile = tile_times_tanh_slope(tile, advance(p, 1), 0, tail)
    tile_put(tile, pointer(out, 0), lanes(p), 1, tail)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_tile_times_the_slope_of_tanh(dtype) -> None:
    x = np.random.default_rng(0).uniform(-1.0, 1.0, lanes_of(dtype) ** 2 + 1).astype(dtype)
    for run in (entry_point(run_tanh_slope), in_numpy(run_tanh_slope)):
        out = np.full(len(x), UNTOUCHED, dtype)
        run(out, x, 2)
        expected = x[:2] * (1.0 - x[1:3].astype(np.float64) ** 2)
        np.testing.assert_allclose(out[:2], expected, rtol=4 * np.finfo(dtype).eps)
        assert (out[2:] == UNTOUCHED).all()


def rearrange(put, stored, added, sums, stride, source, offsets, count, tail):
    """A square tile gathered by rows, transposed, and its rows summed."""
    x = pointer(source, 0)
    table = pointer(offsets, 0)
    shape = tile_square(x)
    width = lanes(x)
    tile = tile_gather(shape, x, table, count, tail)
    tile_put(tile_transpose(tile), pointer(put, 0), stride, tail, count)
    vstore(pointer(sums, 0), tile_sums(tile), width)
    if count >= width and tail >= width:
        tile_store(tile_gather_whole(shape, x, table), pointer(stored, 0), stride, width)
    half = splat(x, 0.5)
    total = tile_zeros(shape, x)
    total = tile_add_some_products(total, x, stride, half, count, tail)
    total = tile_add_some_products(total, x, stride, half, count, tail)
    if count >= width:
        total = tile_add_products(total, rows_at(shape, x, stride), half, tail)
    tile_put(total, pointer(added, 0), stride, count, width)


run_rearrange = entry_point(rearrange)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(8))
def test_square_tiles(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    width = lanes_of(dtype)
    count, tail = (int(n) for n in rng.integers(1, width + 2, 2))
    if seed == 0:
        count = width + 1
        tail = width
    stride = width + int(rng.integers(0, 4))
    source = rng.normal(size=(width + 2) * stride).astype(dtype)
    offsets = rng.permutation(width + 1).astype(np.int64)[: min(count, width)] * stride
    rows = min(count, width)
    columns = min(tail, width)
    tile = np.zeros((width, width), dtype)
    tile[:rows, :columns] = source[offsets[:, None] + np.arange(columns)]
    sums_of_products = np.zeros((rows, width), dtype)
    sums_of_products[:, :columns] = source[: rows * stride].reshape(rows, stride)[:, :columns]
    if count >= width:
        sums_of_products *= 1.5
    pairs = tile
    while pairs.shape[1] > 1:
        pairs = pairs[:, ::2] + pairs[:, 1::2]
    for run in (run_rearrange, in_numpy(rearrange)):
        put, stored, added = (np.full((width, stride), UNTOUCHED, dtype) for _ in range(3))
        sums = np.zeros(width, dtype)
        run(put.reshape(-1), stored.reshape(-1), added.reshape(-1), sums, stride, source, offsets,
            count, tail)  # fmt: skip
        for got, inside in ((put, tile[:rows, :columns].T), (added, sums_of_products)):
            expected = np.full((width, stride), UNTOUCHED, dtype)
            expected[: inside.shape[0], : inside.shape[1]] = inside
            assert np.array_equal(got, expected)
        if count >= width and tail >= width:
            assert np.array_equal(stored[:, :width], tile)
        assert np.array_equal(sums, pairs[:, 0])
