"""Numba types of the register primitives, and the pieces of LLVM IR that they share."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from fastbp.machine.processor import HAS_FMA, VECTOR_BITS

I1 = ir.IntType(1)
I32 = ir.IntType(32)
I64 = ir.IntType(64)
ARITHMETIC_FLAGS = ("contract", "nsz", "arcp", "afn")


def lanes_of(dtype: types.Type) -> int:
    """How many values of `dtype` one vector register holds."""
    return VECTOR_BITS // dtype.bitwidth


class TileShape(types.Type):
    """The shape of a tile, known at compile time; a value of it holds nothing."""

    def __init__(self, rows: int, vectors: int) -> None:
        self.rows = rows
        self.vectors = vectors
        super().__init__(name=f"TileShape({rows}, {vectors})")


class Tile(types.Type):
    """``rows x vectors`` vector registers of `dtype`."""

    def __init__(self, rows: int, vectors: int, dtype: types.Type) -> None:
        self.rows = rows
        self.vectors = vectors
        self.dtype = dtype
        self.lanes = lanes_of(dtype)
        super().__init__(name=f"Tile({rows}, {vectors}, {self.lanes} x {dtype})")


class Rows(types.Type):
    """Where the rows of a tile's left operand stand: one address for each four of them."""

    def __init__(self, rows: int, dtype: types.Type) -> None:
        self.rows = rows
        self.dtype = dtype
        self.groups = (rows + 3) // 4
        super().__init__(name=f"Rows({rows}, {dtype})")


class Vector(types.Type):
    """One vector register of `dtype`."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        self.lanes = lanes_of(dtype)
        super().__init__(name=f"Vector({self.lanes} x {dtype})")


class Lane(Vector):
    """One number of `dtype` that functions of vectors take, too; LLVM vectorises loops of them."""

    def __init__(self, dtype: types.Type) -> None:
        types.Type.__init__(self, name=f"Lane({dtype})")
        self.dtype = dtype
        self.lanes = 1


def element(dtype):
    """LLVM's type of one value of a Numba dtype."""
    return ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()


def vector_type(t):
    """LLVM's type of one register of a tile or vector, or of a lane."""
    return element(t.dtype) if t.lanes == 1 else ir.VectorType(element(t.dtype), t.lanes)


register_model(TileShape)(models.OpaqueModel)


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, manager, t):
        super().__init__(manager, t, ir.ArrayType(vector_type(t), t.rows * t.vectors))


@register_model(Rows)
class _RowsModel(models.PrimitiveModel):
    def __init__(self, manager, t):
        addresses = [element(t.dtype).as_pointer()] * t.groups
        super().__init__(manager, t, ir.LiteralStructType([*addresses, I64, I64]))


@register_model(Vector)
@register_model(Lane)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, t):
        super().__init__(manager, t, vector_type(t))


def integer(value, width=64):
    """An integer constant."""
    return ir.Constant(ir.IntType(width), value)


def all_lanes(t, value):
    """A vector constant with the same value in every lane."""
    return ir.Constant(vector_type(t), value if t.lanes == 1 else [value] * t.lanes)


def broadcast(builder, x, lanes):
    """A vector with x in every lane."""
    if lanes == 1:
        return x
    undefined = ir.Constant(ir.VectorType(x.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, x, integer(0, 32))
    return builder.shuffle_vector(
        first, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    )


def call(builder, name, returns, args):
    """Call an LLVM intrinsic by name."""
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(returns, [a.type for a in args])
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, args)


def local(builder, value):
    """Address of a variable in the function's frame that holds a value."""
    with builder.goto_entry_block():
        address = builder.alloca(value.type)
    builder.store(value, address)
    return address


def by_lane(builder, t, name, args):
    """Call an LLVM intrinsic that works by lane, named without its type.

    Where a processor has no fma, which rounds once, products and sums are rounded apart.
    """
    if name == "fma" and not HAS_FMA:
        name = "fmuladd"
    count = "" if t.lanes == 1 else f"v{t.lanes}"
    return call(builder, f"llvm.{name}.{count}f{t.dtype.bitwidth}", vector_type(t), args)


def lane_mask(builder, lanes, tail):
    """Lanes below `tail`, which is 0 or more."""
    low = builder.select(
        builder.icmp_signed("<", tail, integer(lanes)), builder.trunc(tail, I32), integer(lanes, 32)
    )
    lane = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return builder.icmp_signed("<", lane, broadcast(builder, low, lanes))


def load_vector(builder, t, address, mask=None):
    """Load a vector, 0 in the lanes outside the mask, which are not read."""
    where = builder.bitcast(address, vector_type(t).as_pointer())
    align = t.dtype.bitwidth // 8
    if mask is None:
        return builder.load(where, align=align)
    name = f"llvm.masked.load.v{t.lanes}f{t.dtype.bitwidth}.p0"
    return call(builder, name, vector_type(t), [where, integer(align, 32), mask, all_lanes(t, 0.0)])


def store_vector(builder, t, value, address, mask=None):
    """Store the lanes of a vector inside the mask."""
    where = builder.bitcast(address, vector_type(t).as_pointer())
    align = t.dtype.bitwidth // 8
    if mask is None:
        builder.store(value, where, align=align)
        return
    name = f"llvm.masked.store.v{t.lanes}f{t.dtype.bitwidth}.p0"
    call(builder, name, ir.VoidType(), [value, where, integer(align, 32), mask])


def opaque(builder, x):
    """Hide how `x` was computed, at no cost.

    Otherwise LLVM rewrites the addresses of a tile's rows as one long chain of additions, and
    the loop waits for the chain (measured: 60 % of the peak instead of 95 %).
    """
    return builder.asm(ir.FunctionType(x.type, [x.type]), "", "=r,0", [x], False)
