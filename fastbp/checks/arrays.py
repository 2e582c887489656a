"""Arrays: inputs, targets, labels, weights, each checked once, before a kernel sees it.

A message says what was given, what is accepted and how to mend it.
"""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

PIECE_VALUES = 1 << 16
"""Values that are looked at in one piece, so that what NumPy makes of them stays in the cache."""

REMEDY = "Remove or fill in such rows first"
"""What to do about values that are not finite."""


def numbers(name: str, value: Any, remedy: str = "") -> npt.NDArray[Any]:
    """`value` as an array of real numbers, whatever its dtype.

    Tables whose columns have several dtypes, and nullable dtypes, come from NumPy as objects: those
    that are numbers become int64 or float64, and what is missing becomes NaN.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : array-like
    remedy : str, optional
        What to do about values that are not numbers.

    Raises
    ------
    TypeError
        For text, dates, complex numbers and other objects.
    ValueError
        For rows of different lengths, and for masked values.
    """
    refuse_masked(name, value)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    got = ""
    if array.dtype.kind == "O":
        if hasattr(value, "toarray"):
            raise TypeError(
                f"{name} must hold real numbers in a dense array; got the sparse "
                f"{type(value).__name__}. Pass {name}.toarray()"
            )
        array, got = _from_objects(name, array)
    if array.dtype.kind not in "biuf":
        remedy = remedy or f"Convert it first, for instance with {name}.astype(float)"
        raise TypeError(
            f"{name} must hold real numbers (floats, integers or booleans); got dtype "
            f"{array.dtype}{got}. {remedy}"
        )
    return array


def _from_objects(name: str, array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], str]:
    """Objects that are numbers as int64 or float64; others unchanged, and which is the first."""
    items = array.reshape(-1).tolist()
    missing = [item is None or type(item).__name__ == "NAType" for item in items]
    for index, item in enumerate(items):
        is_number = isinstance(item, Real | Decimal | np.bool_)
        if not (is_number or missing[index]) or array.ndim == 0:
            where = ", ".join(map(str, np.unravel_index(index, array.shape)))
            at = f" at [{where}]" if array.ndim else ""
            return array, f" with {type(item).__name__} {item!r}{at}"
    if all(isinstance(item, Integral | np.bool_) for item in items) and items:
        with suppress(OverflowError):
            return np.array(items, np.int64).reshape(array.shape), ""
    filled = [np.nan if gap else item for item, gap in zip(items, missing, strict=True)]
    try:
        return np.array(filled, np.float64).reshape(array.shape), ""
    except OverflowError:
        raise ValueError(f"{name} holds a number beyond float64; scale the values") from None


def refuse_masked(name: str, value: Any) -> None:
    """Raise a ValueError for masked values, which NumPy would hand over as if there was no mask."""
    if type(value) in (np.ndarray, float, int):
        return
    if isinstance(value, list | tuple):
        if not any(isinstance(part, np.ma.MaskedArray) for part in value):
            return
        value = np.ma.stack(value) if all(map(np.shape, value)) else np.ma.array(value)
    if not isinstance(value, np.ma.MaskedArray):
        return
    count = int(np.ma.getmaskarray(value).sum())
    if count:
        rows = f"~numpy.ma.getmaskarray({name})" + (".any(axis=1)" if value.ndim > 1 else "")
        raise ValueError(
            f"{name} must not hold masked values; got {count} of them. Fill them, as "
            f"{name}.filled(0) does, or drop their rows: those to keep, of all arrays, are "
            f"rows = {rows}"
        )


def shape(name: str, value: Any) -> tuple[int, ...]:
    """The shape of an array of real numbers."""
    return numbers(name, value).shape


