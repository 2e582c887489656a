"""What users pass as X and y, checked once and in the form that the kernels take."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.network import Data

FloatArray = npt.NDArray[np.floating]


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
    return checks.matrix("X", X, n_in, dtype, "one column an input")


def rows_and_targets(
    X: npt.ArrayLike, y: npt.ArrayLike, layer_sizes: tuple[int, ...], loss: str, dtype: np.dtype
) -> tuple[Data, int]:
    """Checked rows to train on or evaluate, in the order they stand, and how many they are."""
    matrix = checks.finite("X", inputs(X, layer_sizes[0], dtype), X)
    rows, outputs = matrix.shape[0], layer_sizes[-1]
    targets: FloatArray | None
    labels: npt.NDArray[np.int64] | None = None
    if loss == "cross_entropy":
        targets, labels = checks.classes(y, rows, outputs, dtype)
    else:
        targets = checks.targets(y, rows, outputs, dtype)
        if loss == "binary_cross_entropy":
            checks.unit_interval(targets, loss)
    no_integers = np.empty(0, np.int64)
    return Data(
        inputs=matrix.reshape(-1),
        targets=np.empty(0, dtype) if targets is None else targets.reshape(-1),
        labels=no_integers if labels is None else labels,
        order=no_integers,
        n_labels=0 if labels is None else rows,
        n_order=0,
    ), rows
