"""First derivatives of a net: of its loss and of its outputs, by parameters and by inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastbp import checks
from fastbp.derivatives import given
from fastbp.fit import calls, data, evaluation, explained, in_python, one_step
from fastbp.fit.epochs import with_rates
from fastbp.fit.fit import check_rate_beside
from fastbp.fit.guard import Guard, is_finite_before
from fastbp.fit.history import History
from fastbp.kernels import entry
from fastbp.kernels.optimizers import UPDATES
from fastbp.kernels.state import L1, L2, REGULATED, Data
from fastbp.kernels.table import Table
from fastbp.kernels.training import DIVERGED, FINISHED
from fastbp.model.net import FloatArray, Net
from fastbp.model.schedules import rates_of


def loss_and_grad(
    net: Net,
    X: Any,
    y: Any,
    sample_weight: Any,
    params: Any,
    out: Any,
    reduction: str,
    threads: Any = None,
) -> tuple[float, FloatArray]:
    """`MLP.loss_and_grad`; for one batch it is one compiled call, with little Python beside it."""
    threads = checks.threads(net.threads if threads is None else threads)
    if params is not None:
        params = given.vector("params", params, net, finite=False)
    grad = None if out is None else given.out(out, net, () if params is None else (params,))
    if sample_weight is None and type(reduction) is str and reduction == "mean":
        found = one_step.loss_and_grad(net, X, y, params, grad)
        if found is not None:
            return found
    if grad is None:
        grad = np.empty_like(net.params)
    data.check_trainable(net.activations)
    rows, count = data.rows_and_targets(X, y, sample_weight, net)
    rows, optimizer = given.reduced(reduction, rows, net)
    table = net.workspace(count, training=True, sparse=rows.entries is not None)
    loss = evaluation.evaluate(net, rows, count, optimizer, grad, given.at(table, params), threads)
    return loss, grad


def derive(
    net: Net, table: Table, rows: Data, count: int, grad: FloatArray,
    dY: FloatArray | None = None, dX: FloatArray | None = None,
) -> None:  # fmt: skip
    """Derivatives of all rows, without penalties: see `fastbp.kernels.derivatives.derive_rows`.

    Parameters
    ----------
    net : Net
    table : Table
        From the net's `workspace`, in training, for these rows, whose outputs are `activated` where
        there is `dY`.
    rows : Data
    count : int
        How many rows there are.
    grad : array of the net's dtype, shape (n_params,) or (0,)
        Where the derivatives by the parameters go; empty where they are not wanted.
    dY : array of the net's dtype, shape (rows, n_out), optional
        The derivatives by the outputs; without, they are those of the loss.
    dX : array of the net's dtype, shape (rows, n_in), optional
        Where the derivatives by the inputs go.
    """
    optimizer = net.optimizer_state()
    own = net.in_python
    if own is not None:
        in_python.derive(own, table, rows, optimizer, grad, 0, count, dY, dX)
        return
    most = evaluation.rows_in_a_call(net, count, rows.entries)
    calls.fill(table, rows, optimizer, grad, calls.NO_RANDOM)
    try:
        for first in range(0, count, most):
            some = slice(first, min(first + most, count))
            calls.derive(
                table, rows, first, some.stop - first, 0, None if dY is None else dY[some],
                None if dX is None else dX[some],
            )  # fmt: skip
    finally:
        table.forget()
    if net.explaining is not None:
        explained.derive(net, table, rows, optimizer, grad, 0, count, dY, dX)


def vjp(net: Net, X: Any, dY: Any) -> tuple[FloatArray, FloatArray]:
    """`MLP.vjp`."""
    data.check_trainable(net.activations)
    inputs = given.dense_rows(X, net, "vjp")
    delta = given.by_outputs(dY, len(inputs), net)
    dX = np.empty_like(inputs)
    grad = np.empty_like(net.params)
    table = net.workspace(len(inputs), training=True, activated=True)
    derive(net, table, given.rows_without_targets(inputs), len(inputs), grad, delta, dX)
    return dX, grad


def input_gradient(net: Net, X: Any, y: Any, sample_weight: Any, reduction: str) -> FloatArray:
    """`MLP.input_gradient`."""
    data.check_trainable(net.activations)
    inputs = given.dense_rows(X, net, "input_gradient")
    rows, count = data.rows_and_targets(inputs, y, sample_weight, net)
    rows, _ = given.reduced(reduction, rows, net)
    dX = np.empty_like(inputs)
    nothing = given.NO_TARGETS[net.dtype.char]
    derive(net, net.workspace(count, training=True), rows, count, nothing, dX=dX)
    return dX


def sample_gradients(net: Net, X: Any, y: Any, sample_weight: Any) -> FloatArray:
    """`MLP.sample_gradients`."""
    data.check_trainable(net.activations)
    rows, count = data.rows_to_train_on(X, y, sample_weight, net)
    rows = rows._replace(total=1.0)
    optimizer = net.optimizer_state()
    gradients = np.empty((count, net.n_params), net.dtype)
    table = _for_single_rows(net, rows.entries is not None)
    own = net.in_python
    if own is not None:
        for row in range(count):
            in_python.derive(own, table, rows, optimizer, gradients[row], row, 1, None, None)
        return gradients
    most = evaluation.rows_in_a_call(net, count, rows.entries)
    calls.fill(table, rows, optimizer, np.empty(0, net.dtype), calls.NO_RANDOM)
    try:
        for first in range(0, count, most):
            some = gradients[first : first + most]
            table.put_gradient(some.reshape(-1))
            calls.derive(table, rows, first, len(some), net.n_params)
    finally:
        table.forget()
        table.put_gradient(table.blank.reshape(-1))
    if net.explaining is not None:
        for row in np.flatnonzero(~np.isfinite(gradients).all(axis=1)).tolist():
            explained.derive(net, table, rows, optimizer, gradients[row], row, 1)
    return gradients


def _for_single_rows(net: Net, sparse: bool) -> Table:
    """A table for passes of one row each, kept for this thread beside that for batches."""
    kept: dict[str, Table] = net._spaces.__dict__
    use = "single sparse rows" if sparse else "single rows"
    if use not in kept:
        kept[use] = net.new_workspace(1, training=True, sparse=sparse)
    return kept[use]


def apply_gradient(net: Net, grad: Any, penalties: bool) -> None:
    """`MLP.apply_gradient`."""
    data.check_trainable(net.activations)
    check_rate_beside(net, "apply_gradient, which makes one update")
    gradient = given.vector("grad", grad, net)
    if not is_finite_before(net):
        return
    optimizer = net.optimizer_state()
    if optimizer.settings[REGULATED]:
        gradient = gradient.copy()  # it is clipped in place
        if not penalties:
            optimizer = optimizer._replace(settings=optimizer.settings.copy())
            optimizer.settings[[L1, L2]] = 0
    rate = net.optimizer.learning_rate
    if callable(rate):
        optimizer = with_rates(optimizer, rates_of(rate, int(optimizer.scalars[UPDATES]), 1))
    table = _for_single_rows(net, False)
    with Guard(net, History()) as guard:
        table.put_optimizer(optimizer)
        table.put_gradient(gradient)
        calls.carry_out(table, entry.APPLY, False)
        guard.status = FINISHED if np.isfinite(net.params).all() else DIVERGED
