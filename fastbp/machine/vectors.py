"""Vectors: one register of values, with ``+ - * /`` and the functions below by lane."""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, type_callable

from fastbp.machine.hashing import LAST_SHIFT, ROUNDS, STEP
from fastbp.machine.processor import HAS_RECIPROCAL_ESTIMATES
from fastbp.machine.types import (
    ARITHMETIC_FLAGS,
    I1,
    I32,
    Lane,
    Vector,
    all_lanes,
    broadcast,
    by_lane,
    call,
    integer,
    lane_mask,
    lanes_of,
    load_vector,
    store_vector,
    vector_type,
)

__all__ = [
    "is_single",
    "lane_of",
    "lanes",
    "number_of",
    "splat",
    "vabs",
    "vexponent",
    "vfma",
    "vload",
    "vmax",
    "vmin",
    "vpow2",
    "vquotient",
    "vrandom",
    "vreciprocal",
    "vreciprocal_estimate",
    "vround",
    "vrounded",
    "vsqrt",
    "vstore",
    "vsum",
    "vwhere_greater",
]


@intrinsic
def lanes(typingctx, p):
    """How many values of p's dtype one vector register holds."""

    def codegen(context, builder, sig, args):
        return integer(lanes_of(p.dtype))

    return types.intp(p), codegen


@intrinsic
def is_single(typingctx, x):
    """Whether the vector `x` is float32 (known at compile time)."""

    def codegen(context, builder, sig, args):
        return ir.Constant(I1, int(x.dtype.bitwidth == 32))

    return types.boolean(x), codegen


@intrinsic
def vload(typingctx, p, tail):
    """Vector at `p`; lanes from `tail` on are 0 and not read."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return load_vector(builder, vector, args[0], lane_mask(builder, vector.lanes, args[1]))

    return vector(p, types.intp), codegen


@intrinsic
def vstore(typingctx, p, x, tail):
    """Write the lanes of `x` below `tail` at `p`."""

    def codegen(context, builder, sig, args):
        store_vector(builder, x, args[1], args[0], lane_mask(builder, x.lanes, args[2]))
        return context.get_dummy_value()

    return types.void(p, x, types.intp), codegen


def _cast_scalar(context, builder, x, fromty, vector):
    number = context.cast(builder, x, fromty, vector.dtype)
    return broadcast(builder, number, vector.lanes)


@intrinsic
def splat(typingctx, p, x):
    """Vector of p's dtype with `x` in every lane; where p is a vector or lane, of its type."""
    vector = p if isinstance(p, Vector) else Vector(p.dtype)

    def codegen(context, builder, sig, args):
        return _cast_scalar(context, builder, args[1], sig.args[1], vector)

    return vector(p, x), codegen


@intrinsic
def lane_of(typingctx, x):
    """A number as the one lane that the functions of vectors work on."""
    lane = Lane(x if isinstance(x, types.Float) else types.float64)

    def codegen(context, builder, sig, args):
        return context.cast(builder, args[0], x, lane.dtype)

    return lane(x), codegen


@intrinsic
def number_of(typingctx, lane):
    """The number in a lane of its own."""

    def codegen(context, builder, sig, args):
        return args[0]

    return lane.dtype(lane), codegen


def _arithmetic(operation, method):
    """Let `operation` work between vectors, and between vectors and numbers."""

    @type_callable(operation)
    def type_of(context):
        def result(x, y):
            vector = x if isinstance(x, Vector) else y
            if isinstance(vector, Vector):
                if all(a == vector or isinstance(a, types.Number) for a in (x, y)):
                    return vector
            return None

        return result

    def lower(context, builder, sig, args):
        both = [
            x if isinstance(t, Vector) else _cast_scalar(context, builder, x, t, sig.return_type)
            for x, t in zip(args, sig.args, strict=True)
        ]
        return getattr(builder, method)(*both, flags=ARITHMETIC_FLAGS)

    lower_builtin(operation, Vector, Vector)(lower)
    lower_builtin(operation, Vector, types.Number)(lower)
    lower_builtin(operation, types.Number, Vector)(lower)


for _operation, _method in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_operation, _method)


@type_callable(operator.neg)
def _type_of_negative(context):
    """``-x`` of a vector."""
    return lambda x: x if isinstance(x, Vector) else None


