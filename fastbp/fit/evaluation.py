"""Loss, gradient, outputs and metrics of many rows, in compiled calls of bounded length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from fastbp import checks
from fastbp.checks import SparseRows
from fastbp.fit import calls, data, explained, in_python, one_step
from fastbp.fit.data import Examples
from fastbp.fit.limits import LIMITS, Limits
from fastbp.fit.metrics import Metric, accuracy, is_named, named_metrics, r2
from fastbp.fit.sources import is_on_disk, parts_of
from fastbp.kernels import entry
from fastbp.kernels.state import Data, Entries, OptimizerState
from fastbp.kernels.table import Table
from fastbp.model.losses import Loss
from fastbp.model.net import SECONDS_A_CALL, FloatArray, Net

PRODUCTS_A_SECOND = 5e8
"""Of entries of sparse rows with weights; most processors are faster."""


def rows_in_a_call(net: Net, rows: int, entries: Entries | None) -> int:
    """Rows that one compiled call of some tenths of a second may take."""
    if entries is None:
        return net.rows_in_a_call
    first = net.weights[0]
    products = float(entries.starts[-1] - entries.starts[0]) * first.shape[1]
    products += rows * (net.params.size - first.size)
    return max(1, int(SECONDS_A_CALL * PRODUCTS_A_SECOND * rows / max(products, 1.0)))


def evaluate(
    net: Net, rows: Data, count: int, optimizer: OptimizerState, grad: FloatArray,
    table: Table | None = None, threads: int | str = 1,
) -> float:  # fmt: skip
    """Loss averaged over the rows, without dropout; its gradient in `grad`, unless that is empty.

    Parameters
    ----------
    net : Net
    rows : Data
    count : int
        How many rows there are.
    optimizer : OptimizerState
        Its penalties are part of the loss.
    grad : array of the net's dtype, shape (n_params,) or (0,)
    table : Table, optional
        From the net's `workspace`, for this number of rows; other parameters may stand in it.
    threads : int or "auto", default=1
        How many threads share the rows, if a gradient is wanted.
    """
    if threads != 1 and grad.size:
        from fastbp.fit import threads as several

        members = several.members_for_rows(net, count, threads, rows.entries is not None)
        if members > 1:
            team = several.team_for(net, count, members)
            at = None if table is None else table.network.params
            return sum(
                (
                    team.evaluate(rows, optimizer, grad, first, some, count, at)
                    for first, some in _calls_of(net, count, rows.entries)
                ),
                0.0,
            )
    if table is None:
        table = net.workspace(count, training=True, sparse=rows.entries is not None)
    own = net.in_python
    if own is not None:
        return in_python.evaluate(own, table, rows, optimizer, grad, count)
    loss = sum(
        (
            calls.evaluate(table, rows, optimizer, grad, first, some, count)
            for first, some in _calls_of(net, count, rows.entries)
        ),
        0.0,
    )
    if net.explaining is not None:
        return explained.evaluate(net, table, rows, optimizer, grad, count, loss)
    return loss


def _calls_of(net: Net, rows: int, entries: Entries | None) -> Iterable[tuple[int, int]]:
    """The first row and the number of rows of each call."""
    most = rows_in_a_call(net, rows, entries)
    return ((first, min(most, rows - first)) for first in range(0, rows, most))


def predict(net: Net, X: Any, logits: bool, threads: int | str = 1) -> FloatArray:
    """`MLP.predict`; for few rows it is one compiled call, with little Python beside it."""
    spec = net.spec
    if net.in_python is None:
        inputs = data.inputs_or_sparse(X, spec.layer_sizes[0], spec.dtype)
    else:
        inputs = checked_inputs(net, X)
    rows = inputs.shape[0]
    out = np.empty((rows, spec.layer_sizes[-1]), spec.dtype)
    if type(inputs) is np.ndarray and net.in_python is None and rows <= net.rows_in_a_call:
        table = net.workspace(rows, False, logits)
        if table.called:  # the usual case, without what follows: a third of the time for one row
            index = entry.train_and_predict(table.cells, entry.PREDICT, inputs, out)
            if index < 0:
                if net.explaining is not None:
                    explained.predict(net, table, inputs, out)
                return out
    table = net.workspace(rows, False, logits, isinstance(inputs, SparseRows))
    most = net.rows_in_a_call
    if isinstance(inputs, SparseRows):
        most = rows_in_a_call(net, rows, data.entries_of(inputs))
    elif threads != 1:
        from fastbp.fit import threads as several

        members = several.members_for_rows(net, rows, threads, False)
        if members > 1:
            index = several.predict(net, inputs, out, logits, members)
            if index >= 0:
                checks.raise_not_finite("X", inputs, index, X)
            return out
    for first, some, their_outputs in (
        ((0, inputs, out),) if rows <= most else pieces(most, inputs, out)
    ):
        index = predict_piece(net, table, some, their_outputs)
        if index >= 0:
            checks.raise_not_finite(
                "X", cast(FloatArray, inputs), first * inputs.shape[1] + index, X
            )
    return out


def checked_inputs(net: Net, X: Any) -> FloatArray | SparseRows:
    """X as the kernels take it, checked but for what `predict_piece` finds."""
    spec = net.spec
    inputs = data.inputs_or_sparse(X, spec.layer_sizes[0], spec.dtype)
    own = net.in_python
    if own is not None and own.activations and not isinstance(inputs, SparseRows):
        checks.finite("X", inputs, X)
    return inputs


def predict_piece(net: Net, table: Table, inputs: FloatArray | SparseRows, out: FloatArray) -> int:
    """Outputs of some rows in `out`; -1, or the flat index of the first input not finite."""
    own = net.in_python
    if own is not None and own.activations:
        in_python.predict(own, table, inputs, out)
        return -1
    if isinstance(inputs, SparseRows):
        index = calls.predict(table, None, data.entries_of(inputs), out)
    else:
        index = calls.predict(table, inputs, None, out)
    if index < 0 and net.explaining is not None:
        explained.predict(net, table, inputs, out)
    return index


def pieces(
    most: int, inputs: FloatArray | SparseRows, out: FloatArray
) -> Iterable[tuple[int, FloatArray | SparseRows, FloatArray]]:
    """At most so many rows of both arrays at a time, and the number of the first of them."""
    rows = inputs.shape[0]
    if rows <= most:  # slices would take a tenth of the time of one row's prediction
        return ((0, inputs, out),)
    return (
        (first, inputs[first : first + most], out[first : first + most])
        for first in range(0, rows, most)
    )


def mean_loss(net: Net, X: Any, y: Any, sample_weight: Any) -> float:
    """`MLP.loss`; of one batch it is one compiled call, with little Python beside it."""
    if sample_weight is None:
        loss = one_step.loss(net, X, y)
        if loss is not None:
            return loss
    rows, count = data.rows_and_targets(X, y, sample_weight, net)
    return evaluate(net, rows, count, net.optimizer_state(), np.empty(0, net.dtype))


# ---- metrics -------------------------------------------------------------------------------------


def measured(
    net: Any, metrics: dict[str, Metric], examples: Examples, limits: Limits = LIMITS
) -> dict[str, float]:
    """Metrics of a net's outputs, by their names.

    Parameters
    ----------
    net : MLP
    metrics : dict of str to callable
    examples : Examples
        With `y` as an array.
    limits : Limits
    """
    if not metrics:
        return {}
    X, y, weights = examples
    y = y.view()
    y.setflags(write=False)  # it may be the user's array, and metrics may be the user's code
    if is_on_disk(X, limits):
        outputs = np.concatenate([net.predict(rows) for rows in parts_of(X, limits)])
    else:
        outputs = net.predict(X)
    values = {}
    with np.errstate(over="ignore", invalid="ignore"):
        for name, metric in metrics.items():
            if is_named(metric):
                values[name] = _of_named(net.spec.loss, metric, y, outputs, weights)
                continue
            try:
                values[name] = float(metric(y, outputs))
            except (TypeError, ValueError) as error:
                error.add_note(f"in the metric {name!r}, which must return a number")
                raise
    return values


def _of_named(loss: Loss, metric: Any, y: Any, outputs: FloatArray, weights: Any) -> float:
    """A metric of this package, which goes by the weights and by the loss's kind of targets."""
    n_out = outputs.shape[1]
    if loss.by_output and n_out > 1 and y.size == len(outputs):  # several levels of a quantile
        y = np.repeat(y.reshape(-1, 1), n_out, axis=1)
    options = {"negative": loss.negative} if metric is accuracy else {}
    value: float = metric(y, outputs, weights, **options)
    return value


def score(net: Any, X: Any, y: Any, sample_weight: Any) -> float:
    """`MLP.score`."""
    rows, _ = data.rows_and_targets(X, y, sample_weight, net)
    metric = accuracy if net.spec.loss.classifies else r2
    return measured(net, {"score": metric}, data.examples_of(rows, y, net))["score"]


def report(net: Any, X: Any, y: Any, metrics: Any, sample_weight: Any) -> dict[str, float]:
    """`MLP.evaluate`."""
    named = named_metrics(metrics)
    if not named:
        return {"loss": mean_loss(net, X, y, sample_weight)}
    rows, count = data.rows_and_targets(X, y, sample_weight, net)
    loss = evaluate(net, rows, count, net.optimizer_state(), np.empty(0, net.dtype))
    return {"loss": loss, **measured(net, named, data.examples_of(rows, y, net))}
