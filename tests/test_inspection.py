"""Outputs and gradients of each layer, the gradient check, and copies for trials."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastbp import MLP, SGD, Adam, GradCheck, Group, ScaledSchedule, StepDecay, gradcheck
from fastbp.graph import sigmoid, variable
from fastbp.inspection import layer_gradients, layer_outputs, twin_of, with_schedule

ROWS = (1, 2, 17, 256, 257, 512, 513, 700)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_of_every_layer(rows: int, dtype: str, bias: bool) -> None:
    net = MLP((3, 17, 5, 4), activation=["relu", "tanh"], loss="cross_entropy", dtype=dtype,
              bias=bias, dropout=0.3, seed=rows)  # fmt: skip
    for biases in net.biases:
        biases[...] = np.random.default_rng(1).normal(size=biases.size)
    before, random = net.params.copy(), net.state.random.copy()
    X = np.random.default_rng(rows).normal(size=(rows, 3))
    found = layer_outputs(net, X)
    x = X.astype(dtype).astype(np.float64)
    functions = (
        lambda z: np.maximum(z, 0),
        np.tanh,
        lambda z: np.exp(z) / np.exp(z).sum(1)[:, None],
    )
    for layer, (outputs, function) in enumerate(zip(found, functions, strict=True)):
        z = x @ net.weights[layer].astype(np.float64)
        x = function(z + net.biases[layer] if bias else z)
        assert outputs.dtype == np.dtype(dtype)
        assert np.allclose(outputs, x, atol=1e-5 if dtype == "float32" else 1e-13)
    assert np.allclose(found[-1], net.predict(X), rtol=1e-5, atol=1e-7)
    assert np.array_equal(net.params, before) and np.array_equal(net.state.random, random)


def test_outputs_with_activations_in_python() -> None:
    z = variable("z")
    rng = np.random.default_rng(3)
    X = rng.normal(size=(600, 3))
    own = MLP((3, 7, 2), activation=z * sigmoid(z), dtype="float64", seed=0)
    built_in = MLP((3, 7, 2), activation="silu", dtype="float64", seed=0)
    built_in.params[:] = own.params
    for found, expected in zip(layer_outputs(own, X), layer_outputs(built_in, X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    X[550, 1] = np.nan
    with pytest.raises(ValueError, match="X holds nan at row 550, column 1"):
        layer_outputs(own, X)


def test_outputs_are_copies() -> None:
    net = MLP((2, 3, 1), seed=0)
    first = layer_outputs(net, [[1.0, 2.0]])
    kept = [outputs.copy() for outputs in first]
    layer_outputs(net, [[-3.0, 5.0]])
    assert all(np.array_equal(a, b) for a, b in zip(first, kept, strict=True))


def test_gradients_of_every_layer() -> None:
    net = MLP((2, 3, 1), l2=0.1, seed=0)
    X, y = [[1.0, 2.0], [0.5, -1.0]], [1.0, 2.0]
    weights, biases = layer_gradients(net, X, y, [1.0, 2.0])
    flat = [w.T.reshape(-1) if kind == 0 else w for pair in zip(weights, biases, strict=True)
            for kind, w in enumerate(pair)]  # fmt: skip
    assert np.array_equal(np.concatenate(flat), net.loss_and_grad(X, y, [1.0, 2.0])[1])
    assert [w.shape for w in weights] == [(2, 3), (3, 1)]


def test_bad_input() -> None:
    net = MLP((2, 3, 1), seed=0)
    X = np.zeros((600, 2))
    X[513, 1] = np.nan
    with pytest.raises(ValueError, match="X holds nan at row 513, column 1"):
        layer_outputs(net, X)
    with pytest.raises(ValueError, match=r"X must have shape \(rows, 2\)"):
        layer_outputs(net, X[:, :1])
    with pytest.raises(TypeError, match="net must be an MLP; got str"):
        layer_outputs("net", X)


# ---- gradcheck

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
    before = net.params.tobytes(), net.frozen.tobytes(), net.state.random.tobytes()
    result = gradcheck(net, *data(loss))
    assert isinstance(result, GradCheck)
    assert 0 < result.error < accepted
    assert result.checked + result.skipped == net.params.size
    assert result.checked > net.params.size // 2
    assert result.analytic == pytest.approx(result.numeric, rel=accepted, abs=1e-7)
    assert (net.params.tobytes(), net.frozen.tobytes(), net.state.random.tobytes()) == before


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


# ---- twins

RNG_OF_TWINS = np.random.default_rng(0)
X, Y = RNG_OF_TWINS.normal(size=(40, 3)), RNG_OF_TWINS.normal(size=40)


def small_net(optimizer):
    return MLP((3, 5, 1), optimizer=optimizer, dropout=0.2, seed=0)


def test_a_twin_trains_as_the_net_does_and_shares_nothing() -> None:
    one = small_net(Adam(0.01))
    one.freeze(layers=[0])
    one.fit(X, Y, epochs=2)
    twin, before = twin_of(one), one.params.copy()
    twin.fit(X, Y, epochs=3)
    assert np.array_equal(one.params, before)
    assert not np.array_equal(twin.params, before)
    one.fit(X, Y, epochs=3)
    assert np.array_equal(one.params, twin.params)


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.1), SGD(StepDecay(0.1, 2)), SGD(0.1, groups=[Group([0], learning_rate=0.3)]),
     SGD(StepDecay(0.1, 2), groups=[Group([1], learning_rate=0.3)])],
)  # fmt: skip
def test_a_scaled_schedule_scales_every_update(optimizer: SGD) -> None:
    plain, scaled = small_net(optimizer), small_net(optimizer)
    scaled.optimizer = with_schedule(optimizer, ScaledSchedule(optimizer.learning_rate, 0.25))
    start = plain.params.copy()
    plain.step(X, Y)
    scaled.step(X, Y)
    assert np.allclose(scaled.params - start, 0.25 * (plain.params - start), rtol=1e-4, atol=1e-7)
