"""A pass through the layers, forward and back to the deltas, for some columns of it.

A column is a row of the batch, and no sum is over columns: so several threads can share the columns
of a pass, in whole tiles, and each value has the bits that it has with one thread. What goes by a
column's place goes by that in the whole pass: the groups of columns that a product is cut into, the
narrow end of the last of them, the long part of a single row (`matmul.multiply_rows`), and dropout.

Symbols as in dense.py. Columns are counted in the pass, from `first` on and before `end`; a layer's
buffers begin at column 0, but those of a layer on a workspace that is `shifted` at `first`.
"""

from typing import NamedTuple

from fastbp.kernels.activations import RELU, TANH
from fastbp.kernels.backprop import delta_of_outputs
from fastbp.kernels.batches import (
    drop_inputs,
    fetch_inputs,
    fetch_shares,
    fetch_targets,
    row_offsets,
)
from fastbp.kernels.dense import (
    activate_layer,
    columns_of_group,
    delta_through,
    net_inputs_of_group,
    product_below,
)
from fastbp.kernels.gradient import fetch_panels, gradient_method, has_input_panels
from fastbp.kernels.matmul import AS_IT_IS, RELU_BACKWARD, TANH_BACKWARD, long_columns
from fastbp.kernels.state import (
    activation_of,
    data_rows,
    delta,
    has_slope,
    layer_of,
    n_inputs,
    n_units,
    outputs,
    scratch,
    stride_of,
)
from fastbp.kernels.workspace import (
    BY_TILES,
    INPUT_GROUP,
    INPUT_PANELS,
    INPUT_STRIDE,
    INPUTS,
    LAYER_PANELS,
    Workspace,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, lanes, load, vstore


class Pass(NamedTuple):
    """A pass of a batch.

    Attributes
    ----------
    first : int
        Its first row, in the order of the data.
    rows : int
    divisor : float
        By what the loss of its batch is divided.
    key : int
        Of dropout, 0 for none.
    """

    first: int
    rows: int
    divisor: float
    key: int


@kernel
def shifted(work, first):
    """The workspace with the buffers of a pass from column `first` on."""
    return Workspace(advance(work.values, first), work.offsets, work.places)


@kernel
def columns_to(first, end, group):
    """Columns from `first` on as far as the end, or that of the group that `first` is in."""
    return min(first // group * group + group, end) - first


@kernel
def long_after(p, first, columns, group, batch):
    """How many of `columns` columns are in the long part of a single row in their group."""
    start = first // group * group
    long = long_columns(p, min(group, batch - start))
    return max(0, min(columns, long - (first - start)))


@kernel
def layer_panels(layer):
    """Where the panels of a layer's inputs are."""
    return advance(layer.values, load(layer.places, LAYER_PANELS + layer.number))


@kernel
def first_net_inputs(layer, data, p, first, end):
    """Net inputs of the first layer; its inputs, too, where they are whole or in panels."""
    k = n_inputs(layer)
    x = scratch(layer, INPUTS)
    is_whole = load(layer.places, INPUT_PANELS) < 0
    stride = load(layer.places, INPUT_STRIDE)
    group = load(layer.places, INPUT_GROUP)
    row_offsets(advance(data_rows(layer), first), data, p.first + first, end - first, k)
    while first < end:
        columns = columns_to(first, end, group)
        at = advance(x, first) if is_whole else x
        fetch_inputs(layer, at, data, first, columns, p.rows)
        drop_inputs(layer, at, columns, p.key, first)
        long = long_after(x, first, columns, group, p.rows)
        net_inputs_of_group(layer, at, stride, first, columns, long)
        first += columns


@kernel
def net_inputs(layer, x, first, end, batch):
    """Z = W X + b of some columns; with ReLU the outputs."""
    stride = stride_of(layer)
    group = columns_of_group(layer, n_inputs(layer), batch)
    while first < end:
        columns = columns_to(first, end, group)
        long = long_after(x, first, columns, group, batch)
        net_inputs_of_group(layer, advance(x, first), stride, first, columns, long)
        first += columns


@kernel
def finish_of(below):
    """What of dY/dZ of the layer below is done in the product, as in `dense.delta_below`."""
    if not has_slope(below):
        if activation_of(below) == RELU:
            return RELU_BACKWARD
        if activation_of(below) == TANH:
            return TANH_BACKWARD
    return AS_IT_IS


@kernel
def delta_below(layer, below, first, end, batch, finish):
    """dX = W^T D of some columns, times what of dY/dZ is in `finish`."""
    stride = stride_of(layer)
    dx, y = delta(below), outputs(below)
    group = columns_of_group(layer, n_units(layer), batch)
    while first < end:
        columns = columns_to(first, end, group)
        long = long_after(dx, first, columns, group, batch)
        product_below(
            layer, advance(dx, first), stride, first, columns, finish, advance(y, first), long
        )
        first += columns


@kernel
def forward(network, work, data, p, first, end):
    """Outputs of all layers, and the panels for the gradients of those that go by tiles."""
    view = shifted(work, first)
    x = scratch(work, INPUTS)
    for number in range(network.n_layers):
        layer = layer_of(network, work, number)
        if number == 0:
            first_net_inputs(layer, data, p, first, end)
        else:
            net_inputs(layer, x, first, end, p.rows)
        activate_layer(layer_of(network, view, number), end - first, p.key, first)
        if gradient_method(layer, p.rows) == BY_TILES and not has_input_panels(layer):
            fetch_panels(layer, layer_panels(layer), x, first, end - first, p.rows)
        x = outputs(layer)


@kernel
def output_delta(network, work, data, p, first, end, losses):
    """The delta of the last layer; in `losses` the losses by lane, each vector of columns apart."""
    view = shifted(work, first)
    number = network.n_layers - 1
    there = layer_of(network, view, number)
    fetch_shares(view, data, p.first + first, end - first, p.divisor)
    fetch_targets(there, data, p.first + first, end - first)
    width = lanes(work.values)
    for at in range(first, end, width):
        last = layer_of(network, shifted(work, at), number)
        part = delta_of_outputs(network, last, data, min(width, end - at))
        vstore(advance(losses, at), part, width)
    delta_through(there, end - first)


@kernel
def backward(network, work, p, first, end):
    """The deltas of all layers but the last, which is there."""
    view = shifted(work, first)
    for number in range(network.n_layers - 1, 0, -1):
        below = layer_of(network, work, number - 1)
        finish = finish_of(below)
        delta_below(layer_of(network, work, number), below, first, end, p.rows, finish)
        if finish == AS_IT_IS:
            delta_through(layer_of(network, view, number - 1), end - first)


@kernel
def pass_columns(network, work, data, p, first, end, losses):
    """All of it, from the rows of the data to the deltas."""
    forward(network, work, data, p, first, end)
    output_delta(network, work, data, p, first, end, losses)
    backward(network, work, p, first, end)
