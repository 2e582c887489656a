"""Elementary functions of vectors: exponentials, logarithms, sigmoid, tanh, the normal tail.

Errors: at most 4 ulp in float32 and 1e-15 relative in float64, wherever the result is a normal
number. Smaller ones come out as at most twice the smallest normal number. NaN stays NaN.
"""

from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    is_single,
    splat,
    vabs,
    vexponent,
    vfma,
    vmax,
    vmin,
    vpow2,
    vquotient,
    vreciprocal,
    vround,
    vwhere_greater,
)

LOG2_E = 1.4426950408889634
LN2_HIGH_SINGLE, LN2_LOW_SINGLE = 0.693359375, -2.12194440054690583e-4
LN2_HIGH_DOUBLE, LN2_LOW_DOUBLE = 6.93145751953125e-1, 1.42860682030941723212e-6
LEAST_SINGLE, LEAST_DOUBLE = -87.33654, -708.3964185322641
"""Where exp reaches the smallest normal number."""


@kernel
def exp_reduce(x):
    """n and r of x = n ln 2 + r with whole n and |r| <= ln 2 / 2, for x in the range of exp.

    ln 2 in two parts (Cody and Waite, Software Manual for the Elementary Functions, 1980,
    chapter 6).
    """
    n = vround(x * LOG2_E)
    if is_single(x):
        return n, (x - n * LN2_HIGH_SINGLE) - n * LN2_LOW_SINGLE
    return n, (x - n * LN2_HIGH_DOUBLE) - n * LN2_LOW_DOUBLE


@kernel
def exp_series(r):
    """(exp(r) - 1 - r) / r^2 for |r| <= ln 2 / 2.

    Taylor's series of exp(r), to degree 7 (float32, error 5e-9) or 13 (float64, 4e-18).
    """
    if is_single(r):
        e = r * (1.0 / 5040.0) + 1.0 / 720.0
    else:
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
    return e * r + 0.5


@kernel
def exp_vector(p, x):
    """exp(x) = 2^n exp(r); x is clipped to where the result is a normal number.

    So it is never infinite: from 88 (float32) or 709 (float64) on it is exp(88) or exp(709).
    """
    if is_single(x):
        x = vmin(splat(p, 88.0), vmax(splat(p, LEAST_SINGLE), x))
    else:
        x = vmin(splat(p, 709.0), vmax(splat(p, LEAST_DOUBLE), x))
    n, r = exp_reduce(x)
    e = exp_series(r) * r + 1.0
    e = e * r + 1.0
    return e * vpow2(n)


@kernel
def expm1_vector(p, x):
    """exp(x) - 1 for x <= 0, as ``2^n (exp(r) - 1) + (2^n - 1)``; clipped as exp_vector."""
    x = vmax(splat(p, LEAST_SINGLE if is_single(x) else LEAST_DOUBLE), x)
    n, r = exp_reduce(x)
    scale = vpow2(n)
    return vfma(exp_series(r) * (r * r) + r, scale, scale - 1.0)


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
    """log(1 + u) for u in [0, 1].

    It is 2 artanh(s) with s = u / (2 + u) <= 1/3; artanh(s) = s + s^3 P(s^2) with a minimax fit P
    of degree 3 (float32, relative error 5e-9) or 8 (float64, 5e-17).
    """
    double = (u + u) * vreciprocal(u + 2.0)
    s = double * 0.5
    z = s * s
    if is_single(u):
        series = z * 0.13987443 + 0.14005138
        series = series * z + 0.20010463
        series = series * z + 0.33333215
    else:
        series = z * 0.08836741121810992 + 0.049685472498629354
        series = series * z + 0.067894455364730165
        series = series * z + 0.076825840239621508
        series = series * z + 0.090913769165841294
        series = series * z + 0.11111097685332414
        series = series * z + 0.14285714500358308
        series = series * z + 0.19999999998359597
        series = series * z + 0.33333333333337413
    return double + double * (z * series)


@kernel
def sigmoid_vector(p, z):
    """1 / (1 + exp(-z))."""
    return vreciprocal(exp_vector(p, -z) + 1.0)


