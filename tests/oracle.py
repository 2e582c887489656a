"""A readable NumPy oracle: forward, losses, penalties, backpropagation, the epoch loop.

The batch stands in the rows.

It has every activation and loss, sample weights and penalties, where ``fastbp/plain.py`` has the
few of a lecture. It computes in the dtype of the parameters it is given, complex and long double
included, so that derivatives can be taken by a complex step, and knows the flat layout of
``MLP.params``. The optimisers' steps are in ``formulas.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from formulas import Formula

from fastbp.model.losses import Loss


class Net(NamedTuple):
    """Layer sizes, one activation for each layer but the inputs, loss, biases or not, penalties."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]
    loss: Loss
    bias: bool
    l1: float = 0.0
    l2: float = 0.0


def net_of(mlp) -> Net:
    of = mlp.regularization
    return Net(mlp.layer_sizes, mlp.activations, mlp.spec.loss, mlp.bias, of.l1, of.l2)


def layers(net, params):
    """W (n_in, n_out) and b of each layer; in `params` the weights stand unit by unit."""
    found, at = [], 0
    for n_in, n_out in zip(net.sizes, net.sizes[1:], strict=False):
        weights = params[at : at + n_in * n_out].reshape(n_out, n_in).T
        at += n_in * n_out
        bias = params[at : at + n_out] if net.bias else np.zeros(n_out, params.dtype)
        at += n_out if net.bias else 0
        found.append((weights, bias))
    assert at == len(params)
    return found


# ---- activations, written so that a complex step passes through and nothing overflows ----


def positive(z):
    return np.where(z.real > 0, z, 0)


def sigmoid(z):
    e = np.exp(np.where(z.real > 0, -z, z))
    return np.where(z.real > 0, 1, e) / (1 + e)


def softmax(z):
    e = np.exp(z - z.real.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softplus(z):
    return positive(z) + np.log1p(np.exp(np.where(z.real > 0, -z, z)))


def normal_density(z):
    return np.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def normal(z):
    """The normal distribution: of the nearest float64, and the rest to first order."""
    near = z.real.astype(np.float64)
    at_near = np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2, otypes=[np.float64])(near)
    return at_near + normal_density(near) * (z - near)


def expm1_below(z):
    return np.expm1(np.where(z.real > 0, 0, z))


SELU_SCALE, SELU_DEPTH = 1.0507009873554805, 1.0507009873554805 * 1.6732632423543772

ACTIVATE = {
    "identity": lambda z: z,
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "relu": positive,
    "step": lambda z: np.where(z.real > 0, 1, 0),
    "softmax": softmax,
    "leaky_relu": lambda z: np.where(z.real > 0, z, z / 100),
    "elu": lambda z: np.where(z.real > 0, z, expm1_below(z)),
    "selu": lambda z: np.where(z.real > 0, SELU_SCALE * z, SELU_DEPTH * expm1_below(z)),
    "gelu": lambda z: z * normal(z),
    "silu": lambda z: z * sigmoid(z),
    "softplus": softplus,
    "hard_sigmoid": lambda z: np.where(np.abs(z.real) < 3, z + 3, 6 * (z.real > 0)) / 6,
    "exp": np.exp,
}
KINKS = {"relu": 0, "leaky_relu": 0, "elu": 0, "selu": 0, "hard_sigmoid": 3}  # at +-z
DERIVATIVE = {  # from the output y
    "identity": np.ones_like,
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "relu": lambda y: np.where(y > 0, 1, 0),
    "leaky_relu": lambda y: np.where(y > 0, 1, 0.01),
    "elu": lambda y: np.where(y > 0, 1, y + 1),
    "selu": lambda y: np.where(y > 0, SELU_SCALE, y + SELU_DEPTH),
    "softplus": lambda y: -np.expm1(-y),
    "hard_sigmoid": lambda y: np.where((y > 0) & (y < 1), 1 / 6, 0),
    "exp": lambda y: y,
}
DERIVATIVE_FROM_INPUT = {
    "gelu": lambda z: normal(z) + z * normal_density(z),
    "silu": lambda z: sigmoid(z) * (1 + z * sigmoid(-z)),
}


def derivative(name, z, y):
    """dy/dz from net inputs or outputs."""
    if name in DERIVATIVE_FROM_INPUT:
        return DERIVATIVE_FROM_INPUT[name](z)
    return DERIVATIVE[name](y)


