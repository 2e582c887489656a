"""Copies, transposes and packing: how the operands of a product are laid out."""

from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS
from fastbp.machine.simd import (
    advance,
    lanes,
    load,
    store,
    tile_gather,
    tile_gather_whole,
    tile_put,
    tile_square,
    tile_store,
    tile_transpose,
    vload,
    vstore,
)


@kernel
def copy(out, source, count):
    """``out[:count] = source[:count]``."""
    for i in range(0, count, lanes(out)):
        vstore(advance(out, i), vload(advance(source, i), count - i), count - i)


@kernel
def fill_columns(out, x, stride, n, batch):
    """The vector x in all columns of n rows, padded to whole vectors."""
    if stride == 1:  # a single sample
        batch = n
        n = 1
    for i in range(n):
        for b in range(0, batch, lanes(out)):
            vstore(advance(out, i * stride + b), x, lanes(out))


@kernel
def transpose_small(out, out_stride, source, source_rows, m, n):
    """The same as `transpose`, one element at a time."""
    for i in range(m):
        row = advance(source, load(source_rows, i))
        for j in range(n):
            store(out, j * out_stride + i, load(row, j))


@kernel
def transpose_blocks(out, out_stride, source, source_rows, m, n, panel, panel_rows):
    """As `transpose`, by square tiles; the rows are also copied into panels of `panel_rows` rows.

    Each panel holds the next TILE_VECTORS vectors of columns of all rows. No copy if it has none.
    """
    width = lanes(source)
    shape = tile_square(source)
    wide = TILE_VECTORS * width
    for i in range(0, m, width):
        rows = advance(source_rows, i)
        copy_to = advance(panel, i * wide)
        for j in range(0, n, width):
            block = advance(out, j * out_stride + i)
            to = advance(copy_to, j // wide * wide * panel_rows + j % wide)
            if m - i >= width and n - j >= width:
                tile = tile_gather_whole(shape, advance(source, j), rows)
                if panel_rows > 0:
                    tile_store(tile, to, wide, width)
                tile_store(tile_transpose(tile), block, out_stride, width)
            else:
                tile = tile_gather(shape, advance(source, j), rows, m - i, n - j)
                if panel_rows > 0:
                    tile_put(tile, to, wide, m - i, width)
                tile_put(tile_transpose(tile), block, out_stride, n - j, m - i)


@kernel
def transpose(out, out_stride, source, source_rows, m, n):
    """``out[j, i] = source[i, j]`` for m rows, found through offsets, of n columns."""
    if m < 4 or n < 4:
        transpose_small(out, out_stride, source, source_rows, m, n)
    else:
        transpose_blocks(out, out_stride, source, source_rows, m, n, out, 0)


@kernel
def pack_columns(packed, a, a_step, rows, k):
    """``packed[p, r] = a[p, r]`` for a block of `rows` columns; rows of TILE_ROWS in `packed`.

    The input gradient reads W by columns: a line of the cache holds a block's `rows` weights
    of one unit, and for wide layers such lines fall on each other in the cache. Packed, they
    are read once. As long as nothing behind a's last row is read, whole vectors are copied: each
    row of `packed` overwrites what the one before has put behind its end.
    """
    width = lanes(a)
    span = (TILE_ROWS + width - 1) // width * width
    whole = max(0, min(k, k - (span - rows + a_step - 1) // a_step))
    for _ in range(whole):
        for r in range(0, TILE_ROWS, width):
            vstore(advance(packed, r), vload(advance(a, r), width), width)
        packed = advance(packed, TILE_ROWS)
        a = advance(a, a_step)
    for _ in range(k - whole):
        for r in range(0, rows, width):
            vstore(advance(packed, r), vload(advance(a, r), rows - r), rows - r)
        packed = advance(packed, TILE_ROWS)
        a = advance(a, a_step)
