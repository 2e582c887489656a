"""Register tiles: ``rows x vectors`` vector registers that hold a block of a matrix."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.types import (
    I32,
    Rows,
    Tile,
    TileShape,
    Vector,
    all_lanes,
    broadcast,
    by_lane,
    integer,
    lane_mask,
    lanes_of,
    load_vector,
    opaque,
    store_vector,
)

__all__ = [
    "rows_at",
    "rows_next",
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
]


@intrinsic(prefer_literal=True)
def tile_shape(typingctx, rows, vectors):
    """Shape of a tile; both arguments are literals."""
    shape = TileShape(rows.literal_value, vectors.literal_value)

    def codegen(context, builder, sig, args):
        return context.get_dummy_value()

    return shape(rows, vectors), codegen


@intrinsic
def tile_square(typingctx, p):
    """Shape of a square tile of p's dtype: the same number of rows as a vector has lanes."""

    def codegen(context, builder, sig, args):
        return context.get_dummy_value()

    return TileShape(lanes_of(p.dtype), 1)(p), codegen


@intrinsic
def tile_zeros(typingctx, shape, p):
    """Tile of zeros, of the dtype that `p` points to."""
    tile = Tile(shape.rows, shape.vectors, p.dtype)

    def codegen(context, builder, sig, args):
        return ir.Constant(context.get_value_type(tile), None)

    return tile(shape, p), codegen


@intrinsic
def tile_fill(typingctx, tile, p):
    """Tile whose row r holds ``p[r]`` in every lane."""

    def codegen(context, builder, sig, args):
        value, address = args
        for r in range(tile.rows):
            x = broadcast(builder, builder.load(builder.gep(address, [integer(r)])), tile.lanes)
            for j in range(tile.vectors):
                value = builder.insert_value(value, x, r * tile.vectors + j)
        return value

    return tile(tile, p), codegen


@intrinsic
def rows_at(typingctx, shape, a, stride):
    """Rows a, a + stride, a + 2 stride, ... of a tile's left operand."""
    rows = Rows(shape.rows, a.dtype)

    def codegen(context, builder, sig, args):
        _, address, step = args
        value = ir.Constant(context.get_value_type(rows), ir.Undefined)
        for g in range(rows.groups):
            at = address
            if g:
                at = opaque(builder, builder.gep(address, [builder.mul(step, integer(4 * g))]))
            value = builder.insert_value(value, at, g)
        value = builder.insert_value(value, step, rows.groups)
        thrice = opaque(builder, builder.mul(step, integer(3)))
        return builder.insert_value(value, thrice, rows.groups + 1)

    return rows(shape, a, types.intp), codegen


@intrinsic
def rows_next(typingctx, rows, step):
    """The same rows `step` elements further."""

    def codegen(context, builder, sig, args):
        value, by = args
        for g in range(rows.groups):
            at = opaque(builder, builder.gep(builder.extract_value(value, g), [by]))
            value = builder.insert_value(value, at, g)
        return value

    return rows(rows, types.intp), codegen


def _row_offsets(builder, rows, where):
    """Offsets of the four rows of a group from its address."""
    step = builder.extract_value(where, rows.groups)
    thrice = builder.extract_value(where, rows.groups + 1)
    return [None, step, builder.add(step, step), thrice]


