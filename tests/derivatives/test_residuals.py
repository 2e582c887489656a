"""Residuals and their Jacobian against the loss, complex steps and SciPy's least squares."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from derivatives.cases import (
    by_params,
    close,
    elementwise_square,
    half_square,
    net_of,
    outputs,
    own_tanh,
    rows_for,
)

from fastbp import ElementwiseLoss, LevenbergMarquardt
from fastbp.kernels.layout import weight_views


def weights_for(kind, rows, n_out):
    rng = np.random.default_rng(2)
    if kind is None:
        return None
    weights = rng.uniform(0, 3, rows if kind == "rows" else (rows, n_out))
    weights[rng.random(weights.shape) < 0.3] = 0.0
    return weights


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [None, "rows", "outputs"])
@pytest.mark.parametrize("options", [{}, {"l2": 0.3}, {"hidden": own_tanh}, {"output": "sigmoid"}])
def test_half_of_their_squares_is_the_loss(options, weighted, dtype) -> None:
    net = net_of(dtype=dtype, **options)
    X, T = rows_for(net, 20)
    objective = net.objective(X, T, weights_for(weighted, *T.shape))
    before = net.params.copy()
    for scale in (1.0, 0.5):
        params = net.params.astype("f8") * scale
        loss, grad = objective(params)
        r = objective.residuals(params)
        J = objective.jacobian(params)
        assert r.dtype == J.dtype == np.float64
        n_held = sum(w.size for w in net.weights) if "l2" in options else 0
        assert J.shape == (T.size + n_held, net.n_params) == (len(r), net.n_params)
        close(r @ r / 2, loss, dtype)
        close(J.T @ r, grad, dtype)
    np.testing.assert_array_equal(net.params, before)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_the_jacobian_is_that_of_complex_steps(l2) -> None:
    net = net_of(l2=l2)
    X, T = rows_for(net, 6)
    weights = weights_for("outputs", *T.shape)
    objective = net.objective(X, T, weights)
    roots = np.sqrt(weights / (weights.sum() / T.shape[1])).ravel()
    expected = np.array([
        by_params(lambda params, i=i: outputs(net, params, X).ravel()[i], net.params)
        for i in range(T.size)
    ]) * roots[:, np.newaxis]  # fmt: skip
    J = objective.jacobian(net.params)
    close(J[: T.size], expected)
    held = np.zeros(net.n_params)
    for view in weight_views(held, net.layer_table)[0]:
        view[...] = 1.0
    of_penalty = np.sqrt(l2) * np.eye(net.n_params)[held == 1]
    np.testing.assert_allclose(J[T.size :], of_penalty if l2 else np.empty((0, net.n_params)))


@pytest.mark.parametrize("method", ["trf", "lm", "dogbox"])
def test_least_squares_of_scipy(method) -> None:
    """Its cost is the loss; where MINPACK ends, Levenberg-Marquardt here finds nothing lower."""
    X = np.linspace(-2, 2, 60).reshape(-1, 1)
    y = np.sin(X[:, 0])
    net = net_of(layer_sizes=(1, 4, 1), l2=1e-3, seed=1)
    objective = net.objective(X, y)
    found = scipy.optimize.least_squares(
        objective.residuals, net.params, objective.jacobian, method=method, gtol=1e-12, ftol=1e-15,
        xtol=1e-15, max_nfev=300,
    )  # fmt: skip
    assert found.cost == pytest.approx(objective(found.x)[0], rel=1e-12)
    assert found.cost < 0.1 * objective(net.params)[0]
    if method != "lm":
        return
    net.params[:] = found.x
    net.fit(X, y, method=LevenbergMarquardt(tolerance=1e-12), epochs=300)
    assert net.loss(X, y) == pytest.approx(found.cost, rel=1e-6)


def test_frozen_parameters_stay() -> None:
    net = net_of(layer_sizes=(1, 6, 1), l2=1e-3)
    net.freeze(layers=[0])
    X = np.linspace(-2, 2, 40).reshape(-1, 1)
    objective = net.objective(X, np.sin(X))
    J = objective.jacobian(net.params)
    assert not J[:, net.frozen].any() and J[:, ~net.frozen].any(axis=0).all()
    r = objective.residuals(net.params)
    close(J.T @ r, objective(net.params)[1])
    found = scipy.optimize.least_squares(
        objective.residuals, net.params, objective.jacobian, method="lm"
    )
    assert found.cost < 0.1 * objective(net.params)[0]
    np.testing.assert_array_equal(found.x[net.frozen], net.params[net.frozen])
    net.frozen[:] = True
    assert not net.objective(X, np.sin(X)).jacobian(net.params).any()


def test_missing_targets_and_sparse_rows() -> None:
    net = net_of(missing_targets=True)
    X, T = rows_for(net, 20)
    T[3, 1] = T[7] = np.nan
    X[np.abs(X) < 0.7] = 0.0
    dense, sparse = net.objective(X, T), net.objective(scipy.sparse.csr_array(X), T)
    r = dense.residuals(net.params).reshape(T.shape)
    np.testing.assert_array_equal(r == 0, np.isnan(T))
    close(sparse.residuals(net.params), r.ravel())
    close(sparse.jacobian(net.params), dense.jacobian(net.params))
    close((r**2).sum() / 2, dense(net.params)[0])


def test_many_rows_come_in_calls(monkeypatch) -> None:
    net = net_of()
    X, T = rows_for(net, 300)
    whole = net.objective(X, T)
    net.rows_in_a_call = 37
    parts = net.objective(X, T)
    for name in ("residuals", "jacobian"):
        close(getattr(parts, name)(net.params), getattr(whole, name)(net.params))


def test_what_is_refused() -> None:
    net = net_of(loss="huber")
    X, T = rows_for(net, 4)
    for options, message in [
        ({"loss": "huber"}, "least squares take a sum of squares.*got loss='huber'"),
        ({"loss": half_square}, "got loss='callable'"),
        ({"loss": ElementwiseLoss(elementwise_square)}, "got loss='elementwise'"),
        ({"l1": 0.1}, "squared penalties; got l1=0.1"),
    ]:  # fmt: skip
        objective = net_of(**options).objective(X, T)
        for function in (objective.residuals, objective.jacobian):
            with pytest.raises(ValueError, match=message):
                function(net.params)
    objective = net_of().objective(X, T)
    with pytest.raises(ValueError, match="params must have shape"):
        objective.residuals(net.params[:3])
    with np.errstate(all="raise"):  # what overflows is not finite, and SciPy says so
        assert not np.isfinite(objective.residuals(net.params * np.nan)).any()
