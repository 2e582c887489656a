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
weight gradient  dW = D S            rows of D, contiguous; rows of S, a panel at a time
input gradient   dX = W^T D          columns of W, packed a block at a time; rows of D
===============  ==================  ==================================================

All three are ``C[i, j] = sum_p A[i, p] B[p, j]``: A is read a scalar at a time, so its strides
are free; B a vector at a time. The first cache holds the smaller operand: the rows of A of one
block of C in the net input and the input gradient, a panel of B (all samples, two vectors of
columns) in the weight gradient.
"""

from fastbp._jit import kernel
from fastbp.simd import (
    advance,
    lanes,
    load,
    rows_at,
    rows_next,
    tile_fill,
    tile_fma,
    tile_gather,
    tile_gather_whole,
    tile_load,
    tile_put,
    tile_shape,
    tile_square,
    tile_store,
    tile_transpose,
    tile_zeros,
    vload,
    vstore,
)
from fastbp.target import TILE_ROWS, TILE_VECTORS

FROM_ZERO, FROM_BIAS, FROM_OUTPUT = 0, 1, 2
"""What a product starts from: 0, one bias a row, or what the output holds (it accumulates)."""


@kernel
def rows_of_block(left):
    """Rows of the next block when `left` rows are left: TILE_ROWS, or what is left.

    One to three rows have too few sums to keep the processor busy, so they are not left alone:
    the last two blocks share their rows.
    """
    if left <= TILE_ROWS:
        return left
    if left < TILE_ROWS + 4:
        return left // 2
    return TILE_ROWS


@kernel
def multiply_tile(shape, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail):
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
    tile_store(tile, c, c_stride, tail)


@kernel
def multiply_wide(rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail):
    """A block of `rows` rows and two vectors of columns, the second with `tail` lanes."""
    if TILE_ROWS > 6:  # known when compiling
        if rows == 12:
            multiply_tile(
                tile_shape(12, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
            )  # fmt: skip
        elif rows == 11:
            multiply_tile(
                tile_shape(11, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
            )  # fmt: skip
        elif rows == 10:
            multiply_tile(
                tile_shape(10, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
            )  # fmt: skip
        elif rows == 9:
            multiply_tile(
                tile_shape(9, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
            )  # fmt: skip
        elif rows == 8:
            multiply_tile(
                tile_shape(8, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
            )  # fmt: skip
        elif rows == 7:
            multiply_tile(
                tile_shape(7, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
            )  # fmt: skip
    if rows == 6:
        multiply_tile(
            tile_shape(6, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
        )  # fmt: skip
    elif rows == 5:
        multiply_tile(
            tile_shape(5, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
        )  # fmt: skip
    elif rows == 4:
        multiply_tile(
            tile_shape(4, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
        )  # fmt: skip
    elif rows == 3:
        multiply_tile(
            tile_shape(3, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
        )  # fmt: skip
    elif rows == 2:
        multiply_tile(
            tile_shape(2, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
        )  # fmt: skip
    elif rows == 1:
        multiply_tile(
            tile_shape(1, 2), c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail
        )  # fmt: skip


@kernel
def multiply_narrow(rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, tail):
    """A block of `rows` rows and one vector of columns with `tail` lanes.

    Only the last columns come here, so a few shapes do, one below the other.
    """
    done = 0
    while done < rows:
        left = rows - done
        ci = advance(c, done * c_stride)
        ai = advance(a, done * a_row)
        bi = advance(bias, done)
        if TILE_ROWS > 6 and left == 12:
            step = 12
            multiply_tile(
                tile_shape(12, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, tail
            )  # fmt: skip
        elif left >= 8:
            step = 8
            multiply_tile(
                tile_shape(8, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, tail
            )  # fmt: skip
        elif left >= 4:
            step = 4
            multiply_tile(
                tile_shape(4, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, tail
            )  # fmt: skip
        elif left >= 2:
            step = 2
            multiply_tile(
                tile_shape(2, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, tail
            )  # fmt: skip
        else:
            step = 1
            multiply_tile(
                tile_shape(1, 1), ci, c_stride, ai, a_row, a_step, b, b_step, k, start, bi, tail
            )  # fmt: skip
        done += step


@kernel
def multiply_rows(rows, c, c_stride, a, a_row, a_step, b, b_step, n, k, start, bias):
    """A block of `rows` rows and all n columns."""
    width = lanes(c)
    for j in range(0, n, TILE_VECTORS * width):
        multiply_block(
            rows, advance(c, j), c_stride, a, a_row, a_step, advance(b, j), b_step, n - j, k,
            start, bias,
        )  # fmt: skip


@kernel
def multiply_block(rows, c, c_stride, a, a_row, a_step, b, b_step, left, k, start, bias):
    """A block of `rows` rows and the next two vectors of columns, `left` columns at most."""
    width = lanes(c)
    if left > width:
        multiply_wide(
            rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, left - width
        )
    else:
        multiply_narrow(rows, c, c_stride, a, a_row, a_step, b, b_step, k, start, bias, left)


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
def transpose(out, out_stride, source, source_rows, m, n):
    """``out[j, i] = source[i, j]`` for m rows, found through offsets, of n columns."""
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


@kernel
def copy_rows(out, out_stride, source, source_rows, m, n):
    """``out[i, j] = source[i, j]`` for m rows, found through offsets, of n columns."""
    width = lanes(source)
    for i in range(m):
        row, to = advance(source, load(source_rows, i)), advance(out, i * out_stride)
        for j in range(0, n, width):
            vstore(advance(to, j), vload(advance(row, j), n - j), n - j)
