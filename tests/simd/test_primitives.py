"""Each register primitive against plain NumPy, on ragged random inputs.

A program below runs as the suite runs: compiled, or with NUMBA_DISABLE_JIT=1 on the primitives
of ``uncompiled.py``. Compiled runs are compared with those as well.
"""

from __future__ import annotations

import os
import types

import numba
import numpy as np
import pytest

from fastbp import simd
from fastbp.simd import (
    advance,
    is_single,
    lanes,
    load,
    pointer,
    prefetch,
    rows_at,
    rows_next,
    splat,
    store,
    tile_add,
    tile_fill,
    tile_fma,
    tile_gather,
    tile_gather_whole,
    tile_load,
    tile_put,
    tile_shape,
    tile_square,
    tile_store,
    tile_sums,
    tile_transpose,
    tile_zeros,
    uncompiled,
    vabs,
    vexponent,
    vkeep,
    vload,
    vmax,
    vmin,
    vpow2,
    vquotient,
    vreciprocal,
    vround,
    vsqrt,
    vstore,
    vsum,
    vwhere_greater,
)
from fastbp.target import VECTOR_BITS

SOAK = os.environ.get("FASTBP_SOAK") == "1"
POINTS = 100_000 if SOAK else 10_000
DTYPES = ("float32", "float64")
UNTOUCHED = -777.0


def in_numpy(program, helpers=()):
    """The same program on the uncompiled primitives."""
    names = {name: getattr(uncompiled, name) for name in simd.__all__}
    names |= {helper.__name__: in_numpy(helper) for helper in helpers}
    return types.FunctionType(program.__code__, program.__globals__ | names)


def ulps(got, expected):
    """Distance in units in the last place of `expected`."""
    got, expected = np.asarray(got), np.asarray(expected)
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
        a, b, c = vload(pointer(x, i), tail), vload(pointer(y, i), tail), vload(pointer(z, i), tail)
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
        vstore(advance(to, 19 * stride + i), vkeep(a, tail - 3 if tail > 3 else 0), lanes(to))


N_RESULTS = 20
run_by_lane = numba.njit(by_lane)


def lanes_of(dtype):
    return VECTOR_BITS // 8 // np.dtype(dtype).itemsize


def all_by_lane(run, x, y, z, s):
    """Results, one a row, each followed by a vector's worth of untouched places."""
    n, width = len(x), lanes_of(x.dtype)
    stride = n + 2 * width
    out = np.full(N_RESULTS * stride, UNTOUCHED, x.dtype)
    run(out, stride, x, y, z, s, n)
    return out.reshape(N_RESULTS, stride)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_vectors(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    width, exponent = lanes_of(dtype), 125 if dtype == "float32" else 1020
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
            np.sqrt(np.abs(x)), 1 / x, z / x, np.floor(np.log2(np.abs(x).astype(np.longdouble))),
            np.ldexp(np.ones(n, dtype), np.frexp(x)[1] - 1), np.where(y > z, y, z),
            np.where(y < z, y, z), np.where(y > z, x, 0),
        ]  # fmt: skip
    expected[14] = np.frexp(x)[1] - 1.0
    allowed = {3: 1.0, 7: 1.0, 11: 2.0, 12: 2.0, 13: 2.0}
    for k, values in enumerate(expected):
        worst = ulps(got[k, :n], values.astype(dtype)).max()
        assert worst <= allowed.get(k, 0.0), f"result {k}: {worst} ulp"
        assert np.all(got[k, n:] == UNTOUCHED), f"result {k} was written beyond its end"
    kept = x.copy()
    kept[max(n - 3, n - 1 - (n - 1) % width) :] = 0.0
    last = n - 1 - (n - 1) % width
    inside = got[19, : last + width]
    assert np.array_equal(inside[:n], np.where(np.arange(n) < max(n - 3, last), x, kept))
    assert np.all(inside[n:] == 0.0)
    in_uncompiled = all_by_lane(in_numpy(by_lane), x, y, z, s)
    for k in range(N_RESULTS):
        assert ulps(got[k], in_uncompiled[k]).max() <= allowed.get(k, 0.0), f"result {k}"
