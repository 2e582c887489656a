"""The line search: both strong Wolfe conditions on functions that are hard for it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fastbp.methods.line_search import Point, StrongWolfe, Wolfe, cubic_minimum, secant_minimum

# More and Thuente, "Line search algorithms with guaranteed sufficient decrease", ACM TOMS 1994,
# section 5, functions 1 and 2, and others.
FUNCTIONS = {
    "rational": (lambda a: -a / (a * a + 2), lambda a: (a * a - 2) / (a * a + 2) ** 2),
    "power": (
        lambda a: (a + 0.004) ** 5 - 2 * (a + 0.004) ** 4,
        lambda a: 5 * (a + 0.004) ** 4 - 8 * (a + 0.004) ** 3,
    ),
    "parabola": (lambda a: (a - 3) ** 2, lambda a: 2 * (a - 3)),
    "waves": (lambda a: np.cos(3 * a) + 0.1 * a * a - 2 * a,
              lambda a: -3 * np.sin(3 * a) + 0.2 * a - 2),
    "wall": (lambda a: math.inf if a >= 1 else -a - 0.01 * math.log(1 - a),
             lambda a: math.nan if a >= 1 else -1 + 0.01 / (1 - a)),
}  # fmt: skip


def line(name):
    value, slope = FUNCTIONS[name]
    seen = []

    def at(step):
        seen.append(step)
        return Point(step, float(value(step)), float(slope(step)))

    return at, seen


@pytest.mark.parametrize("first", [1e-6, 1e-3, 1.0, 30.0, 1e3])
@pytest.mark.parametrize("curvature", [0.1, 0.9])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_wolfe_conditions(name, curvature, first) -> None:
    at, seen = line(name)
    start = at(0.0)
    found = StrongWolfe(at, start, Wolfe(curvature=curvature), 2.2e-16).find(first)
    assert found is not None
    assert found.step == seen[-1] > 0
    assert found.loss <= start.loss + 1e-4 * found.step * start.slope
    assert abs(found.slope) <= curvature * abs(start.slope)
    assert len(seen) <= 20


def test_close_to_the_minimum_slopes_decide() -> None:
    """A parabola in float32 whose fall is below its rounding."""

    def at(step):
        return Point(step, float(np.float32(5 + 1e-9 * ((step - 1) ** 2))), 2e-9 * (step - 1))

    found = StrongWolfe(at, at(0.0), Wolfe(curvature=0.1), 1.2e-7).find(8.0)
    assert found is not None
    assert found.step == pytest.approx(1, abs=0.1)


def test_interpolation_does_not_follow_rounding() -> None:
    """Losses that are nothing but rounding would lead a cubic anywhere."""
    for seed in range(20):
        rng, seen = np.random.default_rng(seed), []

        def at(step):
            seen.append(step)  # noqa: B023 - called within this round
            rounding = rng.uniform(-3e-7, 3e-7)  # noqa: B023
            return Point(step, 5 + rounding + 1e-9 * (step - 1) ** 2, 2e-9 * (step - 1))

        found = StrongWolfe(at, at(0.0), Wolfe(curvature=0.1), 1.2e-7).find(8.0)
        assert found is not None, f"seed {seed}"
        assert found.step == pytest.approx(1, abs=0.1)
        assert len(seen) <= 4, f"seed {seed}"


def test_nothing_is_found_uphill() -> None:
    seen = []

    def at(step):
        seen.append(step)
        return Point(step, 1 + step, 1.0)

    assert StrongWolfe(at, Point(0.0, 1.0, -1.0), Wolfe(trials=12), 2.2e-16).find(1.0) is None
    assert len(seen) == 12


def test_an_endless_slope_is_taken_as_far_as_it_was_tried() -> None:
    def at(step):
        return Point(step, -step, -1.0)

    found = StrongWolfe(at, at(0.0), Wolfe(trials=5), 2.2e-16).find(1.0)
    assert found.step == 1e4


def test_interpolation() -> None:
    def cubic(a):
        return Point(a, a**3 - 3 * a + 1, 3 * a * a - 3)

    for a, b in ((0, 3), (3, 0), (0.5, 1.5), (-0.5, 4)):
        assert cubic_minimum(cubic(a), cubic(b)) == pytest.approx(1)
    assert secant_minimum(Point(0, 0, -2), Point(3, 0, 1)) == 2
    for a, b in ((Point(0, 1, -1), Point(1, math.inf, math.nan)), (cubic(1), cubic(1))):
        assert math.isnan(cubic_minimum(a, b))
        assert math.isnan(secant_minimum(a, b))
    assert math.isnan(cubic_minimum(Point(0, 0, -1), Point(1, -0.7, -1)))
