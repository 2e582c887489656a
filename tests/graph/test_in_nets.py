"""Graphs in nets: as losses and activations, beside the built-in ones of the same formula."""

from __future__ import annotations

import copy
import pickle
import re
from functools import partial

import helpers
import numpy as np
import pytest

from fastbp import MLP, SGD, Adam, DivergenceWarning, gradcheck
from fastbp.graph import GraphError, dot, exp, log, relu, sigmoid, sqrt, tanh, variables, vector
from fastbp.graph import max as larger
from fastbp.graph import sum as total

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(37, 4)), RNG.uniform(0.1, 0.9, size=(37, 3))
W = RNG.uniform(0.1, 2.0, 37)
z, y_pred, y = variables("z y_pred y")
P, T = vector("y_pred", 3), vector("y", 3)
LABELS = np.eye(3)[RNG.integers(3, size=37)]


make = partial(helpers.make, (4, 6, 5, 3), weight_init="glorot", optimizer=Adam(0.01))


def check_pair(net, twin, targets=Y, rtol=1e-11):
    """Everything a net does, beside its twin with built-in parts."""
    for weights in (None, W):
        for batch_size in (1, 8, 100):
            how = {"epochs": 2, "batch_size": batch_size, "sample_weight": weights}
            history, expected = net.fit(X, targets, **how), twin.fit(X, targets, **how)
            assert history.loss == pytest.approx(expected.loss, rel=10 * rtol)
        assert net.step(X, targets, weights) == pytest.approx(
            twin.step(X, targets, weights), rel=rtol
        )
        loss, grad = net.loss_and_grad(X, targets, weights)
        theirs = twin.loss_and_grad(X, targets, weights)
        assert loss == pytest.approx(theirs[0], rel=rtol)
        np.testing.assert_allclose(grad, theirs[1], rtol=100 * rtol, atol=rtol)
    np.testing.assert_allclose(net.params, twin.params, rtol=100 * rtol, atol=rtol)
    np.testing.assert_allclose(net.predict(X), twin.predict(X), rtol=100 * rtol, atol=rtol)
    np.testing.assert_allclose(net.predict(X[:1]), twin.predict(X[:1]), rtol=100 * rtol, atol=rtol)
    assert np.array_equal(net.state.random, twin.state.random)


# ---- as the activation --------------------------------------------------------------------------

