"""The three products of a dense layer, as loops over register tiles.

Legend
------
B batch, K inputs of the layer, N its outputs
X (K, B)  inputs, feature by feature        Z (N, B)  net inputs of the units
W (N, K)  weights, unit by unit             D (N, B)  delta, dE/dZ
S (B, K)  the inputs sample by sample

===============  ==================  ==================================================
product          formula             operands: left (scalars), right (vectors)
===============  ==================  ==================================================
net input        Z = W X + bias      rows of W, contiguous; rows of X
weight gradient  dW = D S            rows of D, contiguous; rows of S, in panels
input gradient   dX = W^T D          columns of W, packed a block at a time; rows of D
===============  ==================  ==================================================

All three are ``C[i, j] = sum_p A[i, p] B[p, j]``: A is read a scalar at a time, so its strides
are free; B a vector at a time. A block of rows of C (at most TILE_ROWS) goes through all columns
before the next, so that the rows of A stay in the first cache.

From three loops to this, step by step: ``dense_forward`` of fastbp/plain.py; one row and one
vector of columns in four sums, ``multiply_row``; a tile of rows and vectors in registers,
``multiply_tiles``; tiles for every remainder, ``multiply_rows``; and outside, groups of columns
that stay in the second cache (dense.columns_of_group) and operands that are packed
(transposes.py). Where one of the sizes is so small that a tile would have little in it,
``products_of_rows`` sums along the rows instead.
"""

from typing import Any, NamedTuple

from fastbp.kernels.elementary import times_tanh_slope
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS, VECTOR_REGISTERS
from fastbp.machine.simd import (
    advance,
    lanes,
    load,
    rows_at,
    rows_next,
    splat,
    tile_add_products,
    tile_add_some_products,
    tile_fill,
    tile_fma,
    tile_load,
    tile_relu,
    tile_shape,
    tile_square,
    tile_store,
    tile_sums,
    tile_times_tanh_slope,
    tile_where_positive,
    tile_zeros,
    vload,
    vstore,
    vwhere_greater,
)

FROM_ZERO, FROM_BIAS, FROM_OUTPUT = 0, 1, 2
"""What a product starts from: 0, one bias per row, or what the output holds (it accumulates)."""
AS_IT_IS, RELU_FORWARD, RELU_BACKWARD, TANH_BACKWARD = 0, 1, 2, 3
"""What is done to a tile before it leaves the registers: nothing, ReLU, or the derivative of ReLU
or tanh from the outputs y, which are laid out like C. Other activations cost more than a pass over
memory."""
LONG_ROW = 8
"""Vectors of a tile of a single row: enough sums to keep the processor busy."""


@kernel
def rows_of_block(left, columns, width):
    """Rows of the next block when `left` rows of a product of `columns` columns are left.

    TILE_ROWS where possible. One to three rows have too few sums to keep the processor busy, so
    they are not left alone; and 9 to 11 are cut in two to have fewer shapes to compile. A
    product as narrow as one vector of `width` lanes has half of the sums: there blocks of 8 rows
    are as fast as any of fewer.
    """
    if columns <= width and TILE_ROWS > 8 and left % TILE_ROWS > 0:
        return min(left, 8)
    if left >= TILE_ROWS + 4 or left == TILE_ROWS:
        return TILE_ROWS
    if left > min(TILE_ROWS, 8):
        return left // 2
    return left


class Product(NamedTuple):
    """One product, or the part of it from some row and column on.

    Attributes
    ----------
    c, c_stride : pointer, int
        C, and how far its rows are apart.
    a, a_row, a_step : pointer, int, int
        A, how far its rows are apart, and from one p to the next.
    b, b_step, b_wide : pointer, int, int
        B, how far its rows are apart, and from TILE_VECTORS vectors of columns to the next. Its
        rows are read in whole vectors.
    k : int
        How many p there are.
    start : int
        FROM_ZERO, FROM_BIAS or FROM_OUTPUT.
    bias : pointer
        One value per row of C.
    finish : int
        AS_IT_IS, RELU_FORWARD, RELU_BACKWARD or TANH_BACKWARD.
    y : pointer
        Outputs laid out like C.
    """

    c: Any
    c_stride: int
    a: Any
    a_row: int
    a_step: int
    b: Any
    b_step: int
    b_wide: int
    k: int
    start: int
    bias: Any
    finish: int
    y: Any


