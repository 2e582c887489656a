"""Activations, each beside its derivative, by vector, and the one table of their traits.

Legend: z net input, y output, g dE/dy (becomes dE/dz). A backward pass takes the derivative
from the stored output y and overwrites g with ``g * dy/dz``. Where y does not determine it (gelu
and silu fall and rise), the forward pass stores the slope dy/dz as well.

A new elementwise activation is a code, a row of `ACTIVATIONS`, a branch of `activate_run` and one
of `activate_backward_run` (none where the slope is stored), and a row below.

============  =====================  =========================
name          y                      dy/dz
============  =====================  =========================
identity      z                      1
sigmoid       1 / (1 + exp(-z))      y (1 - y)
tanh          tanh z                 1 - y^2
relu          max(z, 0)              1 where y > 0
step          1 where z > 0          0
softmax       exp z / sum exp z      y_i (d_ij - y_j)
leaky_relu    max(z, z / 100)        1 where y > 0, else 1/100
elu           z or exp(z) - 1        1 where y > 0, else y + 1
selu          L z or L A (exp z - 1) L where y > 0, else y + L A
gelu          z Phi(z)               Phi(z) + z phi(z), stored
silu          z s, s = sigmoid(z)    s (1 + z (1 - s)), stored
softplus      log(1 + exp z)         1 - exp(-y)
hard_sigmoid  min(max(z + 3, 0),     1/6 where 0 < y < 1
              6) / 6
exp           exp z                  y
============  =====================  =========================

"or": for z > 0 or not. elu: Clevert, Unterthiner and Hochreiter, ICLR 2016. selu: Klambauer et
al., NeurIPS 2017, with their L and A. gelu: Hendrycks and Gimpel, arXiv 1606.08415, with the
exact normal distribution Phi, density phi. silu: Elfwing, Uchibe and Doya, Neural Networks 107,
2018. Errors of y as in elementary.py; exp is clipped as exp_vector, so that it stays finite.
"""

import math
from typing import NamedTuple

from fastbp.kernels.elementary import (
    exp_reduce,
    exp_series,
    exp_vector,
    expm1_vector,
    log1p_vector,
    normal_tail,
    sigmoid_vector,
    tanh_vector,
    times_tanh_slope,
)
from fastbp.machine.elementwise import FIRST_ADDRESS
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    is_single,
    lanes,
    run_at,
    splat,
    vabs,
    vfma,
    vload,
    vmax,
    vmin,
    vpow2,
    vreciprocal,
    vstore,
    vwhere_greater,
)

IDENTITY, SIGMOID, TANH, RELU, STEP, SOFTMAX = range(6)
LEAKY_RELU, ELU, SELU, GELU, SILU, SOFTPLUS, HARD_SIGMOID, EXP = range(6, 14)
CALLABLE = -1
"""Code of an activation in Python, which compiled layers leave to `fastbp.fit.in_python`."""

ELEMENTWISE = FIRST_ADDRESS
"""From here on a code is the address of `elementwise.activation_loop` around a user's function."""

LEAK = 0.01
SELU_SCALE = 1.0507009873554804934
SELU_ALPHA = 1.6732632423543772848
SELU_DEPTH = SELU_SCALE * SELU_ALPHA
"""What selu tends to below, but for its sign."""
DENSITY_AT_ZERO = 0.3989422804014327
"""phi(0) = 1 / sqrt(2 pi)."""


class Traits(NamedTuple):
    """What the package has to know about an activation besides its formula.

    Attributes
    ----------
    code : int
        By which the kernels know it.
    bounds : tuple of float
        No output is below the first or above the second.
    saturated : tuple of float, optional
        Outputs up to and from which a unit is saturated: its slope is below 5 % of the steepest.
    init : str
        The initial weights in front of such units with ``weight_init="auto"``.
    stores_slope : bool
        Whether the forward pass stores dy/dz, because y does not determine it.
    kinked : bool
        Whether its first or second derivative jumps.
    dies : bool
        Whether a unit is dead, rather than saturated, when its output is 0 for every row.
    hidden : bool
        Whether hidden layers may have it.
    trainable : bool
        Whether backpropagation can train through it.
    """

    code: int
    bounds: tuple[float, float] = (-math.inf, math.inf)
    saturated: tuple[float, float] | None = None
    init: str = "glorot"
    stores_slope: bool = False
    kinked: bool = False
    dies: bool = False
    hidden: bool = True
    trainable: bool = True


