"""Scores that are prepared once are scikit-learn's."""

from __future__ import annotations

from operator import methodcaller

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from fastbp.sklearn.scores import R2, Accuracy

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_r2(seed) -> None:
    rng = np.random.default_rng([seed, 51])
    rows, outputs = int(rng.integers(2, 50)), int(rng.integers(1, 4))
    y = rng.normal(size=(rows, outputs)).astype(("f4", "f8")[seed % 2])
    weights = rng.uniform(0.1, 2.0, size=rows) if seed % 3 else None
    score = R2(y, weights)
    for _ in range(2):
        predicted = (y + rng.normal(size=y.shape)).astype(y.dtype)
        expected = r2_score(y, predicted, sample_weight=weights)
        assert score(predicted) == pytest.approx(expected, rel=1e-6 if seed % 2 == 0 else 1e-14)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.parametrize(
    "y", [np.ones((4, 1)), np.array([[1.0, 2.0], [1.0, 3.0]]), np.ones((1, 1))]
)
def test_r2_of_constant_targets_and_of_one_row(y) -> None:
    for predicted in (y, y + 0.5):
        np.testing.assert_equal(R2(y, None)(predicted), float(r2_score(y, predicted)))


def test_r2_leaves_out_what_is_missing() -> None:
    y = np.array([[1.0, np.nan], [2.0, 5.0], [4.0, 6.0], [3.0, 8.0]])
    predicted = y + np.array([[0.5, 1.0], [-0.5, 0.0], [0.0, 1.0], [1.0, 0.5]])
    predicted[0, 1] = 100.0
    expected = [r2_score(y[:, 0], predicted[:, 0]), r2_score(y[1:, 1], predicted[1:, 1])]
    assert R2(y, None)(predicted) == pytest.approx(np.mean(expected), rel=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_accuracy(seed) -> None:
    rng = np.random.default_rng([seed, 52])
    rows, classes = int(rng.integers(1, 50)), int(rng.integers(2, 5))
    labels = rng.integers(classes, size=rows)
    weights = rng.uniform(0.1, 2.0, size=rows) if seed % 2 else None
    outputs = rng.uniform(size=(rows, classes))
    score = Accuracy(methodcaller("argmax", axis=1), np.eye(classes)[labels], weights)
    expected = accuracy_score(labels, outputs.argmax(axis=1), sample_weight=weights)
    assert score(outputs) == expected
    several = rng.uniform(size=(rows, classes)) > 0.5
    score = Accuracy(lambda p: p > 0.5, several, weights)
    assert score(outputs) == accuracy_score(several, outputs > 0.5, sample_weight=weights)


def test_outputs_that_are_not_finite_have_no_score() -> None:
    y = np.array([[1.0], [2.0]])
    for bad in (np.nan, np.inf):
        outputs = np.array([[1.0], [bad]])
        assert np.isnan(R2(y, None)(outputs))
        assert np.isnan(Accuracy(lambda p: p > 0.5, y, None)(outputs))
