"""Sparse rows at the boundary: what is taken, how they are cut, what is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.sparse

from fastbp import checks

X = scipy.sparse.csr_array(np.array([[0, 1.5, 0], [2, 0, -1], [0, 0, 0], [0, 0, 3]]))


def dense(rows: checks.SparseRows) -> np.ndarray:
    """The rows as an array."""
    parts = rows.values, rows.columns, rows.starts - rows.starts[0]
    first, end = rows.starts[[0, -1]]
    parts = rows.values[first:end], rows.columns[first:end], parts[2]
    return scipy.sparse.csr_matrix(parts, shape=rows.shape).toarray()


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
def test_all_formats_become_rows(form: str) -> None:
    for given in (X, scipy.sparse.csr_matrix(X), X.astype(np.int8)):
        rows = checks.sparse_rows("X", given.asformat(form), 3, "float32")
        np.testing.assert_array_equal(dense(rows), given.toarray())
        assert (rows.dtype, rows.columns.dtype, rows.starts.dtype) == ("float32", "i4", "i8")
        assert (rows.shape, len(rows)) == ((4, 3), 4)


def test_values_are_shared_and_indices_are_not() -> None:
    rows = checks.sparse_rows("X", X, 3, X.dtype)
    assert np.shares_memory(rows.values, X.data)
    assert not np.shares_memory(rows.columns, X.indices)
    assert not np.shares_memory(rows.starts, X.indptr)
    assert checks.sparse_rows("X", rows, 3, X.dtype) is rows


@pytest.mark.parametrize(
    "chosen", [slice(1, 3), slice(0, 4), slice(3, 9), np.array([3, 0, 3]), np.array([], int),
               np.array([True, False, True, True])],
)  # fmt: skip
def test_some_of_the_rows(chosen) -> None:
    rows = checks.sparse_rows("X", X, 3, float)
    np.testing.assert_array_equal(dense(rows[chosen]), X.toarray()[chosen])
    part = rows[1:]
    np.testing.assert_array_equal(dense(part[np.array([2, 0])]), X.toarray()[[3, 1]])


def changed(**parts) -> scipy.sparse.csr_array:
    """X with other arrays inside."""
    array = X.copy()
    for name, value in parts.items():
        setattr(array, name, np.asarray(value))
    return array


REFUSED = {
    "a column": (X[:, :2], ValueError, "X must have shape (rows, 3), one column per input; got"),
    "no rows": (X[:0], ValueError, "X must have at least one row; got shape (0, 3)"),
    "NaN": (changed(data=[1, 2, np.nan, 3.0]), ValueError, "X holds nan at row 1, column 2; only"),
    "infinity": (changed(data=[-np.inf, 2, 1, 3.0]), ValueError, "X holds -inf at row 0, column 1"),
    "beyond": (X * 1e300, ValueError, "at row 0, column 1, which is beyond float32; scale"),
    "complex": (X * 1j, TypeError, "X must hold real numbers"),
    "below": (changed(indices=[1, -1, 2, 2]), ValueError, "must be 0 to 2; got -1 to 2"),
    "above": (changed(indices=[1, 0, 3, 2]), ValueError, "must be 0 to 2; got 0 to 3"),
    "far": (changed(indices=[1, 2**32, 2, 2]), ValueError, "must be 0 to 2; got 1 to 4294967296"),
    "falls": (changed(indptr=[0, 3, 1, 1, 4]), ValueError, "indptr must rise from 0"),
    "too many": (changed(indptr=[0, 1, 3, 3, 9]), ValueError, "at most the number of entries"),
    "halves": (changed(indptr=[0.5, 1, 3, 3, 4]), ValueError, "its indptr must be a vector of int"),
    "text": (changed(indices=["1", "0", "2", "2"]), ValueError, "its indices must be a vector"),
    "booleans": (changed(indices=[True, False, True, True]), ValueError, "got dtype bool"),
    "a table": (changed(indptr=[[0, 1, 3, 3, 4]] * 5), ValueError, "and shape (5, 5)"),
    "begins late": (changed(indptr=[1, 1, 3, 3, 4]), ValueError, "indptr must rise from 0"),
}


@pytest.mark.parametrize(("given", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(given, error, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        checks.sparse_rows("X", given, 3, "float32")


def test_rows_are_not_gone_through_one_by_one() -> None:
    with pytest.raises(TypeError, match="slices or arrays"):
        list(checks.sparse_rows("X", X, 3, float))
