"""The operators of ONNX that work number by number, for arrays and as graphs of fastbp."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import graph
from fastbp.kernels.activations import LEAK, SELU_ALPHA, SELU_SCALE

Array = npt.NDArray[Any]
Formula = Callable[..., Any]


class Operator(NamedTuple):
    """An operator that works number by number.

    Attributes
    ----------
    value : callable
        Of arrays and attributes, in order.
    attributes : dict of str
        With their defaults.
    fewest, most : int
        Number of inputs.
    graph : callable or None
        The same of expressions of fastbp.graph.
    """

    value: Formula
    attributes: dict[str, Any] = {}
    fewest: int = 1
    most: int = 1
    graph: Formula | None = None


def _pair(value: Formula, as_graph: Formula | None = None) -> Operator:
    return Operator(value, {}, 2, 2, as_graph)


def _sigmoid(x: Array) -> Array:
    e: Array = np.exp(-abs(x))
    return np.where(x >= 0.0, 1.0, e) / (1.0 + e)


def _erf(x: Array) -> Array:
    return np.array([math.erf(value) for value in x.ravel()]).reshape(x.shape)


def _gelu(x: Array, approximate: str) -> Array:
    if approximate == "tanh":
        return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _softplus(x: Array) -> Array:
    return np.logaddexp(0.0, x)


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0.0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _clip(x: Any, *bounds: Any) -> Any:
    """Between bounds, of which either may be left out (None)."""
    low, high = (*bounds, None, None)[:2]
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _least(*items: Any) -> Any:
    return -graph.max(*[-item for item in items])


def _clip_graph(x: Any, *bounds: Any) -> Any:
    low, high = (*bounds, None, None)[:2]
    x = x if low is None else graph.max(x, low)
    return x if high is None else _least(x, high)


def _hard_sigmoid_graph(x: Any, alpha: float, beta: float) -> Any:
    return _clip_graph(x * alpha + beta, 0.0, 1.0)


def _elu_graph(x: Any, alpha: float) -> Any:
    return graph.relu(x) + (graph.exp(-graph.relu(-x)) - 1.0) * alpha


def _softplus_graph(x: Any) -> Any:
    return graph.relu(x) + graph.log(graph.exp(-graph.abs(x)) + 1.0)


def _gelu_graph(x: Any, approximate: str) -> Any:
    inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
    return x * 0.5 * (graph.tanh(inner) + 1.0) if approximate == "tanh" else None


SELU = {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}
OPERATORS: dict[str, Operator] = {
    "Add": _pair(np.add, lambda a, b: a + b),
    "Sub": _pair(np.subtract, lambda a, b: a - b),
    "Mul": _pair(np.multiply, lambda a, b: a * b),
    "Div": _pair(np.divide, lambda a, b: a / b),
    "Pow": _pair(np.power, lambda a, b: a**b),
    "Max": Operator(lambda *x: np.max(np.broadcast_arrays(*x), 0), {}, 1, 50, graph.max),
    "Min": Operator(lambda *x: np.min(np.broadcast_arrays(*x), 0), {}, 1, 50, _least),
    "Sum": Operator(lambda *x: sum(x), {}, 1, 50, lambda *x: graph.sum(*x)),
    "Neg": Operator(np.negative, graph=lambda x: -x),
    "Abs": Operator(np.abs, graph=graph.abs),
    "Exp": Operator(np.exp, graph=graph.exp),
    "Log": Operator(np.log, graph=graph.log),
    "Sqrt": Operator(np.sqrt, graph=graph.sqrt),
    "Reciprocal": Operator(np.reciprocal, graph=lambda x: 1.0 / x),
    "Sin": Operator(np.sin, graph=graph.sin),
    "Cos": Operator(np.cos, graph=graph.cos),
    "Tanh": Operator(np.tanh, graph=graph.tanh),
    "Sigmoid": Operator(_sigmoid, graph=graph.sigmoid),
    "Erf": Operator(_erf),
    "Relu": Operator(lambda x: np.maximum(x, 0.0), graph=graph.relu),
    "LeakyRelu": Operator(
        lambda x, alpha: np.where(x > 0.0, x, alpha * x), {"alpha": 0.01},
        graph=lambda x, alpha: graph.relu(x) - graph.relu(-x) * alpha,
    ),
    "Elu": Operator(_elu, {"alpha": 1.0}, graph=_elu_graph),
    "Selu": Operator(
        lambda x, alpha, gamma: gamma * _elu(x, alpha), SELU,
        graph=lambda x, alpha, gamma: _elu_graph(x, alpha) * gamma,
    ),
    "Gelu": Operator(_gelu, {"approximate": "none"}, graph=_gelu_graph),
    "Softplus": Operator(_softplus, graph=_softplus_graph),
    "Softsign": Operator(lambda x: x / (1.0 + abs(x)), graph=lambda x: x / (graph.abs(x) + 1.0)),
    "HardSigmoid": Operator(
        lambda x, alpha, beta: np.clip(alpha * x + beta, 0.0, 1.0), {"alpha": 0.2, "beta": 0.5},
        graph=_hard_sigmoid_graph,
    ),
    "HardSwish": Operator(
        lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
        graph=lambda x: x * _hard_sigmoid_graph(x, 1.0 / 6.0, 0.5),
    ),
    "Mish": Operator(
        lambda x: x * np.tanh(_softplus(x)), graph=lambda x: x * graph.tanh(_softplus_graph(x))
    ),
    "Clip": Operator(_clip, {}, 1, 3, _clip_graph),
    "Greater": _pair(np.greater),
    "GreaterOrEqual": _pair(np.greater_equal),
    "Less": _pair(np.less),
    "LessOrEqual": _pair(np.less_equal),
    "Equal": _pair(np.equal),
    "Where": Operator(np.where, {}, 3, 3),
}  # fmt: skip
"""What is read between two layers."""

ACTIVATIONS: dict[str, Formula] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "step": lambda x: np.where(x > 0.0, 1.0, 0.0),
    "leaky_relu": lambda x: np.where(x > 0.0, x, LEAK * x),
    "elu": lambda x: _elu(x, 1.0),
    "selu": lambda x: SELU_SCALE * _elu(x, SELU_ALPHA),
    "gelu": lambda x: _gelu(x, "none"),
    "silu": lambda x: x * _sigmoid(x),
    "softplus": _softplus,
    "hard_sigmoid": lambda x: np.clip(x / 6.0 + 0.5, 0.0, 1.0),
    "exp": np.exp,
}
"""The activations of fastbp that work number by number."""
