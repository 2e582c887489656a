"""Loss, gradient and predictions of many rows, a pass at a time."""

from fastbp.kernels.addresses import data_at, network_at, work_at
from fastbp.kernels.backprop import backward, forward, output_delta
from fastbp.kernels.batches import fetch_shares, fetch_targets
from fastbp.kernels.finite import find_not_finite
from fastbp.kernels.matmul import FROM_OUTPUT, FROM_ZERO
from fastbp.kernels.regularization import penalize_all, penalty, share_penalties
from fastbp.kernels.state import (
    Gradient,
    OptimizerState,
    capacity_of,
    feature_rows,
    layer_of,
    n_inputs,
    n_units,
    outputs,
)
from fastbp.kernels.transposes import transpose
from fastbp.kernels.updates import NO_UPDATE
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance


@kernel
def forward_pass(t, like, entries, first, rows, divisor, key, start, compares):
    """Outputs of the layers from `start` on and, where it `compares`, the loss and last delta.

    `divisor` is that of the batch, and `key` that of dropout, 0 for none. Returns what the pass
    adds to the loss of its batch; where it does not compare, what `forward` returns.

    All passes go through this function, so that what it calls becomes a part of it. It is given the
    table, because the tuples made from it would not fit into registers.
    """
    network = network_at(t, like)
    work = work_at(t, like)
    data = data_at(t, like, entries)
    if compares:
        fetch_shares(work, data, first, rows, divisor)
        fetch_targets(layer_of(network, work, network.n_layers - 1), data, first, rows)
    stopped = forward(network, work, data, first, start, rows, key)
    if compares:
        return output_delta(network, work, data, rows)
    return float(stopped)


@kernel
def add_gradient(network, work, entries, done, rows, grad, optimizer):
    """Backward of a pass after `done` rows of its batch, into `grad` and without an update."""
    o = optimizer
    paused = OptimizerState(
        NO_UPDATE, o.scalars, o.slots, o.frozen, o.settings, o.n_params, o.n_frozen,
        o.penalty_share,
    )  # fmt: skip
    start = FROM_ZERO if done == 0 else FROM_OUTPUT
    backward(network, work, entries, rows, Gradient(grad.values, grad.length, start), paused)


@kernel
def evaluate_rows(t, like, entries, network, work, total, optimizer, grad, first, count, rows):
    """What `count` of `rows` rows, from `first` on, add to the loss averaged over all rows.

    The last of them add the penalties too. Their gradient overwrites `grad` when `first` is 0 and
    else adds to it; without `grad` only the loss is computed.
    """
    loss = 0.0
    end = first + count
    while first < end:
        batch = min(end - first, capacity_of(work))
        loss += forward_pass(t, like, entries, first, batch, total, 0, 0, True)
        if grad.length > 0:
            add_gradient(network, work, entries, first, batch, grad, optimizer)
        first += batch
    if end == rows:
        shared = share_penalties(optimizer, total)
        loss += penalty(network, shared)
        if grad.length > 0:
            penalize_all(network, shared, grad.values)
    return loss


@kernel
def first_not_finite(inputs, entries, k, batch):
    """Index of the first input that is not finite, -1 if there is none; entries were checked."""
    return find_not_finite(inputs, batch * k) if entries is None else -1


@kernel
def predict_rows(t, network, work, x, entries, out, rows):
    """Outputs of all rows in `out`, (rows, n_out).

    Returns -1, or the flat index of the first input that is not finite; `out` is then undefined.
    """
    k = n_inputs(layer_of(network, work, 0))
    last = layer_of(network, work, network.n_layers - 1)
    n = n_units(last)
    capacity = capacity_of(work)
    for first in range(0, rows, capacity):
        batch = min(rows - first, capacity)
        index = first_not_finite(advance(x, first * k), entries, k, batch)
        if index >= 0:
            return first * k + index
        forward_pass(t, x, entries, first, batch, 0.0, 0, 0, False)
        transpose(advance(out, first * n), n, outputs(last), feature_rows(work), n, batch)
    return -1
