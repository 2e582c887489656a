"""Single kernels: the three products of a layer, activations, losses, steps of optimisers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

import names
from fastbp import MLP
from measured import Measured, check_close, tolerance_of

if names.KERNELS:  # else all but the kernels is measured
    import harness

BATCH = 128
DTYPES = ["float32", "float64"]
WIDTHS = [8, 17, 32, 64, 100, 128, 256, 512]
#: Elements of activations and losses.
ELEMENTS = 10_000
#: The two values of a loss's targets where they are not 0 and 1.
TARGETS = {"hinge": (-1.0, 1.0), "gamma": (0.5, 2.0)}
#: Parameters of an update: they stay in the second cache with their slots.
PARAMETERS = 20_000
# By name, and not from fastbp's tables, which differ from commit to commit.
LOSSES = (
    "squared_error absolute_error huber quantile hinge poisson gamma binary_cross_entropy "
    "cross_entropy"
).split()
SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772
#: What each activation computes.
NUMPY: dict[str, Callable[[NDArray], NDArray]] = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "hard_sigmoid": lambda z: np.clip(z + 3, 0, 6) / 6,
    "exp": np.exp,
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2))) / 2,
}
OPTIMIZERS = "sgd adam adamw amsgrad nadam rmsprop adagrad adadelta lion".split()


class _Kernel(Measured):
    """A kernel in a compiled loop of its own; a subclass defines `prepare`."""

    def setup(self, *params):
        if not names.KERNELS:
            raise NotImplementedError("this commit has other kernels")
        self.prepare(*params)


class _Product(_Kernel):
    """A product of a square layer and a batch of 128 rows."""

    params = [WIDTHS, DTYPES]
    param_names = ["width", "dtype"]
    square = None

    def prepare(self, width, dtype):
        if self.square is None:  # asv sets up again before each sample
            self.square = harness.Square.of(width, BATCH, dtype)
        square = self.square
        flops = 2 * width * width * BATCH
        self.measure(self.product_of(square), flops=flops, dtype=dtype, cost=1.5 * flops)
        found, expected = self.compare(square, square.matrices, square.net.weights[1])
        check_close("the product", found, expected, tolerance_of(dtype))

    def time_product(self, width, dtype):
        self.again()

    def track_share_of_peak(self, width, dtype):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"


class Forward(_Product):
    """Z = W X + bias."""

    def product_of(self, square):
        return partial(harness.forward, square.network, square.work, BATCH)

    def compare(self, square, m, weights):
        return m["Z"], weights.T @ m["X"] + square.net.biases[1][:, None]


class InputGradient(_Product):
    """dX = W^T D."""

    def product_of(self, square):
        return partial(harness.input_gradient, square.network, square.work, BATCH)

    def compare(self, square, m, weights):
        return m["below"], weights @ m["D"]


class WeightGradient(_Product):
    """dW = D X^T, with the transposition of X and the gradient of the biases."""

    def product_of(self, square):
        state = names.optimizer_state(square.net)._replace(code=names.NO_UPDATE)
        self.gradient = np.zeros_like(square.net.params)
        net, work = square.network, square.work
        return partial(harness.weight_gradient, net, work, state, self.gradient, BATCH)

    def compare(self, square, m, weights):
        n = len(weights)
        return self.gradient[-n * (n + 1) : -n].reshape(n, n), m["D"] @ m["X"].T


class _Elements(_Kernel):
    """A pass over elements: what one costs in operations at the FMA peak."""

    def track_flops_at_peak(self, name, dtype):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"


class Activation(_Elements):
    """An activation of 10,000 values, again and again in place: no branch depends on them."""

    params = [list(NUMPY), DTYPES]
    param_names = ["activation", "dtype"]

    def prepare(self, name, dtype):
        z = np.random.default_rng(0).uniform(-4.0, 4.0, ELEMENTS).astype(dtype)
        y = z.copy()
        slope = np.empty_like(z)
        code = names.ACTIVATIONS[name]
        work = partial(harness.activate, code, y, slope)
        self.measure(work, flops=1, units=ELEMENTS, dtype=dtype, cost=40)
        check_close(name, y, NUMPY[name](z.astype(np.float64)), tolerance_of(dtype))

    def time_element(self, name, dtype):
        self.again()


class Loss(_Elements):
    """A loss and its delta of 1,000 rows of 10 outputs."""

    params = [LOSSES, DTYPES]
    param_names = ["loss", "dtype"]

    def prepare(self, name, dtype):
        loss = names.LOSSES[name]()
        outputs = 10
        rows = ELEMENTS // outputs
        rng = np.random.default_rng(4)
        y = rng.standard_normal((outputs, rows)).astype(dtype)
        target = np.where(rng.random((outputs, rows)) < 0.5, *TARGETS.get(name, (0.0, 1.0)))
        share = np.full(rows, 1 / rows, dtype)
        parameters = names.loss_parameters(loss)(outputs)
        target = target.astype(dtype).ravel()
        delta = np.empty(y.size, dtype)

        def value(y, repetitions=1):
            return harness.loss_and_delta(
                loss.code, delta, y.ravel(), target, share, parameters, outputs, rows, repetitions
            )

        value(y)
        slope = delta.reshape(y.shape).astype(np.float64)
        step = (0.01 * np.sign(slope)).astype(dtype)  # along it all parts of the change add up
        change = value(y + step) - value(y - step)
        self.measure(partial(value, y), flops=1, units=ELEMENTS, dtype=dtype, cost=40)
        check_close("the change along the delta", change, 2 * (slope * step).sum(), 0.05)

    def time_element(self, name, dtype):
        self.again()


class Update(_Elements):
    """A step of an optimiser on 20,000 parameters."""

    params = [OPTIMIZERS, DTYPES]
    param_names = ["optimizer", "dtype"]

    def prepare(self, name, dtype):
        net = MLP((PARAMETERS, 1), bias=False, optimizer=name, dtype=dtype, seed=0)
        gradient = np.random.default_rng(5).standard_normal(PARAMETERS).astype(dtype)
        state = names.optimizer_state(net)
        before = net.params.copy()
        work = partial(harness.updates, state, net.params, gradient)
        self.measure(work, flops=1, units=PARAMETERS, dtype=dtype, cost=60)
        moved = np.sign(before - net.params)
        check_close("the direction of the first update", moved, np.sign(gradient), 1e-2)

    def time_parameter(self, name, dtype):
        self.again()
