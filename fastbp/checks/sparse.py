"""Sparse rows, checked once and in the form that kernels take; SciPy itself is not needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastbp.checks.arrays import (
    check_shape,
    first_not_finite,
    numbers,
    refuse_not_finite,
    writable,
)

FloatArray = npt.NDArray[np.floating]


class Sparse(Protocol):
    """A sparse matrix or array, of SciPy or alike."""

    def tocsr(self) -> Any:
        """The same in compressed rows."""


class SparseRows:
    """Rows in compressed form (CSR), whose entries are finite and whose columns exist.

    An entry may be 0, stand anywhere in its row and share its column with others, whose sum counts.

    Parameters
    ----------
    values : float, shape (entries,)
    columns : int32, shape (entries,)
        Nobody else's array: kernels use them as indices.
    starts : int64, shape (rows + 1,)
        Where the entries of each row start, and where those of the last end; nobody else's either.
    n_columns : int
    """

    ndim = 2

    def __init__(
        self, values: FloatArray, columns: npt.NDArray[np.int32], starts: npt.NDArray[np.int64],
        n_columns: int,
    ) -> None:  # fmt: skip
        self.values = values
        self.columns = columns
        self.starts = starts
        self.shape = len(starts) - 1, n_columns

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the values."""
        return self.values.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("sparse rows are taken by slices or arrays of their indices")

    def __getitem__(self, rows: Any) -> SparseRows:
        """Some of the rows, by a slice without a step or an array of their indices."""
        n_columns = self.shape[1]
        if isinstance(rows, slice):
            first, end, _ = rows.indices(len(self))
            return SparseRows(self.values, self.columns, self.starts[first : end + 1], n_columns)
        lengths = np.diff(self.starts)[rows]
        starts = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        entries = np.arange(starts[-1]) + np.repeat(self.starts[:-1][rows] - starts[:-1], lengths)
        return SparseRows(self.values[entries], self.columns[entries], starts, n_columns)


def is_sparse(value: Any) -> bool:
    """Whether this is a sparse matrix or array, of SciPy or alike."""
    return isinstance(value, SparseRows) or hasattr(value, "tocsr")


def refuse_sparse(name: str, value: Any, what: str) -> None:
    """Raise a TypeError for sparse rows, which `what` does not take."""
    if is_sparse(value):
        raise TypeError(
            f"{what} takes dense rows; {name} is the sparse {type(value).__name__}. Pass "
            f"{name}.toarray()"
        )


def sparse_rows(name: str, value: Any, columns: int, dtype: npt.DTypeLike) -> SparseRows:
    """A sparse matrix or array as checked rows of `dtype`.

    Its values are not copied where they have that dtype.

    Raises
    ------
    TypeError
        For values that are no real numbers.
    ValueError
        For another shape, no rows, NaN, infinity, and for row or column indices that do not belong
        to such a matrix.
    """
    if isinstance(value, SparseRows) and value.dtype == dtype and value.shape[1] == columns:
        return value
    check_shape(name, tuple(value.shape), columns, "one column per input")
    csr = value.tocsr()
    given = numbers(name, csr.data)
    with np.errstate(over="ignore"):
        values = writable(np.require(given, dtype, ["C", "A"]))
    indices = np.asarray(csr.indices)
    indptr = np.asarray(csr.indptr)
    for what, array in (("indices", indices), ("indptr", indptr)):
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise ValueError(
                f"{name} is no valid sparse matrix: its {what} must be a vector of integers; got "
                f"dtype {array.dtype} and shape {array.shape}"
            )
    starts = np.array(indptr, np.int64)
    if not (
        values.ndim == 1
        and len(starts) == value.shape[0] + 1
        and 0 == starts[0] <= starts[-1] <= min(len(values), len(indices))
        and (starts[1:] >= starts[:-1]).all()
    ):
        raise ValueError(
            f"{name} is no valid sparse matrix: indptr must rise from 0 to at most the number of "
            f"entries. {name}.check_format() says more"
        )
    values = values[: starts[-1]]
    indices = indices[: starts[-1]]
    own = np.array(indices, np.int32)
    if own.size and not (
        own.min() >= 0
        and own.max() < columns
        and (indices.dtype == np.int32 or np.array_equal(own, indices))
    ):
        raise ValueError(
            f"{name} is no valid sparse matrix: its column indices must be 0 to {columns - 1}; got "
            f"{indices.min()} to {indices.max()}"
        )
    index = first_not_finite(values)
    if index >= 0:
        row = int(np.searchsorted(starts, index, "right")) - 1
        refuse_not_finite(name, values[index], given[index], row, int(own[index]))
    return SparseRows(values, own, starts, columns)
