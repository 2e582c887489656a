"""Methods on all rows at once: their papers' formulas, closed forms, functions made for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.optimize
from helpers import DTYPES

from fastbp import (
    LBFGS,
    MLP,
    Callback,
    ConjugateGradient,
    GradientDescent,
    LevenbergMarquardt,
    Rprop,
    ScaledConjugateGradient,
)
from fastbp.methods import METHODS, as_method

OF_ANY_LOSS = ("gradient_descent", "conjugate_gradient", "scaled_conjugate_gradient", "lbfgs")
MONOTONE = (*OF_ANY_LOSS, "lm")
ALL = (*OF_ANY_LOSS[:3], "rprop", *MONOTONE[3:])


def function_of(value_and_gradient, start, dtype="float64"):
    """A net whose parameters are the arguments of a function, its loss the value."""

    def loss(outputs, _):
        value, gradient = value_and_gradient(outputs[:, 0].astype(np.float64))
        return value, gradient[:, None]

    net = MLP((len(start), 1), bias=False, loss=loss, dtype=dtype)
    net.params[:] = start
    return net, (np.eye(len(start)), np.zeros(len(start)))


def rosenbrock(x):
    return scipy.optimize.rosen(x), scipy.optimize.rosen_der(x)


def quadratic(eigenvalues):
    return lambda x: (0.5 * float(eigenvalues @ x**2), eigenvalues * x)


def curve(dtype="float64", seed=0):
    """A small net that is not linear, and what it learns."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(60, 2))
    net = MLP((2, 5, 1), activation="tanh", dtype=dtype, l2=1e-3, seed=seed)
    return net, (X, np.sin(3 * X[:, 0]) * X[:, 1], rng.uniform(0.5, 2, 60))


def test_names() -> None:
    assert tuple(METHODS) == ALL
    for name in ALL:
        assert as_method(name) == METHODS[name]()
    assert as_method(Rprop(first_step=0.5)).first_step == 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", ALL)
def test_linear_regression_reaches_the_closed_form(method, dtype) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 4)) * [1, 3, 0.3, 2]
    y = X @ [1, 2, 3, -1] + 0.3 + rng.normal(scale=0.1, size=200)
    weights = rng.uniform(0.5, 2, 200)
    design = np.c_[X, np.ones(200)] * np.sqrt(weights)[:, None]
    exact = np.linalg.lstsq(design, y * np.sqrt(weights), rcond=None)[0]
    net = MLP((4, 1), dtype=dtype, seed=0)
    tolerance = 1e-4 if dtype == "float32" else 1e-9
    history = net.fit(X, y, sample_weight=weights, epochs=5000, method=METHODS[method](tolerance))
    found = np.r_[net.weights[0][:, 0], net.biases[0]]
    np.testing.assert_allclose(found, exact, rtol=0, atol=3e-3 if dtype == "float32" else 1e-5)
    assert "converged" in history.stop_reason or "no step lowers" in history.stop_reason
    assert history["evaluations"][-1] < 5000


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", MONOTONE)
def test_the_loss_never_rises(method, dtype) -> None:
    for seed in range(3):
        net, rows = curve(dtype, seed)
        before = net.loss(*rows)
        loss = np.array([before, *net.fit(*rows[:2], sample_weight=rows[2], epochs=60,
                                          method=method).loss])  # fmt: skip
        rounding = 8 * np.finfo(dtype).eps * loss[:-1]
        assert (np.diff(loss) <= rounding).all(), f"seed {seed}"
        assert loss[-1] < 0.5 * before


@pytest.mark.slow
def test_conjugate_gradients_need_fewer_iterations_than_gradient_descent() -> None:
    eigenvalues = np.geomspace(1, 1000, 30)
    counts = {}
    for method in (*OF_ANY_LOSS, "rprop"):
        net, rows = function_of(quadratic(eigenvalues), np.ones(30))
        history = net.fit(*rows, epochs=20_000, method=METHODS[method](1e-6))
        assert "converged" in history.stop_reason, method
        assert np.abs(net.params).max() < 1e-5
        counts[method] = len(history)
    assert 5 * counts["conjugate_gradient"] < counts["gradient_descent"]
    assert 5 * counts["scaled_conjugate_gradient"] < counts["gradient_descent"]


