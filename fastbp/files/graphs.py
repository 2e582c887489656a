"""Graphs computed by another framework, which finds the gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple


class Functions(NamedTuple):
    """What a framework computes tensors by.

    Attributes
    ----------
    constant : callable
        Makes a tensor of a number.
    by_name : dict of str to callable
        "exp", "log", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs" and "relu" of a tensor,
        "maximum" of two.
    """

    constant: Callable[[float], Any]
    by_name: dict[str, Callable[..., Any]]


ONE_ARGUMENT = ("exp", "log", "tanh", "sigmoid", "sqrt", "sin", "cos", "abs", "relu")


def value_of(nodes: list[list[Any]], z: Any, functions: Functions) -> Any:
    """The value of a graph of one variable.

    Parameters
    ----------
    nodes : list
        As `fastbp.saving.recipe.nodes_of` makes them.
    z : tensor
    functions : Functions
    """
    found: list[Any] = []
    for operation, arguments, number, _, _ in nodes:
        found.append(_value(operation, [found[i] for i in arguments], number, z, functions))
    return found[-1]


def _value(operation: str, below: list[Any], number: float, z: Any, functions: Functions) -> Any:
    if operation == "variable":
        return z
    if operation == "constant":
        return functions.constant(number)
    if operation in ONE_ARGUMENT:
        return functions.by_name[operation](*below)
    if operation == "negate":
        return -below[0]
    if operation == "max":
        return reduce(functions.by_name["maximum"], below)
    if operation == "dot":
        half = len(below) // 2
        below = [a * b for a, b in zip(below[:half], below[half:], strict=True)]
    if operation in ("add", "sum", "dot"):
        return reduce(lambda a, b: a + b, below)
    a, b = below
    if operation == "subtract":
        return a - b
    if operation == "multiply":
        return a * b
    if operation == "divide":
        return a / b
    if operation == "power":
        return a**b
    raise ValueError(f"unknown operation {operation!r}")
