"""The epoch loop: many epochs in one compiled call, in pieces of a bounded number of updates.

The functions marked ``cached`` are the ones that Python calls. They take arrays, turn them
into pointers, and know nothing else of arrays.
"""

import math

from fastbp._jit import kernel
from fastbp.kernels.backprop import (
    Data,
    Gradient,
    Network,
    backward,
    fetch_inputs,
    fetch_targets,
    forward,
    offsets,
    output,
    output_delta,
)
from fastbp.kernels.matmul import FROM_OUTPUT, FROM_ZERO, transpose
from fastbp.kernels.sampling import shuffle
from fastbp.kernels.updates import NO_UPDATE, OptimizerState, begin_update, update
from fastbp.layout import CAPACITY, FEATURE_ROWS, Workspace
from fastbp.simd import (
    advance,
    flush_denormals,
    lanes,
    load,
    pointer,
    restore_denormals,
    splat,
    store,
    vload,
    vstore,
    vsum,
)

# Entries of the array `progress`.
EPOCH, ROW = 0, 1
"""Epochs finished, and the first row of the next batch in the running one."""

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
def copy(out, source, count):
    """``out[:count] = source[:count]``."""
    for i in range(0, count, lanes(out)):
        vstore(advance(out, i), vload(advance(source, i), count - i), count - i)


@kernel
def loss_and_gradient(network, work, data, first, batch, grad, optimizer):
    """Loss on `batch` rows from `first` on; its gradient overwrites `grad`.

    They go through in passes of at most the workspace's capacity. An empty `grad` asks for the
    loss alone.
    """
    loss, done, start = 0.0, 0, FROM_ZERO
    paused = OptimizerState(
        NO_UPDATE, optimizer.scalars, optimizer.slots, optimizer.frozen, optimizer.n_frozen
    )
    while done < batch:
        rows = min(batch - done, load(work.places, CAPACITY))
        fetch_targets(network, work, data, first + done, rows)
        fetch_inputs(network, work, data, first + done, rows)
        forward(network, work, rows)
        loss += output_delta(network, work, rows, 1.0 / batch)
        if grad.length > 0:
            into = Gradient(grad.numbers, grad.length, start)
            backward(network, work, rows, into, paused)
        done, start = done + rows, FROM_OUTPUT
    return loss


@kernel
def train_on_batch(network, work, data, first, batch, grad, optimizer):
    """One update on `batch` rows from `first` on; returns the loss before it.

    A batch that fits one pass needs no `grad`: each layer is updated as soon as its gradient is
    there. Nothing is updated when the loss is not finite.
    """
    if batch > load(work.places, CAPACITY):
        loss = loss_and_gradient(network, work, data, first, batch, grad, optimizer)
        if math.isfinite(loss):
            begin_update(optimizer)
            n_params = network.n_params
            update(optimizer, network.params, n_params, 0, n_params, grad.numbers)
        return loss
    fetch_targets(network, work, data, first, batch)
    fetch_inputs(network, work, data, first, batch)
    forward(network, work, batch)
    loss = output_delta(network, work, batch, 1.0 / batch)
    if math.isfinite(loss):
        begin_update(optimizer)
        backward(network, work, batch, grad, optimizer)
    return loss


@kernel
def network_pointers(network):
    """The tuple with pointers in place of arrays; so for the next three."""
    return Network(
        pointer(network.params, 0), pointer(network.layers, 0), network.n_params,
        network.n_layers, network.loss,
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
        pointer(data.order, 0), data.n_labels, data.n_order,
    )  # fmt: skip


@kernel
def optimizer_pointers(optimizer):
    """See network_pointers."""
    return OptimizerState(
        optimizer.code, pointer(optimizer.scalars, 0), pointer(optimizer.slots, 0),
        pointer(optimizer.frozen, 0), optimizer.n_frozen,
    )  # fmt: skip


