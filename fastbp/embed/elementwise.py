"""Activations of one vector, for code that is written out: the formulas of `activate_run`."""

from fastbp.kernels.activations import (
    ELU,
    EXP,
    GELU,
    HARD_SIGMOID,
    IDENTITY,
    LEAK,
    LEAKY_RELU,
    RELU,
    SELU,
    SELU_DEPTH,
    SELU_SCALE,
    SIGMOID,
    SILU,
    SOFTMAX,
    SOFTPLUS,
    STEP,
    TANH,
    gelu_run,
    silu_run,
    softmax,
)
from fastbp.kernels.elementary import (
    exp_vector,
    expm1_vector,
    log1p_vector,
    sigmoid_vector,
    tanh_double,
    tanh_single,
)
from fastbp.machine.jit import compiles, kernel
from fastbp.machine.simd import splat, vabs, vmax, vmin, vwhere_greater


@kernel
def relu(p, x):
    """max(x, 0)."""
    return vmax(splat(p, 0.0), x)


@kernel
def step(p, x):
    """1 where x > 0, else 0."""
    zero = splat(p, 0.0)
    return vwhere_greater(x, zero, splat(p, 1.0), zero)


@kernel
def leaky_relu(p, x):
    """x, or x / 100 where it is negative."""
    return vmax(x * LEAK, x)


@kernel
def elu(p, x):
    """x, or exp(x) - 1 where it is negative."""
    return vwhere_greater(x, splat(p, 0.0), x, expm1_vector(p, x))


@kernel
def selu(p, x):
    """As elu, scaled."""
    below = expm1_vector(p, x) * SELU_DEPTH
    return vwhere_greater(x, splat(p, 0.0), x * SELU_SCALE, below)


@kernel
def softplus(p, x):
    """log(1 + exp x)."""
    return vmax(splat(p, 0.0), x) + log1p_vector(p, exp_vector(p, -vabs(x)))


@kernel
def hard_sigmoid(p, x):
    """min(max(x + 3, 0), 6) / 6."""
    return vmin(splat(p, 6.0), vmax(splat(p, 0.0), x + 3.0)) * (1.0 / 6.0)


BY_VECTOR = {
    RELU: relu, STEP: step, LEAKY_RELU: leaky_relu, ELU: elu, SELU: selu, SOFTPLUS: softplus,
    HARD_SIGMOID: hard_sigmoid,
    TANH: (tanh_single, tanh_double), SIGMOID: sigmoid_vector, EXP: exp_vector,
}  # fmt: skip
"""Functions of a pointer of the dtype and a vector, by code; pairs for float32 and float64, where
either would be compiled for nothing."""
IN_PLACE = {GELU: gelu_run, SILU: silu_run}
"""Functions of a vector in memory, one for the slope, and the number of lanes."""

if compiles():
    from fastbp.machine.straight import code_of_row

    CODE_OF_ROW = code_of_row(BY_VECTOR, IN_PLACE, IDENTITY, SOFTMAX, softmax)
    """Outputs of one row; arguments f, the parameters, x, outputs."""
