"""The full-batch methods: they minimise the loss of all rows, for ``fit(X, y, method=...)``.

They work on an `Objective` and the flat buffers of parameters and gradient. The loops over these
buffers are in ``methods/kernels.py``; here are the hyper-parameters and the decisions of an
iteration. Levenberg-Marquardt has a file of its own, ``least_squares.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from fastbp import checks
from fastbp.methods.kernels import RpropSettings
from fastbp.methods.least_squares import LevenbergMarquardt
from fastbp.methods.line_search import ROUNDING, Point, StrongWolfe, Wolfe
from fastbp.methods.method import LOWEST, Method, NotFiniteError, Report
from fastbp.methods.objective import Objective, scipy_lbfgs

MOST_FAILURES = 60
"""Failed steps in a row that scaled conjugate gradients allow: each is at most half as long."""


class _AlongDirections(Method):
    """Descent along directions d = -g + beta d, each with a line search."""

    curvature: float

    def beta(self, objective: Objective, before: Any, square_before: float, square: float) -> float:
        """beta of the next direction, from the previous gradient and the squares of both."""
        return 0.0

    def minimise(self, objective: Objective, report: Report) -> str:
        """See `Method.minimise`."""
        params, grad = objective.params, objective.grad
        start = params.copy()
        direction = -grad
        before = grad.copy()
        square = objective.dot(grad, grad)
        slope = -square
        last = None
        since = 0
        wolfe = Wolfe(curvature=self.curvature)
        epsilon = float(np.finfo(params.dtype).eps)

        def at(step: float) -> Point:
            objective.combine(params, start, direction, 1.0, step)
            loss = objective()
            if not math.isfinite(loss):
                return Point(step, math.inf, math.nan)
            return Point(step, loss, objective.dot(grad, direction))

        while slope < 0:
            origin = Point(0.0, objective.loss, slope)
            first = min(1.0, 1.0 / float(np.abs(grad).sum())) if last is None else last / slope
            point = StrongWolfe(at, origin, wolfe, epsilon).find(first)
            if point is None:
                params[:] = start
                if since == 0:
                    break
                grad[:] = before  # of `start`, along which the next search goes
                objective.loss = origin.loss
                since = 0
                last = None
                objective.combine(direction, grad, grad, -1.0, 0.0)
                slope = -square
                continue
            if report():
                return ""
            start[:] = params
            since += 1
            square_before = square
            square = objective.dot(grad, grad)
            beta = self.beta(objective, before, square_before, square)
            before[:] = grad
            last = point.step * slope
            if beta == 0 or since >= params.size:
                beta = 0.0
                since = 0
            objective.combine(direction, grad, direction, -1.0, beta)
            slope = objective.dot(grad, direction)
            if slope >= 0:
                objective.combine(direction, grad, grad, -1.0, 0.0)
                slope = -square
                since = 0
        return LOWEST


@checks.explained_class
@dataclass(frozen=True)
class GradientDescent(_AlongDirections):
    """Gradient descent on all rows: steps along -g, whose length a line search finds.

    Parameters
    ----------
    tolerance : float, default=1e-5
        See `Method`.
    curvature : float, default=0.9
        c2 of the strong Wolfe conditions, above 1e-4 (their c1) and below 1. A smaller one makes
        the line search more exact and more expensive.

    Notes
    -----
    Line search: `fastbp.methods.line_search.StrongWolfe`. The first trial step of an iteration
    promises the same first-order decrease as the previous step (Nocedal and Wright 2006, section
    3.5).

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, GradientDescent
    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> net = MLP((1, 8, 1), activation="tanh", dtype="float64", seed=0)
    >>> history = net.fit(X, X**2, epochs=200, method=GradientDescent(curvature=0.5))
    >>> bool(history["gradient_norm"][-1] < 0.05 * history["gradient_norm"][0])
    True
    """

    curvature: float = 0.9

    name: ClassVar[str] = "gradient_descent"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_curvature(self.curvature)


@checks.explained_class
@dataclass(frozen=True)
class ConjugateGradient(_AlongDirections):
    """Nonlinear conjugate gradients: directions d = -g + beta d, each with a line search.

    Parameters
    ----------
    tolerance : float, default=1e-5
        See `Method`.
    curvature : float, default=0.1
        As in `GradientDescent`; the line search is the same.
    update : {"polak_ribiere", "fletcher_reeves"}, default="polak_ribiere"
        beta is max(g . (g - g'), 0) / g' . g' with the previous gradient g' (Polak and Ribiere
        1969, cut off at 0 as in Powell 1984), or g . g / g' . g' (Fletcher and Reeves 1964).

    Notes
    -----
    Nocedal and Wright 2006, section 5.2. The direction is reset to -g after as many iterations as
    there are parameters, when two gradients are far from orthogonal (|g . g'| >= 0.2 g . g, Powell
    1977; with Fletcher and Reeves), when beta is 0, and when it is not a direction of descent.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, ConjugateGradient
    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> net = MLP((1, 8, 1), activation="tanh", dtype="float64", seed=0)
    >>> history = net.fit(X, X**2, epochs=200, method=ConjugateGradient(update="fletcher_reeves"))
    >>> bool(history["gradient_norm"][-1] < 0.05 * history["gradient_norm"][0])
    True
    """

    curvature: float = 0.1
    update: str = "polak_ribiere"

    name: ClassVar[str] = "conjugate_gradient"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_curvature(self.curvature)
        checks.choice("update", self.update, ("polak_ribiere", "fletcher_reeves"))

    def beta(self, objective: Objective, before: Any, square_before: float, square: float) -> float:
        """See `_AlongDirections.beta`."""
        product = objective.dot(objective.grad, before)
        if self.update == "polak_ribiere":
            return max(square - product, 0.0) / square_before
        return 0.0 if abs(product) >= 0.2 * square else square / square_before


def _check_curvature(value: Any) -> None:
    checks.number("curvature", value, "above 1e-4 and below 1", lambda x: 1e-4 < x < 1)


@checks.explained_class
@dataclass(frozen=True)
class ScaledConjugateGradient(Method):
    """Scaled conjugate gradients: the step length comes from the curvature, without line search.

    An iteration evaluates the gradient twice: a short distance along the direction, for the
    curvature, and after the step; more often if the step does not lower the loss and is shortened.

    Parameters
    ----------
    tolerance : float, default=1e-5
        See `Method`.
    sigma : float, default=1e-4
        Above 0: how far along the direction the curvature is measured.
    first_lambda : float, default=1e-6
        Above 0: the first value that is added to the curvature.

    Notes
    -----
    Moller, "A scaled conjugate gradient algorithm for fast supervised learning", Neural Networks
    6, 1993, page 530. An iteration here is a successful one of his, with the failed ones before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, ScaledConjugateGradient
    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> net = MLP((1, 8, 1), activation="tanh", dtype="float64", seed=0)
    >>> history = net.fit(X, X**2, epochs=200, method=ScaledConjugateGradient())
    >>> bool(history["gradient_norm"][-1] < 0.05 * history["gradient_norm"][0])
    True
    """

    sigma: float = 1e-4
    first_lambda: float = 1e-6

    name: ClassVar[str] = "scaled_conjugate_gradient"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("sigma", self.sigma)
        checks.positive("first_lambda", self.first_lambda)

    def minimise(self, objective: Objective, report: Report) -> str:
        """See `Method.minimise`; p is the direction, mu, delta and alpha are Moller's."""
        params = objective.params
        grad = objective.grad
        dot = objective.dot
        start = params.copy()
        p = -grad
        before = grad.copy()
        damping = self.first_lambda
        since = 0
        square = dot(grad, grad)
        while square > 0:
            length = dot(p, p)
            mu = -dot(p, before)
            if mu <= 0 or since == params.size:
                objective.combine(p, before, before, -1.0, 0.0)
                length = square
                mu = square
                since = 0
            trial = _Trial(objective, start, p, before, mu, length)
            trial.measure_curvature(self.sigma)
            for _ in range(MOST_FAILURES):
                damping, gain = trial.step(damping)
                if gain >= 0:
                    break
                damping = trial.more_damping(damping, gain)
            else:
                return LOWEST
            if report():
                return ""
            start[:] = params
            since += 1
            square = dot(grad, grad)
            beta = (square - dot(grad, before)) / mu
            objective.combine(p, grad, p, -1.0, beta)
            before[:] = grad
            if gain >= 0.75:
                damping /= 4
            elif gain < 0.25:
                damping = trial.more_damping(damping, gain)
        return LOWEST


class _Trial:
    """The trial steps of an iteration of scaled conjugate gradients along its direction.

    Parameters
    ----------
    objective : Objective
    start, p, before : array
        Parameters at the start of the iteration, its direction, and the gradient at the start.
    mu, length : float
        -p . before and p . p.
    """

    def __init__(
        self, objective: Objective, start: Any, p: Any, before: Any, mu: float, length: float
    ) -> None:
        self.objective = objective
        self.start = start
        self.p = p
        self.before = before
        self.mu = mu
        self.length = length
        self.loss = objective.loss
        self.noise = ROUNDING * float(np.finfo(start.dtype).eps) * abs(self.loss)

    def measure_curvature(self, sigma: float) -> None:
        """Step 2: the curvature along p, from the gradient a short distance ahead."""
        sigma /= math.sqrt(self.length)
        self._move(sigma)
        after = self.objective.dot(self.p, self.objective.grad)
        self.curvature = (after + self.mu) / sigma
        if not math.isfinite(self.curvature):
            raise NotFiniteError

    def step(self, damping: float) -> tuple[float, float]:
        """Steps 3 to 6: lambda, and Delta, which says how well the quadratic approximation fits."""
        self.delta = self.curvature + damping * self.length
        if self.delta <= 0:
            damping = 2 * (damping - self.delta / self.length)
            self.delta = self.curvature + damping * self.length
        alpha = self.mu / self.delta
        self._move(alpha)
        if not math.isfinite(self.objective.loss):
            return damping, -math.inf
        decrease = self.loss - self.objective.loss
        if abs(decrease) <= self.noise:  # then the slopes at both ends are more exact
            after = self.objective.dot(self.p, self.objective.grad)
            decrease = alpha * (self.mu - after) / 2
        return damping, 2 * self.delta * decrease / self.mu**2

    def more_damping(self, damping: float, gain: float) -> float:
        """Step 8: a larger lambda."""
        more = self.delta * (1 - gain) / self.length
        return damping + more if math.isfinite(more) else 4 * (damping + self.delta / self.length)

    def _move(self, step: float) -> None:
        self.objective.combine(self.objective.params, self.start, self.p, 1.0, step)
        self.objective()


@checks.explained_class
@dataclass(frozen=True)
class Rprop(Method):
    """Resilient propagation: each parameter has its own step size; only signs count.

    An iteration evaluates the gradient once.

    Parameters
    ----------
    tolerance : float, default=1e-5
        See `Method`.
    first_step : float, default=0.0125
        First step size of all parameters, above 0.
    eta_minus, eta_plus : float, default=0.5 and 1.2
        Factors of a step size when the sign of the derivative changes (above 0 and below 1), and
        when it stays (above 1).
    min_step, max_step : float, default=0.0 and 50.0
        Bounds on the step sizes, at least 0.
    backtracking : bool, default=True
        True is iRprop+: if a sign changes and the loss has risen, the last change of the parameter
        is undone. False is iRprop-, as in PyTorch's Rprop.

    Notes
    -----
    Riedmiller and Braun, ICNN 1993; Igel and Huesken, NC 2000, for the default step and bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, Rprop
    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> net = MLP((1, 8, 1), activation="tanh", dtype="float64", seed=0)
    >>> history = net.fit(X, X**2, epochs=200, method=Rprop(first_step=0.1))
    >>> bool(history["gradient_norm"][-1] < 0.05 * history["gradient_norm"][0])
    True
    """

    first_step: float = 0.0125
    eta_minus: float = 0.5
    eta_plus: float = 1.2
    min_step: float = 0.0
    max_step: float = 50.0
    backtracking: bool = True

    name: ClassVar[str] = "rprop"
    smooth_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("first_step", self.first_step)
        checks.number("eta_minus", self.eta_minus, "above 0 and below 1", lambda x: 0 < x < 1)
        checks.number("eta_plus", self.eta_plus, "above 1", lambda x: x > 1)
        low = checks.at_least_zero("min_step", self.min_step)
        checks.number("max_step", self.max_step, f"at least min_step={low:g}", lambda x: x >= low)
        checks.flag("backtracking", self.backtracking)

    def minimise(self, objective: Objective, report: Report) -> str:
        """See `Method.minimise`."""
        settings = RpropSettings(*map(float, (
            self.eta_minus, self.eta_plus, self.min_step, self.max_step
        )))  # fmt: skip
        params = objective.params
        back = False
        sizes = np.full_like(params, self.first_step)
        buffers = np.zeros_like(params), sizes, np.zeros_like(params)
        while True:
            before = objective.loss
            objective.rprop(buffers, settings, back)
            if not math.isfinite(objective()):
                raise NotFiniteError
            back = self.backtracking and objective.loss > before
            if report():
                return ""


@checks.explained_class
@dataclass(frozen=True)
class LBFGS(Method):
    """L-BFGS: directions from a few past changes of the gradient. Needs SciPy.

    Parameters
    ----------
    tolerance : float, default=1e-5
        See `Method`.
    memory : int, default=10
        Number of past changes that are kept, at least 1; SciPy's maxcor.

    Notes
    -----
    SciPy's L-BFGS-B without bounds: Byrd, Lu, Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1995. It
    computes in float64, whatever the net's dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, LBFGS
    >>> X = np.linspace(-1, 1, 30).reshape(-1, 1)
    >>> net = MLP((1, 8, 1), activation="tanh", dtype="float64", seed=0)
    >>> history = net.fit(X, X**2, epochs=200, method=LBFGS(memory=20))
    >>> bool(history["gradient_norm"][-1] < 0.05 * history["gradient_norm"][0])
    True
    """

    memory: int = 10

    name: ClassVar[str] = "lbfgs"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("memory", self.memory)

    def minimise(self, objective: Objective, report: Report) -> str:
        """See `Method.minimise`."""
        params = objective.params
        asked = False

        def end_iteration(result: Any) -> None:
            nonlocal asked
            found = result.x.astype(params.dtype)
            if not np.array_equal(found, params):  # not the point that was evaluated last
                params[:] = found
                objective()
            asked = report()
            if asked:
                raise StopIteration

        options = {
            "maxiter": 2**31 - 1, "maxfun": 2**31 - 1, "maxcor": self.memory, "gtol": 0.0,
            "ftol": 0.0,
        }  # fmt: skip
        scipy_lbfgs(objective, end_iteration, options)
        return "" if asked else LOWEST


METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        GradientDescent, ConjugateGradient, ScaledConjugateGradient, Rprop, LBFGS,
        LevenbergMarquardt,
    )
}  # fmt: skip
"""The methods by the names that ``fit(method=...)`` takes."""


def as_method(method: str | Method) -> Method:
    """The method: an object unchanged, or by its name with the defaults.

    Parameters
    ----------
    method : str or Method
        One of the names in `METHODS`, or an object.

    Returns
    -------
    Method

    Raises
    ------
    ValueError, TypeError
        For an unknown name, and for an object that is not a method.

    Examples
    --------
    >>> from fastbp.methods import as_method
    >>> as_method("lbfgs")
    LBFGS(tolerance=1e-05, memory=10)
    """
    if isinstance(method, Method):
        return method
    if isinstance(method, str):
        return METHODS[checks.choice("method", method, METHODS)]()
    raise TypeError(
        f"method must be None (mini-batches), a name "
        f"({', '.join(map(repr, METHODS))}) or an object such as Rprop(first_step=0.1); got "
        f"{checks.described(method)}{checks.instead('method', method, METHODS, Method)}"
    )
