"""Laying out: order, names, inputs."""

from __future__ import annotations

import pytest

from fastbp.graph import exp, log, variables, vector
from fastbp.graph.operations import OPERATIONS

x, y = variables("x y")


def test_the_tape():
    s = (x + 2).named("s")
    flat = (s * y / s).flat()
    assert flat.names == ["x", "2", "s", "y", "v1", "v2"]
    assert flat.arguments == [[], [], [0, 1], [], [2, 3], [4, 2]]
    codes = ["variable", "constant", "add", "variable", "multiply", "divide"]
    assert flat.operations == codes
    assert flat.tape.codes.tolist() == [OPERATIONS[name] for name in codes]
    assert flat.tape.starts.tolist() == [0, 1, 1, 3, 4, 6, 8]
    assert flat.tape.arguments.tolist() == [0, 0, 1, 1, 2, 3, 4, 2]
    assert flat.tape.constants.tolist() == [0, 2, 0, 0, 0, 0]
    assert flat.output.tolist() == [5]
    assert flat.formulas[2:] == ["x + 2", "y", "s * y", "s * y / s"]
    assert flat.step(5) == "v1 / s"


def test_inputs():
    w = vector("w", 3)
    flat = (w[2] * x + w[0]).flat()
    assert flat.sizes == {"w": 3, "x": None}
    assert flat.rows == {"w": slice(0, 3), "x": slice(3, 4)}
    assert flat.variable_rows.tolist() == [2, 3, 0]
    assert [flat.names[i] for i in flat.variable_nodes] == ["w[2]", "x", "w[0]"]
    assert flat.n_inputs == 4
    assert flat.has_vectors
    assert not flat.rows_in_order
    assert (x * y).flat().rows_in_order


def test_numbers_of_steps_leave_names_out():
    flat = (exp(exp(x)) * log(y).named("v1")).flat()
    assert flat.names == ["x", "v2", "v3", "y", "v1", "v4"]


def test_long_formulas_are_cut():
    f = x
    for _ in range(100):
        f = f + y
    assert max(map(len, f.flat().formulas)) < 120
    assert f.flat().formulas[-1].startswith("v")


def test_names_are_unique():
    for f in (
        (x + y).named("x") * x,
        (x + y).named("q") * (x - y).named("q"),
        vector("w", 2)[0] * (x + 1).named("w[0]"),
    ):
        with pytest.raises(ValueError, match="two nodes of the graph are named"):
            f.value(x=1, y=1)
    for f, words in (
        (vector("w", 2)[0] * vector("w", 3)[0], "a vector of 2 and a vector of 3"),
        (vector("x", 2)[0] * x, "a vector of 2 and a variable"),
    ):
        with pytest.raises(ValueError, match=words):
            f.flat()
    q = (x + y).named("q")
    assert (q * q).gradient(x=1, y=2) == {"x": 6, "y": 6}  # one node, used twice
