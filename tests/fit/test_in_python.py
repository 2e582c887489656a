"""Losses in Python: one that is a built-in loss trains as that does, and bad ones do no harm."""

from __future__ import annotations

import copy

import helpers
import numpy as np
import oracle
import pytest
from helpers import state

from fastbp import SGD, Adam, CosineDecay, DivergenceWarning, Group

RNG = np.random.default_rng(21)
X, Y = RNG.normal(size=(37, 4)), RNG.uniform(size=(37, 3))
W = RNG.uniform(0.1, 2.0, 37)
XV, YV = RNG.normal(size=(11, 4)), RNG.uniform(size=(11, 3))


def half_square(y_pred, y, weights=None):
    """squared_error."""
    share = np.full(len(y), 1 / len(y)) if weights is None else weights / weights.sum()
    delta = (y_pred - y) * share[:, None].astype(y.dtype)
    return 0.5 * (delta * (y_pred - y)).sum(), delta


def make(loss=half_square, sizes=(4, 6, 5, 3), **options):
    return helpers.make(sizes, loss=loss, **({"optimizer": SGD(0.1)} | options))


def pair(**options):
    return make(**options), make("squared_error", **options)


def same(net, twin):
    rtol, atol = (1e-10, 1e-13) if net.dtype == np.float64 else (1e-4, 1e-6)
    np.testing.assert_allclose(net.params, twin.params, rtol=rtol, atol=atol)
    np.testing.assert_allclose(net.state.slots, twin.state.slots, rtol=rtol, atol=atol)
    np.testing.assert_allclose(net.state.scalars, twin.state.scalars, rtol=1e-14)
    assert np.array_equal(net.state.random, twin.state.random)


OPTIONS = {
    "plain": {},
    "momentum": {"optimizer": SGD(0.05, momentum=0.9, nesterov=True)},
    "adam": {"optimizer": Adam(0.01)},
    "schedule": {"optimizer": Adam(CosineDecay(0.02, 20))},
    "groups": {"optimizer": SGD(0.1, groups=[Group([0], learning_rate=0.01, weight_decay=0.1)])},
    "penalties": {"l1": 0.01, "l2": 0.1},
    "clip_norm": {"clip_norm": 0.05},
    "clip_value": {"clip_value": 0.01},
    "max_norm": {"max_norm": 0.5},
    "dropout": {"dropout": 0.5, "input_dropout": 0.25},
    "everything": {"dropout": (0.5, 0.0), "l2": 0.1, "clip_norm": 0.05, "max_norm": 1.0},
    "softmax": {"output_activation": "softmax"},
    "sigmoid": {"output_activation": "sigmoid", "activation": "gelu"},
    "relu": {"output_activation": "relu", "activation": "relu"},
    "no bias": {"bias": False},
    "no hidden layer": {"sizes": (4, 3), "activation": ()},
    "float32": {"dtype": "float32"},
}
each_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)


# ---- the same as the built-in loss --------------------------------------------------------------


@each_option
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 8, 100])
def test_fit(batch_size, weighted, options):
    (net, twin), weights = pair(**options), W if weighted else None
    for shuffle in (True, False):
        how = {"epochs": 3, "batch_size": batch_size, "shuffle": shuffle, "sample_weight": weights}
        history, expected = net.fit(X, Y, **how), twin.fit(X, Y, **how)
        rel = 1e-4 if net.dtype == np.float32 else 1e-11
        assert history.loss == pytest.approx(expected.loss, rel=rel)
        assert history["learning_rate"] == expected["learning_rate"]
        assert len(history.seconds) == 3
    same(net, twin)


@each_option
@pytest.mark.parametrize("weighted", [False, True])
def test_step_loss_and_gradient(weighted, options):
    (net, twin), weights = pair(**options), W if weighted else None
    rel = 1e-5 if net.dtype == np.float32 else 1e-12
    for _ in range(3):
        assert net.loss(X, Y, weights) == pytest.approx(twin.loss(X, Y, weights), rel=rel)
        loss, grad = net.loss_and_grad(X, Y, weights)
        expected, theirs = twin.loss_and_grad(X, Y, weights)
        assert loss == pytest.approx(expected, rel=rel)
        np.testing.assert_allclose(grad, theirs, rtol=100 * rel, atol=rel)
        assert net.step(X, Y, weights) == pytest.approx(twin.step(X, Y, weights), rel=rel)
    same(net, twin)


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_of_equal_shares_give_the_bits(shuffle):
    """Powers of 2 divide without rounding, so that nothing differs but the sum of the loss."""
    net, twin = pair(optimizer=Adam(0.01))
    for each in (net, twin):
        each.fit(X[:32], Y[:32], epochs=4, batch_size=8, shuffle=shuffle)
    assert state(net) == state(twin)