def forward(net, params, X):
    """Net inputs and outputs of each layer."""
    zs, ys, y = [], [], X.astype(params.dtype)
    for (weights, bias), name in zip(layers(net, params), net.activations, strict=True):
        z = y @ weights + bias
        y = ACTIVATE[name](z)
        zs.append(z)
        ys.append(y)
    return zs, ys


# ---- losses, averaged over the rows ----


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def absolute(x):
    return np.where(x.real > 0, x, -x)


def squared_error(loss, y, T):
    return (y - T) ** 2 / 2, y - T


def absolute_error(loss, y, T):
    return absolute(y - T), np.sign((y - T).real)


def huber(loss, y, T):
    e, delta = y - T, loss.delta
    inside, sign = absolute(e).real <= delta, np.sign(e.real)
    value = np.where(inside, e**2 / 2, delta * (absolute(e) - delta / 2))
    return value, np.where(inside, e, delta * sign)


def quantile(loss, y, T):
    e, levels = y - T, np.asarray(loss.levels)
    slope = np.where(e.real > 0, 1 - levels, np.where(e.real < 0, -levels, 0))
    return slope * e, slope


def hinge(loss, y, T):
    margin = 1 - T * y
    return positive(margin), np.where(margin.real > 0, -T, 0)


def poisson(loss, z, T):
    value = np.exp(z) - T - T * z + T * np.log(np.where(T > 0, T, 1))
    return value, np.exp(z) - T


def gamma(loss, z, T):
    return T * np.exp(-z) - 1 - np.log(T) + z, 1 - T * np.exp(-z)


def binary_cross_entropy(loss, z, T):
    T = (1 - loss.label_smoothing) * T + loss.label_smoothing / 2
    return softplus(z) - z * T, sigmoid(z) - T


def cross_entropy(loss, z, T):
    T = (1 - loss.label_smoothing) * T + loss.label_smoothing / T.shape[1]
    shifted = z - z.real.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -T * log_p, softmax(z) * T.sum(axis=1, keepdims=True) - T


LOSSES = {
    found.__name__: found
    for found in (
        squared_error, absolute_error, huber, quantile, hinge, poisson, gamma,
        binary_cross_entropy, cross_entropy,
    )
}  # fmt: skip
"""Losses of each output and their derivatives, by the output or the net input."""


def kinks(net, zs, ys, T):
    """Numbers whose sign decides on which side of a kink a net is."""
    named = zip(zs, net.activations, strict=True)
    found = [np.abs(z) - KINKS[name] if KINKS[name] else z for z, name in named if name in KINKS]
    e = ys[-1] - T
    if net.loss.name in ("absolute_error", "quantile"):
        found.append(e)
    elif net.loss.name == "huber":
        found.append(np.abs(e) - net.loss.delta)
    elif net.loss.name == "hinge":
        found.append(1 - T * ys[-1])
    return found


def shares(rows, sample_weight, divisor=None):
    """What each row counts, (rows, 1), or each of its outputs, (rows, n_out).

    It is the weight over the `divisor`, by default the sum of the weights of an output.
    """
    weights = np.ones(rows) if sample_weight is None else np.asarray(sample_weight, np.float64)
    weights = weights.reshape(rows, -1)
    return weights / (divisor or weights.sum() / weights.shape[1] or 1.0)


def penalty(net, params):
    """Of the weights, not of the biases."""
    total = 0.0
    for weights, _ in layers(net, params):
        total = total + net.l1 * absolute(weights).sum() + net.l2 / 2 * (weights**2).sum()
    return total


def loss(net, params, X, T, sample_weight=None):
    zs, ys = forward(net, params, X)
    return loss_of(net, params, zs, ys, T, sample_weight)


def loss_of(net, params, zs, ys, T, sample_weight=None, divisor=None):
    at = zs[-1] if net.loss.from_logits else ys[-1]
    values, _ = LOSSES[net.loss.name](net.loss, at, T)
    return (values * shares(len(T), sample_weight, divisor)).sum() + penalty(net, params)


def output_delta(net, z, y, T, sample_weight, divisor=None):
    """Of the last layer: the derivative by its net inputs."""
    counts = shares(len(T), sample_weight, divisor)
    if net.loss.from_logits:
        return LOSSES[net.loss.name](net.loss, z, T)[1] * counts
    delta = LOSSES[net.loss.name](net.loss, y, T)[1] * counts
    if net.activations[-1] == "softmax":
        return y * (delta - (delta * y).sum(axis=1, keepdims=True))
    return delta * derivative(net.activations[-1], z, y)


