"""What users pass as X and y, checked once and in the form that the kernels take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.checks import SparseRows
from fastbp.kernels.state import Data, Entries
from fastbp.model.activations import traits_of
from fastbp.model.losses import Loss
from fastbp.model.net import Net

FloatArray = npt.NDArray[np.floating]

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


def sample_weights(sample_weight: Any, rows: int) -> npt.NDArray[np.float64]:
    """Weights of the rows, (rows,) or (0,) where there are none."""
    if sample_weight is None:
        return np.empty(0)
    weights = checks.flat("sample_weight", sample_weight, rows)
    bad = ~((weights >= 0) & (weights <= MOST_WEIGHT))
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"sample_weight must hold finite numbers of at least 0 and at most {MOST_WEIGHT}; got "
            f"{weights[row]} at row {row}"
        )
    return weights


def total_weight(weights: npt.NDArray[np.float64]) -> float:
    """The sum of the sample weights, by which can be divided."""
    total = float(weights.sum())
    if total == 0:
        raise ValueError("sample_weight must have a sum above 0; all weights are 0")
    if not LEAST_WEIGHT <= total <= MOST_WEIGHT:
        raise ValueError(
            f"sample_weight must have a sum from {LEAST_WEIGHT} to {MOST_WEIGHT}; got {total}. "
            "Scale the weights: only their ratios count"
        )
    return total


def scaled_to_mean_1(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The sample weights of a fit as training takes them: only their ratios count there."""
    return weights * (weights.size / total_weight(weights))


def rows_and_targets(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    layer_sizes: tuple[int, ...],
    loss: Loss,
    dtype: np.dtype,
) -> tuple[Data, int]:
    """Checked rows to evaluate, in the order they stand, and how many they are.

    Their loss is divided by the sum of their sample weights.
    """
    data, rows = rows_to_train_on(X, y, sample_weight, layer_sizes, loss, dtype)
    return to_evaluate(data), rows


def to_evaluate(data: Data) -> Data:
    """Rows whose loss is divided by the sum of their sample weights, from rows to train on."""
    return data._replace(total=total_weight(data.weights)) if data.n_weights else data


def rows_to_train_on(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    layer_sizes: tuple[int, ...],
    loss: Loss,
    dtype: np.dtype,
) -> tuple[Data, int]:
    """Checked rows to train on, in the order they stand, and how many they are.

    The loss of a batch is divided by the number of its rows, however large their weights are: so
    the expectation of its gradient is that of all rows together.
    """
    matrix = inputs_or_sparse(X, layer_sizes[0], dtype)
    if not isinstance(matrix, SparseRows):
        checks.finite("X", matrix, X)
    data = of_finite(matrix, y, sample_weight, layer_sizes[-1], loss)
    return data, matrix.shape[0]


def of_finite(
    matrix: FloatArray | SparseRows, y: Any, sample_weight: npt.ArrayLike | None, outputs: int,
    loss: Loss,
) -> Data:  # fmt: skip
    """As `rows_to_train_on`, for inputs from `inputs_or_sparse` that are known to be finite."""
    rows = matrix.shape[0]
    dtype = matrix.dtype
    flat, entries = inputs_and_entries(matrix)
    no_integers = np.empty(0, np.int64)
    targets, labels = loss.targets(y, rows, outputs, dtype)
    weights = sample_weights(sample_weight, rows)
    return Data(
        inputs=flat,
        targets=np.empty(0, dtype) if targets is None else targets.reshape(-1),
        labels=no_integers if labels is None else labels,
        order=no_integers,
        weights=weights,
        divisors=np.empty(0),
        n_labels=0 if labels is None else rows,
        n_order=0,
        n_weights=weights.size,
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


def check_trainable(activations: tuple[Any, ...]) -> None:
    """Raise a ValueError for a net that backpropagation cannot train."""
    if not all(traits_of(activation).trainable for activation in activations):
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
