"""What users pass as X and y, checked once and in the form that the kernels take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.checks import SparseRows
from fastbp.kernels.state import Data, Entries
from fastbp.model.activations import traits_of
from fastbp.model.net import Net

FloatArray = npt.NDArray[np.floating]
Weights = npt.NDArray[np.float64]

NO_INTEGERS = np.empty(0, np.int64)
NO_NUMBERS = np.empty(0)
"""For fields of `Data` that are empty; always the same, so that a table has them already."""
LEAST_WEIGHT = 1e-300
MOST_WEIGHT = 1e300
"""Bounds on sample weights and their sum: kernels know no denormal numbers."""


def inputs(X: npt.ArrayLike, n_in: int, dtype: np.dtype) -> FloatArray:
    """X as a C-contiguous matrix of the dtype, as it is where it is one; not checked for NaN."""
    if (
        type(X) is np.ndarray
        and X.dtype == dtype
        and X.ndim == 2
        and X.shape[1] == n_in
        and X.shape[0] > 0
        and X.flags.carray
    ):
        return X
    return checks.matrix("X", X, n_in, dtype, "one column per input")


def inputs_or_sparse(X: Any, n_in: int, dtype: np.dtype) -> FloatArray | SparseRows:
    """X as `inputs` or as sparse rows, of which only the latter are checked for NaN."""
    if type(X) is not np.ndarray and checks.is_sparse(X):
        return checks.sparse_rows("X", X, n_in, dtype)
    return inputs(X, n_in, dtype)


def entries_of(rows: SparseRows) -> Entries:
    """Sparse rows as kernels take them."""
    return Entries(rows.values, rows.columns, rows.starts)


def inputs_and_entries(rows: FloatArray | SparseRows) -> tuple[FloatArray, Entries | None]:
    """Two fields of `Data`, the first empty or the second None."""
    if isinstance(rows, SparseRows):
        return np.empty(0, rows.dtype), entries_of(rows)
    return rows.reshape(-1), None


def kind_of(data: Data) -> str:
    """What the compiled types of the data depend on, for `fastbp.machine.jit.call`."""
    return data.inputs.dtype.char + ("" if data.entries is None else " sparse")


def row_count(data: Data, n_in: int) -> int:
    """How many rows the data have."""
    return data.inputs.size // n_in if data.entries is None else len(data.entries.starts) - 1


def sample_weights(sample_weight: Any, rows: int, net: Net) -> Weights:
    """Weights of the rows, (rows, 1), or of their outputs, (rows, n_out); (rows, 0) for none."""
    if sample_weight is None:
        return np.empty((rows, 0))
    weights = checks.sample_weights(sample_weight, rows, net.layer_sizes[-1])
    if weights.shape[1] > 1:
        net.spec.loss.check_by_output(
            f"sample_weight of shape {weights.shape}", f"Pass one number per row, ({rows},)"
        )
    bad = ~((weights >= 0) & (weights <= MOST_WEIGHT))
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"sample_weight must hold finite numbers of at least 0 and at most {MOST_WEIGHT}; got "
            f"{weights[row, column]} at row {row}"
            + (f", column {column}" if weights.shape[1] > 1 else "")
        )
    return weights


def targets_and_gaps(y: Any, missing: bool) -> tuple[Any, npt.NDArray[np.bool_] | None]:
    """The targets with 1, which every loss takes, for those that are missing; which these are.

    Those that are NaN are, if any may be `missing`; None stands for none.
    """
    if not missing:
        return y, None
    array = checks.numbers("y", y)
    gaps = np.isnan(array)
    if not gaps.any():
        return array, None
    return np.where(gaps, np.ones_like(array), array), gaps


def weights_beside(gaps: npt.NDArray[np.bool_], weights: Weights) -> Weights:
    """Sample weights of 0 where a target is missing; without others the rest are 1.

    Parameters
    ----------
    gaps : array of bool, shape (rows,), (rows, 1) or (rows, n_out)
    weights : array of float64, shape (rows, 0), (rows, 1) or (rows, n_out)
    """
    rows = len(gaps)
    return (weights if weights.size else np.ones((rows, 1))) * ~gaps.reshape(rows, -1)


def weights_of(data: Data) -> Weights | None:
    """The sample weights as users pass them, (rows,) or (rows, n_out); None where there are none.

    Those of missing targets are 0.
    """
    if not data.n_weights:
        return None
    return data.weights if data.n_weights == 1 else data.weights.reshape(-1, data.n_weights)


def row_weights(weights: Weights) -> Weights:
    """Sample weights by rows, (rows,): the mean over the outputs, exact where these are alike."""
    if weights.ndim == 1:
        return weights
    first = weights[:, 0]
    means: Weights = first + (weights - first[:, np.newaxis]).mean(axis=1)
    return means


def total_weight(weights: Weights) -> float:
    """The sum of the sample weights, over n_out where outputs have them; can be divided by."""
    total = float(row_weights(weights).sum())
    if total == 0:
        raise ValueError(
            "sample_weight must have a sum above 0; all weights are 0, and so are those of missing "
            "targets"
        )
    if not LEAST_WEIGHT <= total <= MOST_WEIGHT:
        raise ValueError(
            f"sample_weight must have a sum from {LEAST_WEIGHT} to {MOST_WEIGHT}; got {total}. "
            "Scale the weights: only their ratios count"
        )
    return total


def scaled_to_mean_1(weights: Weights) -> Weights:
    """The sample weights of a fit as training takes them: only their ratios count there."""
    return weights * (len(weights) / total_weight(weights))


def rows_and_targets(
    X: npt.ArrayLike | checks.Sparse,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    net: Net,
) -> tuple[Data, int]:
    """Checked rows to evaluate, in the order they stand, and how many they are.

    Their loss is divided by the sum of their sample weights.
    """
    data, rows = rows_to_train_on(X, y, sample_weight, net)
    return to_evaluate(data), rows


def to_evaluate(data: Data) -> Data:
    """Rows whose loss is divided by the sum of their sample weights, from rows to train on."""
    weights = weights_of(data)
    return data if weights is None else data._replace(total=total_weight(weights))


def rows_to_train_on(
    X: npt.ArrayLike | checks.Sparse,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    net: Net,
) -> tuple[Data, int]:
    """Checked rows to train on, in the order they stand, and how many they are.

    The loss of a batch is divided by the number of its rows, however large their weights are: so
    the expectation of its gradient is that of all rows together.
    """
    matrix = inputs_or_sparse(X, net.layer_sizes[0], net.dtype)
    if not isinstance(matrix, SparseRows):
        checks.finite("X", matrix, X)
    return of_finite(matrix, y, sample_weight, net), matrix.shape[0]


def of_finite(
    matrix: FloatArray | SparseRows, y: Any, sample_weight: npt.ArrayLike | None, net: Net
) -> Data:
    """As `rows_to_train_on`, for inputs from `inputs_or_sparse` that are known to be finite."""
    rows = matrix.shape[0]
    dtype = matrix.dtype
    flat, entries = inputs_and_entries(matrix)
    y, gaps = targets_and_gaps(y, net.missing_targets)
    targets, labels = net.spec.loss.targets(y, rows, net.layer_sizes[-1], dtype)
    weights = sample_weights(sample_weight, rows, net)
    if gaps is not None:
        weights = weights_beside(gaps, weights)
    return Data(
        inputs=flat,
        targets=np.empty(0, dtype) if targets is None else targets.reshape(-1),
        labels=NO_INTEGERS if labels is None else labels,
        order=NO_INTEGERS,
        weights=weights.reshape(-1) if weights.size else NO_NUMBERS,
        divisors=NO_NUMBERS,
        n_labels=0 if labels is None else rows,
        n_order=0,
        n_weights=weights.shape[1],
        n_divisors=0,
        total=float(rows),
        entries=entries,
    )


class Job(NamedTuple):
    """Rows to train on, in the form in which every source has them.

    Attributes
    ----------
    data : Data
    rows, batch_size : int
        The last batch of an epoch may be shorter.
    """

    data: Data
    rows: int
    batch_size: int

    @property
    def updates(self) -> int:
        """How many updates an epoch takes."""
        return -(-self.rows // self.batch_size)


def job_of(data: Data, rows: int, batch_size: int, shuffle: bool) -> Job:
    """A job of checked rows, taken as they stand or in a new order in each epoch."""
    batch_size = min(batch_size, rows)
    if shuffle and batch_size < rows:  # the order within one batch changes nothing
        data = data._replace(order=np.arange(rows), n_order=rows)
    return Job(data, rows, batch_size)


class Examples(NamedTuple):
    """What users pass as rows to learn from or to validate with; checked where that is stated."""

    X: Any
    y: Any
    sample_weight: Any = None

    def take(self, rows: Any) -> Examples:
        """Some of the rows, by a slice or their indices."""
        weights = self.sample_weight
        return Examples(self.X[rows], self.y[rows], None if weights is None else weights[rows])


def examples_of(data: Data, y: Any, net: Net) -> Examples:
    """Checked rows in the form in which users pass them, with the weights of missing targets.

    Parameters
    ----------
    data : Data
        From `rows_to_train_on` or `rows_and_targets`.
    y : array-like
        As it was given to that.
    net : Net
    """
    n_in = net.layer_sizes[0]
    if data.entries is None:
        rows: Any = data.inputs.reshape(-1, n_in)
    else:
        rows = SparseRows(*data.entries, n_in)
    return Examples(rows, checks.numbers("y", y), weights_of(data))


def is_trainable(activations: tuple[Any, ...]) -> bool:
    """Whether backpropagation can train a net."""
    return all(traits_of(activation).trainable for activation in activations)


def check_trainable(activations: tuple[Any, ...]) -> None:
    """Raise a ValueError for a net that backpropagation cannot train."""
    if not is_trainable(activations):
        raise ValueError(
            "a net with step units cannot be trained by backpropagation: their derivative is 0 or "
            f"undefined; activations are {activations}. Train with sigmoid, tanh or relu"
        )


def check_dropout(net: Net, data: Data) -> None:
    """Raise a ValueError for training on sparse rows with dropout of the inputs."""
    rate = net.regularization.input_dropout
    if rate and data.entries is not None:
        raise ValueError(
            f"input_dropout={rate:g} takes dense rows; X is sparse. Pass X.toarray(), or take "
            "dropout, that of the hidden layers, instead"
        )
