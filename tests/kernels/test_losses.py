"""Losses and their deltas against formulas in long double; stable logits; averaged once."""

from __future__ import annotations

import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES, counts

from fastbp.kernels import losses
from fastbp.kernels.losses import (
    ABSOLUTE_ERROR,
    BINARY_CROSS_ENTROPY,
    CALLABLE,
    CROSS_ENTROPY,
    GAMMA,
    HINGE,
    HUBER,
    POISSON,
    QUANTILE,
    SQUARED_ERROR,
    loss_and_delta,
)
from fastbp.machine.simd import pointer
from fastbp.model.losses import LOSSES

CODES = {name: loss.code for name, loss in LOSSES.items()}
CROSS_ENTROPIES = (BINARY_CROSS_ENTROPY, CROSS_ENTROPY)
PADDING = -777.0


@entry_point
def run_loss(code, d, y, t, s, a, stride, n, batch, apart):
    at = pointer(d, 0), pointer(y, 0), pointer(t, 0), pointer(s, 0), pointer(a, 0)
    total = loss_and_delta(code, at[0], at[1], at[2], at[3], at[4], stride, n, batch, apart)
    return losses.loss_of(code, at[4], total)


def loss_of(code, y, t, s=None, a=None, stride=None, in_place=False):
    """Loss and delta of (n, batch) outputs and targets, rows `stride` apart.

    `s` are the shares of the rows, equal ones by default, or of all outputs, (n, batch); `a` the
    parameters of the loss.
    """
    n, batch = y.shape
    stride = batch if stride is None else stride
    s = np.full(batch, 1.0 / batch) if s is None else s
    a = default_parameters(code, n) if a is None else a
    y_rows, t_rows, d_rows = (np.full((n, stride), PADDING, y.dtype) for _ in range(3))
    y_rows[:, :batch], t_rows[:, :batch] = y, t
    d_rows = t_rows if in_place else d_rows
    flat = d_rows.reshape(-1), y_rows.reshape(-1), t_rows.reshape(-1)
    by_output = np.ndim(s) == 2
    shares = np.full((n if by_output else 1, stride), np.nan, y.dtype)
    shares[:, :batch] = s  # those beyond the batch must not be read
    parameters = np.asarray(a, np.float64)
    apart = stride if by_output else 0
    loss = run_loss(code, *flat, shares.reshape(-1), parameters, stride, n, batch, apart)
    assert np.all(d_rows[:, batch:] == PADDING), "wrote beyond the batch"
    assert np.array_equal(y_rows[:, :batch], y, equal_nan=True), "wrote to the outputs"
    return loss, d_rows[:, :batch]


def default_parameters(code, n):
    """The parameters of a loss with its defaults, and not one more."""
    if code in CROSS_ENTROPIES:
        return np.array([1.0, 0.0, np.inf])
    return np.full(n if code in (HUBER, QUANTILE) else 1, 0.5)


def random_numbers(code, rng, n):
    """Numbers as of a smoothing of labels and a cut, of levels, of widths of the parabola."""
    if code in CROSS_ENTROPIES:
        return np.array([0.9, 0.1 / (2 if code == BINARY_CROSS_ENTROPY else max(2, n)), 2.0])
    return rng.uniform(0.1, 0.9, n if code in (HUBER, QUANTILE) else 1)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def exact_outputs(code, y, t, a):
    """Losses of single outputs and their derivatives: the table in kernels/losses.py."""
    e = y - t
    if code == SQUARED_ERROR:
        return a * e**2 / 2, e
    if code == ABSOLUTE_ERROR:
        return np.abs(e), np.sign(e)
    if code == HUBER:
        inside = np.abs(e) <= a
        return np.where(inside, e**2 / 2, a * (np.abs(e) - a / 2)), np.where(
            inside, e, a * np.sign(e)
        )
    if code == QUANTILE:
        return np.maximum((1 - a) * e, -a * e), np.where(e > 0, 1 - a, np.where(e < 0, -a, 0))
    if code == HINGE:
        return np.maximum(1 - t * y, 0), np.where(t * y < 1, -t, 0)
    if code == POISSON:
        logarithm = np.log(np.where(t > 0, t, 1))
        return np.exp(y) - t + t * (logarithm - y), np.exp(y) - t
    assert code == GAMMA
    ratio = t * np.exp(-y)
    return ratio - 1 - (np.log(t) - y), 1 - ratio


