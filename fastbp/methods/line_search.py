"""The line search: how long a step along a direction of descent shall be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

ROUNDING = 8.0
"""Losses that differ by fewer units in the last place cannot be told apart."""
LONGEST = 10.0
"""How many times longer than the last trial step the next one may be."""
MARGIN = 0.1
"""Share of the interval by which a trial step keeps away from its ends."""


class Point(NamedTuple):
    """An evaluated point on the line.

    Attributes
    ----------
    step : float
        How far along the direction.
    loss : float
        Infinity if the loss is not finite, so that such points are never taken.
    slope : float
        Derivative of the loss by the step.
    """

    step: float
    loss: float
    slope: float


class Wolfe(NamedTuple):
    """The strong Wolfe conditions, with phi(a) the loss after a step a, and a limit of trials.

    Attributes
    ----------
    decrease : float
        c1 of the sufficient decrease, phi(a) <= phi(0) + c1 a phi'(0).
    curvature : float
        c2 of the curvature condition, |phi'(a)| <= c2 |phi'(0)|.
    trials : int
        The largest number of evaluations.
    """

    decrease: float = 1e-4
    curvature: float = 0.9
    trials: int = 25


def cubic_minimum(a: Point, b: Point) -> float:
    """The minimum of the cubic through both losses and slopes; NaN if it has none.

    Nocedal and Wright, Numerical Optimization, 2006, equation 3.59.
    """
    if not (math.isfinite(a.loss) and math.isfinite(b.loss)) or a.step == b.step:
        return math.nan
    d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return math.nan
    d2 = math.copysign(math.sqrt(square), b.step - a.step)
    below = b.slope - a.slope + 2 * d2
    return math.nan if below == 0 else b.step - (b.step - a.step) * (b.slope + d2 - d1) / below


def secant_minimum(a: Point, b: Point) -> float:
    """The zero of the line through both slopes; NaN if it has none."""
    if not math.isfinite(b.slope - a.slope) or a.slope == b.slope:
        return math.nan
    return a.step - a.slope * (b.step - a.step) / (b.slope - a.slope)


class StrongWolfe:
    """A line search for the strong Wolfe conditions.

    Algorithms 3.5 and 3.6 of Nocedal and Wright 2006, with cubic interpolation. Close to a minimum
    the losses differ by less than rounding; then the slopes decide, by the approximate Wolfe
    condition of Hager and Zhang (SIAM J. Optim. 16, 2005, equation 4.1): without it a float32 net
    would stop at the square root of float32's precision.

    Parameters
    ----------
    at : callable
        Evaluates the point after a step.
    start : Point
        The point at step 0, with a slope below 0.
    wolfe : Wolfe
    epsilon : float
        Machine epsilon of the dtype in which the loss is computed.
    """

    def __init__(
        self, at: Callable[[float], Point], start: Point, wolfe: Wolfe, epsilon: float
    ) -> None:
        self._at = at
        self.start = start
        self.wolfe = wolfe
        self.trials = 0
        self.noise = ROUNDING * epsilon * abs(start.loss)

    def find(self, first: float) -> Point | None:
        """A step that fulfils the conditions; it is the last point that was evaluated.

        Parameters
        ----------
        first : float
            The first trial step, above 0.

        Returns
        -------
        Point or None
            None if no step lowers the loss.
        """
        before = self.start
        step = first
        while self.trials < self.wolfe.trials:
            point = self._try(step)
            if not self._decreases(point) or point.loss > before.loss + self.noise:
                return self._zoom(before, point)
            if self._is_flat(point):
                return point
            if point.slope >= 0:
                return self._zoom(point, before)
            longest = LONGEST * step
            step = self._minimum(before, point)
            if not 2 * point.step - before.step <= step <= longest:
                step = longest if math.isnan(step) or step > longest else 2 * point.step
            before = point
        return before if before.step > 0 else None

    def _try(self, step: float) -> Point:
        self.trials += 1
        return self._at(step)

    def _decreases(self, point: Point) -> bool:
        """Sufficient decrease, judged by the losses or, if these are too close, by the slopes."""
        _, loss, slope = self.start
        c1 = self.wolfe.decrease
        if point.loss <= loss + c1 * point.step * slope:
            return True
        return abs(point.loss - loss) <= self.noise and point.slope <= (2 * c1 - 1) * slope

    def _minimum(self, a: Point, b: Point) -> float:
        """The minimum by interpolation; losses that differ by rounding alone are not used."""
        close = abs(a.loss - b.loss) <= 100 * self.noise
        return secant_minimum(a, b) if close else cubic_minimum(a, b)

    def _is_flat(self, point: Point) -> bool:
        return abs(point.slope) <= -self.wolfe.curvature * self.start.slope

    def _zoom(self, low: Point, high: Point) -> Point | None:
        """Search between two points; `low` has the lower loss, which falls towards `high`."""
        while self.trials < self.wolfe.trials:
            width = high.step - low.step
            if abs(width) <= 1e-12 * max(low.step, high.step):
                break
            step = self._minimum(low, high)
            margin = MARGIN * abs(width)
            ends = min(low.step, high.step) + margin, max(low.step, high.step) - margin
            step = low.step + width / 2 if math.isnan(step) else min(max(step, ends[0]), ends[1])
            point = self._try(step)
            if not self._decreases(point) or point.loss > low.loss + self.noise:
                high = point
                continue
            if self._is_flat(point):
                return point
            if point.slope * width >= 0:
                high = low
            low = point
        # Not flat enough, but lower: accept it, so that rounding does not end the descent early.
        return self._try(low.step) if low.step > 0 and low.loss < self.start.loss else None
