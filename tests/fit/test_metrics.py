"""Metrics: values worked out by hand and by scikit-learn, shapes, names."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn import metrics as peers

from fastbp.fit.metrics import (
    HIGHER_IS_BETTER,
    METRICS,
    accuracy,
    mean_absolute_error,
    mean_squared_error,
    named_metrics,
    r2,
)

ROWS = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]])


@pytest.mark.parametrize(
    ("y_true", "y_pred", "expected"),
    [
        ([0, 1, 2, 2], ROWS, 0.75),
        (np.array([[0], [1], [0], [0]]), ROWS, 0.5),
        (np.eye(3)[[0, 1, 2, 1]], ROWS, 1.0),
        (ROWS[::-1], ROWS, 0.0),
        ([0, 1, 1, 0], [[0.4], [0.6], [0.5], [0.9]], 0.5),
        ([0, 1, 1, 0], np.float32([0.4, 0.6, 0.5, 0.1]), 0.75),
        ([[0.0], [1.0], [0.9], [0.2]], [[0.4], [0.6], [0.8], [0.1]], 1.0),
        ([True, False], [[0.9], [0.8]], 0.5),
        ([3, 1, 2], [3, 1, 1], 2 / 3),
        ([[1, 0], [1, 1]], [[0.9, 0.4], [0.7, 0.3]], 0.75),  # several labels a row
    ],
)
def test_accuracy(y_true, y_pred, expected):
    found = accuracy(y_true, y_pred)
    assert type(found) is float
    assert found == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("outputs", [1, 3])
def test_of_numbers_agree_with_scikit_learn(seed, outputs):
    rng = np.random.default_rng(seed)
    y_true = rng.normal(size=(20, outputs))
    y_pred = (y_true + rng.normal(size=y_true.shape)).astype("float32")
    for ours, theirs in (
        (mean_squared_error, peers.mean_squared_error),
        (mean_absolute_error, peers.mean_absolute_error),
        (r2, peers.r2_score),
    ):
        assert ours(y_true, y_pred) == pytest.approx(theirs(y_true, y_pred), rel=1e-12)
        if outputs == 1:
            assert ours(y_true[:, 0], y_pred) == ours(y_true, y_pred)


def test_of_numbers_by_hand():
    assert mean_squared_error([1, 2], [[2], [4]]) == 2.5
    assert mean_absolute_error([1, 2], [[2], [4]]) == 1.5
    assert r2([1, 2, 3], [2, 2, 2]) == 0.0
    assert r2([1, 2, 3], [1, 2, 3]) == 1.0


def test_r2_of_constant_targets():
    assert r2([2, 2], [2, 2]) == 1.0
    assert r2([2, 2], [2, 3]) == 0.0
    assert r2([[2, 0], [2, 1]], [[2, 0], [3, 1]]) == 0.5


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "words"),
    [
        (accuracy, [0, 1], ROWS, "shape (2,) for predictions of shape (4,)"),
        (accuracy, np.eye(4), ROWS, "shape (4, 4) for predictions of shape (4, 3)"),
        (accuracy, [-1, 1], [[0.5], [0.7]], "targets 0 and 1; got targets from -1 to 1"),
        (accuracy, [0, 1, 1], [[0.5], [0.7]], "shape (3,) for predictions of shape (2,)"),
        (mean_squared_error, [0, 1, 1, 1], ROWS, "mean_squared_error needs a target for each"),
        (r2, [0, 1], [[0, 1], [1, 0]], "r2 needs a target for each"),
    ],
)
def test_bad_shapes(metric, y_true, y_pred, words):
    with pytest.raises(ValueError) as caught:
        metric(y_true, y_pred)
    assert words in str(caught.value)


def test_missing_targets_do_not_count():
    rng = np.random.default_rng(4)
    truth, outputs = rng.random((20, 3)), rng.random((20, 3))
    gaps = rng.random((20, 3)) < 0.4
    gaps[:, 1] = True
    holes = np.where(gaps, np.nan, truth)
    difference = (truth - outputs)[~gaps]
    assert mean_squared_error(holes, outputs) == pytest.approx((difference**2).mean())
    assert mean_absolute_error(holes, outputs) == pytest.approx(np.abs(difference).mean())
    kept = [~gaps[:, k] for k in (0, 2)]
    by_output = [r2(truth[rows, k], outputs[rows, k]) for k, rows in zip((0, 2), kept, strict=True)]
    assert r2(holes, outputs) == pytest.approx(np.mean(by_output))
    labels = np.where(gaps, np.nan, truth > 0.5)
    right = (truth > 0.5) == (outputs > 0.5)
    assert accuracy(labels, outputs) == right[~gaps].mean()
    assert accuracy(labels[:, 0], outputs[:, :1]) == right[kept[0], 0].mean()
    for metric in METRICS.values():
        assert np.isnan(metric(np.full(4, np.nan), np.ones((4, 1))))
    assert np.isnan(mean_squared_error([1.0, 2.0], [1.0, np.nan]))


@pytest.mark.parametrize("outputs", [1, 3])
def test_weights_are_scikit_learns(outputs):
    rng = np.random.default_rng(5)
    weights = rng.uniform(size=20) * (rng.random(20) > 0.2)
    y_true = rng.normal(size=(20, outputs))
    y_pred = y_true + rng.normal(size=y_true.shape)
    y_pred[weights == 0] = np.inf  # what has no weight does not count
    shown = np.where(weights[:, np.newaxis] == 0, 0, y_pred)
    for ours, theirs in (
        (mean_squared_error, peers.mean_squared_error),
        (mean_absolute_error, peers.mean_absolute_error),
        (r2, peers.r2_score),
    ):
        with np.errstate(over="ignore"):
            found = ours(y_true, y_pred, weights)
        assert found == pytest.approx(theirs(y_true, shown, sample_weight=weights), rel=1e-12)
    labels, said = rng.integers(3, size=(2, 20))
    expected = peers.accuracy_score(labels, said, sample_weight=weights)
    assert accuracy(labels, said, weights) == pytest.approx(expected, rel=1e-12)
    assert accuracy(labels, np.eye(3)[said], weights) == pytest.approx(expected, rel=1e-12)


def test_weights_of_outputs():
    y_true, y_pred = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[0.9, 0.8], [0.2, 0.9]])
    each = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert accuracy(y_true, y_pred, each) == 0.5  # right with 1 and 4 of 10
    assert accuracy(np.eye(2), [[0.9, 0.1], [0.9, 0.1]], each) == 0.3  # rows of 1.5 and 3.5
    assert mean_squared_error([[0, 0], [0, 2]], [[1, 0], [0, 0]], each) == 1.7
    assert r2([[0, 5], [2, 5]], [[1, 5], [1, 5]], each) == pytest.approx((1 - 4 / 3 + 1) / 2)
    for metric in METRICS.values():
        assert np.isnan(metric(np.ones((2, 2)), np.ones((2, 2)), np.zeros(2)))
        with pytest.raises(ValueError, match=r"sample_weight must have shape \(2,\)"):
            metric(np.ones((2, 2)), np.ones((2, 2)), np.ones(3))


def test_accuracy_of_minus_1_and_1():
    column = np.array([[0.1], [-0.2], [0.7]])
    assert accuracy([1, -1, -1], column, negative=-1) == 2 / 3
    one_class = np.array([[1, -1, -1], [-1, 1, -1]])
    several = np.array([[1, 1, -1], [-1, 1, -1]])
    outputs = np.array([[-0.1, -0.2, -0.3], [0.2, 0.1, -0.9]])
    assert accuracy(one_class, outputs, negative=-1) == 0.5
    assert accuracy(several, outputs, negative=-1) == 0.5
    with pytest.raises(ValueError, match="needs targets -1 and 1; got targets from 1 to 2"):
        accuracy([1, 2], column[:2], negative=-1)


def test_what_is_not_a_number_is_never_right():
    nan = np.nan
    assert accuracy([0, 1], [[nan], [0.9]]) == 0.5
    assert accuracy([0, 1], [[nan, 0.1], [0.1, 0.9]]) == 0.5
    assert accuracy([[0, 1], [1, 1]], [[nan, 0.9], [0.9, 0.9]]) == 0.75


def test_r2_of_targets_whose_mean_is_rounded():
    assert r2([0.1] * 3, [0.1] * 3) == 1.0
    assert r2([0.1] * 3, [0.1, 0.1, 0.2]) == 0.0


def own(y_true, y_pred):
    return 0.5


class Own:
    def __call__(self, y_true, y_pred):
        return 0.5


def test_names():
    assert set(METRICS) == {"accuracy", "mean_squared_error", "mean_absolute_error", "r2"}
    assert set(HIGHER_IS_BETTER) == {"accuracy", "r2"}
    assert named_metrics("r2") == {"r2": r2}
    assert named_metrics(own) == {"own": own}
    assert list(named_metrics(["accuracy", own, "r2"])) == ["accuracy", "own", "r2"]
    assert list(named_metrics((Own(), functools.partial(own)))) == ["Own", "partial"]
    assert named_metrics(()) == {}


@pytest.mark.parametrize(
    ("metrics", "error", "words"),
    [
        (3, TypeError, "metrics must be a list of 'accuracy', "),
        ([3], TypeError, "or a function of (y_true, y_pred); got 3"),
        ("auc", ValueError, "got 'auc'"),
        (["accuracy", "auc"], ValueError, "got 'auc'"),
        (["accuracy", "accuracy"], ValueError, "'accuracy' occurs twice"),
        ([lambda t, p: 0, lambda t, p: 1], ValueError, "'<lambda>' occurs twice"),
    ],
)
def test_bad_names(metrics, error, words):
    with pytest.raises(error) as caught:
        named_metrics(metrics)
    assert words in str(caught.value)
