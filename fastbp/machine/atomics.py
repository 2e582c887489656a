"""Atomic operations on integers, and how a thread waits: what threads that share a call need.

Nothing here is looked up by name in another library when code is loaded: `give_way` calls a
function of the system by its address, which Python finds (`waiting.address_of_yield`).
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.processor import IS_ARM, IS_X86
from fastbp.machine.types import I32, call, integer

__all__ = ["atomic_add", "atomic_load", "atomic_store", "give_way", "pause"]


@intrinsic
def atomic_add(typingctx, p, index, x):
    """Add x to the integer ``p[index]`` and return what it was before.

    All threads see the additions in one order, and what a thread wrote before one of them is seen
    by those that add after it.
    """

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", builder.gep(args[0], [args[1]]), args[2], "seq_cst")

    return p.dtype(p, types.intp, p.dtype), codegen


@intrinsic
def atomic_load(typingctx, p, index):
    """The integer ``p[index]``; what was written before it was stored there is seen from now on."""

    def codegen(context, builder, sig, args):
        size = p.dtype.bitwidth // 8
        return builder.load_atomic(builder.gep(args[0], [args[1]]), "acquire", size)

    return p.dtype(p, types.intp), codegen


@intrinsic
def atomic_store(typingctx, p, index, x):
    """Set ``p[index] = x``; who loads it sees all that this thread wrote before."""

    def codegen(context, builder, sig, args):
        size = p.dtype.bitwidth // 8
        builder.store_atomic(args[2], builder.gep(args[0], [args[1]]), "release", size)
        return context.get_dummy_value()

    return types.void(p, types.intp, p.dtype), codegen


@intrinsic
def pause(typingctx):
    """Tell the processor that this thread waits in a loop; some 10 to 140 cycles."""

    def codegen(context, builder, sig, args):
        if IS_X86:
            call(builder, "llvm.x86.sse2.pause", ir.VoidType(), [])
        elif IS_ARM:
            call(builder, "llvm.aarch64.hint", ir.VoidType(), [integer(1, 32)])  # "yield"
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def give_way(typingctx, address):
    """Let the system run another thread: call the function at this address, unless it is 0."""

    def codegen(context, builder, sig, args):
        with builder.if_then(builder.icmp_unsigned("!=", args[0], integer(0))):
            function = ir.FunctionType(I32, []).as_pointer()
            builder.call(builder.inttoptr(args[0], function), [])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
