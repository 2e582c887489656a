"""The same primitives in NumPy, for ``NUMBA_DISABLE_JIT=1``: every access is checked.

The kernels run as they stand, so their loops, offsets and masks are what is tested. Sums keep
the compiled order; the multiply-adds of tiles round twice here, and quotients and roots are those
of NumPy, so results agree to a few units in the last place, not to the bit. Like the compiled
code, nothing here warns of an overflow or a NaN. What compiled code could not detect raises: an
access outside the buffer an IndexError, operands of different dtypes a TypeError.
"""

from __future__ import annotations

import ctypes
import threading
import time

import numpy as np

from fastbp.machine.addresses import TABLES, address_of
from fastbp.machine.elementwise import LOOPS
from fastbp.machine.fma_loop import SUMS, UNROLLED
from fastbp.machine.hashing import hashed
from fastbp.machine.numpy_bits import BitGenerator
from fastbp.machine.processor import VECTOR_BITS
from fastbp.machine.uncompiled_types import (
    Pointer,
    Rows,
    Tile,
    TileShape,
    Vector,
    Word,
    lanes_inside,
    same_dtype,
    silently,
)

__all__ = [
    "advance",
    "atomic_add",
    "atomic_load",
    "atomic_store",
    "bytes_at",
    "doubles_at",
    "floats_at",
    "flush_denormals",
    "frame",
    "give_way",
    "int32s_at",
    "integers_at",
    "is_same",
    "is_single",
    "lane_of",
    "lanes",
    "load",
    "multiply_adds",
    "next_uint32",
    "number_of",
    "pause",
    "pointer",
    "put_at",
    "restore_denormals",
    "rows_at",
    "rows_next",
    "run_at",
    "splat",
    "store",
    "tile_add_products",
    "tile_add_some_products",
    "tile_fill",
    "tile_fma",
    "tile_gather",
    "tile_gather_whole",
    "tile_load",
    "tile_put",
    "tile_relu",
    "tile_shape",
    "tile_square",
    "tile_store",
    "tile_sums",
    "tile_times_tanh_slope",
    "tile_transpose",
    "tile_where_positive",
    "tile_zeros",
    "vabs",
    "vexponent",
    "vfma",
    "vload",
    "vmax",
    "vmin",
    "vpow2",
    "vquotient",
    "vrandom",
    "vreciprocal",
    "vreciprocal_estimate",
    "vround",
    "vrounded",
    "vsqrt",
    "vstore",
    "vsum",
    "vwhere_greater",
    "words_at",
]

# pointers.py


def pointer(array, index):
    """Address of ``array[index]``; `array` is C-contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError("a pointer needs a C-contiguous array")
    return Pointer(array.reshape(-1), int(index))


def _from_cell(dtype):
    """A function that returns the address in a cell of a table, of numbers of a type."""

    def at(table, cell):
        given = TABLES[address_of(table.buffer)].arrays.get(table.check(cell, 1))
        if given is None:  # no address: every access raises
            return Pointer(np.empty(0, dtype), 0)
        if given.dtype != dtype:
            raise TypeError(f"cell {cell} has the address of {given.dtype}, not of {dtype}")
        return pointer(given, 0)

    return at


doubles_at = _from_cell(np.dtype(np.float64))
integers_at = _from_cell(np.dtype(np.int64))
int32s_at = _from_cell(np.dtype(np.int32))
words_at = _from_cell(np.dtype(np.uint64))
bytes_at = _from_cell(np.dtype(np.uint8))


def floats_at(table, cell, like):
    """The address in a cell, of numbers of the type that `like` points to."""
    return _from_cell(like.dtype)(table, cell)


def put_at(table, cell, p):
    """Write the address p into a cell."""
    TABLES[address_of(table.buffer)].put(table.check(cell, 1), p.buffer[p.offset :])


def frame(p):
    """Address of room for a vector of p's dtype."""
    return Pointer(np.zeros(lanes(p), p.dtype), 0)


