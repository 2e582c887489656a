"""Products of the Hessian against complex steps of the oracle's gradient, and of Gauss-Newton."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from derivatives.cases import (
    ALL_LOSSES,
    HIDDEN,
    OUTPUTS,
    close,
    elementwise_square,
    half_square,
    hessian_times,
    net_of,
    own_tanh,
    rows_for,
)

from fastbp import ElementwiseLoss, Huber
from fastbp.model import net as nets


def vector_for(net, seed=5):
    return np.random.default_rng(seed).normal(size=net.n_params).astype(net.dtype)


def check(net, rows=9, weights=None, factor=1.0):
    X, T = rows_for(net, rows)
    v = vector_for(net)
    found = net.hessian_product(X, T, v, weights)
    assert found.dtype == net.dtype
    close(found, hessian_times(net, X, T, v, weights), net.dtype, factor)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", HIDDEN)
def test_every_hidden_activation(name, dtype) -> None:
    check(net_of(name, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_every_output_activation(name, dtype) -> None:
    check(net_of(output=name, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ALL_LOSSES)
def test_every_loss(loss, dtype) -> None:
    check(net_of("gelu", loss=loss, dtype=dtype))
    check(net_of(loss=loss, dtype=dtype), weights=np.random.default_rng(3).uniform(0, 2, 9))


@pytest.mark.parametrize("rows", [1, 2, 3, 50])
@pytest.mark.parametrize("sizes", [(1, 1), (3, 2), (1, 20, 1), (30, 7, 5), (5, 40, 40, 3)])
@pytest.mark.parametrize("bias", [True, False])
def test_shapes(sizes, rows, bias) -> None:
    check(net_of(layer_sizes=sizes, bias=bias), rows)


def test_penalties_weights_of_outputs_and_missing_targets() -> None:
    net = net_of(l2=0.3, loss=Huber(0.5), missing_targets=True)
    X, T = rows_for(net, 12)
    rng = np.random.default_rng(4)
    weights = rng.uniform(0.5, 2, T.shape)
    gaps = rng.random(T.shape) < 0.3
    v = vector_for(net)
    found = net.hessian_product(X, np.where(gaps, np.nan, T), v, weights)
    close(found, hessian_times(net, X, T, v, weights * ~gaps))


def test_passes_and_calls_add_up(monkeypatch) -> None:
    monkeypatch.setattr(nets, "PASS_ROWS", 16)
    net = net_of("silu", loss="cross_entropy")
    net.rows_in_a_call = 96
    check(net, 101)
    monkeypatch.undo()
    check(net, 101)


def test_labels_and_other_parameters() -> None:
    net = net_of(loss="cross_entropy")
    X, _ = rows_for(net, 8)
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    v = vector_for(net)
    at = net.params + 0.1
    found = net.hessian_product(X, labels, v, params=at)
    net.params[:] = at
    close(found, hessian_times(net, X, np.eye(2)[labels], v))


def test_it_is_symmetric_and_the_difference_of_gradients() -> None:
    net = net_of("softplus", loss="binary_cross_entropy")
    X, T = rows_for(net, 30)
    H = np.array([net.hessian_product(X, T, e) for e in np.eye(net.n_params)])
    close(H, H.T)
    v, h = vector_for(net), 1e-5
    sides = [net.loss_and_grad(X, T, params=net.params + s * h * v)[1] for s in (1, -1)]
    np.testing.assert_allclose(H @ v, (sides[0] - sides[1]) / (2 * h), rtol=1e-6, atol=1e-8)


def jacobian(net, X):
    """Of the net inputs or outputs that the loss takes, by vjp: (rows, n_out, n_params)."""
    if net.spec.loss.from_logits:
        plain = net_of(output="identity", loss="squared_error")
        plain.params[:] = net.params
        net = plain
    rows, n_out = len(X), net.layer_sizes[-1]
    found = np.empty((rows, n_out, net.n_params))
    for row in range(rows):
        for output in range(n_out):
            found[row, output] = net.vjp(X[[row]], np.eye(n_out)[[output]])[1]
    return found


def test_gauss_newton_is_a_product_with_jacobians() -> None:
    for loss in ("squared_error", "cross_entropy", "poisson"):
        net = net_of(loss=loss)
        X, T = rows_for(net, 6)
        v = vector_for(net)
        J = jacobian(net, X)
        if loss == "squared_error":
            H = np.broadcast_to(np.eye(2), (6, 2, 2))
        elif loss == "poisson":
            H = np.array([np.diag(p) for p in net.predict(X)])
        else:
            H = np.array([np.diag(p) - np.outer(p, p) for p in net.predict(X)])
        expected = np.einsum("roi,rop,rpj,j->i", J, H, J, v) / 6
        close(net.hessian_product(X, T, v, gauss_newton=True), expected, factor=10)
        assert v @ expected > 0


def test_gauss_newton_of_softmax_outputs_that_are_no_logits() -> None:
    net = net_of(output="softmax")
    X, T = rows_for(net, 6)
    v, J = vector_for(net), jacobian(net, X)
    expected = np.einsum("roi,roj,j->i", J, J, v) / 6
    close(net.hessian_product(X, T, v, gauss_newton=True), expected)


def test_the_net_is_as_before() -> None:
    net = net_of()
    X, T = rows_for(net, 6)
    before, loss = net.params.copy(), net.loss_and_grad(X, T)
    net.hessian_product(X, T, vector_for(net))
    np.testing.assert_array_equal(net.params, before)
    np.testing.assert_array_equal(net.loss_and_grad(X, T)[1], loss[1])


def test_bad_input_is_refused() -> None:
    net = net_of()
    X, T = rows_for(net, 4)
    v = vector_for(net)
    elementwise = net_of(loss=ElementwiseLoss(elementwise_square))
    cases = [
        (lambda: net.hessian_product(scipy.sparse.csr_array(X), T, v), TypeError, "dense rows"),
        (lambda: net.hessian_product(X, T, v[:3]), ValueError, r"v must have shape"),
        (lambda: net.hessian_product(X, T, v * np.nan), ValueError, "v must be finite"),
        (lambda: net.hessian_product(X, T, v, gauss_newton=1), TypeError, "gauss_newton"),
        (lambda: net_of(own_tanh).hessian_product(X, T, v), ValueError, "own_tanh.*first ones"),
        (lambda: net_of(loss=half_square).hessian_product(X, T, v), ValueError, "half_square"),
        (lambda: elementwise.hessian_product(X, T, v), ValueError, "elementwise_square"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind, match=message):
            call()