def _row(builder, where, offsets, r):
    """Address of row r."""
    at = builder.extract_value(where, r // 4)
    return builder.gep(at, [offsets[r % 4]]) if r % 4 else at


@intrinsic
def tile_fma(typingctx, tile, rows, b):
    """``tile[r, :] += rows[r] * b[:]``: one scalar a row times consecutive vectors at `b`.

    The vectors are read whole: a load with a mask takes a turn on the ports that multiply (4 %
    of a product). What stands behind the columns of B ends in the lanes behind those of C.
    """

    def codegen(context, builder, sig, args):
        value, where, address = args
        right = [
            load_vector(builder, tile, builder.gep(address, [integer(j * tile.lanes)]))
            for j in range(tile.vectors)
        ]
        offsets = _row_offsets(builder, rows, where)
        for r in range(tile.rows):
            at = _row(builder, where, offsets, r)
            x = broadcast(builder, builder.load(at), tile.lanes)
            for j in range(tile.vectors):
                index = r * tile.vectors + j
                sum_ = builder.extract_value(value, index)
                sum_ = by_lane(builder, tile, "fma", [x, right[j], sum_])
                value = builder.insert_value(value, sum_, index)
        return value

    return tile(tile, rows, b), codegen


@intrinsic
def tile_load(typingctx, tile, c, stride, tail):
    """Tile read from rows `stride` apart at `c`."""

    def codegen(context, builder, sig, args):
        value, address, step, tail = args
        mask = lane_mask(builder, tile.lanes, tail)
        for r in range(tile.rows):
            for j in range(tile.vectors):
                at = builder.gep(address, [integer(j * tile.lanes)])
                x = load_vector(builder, tile, at, mask if j == tile.vectors - 1 else None)
                value = builder.insert_value(value, x, r * tile.vectors + j)
            address = builder.gep(address, [step])
        return value

    return tile(tile, c, types.intp, types.intp), codegen


@intrinsic
def tile_store(typingctx, tile, c, stride, tail):
    """Write the tile to rows `stride` apart at `c`."""

    def codegen(context, builder, sig, args):
        value, address, step, tail = args
        mask = lane_mask(builder, tile.lanes, tail)
        for r in range(tile.rows):
            for j in range(tile.vectors):
                at = builder.gep(address, [integer(j * tile.lanes)])
                x = builder.extract_value(value, r * tile.vectors + j)
                store_vector(builder, tile, x, at, mask if j == tile.vectors - 1 else None)
            address = builder.gep(address, [step])
        return context.get_dummy_value()

    return types.void(tile, c, types.intp, types.intp), codegen


@intrinsic
def tile_relu(typingctx, tile):
    """``max(tile, 0)``; NaN stays NaN."""

    def codegen(context, builder, sig, args):
        value = args[0]
        zero = all_lanes(tile, 0.0)
        for index in range(tile.rows * tile.vectors):
            x = builder.extract_value(value, index)
            x = builder.select(builder.fcmp_ordered("<", x, zero), zero, x)
            value = builder.insert_value(value, x, index)
        return value

    return tile(tile), codegen


def _beside(builder, tile, args, combine):
    """Combine each vector of a tile with that of y; `args` are those of `tile_where_positive`."""
    value, address, step, tail = args
    mask = lane_mask(builder, tile.lanes, tail)
    for r in range(tile.rows):
        for j in range(tile.vectors):
            at = builder.gep(address, [integer(j * tile.lanes)])
            y = load_vector(builder, tile, at, mask if j == tile.vectors - 1 else None)
            x = combine(builder.extract_value(value, r * tile.vectors + j), y)
            value = builder.insert_value(value, x, r * tile.vectors + j)
        address = builder.gep(address, [step])
    return value


@intrinsic
def tile_where_positive(typingctx, tile, y, stride, tail):
    """The tile where ``y > 0``, else 0; the rows of y are `stride` apart."""

    def codegen(context, builder, sig, args):
        zero = all_lanes(tile, 0.0)
        return _beside(
            builder, tile, args,
            lambda x, y: builder.select(builder.fcmp_ordered(">", y, zero), x, zero),
        )  # fmt: skip

    return tile(tile, y, types.intp, types.intp), codegen


@intrinsic
def tile_times_tanh_slope(typingctx, tile, y, stride, tail):
    """The tile times ``1 - y^2`` as in `elementary.times_tanh_slope`; y has rows `stride` apart."""

    def codegen(context, builder, sig, args):
        def combine(x, y):
            if tile.dtype.bitwidth == 32:
                one = all_lanes(tile, 1.0)
                return builder.fmul(x, by_lane(builder, tile, "fma", [builder.fneg(y), y, one]))
            return by_lane(builder, tile, "fma", [builder.fneg(x), builder.fmul(y, y), x])

        return _beside(builder, tile, args, combine)

    return tile(tile, y, types.intp, types.intp), codegen


@intrinsic
def tile_gather(typingctx, shape, source, offsets, count, tail):
    """Tile of `count` rows read at ``source + offsets[r]``; the other rows are zeros."""
    tile = Tile(shape.rows, 1, source.dtype)

    def codegen(context, builder, sig, args):
        _, address, table, count, tail = args
        value = ir.Constant(context.get_value_type(tile), None)
        last = builder.sub(count, integer(1))
        for r in range(tile.rows):
            inside = builder.icmp_signed("<", integer(r), count)
            row = builder.load(builder.gep(table, [builder.select(inside, integer(r), last)]))
            mask = lane_mask(builder, tile.lanes, builder.select(inside, tail, integer(0)))
            x = load_vector(builder, tile, builder.gep(address, [row]), mask)
            value = builder.insert_value(value, x, r)
        return value

    return tile(shape, source, offsets, types.intp, types.intp), codegen


@intrinsic
def tile_gather_whole(typingctx, shape, source, offsets):
    """Tile with all its rows, read whole at ``source + offsets[r]``."""
    tile = Tile(shape.rows, 1, source.dtype)

    def codegen(context, builder, sig, args):
        _, address, table = args
        value = ir.Constant(context.get_value_type(tile), None)
        for r in range(tile.rows):
            row = builder.load(builder.gep(table, [integer(r)]))
            x = load_vector(builder, tile, builder.gep(address, [row]))
            value = builder.insert_value(value, x, r)
        return value

    return tile(shape, source, offsets), codegen


@intrinsic
def tile_put(typingctx, tile, c, stride, count, tail):
    """Write the first `count` rows of a tile of one vector a row at `c`."""

    def codegen(context, builder, sig, args):
        value, address, step, count, tail = args
        mask = lane_mask(builder, tile.lanes, tail)
        for r in range(tile.rows):
            with builder.if_then(builder.icmp_signed("<", integer(r), count), likely=True):
                store_vector(builder, tile, builder.extract_value(value, r), address, mask)
            address = builder.gep(address, [step])
        return context.get_dummy_value()

    return types.void(tile, c, types.intp, types.intp, types.intp), codegen


def _exchange(width, lanes):
    """Shuffles that swap the off-diagonal width x width blocks of two rows `width` apart."""
    low = [i if not i & width else i - width + lanes for i in range(lanes)]
    high = [i + width if not i & width else i + lanes for i in range(lanes)]
    return [ir.Constant(ir.VectorType(I32, lanes), order) for order in (low, high)]


@intrinsic
def tile_transpose(typingctx, tile):
    """The transpose of a square tile: one vector per row, and one row per lane."""

    def codegen(context, builder, sig, args):
        value = args[0]
        width = 1
        rows = [builder.extract_value(value, r) for r in range(tile.rows)]
        while width < tile.rows:
            low, high = _exchange(width, tile.lanes)
            for r in range(tile.rows):
                if not r & width:
                    x = rows[r]
                    y = rows[r + width]
                    rows[r] = builder.shuffle_vector(x, y, low)
                    rows[r + width] = builder.shuffle_vector(x, y, high)
            width *= 2
        for r, row in enumerate(rows):
            value = builder.insert_value(value, row, r)
        return value

    return tile(tile), codegen


@intrinsic
def tile_add_products(typingctx, tile, rows, x, tail):
    """Add to a tile of one vector a row the values at its `rows`, times `x`, below `tail`."""

    def codegen(context, builder, sig, args):
        value, where, factor, tail = args
        mask = lane_mask(builder, tile.lanes, tail)
        offsets = _row_offsets(builder, rows, where)
        for r in range(tile.rows):
            values = load_vector(builder, tile, _row(builder, where, offsets, r), mask)
            sum_ = builder.extract_value(value, r)
            sum_ = by_lane(builder, tile, "fma", [values, factor, sum_])
            value = builder.insert_value(value, sum_, r)
        return value

    return tile(tile, rows, x, types.intp), codegen


@intrinsic
def tile_add_some_products(typingctx, tile, a, stride, x, count, tail):
    """As tile_add_products for the first `count` rows, `stride` apart at `a`; others are not read.

    The values of the other rows are undefined.
    """

    def codegen(context, builder, sig, args):
        value, address, step, factor, count, tail = args
        mask = lane_mask(builder, tile.lanes, tail)
        last = builder.sub(count, integer(1))
        for r in range(tile.rows):
            row = builder.select(builder.icmp_signed("<", integer(r), count), integer(r), last)
            at = builder.gep(address, [builder.mul(row, step)])
            values = load_vector(builder, tile, at, mask)
            sum_ = builder.extract_value(value, r)
            sum_ = by_lane(builder, tile, "fma", [values, factor, sum_])
            value = builder.insert_value(value, sum_, r)
        return value

    return tile(tile, a, types.intp, x, types.intp, types.intp), codegen


@intrinsic
def tile_sums(typingctx, tile):
    """Vector of the sums of the rows of a square tile, by halves."""
    vector = Vector(tile.dtype)

    def codegen(context, builder, sig, args):
        rows = [builder.extract_value(args[0], r) for r in range(tile.rows)]
        width = 1
        while len(rows) > 1:
            low, high = _exchange(width, tile.lanes)
            rows = [
                builder.fadd(builder.shuffle_vector(x, y, low), builder.shuffle_vector(x, y, high))
                for x, y in zip(rows[::2], rows[1::2], strict=True)
            ]
            width *= 2
        return rows[0]

    return vector(tile), codegen