def exact_loss(code, y, t, s, a):
    """The loss and its derivative by y in long double, each row times its share."""
    y, t, s, a = (np.asarray(x).astype(np.longdouble) for x in (y, t, s, a))
    if code in CROSS_ENTROPIES:
        t = a[0] * t + a[1]
    if code == BINARY_CROSS_ENTROPY:
        e = np.exp(-np.abs(y))
        loss = np.minimum(t * softplus(-y) + (1 - t) * softplus(y), a[2])
        derivative = np.where(y > 0, 1.0, e) / (1.0 + e) - t
    elif code == CROSS_ENTROPY:
        below = y - y.max(axis=0)
        total = np.exp(below).sum(axis=0)
        loss = np.minimum((t * (np.log(total) - below)).sum(axis=0), a[2])
        derivative = np.exp(below) / total * t.sum(axis=0) - t
    else:
        loss, derivative = exact_outputs(code, y, t, a[:, np.newaxis])
    return (loss * s).sum(), derivative * s


def targets_for(code, rng, n, batch):
    """Targets as users have them; for the cross-entropies some certain, some probabilities."""
    if code == HINGE:
        return rng.choice([-1.0, 1.0], (n, batch))
    if code == POISSON:
        return rng.poisson(2.0, (n, batch)).astype(float)
    if code == GAMMA:
        return rng.gamma(2.0, size=(n, batch)) + 1e-3
    if code == BINARY_CROSS_ENTROPY:
        t = rng.random((n, batch))
        return np.where(rng.random((n, batch)) < 0.5, np.round(t), t)
    if code != CROSS_ENTROPY:
        return rng.normal(size=(n, batch))
    t = rng.dirichlet(np.ones(n), size=batch).T
    certain = rng.random(batch) < 0.5
    t[:, certain] = np.eye(n)[:, rng.integers(0, n, certain.sum())]
    return t * rng.choice([1.0, 1.0, 0.7], batch)  # the formulas hold for any sum


def test_every_loss_has_a_code_of_its_own() -> None:
    assert sorted(CODES.values()) == list(range(len(CODES)))
    assert CALLABLE not in CODES.values()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", CODES)
def test_values(name, seed, dtype) -> None:
    rng = np.random.default_rng(seed)
    n, batch, code = int(rng.integers(1, 12)), int(rng.integers(1, 70)), CODES[name]
    stride, eps = batch + int(rng.integers(0, 5)), float(np.finfo(dtype).eps)
    y = rng.normal(scale=3.0, size=(n, batch)).astype(dtype)
    t = targets_for(code, rng, n, batch).astype(dtype)
    # Equal shares on even seeds, else weights of the rows, a third of them 0.
    weights = np.ones(batch) if seed % 2 == 0 else rng.gamma(1.0, size=batch)
    weights[1:] *= (seed % 2 == 0) | (rng.random(batch - 1) > 1 / 3)
    s = (weights / weights.sum()).astype(dtype)
    if code != CROSS_ENTROPY and seed > 1:  # of the outputs, a third of them 0
        s = (s * rng.choice([0.0, 0.5, 1.5], (n, batch))).astype(dtype)
    a = (random_numbers if seed else lambda code, _, n: default_parameters(code, n))(code, rng, n)
    a = a.astype(dtype).astype(np.float64)
    loss, delta = loss_of(code, y, t, s, a, stride)
    exact, derivative = exact_loss(code, y, t, s, a)
    largest = max(1.0, float(np.abs(derivative).max()))  # exp(z) of poisson is large
    assert loss == pytest.approx(float(exact), rel=8 * eps, abs=8 * n * eps * largest)
    np.testing.assert_allclose(
        delta, derivative.astype(np.float64), rtol=8 * eps, atol=20 * eps * largest * s.max()
    )
    assert np.abs(delta).max() > 0.0 or n == 1
    assert not (delta * (s == 0)).any()
    again, replaced = loss_of(code, y, t, s, a, stride, in_place=True)
    assert again == loss
    assert np.array_equal(replaced, delta), "the delta in place of the targets"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("seed", range(counts(1, 28)))
