"""The estimators on sparse rows beside scikit-learn's: `fit`, `partial_fit`, `predict`, memory.

Memory is that of a fresh process: ``python -m compare.sparse LIBRARY NUMBER`` carries out all three
on a problem and prints by how many MiB they raised the peak.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
import sklearn.linear_model
import sklearn.neural_network
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import fastbp.sklearn
from compare.startup import SUITE
from compare.tables import Row, at_most
from compare.timing import DisagreementError, median_ratio, rounds_of_calls

LIBRARIES = ("fastbp", "scikit-learn")
EPOCHS = 3
#: Rows of a part of `partial_fit`.
PART = 1_000
#: How much more memory than scikit-learn's may be taken.
MOST_MEMORY = 1.5
#: What is measured of each problem.
ACTIONS = ("fit", "partial_fit", "predict")
STATUS = Path("/proc/self/status")


class Problem(NamedTuple):
    """Rows of random entries, and the estimator: hidden units, 0 for the Perceptron."""

    rows: int
    features: int
    entries: int
    hidden: int

    @property
    def name(self) -> str:
        """The estimator and the size."""
        kind = f"{self.hidden} hidden units" if self.hidden else "Perceptron"
        return f"{self.rows:,} x {self.features:,}, {self.entries} entries a row, {kind}"

    def make(self, library: str) -> Any:
        """Make an estimator of a library."""
        if self.hidden:
            module: Any = fastbp.sklearn if library == "fastbp" else sklearn.neural_network
            return module.MLPClassifier((self.hidden,), max_iter=EPOCHS, random_state=0)
        module = fastbp.sklearn if library == "fastbp" else sklearn.linear_model
        return module.Perceptron(max_iter=EPOCHS, tol=None)

    def data(self) -> tuple[scipy.sparse.csr_matrix, NDArray]:
        """Draw the rows and their classes."""
        rng = np.random.default_rng(0)
        count = self.rows * self.entries
        columns = rng.integers(0, self.features, count).astype(np.int32)
        starts = (np.arange(self.rows + 1) * self.entries).astype(np.int32)
        X = scipy.sparse.csr_matrix(
            (rng.random(count), columns, starts), shape=(self.rows, self.features)
        )
        X.sum_duplicates()
        return X, rng.integers(0, 2, self.rows)


#: Two of fastbp's own, and scikit-learn's example of text out of core, with its Perceptron.
PROBLEMS = (
    Problem(3_000, 30_000, 60, 20),
    Problem(10_000, 30_000, 60, 10),
    Problem(3_000, 2**18, 50, 0),
)


def stream(estimator: Any, X: Any, y: NDArray) -> None:
    """Fit in parts."""
    for first in range(0, X.shape[0], PART):
        part = slice(first, first + PART)
        estimator.partial_fit(X[part], y[part], classes=[0, 1])


def check_same_model(problem: Problem, X: Any, y: NDArray) -> None:
    """Compare the weights after `fit` and `partial_fit`.

    Raises
    ------
    DisagreementError
        If the libraries' models differ: no time would mean anything.
    """
    for train in (lambda estimator: estimator.fit(X, y), lambda estimator: stream(estimator, X, y)):
        ours, theirs = (problem.make(library) for library in LIBRARIES)
        train(ours)
        train(theirs)
        weights = [e.coefs_ if problem.hidden else [e.coef_] for e in (ours, theirs)]
        for got, expected in zip(*weights, strict=True):
            apart = float(np.abs(got - expected).max() / np.abs(expected).max())
            if not apart <= 1e-6:
                raise DisagreementError(f"{problem.name}: weights are {apart:.2g} apart")


def actions_of(problem: Problem, library: str, X: Any, y: NDArray) -> dict[str, Callable]:
    """What is timed, by name."""
    fitted = problem.make(library).fit(X, y)
    running = problem.make(library)
    stream(running, X, y)
    return {
        "fit": lambda: problem.make(library).fit(X, y),
        "partial_fit": lambda: stream(running, X, y),
        "predict": lambda: fitted.predict(X),
    }


def repeated(action: Callable[[], object]) -> Callable[[int], None]:
    """Return a function that does it so many times."""

    def repeat(repetitions: int) -> None:
        for _ in range(repetitions):
            action()

    return repeat


def peak_mib(restart: bool = False) -> float:
    """Return the peak of this process's memory, since a restart where the system can."""
    if restart:
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if STATUS.exists():
        line = next(x for x in STATUS.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def growth(problem: Problem, library: str) -> float:
    """Return by how many MiB all three actions raise the peak, after they were done on few rows."""
    small = problem._replace(rows=50, features=20, entries=3)
    for each in (small, problem):
        X, y = each.data()
        before = peak_mib(restart=True)
        fitted = each.make(library).fit(X, y)
        fitted.predict(X)
        stream(each.make(library), X, y)
    return peak_mib() - before


def memory_row(problem: Problem) -> Row:
    """Compare the growth of fresh processes."""
    number = str(PROBLEMS.index(problem))
    found = {}
    for library in LIBRARIES:
        command = [sys.executable, "-m", "compare.sparse", library, number]
        run = subprocess.run(
            command, cwd=SUITE, env=os.environ, check=True, capture_output=True, text=True
        )
        found[library] = float(json.loads(run.stdout))
    ours, theirs = (found[library] for library in LIBRARIES)
    row = at_most(f"memory, {problem.name}", ours / theirs, MOST_MEMORY, "of scikit-learn's")
    return row._replace(measured=f"{row.measured} ({ours:.3g} : {theirs:.3g} MiB)")


def sparse_rows(rounds: int, seconds: float) -> list[Row]:
    """Measure every goal of sparse rows, on one thread.

    Parameters
    ----------
    rounds, seconds
        As in `timing.rounds_of_calls`.

    Raises
    ------
    DisagreementError
        If the libraries' models differ.
    """
    rows = []
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for problem in PROBLEMS:
            X, y = problem.data()
            check_same_model(problem, X, y)
            actions = {library: actions_of(problem, library, X, y) for library in LIBRARIES}
            for name in ACTIONS:
                calls = {library: repeated(actions[library][name]) for library in LIBRARIES}
                found = rounds_of_calls(calls, rounds=rounds, seconds=seconds)
                ratio = median_ratio(found, "scikit-learn", "fastbp")
                best = min(found["fastbp"]) * 1e3
                what = f"{name}, {problem.name}"
                rows.append(Row(what, f"{ratio:.3g}x ({best:.3g} ms)", ">= 1x", ratio >= 1))
            rows.append(memory_row(problem))
    return rows


def main() -> None:
    """Print the growth of one process, or all rows."""
    warnings.simplefilter("ignore")
    if len(sys.argv) == 3:
        print(json.dumps(growth(PROBLEMS[int(sys.argv[2])], sys.argv[1])))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for row in sparse_rows(rounds=5, seconds=0.1):
        print(f"{row.what:<72} {row.measured:<36} {row.goal:<26} {'' if row.met else 'not met'}")


if __name__ == "__main__":
    main()
