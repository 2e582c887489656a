"""The picture and the text for Graphviz hold every node, edge, value and derivative."""

from __future__ import annotations

import sys

import matplotlib
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from fastbp.graph import exp, log, variables

x, y, z = variables("x y z")
F = ((x + y).named("q") * z).named("f")
POINT = {"x": -2, "y": 5, "z": -4}


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def test_draw():
    _, ax = plt.subplots()
    assert F.draw(ax=ax) is ax
    assert sorted(texts(ax)) == sorted(["x", "y", "q: +", "z", "f: *"])
    assert sum(text.get_text() == "" for text in ax.texts) == 4  # the edges
    ax = F.draw(POINT)
    shown = ["x", "y", "q: +", "z", "f: *", "-2", "5", "3", "-4", "-12", "-4", "-4", "-4", "3", "1"]
    assert sorted(texts(ax)) == sorted(shown)
    assert "derivative of f" in ax.get_title()
    ax.figure.canvas.draw()
    plt.close("all")


def test_constants_have_no_derivative():
    ax = (1 / (1 + exp(-x))).draw(x=2)
    assert texts(ax).count("1") == 2 + 1  # two constants, the derivative of the output
    assert "derivative of the output" in ax.get_title()
    plt.close("all")


def test_to_dot():
    text = F.to_dot(POINT)
    assert text.startswith("digraph {")
    assert text.endswith("}\n")
    assert text.count("->") == 4
    assert r'label="q: +\nvalue 3\ndf/d. -4"' in text
    assert "value" not in F.to_dot()
    assert r'label="a \"b\""' in (x + 1).named('a "b"').to_dot().replace(": +", "")
    assert (x * x).to_dot().count("n0 -> n1") == 2


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="one point"):
        F.draw({**POINT, "x": [1, 2]})
    with pytest.raises(ValueError, match="log of a negative number"):
        log(x).to_dot(x=-1)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[plot\]'"):
        F.draw()
