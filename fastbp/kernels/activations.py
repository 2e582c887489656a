"""Activations, each beside its derivative, by vector.

Legend: z net input, y output, g dE/dy (becomes dE/dz). A backward pass takes the derivative
from the stored output y and overwrites g with ``g * dy/dz``.

==========  =====================  ==============
name        y                      dy/dz
==========  =====================  ==============
identity    z                      1
sigmoid     1 / (1 + exp(-z))      y (1 - y)
tanh        tanh z                 1 - y^2
relu        max(z, 0)              1 where y > 0
step        1 where z > 0          none: forward only
softmax     exp z / sum exp z      y_i (d_ij - y_j)
==========  =====================  ==============
"""

from fastbp._jit import kernel
from fastbp.simd import (
    advance,
    is_single,
    lanes,
    splat,
    vabs,
    vexponent,
    vfma,
    vload,
    vmax,
    vmin,
    vpow2,
    vquotient,
    vreciprocal,
    vreciprocal_estimate,
    vround,
    vstore,
    vwhere_greater,
)

IDENTITY, SIGMOID, TANH, RELU, STEP, SOFTMAX = range(6)
ACTIVATIONS = {
    "identity": IDENTITY,
    "sigmoid": SIGMOID,
    "tanh": TANH,
    "relu": RELU,
    "step": STEP,
    "softmax": SOFTMAX,
}
"""Names and codes."""
HIDDEN_ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "step")

LOG2_E = 1.4426950408889634
LN2_HIGH_SINGLE, LN2_LOW_SINGLE = 0.693359375, -2.12194440054690583e-4
LN2_HIGH_DOUBLE, LN2_LOW_DOUBLE = 6.93145751953125e-1, 1.42860682030941723212e-6


@kernel
def exp_vector(p, x):
    """exp(x); x is clipped to where the result is a normal number, and NaN stays NaN.

    x = n ln 2 + r with |r| <= ln 2 / 2; Taylor's series of exp(r), to degree 7 (float32, error
    of the series 5e-9) or 13 (float64, 4e-18); ln 2 in two parts (Cody and Waite, Software
    Manual for the Elementary Functions, 1980, chapter 6).
    """
    if is_single(x):
        x = vmin(splat(p, 88.0), vmax(splat(p, -87.0), x))
        n = vround(x * LOG2_E)
        r = (x - n * LN2_HIGH_SINGLE) - n * LN2_LOW_SINGLE
        e = r * (1.0 / 5040.0) + 1.0 / 720.0
    else:
        x = vmin(splat(p, 709.0), vmax(splat(p, -708.0), x))
        n = vround(x * LOG2_E)
        r = (x - n * LN2_HIGH_DOUBLE) - n * LN2_LOW_DOUBLE
        e = r * (1.0 / 6227020800.0) + 1.0 / 479001600.0
        e = e * r + 1.0 / 39916800.0
        e = e * r + 1.0 / 3628800.0
        e = e * r + 1.0 / 362880.0
        e = e * r + 1.0 / 40320.0
        e = e * r + 1.0 / 5040.0
        e = e * r + 1.0 / 720.0
    e = e * r + 1.0 / 120.0
    e = e * r + 1.0 / 24.0
    e = e * r + 1.0 / 6.0
    e = e * r + 0.5
    e = e * r + 1.0
    e = e * r + 1.0
    return e * vpow2(n)


@kernel
def log_vector(p, x):
    """Natural logarithm of positive normal x.

    x = m 2^n with m in [sqrt(1/2), sqrt(2)), s = (m - 1) / (m + 1), log m = 2 artanh(s) by its
    series, whose first omitted term is below 1e-10 (float32) or 2e-17 (float64).
    """
    n = vexponent(x)
    m = x * vpow2(splat(p, 0.0) - n)
    large = splat(p, 1.4142135623730951)
    n = vwhere_greater(m, large, n + 1.0, n)
    m = vwhere_greater(m, large, m * 0.5, m)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    if is_single(x):
        series = z * (1.0 / 11.0) + 1.0 / 9.0
    else:
        series = z * (1.0 / 21.0) + 1.0 / 19.0
        series = series * z + 1.0 / 17.0
        series = series * z + 1.0 / 15.0
        series = series * z + 1.0 / 13.0
        series = series * z + 1.0 / 11.0
        series = series * z + 1.0 / 9.0
    series = series * z + 1.0 / 7.0
    series = series * z + 1.0 / 5.0
    series = series * z + 1.0 / 3.0
    log_m = (s + s) + (s + s) * (z * series)
    if is_single(x):
        return n * LN2_HIGH_SINGLE + (n * LN2_LOW_SINGLE + log_m)
    return n * LN2_HIGH_DOUBLE + (n * LN2_LOW_DOUBLE + log_m)


