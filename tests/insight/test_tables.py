"""A step as aligned text."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fastbp import MLP, SGD, Adam, explain
from fastbp.insight.tables import in_columns, number_format, shown, signed_sum, tables_of

X = [0.5, -1.25]


def table(step, start, decimals=None, most=12):
    (found,) = (t for t in tables_of(step, decimals, most) if t.title.startswith(start))
    return found


def test_numbers_keep_the_digits_of_the_dtype() -> None:
    for dtype, third in (("float32", "0.3333333"), ("float64", "0.3333333333")):
        write = number_format(explain(MLP((2, 1), dtype=dtype, seed=0), X, 1), None)
        assert write(1 / 3) == third
        assert [write(x) for x in (0.0, -0.0, 1e-9, np.nan, -np.inf)] == [
            "0", "0", "1e-09", "-", "-inf"
        ]  # fmt: skip
    write = number_format(explain(MLP((2, 1), seed=0), X, 1), 3)
    assert [write(x) for x in (1 / 3, 0.25, 2.0, 100.0, -1e-9)] == [
        "0.333", "0.25", "2", "100", "0"
    ]  # fmt: skip


def test_shown() -> None:
    assert shown(4, 4) == [0, 1, 2, 3]
    assert shown(5, 4) == [0, 1, None, 3, 4]
    assert shown(9, 3) == [0, 1, None, 8]
    assert shown(9, 2) == [0, None, 8]


def test_signed_sum() -> None:
    assert signed_sum([1.5, -2.0, 0.25], str) == "1.5 - 2.0 + 0.25"
    assert signed_sum([-1.0] * 6, str) == "-1.0 - 1.0 - 1.0 - 1.0 + ..."


def test_every_number_of_a_small_net_is_printed() -> None:
    net = MLP((2, 3, 2), activation="tanh", dtype="float64", optimizer=SGD(0.1), seed=0)
    step = explain(net, X, [0.0, 1.0])
    text = step.to_text(decimals=12)
    printed = {float(x) for x in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", text)}
    for layer in step.layers:
        arrays = [layer.net, layer.output, layer.d_output, layer.slope, layer.delta]
        for change in (layer.weights, layer.biases):
            arrays += [change.old, change.new, change.gradient]
        for array in arrays:
            fractions = [x for x in np.round(array, 12).ravel() if x != round(x)]
            assert set(fractions) <= printed
    assert float(f"{step.losses.total:.12f}") in printed
    assert float(f"{step.losses.after:.12f}") in printed


def test_points_stand_below_each_other() -> None:
    net = MLP((2, 3, 2), activation="tanh", optimizer=SGD(0.1), seed=0)
    update = table(explain(net, X, [0, 1]), "Update of layer 1")
    lines = list(in_columns(update))
    start = lines[0].index("dE/dw")
    end = lines[0].index("old")
    cells = [line[start:end] for line in lines[1:]]
    assert len({cell.index(".") for cell in cells}) == 1
    assert all(len(line) == len(line.rstrip()) for line in lines)


def test_columns_say_what_the_step_has() -> None:
    def header(**options):
        net = MLP((2, 2, 1), seed=0, **options)
        return table(explain(net, X, 1), "Update of layer 0").header

    plain = ("weight", "dE/dout", "dout/dnet", "dnet/dw", "dE/dw", "old", "new")
    assert header() == plain
    assert header(l2=0.1) == (*plain[:5], "+ penalty", "= gradient", "old", "new")
    assert header(clip_norm=0.1) == (*plain[:5], "clipped", "old", "new")


def test_penalties_add_up_in_the_row() -> None:
    step = explain(MLP((2, 1), l2=0.5, dtype="float64", seed=0), X, 1)
    for row in table(step, "Update").rows:
        data, penalty, gradient = map(float, row[4:7])
        assert data + penalty == pytest.approx(gradient, abs=1e-9)


def test_softmax_shows_the_jacobian_and_the_identity() -> None:
    net = MLP((2, 3), loss="cross_entropy", seed=0)
    step = explain(net, X, 1)
    text = str(step)
    assert "cross_entropy with softmax: delta = out - target" in text
    jacobian = table(step, "Jacobian").rows
    for row, expected in zip(jacobian, step.layers[0].jacobian, strict=True):
        np.testing.assert_allclose([float(x) for x in row[1:]], expected, rtol=1e-6)
    assert table(step, "Update").header[1:3] == ("delta", "dnet/dw")
    assert "Jacobian" not in str(explain(MLP((2, 9), loss="cross_entropy", seed=0), X, 1))
    gamma = explain(MLP((2, 1), loss="gamma", seed=0), X, 1.5)
    assert "delta = 1 - target / out" in str(gamma)


def test_frozen_parameters_are_marked() -> None:
    net = MLP((2, 1), seed=0)
    net.freeze(weights=False)
    *weights, bias = table(explain(net, X, 1), "Update").rows
    assert bias[0] == "bias -> o1"
    assert bias[-1] == "frozen"
    assert all(row[-1] != "frozen" for row in weights)


def test_names_of_units() -> None:
    deep = explain(MLP((2, 2, 2, 1), seed=0), X, 1)
    units = [row[0] for row in table(deep, "Forward").rows]
    assert units == ["x1", "x2", "h1.1", "h1.2", "h2.1", "h2.2", "o1"]
    assert table(deep, "Update of layer 1").rows[0][0] == "h1.1 -> h2.1"


def test_wide_nets_are_abridged() -> None:
    net = MLP((784, 30, 10), loss="cross_entropy", optimizer=Adam(), seed=0)
    step = explain(net, np.linspace(0, 1, 784), 3)
    text = str(step)
    assert len(text.splitlines()) < 120
    rows = table(step, "Update of layer 0").rows
    assert table(step, "Update of layer 0").title.endswith(", 23550 in total")
    assert [rows[0][0], rows[6][0], rows[-1][0]] == ["x1 -> h1", "...", "bias -> h30"]
    assert len(rows) == 13
    assert len(table(step, "Update of layer 0", most=4).rows) == 5


def test_heading() -> None:
    net = MLP((2, 1), clip_value=0.5, l1=0.25, optimizer=SGD(0.1), seed=0)
    net.fit([X], [1], epochs=3)
    lines = str(explain(net, X, 1)).splitlines()
    assert lines[0] == "One step of MLP((2, 1)) for one sample, float32"
    assert lines[1].endswith("update 4, learning rate 0.1")
    assert lines[2] == "l1=0.25, clip_value=0.5"


def test_a_loss_in_python_has_no_parts() -> None:
    net = MLP((2, 1), loss=lambda y_pred, y: (1.0, y_pred - y), seed=0)
    loss = table(explain(net, X, 1), "Loss E: a Python function")
    assert [row[0] for row in loss.rows] == ["o1", "total", "after the step"]
    assert loss.rows[0][-1] == ""
