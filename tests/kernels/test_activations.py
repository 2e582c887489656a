"""Activations: the stated accuracy against mpmath, derivatives against formulas in float64."""

from __future__ import annotations

import os

import mpmath
import numba
import numpy as np
import pytest

from fastbp.kernels.activations import (
    ACTIVATIONS,
    HIDDEN_ACTIVATIONS,
    SOFTMAX,
    STEP,
    activate,
    activate_backward,
    exp_vector,
    log1p_vector,
    log_vector,
    sigmoid_vector,
    softmax,
    softmax_backward,
    tanh_vector,
)
from fastbp.simd import lanes, pointer, vload, vstore
from fastbp.target import VECTOR_BITS

SOAK = os.environ.get("FASTBP_SOAK") == "1"
POINTS = 10_000 if SOAK else 1_000
DTYPES = ("float32", "float64")


def lanes_of(dtype):
    return VECTOR_BITS // 8 // np.dtype(dtype).itemsize


@numba.njit
def functions(e, log, log1p, sigmoid, tanh, x, positive, fraction, n):
    for i in range(0, n, lanes(pointer(x, 0))):
        tail, p = n - i, pointer(x, i)
        z = vload(p, tail)
        vstore(pointer(e, i), exp_vector(p, z), tail)
        vstore(pointer(log, i), log_vector(p, vload(pointer(positive, i), tail)), tail)
        vstore(pointer(log1p, i), log1p_vector(p, vload(pointer(fraction, i), tail)), tail)
        vstore(pointer(sigmoid, i), sigmoid_vector(p, z), tail)
        vstore(pointer(tanh, i), tanh_vector(p, z), tail)


def all_functions(x, positive, fraction):
    """exp, log, log1p, sigmoid and tanh."""
    out = [np.zeros_like(x) for _ in range(5)]
    functions(*out, x, positive, fraction, len(x))
    return out


def points(dtype, seed):
    """Arguments of exp, sigmoid and tanh; of log; of log1p: their whole ranges and their edges."""
    rng = np.random.default_rng(seed)
    limit = 87.0 if dtype == "float32" else 708.0
    exponent = 125.0 if dtype == "float32" else 1021.0
    eps, third = np.finfo(dtype).eps, POINTS // 3
    x = np.concatenate([
        rng.uniform(-limit, limit, third), rng.uniform(-1.0, 1.0, third),
        rng.choice([-1.0, 1.0], third) * np.exp2(rng.uniform(-30.0, 5.0, third)),
        [0.0, limit, -limit, 0.625, -0.625, 0.625 + eps, 1e-30, -1e-30, np.log(2) / 2],
    ])  # fmt: skip
    positive = np.exp2(rng.uniform(-exponent, exponent, len(x)))
    positive[:third] = 1.0 + rng.uniform(-0.3, 0.5, third)
    positive[third : 2 * third] = 1.0 + rng.choice([-1, 1], third) * np.exp2(
        rng.uniform(-20.0, -1.5, third)
    )
    positive[:7] = [1.0, 1.0 + eps, 1.0 - eps / 2, np.sqrt(2.0), np.sqrt(0.5), 0.5, 2.0]
    fraction = np.where(
        rng.random(len(x)) < 0.5, rng.random(len(x)), np.exp2(-exponent * rng.random(len(x)))
    )
    fraction[:2] = [0.0, 1.0]
    return (numbers.astype(dtype) for numbers in (x, positive, fraction))


def errors(got, function, x):
    """Relative errors, and errors in units in the last place, against 40 digits."""
    relative, in_ulp = np.zeros(len(x)), np.zeros(len(x))
    with mpmath.workdps(40):
        for i, (value, argument) in enumerate(zip(got, x, strict=True)):
            exact = function(mpmath.mpf(float(argument)))
            error = abs(mpmath.mpf(float(value)) - exact)
            relative[i] = error / abs(exact) if exact else error
            in_ulp[i] = error / mpmath.mpf(float(np.spacing(x.dtype.type(abs(exact)))))
    return relative, in_ulp


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", [1])
@pytest.mark.promise("numerics")
def test_accuracy(dtype, seed, tally) -> None:
    x, positive, fraction = points(dtype, seed)
    exact = {
        "exp": (mpmath.exp, x),
        "log": (mpmath.log, positive),
        "log1p": (mpmath.log1p, fraction),
        "sigmoid": (lambda z: 1 / (1 + mpmath.exp(-z)), x),
        "tanh": (mpmath.tanh, x),
    }
    for (name, (function, arguments)), got in zip(
        exact.items(), all_functions(x, positive, fraction), strict=True
    ):
        assert got.dtype == dtype
        if name in ("sigmoid", "tanh"):
            assert np.abs(got).max() <= 1.0
        relative, in_ulp = errors(got, function, arguments)
        worst = int(np.argmax(in_ulp if dtype == "float32" else relative))
        print(f"{name} {dtype}: {in_ulp.max():.2f} ulp, {relative.max():.2e} relative")
        bound_holds = in_ulp[worst] <= 4.0 if dtype == "float32" else relative[worst] <= 1e-15
        assert bound_holds, (
            f"{name}({float(arguments[worst])!r}) in {dtype}: {in_ulp[worst]:.2f} ulp, "
            f"{relative[worst]:.2e} relative"
        )
        tally["points"] += len(arguments)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.promise("numerics")
