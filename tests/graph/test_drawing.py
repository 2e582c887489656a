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
    """What can be read: not the transparent texts, which size the boxes."""
    return [text.get_text() for text in ax.texts if text.get_text() and text.get_gid() != "box"]


def boxes(ax):
    return [text.get_bbox_patch() for text in ax.texts if text.get_gid() == "box"]


def test_draw():
    _, ax = plt.subplots()
    assert F.draw(ax=ax) is ax
    assert sorted(texts(ax)) == sorted(["x", "y", "q = x + y", "z", "f = q * z"])
    assert sum(text.get_text() == "" for text in ax.texts) == 4  # the edges
    ax = F.draw(POINT)
    numbers = ["-2", "5", "3", "-4", "-12", "-4", "-4", "-4", "3", "1"]
    shown = ["x", "y", "q = x + y", "z", "f = q * z", *numbers]
    assert sorted(texts(ax)) == sorted(shown)
    assert ax.get_title() == "above: value; below: derivative of f by it"
    ax.figure.canvas.draw()
    drawn = boxes(ax)
    assert len(drawn) == 5 and all(box.get_alpha() == 1 for box in drawn)
    for text in ax.texts:  # every number is inside a box, where no edge can cross it
        if text.get_text() and text.get_gid() != "box":
            inside = text.get_window_extent()
            assert any(box.get_window_extent().fully_containsx(inside.x0)
                       and box.get_window_extent().fully_containsx(inside.x1)
                       and box.get_window_extent().fully_containsy(inside.y0)
                       and box.get_window_extent().fully_containsy(inside.y1)
                       for box in drawn), text  # fmt: skip
    plt.close("all")


def test_constants_have_no_derivative():
    ax = (1 / (1 + exp(-x))).draw(x=2)
    assert texts(ax).count("1") == 2 + 1  # two constants, the derivative of the output
    assert "derivative of the output" in ax.get_title()
    plt.close("all")


def test_steps_are_written_as_in_lectures():
    xi1 = (-x * y).named("xi1")
    shown = texts(exp(xi1).named("xi2").draw())
    assert {"ξ₁ = -x * y", "ξ₂ = exp(ξ₁)"} <= set(shown)
    long = (x * y + y * z + z * x + x + y).named("long")
    assert "long: +" in texts(long.draw())
    plt.close("all")


def test_to_dot():
    text = F.to_dot(POINT)
    assert text.startswith("digraph {")
    assert text.endswith("}\n")
    assert text.count("->") == 4
    assert r'label="q = x + y\nvalue 3\ndf/d. -4"' in text
    assert "value" not in F.to_dot()
    assert r'label="a \"b\""' in (x + 1).named('a "b"').to_dot().replace(" = x + 1", "")
    assert (x * x).to_dot().count("n0 -> n1") == 2


def test_errors(monkeypatch):
    with pytest.raises(ValueError, match="one point"):
        F.draw({**POINT, "x": [1, 2]})
    with pytest.raises(ValueError, match="log of a negative number"):
        log(x).to_dot(x=-1)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        F.draw()
