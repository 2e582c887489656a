"""Checks at the boundary: every array and option is checked here once, before a kernel runs.

A message says what was given, what is accepted and how to mend it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp._jit import ready
from fastbp.activations import Activation, as_activation
from fastbp.kernels.training import first_not_finite

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

FEW_NUMBERS = 1 << 16
"""So many NumPy checks as fast, and nothing needs to be compiled or loaded for it."""
MOST_PARAMETERS = 2**40
"""More do not fit any memory, and their offsets are still far from overflow."""


def count(name: str, value: Any, least: int = 1, most: float = math.inf) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number of at least {least}; got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}; got {value}")
    if value > most:
        raise ValueError(f"{name} must be at most {most}; got {value}")
    return int(value)


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    return number(name, value, "a finite number above 0", lambda x: x > 0)


def number(name: str, value: Any, accepted: str, is_accepted: Callable[[float], bool]) -> float:
    """A finite number that is accepted; `accepted` says which ones are."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, {accepted}; got {value!r}")
    try:
        result = float(value)
    except OverflowError:  # an integer beyond all floats
        result = math.inf
    if not (math.isfinite(result) and is_accepted(result)):
        raise ValueError(f"{name} must be {accepted}; got {value!r}")
    return result


def at_least_zero(name: str, value: Any) -> float:
    """A finite number of at least 0."""
    return number(name, value, "a finite number of at least 0", lambda x: x >= 0)


def rate(name: str, value: Any) -> float:
    """A share of units that drop out: at least 0 and below 1."""
    return number(name, value, "at least 0 and below 1", lambda x: 0 <= x < 1)


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def choice(name: str, value: Any, accepted: Iterable[str]) -> str:
    """One of a few names."""
    accepted = tuple(accepted)
    if not isinstance(value, str):
        raise TypeError(
            f"{name} must be one of {', '.join(map(repr, accepted))}; got "
            f"{type(value).__name__} {value!r}"
        )
    if value not in accepted:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, accepted))}; got {value!r}")
    return value


def layer_sizes(value: Any) -> tuple[int, ...]:
    """Inputs, hidden layers, outputs: two or more whole numbers of at least 1."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"layer_sizes must be a sequence such as (64, 32, 10): inputs, hidden layers, "
            f"outputs; got {value!r}"
        )
    sizes = tuple(count(f"layer_sizes[{i}]", size) for i, size in enumerate(value))
    if len(sizes) < 2:
        raise ValueError(
            f"layer_sizes needs at least inputs and outputs, such as (64, 10); got {sizes}"
        )
    n_params = sum((a + 1) * b for a, b in zip(sizes, sizes[1:], strict=False))
    if n_params > MOST_PARAMETERS:
        raise ValueError(
            f"layer_sizes {sizes} ask for {n_params} parameters; at most {MOST_PARAMETERS} can "
            "be addressed. Take smaller layers"
        )
    return sizes


def _as_numbers(name: str, value: Any, how: str = "") -> npt.NDArray[Any]:
    """`value` as an array of real numbers, not yet of the net's dtype."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers: {error}") from None
    if array.dtype.kind not in "biuf":
        how = how or f"Convert it first, for instance with {name}.astype(float)"
        raise TypeError(
            f"{name} must hold real numbers (floats, integers or booleans); got dtype "
            f"{array.dtype}. {how}"
        )
    return array


def shape(name: str, value: Any) -> tuple[int, ...]:
    """The shape of an array of real numbers."""
    return _as_numbers(name, value).shape


def _writable(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A view that is not marked read-only, so that no second version is compiled for it.

    The kernels read inputs and targets and never write them.
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


def matrix(name: str, value: Any, columns: int, dtype: npt.DTypeLike, what: str) -> FloatArray:
    """`value` as a C-contiguous (rows, `columns`) array of `dtype`; not copied where it is one."""
    array = _as_numbers(name, value)
    if array.ndim != 2 or array.shape[1] != columns:
        hint = ""
        if array.ndim == 1 and columns == 1:
            hint = f"; one column is {name}.reshape(-1, 1)"
        elif array.ndim == 1 and array.shape[0] == columns:
            hint = f"; one row is {name}.reshape(1, -1)"
        raise ValueError(
            f"{name} must have shape (rows, {columns}), {what}; got shape {array.shape}{hint}"
        )
    if array.shape[0] == 0:
        raise ValueError(f"{name} must have at least one row; got shape {array.shape}")
    with np.errstate(over="ignore"):
        converted = np.require(array, dtype, ["C", "A"])
    return _writable(converted)


def raise_not_finite(name: str, array: FloatArray, index: int, given: Any) -> None:
    """Say where the NaN or infinity at flat `index` of `array` is."""
    row, column = divmod(index, array.shape[1])
    value = array[row, column]
    original = np.asarray(given).reshape(array.shape)[row, column]
    if np.isinf(value) and np.isfinite(original):
        raise ValueError(
            f"{name} holds {original} at row {row}, column {column}, which is beyond "
            f"{array.dtype}; scale the data or use dtype='float64'"
        )
    raise ValueError(
        f"{name} holds {value} at row {row}, column {column}; only finite numbers are accepted. "
        "Remove or fill in such rows first"
    )


def finite(name: str, array: FloatArray, given: Any) -> FloatArray:
    """`array` itself, when all of it is finite."""
    numbers = array.reshape(-1)
    if numbers.size <= FEW_NUMBERS:
        if np.isfinite(numbers).all():
            return array
        index = int(np.isfinite(numbers).argmin())
    else:
        ready(first_not_finite, array.dtype.char, (numbers,))
        index = int(first_not_finite(numbers))
    if index >= 0:
        raise_not_finite(name, array, index, given)
    return array


def targets(value: Any, rows: int, outputs: int, dtype: npt.DTypeLike) -> FloatArray:
    """Targets as a (rows, outputs) array; one output may come as a flat array."""
    array = _as_numbers("y", value)
    if array.ndim == 1 and outputs == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != outputs:
        accepted = f"({rows}, {outputs})" + (f" or ({rows},)" if outputs == 1 else "")
        raise ValueError(
            f"y must have shape {accepted}, one column an output; got shape {array.shape}"
        )
    same_rows(array, rows)
    return finite("y", matrix("y", array, outputs, dtype, "one column an output"), array)


def flat(name: str, value: Any, rows: int) -> npt.NDArray[np.float64]:
    """A number for each row, as a flat float64 array."""
    array = _as_numbers(name, value)
    if array.shape != (rows,):
        raise ValueError(
            f"{name} must have shape ({rows},), a number for each row; got shape {array.shape}"
        )
    with np.errstate(over="ignore"):
        converted = np.require(array, np.float64, ["C", "A"])
    return _writable(converted)


def same_rows(y: npt.NDArray[Any], rows: int) -> None:
    """As many targets as rows of X."""
    if len(y) != rows:
        raise ValueError(f"X and y must have as many rows; got {rows} and {len(y)}")


def labels(value: npt.NDArray[Any], rows: int, outputs: int) -> IntArray:
    """Class labels 0 ... outputs - 1 as a flat int64 array."""
    same_rows(value, rows)
    bad = (value < 0) | (value >= outputs)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"y holds label {value[row]} at row {row}; with {outputs} outputs labels are 0 to "
            f"{outputs - 1}. numpy.unique(y, return_inverse=True) renumbers them"
        )
    return np.require(_writable(np.ascontiguousarray(value, dtype=np.int64)), None, ["C", "A"])


