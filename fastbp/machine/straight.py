"""The code of one row, written out for a net's sizes: no loop, no workspace, only registers.

It adds up the same products in the same order as `matmul.products_of_rows`, so the outputs are the
same to the bit, and it reads the parameters where they are.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastbp.machine.tiles import _exchange
from fastbp.machine.types import (
    I1,
    Vector,
    all_lanes,
    by_lane,
    integer,
    load_vector,
    local,
    store_vector,
    vector_type,
)


def _mask(t, count):
    """The first `count` lanes; None for all."""
    if count >= t.lanes:
        return None
    return ir.Constant(ir.VectorType(I1, t.lanes), [int(i < count) for i in range(t.lanes)])


def _at(builder, address, index):
    return builder.gep(address, [integer(index)])


class _Layer:
    """Writes the code of a layer."""

    def __init__(self, context, builder, t, params, activate) -> None:
        self.context = context
        self.builder = builder
        self.t = t
        self.params = params
        self.activate = activate
        self.zero = all_lanes(t, 0.0)

    def sum_by_halves(self, x, y, low, high):
        """The sum of two shuffles of x and y; of zeros it is zero."""
        if x is self.zero and y is self.zero:
            return self.zero
        builder = self.builder
        return builder.fadd(builder.shuffle_vector(x, y, low), builder.shuffle_vector(x, y, high))

    def row_of_sums(self, inputs, start, rows, k):
        """Vector of the products of `rows` rows of weights from `start` on with the inputs."""
        t, builder = self.t, self.builder
        sums = []
        for r in range(rows):
            total = self.zero
            for i, x in enumerate(inputs):
                at = _at(builder, self.params, start + r * k + i * t.lanes)
                weights = load_vector(builder, t, at, _mask(t, k - i * t.lanes))
                total = by_lane(builder, t, "fma", [weights, x, total])
            sums.append(total)
        sums += [self.zero] * (t.lanes - rows)
        width = 1
        while len(sums) > 1:  # as tile_sums
            low, high = _exchange(width, t.lanes)
            sums = [
                self.sum_by_halves(x, y, low, high)
                for x, y in zip(sums[::2], sums[1::2], strict=True)
            ]
            width *= 2
        return sums[0]

    def outputs(self, inputs, start, k, n, bias):
        """Vectors of the outputs; the weights stand from `start` on, the biases behind them."""
        t, builder = self.t, self.builder
        found = []
        for first in range(0, n, t.lanes):
            rows = min(t.lanes, n - first)
            z = self.row_of_sums(inputs, start + first * k, rows, k)
            if bias:
                at = _at(builder, self.params, start + n * k + first)
                z = builder.fadd(z, load_vector(builder, t, at, _mask(t, rows)))
            found.append(self.activate(self.context, builder, t, self.params, z))
        return found


def call_kernel(context, builder, function, signature, args):
    """Call a kernel, compiled for its types as `kernel` compiles it."""
    function.compile(signature.args)
    result = function.overloads[tuple(signature.args)]
    context.add_linking_libs([result.library])
    return context.call_internal_no_propagate(builder, result.fndesc, signature, args)[1]


def _activation(code, by_vector, in_place, untouched):
    """A function that writes the code of an activation of one vector."""

    def write(context, builder, t, params, z):
        pointer = types.CPointer(t.dtype)
        if code in by_vector:
            function = by_vector[code]
            if isinstance(function, tuple):
                function = function[0 if t.dtype.bitwidth == 32 else 1]
            return call_kernel(context, builder, function, t(pointer, t), [params, z])
        if code in in_place:
            kind = context.get_value_type(pointer)
            place, slope = (builder.bitcast(local(builder, x), kind) for x in (z, z))
            signature = types.none(pointer, pointer, types.int64)
            run = [place, slope, integer(t.lanes)]
            call_kernel(context, builder, in_place[code], signature, run)
            return load_vector(builder, t, place)
        if code not in untouched:
            raise ValueError(f"no code of a row can be written for the activation code {code}")
        return z

    return write


def _is_not_finite(builder, t, inputs):
    """Whether any number of the inputs is NaN or infinite: its product with 0 is NaN."""
    zero = all_lanes(t, 0.0)
    total = zero
    for x in inputs:
        total = by_lane(builder, t, "fma", [x, zero, total])
    lanes = builder.fcmp_unordered("uno", total, total)
    bits = ir.IntType(t.lanes)
    return builder.icmp_unsigned("!=", builder.bitcast(lanes, bits), ir.Constant(bits, 0))


def code_of_row(by_vector, in_place, identity_code, softmax_code, softmax):
    """An intrinsic that writes the outputs of one row; its arguments are f, params, x, out.

    Parameters
    ----------
    identity_code, softmax_code : int
    by_vector, in_place : dict of int to kernel
        Kernels of (p, x), which return a vector, or pairs of them for float32 and float64; and of
        (z, slope, count), which overwrite z.
    softmax : kernel
        Of (z, stride, n, batch).
    """

    def write(context, builder, t, row, params, x, out):
        sizes = row.sizes
        vectors = [
            load_vector(builder, t, _at(builder, x, i), _mask(t, sizes[0] - i))
            for i in range(0, sizes[0], t.lanes)
        ]
        bad = _is_not_finite(builder, t, vectors)
        start = 0
        for code, k, n in zip(row.activations, sizes, sizes[1:], strict=False):
            activate = _activation(code, by_vector, in_place, (identity_code, softmax_code))
            layer = _Layer(context, builder, t, params, activate)
            vectors = layer.outputs(vectors, start, k, n, row.bias)
            start += n * (k + row.bias)
        n = sizes[-1]
        for i, y in enumerate(vectors):
            at = _at(builder, out, i * t.lanes)
            store_vector(builder, t, y, at, _mask(t, n - i * t.lanes))
        if row.activations[-1] == softmax_code:
            sizes_of = [types.int64] * 3
            signature = types.none(types.CPointer(t.dtype), *sizes_of)
            call_kernel(context, builder, softmax, signature, [out, *map(integer, (1, n, 1))])
        with builder.if_then(bad, likely=False):
            for i in range(n):
                nan = ir.Constant(vector_type(t).element, float("nan"))
                builder.store(nan, _at(builder, out, i))

    @intrinsic
    def code(typingctx, f, params, x, out):
        def codegen(context, builder, sig, args):
            write(context, builder, Vector(f.dtype), f.row, *args[1:])
            return context.get_dummy_value()

        return types.void(f, params, x, out), codegen

    return code
