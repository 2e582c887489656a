"""The operations of computational graphs: their values and local derivatives.

Legend: a, b arguments; y the value. `value_of_one` and `value_of_two` compute values,
`slope_of_one` and `slope_of_two` derivatives. The operations with any number of arguments (max,
sum, dot) are in kernels.py, with the loops over nodes and rows.

==========  ========================  ==========================================
operation   value                     local derivative
==========  ========================  ==========================================
add         a + b                     1, 1
subtract    a - b                     1, -1
multiply    a b                       b, a
divide      a / b                     1 / b, -(a / b) / b
power       a^b                       b a^(b - 1), a^b log a
negate      -a                        -1
exp         exp a                     exp a
log         log a                     1 / a
tanh        tanh a                    1 / cosh(a)^2
sigmoid     1 / (1 + exp(-a))         e / (1 + e)^2, e = exp(-|a|)
sqrt        sqrt a                    1 / (2 sqrt a)
sin, cos    sin a, cos a              cos a, -sin a
abs         the larger of a and -a    sign a; 0 at 0
relu        max(a, 0)                 1 where a > 0, else 0
max         max of any number         1 / ties for those that are equal to it, else 0
sum         sum of any number         1
dot         a_1 b_1 + a_2 b_2 + ...   b_i, a_i; the arguments are all a, then all b
==========  ========================  ==========================================

The derivatives of tanh and sigmoid are not computed from their values: 1 - y would lose digits.
"""

import numpy as np

from fastbp.machine.jit import kernel

CONSTANT = 0
VARIABLE = 1
ADD, SUBTRACT, MULTIPLY, DIVIDE, POWER, NEGATE = range(2, 8)
EXP, LOG, TANH, SIGMOID, SQRT, SIN, COS, ABS, RELU = range(8, 17)
MAX, SUM, DOT = range(17, 20)
OPERATIONS = {
    "constant": CONSTANT,
    "variable": VARIABLE,
    "add": ADD,
    "subtract": SUBTRACT,
    "multiply": MULTIPLY,
    "divide": DIVIDE,
    "power": POWER,
    "negate": NEGATE,
    "exp": EXP,
    "log": LOG,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "sqrt": SQRT,
    "sin": SIN,
    "cos": COS,
    "abs": ABS,
    "relu": RELU,
    "max": MAX,
    "sum": SUM,
    "dot": DOT,
}
"""The codes of the operations, by name."""


@kernel
def quotient(a, b):
    """a / b, which is infinite or NaN where b is 0, uncompiled too."""
    return np.float64(a) / b


@kernel
def raised(a, b):
    """a^b; the square is a product, so that its last bit does not depend on the library."""
    return a * a if b == 2.0 else np.power(a, b)


@kernel
def logistic(a):
    """1 / (1 + exp(-a)) without overflow."""
    e = np.exp(-abs(a))
    return 1.0 / (1.0 + e) if a >= 0.0 else e / (1.0 + e)


@kernel
def value_of_one(code, a):
    """The value of an operation with one argument."""
    if code == NEGATE:
        return -a
    if code == EXP:
        return np.exp(a)
    if code == LOG:
        return np.log(a)
    if code == TANH:
        return np.tanh(a)
    if code == SIGMOID:
        return logistic(a)
    if code == SQRT:
        return np.sqrt(a)
    if code == SIN:
        return np.sin(a)
    if code == COS:
        return np.cos(a)
    if code == ABS:
        return abs(a)
    if code == RELU:
        return max(a, 0.0)
    raise ValueError("unknown operation code")


@kernel
def slope_of_one(code, a, y):
    """dy/da of an operation with one argument."""
    if code == NEGATE:
        return -1.0
    if code == EXP:
        return y
    if code == LOG:
        return quotient(1.0, a)
    if code == TANH:
        e = np.exp(-2.0 * abs(a))
        return 4.0 * e / ((1.0 + e) * (1.0 + e))
    if code == SIGMOID:
        e = np.exp(-abs(a))
        return e / ((1.0 + e) * (1.0 + e))
    if code == SQRT:
        return quotient(0.5, y)
    if code == SIN:
        return np.cos(a)
    if code == COS:
        return -np.sin(a)
    if code == ABS:
        return 1.0 if a > 0.0 else (-1.0 if a < 0.0 else 0.0)
    return 1.0 if a > 0.0 else 0.0


@kernel
def value_of_two(code, a, b):
    """The value of an operation with two arguments."""
    if code == ADD:
        return a + b
    if code == SUBTRACT:
        return a - b
    if code == MULTIPLY:
        return a * b
    if code == DIVIDE:
        return quotient(a, b)
    if code == POWER:
        return raised(a, b)
    raise ValueError("unknown operation code")


@kernel
def slope_of_power(a, b, y, k):
    """The derivative of a^b by a (k = 0) or b; by b it is NaN for a < 0, and 0 at 0^b for b > 0."""
    if k == 0:
        if b == 2.0:
            return 2.0 * a
        return b * np.power(a, b - 1.0) if b != 0.0 else 0.0
    return 0.0 if a == 0.0 and b > 0.0 else y * np.log(a)


@kernel
def slope_of_two(code, a, b, y, k):
    """dy/da (k = 0) or dy/db (k = 1) of an operation with two arguments."""
    if code == ADD:
        return 1.0
    if code == SUBTRACT:
        return 1.0 if k == 0 else -1.0
    if code == MULTIPLY:
        return b if k == 0 else a
    if code == DIVIDE:
        return quotient(1.0 if k == 0 else -y, b)
    return slope_of_power(a, b, y, k)