@kernel
def train_updates(net, space, table, state, into, random, progress, losses, epochs, safe, rows,
                  batch_size, updates):  # fmt: skip
    """The loop of `train`, on pointers."""
    epoch, first = load(progress, EPOCH), load(progress, ROW)
    for _ in range(updates):
        if epoch == epochs:
            break
        if first == 0 and table.n_order > 0:
            shuffle(table.order, table.n_order, random)
        batch = min(batch_size, rows - first)
        loss = train_on_batch(net, space, table, first, batch, into, state)
        store(losses, epoch, load(losses, epoch) + loss * batch / rows)
        first += batch
        if not math.isfinite(loss) or (
            first == rows and not all_finite(net.params, net.n_params)
        ):
            copy(net.params, safe, net.n_params)
            return DIVERGED
        if first == rows:
            copy(safe, net.params, net.n_params)
            epoch, first = epoch + 1, 0
        store(progress, EPOCH, epoch)
        store(progress, ROW, first)
    return FINISHED if epoch == epochs else RUNNING


@kernel(cached=True)
def train(network, work, data, optimizer, grad, random, progress, losses, snapshot, rows,
          batch_size, updates):  # fmt: skip
    """At most `updates` updates of mini-batch training, from where `progress` stands.

    Parameters
    ----------
    network, work, data, optimizer : Network, Workspace, Data, OptimizerState
        The parameters and the optimiser's state are updated in place; the order of the rows,
        unless empty, is permuted at the start of each epoch.
    grad : array, shape (parameters,) or (0,)
        Needed when a batch takes more than one pass.
    random : array of uint64, shape (1,)
        The random stream that shuffles.
    progress : array of int64, shape (2,)
        See EPOCH and ROW.
    losses : array of float64, shape (epochs,)
        Mean loss over the rows of each epoch, each batch's before its update.
    snapshot : array, shape (parameters,)
        The parameters after the last epoch that ended finite.
    rows, batch_size, updates : int
        Rows of the data, rows of a batch (the last may be shorter), bound on the updates.

    Returns
    -------
    int
        RUNNING, FINISHED, or DIVERGED: then the snapshot has been restored.
    """
    mode = flush_denormals()
    status = train_updates(
        network_pointers(network), work_pointers(work), data_pointers(data),
        optimizer_pointers(optimizer), Gradient(pointer(grad, 0), grad.shape[0], FROM_ZERO),
        pointer(random, 0), pointer(progress, 0), pointer(losses, 0), losses.shape[0],
        pointer(snapshot, 0), rows, batch_size, updates,
    )  # fmt: skip
    restore_denormals(mode)
    return status


@kernel(cached=True)
def evaluate(network, work, data, optimizer, grad, rows):
    """Loss averaged over the rows; its gradient overwrites `grad` unless that is empty."""
    mode = flush_denormals()
    into = Gradient(pointer(grad, 0), grad.shape[0], FROM_ZERO)
    loss = loss_and_gradient(
        network_pointers(network), work_pointers(work), data_pointers(data), 0, rows, into,
        optimizer_pointers(optimizer),
    )  # fmt: skip
    restore_denormals(mode)
    return loss


@kernel
def predict_rows(net, space, x, n_in, out, n_out, rows):
    """The loop of `predict`, on pointers."""
    nothing = space.offsets
    table = Data(x, x, nothing, nothing, 0, 0)
    y, features = output(net, space, net.n_layers - 1), offsets(space, FEATURE_ROWS)
    capacity = load(space.places, CAPACITY)
    for first in range(0, rows, capacity):
        batch = min(rows - first, capacity)
        index = find_not_finite(advance(x, first * n_in), batch * n_in)
        if index >= 0:
            return first * n_in + index
        fetch_inputs(net, space, table, first, batch)
        forward(net, space, batch)
        transpose(advance(out, first * n_out), n_out, y, features, n_out, batch)
    return -1


@kernel(cached=True)
def predict(network, work, inputs, out):
    """Outputs of all rows of `inputs`, (rows, n_in), in `out`, (rows, n_out).

    Returns -1, or the flat index of the first input that is not finite; `out` is then undefined.
    """
    mode = flush_denormals()
    index = predict_rows(
        network_pointers(network), work_pointers(work), pointer(inputs, 0), inputs.shape[1],
        pointer(out, 0), out.shape[1], inputs.shape[0],
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
