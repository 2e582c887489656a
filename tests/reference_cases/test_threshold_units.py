"""Case 4: threshold units by hand and by the perceptron rule (ECE448, ID2223).

Decks: ECE448 = M. Hasegawa-Johnson, Lecture 10; ID2223 = A. Payberah, Deep Feedforward Networks.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers import DTYPES

from fastbp import MLP, SGD, Perceptron

POINTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
AND, OR, XOR = [0, 0, 0, 1], [0, 1, 1, 1], [0, 1, 1, 0]
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


@each_dtype
def test_case_4_and_or_not_by_hand(dtype) -> None:
    """step(w.x + b)."""
    units = Perceptron.from_weights([[1, 1], [1, 1]], [-1.5, -0.5], dtype=dtype)
    assert units.predict(POINTS).T.tolist() == [AND, OR]
    negation = Perceptron.from_weights([-1], 0.5, dtype=dtype)
    assert negation.predict([[0], [1]]).ravel().tolist() == [1, 0]


@each_dtype
def test_case_4_perceptron_rule_by_hand(dtype) -> None:
    """w <- w - eta (y_hat - y) x, on AND in the order of the table, from zero."""
    unit = Perceptron(2, learning_rate=0.5, dtype=dtype)
    w, b = np.zeros(2), 0.0
    epochs, mistakes = 0, -1
    while mistakes:
        epochs += 1
        mistakes = 0
        for x, y in zip(POINTS, AND, strict=True):
            y_hat = float(w @ x + b > 0)
            w, b = w - 0.5 * (y_hat - y) * x, b - 0.5 * (y_hat - y)
            mistakes += y_hat != y
        history = unit.fit(POINTS, AND, epochs=1, shuffle=False)
        assert unit.weights[0].ravel().tolist() == w.tolist()
        assert unit.biases[0].tolist() == [b]
        assert history["mistakes"] == [mistakes]
    assert 2 < epochs < 20
    assert unit.predict(POINTS).ravel().tolist() == AND


@each_dtype
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("y", [AND, OR], ids=["and", "or"])
def test_case_4_perceptron_converges_on_separable_data(y, seed, dtype) -> None:
    unit = Perceptron(2, dtype=dtype, seed=seed)
    history = unit.fit(POINTS, y)
    assert history.stop_reason == f"no mistake in epoch {len(history)}"
    assert len(history) < 50
    assert unit.predict(POINTS).ravel().tolist() == y


@each_dtype
def test_case_4_several_outputs_at_once(dtype) -> None:
    units = Perceptron(2, 2, dtype=dtype, seed=0)
    history = units.fit(POINTS, np.transpose([AND, OR]))
    assert history.stop_reason
    assert units.predict(POINTS).T.tolist() == [AND, OR]


@each_dtype
def test_case_4_xor_defeats_the_perceptron(dtype) -> None:
    unit = Perceptron(2, dtype=dtype, seed=0)
    history = unit.fit(POINTS, XOR, epochs=2000)
    assert len(history) == 2000
    assert min(history["mistakes"]) >= 1
    assert unit.predict(POINTS).ravel().tolist() != XOR


def test_case_4_no_line_separates_xor() -> None:
    """Of a fine grid of lines none does; of AND and OR many do."""
    values = np.linspace(-2, 2, 17)
    lines = np.array(list(itertools.product(values, values, values)))
    units = Perceptron.from_weights(lines[:, :2].T, lines[:, 2])
    outputs = units.predict(POINTS).T
    counts = [int((outputs == y).all(axis=1).sum()) for y in (AND, OR, XOR)]
    assert counts[0] > 100
    assert counts[1] > 100
    assert counts[2] == 0
    # The reason: net inputs of opposite corners have the same sum.
    z = units.net_inputs(POINTS)
    np.testing.assert_allclose(z[0] + z[3], z[1] + z[2], atol=1e-5)


@each_dtype
def test_case_4_least_squares_line_of_xor(dtype) -> None:
    net = MLP((2, 1), optimizer=SGD(0.5), dtype=dtype, seed=1)
    net.fit(POINTS, XOR, epochs=2000, batch_size=4)
    np.testing.assert_allclose(net.params, [0, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(net.predict(POINTS), 0.5, atol=1e-6)


@each_dtype
def test_case_4_xor_by_two_layers_of_threshold_units(dtype) -> None:
    hidden = Perceptron.from_weights(np.ones((2, 2)), [-1.5, -0.5], dtype=dtype)
    output = Perceptron.from_weights([-1, 1], -0.5, dtype=dtype)
    assert hidden.net_inputs(POINTS).tolist() == [
        [-1.5, -0.5],
        [-0.5, 0.5],
        [-0.5, 0.5],
        [0.5, 1.5],
    ]
    between = hidden.predict(POINTS)
    assert output.net_inputs(between).ravel().tolist() == [-0.5, 0.5, 0.5, -0.5]
    assert output.predict(between).ravel().tolist() == XOR
