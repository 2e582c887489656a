"""Dropout in training, against an oracle with the same masks; the checks of its rates."""

from __future__ import annotations

import copy
import pickle
from functools import partial

import helpers
import numpy as np
import oracle
import pytest
from helpers import COMPILED, state

from fastbp import MLP, SGD, Adam
from fastbp.kernels.workspace import CAPACITY, STRIDE
from fastbp.machine.hashing import hashed
from fastbp.model.regularization import Regularization

SIZES = (5, 9, 6, 2)


make = partial(helpers.make, SIZES, optimizer=SGD(1.0))


def data(rows, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 5)), rng.normal(size=(rows, 2))


def masks(net, rates, rows, batch_size, key):
    """What the inputs and the outputs of each hidden layer are multiplied by, rows first."""
    stride, found = int(net.workspace(batch_size, training=True).work.places[STRIDE]), []
    for number, (width, rate) in enumerate(zip(net.layer_sizes, rates, strict=False)):
        places = np.arange(width) * stride + np.arange(rows)[:, None]
        share = round(rate * 2**32)
        found.append((hashed(places, key - 1 + number) >= share) / (1 - share / 2**32))
    return found


def next_key(stream):
    return stream.next() >> 1 | 1


def loss_and_grad(net, params, X, T, factors):
    """As `oracle.loss_and_grad` of a squared error, with the masks of dropout."""
    about = oracle.net_of(net)
    layers, y, slope = oracle.layers(about, params), X * factors[0], None
    below, slopes = [], [None]
    for number, ((weights, bias), name) in enumerate(zip(layers, net.activations, strict=True)):
        below.append(y)
        z = y @ weights + bias
        y = oracle.ACTIVATE[name](z)
        slope = oracle.derivative(name, z, y)
        if number + 1 < len(layers):
            y, slope = y * factors[number + 1], slope * factors[number + 1]
            slopes.append(slope)
    loss, delta, pieces = ((y - T) ** 2).sum() / 2 / len(T), (y - T) / len(T) * slope, []
    for number in range(len(layers) - 1, -1, -1):
        grads = [(below[number].T @ delta).T.ravel(), delta.sum(axis=0)][: 1 + net.bias]
        pieces.insert(0, np.concatenate(grads))
        if number > 0:
            delta = delta @ layers[number][0].T * slopes[number]
    return loss, np.concatenate(pieces)


# ---- against the oracle -------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 19, 64])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu", ("leaky_relu", "silu")])
@pytest.mark.parametrize(
    "rates", [(0.0, 0.5, 0.5), (0.0, 0.25, 0.0), (0.5, 0.0, 0.0), (0.2, 0.0, 0.75)]
)
def test_step_with_the_masks_of_the_stream(rates, activation, rows):
    options = {"activation": activation, "input_dropout": rates[0], "dropout": rates[1:]}
    net = make(**options)
    X, T = data(rows)
    for _ in range(3):
        stream, before = oracle.RandomStream(net.state.random[0]), net.params.copy()
        factors = masks(net, rates, rows, rows, next_key(stream))
        loss, grad = loss_and_grad(net, before, X, T, factors)
        assert net.step(X, T) == pytest.approx(loss, rel=1e-12)
        np.testing.assert_allclose(before - net.params, grad, rtol=1e-10, atol=1e-13)
        assert int(net.state.random[0]) == stream.state


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 8, 100])
def test_fit_draws_an_order_an_epoch_and_a_key_a_batch(batch_size, dtype):
    rates, rows, rate = (0.1, 0.5, 0.3), 21, 0.05
    net = make(optimizer=SGD(rate), input_dropout=0.1, dropout=(0.5, 0.3), dtype=dtype)
    X, T = data(rows)
    stream, params = oracle.RandomStream(net.state.random[0]), net.params.astype(np.float64)
    losses, size = [], min(batch_size, rows)
    for _ in range(3):
        order = stream.permutation(rows) if batch_size < rows else np.arange(rows)
        total = 0.0
        for first in range(0, rows, size):
            some = order[first : first + size]
            factors = masks(net, rates, len(some), size, next_key(stream))
            loss, grad = loss_and_grad(net, params, X[some], T[some], factors)
            params, total = params - rate * grad, total + loss * len(some) / rows
        losses.append(total)
    history = net.fit(X, T, epochs=3, batch_size=batch_size)
    single = dtype == "float32"
    assert history.loss == pytest.approx(losses, rel=1e-4 if single else 1e-11)
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if single else {"rtol": 1e-9, "atol": 1e-12}
    np.testing.assert_allclose(net.params, params, **tolerance)
    assert int(net.state.random[0]) == stream.state