@kernel
def tanh_single(p, x):
    """tanh x in float32 as t / (t + 2), t = exp(2|x|) - 1; exactly +-1 from |x| = 9.02 on.

    t = 2^n (exp(r) - 1) + (2^n - 1) with exp(r) = 1 + r + r^2 P(r), P a minimax fit of degree 4
    (relative error of exp(r) - 1: 2e-8). Where t is large the quotient forgives its error: 1 - y is
    right to 1.2e-7, and so is the slope 1 - y^2, which a rational fit of y gave 4.8e-7, also for
    infinite x. Inputs that are not scaled made large gradients of that.
    """
    size = vmin(splat(p, 9.02), vabs(x))
    n, r = exp_reduce(size + size)
    series = r * 0.001394649618305266 + 0.00836661085486412
    series = series * r + 0.04166628047823906
    series = series * r + 0.1666654348373413
    series = series * r + 0.5
    scale = vpow2(n)
    t = vfma(series * (r * r) + r, scale, scale - 1.0)
    y = vquotient(t, t + 2.0)
    return vwhere_greater(splat(p, 0.0), x, -y, y)


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
def times_tanh_slope(x, y):
    """``x (1 - y^2)``, rounded as in a tile.

    In float32 the slope is rounded once, and not y^2 before it: where y is off by 1.5 ulp, that
    keeps the slope right to 1.8e-7 instead of 2.03e-7.
    """
    if is_single(x):
        return x * vfma(-y, y, splat(x, 1.0))
    return vfma(-x, y * y, x)


@kernel
def normal_tail(a):
    """The tail of the normal distribution: P and Q with Phi(-a) = P S, a Phi(-a) = Q S; S; and E.

    a is 0 to 13.2 (float32) or 37.64 (float64), where E = exp(-a^2 / 2) is just a normal number.
    S = 2^n is the power of two in E; with it apart, Q S is accurate also where P S is too small.
    What is lost in rounding a^2 is taken from r of the exponential. exp(a^2 / 2) Phi(-a) is a
    polynomial in t = (a - k) / (a + k) over a + k, much as in Shepherd and Laframboise (Math.
    Comp. 36, 1981, 249-253), with t from v = 2 a / (a + k), whose error is small where a is.
    float32: k = 3, degree 8, relative error 6e-8, 1e-8 below 1.2 (least squares at Chebyshev's
    nodes, those below 1.5 weighted with 3, each coefficient rounded before the others are fitted
    again); float64: k = 5, degree 21, 1.3e-17 (Remez's algorithm with 50 digits).
    """
    square = a * a
    twice = a + a
    n, r = exp_reduce(square * -0.5)
    r = r - vfma(a, a, -square) * 0.5
    small = (exp_series(r) * r) * r + r
    scale = vpow2(n)
    base = a + (3.0 if is_single(a) else 5.0)
    share = vreciprocal(base)
    v = twice * share
    v = vfma(vfma(-v, base, twice), share, v)
    t = v - 1.0
    if is_single(a):
        tail = t * -0.0001446421 - 0.00046574004
        tail = tail * t + 0.000544998
        tail = tail * t + 0.0034728553
        tail = tail * t - 0.005241441
        tail = tail * t - 0.02363053
        tail = tail * t + 0.115009844
        tail = tail * t - 0.254666
        tail = tail * t + 0.36454183
    else:
        tail = t * 1.0127637343554945e-09 + 3.60453989120477e-09
        tail = tail * t - 5.11357310408031e-09
        tail = tail * t - 3.269806851103581e-08
        tail = tail * t + 2.1802558944487917e-08
        tail = tail * t + 2.1638892818507688e-07
        tail = tail * t - 1.6885699606798646e-07
        tail = tail * t - 1.3845580595346729e-06
        tail = tail * t + 1.990732914612774e-06
        tail = tail * t + 8.340584785708914e-06
        tail = tail * t - 2.488149949559953e-05
        tail = tail * t - 2.9687858794317356e-05
        tail = tail * t + 0.0002724495515186751
        tail = tail * t - 0.0003989347002399851
        tail = tail * t - 0.001496688387645452
        tail = tail * t + 0.01039753340007434
        tail = tail * t - 0.034559319352991315
        tail = tail * t + 0.08251018308518308
        tail = tail * t - 0.15676657833565735
        tail = tail * t + 0.24765280798498845
        tail = tail * t - 0.3326912514450283
        tail = tail * t + 0.3845965248750315
    share = (share + share) * tail
    v = v * tail
    return share + share * small, v + v * small, scale, scale + scale * small
