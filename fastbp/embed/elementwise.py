"""Activations of one vector, for code that is written out: those of `activate_run`."""

from fastbp.kernels.activations import (
    ELU,
    EXP,
    GELU,
    HARD_SIGMOID,
    IDENTITY,
    LEAKY_RELU,
    RELU,
    SELU,
    SIGMOID,
    SILU,
    SOFTMAX,
    SOFTPLUS,
    STEP,
    TANH,
    elu,
    gelu_run,
    hard_sigmoid,
    leaky_relu,
    relu,
    selu,
    silu_run,
    softmax,
    softplus,
    step,
)
from fastbp.kernels.elementary import exp_vector, sigmoid_vector, tanh_double, tanh_single
from fastbp.machine.jit import compiles

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
