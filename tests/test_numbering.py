"""Numbers count from 0 wherever a user reads or types them, and all places agree."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fastbp import MLP, diagnose, explain, gradcheck, plot
from fastbp.files import to_c

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 2)), RNG.normal(size=60)
LAYERS = [0, 1, 2]


def net() -> MLP:
    return MLP((2, 5, 4, 1), activation="tanh", seed=0, dtype="float64")


def of_layers(text: str) -> list[int]:
    """The numbers of layers in a text, each once, in order."""
    return sorted({int(number) for number in re.findall(r"(?i)\blayer (\d+)", text)})


def first_cells(table: str) -> list[int]:
    """The whole numbers that begin lines."""
    return [int(line.split()[0]) for line in table.splitlines() if re.match(r" *\d+ ", line)]


def test_tables() -> None:
    assert first_cells(str(net().summary())) == LAYERS
    found = diagnose(net(), X, Y)
    table = str(found).partition("layer  activation")[2]
    assert first_cells(table) == [layer.number for layer in found.layers] == LAYERS
    assert of_layers(explain(net(), X[0], Y[0]).to_text()) == LAYERS


def test_findings_name_the_layer_that_is_meant() -> None:
    one = MLP((2, 5, 4, 1), seed=0)
    one.biases[1][:] = -50.0  # dead
    finding = diagnose(one, X, Y)["dead units"]
    assert of_layers(finding.seen) == [1]
    one = net()
    one.weights[2][...] = 0
    worst = gradcheck(one, X, Y).worst
    assert int(re.search(r"\[(\d)\]", worst)[1]) in LAYERS


def test_errors() -> None:
    with pytest.raises(ValueError, match="layers must be 0 to 2; got 3"):
        net().freeze(layers=[3])
    bad = X.copy()
    bad[0, 1] = np.nan
    with pytest.raises(ValueError, match="at row 0, column 1"):
        net().fit(bad, Y)
    with pytest.raises(ValueError, match="layer 0 has the activation 'step'"):
        to_c(MLP((2, 3, 1), activation="step", optimizer="sgd"), "unused", training=True)


def test_drawings() -> None:
    titles = [ax.get_title() for ax in plot.activation_histograms(net(), X)]
    assert of_layers(" ".join(titles)) == LAYERS
    ax = plot.decision_boundary(MLP((2, 1), seed=0, loss="binary_cross_entropy"), X, Y > 0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("X[:, 0]", "X[:, 1]")
    histories = [net().fit(X, Y, epochs=2) for _ in range(2)]
    shown = plot.loss_curves(histories).get_legend().get_texts()
    assert [text.get_text() for text in shown] == ["net 0", "net 1"]
    plt.close("all")


def test_units_have_the_names_of_lectures() -> None:
    step = explain(net(), X[0], Y[0])
    names = {f"h1.{unit}" for unit in range(1, 6)} | {f"h2.{unit}" for unit in range(1, 5)}
    expected = {"x1", "x2", "o1"} | names
    forward = step.to_text().partition("Loss E")[0].splitlines()[5:]
    assert expected == {line.split()[0] for line in forward if line}
    drawn = {text.get_text().partition("\n")[0] for text in step.plot().texts}
    assert expected <= drawn and not {"x0", "h0.1", "o0"} & drawn
    plt.close("all")


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_c(tmp_path: Path, dtype: str) -> None:
    to_c(net(), tmp_path, name="net", dtype=dtype, calibration=X if dtype == "int8" else None)
    code = "".join(path.read_text() for path in sorted(tmp_path.iterdir()))
    assert of_layers(code) == LAYERS
    for what in ("weights", "biases"):
        assert {int(n) for n in re.findall(rf"net_{what}_(\d+)", code)} == set(LAYERS)


def test_training_in_c(tmp_path: Path) -> None:
    one = MLP((2, 5, 1), activation="tanh", optimizer="sgd", seed=0)
    one.freeze(layers=[0])
    to_c(one, tmp_path, name="net", training=True)
    code = "".join(path.read_text() for path in sorted(tmp_path.iterdir()))
    assert "net->weights_1" in code and "net->weights_0" not in code  # frozen, so a constant
