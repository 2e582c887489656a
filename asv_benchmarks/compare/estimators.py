"""The estimators beside scikit-learn's: `fit`, `predict` of one row, a grid search by threads."""

from __future__ import annotations

import gzip
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import sklearn.neural_network
from joblib import parallel_backend
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

import fastbp.sklearn
import peak
from compare.tables import Row
from compare.timing import DisagreementError, median_ratio, repeated, rounds_of_calls

LIBRARIES = {"fastbp": fastbp.sklearn, "scikit-learn": sklearn.neural_network}
EPOCHS = 50
#: Seconds from which a fit is held against the FMA peak fewer times, and how many.
LONG_FIT = 0.2
SOME_TURNS = 3
#: Where MNIST's 10,000 test digits are, in the format of its authors.
MNIST = Path(os.environ.get("FASTBP_DATA", "data"))
MNIST_FILES = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")


class Problem(NamedTuple):
    """A data set, the class of estimator, and by how much `fit` is to be faster."""

    name: str
    kind: str
    X: NDArray
    y: NDArray
    goal: float

    def make(self, library: str, **parameters: Any) -> Any:
        """Make an estimator of a library, with its defaults."""
        return getattr(LIBRARIES[library], self.kind)(random_state=0, **parameters)

    @property
    def flops(self) -> float:
        """Useful operations of an epoch: three products a layer, two in the first."""
        outputs = 1 if self.kind == "MLPRegressor" else np.unique(self.y).size
        outputs = 1 if outputs == 2 else outputs
        return 2.0 * len(self.X) * (2 * self.X.shape[1] * 100 + 3 * 100 * outputs)


def mnist() -> tuple[NDArray, NDArray] | None:
    """Read MNIST's test digits, in float32 between 0 and 1; None where they are not there."""
    paths = [MNIST / name for name in MNIST_FILES]
    if not all(path.exists() for path in paths):
        return None
    images, labels = (np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8) for path in paths)
    return images[16:].reshape(-1, 784).astype(np.float32) / 255, labels[8:].astype(np.int64)


def problems() -> list[Problem]:
    """Load the data sets."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(10_000, 20))
    found = [
        Problem("digits", "MLPClassifier", *load_digits(return_X_y=True), 10),
        Problem("breast cancer", "MLPClassifier", *load_breast_cancer(return_X_y=True), 6),
        Problem("diabetes", "MLPRegressor", *load_diabetes(return_X_y=True), 10),
        Problem("10,000 x 20 rows", "MLPClassifier", rows, (rows[:, 0] > 0).astype(int), 4),
    ]
    digits = mnist()
    if digits is not None:
        found.append(Problem("MNIST's 10,000 digits, float32", "MLPClassifier", *digits, 2))
    return found


def check_same_model(problem: Problem) -> None:
    """Compare what a few epochs make of the weights.

    Raises
    ------
    DisagreementError
        If the libraries' models differ: no time would mean anything.
    """
    ours, theirs = (problem.make(library, max_iter=3).fit(problem.X, problem.y)
                    for library in LIBRARIES)  # fmt: skip
    tolerance = 1e-6 if problem.X.dtype == np.float64 else 1e-2
    for got, expected in zip(ours.coefs_, theirs.coefs_, strict=True):
        apart = float(np.abs(got - expected).max() / np.abs(expected).max())
        if not apart <= tolerance:
            raise DisagreementError(
                f"{problem.name}: weights of fastbp and scikit-learn are {apart:.2g} apart, "
                f"{tolerance:g} is allowed"
            )


def ratio_row(what: str, ratio: float, goal: float, note: str = "") -> Row:
    """Make a row for how many times faster something is."""
    return Row(what, f"{ratio:.3g}x{note}", f">= {goal:g}x", ratio >= goal)


def fit_row(problem: Problem, rounds: int, seconds: float) -> Row:
    """Time `fit` from start to finish, with what the FMA peak would allow at most.

    That is the peak at the clock of the fit, see `peak`, without anything but the products.
    """

    def fit(library: str) -> None:
        problem.make(library, max_iter=EPOCHS).fit(problem.X, problem.y)

    actions = {library: repeated(fit, library) for library in LIBRARIES}
    found = rounds_of_calls(actions, rounds=rounds, seconds=seconds)
    ratio = median_ratio(found, "scikit-learn", "fastbp")
    best = min(found["fastbp"])
    turns = SOME_TURNS if best > LONG_FIT else peak.TURNS
    could = peak.flops_at_peak(lambda: actions["fastbp"](1), problem.X.dtype.name, turns)
    bound = ratio * could / (EPOCHS * problem.flops)
    note = f" ({best * 1e3:.3g} ms; at the FMA peak {bound:.3g}x)"
    return ratio_row(f"fit {problem.name}, {EPOCHS} epochs", ratio, problem.goal, note)


def predict_row(problem: Problem, rounds: int, seconds: float) -> Row:
    """Time the prediction of one row."""
    fitted = {library: problem.make(library, max_iter=3) for library in LIBRARIES}
    actions = {
        library: repeated(net.fit(problem.X, problem.y).predict, problem.X[:1])
        for library, net in fitted.items()
    }
    found = rounds_of_calls(actions, rounds=rounds, seconds=seconds)
    ratio = median_ratio(found, "scikit-learn", "fastbp")
    best = min(found["fastbp"])
    return ratio_row("predict one row of digits", ratio, 4, f" ({best * 1e6:.3g} µs)")


@contextmanager
def on_all_cores() -> Iterator[int]:
    """Undo a pinning to one core for a while; yields how many there are."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield len(os.sched_getaffinity(0))
    finally:
        os.sched_setaffinity(0, before)


def grid_row(problem: Problem, rounds: int) -> Row:
    """Time a grid search of 60 fits by one and by two threads.

    The best of each counts: two cores are disturbed twice as often as one.
    """
    grid = {
        "alpha": [1e-5, 1e-4, 1e-3],
        "hidden_layer_sizes": [(50,), (100,)],
        "learning_rate_init": [1e-3, 1e-2],
    }
    search = GridSearchCV(problem.make("fastbp", max_iter=EPOCHS), grid, cv=5, refit=False)

    def fit(jobs: int) -> None:
        with parallel_backend("threading", n_jobs=jobs), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.set_params(n_jobs=jobs).fit(problem.X, problem.y)

    actions = {"one": repeated(fit, 1), "two": repeated(fit, 2)}
    with on_all_cores() as cores:
        found = rounds_of_calls(actions, rounds=rounds + 2, seconds=0.0)
    one, two = min(found["one"]), min(found["two"])
    note = f" ({one:.3g} s : {two:.3g} s, {cores} cores)"
    return ratio_row("GridSearchCV of 60 fits, two threads", one / two, 1.7, note)


def estimator_rows(rounds: int, seconds: float) -> list[Row]:
    """Measure every goal of the estimators, on one thread but for the grid search.

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
    some = problems()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for problem in some:
            check_same_model(problem)
            rows.append(fit_row(problem, rounds, seconds))
        rows.append(predict_row(some[0], rounds, seconds))
        rows.append(grid_row(some[0], rounds))
    return rows
