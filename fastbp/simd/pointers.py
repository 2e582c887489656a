"""Addresses in flat buffers: a pointer costs one register to pass and carries no reference."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.simd.base import (
    call,
    integer,
)


@intrinsic
def pointer(typingctx, array, index):
    """Address of ``array[index]``; `array` is C-contiguous and kept alive by the caller."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return types.CPointer(array.dtype)(array, types.intp), codegen


@intrinsic
def advance(typingctx, p, count):
    """Address `count` elements further."""

    def codegen(context, builder, sig, args):
        return builder.gep(args[0], [args[1]])

    return p(p, types.intp), codegen


@intrinsic
def load(typingctx, p, index):
    """The number at ``p[index]``."""

    def codegen(context, builder, sig, args):
        return builder.load(builder.gep(args[0], [args[1]]))

    return p.dtype(p, types.intp), codegen


@intrinsic
def store(typingctx, p, index, x):
    """Set ``p[index] = x``."""

    def codegen(context, builder, sig, args):
        builder.store(args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(p, types.intp, p.dtype), codegen


@intrinsic(prefer_literal=True)
def prefetch(typingctx, p, index, for_writing):
    """Ask for the cache line of ``p[index]``; never faults."""
    writing = int(for_writing.literal_value)

    def codegen(context, builder, sig, args):
        where = builder.bitcast(builder.gep(args[0], [args[1]]), ir.IntType(8).as_pointer())
        call(
            builder,
            "llvm.prefetch.p0",
            ir.VoidType(),
            [where, integer(writing, 32), integer(2, 32), integer(1, 32)],
        )
        return context.get_dummy_value()

    return types.void(p, types.intp, for_writing), codegen
