"""Losses and their deltas against float64 formulas; stable logits; averaged once."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from conftest import counts

from fastbp.kernels.losses import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    LOSSES,
    SQUARED_ERROR,
    loss_and_delta,
)
from fastbp.simd import pointer

DTYPES = ("float32", "float64")
PADDING = -777.0


@numba.njit
def run_loss(code, d, z, t, stride, n, batch, scale):
    at = pointer(d, 0), pointer(z, 0), pointer(t, 0)
    return loss_and_delta(code, at[0], at[1], at[2], stride, n, batch, scale)


def loss_of(code, z, t, scale, stride, in_place=False):
    """Loss and delta of (n, batch) outputs and targets, rows `stride` apart."""
    n, batch = z.shape
    z_rows, t_rows, d_rows = (np.full((n, stride), PADDING, z.dtype) for _ in range(3))
    z_rows[:, :batch], t_rows[:, :batch] = z, t
    d_rows = t_rows if in_place else d_rows
    flat = d_rows.reshape(-1), z_rows.reshape(-1), t_rows.reshape(-1)
    loss = run_loss(code, *flat, stride, n, batch, scale)
    assert np.all(d_rows[:, batch:] == PADDING), "wrote beyond the batch"
    assert np.array_equal(z_rows[:, :batch], z, equal_nan=True), "wrote to the outputs"
    return loss, d_rows[:, :batch]


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def exact_loss(code, z, t):
    """Sum over rows and outputs, and its derivative by z, in long double."""
    z, t = z.astype(np.longdouble), t.astype(np.longdouble)
    if code == SQUARED_ERROR:
        return ((z - t) ** 2).sum() / 2, z - t
    if code == BINARY_CROSS_ENTROPY:
        e = np.exp(-np.abs(z))
        p = np.where(z > 0, 1.0, e) / (1.0 + e)
        return (t * softplus(-z) + (1 - t) * softplus(z)).sum(), p - t
    below = z - z.max(axis=0)
    total = np.exp(below).sum(axis=0)
    return (t * (np.log(total) - below)).sum(), np.exp(below) / total * t.sum(axis=0) - t


def targets_for(code, rng, n, batch):
    """Targets as users have them; for the cross-entropies some certain, some probabilities."""
    if code == SQUARED_ERROR:
        return rng.normal(size=(n, batch))
    if code == BINARY_CROSS_ENTROPY:
        t = rng.random((n, batch))
        return np.where(rng.random((n, batch)) < 0.5, np.round(t), t)
    t = rng.dirichlet(np.ones(n), size=batch).T
    certain = rng.random(batch) < 0.5
    t[:, certain] = np.eye(n)[:, rng.integers(0, n, certain.sum())]
    return t * rng.choice([1.0, 1.0, 0.7], batch)  # the formulas hold for any sum


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_values(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    n, batch = int(rng.integers(1, 12)), int(rng.integers(1, 70))
    stride, scale = batch + int(rng.integers(0, 5)), 1.0 / batch
    eps = float(np.finfo(dtype).eps)
    for name, code in LOSSES.items():
        z = rng.normal(scale=3.0, size=(n, batch)).astype(dtype)
        t = targets_for(code, rng, n, batch).astype(dtype)
        loss, delta = loss_of(code, z, t, scale, stride)
        total, derivative = exact_loss(code, z, t)
        assert loss == pytest.approx(float(total) * scale, rel=8 * eps, abs=8 * n * eps), name
        exact = (derivative * scale).astype(np.float64)
        atol = 20 * eps * scale * max(1.0, float(np.abs(derivative).max()))
        np.testing.assert_allclose(delta, exact, rtol=0, atol=atol, err_msg=name)
        assert np.abs(delta).max() > 0.0 or n == 1, name
        again, replaced = loss_of(code, z, t, scale, stride, in_place=True)
        assert again == loss, name
        assert np.array_equal(replaced, delta), f"{name} with the delta in place of the targets"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("seed", range(counts(1, 55)))
@pytest.mark.promise("numerics")
def test_logits_of_any_size(seed, dtype, size, tally) -> None:
    rng = np.random.default_rng([seed, int(size)])
    n, batch = 5, 37
    eps = float(np.finfo(dtype).eps)
    z = rng.uniform(-size, size, (n, batch))
    z[:, 0], z[:, 1] = size, -size
    z[:, 2] = [size, -size, 0.0, size, -size]
    z = z.astype(dtype)
    for code in (BINARY_CROSS_ENTROPY, CROSS_ENTROPY):
        t = targets_for(code, rng, n, batch).astype(dtype)
        loss, delta = loss_of(code, z, t, 1.0 / batch, batch)
        total, derivative = exact_loss(code, z, t)
        assert np.isfinite(loss)
        assert loss == pytest.approx(float(total) / batch, rel=50 * eps)
        assert np.all(np.isfinite(delta))
        exact = (derivative / batch).astype(np.float64)
        np.testing.assert_allclose(delta, exact, rtol=0, atol=50 * eps / batch)
        tally["logits"] += z.size


@pytest.mark.parametrize("dtype", DTYPES)
def test_certain_and_right_costs_nothing(dtype) -> None:
    tiny = float(np.finfo(dtype).tiny)
    t = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    z = (2e5 * t - 1e5).astype(dtype)
    for code in (BINARY_CROSS_ENTROPY, CROSS_ENTROPY):
        right, delta = loss_of(code, z, t, 0.5, 2)
        assert 0.0 <= right <= 8 * tiny
        assert np.all(np.abs(delta) <= 2 * tiny)
        wrong, delta = loss_of(code, -z, t, 0.5, 2)
        outputs = 2 if code == BINARY_CROSS_ENTROPY else 1
        assert wrong == outputs * (1e5 if code == BINARY_CROSS_ENTROPY else 2e5)
        assert np.array_equal(np.abs(delta), np.full((2, 2), 0.5, dtype))


def test_small_losses_keep_their_digits() -> None:
    """log(1 + exp(-z)) and p - t for large z are not the rounded 1 - p."""
    z, t = np.array([[20.0, 30.0]]), np.ones((1, 2))
    loss, delta = loss_of(BINARY_CROSS_ENTROPY, z, t, 1.0, 2)
    assert loss == pytest.approx(2.0611536203e-09 + 9.3576229688e-14, rel=1e-9, abs=0.0)
    assert delta[0, 0] == pytest.approx(-2.0611536181902037e-09, rel=1e-6, abs=0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [3, 50])
def test_the_average_is_taken_once(dtype, batch) -> None:
    rng = np.random.default_rng(batch)
    for code in LOSSES.values():
        z = rng.normal(size=(4, batch)).astype(dtype)
        t = targets_for(code, rng, 4, batch).astype(dtype)
        loss, delta = loss_of(code, z, t, 1.0 / batch, batch)
        # The same rows twice are the same mean, and each row counts half.
        twice, half = loss_of(
            code, np.hstack([z, z]), np.hstack([t, t]), 1.0 / (2 * batch), 2 * batch
        )
        assert twice == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(2 * half[:, :batch], delta, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(half[:, batch:], half[:, :batch], rtol=1e-6, atol=1e-9)


def test_not_a_number_makes_the_loss_not_finite() -> None:
    for code in LOSSES.values():
        for bad in (np.nan, np.inf):
            z = np.zeros((3, 5))
            z[1, 2] = bad
            loss, _ = loss_of(code, z, np.full((3, 5), 1.0 / 3.0), 0.2, 5)
            assert not np.isfinite(loss), f"code {code} with {bad}"


def test_unknown_code_raises() -> None:
    x = np.zeros(4)
    with pytest.raises(ValueError, match="unknown loss"):
        run_loss(17, x, x.copy(), x.copy(), 4, 1, 4, 1.0)