def writable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that is not marked read-only, so that the kernels need not be compiled twice.

    They read inputs and targets and never write them.
    """
    if array.flags.writeable:
        return array

    class Holder:
        __array_interface__ = {
            **array.__array_interface__,
            "data": (array.__array_interface__["data"][0], False),
        }

        def __init__(self) -> None:
            self.keeps_alive = array

    return np.asarray(Holder())


def check_shape(name: str, shape: tuple[int, ...], columns: int, what: str) -> None:
    """Raise a ValueError where the shape is not (rows, `columns`), or has no rows."""
    if len(shape) != 2 or shape[1] != columns:
        hint = ""
        if len(shape) == 1 and columns == 1:
            hint = f"; one column is {name}.reshape(-1, 1)"
        elif len(shape) == 1 and shape[0] == columns:
            hint = f"; one row is {name}.reshape(1, -1)"
        raise ValueError(
            f"{name} must have shape (rows, {columns}), {what}; got shape {shape}{hint}"
        )
    if shape[0] == 0:
        raise ValueError(f"{name} must have at least one row; got shape {shape}")


def matrix(name: str, value: Any, columns: int, dtype: npt.DTypeLike, what: str) -> FloatArray:
    """`value` as a C-contiguous (rows, `columns`) array of `dtype`, copied only where necessary."""
    array = numbers(name, value)
    check_shape(name, array.shape, columns, what)
    with np.errstate(over="ignore"):
        converted = np.require(array, dtype, ["C", "A"])
    return writable(converted)


def raise_not_finite(
    name: str,
    array: FloatArray,
    index: int,
    given: Any,
    remedy: str = REMEDY,
) -> None:
    """Raise a ValueError that says where the NaN or infinity at flat `index` of `array` is."""
    row, column = divmod(index, array.shape[1])
    original = numbers(name, given).reshape(array.shape)[row, column]
    refuse_not_finite(name, array[row, column], original, row, column, remedy)


def refuse_not_finite(
    name: str, value: Any, original: Any, row: int, column: int, remedy: str = REMEDY
) -> None:
    """Raise a ValueError for a value that is NaN or infinite, or has become so in its dtype."""
    if np.isinf(value) and np.isfinite(original):
        raise ValueError(
            f"{name} holds {original} at row {row}, column {column}, which is beyond "
            f"{value.dtype}; scale the values or use dtype='float64'"
        )
    raise ValueError(
        f"{name} holds {value} at row {row}, column {column}; only finite numbers are accepted. "
        f"{remedy}"
    )


def finite(
    name: str, array: FloatArray, given: Any, of_nan: str = "", remedy: str = REMEDY
) -> FloatArray:
    """`array` itself, if all its values are finite; `of_nan` is what else to do about NaN."""
    if array.size <= PIECE_VALUES and np.logical_and.reduce(np.isfinite(array), axis=None):
        return array
    index = first_not_finite(array.reshape(-1))
    if index >= 0:
        more = of_nan if np.isnan(array.flat[index]) else ""
        raise_not_finite(name, array, index, given, f"{remedy}{more}")
    return array


def first_not_finite(values: FloatArray) -> int:
    """Index of the first NaN or infinity in a flat array, -1 when there is none."""
    for first in range(0, values.size, PIECE_VALUES):
        is_finite = np.isfinite(values[first : first + PIECE_VALUES])
        if not is_finite.all():
            return first + int(is_finite.argmin())
    return -1


def weights(name: str, value: Any, shape: tuple[int, int], dtype: npt.DTypeLike) -> FloatArray:
    """Initial weights of a layer as a new array (n_in, n_out) of `dtype`, all values finite."""
    array = numbers(name, value, "Give arrays of floats")
    if array.shape != shape:
        hint = "; weights are (n_in, n_out), transpose them" if array.shape == shape[::-1] else ""
        raise ValueError(f"{name} must have shape {shape}; got shape {array.shape}{hint}")
    with np.errstate(over="ignore"):
        converted: FloatArray = array.astype(dtype)
    index = first_not_finite(converted.reshape(-1))
    if index >= 0:
        raise_not_finite(name, converted, index, array, "Replace it")
    return converted


def targets(
    value: Any, rows: int, outputs: int, dtype: npt.DTypeLike, of_nan: str = ""
) -> FloatArray:
    """Targets as a (rows, outputs) array; those of a single output may be a flat array.

    `of_nan` is what to do about NaN, beside leaving out rows.
    """
    array = numbers("y", value)
    if array.ndim == 1 and outputs == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != outputs:
        accepted = f"({rows}, {outputs})" + (f" or ({rows},)" if outputs == 1 else "")
        raise ValueError(
            f"y must have shape {accepted}, one column per output; got shape {array.shape}"
        )
    same_rows(array, rows)
    return finite("y", matrix("y", array, outputs, dtype, "one column per output"), array, of_nan)


def sample_weights(value: Any, rows: int, outputs: int) -> npt.NDArray[np.float64]:
    """One number per row, as a float64 array (rows, 1), or one per output, (rows, outputs)."""
    array = numbers("sample_weight", value)
    if array.shape not in ((rows,), (rows, outputs)):
        by_output = f", or ({rows}, {outputs}), one per output" if outputs > 1 else ""
        raise ValueError(
            f"sample_weight must have shape ({rows},), one number per row{by_output}; got shape "
            f"{array.shape}"
        )
    with np.errstate(over="ignore"):
        converted = np.require(array.reshape(rows, -1), np.float64, ["C", "A"])
    return writable(converted)


def same_rows(y: npt.NDArray[Any], rows: int) -> None:
    """Raise a ValueError where X and y differ in their number of rows."""
    if len(y) != rows:
        raise ValueError(f"X and y must have the same number of rows; got {rows} and {len(y)}")


def labels(value: npt.NDArray[Any], rows: int, outputs: int) -> IntArray:
    """Class labels 0 ... outputs - 1 as a flat int64 array.

    Always a copy, which is checked: kernels use labels as indices, and what a callback or another
    thread writes into the user's array meanwhile must not become an address.
    """
    same_rows(value, rows)
    copy = np.array(value, dtype=np.int64, order="C")
    bad = (copy < 0) | (copy >= outputs)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"y holds label {value[row]} at row {row}; with {outputs} outputs labels are 0 to "
            f"{outputs - 1}. numpy.unique(y, return_inverse=True) renumbers them"
        )
    return copy


def classes(
    value: Any, rows: int, outputs: int, dtype: npt.DTypeLike
) -> tuple[FloatArray | None, IntArray | None]:
    """Targets of cross_entropy: probabilities by row, or class labels; the other is None."""
    array = numbers(
        "y", value, "Number the classes first: names, y = numpy.unique(y, return_inverse=True)"
    )
    given = array.shape
    if array.ndim == 2 and array.shape[1] == 1 and outputs > 1:
        array = array.reshape(-1)
    if array.ndim == 1:
        if array.dtype.kind not in "biu":
            raise TypeError(
                f"y of shape {given} must hold integer class labels for cross_entropy; got "
                f"dtype {array.dtype}. Use y.astype(int), or probabilities of shape "
                f"({rows}, {outputs})"
            )
        return None, labels(array, rows, outputs)
    probabilities = targets(array, rows, outputs, dtype)
    unit_interval(probabilities, "cross_entropy")
    sums = probabilities.sum(axis=1)
    off = np.abs(sums - 1) > 1e-3
    if off.any():
        row = int(off.argmax())
        raise ValueError(
            f"y must hold probabilities that sum to 1 in each row, or integer labels; row {row} "
            f"sums to {sums[row]:.6g}"
        )
    return probabilities, None


def where(what: str, bad: npt.NDArray[np.bool_], array: FloatArray) -> None:
    """Raise a ValueError for the first value that is `bad`; `what` says what is accepted."""
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{what}; got {array[row, column]} at row {row}, column {column}")


def unit_interval(array: FloatArray, loss: str) -> None:
    """Raise a ValueError where a target is not between 0 and 1."""
    where(f"y must lie between 0 and 1 for {loss}", (array < 0) | (array > 1), array)
