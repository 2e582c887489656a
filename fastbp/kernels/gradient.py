"""The weight gradient of a dense layer, by four methods, each followed by the update.

Legend
------
B rows of the pass, `stride` the row length of feature-by-feature matrices
X (K, B)  a layer's inputs     D (N, B)  its delta, dE/dZ
S (B, K)  its inputs sample by sample, in panels of two vectors of columns

In a workspace for single samples (see `is_single_sample`) the stride is 1, so that features
stand in the lanes: then S is X.

Gradients are overwritten by the first pass of a batch and added to by the later ones. They are
computed a block of units at a time, and at once these weights are updated, while their gradient
is in the near caches. So training needs no buffer for the gradient.
"""

from fastbp.kernels.layout import BIASES, GRADIENT, GRADIENT_FROM, N_IN, N_OUT, WEIGHTS
from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_OUTPUT,
    FROM_ZERO,
    Product,
    multiply_rows,
    next_row_products,
    outer_product,
    products_of_rows,
    rows_of_block,
)
from fastbp.kernels.state import REGULATED, column, delta_of, is_single_sample, offsets, place
from fastbp.kernels.transposes import copy, transpose
from fastbp.kernels.updates import NO_UPDATE, update, update_by_rules
from fastbp.kernels.workspace import (
    BLOCK,
    BY_INPUTS,
    BY_OUTPUTS,
    BY_TILES,
    FEATURE_ROWS,
    INPUT_PANELS,
    ONES,
    PACKED,
    PANELS,
    SINGLE_BLOCK,
    STRIDE,
)
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS
from fastbp.machine.simd import advance, lanes, load, store, vload, vstore


@kernel
def end_block(network, work, layer, batch, grad, optimizer, done, rows, out):
    """Update `rows` units after the first `done`; the gradient of their weights stands at out.

    The biases stand behind the weights of the last block: they are updated together.
    """
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    start, count = column(network, layer, WEIGHTS) + done * n_in, rows * n_in
    has_biases = done + rows == n_out and column(network, layer, BIASES) >= 0
    if has_biases:
        stride, delta = load(work.places, STRIDE), delta_of(network, work, layer)
        to, ones = advance(out, count), place(work, ONES)
        if is_single_sample(work) and grad.start == FROM_ZERO:
            copy(to, delta, n_out)
        else:
            products_of_rows(to, delta, stride, n_out, ones, batch, grad.start, to)
        count += n_out
    if optimizer.code == NO_UPDATE:
        return
    if load(optimizer.rules, REGULATED) != 0.0:
        update_by_rules(network, optimizer, layer, done, rows, out, has_biases)
    else:
        update(optimizer, network.params, network.n_params, start, count, out, 1.0, 0.0)


@kernel
def block_of(network, work, layer, grad, done):
    """Where the gradient of the units from `done` on goes."""
    if grad.length == 0:
        return place(work, BLOCK)
    at = column(network, layer, WEIGHTS) + done * column(network, layer, N_IN)
    return advance(grad.numbers, at)


@kernel
def gradient_of_single_sample(network, work, layer, x, grad, optimizer):
    """dW = D X^T, as many units at a time as the block has room for."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    delta, done = delta_of(network, work, layer), 0
    while done < n_out:
        rows, out = (
            min(SINGLE_BLOCK // n_in + 1, n_out - done),
            block_of(network, work, layer, grad, done),
        )
        outer_product(out, advance(delta, done), rows, x, n_in, grad.start)
        end_block(network, work, layer, 1, grad, optimizer, done, rows, out)
        done += rows


@kernel
def fetch_panels(network, work, layer, x, batch):
    """Transpose a layer's inputs x (K, B) into panels: all samples of two vectors of inputs."""
    n_in, panel = column(network, layer, N_IN), place(work, PANELS)
    width, stride = TILE_VECTORS * lanes(panel), load(work.places, STRIDE)
    features = offsets(work, FEATURE_ROWS)
    for first in range(0, n_in, width):
        columns = min(width, n_in - first)
        transpose(panel, width, advance(x, first * stride), features, columns, batch)
        panel = advance(panel, batch * width)


