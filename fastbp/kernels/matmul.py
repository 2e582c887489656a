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
"""

from fastbp._jit import kernel
from fastbp.simd import (
    advance,
    lanes,
    load,
    rows_at,
    rows_next,
    store,
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
    tile_transpose,
    tile_where_positive,
    tile_zeros,
    vload,
    vstore,
)
from fastbp.target import TILE_ROWS, TILE_VECTORS

FROM_ZERO, FROM_BIAS, FROM_OUTPUT = 0, 1, 2
"""What a product starts from: 0, one bias a row, or what the output holds (it accumulates)."""
AS_IT_IS, RELU_FORWARD, RELU_BACKWARD = 0, 1, 2
"""What is done to a tile before it leaves the registers: nothing, ReLU, or ReLU's derivative from
the outputs y, which are laid out like C. Other activations cost more than a pass over memory."""


@kernel
def rows_of_block(left):
    """Rows of the next block when `left` rows are left.

    TILE_ROWS where possible. One to three rows have too few sums to keep the processor busy, so
    they are not left alone; and 9 to 11 are cut in two to have fewer shapes to compile.
    """
    if left >= TILE_ROWS + 4 or left == TILE_ROWS:
        return TILE_ROWS
    if left > min(TILE_ROWS, 8):
        return left // 2
    return left


@kernel
def multiply_tile(shape, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail):
    """One tile of C: the loop over p stands here, all the arithmetic in tile_fma."""
    tile = tile_zeros(shape, c)
    if start == FROM_BIAS:
        tile = tile_fill(tile, bias)
    elif start == FROM_OUTPUT:
        tile = tile_load(tile, c, c_stride, tail)
    rows = rows_at(shape, a, a_row)
    for _ in range(k):
        tile = tile_fma(tile, rows, b, tail)
        rows, b = rows_next(rows, a_step), advance(b, b_step)
    if finish == RELU_FORWARD:
        tile = tile_relu(tile)
    elif finish == RELU_BACKWARD:
        tile = tile_where_positive(tile, y, c_stride, tail)
    tile_store(tile, c, c_stride, tail)


@kernel
def multiply_wide(rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail):
    """A block of `rows` rows and two vectors of columns, the second with `tail` lanes."""
    if TILE_ROWS > 6:  # known when compiling
        if rows == 12:
            multiply_tile(
                tile_shape(12, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
            )  # fmt: skip
        elif rows == 8:
            multiply_tile(
                tile_shape(8, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
            )  # fmt: skip
        elif rows == 7:
            multiply_tile(
                tile_shape(7, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
            )  # fmt: skip
    if rows == 6:
        multiply_tile(
            tile_shape(6, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
        )  # fmt: skip
    elif rows == 5:
        multiply_tile(
            tile_shape(5, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
        )  # fmt: skip
    elif rows == 4:
        multiply_tile(
            tile_shape(4, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
        )  # fmt: skip
    elif rows == 3:
        multiply_tile(
            tile_shape(3, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
        )  # fmt: skip
    elif rows == 2:
        multiply_tile(
            tile_shape(2, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
        )  # fmt: skip
    elif rows == 1:
        multiply_tile(
            tile_shape(1, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail
        )  # fmt: skip


@kernel
def multiply_narrow(rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, tail):
    """A block of `rows` rows and one vector of columns with `tail` lanes.

    Only the last columns come here, so a few shapes do, one below the other.
    """
    done = 0
    while done < rows:
        left = rows - done
        ci = advance(c, done * c_stride)
        ai = advance(a, done * a_row)
        bi, yi = advance(bias, done), advance(y, done * c_stride)
        if TILE_ROWS > 6 and left == 12:
            step = 12
            multiply_tile(
                tile_shape(12, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, finish, yi, tail
            )  # fmt: skip
        elif left >= 8:
            step = 8
            multiply_tile(
                tile_shape(8, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, finish, yi, tail
            )  # fmt: skip
        elif left >= 4:
            step = 4
            multiply_tile(
                tile_shape(4, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, finish, yi, tail
            )  # fmt: skip
        elif left >= 2:
            step = 2
            multiply_tile(
                tile_shape(2, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, finish, yi, tail
            )  # fmt: skip
        else:
            step = 1
            multiply_tile(
                tile_shape(1, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, finish, yi, tail
            )  # fmt: skip
        done += step


@kernel
def multiply_rows(rows, c, c_stride, a, a_row, a_step, b, b_step, n, k, start, bias, finish, y):
    """A block of `rows` rows and all n columns."""
    width = lanes(c)
    for j in range(0, n, TILE_VECTORS * width):
        multiply_block(
            rows, advance(c, j), c_stride, a, a_row, a_step, advance(b, j), b_step, n - j, k,
            start, bias, finish, advance(y, j),
        )  # fmt: skip


@kernel
def multiply_block(rows, c, c_stride, a, a_row, a_step, b, b_step, left, k, start, bias, finish, y):
    """A block of `rows` rows and the next two vectors of columns, `left` columns at most."""
    width = lanes(c)
    if left > width:
        multiply_wide(
            rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, left - width
        )
    else:
        multiply_narrow(rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, finish, y, left)


@kernel
def pack_columns(packed, a, a_step, rows, k):
    """``packed[p, r] = a[p, r]`` for a block of `rows` columns; rows of TILE_ROWS in `packed`.

    The input gradient reads W by columns: a line of the cache holds a block's `rows` weights
    of one unit, and for wide layers such lines fall on each other in the cache. Packed, they
    are read once.
    """
    width = lanes(a)
    for p in range(k):
        for r in range(0, rows, width):
            vstore(advance(packed, r), vload(advance(a, r), rows - r), rows - r)
        packed = advance(packed, TILE_ROWS)
        a = advance(a, a_step)


@kernel
def transpose_small(out, out_stride, source, source_rows, m, n):
    """As `transpose`, number by number."""
    for i in range(m):
        row = advance(source, load(source_rows, i))
        for j in range(n):
            store(out, j * out_stride + i, load(row, j))


@kernel
def transpose(out, out_stride, source, source_rows, m, n):
    """``out[j, i] = source[i, j]`` for m rows, found through offsets, of n columns."""
    if m < 4 or n < 4:
        transpose_small(out, out_stride, source, source_rows, m, n)
        return
    width = lanes(source)
    shape = tile_square(source)
    for i in range(0, m, width):
        rows = advance(source_rows, i)
        for j in range(0, n, width):
            block = advance(out, j * out_stride + i)
            if m - i >= width and n - j >= width:
                tile = tile_gather_whole(shape, advance(source, j), rows)
                tile_store(tile_transpose(tile), block, out_stride, width)
            else:
                tile = tile_gather(shape, advance(source, j), rows, m - i, n - j)
                tile_put(tile_transpose(tile), block, out_stride, n - j, m - i)
