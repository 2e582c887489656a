"""Case 6, training as the decks describe it: line search, conjugate gradients, expanded data.

CS109A, Lecture 12 names both; the chapter MC886 points to (Nielsen, chapter 3) the last. The
handwritten digits are in tests/examples/test_mnist.py.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import long_uncompiled
from reference_data import FOLDER, needs_mnist

from fastbp import MLP, SGD, ImageShift
from fastbp.files.idx import mnist

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 3)) * [1.0, 5.0, 0.2]
Y = X @ [1.0, -0.5, 3.0] + 0.7 + RNG.normal(scale=0.1, size=100)
DESIGN = np.c_[X, np.ones(100)]
CLOSED_FORM = np.linalg.solve(DESIGN.T @ DESIGN, DESIGN.T @ Y)


@pytest.mark.parametrize(
    "method", ["gradient_descent", "conjugate_gradient", "scaled_conjugate_gradient", "rprop"]
)
def test_case_6_methods_reach_the_closed_form(method):
    net = MLP((3, 1), dtype="float64", seed=0)
    history = net.fit(X, Y, epochs=5000, method=method)
    np.testing.assert_allclose([*net.params], CLOSED_FORM, atol=5e-4)
    assert "converged" in history.stop_reason


def test_case_6_line_search_needs_no_learning_rate():
    """A rate that suits one scale of the inputs diverges for another; a search finds its own."""
    for scale in (0.1, 1.0, 100.0):
        net = MLP((3, 1), dtype="float64", seed=0)
        losses = net.fit(scale * X, Y, epochs=20, method="gradient_descent").loss
        assert (np.diff(losses) <= 0).all()
    fixed = MLP((3, 1), dtype="float64", optimizer=SGD(0.05), seed=0)
    rising = [fixed.step(10 * X, Y) for _ in range(5)]
    assert rising == sorted(rising)
    assert rising[-1] > 1e6 * rising[0]


def test_case_6_conjugate_gradients_beat_gradient_descent():
    counts = [
        len(MLP((3, 1), dtype="float64", seed=0).fit(X, Y, epochs=5000, method=method))
        for method in ("conjugate_gradient", "gradient_descent")
    ]
    assert 10 * counts[0] < counts[1]


@needs_mnist
@long_uncompiled
def test_case_6_expansion_of_the_training_data():
    digits, labels = mnist(FOLDER)
    order = np.random.default_rng(0).permutation(len(digits))
    train, test = order[:1000], order[8500:]
    accuracies = []
    for augment in (None, ImageShift((28, 28), pixels=1)):
        net = MLP((784, 100, 10), loss="cross_entropy", seed=0)
        net.fit(digits[train], labels[train], epochs=40, augment=augment)
        accuracies.append((net.predict(digits[test]).argmax(axis=1) == labels[test]).mean())
    assert accuracies[1] > accuracies[0] + 0.01
