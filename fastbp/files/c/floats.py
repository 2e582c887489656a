"""A net in C that computes in float or double."""

from __future__ import annotations

from fastbp.files.c.parts import (
    SCALE_INPUTS,
    Parts,
    in_turn,
    scratch_of,
    with_exact_means,
)
from fastbp.files.c.training import Training, TrainingStep, add_struct, net_inputs
from fastbp.files.chain import Chain, Layer, in_type

DENSE = """\
/* y[i] = b[i] + sum of w[i][k] x[k] over k; the rows of w are the units */
static void NAME_dense(const REAL *w, const REAL *b, int n_in, int n_out, const REAL *x, REAL *y)
{
    for (int i = 0; i < n_out; i++) {
        REAL sum = b[i];

        for (int k = 0; k < n_in; k++) {
            ADD;
        }
        y[i] = sum;
        w += n_in;
    }
}
"""
PRODUCT = """\
/* y[i] = sum of w[i][k] x[k] over k; the rows of w are the units */
static void NAME_product(const REAL *w, int n_in, int n_out, const REAL *x, REAL *y)
{
    for (int i = 0; i < n_out; i++) {
        REAL sum = 0.0_F;

        for (int k = 0; k < n_in; k++) {
            ADD;
        }
        y[i] = sum;
        w += n_in;
    }
}
"""


def float_parts(chain: Chain, caller: bool | None, fma: bool, training: Training | None) -> Parts:
    """A net that computes in the chain's dtype.

    Parameters
    ----------
    chain : Chain
    caller : bool or None
        As in `fastbp.files.c.parts.scratch_of`.
    fma : bool
        Whether to add products without rounding them.
    training : Training or None
        How it is trained further, if it is.
    """
    if training is None or chain.layers[0].bias is not None:
        chain = with_exact_means(chain)
    scaled = chain.input_scaling is not None
    sizes = [chain.n_in] * scaled + [layer.weight.shape[1] for layer in chain.layers[:-1]]
    parts = Parts(chain, scratch_of(in_turn(sizes), "REAL", chain.dtype.itemsize, caller))
    parts.math = fma
    for number, layer in enumerate(chain.layers):
        add_parameters(parts, layer, number)
    exact = "; products are added without rounding them" if fma else ""
    count = parts.flash // chain.dtype.itemsize
    parts.about.append(f"{count} parameters in {'float' if parts.single else 'double'}{exact}")
    if training is not None:
        add_struct(parts, training)
    add_products(parts, fma)
    if chain.input_scaling is not None:
        parts.input_scaling(*in_type("input_scaler", chain.input_scaling, chain.dtype, invert=True))
        parts.functions.append(SCALE_INPUTS)
    statements = ["NAME_scale_inputs(x, a);"] * scaled
    places = ["x", *("ab"[i % 2] for i in range(len(sizes))), "y"][scaled:]
    for number, layer in enumerate(chain.layers):
        source, to = places[number : number + 2]
        statements.append(net_inputs(parts, number, source, to))
        function = parts.activations.layer(layer.activation)
        if function:
            statements.append(f"NAME_{function}({to}, {layer.weight.shape[1]});")
    if training is not None:
        step = TrainingStep(parts, training, caller)
        step.add_functions()
    parts.add_activations()
    statements += parts.output_scaling()
    parts.function(
        f"void NAME_predict({parts.parameter}const REAL *x, REAL *y{parts.scratch.parameter})",
        parts.scratch.lines,
        statements,
        "Outputs y for inputs x; the two must not overlap.",
    )
    if training is not None:
        step.add()
    return parts


def add_products(parts: Parts, fma: bool) -> None:
    """Add the functions of net inputs, as far as they are called."""
    add = "sum = fma_F(w[k], x[k], sum)" if fma else "sum += w[k] * x[k]"
    with_biases = {layer.bias is not None for layer in parts.chain.layers}
    if True in with_biases:
        parts.functions.append(DENSE.replace("ADD", add))
    if False in with_biases:
        parts.functions.append(PRODUCT.replace("ADD", add))


def add_parameters(parts: Parts, layer: Layer, number: int) -> None:
    """Add weights and biases of a layer as constants."""
    n_in, n_out = layer.weight.shape
    about = f"layer {number}: {n_in} inputs, {n_out} units; a row for each unit"
    parts.reals(f"weights_{number}", layer.weight.T, n_in, about)
    if layer.bias is not None:
        parts.reals(f"biases_{number}", layer.bias)
