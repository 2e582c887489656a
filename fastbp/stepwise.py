"""Training on a loss in Python: what `kernels.training.train` does, a batch at a time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp._jit import ready
from fastbp.kernels import stepwise
from fastbp.kernels.network import Data, Network
from fastbp.kernels.training import DIVERGED, DONE, EPOCH, FINISHED, ROW, RUNNING
from fastbp.kernels.updates import NO_UPDATE, SUMMED, OptimizerState
from fastbp.layout import N_COLUMNS, N_IN, N_OUT, ORDER_IS_GIVEN, Workspace
from fastbp.losses import CallableLoss

FloatArray = npt.NDArray[np.floating]


def _call(function: Any, char: str, *arguments: Any) -> Any:
    ready(function, char, arguments)
    return function(*arguments)


def _batch_loss(
    loss: CallableLoss, network: Network, work: Workspace, data: Data, first: int, rows: int,
    random: npt.NDArray[np.uint64],
) -> tuple[float, FloatArray, float]:  # fmt: skip
    """Loss of a batch, its derivative by the outputs, and the sum of the sample weights."""
    layers = network.layers.reshape(-1, N_COLUMNS)
    n_in, n_out = int(layers[0, N_IN]), int(layers[-1, N_OUT])
    out = np.empty((rows, n_out), network.params.dtype)
    _call(stepwise.outputs, out.dtype.char, network, work, data, first, random, out)
    chosen: Any = data.order[first : first + rows] if data.n_order else slice(first, first + rows)
    targets = data.targets.reshape(data.inputs.size // n_in, n_out)[chosen]
    if not data.n_weights:
        return *loss(out, targets), float(rows)
    weights = data.weights[chosen]
    total = float(weights.sum())
    if total == 0:  # no mean: such a batch adds nothing
        return 0.0, np.zeros_like(out), 0.0
    return *loss(out, targets, weights), total


def train(
    loss: CallableLoss, network: Network, work: Workspace, data: Data, optimizer: OptimizerState,
    grad: FloatArray, random: npt.NDArray[np.uint64], progress: npt.NDArray[np.int64],
    losses: npt.NDArray[np.float64], snapshot: FloatArray, rows: int, batch_size: int, passes: int,
) -> int:  # fmt: skip
    """As `kernels.training.train`, whose parameters these are, with a loss in Python.

    Every batch is one pass. An error in the loss leaves the updates so far.
    """
    char, epochs = network.params.dtype.char, len(losses) - 2
    epoch, first = int(progress[EPOCH]), int(progress[ROW])
    for _ in range(passes):
        if epoch == epochs:
            break
        if first == 0 and data.n_order and not work.places[ORDER_IS_GIVEN]:
            _call(stepwise.shuffle, "", data.order, random)
        batch = min(batch_size, rows - first)
        value, delta, weight = _batch_loss(loss, network, work, data, first, batch, random)
        value += _call(stepwise.penalties, char, network, optimizer, weight)
        share = batch / rows if optimizer.rules[SUMMED] else weight / data.total
        losses[epoch] += value * share
        if math.isfinite(value):
            _call(stepwise.descend, char, network, work, delta, optimizer, grad)
        first += batch
        ended = first == rows
        if not math.isfinite(value) or (ended and not np.isfinite(network.params).all()):
            network.params[:] = snapshot
            return DIVERGED
        if ended:
            snapshot[:] = network.params
            epoch, first = epoch + 1, 0
        progress[EPOCH], progress[ROW], progress[DONE] = epoch, first, 0
    return FINISHED if epoch == epochs else RUNNING


def evaluate(
    loss: CallableLoss, network: Network, work: Workspace, data: Data, optimizer: OptimizerState,
    grad: FloatArray, rows: int,
) -> float:  # fmt: skip
    """Loss of all rows, penalties included; its gradient in `grad`, unless that is empty."""
    char, no_dropout = network.params.dtype.char, np.empty(0, np.uint64)
    value, delta, _ = _batch_loss(loss, network, work, data, 0, rows, no_dropout)
    if grad.size:
        paused = optimizer._replace(code=NO_UPDATE)
        _call(stepwise.descend, char, network, work, delta, paused, grad)
    return value + float(_call(stepwise.penalties, char, network, optimizer, data.total))
