"""A net in C that computes in float or double: templates and their parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastbp.files.c_activations import Functions
from fastbp.files.c_text import array, reals
from fastbp.files.chain import Chain, FloatArray, Layer, Scaling
from fastbp.model.activations import Activation

DENSE = """\
/* y[i] = b[i] + sum of w[i][k] x[k] over k: the rows of w are the units */
static void NAME_dense(const REAL *w, const REAL *b, int n_in, int n_out, const REAL *x, REAL *y)
{
    for (int i = 0; i < n_out; i++) {
        REAL sum = b[i];

        for (int k = 0; k < n_in; k++) {
            sum += w[k] * x[k];
        }
        y[i] = sum;
        w += n_in;
    }
}
"""
PRODUCT = """\
/* y[i] = sum of w[i][k] x[k] over k: the rows of w are the units */
static void NAME_product(const REAL *w, int n_in, int n_out, const REAL *x, REAL *y)
{
    for (int i = 0; i < n_out; i++) {
        REAL sum = 0.0_F;

        for (int k = 0; k < n_in; k++) {
            sum += w[k] * x[k];
        }
        y[i] = sum;
        w += n_in;
    }
}
"""
SCALE_INPUTS = """\
static void NAME_scale_inputs(const REAL *x, REAL *scaled)
{
    for (int k = 0; k < UPPER_INPUTS; k++) {
        scaled[k] = (x[k] - NAME_input_means[k]) * NAME_input_factors[k];
    }
}
"""
SCALE_OUTPUTS = """\
static void NAME_scale_outputs(REAL *y)
{
    for (int i = 0; i < UPPER_OUTPUTS; i++) {
        y[i] = y[i] * NAME_output_scales[i] + NAME_output_means[i];
    }
}
"""

STACK_BYTES = 2048
"""Scratch that is taken from the stack of the caller at most, if he does not say otherwise."""


class Scratch(NamedTuple):
    """Where the outputs of the hidden layers stand: in two arrays in turn.

    Attributes
    ----------
    sizes : tuple of int
        Numbers in each array that is needed.
    kind : str
        Their type.
    bytes_each : int
    caller : bool
        Whether the caller passes them.
    """

    sizes: tuple[int, ...]
    kind: str
    bytes_each: int
    caller: bool

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(self.sizes) * self.bytes_each

    @property
    def parameters(self) -> str:
        """What functions that need it take behind their other parameters."""
        return f", {self.kind} *scratch" if self.caller else ""

    @property
    def arguments(self) -> str:
        """What they are passed on."""
        return ", scratch" if self.caller else ""

    @property
    def lines(self) -> list[str]:
        """The first lines of such a function."""
        lines = []
        first = 0
        for letter, size in zip("ab", self.sizes, strict=False):
            if self.caller:
                offset = f" + {first}" if first else ""
                lines.append(f"{self.kind} *const {letter} = scratch{offset};")
            else:
                lines.append(f"{self.kind} {letter}[{size}];")
            first += size
        return lines


class Code(NamedTuple):
    """What a kind of net adds to the two files, as templates.

    Attributes
    ----------
    about : tuple of str
        Lines of the comment on top of the header.
    call : tuple of str
        Lines of the example there.
    includes : tuple of str
        Headers that the header includes.
    declarations : str
        What stands in the header.
    constants : str
        Arrays of the source.
    functions : str
        Functions of the source.
    math : bool
        Whether the source needs ``math.h``.
    flash : int
        Bytes of the constants.
    scratch : Scratch
    """

    about: tuple[str, ...]
    call: tuple[str, ...]
    includes: tuple[str, ...]
    declarations: str
    constants: str
    functions: str
    math: bool
    flash: int
    scratch: Scratch


def scratch_of(
    sizes: Sequence[int], kind: str, bytes_each: int, caller: bool | None
) -> Scratch:
    """Two arrays for a sequence of intermediate results, each made from the one before.

    Parameters
    ----------
    sizes : sequence of int
        Numbers of each result.
    kind : str
    bytes_each : int
    caller : bool or None
        None leaves more than `STACK_BYTES` to the caller.
    """
    both = (max(sizes[0::2], default=0), max(sizes[1::2], default=0))
    needed = tuple(size for size in both if size)
    if caller is None:
        caller = sum(needed) * bytes_each > STACK_BYTES
    return Scratch(needed, kind, bytes_each, caller and bool(needed))


def body(lines: Sequence[str], statements: Sequence[str]) -> str:
    """The body of a function, from declarations and statements."""
    gap = [""] if lines else []
    inner = "\n".join(f"    {line}" if line else "" for line in [*lines, *gap, *statements])
    return f"{{\n{inner}\n}}\n"


def with_exact_means(chain: Chain) -> Chain:
    """The chain with what the means of the inputs lose to rounding moved into the first biases.

    Air pressure is 101,325 Pa, give or take 500: rounded to float, its mean is off by 1e-5 of that.
    """
    scaling = chain.input_scaling
    if scaling is None:
        return chain
    lost = (scaling.mean - scaling.mean.astype(chain.dtype)) / scaling.scale
    if not lost.any():
        return chain
    first = chain.layers[0]
    bias = np.zeros(first.weight.shape[1]) if first.bias is None else first.bias
    bias = (bias - lost @ first.weight.astype(np.float64)).astype(chain.dtype)
    return chain._replace(layers=(first._replace(bias=bias), *chain.layers[1:]))


def scalers(chain: Chain, single: bool) -> tuple[str, str]:
    """Arrays and functions that scale inputs and outputs; empty without scaling.

    Parameters
    ----------
    chain : Chain
    single : bool

    Raises
    ------
    ValueError
        For what is not finite, or no normal number, in this type.
    """
    constants = []
    functions = []
    if chain.input_scaling is not None:
        mean, factor = in_type("input_scaler", chain.input_scaling, chain, invert=True)
        constants.append(array("static const REAL", "NAME_input_means", reals(mean, single)))
        constants.append(array("static const REAL", "NAME_input_factors", reals(factor, single)))
        functions.append(SCALE_INPUTS)
    if chain.output_scaling is not None:
        mean, scale = in_type("output_scaler", chain.output_scaling, chain)
        constants.append(array("static const REAL", "NAME_output_means", reals(mean, single)))
        constants.append(array("static const REAL", "NAME_output_scales", reals(scale, single)))
        functions.append(SCALE_OUTPUTS)
    return "\n".join(constants), "\n".join(functions)


def in_type(
    name: str, scaling: Scaling, chain: Chain, invert: bool = False
) -> tuple[FloatArray, FloatArray]:
    """Means and scales in the chain's type, scales as factors if `invert`."""
    limits = np.finfo(chain.dtype)
    with np.errstate(over="ignore", under="ignore"):
        mean = scaling.mean.astype(chain.dtype)
        scale = (1.0 / scaling.scale if invert else scaling.scale).astype(chain.dtype)
    if not np.isfinite(mean).all() or not np.isfinite(scale).all() or (scale < limits.tiny).any():
        raise ValueError(
            f"{name} must have means, scales and their reciprocals between {limits.tiny:.2g} and "
            f"{limits.max:.2g}, the numbers of {chain.dtype.name}; got {scaling}"
        )
    return mean, scale


