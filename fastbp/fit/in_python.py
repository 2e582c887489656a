"""Losses and activations in Python: what `kernels.training.train` does, a batch at a time."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.checks import SparseRows
from fastbp.fit.data import inputs_and_entries, kind_of
from fastbp.kernels import in_python
from fastbp.kernels.layout import N_COLUMNS, N_OUT, OUTPUT, SLOPE
from fastbp.kernels.state import PENALTIES_SHARED, Data, Network, OptimizerState
from fastbp.kernels.training import DIVERGED, DONE, EPOCH, FINISHED, ROW, RUNNING
from fastbp.kernels.updates import NO_UPDATE
from fastbp.kernels.workspace import CAPACITY, STRIDE, Workspace
from fastbp.machine.jit import call, ready
from fastbp.model.net import InPython

FloatArray = npt.NDArray[np.floating]


def _activate(own: InPython, network: Network, work: Workspace, layer: int, rows: int) -> None:
    """Outputs and slopes of a layer instead of its net inputs."""
    table = network.layers.reshape(-1, N_COLUMNS)[layer]
    stride = int(work.places[STRIDE])
    units = int(table[N_OUT])

    def matrix(name: int) -> FloatArray:
        at = int(table[name])
        return work.values[at : at + units * stride].reshape(units, stride)[:, :rows]

    z = matrix(OUTPUT)
    with_slope = bool(table[SLOPE] >= 0)
    y, slope = own.activations[layer](np.array(z.T, order="C"), with_slope)
    with np.errstate(over="ignore"):
        z[...] = y.T
        if with_slope:
            matrix(SLOPE)[...] = slope.T


def _outputs(
    own: InPython, network: Network, work: Workspace, data: Data, first: int, rows: int,
    random: npt.NDArray[np.uint64], out: FloatArray,
) -> None:  # fmt: skip
    """Outputs of some rows in `out`, unless that is empty, and in the workspace."""
    done = -1
    kind = kind_of(data)
    while done < network.n_layers:
        if done >= 0:
            _activate(own, network, work, done, rows)
        done = call(in_python.outputs, kind, network, work, data, first, rows, done, random, out)


def _rows_of(data: Data, first: int, rows: int) -> Any:
    """An index of the rows of a batch."""
    return data.order[first : first + rows] if data.n_order else slice(first, first + rows)


def _divisor(data: Data, first: int, rows: int) -> float:
    """By what the loss of a batch is divided."""
    if data.n_divisors == 0:
        return float(rows)
    return float(data.divisors[_rows_of(data, first, rows)].sum())


def _batch_loss(
    own: InPython, network: Network, work: Workspace, data: Data, first: int, rows: int,
    divisor: float, random: npt.NDArray[np.uint64],
) -> tuple[float, FloatArray]:  # fmt: skip
    """Loss of a batch and its derivative by the outputs.

    The derivative of a compiled loss stands in the workspace, and the array is empty.
    """
    layers = network.layers.reshape(-1, N_COLUMNS)
    n_out = int(layers[-1, N_OUT])
    loss = own.loss
    out = np.empty((rows if loss is not None else 0, n_out), network.params.dtype)
    _outputs(own, network, work, data, first, rows, random, out)
    if loss is None:
        value = call(
            in_python.built_in_loss, kind_of(data), network, work, data, first, rows, divisor
        )
        return float(value), out
    chosen = _rows_of(data, first, rows)
    targets = data.targets.reshape(-1, n_out)[chosen]
    targets.setflags(write=False)  # a view of the user's array, where the rows are not shuffled
    if not data.n_weights:
        return loss(out, targets)
    weights = data.weights[chosen]
    weights.setflags(write=False)
    total = float(weights.sum())
    if total == 0:  # no mean: such a batch adds nothing
        return 0.0, np.zeros_like(out)
    value, delta = loss(out, targets, weights)
    if total == divisor:
        return value, delta
    factor = total / divisor if divisor > 0 else 0.0  # the function has divided by the weights
    return value * factor, delta * delta.dtype.type(factor)


def predict(
    own: InPython, network: Network, work: Workspace, inputs: FloatArray | SparseRows,
    out: FloatArray,
) -> None:  # fmt: skip
    """Outputs of all rows, (rows, n_in), in `out`, (rows, n_out)."""
    rows = inputs.shape[0]
    capacity = int(work.places[CAPACITY])
    no_integers = np.empty(0, np.int64)
    no_random = np.empty(0, np.uint64)
    no_targets = np.empty(0, inputs.dtype)
    flat, entries = inputs_and_entries(inputs)
    data = Data(
        flat, no_targets, no_integers, no_integers,
        np.empty(0), np.empty(0), 0, 0, 0, 0, float(rows),
        entries=entries,
    )  # fmt: skip
    for first in range(0, rows, capacity):
        batch = min(capacity, rows - first)
        some = out[first : first + batch]
        try:
            _outputs(own, network, work, data, first, batch, no_random, some)
        except Exception as error:
            if first:
                error.add_note(f"rows are counted from row {first} of X on")
            raise


def _shuffle(lock: AbstractContextManager[Any], data: Data, random: npt.NDArray[np.uint64]) -> None:
    """Draw the order of the rows in the next epoch; the lock is held for that, and no longer."""
    arguments = data.order, data.generator, random
    ready(in_python.shuffle, "", arguments)
    with lock:
        in_python.shuffle(*arguments)


def train(
    own: InPython, lock: AbstractContextManager[Any], network: Network, work: Workspace,
    data: Data, optimizer: OptimizerState, grad: FloatArray, random: npt.NDArray[np.uint64],
    progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64], snapshot: FloatArray,
    rows: int, batch_size: int, passes: int,
) -> int:  # fmt: skip
    """The compiled loop `kernels.training.train`, with a loss or activations in Python.

    The parameters are those of the compiled loop, behind `own` and `lock`, that of the bit
    generator. Every batch is one pass. An error in the user's functions leaves the updates so far.
    """
    char = network.params.dtype.char
    kind = kind_of(data)
    entries = data.entries
    epochs = len(losses) - 2
    epoch = int(progress[EPOCH])
    first = int(progress[ROW])
    for _ in range(passes):
        if epoch == epochs:
            break
        if first == 0 and data.n_order:
            _shuffle(lock, data, random)
        batch = min(batch_size, rows - first)
        divisor = _divisor(data, first, batch)
        value, delta = _batch_loss(own, network, work, data, first, batch, divisor, random)
        value += call(in_python.penalties, char, network, optimizer, divisor)
        share = batch / rows if optimizer.settings[PENALTIES_SHARED] else divisor / data.total
        losses[epoch] += value * share
        if math.isfinite(value):
            arguments = network, work, entries, delta, optimizer, grad, batch, divisor
            call(in_python.descend, kind, *arguments)
        first += batch
        ended = first == rows
        if not math.isfinite(value) or (ended and not np.isfinite(network.params).all()):
            network.params[:] = snapshot
            return DIVERGED
        if ended:
            snapshot[:] = network.params
            epoch += 1
            first = 0
        progress[EPOCH] = epoch
        progress[ROW] = first
        progress[DONE] = 0
    return FINISHED if epoch == epochs else RUNNING


def evaluate(
    own: InPython, network: Network, work: Workspace, data: Data, optimizer: OptimizerState,
    grad: FloatArray, rows: int,
) -> float:  # fmt: skip
    """Loss of all rows, penalties included; its gradient in `grad`, unless that is empty."""
    char = network.params.dtype.char
    no_dropout = np.empty(0, np.uint64)
    value, delta = _batch_loss(own, network, work, data, 0, rows, data.total, no_dropout)
    if grad.size:
        paused = optimizer._replace(code=NO_UPDATE)
        arguments = network, work, data.entries, delta, paused, grad, rows, data.total
        call(in_python.descend, kind_of(data), *arguments)
    return value + float(call(in_python.penalties, char, network, optimizer, data.total))