def classes(
    value: Any, rows: int, outputs: int, dtype: npt.DTypeLike
) -> tuple[FloatArray | None, IntArray | None]:
    """Targets of cross_entropy: probabilities by row, or class labels; the other is None."""
    array = _as_numbers(
        "y", value, "Number the classes first: names, y = numpy.unique(y, return_inverse=True)"
    )
    if array.ndim == 2 and array.shape[1] == 1 and outputs > 1 and array.dtype.kind in "biu":
        array = array.reshape(-1)
    if array.ndim == 1:
        if array.dtype.kind not in "biu":
            raise TypeError(
                f"y of shape {array.shape} must hold integer class labels for cross_entropy; got "
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
    """Say `what` is accepted and where the first number that is `bad` stands."""
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{what}; got {array[row, column]} at row {row}, column {column}")


def unit_interval(array: FloatArray, loss: str) -> None:
    """All targets between 0 and 1."""
    where(f"y must lie between 0 and 1 for {loss}", (array < 0) | (array > 1), array)


def float_dtype(value: Any) -> np.dtype[Any]:
    """float32 or float64."""
    accepted = "dtype must be 'float32' or 'float64'"
    try:
        dtype: np.dtype[Any] = np.dtype(value)
    except (TypeError, ValueError, SyntaxError):  # NumPy parses strings such as ","
        raise TypeError(f"{accepted}; got {value!r}") from None
    if value is None or dtype not in (np.dtype("float32"), np.dtype("float64")):
        raise ValueError(f"{accepted}; got {value!r}")
    return dtype


def generator(seed: Any) -> np.random.Generator:
    """A random generator from a seed: None or a whole number of at least 0."""
    return np.random.default_rng(None if seed is None else count("seed", seed, 0))


OwnOrNamed = str | Activation


def _activation(name: str, value: Any, accepted: Iterable[str]) -> OwnOrNamed:
    """One of a few names, or an activation in Python."""
    value = as_activation(value)
    return value if isinstance(value, Activation) else choice(name, value, accepted)


def activations(value: Any, hidden: int, accepted: tuple[str, ...]) -> tuple[OwnOrNamed, ...]:
    """One activation for each hidden layer."""
    value = as_activation(value)
    if isinstance(value, str | Activation):
        return (_activation("activation", value, accepted),) * hidden
    if not isinstance(value, Iterable):
        raise TypeError(
            "activation must be a name, a graph or a function, or one for each hidden layer; got "
            f"{value!r}"
        )
    names = tuple(_activation(f"activation[{i}]", name, accepted) for i, name in enumerate(value))
    if len(names) != hidden:
        raise ValueError(
            f"activation must be one name or one for each of the {hidden} hidden layers; got "
            f"{len(names)}: {names}"
        )
    return names


def output_activation(
    value: Any, loss: str, accepted: Iterable[str], matching: str, from_logits: bool
) -> OwnOrNamed:
    """The output activation: the one that matches the loss, or another where the loss allows."""
    if value is None:
        return matching
    name = _activation("output_activation", value, accepted)
    if from_logits and name != matching:
        raise ValueError(
            f"loss {loss!r} is computed from the net inputs of {matching} outputs; got "
            f"output_activation={name!r}. Leave it out, or use loss='squared_error'"
        )
    return name


def layer_indices(value: Iterable[int] | None, n_layers: int) -> list[int]:
    """Numbers of layers, all of them for None."""
    if value is None:
        return list(range(n_layers))
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        value = [int(value)]
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError(
            f"layers must be a sequence of layer numbers such as [0], from 0 to {n_layers - 1}; "
            f"got {value!r}"
        )
    chosen = [count("layers", index, 0) for index in value]
    for index in chosen:
        if index >= n_layers:
            raise ValueError(f"layers must be 0 to {n_layers - 1}; got {index}")
    return chosen
