"""Sample weights: ones change no bit, whole numbers repeat rows, zeros leave them out.

Training multiplies the loss of a row by its weight and divides by the number of rows, so that the
expectation of a batch's gradient is the gradient of the loss of all rows.
"""

from __future__ import annotations

import copy
import math

import helpers
import numpy as np
import oracle
import pytest
from helpers import COMPILED, DTYPES

from fastbp import SGD, Adam
from fastbp.model.losses import CallableLoss, Huber, Quantile

each_dtype = pytest.mark.parametrize("dtype", DTYPES)
LOSSES = {
    "squared_error": "squared_error",
    "absolute_error": "absolute_error",
    "huber": Huber(0.5),
    "quantile": Quantile((0.2, 0.5, 0.9)),
    "hinge": "hinge",
    "binary_cross_entropy": "binary_cross_entropy",
    "cross_entropy": "cross_entropy",
}
each_loss = pytest.mark.parametrize("loss", LOSSES)
INF, NAN = math.inf, math.nan


def make(loss="squared_error", dtype="float64", seed=3, **options):
    """A net of 5-7-3."""
    options = {"dtype": dtype, "seed": seed, "optimizer": Adam(0.01)} | options
    return helpers.make((5, 7, 3), loss=LOSSES[loss], **options)


def data(loss, rows, dtype="float64", seed=0):
    rng = np.random.default_rng([seed, rows])
    X = rng.normal(size=(rows, 5)).astype(dtype)
    if loss == "cross_entropy":
        return X, rng.integers(3, size=rows)
    if loss == "hinge":
        return X, rng.choice([-1.0, 1.0], (rows, 3)).astype(dtype)
    if loss == "binary_cross_entropy":
        return X, rng.random((rows, 3)).astype(dtype)
    return X, rng.normal(size=(rows, 3)).astype(dtype)


def whole_weights(rows, seed=0):
    """0, 1, 2 or 3 for each row, not all of them 0."""
    weights = np.random.default_rng(seed).integers(4, size=rows)
    weights[0] = 2
    return weights


# Rows of one sample, a part of a vector, one pass, several passes.
ROWS = [1, 7, 100, 512, 513, 1000] if COMPILED else [1, 7, 100, 513]


@each_dtype
@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_weights_of_one_give_the_bits_of_none(loss, rows, dtype):
    X, y = data(loss, rows, dtype)
    weights = np.ones(rows, dtype)
    assert make(loss, dtype).loss(X, y, weights) == make(loss, dtype).loss(X, y)
    value, grad = make(loss, dtype).loss_and_grad(X, y)
    again, same = make(loss, dtype).loss_and_grad(X, y, sample_weight=weights)
    assert again == value
    assert same.tobytes() == grad.tobytes()
    plain, weighted = make(loss, dtype), make(loss, dtype)
    assert plain.step(X, y) == weighted.step(X, y, sample_weight=weights)
    for batch_size in (33, 600):
        first = plain.fit(X, y, epochs=2, batch_size=batch_size)
        second = weighted.fit(X, y, epochs=2, batch_size=batch_size, sample_weight=weights)
        assert first.loss == second.loss
    assert plain.params.tobytes() == weighted.params.tobytes()


@each_loss
@pytest.mark.parametrize("rows", [7, 100, 1000 if COMPILED else 520])
def test_whole_weights_are_rows_repeated(loss, rows):
    X, y = data(loss, rows)
    weights = whole_weights(rows)
    many_X, many_y = np.repeat(X, weights, axis=0), np.repeat(y, weights, axis=0)
    value, grad = make(loss).loss_and_grad(X, y, weights)
    expected_value, expected = make(loss).loss_and_grad(many_X, many_y)
    assert value == pytest.approx(expected_value, rel=1e-12)
    np.testing.assert_allclose(grad, expected, rtol=1e-9, atol=1e-12)
    assert make(loss).loss(X, y, weights) == value
    assert value != pytest.approx(make(loss).loss(X, y), rel=1e-6)
    weighted, repeated = (make(loss, optimizer=SGD(0.1)) for _ in range(2))
    mean = weights.mean()
    assert weighted.step(X, y, weights / mean) == pytest.approx(value, rel=1e-12)
    repeated.step(many_X, many_y)
    np.testing.assert_allclose(weighted.params, repeated.params, rtol=1e-7, atol=1e-9)


