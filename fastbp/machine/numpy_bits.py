"""Calls of foreign functions from compiled code: NumPy's bit generators."""

from __future__ import annotations

import ctypes

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.types import I32, integer

__all__ = ["next_uint32"]


class BitGenerator(ctypes.Structure):
    """NumPy's `bitgen_t` (numpy/random/bitgen.h): a state and the functions that advance it."""

    _fields_ = [
        ("state", ctypes.c_void_p),
        ("next_uint64", ctypes.c_void_p),
        ("next_uint32", ctypes.c_void_p),
        ("next_double", ctypes.c_void_p),
        ("next_raw", ctypes.c_void_p),
    ]


@intrinsic
def next_uint32(typingctx, generator):
    """The next 32 random bits of the bit generator whose `bitgen_t` is at this address."""

    def codegen(context, builder, sig, args):
        address = ir.IntType(8).as_pointer()
        table = builder.inttoptr(args[0], address.as_pointer())

        def field(name):
            index = getattr(BitGenerator, name).offset // ctypes.sizeof(ctypes.c_void_p)
            return builder.load(builder.gep(table, [integer(index)]))

        function = ir.FunctionType(I32, [address]).as_pointer()
        bits = builder.call(builder.bitcast(field("next_uint32"), function), [field("state")])
        return builder.zext(bits, ir.IntType(64))

    return types.int64(types.intp), codegen