@pytest.mark.parametrize("update", ["polak_ribiere", "fletcher_reeves"])
def test_a_quadratic_of_n_dimensions_takes_n_iterations(update) -> None:
    """With exact line searches; nearly exact ones need few more."""
    net, rows = function_of(quadratic(np.array([1.0, 3.0, 10.0, 40.0])), np.ones(4))
    history = net.fit(
        *rows, epochs=100, method=ConjugateGradient(1e-8, curvature=1e-3, update=update)
    )
    assert len(history) <= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "most"),
    [
        (ConjugateGradient(1e-6), 300), (ConjugateGradient(1e-6, update="fletcher_reeves"), 300),
        (ScaledConjugateGradient(1e-6), 400), (LBFGS(1e-6), 60), (Rprop(1e-6), 5000),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("start", [(-1.2, 1.0), (-1.2, 1.0, -0.5, 0.8)], ids=["2", "4"])
def test_rosenbrock(start, method, most) -> None:
    net, rows = function_of(rosenbrock, np.array(start))
    history = net.fit(*rows, epochs=most, method=method)
    if method.name == "rprop":  # its sizes follow the axes, and not the valley
        np.testing.assert_allclose(net.params, 1.0, atol=2e-3)
        return
    assert "converged" in history.stop_reason
    np.testing.assert_allclose(net.params, 1.0, atol=1e-5)


def test_gradient_descent_goes_along_the_gradient_and_obeys_wolfe() -> None:
    net, rows = curve()
    method = GradientDescent(curvature=0.3)
    for _ in range(5):
        start, (loss, grad) = net.params.copy(), net.loss_and_grad(*rows)
        net.fit(*rows[:2], sample_weight=rows[2], epochs=1, method=method)
        change, (after, new_grad) = net.params - start, net.loss_and_grad(*rows)
        step = np.linalg.norm(change) / np.linalg.norm(grad)
        np.testing.assert_allclose(change, -step * grad, rtol=1e-9, atol=1e-15)
        slope, new_slope = -grad @ grad, -new_grad @ grad
        assert after <= loss + 1e-4 * step * slope
        assert abs(new_slope) <= 0.3 * abs(slope)


@pytest.mark.parametrize("update", ["polak_ribiere", "fletcher_reeves"])
def test_directions_of_conjugate_gradients(update) -> None:
    """Each change is along -g + beta d, beta by the formula, with Powell's restart."""
    net, rows = curve()
    points = [net.params.copy()]

    class Keeper(Callback):
        def on_epoch_end(self, fit) -> None:
            points.append(fit.net.params.copy())

    net.fit(
        *rows[:2], sample_weight=rows[2], epochs=12, callbacks=Keeper(),
        method=ConjugateGradient(update=update),
    )  # fmt: skip
    assert len(points) == 13
    direction, before, restarts = None, None, 0
    for start, end in zip(points, points[1:], strict=False):
        net.params[:] = start
        grad = net.loss_and_grad(*rows)[1]
        beta = 0.0
        if before is not None and update == "polak_ribiere":
            beta = max(0.0, grad @ (grad - before) / (before @ before))
        elif before is not None and abs(grad @ before) < 0.2 * (grad @ grad):
            beta = (grad @ grad) / (before @ before)
        restarts += beta == 0
        direction = -grad + beta * (direction if beta else 0.0)
        step = (end - start) @ direction / (direction @ direction)
        assert step > 0
        np.testing.assert_allclose(end - start, step * direction, rtol=1e-6, atol=1e-10)
        before = grad
    assert restarts < 12


def moller(net, rows, iterations, sigma0=1e-4, lam=1e-6):
    """Algorithm SCG, step by step as in Moller 1993, page 530."""

    def at(w):
        net.params[:] = w
        return net.loss_and_grad(*rows)

    w = net.params.copy()
    error, gradient = at(w)
    r, lam_bar, success, found = -gradient, 0.0, True, []
    p = r.copy()
    while len(found) < iterations:
        if success:
            sigma = sigma0 / np.linalg.norm(p)
            s = (at(w + sigma * p)[1] + r) / sigma
            delta = p @ s
        delta += (lam - lam_bar) * (p @ p)
        if delta <= 0:
            lam_bar = 2 * (lam - delta / (p @ p))
            delta = -delta + lam * (p @ p)
            lam = lam_bar
        mu = p @ r
        alpha = mu / delta
        new_error, new_gradient = at(w + alpha * p)
        comparison = 2 * delta * (error - new_error) / mu**2
        success = comparison >= 0
        if success:
            w, error, new_r = w + alpha * p, new_error, -new_gradient
            old_p, lam_bar = p @ p, 0.0
            p = new_r + (new_r @ new_r - new_r @ r) / mu * p
            r = new_r
            found.append(w.copy())
            if comparison >= 0.75:
                lam /= 4
        else:
            old_p, lam_bar = p @ p, lam
        if comparison < 0.25:
            lam += delta * (1 - comparison) / old_p
    return found


@pytest.mark.parametrize("seed", range(4))
def test_scaled_conjugate_gradients_are_mollers(seed) -> None:
    net, rows = curve(seed=seed)
    net.params[:] *= 3 if seed % 2 else 1  # away from where the curvature is positive
    start = net.params.copy()
    expected = moller(net, rows, 12)
    net.params[:] = start
    for count in (1, 2, 5, 12):
        net.params[:] = start
        net.fit(*rows[:2], sample_weight=rows[2], epochs=count, method="scaled_conjugate_gradient")
        np.testing.assert_allclose(net.params, expected[count - 1], rtol=1e-6, atol=1e-8)


def igel_and_huesken(net, rows, iterations, plus):
    """iRprop+ and iRprop-, figures 1 and 2 of the paper, a parameter at a time."""
    w, n = net.params.copy(), net.params.size
    size, before, change, last = np.full(n, 0.0125), np.zeros(n), np.zeros(n), math.inf
    for _ in range(iterations):
        net.params[:] = w
        error, g = net.loss_and_grad(*rows)
        for i in range(n):
            if g[i] * before[i] > 0:
                size[i] = min(size[i] * 1.2, 50.0)
                change[i] = -np.sign(g[i]) * size[i]
            elif g[i] * before[i] < 0:
                size[i] = max(size[i] * 0.5, 0.0)
                change[i] = -change[i] if plus and error > last else 0.0
                g[i] = 0.0
            else:
                change[i] = -np.sign(g[i]) * size[i]
        w, before, last = w + change, g, error
    return w


@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("iterations", [1, 2, 10, 60])
def test_rprop_is_igels_and_hueskens(iterations, plus) -> None:
    net, rows = curve()
    start = net.params.copy()
    expected = igel_and_huesken(net, rows, iterations, plus)
    net.params[:] = start
    net.fit(*rows[:2], sample_weight=rows[2], epochs=iterations, method=Rprop(backtracking=plus))
    np.testing.assert_allclose(net.params, expected, rtol=1e-9, atol=1e-12)


def test_both_rprops_differ() -> None:
    found = []
    for plus in (True, False):
        net, rows = curve()
        found.append(igel_and_huesken(net, rows, 60, plus))
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_lbfgs_is_scipys() -> None:
    net, rows = curve()

    def value(w):
        net.params[:] = w
        return net.loss_and_grad(*rows)

    start = net.params.copy()
    options = {"maxiter": 30, "gtol": 0.0, "ftol": 0.0, "maxcor": 7}
    theirs = scipy.optimize.minimize(value, start, jac=True, method="L-BFGS-B", options=options)
    net.params[:] = start
    history = net.fit(*rows[:2], sample_weight=rows[2], epochs=30, method=LBFGS(memory=7))
    assert len(history) == theirs.nit == 30
    assert np.array_equal(net.params, theirs.x)
    assert history.loss[-1] == theirs.fun
    assert history["evaluations"][-1] == theirs.nfev + 1  # the one before the first iteration


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_method("newton"), "method must be one of 'gradient_descent', 'conj.*'newton'"),
        (lambda: as_method(Rprop), "method must be None.*'lbfgs'.*object such as Rprop"),
        (lambda: GradientDescent(-1.0), "tolerance must be a finite number of at least 0; got -1"),
        (lambda: GradientDescent(curvature=1.0), "curvature must be above 1e-4 and below 1"),
        (lambda: ConjugateGradient(curvature=0), "curvature must be above 1e-4 and below 1"),
        (lambda: ConjugateGradient(update="hestenes"), "update must be one of 'polak_ribiere'"),
        (lambda: ScaledConjugateGradient(sigma=0), "sigma must be a finite number above 0"),
        (lambda: ScaledConjugateGradient(first_lambda=-1), "first_lambda must be a finite number"),
        (lambda: Rprop(first_step=0), "first_step must be a finite number above 0"),
        (lambda: Rprop(eta_minus=1.0), "eta_minus must be above 0 and below 1"),
        (lambda: Rprop(eta_plus=1.0), "eta_plus must be above 1"),
        (lambda: Rprop(min_step=1, max_step=0.5), "max_step must be at least min_step=1"),
        (lambda: Rprop(backtracking=1), "backtracking must be True or False"),
        (lambda: LBFGS(memory=0), "memory must be at least 1"),
        (lambda: LevenbergMarquardt(damping=0), "damping must be a finite number above 0"),
        (lambda: LevenbergMarquardt(increase=1), "increase must be above 1; got 1"),
        (lambda: LevenbergMarquardt(decrease=1), "decrease must be above 0 and below 1; got 1"),
        (lambda: LevenbergMarquardt(max_damping=-1), "max_damping must be a finite number above"),
        (lambda: LevenbergMarquardt(max_params=0), "max_params must be at least 1"),
    ],
)
def test_bad_numbers(make, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


@pytest.mark.parametrize("method", OF_ANY_LOSS)
def test_a_wall_of_infinity_is_not_crossed(method) -> None:
    """Beyond x = 1 the loss is not finite; the minimum is close to it."""

    def barrier(x):
        if (x >= 1).any():
            return math.inf, np.full_like(x, math.nan)
        return float((-1e-3 * np.log(1 - x) - x).sum()), 1e-3 / (1 - x) - 1

    net, rows = function_of(barrier, np.array([-1.0, 0.5]))
    history = net.fit(*rows, epochs=300, method=method)
    assert np.isfinite(history.loss).all()
    assert (net.params < 1).all()
    if "conjugate" in method:  # gradient descent is slow here, SciPy may give up at NaN
        np.testing.assert_allclose(net.params, 0.999, atol=1e-5)
