"""Levenberg-Marquardt beside L-BFGS and SciPy's MINPACK, on small smooth regressions.

``python asv_benchmarks/least_squares.py`` prints a table: the medians of nine seeds, in processor
time of one thread, which other programs on the machine disturb least. All start from the same
parameters, in float64, without a stop before the last iteration. The first time is that until the
loss is reached that L-BFGS has after 2,000 iterations; the others are those of an iteration, which
is a step that was taken, with the trial steps before it that were not.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from fastbp import LBFGS, MLP, LevenbergMarquardt
from fastbp.tables import as_lines

SEEDS = range(9)
LBFGS_ITERATIONS = 2_000
#: Iterations in which Levenberg-Marquardt has to reach L-BFGS's loss.
MOST_ITERATIONS = 2_000
#: Iterations that are timed.
ITERATIONS = 100
LM = LevenbergMarquardt(tolerance=0.0)
#: What is to be: at most so much of L-BFGS's time, and at least so many times MINPACK's speed.
GOALS = 0.2, 3.0

Rows = tuple[NDArray[np.float64], NDArray[np.float64]]


class Problem(NamedTuple):
    """Rows to learn, and the net that is to."""

    name: str
    layer_sizes: tuple[int, ...]
    rows: Rows

    def net(self, seed: int) -> MLP:
        """Make the net."""
        return MLP(self.layer_sizes, activation="tanh", dtype="float64", seed=seed)


class Result(NamedTuple):
    """What was measured from one seed, in seconds but for the last two: losses."""

    lbfgs: float
    reached: float
    iteration: float
    minpack_iteration: float
    lbfgs_loss: float
    loss: float


def standardized(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale to mean 0 and standard deviation 1."""
    scaled: NDArray[np.float64] = (y - y.mean()) / y.std()
    return scaled


def problems() -> list[Problem]:
    """Make the problems, with inputs drawn at random from [-1, 1]."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (300, 1))
    wave = Problem("sin", (1, 10, 1), (x, np.sin(2 * np.pi * x[:, 0])))
    x = rng.uniform(-1, 1, (600, 2))
    valley = scipy.optimize.rosen(2 * x.T)
    rosenbrock = Problem("Rosenbrock", (2, 10, 1), (x, standardized(valley)))
    x = rng.uniform(-1, 1, (1000, 5))
    u = (x + 1) / 2
    y = 10 * np.sin(np.pi * u[:, 0] * u[:, 1]) + 20 * (u[:, 2] - 0.5) ** 2
    y += 10 * u[:, 3] + 5 * u[:, 4] + rng.normal(size=1000)
    return [wave, rosenbrock, Problem("Friedman 1", (5, 10, 1), (x, standardized(y)))]


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of a call and what it returns."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def minpack_iteration(problem: Problem, seed: int) -> float:
    """Time an iteration of MINPACK with the Jacobian of the net."""
    net = problem.net(seed)
    X, y = problem.rows

    def residuals(params: NDArray[np.float64]) -> NDArray[np.float64]:
        net.params[:] = params
        return net.predict(X)[:, 0] - y

    def jacobian(params: NDArray[np.float64]) -> NDArray[np.float64]:
        net.params[:] = params
        return net.jacobian(X)[:, 0]

    tolerances = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
    seconds, found = timed(
        lambda: scipy.optimize.least_squares(
            residuals, net.params.copy(), jacobian, method="lm", max_nfev=ITERATIONS, **tolerances
        )
    )
    return seconds / found.njev


def measured(problem: Problem, seed: int) -> Result:
    """Measure one seed."""
    X, y = problem.rows
    seconds, history = timed(
        lambda: problem.net(seed).fit(X, y, method=LBFGS(0.0), epochs=LBFGS_ITERATIONS)
    )
    goal = history.loss[-1]
    losses = problem.net(seed).fit(X, y, method=LM, epochs=MOST_ITERATIONS).loss
    needed = next((i for i, loss in enumerate(losses, 1) if loss <= goal), 0)
    reached = math.inf
    if needed:
        reached, _ = timed(lambda: problem.net(seed).fit(X, y, method=LM, epochs=needed))
    some, history = timed(lambda: problem.net(seed).fit(X, y, method=LM, epochs=ITERATIONS))
    iteration = some / len(history)
    return Result(
        seconds, reached, iteration, minpack_iteration(problem, seed), goal, history.loss[-1]
    )


def row(problem: Problem) -> list[str]:
    """Measure a problem: a row of the table."""
    found = [measured(problem, seed) for seed in SEEDS]
    share = statistics.median(one.reached / one.lbfgs for one in found)
    speed = statistics.median(one.minpack_iteration / one.iteration for one in found)
    middle = Result(*map(statistics.median, zip(*found, strict=True)))
    never = sum(one.reached == math.inf for one in found)
    return [
        problem.name,
        "-".join(map(str, problem.layer_sizes)),
        f"{1e3 * middle.lbfgs:.1f}",
        f"{middle.lbfgs_loss:.2g}",
        f"{1e3 * middle.reached:.1f}",
        f"{share:.3f} ({'ok' if share <= GOALS[0] else 'MISSED'})",
        str(never),
        f"{middle.loss:.2g}",
        f"{1e6 * middle.iteration:.0f}",
        f"{1e6 * middle.minpack_iteration:.0f}",
        f"{speed:.1f} ({'ok' if speed >= GOALS[1] else 'MISSED'})",
    ]


def main() -> None:
    """Print the table."""
    header = [
        "problem", "net", "L-BFGS ms", "its loss", "LM gets there, ms",
        f"share, at most {GOALS[0]}", "never, of 9", f"loss after {ITERATIONS}", "iteration us",
        "MINPACK us", f"times as fast, at least {GOALS[1]:g}",
    ]  # fmt: skip
    with threadpool_limits(1):
        few = problems()[0]
        few.net(0).fit(*few.rows, method=LM, epochs=1)  # load the compiled code
        few.net(0).jacobian(few.rows[0])
        print("\n".join(as_lines([header, *map(row, problems())])))


if __name__ == "__main__":
    main()
