"""The pieces of a training step, for losses and activations in Python between them."""

from fastbp.kernels.activations import CALLABLE, SOFTMAX, softmax_backward
from fastbp.kernels.backprop import backward, first_net_inputs, output_delta
from fastbp.kernels.batches import fetch_shares, fetch_targets
from fastbp.kernels.dense import delta_through, drop_outputs, net_inputs, outputs_of_layer
from fastbp.kernels.evaluation import add_gradient
from fastbp.kernels.layout import ACTIVATION, N_OUT, WEIGHTS
from fastbp.kernels.matmul import FROM_ZERO
from fastbp.kernels.regularization import penalize, penalty, share_penalties
from fastbp.kernels.sampling import dropout_key, next_order
from fastbp.kernels.state import (
    Gradient,
    column,
    data_pointers,
    network_pointers,
    offsets,
    optimizer_pointers,
    output,
    place,
    work_pointers,
)
from fastbp.kernels.transposes import transpose
from fastbp.kernels.updates import NO_UPDATE, begin_update, update_all
from fastbp.kernels.workspace import (
    DATA_ROWS,
    DROPOUT_KEY,
    DROPS_OUT,
    FEATURE_ROWS,
    STRIDE,
    TARGETS,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, flush_denormals, load, pointer, restore_denormals, store


@kernel(cached=True)
def shuffle(order, generator, random):
    """The order of the rows in the next epoch."""
    next_order(pointer(order, 0), order.shape[0], generator, pointer(random, 0))


@kernel
def layers_from(network, work, data, first, start, batch):
    """Outputs of the layers from `start` on, up to the net inputs of one that Python activates.

    Returns the number of that layer, or that of layers.
    """
    for layer in range(start, network.n_layers):
        if layer == 0:
            first_net_inputs(network, work, data, first, batch)
        else:
            net_inputs(network, work, layer, output(network, work, layer - 1), batch)
        if column(network, layer, ACTIVATION) == CALLABLE:
            return layer
        outputs_of_layer(network, work, layer, batch)
    return network.n_layers


@kernel
def outputs_of_batch(network, work, data, first, batch, done, out, n_out):
    """The loop of `outputs`, on pointers."""
    key = load(work.places, DROPOUT_KEY)
    if done >= 0 and key != 0:
        drop_outputs(network, work, done, batch, key)
    layer = layers_from(network, work, data, first, done + 1, batch)
    if layer == network.n_layers and n_out > 0:
        y = output(network, work, layer - 1)
        transpose(out, n_out, y, offsets(work, FEATURE_ROWS), n_out, batch)
    return layer


@kernel(cached=True)
def outputs(network, work, data, first, batch, done, random, out):
    """Outputs of the rows from `first` on in `out`, (batch, n_out); without `random` no dropout.

    Where Python activates a layer, its number is returned, its net inputs stand in the place of
    its outputs, and the next call goes on from there, with the number as `done`, which is -1 at
    the beginning. At the end the number of layers is returned. An empty `out` asks for nothing:
    what the backward pass needs stays in the workspace, which holds the whole batch.
    """
    mode = flush_denormals()
    if done < 0:
        work.places[DROPOUT_KEY] = 0
        if random.shape[0] > 0 and work.places[DROPS_OUT] != 0:
            work.places[DROPOUT_KEY] = dropout_key(pointer(random, 0))
    net = network_pointers(network)
    layer = outputs_of_batch(
        net, work_pointers(work), data_pointers(data), first, batch, done, pointer(out, 0),
        out.shape[1] if out.shape[0] > 0 else 0,
    )  # fmt: skip
    if layer == net.n_layers:
        work.places[DROPOUT_KEY] = 0
    restore_denormals(mode)
    return layer


@kernel
def loss_of_batch(network, work, data, first, batch, weight):
    """The loop of `built_in_loss`, on pointers."""
    fetch_shares(work, data, first, batch, weight)
    fetch_targets(network, work, data, first, batch)
    return output_delta(network, work, batch)


@kernel(cached=True)
def built_in_loss(network, work, data, first, batch, weight):
    """A compiled loss after `outputs`, of rows of a total weight; the last delta stays."""
    mode = flush_denormals()
    loss = loss_of_batch(
        network_pointers(network), work_pointers(work), data_pointers(data), first, batch, weight
    )
    restore_denormals(mode)
    return loss


@kernel
def fetch_delta(network, work, delta, batch):
    """The delta of the last layer's net inputs from that of its outputs, (batch, n_out)."""
    last = network.n_layers - 1
    n_out, stride, to = (
        column(network, last, N_OUT),
        load(work.places, STRIDE),
        place(work, TARGETS),
    )
    rows = offsets(work, DATA_ROWS)
    for b in range(batch):
        store(rows, b, b * n_out)
    transpose(to, stride, delta, rows, batch, n_out)
    if column(network, last, ACTIVATION) == SOFTMAX:
        softmax_backward(to, output(network, work, last), stride, n_out, batch)
    else:
        delta_through(network, work, last, batch)


@kernel
def step_back(network, work, delta, has_delta, optimizer, grad, batch):
    """The loop of `descend`, on pointers."""
    if has_delta:
        fetch_delta(network, work, delta, batch)
    if optimizer.code == NO_UPDATE:
        add_gradient(network, work, 0, batch, grad, optimizer)
        for layer in range(network.n_layers):
            g = advance(grad.numbers, column(network, layer, WEIGHTS))
            penalize(network, optimizer, layer, 0, column(network, layer, N_OUT), g)
        return
    begin_update(optimizer)
    if grad.length == 0:
        backward(network, work, batch, grad, optimizer)
    else:
        add_gradient(network, work, 0, batch, grad, optimizer)
        update_all(network, optimizer, grad.numbers)


@kernel(cached=True)
def descend(network, work, delta, optimizer, grad, batch):
    """Update the parameters after `outputs`, from dE/dY in `delta`, (batch, n_out).

    An empty `delta` takes that of `built_in_loss`. With NO_UPDATE the gradient, penalties included,
    goes to `grad`.
    """
    mode = flush_denormals()
    step_back(
        network_pointers(network), work_pointers(work), pointer(delta, 0), delta.shape[0] > 0,
        optimizer_pointers(optimizer), Gradient(pointer(grad, 0), grad.shape[0], FROM_ZERO), batch,
    )  # fmt: skip
    restore_denormals(mode)


@kernel(cached=True)
def penalties(network, optimizer, weight):
    """What L1 and L2 add to the loss of a batch, `weight` the sum of its sample weights."""
    state = optimizer_pointers(optimizer)
    share_penalties(state, weight)
    return penalty(network_pointers(network), state)
