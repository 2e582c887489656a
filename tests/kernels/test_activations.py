"""Activations: the stated accuracy against mpmath, derivatives against formulas in float64."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES, counts, errors
from oracle import ACTIVATE, derivative

from fastbp.kernels.activations import (
    ACTIVATIONS,
    activate,
    activate_backward,
    multiply_by_slope,
)
from fastbp.machine.processor import VECTOR_BITS
from fastbp.machine.simd import flush_denormals, pointer, restore_denormals

POINTS = counts(1_000, 10_000)
BY_ELEMENT = tuple(name for name in ACTIVATIONS if name != "softmax")


def lanes_of(dtype):
    return VECTOR_BITS // 8 // np.dtype(dtype).itemsize


@entry_point
def run_activate(code, z, slope, stride, n, batch):
    activate(code, pointer(z, 0), pointer(slope, 0), stride, n, batch)


@entry_point
def run_flushing(code, z, slope, n):
    """As training runs it: denormal numbers count as 0."""
    mode = flush_denormals()
    activate(code, pointer(z, 0), pointer(slope, 0), n, 1, n)
    restore_denormals(mode)


@entry_point
def run_backward(code, g, y, stride, n, batch):
    activate_backward(code, pointer(g, 0), pointer(y, 0), stride, n, batch)


@entry_point
def run_multiply(g, slope, stride, n, batch):
    multiply_by_slope(pointer(g, 0), pointer(slope, 0), stride, n, batch)


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def normal(z):
    return mpmath.erfc(-z / mpmath.sqrt(2)) / 2


SCALE = mpmath.mpf("1.0507009873554804934193349852946")  # Klambauer et al. 2017
DEPTH = SCALE * mpmath.mpf("1.6732632423543772848170429916717")
EXACT = {
    "identity": (lambda z: z, lambda z: 1),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (mpmath.tanh, lambda z: mpmath.sech(z) ** 2),
    "relu": (lambda z: max(z, 0), lambda z: int(z > 0)),
    "step": (lambda z: int(z > 0), lambda z: 0),
    "leaky_relu": (lambda z: z if z > 0 else z / 100, lambda z: 1 if z > 0 else 0.01),
    "elu": (
        lambda z: z if z > 0 else mpmath.expm1(z),
        lambda z: 1 if z > 0 else mpmath.exp(z),
    ),
    "selu": (
        lambda z: SCALE * z if z > 0 else DEPTH * mpmath.expm1(z),
        lambda z: SCALE if z > 0 else DEPTH * mpmath.exp(z),
    ),
    "gelu": (lambda z: z * normal(z), lambda z: normal(z) + z * mpmath.npdf(z)),
    "silu": (
        lambda z: z * sigmoid(z),
        lambda z: sigmoid(z) * (1 + z * sigmoid(-z)),
    ),
    "softplus": (lambda z: max(z, 0) + mpmath.log1p(mpmath.exp(-abs(z))), sigmoid),
    "hard_sigmoid": (
        lambda z: min(max(z + 3, 0), 6) / mpmath.mpf(6),
        lambda z: mpmath.mpf(abs(z) < 3) / 6,
    ),
    "exp": (mpmath.exp, mpmath.exp),
}
"""Each activation and its derivative in z, in mpmath."""


def points(dtype, name):
    """Net inputs over the whole range: tails, the middle, tiny ones, and the edges."""
    rng = np.random.default_rng(ACTIVATIONS[name].code)
    far, top, low = (100.0, 88.0, -125.0) if dtype == "float32" else (750.0, 709.0, -1020.0)
    if name == "tanh":  # where denormal numbers are flushed, see tanh_single
        low = max(low, -100.0)
    tail = (-14.0, -86.0) if dtype == "float32" else (-39.0, -707.0)
    quarter = POINTS // 4
    x = np.concatenate([
        rng.uniform(-far, far, quarter), rng.uniform(-4.0, 4.0, quarter),
        np.linspace(tail[0], -tail[0], quarter),
        np.linspace(tail[1] - 8.0, tail[1], quarter // 2),
        rng.choice([-1.0, 1.0], quarter // 2) * np.exp2(rng.uniform(low, 2.0, quarter // 2)),
        [0.0, 3.0, -3.0, 1e30, -1e30],
    ]).astype(dtype)  # fmt: skip
    return np.minimum(x, x.dtype.type(top)) if name == "exp" else x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BY_ELEMENT)
@pytest.mark.promise("numerics")
def test_accuracy(name, dtype, tally) -> None:
    """4 ulp or 1e-15 where the result is a normal number, below that about as small."""
    function, _ = EXACT[name]
    width, tiny = lanes_of(dtype), float(np.finfo(dtype).tiny)
    x = points(dtype, name)
    x = np.resize(x, -(-len(x) // width) * width)
    for run in (run_flushing, lambda code, y, slope, n: run_activate(code, y, slope, n, 1, n)):
        y = x.copy()
        run(ACTIVATIONS[name].code, y, np.zeros_like(x), len(x))
        assert np.isfinite(y).all()
        relative, in_ulp = errors(y, function, x)
        with mpmath.workdps(40):
            exact = [function(mpmath.mpf(float(z))) for z in x]
        is_small = np.array([abs(value) < tiny for value in exact])
        assert np.abs(y[is_small]).max(initial=0.0) <= 2 * tiny
        error = np.where(is_small, 0.0, in_ulp if dtype == "float32" else relative)
        worst = int(error.argmax())
        print(f"{name} {dtype}: {error[worst]:.3g} at {x[worst]!r}")
        assert error[worst] <= (4.0 if dtype == "float32" else 1e-15), x[worst]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BY_ELEMENT)
def test_derivatives(name, dtype) -> None:
    """To a few units in the last place of the largest derivative."""
    _, slope_of = EXACT[name]
    rng, width = np.random.default_rng(1), lanes_of(dtype)
    limit = 2.0 if name == "exp" else 20.0
    x = np.concatenate([
        rng.uniform(-limit, limit, POINTS // 2), rng.uniform(-2.0, 2.0, POINTS // 2),
        [0.0, -100.0, -1e30] + [] if name == "exp" else [0.0, -100.0, -1e30, 100.0, 1e30],
    ]).astype(dtype)  # fmt: skip
    x = np.resize(x, -(-len(x) // width) * width)
    n, y, slope, g = len(x), x.copy(), np.full_like(x, np.nan), np.ones_like(x)
    run_activate(ACTIVATIONS[name].code, y, slope, n, 1, n)
    if ACTIVATIONS[name].stores_slope:
        run_multiply(g, slope, n, 1, n)
    else:
        assert np.isnan(slope).all()
        run_backward(ACTIVATIONS[name].code, g, y, n, 1, n)
    with mpmath.workdps(40):
        exact = np.array([float(slope_of(mpmath.mpf(float(z)))) for z in x])
    near_kink = np.abs(np.abs(x) - 3.0) < 1e-6 if name == "hard_sigmoid" else np.zeros(n, bool)
    error = np.where(near_kink, 0.0, np.abs(g - exact))
    eps = float(np.finfo(dtype).eps)
    assert error.max() <= 4 * eps * np.abs(exact).max(), x[error.argmax()]


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
    for name in BY_ELEMENT:
        z = rng.normal(scale=3.0, size=length).astype(dtype)
        z[::7] = 0.0
        y, slope, alone = z.copy(), z.copy(), z.copy()
        run_activate(ACTIVATIONS[name].code, y, slope, stride, n, batch)
        wide = z[meant].astype(np.float64)
        exact = ACTIVATE[name](wide)
        np.testing.assert_allclose(y[meant], exact, rtol=5 * eps, atol=eps, err_msg=name)
        assert np.array_equal(y[outside], z[outside]), f"{name} wrote beyond its end"
        run_activate(ACTIVATIONS[name].code, alone, alone, stride, n, batch)
        assert np.array_equal(alone, y), f"{name} without a place for the slope"
        if name == "step":
            continue
        g = rng.normal(size=length).astype(dtype)
        dz = g.copy()
        if ACTIVATIONS[name].stores_slope:
            assert np.array_equal(slope[outside], z[outside]), f"{name} slope beyond its end"
            run_multiply(dz, slope, stride, n, batch)
        else:
            assert np.array_equal(slope, z), f"{name} stored a slope"
            run_backward(ACTIVATIONS[name].code, dz, y, stride, n, batch)
        slopes = derivative(name, wide, y[meant].astype(np.float64))
        exact, atol = g[meant] * slopes, 20 * eps * max(1.0, np.abs(slopes).max())
        np.testing.assert_allclose(dz[meant], exact, rtol=0, atol=atol, err_msg=name)
        assert np.array_equal(dz[outside], g[outside]), f"{name} backward wrote beyond its end"


@pytest.mark.parametrize("dtype", DTYPES)
def test_not_a_number_comes_through_where_the_derivative_needs_it(dtype) -> None:
    z = np.array([np.nan, 1.0, -1.0] + 13 * [0.0], dtype)
    for name in BY_ELEMENT:
        if name == "step":
            continue
        y, slope = z.copy(), z.copy()
        run_activate(ACTIVATIONS[name].code, y, slope, 16, 1, 3)
        assert np.array_equal(np.isnan(y), [True] + 15 * [False]), name
        assert np.array_equal(np.isnan(slope), [True] + 15 * [False]), name


def test_codes() -> None:
    codes = [traits.code for traits in ACTIVATIONS.values()]
    assert sorted(codes) == list(range(len(codes)))
    assert set(EXACT) == set(BY_ELEMENT)


@pytest.mark.parametrize("name", BY_ELEMENT)
def test_traits(name) -> None:
    """What a row of the table says follows from the formulas."""
    traits = ACTIVATIONS[name]
    function, slope_of = EXACT[name]
    with mpmath.workdps(40):
        z = [mpmath.mpf(i) / 128 for i in range(-1024, 1025)] + [mpmath.mpf(-1e6), mpmath.mpf(1e6)]
        y = [float(function(x)) for x in z]
        slope = np.array([float(slope_of(x)) for x in z])
        h = mpmath.mpf(1e-4)
        bends = [slope_of(x + h) - 2 * slope_of(x) + slope_of(x - h) for x in z[:-2]]
        sharpest = max(abs(float(bend / h)) for bend in bends)
    for bound, reached in zip(traits.bounds, (min(y), max(y)), strict=True):
        if np.isfinite(bound):
            assert traits.bounds[0] <= reached <= traits.bounds[1]
            assert reached == pytest.approx(bound, abs=1e-3)
        else:
            assert abs(reached) > 1e3
    if name != "exp":  # which bends ever more
        assert traits.kinked == (traits.trainable and sharpest > 0.01)
    if traits.saturated is not None:
        low, high = traits.saturated
        is_saturated = (np.array(y) <= low) | (np.array(y) >= high)
        share = slope / slope.max()
        clear = np.abs(share - 0.05) > 3e-4  # the ends are rounded
        assert np.array_equal(is_saturated[clear], share[clear] < 0.05)
    is_off = not any(y[:512]) and not slope[:512].any()  # z from -8 to -4
    assert traits.dies == (is_off and traits.trainable and traits.saturated is None)
    if not traits.trainable:
        assert not slope.any()


def test_unknown_codes_raise() -> None:
    y, g = np.ones(16), np.ones(16)
    stored = [traits.code for traits in ACTIVATIONS.values() if traits.stores_slope]
    unknown = (-1, len(ACTIVATIONS), 99)
    for code in unknown:
        with pytest.raises(ValueError, match="unknown activation"):
            run_activate(code, y, y, 16, 1, 4)
    for code in (*stored, *unknown):
        with pytest.raises(ValueError, match="no derivative"):
            run_backward(code, g, y, 16, 1, 4)
    assert np.all(y == 1.0)
    assert np.all(g == 1.0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(4))
def test_softmax(dtype, seed) -> None:
    rng = np.random.default_rng(seed)
    n, batch = int(rng.integers(1, 12)), int(rng.integers(1, 50))
    stride = batch + int(rng.integers(0, 9))
    eps = float(np.finfo(dtype).eps)
    z = rng.normal(scale=[1.0, 30.0, 1e6, 1.0][seed], size=(n, stride)).astype(dtype)
    y = z.copy()
    code = ACTIVATIONS["softmax"].code
    run_activate(code, y.reshape(-1), y.reshape(-1), stride, n, batch)
    below = z[:, :batch] - z[:, :batch].max(axis=0)  # rounded as in the kernel
    e = np.exp(below.astype(np.float64))
    atol = 4 * float(np.finfo(dtype).tiny)  # exp is clipped there
    np.testing.assert_allclose(y[:, :batch], e / e.sum(axis=0), rtol=(10 + n) * eps, atol=atol)
    assert np.array_equal(y[:, batch:], z[:, batch:])
    g = rng.normal(size=(n, stride)).astype(dtype)
    dz = g.copy()
    run_backward(code, dz.reshape(-1), y.reshape(-1), stride, n, batch)
    p, dy = y[:, :batch].astype(np.float64), g[:, :batch].astype(np.float64)
    exact = p * (dy - (dy * p).sum(axis=0))
    np.testing.assert_allclose(dz[:, :batch], exact, rtol=0, atol=(10 + n) * 4 * eps)
    assert np.array_equal(dz[:, batch:], g[:, batch:])


#: How far a slope may be from the exact one: roundings of an output near 1, times 2.
SLOPE_ERROR = {"float32": 2e-7, "float64": 1e-15}
SMALLEST_SLOPE = {"float32": 1e-37, "float64": 1e-306}
"""What a slope may be that should be 0: some functions stop at the smallest normal number."""


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in BY_ELEMENT if name not in ("step", "exp")])
def test_slopes_over_the_whole_range_go_to_their_limits(name, dtype) -> None:
    """From 1e-30 to infinity. A slope that stays above 0 makes large inputs large gradients."""
    width = lanes_of(dtype)
    sizes = np.concatenate([
        np.geomspace(1e-30, 1.0, 60), np.linspace(1.0, 40.0, 1000), np.geomspace(40.0, 1e30, 60),
        [np.inf],
    ])  # fmt: skip
    z = np.concatenate([-sizes, sizes]).astype(dtype)
    z = np.resize(z, -(-len(z) // width) * width)
    y = z.copy()
    slope = np.zeros_like(z)
    run_activate(ACTIVATIONS[name].code, y, slope, len(z), 1, len(z))
    if not ACTIVATIONS[name].stores_slope:
        slope = np.ones_like(z)
        run_backward(ACTIVATIONS[name].code, slope, y, len(z), 1, len(z))
    _, slope_of = EXACT[name]
    with mpmath.workdps(40):
        exact = np.array([float(slope_of(mpmath.mpf(float(min(max(v, -1e4), 1e4))))) for v in z])
    error = np.abs(slope - exact)
    worst = int(error.argmax())
    print(f"{name} {dtype}: {error[worst]:.3g} at {z[worst]!r}")
    assert error[worst] <= SLOPE_ERROR[dtype] * max(1.0, np.abs(exact).max()), z[worst]
    far = np.abs(z) > (40.0 if dtype == "float32" else 800.0)
    limits = np.where(exact < 1e-16, 0.0, exact)
    left = np.abs(slope - limits.astype(dtype))[far & (limits == 0.0)]
    assert left.max(initial=0.0) <= SMALLEST_SLOPE[dtype]
    if name == "tanh" and dtype == "float32":
        assert not slope[np.abs(z) >= np.float32(9.02)].any()
