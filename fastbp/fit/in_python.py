"""Losses and activations in Python: what `kernels.training.train` does, a batch at a time."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.checks import SparseRows
from fastbp.fit import calls
from fastbp.fit.calls import Random
from fastbp.fit.data import NO_INTEGERS, NO_NUMBERS, inputs_and_entries, weights_of
from fastbp.kernels import entry
from fastbp.kernels.addresses import ACTIVATED, COUNT, DIVISOR, FIRST, RANDOM
from fastbp.kernels.layout import N_COLUMNS, N_OUT, OUTPUT, SLOPE
from fastbp.kernels.state import PENALTIES_SHARED, Data, Entries, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.training import DIVERGED, DONE, EPOCH, FINISHED, ROW, RUNNING
from fastbp.kernels.updates import NO_UPDATE
from fastbp.kernels.workspace import CAPACITY, STRIDE
from fastbp.model.net import InPython

FloatArray = npt.NDArray[np.floating]


def _table_of(
    shared: Table, data: Data, optimizer: OptimizerState | None, grad: FloatArray, random: Random
) -> Table:
    """A table of its own on the same workspace: a user's function may predict with the net."""
    table = Table(shared.network, shared.work, shared.kept)
    if optimizer is None:
        table.put_data(data)
        table.put(RANDOM, random)
    else:
        calls.fill(table, data, optimizer, grad, random)
    return table


def _activate(own: InPython, table: Table, layer: int, rows: int) -> None:
    """Outputs and slopes of a layer instead of its net inputs."""
    row = table.network.layers.reshape(-1, N_COLUMNS)[layer]
    work = table.work
    stride = int(work.places[STRIDE])
    units = int(row[N_OUT])

    def matrix(name: int) -> FloatArray:
        at = int(row[name])
        return work.values[at : at + units * stride].reshape(units, stride)[:, :rows]

    z = matrix(OUTPUT)
    with_slope = bool(row[SLOPE] >= 0)
    y, slope = own.activations[layer](np.array(z.T, order="C"), with_slope)
    with np.errstate(over="ignore"):
        z[...] = y.T
        if with_slope:
            matrix(SLOPE)[...] = slope.T


def _outputs(
    own: InPython, table: Table, data: Data, first: int, rows: int, out: FloatArray
) -> None:
    """Outputs of some rows in `out`, unless that is empty, and in the workspace."""
    done = -1
    cells = table.cells
    cells[FIRST] = first
    cells[COUNT] = rows
    sparse = data.entries is not None
    while done < table.network.n_layers:
        if done >= 0:
            _activate(own, table, done, rows)
        cells[ACTIVATED] = done
        done = int(calls.carry_out(table, entry.OUTPUTS, sparse, y=out))


def _rows_of(data: Data, first: int, rows: int) -> Any:
    """An index of the rows of a batch."""
    return data.order[first : first + rows] if data.n_order else slice(first, first + rows)


def _divisor(data: Data, first: int, rows: int) -> float:
    """By what the loss of a batch is divided."""
    if data.n_divisors == 0:
        return float(rows)
    return float(data.divisors[_rows_of(data, first, rows)].sum())


def _batch_loss(
    own: InPython, table: Table, data: Data, first: int, rows: int, divisor: float
) -> tuple[float, FloatArray]:
    """Loss of a batch and its derivative by the outputs.

    The derivative of a compiled loss stands in the workspace, and the array is empty.
    """
    network = table.network
    n_out = int(network.layers[N_OUT - N_COLUMNS])
    loss = own.loss
    out = np.empty((rows if loss is not None else 0, n_out), network.params.dtype)
    _outputs(own, table, data, first, rows, out)
    if loss is None:
        table.numbers[DIVISOR] = divisor
        return calls.carry_out(table, entry.OUTPUT_LOSS, data.entries is not None), out
    chosen = _rows_of(data, first, rows)
    targets = data.targets.reshape(-1, n_out)[chosen]
    targets.setflags(write=False)  # a view of the user's array, where the rows are not shuffled
    all_weights = weights_of(data)
    if all_weights is None:
        total = float(rows)
        value, delta = loss(out, targets)
    else:
        weights = all_weights[chosen]
        weights.setflags(write=False)
        total = float(weights.sum()) / data.n_weights
        if total == 0:  # no mean: such a batch adds nothing
            return 0.0, np.zeros_like(out)
        value, delta = loss(out, targets, weights)
    if total == divisor:
        return value, delta
    factor = total / divisor if divisor > 0 else 0.0  # the function has divided by the total
    return value * factor, delta * delta.dtype.type(factor)


def _descend(
    table: Table, entries: Entries | None, delta: FloatArray, rows: int, divisor: float
) -> None:
    """An update, or the gradient, from the derivative of the loss by the outputs."""
    table.cells[COUNT] = rows
    table.numbers[DIVISOR] = divisor
    calls.carry_out(table, entry.DESCEND, entries is not None, y=delta)


