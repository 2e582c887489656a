"""The operations of graphs on single numbers, as kernels that LLVM vectorises in loops.

They compute what `operations.py` does for rows of a tape; elementary functions are fastbp's own. A
derivative is named `slope_of` a function, or `by` an argument, and takes the arguments and the
value. Those of tanh and sigmoid are not computed from the value: 1 - y would lose digits.
"""

from typing import Any, NamedTuple

import numpy as np

from fastbp.kernels import scalars
from fastbp.kernels.elementary import exp_vector
from fastbp.machine.jit import kernel
from fastbp.machine.simd import lane_of, number_of, vabs, vreciprocal


@kernel
def add(a, b):
    """a + b."""
    return a + b


@kernel
def subtract(a, b):
    """a - b."""
    return a - b


@kernel
def multiply(a, b):
    """a b."""
    return a * b


@kernel
def divide(a, b):
    """a / b."""
    return a / b


@kernel
def power(a, b):
    """a^b."""
    return np.power(a, b)


@kernel
def negate(a):
    """-a."""
    return -a


@kernel
def sigmoid(a):
    """1 / (1 + exp(-a))."""
    x = lane_of(a)
    return number_of(vreciprocal(exp_vector(x, -x) + 1.0))


@kernel
def sqrt(a):
    """The square root."""
    return np.sqrt(a)


@kernel
def sin(a):
    """The sine."""
    return np.sin(a)


@kernel
def cos(a):
    """The cosine."""
    return np.cos(a)


@kernel
def absolute(a):
    """|a|."""
    return abs(a)


@kernel
def relu(a):
    """max(a, 0)."""
    return a if a > 0.0 else 0.0


@kernel
def larger(a, b):
    """max(a, b)."""
    return a if a > b else b


@kernel
def slope_of_log(a, y):
    """1 / a."""
    return 1.0 / a


@kernel
def slope_of_tanh(a, y):
    """1 / cosh(a)^2 = 4 E / (E + 1)^2 with E = exp(2 |a|), which tanh has computed."""
    x = lane_of(a)
    size = vabs(x)
    e = exp_vector(x, size + size)
    share = vreciprocal(e + 1.0)
    return number_of((e * share) * (share * 4.0))


@kernel
def slope_of_sigmoid(a, y):
    """E / (E + 1)^2 with E = exp(-a), which the sigmoid has computed."""
    x = lane_of(a)
    e = exp_vector(x, -x)
    share = vreciprocal(e + 1.0)
    return number_of((e * share) * share)


@kernel
def slope_of_sqrt(a, y):
    """1 / (2 sqrt a)."""
    return 0.5 / y


@kernel
def slope_of_sin(a, y):
    """cos a."""
    return np.cos(a)


@kernel
def slope_of_cos(a, y):
    """-sin a."""
    return -np.sin(a)


@kernel
def slope_of_absolute(a, y):
    """The sign of a; 0 at 0."""
    return 1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0)


@kernel
def slope_of_relu(a, y):
    """1 where a > 0, else 0."""
    return 1.0 if a > 0.0 else 0.0


@kernel
def minus_one(a, y):
    """The derivative of -a."""
    return -1.0


@kernel
def value_itself(a, y):
    """The derivative of exp a."""
    return y


@kernel
def minus_one_of_two(a, b, y):
    """The derivative of a - b by b."""
    return -1.0


@kernel
def first(a, b, y):
    """The derivative of a b by b."""
    return a


@kernel
def second(a, b, y):
    """The derivative of a b by a."""
    return b


@kernel
def quotient_by_first(a, b, y):
    """The derivative of a / b by a."""
    return 1.0 / b


@kernel
def quotient_by_second(a, b, y):
    """The derivative of a / b by b."""
    return -y / b


@kernel
def power_by_base(a, b, y):
    """The derivative of a^b by a."""
    return b * np.power(a, b - 1.0) if b != 0.0 else 0.0


@kernel
def power_by_exponent(a, b, y):
    """The derivative of a^b by b; 0 at 0^b for b > 0."""
    return 0.0 if a == 0.0 and b > 0.0 else y * np.log(a)


@kernel
def is_equal(a, b):
    """1 where a and b are equal, else 0."""
    return 1.0 if a == b else 0.0


@kernel
def passed_on(above, slope):
    """What an adjoint adds below: nothing if it is 0, even where the slope is infinite."""
    return above * slope if above != 0.0 else 0.0


@kernel
def not_finite(total, a):
    """`total`, or NaN if `a` is infinite or NaN."""
    return total + a * 0.0


class Operation(NamedTuple):
    """An operation on one or two numbers.

    Attributes
    ----------
    value : kernel
        Takes the arguments.
    slopes : tuple of kernel
        For each argument the derivative by it, of the arguments and the value; None for 1.
    hides : tuple of bool
        For each argument whether the value may be finite though this argument is not.
    steep : bool
        Whether a slope may be infinite where the value is finite.
    """

    value: Any
    slopes: tuple[Any, ...]
    hides: tuple[bool, ...] = (False, False)
    steep: bool = False


OPERATIONS = {
    "add": Operation(add, (None, None)),
    "subtract": Operation(subtract, (None, minus_one_of_two)),
    "multiply": Operation(multiply, (second, first)),
    "divide": Operation(divide, (quotient_by_first, quotient_by_second), (False, True), True),
    "power": Operation(power, (power_by_base, power_by_exponent), (True, True), True),
    "negate": Operation(negate, (minus_one,)),
    "exp": Operation(scalars.exp, (value_itself,), (True,)),
    "log": Operation(scalars.log, (slope_of_log,), steep=True),
    "tanh": Operation(scalars.tanh, (slope_of_tanh,), (True,)),
    "sigmoid": Operation(sigmoid, (slope_of_sigmoid,), (True,)),
    "sqrt": Operation(sqrt, (slope_of_sqrt,), steep=True),
    "sin": Operation(sin, (slope_of_sin,)),
    "cos": Operation(cos, (slope_of_cos,)),
    "abs": Operation(absolute, (slope_of_absolute,)),
    "relu": Operation(relu, (slope_of_relu,), (True,)),
}
"""By their names; max, sum and dot are folded from others."""
