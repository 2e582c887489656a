"""Elementary functions: the stated accuracy against mpmath, and what comes out at the edges."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES, counts, errors

from fastbp.kernels.elementary import (
    exp_vector,
    expm1_vector,
    log1p_vector,
    log_vector,
    normal_tail,
    sigmoid_vector,
    tanh_vector,
)
from fastbp.machine.simd import lanes, pointer, vabs, vload, vstore

POINTS = counts(1_000, 10_000)


@entry_point
def functions(e, log, log1p, sigmoid, tanh, expm1, x, positive, fraction, n):
    for i in range(0, n, lanes(pointer(x, 0))):
        tail, p = n - i, pointer(x, i)
        z = vload(p, tail)
        vstore(pointer(e, i), exp_vector(p, z), tail)
        vstore(pointer(log, i), log_vector(p, vload(pointer(positive, i), tail)), tail)
        vstore(pointer(log1p, i), log1p_vector(p, vload(pointer(fraction, i), tail)), tail)
        vstore(pointer(sigmoid, i), sigmoid_vector(p, z), tail)
        vstore(pointer(tanh, i), tanh_vector(p, z), tail)
        vstore(pointer(expm1, i), expm1_vector(p, -vabs(z)), tail)


def all_functions(x, positive, fraction):
    """exp, log, log1p, sigmoid, tanh, and expm1 of -|x|."""
    out = [np.zeros_like(x) for _ in range(6)]
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
        "expm1": (lambda z: mpmath.expm1(-abs(z)), x),
    }
    for (name, (function, arguments)), got in zip(
        exact.items(), all_functions(x, positive, fraction), strict=True
    ):
        assert got.dtype == dtype
        if name in ("sigmoid", "tanh", "expm1"):
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
    e, log, log1p, sigmoid, tanh, expm1 = all_functions(x, ones, zeros)
    assert np.all(log == 0.0)
    assert np.all(log1p == 0.0)
    for values in (e, sigmoid, tanh, expm1):
        assert np.array_equal(np.isnan(values), np.isnan(x))
    assert np.all((e[:3] >= 0.0) & (e[:3] <= 2 * tiny))
    assert np.all(np.isfinite(e[4:]) & (e[4:] > 1 / (8 * tiny)))
    assert np.all((sigmoid[:3] >= 0.0) & (sigmoid[:3] <= tiny))
    assert np.all(sigmoid[4:] == 1.0)
    assert np.all(tanh[:3] == -1.0)
    assert np.all(tanh[4:] == 1.0)
    assert np.all(expm1[[0, 1, 2, 4, 5, 6]] == -1.0)
    assert np.array_equal(expm1, expm1[::-1], equal_nan=True)


@entry_point
def tails(below, product, density, a, n):
    for i in range(0, n, lanes(pointer(a, 0))):
        tail = n - i
        p, q, scale, e = normal_tail(vload(pointer(a, i), tail))
        vstore(pointer(below, i), p * scale, tail)
        vstore(pointer(product, i), q * scale, tail)
        vstore(pointer(density, i), e, tail)


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_of_the_normal_tail(dtype) -> None:
    """Phi(-a) and exp(-a^2 / 2) to 5 ulp or 1e-15; a Phi(-a) to 4 ulp."""
    rng, limit = np.random.default_rng(2), 12.9 if dtype == "float32" else 37.5
    a = np.concatenate([
        rng.uniform(0.0, limit, POINTS), rng.uniform(0.0, 1.0, POINTS),
        np.exp2(rng.uniform(-100.0, 0.0, POINTS)), [0.0, limit, 1.0, 3.0, 5.0],
    ]).astype(dtype)  # fmt: skip
    found = [np.zeros_like(a) for _ in range(3)]
    tails(*found, a, len(a))
    exact = {
        "Phi(-a)": (lambda x: mpmath.erfc(x / mpmath.sqrt(2)) / 2, 5.0),
        "a Phi(-a)": (lambda x: x * mpmath.erfc(x / mpmath.sqrt(2)) / 2, 4.0),
        "exp(-a^2 / 2)": (lambda x: mpmath.exp(-x * x / 2), 5.0),
    }
    for got, (name, (function, ulp)) in zip(found, exact.items(), strict=True):
        relative, in_ulp = errors(got, function, a)
        print(f"{name} {dtype}: {in_ulp.max():.2f} ulp, {relative.max():.2e} relative")
        assert relative.max() <= 1e-15 if dtype == "float64" else in_ulp.max() <= ulp, name


def test_tanh_in_float32_is_one_from_9_02_on_and_never_more() -> None:
    x = np.linspace(7.0, 9.1, 40_000, dtype=np.float32)
    *_, tanh, _ = all_functions(x, np.ones_like(x), np.zeros_like(x))
    exact = np.tanh(x.astype(np.float64))
    assert np.abs(tanh - exact).max() <= 1.5 * 2.0**-24
    assert np.all(tanh <= 1.0)
    assert np.all(tanh[x >= np.float32(9.02)] == 1.0)