@pytest.mark.parametrize("loss", ["squared_error", "callable"])
def test_each_pass_of_a_large_batch_has_a_key(loss):
    def half_square(y_pred, y):
        delta = (y_pred - y) / len(y)
        return 0.5 * (delta * (y_pred - y)).sum(), delta

    rows, rates = 700, (0.25, 0.5, 0.5)
    net = make(input_dropout=0.25, dropout=0.5, loss=half_square if loss == "callable" else loss)
    X, T = data(rows)
    capacity = int(net.workspace(rows, training=True).work.places[CAPACITY])
    assert capacity == (256 if loss == "squared_error" else rows)
    stream, before, pieces = oracle.RandomStream(net.state.random[0]), net.params.copy(), []
    for first in range(0, rows, capacity):
        count = min(capacity, rows - first)
        pieces.append(masks(net, rates, count, rows, next_key(stream)))
    factors = [np.concatenate(some) for some in zip(*pieces, strict=True)]
    loss_before, grad = loss_and_grad(net, before, X, T, factors)
    assert net.step(X, T) == pytest.approx(loss_before, rel=1e-12)
    np.testing.assert_allclose(before - net.params, grad, rtol=1e-9, atol=1e-12)
    assert int(net.state.random[0]) == stream.state


@pytest.mark.parametrize("rows", [1, 19])
def test_softmax_and_logits_are_not_dropped(rows):
    """The outputs never are: with hidden rates of 0 the inputs' masks are all there is."""
    X, _ = data(rows)
    labels = np.random.default_rng(1).integers(2, size=rows)
    net = make(loss="cross_entropy", input_dropout=0.5)
    stream, before = oracle.RandomStream(net.state.random[0]), net.params.copy()
    factors = masks(net, (0.5,), rows, rows, next_key(stream))
    args = oracle.net_of(net), before, X * factors[0], oracle.one_hot(labels, 2)
    loss, grad = oracle.loss_and_grad(*args)
    assert net.step(X, labels) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(before - net.params, grad, rtol=1e-10, atol=1e-13)


# ---- what is not dropped ------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 30, 600])
@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_evaluation_drops_nothing(activation, rows):
    net = make(activation=activation, dropout=0.5, input_dropout=0.5)
    plain = make(activation=activation)
    X, T = data(rows)
    for _ in range(2):  # before and after training, which leaves its key nowhere
        before = net.state.random.copy()
        assert np.array_equal(net.predict(X), plain.predict(X))
        assert net.loss(X, T) == pytest.approx(plain.loss(X, T), rel=1e-14)
        (loss, grad), (expected, plain_grad) = net.loss_and_grad(X, T), plain.loss_and_grad(X, T)
        assert loss == pytest.approx(expected, rel=1e-14)
        np.testing.assert_allclose(grad, plain_grad, rtol=1e-10, atol=1e-14)
        assert np.array_equal(net.state.random, before)
        net.step(X, T)
        plain.params[:] = net.params


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_a_rate_of_0_is_no_dropout(loss):
    X, T = data(37)
    T = T.argmax(axis=1) if loss == "cross_entropy" else T
    options = {"activation": "relu", "optimizer": Adam(0.01), "loss": loss}
    nets = [make(**options, **more) for more in ({}, {"dropout": 0}, {"dropout": (0.0, 0.0)},
                                                 {"input_dropout": 0.0})]  # fmt: skip
    for net in nets:
        net.fit(X, T, epochs=3, batch_size=8)
    assert len({state(net) for net in nets}) == 1


def test_the_mean_over_masks_is_the_net_without():
    """Of a linear net; the loss of targets 0 shows the variance, its gradient the outputs."""
    times = 4000 if COMPILED else 400
    net = MLP((6, 8, 1), activation="identity", dropout=0.5, input_dropout=0.25,
              optimizer=SGD(1.0), bias=True, dtype="float64", seed=3)  # fmt: skip
    X, start, outputs = np.random.default_rng(3).normal(size=(1, 6)), net.params.copy(), []
    expected = float(net.predict(X)[0, 0])
    for _ in range(times):
        net.step(X, [0.0])
        outputs.append(float(start[-1] - net.params[-1]))  # dE/db of the output is the output
        net.params[:] = start
    error = np.std(outputs) / np.sqrt(times)
    assert np.std(outputs) > 0.1
    assert abs(np.mean(outputs) - expected) < 4 * error


