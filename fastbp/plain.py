"""Backpropagation in plain loops: the definition that the fast kernels are tested against.

From top to bottom: a layer, its activation, the losses, then the three passes over a net, forward,
backward and update. Compiled code of your own can call every function. `MLP` computes the same at
many times the speed; ``fastbp/kernels`` is about how.

Legend: B rows of a batch, K inputs of a layer, N its units, E the loss. x (B, K) inputs,
w (N, K) weights, b (N,) biases, z (B, N) net inputs, y (B, N) outputs, t (B, N) targets; d + name
is the derivative of E by it: dw = dE/dw. Functions overwrite their first arguments. Layers count
from 1, layer 0 is the inputs of the net. An activation is one of the codes RELU, TANH, SIGMOID,
SOFTMAX and IDENTITY.

net is a `Net`, work a `Workspace` for batches of some rows, and flat one of its first four arrays.
params has all parameters, grad the derivatives by them, u, m and v their moments. step counts
updates from 1; rate, momentum, beta_1, beta_2 and epsilon are those of the optimisers.

All parameters stand in one flat array, in the order of ``MLP.params``: layer by layer the weights
into unit 0, those into unit 1, ..., then the biases. Arrays are float32 or float64; forward passes
and losses take complex128 too, for derivatives by a complex step.

Backpropagation: Rumelhart, Hinton and Williams 1986, Nature 323. Momentum: Polyak 1964, USSR
Computational Mathematics and Mathematical Physics 4. Adam: Kingma and Ba, ICLR 2015, algorithm 1.
Cross-entropies: Bishop, Pattern Recognition and Machine Learning, 2006, sections 4.3 and 5.2.
Complex step: Squire and Trapp 1998, SIAM Review 40.

Examples
--------
>>> import numpy as np
>>> from fastbp import plain
>>> x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
>>> t = np.array([[0.0], [1.0], [1.0], [0.0]])  # exclusive or
>>> sizes, activations = np.array([2, 4, 1]), np.array([plain.TANH, plain.SIGMOID])
>>> net = plain.Net(sizes, activations, plain.BINARY_CROSS_ENTROPY, bias=True)
>>> params = np.random.default_rng(0).normal(size=plain.n_params(net, 2))
>>> work = plain.workspace(params, net, len(x))
>>> for step in range(1, 301):
...     loss = plain.train_step(params, work, net, x, t, step, 0.1)
>>> plain.forward(work, params, net, x).round().ravel().tolist()
[0.0, 1.0, 1.0, 0.0]
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from fastbp.kernels.activations import IDENTITY, RELU, SIGMOID, SOFTMAX, TANH
from fastbp.kernels.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, SQUARED_ERROR


@njit
def dense_forward(z, x, w, b):
    """z = x w^T + b; without biases b is empty."""
    for row in range(len(x)):
        for n in range(len(w)):
            total = b[n] if len(b) > 0 else 0.0
            for k in range(w.shape[1]):
                total += w[n, k] * x[row, k]
            z[row, n] = total


@njit
def dense_backward(dx, dw, db, dz, x, w):
    """dw = dz^T x, db = sum of dz over the rows, dx = dz w."""
    dx.fill(0)
    dw.fill(0)
    db.fill(0)
    for row in range(len(x)):
        for n in range(len(w)):
            for k in range(w.shape[1]):
                dw[n, k] += dz[row, n] * x[row, k]
                dx[row, k] += dz[row, n] * w[n, k]
            if len(db) > 0:
                db[n] += dz[row, n]


@njit
def log_sum_exp(z):
    """log(exp z_1 + ... + exp z_N), with the largest z taken out: exp does not overflow."""
    top = z[0]
    for n in range(1, len(z)):
        if z[n].real > top.real:
            top = z[n]
    total = 0.0
    for n in range(len(z)):
        total += np.exp(z[n] - top)
    return top + np.log(total)


@njit
def activation_forward(y, z, activation):
    """y from z; softmax is y_n = exp z_n / sum of exp z over the row."""
    for row in range(len(z)):
        log_total = log_sum_exp(z[row]) if activation == SOFTMAX else 0
        for n in range(z.shape[1]):
            if activation == IDENTITY:
                y[row, n] = z[row, n]
            elif activation == SIGMOID:
                y[row, n] = 1 / (1 + np.exp(-z[row, n]))
            elif activation == TANH:
                y[row, n] = np.tanh(z[row, n])
            elif activation == RELU:
                y[row, n] = z[row, n] if z[row, n].real > 0 else 0
            elif activation == SOFTMAX:
                y[row, n] = np.exp(z[row, n] - log_total)
            else:
                raise ValueError("unknown activation")


@njit
def activation_backward(dz, dy, y, activation):
    """dz from dy and the output y; softmax is dz_n = y_n (dy_n - sum of dy y over the row)."""
    for row in range(len(y)):
        mean = 0.0
        for n in range(y.shape[1]):
            mean += dy[row, n] * y[row, n]
        for n in range(y.shape[1]):
            if activation == IDENTITY:
                dz[row, n] = dy[row, n]
            elif activation == SIGMOID:
                dz[row, n] = dy[row, n] * y[row, n] * (1 - y[row, n])
            elif activation == TANH:
                dz[row, n] = dy[row, n] * (1 - y[row, n] * y[row, n])
            elif activation == RELU:
                dz[row, n] = dy[row, n] if y[row, n].real > 0 else 0
            elif activation == SOFTMAX:
                dz[row, n] = y[row, n] * (dy[row, n] - mean)
            else:
                raise ValueError("unknown activation")


@njit
def squared_error(dy, y, t):
    """E = 1/2 (y - t)^2, summed over the outputs, averaged over the rows; dy = (y - t) / B."""
    total = 0.0
    for row in range(len(y)):
        for n in range(y.shape[1]):
            error = y[row, n] - t[row, n]
            total += error * error / 2
            dy[row, n] = error / len(y)
    return total / len(y)


@njit
def softplus(z):
    """log(1 + exp z), which is -log(1 - sigmoid z)."""
    if z.real > 0:
        return z + np.log1p(np.exp(-z))
    return np.log1p(np.exp(z))


@njit
def binary_cross_entropy(dz, y, z, t):
    """E = -t log y - (1 - t) log(1 - y), y = sigmoid z; summed, averaged; dz = (y - t) / B."""
    total = 0.0
    for row in range(len(z)):
        for n in range(z.shape[1]):
            total += t[row, n] * softplus(-z[row, n]) + (1 - t[row, n]) * softplus(z[row, n])
            dz[row, n] = (y[row, n] - t[row, n]) / len(z)
    return total / len(z)


@njit
def cross_entropy(dz, y, z, t):
    """E = -sum of t log y, y = softmax z and sum of t = 1; averaged; dz = (y - t) / B."""
    total = 0.0
    for row in range(len(z)):
        log_total = log_sum_exp(z[row])
        for n in range(z.shape[1]):
            total += t[row, n] * (log_total - z[row, n])
            dz[row, n] = (y[row, n] - t[row, n]) / len(z)
    return total / len(z)


class Net(NamedTuple):
    """A net of L layers, but for its parameters.

    Attributes
    ----------
    sizes : array of int64, shape (L + 1,)
        Inputs, then the units of each layer.
    activations : array of int64, shape (L,)
        Their codes.
    loss : int
        Its code; cross-entropies need the outputs in their docstrings.
    bias : bool
        Whether units have biases.
    """

    sizes: np.ndarray
    activations: np.ndarray
    loss: int
    bias: bool


class Workspace(NamedTuple):
    """What a step writes beside the parameters, in flat arrays.

    Attributes
    ----------
    y, z, dy, dz : array
        Those of all layers, one after the other, layer 0 included.
    grad : array
        In the order of the parameters.
    m, v : array
        Moments of Adam.
    """

    y: np.ndarray
    z: np.ndarray
    dy: np.ndarray
    dz: np.ndarray
    grad: np.ndarray
    m: np.ndarray
    v: np.ndarray


@njit
def workspace(params, net, rows):
    """A workspace for batches of up to `rows` rows, with moments of 0."""
    y = np.zeros(rows * net.sizes.sum(), params.dtype)
    grad = np.zeros_like(params)
    return Workspace(y, y.copy(), y.copy(), y.copy(), grad, grad.copy(), grad.copy())


@njit
def n_params(net, layers):
    """Number of parameters of the first layers."""
    total = 0
    for layer in range(1, layers + 1):
        total += net.sizes[layer] * (net.sizes[layer - 1] + net.bias)
    return total


@njit
def weights_and_biases(params, net, layer):
    """Views w (N, K) and b (N,) of a layer's parameters, or of their gradient."""
    N = net.sizes[layer]
    K = net.sizes[layer - 1]
    layer_params = params[n_params(net, layer - 1) : n_params(net, layer)]
    return layer_params[: N * K].reshape(N, K), layer_params[N * K :]