@pytest.mark.promise("numerics")
def test_logits_of_any_size(seed, smoothing, size, dtype, tally) -> None:
    rng = np.random.default_rng([seed, int(size)])
    n, batch = 5, 37
    eps = float(np.finfo(dtype).eps)
    y = rng.uniform(-size, size, (n, batch))
    y[:, 0], y[:, 1] = size, -size
    y[:, 2] = [size, -size, 0.0, size, -size]
    y, s = y.astype(dtype), np.full(batch, 1.0 / batch).astype(dtype)
    for code in CROSS_ENTROPIES:
        a = np.array([1.0 - smoothing, smoothing / 2, np.inf])
        t = targets_for(code, rng, n, batch).astype(dtype)
        loss, delta = loss_of(code, y, t, s, a)
        exact, derivative = exact_loss(code, y, t, s, a)
        assert np.isfinite(loss)
        assert loss == pytest.approx(float(exact), rel=50 * eps)
        assert np.all(np.isfinite(delta))
        exact = derivative.astype(np.float64)
        np.testing.assert_allclose(delta, exact, rtol=0, atol=50 * eps / batch)
        tally["logits"] += y.size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", [POISSON, GAMMA])
def test_logarithmic_links_far_out(code, dtype) -> None:
    """exp(z) or exp(-z) is a number up to the end of the dtype, and never NaN beyond."""
    end = 86.0 if dtype == "float32" else 700.0
    eps = float(np.finfo(dtype).eps)
    for z in np.array([-1e6, -1e3, -end, -20.0, 20.0, end], dtype):
        # The small side: the mean of poisson vanishes, the target over the mean of gamma.
        y = np.full((1, 5), z if code == POISSON else -z, dtype)
        t = np.full((1, 5), 3.0, dtype)
        loss, delta = loss_of(code, y, t)
        exact, derivative = exact_loss(code, y, t, np.full(5, 0.2, dtype), [0.0])
        assert np.isfinite(loss)
        assert loss == pytest.approx(float(exact), rel=20 * eps)
        np.testing.assert_allclose(delta, derivative.astype(float), rtol=20 * eps, atol=0)
    for far in (1e3, 1e6):
        y = np.full((1, 5), far if code == POISSON else -far, dtype)
        loss, delta = loss_of(code, y, np.ones((1, 5), dtype))
        assert loss > 1e30
        assert np.all((delta if code == POISSON else -delta) > 1e30)


