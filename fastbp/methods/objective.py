"""Loss and gradient of all rows as a function of the parameters, for methods that minimise it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.fit.fit import evaluate
from fastbp.kernels.state import Data, OptimizerState
from fastbp.machine.jit import ready
from fastbp.methods import kernels as descent
from fastbp.model.net import FloatArray, Net


class Objective:
    """Loss and gradient of a net on all rows, wherever its parameters are.

    Parameters
    ----------
    net : Net
        Evaluated at what its parameters are.
    data : Data
    rows : int
    state : OptimizerState
        Of which the penalties count.
    before_each : callable, optional
        Called before each evaluation; what it raises ends the minimisation.

    Attributes
    ----------
    params : array, shape (n_params,)
        Those of the net.
    grad : array, shape (n_params,)
        Of the last evaluation; 0 for frozen parameters.
    loss : float
        Of the last evaluation.
    evaluations : int
        How often loss and gradient were computed.
    """

    def __init__(
        self, net: Net, data: Data, rows: int, state: OptimizerState,
        before_each: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        self.net, self.data, self.rows, self.state = net, data, rows, state
        self.params, self.grad = net.params, np.empty_like(net.params)
        self.loss, self.evaluations, self._before_each = np.nan, 0, before_each

    def __call__(self) -> float:
        """Evaluate; returns the loss."""
        if self._before_each is not None:
            self._before_each()
        self.loss = evaluate(self.net, self.data, self.rows, self.state, self.grad)
        self.evaluations += 1
        if self.net.frozen.any():
            self.grad[self.net.frozen] = 0.0
        return self.loss

    def dot(self, x: FloatArray, y: FloatArray) -> float:
        """x . y, summed in float64 block by block."""
        return float(_call(descent.dot, self.params.dtype.char, x, y))

    def combine(
        self, out: FloatArray, x: FloatArray, y: FloatArray, of_x: float, of_y: float
    ) -> None:
        """out = of_x x + of_y y; `out` may be one of the two."""
        _call(descent.combine, out.dtype.char, out, x, y, of_x, of_y)

    def rprop(self, buffers: tuple[FloatArray, ...], numbers: Any, back: bool) -> None:
        """A step of Rprop on the parameters; its buffers are the signs, the sizes, the changes."""
        arguments = (self.params, self.grad, *buffers, numbers, back)
        _call(descent.rprop, self.params.dtype.char, *arguments)


def _call(function: Any, char: str, *arguments: Any) -> Any:
    ready(function, char, arguments)
    return function(*arguments)


def scipy_lbfgs(
    objective: Objective, end_iteration: Callable[[Any], None], options: dict[str, float]
) -> Any:
    """Minimise by SciPy's L-BFGS-B, without bounds, from where the parameters are.

    Parameters
    ----------
    objective : Objective
        Its parameters become those that were last asked for, not the best.
    end_iteration : callable
        Given SciPy's ``intermediate_result``; a StopIteration ends the minimisation.
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
            "L-BFGS needs SciPy: pip install 'fastbp[sklearn]', or pip install scipy. "
            "method='conjugate_gradient' needs nothing"
        ) from error

    def value(params: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        """In float64, whatever the net's dtype: SciPy computes in it."""
        objective.params[:] = params
        loss = objective()
        return loss, objective.grad.astype(np.float64)

    def callback(intermediate_result: Any) -> None:
        end_iteration(intermediate_result)

    return scipy.optimize.minimize(
        value, objective.params.astype(np.float64), method="L-BFGS-B", jac=True,
        callback=callback, options=options,
    )  # fmt: skip
