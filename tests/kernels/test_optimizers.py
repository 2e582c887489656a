"""Every optimiser's step against its formula: ragged runs, zero gradients, sizes, ends."""

from __future__ import annotations

import numpy as np
import pytest
from formulas import MOMENTS, OPTIMIZERS, ROOTS, SLOTS, Formula
from helpers import DTYPES

from fastbp.kernels import optimizers as steps
from fastbp.kernels import updates

each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def test_every_optimizer_is_here() -> None:
    assert {optimizer.code for optimizer in OPTIMIZERS} == set(range(1, 9))
    assert updates.NO_UPDATE == 0


@each_dtype
@each_optimizer
@pytest.mark.parametrize("seed", range(4))
def test_steps(seed, optimizer, dtype) -> None:
    """Four updates of a ragged run; half of the seeds with frozen parameters and with a group."""
    rng = np.random.default_rng(seed)
    start, count = int(rng.integers(0, 20)), int(rng.integers(1, 200))
    n_params = start + count + int(rng.integers(0, 20))
    inside, frozen = np.zeros(n_params, bool), np.zeros(n_params if seed % 2 else 0, np.uint8)
    inside[start : start + count] = True
    if seed % 2:
        runs = np.repeat(rng.random(n_params) < 0.4, rng.integers(1, 40, n_params))[:n_params]
        frozen[:] = runs
        inside &= ~runs
    factor, decay = ((1.0, 0.0), (1.0, 0.0), (0.5, 0.3), (3.0, 0.1))[seed]
    chosen, eps = np.flatnonzero(inside), float(np.finfo(dtype).eps)
    optimizer.start_afresh()
    params, slots = rng.normal(size=n_params).astype(dtype), np.zeros(SLOTS * n_params, dtype)
    w = params.astype(np.float64)
    for _ in range(4):
        gradient = rng.normal(size=count).astype(dtype)
        gradient[rng.random(count) < 0.2] = 0.0
        kept = gradient.copy()
        optimizer.run(slots, params, gradient, start, count, frozen, factor=factor, decay=decay)
        assert np.array_equal(gradient, kept)
        g = gradient[chosen - start].astype(np.float64)
        w[chosen] = optimizer.update(w[chosen], g, factor, decay)
    np.testing.assert_allclose(params, w, rtol=30 * eps, atol=30 * eps)
    assert np.array_equal(params[~inside], w[~inside].astype(dtype))
    assert not slots.reshape(SLOTS, -1)[:, ~inside].any()


@each_dtype
@each_optimizer
def test_zero_gradients(optimizer, dtype) -> None:
    """0 / 0 is 0: parameters that never had a gradient stay where they are."""
    optimizer.start_afresh()
    params, slots = np.linspace(-1, 1, 21).astype(dtype), np.zeros(SLOTS * 21, dtype)
    before, gradient = params.copy(), np.zeros(21, dtype)
    for _ in range(3):
        optimizer.run(slots, params, gradient)
    assert np.array_equal(params, before)
    assert np.all(np.abs(slots) < 1e-36)
    gradient[::2] = 1.0
    optimizer.run(slots, params, gradient)
    assert np.array_equal(params[1::2], before[1::2])
    assert np.all(params[::2] < before[::2])


@each_dtype
@pytest.mark.parametrize("optimizer", [o for o in OPTIMIZERS if "EPSILON" in o.values], ids=repr)
def test_an_epsilon_below_all_values_of_the_dtype(optimizer, dtype) -> None:
    optimizer.start_afresh().scalars[steps.EPSILON] = 1e-60 if dtype == "float32" else 1e-310
    params, slots = np.ones(4, dtype), np.zeros(SLOTS * 4, dtype)
    for _ in range(3):
        optimizer.run(slots, params, np.array([0.0, 1.0, -1.0, 0.0], dtype))
    assert np.all(np.isfinite(params))
    assert np.array_equal(params[[0, 3]], [1, 1])


@each_dtype
@each_optimizer
def test_not_a_number_reaches_the_parameter(optimizer, dtype) -> None:
    optimizer.start_afresh()
    for bad in (np.nan, np.inf):
        params, slots = np.ones(5, dtype), np.zeros(SLOTS * 5, dtype)
        gradient = np.array([1.0, bad, 1.0, 0.0, 1.0], dtype)
        optimizer.run(slots, params, gradient)
        if optimizer.name == "LION" and bad == np.inf:  # its sign is a number, its mean is not
            optimizer.run(slots, params, -gradient)
        assert np.array_equal(np.isfinite(params), np.isfinite(gradient))


@each_dtype
@pytest.mark.parametrize("name", ["ADAM", "AMSGRAD", "NADAM", "RMSPROP", "ADAGRAD", "LION"])
def test_gradients_of_any_size(name, dtype) -> None:
    """The first step does not depend on the size of a gradient that is large beside epsilon."""
    largest, smallest = (1e18, 1e-15) if dtype == "float32" else (1e150, 1e-130)
    for optimizer in (o for o in OPTIMIZERS if o.name == name and not o.values.get("CENTERED")):
        optimizer.start_afresh()
        if "EPSILON" in optimizer.values:
            optimizer.scalars[steps.EPSILON] = smallest * 1e-8
        gradient = np.array([0.0, smallest, -1e-6, 1e-3, 1.0, -1e9, largest, -largest], dtype)
        params, slots = np.zeros(8, dtype), np.zeros(SLOTS * 8, dtype)
        optimizer.run(slots, params, gradient)
        step = -params[4]
        assert step > 1e-3
        np.testing.assert_allclose(params, -np.sign(gradient) * step, rtol=1e-5)


@each_dtype
def test_moments_stay_means_when_beta_changes(dtype) -> None:
    """A constant gradient has itself as its mean, whatever the weights: steps of rate x sign."""
    for name in ("ADAM", "AMSGRAD"):
        optimizer = Formula(name, **MOMENTS)
        optimizer.scalars[[steps.LEARNING_RATE, steps.EPSILON]] = 0.25, 1e-30
        params, slots = np.zeros(3, dtype), np.zeros(9, dtype)
        gradient = np.array([3.0, -0.5, 0.0], dtype)
        for number, beta_1 in enumerate((0.9, 0.9, 0.5, 0.0, 0.99), 1):
            optimizer.scalars[steps.BETA_1] = beta_1
            optimizer.run(slots, params, gradient)
            np.testing.assert_allclose(params, [-0.25 * number, 0.25 * number, 0.0], rtol=1e-5)


@each_dtype
def test_a_root_of_squares_that_vanished(dtype) -> None:
    """With v = 0 and m > 0 (an underflow) Adam's step is large, but a number."""
    optimizer = OPTIMIZERS[3].start_afresh()
    params, slots = np.ones(8, dtype), np.zeros(24, dtype)
    slots[:8] = 1e-20
    optimizer.run(slots, params, np.zeros(8, dtype))
    assert np.all(np.isfinite(params))
    assert np.all(params <= 1.0)


@each_dtype
def test_a_variance_that_rounds_below_zero(dtype) -> None:
    """A constant gradient has a variance of 0, whatever rounding makes of it: no NaN."""
    optimizer = Formula("RMSPROP", **ROOTS | {"RHO": 0.5}, MOMENTUM=0.0, CENTERED=True)
    rng = np.random.default_rng(0)
    gradient = rng.uniform(0.5, 2.0, 50).astype(dtype)
    params, slots = np.zeros(50, dtype), np.zeros(150, dtype)
    for _ in range(80):
        optimizer.run(slots, params, gradient)
    assert np.all(np.isfinite(params))
    assert np.all(params < 0)