def is_same(p, q):
    """Whether two addresses are the same."""
    return p.buffer is q.buffer and p.offset == q.offset


def run_at(address, a, b, c, d, count):
    """Call the loop that stands at an address: see `elementwise.Loop`."""
    LOOPS[address].run(a, b, c, d, count)


def advance(p, count):
    """Address `count` elements further."""
    return Pointer(p.buffer, p.offset + int(count))


def load(p, index):
    """The value at ``p[index]``; 64 unsigned bits wrap around, as they do compiled."""
    value = p.buffer[p.check(index, 1)]
    return Word(value) if p.dtype == np.uint64 else value.item()


@silently
def store(p, index, x):
    """Set ``p[index] = x``."""
    p.buffer[p.check(index, 1)] = x


def flush_denormals():
    """0: NumPy's arithmetic stays as it is."""
    return 0


def restore_denormals(mode):
    """Do nothing: `flush_denormals` changed nothing."""


# atomics.py

_ATOMIC = threading.Lock()


def atomic_add(p, index, x):
    """Add x to the integer ``p[index]`` and return what it was before."""
    with _ATOMIC:
        before = load(p, index)
        store(p, index, before + x)
    return before


def atomic_load(p, index):
    """The integer ``p[index]``."""
    with _ATOMIC:
        return load(p, index)


def atomic_store(p, index, x):
    """Set ``p[index] = x``."""
    with _ATOMIC:
        store(p, index, x)


def pause():
    """Do nothing: the interpreter runs other threads from time to time."""


def give_way(address):
    """Let the interpreter run another thread."""
    time.sleep(0)


# tiles.py


def tile_shape(rows, vectors):
    """Shape of a tile."""
    return TileShape(rows, vectors)


def tile_square(p):
    """Shape of a square tile of p's dtype: the same number of rows as a vector has lanes."""
    return TileShape(lanes(p), 1)


def tile_zeros(shape, p):
    """Tile of zeros, of the dtype that `p` points to."""
    return Tile(np.zeros((shape.rows, shape.vectors * lanes(p)), p.dtype))


def tile_fill(tile, p):
    """Tile whose row r holds ``p[r]`` in every lane."""
    same_dtype(tile, p)
    column = p.block(len(tile.values), 1, 1)
    return Tile(np.broadcast_to(column, tile.values.shape).copy())


def rows_at(shape, a, stride):
    """Rows a, a + stride, a + 2 stride, ... of a tile's left operand."""
    return Rows(a, shape.rows, int(stride))


def rows_next(rows, step):
    """The same rows `step` elements further."""
    return Rows(advance(rows.address, step), rows.rows, rows.stride)


def _columns(tile, tail):
    """Columns of a tile whose last vector has `tail` lanes inside."""
    width = lanes(tile)
    return tile.values.shape[1] - width + lanes_inside(width, tail)


@silently
def tile_fma(tile, rows, b):
    """``tile[r, :] += rows[r] * b[:]``: one scalar a row times consecutive vectors at `b`."""
    same_dtype(tile, rows.address, b)
    left = rows.address.block(rows.rows, rows.stride, 1)
    return Tile(tile.values + left * b.block(1, 0, tile.values.shape[1]))


def tile_relu(tile):
    """``max(tile, 0)``; NaN stays NaN."""
    return Tile(np.where(tile.values < 0, tile.dtype.type(0), tile.values))


def tile_where_positive(tile, y, stride, tail):
    """The tile where ``y > 0``, else 0; the rows of y are `stride` apart."""
    positive = tile_load(tile, y, stride, tail).values > 0
    return Tile(np.where(positive, tile.values, tile.dtype.type(0)))


@silently
def tile_times_tanh_slope(tile, y, stride, tail):
    """The tile times ``1 - y^2``; the rows of y are `stride` apart."""
    outputs = tile_load(tile, y, stride, tail).values
    if tile.dtype == np.float32:
        slope = 1.0 - outputs.astype(np.float64) ** 2  # the square of a float32 is exact
        return Tile(tile.values * slope.astype(np.float32))
    return Tile(tile.values - tile.values * (outputs * outputs))


