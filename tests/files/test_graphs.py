"""Graphs by another framework's functions, here NumPy's, are those of `fastbp.graph`."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp.files.graphs import ONE_ARGUMENT, Functions, value_of
from fastbp.graph import cos, dot, exp, log, relu, sigmoid, sin, sqrt, tanh, variable
from fastbp.graph import max as largest
from fastbp.graph import sum as total
from fastbp.graph.operations import OPERATIONS
from fastbp.saving.recipe import nodes_of

OTHERS = {"relu": lambda z: np.maximum(z, 0.0), "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z))}
FUNCTIONS = Functions(
    np.float64,
    {name: OTHERS.get(name) or getattr(np, name) for name in (*ONE_ARGUMENT, "maximum")},
)


def test_every_operation() -> None:
    z = variable("z")
    positive = exp(-z / 3.0) + 0.5
    expression = (
        total(log(positive), sqrt(positive), sin(z), cos(z), abs(z - 0.25), relu(-z))
        + largest(tanh(z), 0.1, sigmoid(z) - 0.3)
        + dot([z, 2.0], [z, positive])
        + 0.5 * positive**1.5
    )
    nodes = nodes_of(expression)
    assert {node[0] for node in nodes} == set(OPERATIONS)
    points = np.linspace(-2.0, 2.0, 50)
    got = value_of(nodes, points, FUNCTIONS)
    np.testing.assert_allclose(got, expression.value(z=points), rtol=1e-13)


def test_unknown_operations() -> None:
    with pytest.raises(ValueError, match="unknown operation 'erf'"):
        value_of([["variable", [], 0.0, None, None], ["erf", [0, 0], 0.0, None, None]], 1.0,
                 FUNCTIONS)  # fmt: skip
