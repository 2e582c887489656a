"""Loss, gradient and predictions of many rows, a pass at a time.

The functions marked ``cached`` are the ones that Python calls. They take arrays, turn them
into pointers, and know nothing else of arrays.
"""

from fastbp.kernels.backprop import backward, forward, output_delta
from fastbp.kernels.batches import fetch_shares, fetch_targets
from fastbp.kernels.finite import find_not_finite
from fastbp.kernels.layout import N_COLUMNS, N_OUT, WEIGHTS
from fastbp.kernels.matmul import FROM_OUTPUT, FROM_ZERO
from fastbp.kernels.regularization import penalize, penalty
from fastbp.kernels.state import (
    Data,
    Gradient,
    Network,
    OptimizerState,
    column,
    data_pointers,
    network_pointers,
    offsets,
    optimizer_pointers,
    output,
    work_pointers,
)
from fastbp.kernels.transposes import transpose
from fastbp.kernels.updates import NO_UPDATE
from fastbp.kernels.workspace import CAPACITY, FEATURE_ROWS, Workspace
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, flush_denormals, load, pointer, restore_denormals


@kernel
def forward_pass(network, work, data, first, rows, total):
    """Outputs and last delta of a pass; returns its part of the loss of rows of a total weight."""
    fetch_shares(work, data, first, rows, total)
    fetch_targets(network, work, data, first, rows)
    forward(network, work, data, first, rows)
    return output_delta(network, work, rows)


@kernel
def add_gradient(network, work, done, rows, grad, optimizer):
    """Backward of a pass after `done` rows of its batch, into `grad` and without an update."""
    o = optimizer
    paused = OptimizerState(
        NO_UPDATE, o.scalars, o.slots, o.frozen, o.rules, o.n_frozen
    )  # fmt: skip
    start = FROM_ZERO if done == 0 else FROM_OUTPUT
    backward(network, work, rows, Gradient(grad.numbers, grad.length, start), paused)


@kernel
def evaluate_rows(network, work, data, optimizer, grad, first, count, rows):
    """The loop of `evaluate`, on pointers."""
    loss, end = 0.0, first + count
    while first < end:
        batch = min(end - first, load(work.places, CAPACITY))
        loss += forward_pass(network, work, data, first, batch, data.total)
        if grad.length > 0:
            add_gradient(network, work, first, batch, grad, optimizer)
        first += batch
    if end == rows:
        loss += penalty(network, optimizer)
        if grad.length > 0:
            for layer in range(network.n_layers):
                g = advance(grad.numbers, column(network, layer, WEIGHTS))
                penalize(network, optimizer, layer, 0, column(network, layer, N_OUT), g)
    return loss


@kernel(cached=True)
def evaluate(network, work, data, optimizer, grad, first, count, rows):
    """What `count` of `rows` rows, from `first` on, add to the loss averaged over all rows.

    The last of them add the penalties too.

    Their gradient overwrites `grad` when `first` is 0 and else adds to it; an empty `grad` asks
    for the loss alone.
    """
    mode = flush_denormals()
    loss = evaluate_rows(
        network_pointers(network), work_pointers(work), data_pointers(data),
        optimizer_pointers(optimizer), Gradient(pointer(grad, 0), grad.shape[0], FROM_ZERO),
        first, count, rows,
    )  # fmt: skip
    restore_denormals(mode)
    return loss


@kernel
def predict_rows(net, space, x, n_in, out, n_out, rows):
    """The loop of `predict`, on pointers."""
    nothing = space.offsets
    table = Data(x, x, nothing, nothing, x, 0, 0, 0, 0.0)
    y, features = output(net, space, net.n_layers - 1), offsets(space, FEATURE_ROWS)
    capacity = load(space.places, CAPACITY)
    for first in range(0, rows, capacity):
        batch = min(rows - first, capacity)
        index = find_not_finite(advance(x, first * n_in), batch * n_in)
        if index >= 0:
            return first * n_in + index
        forward(net, space, table, first, batch)
        transpose(advance(out, first * n_out), n_out, y, features, n_out, batch)
    return -1


@kernel(cached=True)
def predict(params, layers, numbers, offset_tables, places, inputs, out):
    """Outputs of all rows of `inputs`, (rows, n_in), in `out`, (rows, n_out).

    The first arrays are those of Network and Workspace: taken out of their tuples, they cost a
    third of the time of a call for one row.

    Returns -1, or the flat index of the first input that is not finite; `out` is then undefined.
    """
    mode = flush_denormals()
    network = Network(
        pointer(params, 0), pointer(layers, 0), params.shape[0], layers.shape[0] // N_COLUMNS, 0,
        pointer(params, 0),
    )  # fmt: skip
    work = Workspace(pointer(numbers, 0), pointer(offset_tables, 0), pointer(places, 0))
    index = predict_rows(
        network, work, pointer(inputs, 0), inputs.shape[1], pointer(out, 0), out.shape[1],
        inputs.shape[0],
    )  # fmt: skip
    restore_denormals(mode)
    return index