# ---- seeds --------------------------------------------------------------------------------------


def test_the_seed_decides():
    X, T = data(37)
    nets = [make(dropout=0.5, seed=seed, optimizer="adam") for seed in (1, 1, 2)]
    nets.append(pickle.loads(pickle.dumps(nets[0])))
    nets.append(copy.deepcopy(nets[0]))
    nets[2].params[:] = nets[0].params
    for net in nets:
        net.fit(X, T, epochs=3, batch_size=8)
    first = state(nets[0])
    assert [state(net) == first for net in nets] == [True, True, False, True, True]


def test_fit_twice_is_fit_once_and_is_its_steps():
    X, T = data(37)
    once, twice, stepped = (make(dropout=0.5, optimizer=Adam(0.01)) for _ in range(3))
    once.fit(X, T, epochs=2, batch_size=8, shuffle=False)
    for _ in range(2):
        twice.fit(X, T, epochs=1, batch_size=8, shuffle=False)
    assert state(once) == state(twice)
    # Alone, the last 5 rows stand in a workspace of their own: other places, other masks.
    once.fit(X[:32], T[:32], epochs=1, batch_size=8, shuffle=False)
    stepped.fit(X, T, epochs=2, batch_size=8, shuffle=False)
    for first in range(0, 32, 8):
        stepped.step(X[first : first + 8], T[first : first + 8])
    assert state(once) == state(stepped)


# ---- rates --------------------------------------------------------------------------------------


def test_rates_by_layer():
    assert Regularization(dropout=0.5, input_dropout=0.1).dropout_rates(3) == (0.1, 0.5, 0.5)
    assert Regularization(dropout=[0.5, 0]).dropout_rates(3) == (0.0, 0.5, 0.0)
    assert Regularization(dropout=np.array([0.25])).dropout_rates(2) == (0.0, 0.25)
    assert Regularization(dropout=0.5).dropout_rates(1) == (0.0,)


@pytest.mark.parametrize("rate", [np.nextafter(1.0, 0.0), 1 - 2**-33])
def test_a_rate_of_nearly_1_keeps_numbers_finite(rate):
    """A share of 2^32 has no place in 32 bits; 2^32 - 1 is the largest."""
    net, (X, T) = make(dropout=rate), data(8)
    before = net.params.copy()
    assert np.isfinite(net.step(X, T))
    assert np.array_equal(net.weights[0], before[:45].reshape(9, 5).T)  # all units dropped
    assert not np.array_equal(net.params, before)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"dropout": 1}, ValueError, "dropout must be at least 0 and below 1; got 1"),
        ({"dropout": -0.1}, ValueError, "dropout must be at least 0 and below 1"),
        ({"dropout": np.nan}, ValueError, "dropout must be at least 0 and below 1"),
        ({"dropout": "0.5"}, TypeError, "dropout must be a number"),
        ({"dropout": {0.5, 0.25}}, TypeError, "dropout must be a number"),
        ({"dropout": np.array(0.5)}, TypeError, "dropout must be a number"),
        ({"dropout": (0.5,)}, ValueError, "each of the 2 hidden layers; got 1: (0.5,)"),
        ({"dropout": (0.5, 1.0)}, ValueError, "dropout must be at least 0 and below 1; got 1.0"),
        ({"input_dropout": 1.0}, ValueError, "input_dropout must be at least 0 and below 1"),
        ({"input_dropout": None}, TypeError, "input_dropout must be a number"),
        ({"l1": -1}, ValueError, "l1 must be a finite number of at least 0"),
        ({"l2": np.inf}, ValueError, "l2 must be a finite number of at least 0"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be None or a finite number above 0"),
        ({"clip_value": "1"}, TypeError, "clip_value must be a number"),
        ({"max_norm": -1}, ValueError, "max_norm must be None or a finite number above 0"),
    ],
)
def test_bad_options(options, error, words):
    with pytest.raises(error) as caught:
        make(**options)
    assert words in str(caught.value)