@lower_builtin(operator.neg, Vector)
def _negative(context, builder, sig, args):
    return builder.fneg(args[0])


@intrinsic
def vmax(typingctx, x, y):
    """Larger of x and y by lane; y where either is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return x(x, x), codegen


@intrinsic
def vmin(typingctx, x, y):
    """Smaller of x and y by lane; y where either is NaN."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return x(x, x), codegen


@intrinsic
def vwhere_greater(typingctx, x, y, yes, no):
    """`yes` in the lanes where x > y, else `no`."""

    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered(">", args[0], args[1]), args[2], args[3])

    return x(x, x, x, x), codegen


@intrinsic
def vsum(typingctx, x):
    """Sum of the lanes, in one fixed order (halves are added to each other)."""

    def codegen(context, builder, sig, args):
        value = args[0]
        width = x.lanes
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    value, value, ir.Constant(ir.VectorType(I32, width), list(half))
                )
                for half in (range(width), range(width, 2 * width))
            ]
            value = builder.fadd(*halves)
        return builder.extract_element(value, integer(0, 32))

    return x.dtype(x), codegen


@intrinsic
def vfma(typingctx, x, y, z):
    """``x y + z`` by lane, rounded once."""

    def codegen(context, builder, sig, args):
        return by_lane(builder, x, "fma", args)

    return x(x, x, x), codegen


@intrinsic
def vrounded(typingctx, x):
    """x as it is rounded: a product is not fused with what it is added to."""

    def codegen(context, builder, sig, args):
        return by_lane(builder, x, "arithmetic.fence", args)

    return x(x), codegen


@intrinsic
def vabs(typingctx, x):
    """Absolute value by lane."""

    def codegen(context, builder, sig, args):
        return by_lane(builder, x, "fabs", args)

    return x(x), codegen


@intrinsic
def vround(typingctx, x):
    """Nearest whole number by lane, ties to even."""

    def codegen(context, builder, sig, args):
        return by_lane(builder, x, "rint", args)

    return x(x), codegen


def _mantissa_bits(x):
    return 23 if x.dtype.bitwidth == 32 else 52


def _bits(x):
    bits = ir.IntType(x.dtype.bitwidth)
    return bits if x.lanes == 1 else ir.VectorType(bits, x.lanes)


def _all_bits(x, value):
    return ir.Constant(_bits(x), value if x.lanes == 1 else [value] * x.lanes)


def _exponent_bias(x):
    return 127 if x.dtype.bitwidth == 32 else 1023


@intrinsic
def vpow2(typingctx, n):
    """``2**n`` by lane for whole n in the range of normal numbers."""

    def codegen(context, builder, sig, args):
        bits = builder.add(builder.fptosi(args[0], _bits(n)), _all_bits(n, _exponent_bias(n)))
        bits = builder.shl(bits, _all_bits(n, _mantissa_bits(n)))
        return builder.bitcast(bits, vector_type(n))

    return n(n), codegen


@intrinsic
def vexponent(typingctx, x):
    """n of ``x = m 2**n`` with m in [1, 2), for positive normal x."""

    def codegen(context, builder, sig, args):
        bits = builder.lshr(builder.bitcast(args[0], _bits(x)), _all_bits(x, _mantissa_bits(x)))
        return builder.sitofp(builder.sub(bits, _all_bits(x, _exponent_bias(x))), vector_type(x))

    return x(x), codegen


def _estimate(builder, x, name, value):
    """AVX-512's estimate with a relative error below 2**-14."""
    kind = "ps" if x.dtype.bitwidth == 32 else "pd"
    every_lane = ir.Constant(ir.IntType(x.lanes), -1)
    args = [value, all_lanes(x, 0.0), every_lane]
    return call(builder, f"llvm.x86.avx512.{name}.{kind}.512", vector_type(x), args)


def _estimates(x):
    """Whether there are estimates; a lane has none, which LLVM would not vectorise."""
    return HAS_RECIPROCAL_ESTIMATES and x.lanes > 1


def _newton_steps(x):
    return 1 if x.dtype.bitwidth == 32 else 2


@intrinsic
def vreciprocal_estimate(typingctx, x):
    """1 / x by lane with a relative error below 2**-14 (exact where there is no estimate)."""

    def codegen(context, builder, sig, args):
        if not _estimates(x):
            return builder.fdiv(all_lanes(x, 1.0), args[0])
        return _estimate(builder, x, "rcp14", args[0])

    return x(x), codegen


