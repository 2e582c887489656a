"""Forward and backward through the layers of a layout, for one pass of a batch.

Going back through a layer, the delta of the layer below is computed from the old weights
first; then come the layer's gradient and update. Symbols as in dense.py.
"""

from fastbp.kernels.activations import SOFTMAX, STEP, softmax_backward
from fastbp.kernels.batches import drop_inputs, fetch_inputs, row_offsets
from fastbp.kernels.dense import (
    delta_through,
    layer_backward,
    net_inputs,
    net_inputs_of,
    outputs_of_layer,
)
from fastbp.kernels.gradient import layer_gradient
from fastbp.kernels.layout import ACTIVATION, N_IN, N_OUT
from fastbp.kernels.losses import loss_and_delta
from fastbp.kernels.state import column, is_single_sample, offsets, output, place
from fastbp.kernels.transposes import copy
from fastbp.kernels.workspace import (
    DATA_ROWS,
    INPUT_GROUP,
    INPUT_STRIDE,
    INPUTS,
    SHARES,
    STRIDE,
    TARGETS,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load


@kernel
def first_net_inputs(network, work, data, first, batch):
    """Net inputs of the first layer, a group of rows of the pass after the other."""
    x, n_in, rows = place(work, INPUTS), column(network, 0, N_IN), offsets(work, DATA_ROWS)
    row_offsets(rows, data, first, batch, n_in)
    if is_single_sample(work):
        copy(x, advance(data.inputs, load(rows, 0)), n_in)
        drop_inputs(network, work, 1)
        net_inputs(network, work, 0, x, 1)
        return
    stride, group = load(work.places, INPUT_STRIDE), load(work.places, INPUT_GROUP)
    for done in range(0, batch, group):
        count = min(group, batch - done)
        fetch_inputs(network, work, data, done, count, batch)
        drop_inputs(network, work, count)
        net_inputs_of(network, work, 0, x, stride, done, count)


@kernel
def forward(network, work, data, first, batch):
    """Outputs of all layers for the rows of a pass."""
    first_net_inputs(network, work, data, first, batch)
    outputs_of_layer(network, work, 0, batch)
    for layer in range(1, network.n_layers):
        net_inputs(network, work, layer, output(network, work, layer - 1), batch)
        outputs_of_layer(network, work, layer, batch)


@kernel
def output_delta(network, work, batch):
    """The delta of the last layer, in the place of the targets; returns the shares of the loss."""
    last, stride = network.n_layers - 1, load(work.places, STRIDE)
    n_out, code = column(network, last, N_OUT), column(network, last, ACTIVATION)
    y, delta = output(network, work, last), place(work, TARGETS)
    loss = loss_and_delta(
        network.loss, delta, y, delta, place(work, SHARES), network.loss_numbers, stride, n_out,
        batch,
    )  # fmt: skip
    if code == SOFTMAX:
        softmax_backward(delta, y, stride, n_out, batch)
    elif code != STEP:  # forward only: its loss is asked for, its delta is not
        delta_through(network, work, last, batch)
    return loss


@kernel
def backward(network, work, batch, grad, optimizer):
    """Gradients of all layers, from the delta of the last one, each followed by its update."""
    for layer in range(network.n_layers - 1, -1, -1):
        x = place(work, INPUTS)
        if layer > 0:
            x = output(network, work, layer - 1)
            layer_backward(network, work, layer, batch)  # needs the weights as they were
        layer_gradient(network, work, layer, x, batch, grad, optimizer)