@njit
def values(flat, net, layer, B):
    """View (B, N) of a layer's part of y, z, dy or dz."""
    N = net.sizes[layer]
    start = B * net.sizes[:layer].sum()
    return flat[start : start + B * N].reshape(B, N)


@njit
def forward(work, params, net, x):
    """Net inputs and outputs of all layers; returns those of the last."""
    B = len(x)
    y = values(work.y, net, 0, B)
    for row in range(B):
        for k in range(net.sizes[0]):
            y[row, k] = x[row, k]
    for layer in range(1, len(net.sizes)):
        w, b = weights_and_biases(params, net, layer)
        z = values(work.z, net, layer, B)
        dense_forward(z, y, w, b)
        y = values(work.y, net, layer, B)
        activation_forward(y, z, net.activations[layer - 1])
    return y


@njit
def loss_and_delta(work, net, t):
    """The loss, and dz of the last layer, where `backward` begins."""
    last = len(net.activations)
    activation = net.activations[-1]
    y = values(work.y, net, last, len(t))
    z = values(work.z, net, last, len(t))
    dy = values(work.dy, net, last, len(t))
    dz = values(work.dz, net, last, len(t))
    if net.loss == SQUARED_ERROR:
        loss = squared_error(dy, y, t)
        activation_backward(dz, dy, y, activation)
        return loss
    if net.loss == BINARY_CROSS_ENTROPY and activation == SIGMOID:
        return binary_cross_entropy(dz, y, z, t)
    if net.loss == CROSS_ENTROPY and activation == SOFTMAX:
        return cross_entropy(dz, y, z, t)
    raise ValueError("unknown loss, or one that needs other outputs")


