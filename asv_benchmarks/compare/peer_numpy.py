"""The same training written by hand in NumPy, for speed: nothing is allocated in a step.

Shapes: `B` rows of a batch, `K` inputs and `N` outputs of a layer.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compare.peer_base import BETA1, BETA2, EPSILON, LEARNING_RATE, Peer


def activate(name: str, z: NDArray) -> None:
    """Replace the sums `z` by the activation of them, in place."""
    if name == "relu":
        np.maximum(z, 0, out=z)
    elif name == "tanh":
        np.tanh(z, out=z)
    elif name == "sigmoid":
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1
        np.reciprocal(z, out=z)
    else:
        raise ValueError(f"no activation {name!r}")


def slope(name: str, y: NDArray, out: NDArray) -> None:
    """Write the derivative of the activation, at its output `y`, into `out`."""
    if name == "relu":
        np.greater(y, 0, out=out)
    elif name == "tanh":
        np.multiply(y, y, out=out)
        np.subtract(1, out, out=out)
    elif name == "sigmoid":
        np.subtract(1, y, out=out)
        out *= y
    else:
        raise ValueError(f"no activation {name!r}")


class NumPy(Peer):
    """NumPy by hand: forward and backward pass and Adam, all into arrays that are kept.

    All parameters stand in one flat array, and so do their gradient and the means of Adam, so
    that an update is a dozen calls for any number of layers.
    """

    name = "numpy"
    title = "NumPy"
    package = "numpy"

    def setup(self) -> None:
        """Make all arrays that training needs."""
        pairs = self.workload.pairs
        batch = self.workload.batch_size
        size = sum((n_in + 1) * n_out for n_in, n_out in pairs)
        self.flat, self.gradient, self.m, self.v, self.scratch = np.zeros((5, size), self.dtype)
        self.weights, self.biases = self.views(self.flat)
        self.dweights, self.dbiases = self.views(self.gradient)
        widths = self.workload.layer_sizes
        # y[0] is the batch, y[i] what layer i puts out; dz[i] is the gradient of its sums.
        self.y = [np.empty((batch, n), self.dtype) for n in widths]
        self.dz = [np.empty((batch, n), self.dtype) for n in widths[1:]]
        self.slopes = [np.empty((batch, n), self.dtype) for n in widths[1:-1]]
        self.targets = np.empty((batch, widths[-1]), self.dtype)

    def views(self, flat: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        """Return the weights, (K, N), and biases, (N,), of every layer in a flat array."""
        weights = []
        biases = []
        start = 0
        for n_in, n_out in self.workload.pairs:
            end = start + n_in * n_out
            weights.append(flat[start:end].reshape(n_in, n_out))
            biases.append(flat[end : end + n_out])
            start = end + n_out
        return weights, biases

    def reset(self) -> None:
        """Go back to the initial weights and means of zero."""
        for array in (self.flat, self.m, self.v):
            array[...] = 0
        for weights, initial in zip(self.weights, self.workload.weights(self.dtype), strict=True):
            weights[...] = initial
        self.updates = 0
        self.rng = np.random.default_rng(0)

    def epoch(self, shuffle: bool = True) -> None:
        """Train for one epoch, gathering each batch by index."""
        batch = self.workload.batch_size
        n = self.workload.rows_used
        order = self.rng.permutation(n) if shuffle else np.arange(n)
        for rows in order.reshape(-1, batch):
            # "clip" writes straight into `out`; every index is in range.
            self.X.take(rows, 0, out=self.y[0], mode="clip")
            self.Y.take(rows, 0, out=self.targets, mode="clip")
            self.forward()
            self.backward()
            self.adam()

    def forward(self) -> None:
        """Compute y[i + 1] = activation(y[i] W[i] + b[i]), without activation in the last layer."""
        last = len(self.weights) - 1
        for i, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = self.y[i + 1]
            np.matmul(self.y[i], weights, out=z)
            z += biases
            if i < last:
                activate(self.workload.activation, z)

    def backward(self) -> None:
        """Compute dW[i] = y[i]^T dz[i], db[i] = sums of dz[i], dz[i - 1] = dz[i] W[i]^T * slope."""
        last = len(self.weights) - 1
        np.subtract(self.y[-1], self.targets, out=self.dz[last])
        self.dz[last] *= 1 / self.workload.batch_size
        for i in range(last, -1, -1):
            dz = self.dz[i]
            np.matmul(self.y[i].T, dz, out=self.dweights[i])
            np.add.reduce(dz, axis=0, out=self.dbiases[i])
            if i > 0:
                slope(self.workload.activation, self.y[i], self.slopes[i - 1])
                np.matmul(dz, self.weights[i].T, out=self.dz[i - 1])
                self.dz[i - 1] *= self.slopes[i - 1]

    def adam(self) -> None:
        """Update all parameters; both corrections of the bias are moved into two factors."""
        self.updates += 1
        correction = (1 - BETA2**self.updates) ** 0.5
        rate = LEARNING_RATE * correction / (1 - BETA1**self.updates)
        g, m, v, scratch = self.gradient, self.m, self.v, self.scratch
        m *= BETA1
        np.multiply(g, 1 - BETA1, out=scratch)
        m += scratch
        v *= BETA2
        np.multiply(g, g, out=scratch)
        scratch *= 1 - BETA2
        v += scratch
        np.sqrt(v, out=scratch)
        scratch += EPSILON * correction
        np.divide(m, scratch, out=scratch)
        scratch *= rate
        self.flat -= scratch

    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs."""
        y = X
        last = len(self.weights) - 1
        for i, (weights, biases) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = y @ weights
            y += biases
            if i < last:
                activate(self.workload.activation, y)
        return y

    def parameters(self) -> list[NDArray]:
        """Return copies of the weights and biases."""
        return [array.copy() for array in (*self.weights, *self.biases)]