@kernel
def gradient_by_tiles(network, work, layer, x, batch, grad, optimizer):
    """dW = D S from panels of x, which of the first layer may be there already."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, delta = load(work.places, STRIDE), delta_of(network, work, layer)
    panels, done = place(work, PANELS), 0
    width = TILE_VECTORS * lanes(panels)
    if layer == 0 and load(work.places, INPUT_PANELS) >= 0:
        panels = place(work, INPUT_PANELS)
    else:
        fetch_panels(network, work, layer, x, batch)
    while done < n_out:
        rows = rows_of_block(n_out - done, n_in, lanes(delta))
        out, left = block_of(network, work, layer, grad, done), advance(delta, done * stride)
        product = Product(
            out, n_in, left, stride, 1, panels, width, width * batch, batch, grad.start, delta,
            AS_IT_IS, delta,
        )  # fmt: skip
        multiply_rows(rows, product, n_in)
        end_block(network, work, layer, batch, grad, optimizer, done, rows, out)
        done += rows


@kernel
def gradient_by_outputs(network, work, layer, x, batch, grad, optimizer):
    """dW as products of the rows of D with a vector of rows of x (K, B); needs no panels."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, width, sums = load(work.places, STRIDE), lanes(x), place(work, PACKED)
    for first in range(0, n_out, TILE_ROWS):
        end, out = min(first + TILE_ROWS, n_out), block_of(network, work, layer, grad, first)
        for j in range(0, n_in, width):
            rows, inputs, done = advance(x, j * stride), min(width, n_in - j), first
            while done < end:
                delta = advance(delta_of(network, work, layer), done * stride)
                some = next_row_products(
                    sums, rows, stride, inputs, delta, stride, end - done, batch
                )
                for r in range(some):
                    to = advance(out, (done - first + r) * n_in + j)
                    total = vload(advance(sums, r * width), inputs)
                    if grad.start == FROM_OUTPUT:
                        total = total + vload(to, inputs)
                    vstore(to, total, inputs)
                done += some
        end_block(network, work, layer, batch, grad, optimizer, first, end - first, out)


@kernel
def gradient_by_inputs(network, work, layer, x, batch, grad, optimizer):
    """dW as products of the rows of x (K, B) with a vector of rows of D; needs no panels."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, width, sums = load(work.places, STRIDE), lanes(x), place(work, PACKED)
    for first in range(0, n_out, width):
        units, out, done = min(width, n_out - first), block_of(network, work, layer, grad, first), 0
        rows = advance(delta_of(network, work, layer), first * stride)
        while done < n_in:
            inputs = advance(x, done * stride)
            some = next_row_products(sums, rows, stride, units, inputs, stride, n_in - done, batch)
            for r in range(some):
                for i in range(units):
                    at, total = i * n_in + done + r, load(sums, r * width + i)
                    if grad.start == FROM_OUTPUT:
                        total += load(out, at)
                    store(out, at, total)
            done += some
        end_block(network, work, layer, batch, grad, optimizer, first, units, out)


@kernel
def layer_gradient(network, work, layer, x, batch, grad, optimizer):
    """dW and db from the layer's inputs x (K, B), a block of units at a time, then updated."""
    way = column(network, layer, GRADIENT)
    if batch < column(network, layer, GRADIENT_FROM):
        way = BY_TILES
    if is_single_sample(work):
        gradient_of_single_sample(network, work, layer, x, grad, optimizer)
    elif way == BY_OUTPUTS:
        gradient_by_outputs(network, work, layer, x, batch, grad, optimizer)
    elif way == BY_INPUTS:
        gradient_by_inputs(network, work, layer, x, batch, grad, optimizer)
    else:
        gradient_by_tiles(network, work, layer, x, batch, grad, optimizer)
