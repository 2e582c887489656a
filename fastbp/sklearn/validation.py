"""Rows to validate on: drawn from those of training, or handed in; their loss and score."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from fastbp.fit import data as dataset
from fastbp.fit.evaluation import evaluate
from fastbp.kernels.state import Data
from fastbp.mlp import MLP

FloatArray = npt.NDArray[np.floating]


class Rows(NamedTuple):
    """Rows as an estimator has checked them.

    Attributes
    ----------
    X : array of the net's dtype, shape (rows, n_in)
        Dense and finite.
    y : array, shape (rows, n_outputs)
        As the network learns it: columns of numbers, or of booleans for classes.
    sample_weight : array of float64, shape (rows,), or None
    given : tuple (X, y)
        As the user passed them, for scorers.
    """

    X: FloatArray
    y: npt.NDArray[Any]
    sample_weight: npt.NDArray[np.float64] | None
    given: tuple[Any, Any]

    def take(self, rows: npt.NDArray[np.intp]) -> Rows:
        """Some of the rows; what the user passed stays whole, see `Validation`."""
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        return Rows(self.X[rows], self.y[rows], weights, self.given)


def data_of(net: MLP, rows: Rows, targets: npt.NDArray[Any]) -> Data:
    """What kernels take, from checked rows and the targets of the loss."""
    matrix = dataset.inputs(rows.X, net.layer_sizes[0], net.dtype)
    return dataset.of_finite(
        matrix, targets, rows.sample_weight, net.layer_sizes[-1], net.spec.loss
    )


def split(
    rows: Rows, fraction: float, stratify: bool, random_state: np.random.RandomState
) -> tuple[Rows, Rows, npt.NDArray[np.intp]]:
    """Rows to train on, rows to validate on, and the numbers of the latter.

    Raises
    ------
    ValueError
        For fewer than two rows to validate on, and those of scikit-learn's `train_test_split`.
    """
    kept, held = train_test_split(
        np.arange(len(rows.X)),
        random_state=random_state,
        test_size=fraction,
        stratify=rows.y if stratify else None,
    )
    if len(held) < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of your "
            "dataset."
        )
    return rows.take(kept), rows.take(held), held


class Validation:
    """Measures an estimator on rows that it is not trained on.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    net : MLP
    rows : Rows
        `given` are these rows, as the user passed them.
    targets : array
        For the loss.
    """

    def __init__(self, estimator: Any, net: MLP, rows: Rows, targets: npt.NDArray[Any]) -> None:
        self.rows, self.data = rows, data_of(net, rows, targets)
        self.no_penalties = net.optimizer_state()._replace(rules=np.zeros_like(net.rules))
        self.no_gradient = net.params[:0].copy()
        self.scorer = None
        if estimator.scoring not in (None, "loss"):
            self.scorer = check_scoring(estimator, scoring=estimator.scoring)

    def loss(self, net: MLP) -> float:
        """The loss, without penalties and dropout."""
        count = len(self.rows.X)
        return evaluate(net, self.data, count, self.no_penalties, self.no_gradient)

    def score(self, estimator: Any, net: MLP) -> float:
        """The score: accuracy or R^2, or that of the estimator's `scoring`."""
        weights = self.rows.sample_weight
        if self.scorer is None:
            return float(estimator._score(net.predict(self.rows.X), self.rows.y, weights))
        if weights is None:
            return float(self.scorer(estimator, *self.rows.given))
        return float(self.scorer(estimator, *self.rows.given, sample_weight=weights))
