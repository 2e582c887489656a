"""Derivatives: a call from Python, the Jacobian's products, Levenberg-Marquardt."""

from __future__ import annotations

import numpy as np

from fastbp import MLP
from measured import Measured, check_close

LAYERS = (10, 32, 1)
#: Multiply-adds of a forward and a backward pass, for one row.
ROW_FLOPS = 3 * 2 * (10 * 32 + 32)
#: Nets of 61, 385 and 1410 parameters.
SQUARED = {"4-10-1": (4, 10, 1), "10-32-1": (10, 32, 1), "8-32-32-2": (8, 32, 32, 2)}
ROWS = 1_000


def repeated(function, *arguments):
    """Return what calls a function so many times."""

    def repeat(repetitions):
        for _ in range(repetitions):
            function(*arguments)

    return repeat


def net_and_rows(layers, rows, dtype):
    """Return a net of tanh units, inputs and targets, the same at every call."""
    net = MLP(layers, activation="tanh", dtype=dtype, seed=0)
    if not hasattr(net, "jacobian"):
        raise NotImplementedError("this commit has no derivatives but the gradient")
    rng = np.random.default_rng(2)
    X = rng.uniform(-1, 1, (rows, layers[0])).astype(dtype)
    return net, X, rng.standard_normal((rows, layers[-1])).astype(dtype)


class Calls(Measured):
    """Derivatives of one row and of a batch by 10-32-1: what is seen is mostly the call."""

    params = [["loss", "loss_and_grad", "objective", "vjp", "input_gradient"], [1, 32]]
    param_names = ["what", "rows"]

    def setup(self, what, rows):
        net, X, y = net_and_rows(LAYERS, rows, "float32")
        loss, grad = net.loss_and_grad(X, y)
        objective = net.objective(X, y)
        params = net.params.astype("float64")
        error = net.predict(X) - y
        check_close("the loss", loss, (error**2).sum() / (2 * rows), 1e-5)
        check_close("the gradient", net.vjp(X, error / rows)[1], grad, 1e-4)
        check_close("the objective's", objective(params)[1], grad, 1e-5)
        work = {
            "loss": repeated(net.loss, X, y),
            "loss_and_grad": repeated(net.loss_and_grad, X, y),
            "objective": repeated(objective, params),
            "vjp": repeated(net.vjp, X, error),
            "input_gradient": repeated(net.input_gradient, X, y),
        }[what]
        self.measure(work, flops=rows * ROW_FLOPS, cost=1e6)

    def time_call(self, what, rows):
        self.again()

    def track_flops_at_peak(self, what, rows):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"


class Squares(Measured):
    """J^T J of a thousand rows, of which half is needed, and half is counted."""

    params = [list(SQUARED), ["float32", "float64"]]
    param_names = ["net", "dtype"]

    def setup(self, name, dtype):
        net, X, y = net_and_rows(SQUARED[name], ROWS, dtype)
        from fastbp.fit import data
        from fastbp.methods.jacobian import Jacobian

        rows, count = data.rows_and_targets(X, y, None, net)
        of = Jacobian(net, rows, count)
        J = net.jacobian(X).reshape(-1, net.n_params).astype("float64")
        try:
            found = of.squares()
        except TypeError as error:
            raise NotImplementedError("this commit is given the matrix") from error
        check_close("J^T J", np.tril(found), np.tril(J.T @ J) / ROWS, 1e-4)
        n = net.n_params
        flops = ROWS * SQUARED[name][-1] * n * (n + 1)
        self.measure(repeated(of.squares), flops=flops, dtype=dtype)

    def time_squares(self, name, dtype):
        self.again()

    def track_share_of_peak(self, name, dtype):
        return self.share_of_peak()

    track_share_of_peak.unit = "of FMA peak"


class LevenbergMarquardt(Measured):
    """An iteration on the rows of sin in least_squares.py, in float64."""

    iterations = 20

    def setup(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (300, 1))
        y = np.sin(2 * np.pi * X[:, 0])
        net = net_and_rows((1, 10, 1), 1, "float64")[0]
        begin = net.params.copy()
        from fastbp import LevenbergMarquardt

        method = LevenbergMarquardt(tolerance=0.0)

        def work(repetitions):
            for _ in range(repetitions):
                net.params[:] = begin
                net.fit(X, y, method=method, epochs=self.iterations)

        before = net.loss(X, y)
        work(1)
        if not net.loss(X, y) < 0.01 * before:
            raise ValueError(f"the loss was {before} and became {net.loss(X, y)}")
        self.measure(work, flops=300 * 31 * 32, units=self.iterations, dtype="float64", cost=1e7)

    def time_iteration(self):
        self.again()

    def track_flops_at_peak(self):
        return self.flops_at_peak()

    track_flops_at_peak.unit = "flops at the FMA peak"