ACTIVATIONS = {
    "tanh": tanh(z),
    "sigmoid": sigmoid(z),
    "relu": relu(z),
    "silu": z * sigmoid(z),
    "leaky_relu": larger(z, 0.01 * z),
    "softplus": log(1 + exp(z)),
    "identity": z + 0,
}
OPTIONS = {
    "plain": {},
    "dropout": {"dropout": (0.5, 0.2), "input_dropout": 0.25},
    "penalties and clipping": {"l1": 0.01, "l2": 0.1, "clip_norm": 0.05, "max_norm": 1.0},
    "no bias": {"bias": False},
    "float32": {"dtype": "float32"},
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_beside_the_built_in(name):
    check_pair(make(activation=ACTIVATIONS[name]), make(activation=name))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_activation_with(loss, options):
    options = {"loss": loss, **options}
    net = make(activation=[tanh(z), "gelu"], **options)
    twin = make(activation=["tanh", "gelu"], **options)
    targets = Y if loss == "squared_error" else LABELS.argmax(axis=1)
    check_pair(net, twin, targets, 1e-4 if net.dtype == np.float32 else 1e-11)


def test_output_activation():
    net = make(output_activation=sigmoid(z))
    check_pair(net, make(output_activation="sigmoid"))
    with pytest.raises(ValueError, match="computed from the net inputs of softmax"):
        make(loss="cross_entropy", output_activation=sigmoid(z))


@pytest.mark.parametrize(
    "activation", [z / (1 + z * z), sigmoid(1.702 * z) * z, abs(z) ** 1.5, tanh(z) - 0.1 * relu(z)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradcheck_of_activations(activation, dtype):
    net = make(activation=[activation, "tanh"], output_activation=activation, dtype=dtype, l2=0.1)
    found = gradcheck(net, X[:9], Y[:9], W[:9])
    assert found.error < (1e-6 if dtype == "float64" else 1e-4)
    assert found.checked > 0.9 * net.params.size


def test_large_predictions():
    net, twin = make(activation=tanh(z)), make()
    many = np.random.default_rng(0).normal(size=(2000, 4))
    np.testing.assert_allclose(net.predict(many), twin.predict(many), atol=1e-14)
    assert net.loss(many, np.zeros((2000, 3))) == pytest.approx(
        twin.loss(many, np.zeros((2000, 3)))
    )
    with pytest.raises(ValueError, match="X holds nan at row 3"):
        net.predict(np.where(np.arange(2000)[:, None] == 3, np.nan, many))


def test_validation_and_copies():
    net, twin = make(activation=tanh(z)), make()
    for each in (net, twin):
        each.fit(X, Y, epochs=3, validation_data=(X[:5], Y[:5]), metrics="r2", patience=2)
    assert net.history["val_loss"] == pytest.approx(twin.history["val_loss"], rel=1e-11)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert "activation=tanh(z)" in repr(other)
        other.fit(X, Y, epochs=2)
        twin_of = copy.deepcopy(net)
        twin_of.fit(X, Y, epochs=2)
        assert np.array_equal(other.params, twin_of.params)
    again = MLP((4, 6, 5, 3), activation=net.activations[:-1], dtype="float64")
    again.params[:] = net.params
    assert np.array_equal(again.predict(X), net.predict(X))


def test_activations_that_have_no_value():
    net = make(activation=log(z))
    before = net.params.copy()
    for call in (net.predict, lambda rows: net.fit(rows, Y), lambda rows: net.step(rows, Y)):
        with pytest.raises(GraphError, match=r"log of a negative .* row \d+ of the batch, unit \d"):
            call(X)
    assert np.array_equal(net.params, before)
    with pytest.raises(GraphError) as caught:
        make(activation=log(z + 30)).predict(np.vstack([np.zeros((900, 4)), X + 1e3, X - 1e3]))
    assert caught.value.__notes__ == ["rows are counted from row 768 of X on"]
    for bad, words in (
        (z * y, "must have one variable, the net input; got 'z', 'y'"),
        (P[0], "must have one variable, the net input; got 'y_pred'"),
        (tanh(1), "got none"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            make(activation=bad)
    with pytest.raises(ValueError, match="one for each of the 2 hidden layers; got 1"):
        make(activation=[tanh(z)])


def test_activations_that_overflow_diverge():
    net = make(activation=exp(exp(z)))
    before = net.params.copy()
    with pytest.warns(DivergenceWarning):
        net.fit(X * 1e4, Y, epochs=2)
    assert np.array_equal(net.params, before)
    with pytest.raises(GraphError, match="overflow"):
        net.predict(X * 1e4)


# ---- as the loss --------------------------------------------------------------------------------


def test_loss_by_output():
    check_pair(make(loss=0.5 * (y_pred - y) ** 2), make(loss="squared_error"))
    entropy = -y * log(y_pred) - (1 - y) * log(1 - y_pred)
    net = make(loss=entropy, output_activation="sigmoid")
    check_pair(net, make(loss="binary_cross_entropy"), rtol=1e-9)


def test_loss_of_a_row():
    check_pair(make(loss=log(total(exp(P))) - dot(T, P)), make(loss=_softmax_entropy), LABELS)
    plain = make(loss=0.5 * (P - T) @ (P - T))
    check_pair(plain, make(loss="squared_error"))
    net = make(loss=P[2] * T[0])  # not of each number
    _, grad = net.loss_and_grad(X, Y)
    twin = make(loss=lambda p, t: ((p[:, 2] * t[:, 0]).mean(), _only_last(t)))
    np.testing.assert_allclose(grad, twin.loss_and_grad(X, Y)[1], rtol=1e-12)


def _softmax_entropy(p, t, weights=None):
    share = np.full(len(p), 1 / len(p)) if weights is None else weights / weights.sum()
    e = np.exp(p)
    losses = np.log(e.sum(axis=1)) - (t * p).sum(axis=1)
    return losses @ share, (e / e.sum(axis=1, keepdims=True) - t) * share[:, None]


def _only_last(t):
    delta = np.zeros_like(t)
    delta[:, 2] = t[:, 0] / len(t)
    return delta


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "loss", [abs(y_pred - y) ** 1.5, sqrt(1 + (y_pred - y) ** 2) - 1, total((P - T) ** 4)]
)
def test_gradcheck_of_losses(loss, dtype):
    net = make(loss=loss, activation=[z / (1 + abs(z)), "tanh"], dtype=dtype)
    assert gradcheck(net, X[:9], Y[:9], W[:9]).error < (1e-6 if dtype == "float64" else 1e-4)


def test_losses_are_kept():
    net = make(loss=(y_pred - y) ** 2)
    assert net.loss_name == "graph"
    assert "loss=(y_pred - y)**2" in repr(net)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.loss(X, Y) == net.loss(X, Y)
        assert repr(twin) == repr(net)


def test_losses_that_do_not_fit():
    for bad, words in (
        (y_pred * z, "the variables y_pred, the outputs, and y, the targets; got 'y_pred', 'z'"),
        (y * 2, "got 'y'"),
        (exp(0), "got none"),
        (P[0] * y, "sizes 3 and None"),
        (vector("y_pred", 2)[0] ** 2, "a vector of 2; the last of layer_sizes is 3"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            make(loss=bad)


def test_losses_that_have_no_value():
    net = make(loss=log(y_pred) * y, optimizer=SGD(0.1))
    before = net.params.copy()
    with pytest.raises(GraphError, match=r"log of a negative .* row \d+ of the batch, output \d"):
        net.fit(X, Y)
    assert np.array_equal(net.params, before)
    with pytest.raises(GraphError, match=r"row \d+: y_pred\[1\] = -"):
        make(loss=log(P[1])).loss(X, Y)
    net = make(loss=exp(1e4 * y_pred**2) * (1 + 0 * y))
    with pytest.warns(DivergenceWarning):
        net.fit(X, Y + 10)
    assert np.array_equal(net.params, make().params)
    assert np.isnan(net.loss(X, Y))
