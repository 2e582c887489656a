"""Compiled calls by the table of a net and workspace: the one way from Python to the kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.kernels import entry
from fastbp.kernels.addresses import (
    ACTIVATED,
    APART,
    COUNT,
    DROPS_OUT,
    FIRST,
    LOSSES,
    N_BATCH,
    N_EPOCHS,
    N_PASSES,
    PROGRESS,
    RANDOM,
    ROWS,
    SNAPSHOT,
)
from fastbp.kernels.state import Data, Entries, OptimizerState
from fastbp.kernels.table import Table
from fastbp.machine import jit
from fastbp.model.net import FloatArray

Random = npt.NDArray[np.uint64]


def carry_out(table: Table, operation: int, sparse: bool, x: Any = None, y: Any = None) -> float:
    """Carry out an operation on what stands in the table.

    Parameters
    ----------
    table : Table
    operation : int
        See `fastbp.kernels.entry.operate`.
    sparse : bool
        Whether the rows are sparse.
    x, y : array of the net's dtype, two-dimensional, optional
        Rows and outputs that are not those of the table.
    """
    run = entry.train_and_predict_sparse if sparse else entry.train_and_predict
    blank = table.blank
    result: float = jit.call(
        run, blank.dtype.char, table.cells, operation, blank if x is None else x,
        blank if y is None else y,
    )  # fmt: skip
    table.called = True
    return result


def ready(table: Table, sparse: bool) -> None:
    """Compile what `carry_out` calls, or load it, unless that was done."""
    blank = table.blank
    jit.ready(_entry(sparse), blank.dtype.char, (table.cells, entry.PREDICT, blank, blank))


def native_address(table: Table, sparse: bool) -> int:
    """Where the machine code of `carry_out` stands, for compiled code to call.

    It is Numba's, compiled or loaded unless that was done: an object's is for Python.
    """
    from fastbp.machine import embedding  # imports Numba

    blank = table.blank
    function = jit.dispatcher_of(_entry(sparse))
    arguments = (table.cells, entry.PREDICT, blank, blank)
    jit.ready(function, blank.dtype.char, arguments)
    return embedding.native_address(function, *arguments)


def _entry(sparse: bool) -> Any:
    return entry.train_and_predict_sparse if sparse else entry.train_and_predict


def fill(
    table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, random: Random
) -> None:
    """Write what the operations but PREDICT need; an empty `random` is for no dropout.

    The table keeps the arrays alive until `Table.forget`.
    """
    table.put_data(data)
    table.put_optimizer(optimizer)
    table.put_gradient(grad)
    table.put(RANDOM, random)
    table.cells[DROPS_OUT] = random.size


def evaluate(
    table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, first: int, count: int,
    rows: int,
) -> float:  # fmt: skip
    """`fastbp.kernels.evaluation.evaluate_rows`; an empty `grad` asks for the loss alone."""
    fill(table, data, optimizer, grad, NO_RANDOM)
    try:
        return evaluate_again(table, data, first, count, rows)
    finally:
        table.forget()


def evaluate_again(table: Table, data: Data, first: int, count: int, rows: int) -> float:
    """The same with a table that was filled."""
    table.cells[FIRST : ROWS + 1] = first, count, rows
    return carry_out(table, entry.EVALUATE, data.entries is not None)


def derive(
    table: Table, data: Data, first: int, count: int, apart: int = 0,
    dY: FloatArray | None = None, dX: FloatArray | None = None, start: int = 0,
) -> float:  # fmt: skip
    """`fastbp.kernels.derivatives.derive_rows` with a table that was filled.

    Parameters
    ----------
    table : Table
        Its gradient has no length where the derivatives by the parameters are not wanted.
    data : Data
    first, count, apart, start : int
    dY : array of the net's dtype, shape (count, n_out), optional
        Without, the derivatives are those of the loss.
    dX : array of the net's dtype, shape (count, n_in), optional
        Where the derivatives by the inputs go, if they are wanted.
    """
    cells = table.cells
    cells[FIRST] = first
    cells[COUNT] = count
    cells[APART] = apart
    cells[ACTIVATED] = start - 1
    return carry_out(table, entry.DERIVE, data.entries is not None, dY, dX)


def train(
    table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, random: Random,
    progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64], snapshot: FloatArray,
    rows: int, batch_size: int, passes: int,
) -> int:  # fmt: skip
    """`fastbp.kernels.training.train_passes`, on arrays."""
    fill_training(
        table, data, optimizer, grad, random, progress, losses, snapshot, rows, batch_size, passes
    )
    try:
        return int(carry_out(table, entry.TRAIN, data.entries is not None))
    finally:
        table.forget()


def fill_training(
    table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, random: Random,
    progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64], snapshot: FloatArray,
    rows: int, batch_size: int, passes: int,
) -> None:  # fmt: skip
    """Write what training needs."""
    n_params = table.network.n_params
    fill(table, data, optimizer, grad, random)
    table.put(PROGRESS, progress)
    table.put(LOSSES, losses)
    table.put(SNAPSHOT, snapshot)
    cells = table.cells
    cells[N_EPOCHS] = losses.size - 2
    cells[APART] = n_params if snapshot.size > n_params else 0
    cells[N_BATCH] = batch_size
    cells[N_PASSES] = passes
    cells[ROWS] = rows


def predict(
    table: Table, inputs: FloatArray | None, entries: Entries | None, out: FloatArray
) -> int:
    """`fastbp.kernels.evaluation.predict_rows`, of rows that are given as one or the other."""
    if entries is None:
        return int(carry_out(table, entry.PREDICT, False, inputs, out))
    table.put_entries(entries)
    try:
        return int(carry_out(table, entry.PREDICT, True, None, out))
    finally:
        table.forget()


NO_RANDOM: Random = np.empty(0, np.uint64)
