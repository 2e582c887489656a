"""Optimiser steps against their formulas in NumPy: ragged runs, frozen runs, zero gradients."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from fastbp.kernels.updates import (
    ADAM,
    BETA_1,
    BETA_2,
    EPSILON,
    LEARNING_RATE,
    MOMENTUM,
    N_SCALARS,
    NESTEROV,
    NO_UPDATE,
    SGD,
    OptimizerState,
    begin_update,
    update,
)
from fastbp.simd import pointer

DTYPES = ("float32", "float64")


@numba.njit
def run_update(code, scalars, slots, frozen, params, gradient, start, count):
    state = OptimizerState(
        code, pointer(scalars, 0), pointer(slots, 0), pointer(frozen, 0), frozen.shape[0]
    )
    begin_update(state)
    update(state, pointer(params, 0), params.shape[0], start, count, pointer(gradient, 0))


class Numbers:
    """Hyper-parameters and the formulas of the module's table, in float64."""

    def __init__(self, code, **values) -> None:
        self.code, self.values, self.step = code, values, 0
        self.scalars = np.zeros(N_SCALARS)
        names = {"rate": LEARNING_RATE}
        names |= (
            {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": EPSILON}
            if code == ADAM
            else {"momentum": MOMENTUM, "nesterov": NESTEROV}
        )
        for name, value in values.items():
            self.scalars[names[name]] = value

    def update(self, w, g, slots):
        """New parameters and slots."""
        self.step += 1
        v = self.values
        if self.code == SGD:
            u = v["momentum"] * slots[0] + g
            step = g + v["momentum"] * u if v["nesterov"] else u
            return w - v["rate"] * step, [u if v["momentum"] else slots[0]]
        # The slots hold weighted sums; the paper's means are sums times 1 - beta.
        first = v["beta_1"] * slots[0] + g
        second = v["beta_2"] * slots[1] + g * g
        unbiased = (1 - v["beta_1"]) * first / (1 - v["beta_1"] ** self.step)
        root = np.sqrt((1 - v["beta_2"]) * second / (1 - v["beta_2"] ** self.step))
        return w - v["rate"] * unbiased / (root + v["epsilon"]), [first, second]


def optimizers():
    return [
        Numbers(SGD, rate=0.1, momentum=0.0, nesterov=False),
        Numbers(SGD, rate=0.1, momentum=0.9, nesterov=False),
        Numbers(SGD, rate=0.1, momentum=0.9, nesterov=True),
        Numbers(ADAM, rate=1e-2, beta_1=0.9, beta_2=0.999, epsilon=1e-8),
        Numbers(ADAM, rate=1e-2, beta_1=0.0, beta_2=0.5, epsilon=1e-3),
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(6))
def test_steps(dtype, seed) -> None:
    """Three updates of a ragged run; half of the seeds with frozen parameters."""
    rng = np.random.default_rng(seed)
    start, count = int(rng.integers(0, 20)), int(rng.integers(1, 300))
    n_params = start + count + int(rng.integers(0, 20))
    inside = np.zeros(n_params, bool)
    inside[start : start + count] = True
    frozen = np.zeros(n_params if seed % 2 else 0, np.uint8)
    if seed % 2:
        runs = np.repeat(rng.random(n_params) < 0.4, rng.integers(1, 40, n_params))[:n_params]
        frozen[:] = runs
        inside &= ~runs
    chosen = np.flatnonzero(inside)
    eps = float(np.finfo(dtype).eps)
    for numbers in optimizers():
        params = rng.normal(size=n_params).astype(dtype)
        slots = np.zeros(2 * n_params, dtype)
        w = params.astype(np.float64)
        state = [np.zeros(n_params), np.zeros(n_params)]
        for _ in range(3):
            gradient = rng.normal(size=count).astype(dtype)
            gradient[rng.random(count) < 0.2] = 0.0
            run_update(numbers.code, numbers.scalars, slots, frozen, params, gradient, start, count)
            g = gradient[chosen - start].astype(np.float64)
            w[chosen], new = numbers.update(w[chosen], g, [s[chosen] for s in state])
            for slot, values in zip(state, new, strict=False):
                slot[chosen] = values
        case = f"{numbers.code} {numbers.values}"
        np.testing.assert_allclose(params, w, rtol=20 * eps, atol=20 * eps, err_msg=case)
        expected = np.concatenate(state)
        np.testing.assert_allclose(slots, expected, rtol=40 * eps, atol=20 * eps, err_msg=case)
        assert np.array_equal(params[~inside], w[~inside].astype(dtype)), case
        assert not slots.reshape(2, -1)[:, ~inside].any(), case


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_stay_means_when_beta_changes(dtype) -> None:
    """A constant gradient has itself as its mean, whatever the weights: steps of rate x sign."""
    numbers = Numbers(ADAM, rate=0.25, beta_1=0.9, beta_2=0.999, epsilon=1e-30)
    params, slots, none = np.zeros(3, dtype), np.zeros(6, dtype), np.zeros(0, np.uint8)
    gradient = np.array([3.0, -0.5, 0.0], dtype)
    for step, beta_1 in enumerate((0.9, 0.9, 0.5, 0.0, 0.99), 1):
        numbers.scalars[BETA_1] = beta_1
        run_update(ADAM, numbers.scalars, slots, none, params, gradient, 0, 3)
        np.testing.assert_allclose(params, [-0.25 * step, 0.25 * step, 0.0], rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_any_size(dtype) -> None:
    """Adam's first step is rate x sign(g) whatever the size of g, and 0 where g is 0."""
    largest = 1e18 if dtype == "float32" else 1e150
    gradient = np.array([0.0, 1e-30, -1e-12, 1e-3, 1.0, -1e9, largest, -largest], dtype)
    none, params = np.zeros(0, np.uint8), np.ones(8, dtype)
    numbers = Numbers(ADAM, rate=0.25, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    slots = np.zeros(16, dtype)
    run_update(ADAM, numbers.scalars, slots, none, params, gradient, 0, 8)
    g = gradient.astype(np.float64)
    expected = 1.0 - 0.25 * g / (np.abs(g) + 1e-8)
    np.testing.assert_allclose(params, expected, rtol=1e-6)
    assert params[0] == 1.0
    # With v = 0 and m > 0 (an underflow) the step is large, but a number.
    params, slots = np.ones(8, dtype), np.zeros(16, dtype)
    slots[:8] = 1e-20
    run_update(ADAM, numbers.scalars, slots, none, params, np.zeros(8, dtype), 0, 8)
    assert np.all(np.isfinite(params))
    assert np.all(params <= 1.0)


def test_not_a_number_reaches_the_parameter() -> None:
    for numbers in optimizers():
        params, slots = np.ones(5), np.zeros(10)
        gradient = np.array([1.0, np.nan, 1.0, 1.0, 1.0])
        none = np.zeros(0, np.uint8)
        run_update(numbers.code, numbers.scalars, slots, none, params, gradient, 0, 5)
        assert np.array_equal(np.isnan(params), np.isnan(gradient)), numbers.values


def test_no_update_and_unknown_codes() -> None:
    scalars, slots, none = np.ones(N_SCALARS), np.zeros(8), np.zeros(0, np.uint8)
    params, gradient = np.ones(4), np.ones(4)
    run_update(NO_UPDATE, scalars, slots, none, params, gradient, 0, 4)
    with pytest.raises(ValueError, match="unknown optimizer"):
        run_update(17, scalars, slots, none, params, gradient, 0, 4)
    run_update(SGD, scalars, slots, np.ones(4, np.uint8), params, gradient, 0, 4)
    assert np.all(params == 1.0)
    assert np.all(slots == 0.0)
