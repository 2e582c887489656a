"""Loss and gradient of all rows as a function of the parameters, for the full-batch methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.fit.evaluation import evaluate
from fastbp.kernels.state import Data, OptimizerState
from fastbp.machine import jit
from fastbp.methods import kernels
from fastbp.model.net import FloatArray, Net


class Objective:
    """Loss and gradient of a net on all rows, at its current parameters.

    Parameters
    ----------
    net : Net
        Evaluated at its current parameters.
    data : Data
    rows : int
    state : OptimizerState
        Only its penalties are used.
    before_each : callable, optional
        Called before each evaluation; an exception from it ends the minimisation.

    Attributes
    ----------
    params : array, shape (n_params,)
        The parameters of the net, not a copy.
    grad : array, shape (n_params,)
        The gradient of the last evaluation; 0 for frozen parameters.
    loss : float
        The loss of the last evaluation.
    evaluations : int
        Number of evaluations so far.
    before_each : callable or None
        As given.
    """

    def __init__(
        self, net: Net, data: Data, rows: int, state: OptimizerState,
        before_each: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.net = net
        self.data = data
        self.rows = rows
        self.state = state
        self.params = net.params
        self.grad = np.empty_like(net.params)
        self.loss = np.nan
        self.evaluations = 0
        self.before_each = before_each

    def __call__(self) -> float:
        """Evaluate; returns the loss."""
        if self.before_each is not None:
            self.before_each()
        self.loss = evaluate(self.net, self.data, self.rows, self.state, self.grad)
        self.evaluations += 1
        if self.net.frozen.any():
            self.grad[self.net.frozen] = 0.0
        return self.loss

    def dot(self, x: FloatArray, y: FloatArray) -> float:
        """x . y, summed in float64 block by block."""
        return float(jit.call(kernels.dot, self.params.dtype.char, x, y))

    def combine(self, out: FloatArray, x: FloatArray, y: FloatArray, a: float, b: float) -> None:
        """out = a x + b y; `out` may be x or y."""
        jit.call(kernels.combine, out.dtype.char, out, x, y, a, b)

    def rprop(self, buffers: tuple[FloatArray, ...], settings: Any, back: bool) -> None:
        """A step of Rprop on the parameters; `buffers` are signs, step sizes and last changes."""
        arguments = (self.params, self.grad, *buffers, settings, back)
        jit.call(kernels.rprop, self.params.dtype.char, *arguments)


def scipy_lbfgs(
    objective: Objective, end_iteration: Callable[[Any], None], options: dict[str, float]
) -> Any:
    """Minimise with SciPy's L-BFGS-B, without bounds, starting from the current parameters.

    Parameters
    ----------
    objective : Objective
        Its parameters become those of the last evaluation, which need not be the best.
    end_iteration : callable
        Called with SciPy's ``intermediate_result``; a StopIteration ends the minimisation.
    options : dict of str to float
        See `scipy.optimize.minimize`, method "L-BFGS-B".

    Returns
    -------
    scipy.optimize.OptimizeResult

    Raises
    ------
    ImportError
        Without SciPy.
    """
    try:
        import scipy.optimize
    except ImportError as error:
        raise ImportError(
            "L-BFGS needs SciPy: pip install scipy. method='conjugate_gradient' works without it"
        ) from error

    def value(params: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """Loss and gradient in float64, in which SciPy computes."""
        objective.params[:] = params
        loss = objective()
        return loss, objective.grad.astype(np.float64)

    def callback(intermediate_result: Any) -> None:
        end_iteration(intermediate_result)

    return scipy.optimize.minimize(
        value, objective.params.astype(np.float64), method="L-BFGS-B", jac=True,
        callback=callback, options=options,
    )  # fmt: skip
