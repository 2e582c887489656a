"""A net in C that computes in whole numbers of 8 bits.

Floats occur where inputs and outputs are converted, and nowhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.files.c.parts import (
    GREATEST,
    Parts,
    in_turn,
    scratch_of,
    with_exact_means,
)
from fastbp.files.c.quantization import (
    MONOTONE,
    OUTPUT_MOST,
    Int8Error,
    IntegerLayer,
    IntegerNet,
    activated,
    error_of,
    quantized,
)
from fastbp.files.c.text import real, whole
from fastbp.files.chain import Chain, FloatArray, in_type

ROUNDED = """\
/* the nearest whole number, cut off to int8 */
static int8_t NAME_rounded(float v)
{
    if (!(v > -128.0f)) {
        return -128;
    }
    if (v > 127.0f) {
        return 127;
    }
    return (int8_t)((int)(v + 128.5f) - 128);
}
"""
RESCALED = """\
/* round(sum multiplier / 2^shift) + zero, cut off to low and high */
static int32_t NAME_rescaled(
    int32_t sum, int32_t multiplier, int shift, int32_t zero, int32_t low, int32_t high)
{
    const int64_t product = (int64_t)sum * multiplier;
    const int64_t half = (int64_t)1 << (shift - 1);
    const int64_t rounded =
        product < 0 ? -((half - product) >> shift) : (half + product) >> shift;
    const int64_t moved = rounded + zero;

    return moved < low ? low : moved > high ? high : (int32_t)moved;
}
"""
SUM = """\
/* b + sum of w[k] x[k] over k, which fits into 32 bits whatever x is */
static int32_t NAME_sum(const int8_t *w, int32_t b, int n_in, const int8_t *x)
{
    int32_t sum = b;

    for (int k = 0; k < n_in; k++) {
        sum += (int32_t)w[k] * x[k];
    }
    return sum;
}
"""
LAYER = """\
static void NAME_{function}(
    const int8_t *w, const int32_t *b, const int32_t *multipliers, const uint8_t *shifts,
    {zero}int n_in, int n_out, const int8_t *x, {kind} *y)
{{
    for (int i = 0; i < n_out; i++) {{
        const int32_t sum = NAME_sum(w, b[i], n_in, x);

        y[i] = ({kind})NAME_rescaled(sum, multipliers[i], shifts[i], {bounds});
        w += n_in;
    }}
}}
"""
DENSE = LAYER.format(
    function="dense", zero="int32_t zero, ", kind="int8_t", bounds="zero, -128, 127"
)
LAST = LAYER.format(
    function="last", zero="", kind="int16_t", bounds=f"0, -{OUTPUT_MOST}, {OUTPUT_MOST}"
)
TABLE = """\
/* the outputs of an activation, by its net inputs -128 to 127 */
static void NAME_activate(const int8_t *table, int8_t *y, int n)
{
    for (int i = 0; i < n; i++) {
        y[i] = table[y[i] + 128];
    }
}
"""


def input_factors(chain: Chain, net: IntegerNet) -> tuple[Any, Any]:
    """Means of the inputs, and by what the difference from them is multiplied."""
    if chain.input_scaling is None:
        return np.float32(0.0), np.float32(1.0 / net.inputs.scale)
    scaling = chain.input_scaling
    scaling = scaling._replace(scale=scaling.scale * net.inputs.scale)
    return in_type("input_scaler", scaling, chain.dtype, invert=True)


def quantize(chain: Chain, net: IntegerNet, x: FloatArray) -> npt.NDArray[np.int8]:
    """The numbers of inputs, computed in float as in C.

    Parameters
    ----------
    chain : Chain
        In float32.
    net : IntegerNet
    x : array of float32, shape (rows, n_in)
        As they are given to the C, before they are scaled.
    """
    means, factors = input_factors(chain, net)
    v = (x - means) * factors + np.float32(net.inputs.zero)
    cut = np.clip(v, np.float32(-128.0), np.float32(127.0))
    numbers: npt.NDArray[np.int8] = (np.floor(cut + np.float32(128.5)) - 128).astype(np.int8)
    return numbers


def dequantize(chain: Chain, net: IntegerNet, z: npt.NDArray[np.int16]) -> FloatArray:
    """Outputs for net inputs of the last layer.

    Parameters
    ----------
    chain : Chain
    net : IntegerNet
    z : array of int16, shape (rows, n_out)
    """
    values = z.astype(np.float32) * np.float32(net.output_scale)
    y = activated(chain.layers[-1].activation, values)
    if chain.output_scaling is not None:
        mean, scale = in_type("output_scaler", chain.output_scaling, chain.dtype)
        y = y * scale + mean
    return y


def class_of(chain: Chain, y: FloatArray) -> npt.NDArray[np.int64]:
    """Indices of the classes by the outputs."""
    return y.argmax(axis=1) if chain.n_out > 1 else (y[:, 0] > chain.threshold).astype(np.int64)


def int8_net(chain: Chain, inputs: FloatArray) -> tuple[Chain, IntegerNet]:
    """A net in whole numbers, and the chain that its inputs and outputs are converted by.

    Parameters
    ----------
    chain : Chain
        In float32.
    inputs : array of float32, shape (rows, n_in)
        The calibration rows, as they are given to the C.
    """
    scaled = inputs.astype(np.float64)
    chain = with_exact_means(chain)
    if chain.input_scaling is not None:
        means = chain.input_scaling.mean.astype(np.float32)
        scaled = (scaled - means) / chain.input_scaling.scale
    return chain, quantized(chain, scaled)


def error_on(
    chain: Chain, net: IntegerNet, inputs: FloatArray, wanted: FloatArray, classes: bool
) -> Int8Error:
    """How far the C is from the net.

    Parameters
    ----------
    chain, net
        Of `int8_net`.
    inputs : array of float32, shape (rows, n_in)
    wanted : array, shape (rows, n_out)
        The net's outputs for them.
    classes : bool
        Whether outputs stand for classes.
    """
    got = dequantize(chain, net, net.net_inputs(quantize(chain, net, inputs)))
    return error_of(
        got, wanted, (class_of(chain, got), class_of(chain, wanted)) if classes else None
    )


def int8_parts(chain: Chain, net: IntegerNet, caller: bool | None, classes: bool) -> Parts:
    """A net that computes in whole numbers.

    Parameters
    ----------
    chain, net
        Of `int8_net`.
    caller : bool or None
        As in `fastbp.files.c.parts.scratch_of`.
    classes : bool
        Whether outputs stand for classes.
    """
    hidden = [len(layer.weights) for layer in net.layers[:-1]]
    parts = Parts(chain, scratch_of(in_turn(hidden), "int8_t", 1, caller))
    parts.includes.append("stdint.h")
    parts.call += chain.n_in + 2 * chain.n_out
    weights = sum(layer.weights.size for layer in net.layers)
    parts.about.append(f"{weights} weights in int8, each unit with a scale of its own")
    parts.declarations.append(
        f"/* Inputs are UPPER_INPUT_SCALE * (q - (UPPER_INPUT_ZERO)){_after(chain)}. */\n"
        f"#define UPPER_INPUT_SCALE {real(net.inputs.scale, True)}\n"
        f"#define UPPER_INPUT_ZERO ({net.inputs.zero})\n"
        f"/* Net inputs of the last layer are UPPER_OUTPUT_SCALE * z. */\n"
        f"#define UPPER_OUTPUT_SCALE {real(net.output_scale, True)}\n"
    )
    parts.functions += [ROUNDED, RESCALED, SUM, *[DENSE] * bool(hidden), LAST]
    parts.functions += [TABLE] * any(layer.table is not None for layer in net.layers)
    _add_conversion_in(parts, net)
    _add_integers(parts, net)
    _add_conversion_out(parts)
    scratch = parts.scratch
    lines = ["int8_t q[UPPER_INPUTS];", "int16_t z[UPPER_OUTPUTS];"]
    parts.function(
        f"void NAME_predict(const float *x, float *y{scratch.parameter})",
        lines,
        [
            "NAME_quantize(x, q);",
            f"NAME_predict_int8(q, z{scratch.argument});",
            "NAME_dequantize(z, y);",
        ],
        "Outputs y for inputs x: the three above, one after the other.",
    )
    if classes and chain.layers[-1].activation in MONOTONE:
        _add_classes(parts, net)
    return parts


def _after(chain: Chain) -> str:
    return "" if chain.input_scaling is None else ", after they are scaled"


def _add_conversion_in(parts: Parts, net: IntegerNet) -> None:
    means, factors = input_factors(parts.chain, net)
    if parts.chain.input_scaling is None:
        scaled = f"x[k] * {real(factors, True)}"
    else:
        parts.input_scaling(means, factors)
        scaled = "(x[k] - NAME_input_means[k]) * NAME_input_factors[k]"
    parts.function(
        "void NAME_quantize(const float *x, int8_t *q)",
        [],
        [
            "for (int k = 0; k < UPPER_INPUTS; k++) {",
            f"    q[k] = NAME_rounded({scaled} + (float)UPPER_INPUT_ZERO);",
            "}",
        ],
        "The numbers q of inputs x.",
    )


def _add_integers(parts: Parts, net: IntegerNet) -> None:
    """The pass through the layers, and its arrays."""
    places = ["q", *("ab"[i % 2] for i in range(len(net.layers) - 1)), "z"]
    statements = []
    for number, layer in enumerate(net.layers):
        _add_arrays(parts, layer, number)
        n_out, n_in = layer.weights.shape
        source, to = places[number : number + 2]
        names = [f"NAME_{what}_{number}" for what in ("weights", "biases", "multipliers", "shifts")]
        last = number == len(net.layers) - 1
        zero = [] if last else [str(layer.zero)]
        statements.append(
            f"NAME_{'last' if last else 'dense'}(\n    {', '.join(names)},\n"
            f"    {', '.join([*zero, str(n_in), str(n_out), source, to])});"
        )
        if layer.table is not None:
            statements.append(f"NAME_activate(NAME_table_{number}, {to}, {n_out});")
    parts.function(
        f"void NAME_predict_int8(const int8_t *q, int16_t *z{parts.scratch.parameter})",
        parts.scratch.lines,
        statements,
        "Net inputs z of the last layer for the numbers q of inputs: whole numbers only.",
    )


def _add_arrays(parts: Parts, layer: IntegerLayer, number: int) -> None:
    n_out, n_in = layer.weights.shape
    about = f"layer {number}: {n_in} inputs, {n_out} units; a row for each unit"
    parts.constant("int8_t", 1, f"weights_{number}", whole(layer.weights), n_in, about)
    parts.constant("int32_t", 4, f"biases_{number}", whole(layer.biases))
    parts.constant("int32_t", 4, f"multipliers_{number}", whole(layer.multipliers))
    parts.constant("uint8_t", 1, f"shifts_{number}", whole(layer.shifts))
    if layer.table is not None:
        activation = parts.chain.layers[number].activation
        parts.constant("int8_t", 1, f"table_{number}", whole(layer.table), 0, f"{activation}")


def _add_conversion_out(parts: Parts) -> None:
    function = parts.activations.layer(parts.chain.layers[-1].activation)
    parts.add_activations()
    statements = [
        "for (int i = 0; i < UPPER_OUTPUTS; i++) {",
        "    y[i] = (float)z[i] * UPPER_OUTPUT_SCALE;",
        "}",
    ]
    if function:
        statements.append(f"NAME_{function}(y, UPPER_OUTPUTS);")
    statements += parts.output_scaling()
    parts.function(
        "void NAME_dequantize(const int16_t *z, float *y)", [], statements,
        "Outputs y for net inputs z of the last layer.",
    )  # fmt: skip


def _add_classes(parts: Parts, net: IntegerNet) -> None:
    """Classes by the net inputs of the last layer, whose order is that of the outputs."""
    chain = parts.chain
    scratch = parts.scratch
    if chain.n_out > 1:
        lines = ["int best = 0;"]
        choice = GREATEST.replace("y[", "z[")
        what = "The index of the largest output."
    else:
        every = np.arange(-OUTPUT_MOST, OUTPUT_MOST + 1, dtype=np.int16)[:, None]
        above = class_of(chain, dequantize(chain, net, every))
        least = every[above.argmax(), 0] if above.any() else OUTPUT_MOST
        lines = []
        choice = f"return z[0] >= {least};"
        what = f"1 if the output is above {chain.threshold}, else 0."
    parts.function(
        f"int NAME_class_int8(const int8_t *q{scratch.parameter})",
        ["int16_t z[UPPER_OUTPUTS];", *lines],
        [f"NAME_predict_int8(q, z{scratch.argument});", *choice.splitlines()],
        f"{what} For the numbers q of inputs: whole numbers only.",
    )
    parts.function(
        f"int NAME_class(const float *x{scratch.parameter})",
        ["int8_t q[UPPER_INPUTS];"],
        ["NAME_quantize(x, q);", f"return NAME_class_int8(q{scratch.argument});"],
        f"{what} For inputs x.",
    )
