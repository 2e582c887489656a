"""Tables: rows, local and running derivatives, text."""

from __future__ import annotations

import pytest

from fastbp.graph import Table, exp, tanh, variables, vector

x, y, z = variables("x y z")


def test_rows_without_names_are_all_nodes():
    table = ((x + y) * z).backward_table(x=-2, y=5, z=-4)
    assert [row.name for row in table] == ["v2", "z", "v1", "y", "x"]
    assert table["v2"].formula == "(x + y) * z"
    assert table["v1"] == ("v1", "x + y", 3, {"x": 1, "y": 1}, -4)
    assert table["v2"].local == {"v1": -4, "z": 3}
    assert table[0].running == 1
    assert len(table) == 5
    with pytest.raises(KeyError, match="no row 'q'; there are v2, z"):
        table["q"]


def test_named_rows_take_in_what_lies_between():
    q = (x * x + 3 * x).named("q")  # dq/dx = 2x + 3 through three nodes
    f = (tanh(q) * q).named("f")
    table = f.forward_table("x", x=0.5)
    assert [row.name for row in table] == ["x", "q", "f"]
    assert table["q"].formula == "x * x + 3 * x"
    assert table["q"].local == {"x": pytest.approx(4, rel=1e-15)}
    expected = f.gradient(x=0.5, wrt=["q", "x"])
    assert table["f"].local["q"] == pytest.approx(expected["q"], rel=1e-14)
    assert table["f"].running == pytest.approx(expected["x"], rel=1e-14)
    every = f.forward_table("x", x=0.5, every=True)
    assert len(every) == 6
    assert every["f"].formula == "v4 * q" or every["f"].formula.endswith(" * q")


def test_modes_end_at_the_same_number():
    w = vector("w", 2)
    f = (exp(w @ [x, y])).named("f")
    at = {"w": [0.3, -0.2], "x": 0.5, "y": 2.0}
    backward = f.backward_table(at)
    assert backward.mode == "backward"
    for name in ("w[0]", "w[1]", "x", "y"):
        forward = f.forward_table(name, at)
        assert forward[-1].running == pytest.approx(backward[name].running, rel=1e-14)
        assert forward[name].running == 1
        assert forward.heading == f"d/d{name}"


def test_text():
    table = ((x * 2).named("q") * x).named("f").backward_table(x=3)
    assert isinstance(table, Table)
    assert str(table).splitlines() == [
        "step  formula  value  local derivatives  df/d(step)",
        "-" * 51,
        "f     q * x       18  df/dx = 6                   1",
        "                      df/dq = 3",
        "q     x * 2        6  dq/dx = 2                   3",
        "x                  3                             12",
    ]
    third = (x / 3).backward_table(x=1).text(digits=3)
    assert "0.333" in third
    assert "0.3333" not in third


def test_errors():
    f = x * y
    with pytest.raises(ValueError, match="one point.*; got 2 rows of y"):
        f.backward_table(x=1, y=[1, 2])
    with pytest.raises(ValueError, match="wrt must be one of 'x', 'y'; got 'z'"):
        f.forward_table("z", x=1, y=2)
