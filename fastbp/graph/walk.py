"""A walk through a graph of single numbers: its value, and its derivative by backward mode.

For each operation a kernel is applied (`scalar_operations.py`). Compiled, that writes the code of a
function (`fastbp.machine.tapes`). The rules are those of `kernels.py`. Where `evaluation.py` raises
a GraphError, the value is NaN: a node may have no finite value though the output has one, as exp(x)
in 1 / exp(x).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol

from fastbp.graph import scalar_operations as rules
from fastbp.graph.flat import Flat

MOST_ARGUMENTS = 128
"""Arguments of all nodes of a graph that is compiled: with more it would take seconds."""
MOST_FACTORS = 16
"""The largest exponent of a power that is written as a product."""


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


def is_small(flat: Flat) -> bool:
    """Whether a graph is to be compiled."""
    return len(flat.tape.arguments) <= MOST_ARGUMENTS


def name_of(nodes: Sequence[Node]) -> str:
    """A short name that stands for these nodes and no others."""
    text = repr([(node.operation, node.arguments, node.number.hex()) for node in nodes])
    return blake2b(text.encode(), digest_size=20).hexdigest()


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
        self._ties_of: dict[int, tuple[list[Any], Any]] = {}
        hidden: set[int] = {len(nodes) - 1}
        for node in nodes:
            self.values.append(self._value(node, inputs))
            hidden |= self._hidden_by(node)
        self.lost = code.number(0.0)
        for i in sorted(hidden):
            if nodes[i].operation != "constant":
                self.lost = code.apply(rules.not_finite, self.lost, self.values[i])

    def value(self) -> Any:
        """The output; NaN where any node is not finite."""
        return self.code.apply(rules.add, self.values[-1], self.lost)

    def value_and_slope(self) -> tuple[Any, Any]:
        """The same and its derivative by the first input: both NaN where either is not finite."""
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
                adjoints[below] = part if had is None else apply(rules.add, had, part)
        lost = apply(rules.not_finite, self.lost, slope)
        return apply(rules.add, self.values[-1], lost), apply(rules.add, slope, lost)

    def _value(self, node: Node, inputs: Sequence[Any]) -> Any:
        apply = self.code.apply
        if node.operation == "constant":
            return self.code.number(node.number)
        if node.operation == "variable":
            return inputs[node.arguments[0]]
        given = [self.values[i] for i in node.arguments]
        if node.operation in rules.OPERATIONS:
            exponent = self._exponent(node)
            if exponent is not None:
                return self._product(given[0], exponent)
            return apply(rules.OPERATIONS[node.operation].value, *given)
        if node.operation == "dot":
            half = len(given) // 2
            given = [
                apply(rules.multiply, a, b) for a, b in zip(given[:half], given[half:], strict=True)
            ]
        folded = rules.larger if node.operation == "max" else rules.add
        total = given[0]
        for one in given[1:]:
            total = apply(folded, total, one)
        return total

    def _hidden_by(self, node: Node) -> set[int]:
        """Nodes that may be infinite or NaN without this one being so."""
        if node.operation == "max":
            return set(node.arguments)
        if node.operation not in rules.OPERATIONS:
            return set()
        hides = rules.OPERATIONS[node.operation].hides
        return {i for i, hidden in zip(node.arguments, hides, strict=False) if hidden}

    def _passed_on(self, node: Node, i: int, k: int, above: Any) -> Any:
        """What the adjoint of node i adds to that of its argument k."""
        apply = self.code.apply
        given = [self.values[j] for j in node.arguments]
        if node.operation == "sum":
            return above
        if node.operation == "dot":
            half = len(given) // 2
            return apply(rules.multiply, above, given[k + half if k < half else k - half])
        if node.operation == "max":
            equal, ties = self._ties(i)
            return apply(rules.multiply, above, apply(rules.divide, equal[k], ties))
        operation = rules.OPERATIONS[node.operation]
        exponent = self._exponent(node)
        if exponent is not None:
            if exponent == 0.0:
                return self.code.number(0.0)
            power = self._product(given[0], exponent - 1.0)
            slope = apply(rules.multiply, self.code.number(exponent), power)
        elif operation.slopes[k] is None:
            return above
        else:
            slope = apply(operation.slopes[k], *given, self.values[i])
        return apply(rules.passed_on if operation.steep else rules.multiply, above, slope)

    def _ties(self, i: int) -> tuple[list[Any], Any]:
        """For each argument of a maximum 1 where it is the largest, else 0; and their sum."""
        if i not in self._ties_of:
            apply = self.code.apply
            values = [self.values[j] for j in self.nodes[i].arguments]
            equal = [apply(rules.is_equal, value, self.values[i]) for value in values]
            total = equal[0]
            for one in equal[1:]:
                total = apply(rules.add, total, one)
            self._ties_of[i] = equal, total
        return self._ties_of[i]

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
            found = apply(rules.sqrt, base)
        left = int(abs(exponent))
        square = base
        while left:
            if left % 2:
                found = square if found is None else apply(rules.multiply, found, square)
            left //= 2
            if left:
                square = apply(rules.multiply, square, square)
        if found is None:
            return self.code.number(1.0)
        return apply(rules.divide, self.code.number(1.0), found) if exponent < 0 else found