def test_a_batch_of_many_rows_is_one_call():
    rng, calls = np.random.default_rng(0), []

    def counted(y_pred, y):
        calls.append(len(y))
        return half_square(y_pred, y)

    big, targets = rng.normal(size=(1500, 4)), rng.uniform(size=(1500, 3))
    net, twin = make(counted), make("squared_error")
    assert net.fit(big, targets, epochs=2, batch_size=700).loss == pytest.approx(
        twin.fit(big, targets, epochs=2, batch_size=700).loss
    )
    assert calls == [700, 700, 100] * 2
    same(net, twin)
    assert net.loss(big, targets) == pytest.approx(twin.loss(big, targets))
    assert calls[6:] == [1500]


def test_what_the_loss_is_given():
    """Arrays (rows, outputs) of the net's dtype, weights in float64, each row with its own."""
    seen, net = [], make(lambda *given: seen.append(given) or half_square(*given), dtype="float32")
    targets = np.arange(111.0).reshape(37, 3)
    net.fit(X, targets, epochs=1, batch_size=8, sample_weight=np.arange(37.0) + 1)
    assert [given[0].shape for given in seen] == [(8, 3)] * 4 + [(5, 3)]
    assert all(a.dtype == b.dtype == np.float32 for a, b, _ in seen)
    rows = np.concatenate([y[:, 0] for _, y, _ in seen]) / 3
    assert sorted(rows) == list(range(37))
    assert list(rows) != list(range(37))
    weights = np.concatenate([weights for *_, weights in seen])
    np.testing.assert_allclose(weights, (rows + 1) / 19, rtol=1e-6)  # scaled to a mean of 1
    stream = oracle.RandomStream(make().state.random[0])
    assert rows.tolist() == stream.permutation(37).tolist()


def test_frozen_parameters_stay():
    net, twin = pair(clip_norm=0.1)
    for each in (net, twin):
        each.freeze(layers=[1])
        each.fit(X, Y, epochs=2, batch_size=8)
    assert np.array_equal(net.weights[1], make().weights[1])
    same(net, twin)


def test_one_output_takes_flat_targets():
    net, twin = (make(loss, (4, 3, 1)) for loss in (half_square, "squared_error"))
    assert net.fit(X, Y[:, 0]).loss == pytest.approx(twin.fit(X, Y[:, 0]).loss)


def test_a_batch_of_weight_0_adds_nothing():
    """The loss is not asked: it could not divide by the sum of the weights."""
    weights = np.r_[np.zeros(8), np.ones(29)]
    net, twin = pair(l2=0.1)
    for each in (net, twin):
        each.fit(X, Y, epochs=2, batch_size=8, shuffle=False, sample_weight=weights)
    same(net, twin)
    assert net.history.loss == pytest.approx(twin.history.loss)


# ---- hooks --------------------------------------------------------------------------------------


def test_validation_metrics_and_patience():
    net, twin = pair(optimizer=Adam(0.01))
    options = {
        "epochs": 12, "batch_size": 8, "validation_data": (XV, YV, W[:11]), "patience": 2,
        "metrics": "mean_squared_error", "sample_weight": W,
    }  # fmt: skip
    history, expected = net.fit(X, Y, **options), twin.fit(X, Y, **options)
    assert history.names == expected.names
    assert len(history) == len(expected)
    for name in history.names[:-1]:
        assert history[name] == pytest.approx(expected[name], rel=1e-10)
    assert history["val_loss"][-1] != history.loss[-1]
    same(net, twin)


def test_iterables_of_batches():
    net, twin = pair()
    batches = [(X[:8], Y[:8]), (X[8:20], Y[8:20], W[8:20]), (X[20:21], Y[20:21])]
    for each in (net, twin):
        each.fit(batches, epochs=3)
    same(net, twin)


# ---- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_in_the_loss_leaves_the_updates_so_far(error):
    calls = []

    def failing(y_pred, y):
        calls.append(1)
        if len(calls) == 8:  # the third batch of the second epoch
            raise error
        return half_square(y_pred, y)

    net, twin = make(failing, dropout=0.5), make(dropout=0.5)
    options = {"batch_size": 8, "shuffle": False}
    with pytest.raises(error):
        net.fit(X, Y, epochs=4, **options)
    assert len(net.history) == 1
    first = twin.fit(X, Y, epochs=1, **options).loss
    assert net.history.loss == first
    twin.step(X[:8], Y[:8])
    twin.step(X[8:16], Y[8:16])
    assert np.array_equal(net.params, twin.params)
    net.predict(X)
    assert np.isfinite(net.fit(X, Y, epochs=2).loss).all()


