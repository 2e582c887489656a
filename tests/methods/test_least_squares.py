"""Levenberg-Marquardt: its rules step by step, closed forms, what it refuses, how it ends."""

from __future__ import annotations

import builtins
import warnings

import numpy as np
import pytest
import scipy.sparse
from helpers import DTYPES

from fastbp import MLP, Callback, DivergenceWarning, LevenbergMarquardt
from fastbp.methods.method import LOWEST

X = np.random.default_rng(0).uniform(-1, 1, size=(60, 2))
Y = np.c_[np.sin(3 * X[:, 0]) * X[:, 1], X[:, 0] ** 2 - X[:, 1]]


def make(sizes=(2, 5, 2), **options):
    return MLP(sizes, **({"activation": "tanh", "dtype": "float64", "seed": 0} | options))


def hagan_and_menhaj(net, weights, iterations, damping=1e-3, l2=0.0):
    """The paper's rules with the whole Jacobian; yields the parameters and the damping."""
    free = np.flatnonzero(~net.frozen)
    penalties = np.zeros(net.n_params)
    for i, part in enumerate(net.weights):
        start = sum(w.size for w in net.weights[:i]) + sum(b.size for b in net.biases[:i])
        penalties[start : start + part.size] = l2
    share = weights / (weights.sum() / 2)

    def errors():
        return (net.predict(X) - Y) * np.sqrt(share)

    def loss():
        return 0.5 * (errors() ** 2).sum() + 0.5 * (penalties * net.params**2).sum()

    for _ in range(iterations):
        before, start = loss(), net.params.copy()
        J = (net.jacobian(X) * np.sqrt(share)[:, :, None]).reshape(-1, net.n_params)[:, free]
        squares = J.T @ J + np.diag(penalties[free])
        gradient = J.T @ errors().ravel() + (penalties * start)[free]
        while True:
            net.params[free] = start[free] - np.linalg.solve(
                squares + damping * np.eye(len(free)), gradient
            )
            if loss() < before:
                break
            damping *= 10
        yield net.params.copy(), damping
        damping *= 0.1