def _penalties(table: Table, divisor: float) -> float:
    """What L1 and L2 add to the loss of a batch that was divided by the `divisor`."""
    table.numbers[DIVISOR] = divisor
    return calls.carry_out(table, entry.PENALTIES, False)


def predict(own: InPython, shared: Table, inputs: FloatArray | SparseRows, out: FloatArray) -> None:
    """Outputs of all rows, (rows, n_in), in `out`, (rows, n_out)."""
    rows = inputs.shape[0]
    capacity = int(shared.work.places[CAPACITY])
    no_targets = np.empty(0, inputs.dtype)
    flat, entries = inputs_and_entries(inputs)
    data = Data(
        flat, no_targets, NO_INTEGERS, NO_INTEGERS, NO_NUMBERS, NO_NUMBERS, 0, 0, 0, 0, float(rows),
        entries=entries,
    )  # fmt: skip
    table = _table_of(shared, data, None, no_targets, calls.NO_RANDOM)
    for first in range(0, rows, capacity):
        batch = min(capacity, rows - first)
        some = out[first : first + batch]
        try:
            _outputs(own, table, data, first, batch, some)
        except Exception as error:
            if first:
                error.add_note(f"rows are counted from row {first} of X on")
            raise


def forward(own: InPython, shared: Table, data: Data, first: int, rows: int) -> None:
    """Outputs of some rows, and the slopes of the activations, in the workspace: one pass."""
    nothing = np.empty((0, 0), data.inputs.dtype)
    table = _table_of(shared, data, None, nothing, calls.NO_RANDOM)
    _outputs(own, table, data, first, rows, nothing)


def _shuffle(lock: AbstractContextManager[Any], table: Table, sparse: bool) -> None:
    """Draw the order of the rows in the next epoch; the lock is held for that, and no longer."""
    calls.ready(table, sparse)
    with lock:
        calls.carry_out(table, entry.SHUFFLE, sparse)


def train(
    own: InPython, lock: AbstractContextManager[Any], shared: Table, data: Data,
    optimizer: OptimizerState, grad: FloatArray, random: Random,
    progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64], snapshot: FloatArray,
    rows: int, batch_size: int, passes: int,
) -> int:  # fmt: skip
    """The compiled loop `kernels.training.train_passes`, with a loss or activations in Python.

    The parameters are those of the compiled loop, behind `own` and `lock`, that of the bit
    generator. Every batch is one pass. An error in the user's functions leaves the updates so far.
    """
    table = _table_of(shared, data, optimizer, grad, random)
    params = shared.network.params
    entries = data.entries
    epochs = len(losses) - 2
    epoch = int(progress[EPOCH])
    first = int(progress[ROW])
    for _ in range(passes):
        if epoch == epochs:
            break
        if first == 0 and data.n_order:
            _shuffle(lock, table, entries is not None)
        batch = min(batch_size, rows - first)
        divisor = _divisor(data, first, batch)
        value, delta = _batch_loss(own, table, data, first, batch, divisor)
        value += _penalties(table, divisor)
        share = batch / rows if optimizer.settings[PENALTIES_SHARED] else divisor / data.total
        losses[epoch] += value * share
        if math.isfinite(value):
            _descend(table, entries, delta, batch, divisor)
        first += batch
        ended = first == rows
        if not math.isfinite(value) or (ended and not np.isfinite(params).all()):
            params[:] = snapshot
            return DIVERGED
        if ended:
            snapshot[:] = params
            epoch += 1
            first = 0
        progress[EPOCH] = epoch
        progress[ROW] = first
        progress[DONE] = 0
    return FINISHED if epoch == epochs else RUNNING


def evaluate(
    own: InPython, shared: Table, data: Data, optimizer: OptimizerState, grad: FloatArray,
    rows: int,
) -> float:  # fmt: skip
    """Loss of all rows, penalties included; its gradient in `grad`, unless that is empty."""
    paused = optimizer._replace(code=NO_UPDATE)
    table = _table_of(shared, data, paused, grad, calls.NO_RANDOM)
    value, delta = _batch_loss(own, table, data, 0, rows, data.total)
    if grad.size:
        _descend(table, data.entries, delta, rows, data.total)
    return value + _penalties(table, data.total)


def derive(
    own: InPython, shared: Table, data: Data, optimizer: OptimizerState, grad: FloatArray,
    first: int, rows: int, dY: FloatArray | None, dX: FloatArray | None,
) -> float:  # fmt: skip
    """As `calls.derive`: some rows, whose gradient overwrites `grad`, unless that is empty."""
    table = _table_of(shared, data, optimizer, grad, calls.NO_RANDOM)
    value = None
    if dY is None and own.loss is not None:
        value, dY = _batch_loss(own, table, data, first, rows, data.total)
    else:
        _outputs(own, table, data, first, rows, table.blank)
    loss = calls.derive(table, data, first, rows, 1, dY, dX, start=table.network.n_layers)
    return loss if value is None else value
