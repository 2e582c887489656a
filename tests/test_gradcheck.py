"""`gradcheck`: right nets pass, a wrong gradient is found and named, kinks are skipped."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastbp import MLP, GradCheck, gradcheck

XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def data(loss, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=6) if loss == "cross_entropy" else rng.uniform(size=(6, 3))
    return rng.normal(size=(6, 4)), y


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy", "cross_entropy"])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu", "selu", "softplus"])
@pytest.mark.parametrize(("dtype", "accepted"), [("float32", 1e-4), ("float64", 1e-6)])
def test_right_gradients_pass(loss, activation, dtype, accepted):
    net = MLP((4, 3, 3), activation=activation, loss=loss, dtype=dtype, seed=1)
    before = net.params.tobytes(), net.frozen.tobytes(), net._random.tobytes()
    result = gradcheck(net, *data(loss))
    assert isinstance(result, GradCheck)
    assert 0 < result.error < accepted
    assert result.checked + result.skipped == net.params.size
    assert result.checked > net.params.size // 2
    assert result.analytic == pytest.approx(result.numeric, rel=accepted, abs=1e-7)
    assert (net.params.tobytes(), net.frozen.tobytes(), net._random.tobytes()) == before


@pytest.mark.parametrize(
    ("index", "name"), [(0, "weights[0][0, 0]"), (5, "weights[0][1, 1]"), (12, "biases[0][0]"),
                        (17, "weights[1][2, 0]"), (26, "biases[1][2]")]
)  # fmt: skip
def test_a_wrong_partial_is_named(index, name, monkeypatch):
    net = MLP((4, 3, 3), activation="tanh", dtype="float64", seed=1)
    X, y = data("squared_error")
    right = MLP.loss_and_grad

    def wrong(self, X, y, sample_weight):
        loss, grad = right(self, X, y, sample_weight)
        grad[index] += 0.05
        return loss, grad

    monkeypatch.setattr(MLP, "loss_and_grad", wrong)
    result = gradcheck(net, X, y)
    assert result.worst == name
    assert result.error > 0.01
    assert result.analytic - result.numeric == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_kinks_are_skipped(seed):
    # At (0, 0), with biases 0, every ReLU is at its kink: from the left and from the right the
    # slopes differ.
    net = MLP((2, 8, 1), dtype="float64", seed=seed)
    result = gradcheck(net, XOR, [1, 1, 0, 0])
    assert result.error < 1e-6
    assert 1 <= result.skipped <= 8


def test_everything_skipped_is_no_pass():
    net = MLP((1, 1), output_activation="relu", bias=False, dtype="float64", seed=0)
    net.params[:] = 0
    result = gradcheck(net, [[1.0]], [1.0])
    assert (result.checked, result.skipped) == (0, 1)
    assert math.isnan(result.error)


def test_float32_net_is_checked_on_its_own_numbers():
    # The net sees the inputs rounded to float32, to about 0.004; so do the differences.
    X = np.random.default_rng(3).normal(size=(5, 2)) + 1e5
    net = MLP((2, 1), bias=False, seed=0)
    net.params[:] = (1.0, -1.0)
    assert gradcheck(net, X, np.zeros(5)).error < 1e-4


def test_extrapolation_allows_a_large_step():
    net = MLP((4, 3, 3), activation="tanh", dtype="float64", seed=1)
    assert gradcheck(net, *data("squared_error"), step=1e-2).error < 1e-5
