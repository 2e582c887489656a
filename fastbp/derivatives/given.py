"""What users pass beside X and y, checked: parameters, gradients, derivatives by outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp.fit import data
from fastbp.kernels.state import Data, OptimizerState
from fastbp.kernels.table import Table
from fastbp.model.net import FloatArray, Net

REDUCTIONS = ("mean", "sum")
NO_TARGETS = {char: np.empty(0, char) for char in "fd"}
"""Always the same, so that a table has them already: to look up an address takes 3 us."""


def vector(name: str, value: Any, net: Net, finite: bool = True) -> FloatArray:
    """A flat array laid out like the parameters, of the net's dtype, copied only where necessary.

    Parameters
    ----------
    name : str
        What the messages call it.
    value : array-like, shape (n_params,)
    net : Net
    finite : bool, default=True
        Whether NaN and infinity are refused.
    """
    size, dtype = net.n_params, net.dtype
    if type(value) is np.ndarray and value.dtype == dtype and value.flags.carray:
        array: Any = value
    else:
        with np.errstate(over="ignore"):
            array = np.require(checks.numbers(name, value), dtype, ["C", "A"])
    if array.shape != (size,):
        raise ValueError(
            f"{name} must have shape ({size},), laid out like net.params; got shape {array.shape}"
        )
    if finite and not np.isfinite(array).all():
        index = int(np.isfinite(array).argmin())
        raise ValueError(f"{name} must be finite; got {array[index]} at {index}")
    checked: FloatArray = array
    return checked


def out(value: Any, net: Net, others: tuple[FloatArray, ...] = ()) -> FloatArray:
    """An array that a result like the parameters goes to, a new one for None.

    Raises
    ------
    TypeError, ValueError
        If it is no such array, or shares memory with the parameters or with `others`.
    """
    params = net.params
    if value is None:
        return np.empty_like(params)
    is_array = isinstance(value, np.ndarray)
    if (
        not is_array
        or value.shape != params.shape
        or value.dtype != params.dtype
        or not value.flags.carray
    ):
        accepted = f"a C-contiguous, writable array of shape ({params.size},), {net.dtype}"
        if not is_array:
            raise TypeError(f"out must be {accepted}; got {checks.described(value)}")
        kind = "" if value.flags.carray else ", not contiguous or not writable"
        raise ValueError(f"out must be {accepted}; got shape {value.shape}, {value.dtype}{kind}")
    for other in (params, *others):
        if np.may_share_memory(value, other):
            raise ValueError(
                "out must not share memory with the parameters or with what is passed beside it: "
                "they are read after the first of its numbers is written. Pass another array"
            )
    checked: FloatArray = value
    return checked


def reduced(reduction: str, rows: Data, net: Net) -> tuple[Data, OptimizerState]:
    """Rows and optimiser for the mean of the losses and the penalties, or for the sum alone.

    Parameters
    ----------
    reduction : {"mean", "sum"}
    rows : Data
        From `fastbp.fit.data.rows_and_targets`.
    net : Net
    """
    optimizer = net.optimizer_state()
    if checks.choice("reduction", reduction, REDUCTIONS) == "mean":
        return rows, optimizer
    return rows._replace(total=1.0), without_penalties(optimizer)


def without_penalties(optimizer: OptimizerState) -> OptimizerState:
    """The same for evaluations, whose settings are the penalties alone."""
    return optimizer._replace(settings=np.zeros_like(optimizer.settings))


def at(table: Table, params: FloatArray | None) -> Table:
    """The table for other parameters than the net's, on the same workspace."""
    if params is None:
        return table
    return Table(table.network._replace(params=params), table.work, table.kept)


def refuse_sparse(what: str) -> None:
    """Say that what was asked for takes dense rows."""
    raise TypeError(f"{what} takes dense rows; X is sparse. Pass X.toarray()")


def dense_rows(X: Any, net: Net, what: str) -> FloatArray:
    """X as a dense array (rows, n_in), finite; sparse rows are refused, `what` being asked for."""
    if checks.is_sparse(X):
        refuse_sparse(what)
    matrix = data.inputs(X, net.layer_sizes[0], net.dtype)
    return checks.finite("X", matrix, X)


def by_outputs(dY: Any, rows: int, net: Net) -> FloatArray:
    """A derivative by the outputs, (rows, n_out), or (rows,) of one output."""
    n_out = net.layer_sizes[-1]
    if type(dY) is np.ndarray and dY.dtype == net.dtype and dY.flags.carray:
        if dY.shape == (rows, n_out):
            return checks.finite("dY", dY, dY)
    array: Any = checks.numbers("dY", dY)
    if n_out == 1 and array.ndim == 1:
        array = array.reshape(-1, 1)
    matrix = checks.matrix("dY", array, n_out, net.dtype, "one column per output")
    if len(matrix) != rows:
        raise ValueError(f"dY must have a row for each of the {rows} rows of X; got {len(matrix)}")
    return checks.finite("dY", matrix, array)


def rows_without_targets(X: FloatArray) -> Data:
    """Dense rows as the kernels take them."""
    nothing = NO_TARGETS[X.dtype.char]
    integers, numbers = data.NO_INTEGERS, data.NO_NUMBERS
    return Data(
        X.reshape(-1), nothing, integers, integers, numbers, numbers, 0, 0, 0, 0, float(len(X))
    )