def parameters_of(layer: Layer, number: int, single: bool) -> str:
    """Weights and biases of a layer as constant arrays."""
    n_in, n_out = layer.weight.shape
    texts = [
        array(
            "static const REAL", f"NAME_weights_{number}", reals(layer.weight.T, single), n_in,
            "unit",
        )
    ]  # fmt: skip
    if layer.bias is not None:
        texts.append(
            array("static const REAL", f"NAME_biases_{number}", reals(layer.bias, single))
        )
    what = f"/* layer {number}: {n_in} inputs, {n_out} units; a row for each unit */\n"
    return what + "\n".join(texts)


def name_of(activation: str | Activation) -> str:
    """What comments call an activation."""
    return activation if isinstance(activation, str) else f"graph {activation!r:.60}"


def layers_of(chain: Chain) -> tuple[str, ...]:
    """A line about each layer."""
    lines = []
    if chain.input_scaling is not None:
        lines.append(f"  {chain.n_in} inputs, scaled by (x - mean) / scale")
    for number, layer in enumerate(chain.layers, 1):
        n_in, n_out = layer.weight.shape
        biases = "" if layer.bias is not None else ", without biases"
        lines.append(f"  layer {number}: {n_in} -> {n_out}, {name_of(layer.activation)}{biases}")
    if chain.output_scaling is not None:
        lines.append(f"  {chain.n_out} outputs, scaled by y * scale + mean")
    return tuple(lines)


