"""Addresses in flat buffers: a pointer costs one register to pass and carries no reference."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.processor import IS_X86
from fastbp.machine.types import call, element, integer, lanes_of, local

__all__ = [
    "advance",
    "bytes_at",
    "doubles_at",
    "floats_at",
    "flush_denormals",
    "frame",
    "int32s_at",
    "integers_at",
    "is_same",
    "load",
    "pointer",
    "put_at",
    "restore_denormals",
    "run_at",
    "store",
    "words_at",
]

BYTE_ADDRESS = ir.IntType(8).as_pointer()


@intrinsic
def pointer(typingctx, array, index):
    """Address of ``array[index]``; `array` is C-contiguous and kept alive by the caller."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return types.CPointer(array.dtype)(array, types.intp), codegen


def _from_cell(dtype):
    """Code for the address in a cell of a table (`addresses.AddressTable`), of a type."""

    def codegen(context, builder, sig, args):
        # Loaded as a pointer: LLVM knows less of one that is made from an integer.
        address = context.get_value_type(types.CPointer(dtype))
        cell = builder.gep(args[0], [args[1]])
        return builder.load(builder.bitcast(cell, address.as_pointer()))

    return codegen


@intrinsic
def floats_at(typingctx, table, cell, like):
    """The address in a cell, of numbers of the type that `like` points to."""
    return types.CPointer(like.dtype)(table, types.intp, like), _from_cell(like.dtype)


@intrinsic
def doubles_at(typingctx, table, cell):
    """The address in a cell, of float64."""
    return types.CPointer(types.float64)(table, types.intp), _from_cell(types.float64)


@intrinsic
def integers_at(typingctx, table, cell):
    """The address in a cell, of int64."""
    return types.CPointer(types.int64)(table, types.intp), _from_cell(types.int64)


@intrinsic
def int32s_at(typingctx, table, cell):
    """The address in a cell, of int32."""
    return types.CPointer(types.int32)(table, types.intp), _from_cell(types.int32)


@intrinsic
def words_at(typingctx, table, cell):
    """The address in a cell, of uint64."""
    return types.CPointer(types.uint64)(table, types.intp), _from_cell(types.uint64)


@intrinsic
def bytes_at(typingctx, table, cell):
    """The address in a cell, of uint8."""
    return types.CPointer(types.uint8)(table, types.intp), _from_cell(types.uint8)


@intrinsic
def put_at(typingctx, table, cell, p):
    """Write the address p into a cell."""

    def codegen(context, builder, sig, args):
        at = builder.gep(args[0], [args[1]])
        builder.store(args[2], builder.bitcast(at, args[2].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(table, types.intp, p), codegen


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
def frame(typingctx, p):
    """Address of room for a vector of p's dtype in the function's own frame."""

    def codegen(context, builder, sig, args):
        room = ir.Constant(ir.ArrayType(element(p.dtype), lanes_of(p.dtype)), None)
        return builder.bitcast(local(builder, room), args[0].type)

    return p(p), codegen


@intrinsic
def is_same(typingctx, p, q):
    """Whether two addresses are the same."""

    def codegen(context, builder, sig, args):
        return builder.icmp_unsigned("==", *args)

    return types.boolean(p, p), codegen


@intrinsic
def run_at(typingctx, address, a, b, c, d, count):
    """Call the loop that stands at an address: see `elementwise.Loop`."""

    def codegen(context, builder, sig, args):
        # As Numba calls functions: where the result and an error go, then the arguments, of which
        # the first is the user's function. None of these is used: the loop returns nothing, does
        # not raise, and holds the function.
        nothing = ir.Constant(BYTE_ADDRESS, None)
        slot = local(builder, nothing)
        kind = ir.FunctionType(
            ir.IntType(32),
            [slot.type, BYTE_ADDRESS.as_pointer(), BYTE_ADDRESS, *[x.type for x in args[1:]]],
        )
        function = builder.inttoptr(args[0], kind.as_pointer())
        no_error = ir.Constant(BYTE_ADDRESS.as_pointer(), None)
        builder.call(function, [slot, no_error, nothing, *args[1:]])
        return context.get_dummy_value()

    return types.void(types.int64, a, a, a, a, types.intp), codegen


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
