"""The primitives in NumPy: what they refuse, and that numbers keep their kind."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastbp.machine import atomics, fma_loop, numpy_bits, pointers, simd, tiles, vectors
from fastbp.machine import uncompiled as u

COMPILED_SOURCES = (atomics, fma_loop, numpy_bits, pointers, tiles, vectors)

LENGTH = 40
BUFFER = np.arange(LENGTH, dtype=np.float32)
WIDTH = u.lanes(u.pointer(BUFFER, 0))
TILE = u.Tile(np.ones((3, WIDTH), np.float32))
SQUARE = u.Tile(np.ones((WIDTH, WIDTH), np.float32))
TABLE = u.pointer(np.array([0, 7, LENGTH - 2], np.int64), 0)


def at(offset):
    return u.pointer(BUFFER.copy(), offset)


# An access, the first offset and how many elements it reaches for outside the buffer.
OUTSIDE = {
    "load after the end": (lambda: u.load(at(0), LENGTH), LENGTH, 1),
    "load before the start": (lambda: u.load(at(3), -4), -1, 1),
    "store after the end": (lambda: u.store(at(LENGTH), 0, 1.0), LENGTH, 1),
    "store before the start": (lambda: u.store(u.advance(at(0), -2), 0, 1.0), -2, 1),
    "vload": (lambda: u.vload(at(LENGTH - 2), 3), LENGTH - 2, 3),
    "vload before the start": (lambda: u.vload(at(-1), 1), -1, 1),
    "vstore": (lambda: u.vstore(at(LENGTH - 1), u.splat(at(0), 0.0), 2), LENGTH - 1, 2),
    "tile_fill": (lambda: u.tile_fill(TILE, at(LENGTH - 2)), LENGTH, 1),
    "tile_load": (lambda: u.tile_load(TILE, at(0), LENGTH // 2, 1), LENGTH, 1),
    "tile_load, last column": (lambda: u.tile_load(TILE, at(LENGTH - 7), 3, 2), LENGTH - 1, 2),
    "tile_load, negative stride": (lambda: u.tile_load(TILE, at(5), -3, 1), -1, 1),
    "tile_where_positive": (
        lambda: u.tile_where_positive(TILE, at(LENGTH - 2), 1, 1),
        LENGTH,
        1,
    ),
    "tile_times_tanh_slope": (
        lambda: u.tile_times_tanh_slope(TILE, at(LENGTH - 2), 1, 1),
        LENGTH,
        1,
    ),
    "tile_gather_whole": (
        lambda: u.tile_gather_whole(u.tile_square(at(0)), at(LENGTH), TABLE),
        LENGTH,
        WIDTH,
    ),
    "tile_store": (lambda: u.tile_store(TILE, at(LENGTH - 2), 1, 1), LENGTH, 1),
    "tile_put": (lambda: u.tile_put(TILE, at(LENGTH - 1), 1, 2, 1), LENGTH, 1),
    "tile_add_products": (
        lambda: u.tile_add_products(
            TILE, u.rows_at(u.tile_shape(3, 1), at(LENGTH - 2), 1), u.splat(at(0), 1.0), 1
        ),
        LENGTH,
        1,
    ),
    "tile_add_some_products": (
        lambda: u.tile_add_some_products(TILE, at(LENGTH - 1), 1, u.splat(at(0), 1.0), 2, 1),
        LENGTH,
        1,
    ),
    "tile_fma, left": (
        lambda: u.tile_fma(TILE, u.rows_at(u.tile_shape(3, 1), at(LENGTH - 2), 1), at(0)),
        LENGTH,
        1,
    ),
    "tile_fma, right": (
        lambda: u.tile_fma(TILE, u.rows_at(u.tile_shape(3, 1), at(0), 1), at(LENGTH - 1)),
        LENGTH - 1,
        u.lanes(TILE),
    ),
    "rows_next": (
        lambda: u.tile_fma(
            TILE, u.rows_next(u.rows_at(u.tile_shape(3, 1), at(0), 1), LENGTH - 2), at(0)
        ),
        LENGTH,
        1,
    ),
    "tile_gather": (
        lambda: u.tile_gather(u.tile_square(at(0)), at(0), TABLE, 3, 3),
        LENGTH - 2,
        3,
    ),
}


@pytest.mark.parametrize("access, offset, count", OUTSIDE.values(), ids=OUTSIDE)
def test_access_outside_the_buffer(access, offset, count) -> None:
    message = f"access to {count} element(s) at offset {offset} of a buffer of length {LENGTH}"
    with pytest.raises(IndexError, match=re.escape(message)):
        access()


def test_the_table_of_a_gather_is_checked() -> None:
    with pytest.raises(IndexError, match="offset 3 of a buffer of length 3"):
        u.tile_gather(u.tile_square(at(0)), at(0), TABLE, 4, 1)


def test_masked_lanes_are_not_accessed() -> None:
    p = at(LENGTH - 2)
    assert u.vload(p, 2).values.tolist() == [38.0, 39.0] + [0.0] * (WIDTH - 2)
    assert u.vload(at(LENGTH + 9), 0).values.tolist() == [0.0] * WIDTH
    u.vstore(p, u.splat(p, -1.0), 2)
    assert p.buffer[-3:].tolist() == [37.0, -1.0, -1.0]
    u.tile_put(SQUARE, p, 1, 1, 1)
    assert p.buffer[-3:].tolist() == [37.0, 1.0, -1.0]
    tile = u.tile_load(TILE, at(LENGTH - 3), 1, 1)
    assert tile.values[:, 0].tolist() == [37.0, 38.0, 39.0]
    assert not tile.values[:, 1:].any()
    gathered = u.tile_gather(u.tile_square(p), at(0), TABLE, 3, 2)
    assert gathered.values[:4, :3].tolist() == [[0, 1, 0], [7, 8, 0], [38, 39, 0], [0, 0, 0]]
    for access in (u.vload, lambda p, tail: u.vstore(p, u.splat(p, 1.0), tail)):
        with pytest.raises(IndexError, match="lanes inside is -1"):
            access(p, -1)


def test_pointers_outside_are_harmless_until_used() -> None:
    p = u.advance(u.advance(u.pointer(BUFFER, 0), -100), 103)
    assert u.load(p, 0) == 3.0
    assert u.advance(p, 10**6).offset == 10**6 + 3
    assert u.pointer(np.empty(0), 0).offset == 0
    assert u.load(u.pointer(BUFFER.reshape(5, 8), 0), 9) == 9.0
    with pytest.raises(ValueError, match="C-contiguous"):
        u.pointer(BUFFER[::2], 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbers_are_rounded_to_the_dtype_of_the_vector(dtype) -> None:
    p = u.pointer(np.arange(1, 65, dtype=dtype), 0)
    x = u.vload(p, WIDTH)
    third = np.dtype(dtype).type(1.0 / 3.0)
    for s in (1.0 / 3.0, np.float64(1.0 / 3.0), np.array(1.0 / 3.0)[()]):
        results = (x + s, s + x, x - s, s - x, x * s, s * x, x / s, s / x)
        n = x.values
        expected = (n + third, third + n, n - third, third - n, n * third, third * n, n / third)
        expected += (third / n,)
        for got, value in zip(results, expected, strict=True):
            assert got.dtype == dtype
            assert np.array_equal(got.values, value)
    assert type(u.load(p, 0)) is float
    assert type(u.vsum(x)) is float
    assert u.splat(p, np.float64(1e-300)).dtype == dtype
    assert u.tile_sums(u.tile_zeros(u.tile_square(p), p)).dtype == dtype


def test_dtypes_do_not_mix() -> None:
    single = at(0)
    double = u.pointer(np.zeros(LENGTH), 0)
    for mix in (
        lambda: u.vload(single, 1) + u.vload(double, 1),
        lambda: u.vstore(double, u.vload(single, 1), 1),
        lambda: u.vmax(u.vload(single, 1), u.vload(double, 1)),
        lambda: u.tile_store(TILE, double, WIDTH, 1),
    ):
        with pytest.raises(TypeError, match="float32 and float64|float64 and float32"):
            mix()


def test_nothing_warns_of_infinity() -> None:
    p = at(0)
    large = u.splat(p, 1e300)
    zero = u.splat(p, 0.0)
    assert np.all(np.isinf((large * 2.0).values))
    assert np.all(np.isnan((large - large).values))
    assert np.all(np.isnan((zero / zero).values))
    assert np.isnan(u.vsum(large * 0.0))
    u.store(p, 0, 1e300)
    assert np.isinf(u.load(p, 0))


def test_words_wrap_around() -> None:
    words = u.pointer(np.array([2**64 - 1, 0], np.uint64), 0)
    word = u.load(words, 0)
    assert word + np.uint64(2) == np.uint64(2) + word == 1
    assert word * np.uint64(3) == np.uint64(3) * word == 2**64 - 3
    assert word - np.uint64(2**63) == 2**63 - 1
    assert word >> np.uint64(60) == 15
    assert (word << np.uint64(60)) >> np.uint64(56) == 0xF0
    assert (word ^ np.uint64(1)) & np.uint64(3) == 2
    u.store(words, 1, word - np.uint64(1))
    assert words.buffer.tolist() == [2**64 - 1, 2**64 - 2]
    assert type(u.load(TABLE, 1)) is int


def test_both_sides_of_the_switch_have_the_same_names() -> None:
    compiled = [name for source in COMPILED_SOURCES for name in source.__all__]
    assert sorted(compiled) == sorted(u.__all__) == simd.__all__
    assert len(set(compiled)) == len(compiled)
    for name in compiled:
        assert callable(getattr(simd, name)) and callable(getattr(u, name))
