"""Outputs and gradients of each layer, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP
from fastbp.graph import sigmoid, variable
from fastbp.inspection import layer_gradients, layer_outputs

ROWS = (1, 2, 17, 256, 257, 512, 513, 700)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_of_every_layer(rows: int, dtype: str, bias: bool) -> None:
    net = MLP((3, 17, 5, 4), activation=["relu", "tanh"], loss="cross_entropy", dtype=dtype,
              bias=bias, dropout=0.3, seed=rows)  # fmt: skip
    for biases in net.biases:
        biases[...] = np.random.default_rng(1).normal(size=biases.size)
    before, random = net.params.copy(), net._random.copy()
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
    assert np.array_equal(net.params, before) and np.array_equal(net._random, random)


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
