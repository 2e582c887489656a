"""Accuracy and R^2 against targets that stay the same: prepared once, asked after each epoch.

They are scikit-learn's `accuracy_score` and `r2_score`. Those check all their arguments in each
call, which takes longer than an epoch of a small net.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import r2_score

from fastbp.fit.warn import warn

FloatArray = npt.NDArray[np.floating]
Score = Callable[[FloatArray], float]
"""Takes a network's outputs, (rows, n_outputs); NaN where they are not finite."""


class Accuracy:
    """The share of rows whose labels are all right.

    Parameters
    ----------
    decide : callable
        The labels that outputs, or targets, stand for: an array whose first axis is the rows.
    y : array, shape (rows, n_outputs)
        The network's targets.
    sample_weight : array, shape (rows,), or None
    """

    def __init__(
        self, decide: Callable[[Any], npt.NDArray[Any]], y: npt.NDArray[Any], sample_weight: Any
    ) -> None:
        self.decide = decide
        self.labels = decide(y)
        self.sample_weight = sample_weight

    def __call__(self, outputs: FloatArray) -> float:
        """The score of these outputs."""
        if not np.isfinite(outputs).all():
            return float("nan")
        right = self.decide(outputs) == self.labels
        rows = right.all(axis=1) if right.ndim == 2 else right
        if self.sample_weight is None:
            return float(np.count_nonzero(rows) / len(rows))
        return float(np.average(rows, weights=self.sample_weight))


class R2:
    """R^2 of each output over the targets that it has, averaged over the outputs.

    Targets that are NaN, or whose weight is 0, do not count, nor do outputs with fewer than two.
    Callers silence NumPy's warnings of overflow, which come shortly before divergence.

    Parameters
    ----------
    y : array, shape (rows, n_outputs)
    sample_weight : array, shape (rows,), (rows, n_outputs), or None
    """

    def __init__(self, y: FloatArray, sample_weight: Any) -> None:
        self.y = y
        self.sample_weight = sample_weight
        self.weights: FloatArray | None = None
        self.total: FloatArray | None = None
        self.has_gaps = np.ndim(sample_weight) > 1 or bool(np.isnan(y).any())
        if not self.has_gaps and len(y) > 1:
            if sample_weight is not None:
                self.weights = sample_weight.reshape(-1, 1)
            mean = np.average(y, axis=0, weights=sample_weight)
            squares = (y - mean) ** 2
            total = (squares if self.weights is None else self.weights * squares).sum(axis=0)
            if total.all():  # else scikit-learn has rules of its own
                self.total = total

    def __call__(self, outputs: FloatArray) -> float:
        """The score of these outputs."""
        if self.total is not None and self.y.shape == outputs.shape:
            errors = self.y - outputs
            errors *= errors
            if self.weights is not None:
                errors *= self.weights
            scores = 1 - errors.sum(axis=0) / self.total
            score = float(scores[0]) if len(scores) == 1 else float(scores.sum() / len(scores))
            return score if math.isfinite(score) else math.nan
        if not np.isfinite(outputs).all():
            return math.nan
        if self.has_gaps and self.y.shape == outputs.shape:
            return self._of_known(outputs)
        return float(r2_score(self.y, outputs, sample_weight=self.sample_weight))

    def _of_known(self, outputs: FloatArray) -> float:
        weights = self.sample_weight
        weights = np.ones(len(self.y)) if weights is None else np.asarray(weights)
        weights = np.broadcast_to(weights.reshape(len(self.y), -1), self.y.shape)
        scores = []
        for target, output, weight in zip(self.y.T, outputs.T, weights.T, strict=True):
            known = ~np.isnan(target) & (weight > 0)
            if known.sum() > 1:
                scores.append(r2_score(target[known], output[known], sample_weight=weight[known]))
        if not scores:
            warn(
                "R^2 is not defined where no output has two targets or more", UndefinedMetricWarning
            )
        return float(np.mean(scores)) if scores else float("nan")