@kernel
def from_row(x, i):
    """The product from row i of C on."""
    return Product(
        advance(x.c, i * x.c_stride), x.c_stride, advance(x.a, i * x.a_row), x.a_row, x.a_step,
        x.b, x.b_step, x.b_wide, x.k, x.start, advance(x.bias, i), x.finish,
        advance(x.y, i * x.c_stride),
    )  # fmt: skip


@kernel
def from_column(x, j):
    """The product from column j of C on."""
    wide = TILE_VECTORS * lanes(x.b)
    return Product(
        advance(x.c, j), x.c_stride, x.a, x.a_row, x.a_step,
        advance(x.b, j // wide * x.b_wide + j % wide), x.b_step, x.b_wide, x.k, x.start, x.bias,
        x.finish, advance(x.y, j),
    )  # fmt: skip


@kernel
def multiply_row(x, tail):
    """One row and one vector of columns of C, in four sums, each over every fourth p.

    A single sum would wait for its own last addition each time.
    """
    zero = splat(x.c, 0.0)
    first = zero
    second = zero
    third = zero
    fourth = zero
    if x.start == FROM_BIAS:
        first = splat(x.c, load(x.bias, 0))
    elif x.start == FROM_OUTPUT:
        first = vload(x.c, tail)
    a = x.a
    b = x.b
    for _ in range(x.k // 4):
        first = first + vload(b, tail) * splat(b, load(a, 0))
        second = second + vload(advance(b, x.b_step), tail) * splat(b, load(a, x.a_step))
        a = advance(a, 2 * x.a_step)
        b = advance(b, 2 * x.b_step)
        third = third + vload(b, tail) * splat(b, load(a, 0))
        fourth = fourth + vload(advance(b, x.b_step), tail) * splat(b, load(a, x.a_step))
        a = advance(a, 2 * x.a_step)
        b = advance(b, 2 * x.b_step)
    for _ in range(x.k % 4):
        first = first + vload(b, tail) * splat(b, load(a, 0))
        a = advance(a, x.a_step)
        b = advance(b, x.b_step)
    total = (first + second) + (third + fourth)
    if x.finish == RELU_FORWARD:
        total = vwhere_greater(zero, total, zero, total)
    elif x.finish == RELU_BACKWARD:
        total = vwhere_greater(vload(x.y, tail), zero, total, zero)
    elif x.finish == TANH_BACKWARD:
        total = times_tanh_slope(total, vload(x.y, tail))
    vstore(x.c, total, tail)


@kernel
def multiply_tiles(shape, vectors, x, n):
    """A block of the rows of one tile, and n columns, `vectors` vectors of them per tile.

    The last tile has at least one column in its last vector. The loop over p stands here, all the
    arithmetic in tile_fma. So does the loop over tiles: a call for each tile costs a tenth of a
    product of 32 terms.
    """
    width = lanes(x.c)
    c = x.c
    y = x.y
    columns = x.b
    left = n
    while left > 0:
        tail = left - (vectors - 1) * width
        tile = tile_zeros(shape, c)
        if x.start == FROM_BIAS:
            tile = tile_fill(tile, x.bias)
        elif x.start == FROM_OUTPUT:
            tile = tile_load(tile, c, x.c_stride, tail)
        rows = rows_at(shape, x.a, x.a_row)
        b = columns
        for _ in range(x.k):
            tile = tile_fma(tile, rows, b)
            rows = rows_next(rows, x.a_step)
            b = advance(b, x.b_step)
        if x.finish == RELU_FORWARD:
            tile = tile_relu(tile)
        elif x.finish == RELU_BACKWARD:
            tile = tile_where_positive(tile, y, x.c_stride, tail)
        elif x.finish == TANH_BACKWARD:
            tile = tile_times_tanh_slope(tile, y, x.c_stride, tail)
        tile_store(tile, c, x.c_stride, tail)
        c = advance(c, vectors * width)
        y = advance(y, vectors * width)
        columns = advance(columns, vectors // TILE_VECTORS * x.b_wide)
        left -= vectors * width


@kernel
def multiply_wide(rows, x, n):
    """A block of 4 or more rows and n columns, as in multiply_tiles."""
    if TILE_ROWS > 6:  # known when compiling
        if rows == 12:
            multiply_tiles(tile_shape(12, 2), 2, x, n)
        elif rows == 8:
            multiply_tiles(tile_shape(8, 2), 2, x, n)
        elif rows == 7:
            multiply_tiles(tile_shape(7, 2), 2, x, n)
    if rows == 6:
        multiply_tiles(tile_shape(6, 2), 2, x, n)
    elif rows == 5:
        multiply_tiles(tile_shape(5, 2), 2, x, n)
    elif rows == 4:
        multiply_tiles(tile_shape(4, 2), 2, x, n)


@kernel
def multiply_narrow(rows, x, tail):
    """A block of `rows` rows and one vector of columns with `tail` lanes.

    Only the last columns come here, so a few shapes do, one below the other.
    """
    while rows > 0:
        if TILE_ROWS > 6 and rows >= 12:
            step = 12
            multiply_tiles(tile_shape(12, 1), 1, x, tail)
        elif TILE_ROWS > 6 and rows >= 8:
            step = 8
            multiply_tiles(tile_shape(8, 1), 1, x, tail)
        elif rows >= 4:
            step = 4
            multiply_tiles(tile_shape(4, 1), 1, x, tail)
        else:
            step = 1
            multiply_row(x, tail)
        x = from_row(x, step)
        rows -= step


@kernel
def multiply_once(rows, x, n):
    """A block of `rows` rows and n columns where K is 1: a tile would be all start and end.

    The only row of B is contiguous, also in panels.
    """
    width = lanes(x.c)
    zero = splat(x.c, 0.0)
    for i in range(rows):
        at = i * x.c_stride
        factor = splat(x.c, load(x.a, i * x.a_row))
        start = splat(x.c, load(x.bias, i)) if x.start == FROM_BIAS else zero
        for j in range(0, n, width):
            tail = n - j
            to = advance(x.c, at + j)
            if x.start == FROM_OUTPUT:
                start = vload(to, tail)
            total = vload(advance(x.b, j), tail) * factor + start
            if x.finish == RELU_FORWARD:
                total = vwhere_greater(zero, total, zero, total)
            elif x.finish == RELU_BACKWARD:
                total = vwhere_greater(vload(advance(x.y, at + j), tail), zero, total, zero)
            elif x.finish == TANH_BACKWARD:
                total = times_tanh_slope(total, vload(advance(x.y, at + j), tail))
            vstore(to, total, tail)


@kernel
def multiply_rows(rows, x, n):
    """A block of `rows` rows and all n columns: by wide tiles as far as they go, then narrow."""
    if x.k == 1:
        multiply_once(rows, x, n)
        return
    width = lanes(x.c)
    done = n // (TILE_VECTORS * width) * TILE_VECTORS * width
    if n - done > width:
        done = n
    if rows < 4:
        done = 0
        if rows == 1 and x.b_wide == TILE_VECTORS * width:
            done = n // (LONG_ROW * width) * LONG_ROW * width
            multiply_tiles(tile_shape(1, 8), LONG_ROW, x, done)
    elif done > 0:
        multiply_wide(rows, x, done)
    for j in range(done, n, width):
        multiply_narrow(rows, from_column(x, j), n - j)


@kernel
def long_columns(p, n):
    """Columns in the long part of a row of n: those whose sums `multiply_rows` does not cut."""
    return n // (LONG_ROW * lanes(p)) * LONG_ROW * lanes(p)


@kernel
def multiply_columns(rows, x, n, long):
    """As multiply_rows, for n columns of a product of more, whole tiles but for the last of all.

    `long` of them, the first, are in the long part of the whole product.
    """
    if rows > 1 or x.k == 1:
        multiply_rows(rows, x, n)
        return
    done = long_columns(x.c, long)
    multiply_tiles(tile_shape(1, 8), LONG_ROW, x, done)
    multiply_tiles(tile_shape(1, 2), TILE_VECTORS, from_column(x, done), long - done)
    for j in range(long, n, lanes(x.c)):
        multiply_row(from_column(x, j), n - j)


@kernel
def row_products(a, stride, rows, x, count):
    """Vector of ``sum_p A[i, p] x[p]`` for the first `rows` rows of A, at most one per lane."""
    width = lanes(a)
    shape = tile_square(a)
    sums = tile_zeros(shape, a)
    if rows == width:
        where = rows_at(shape, a, stride)
        whole = count // width * width
        for p in range(0, whole, width):
            sums = tile_add_products(sums, where, vload(advance(x, p), width), width)
            where = rows_next(where, width)
        if whole < count:
            tail = count - whole
            sums = tile_add_products(sums, where, vload(advance(x, whole), tail), tail)
    else:
        for p in range(0, count, width):
            factor = vload(advance(x, p), count - p)
            sums = tile_add_some_products(sums, advance(a, p), stride, factor, rows, count - p)
    return tile_sums(sums)


@kernel
def row_products_of_two(out, a, stride, x, y, count):
    """Vectors of ``sum_p A[i, p] x[p]`` and of ``sum_p A[i, p] y[p]``, one row of A per lane.

    The rows of A are read once for both. A single row of sums would also wait for itself where
    a vector has few lanes.
    """
    width = lanes(a)
    shape = tile_square(a)
    first = tile_zeros(shape, a)
    second = tile_zeros(shape, a)
    where = rows_at(shape, a, stride)
    whole = count // width * width
    for p in range(0, whole, width):
        u = vload(advance(x, p), width)
        v = vload(advance(y, p), width)
        first = tile_add_products(first, where, u, width)
        second = tile_add_products(second, where, v, width)
        where = rows_next(where, width)
    if whole < count:
        tail = count - whole
        u = vload(advance(x, whole), tail)
        v = vload(advance(y, whole), tail)
        first = tile_add_products(first, where, u, tail)
        second = tile_add_products(second, where, v, tail)
    vstore(out, tile_sums(first), width)
    vstore(advance(out, width), tile_sums(second), width)


@kernel
def next_row_products(out, a, stride, rows, x, x_stride, left, count):
    """Vectors in `out` of the sums with the next row, or two, of X; returns how many rows.

    `left` rows of X are left, of `count` values each; A has `rows` rows, at most one per lane.
    """
    if 4 * lanes(a) <= VECTOR_REGISTERS:  # known when compiling
        if rows == lanes(a) and left > 1:
            row_products_of_two(out, a, stride, x, advance(x, x_stride), count)
            return 2
    vstore(out, row_products(a, stride, rows, x, count), lanes(a))
    return 1


@kernel
def products_of_rows(out, a, stride, n, x, count, start, before):
    """``out[i] = sum_p A[i, p] x[p]`` for n rows of A, plus ``before[i]`` unless FROM_ZERO."""
    width = lanes(a)
    for i in range(0, n, width):
        rows = min(width, n - i)
        total = row_products(advance(a, i * stride), stride, rows, x, count)
        if start != FROM_ZERO:
            total = total + vload(advance(before, i), rows)
        vstore(advance(out, i), total, rows)


@kernel
def outer_product(c, a, m, b, n, start):
    """``C[i, j] = a[i] b[j]`` for m rows of n, one after the other; added to C if FROM_OUTPUT."""
    width = lanes(c)
    for j in range(0, n, width):
        tail = n - j
        p = advance(c, j)
        x = vload(advance(b, j), tail)
        for i in range(m):
            product = x * splat(x, load(a, i))
            if start == FROM_OUTPUT:
                product = product + vload(p, tail)
            vstore(p, product, tail)
            p = advance(p, n)
