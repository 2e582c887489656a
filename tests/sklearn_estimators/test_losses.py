"""scikit-learn's losses, and that of several targets."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.neural_network._base import binary_log_loss, log_loss, squared_loss

from fastbp import MLP
from fastbp.sklearn.losses import (
    BlockCrossEntropy,
    CutBinaryCrossEntropy,
    CutCrossEntropy,
    MeanSquaredError,
    largest_log_loss,
)


def linear(outputs, loss, dtype="float64"):
    """A net whose net inputs are its inputs."""
    eye = np.eye(outputs, dtype=dtype)
    return MLP((outputs, outputs), loss=loss, dtype=dtype, weight_init=[eye], seed=0)


@pytest.mark.parametrize("outputs", [1, 4])
def test_mean_squared_error_is_a_mean_and_its_gradient_a_sum(outputs) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2, 30, outputs))
    mean, plain = linear(outputs, MeanSquaredError()), linear(outputs, "squared_error")
    assert mean.loss(X, y) == pytest.approx(squared_loss(y, X), rel=1e-12)
    assert mean.loss(X, y) == pytest.approx(plain.loss(X, y) / outputs, rel=1e-12)
    assert np.array_equal(mean.loss_and_grad(X, y)[1], plain.loss_and_grad(X, y)[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_losses_are_cut_off_where_scikit_learn_cuts(dtype) -> None:
    z = np.array([[-1e4, 0.0, 3.0], [1e4, 1.0, -2.0], [200.0, -300.0, 0.0], [0.1, 0.2, 0.3]], dtype)
    labels = np.array([0, 2, 1, 1])
    most, one_hot = largest_log_loss(np.dtype(dtype)), np.eye(3)[labels]
    assert most == pytest.approx(-np.log(np.finfo(dtype).eps), rel=1e-12)
    net, plain = linear(3, CutCrossEntropy(most=most), dtype), linear(3, "cross_entropy", dtype)
    with np.errstate(under="ignore"):
        p = np.exp(log_softmax(z, axis=1))
    assert net.loss(z, labels) == pytest.approx(log_loss(one_hot, p), rel=1e-5)
    assert plain.loss(z, labels) > 1000
    assert np.array_equal(net.loss_and_grad(z, labels)[1], plain.loss_and_grad(z, labels)[1])
    net = linear(3, CutBinaryCrossEntropy(most=most), dtype)
    with np.errstate(over="ignore"):
        p = 1 / (1 + np.exp(-z))
    expected = binary_log_loss(one_hot, p.astype(dtype))
    assert net.loss(z, one_hot) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_block_cross_entropy(weighted) -> None:
    rng = np.random.default_rng(0)
    sizes, rows = (3, 2, 1), 20
    loss = pickle.loads(pickle.dumps(BlockCrossEntropy(sizes)))
    z = rng.normal(size=(rows, 6))
    columns = [rng.integers(0, n, rows) for n in sizes]
    y = np.concatenate([np.eye(n)[c] for n, c in zip(sizes, columns, strict=True)], axis=1)
    w = rng.gamma(1.0, size=rows)
    arguments = (y, w) if weighted else (y,)
    value, gradient = loss(z, *arguments)
    logs = [log_softmax(b, axis=1) for b in np.split(z, [3, 5], axis=1)]
    of_rows = -sum(b[np.arange(rows), c] for b, c in zip(logs, columns, strict=True))
    assert value == pytest.approx(np.average(of_rows, weights=w if weighted else None), rel=1e-12)
    step = 1e-6
    for row, column in ((0, 0), (3, 2), (7, 4), (9, 5)):
        up, down = z.copy(), z.copy()
        up[row, column] += step
        down[row, column] -= step
        slope = (loss(up, *arguments)[0] - loss(down, *arguments)[0]) / (2 * step)
        assert gradient[row, column] == pytest.approx(slope, abs=1e-8)
    assert np.abs(gradient[:, :5]).min() > 0
    certain = np.where(y == 1, 1e5, -1e5)
    assert loss(certain, y)[0] == 0.0
    assert np.isfinite(loss(-certain, y)[0])
