"""The epoch loop: many epochs in one compiled call, in pieces of bounded length.

The functions marked ``cached`` are the ones that Python calls. They take arrays, turn them
into pointers, and know nothing else of arrays.
"""

import math

from fastbp.kernels.backprop import (
    backward,
    batch_weight,
    fetch_shares,
    fetch_targets,
    forward,
    output_delta,
)
from fastbp.kernels.layout import (
    BIT_GENERATOR,
    CAPACITY,
    DROPOUT_KEY,
    DROPS_OUT,
    FEATURE_ROWS,
    N_COLUMNS,
    N_OUT,
    WEIGHTS,
    Workspace,
)
from fastbp.kernels.matmul import FROM_OUTPUT, FROM_ZERO, copy, transpose
from fastbp.kernels.regularization import penalize, penalty, share_penalties, update_all
from fastbp.kernels.sampling import dropout_key, next_order
from fastbp.kernels.state import Data, Gradient, Network, column, offsets, output
from fastbp.kernels.updates import NO_UPDATE, SUMMED, OptimizerState, begin_update
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    flush_denormals,
    lanes,
    load,
    pointer,
    restore_denormals,
    splat,
    store,
    vload,
    vsum,
)

# Entries of the array `progress`.
EPOCH, ROW, DONE = 0, 1, 2
"""Epochs finished, first row of the running batch in the running epoch, rows of it done."""
N_PROGRESS = 3

RUNNING, FINISHED, DIVERGED = 0, 1, 2
"""What `train` returns."""


@kernel
def all_finite(p, count):
    """Whether no number is NaN or infinite: 0 times such a number is NaN."""
    total = splat(p, 0.0)
    for i in range(0, count, lanes(p)):
        total = total + vload(advance(p, i), count - i) * 0.0
    return vsum(total) == 0.0


@kernel
def find_not_finite(p, count):
    """Index of the first NaN or infinity, -1 when there is none."""
    if not all_finite(p, count):
        for i in range(count):
            if not math.isfinite(load(p, i)):
                return i
    return -1


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
def train_pass(network, work, data, first, done, batch, weight, grad, optimizer, loss_before):
    """The next pass of a batch that starts at row `first`, after `done` of its rows.

    Without `grad` each layer is updated as soon as its gradient is there. A batch that takes
    several passes, or whose gradient is clipped by its norm, adds to `grad`, and its last pass
    updates all. Nothing is updated when the loss is not finite. Returns the loss of the batch so
    far.
    """
    rows = min(batch - done, load(work.places, CAPACITY))
    loss = loss_before + forward_pass(network, work, data, first + done, rows, weight)
    if done == 0:
        loss += penalty(network, optimizer)
    if not math.isfinite(loss):
        return loss
    if grad.length == 0:
        begin_update(optimizer)
        backward(network, work, rows, grad, optimizer)
        return loss
    add_gradient(network, work, done, rows, grad, optimizer)
    if done + rows == batch:
        begin_update(optimizer)
        update_all(network, optimizer, grad.numbers)
    return loss


@kernel
def network_pointers(network):
    """The tuple with pointers in place of arrays; so for the next three."""
    return Network(
        pointer(network.params, 0), pointer(network.layers, 0), network.n_params,
        network.n_layers, network.loss, pointer(network.loss_numbers, 0),
    )  # fmt: skip


@kernel
def work_pointers(work):
    """See network_pointers."""
    return Workspace(pointer(work.numbers, 0), pointer(work.offsets, 0), pointer(work.places, 0))


@kernel
def data_pointers(data):
    """See network_pointers."""
    return Data(
        pointer(data.inputs, 0), pointer(data.targets, 0), pointer(data.labels, 0),
        pointer(data.order, 0), pointer(data.weights, 0), data.n_labels, data.n_order,
        data.n_weights, data.total,
    )  # fmt: skip


@kernel
def optimizer_pointers(optimizer):
    """See network_pointers."""
    o = optimizer
    return OptimizerState(
        o.code, pointer(o.scalars, 0), pointer(o.slots, 0), pointer(o.frozen, 0),
        pointer(o.rules, 0), o.n_frozen,
    )  # fmt: skip


