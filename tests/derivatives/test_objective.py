"""An objective against `loss_and_grad`, and in SciPy's minimisers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import scipy.sparse
from derivatives.cases import close, half_square, net_of, own_tanh, rows_for

from fastbp.kernels import entry
from fastbp.model import net as nets


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", [{}, {"l2": 0.1, "l1": 0.01}, {"hidden": own_tanh},
                                     {"loss": half_square}, {"loss": "cross_entropy"}])  # fmt: skip
def test_it_is_loss_and_grad(options, dtype) -> None:
    net = net_of(dtype=dtype, **options)
    X, T = rows_for(net, 20)
    weights = np.random.default_rng(1).uniform(0, 2, 20)
    objective = net.objective(X, T, weights)
    for scale in (1.0, 0.5, np.nan):
        params = net.params.astype("f8") * scale
        loss, grad = objective(params)
        value, expected = net.loss_and_grad(X, T, weights, params=params)
        assert loss == value or np.isnan(scale)
        assert grad.dtype == np.float64
        np.testing.assert_array_equal(grad, expected)
    assert objective.evaluations == 3
    assert objective(net.params.tolist())[0] == net.loss(X, T, weights)


def test_many_rows_and_sparse_ones(monkeypatch) -> None:
    monkeypatch.setattr(nets, "PASS_ROWS", 16)
    monkeypatch.setattr(nets, "WHOLE_BATCH", 20)
    net = net_of()
    net.rows_in_a_call = 32
    X, T = rows_for(net, 100)
    objective = net.objective(X, T)
    np.testing.assert_array_equal(objective(net.params)[1], net.loss_and_grad(X, T)[1])
    sparse = net.objective(scipy.sparse.csr_array(X), T)
    close(sparse(net.params)[1], objective(net.params)[1])


def test_a_call_is_one_compiled_call(monkeypatch) -> None:
    net = net_of()
    X, T = rows_for(net, 20)
    objective = net.objective(X, T)
    calls = []

    def counted(*arguments):
        calls.append(arguments)
        return plain(*arguments)

    plain = entry.train_and_predict
    monkeypatch.setattr(entry, "train_and_predict", counted)
    grads = [objective(net.params)[1] for _ in range(3)]
    assert len(calls) == 3
    assert len({id(grad) for grad in grads}) == 3  # SciPy compares the last two


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "trust-ncg", "Newton-CG"])
def test_minimisers_of_scipy(method) -> None:
    net = net_of(layer_sizes=(1, 6, 1), seed=1)
    X = np.linspace(-2, 2, 40).reshape(-1, 1)
    y = np.sin(X)
    objective = net.objective(X, y)
    before = net.params.copy()
    hessp = {"hessp": objective.hessp} if method in ("trust-ncg", "Newton-CG") else {}
    found = scipy.optimize.minimize(
        objective, net.params, jac=True, method=method, options={"maxiter": 150}, **hessp
    )
    np.testing.assert_array_equal(net.params, before)
    net.params[:] = found.x
    assert net.loss(X, y) == pytest.approx(found.fun, rel=1e-12)
    assert found.fun < 2e-3
    assert bool(objective.products) == bool(hessp)


def test_frozen_parameters_stay() -> None:
    net = net_of(layer_sizes=(1, 6, 1))
    net.freeze(layers=[0])
    X = np.linspace(-2, 2, 40).reshape(-1, 1)
    objective = net.objective(X, np.sin(X))
    loss, grad = objective(net.params)
    assert not grad[net.frozen].any()
    np.testing.assert_array_equal(
        grad[~net.frozen], net.loss_and_grad(X, np.sin(X))[1][~net.frozen]
    )
    product = objective.hessp(net.params, np.ones(net.n_params))
    assert not product[net.frozen].any()
    close(product[~net.frozen],
          net.hessian_product(X, np.sin(X), np.where(net.frozen, 0, 1.0))[~net.frozen])  # fmt: skip
    found = scipy.optimize.minimize(objective, net.params, jac=True)
    np.testing.assert_array_equal(found.x[net.frozen], net.params[net.frozen])
    assert found.fun < loss


def test_params_beyond_float32_are_infinite() -> None:
    net = net_of(dtype="float32")
    X, T = rows_for(net, 4)
    objective = net.objective(X, T)
    far = np.full(net.n_params, 1e300)
    with np.errstate(all="raise"):
        assert not np.isfinite(objective(far)[0])
        assert not np.isfinite(objective.residuals(far)).any()


def test_the_net_may_be_trained_meanwhile() -> None:
    net = net_of()
    X, T = rows_for(net, 20)
    objective = net.objective(X, T)
    params = net.params.copy()
    expected = objective(params)
    net.fit(X, T, epochs=3)
    net.optimizer = "sgd"
    found = objective(params)
    assert found[0] == expected[0]
    np.testing.assert_array_equal(found[1], expected[1])


def test_bad_input_is_refused() -> None:
    net = net_of()
    X, T = rows_for(net, 4)
    with pytest.raises(ValueError, match="X holds nan"):
        net.objective(X * np.nan, T)
    objective = net.objective(X, T)
    with pytest.raises(ValueError, match=r"params must have shape"):
        objective(net.params[:3])
    with pytest.raises(ValueError, match=r"v must be finite"):
        objective.hessp(net.params, net.params * np.nan)
    with pytest.raises(ValueError, match="own_tanh"):
        net_of(own_tanh).objective(X, T).hessp(net.params, net.params)
    with pytest.raises(TypeError, match="dense rows"):
        net.objective(scipy.sparse.csr_array(X), T).hessp(net.params, net.params)
