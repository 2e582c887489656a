"""The perceptron rule in loops, against the same in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp.kernels.training import DIVERGED, EPOCH, FINISHED, N_PROGRESS, ROW, RUNNING
from fastbp.perceptron import kernels as perceptron

SHAPES = ((4, 1, 1), (9, 2, 3), (5, 17, 2), (7, 64, 1), (3, 100, 5))


def problem(shape, bias, dtype, seed=0):
    """Integers, whose sums are exact in any order."""
    rows, k, n = shape
    rng = np.random.default_rng(seed)
    params = rng.integers(-2, 3, n * (k + bias)).astype(dtype)
    inputs = rng.integers(-3, 4, (rows, k)).astype(dtype)
    return params, inputs, rng.integers(0, 2, (rows, n)).astype(dtype)


def state(shape, epochs, params, shuffle=False):
    order = np.arange(shape[0] if shuffle else 0)
    return (order, np.array([5], np.uint64), np.zeros(N_PROGRESS, np.int64),
            np.zeros(epochs, np.int64), params.copy())  # fmt: skip


def reference(params, inputs, targets, order, rate, epochs):
    """Row by row, unit by unit."""
    n, k = targets.shape[1], inputs.shape[1]
    w, b = params[: n * k].reshape(n, k), params[n * k :]
    mistakes = []
    for _ in range(epochs):
        wrong = 0
        for row in order:
            z = w @ inputs[row] + (b if b.size else 0)
            error = (z > 0) - targets[row]
            w -= rate * np.outer(error, inputs[row])
            if b.size:
                b -= rate * error
            wrong += int(np.abs(error).sum())
        mistakes.append(wrong)
        if wrong == 0:
            break
    return mistakes


@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_learn(shape, dtype, bias) -> None:
    params, inputs, targets = problem(shape, bias, dtype)
    expected = params.copy()
    mistakes = reference(expected, inputs, targets, range(shape[0]), 0.5, 6)
    order, random, progress, counts, safe = state(shape, 6, params)
    arguments = (params, inputs, targets, order, random, progress, counts, safe, 0.5)
    calls = 0
    while perceptron.learn(*arguments, 4) == RUNNING:  # in pieces that end within epochs
        calls += 1
    assert calls >= shape[0] * len(mistakes) // 4 - 1
    assert params.tolist() == expected.tolist()
    assert counts[: len(mistakes)].tolist() == mistakes
    assert progress[[EPOCH, ROW]].tolist() == [len(mistakes), 0]
    assert safe.tolist() == params.tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_shuffled(shape) -> None:
    """Each epoch takes all rows, in an order that depends on the stream alone."""
    results = []
    for count in (1, 3, 10_000):
        params, inputs, targets = problem(shape, 1, "float64")
        order, random, progress, counts, safe = state(shape, 5, params, shuffle=True)
        arguments = (params, inputs, targets, order, random, progress, counts, safe, 1.0, count)
        while perceptron.learn(*arguments) == RUNNING:
            pass
        assert sorted(order) == list(range(shape[0]))
        results.append((params.tolist(), counts.tolist(), order.tolist()))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("bias", [0, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_net_inputs(shape, dtype, bias) -> None:
    params, inputs, _ = problem(shape, bias, dtype)
    rows, k, n = shape
    out = np.full((rows, n), np.nan, dtype)
    perceptron.net_inputs(params, inputs, out)
    expected = inputs @ params[: n * k].reshape(n, k).T + (params[n * k :] if bias else 0)
    assert out.tolist() == expected.tolist()


def test_diverged_restores_the_snapshot() -> None:
    params = np.zeros(2, np.float32)
    inputs, targets = np.array([[3e38], [3e38]], np.float32), np.array([[1], [0]], np.float32)
    order, random, progress, counts, safe = state((2,), 3, params)
    status = perceptron.learn(
        params, inputs, targets, order, random, progress, counts, safe, 1e10, 100
    )
    assert status == DIVERGED
    assert params.tolist() == [0, 0]


def test_no_epochs() -> None:
    params, inputs, targets = problem((3, 2, 1), 1, "float32")
    arguments = state((3,), 0, params)
    assert perceptron.learn(params, inputs, targets, *arguments, 1.0, 100) == FINISHED