@kernel
def train_passes(network, work, data, optimizer, grad, random, progress, losses, epochs, safe,
                 rows, batch_size, passes):  # fmt: skip
    """The loop of `train`, on pointers."""
    epoch, first = load(progress, EPOCH), load(progress, ROW)
    done, batch_loss, weight = load(progress, DONE), load(losses, epochs), load(losses, epochs + 1)
    for _ in range(passes):
        if epoch == epochs:
            break
        if first == 0 and done == 0 and data.n_order > 0:
            next_order(data.order, data.n_order, load(work.places, BIT_GENERATOR), random)
        batch = min(batch_size, rows - first)
        if load(work.places, DROPS_OUT) != 0:
            store(work.places, DROPOUT_KEY, dropout_key(random))
        if done == 0:
            weight = batch_weight(data, first, batch)
            share_penalties(optimizer, weight)
        batch_loss = train_pass(
            network, work, data, first, done, batch, weight, grad, optimizer, batch_loss
        )
        done += min(batch - done, load(work.places, CAPACITY))
        if done == batch:
            share = weight / data.total
            if load(optimizer.rules, SUMMED) != 0.0:
                share = batch / rows
            store(losses, epoch, load(losses, epoch) + batch_loss * share)
            first, done = first + batch, 0
        if not math.isfinite(batch_loss) or (
            first == rows and not all_finite(network.params, network.n_params)
        ):
            copy(network.params, safe, network.n_params)
            if done > 0:
                store(losses, epoch, batch_loss)
            return DIVERGED
        if done == 0:
            batch_loss = 0.0
        if first == rows:
            copy(safe, network.params, network.n_params)
            epoch, first = epoch + 1, 0
        store(progress, EPOCH, epoch)
        store(progress, ROW, first)
        store(progress, DONE, done)
        store(losses, epochs, batch_loss)
        store(losses, epochs + 1, weight)
    return FINISHED if epoch == epochs else RUNNING


@kernel(cached=True)
def train(network, work, data, optimizer, grad, random, progress, losses, snapshot, rows,
          batch_size, passes):  # fmt: skip
    """At most `passes` passes of mini-batch training, from where `progress` stands.

    A pass is a batch, or a part of one that exceeds the workspace's capacity.

    Parameters
    ----------
    network, work, data, optimizer : Network, Workspace, Data, OptimizerState
        The parameters and the optimiser's state are updated in place; the order of the rows,
        unless empty, becomes the next at the start of each epoch (`sampling.next_order`).
    grad : array, shape (parameters,) or (0,)
        Needed when a batch takes more than one pass or its gradient is clipped by its norm; kept
        from one call to the next.
    random : array of uint64, shape (1,)
        The random stream that shuffles.
    progress : array of int64, shape (3,)
        See EPOCH, ROW and DONE.
    losses : array of float64, shape (epochs + 2,)
        Mean loss over the rows of each epoch, each batch's before its update; last the loss so
        far of a batch that is not done, and the sum of its sample weights.
    snapshot : array, shape (parameters,)
        The parameters after the last epoch that ended finite.
    rows, batch_size, passes : int
        Rows of the data, rows of a batch (the last may be shorter), bound on the passes.

    Returns
    -------
    int
        RUNNING, FINISHED, or DIVERGED: then the snapshot has been restored.
    """
    mode = flush_denormals()
    status = train_passes(
        network_pointers(network), work_pointers(work), data_pointers(data),
        optimizer_pointers(optimizer), Gradient(pointer(grad, 0), grad.shape[0], FROM_ZERO),
        pointer(random, 0), pointer(progress, 0), pointer(losses, 0), losses.shape[0] - 2,
        pointer(snapshot, 0), rows, batch_size, passes,
    )  # fmt: skip
    work.places[DROPOUT_KEY] = 0
    restore_denormals(mode)
    return status


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


@kernel(cached=True)
def first_not_finite(numbers):
    """Index of the first NaN or infinity in a flat array, -1 when there is none."""
    piece = 4096
    for start in range(0, numbers.shape[0], piece):
        count = min(piece, numbers.shape[0] - start)
        index = find_not_finite(pointer(numbers, start), count)
        if index >= 0:
            return start + index
    return -1