@intrinsic
def vreciprocal(typingctx, x):
    """1 / x by lane to 2 ulp, for x and 1/x normal numbers.

    Where the processor offers an estimate, Newton's steps on it (y <- y (2 - x y)) are several
    times faster than its division.
    """

    def codegen(context, builder, sig, args):
        value = args[0]
        if not _estimates(x):
            return builder.fdiv(all_lanes(x, 1.0), value)
        y = _estimate(builder, x, "rcp14", value)
        negative = builder.fneg(value)
        for _ in range(_newton_steps(x)):
            error = by_lane(builder, x, "fma", [negative, y, all_lanes(x, 1.0)])
            y = by_lane(builder, x, "fma", [y, error, y])
        return y

    return x(x), codegen


@intrinsic
def vquotient(typingctx, x, y):
    """x / y by lane to 2 ulp, for y and 1/y normal numbers (Newton's steps as above)."""

    def codegen(context, builder, sig, args):
        if not _estimates(x):
            return builder.fdiv(*args)
        reciprocal = _estimate(builder, x, "rcp14", args[1])
        negative = builder.fneg(args[1])
        for _ in range(_newton_steps(x) - 1):
            error = by_lane(builder, x, "fma", [negative, reciprocal, all_lanes(x, 1.0)])
            reciprocal = by_lane(builder, x, "fma", [reciprocal, error, reciprocal])
        quotient = builder.fmul(args[0], reciprocal)
        error = by_lane(builder, x, "fma", [negative, quotient, args[0]])
        return by_lane(builder, x, "fma", [error, reciprocal, quotient])

    return x(x, x), codegen


@intrinsic
def vsqrt(typingctx, x):
    """Square root by lane to 2 ulp, for positive normal x (Newton's steps as above).

    For infinite x it is NaN, whatever the processor.
    """

    def codegen(context, builder, sig, args):
        value = args[0]
        if not _estimates(x):  # x 0 is NaN for infinite x, else 0
            root = by_lane(builder, x, "sqrt", args)
            return by_lane(builder, x, "fma", [value, all_lanes(x, 0.0), root])
        y = _estimate(builder, x, "rsqrt14", value)
        for _ in range(_newton_steps(x) - 1):  # y <- y + y/2 (1 - x y^2)
            root = builder.fmul(value, y)
            half = builder.fmul(y, all_lanes(x, 0.5))
            error = by_lane(builder, x, "fma", [builder.fneg(root), y, all_lanes(x, 1.0)])
            y = by_lane(builder, x, "fma", [half, error, y])
        root = builder.fmul(value, y)
        half = builder.fmul(y, all_lanes(x, 0.5))
        error = by_lane(builder, x, "fma", [builder.fneg(root), root, value])
        return by_lane(builder, x, "fma", [half, error, root])

    return x(x), codegen


def _int32(x, value):
    return ir.Constant(ir.VectorType(I32, x.lanes), [value] * x.lanes)


@intrinsic
def vrandom(typingctx, p, key, index, threshold):
    """1 in the lanes where h(index + lane, key) >= threshold, else 0: see hashing.py."""
    vector = Vector(p.dtype)

    def codegen(context, builder, sig, args):
        key, index, threshold = args[1:]
        lane = ir.Constant(ir.VectorType(I32, vector.lanes), list(range(vector.lanes)))

        def spread(number):
            return broadcast(builder, builder.trunc(number, I32), vector.lanes)

        def folded(x, shift):
            return builder.xor(x, builder.lshr(x, _int32(vector, shift)))

        x = builder.mul(builder.add(spread(index), lane), _int32(vector, STEP))
        for bits, rounds in zip((0, 32), ROUNDS, strict=True):
            x = builder.add(x, spread(builder.lshr(key, integer(bits))))
            for shift, factor in rounds:
                x = builder.mul(folded(x, shift), _int32(vector, factor))
            x = folded(x, LAST_SHIFT)
        kept = builder.icmp_unsigned(">=", x, spread(threshold))
        return builder.select(kept, all_lanes(vector, 1.0), all_lanes(vector, 0.0))

    return vector(p, types.int64, types.intp, types.int64), codegen