def tile_load(tile, c, stride, tail):
    """Tile read from rows `stride` apart at `c`."""
    same_dtype(tile, c)
    columns = _columns(tile, tail)
    values = np.zeros_like(tile.values)
    if columns:
        values[:, :columns] = c.block(len(values), int(stride), columns)
    return Tile(values)


def tile_store(tile, c, stride, tail):
    """Write the tile to rows `stride` apart at `c`."""
    tile_put(tile, c, stride, len(tile.values), tail)


def tile_gather(shape, source, offsets, count, tail):
    """Tile of `count` rows read at ``source + offsets[r]``; the other rows are zeros."""
    width = lanes(source)
    columns = lanes_inside(width, tail)
    values = np.zeros((shape.rows, width), source.dtype)
    for r in range(min(shape.rows, count)):
        row = load(offsets, r)
        if columns:
            values[r, :columns] = advance(source, row).block(1, 0, columns)
    return Tile(values)


def tile_gather_whole(shape, source, offsets):
    """Tile with all its rows, read whole at ``source + offsets[r]``."""
    return tile_gather(shape, source, offsets, shape.rows, lanes(source))


def tile_put(tile, c, stride, count, tail):
    """Write the first `count` rows of a tile at `c`."""
    same_dtype(tile, c)
    columns = _columns(tile, tail)
    rows = min(int(count), len(tile.values))
    if columns and rows > 0:
        c.block(rows, int(stride), columns)[:] = tile.values[:rows, :columns]


def tile_transpose(tile):
    """The transpose of a square tile."""
    return Tile(tile.values.T.copy())


@silently
def tile_add_products(tile, rows, x, tail):
    """Add to a tile of one vector a row the values at its `rows`, times `x`, below `tail`."""
    return tile_add_some_products(tile, rows.address, rows.stride, x, rows.rows, tail)


@silently
def tile_add_some_products(tile, a, stride, x, count, tail):
    """As tile_add_products for the first `count` rows, `stride` apart at `a`."""
    same_dtype(tile, a)
    columns = _columns(tile, tail)
    values = tile.values.copy()
    rows = min(int(count), len(values))
    if columns and rows > 0:
        values[:rows, :columns] += a.block(rows, int(stride), columns) * x.values[:columns]
    return Tile(values)


@silently
def tile_sums(tile):
    """Vector of the sums of the rows of a square tile, neighbours first."""
    values = tile.values
    while values.shape[1] > 1:
        values = values[:, ::2] + values[:, 1::2]
    return Vector(values[:, 0])


# vectors.py


def lanes(p):
    """How many values of p's dtype one vector register holds."""
    return VECTOR_BITS // 8 // p.dtype.itemsize


def is_single(x):
    """Whether the vector `x` is float32."""
    return x.dtype == np.float32


def vload(p, tail):
    """Vector at `p`; lanes from `tail` on are 0 and not read."""
    width = lanes(p)
    values = np.zeros(width, p.dtype)
    inside = lanes_inside(width, tail)
    if inside:
        start = p.check(0, inside)
        values[:inside] = p.buffer[start : start + inside]
    return Vector(values)


def vstore(p, x, tail):
    """Write the lanes of `x` below `tail` at `p`."""
    same_dtype(p, x)
    inside = lanes_inside(len(x.values), tail)
    if inside:
        start = p.check(0, inside)
        p.buffer[start : start + inside] = x.values[:inside]


@silently
def splat(p, x):
    """Vector of p's dtype with `x` in every lane."""
    return Vector(np.full(lanes(p), x, p.dtype))


def lane_of(x):
    """A number as what the functions of vectors work on."""
    number = x if isinstance(x, np.floating) else np.float64(x)
    return splat(Pointer(np.empty(0, number.dtype), 0), number)


def number_of(lane):
    """The number in a lane of its own."""
    return lane.values[0]


