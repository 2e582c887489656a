"""The rows of the estimators: what is fitted, how it is checked, how it is written."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from compare import estimators
from compare.estimators import EPOCHS, Problem
from compare.timing import DisagreementError

SEED = 7


def problem(kind="MLPRegressor", outputs=1, dtype="float64"):
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((60, 4)).astype(dtype)
    return Problem("small", kind, X, rng.integers(0, outputs + 1, 60), 3)


def test_operations_of_an_epoch() -> None:
    one = 2 * 60 * (2 * 4 * 100 + 3 * 100)
    assert problem().flops == one
    assert problem("MLPClassifier", 1).flops == one  # two classes have one output
    assert problem("MLPClassifier", 2).flops == 2 * 60 * (2 * 4 * 100 + 3 * 100 * 3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_model_passes_another_does_not(dtype, monkeypatch) -> None:
    with pytest.warns(Warning, match="Maximum iterations"):
        estimators.check_same_model(problem(dtype=dtype))
    make = Problem.make

    def other(self, library, **parameters):
        alpha = 1e-4 if library == "fastbp" else 10.0
        return make(self, library, alpha=alpha, **parameters)

    monkeypatch.setattr(Problem, "make", other)
    with (
        pytest.warns(Warning, match="Maximum iterations"),
        pytest.raises(DisagreementError, match="small: weights of fastbp and scikit-learn are"),
    ):
        estimators.check_same_model(problem(dtype=dtype))


def test_rows_from_made_up_times(monkeypatch) -> None:
    times = {"fastbp": [0.02, 0.01], "scikit-learn": [0.10, 0.05], "one": [3, 4], "two": [8, 2]}

    def rounds_of_calls(actions, *, rounds, seconds):
        return {name: times[name] for name in actions}

    monkeypatch.setattr(estimators, "rounds_of_calls", rounds_of_calls)

    def flops_at_peak(work, dtype, turns):
        """Half of the time would do, at the peak."""
        asked.append((dtype, turns))
        return 2 * EPOCHS * problem().flops

    asked = []
    monkeypatch.setattr(estimators.peak, "flops_at_peak", flops_at_peak)
    row = estimators.fit_row(problem(), 2, 0.1)
    assert row.what == "fit small, 50 epochs"
    assert row.measured == "5x (10 ms; at the FMA peak 10x)"
    assert (row.goal, row.met) == (">= 3x", True)
    assert not estimators.fit_row(problem()._replace(goal=5.1), 2, 0.1).met
    assert asked == [("float64", estimators.peak.TURNS)] * 2
    times["fastbp"] = [0.3]
    estimators.fit_row(problem(), 2, 0.1)
    assert asked[-1] == ("float64", estimators.SOME_TURNS)
    times["fastbp"] = [0.02, 0.01]
    with pytest.warns(Warning, match="Maximum iterations"):
        row = estimators.predict_row(problem(), 2, 0.1)
    assert row[1:] == ("5x (1e+04 µs)", ">= 4x", True)
    row = estimators.grid_row(problem(), 1)
    assert row.measured.startswith("1.5x (3 s : 2 s, ")
    assert (row.goal, row.met) == (">= 1.7x", False)


def test_digits_in_the_format_of_their_authors(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(estimators, "MNIST", tmp_path)
    assert estimators.mnist() is None
    images = np.arange(2 * 784, dtype=np.uint8)
    contents = b"x" * 16 + images.tobytes(), b"y" * 8 + bytes([3, 9])
    for name, content in zip(estimators.MNIST_FILES, contents, strict=True):
        (tmp_path / name).write_bytes(gzip.compress(content))
    X, y = estimators.mnist()
    assert (X.shape, X.dtype, y.tolist()) == ((2, 784), np.float32, [3, 9])
    assert np.array_equal(X.ravel(), images / np.float32(255))
