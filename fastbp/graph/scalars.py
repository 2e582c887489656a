"""A graph's value and derivative for single numbers, as code of its own: no tape is read.

`value` and `value_and_slope` walk through a graph, once, and apply a kernel for each operation;
compiled, that writes the code of a function (`fastbp.machine.tapes`). The rules are those of
`operations.py` and `kernels.py`, the elementary functions those that LLVM vectorises.

Where `evaluation.py` raises a GraphError, the value is NaN: any node may have no finite value, and
some, as in 1 / exp(x), leave the output finite.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastbp.graph.flat import Flat
from fastbp.kernels import scalars
from fastbp.kernels.elementary import exp_vector
from fastbp.machine.jit import compiles, kernel
from fastbp.machine.simd import (
    is_same,
    lane_of,
    lanes,
    load,
    number_of,
    store,
    vabs,
    vreciprocal,
)

MOST_NODES = 200
"""Of a graph that is compiled: one of more would take seconds."""


class Code(Protocol):
    """Numbers, and what is done with them: in code that is being written, or at once."""

    def number(self, value: float) -> Any:
        """A constant."""
        ...

    def apply(self, kernel: Any, *numbers: Any) -> Any:
        """What a kernel returns of numbers."""
        ...


class Node(NamedTuple):
    """A node of a graph.

    Attributes
    ----------
    operation : str
        A name of `fastbp.graph.operations.OPERATIONS`.
    arguments : tuple of int
        Indices of nodes before it; of a variable, which of the inputs it is.
    number : float
        Value of a constant.
    """

    operation: str
    arguments: tuple[int, ...]
    number: float


def nodes_of(flat: Flat) -> tuple[Node, ...]:
    """The nodes of a graph whose variables are numbers: y_pred, or the only one, is the first."""
    inputs = sorted(flat.rows, key=lambda name: name != "y_pred")
    return tuple(
        Node(
            operation,
            (inputs.index(flat.names[i]),) if operation == "variable" else tuple(below),
            float(flat.tape.constants[i]),
        )
        for i, (operation, below) in enumerate(zip(flat.operations, flat.arguments, strict=True))
    )


def name_of(nodes: Sequence[Node]) -> str:
    """A short name that stands for these nodes and no others."""
    text = repr([(node.operation, node.arguments, node.number.hex()) for node in nodes])
    return blake2b(text.encode(), digest_size=20).hexdigest()


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
        Of the arguments.
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
MOST_FACTORS = 16
"""Of a power that is written as a product."""


class Walk:
    """A walk through a graph.

    Parameters
    ----------
    nodes : sequence of Node
        The last one is the output.
    inputs : sequence of number
    code : Code
    """

    def __init__(self, nodes: Sequence[Node], inputs: Sequence[Any], code: Code) -> None:
        self.nodes = nodes
        self.code = code
        self.values: list[Any] = []
        hidden: set[int] = {len(nodes) - 1}
        for node in nodes:
            self.values.append(self._value(node, inputs))
            hidden |= self._hidden_by(node)
        self.lost = code.number(0.0)
        for i in sorted(hidden):
            if nodes[i].operation != "constant":
                self.lost = code.apply(not_finite, self.lost, self.values[i])

    def value(self) -> Any:
        """The output; NaN where any node is not finite."""
        return self.code.apply(add, self.values[-1], self.lost)

    def value_and_slope(self) -> tuple[Any, Any]:
        """The same and its derivative by the first input; NaN also where that is not finite."""
        apply = self.code.apply
        adjoints: list[Any] = [None] * len(self.nodes)
        adjoints[-1] = self.code.number(1.0)
        slope = self.code.number(0.0)
        for i in range(len(self.nodes) - 1, -1, -1):
            node = self.nodes[i]
            above = adjoints[i]
            if above is None or node.operation == "constant":
                continue
            if node.operation == "variable":
                slope = above if node.arguments == (0,) else slope
                continue
            for k, below in enumerate(node.arguments):
                if self.nodes[below].operation == "constant":
                    continue
                part = self._passed_on(node, i, k, above)
                had = adjoints[below]
                adjoints[below] = part if had is None else apply(add, had, part)
        value = apply(add, self.values[-1], apply(not_finite, self.lost, slope))
        return value, slope

    def _value(self, node: Node, inputs: Sequence[Any]) -> Any:
        apply = self.code.apply
        if node.operation == "constant":
            return self.code.number(node.number)
        if node.operation == "variable":
            return inputs[node.arguments[0]]
        given = [self.values[i] for i in node.arguments]
        if node.operation in OPERATIONS:
            exponent = self._exponent(node)
            if exponent is not None:
                return self._product(given[0], exponent)
            return apply(OPERATIONS[node.operation].value, *given)
        if node.operation == "dot":
            half = len(given) // 2
            given = [apply(multiply, a, b) for a, b in zip(given[:half], given[half:], strict=True)]
        folded = larger if node.operation == "max" else add
        total = given[0]
        for one in given[1:]:
            total = apply(folded, total, one)
        return total

    def _hidden_by(self, node: Node) -> set[int]:
        """Nodes that may be infinite or NaN without this one being so."""
        if node.operation == "max":
            return set(node.arguments)
        if node.operation not in OPERATIONS:
            return set()
        hides = OPERATIONS[node.operation].hides
        return {i for i, hidden in zip(node.arguments, hides, strict=False) if hidden}

    def _passed_on(self, node: Node, i: int, k: int, above: Any) -> Any:
        """What the adjoint of node i adds to that of its argument k."""
        apply = self.code.apply
        given = [self.values[j] for j in node.arguments]
        if node.operation == "sum":
            return above
        if node.operation == "dot":
            half = len(given) // 2
            return apply(multiply, above, given[k + half if k < half else k - half])
        if node.operation == "max":
            ties = self.code.number(0.0)
            for one in given:
                ties = apply(add, ties, apply(is_equal, one, self.values[i]))
            share = apply(divide, apply(is_equal, given[k], self.values[i]), ties)
            return apply(multiply, above, share)
        operation = OPERATIONS[node.operation]
        exponent = self._exponent(node)
        if exponent is not None:
            if exponent == 0.0:
                return self.code.number(0.0)
            power = self._product(given[0], exponent - 1.0)
            slope = apply(multiply, self.code.number(exponent), power)
        elif operation.slopes[k] is None:
            return above
        else:
            slope = apply(operation.slopes[k], *given, self.values[i])
        return apply(passed_on if operation.steep else multiply, above, slope)

    def _exponent(self, node: Node) -> float | None:
        """The exponent of a power that is a product of factors and of a root; else None."""
        if node.operation != "power" or self.nodes[node.arguments[1]].operation != "constant":
            return None
        exponent = self.nodes[node.arguments[1]].number
        return exponent if abs(exponent) <= MOST_FACTORS and exponent * 2 % 1 == 0 else None

    def _product(self, base: Any, exponent: float) -> Any:
        """A power with a whole exponent, or one and a half, by squaring."""
        apply = self.code.apply
        found = None
        if exponent % 1:
            found = apply(sqrt, base)
        left = int(abs(exponent))
        square = base
        while left:
            if left % 2:
                found = square if found is None else apply(multiply, found, square)
            left //= 2
            if left:
                square = apply(multiply, square, square)
        if found is None:
            return self.code.number(1.0)
        return apply(divide, self.code.number(1.0), found) if exponent < 0 else found


# ---- loops ---------------------------------------------------------------------------------------


def _value(nodes: Sequence[Node], numbers: Sequence[Any], code: Code) -> tuple[Any, ...]:
    return (Walk(nodes, numbers, code).value(),)


def _value_and_slope(nodes: Sequence[Node], numbers: Sequence[Any], code: Code) -> tuple[Any, ...]:
    return Walk(nodes, numbers, code).value_and_slope()


if compiles():
    from fastbp.machine.tapes import written

    value_at = written(_value, 1)
    value_and_slope_at = written(_value_and_slope, 2)
else:

    class AtOnce:
        """Numbers of Python, to which kernels are applied at once."""

        def number(self, value: float) -> Any:
            """A constant."""
            return np.float64(value)

        def apply(self, kernel: Any, *numbers: Any) -> Any:
            """What a kernel returns of numbers."""
            return np.float64(kernel(*numbers))

    def value_at(nodes: Sequence[Node], *numbers: float) -> Any:
        """The value for some inputs."""
        return _value(nodes, [np.float64(x) for x in numbers], AtOnce())[0]

    def value_and_slope_at(nodes: Sequence[Node], *numbers: float) -> Any:
        """The value and its derivative by the first input."""
        return _value_and_slope(nodes, [np.float64(x) for x in numbers], AtOnce())


@kernel
def activation_loop(graph, z, slope, _, __, count):
    """``z, slope <- f(z)``; where `slope` is z itself, only the outputs are wanted."""
    count = count // lanes(z) * lanes(z)  # as in kernels/elementwise.py
    if is_same(z, slope):
        for i in range(count):
            x = load(z, i)
            store(z, i, value_at(graph, x, x))
    else:
        for i in range(count):
            x = load(z, i)
            y, dy = value_and_slope_at(graph, x, x)
            store(slope, i, dy)
            store(z, i, y)


@kernel
def loss_loop(graph, y, t, values, slopes, count):
    """``values, slopes <- f(y, t)``."""
    count = count // lanes(y) * lanes(y)
    for i in range(count):
        value, slope = value_and_slope_at(graph, load(y, i), load(t, i))
        store(values, i, value)
        store(slopes, i, slope)


LOOPS = {"activation": activation_loop, "loss": loss_loop}
"""By the use of a graph in a net."""
