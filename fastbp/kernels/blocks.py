"""The blocks of units that a team shares: the gradient of each over the whole pass, and its update.

The blocks are those of gradient.py, and no sum is over blocks. Each layer's biases come with its
last block. Every member lists the blocks for itself, in an array of integers: the rows of the pass
that they are for, the number of the first block of each member and what comes after the last, and
then, from FIRST_BLOCK on, three integers a block: the layer, the first unit, how many units.

A member owns blocks with about the same share of the weights. Where a share ends within a block of
tiles, that block is cut: two threads waited for each other for 14 of the 380 us of a step of mnist.
"""

from fastbp.kernels.columns import layer_panels
from fastbp.kernels.gradient import (
    block_by_inputs,
    block_by_outputs,
    block_by_tiles,
    gradient_method,
    has_input_panels,
    update_block,
)
from fastbp.kernels.matmul import rows_of_block
from fastbp.kernels.regularization import drop_frozen, scale
from fastbp.kernels.state import (
    LayerParameters,
    delta,
    first_parameter,
    has_biases,
    layer_of,
    n_inputs,
    n_units,
    outputs,
    scratch,
    stride_of,
)
from fastbp.kernels.updates import shape_gradient, update_units
from fastbp.kernels.workspace import (
    BY_INPUTS,
    BY_OUTPUTS,
    BY_TILES,
    INPUT_PANELS,
    INPUTS,
    PACKED,
)
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_ROWS
from fastbp.machine.simd import advance, lanes, store

CUT = 4
"""Rows that a tile has at least. A few columns at the end are summed in another order in those of a
block's rows that are left after so many, and more (`matmul.multiply_narrow`): cuts leave these."""


@kernel
def block_length(layer, like, method, left):
    """Units of the next block when `left` units of a layer are left."""
    if method == BY_TILES:
        return rows_of_block(left, n_inputs(layer), lanes(like))
    return min(left, TILE_ROWS if method == BY_OUTPUTS else lanes(like))


@kernel
def units_before(weights, k, units, method):
    """How many units of a block come before the next owner's share, so many weights further on.

    All of them where the share begins later. Otherwise a block of tiles is cut at a multiple of
    CUT, and a block of another kind goes to whom most of it belongs.
    """
    part = CUT if method == BY_TILES and units % CUT == 0 else units
    return min(units, max(0, (2 * weights + part * k) // (2 * part * k) * part))


@kernel
def first_block(members):
    """Where the list of blocks starts."""
    return members + 2


@kernel
def list_blocks(network, work, blocks, members, rows):
    """Fill `blocks` for passes of so many rows."""
    total = 0
    for number in range(network.n_layers):
        layer = layer_of(network, work, number)
        total += n_units(layer) * n_inputs(layer)
    block = owner = weights = 0
    for number in range(network.n_layers):
        layer = layer_of(network, work, number)
        k, n = n_inputs(layer), n_units(layer)
        method = gradient_method(layer, rows)
        done = end = 0
        while done < n:
            if done == end:
                end += block_length(layer, work.values, method, n - done)
            before = owner * total - weights * members
            units = units_before(before, k * members, end - done, method)
            if units == 0:
                store(blocks, 1 + owner, block)
                owner += 1
                continue
            at = first_block(members) + 3 * block
            store(blocks, at, number)
            store(blocks, at + 1, done)
            store(blocks, at + 2, units)
            block += 1
            done += units
            weights += units * k
    while owner <= members:
        store(blocks, 1 + owner, block)
        owner += 1
    store(blocks, 0, rows)


@kernel
def has_last_unit(layer, done, units):
    """Whether the block is the layer's last, with the biases."""
    return done + units == n_units(layer) and has_biases(layer)


@kernel
def block_values(layer, done, units):
    """How many parameters a block has."""
    biases = n_units(layer) if has_last_unit(layer, done, units) else 0
    return units * n_inputs(layer) + biases


@kernel
def inputs_of(network, work, number):
    """X (K, B) of a layer."""
    if number == 0:
        return scratch(work, INPUTS)
    return outputs(layer_of(network, work, number - 1))


@kernel
def block_gradient(network, work, number, batch, grad, optimizer, done, units):
    """The gradient of a block over the whole pass, then its update."""
    layer = layer_of(network, work, number)
    method = gradient_method(layer, batch)
    k, stride = n_inputs(layer), stride_of(layer)
    d = delta(layer)
    if method == BY_TILES:
        panels = scratch(layer, INPUT_PANELS) if has_input_panels(layer) else layer_panels(layer)
        block_by_tiles(layer, k, stride, d, panels, batch, grad, optimizer, done, units)
        return
    x = inputs_of(network, work, number)
    sums = scratch(layer, PACKED)
    if method == BY_OUTPUTS:
        end = done + units
        block_by_outputs(layer, k, stride, d, sums, x, batch, grad, optimizer, done, end)
    elif method == BY_INPUTS:
        block_by_inputs(layer, k, stride, d, sums, x, batch, grad, optimizer, done, units)


@kernel
def whole_gradient(layer, grad, done):
    """Where the gradient of a block stands in that of all parameters."""
    return advance(grad.values, first_parameter(layer) + done * n_inputs(layer))


@kernel
def update_whole(layer, grad, optimizer, done, units):
    """Update a block by the gradient of all parameters."""
    count = block_values(layer, done, units)
    biases = has_last_unit(layer, done, units)
    update_block(layer, optimizer, done, units, whole_gradient(layer, grad, done), count, biases)


@kernel
def shape_whole(layer, grad, optimizer, done, units):
    """What `update_all` does to a block's gradient before its norm is taken."""
    count = block_values(layer, done, units)
    g = whole_gradient(layer, grad, done)
    block = LayerParameters(layer.row, layer.params, layer.number)
    shape_gradient(block, optimizer, done, units, g, count)
    drop_frozen(g, optimizer, first_parameter(layer) + done * n_inputs(layer), count)


@kernel
def update_clipped(layer, grad, optimizer, done, units, factor):
    """Update a block by its gradient, scaled by a factor below 1; 1 leaves it as it is."""
    count = block_values(layer, done, units)
    g = whole_gradient(layer, grad, done)
    if factor < 1.0:
        scale(g, factor, count)
    block = LayerParameters(layer.row, layer.params, layer.number)
    update_units(block, optimizer, done, units, g, has_last_unit(layer, done, units))
