"""Validation rows: a part of the training rows, or given ones; their loss and score."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from fastbp.checks import SparseRows
from fastbp.fit.calls import NO_RANDOM, evaluate_again, fill
from fastbp.fit.data import (
    inputs_or_sparse,
    of_finite,
    row_weights,
    to_evaluate,
    total_weight,
    weights_of,
)
from fastbp.fit.evaluation import evaluate, rows_in_a_call
from fastbp.kernels.layout import N_COLUMNS, OUTPUT
from fastbp.kernels.state import Data
from fastbp.kernels.table import Table
from fastbp.kernels.workspace import CAPACITY, STRIDE
from fastbp.mlp import MLP
from fastbp.sklearn.scores import Score

FloatArray = npt.NDArray[np.floating]


class CheckedRows(NamedTuple):
    """Rows of data that an estimator has checked.

    Attributes
    ----------
    X : array or SparseRows of the net's dtype, shape (rows, n_in)
        Finite.
    y : array, shape (rows, n_outputs)
        The network's targets: columns of numbers, NaN for missing ones, or of booleans for classes.
    sample_weight : array of float64, shape (rows,) or (rows, n_outputs), or None
        Times the class weights.
    divisors : array of float64, shape as that of `sample_weight`, or None
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
    return to_evaluate(of_finite(matrix, targets, rows.sample_weight, net))


def data_to_train_on(
    net: MLP, rows: CheckedRows, targets: npt.NDArray[Any], incremental: bool
) -> Data:
    """The arrays that kernels take to train on checked rows, with the targets of the loss.

    scikit-learn divides the loss of a batch by the sum of its sample weights; where outputs have
    their own, or targets are missing, by the mean of the outputs' sums. Class weights only
    multiply: divided by their sum, those of a batch without the rare class would come to nothing.
    In a fit they are scaled to a mean of 1 over the rows, each counted by its sample weight;
    `incremental` takes them as they are, since it does not know all rows.
    """
    data = data_of(net, rows, targets)
    weights = weights_of(data)
    if weights is None:
        return data
    divisors = rows.divisors
    if divisors is rows.sample_weight:  # there are no class weights
        divisors = row_weights(weights)
    if divisors is None:
        data = data._replace(total=float(len(rows.X)))
    else:
        total = total_weight(divisors)
        data = data._replace(divisors=divisors, n_divisors=divisors.size, total=total)
    if rows.divisors is not rows.sample_weight and not incremental:
        factor = data.total / total_weight(weights)
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
    count = len(rows.X)
    if stratify or not 1 <= math.ceil(fraction * count) < count:
        kept, held = train_test_split(
            np.arange(count), random_state=random_state, test_size=fraction,
            stratify=rows.y if stratify else None,
        )  # fmt: skip
    else:  # the same without 0.2 ms of checks
        held, kept = np.split(random_state.permutation(count), [math.ceil(fraction * count)])
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
        count = len(rows.X)
        sparse = isinstance(rows.X, SparseRows)
        shared = net.workspace(count, training=True, sparse=sparse)
        network, work = shared.network, shared.work
        self.table = Table(network, work)  # training does not overwrite what stands in it
        self.filled = False
        at_once = min(work.places[CAPACITY], rows_in_a_call(net, count, self.data.entries))
        from_logits = net.spec.loss.from_logits
        self.in_one_pass = (
            net.in_python is None
            and net.explaining is None
            and count <= at_once
            and (estimator._logits_will_do or not from_logits)
        )
        # Where they take a single pass, `loss` leaves the outputs of all rows in the workspace, or
        # their net inputs: to compute them again would take as long as the loss.
        first = int(network.layers[OUTPUT - N_COLUMNS])  # of the last layer
        stride = int(work.places[STRIDE])
        outputs = work.values[first : first + net.layer_sizes[-1] * stride]
        self.outputs: FloatArray = outputs.reshape(-1, stride)[:, :count].T
        from_logits = from_logits and self.in_one_pass
        self.own_score: Score = estimator._score_against(rows.y, rows.sample_weight, from_logits)
        self.scorer = None
        if estimator.scoring not in (None, "loss"):
            self.scorer = check_scoring(estimator, scoring=estimator.scoring)

    @property
    def can_wait(self) -> bool:
        """Whether several epochs may be trained first: a scorer sees the estimator itself."""
        return self.scorer is None

    def loss(self, net: MLP) -> float:
        """The loss, without penalties and dropout."""
        count = len(self.rows.X)
        if self.filled:  # half of what a loss of few rows takes is looking up
            return evaluate_again(self.table, self.data, 0, count, count)
        loss = evaluate(net, self.data, count, self.no_penalties, self.no_gradient, self.table)
        if self.in_one_pass:
            fill(self.table, self.data, self.no_penalties, self.no_gradient, NO_RANDOM)
            self.filled = True
        return loss

    def score(self, estimator: Any, net: MLP) -> float:
        """The score by the estimator's `scoring`, after `loss`; by default accuracy or R^2."""
        if self.scorer is None:
            outputs = self.outputs if self.in_one_pass else net.predict(cast(Any, self.rows.X))
            with np.errstate(over="ignore", invalid="ignore"):  # shortly before divergence
                return self.own_score(outputs)
        weights = self.rows.sample_weight
        more = {} if weights is None else {"sample_weight": weights}
        try:
            return float(self.scorer(estimator, *self.rows.given, **more))
        except ValueError as error:
            if net.missing_targets or (weights is not None and weights.ndim > 1):
                error.add_note(
                    "from scoring, which was given missing targets as NaN and the weights of the "
                    "outputs: leave scoring at None, or pass a function that takes them"
                )
            raise