def vmax(x, y):
    """Larger of x and y by lane; y where either is NaN."""
    return vwhere_greater(x, y, x, y)


def vmin(x, y):
    """Smaller of x and y by lane; y where either is NaN."""
    return vwhere_greater(y, x, x, y)


def vwhere_greater(x, y, yes, no):
    """`yes` in the lanes where x > y, else `no`."""
    same_dtype(x, y, yes, no)
    return Vector(np.where(x.values > y.values, yes.values, no.values))


@silently
def vsum(x):
    """Sum of the lanes, in the compiled order (halves are added to each other)."""
    values = x.values
    while len(values) > 1:
        half = len(values) // 2
        values = values[:half] + values[half:]
    return values[0].item()


def _product_and_rest(x, y):
    """x y rounded, and what the rounding lost, in float64 (Dekker 1971)."""
    product = x * y
    halves = []
    for factor in (x, y):
        shifted = factor * 134217729.0
        high = shifted - (shifted - factor)
        halves.append((high, factor - high))
    (x_high, x_low), (y_high, y_low) = halves
    rest = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, rest


@silently
def vfma(x, y, z):
    """``x y + z`` by lane, rounded once (but for rare last bits)."""
    same_dtype(x, y, z)
    a, b, c = (v.values.astype(np.float64) for v in (x, y, z))
    if is_single(x):
        return Vector((a * b + c).astype(x.dtype))  # the product of two float32 is exact
    product, rest = _product_and_rest(a, b)
    total = product + c
    part = total - product
    lost = (product - (total - part)) + (c - part)
    exact = total + (lost + rest)
    return Vector(np.where(np.isfinite(exact), exact, total))


def vrounded(x):
    """x as it is rounded: nothing is fused here."""
    return x


def vabs(x):
    """Absolute value by lane."""
    return Vector(np.abs(x.values))


def vround(x):
    """Nearest whole number by lane, ties to even."""
    return Vector(np.rint(x.values))


def _format(x):
    """Integer type of x's bits, bits of its mantissa, bias of its exponent."""
    return (np.int32, 23, 127) if is_single(x) else (np.int64, 52, 1023)


@silently
def vpow2(n):
    """2**n by lane for whole n, as far as the result is a normal number."""
    bits, mantissa, bias = _format(n)
    return Vector(((n.values.astype(bits) + bits(bias)) << bits(mantissa)).view(n.dtype))


def vexponent(x):
    """n of ``x = m 2**n`` with m in [1, 2), for positive normal x."""
    bits, mantissa, bias = _format(x)
    return Vector(((x.values.view(bits) >> bits(mantissa)) - bits(bias)).astype(x.dtype))


@silently
def vreciprocal(x):
    """1 / x by lane."""
    return Vector(x.dtype.type(1.0) / x.values)


def vreciprocal_estimate(x):
    """1 / x by lane."""
    return vreciprocal(x)


@silently
def vquotient(x, y):
    """x / y by lane."""
    same_dtype(x, y)
    return Vector(x.values / y.values)


@silently
def vsqrt(x):
    """Square root by lane."""
    return Vector(np.sqrt(x.values))


def vrandom(p, key, index, threshold):
    """1 in the lanes where h(index + lane, key) >= threshold, else 0: see hashing.py."""
    bits = hashed(int(index) + np.arange(lanes(p)), int(key))
    return Vector((bits >= threshold).astype(p.dtype))


# fma_loop.py


def multiply_adds(p, turns):
    """Add ``p[0:lanes] p[lanes:2 lanes]`` UNROLLED times a turn to SUMS vectors of zeros."""
    width = lanes(p)
    values = p.block(2, width, width)
    vstore(p, Vector(values[0] * values[1] * p.dtype.type(SUMS * UNROLLED * turns)), width)


# numpy_bits.py


def next_uint32(generator):
    """The next 32 random bits of the bit generator whose `bitgen_t` is at this address."""
    table = BitGenerator.from_address(generator)
    function = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)(table.next_uint32)
    return function(table.state)
