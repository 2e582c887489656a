"""Nets of every activation and loss, with data, and their derivatives by complex steps."""

from __future__ import annotations

import numpy as np
import oracle

from fastbp import MLP
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.model.losses import LOSSES

HIDDEN = [name for name, of in ACTIVATIONS.items() if of.hidden and of.trainable]
OUTPUTS = [name for name, of in ACTIVATIONS.items() if of.trainable]
TINY = 1e-30
"""The complex step: what is quadratic in it is below all rounding."""


def net_of(hidden="tanh", loss="squared_error", output=None, dtype="float64", seed=0, **options):
    """3-5-4-2 with inputs of normal size and biases that are not 0."""
    layers = options.pop("layer_sizes", (3, 5, 4, 2))
    net = MLP(
        layers, activation=hidden, loss=loss, output_activation=output, dtype=dtype, seed=seed,
        **options,
    )  # fmt: skip
    for biases in net.biases:
        biases[...] = np.random.default_rng(seed).normal(0, 0.3, biases.shape)
    return net


def rows_for(net, rows, seed=1):
    """X and targets that the loss takes, as matrices, in the net's dtype."""
    rng = np.random.default_rng(seed)
    shape = rows, net.layer_sizes[-1]
    X = rng.normal(size=(rows, net.layer_sizes[0]))
    loss = net.loss_name
    if loss == "hinge":
        T = rng.choice([-1.0, 1.0], shape)
    elif loss == "cross_entropy":
        T = rng.dirichlet(np.ones(shape[1]), rows)
    elif loss in ("binary_cross_entropy", "gamma", "poisson"):
        T = rng.uniform(0.1, 0.9, shape)
    else:
        T = rng.normal(size=shape)
    return X.astype(net.dtype), T.astype(net.dtype)


def wide(array):
    return np.asarray(array, np.complex128)


def outputs(net, params, X):
    return oracle.forward(oracle.net_of(net), params, X)[1][-1]


def by_params(function, params):
    """The partial derivatives of function(params) by a complex step."""
    found = np.empty(len(params))
    for i in range(len(params)):
        moved = wide(params)
        moved[i] += 1j * TINY
        found[i] = function(moved).imag / TINY
    return found


def by_inputs(function, X):
    """The partial derivatives of function(X) by a complex step."""
    found = np.empty(X.shape)
    for at in np.ndindex(*X.shape):
        moved = wide(X)
        moved[at] += 1j * TINY
        found[at] = function(moved).imag / TINY
    return found


def hessian_times(net, X, T, v, sample_weight=None):
    """The complex step of the oracle's gradient along v."""
    moved = wide(net.params) + 1j * TINY * np.asarray(v, np.float64)
    X, T = (np.asarray(a, np.float64) for a in (X, T))
    grad = oracle.loss_and_grad(oracle.net_of(net), moved, X, T, sample_weight)[1]
    return grad.imag / TINY


def close(found, expected, dtype="float64", factor=1.0):
    """Whether the largest difference is rounding beside the largest value."""
    limit = {"float64": 2e-12, "float32": 2e-4}[np.dtype(dtype).name] * factor
    scale = np.abs(expected).max() + 1e-3
    np.testing.assert_allclose(found / scale, expected / scale, rtol=0, atol=limit)
    return True


def elementwise_square(y, t):
    return (y - t) * (y - t) * 0.5, y - t


def half_square(y_pred, y, weights=None):
    """squared_error in Python."""
    share = np.ones(len(y)) if weights is None else weights
    share = np.broadcast_to(share.reshape(len(y), -1), y.shape)
    share = share / (share.sum() / y.shape[1])
    delta = (y_pred - y) * share
    return 0.5 * (delta * (y_pred - y)).sum(), delta


def own_tanh(z):
    y = np.tanh(z)
    return y, 1 - y * y


ALL_LOSSES = list(LOSSES)