def loss_and_grad(net, params, X, T, sample_weight=None, divisor=None):
    zs, ys = forward(net, params, X)
    delta = output_delta(net, zs[-1], ys[-1], T, sample_weight, divisor)
    weights, names = [w for w, _ in layers(net, params)], net.activations
    below = [X.astype(params.dtype), *ys[:-1]]
    pieces = []
    for layer in range(len(weights) - 1, -1, -1):
        w = weights[layer]
        grads = [(below[layer].T @ delta + net.l1 * np.sign(w) + net.l2 * w).T.ravel()]
        if net.bias:
            grads.append(delta.sum(axis=0))
        pieces.insert(0, np.concatenate(grads))
        if layer > 0:
            slopes = derivative(names[layer - 1], zs[layer - 1], below[layer])
            delta = (delta @ w.T) * slopes
    return loss_of(net, params, zs, ys, T, sample_weight, divisor), np.concatenate(pieces)


# ---- derivatives without backpropagation ----


def complex_step(net, params, X, T, indices=None, sample_weight=None):
    """Partial derivatives of the loss to rounding, where all functions are analytic."""
    indices = range(len(params)) if indices is None else indices
    found, h = np.empty(len(indices)), 1e-30
    for i, index in enumerate(indices):
        moved = params.astype(np.complex128)
        moved[index] += 1j * h
        found[i] = loss(net, moved, X, T, sample_weight).imag / h
    return found


def central_differences(net, params, X, T, indices, h=1e-5, sample_weight=None):
    """Partial derivatives in long double; NaN where a step goes over a kink."""
    found = np.full(len(indices), np.nan)
    wide_X, wide_T = X.astype(np.longdouble), T.astype(np.longdouble)
    for i, index in enumerate(indices):
        sides, signs = [], []
        for sign in (1, -1):
            moved = params.astype(np.longdouble)
            moved[index] += sign * h
            zs, ys = forward(net, moved, wide_X)
            sides.append(loss_of(net, moved, zs, ys, wide_T, sample_weight))
            penalized = [moved[index : index + 1]] if net.l1 else []
            signs.append([np.sign(x) for x in kinks(net, zs, ys, wide_T) + penalized])
        if all(np.array_equal(a, b) and a.all() for a, b in zip(*signs, strict=True)):
            found[i] = (sides[0] - sides[1]) / (2 * h)
    return found


# ---- the epoch loop ----


def fit(mlp, X, T, epochs, batch_size, optimizer=None, orders=None, sample_weight=None):
    """What `mlp.fit(X, T)` should do, in float64: parameters, losses by epoch, optimiser.

    `orders` holds the order of the rows of each epoch; as they stand by default.
    """
    net, params = net_of(mlp), mlp.params.astype(np.float64)
    optimizer = optimizer or Formula.of(mlp.optimizer)
    X, T, losses = np.asarray(X, np.float64), np.asarray(T, np.float64), []
    weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, np.float64)
    weights = weights / weights.mean()
    for epoch in range(epochs):
        order, total = np.arange(len(X)) if orders is None else orders[epoch], 0.0
        for first in range(0, len(X), batch_size):
            rows = order[first : first + batch_size]
            batch = X[rows], T[rows], weights[rows], len(rows)
            batch_loss, grad = loss_and_grad(net, params, *batch)
            params = optimizer.update(params, grad, frozen=mlp.frozen)
            total += batch_loss * len(rows) / len(X)
        losses.append(total)
    return params, losses, optimizer


# ---- the order of the rows ----


class RandomStream:
    """SplitMix64 in whole numbers, from the state of a net's stream."""

    def __init__(self, state):
        self.state = int(state)

    def next(self):
        mask = 2**64 - 1
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def permutation(self, count):
        """A random order of the rows, inside out: row i changes places with one before it."""
        order, halves = list(range(count)), []
        for i in range(count):
            if not halves:
                high, low = divmod(self.next(), 2**32)
                halves = [low, high]
            j = (halves.pop() * (i + 1)) >> 32
            order[i], order[j] = order[j], order[i]
        return np.array(order)