@kernel
def log1p_vector(p, u):
    """log(1 + u) for u in [0, 1]: the logarithm of w = 1 + u rounded, and what rounding lost."""
    w = u + 1.0
    return log_vector(p, w) + (u - (w - 1.0)) / w


@kernel
def sigmoid_vector(p, z):
    """1 / (1 + exp(-z))."""
    return vreciprocal(exp_vector(p, -z) + 1.0)


@kernel
def tanh_single(p, x):
    """tanh x in float32 as x P(x^2) / Q(x^2), to 4 ulp (3.93 over every float32).

    P and Q, of degrees 6 and 3, are a minimax fit on |x| <= 8, clipped there (error of the fit
    2e-9); x P and Q enter the quotient with what their last rounding lost.
    """
    x = vmin(splat(p, 8.0), vmax(splat(p, -8.0), x))
    z = x * x
    above = z * -1.431762558989566e-13 + 7.881029856493527e-11
    above = above * z - 2.762710060721929e-08
    above = above * z + 1.4414070392376743e-05
    above = above * z + 0.003899096744135022
    above = above * z + 0.16248685121536255
    above = above * z + 1.238055944442749
    below = z * 0.0003235018521081656 + 0.030549058690667152
    below = below * z + 0.5751721262931824
    last = splat(p, 1.238055944442749)
    high, base = x * above, vfma(below, z, last)
    high_rest, base_rest = vfma(x, above, -high), vfma(below, z, -base) + last
    reciprocal = vreciprocal_estimate(base)
    y = high * reciprocal
    error = vfma(-base_rest, y, vfma(-base, y, high) + high_rest)
    return vfma(error, reciprocal, y)


@kernel
def tanh_double(p, x):
    """tanh x in float64: near 0 Cephes' rational form, elsewhere 1 - 2 / (exp(2|x|) + 1).

    S. L. Moshier, Methods and Programs for Mathematical Functions (Cephes), 1989.
    """
    z = x * x
    above = z * -9.64399179425052238628e-1 - 9.92877231001918586564e1
    above = above * z - 1.61468768441708447952e3
    below = z + 1.12811678491632931402e2
    below = below * z + 2.23548839060100448583e3
    below = below * z + 4.84406305325125486048e3
    near = vquotient(above * z, below) * x + x
    size = vabs(x)
    far = splat(p, 1.0) - vreciprocal(exp_vector(p, size + size) + 1.0) * 2.0
    far = vwhere_greater(splat(p, 0.0), x, -far, far)
    return vwhere_greater(size, splat(p, 0.625), far, near)


@kernel
def tanh_vector(p, x):
    """tanh x in the precision of x."""
    if is_single(x):
        return tanh_single(p, x)
    return tanh_double(p, x)


@kernel
def activate_run(code, z, count):
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
    elif code != IDENTITY:
        raise ValueError("unknown activation code")


@kernel
def activate_backward_run(code, g, y, count):
    """``g <- g * dy/dz``, the derivative taken from the outputs in y, whole vectors of them."""
    width, zero = lanes(y), splat(y, 0.0)
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
    elif code != IDENTITY:
        raise ValueError("this activation has no derivative")


@kernel
def activate(code, z, stride, n, batch):
    """Overwrite net inputs (n, batch) with the outputs of an activation other than softmax.

    The rows are padded to whole vectors, in which any numbers may stand. They are overwritten
    too: a vector with a mask takes one more operation to read and to write.
    """
    if stride == 1:  # a single sample
        n, batch = 1, n
    count = (batch + lanes(z) - 1) // lanes(z) * lanes(z)
    if count == stride:
        n, count = 1, n * stride
    for i in range(n):
        activate_run(code, advance(z, i * stride), count)


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