@pytest.mark.parametrize("l2", [0.0, 1e-3])
@pytest.mark.parametrize("seed", range(3))
def test_it_is_hagans_and_menhajs(seed, l2) -> None:
    """With weights of single outputs, some of them 0, and frozen parameters."""
    rng = np.random.default_rng(seed)
    weights = rng.uniform(0.1, 2, Y.shape) * (rng.random(Y.shape) < 0.8)
    net, twin = make(seed=seed, l2=l2), make(seed=seed, l2=l2)
    for one in (net, twin):
        one.frozen[[1, 7, 20]] = True
    points = []

    class Keep(Callback):
        def on_epoch_end(self, fit) -> None:
            points.append(fit.net.params.copy())

    history = net.fit(
        X, Y, sample_weight=weights, epochs=12, method=LevenbergMarquardt(0.0), callbacks=Keep()
    )
    expected = list(hagan_and_menhaj(twin, weights, 12, l2=l2))
    np.testing.assert_allclose(history["damping"], [damping for _, damping in expected], rtol=1e-9)
    for found, (params, _) in zip(points, expected, strict=True):
        np.testing.assert_allclose(found, params, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("options", [{}, {"l2": 0.05}, {"bias": False}])
def test_one_step_solves_a_linear_net(options) -> None:
    """The normal equations, with missing targets."""
    targets = Y.copy()
    targets[::7, 0] = np.nan
    net = make((2, 2), missing_targets=True, **options)
    net.fit(X, targets, epochs=1, method=LevenbergMarquardt(damping=1e-14))
    design = np.c_[X, np.ones(60)][:, : 3 if net.bias else 2]
    for output in range(2):
        known = ~np.isnan(targets[:, output])
        A = design[known]
        penalty = np.diag([1.0, 1.0, 0.0][: A.shape[1]]) * net.regularization.l2
        penalty *= (~np.isnan(targets)).sum() / 2  # the total weight
        exact = np.linalg.solve(A.T @ A + penalty, A.T @ targets[known, output])
        found = np.r_[net.weights[0][:, output], net.biases[0][output] if net.bias else []]
        np.testing.assert_allclose(found, exact, rtol=1e-9)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_function_is_learnt_in_few_iterations(dtype) -> None:
    net = make((2, 12, 2), dtype=dtype)
    history = net.fit(X, Y, epochs=60, method="lm")
    assert history.loss[-1] < 1e-5
    assert np.all(np.diff(history.loss) <= 8 * np.finfo(dtype).eps * np.array(history.loss[:-1]))


def test_it_ends_at_the_largest_damping_where_it_was() -> None:
    """At the minimum of a ridge regression no step helps, and tolerance 0 is never reached."""
    net = make((2, 2), l2=0.1)
    history = net.fit(X, Y, epochs=200, method=LevenbergMarquardt(tolerance=0.0))
    assert history.stop_reason == LOWEST
    last = history.loss[-1]
    assert net.loss(X, Y) == last
    before = net.params.copy()
    history = net.fit(X, Y, epochs=200, method=LevenbergMarquardt(0.0, 10.0, max_damping=1.0))
    assert (history.stop_reason, len(history)) == (LOWEST, 0)
    assert np.array_equal(net.params, before)


def test_a_singular_system_is_damped() -> None:
    """A unit that is always 0 leaves rows of zeros in J^T J."""
    net = make((2, 4, 2), activation="relu")
    net.biases[0][1] = -100.0
    before = net.weights[0][:, 1].copy()
    history = net.fit(X, Y, epochs=30, method="lm")
    assert history.loss[-1] < 0.9 * history.loss[0]
    assert np.array_equal(net.weights[0][:, 1], before)


def test_a_wall_of_infinity_is_not_crossed() -> None:
    """exp of the outputs overflows for long steps: these fail, as any that does not help."""
    targets = np.exp(3 * X[:, :1] + X[:, 1:])
    net = make((2, 1), output_activation="exp", dtype="float32")
    net.params[:] = [0, 0, -10]  # the first step without damping would be 20,000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = net.fit(X, targets, epochs=500, method=LevenbergMarquardt(damping=1e-12))
    assert np.isfinite(history.loss).all() and (np.diff(history.loss) <= 0).all()
    np.testing.assert_allclose(net.params, [3, 1, 0], atol=1e-2)


def test_a_jacobian_that_overflows_is_a_divergence() -> None:
    """The loss is 1e38 and finite, the square of a derivative is not."""
    net = make((1, 1, 1), activation="identity", dtype="float32")
    net.weights[0][...] = 1e19
    net.weights[1][...] = 0.0
    before = net.params.copy()
    with pytest.warns(DivergenceWarning, match="diverged in iteration 1"):
        history = net.fit([[10.0], [20.0]], [1.0, 2.0], epochs=3, method="lm")
    assert len(history) == 0
    assert np.array_equal(net.params, before)


def test_sparse_rows() -> None:
    dense, sparse = make(), make()
    rows = np.where(np.abs(X) < 0.3, 0, X)
    dense.fit(rows, Y, epochs=5, method="lm")
    sparse.fit(scipy.sparse.csr_array(rows), Y, epochs=5, method="lm")
    np.testing.assert_allclose(sparse.params, dense.params, rtol=1e-7)


def test_an_activation_in_python() -> None:
    def tanh(z):
        y = np.tanh(z)
        return y, 1 - y * y

    ours, theirs = make(), make(activation=tanh)
    for net in (ours, theirs):
        net.fit(X, Y, epochs=5, method="lm")
    np.testing.assert_allclose(theirs.params, ours.params, rtol=1e-7)


def test_without_scipy(monkeypatch) -> None:
    actual = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("scipy"):
            raise ImportError(name)
        return actual(name, *arguments, **options)

    with_scipy, net = make(), make()
    with_scipy.fit(X, Y, epochs=5, method="lm")
    monkeypatch.setattr(builtins, "__import__", without)
    net.fit(X, Y, epochs=5, method="lm")
    np.testing.assert_allclose(net.params, with_scipy.params, rtol=1e-8)


def test_time_is_looked_at_between_the_calls() -> None:
    from fastbp.fit import data as dataset
    from fastbp.methods.jacobian import Jacobian

    net = make()
    data, rows = dataset.rows_and_targets(X, Y, None, net)
    of = Jacobian(net, data, rows)
    of._rows_in_a_call = 20
    calls = []
    of.squares(lambda: calls.append(1))
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("make_net", "options", "message"),
    [
        (lambda: make(loss="huber"), {}, "sum of squares, loss='squared_error'; got loss='huber'"),
        (lambda: make(loss=lambda y, t: (0.0, y)), {}, "got loss='callable'. Take method='lbfgs'"),
        (lambda: make((2, 1000, 2)), {}, r"max_params=3,000 .*got 5,002.*\(max_params=5002\)"),
        (make, {"max_params": 26}, "max_params=26 parameters.*got 27"),
    ],
)
def test_what_it_refuses(make_net, options, message) -> None:
    net = make_net()
    before = net.params.copy()
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, method=LevenbergMarquardt(**options))
    assert np.array_equal(net.params, before)


def test_frozen_parameters_do_not_count() -> None:
    """With the hidden layer frozen the rest is linear: one step solves it."""
    net = make((2, 3, 2))
    net.freeze(layers=[0])
    before = net.params.copy()
    method = LevenbergMarquardt(damping=1e-14, max_params=8)
    history = net.fit(X, Y, epochs=1, method=method)
    design = np.c_[np.tanh(X @ net.weights[0] + net.biases[0]), np.ones(60)]
    best = Y - design @ np.linalg.lstsq(design, Y)[0]
    assert history.loss[0] == pytest.approx(0.5 * (best**2).sum() / 60, rel=1e-9)
    assert np.array_equal(net.params != before, ~net.frozen)
