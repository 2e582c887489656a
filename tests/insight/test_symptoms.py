"""The rules on their own, at their borders: made-up measurements, one changed at a time."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from fastbp import MLP, History
from fastbp.insight.findings import LayerReport
from fastbp.insight.symptoms import Measurements, all_findings

LAYERS = [LayerReport(0, "relu", 10, 3.0, 0.5, 1e-3, 0.0, 0.0),
          LayerReport(1, "identity", 1, 1.0, 0.5, 1e-3, 0.0, 0.0)]  # fmt: skip


def measured(**changes) -> Measurements:
    history = History(loss=[1.0, 0.4], seconds=[0.0, 0.0])
    usual = {
        "net": MLP((2, 10, 1), seed=0),
        "inputs": np.ones((5, 2)),
        "targets": np.ones(5),
        "layers": LAYERS,
        "bias_norms": [0.5, 0.5],
        "loss": 0.4,
        "constant_loss": 1.0,
        "validation_loss": 0.45,
        "trials": {0.1: 0.39, 1.0: 0.35, 10.0: 0.3, 100.0: math.inf},
        "history": history,
    }
    return Measurements(**(usual | changes))


def names(**changes) -> list[str]:
    return [finding.name for finding in all_findings(measured(**changes))]


def layers(number: int, **changes):
    made = list(LAYERS)
    made[number] = dataclasses.replace(made[number], **changes)
    return made


def history(val):
    made = History(loss=list(np.linspace(1, 0.4, len(val))), seconds=[0.0] * len(val))
    made.other_columns["val_loss"] = val
    return made


def test_nothing_is_found_in_usual_numbers() -> None:
    assert names() == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"inputs": np.full((5, 2), 9.9)}, []),
        ({"inputs": np.full((5, 2), [1, 10.1])}, ["unscaled inputs"]),
        ({"inputs": np.full((5, 2), [1, 1e-4])}, []),
        ({"inputs": np.full((5, 2), 0.009)}, ["unscaled inputs"]),
        ({"inputs": np.zeros((5, 2))}, []),
        ({"targets": np.full(5, -101.0)}, ["unscaled targets"]),
        ({"targets": np.full(5, 99.0)}, []),
        ({"layers": layers(0, dead=0.1)}, []),
        ({"layers": layers(0, dead=0.2)}, ["dead units"]),
        ({"layers": layers(0, saturated=0.2)}, ["saturated units"]),
        ({"layers": layers(0, gradient_norm=0.51e-3)}, []),
        ({"layers": layers(0, gradient_norm=0.49e-3)}, ["vanishing gradient"]),
        ({"layers": layers(0, gradient_norm=0.49e-3, dead=1.0)}, ["dead units"]),
        ({"bias_norms": [0.5, 501.0]}, ["vanishing gradient"]),
        ({"layers": layers(1, gradient_norm=9.9)}, []),
        ({"layers": layers(1, gradient_norm=10.1)}, ["exploding gradient"]),
        ({"layers": layers(1, gradient_norm=math.nan)}, ["exploding gradient"]),
        ({"layers": layers(0, update_ratio=0.09)}, []),
        ({"layers": layers(0, update_ratio=0.11)}, ["large updates"]),
        ({"trials": {0.1: 0.39, 1.0: math.inf, 10.0: math.inf}}, ["learning rate too large"]),
        ({"trials": {0.1: math.inf, 1.0: math.inf, 10.0: math.inf}}, ["learning rate too large"]),
        ({"trials": {0.1: 0.39, 1.0: 0.49, 10.0: 0.5}}, []),
        ({"trials": {0.1: 0.39, 1.0: 0.51, 10.0: 0.5}}, ["learning rate too large"]),
        ({"trials": {0.1: 0.42, 1.0: 0.51, 10.0: 0.6}}, []),  # noise, at any rate
        ({"trials": {0.1: 0.19, 1.0: 0.29, 10.0: 0.4}}, []),
        ({"trials": {0.1: 0.19, 1.0: 0.31, 10.0: 0.4}}, ["learning rate too large"]),
        ({"trials": {0.1: 0.4, 1.0: 0.39, 10.0: 0.3}}, []),
        ({"trials": {0.1: 0.4, 1.0: 0.399, 10.0: 0.33}}, ["learning rate too small"]),
        ({"trials": {0.1: 0.4, 1.0: 0.399, 10.0: 0.35}}, []),
        ({"constant_loss": 0.51, "validation_loss": None}, []),
        ({"constant_loss": 0.49, "validation_loss": None}, ["underfitting"]),
        ({"constant_loss": 0.49, "validation_loss": None, "history": History()}, []),
        ({"validation_loss": 0.57}, []),
        ({"validation_loss": 0.59}, ["overfitting"]),
        ({"history": history([1.0, 0.5, 0.6])}, ["overfitting"]),
        ({"history": history([1.0, 0.5, 0.54])}, []),
        ({"history": history([1.0, 0.5, math.nan])}, []),
    ],
)
def test_at_the_borders(changes, found) -> None:
    assert names(**changes) == found


def test_small_updates_need_a_loss_to_lose() -> None:
    small = [dataclasses.replace(layer, update_ratio=9e-6) for layer in LAYERS]
    assert names(layers=small) == []
    assert names(layers=small, constant_loss=0.7, validation_loss=None) == ["small updates"]
    worse = {"constant_loss": 0.7, "validation_loss": None}
    still = [dataclasses.replace(layer, update_ratio=0.0) for layer in LAYERS]
    assert names(layers=still, **worse) == ["small updates"]
    unknown = [dataclasses.replace(layer, update_ratio=math.nan) for layer in LAYERS]
    assert names(layers=unknown, **worse) == []
    # An update of 0 has another reason where weights are frozen or steps are not finite.
    frozen = MLP((2, 10, 1), seed=0)
    frozen.freeze(biases=False)
    assert names(layers=still, net=frozen, **worse) == []
    diverging = {0.1: 0.39, 1.0: math.inf, 10.0: math.inf}
    assert names(layers=still, trials=diverging, **worse) == ["learning rate too large"]


def test_a_gradient_of_exactly_0_is_a_finding() -> None:
    flat = [dataclasses.replace(layer, gradient_norm=0.0, update_ratio=0.0) for layer in LAYERS]
    worse = {"constant_loss": 0.7, "validation_loss": None, "bias_norms": [0.0, 0.0]}
    found = all_findings(measured(layers=flat, **worse))
    assert [(f.name, f.severity) for f in found] == [("vanishing gradient", "error")]
    assert "exactly 0, though the loss is 0.4" in found[0].seen
    assert names(layers=flat, **(worse | {"loss": 0.0})) == []  # a perfect fit


def output(name: str, **options) -> MLP:
    return MLP((2, 10, 1), output_activation=name, seed=0, **options)


@pytest.mark.parametrize(
    ("net", "targets", "found"),
    [
        (output("tanh"), [-1.0, 1.0, 0.5], None),
        (output("tanh"), [-1.1, 1.0, 0.5], "warning"),
        (output("tanh"), [-1.1, 1.1, 0.5], "error"),
        (output("tanh"), [*[0.5] * 99, 1.1], "warning"),
        (output("tanh"), [*[0.5] * 100, 1.1], None),
        (output("sigmoid"), [-0.1, 0.5], "error"),
        (output("hard_sigmoid"), [0.0, 1.0], None),
        (output("relu"), [-0.1, 1.0, 1e3], "warning"),
        (output("softplus"), [-0.1, -1.0], "error"),
        (output("exp"), [-0.1, 5.0, 3.0], "warning"),
        (output("elu"), [-1.0, 5.0], None),
        (output("elu"), [-1.1, 5.0], "error"),
        (output("gelu"), [-0.17, 5.0], None),
        (output("gelu"), [-0.18, 5.0], "error"),
        (output("silu"), [-0.28, 5.0], "error"),
        (output("selu"), [-1.75, 5.0], None),
        (output("selu"), [-1.76, 5.0], "error"),
        (output("identity"), [-9.0, 9.0], None),
        (MLP((2, 10, 1), loss="poisson", seed=0), [5.0, 9.0], None),
        (output("tanh", loss=lambda p, t: (0.0, 0 * p)), [-9.0, 9.0], None),
    ],
)
def test_targets_out_of_reach(net: MLP, targets: list[float], found: str | None) -> None:
    many = measured(net=net, targets=np.array(targets))
    severity = {f.name: f.severity for f in all_findings(many)}
    assert severity.get("unreachable targets") == found


def test_unreachable_targets_explain_a_high_loss() -> None:
    high = {"net": output("tanh"), "loss": 2.0, "validation_loss": None}
    assert names(targets=np.array([-5.0, 5.0]), **high) == ["unreachable targets"]
    found = names(targets=np.array([-5.0, 0.5, 0.5]), **high)
    assert sorted(found) == ["underfitting", "unreachable targets"]


def test_copies_of_units() -> None:
    net = MLP((2, 10, 1), seed=0)
    assert names(net=net) == []
    net.weights[0][:, 1:3] = net.weights[0][:, :1]
    net.weights[1][1:3] = net.weights[1][:1]
    found = all_findings(measured(net=net))
    assert [(f.name, f.severity) for f in found] == [("identical units", "warning")]
    assert found[0].seen == "2 of 10 units of layer 0 are copies of others"
    net.biases[0][1] = 0.5  # the second of them differs now
    assert names(net=net) == []
    zeros = MLP((2, 4, 4, 1), weight_init="zeros", seed=0)
    found = all_findings(measured(net=zeros, layers=[*LAYERS, LAYERS[1]]))
    assert [(f.name, f.severity) for f in found] == [("identical units", "error")]
    assert found[0].values == {"layer 0": 3.0, "layer 1": 3.0}
    assert names(net=MLP((2, 3), weight_init="zeros", seed=0), layers=LAYERS[1:]) == []


def test_the_loss_of_a_constant_is_told_from_above_and_below() -> None:
    below = {"constant_loss": 0.41, "validation_loss": None}
    (found,) = all_findings(measured(**below))
    assert found.seen == "the loss 0.4 is hardly below that of a constant prediction, 0.41"
    (found,) = all_findings(measured(**(below | {"constant_loss": 0.02})))
    assert found.seen == "the loss 0.4 is above that of a constant prediction, 0.02"
    # Constant targets, and losses in Python that may be negative.
    assert names(**(below | {"constant_loss": 0.0})) == ["underfitting"]
    assert names(**(below | {"constant_loss": 0.0, "loss": 0.01})) == []
    assert names(**(below | {"constant_loss": -2.0, "loss": -1.0})) == ["underfitting"]
    assert names(**(below | {"constant_loss": -2.0, "loss": -3.0})) == []


def test_bounded_outputs_have_no_scale() -> None:
    net = MLP((2, 10, 200), loss="cross_entropy", seed=0)
    assert names(net=net, targets=np.full(5, 199.0)) == []


def test_each_finding_has_one_line_of_advice() -> None:
    bad = layers(0, dead=0.5, saturated=0.5, gradient_norm=1e-9, update_ratio=1.0)
    found = all_findings(measured(layers=bad, validation_loss=5.0, inputs=np.full((5, 2), 1e3)))
    assert len(found) == 6
    for finding in found:
        assert finding.severity in ("error", "warning", "hint")
        assert finding.advice.endswith(".") and "\n" not in finding.advice
        assert finding.values
