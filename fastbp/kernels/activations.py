"""Activations, each beside its derivative, by vector.

Legend: z net input, y output, g dE/dy (becomes dE/dz). A backward pass takes the derivative
from the stored output y and overwrites g with ``g * dy/dz``; where y does not tell it (gelu and
silu fall and rise), the forward pass stores the slope dy/dz as well.

============  =====================  =========================
name          y                      dy/dz
============  =====================  =========================
identity      z                      1
sigmoid       1 / (1 + exp(-z))      y (1 - y)
tanh          tanh z                 1 - y^2
relu          max(z, 0)              1 where y > 0
step          1 where z > 0          none: forward only
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

from fastbp.kernels.elementary import (
    exp_reduce,
    exp_series,
    exp_vector,
    expm1_vector,
    log1p_vector,
    normal_tail,
    sigmoid_vector,
    tanh_vector,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    is_single,
    lanes,
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
ACTIVATIONS = {
    "identity": IDENTITY,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "step": STEP,
    "softmax": SOFTMAX,
    "leaky_relu": LEAKY_RELU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SILU,
    "softplus": SOFTPLUS,
    "hard_sigmoid": HARD_SIGMOID,
    "exp": EXP,
}
"""Names and codes."""
CALLABLE = -1
"""Code of an activation in Python, which compiled layers leave to `fastbp.fit.in_python`."""
HIDDEN_ACTIVATIONS = tuple(name for name in ACTIVATIONS if name not in ("softmax", "exp"))
STORED_SLOPE = ("gelu", "silu")
"""Activations whose derivative is stored by the forward pass."""

LEAK = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848
SELU_DEPTH = SELU_SCALE * SELU_ALPHA
"""What selu tends to below, but for its sign."""
DENSITY_AT_ZERO = 0.3989422804014327
"""phi(0) = 1 / sqrt(2 pi)."""


@kernel
def gelu_run(z, slope, count):
    """``y = max(z, 0) - a Phi(-a)`` with a = |z|: nothing cancels in the tail.

    z is clipped to where a Phi(-a) is a normal number.
    """
    width = lanes(z)
    zero, one = splat(z, 0.0), splat(z, 1.0)
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
    zero, one, unscaled = splat(z, 0.0), splat(z, 1.0), splat(z, 1.0 / 65536.0)
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
    zero, one = splat(z, 0.0), splat(z, 1.0)
    if code == RELU:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, vmax(zero, vload(p, width)), width)
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
            vstore(p, vwhere_greater(vload(p, width), zero, one, zero), width)
    elif code == LEAKY_RELU:
        for i in range(0, count, width):
            p, x = advance(z, i), vload(advance(z, i), width)
            vstore(p, vmax(x * LEAK, x), width)
    elif code == ELU:
        for i in range(0, count, width):
            p, x = advance(z, i), vload(advance(z, i), width)
            vstore(p, vwhere_greater(x, zero, x, expm1_vector(p, x)), width)
    elif code == SELU:
        for i in range(0, count, width):
            p, x = advance(z, i), vload(advance(z, i), width)
            below = expm1_vector(p, x) * SELU_DEPTH
            vstore(p, vwhere_greater(x, zero, x * SELU_SCALE, below), width)
    elif code == SOFTPLUS:
        for i in range(0, count, width):
            p, x = advance(z, i), vload(advance(z, i), width)
            vstore(p, vmax(zero, x) + log1p_vector(p, exp_vector(p, -vabs(x))), width)
    elif code == HARD_SIGMOID:
        for i in range(0, count, width):
            p, x = advance(z, i), vload(advance(z, i), width)
            vstore(p, vmin(splat(p, 6.0), vmax(zero, x + 3.0)) * (1.0 / 6.0), width)
    elif code == EXP:
        for i in range(0, count, width):
            p = advance(z, i)
            vstore(p, exp_vector(p, vload(p, width)), width)
    elif code == GELU:
        gelu_run(z, slope, count)
    elif code == SILU:
        silu_run(z, slope, count)
    elif code != IDENTITY:
        raise ValueError("unknown activation code")


@kernel
def activate_backward_run(code, g, y, count):
    """``g <- g * dy/dz``, the derivative taken from the outputs in y, whole vectors of them."""
    width, zero, one = lanes(y), splat(y, 0.0), splat(y, 1.0)
    if code == RELU:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            vstore(p, vwhere_greater(out, zero, vload(p, width), zero), width)
    elif code == TANH:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            grad = vload(p, width)
            vstore(p, grad - grad * (out * out), width)
    elif code == SIGMOID:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            vstore(p, vload(p, width) * (out - out * out), width)
    elif code == LEAKY_RELU:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            grad = vload(p, width)
            vstore(p, vwhere_greater(out, zero, grad, grad * LEAK), width)
    elif code == ELU:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            vstore(p, vload(p, width) * vwhere_greater(out, zero, one, out + 1.0), width)
    elif code == SELU:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            slope = vwhere_greater(out, zero, splat(p, SELU_SCALE), out + SELU_DEPTH)
            vstore(p, vload(p, width) * slope, width)
    elif code == SOFTPLUS:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            vstore(p, -(vload(p, width) * expm1_vector(p, -out)), width)
    elif code == HARD_SIGMOID:
        for i in range(0, count, width):
            p, out = advance(g, i), vload(advance(y, i), width)
            slope = vwhere_greater(one, out, splat(p, 1.0 / 6.0), zero)
            vstore(p, vload(p, width) * vwhere_greater(out, zero, slope, zero), width)
    elif code == EXP:
        multiply_run(g, y, count)
    elif code != IDENTITY:
        raise ValueError("this activation has no derivative from its outputs")


@kernel
def multiply_run(g, factor, count):
    """``g <- g * factor``, whole vectors of them."""
    for i in range(0, count, lanes(g)):
        p, x = advance(g, i), vload(advance(factor, i), lanes(g))
        vstore(p, vload(p, lanes(g)) * x, lanes(g))


@kernel
def activate(code, z, slope, stride, n, batch):
    """Overwrite net inputs (n, batch) with the outputs of an activation other than softmax.

    gelu and silu first store dy/dz at `slope`, laid out like z. Who has no use for it passes z:
    there the outputs overwrite it.

    The rows are padded to whole vectors, in which any numbers may stand. They are overwritten
    too: a vector with a mask takes one more operation to read and to write.
    """
    if code == IDENTITY:
        return
    if stride == 1:  # a single sample
        n, batch = 1, n
    count = (batch + lanes(z) - 1) // lanes(z) * lanes(z)
    if count == stride:
        n, count = 1, n * stride
    for i in range(n):
        activate_run(code, advance(z, i * stride), advance(slope, i * stride), count)


@kernel
def activate_backward(code, g, y, stride, n, batch):
    """``g <- g * dy/dz`` for rows padded to whole vectors, as in `activate`."""
    if code == IDENTITY:
        return
    if stride == 1:
        n, batch = 1, n
    count = (batch + lanes(y) - 1) // lanes(y) * lanes(y)
    if count == stride:
        n, count = 1, n * stride
    for i in range(n):
        activate_backward_run(code, advance(g, i * stride), advance(y, i * stride), count)


@kernel
def multiply_by_slope(g, slope, stride, n, batch):
    """``g <- g * dy/dz`` with the stored dy/dz, for rows padded to whole vectors."""
    if stride == 1:
        n, batch = 1, n
    count = (batch + lanes(g) - 1) // lanes(g) * lanes(g)
    for i in range(n):
        multiply_run(advance(g, i * stride), advance(slope, i * stride), count)


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
        tail, dot = batch - b, splat(y, 0.0)
        for i in range(n):
            at = i * stride + b
            dot = dot + vload(advance(g, at), tail) * vload(advance(y, at), tail)
        for i in range(n):
            at = i * stride + b
            p = advance(g, at)
            vstore(p, vload(advance(y, at), tail) * (vload(p, tail) - dot), tail)