@each_dtype
@each_loss
def test_rows_of_weight_0_do_not_matter(loss, dtype):
    X, y = data(loss, 300, dtype)
    weights = np.random.default_rng(1).gamma(1.0, size=300)
    weights[1::3] = 0.0
    kept = weights > 0
    other_X, other_y = X.copy(), y.copy()
    other_X[~kept] *= -3
    other_y[~kept] = y[kept][:100]
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    value, grad = make(loss, dtype).loss_and_grad(X, y, weights)
    other, same = make(loss, dtype).loss_and_grad(other_X, other_y, weights)
    assert other == value
    assert np.array_equal(same, grad)
    without, fewer = make(loss, dtype).loss_and_grad(X[kept], y[kept], weights[kept])
    assert value == pytest.approx(without, rel=tolerance)
    np.testing.assert_allclose(grad, fewer, rtol=0, atol=tolerance)


@each_dtype
def test_only_ratios_count(dtype):
    X, y = data("huber", 50, dtype)
    weights = np.random.default_rng(2).gamma(1.0, size=50)
    value, grad = make("huber", dtype).loss_and_grad(X, y, weights)
    for factor in (0.125, 2.0**60, 1e-200, 1e200):
        other, same = make("huber", dtype).loss_and_grad(X, y, factor * weights)
        assert other == pytest.approx(value, rel=1e-6)
        np.testing.assert_allclose(same, grad, rtol=1e-5, atol=1e-8)


