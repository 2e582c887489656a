"""Validation rows: a part of the training rows, or given ones; their loss and score."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from fastbp.checks import SparseRows
from fastbp.fit.data import inputs_or_sparse, of_finite, to_evaluate, total_weight
from fastbp.fit.evaluation import evaluate
from fastbp.kernels.state import Data
from fastbp.mlp import MLP

FloatArray = npt.NDArray[np.floating]


class CheckedRows(NamedTuple):
    """Rows of data that an estimator has checked.

    Attributes
    ----------
    X : array or SparseRows of the net's dtype, shape (rows, n_in)
        Finite.
    y : array, shape (rows, n_outputs)
        The network's targets: columns of numbers, or of booleans for classes.
    sample_weight : array of float64, shape (rows,), or None
        Times the class weights.
    divisors : array of float64, shape (rows,), or None
        The sample weights without them, by whose sum scikit-learn divides; where there are no class
        weights the same array.
    given : tuple (X, y)
        The data as the user passed them, for scorers.
    """

    X: FloatArray | SparseRows
    y: npt.NDArray[Any]
    sample_weight: npt.NDArray[np.float64] | None
    divisors: npt.NDArray[np.float64] | None
    given: tuple[Any, Any]

    def take(self, rows: npt.NDArray[np.intp]) -> CheckedRows:
        """Some of the rows; `given` stays complete."""
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        divisors = weights
        if self.divisors is not self.sample_weight:
            divisors = None if self.divisors is None else self.divisors[rows]
        return CheckedRows(self.X[rows], self.y[rows], weights, divisors, self.given)


def data_of(net: MLP, rows: CheckedRows, targets: npt.NDArray[Any]) -> Data:
    """The arrays that kernels take to evaluate checked rows, with the targets of the loss."""
    matrix = inputs_or_sparse(rows.X, net.layer_sizes[0], net.dtype)
    data = of_finite(matrix, targets, rows.sample_weight, net.layer_sizes[-1], net.spec.loss)
    return to_evaluate(data)


def data_to_train_on(
    net: MLP, rows: CheckedRows, targets: npt.NDArray[Any], incremental: bool
) -> Data:
    """The arrays that kernels take to train on checked rows, with the targets of the loss.

    scikit-learn divides the loss of a batch by the sum of its sample weights. Class weights only
    multiply: divided by their sum, those of a batch without the rare class would come to nothing.
    In a fit they are scaled to a mean of 1 over the rows, each counted by its sample weight;
    `incremental` takes them as they are, since it does not know all rows.
    """
    data = data_of(net, rows, targets)
    if not data.n_weights:
        return data
    if rows.divisors is None:
        data = data._replace(total=float(len(rows.X)))
    else:
        total = total_weight(rows.divisors)
        data = data._replace(divisors=rows.divisors, n_divisors=rows.divisors.size, total=total)
    if rows.divisors is not rows.sample_weight and not incremental:
        factor = data.total / total_weight(data.weights)
        data = data._replace(weights=data.weights * factor)
    return data


def split(
    rows: CheckedRows, fraction: float, stratify: bool, random_state: np.random.RandomState
) -> tuple[CheckedRows, CheckedRows, npt.NDArray[np.intp]]:
    """Training rows, validation rows, and the indices of the latter.

    Raises
    ------
    ValueError
        For fewer than two validation rows, and whatever scikit-learn's `train_test_split` raises.
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
    """Measures an estimator on validation rows.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    net : MLP
    rows : CheckedRows
        The validation rows; `given` holds only these.
    targets : array
        Targets for the loss.
    """

    def __init__(
        self, estimator: Any, net: MLP, rows: CheckedRows, targets: npt.NDArray[Any]
    ) -> None:
        self.rows = rows
        self.data = data_of(net, rows, targets)
        self.no_penalties = net.optimizer_state()._replace(settings=np.zeros_like(net.settings))
        self.no_gradient = net.params[:0].copy()
        self.scorer = None
        if estimator.scoring not in (None, "loss"):
            self.scorer = check_scoring(estimator, scoring=estimator.scoring)

    def loss(self, net: MLP) -> float:
        """The loss, without penalties and dropout."""
        count = len(self.rows.X)
        return evaluate(net, self.data, count, self.no_penalties, self.no_gradient)

    def score(self, estimator: Any, net: MLP) -> float:
        """The score by the estimator's `scoring`; by default accuracy or R^2."""
        weights = self.rows.sample_weight
        if self.scorer is None:
            outputs = net.predict(cast(Any, self.rows.X))
            return float(estimator._score_of(outputs, self.rows.y, weights))
        if weights is None:
            return float(self.scorer(estimator, *self.rows.given))
        return float(self.scorer(estimator, *self.rows.given, sample_weight=weights))
