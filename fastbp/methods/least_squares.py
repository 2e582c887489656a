"""Levenberg-Marquardt: damped Gauss-Newton steps on a sum of squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.layout import weight_views
from fastbp.kernels.losses import SQUARED_ERROR
from fastbp.kernels.state import L2
from fastbp.methods.cholesky import solver
from fastbp.methods.jacobian import Jacobian
from fastbp.methods.line_search import ROUNDING
from fastbp.methods.method import LOWEST, Method, NotFiniteError, Report
from fastbp.methods.objective import Objective
from fastbp.model.net import Net

LEAST_DAMPING = 1e-20
"""As MATLAB's trainlm: below, so many failures in a row would be needed to get back."""


def check_squares(net: Net, what: str, instead: str) -> None:
    """Raise a ValueError for a loss that is no sum of squares."""
    if net.spec.loss.code != SQUARED_ERROR:
        raise ValueError(
            f"{what} a sum of squares, loss='squared_error'; got loss={net.loss_name!r}. {instead}"
        )


def penalty_diagonal(net: Net, l2: float) -> npt.NDArray[np.float64]:
    """The second derivative of the L2 penalty by each parameter, (n_params,): 0 for the biases."""
    diagonal = np.zeros(net.params.size)
    for weights in weight_views(diagonal, net.layer_table)[0]:
        weights[...] = l2
    return diagonal


@checks.explained_class
@dataclass(frozen=True)
class LevenbergMarquardt(Method):
    """Levenberg-Marquardt: Gauss-Newton steps, damped until they lower the loss.

    For ``loss="squared_error"`` and up to some thousands of parameters: there it reaches in tens of
    iterations what L-BFGS needs thousands for. A step solves (J^T J + l2 + damping I) d = -g with
    the Jacobian J of the weighted residuals, divided by the square root of their number. A step
    that lowers the loss is taken, and the damping multiplied by `decrease`; otherwise it is
    multiplied by `increase`, and the step tried again. An iteration is a step that is taken, with
    the failures before it. The history has its damping as "damping".

    Parameters
    ----------
    tolerance : float, default=1e-7
        See `Method`.
    damping : float, default=1e-3
        Above 0: the first damping. MATLAB's mu.
    increase : float, default=10.0
        Above 1: by what a step that fails multiplies the damping. MATLAB's mu_inc.
    decrease : float, default=0.1
        Above 0 and below 1: by what a step that is taken multiplies it. MATLAB's mu_dec.
    max_damping : float, default=1e10
        Above 0: training stops where a larger one would be needed. MATLAB's mu_max.
    max_params : int, default=3000
        A net with more parameters that are not frozen is refused: J^T J has their square of
        numbers, 72 MB in float64, and as many again while a step is computed, whose time grows
        with the cube.

    Notes
    -----
    Hagan and Menhaj, "Training feedforward networks with the Marquardt algorithm", IEEE Trans.
    Neural Networks 5, 1994, with the rules and defaults of MATLAB's trainlm. J is computed for 128
    rows at a time and never kept.

    Prefer float64, ``MLP(..., dtype="float64")``: J^T J has the square of the condition number of
    J, and in float32 the last digits are lost. Its Cholesky decomposition is SciPy's, or without
    SciPy NumPy's; it is computed in float64 in any case.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, LevenbergMarquardt
    >>> X = np.linspace(-1, 1, 100).reshape(-1, 1)
    >>> net = MLP((1, 10, 1), activation="tanh", dtype="float64", seed=0)
    >>> history = net.fit(X, np.sin(3 * X), epochs=50, method=LevenbergMarquardt(damping=0.01))
    >>> history.loss[-1] < 1e-4
    True
    """

    tolerance: float = 1e-7
    damping: float = 1e-3
    increase: float = 10.0
    decrease: float = 0.1
    max_damping: float = 1e10
    max_params: int = 3000

    name: ClassVar[str] = "lm"
    columns: ClassVar[tuple[str, ...]] = ("damping",)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("damping", self.damping)
        checks.number("increase", self.increase, "above 1", lambda x: x > 1)
        checks.number("decrease", self.decrease, "above 0 and below 1", lambda x: 0 < x < 1)
        checks.positive("max_damping", self.max_damping)
        checks.count("max_params", self.max_params)

    def check(self, net: Net) -> None:
        """See `Method.check`."""
        check_squares(net, "method='lm' takes", "Take method='lbfgs'")
        free = int(np.count_nonzero(~net.frozen))
        if free > self.max_params:
            raise ValueError(
                f"method='lm' takes up to max_params={self.max_params:,} parameters, as its memory "
                f"grows with their square and its time with their cube; got {free:,}. Take "
                f"method='lbfgs', freeze layers, or allow LevenbergMarquardt(max_params={free})"
            )

    def minimise(self, objective: Objective, report: Report) -> str:
        """See `Method.minimise`."""
        system = _NormalEquations(objective)
        damping = float(self.damping)
        while True:
            system.begin()
            while not system.step(damping):
                damping *= self.increase
                if damping > self.max_damping:
                    return LOWEST  # and the caller goes back to where the last iteration ended
            if report(damping=damping):
                return ""
            damping = max(damping * self.decrease, LEAST_DAMPING)


class _NormalEquations:
    """(J^T J + l2 + damping I) d = -g at the parameters of an objective.

    Parameters
    ----------
    objective : Objective
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        net = objective.net
        free = ~net.frozen
        self.jacobian = Jacobian(net, objective.data, objective.rows, free)
        # An index that takes all is a slice: arrays of bool cost small nets a tenth of their time.
        self._free = slice(None) if free.all() else free
        size = self.jacobian.size
        self._l2 = penalty_diagonal(net, float(objective.state.settings[L2]))[free]
        self._damped = np.empty((size, size))
        self._diagonal_of_damped = self._damped.reshape(-1)[:: size + 1]
        self._solve = solver()
        self._epsilon = float(np.finfo(net.dtype).eps)

    def begin(self) -> None:
        """Compute J^T J where the parameters are, and the objective has been evaluated."""
        objective = self.objective
        self._squares = self.jacobian.squares(objective.before_each)
        self._diagonal = self._squares.diagonal() + self._l2
        if not math.isfinite(self._diagonal.sum()):
            raise NotFiniteError
        self.start = objective.params.astype(np.float64)
        self.before = objective.grad.astype(np.float64)
        self.loss = objective.loss
        self._descent = -self.before[self._free]

    def step(self, damping: float) -> bool:
        """Whether a step with this damping lowers the loss; the parameters are those after it."""
        objective = self.objective
        self._damped[...] = self._squares
        self._diagonal_of_damped[...] = self._diagonal + damping
        change = self._solve(self._damped, self._descent)
        if change is None:
            return False
        end = self.start.copy()
        end[self._free] += change
        with np.errstate(over="ignore"):
            objective.params[:] = end
        loss = objective()
        return math.isfinite(loss) and self._decrease(loss) > 0

    def _decrease(self, loss: float) -> float:
        """By how much the loss has fallen; from the slopes where the losses say too little."""
        decrease = self.loss - loss
        if abs(decrease) > ROUNDING * self._epsilon * abs(self.loss):
            return decrease
        change = self.objective.params - self.start
        return -float(change @ (self.objective.grad + self.before)) / 2