@each_loss
@pytest.mark.parametrize("batch_size", [1, 8, 64, 600])
def test_a_fit_agrees_with_the_oracle(loss, batch_size):
    """Batches divide by their rows; the history is the mean weighted over all rows."""
    rows = 700 if batch_size == 600 else 60
    X, y = data(loss, rows)
    T = oracle.one_hot(y, 3) if loss == "cross_entropy" else y
    weights = np.random.default_rng(4).gamma(1.0, size=rows)
    weights[:10] = 0.0  # the whole first batch of 8, and the first rows one by one
    net = make(loss, l1=0.01, l2=0.02, optimizer=SGD(0.05, momentum=0.5))
    expected, losses, _ = oracle.fit(net, X, T, 3, batch_size, sample_weight=weights)
    history = net.fit(X, y, epochs=3, batch_size=batch_size, sample_weight=weights, shuffle=False)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(net.params, expected, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("batch_size", [8, 600])
def test_weights_follow_their_rows_in_a_random_order(batch_size):
    X, y = data("squared_error", 700)
    weights = np.random.default_rng(5).gamma(1.0, size=700)
    net = make(optimizer=SGD(0.02))
    stream = oracle.RandomStream(net.state.random[0])
    orders = [stream.permutation(700) for _ in range(2)]
    expected, losses, _ = oracle.fit(net, X, y, 2, batch_size, None, orders, weights)
    history = net.fit(X, y, epochs=2, batch_size=batch_size, sample_weight=weights)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(net.params, expected, rtol=1e-8, atol=1e-11)


def test_the_loss_of_an_epoch_is_the_weighted_mean():
    """With steps of nothing the loss of every epoch is that of the net."""
    X, y = data("squared_error", 100)
    weights = whole_weights(100)
    net = make(optimizer=SGD(1e-300))
    history = net.fit(X, y, epochs=2, batch_size=7, sample_weight=weights)
    by_hand = ((net.predict(X) - y) ** 2).sum(axis=1) / 2
    assert history.loss == pytest.approx([np.average(by_hand, weights=weights)] * 2, rel=1e-12)


def test_batches_without_weight_are_harmless():
    """Their gradient is 0: plain SGD stays, and nothing becomes NaN."""
    X, y = data("squared_error", 40)
    weights = np.zeros(40)
    weights[-1] = 1.0
    for batch_size in (1, 8):
        net = make(optimizer=SGD(0.1))
        alone = copy.deepcopy(net)
        net.fit(X, y, epochs=1, batch_size=batch_size, sample_weight=weights, shuffle=False)
        alone.step(X[-1:], y[-1:], [40 / batch_size])  # a mean of 1; a batch of so many rows
        np.testing.assert_allclose(net.params, alone.params, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "given",
    [
        [1, 2, 3, 4], (1.0, 2.0, 3.0, 4.0), np.array([1, 2, 3, 4], "f4"), np.array([1, 2, 3, 4]),
        np.array([1, 9, 2, 9, 3, 9, 4])[::2], np.array([1, 2, 3, 4], ">f8"),
    ],
)  # fmt: skip
def test_what_weights_may_be(given):
    X, y = data("squared_error", 4)
    expected = make().loss(X, y, np.array([1.0, 2.0, 3.0, 4.0]))
    assert make().loss(X, y, given) == expected
    flags = np.array([True, False, True, False])
    assert make().loss(X, y, flags) == pytest.approx(make().loss(X[::2], y[::2]), rel=1e-14)
    frozen = np.array([1.0, 2.0, 3.0, 4.0])
    frozen.flags.writeable = False
    assert make().loss(X, y, frozen) == expected


BAD = {
    "negative": ([1, 2, -0.5, 1], ValueError, "at most 1e+300; got -0.5 at row 2"),
    "NaN": ([1, NAN, 1, 1], ValueError, "finite numbers of at least 0 and at most 1e+300; got nan"),
    "infinite": ([INF, 1, 1, 1], ValueError, "at most 1e+300; got inf at row 0"),
    "beyond float64": ([np.longdouble("1e4000")] * 4, ValueError, "got inf at row 0"),
    "too large": ([1, 1, 1e308, 1], ValueError, "at most 1e+300; got 1e+308 at row 2"),
    "too few": ([1, 2, 3], ValueError, "shape (4,), one number per row, or (4, 3), one per output"),
    "column": (np.ones((4, 1)), ValueError, "one per output; got shape (4, 1)"),
    "number": (1.0, ValueError, "one per output; got shape ()"),
    "turned": (np.ones((3, 4)), ValueError, "one per output; got shape (3, 4)"),
    "NaN of an output": ([[1, 1, NAN]] * 4, ValueError, "1e+300; got nan at row 0, column 2"),
    "empty": ([], ValueError, "got shape (0,)"),
    "text": (["1"] * 4, TypeError, "real numbers (floats, integers or booleans); got dtype <U1"),
    "name": ("balanced", TypeError, "real numbers"),
    "complex": ([1j] * 4, TypeError, "got dtype complex128"),
    "None inside": ([1, None, 1, 1], ValueError, "at most 1e+300; got nan at row 1"),
    "ragged": ([[1], [1, 2], 1, 1], ValueError, "a rectangular array of numbers"),
}


NO_SUM = {
    "zeros": ([0, 0, 0, 0], "a sum above 0; all weights are 0"),
    "sum too large": ([1e300] * 4, "a sum from 1e-300 to 1e+300; got 4e+300"),
    "sum too small": ([1e-310, 0, 0, 0], "a sum from 1e-300 to 1e+300; got 1e-310"),
}
"""Weights that a step takes, but that no mean can be divided by."""


def state(net):
    """All bits, and the losses so far."""
    return helpers.state(net), tuple(net.history.loss)


@pytest.mark.parametrize("case", BAD)
def test_bad_weights(case):
    bad, error, words = BAD[case]
    X, y = data("squared_error", 4)
    net = make()
    net.fit(X, y, epochs=1)
    kept = state(net)
    for call in (
        lambda: net.loss(X, y, bad),
        lambda: net.loss_and_grad(X, y, bad),
        lambda: net.step(X, y, bad),
        lambda: net.fit(X, y, sample_weight=bad),
    ):
        with pytest.raises(error) as caught:
            call()
        assert str(caught.value).startswith("sample_weight must ")
        assert words in str(caught.value)
        assert state(net) == kept


@pytest.mark.parametrize("case", NO_SUM)
def test_weights_without_a_usable_sum(case):
    bad, words = NO_SUM[case]
    X, y = data("squared_error", 4)
    net = make()
    kept = state(net)
    for call in (
        lambda: net.loss(X, y, bad),
        lambda: net.loss_and_grad(X, y, bad),
        lambda: net.fit(X, y, sample_weight=bad),
    ):
        with pytest.raises(ValueError, match="sample_weight must have") as caught:
            call()
        assert words in str(caught.value)
        assert state(net) == kept


# ---- training divides by the rows ----


def squares(y_pred, y, sample_weight=None):
    """Half the squared error in Python, averaged by the sum of the weights."""
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    shares = (weights / weights.sum())[:, np.newaxis]
    return float((shares * (y_pred - y) ** 2).sum() / 2), shares * (y_pred - y)


UNBIASED = {**LOSSES, "poisson": "poisson", "gamma": "gamma", "in Python": CallableLoss(squares)}


@pytest.mark.parametrize("loss", UNBIASED)
@pytest.mark.parametrize("batch_size", [1, 4, 20])
def test_an_epoch_of_small_steps_goes_down_the_gradient_of_the_weighted_loss(loss, batch_size):
    """Whatever the batch size: the sum of the updates is that of the gradient of all rows."""
    rows = 60
    X, y = data(loss if loss in LOSSES else "binary_cross_entropy", rows)
    if loss == "gamma":
        y = y + 0.1
    weights = np.random.default_rng(6).gamma(0.3, size=rows)  # very unequal
    rate = 1e-7
    net = helpers.make((5, 7, 3), loss=UNBIASED[loss], dtype="float64", seed=3, optimizer=SGD(rate))
    value, grad = net.loss_and_grad(X, y, weights)
    before = net.params.copy()
    history = net.fit(X, y, epochs=1, batch_size=batch_size, sample_weight=weights)
    moved = (before - net.params) / (rate * rows / batch_size)
    np.testing.assert_allclose(moved, grad, rtol=0, atol=2e-5 * abs(grad).max())
    assert history.loss[0] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("loss", ["squared_error", "in Python"])
def test_a_step_of_weight_1e_6_is_a_millionth_of_a_step(loss):
    X, y = data("squared_error", 1)
    whole, part = (
        helpers.make((5, 7, 3), loss=UNBIASED[loss], dtype="float64", seed=3, optimizer=SGD(0.1))
        for _ in range(2)
    )
    before = whole.params.copy()
    value = whole.step(X, y)
    assert part.step(X, y, [1e-6]) == pytest.approx(1e-6 * value, rel=1e-12)
    expected = 1e-6 * (whole.params - before)
    np.testing.assert_allclose(part.params - before, expected, rtol=1e-6, atol=1e-16)
    part.step(X, y, [0.0])
    np.testing.assert_allclose(part.params - before, expected, rtol=1e-6, atol=1e-16)


@pytest.mark.parametrize("batch_size", [1, 32, 256, 2000])
def test_a_rare_class_with_balanced_weights_is_predicted_at_one_half(batch_size):
    """Constant inputs and one positive in 100: the weighted loss is least at 1/2."""
    rng = np.random.default_rng(0)
    rows = 2000
    y = (np.arange(rows) % 100 == 0).astype(int)
    rng.shuffle(y)
    X = np.ones((rows, 1), np.float32)
    weights = np.where(y == 1, 99.0, 1.0)
    net = helpers.make(
        (1, 1), loss="binary_cross_entropy", bias=False, weight_init="zeros", seed=0,
        optimizer=SGD(1.0 if batch_size == rows else 0.002),
    )  # fmt: skip
    net.fit(X, y, epochs=100, batch_size=batch_size, sample_weight=weights)
    assert net.predict(X[:1])[0, 0] == pytest.approx(0.5, abs=0.06)
    assert net.loss(X, y, weights) == pytest.approx(math.log(2), abs=0.01)


def test_batches_of_an_iterable_take_their_weights_as_they_are():
    X, y = data("squared_error", 24)
    weights = np.random.default_rng(7).gamma(1.0, size=24)
    weights[8:16] = 0.0  # a batch without weight, too
    streamed, stepped = (make(optimizer=SGD(0.1)) for _ in range(2))
    parts = [slice(first, first + 8) for first in (0, 8, 16)]
    history = streamed.fit([(X[part], y[part], weights[part]) for part in parts], epochs=1)
    losses = [stepped.step(X[part], y[part], weights[part]) for part in parts]
    assert streamed.params.tobytes() == stepped.params.tobytes()
    assert history.loss == pytest.approx([np.mean(losses)], rel=1e-12)
    assert losses[1] == 0.0


def test_augmented_rows_are_weighted_as_those_in_memory():
    X, y = data("squared_error", 50)
    weights = np.random.default_rng(8).gamma(1.0, size=50) * 1e-3
    options = {"epochs": 2, "batch_size": 7, "shuffle": False, "sample_weight": weights}
    plain, augmented = make(), make()
    expected = plain.fit(X, y, **options)
    found = augmented.fit(X, y, augment=lambda X, rng: X, **options)
    assert found.loss == pytest.approx(expected.loss, rel=1e-12)
    np.testing.assert_allclose(augmented.params, plain.params, rtol=1e-12, atol=1e-15)
