"""Warnings point at the line that called into the package, however deep they come from."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import MLP, SGD, DivergenceWarning, Perceptron
from fastbp.fit.warn import warn
from fastbp.sklearn import MLPClassifier
from fastbp.sklearn import Perceptron as Estimator

X, Y = load_iris(return_X_y=True)


def line_of_caller() -> int:
    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("depth", [0, 3])
def test_the_first_frame_outside(depth) -> None:
    """A module of the package is what is called so."""
    code = "def inside(n):\n    return inside(n - 1) if n else warn('look', RuntimeWarning)"
    names = {"__name__": "fastbp.made_up", "warn": warn}
    exec(code, names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names["inside"](depth)
        line = line_of_caller() - 1
    assert [(w.filename, w.lineno, w.category) for w in caught] == [
        (__file__, line, RuntimeWarning)
    ]


def not_finite() -> None:
    net = MLP((1, 1), seed=0)
    net.params[:] = np.nan
    net.fit([[1.0]], [1.0])


def not_finite_before_a_step() -> None:
    net = MLP((1, 1), seed=0)
    net.params[:] = np.nan
    net.step([[1.0]], [1.0])


def diverging_perceptron() -> None:
    Perceptron(1, learning_rate=1e10).fit([[3e38], [3e38]], [1, 0])


def clipped() -> None:
    MLPClassifier(max_iter=1, batch_size=1000).fit(X, Y)


def in_a_pipeline() -> None:
    make_pipeline(StandardScaler(), MLPClassifier(max_iter=1)).fit(X, Y)


def estimator_of_the_perceptron() -> None:
    Estimator(max_iter=1).fit(X, Y)


def diverging_on_batches() -> None:
    MLP((1, 1), optimizer=SGD(1e30), seed=0).fit([([[1.0]], [5.0]), ([[2.0]], [6.0])], epochs=3)


@pytest.mark.parametrize(
    ("call", "category"),
    [
        (not_finite, DivergenceWarning),
        (not_finite_before_a_step, DivergenceWarning),
        (diverging_perceptron, DivergenceWarning),
        (clipped, UserWarning),
        (in_a_pipeline, ConvergenceWarning),
        (estimator_of_the_perceptron, ConvergenceWarning),
        (diverging_on_batches, DivergenceWarning),
    ],
)
def test_the_users_line(call, category) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    assert caught[0].category is category
    assert {w.filename for w in caught} == {__file__}
    code = call.__code__
    assert code.co_firstlineno < caught[0].lineno <= max(n for *_, n in code.co_lines() if n)
