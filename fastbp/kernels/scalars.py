"""Elementary functions of single numbers, for functions of users: LLVM vectorises loops of them.

They are those of elementary.py, and beyond their range what `math` and NumPy return: 0, infinity
and NaN. Results that are too small for a normal number are 0.
"""

import math

import numpy as np

from fastbp.kernels.elementary import (
    LEAST_DOUBLE,
    LEAST_SINGLE,
    exp_vector,
    expm1_vector,
    log_vector,
    tanh_vector,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    is_single,
    lane_of,
    number_of,
    splat,
    vmin,
    vwhere_greater,
)

LARGE_SINGLE, LARGE_DOUBLE = 80.0, 700.0
"""Beyond, exp(x) is computed as exp(x - 4) e^4: elementary.py clips what may be infinite."""
E_4 = 54.598150033144239078
SMALLEST_SINGLE, SMALLEST_DOUBLE = 1.1754943508222875e-38, 2.2250738585072014e-308
LARGEST_SINGLE, LARGEST_DOUBLE = 3.4028234663852886e38, 1.7976931348623157e308


@kernel
def reduced(x):
    """x, or x - 4 where it is large, and by what the exponential of that is to be multiplied."""
    large = splat(x, LARGE_SINGLE if is_single(x) else LARGE_DOUBLE)
    one = splat(x, 1.0)
    return vwhere_greater(x, large, x - 4.0, x), vwhere_greater(x, large, one * E_4, one)


@kernel
def exp(number):
    """e^x."""
    x = lane_of(number)
    least = splat(x, LEAST_SINGLE if is_single(x) else LEAST_DOUBLE)
    part, factor = reduced(x)
    y = exp_vector(x, part) * factor
    return number_of(vwhere_greater(least, x, splat(x, 0.0), y))


@kernel
def expm1(number):
    """e^x - 1."""
    x = lane_of(number)
    part, factor = reduced(x)
    most = splat(x, 88.0 if is_single(x) else 709.0)
    return number_of(expm1_vector(x, vmin(most, part)) * factor)


@kernel
def log_lane(x):
    """The natural logarithm of a lane."""
    zero = splat(x, 0.0)
    y = log_vector(x, x) + (x - x)  # NaN stays NaN
    small = vwhere_greater(zero, x, splat(x, math.nan), splat(x, -math.inf))
    smallest = splat(x, SMALLEST_SINGLE if is_single(x) else SMALLEST_DOUBLE)
    largest = splat(x, LARGEST_SINGLE if is_single(x) else LARGEST_DOUBLE)
    return vwhere_greater(smallest, x, small, vwhere_greater(x, largest, x, y))


@kernel
def log(number):
    """The natural logarithm."""
    return number_of(log_lane(lane_of(number)))


@kernel
def log1p(number):
    """log(1 + x): what rounding 1 + x = w has lost is added as its share of w."""
    x = lane_of(number)
    w = x + 1.0
    y = log_lane(w)
    largest = splat(x, LARGEST_SINGLE if is_single(x) else LARGEST_DOUBLE)
    exact = y + (x - (w - 1.0)) / w
    return number_of(vwhere_greater(w, splat(x, 0.0), vwhere_greater(w, largest, y, exact), y))


@kernel
def tanh(number):
    """The hyperbolic tangent."""
    x = lane_of(number)
    return number_of(tanh_vector(x, x))


REPLACEMENTS = {
    math.exp: exp, math.expm1: expm1, math.log1p: log1p, math.tanh: tanh,
    math.log: log, np.exp: exp, np.expm1: expm1, np.log: log, np.log1p: log1p, np.tanh: tanh,
}  # fmt: skip
"""What takes the place of functions of `math` and NumPy."""