def call_of(layer: Layer, weights: str, biases: str, x: str, y: str) -> str:
    """The statement that computes a layer's net inputs."""
    n_in, n_out = layer.weight.shape
    if layer.bias is None:
        return f"NAME_product({weights}, {n_in}, {n_out}, {x}, {y});"
    return f"NAME_dense({weights}, {biases}, {n_in}, {n_out}, {x}, {y});"


def products_of(chain: Chain) -> str:
    """The functions that compute net inputs, as far as they are called."""
    with_bias = {layer.bias is not None for layer in chain.layers}
    return "\n".join([DENSE] * (True in with_bias) + [PRODUCT] * (False in with_bias))


def float_code(chain: Chain, caller: bool | None) -> Code:
    """A net that computes in the chain's type.

    Parameters
    ----------
    chain : Chain
    caller : bool or None
        As in `scratch_of`.
    """
    single = chain.dtype == np.float32
    chain = with_exact_means(chain)
    scaled = chain.input_scaling is not None
    sizes = [chain.n_in] * scaled + [layer.weight.shape[1] for layer in chain.layers[:-1]]
    itemsize = chain.dtype.itemsize
    scratch = scratch_of(sizes, "REAL", itemsize, caller)
    functions = Functions(single)
    letters = ["x", *("ab"[i % 2] for i in range(len(sizes))), "y"]
    statements = ["NAME_scale_inputs(x, a);"] if scaled else []
    for number, layer in enumerate(chain.layers, 1):
        source, to = letters[number - 1 + scaled : number + 1 + scaled]
        arrays = f"NAME_weights_{number}", f"NAME_biases_{number}"
        statements.append(call_of(layer, *arrays, source, to))
        function = functions.layer(layer.activation)
        if function:
            statements.append(f"NAME_{function}({to}, {layer.weight.shape[1]});")
    if chain.output_scaling is not None:
        statements.append("NAME_scale_outputs(y);")
    head = f"void NAME_predict(const REAL *x, REAL *y{scratch.parameters})"
    scaler_constants, scaler_functions = scalers(chain, single)
    arrays = [parameters_of(layer, i, single) for i, layer in enumerate(chain.layers, 1)]
    constants = [scaler_constants] * bool(scaler_constants) + arrays
    parts = [products_of(chain), *functions.texts.values()]
    parts += [scaler_functions] * bool(scaler_functions)
    parts.append(f"{head}\n{body(scratch.lines, statements)}")
    columns = chain.n_in * scaled + chain.n_out * (chain.output_scaling is not None)
    parameters = sum(layer.weight.size for layer in chain.layers)
    parameters += sum(layer.bias.size for layer in chain.layers if layer.bias is not None)
    about = (f"{parameters} parameters in {'float' if single else 'double'}",)
    return Code(
        about, ("REAL x[UPPER_INPUTS] = {0};", "REAL y[UPPER_OUTPUTS];"),
        (),
        f"/* Outputs y of inputs x; the two must not overlap. */\n{head};\n",
        "\n".join(constants), "\n".join(parts), functions.math,
        itemsize * (parameters + 2 * columns), scratch,
    )  # fmt: skip