ACTIVATIONS = {
    "identity": Traits(IDENTITY),
    "sigmoid": Traits(SIGMOID, (0.0, 1.0), saturated=(0.0127, 0.9873)),
    "tanh": Traits(TANH, (-1.0, 1.0), saturated=(-0.9747, 0.9747)),
    "relu": Traits(RELU, (0.0, math.inf), init="he", kinked=True, dies=True),
    "step": Traits(STEP, (0.0, 1.0), trainable=False),
    "softmax": Traits(SOFTMAX, (0.0, 1.0), hidden=False),
    "leaky_relu": Traits(LEAKY_RELU, init="he", kinked=True),
    "elu": Traits(ELU, (-1.0, math.inf), init="he", kinked=True),
    "selu": Traits(SELU, (-SELU_DEPTH, math.inf), init="lecun_normal", kinked=True),
    "gelu": Traits(GELU, (-0.17, math.inf), init="he", stores_slope=True),
    "silu": Traits(SILU, (-0.2785, math.inf), init="he", stores_slope=True),
    "softplus": Traits(SOFTPLUS, (0.0, math.inf), init="he"),
    "hard_sigmoid": Traits(HARD_SIGMOID, (0.0, 1.0), saturated=(0.0, 1.0), kinked=True),
    "exp": Traits(EXP, (0.0, math.inf), hidden=False),
}
"""Every activation by name: the one place that knows its traits."""
HIDDEN_ACTIVATIONS = tuple(name for name, traits in ACTIVATIONS.items() if traits.hidden)
STORED_SLOPE = tuple(traits.code for traits in ACTIVATIONS.values() if traits.stores_slope)
"""Codes of the activations whose forward pass stores the slope."""


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


@kernel
def gelu_run(z, slope, count):
    """``y = max(z, 0) - a Phi(-a)`` with a = |z|: nothing cancels in the tail.

    z is clipped to where a Phi(-a) is a normal number.
    """
    width = lanes(z)
    zero = splat(z, 0.0)
    one = splat(z, 1.0)
    limit = splat(z, 13.2) if is_single(zero) else splat(z, 37.64)
    for i in range(0, count, width):
        p = advance(z, i)
        x = vload(p, width)
        clipped = vmin(limit, vmax(-limit, x))
        tail, product, scale, e = normal_tail(vabs(clipped))
        below = tail * scale
        share = vwhere_greater(x, zero, one - below, below)
        vstore(advance(slope, i), (clipped * DENSITY_AT_ZERO) * e + share, width)
        vstore(p, vmax(zero, x) - product * scale, width)


@kernel
def silu_run(z, slope, count):
    """``y = z s``; with u = exp(-|z|), ``s = 1 / (1 + u)`` or ``u / (1 + u)``.

    u is kept times 2^16: where it is too small for a normal number, z u need not be. s (1 - s)
    is u / (1 + u)^2 for either sign.
    """
    width = lanes(z)
    zero = splat(z, 0.0)
    one = splat(z, 1.0)
    unscaled = splat(z, 1.0 / 65536.0)
    limit = splat(z, 98.0) if is_single(zero) else splat(z, 719.0)
    for i in range(0, count, width):
        p = advance(z, i)
        x = vload(p, width)
        clipped = vmin(limit, vmax(-limit, x))
        n, r = exp_reduce(-vabs(clipped))
        e = exp_series(r) * r + 1.0
        u = (e * r + 1.0) * vpow2(n + 16.0)
        larger = vreciprocal(vfma(u, unscaled, one))
        smaller = u * larger
        part = (clipped * smaller) * unscaled
        share = vwhere_greater(x, zero, larger, smaller * unscaled)
        vstore(advance(slope, i), vfma(part, larger, share), width)
        vstore(p, vwhere_greater(x, zero, x * larger, part), width)


@kernel
def activate_run(code, z, slope, count):
    """Overwrite net inputs, whole vectors of them, with the outputs of an activation."""
    width = lanes(z)
    if code == RELU:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, relu(p, vload(p, width)), width)
    elif code == TANH:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, tanh_vector(p, vload(p, width)), width)
    elif code == SIGMOID:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, sigmoid_vector(p, vload(p, width)), width)
    elif code == STEP:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, step(p, vload(p, width)), width)
    elif code == LEAKY_RELU:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, leaky_relu(p, vload(p, width)), width)
    elif code == ELU:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, elu(p, vload(p, width)), width)
    elif code == SELU:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, selu(p, vload(p, width)), width)
    elif code == SOFTPLUS:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, softplus(p, vload(p, width)), width)
    elif code == HARD_SIGMOID:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, hard_sigmoid(p, vload(p, width)), width)
    elif code == EXP:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, exp_vector(p, vload(p, width)), width)
    elif code == GELU:
        gelu_run(z, slope, count)
    elif code == SILU:
        silu_run(z, slope, count)
    elif code >= ELEMENTWISE:
        run_at(code, z, slope, z, z, count)
    elif code != IDENTITY:
        raise ValueError("unknown activation code")


