"""Penalties, initial draws and what is drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier as Theirs

from fastbp.sklearn import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)


def after_one_step(weights=None, **parameters):
    """The weights before and after a step of plain SGD on all rows, and the rate."""
    options = {"hidden_layer_sizes": (5,), "random_state": 0, "max_iter": 1, "solver": "sgd"}
    options |= {"momentum": 0.0, "batch_size": 150}
    start = MLPClassifier(**options, learning_rate_init=1e-300).fit(X, Y)
    end = MLPClassifier(**options, learning_rate_init=0.1, **parameters).fit(X, Y, weights)
    return start, end


@pytest.mark.parametrize("weights", [None, np.linspace(0.0, 3.0, 150)])
def test_penalties_are_shared_out_over_the_weights_of_the_rows(weights) -> None:
    total = 150.0 if weights is None else weights.sum()
    _, plain = after_one_step(weights, alpha=0.0)
    for share in (0.0, 0.25, 1.0):
        start, end = after_one_step(weights, alpha=30.0, l1_ratio=share)
        for w, before, after in zip(plain.coefs_, start.coefs_, end.coefs_, strict=True):
            slope = share * np.sign(before) + (1 - share) * before
            np.testing.assert_allclose(after, w - 0.1 * 30.0 / total * slope, rtol=1e-10)
        for w, after in zip(plain.intercepts_, end.intercepts_, strict=True):
            assert np.array_equal(w, after)
        sizes = sum(share * np.abs(w).sum() + (1 - share) / 2 * (w**2).sum() for w in start.coefs_)
        assert end.loss_ - plain.loss_ == pytest.approx(30.0 / total * sizes, rel=1e-10)


def test_clip_norm() -> None:
    start, plain = after_one_step(alpha=0.0)
    _, clipped = after_one_step(alpha=0.0, clip_norm=0.01)
    moved, far = (
        np.concatenate([(a - b).ravel() for a, b in zip((*e.coefs_, *e.intercepts_),
                        (*start.coefs_, *start.intercepts_), strict=True)])
        for e in (clipped, plain)
    )  # fmt: skip
    assert np.linalg.norm(moved) == pytest.approx(0.1 * 0.01, rel=1e-10)
    np.testing.assert_allclose(moved * np.linalg.norm(far), far * np.linalg.norm(moved), atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "logistic"])
def test_draws_are_scikit_learns(activation) -> None:
    options = {"hidden_layer_sizes": (7, 3), "activation": activation, "max_iter": 1}
    options |= {"solver": "sgd", "learning_rate_init": 1e-300}
    ours, theirs = (kind(**options, random_state=5).fit(X, Y) for kind in (MLPClassifier, Theirs))
    for got, expected in zip(
        ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True
    ):
        assert np.array_equal(got, expected)
    streams = [np.random.RandomState(7) for _ in range(2)]
    for kind, stream in zip((MLPClassifier, Theirs), streams, strict=True):
        kind(**options | {"max_iter": 4}, random_state=stream, early_stopping=True).fit(X, Y)
    assert streams[0].random() == streams[1].random(), "the stream goes on from the same place"


def test_dropout() -> None:
    """It is drawn by random_state, and only in training."""
    options = {"hidden_layer_sizes": (40,), "max_iter": 100, "tol": 0.0}
    nets = [MLPClassifier(**options, dropout=d, random_state=s).fit(X, Y)
            for d, s in ((0.5, 0), (0.5, 0), (0.5, 1), (0.0, 0))]  # fmt: skip
    assert np.array_equal(nets[0].coefs_[0], nets[1].coefs_[0])
    assert not np.array_equal(nets[0].coefs_[0], nets[3].coefs_[0])
    assert np.array_equal(nets[0].predict_proba(X), nets[0].predict_proba(X))
    assert nets[0].loss_curve_[-1] > 1.2 * nets[3].loss_curve_[-1]
    assert nets[0].score(X, Y) > 0.8
    with pytest.raises(ValueError, match="dropout must be one rate or one for each of the 1 hid"):
        MLPClassifier(**options, dropout=[0.1, 0.2]).fit(X, Y)
    with pytest.raises(ValueError, match="'dropout' parameter of MLPClassifier must be"):
        MLPClassifier(**options, dropout=1.0).fit(X, Y)


@pytest.mark.parametrize("bad", [64.0, "64", None, True])
def test_a_bad_width_goes_by_the_name_of_the_users_parameter(bad) -> None:
    message = rf"hidden_layer_sizes\[1\] must be a whole number of at least 1; got {bad!r}"
    with pytest.raises(TypeError, match=message):
        MLPClassifier((32, bad)).fit(X, Y)
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0, got"):
        MLPClassifier((32, -1)).fit(X, Y)
    assert MLPClassifier((np.int64(3),), max_iter=1).fit(X, Y).coefs_[0].shape == (4, 3)