BAD = {
    "no tuple": (lambda p, y: p, TypeError, "a loss must return (value, derivative by y_pred of"),
    "three": (lambda p, y: (1.0, p, p), TypeError, "got tuple"),
    "None": (lambda p, y: None, TypeError, "got NoneType None"),
    "a string": (lambda p, y: ("x", p), TypeError, "got the value 'x'"),
    "many values": (lambda p, y: (np.ones(3), p), TypeError, "got the value"),
    "flat": (lambda p, y: (1.0, p.ravel()), ValueError, "derivative of shape (111,)"),
    "transposed": (lambda p, y: (1.0, p.T), ValueError, "derivative of shape (3, 37)"),
    "rows": (lambda p, y: (1.0, p[:-1]), ValueError, "derivative of shape (36, 3)"),
    "scalar": (lambda p, y: (1.0, 0.0), ValueError, "derivative of shape ()"),
    "complex": (lambda p, y: (1.0, p * 1j), TypeError, "derivative of dtype complex128"),
    "objects": (lambda p, y: (1.0, p.astype(object)), TypeError, "derivative of dtype object"),
}


@pytest.mark.parametrize(("loss", "error", "words"), BAD.values(), ids=BAD)
def test_bad_returns_change_nothing(loss, error, words):
    net = make(loss)
    kept = net.params.copy(), net.state.slots.copy(), net.state.scalars.copy()
    for call in (net.step, net.loss, net.loss_and_grad, lambda *d: net.fit(*d, batch_size=37)):
        with pytest.raises(error) as caught:
            call(X, Y)
        assert words in str(caught.value)
    for array, before in zip((net.params, net.state.slots, net.state.scalars), kept, strict=True):
        assert np.array_equal(array, before)


@pytest.mark.parametrize("kind", ["list", "float32", "whole numbers", "column by column"])
def test_derivatives_of_other_kinds_are_taken(kind):
    def rounded(y_pred, y):
        return 1.0, np.round((y_pred - y) * 4)

    def other(y_pred, y):
        value, delta = rounded(y_pred, y)
        change = {
            "list": np.ndarray.tolist,
            "float32": lambda d: d.astype(np.float32),
            "whole numbers": lambda d: d.astype(int),
            "column by column": np.asfortranarray,
        }
        return value, change[kind](delta)

    net, twin = make(other), make(rounded)
    net.step(X, Y)
    twin.step(X, Y)
    assert state(net) == state(twin)


@pytest.mark.parametrize("what", ["value", "derivative"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_divergence(bad, what):
    calls = []

    def failing(y_pred, y):
        calls.append(1)
        value, delta = half_square(y_pred, y)
        if len(calls) == 13:  # the third batch of the third epoch
            return (bad, delta) if what == "value" else (value, delta * bad)
        return value, delta

    net, twin = make(failing, optimizer=Adam(0.01)), make(optimizer=Adam(0.01))
    with np.errstate(invalid="ignore"), pytest.warns(DivergenceWarning, match="in epoch 3"):
        history = net.fit(X, Y, epochs=5, batch_size=8, shuffle=False)
    twin.fit(X, Y, epochs=2, batch_size=8, shuffle=False)
    assert history.stop_reason == "diverged in epoch 3"
    assert history.loss == twin.history.loss
    assert np.array_equal(net.params, twin.params)
    assert not net.state.slots.any()
    assert np.isfinite(net.fit(X, Y, epochs=1).loss).all()


def test_a_step_that_is_not_finite():
    net = make(lambda p, y: (np.nan, p))
    before = net.params.copy()
    with pytest.warns(DivergenceWarning):
        assert np.isnan(net.step(X, Y))
    assert np.array_equal(net.params, before)
    assert np.isnan(net.loss(X, Y))


def test_targets_are_checked_as_numbers():
    net = make()
    for y, words in ((Y[:, :2], "y must have shape (37, 3)"), (Y * np.nan, "y holds nan")):
        with pytest.raises(ValueError) as caught:
            net.fit(X, y)
        assert words in str(caught.value)


def test_copies_keep_the_loss():
    net = make(optimizer=Adam(0.01))
    twin = copy.deepcopy(net)
    for each in (net, twin):
        each.fit(X, Y, epochs=2, batch_size=8)
    assert state(net) == state(twin)
    assert net.loss_name == "callable"