@njit
def backward(work, params, net, B):
    """The gradient of all layers, the last one first."""
    for layer in range(len(net.sizes) - 1, 0, -1):
        w, _ = weights_and_biases(params, net, layer)
        dw, db = weights_and_biases(work.grad, net, layer)
        dz = values(work.dz, net, layer, B)
        x = values(work.y, net, layer - 1, B)
        dx = values(work.dy, net, layer - 1, B)
        dense_backward(dx, dw, db, dz, x, w)
        if layer > 1:
            dz_below = values(work.dz, net, layer - 1, B)
            activation_backward(dz_below, dx, x, net.activations[layer - 2])


@njit
def sgd(params, u, grad, rate, momentum):
    """u = momentum u + g; w = w - rate u."""
    for i in range(len(params)):
        u[i] = momentum * u[i] + grad[i]
        params[i] -= rate * u[i]


@njit
def adam(params, m, v, grad, step, rate, beta_1, beta_2, epsilon):
    """w = w - rate m_hat / (sqrt(v_hat) + epsilon), in step 1, 2, ...

    m and v are means of g and g^2 that begin at 0, m_hat and v_hat make up for that.
    """
    for i in range(len(params)):
        m[i] = beta_1 * m[i] + (1 - beta_1) * grad[i]
        v[i] = beta_2 * v[i] + (1 - beta_2) * grad[i] * grad[i]
        m_hat = m[i] / (1 - beta_1**step)
        v_hat = v[i] / (1 - beta_2**step)
        params[i] -= rate * m_hat / (np.sqrt(v_hat) + epsilon)


@njit
def train_step(params, work, net, x, t, step, rate):
    """Forward, loss, backward, update; returns the loss before the update."""
    forward(work, params, net, x)
    loss = loss_and_delta(work, net, t)
    backward(work, params, net, len(x))
    adam(params, work.m, work.v, work.grad, step, rate, 0.9, 0.999, 1e-8)
    return loss
