"""Addresses in flat buffers: a pointer costs one register to pass and carries no reference."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.processor import IS_X86
from fastbp.machine.types import call, integer, local

__all__ = ["advance", "flush_denormals", "load", "pointer", "restore_denormals", "store"]

BYTE_ADDRESS = ir.IntType(8).as_pointer()


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
    """The value at ``p[index]``."""

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


@intrinsic
def flush_denormals(typingctx):
    """Let this thread's arithmetic take denormal numbers as 0; returns the mode it had.

    The optimisers' means decay towards 0 where gradients vanish (dead ReLUs), and arithmetic on
    denormal numbers is more than ten times slower. On processors other than x86: does nothing.
    """

    def codegen(context, builder, sig, args):
        if not IS_X86:
            return integer(0, 32)
        mode = local(builder, integer(0, 32))
        address = builder.bitcast(mode, BYTE_ADDRESS)
        call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), [address])
        before = builder.load(mode)
        flush_inputs_and_results = integer(0x8040, 32)
        builder.store(builder.or_(before, flush_inputs_and_results), mode)
        call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [address])
        return before

    return types.int32(), codegen


@intrinsic
def restore_denormals(typingctx, mode):
    """Set the mode that `flush_denormals` returned."""

    def codegen(context, builder, sig, args):
        if IS_X86:
            address = builder.bitcast(local(builder, args[0]), BYTE_ADDRESS)
            call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), [address])
        return context.get_dummy_value()

    return types.void(types.int32), codegen