@pytest.mark.parametrize("dtype", DTYPES)
def test_poisson_of_no_counts(dtype) -> None:
    """t log t is 0 where t is 0: the loss is the mean alone."""
    z = np.array([[-30.0, -1.0, 0.0, 2.5]], dtype)
    loss, delta = loss_of(POISSON, z, np.zeros((1, 4), dtype), np.ones(4))
    means = np.exp(z.astype(np.float64))
    eps = float(np.finfo(dtype).eps)
    assert loss == pytest.approx(means.sum(), rel=8 * eps)
    np.testing.assert_allclose(delta, means, rtol=8 * eps)
    tiny = np.finfo(dtype).tiny  # nor does the smallest of all targets spoil it
    again, _ = loss_of(POISSON, z, np.full((1, 4), tiny, dtype), np.ones(4))
    assert again == pytest.approx(loss, rel=8 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_deviances_vanish_at_the_target(dtype) -> None:
    t = np.array([[1e-3, 0.5, 1.0, 7.0, 1e4]], dtype)
    eps = float(np.finfo(dtype).eps)
    for code in (POISSON, GAMMA):
        loss, delta = loss_of(code, np.log(t), t, np.ones(5))
        size = 1e4 if code == POISSON else 1.0
        assert abs(loss) < 100 * eps * size
        assert np.all(np.abs(delta) < 20 * eps * (t if code == POISSON else 1.0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_kinks(dtype) -> None:
    """Where a loss has no derivative its delta is one of those beside it, and 0 for e = 0."""
    nothing = np.zeros((2, 3), dtype)
    for code in (ABSOLUTE_ERROR, QUANTILE, HUBER):
        loss, delta = loss_of(code, nothing + 4, nothing + 4, np.ones(3), [0.25, 0.75])
        assert loss == 0
        assert np.array_equal(delta, nothing)
    e = np.array([[-2.0, -0.25, 0.25, 2.0]], dtype)
    parabola_ends = loss_of(HUBER, e, np.zeros_like(e), np.ones(4), [0.25])
    assert parabola_ends[0] == 2 * (0.25**2 / 2 + 0.25 * (2.0 - 0.125))
    assert parabola_ends[1].tolist() == [[-0.25, -0.25, 0.25, 0.25]]
    y, t = np.array([[1.0, -1.0, 0.5, -3.0]], dtype), np.array([[1.0, -1.0, -1.0, 1.0]], dtype)
    loss, delta = loss_of(HINGE, y, t, np.ones(4))
    assert loss == 1.5 + 4.0
    assert delta.tolist() == [[0.0, 0.0, 1.0, -1.0]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_output_has_its_number(dtype) -> None:
    y, t = np.ones((3, 2), dtype), np.zeros((3, 2), dtype)
    t[:, 1] = 2.0
    levels = [0.125, 0.5, 0.875]
    _, delta = loss_of(QUANTILE, y, t, np.ones(2), levels)
    assert delta.tolist() == [[0.875, -0.125], [0.5, -0.5], [0.125, -0.875]]
    _, delta = loss_of(HUBER, y, t, np.ones(2), levels)
    assert delta.tolist() == [[0.125, -0.125], [0.5, -0.5], [0.875, -0.875]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_certain_and_right_costs_nothing(dtype) -> None:
    tiny = float(np.finfo(dtype).tiny)
    t = np.array([[1.0, 0.0], [0.0, 1.0]], dtype)
    z = (2e5 * t - 1e5).astype(dtype)
    for code in CROSS_ENTROPIES:
        right, delta = loss_of(code, z, t)
        assert 0.0 <= right <= 8 * tiny
        assert np.all(np.abs(delta) <= 2 * tiny)
        wrong, delta = loss_of(code, -z, t)
        outputs = 2 if code == BINARY_CROSS_ENTROPY else 1
        assert wrong == outputs * (1e5 if code == BINARY_CROSS_ENTROPY else 2e5)
        assert np.array_equal(np.abs(delta), np.full((2, 2), 0.5, dtype))


def test_small_losses_keep_their_digits() -> None:
    """log(1 + exp(-z)) and p - t for large z are not the rounded 1 - p."""
    z, t = np.array([[20.0, 30.0]]), np.ones((1, 2))
    loss, delta = loss_of(BINARY_CROSS_ENTROPY, z, t, np.ones(2))
    assert loss == pytest.approx(2.0611536203e-09 + 9.3576229688e-14, rel=1e-9, abs=0.0)
    assert delta[0, 0] == pytest.approx(-2.0611536181902037e-09, rel=1e-6, abs=0.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [3, 50])
def test_the_average_is_taken_once(dtype, batch) -> None:
    rng = np.random.default_rng(batch)
    for code in CODES.values():
        z = rng.normal(size=(4, batch)).astype(dtype)
        t = targets_for(code, rng, 4, batch).astype(dtype)
        loss, delta = loss_of(code, z, t)
        # The same rows twice are the same mean, and each row counts half.
        twice, half = loss_of(code, np.hstack([z, z]), np.hstack([t, t]))
        assert twice == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(2 * half[:, :batch], delta, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(half[:, batch:], half[:, :batch], rtol=1e-6, atol=1e-9)


def test_not_a_number_makes_the_loss_not_finite() -> None:
    for name, code in CODES.items():
        for bad in (np.nan, np.inf, -np.inf):
            if code == HINGE and bad == np.inf:
                continue  # the right side of the margin, however far
            z = np.zeros((3, 5))
            z[1, 2] = bad
            loss, _ = loss_of(code, z, np.full((3, 5), 1.0 / 3.0))
            assert not np.isfinite(loss), f"{name} with {bad}"


@pytest.mark.parametrize("code", [CALLABLE, len(CODES), 17])
def test_unknown_code_raises(code) -> None:
    x = np.zeros(4)
    with pytest.raises(ValueError, match="unknown loss"):
        run_loss(code, x, x.copy(), x.copy(), x, x, 4, 1, 4, 0)
