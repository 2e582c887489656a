"""Elementary functions of single numbers: accuracy against mpmath, and what math returns beyond."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES, counts

from fastbp.kernels import scalars

POINTS = counts(1_000, 10_000)
FUNCTIONS = {
    "exp": (scalars.exp, mpmath.exp, np.exp),
    "expm1": (scalars.expm1, mpmath.expm1, np.expm1),
    "log": (scalars.log, mpmath.log, np.log),
    "log1p": (scalars.log1p, mpmath.log1p, np.log1p),
    "tanh": (scalars.tanh, mpmath.tanh, np.tanh),
}


@entry_point
def run_all(out, x, n):
    for i in range(n):
        out[0, i] = scalars.exp(x[i])
        out[1, i] = scalars.expm1(x[i])
        out[2, i] = scalars.log(x[i])
        out[3, i] = scalars.log1p(x[i])
        out[4, i] = scalars.tanh(x[i])


def computed(name, x):
    out = np.empty((len(FUNCTIONS), len(x)), x.dtype)
    with np.errstate(all="ignore"):
        run_all(out, x, len(x))
    return out[list(FUNCTIONS).index(name)]


def points(name, dtype):
    rng = np.random.default_rng(8)
    most = 88.7 if dtype == "float32" else 709.7
    least = -87.0 if dtype == "float32" else -708.0
    small = 10.0 ** rng.uniform(-30 if dtype == "float32" else -300, 0, POINTS)
    found = {
        "exp": rng.uniform(least, most, POINTS),
        "expm1": np.r_[rng.uniform(least, most, POINTS), small, -small],
        "log": np.r_[small, 1.0 / small, rng.uniform(0.5, 2.0, POINTS)],
        "log1p": np.r_[small, -small * 0.999, 1.0 / small, rng.uniform(-0.9, 5.0, POINTS)],
        "tanh": np.r_[rng.uniform(-20, 20, POINTS), small, -small],
    }
    return found[name].astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_accuracy(name, dtype):
    x = points(name, dtype)
    got = computed(name, x)
    exact = np.array([float(FUNCTIONS[name][1](mpmath.mpf(float(v)))) for v in x])
    worst = np.abs(got.astype(np.float64) - exact) / (np.abs(exact) + 1e-300)
    limit = 5e-7 if dtype == "float32" else 1.2e-15
    assert worst.max() < limit, (x[worst.argmax()], worst.max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_beyond(name, dtype):
    x = np.array([math.inf, -math.inf, math.nan, 0.0, -1.0, -2.0, 1e4, -1e4], dtype)
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name][2](x)
    np.testing.assert_allclose(computed(name, x), expected, rtol=1e-6)
