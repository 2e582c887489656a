"""Activations in the operators of ONNX, as formulas of tensors.

In float32 an activation is the operator of its name, where there is one. In float64 ONNX Runtime
lacks most of these, and attributes such as HardSigmoid's slope are float32 in any case: there the
formulas are made of what it has, Exp, Log, Tanh, Max and the four operations, in forms that lose no
digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fastbp.files.graphs import Functions, value_of
from fastbp.files.in_numpy import NORMAL_TAIL
from fastbp.kernels.activations import LEAK, SELU_ALPHA, SELU_DEPTH, SELU_SCALE
from fastbp.kernels.elementary import LEAST_DOUBLE, LEAST_SINGLE
from fastbp.saving.recipe import nodes_of

GELU_FROM_OPSET = 20
"""The first version that has an operator for it."""
FARTHEST = 37.64
"""Beyond it, gelu is the identity or 0 in float64."""


class Operators(Protocol):
    """Where the nodes of a graph are collected."""

    dtype: np.dtype[Any]
    opset: int

    def node(self, operator: str, inputs: Sequence[str], attributes: dict[str, Any]) -> str:
        """Append a node; the name of its output."""
        ...

    def number(self, value: float, dtype: np.dtype[Any]) -> str:
        """The name of a constant."""
        ...


class Tensor:
    """A tensor of a graph, from which operators make others.

    Parameters
    ----------
    graph : Operators
    name : str
    dtype : numpy.dtype
        In which its numbers are.
    """

    def __init__(self, graph: Operators, name: str, dtype: np.dtype[Any]) -> None:
        self.graph = graph
        self.name = name
        self.dtype = dtype

    def op(self, operator: str, *others: Operand, **attributes: Any) -> Tensor:
        """The output of an operator that takes this tensor and others."""
        return self._node(operator, [self, *others], attributes)

    def _node(self, operator: str, operands: Sequence[Operand], attributes: Any = None) -> Tensor:
        names = [self._named(operand) for operand in operands]
        return Tensor(self.graph, self.graph.node(operator, names, attributes or {}), self.dtype)

    def _named(self, operand: Operand) -> str:
        if isinstance(operand, float):
            return self.graph.number(operand, self.dtype)
        return operand if isinstance(operand, str) else operand.name

    def cast(self, dtype: np.dtype[Any]) -> Tensor:
        """The same numbers in another type."""
        made = self.op("Cast", to=dtype)
        made.dtype = dtype
        return made

    def __add__(self, other: Operand) -> Tensor:
        return self.op("Add", other)

    def __radd__(self, other: Operand) -> Tensor:
        return self._node("Add", [other, self])

    def __sub__(self, other: Operand) -> Tensor:
        return self.op("Sub", other)

    def __rsub__(self, other: Operand) -> Tensor:
        return self._node("Sub", [other, self])

    def __mul__(self, other: Operand) -> Tensor:
        return self.op("Mul", other)

    def __truediv__(self, other: Operand) -> Tensor:
        return self.op("Div", other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return self._node("Div", [other, self])

    def __pow__(self, other: Operand) -> Tensor:
        return self.op("Pow", other)

    def __neg__(self) -> Tensor:
        return self.op("Neg")


Operand = Tensor | str | float
"""A tensor, the name of one, or a number."""
Formula = Callable[[Tensor], Tensor]


def activated(z: Tensor, activation: Any) -> Tensor:
    """The outputs of an activation.

    Parameters
    ----------
    z : Tensor
        Net inputs.
    activation : str or GraphActivation
    """
    if not isinstance(activation, str):
        double = np.dtype(np.float64)
        x = z if z.dtype == double else z.cast(double)  # as fastbp computes them
        y = _of_graph(x, activation.expression)
        return y if z.dtype == double else y.cast(z.dtype)
    if z.dtype == np.float64 and activation in IN_DOUBLE:
        return IN_DOUBLE[activation](z)
    return FORMULAS[activation](z)


# ---- by name -------------------------------------------------------------------------------------


def _step(z: Tensor) -> Tensor:
    return z.op("Greater", 0.0).cast(z.dtype)


def _exp(z: Tensor) -> Tensor:
    """Clipped as `exp_vector` of fastbp, so that it stays finite."""
    least, most = (LEAST_SINGLE, 88.0) if z.dtype == np.float32 else (LEAST_DOUBLE, 709.0)
    return z.op("Clip", least, most).op("Exp")


def _gelu(z: Tensor) -> Tensor:
    if z.graph.opset >= GELU_FROM_OPSET:
        return z.op("Gelu")
    return z * ((z / float(np.sqrt(2.0))).op("Erf") + 1.0) * 0.5


def _expm1_below(z: Tensor) -> Tensor:
    """``exp(min(z, 0)) - 1`` as 2 t / (1 - t), t = tanh(z / 2): near 0 nothing is cancelled."""
    t = (z.op("Min", 0.0) * 0.5).op("Tanh")
    return (t + t) / (1.0 - t)


def _elu(z: Tensor) -> Tensor:
    return z.op("Relu") + _expm1_below(z)


def _selu(z: Tensor) -> Tensor:
    return z.op("Relu") * SELU_SCALE + _expm1_below(z) * SELU_DEPTH


def _softplus(z: Tensor) -> Tensor:
    """``max(z, 0) + log(1 + u)``, u = exp(-|z|), with log(w) u / (w - 1) for w = 1 + u rounded.

    The rounding of w has the same share in log(w) and in w - 1 (Kahan, in Goldberg, ACM Computing
    Surveys 23, 1991, theorem 4). Where w is 1, log(1 + u) is u.
    """
    u = (-z.op("Abs")).op("Exp")
    w = u + 1.0
    log = w.op("Log") * (u / (w - 1.0))
    return z.op("Relu") + w.op("Equal", 1.0).op("Where", u, log)


def _gelu_in_double(z: Tensor) -> Tensor:
    """``max(z, 0) - a Phi(-a)``, a = min(|z|, 37.64), with Phi as fastbp has it."""
    a = z.op("Abs").op("Min", FARTHEST)
    base = a + 5.0
    t = (a - 5.0) / base
    tail = t * NORMAL_TAIL[0] + NORMAL_TAIL[1]
    for coefficient in NORMAL_TAIL[2:]:
        tail = tail * t + coefficient
    density = (a * a * -0.5).op("Exp")
    return z.op("Relu") - a * density * (tail / base * 2.0)


FORMULAS: dict[str, Formula] = {
    "identity": lambda z: z,
    "sigmoid": lambda z: z.op("Sigmoid"),
    "tanh": lambda z: z.op("Tanh"),
    "relu": lambda z: z.op("Relu"),
    "step": _step,
    "softmax": lambda z: z.op("Softmax", axis=-1),
    "leaky_relu": lambda z: z.op("LeakyRelu", alpha=LEAK),
    "elu": lambda z: z.op("Elu", alpha=1.0),
    "selu": lambda z: z.op("Selu", alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "gelu": _gelu,
    "silu": lambda z: z * z.op("Sigmoid"),
    "softplus": lambda z: z.op("Softplus"),
    "hard_sigmoid": lambda z: z.op("HardSigmoid", alpha=1.0 / 6.0, beta=0.5),
    "exp": _exp,
}
"""The activations in float32, and in float64 those whose operators ONNX Runtime has there."""
IN_DOUBLE: dict[str, Formula] = {
    "sigmoid": lambda z: 1.0 / ((-z).op("Exp") + 1.0),  # the operator is 0 from -37 on
    "leaky_relu": lambda z: z.op("Max", z * LEAK),
    "elu": _elu,
    "selu": _selu,
    "gelu": _gelu_in_double,
    "silu": lambda z: z / ((-z).op("Exp") + 1.0),
    "softplus": _softplus,
    "hard_sigmoid": lambda z: (z + 3.0).op("Clip", 0.0, 6.0) * (1.0 / 6.0),
}
"""The other formulas in float64."""


# ---- graphs --------------------------------------------------------------------------------------


def _cos(x: Tensor) -> Tensor:
    """``1 - 2 sin(x / 2)^2``: older ONNX Runtimes have no Cos in float64."""
    half = (x * 0.5).op("Sin")
    return 1.0 - half * half * 2.0


BY_NAME: dict[str, Callable[..., Tensor]] = {
    "exp": lambda x: x.op("Exp"),
    "log": lambda x: x.op("Log"),
    "tanh": lambda x: x.op("Tanh"),
    "sigmoid": IN_DOUBLE["sigmoid"],
    "sqrt": lambda x: x.op("Sqrt"),
    "sin": lambda x: x.op("Sin"),
    "cos": _cos,
    "abs": lambda x: x.op("Abs"),
    "relu": lambda x: x.op("Relu"),
    "maximum": lambda a, b: a.op("Max", b),
}


def _of_graph(x: Tensor, expression: Any) -> Tensor:
    """The value of a graph of one variable, all in float64."""

    def constant(number: float) -> Tensor:
        return Tensor(x.graph, x.graph.number(number, x.dtype), x.dtype)

    value: Tensor = value_of(nodes_of(expression), x, Functions(constant, BY_NAME))
    return value
