"""Networks are drawn: a circle for each unit, a line for each weight, coloured by its sign."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import Circle

import fastbp
from fastbp import MLP, Perceptron
from fastbp.plot.network import CAPTION, NEGATIVE, POSITIVE, column_of, label_positions, network


def circles(ax):
    return [patch for patch in ax.patches if isinstance(patch, Circle)]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_units_and_weights() -> None:
    net = MLP((2, 3, 1), seed=0)
    ax = network(net)
    assert len(circles(ax)) == 6
    assert len(ax.lines) == 9
    flat = np.concatenate([weights.ravel() for weights in net.weights])
    for line, weight in zip(ax.lines, flat, strict=True):
        assert to_hex(line.get_color()) == (POSITIVE if weight >= 0 else NEGATIVE)
    for layer, lines in zip(net.weights, (ax.lines[:6], ax.lines[6:]), strict=True):
        order = np.argsort(np.abs(layer).ravel(), kind="stable")
        widths = np.array([line.get_linewidth() for line in lines])
        assert (np.diff(widths[order]) > 0).all()
    assert {"2 inputs", "3 hidden\nrelu", "1 output\nidentity", "b 0"} <= set(texts(ax))
    assert f"{net.weights[0][0, 0]:.3g}" in texts(ax)


def test_lines_end_at_their_units() -> None:
    net = MLP((3, 2), weight_init=[np.arange(6).reshape(3, 2)])
    ax = network(net)
    places = {text.get_text(): text.get_position() for text in ax.texts}
    for i in range(3):
        for j in range(2):
            (x0, x1), (y0, y1) = ax.lines[2 * i + j].get_data()
            assert (x0, y0) == places[f"x{i + 1}"]
            assert (x1, y1) == places[f"o{j + 1}"]


@pytest.mark.slow
def test_wide_layers_are_abridged() -> None:
    ax = network(MLP((784, 30, 10), seed=0, loss="cross_entropy"))
    assert len(circles(ax)) == 24
    assert texts(ax).count("⋮") == 3
    assert {"x784", "h30", "o10", "784 inputs", "10 outputs\nsoftmax"} <= set(texts(ax))
    assert "x5" not in texts(ax)
    assert not any(text.startswith("b ") for text in texts(ax))  # too many to be read
    assert len(circles(network(MLP((784, 30, 10), seed=0), most=40))) == 40 + 30 + 10


def test_columns() -> None:
    assert column_of(3, 3) == ([0, 1, 2], [1.0, 0.0, -1.0], None)
    assert column_of(9, 3) == ([0, 1, 8], [1.5, 0.5, -1.5], -0.5)


def test_after_and_outputs() -> None:
    net = MLP((2, 1), optimizer=fastbp.SGD(0.5), weight_init=[[[1.0], [-2.0]]])
    after = MLP((2, 1), weight_init=[[[1.5], [-2.0]]])
    after.biases[0][...] = 1e-4
    ax = network(net, after=after, outputs=[[3, 4], [-5.0]])
    assert {"1 → 1.5", "-2", "b 0 → 0.0001", "x1\n3", "x2\n4", "o1\n-5"} <= set(texts(ax))


def test_small_changes_show() -> None:
    net = MLP((1, 1), dtype="float64", weight_init=[[[0.15]]], bias=False)
    after = MLP((1, 1), dtype="float64", weight_init=[[[0.149780716]]], bias=False)
    assert "0.15 → 0.1498" in texts(network(net, after=after))


@pytest.mark.parametrize("sizes", [(2, 2), (2, 3), (3, 2), (3, 1), (1, 4), (4, 4)])
def test_labels_do_not_overlap(sizes) -> None:
    net = MLP(sizes, weight_init=[np.full(sizes, 0.25)], bias=False)
    after = MLP(sizes, weight_init=[np.full(sizes, 0.26)], bias=False)
    ax = network(net, after=after)
    ax.figure.canvas.draw()
    labels = [text for text in ax.texts if "→" in text.get_text()]
    assert len(labels) == sizes[0] * sizes[1]
    middles = np.array([text.get_position() for text in labels])
    apart = np.linalg.norm(middles[:, None] - middles, axis=-1)
    np.fill_diagonal(apart, 9)
    assert apart.min() > 0.19, middles  # a label is 0.2 high
    assert CAPTION in texts(ax)


def test_labels_stand_in_the_middle_where_there_is_room() -> None:
    assert label_positions(np.array([[0.0, 0.0]])) == [0.5]
    left, right = label_positions(np.array([[0.0, 1.5], [1.5, 0.0]]))  # they cross in the middle
    assert abs(left - 0.5) > 0.15 and abs(right - 0.5) > 0.15


def test_labels_on_demand() -> None:
    net = MLP((2, 2), seed=0)
    assert len(ax_labels(network(net, labels=True))) == 6
    assert ax_labels(network(net, labels=False)) == []
    assert len(ax_labels(network(MLP((5, 5), seed=0), labels=True))) == 30


def ax_labels(ax):
    return [text for text in texts(ax) if text.lstrip("b -").replace(".", "").isdigit()]


def test_takes_axes_and_nets_of_several_kinds() -> None:
    _, (left, right) = plt.subplots(ncols=2)
    assert network(Perceptron(2), ax=right) is right
    assert "1 output\nstep" in texts(right)
    assert not left.lines
    deep = network(MLP((1, 2, 2, 1), seed=0))
    assert {"h1.1", "h2.2"} <= set(texts(deep))
    deep.figure.canvas.draw()
    zero = network(MLP((2, 2), weight_init="zeros", bias=False))
    zero.figure.canvas.draw()
    assert fastbp.plot.network is network


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ax": 3}, TypeError, "ax must be matplotlib Axes"),
        ({"after": MLP((2, 2))}, ValueError, r"after must have the layers .*\(2, 1\).*\(2, 2\)"),
        ({"after": 3}, TypeError, "after must be an MLP or a Perceptron; got int 3"),
        ({"outputs": [[1, 2]]}, ValueError, r"of shapes \[\(2,\), \(1,\)\]; got \[\(2,\)\]"),
        ({"most": 1}, ValueError, "most must be at least 2"),
        ({"labels": 1}, TypeError, "labels must be True or False"),
    ],
)
def test_bad_input(options, error, message) -> None:
    with pytest.raises(error, match=message):
        network(MLP((2, 1)), **options)


def test_what_is_no_net() -> None:
    with pytest.raises(TypeError, match="net must be an MLP or a Perceptron; got str"):
        network("net")
