"""Expressions: values, both modes, inputs by name and row, errors that name the node."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest
from graph.random_graphs import OURS, complex_step, run, steps_of
from helpers import COMPILED, counts

from fastbp import graph
from fastbp.graph import GraphError, variable, variables, vector
from fastbp.graph.flat import Slot

x, y, z = variables("x y z")
F = (x + y) * z
POINT = {"x": -2.0, "y": 5.0, "z": -4.0}
each = pytest.mark.parametrize


def numerical(f, values, name, h=1e-6):
    shifted = [f.value({**values, name: values[name] + s * h}) for s in (1, -1)]
    return (shifted[0] - shifted[1]) / (2 * h)


def test_value_gradient_and_jvp():
    assert F.value(POINT) == F.value(x=-2, y=5, z=-4) == F.value({"x": -2}, y=5, z=-4) == -12
    assert F.gradient(POINT) == {"x": -4, "y": -4, "z": 3}
    assert F.value_and_gradient(POINT) == (-12, {"x": -4, "y": -4, "z": 3})
    assert F.jvp(POINT, {"x": 1}) == (-12, -4)
    assert F.jvp(POINT, {"z": 2, "y": 1}) == (-12, 2)
    assert F.variables == ("x", "y", "z")
    assert type(F.value(POINT)) is type(F.gradient(POINT)["x"]) is float


OPERATORS = {
    "x + 2": (x + 2, 5.0, 1.0), "2 + x": (2 + x, 5.0, 1.0), "x - 2": (x - 2, 1.0, 1.0),
    "2 - x": (2 - x, -1.0, -1.0), "x * 2": (x * 2, 6.0, 2.0), "2 * x": (2 * x, 6.0, 2.0),
    "x / 2": (x / 2, 1.5, 0.5), "3 / x": (3 / x, 1.0, -1 / 3), "x**2": (x**2, 9.0, 6.0),
    "2**x": (2**x, 8.0, 8 * np.log(2)), "-x": (-x, -3.0, -1.0), "abs(-x)": (abs(-x), 3.0, 1.0),
    "-x**2": (-(x**2), -9.0, -6.0), "(-x)**2": ((-x) ** 2, 9.0, 6.0),
    "x - (2 - x)": (x - (2 - x), 4.0, 2.0), "x / (x / 2)": (x / (x / 2), 2.0, 0.0),
    "np.float64(2) * x": (np.float64(2) * x, 6.0, 2.0), "+x": (+x, 3.0, 1.0),
}  # fmt: skip


@each(("f", "value", "slope"), OPERATORS.values(), ids=OPERATORS)
def test_operators(f, value, slope):
    assert f.value(x=3) == pytest.approx(value, rel=1e-15)
    assert f.gradient(x=3)["x"] == pytest.approx(slope, rel=1e-15, abs=1e-15)
    assert f.jvp({"x": 3}, {"x": 1})[1] == pytest.approx(slope, rel=1e-15, abs=1e-15)


@each("text", [name for name in OPERATORS if "np." not in name and "+x" != name])
def test_the_formula_is_python(text):
    f, value, _ = OPERATORS[text]
    assert repr(f) == text
    assert eval(repr(f), {"x": 3.0}) == pytest.approx(value)


def test_what_is_used_twice_adds_up():
    f = x * x + graph.sin(x) * x
    assert f.gradient(x=0.7)["x"] == pytest.approx(1.4 + np.cos(0.7) * 0.7 + np.sin(0.7), rel=1e-15)
    other = variable("x")  # a variable is its name
    assert (x * other).gradient(x=3) == {"x": 6}


@each("seed", range(counts(40, 1000)))
def test_random_graphs_agree_with_complex_step(seed):
    rng = np.random.default_rng(seed)
    program = steps_of(rng, 4, int(rng.integers(3, 25)))
    f = run(program, vector("w", 4), OURS)
    points = rng.uniform(-1.5, 1.5, size=(5, 4))
    values, found = f.value_and_gradient(w=points)
    for row, point in enumerate(points):
        value, slopes = complex_step(program, point)
        assert values[row] == pytest.approx(value, rel=1e-12, abs=1e-14), f"seed {seed}"
        # An entry is compared with the largest of its row: where it is small, it is a difference.
        scale = np.abs(slopes).max()
        assert np.abs(found["w"][row] - slopes).max() <= 1e-12 * scale, f"seed {seed}, row {row}"
        direction = rng.normal(size=4)
        along = f.jvp({"w": point}, {"w": direction})
        assert abs(along[1] - slopes @ direction) <= 1e-12 * np.abs(slopes * direction).sum()


def test_derivatives_by_steps():
    q = (x + y).named("q")
    f = (q * z).named("f")
    assert f.gradient(POINT, wrt="q") == {"q": -4}
    assert f.gradient(POINT, wrt=["z", "f", "x"]) == {"z": 3, "f": 1, "x": -4}
    w = vector("w", 3)
    h = (w @ [1, 2, 3]).named("h")
    assert (h * h).gradient(w=[1, 1, 1], wrt="h") == {"h": 12}
    found = (h * w[1]).gradient(w=[1, 1, 1], wrt=["w"])
    assert found["w"].tolist() == [1, 8, 3]
    with pytest.raises(ValueError, match="wrt must name variables or steps .*; got 'k'"):
        f.gradient(POINT, wrt=["k"])


# ---- rows and vectors ---------------------------------------------------------------------------


def test_rows():
    rows = np.arange(1000.0)  # more than a block
    assert np.array_equal(F.value(x=rows, y=5, z=-4), -4 * (rows + 5))
    found = F.gradient(x=rows, y=5, z=rows)
    assert {name: slope.shape for name, slope in found.items()} == dict.fromkeys("xyz", (1000,))
    assert np.array_equal(found["z"], rows + 5)
    assert np.array_equal(found["x"], rows)
    value, along = F.jvp({"x": rows, "y": 1, "z": 2}, {"x": 1.0})
    assert np.array_equal(value, 2 * (rows + 1))
    assert np.array_equal(along, np.full(1000, 2.0))
    assert F.jvp(POINT, {"x": [1.0, 2.0]})[1].tolist() == [-4, -8]
    assert F.value(x=[1.0], y=5, z=1).tolist() == [6]  # one row is a row


def test_vectors():
    w, v = vector("w", 3), vector("v", 3)
    f = graph.dot(w, v)
    W, V = np.arange(3.0), np.array([2.0, 3, 5])
    assert f.value(w=W, v=V) == 13
    assert {k: g.tolist() for k, g in f.gradient(w=W, v=V).items()} == {
        "w": [2, 3, 5], "v": [0, 1, 2]
    }  # fmt: skip
    many = np.arange(12.0).reshape(4, 3)
    found = f.gradient(w=many, v=V)
    assert np.array_equal(f.value(w=many, v=V), many @ V)
    assert np.array_equal(found["v"], many)
    assert np.array_equal(found["w"], np.tile(V, (4, 1)))
    part = (w[2] * x + w[0]).gradient(w=W, x=7)  # w[1] is not used, and the order is another
    assert part["w"].tolist() == [1, 0, 7]
    assert part["x"] == 2


def test_no_variables():
    f = graph.exp(0) + 1
    assert f.value() == 2
    assert f.gradient() == {}


# ---- deep graphs, copies ------------------------------------------------------------------------


def chain(n):
    f = x
    for _ in range(n):
        f = f * 1.0 + 0.0
    return f


def test_deep_graphs_need_no_recursion():
    f = chain(5000 if COMPILED else 500)
    assert f.value_and_gradient(x=3) == (3, {"x": 1})
    twin = pickle.loads(pickle.dumps(f))
    assert twin.value_and_gradient(x=3) == (3, {"x": 1})
    assert re.fullmatch(r"<expression of \d+ nodes>", repr(f))


def test_a_graph_that_shares_its_nodes_has_a_short_text():
    f = x
    for _ in range(60):  # written out, 2^60 terms
        f = f + f
    assert f.gradient(x=1) == {"x": 2.0**60}
    assert len(repr(f)) < 300


def test_copies():
    f = ((x + vector("w", 2)[1]).named("q") * 2) ** 2
    for twin in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert repr(twin) == repr(f)
        assert twin.gradient(x=1, w=[0, 2], wrt="q") == {"q": 24}


EDITED = {
    "an unknown operation": ("twice", [0], None),
    "one argument of two": ("add", [0], None),
    "two arguments of one": ("exp", [0, 0], None),
    "no arguments": ("max", [], None),
    "half a product": ("dot", [0, 0, 0], None),
    "arguments of a variable": ("variable", [0], ("y", None, 0)),
    "a variable without a slot": ("variable", [], None),
    "a slot beyond its vector": ("variable", [], ("y", 2, 2)),
    "a slot before its vector": ("variable", [], ("y", 2, -1)),
    "a sum with a slot": ("sum", [0], ("y", None, 0)),
}


@pytest.mark.parametrize("case", EDITED)
def test_an_edited_pickle_is_no_graph(case):
    operation, below, slot = EDITED[case]
    rebuild, (parts,) = (x + 1).__reduce__()
    edited = [*parts[:1], (operation, below, 0.0, slot and Slot(*slot), None)]
    with pytest.raises(ValueError, match=f"a graph has no '{operation}' of {len(below)} arguments"):
        rebuild(edited).value(x=1)


# ---- errors -------------------------------------------------------------------------------------


BAD_NODES = {
    "log": (graph.log(x - 3), 2.0, "log of a negative number at node v2 = log(v1): v1 = -1"),
    "log 0": (graph.log(x - 3), 3.0, "log of 0 at node v2 = log(v1): v1 = 0"),
    "named": (graph.log((x - 3).named("q")).named("f"), 2.0, "at node f = log(q): q = -1"),
    "sqrt": (2 * graph.sqrt(x), -4.0, "sqrt of a negative number at node v1 = sqrt(x): x = -4"),
    "division": (1 / (x - 1), 1.0, "division by zero at node v2 = 1 / v1: v1 = 0"),
    "0 / 0": ((x - 1) / (x - 1), 1.0, "division by zero at node"),
    "power": (x**0.5, -2.0, "a power that is not whole of a negative number at node v1 = x**0.5"),
    "power of 0": (x**-1, 0.0, "division by zero, a negative power of 0 at node v1 = x**(-1)"),
    "overflow": (graph.exp(x), 1e3, "overflow: no finite value at node v1 = exp(x): x = 1000"),
    "nan": (x + 1, np.nan, "x is nan"),
    "infinity": (x + 1, -np.inf, "x is -inf"),
}


@each(("f", "bad", "words"), BAD_NODES.values(), ids=BAD_NODES)
def test_nodes_without_a_value(f, bad, words):
    for call in (f.value, f.gradient, f.backward_table, lambda **p: f.jvp(p, {"x": 1})):
        with pytest.raises(GraphError) as caught:
            call(x=bad)
        assert words in str(caught.value)
        assert "row" not in str(caught.value)
        assert caught.value.row is None
        assert caught.value.overflow == ("overflow" in words)
    rows = np.full(700, 5.5)
    rows[603] = bad
    for call in (f.value, f.gradient, lambda **p: f.jvp(p, {"x": 1})):
        with pytest.raises(ValueError, match="row 603") as caught:
            call(x=rows)
        assert caught.value.row == 603
        assert pickle.loads(pickle.dumps(caught.value)).row == 603


def test_nodes_without_a_derivative():
    f = graph.sqrt(x) * 2
    assert f.value(x=0) == 0
    with pytest.raises(GraphError, match=re.escape("no finite derivative by x at node v1 = sqrt(")):
        f.gradient(x=0)
    with pytest.raises(GraphError, match="row 1: x = 0"):
        f.gradient(x=[1, 0, 0])
    with pytest.raises(GraphError, match="sqrt"):
        f.jvp({"x": 0}, {"x": 1})
    with pytest.raises(GraphError, match=re.escape("by y at node v1 = x**y: x = -2, y = 2")):
        (x**y).gradient(x=-2, y=2)
    assert (x**2).gradient(x=-2) == {"x": -4}
    # A derivative of 0 hands nothing on: the branch is not taken.
    assert graph.max(graph.sqrt(x), 1).gradient(x=0) == {"x": 0}
    with pytest.raises(GraphError, match="overflow: no finite derivative"):
        (x * 1e200 * 1e200).gradient(x=0)


def test_inputs_that_do_not_fit():
    f = F * vector("w", 2)[0]
    good = {**POINT, "w": [1, 2]}
    assert f.value(good) == -12
    for change, words in (
        ({"z": None}, "z must hold real numbers"),
        ({"z": "a"}, "z must hold real numbers"),
        ({"z": 1j}, "z must hold real numbers"),
        ({"z": [[1.0]]}, "z must be a number or (rows,); got shape (1, 1)"),
        ({"z": []}, "at least one row"),
        ({"w": 1.0}, "w must be (2,) or (rows, 2); got shape ()"),
        ({"w": [1, 2, 3]}, "w must be (2,) or (rows, 2); got shape (3,)"),
        ({"x": [1, 2], "z": [1, 2, 3]}, "the same number of rows; got 2 for x and 3 for z"),
        ({"q": 1}, "no variable 'q'; it has the variables x, y, z, w (2)"),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            f.value({**good, **change})
        assert words in str(caught.value)
    with pytest.raises(ValueError, match="no value is given for the variable 'z'"):
        F.value(x=1, y=2)
    with pytest.raises(ValueError, match="are given twice"):
        F.value(POINT, x=1)
    with pytest.raises(TypeError, match="values must be a mapping"):
        F.value([1, 2, 3])
    with pytest.raises(TypeError, match="tangents must be a mapping"):
        F.jvp(POINT, 1)
    with pytest.raises(ValueError, match="tangents must be finite"):
        F.jvp(POINT, {"x": np.nan})
    with pytest.raises(ValueError, match="no variable 'q'"):
        F.jvp(POINT, {"q": 1})


def test_what_no_graph_is_made_of():
    for other in ("a", None, True, [1], np.ones(2), 1j):
        with pytest.raises(TypeError):
            x + other
        with pytest.raises(TypeError):
            other * x
    for number in (np.nan, np.inf, 10**400, -(10**5000), np.longdouble("1e400")):
        for make in (lambda n=number: x * n, lambda n=number: n - x, lambda n=number: x**n):
            with pytest.raises(ValueError, match="a constant of a graph must be finite"):
                make()
    with pytest.raises(TypeError, match="no truth value"):
        bool(x)
    with pytest.raises(TypeError):
        x < y  # noqa: B015
    with pytest.raises(TypeError):
        np.exp(x)


def test_names():
    for name in ("", " x", "a\nb"):
        with pytest.raises(ValueError, match="a name must be printable"):
            variable(name)
    with pytest.raises(TypeError, match="a name must be a string"):
        (x + y).named(3)
    with pytest.raises(ValueError, match="the variable 'x' has a name"):
        x.named("q")
