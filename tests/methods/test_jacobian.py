"""`MLP.jacobian` against differences, gradients and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from helpers import DTYPES

from fastbp import MLP
from fastbp.fit import in_python
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.methods import jacobian

HIDDEN = [name for name, traits in ACTIVATIONS.items() if traits.hidden and traits.trainable]
OUTPUTS = [name for name, traits in ACTIVATIONS.items() if traits.trainable]


def swish(z):
    """An activation in Python."""
    share = 1 / (1 + np.exp(-z))
    return z * share, share * (1 + z * (1 - share))


def net_and_rows(sizes=(3, 5, 4, 2), rows=9, **options):
    rng = np.random.default_rng(5)
    net = MLP(sizes, **({"dtype": "float64", "seed": 2} | options))
    net.params[:] += rng.normal(scale=0.1, size=net.n_params)
    return net, rng.normal(size=(rows, sizes[0]))


def by_differences(net, X, h=1e-6):
    """Central differences, by the parameters and by the inputs."""
    by_params = np.empty((len(X), net.layer_sizes[-1], net.n_params))
    by_inputs = np.empty((len(X), net.layer_sizes[-1], X.shape[1]))
    for found, numbers in ((by_params, net.params), (by_inputs, X.T)):
        for i in range(len(numbers)):
            before = numbers[i].copy()
            numbers[i] = before + h
            above = net.predict(X)
            numbers[i] = before - h
            found[:, :, i] = (above - net.predict(X)) / (2 * h)
            numbers[i] = before
    return by_params, by_inputs


def check(net, X):
    by_params, by_inputs = by_differences(net, X)
    np.testing.assert_allclose(net.jacobian(X), by_params, rtol=0, atol=2e-8)
    np.testing.assert_allclose(net.jacobian(X, "inputs"), by_inputs, rtol=0, atol=2e-8)


@pytest.mark.parametrize("activation", HIDDEN)
def test_hidden_activations(activation) -> None:
    check(*net_and_rows(activation=activation))


@pytest.mark.parametrize("activation", OUTPUTS)
def test_output_activations(activation) -> None:
    """Of outputs, also where the loss is computed from what stands before their activation."""
    check(*net_and_rows(activation="tanh", output_activation=activation))


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson", "gamma"])
def test_losses_from_logits(loss) -> None:
    check(*net_and_rows(activation="tanh", loss=loss))


@pytest.mark.parametrize(
    "options",
    [
        {"sizes": (4, 1), "rows": 1},
        {"sizes": (1, 3), "rows": 2},
        {"sizes": (1, 1, 1), "rows": 3},
        {"activation": "tanh", "bias": False},
        {"activation": "tanh", "dropout": 0.5, "input_dropout": 0.5, "l2": 1.0},
        {"activation": [swish, "tanh"], "rows": 140},
        {"activation": "tanh", "output_activation": swish},
        {"activation": "tanh", "loss": lambda y, t: (0.0, y)},
    ],
)
def test_nets(options) -> None:
    check(*net_and_rows(**options))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_its_transposed_product_is_the_gradient(loss) -> None:
    net, X = net_and_rows(activation="silu", loss=loss)
    y = np.random.default_rng(1).uniform(1, 2, (len(X), 2))
    outputs = net.predict(X)
    of_outputs = outputs - y if loss == "squared_error" else 1 - y / outputs
    expected = np.einsum("rk,rkp->p", of_outputs, net.jacobian(X)) / len(X)
    np.testing.assert_allclose(net.loss_and_grad(X, y)[1], expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_shapes_and_dtypes(dtype) -> None:
    net, X = net_and_rows(dtype=dtype, rows=4)
    found = net.jacobian(X.astype(dtype)), net.jacobian(X.tolist(), wrt="inputs")
    assert [part.shape for part in found] == [(4, 2, net.n_params), (4, 2, 3)]
    assert {part.dtype for part in found} == {np.dtype(dtype)}
    net.freeze(layers=[0])
    assert np.array_equal(net.jacobian(X.astype(dtype)), found[0])  # frozen ones have theirs too


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_inputs_come_in_blocks(dtype) -> None:
    net = MLP((30, 4, 2), activation="tanh", dtype=dtype, seed=3)
    X = np.random.default_rng(3).normal(size=(9, 30))
    found = net.jacobian(X, wrt="inputs")
    for output in range(2):
        expected, _ = net.vjp(X, np.eye(2)[[output] * 9])
        np.testing.assert_allclose(found[:, output], expected, rtol=0, atol=5e-7)


def test_sparse_rows() -> None:
    net, X = net_and_rows(rows=200)
    X[np.random.default_rng(0).random(X.shape) < 0.5] = 0
    X[3] = 0
    sparse = scipy.sparse.csr_array(X)
    for wrt in ("params", "inputs"):
        assert np.array_equal(net.jacobian(sparse, wrt), net.jacobian(X, wrt))


def test_python_activations_see_a_pass_at_a_time(monkeypatch) -> None:
    net, X = net_and_rows(activation=swish, rows=300)
    seen = []
    forward = in_python.forward
    monkeypatch.setattr(jacobian.in_python, "forward", lambda *a: (seen.append(a[3:]), forward(*a)))
    net.jacobian(X)
    assert seen == [(0, 128), (128, 128), (256, 44)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0, 2.0]],), "X must have shape"),
        (([[1.0, 2.0, np.nan]],), "X holds nan at row 0, column 2"),
        (([[1.0, 2.0, 3.0]], "weights"), "wrt must be one of 'params', 'inputs'; got 'weights'"),
    ],
)
def test_what_it_refuses(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        net_and_rows()[0].jacobian(*arguments)


def test_step_units_are_refused() -> None:
    with pytest.raises(ValueError, match="a net with step units"):
        MLP((2, 3, 1), activation="step").jacobian([[1.0, 2.0]])