@kernel
def activate_backward_run(code, g, y, count):
    """``g <- g * dy/dz``, the derivative taken from the outputs in y, whole vectors of them."""
    width = lanes(y)
    zero = splat(y, 0.0)
    one = splat(y, 1.0)
    if code == RELU:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            vstore(p, vwhere_greater(out, zero, vload(p, width), zero), width)
    elif code == TANH:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            grad = vload(p, width)
            vstore(p, times_tanh_slope(grad, out), width)
    elif code == SIGMOID:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            vstore(p, vload(p, width) * (out - out * out), width)
    elif code == LEAKY_RELU:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            grad = vload(p, width)
            vstore(p, vwhere_greater(out, zero, grad, grad * LEAK), width)
    elif code == ELU:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            vstore(p, vload(p, width) * vwhere_greater(out, zero, one, out + 1.0), width)
    elif code == SELU:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            slope = vwhere_greater(out, zero, splat(p, SELU_SCALE), out + SELU_DEPTH)
            vstore(p, vload(p, width) * slope, width)
    elif code == SOFTPLUS:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            vstore(p, -(vload(p, width) * expm1_vector(p, -out)), width)
    elif code == HARD_SIGMOID:
        for i in range(0, count, width):
            p = advance(g, i)
            out = vload(advance(y, i), width)
            slope = vwhere_greater(one, out, splat(p, 1.0 / 6.0), zero)
            vstore(p, vload(p, width) * vwhere_greater(out, zero, slope, zero), width)
    elif code == EXP:
        multiply_run(g, y, count)
    elif code == STEP:
        for i in range(0, count, width):
            vstore(advance(g, i), zero, width)
    elif code != IDENTITY:
        raise ValueError("this activation has no derivative from its outputs")


@kernel
def multiply_run(g, factor, count):
    """``g <- g * factor``, whole vectors of them."""
    width = lanes(g)
    for i in range(0, count, width):
        p = advance(g, i)
        x = vload(advance(factor, i), width)
        vstore(p, vload(p, width) * x, width)


@kernel
def softmax(z, stride, n, batch):
    """Overwrite net inputs (n, batch) with ``exp(z - max) / sum exp(z - max)`` by column."""
    width = lanes(z)
    for b in range(0, batch, width):
        tail = batch - b
        top = vload(advance(z, b), tail)
        for i in range(1, n):
            top = vmax(vload(advance(z, i * stride + b), tail), top)
        total = splat(z, 0.0)
        for i in range(n):
            p = advance(z, i * stride + b)
            e = exp_vector(z, vload(p, tail) - top)
            vstore(p, e, tail)
            total = total + e
        scale = vreciprocal(total)
        for i in range(n):
            p = advance(z, i * stride + b)
            vstore(p, vload(p, tail) * scale, tail)


@kernel
def softmax_backward(g, y, stride, n, batch):
    """``g_i <- y_i (g_i - sum_j g_j y_j)`` by column."""
    width = lanes(y)
    for b in range(0, batch, width):
        tail = batch - b
        dot = splat(y, 0.0)
        for i in range(n):
            at = i * stride + b
            dot = dot + vload(advance(g, at), tail) * vload(advance(y, at), tail)
        for i in range(n):
            at = i * stride + b
            p = advance(g, at)
            vstore(p, vload(advance(y, at), tail) * (vload(p, tail) - dot), tail)


@kernel
def stores_slope(code):
    """Whether `activate` stores the slope of this activation."""
    return code in STORED_SLOPE or code >= ELEMENTWISE


@kernel
def activate_rows(code, z, slope, stride, n, batch):
    """Outputs of an activation that works element by element, as in `activate`."""
    if stride == 1:  # a single sample
        batch = n
        n = 1
    count = (batch + lanes(z) - 1) // lanes(z) * lanes(z)
    if count == stride:
        count = n * stride
        n = 1
    for i in range(n):
        activate_run(code, advance(z, i * stride), advance(slope, i * stride), count)


@kernel
def activate(code, z, slope, stride, n, batch):
    """Overwrite net inputs (n, batch) with the outputs of an activation.

    Where `stores_slope` says so, dy/dz is first stored at `slope`, laid out like z. Callers that do
    not need dy/dz pass z as `slope`: the outputs then overwrite it.

    The rows are padded to whole vectors, and the padding may hold any values. It is overwritten
    too, but for softmax: a vector with a mask takes one more operation to read and to write.
    """
    # The loop has a function of its own: inside of this one, the registers that softmax needs are
    # saved for identity too, 0.7 % of the instructions of an update by one row.
    if code == SOFTMAX:
        softmax(z, stride, n, batch)
    elif code != IDENTITY:
        activate_rows(code, z, slope, stride, n, batch)


@kernel
def activate_backward_rows(code, g, y, stride, n, batch):
    """``g <- g * dy/dz`` of an activation that works element by element, as in `activate`."""
    if stride == 1:
        batch = n
        n = 1
    count = (batch + lanes(y) - 1) // lanes(y) * lanes(y)
    if count == stride:
        count = n * stride
        n = 1
    for i in range(n):
        activate_backward_run(code, advance(g, i * stride), advance(y, i * stride), count)


@kernel
def activate_backward(code, g, y, stride, n, batch):
    """``g <- g * dy/dz`` for rows padded to whole vectors, as in `activate`."""
    if code == SOFTMAX:
        softmax_backward(g, y, stride, n, batch)
    elif code != IDENTITY:
        activate_backward_rows(code, g, y, stride, n, batch)


@kernel
def multiply_by_slope(g, slope, stride, n, batch):
    """``g <- g * dy/dz`` with the stored dy/dz, for rows padded to whole vectors."""
    if stride == 1:
        batch = n
        n = 1
    count = (batch + lanes(g) - 1) // lanes(g) * lanes(g)
    for i in range(n):
        multiply_run(advance(g, i * stride), advance(slope, i * stride), count)