def test_extremes(dtype) -> None:
    tiny = np.finfo(dtype).tiny
    large = 1e30 if dtype == "float32" else 1e300
    x = np.array([-np.inf, -large, -1e3, np.nan, 1e3, large, np.inf], dtype)
    ones, zeros = np.ones_like(x), np.zeros_like(x)
    e, log, log1p, sigmoid, tanh = all_functions(x, ones, zeros)
    assert np.all(log == 0.0)
    assert np.all(log1p == 0.0)
    for values in (e, sigmoid, tanh):
        assert np.array_equal(np.isnan(values), np.isnan(x))
    assert np.all((e[:3] >= 0.0) & (e[:3] <= 2 * tiny))
    assert np.all(np.isfinite(e[4:]) & (e[4:] > 1 / (8 * tiny)))
    assert np.all((sigmoid[:3] >= 0.0) & (sigmoid[:3] <= tiny))
    assert np.all(sigmoid[4:] == 1.0)
    saturated = 1.0 - 2.0 * np.finfo(dtype).eps  # 4 ulp below 1
    assert np.all((tanh[:3] <= -saturated) & (tanh[:3] >= -1.0))
    assert np.all((tanh[4:] >= saturated) & (tanh[4:] <= 1.0))


@numba.njit
def run_activate(code, z, stride, n, batch):
    activate(code, pointer(z, 0), stride, n, batch)


@numba.njit
def run_backward(code, g, y, stride, n, batch):
    activate_backward(code, pointer(g, 0), pointer(y, 0), stride, n, batch)


FORWARD = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "step": lambda z: np.where(z > 0, 1.0, 0.0),
}
DERIVATIVE = {
    "identity": lambda y: np.ones_like(y),
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "relu": lambda y: np.where(y > 0, 1.0, 0.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spare", [0, 1, None], ids=["dense", "spare vectors", "single sample"])
def test_forward_and_backward(dtype, seed, spare) -> None:
    rng = np.random.default_rng(seed)
    width, eps = lanes_of(dtype), float(np.finfo(dtype).eps)
    n, batch = (int(x) for x in rng.integers(1, 40, 2))
    padded = -(-batch // width) * width
    stride = padded + spare * width if spare is not None else 1
    if spare is None:
        batch, padded = 1, 1
    at = np.arange(n)[:, None] * stride
    meant, touched = (at + np.arange(m) for m in (batch, padded))
    length = n * stride + 2 * width
    outside = np.ones(length, bool)
    outside[touched] = False
    if spare is None:  # the rest of the last vector
        outside[: -(-n // width) * width] = False
    for name in HIDDEN_ACTIVATIONS:
        z = rng.normal(scale=3.0, size=length).astype(dtype)
        z[::7] = 0.0
        y = z.copy()
        run_activate(ACTIVATIONS[name], y, stride, n, batch)
        exact = FORWARD[name](z[meant].astype(np.float64))
        np.testing.assert_allclose(y[meant], exact, rtol=5 * eps, err_msg=name)
        assert np.array_equal(y[outside], z[outside]), f"{name} wrote beyond its end"
        if name == "step":
            continue
        g = rng.normal(size=length).astype(dtype)
        dz = g.copy()
        run_backward(ACTIVATIONS[name], dz, y, stride, n, batch)
        exact = (g * DERIVATIVE[name](y.astype(np.float64)))[meant]
        np.testing.assert_allclose(dz[meant], exact, rtol=0, atol=20 * eps, err_msg=name)
        assert np.array_equal(dz[outside], g[outside]), f"{name} backward wrote beyond its end"


def test_not_a_number_comes_through_where_the_derivative_needs_it() -> None:
    z = np.array([np.nan, 1.0, -1.0] + 13 * [0.0])
    for name in ("sigmoid", "tanh", "relu", "identity"):
        y = z.copy()
        run_activate(ACTIVATIONS[name], y, 16, 1, 3)
        assert np.array_equal(np.isnan(y), [True] + 15 * [False]), name


def test_unknown_codes_raise() -> None:
    y, g = np.ones(16), np.ones(16)
    for code in (SOFTMAX, 17):
        with pytest.raises(ValueError, match="unknown activation"):
            run_activate(code, y, 16, 1, 4)
    for code in (STEP, SOFTMAX, 17):
        with pytest.raises(ValueError, match="no derivative"):
            run_backward(code, g, y, 16, 1, 4)
    assert np.all(y == 1.0)
    assert np.all(g == 1.0)


@numba.njit
def run_softmax(z, stride, n, batch):
    softmax(pointer(z, 0), stride, n, batch)


@numba.njit
def run_softmax_backward(g, y, stride, n, batch):
    softmax_backward(pointer(g, 0), pointer(y, 0), stride, n, batch)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_softmax(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    n, batch = int(rng.integers(1, 12)), int(rng.integers(1, 50))
    stride = batch + int(rng.integers(0, 9))
    eps = float(np.finfo(dtype).eps)
    z = rng.normal(scale=[1.0, 30.0, 1e6, 1.0][seed], size=(n, stride)).astype(dtype)
    y = z.copy()
    run_softmax(y.reshape(-1), stride, n, batch)
    below = z[:, :batch] - z[:, :batch].max(axis=0)  # rounded as in the kernel
    e = np.exp(below.astype(np.float64))
    atol = 4 * float(np.finfo(dtype).tiny)  # exp is clipped there
    np.testing.assert_allclose(y[:, :batch], e / e.sum(axis=0), rtol=(10 + n) * eps, atol=atol)
    assert np.array_equal(y[:, batch:], z[:, batch:])
    g = rng.normal(size=(n, stride)).astype(dtype)
    dz = g.copy()
    run_softmax_backward(dz.reshape(-1), y.reshape(-1), stride, n, batch)
    p, dy = y[:, :batch].astype(np.float64), g[:, :batch].astype(np.float64)
    exact = p * (dy - (dy * p).sum(axis=0))
    np.testing.assert_allclose(dz[:, :batch], exact, rtol=0, atol=(10 + n) * 4 * eps)
    assert np.array_equal(dz[:, batch:], g[:, batch:])
