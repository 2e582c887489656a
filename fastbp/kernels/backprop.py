"""FORWARD, DELTA, BACKWARD: backpropagation through the layers of a network, for one pass.

Symbols as in dense.py; the same in plain loops is fastbp/plain.py. A layer's delta is dE/dZ. On
the way back the delta of the layer below comes first, because it needs the weights as they were;
then come the layer's gradient and its update. So `backward` takes an optimiser: to update a block
of weights while its gradient is in the cache saves 8 % of a step.
"""

from fastbp.kernels.activations import CALLABLE
from fastbp.kernels.batches import first_net_inputs
from fastbp.kernels.dense import activate_layer, delta_below, delta_through, net_inputs
from fastbp.kernels.gradient import layer_gradient
from fastbp.kernels.losses import loss_and_delta, loss_of
from fastbp.kernels.sparse import gradient_of_entries
from fastbp.kernels.state import (
    activation_of,
    delta,
    layer_of,
    n_units,
    outputs,
    scratch,
    stride_of,
)
from fastbp.kernels.workspace import INPUTS, SHARES
from fastbp.machine.jit import kernel


@kernel
def forward(network, work, data, first, start, batch, key):
    """Outputs of the layers from `start` on, for the rows of a pass.

    `key` is that of dropout, 0 for none. Returns the number of layers, or that of a layer whose
    activation is in Python: its net inputs then stand where its outputs belong.
    """
    for number in range(start, network.n_layers):
        layer = layer_of(network, work, number)
        if number == 0:
            first_net_inputs(layer, data, data.entries, first, batch, key)
        else:
            net_inputs(layer, outputs(layer_of(network, work, number - 1)), batch)
        if activation_of(layer) == CALLABLE:
            return number
        activate_layer(layer, batch, key, 0)
    return network.n_layers


@kernel
def delta_of_outputs(network, last, data, batch):
    """dE/dY of the last layer, which replaces the targets; returns the losses, summed by lane."""
    n, stride = n_units(last), stride_of(last)
    y, d = outputs(last), delta(last)
    return loss_and_delta(
        network.loss, d, y, d, scratch(last, SHARES), network.loss_parameters, stride, n, batch,
        stride if data.n_weights > 1 else 0,
    )  # fmt: skip


@kernel
def output_delta(network, work, data, batch):
    """The delta of the last layer, which replaces the targets; returns the loss of the rows."""
    last = layer_of(network, work, network.n_layers - 1)
    total = delta_of_outputs(network, last, data, batch)
    delta_through(last, batch)
    return loss_of(network.loss, network.loss_parameters, total)


@kernel
def first_gradient(layer, entries, batch, grad, optimizer):
    """The gradient of the first layer, from its inputs in the workspace or from `entries`."""
    if entries is None:
        layer_gradient(layer, scratch(layer, INPUTS), batch, grad, optimizer)
    else:
        gradient_of_entries(layer, entries, batch, grad, optimizer)


@kernel
def backward(network, work, entries, batch, grad, optimizer):
    """Gradients of all layers from the delta of the last one, each followed by its update.

    `entries` are those of the data: None where its rows are dense.
    """
    for number in range(network.n_layers - 1, 0, -1):
        layer = layer_of(network, work, number)
        below = layer_of(network, work, number - 1)
        delta_below(layer, below, batch)
        layer_gradient(layer, outputs(below), batch, grad, optimizer)
    first_gradient(layer_of(network, work, 0), entries, batch, grad, optimizer)
