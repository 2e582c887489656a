"""Functions of expressions, variables and vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastbp import graph
from fastbp.graph import Vector, variables, vector

x, y = variables("x, y")
W = vector("w", 3)
ONE = {
    "exp": math.exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "sin": math.sin,
    "cos": math.cos, "abs": abs, "relu": lambda a: max(a, 0),
    "sigmoid": lambda a: 1 / (1 + math.exp(-a)),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE)
def test_one_argument(name):
    function = getattr(graph, name)
    assert function(x).value(x=0.7) == pytest.approx(ONE[name](0.7), rel=1e-15)
    assert function(0.7).value() == pytest.approx(ONE[name](0.7), rel=1e-15)
    assert repr(function(x)) == f"{name}(x)"
    each = function(W)
    assert isinstance(each, Vector)
    assert [repr(f) for f in each] == [f"{name}(w[{i}])" for i in range(3)]
    with pytest.raises(TypeError, match="made of expressions and numbers"):
        function(np.ones(3))


def test_several_arguments():
    assert graph.max(x, 2, y).value(x=1, y=3) == 3
    assert graph.max(W).value(w=[1, 5, 2]) == 5
    assert graph.sum(W).value(w=[1, 5, 2]) == graph.sum(w**1 for w in W).value(w=[1, 5, 2]) == 8
    assert graph.sum(x, y, 1).value(x=1, y=3) == 5
    assert sum(W).value(w=[1, 5, 2]) == 8  # Python's own
    assert graph.dot(W, [1, 2, 3]).value(w=[1, 5, 2]) == 17
    assert (W @ W).value(w=[1, 5, 2]) == 30
    assert (np.array([1, 2, 3]) @ W).value(w=[1, 5, 2]) == 17
    assert repr(graph.dot(W[:2], [x, 1])) == "dot([w[0], w[1]], [x, 1])"
    for function in (graph.max, graph.sum):
        with pytest.raises(ValueError, match="at least one expression"):
            function([])
    with pytest.raises(ValueError, match="same length; got 3 and 2"):
        graph.dot(W, [1, 2])
    with pytest.raises(TypeError, match="dot takes two vectors"):
        graph.dot(x, y)


def test_operators_of_vectors():
    at = {"w": [1.0, 2.0, 4.0], "x": 3.0}
    for found, expected in (
        (W + 1, [2, 3, 5]), (1 + W, [2, 3, 5]), (W - x, [-2, -1, 1]), (x - W, [2, 1, -1]),
        (W * W, [1, 4, 16]), (2 * W, [2, 4, 8]), (W / 2, [0.5, 1, 2]), (4 / W, [4, 2, 1]),
        (W**2, [1, 4, 16]), (2**W, [2, 4, 16]), (-W, [-1, -2, -4]), (abs(-W), [1, 2, 4]),
        (W - [1, 1, 1], [0, 1, 3]), ([1, 1, 1] - W, [0, -1, -3]), (np.ones(3) + W, [2, 3, 5]),
        (W + np.ones(3), [2, 3, 5]), (x * W, [3, 6, 12]), (W[1:] + [0, x], [2, 7]),
    ):  # fmt: skip
        assert isinstance(found, Vector)
        values = [f.value({name: at[name] for name in f.variables}) for f in found]
        assert values == expected
    with pytest.raises(ValueError, match="same length; got 3 and 2"):
        W + [1, 2]
    with pytest.raises(ValueError, match="same length"):
        W + np.ones((3, 3))


def test_vectors_are_sequences():
    assert len(W) == 3
    assert repr(W) == "Vector([w[0], w[1], w[2]])"
    assert [repr(h) for h in (W * 2).named("h")] == ["w[0] * 2", "w[1] * 2", "w[2] * 2"]
    f = graph.sum((W * 2).named("h"))
    assert f.gradient(w=[1, 2, 3], wrt="h[1]") == {"h[1]": 1}
    with pytest.raises(ValueError, match="at least one"):
        Vector([])
    with pytest.raises(ValueError, match="size must be at least 1"):
        vector("w", 0)
