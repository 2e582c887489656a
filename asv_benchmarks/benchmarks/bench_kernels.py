"""Single kernels: the three products of a layer, activations, losses, steps of optimisers."""

from __future__ import annotations

import numpy as np

from activations import NUMPY
from fastbp import MLP, losses, optimizers
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.kernels.updates import NO_UPDATE
from harness import (
    Square,
    activate,
    forward,
    input_gradient,
    loss_and_delta,
    update,
    weight_gradient,
)
from measured import Measured, check_close, tolerance_of

BATCH = 128
DTYPES = ["float32", "float64"]
WIDTHS = [8, 17, 32, 64, 100, 128, 256, 512]
#: Of activations and losses.
ELEMENTS = 10_000
#: The two values of a loss's targets where they are not 0 and 1.
TARGETS = {"hinge": (-1.0, 1.0), "gamma": (0.5, 2.0)}
#: Of an update: they stand in the second cache with their slots.
PARAMETERS = 20_000


class Product(Measured):
    """The products of a square layer and a batch of 128 rows."""

    params = [WIDTHS, DTYPES]
    param_names = ["width", "dtype"]
    square = None

    def prepare(self, width, dtype):
        """Make the layer once: asv sets up again before each sample."""
        if self.square is None:
            self.square = Square.of(width, BATCH, dtype)
        self.weights = self.square.net.weights[1]
        return self.square, self.square.matrices

    def measure_product(self, work, width, dtype):
        self.measure(
            work, flops=2 * width * width * BATCH, dtype=dtype, cost=3 * width * width * BATCH
        )


class Forward(Product):
    """Z = W X + bias."""

    def setup(self, width, dtype):
        square, m = self.prepare(width, dtype)

        def work(repetitions):
            forward(square.network, square.work, BATCH, repetitions)

        self.measure_product(work, width, dtype)
        expected = self.weights.T @ m["X"] + square.net.biases[1][:, None]
        check_close("Z", m["Z"], expected, tolerance_of(dtype))

    def time_product(self, width, dtype):
        self.again()

    def track_share_of_peak(self, width, dtype):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"


class InputGradient(Product):
    """dX = W^T D."""

    def setup(self, width, dtype):
        square, m = self.prepare(width, dtype)

        def work(repetitions):
            input_gradient(square.network, square.work, BATCH, repetitions)

        self.measure_product(work, width, dtype)
        check_close("dX", m["below"], self.weights @ m["D"], tolerance_of(dtype))

    def time_product(self, width, dtype):
        self.again()

    def track_share_of_peak(self, width, dtype):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"


class WeightGradient(Product):
    """dW = D X^T, with the transposition of X and the gradient of the biases."""

    def setup(self, width, dtype):
        square, m = self.prepare(width, dtype)
        state = square.net._state()._replace(code=NO_UPDATE)
        gradient = np.zeros_like(square.net.params)

        def work(repetitions):
            weight_gradient(square.network, square.work, state, gradient, BATCH, repetitions)

        self.measure_product(work, width, dtype)
        found = gradient[-width * (width + 1) : -width].reshape(width, width)
        check_close("dW", found, m["D"] @ m["X"].T, tolerance_of(dtype))

    def time_product(self, width, dtype):
        self.again()

    def track_share_of_peak(self, width, dtype):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"


class Activation(Measured):
    """An activation of 10,000 numbers, again and again in place: no branch depends on them."""

    params = [list(NUMPY), DTYPES]
    param_names = ["activation", "dtype"]

    def setup(self, activation, dtype):
        z = np.random.default_rng(0).uniform(-4.0, 4.0, ELEMENTS).astype(dtype)
        y, slope, code = z.copy(), np.empty_like(z), ACTIVATIONS[activation]

        def work(repetitions):
            activate(code, y, slope, repetitions)

        self.measure(work, flops=1, units=ELEMENTS, dtype=dtype, cost=40)
        check_close(activation, y, NUMPY[activation](z.astype(np.float64)), tolerance_of(dtype))

    def time_element(self, activation, dtype):
        self.again()

    def track_flops_at_peak(self, activation, dtype):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"


class Loss(Measured):
    """A loss and its delta of 1,000 rows of 10 outputs."""

    params = [list(losses.LOSSES), DTYPES]
    param_names = ["loss", "dtype"]

    def setup(self, loss, dtype):
        of, outputs = losses.LOSSES[loss](), 10
        rng, rows = np.random.default_rng(4), ELEMENTS // outputs
        y = rng.standard_normal((outputs, rows)).astype(dtype)
        target = np.where(rng.random((outputs, rows)) < 0.5, *TARGETS.get(loss, (0.0, 1.0)))
        target = target.astype(dtype)
        share, numbers = np.full(rows, 1 / rows, dtype), of.numbers(outputs)
        delta = np.empty_like(y)

        def value(y):
            flat = delta.ravel(), y.ravel(), target.ravel()
            return loss_and_delta(of.code, *flat, share, numbers, outputs, rows, 1)

        def work(repetitions):
            flat = delta.ravel(), y.ravel(), target.ravel()
            loss_and_delta(of.code, *flat, share, numbers, outputs, rows, repetitions)

        value(y)
        slope = delta.astype(np.float64)
        step = (0.01 * np.sign(delta)).astype(dtype)  # along it all parts of the change add up
        change = value(y + step) - value(y - step)
        self.measure(work, flops=1, units=ELEMENTS, dtype=dtype, cost=40)
        check_close("the change along the delta", change, 2 * (slope * step).sum(), 0.05)

    def time_element(self, loss, dtype):
        self.again()

    def track_flops_at_peak(self, loss, dtype):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"


class Update(Measured):
    """A step of an optimiser on 20,000 parameters."""

    params = [list(optimizers.OPTIMIZERS), DTYPES]
    param_names = ["optimizer", "dtype"]

    def setup(self, optimizer, dtype):
        net = MLP((PARAMETERS, 1), bias=False, optimizer=optimizer, dtype=dtype, seed=0)
        gradient = np.random.default_rng(5).standard_normal(PARAMETERS).astype(dtype)
        state, before = net._state(), net.params.copy()

        def work(repetitions):
            update(state, net.params, gradient, repetitions)

        self.measure(work, flops=1, units=PARAMETERS, dtype=dtype, cost=60)
        moved = np.sign(before - net.params)
        check_close("the way of the first update", moved, np.sign(gradient), 1e-2)

    def time_parameter(self, optimizer, dtype):
        self.again()

    def track_flops_at_peak(self, optimizer, dtype):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"
