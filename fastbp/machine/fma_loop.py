"""Multiply-adds on registers alone, in many independent sums: what a core can do at best.

No operand is in memory except before and after the loop. Loops over a tile were up to 5 % slower,
depending on how LLVM laid them out, and one tile did not fit the registers.

This file needs only fastbp's processor.py, so that the benchmarks can compare older commits with
the loop of today.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.processor import VECTOR_BITS, VECTOR_REGISTERS

__all__ = ["multiply_adds"]

SUMS = VECTOR_REGISTERS - 8 if VECTOR_REGISTERS > 16 else VECTOR_REGISTERS - 4
"""Sums that take turns; two factors and some registers are left. A processor needs eight or ten."""
UNROLLED = 2
"""Multiply-adds of each sum in a turn: now and then the counter is issued instead of one."""


@intrinsic
def multiply_adds(typingctx, p, turns):
    """Add ``p[0:lanes] p[lanes:2 lanes]`` UNROLLED times a turn to SUMS vectors of zeros.

    There is at least one turn. The sum of the vectors is written to p.
    """
    bits = p.dtype.bitwidth

    def codegen(context, builder, sig, args):
        lanes = VECTOR_BITS // bits
        vector = ir.VectorType(context.get_value_type(p.dtype), lanes)
        kind = ir.FunctionType(vector, [vector] * 3)
        fma = builder.module.declare_intrinsic(f"llvm.fma.v{lanes}f{bits}", (), kind)
        addresses = [builder.gep(args[0], [ir.Constant(ir.IntType(64), i)]) for i in (0, lanes)]
        x, y = (
            builder.load(builder.bitcast(at, vector.as_pointer()), align=bits // 8)
            for at in addresses
        )
        before = builder.block
        turn = builder.append_basic_block("turn")
        builder.branch(turn)
        builder.position_at_end(turn)
        count = builder.phi(args[1].type)
        sums = [builder.phi(vector) for _ in range(SUMS)]
        added = list(sums)
        for _ in range(UNROLLED):
            added = [builder.call(fma, [x, y, sum_]) for sum_ in added]
        following = builder.add(count, ir.Constant(args[1].type, 1))
        for phi, first, then in zip(
            [count, *sums],
            [ir.Constant(count.type, 0)] + SUMS * [ir.Constant(vector, None)],
            [following, *added],
            strict=True,
        ):
            phi.add_incoming(first, before)
            phi.add_incoming(then, turn)
        after = builder.append_basic_block("after")
        builder.cbranch(builder.icmp_signed("<", following, args[1]), turn, after)
        builder.position_at_end(after)
        total = added[0]
        for sum_ in added[1:]:
            total = builder.fadd(total, sum_)
        builder.store(total, builder.bitcast(args[0], vector.as_pointer()), align=bits // 8)
        return context.get_dummy_value()

    return types.void(p, types.intp), codegen
