"""Forward and backward through the layers of a layout, for one pass of a batch.

Legend
------
B rows of the pass, `stride` the row length of feature-by-feature matrices
X (K, B)  a layer's inputs     Y (N, B)  its outputs     D (N, B)  its delta, dE/dZ
S (B, K)  its inputs sample by sample, in panels of two vectors of columns

Going back through a layer, the delta of the layer below is computed from the old weights
first; then, a block of units at a time, the weight gradient, and at once the update of these
weights while their gradient is in the near caches. So training needs no buffer for the gradient.

Gradients are overwritten by the first pass of a batch and added to by the later ones.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp._jit import kernel
from fastbp.kernels.activations import (
    RELU,
    SOFTMAX,
    STEP,
    activate,
    activate_backward,
    softmax,
    softmax_backward,
)
from fastbp.kernels.losses import loss_and_delta
from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_BIAS,
    FROM_OUTPUT,
    FROM_ZERO,
    RELU_BACKWARD,
    RELU_FORWARD,
    Product,
    multiply_block,
    multiply_rows,
    pack_columns,
    rows_of_block,
    transpose,
)
from fastbp.kernels.updates import update
from fastbp.layout import (
    ACTIVATION,
    BIASES,
    BLOCK,
    DATA_ROWS,
    DELTA,
    FEATURE_ROWS,
    INPUTS,
    N_COLUMNS,
    N_IN,
    N_OUT,
    ONES,
    OUTPUT,
    PACKED,
    PANELS,
    STRIDE,
    TARGETS,
    WEIGHTS,
)
from fastbp.simd import (
    advance,
    lanes,
    load,
    splat,
    store,
    rows_at,
    rows_next,
    tile_add_products,
    tile_add_some_products,
    tile_square,
    tile_sums,
    tile_zeros,
    vload,
    vstore,
)
from fastbp.target import SECOND_CACHE_BYTES, TILE_ROWS, TILE_VECTORS, VECTOR_BITS

PACK_FROM = 3
"""Blocks of columns from which packing the weights for the input gradient pays."""
FEW_OUTPUTS, FEW_INPUTS = min(8, TILE_ROWS), 4
"""Layers of at most so many outputs or inputs compute dW without tiles (measured)."""


class Network(NamedTuple):
    """A network as the kernels see it: arrays at the boundary, pointers within.

    Attributes
    ----------
    params : float, shape (n_params,)
    layers : int64, shape (n_layers x N_COLUMNS,)
        See fastbp.layout.
    n_params, n_layers : int
    loss : int
        Code of the loss.
    """

    params: npt.NDArray[np.floating]
    layers: npt.NDArray[np.int64]
    n_params: int
    n_layers: int
    loss: int


class Data(NamedTuple):
    """Rows to train on or evaluate: arrays at the boundary, pointers within.

    Attributes
    ----------
    inputs : float, shape (rows x n_in,)
    targets : float, shape (rows x n_out,) or (0,)
    labels : int64, shape (rows,) or (0,)
        Classes in place of targets.
    order : int64, shape (rows,) or (0,)
        The order in which to take the rows; empty: as they stand.
    n_labels, n_order : int
        Lengths of `labels` and `order`.
    """

    inputs: npt.NDArray[np.floating]
    targets: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    n_labels: int
    n_order: int


class Gradient(NamedTuple):
    """Where the gradient goes.

    Attributes
    ----------
    numbers : float, shape (n_params,) or (0,)
        Laid out like the parameters.
    length : int
        Length of `numbers`; with 0 only one block of it is ever there.
    start : int
        FROM_ZERO to overwrite it, FROM_OUTPUT to add to it.
    """

    numbers: npt.NDArray[np.floating]
    length: int
    start: int


@kernel
def column(network, layer, name):
    """An entry of the table of layers."""
    return load(network.layers, layer * N_COLUMNS + name)


@kernel
def place(work, name):
    """A part of the workspace."""
    return advance(work.numbers, load(work.places, name))


@kernel
def offsets(work, name):
    """A table of the offsets of rows."""
    return advance(work.offsets, load(work.places, name))


@kernel
def output(network, work, layer):
    """A layer's outputs."""
    return advance(work.numbers, column(network, layer, OUTPUT))


@kernel
def delta_of(network, work, layer):
    """A layer's delta."""
    return advance(work.numbers, column(network, layer, DELTA))


@kernel
def row_offsets(table, data, first, batch, width):
    """Where the next `batch` rows of an array of `width` columns stand."""
    if data.n_order > 0:
        for b in range(batch):
            store(table, b, load(data.order, first + b) * width)
    else:
        for b in range(batch):
            store(table, b, (first + b) * width)


@kernel
def fetch_inputs(network, work, data, first, batch):
    """Gather the inputs of a pass feature by feature."""
    n_in, rows = column(network, 0, N_IN), offsets(work, DATA_ROWS)
    row_offsets(rows, data, first, batch, n_in)
    transpose(place(work, INPUTS), load(work.places, STRIDE), data.inputs, rows, batch, n_in)


@kernel
def fetch_targets(network, work, data, first, batch):
    """Gather the targets of a pass; labels become rows of zeros with a one."""
    n_out, stride = column(network, network.n_layers - 1, N_OUT), load(work.places, STRIDE)
    out, rows = place(work, TARGETS), offsets(work, DATA_ROWS)
    if data.n_labels == 0:
        row_offsets(rows, data, first, batch, n_out)
        transpose(out, stride, data.targets, rows, batch, n_out)
        return
    row_offsets(rows, data, first, batch, 1)
    width, zero = lanes(out), splat(out, 0.0)
    for i in range(0, n_out * stride, width):
        vstore(advance(out, i), zero, width)
    for b in range(batch):
        store(out, load(data.labels, load(rows, b)) * stride + b, 1.0)


@kernel
def columns_of_group(p, k, batch):
    """Samples of which k features fill half of the second cache, in whole tiles; at most `batch`.

    The right operand of a product is read again for each block of rows: a larger one would come
    from the third cache each time.
    """
    if k * batch * (VECTOR_BITS // 8) <= SECOND_CACHE_BYTES // 2 * lanes(p):
        return batch
    width = TILE_VECTORS * lanes(p)
    columns = SECOND_CACHE_BYTES // 2 * lanes(p) // (k * VECTOR_BITS // 8) // width * width
    return max(columns, width)


@kernel
def layer_forward(network, work, layer, x, batch):
    """Y = activation(W X + bias), one block of units after the other."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, code = load(work.places, STRIDE), column(network, layer, ACTIVATION)
    weights = advance(network.params, column(network, layer, WEIGHTS))
    bias, start = weights, FROM_ZERO
    if column(network, layer, BIASES) >= 0:
        bias, start = advance(network.params, column(network, layer, BIASES)), FROM_BIAS
    finish = RELU_FORWARD if code == RELU else AS_IT_IS
    y, group = output(network, work, layer), columns_of_group(x, n_in, batch)
    for first in range(0, batch, group):
        done = 0
        while done < n_out:
            rows = rows_of_block(n_out - done, batch, lanes(x))
            yi = advance(y, done * stride + first)
            product = Product(
                yi, stride, advance(weights, done * n_in), n_in, 1, advance(x, first), stride,
                n_in, start, advance(bias, done), finish, yi,
            )  # fmt: skip
            multiply_rows(rows, product, min(group, batch - first))
            done += rows
    if code == SOFTMAX:
        softmax(y, stride, n_out, batch)
    elif code != RELU:
        activate(code, y, stride, n_out, batch)


@kernel
def layer_backward(network, work, layer, batch):
    """The delta of the layer below, (W^T D) * dY/dZ."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, code = load(work.places, STRIDE), column(network, layer - 1, ACTIVATION)
    weights = advance(network.params, column(network, layer, WEIGHTS))
    delta, below = delta_of(network, work, layer), delta_of(network, work, layer - 1)
    y, packed = output(network, work, layer - 1), place(work, PACKED)
    finish = RELU_BACKWARD if code == RELU else AS_IT_IS
    group = columns_of_group(delta, n_out, batch)
    for first in range(0, batch, group):
        columns, done = min(group, batch - first), 0
        while done < n_in:
            rows = rows_of_block(n_in - done, batch, lanes(delta))
            left, step, at = advance(weights, done), n_in, done * stride + first
            if columns > (PACK_FROM - 1) * TILE_VECTORS * lanes(delta):
                pack_columns(packed, left, n_in, rows, n_out)
                left, step = packed, TILE_ROWS
            product = Product(
                advance(below, at), stride, left, 1, step, advance(delta, first), stride, n_out,
                FROM_ZERO, delta, finish, advance(y, at),
            )  # fmt: skip
            multiply_rows(rows, product, columns)
            done += rows
    if code != RELU:
        activate_backward(code, below, y, stride, n_in, batch)


@kernel
def row_products(a, stride, rows, x, batch):
    """Vector of ``sum_b A[i, b] x[b]`` for as many rows of A as there are lanes; `rows` count."""
    width, shape = lanes(a), tile_square(a)
    sums = tile_zeros(shape, a)
    if rows == width:
        where = rows_at(shape, a, stride)
        whole = batch // width * width
        for b in range(0, whole, width):
            sums = tile_add_products(sums, where, vload(advance(x, b), width), width)
            where = rows_next(where, width)
        if whole < batch:
            tail = batch - whole
            sums = tile_add_products(sums, where, vload(advance(x, whole), tail), tail)
    else:
        for b in range(0, batch, width):
            factor = vload(advance(x, b), batch - b)
            sums = tile_add_some_products(sums, advance(a, b), stride, factor, rows, batch - b)
    return tile_sums(sums)


@kernel
def products_of_rows(out, a, stride, n, x, batch, start):
    """``out[i] = sum_b A[i, b] x[b]`` for n rows of A."""
    width = lanes(a)
    for i in range(0, n, width):
        rows, to = min(width, n - i), advance(out, i)
        total = row_products(advance(a, i * stride), stride, rows, x, batch)
        if start == FROM_OUTPUT:
            total = total + vload(to, rows)
        vstore(to, total, rows)


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
def end_block(network, work, layer, batch, grad, optimizer, done, rows, out):
    """Update `rows` units after the first `done`; the gradient of their weights stands at out.

    The biases stand behind the weights of the last block: they are updated together.
    """
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    start, count = column(network, layer, WEIGHTS) + done * n_in, rows * n_in
    if done + rows == n_out and column(network, layer, BIASES) >= 0:
        stride, delta = load(work.places, STRIDE), delta_of(network, work, layer)
        to, ones = advance(out, count), place(work, ONES)
        products_of_rows(to, delta, stride, n_out, ones, batch, grad.start)
        count += n_out
    update(optimizer, network.params, network.n_params, start, count, out)


@kernel
def block_of(network, work, layer, grad, done):
    """Where the gradient of the units from `done` on goes."""
    if grad.length == 0:
        return place(work, BLOCK)
    at = column(network, layer, WEIGHTS) + done * column(network, layer, N_IN)
    return advance(grad.numbers, at)


@kernel
def gradient_of_few_outputs(network, work, layer, x, batch, grad, optimizer):
    """dW, unit by unit, as products of its delta with the rows of x (K, B); needs no panels."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, delta = load(work.places, STRIDE), delta_of(network, work, layer)
    out = block_of(network, work, layer, grad, 0)
    for i in range(n_out):
        to, row = advance(out, i * n_in), advance(delta, i * stride)
        products_of_rows(to, x, stride, n_in, row, batch, grad.start)
    end_block(network, work, layer, batch, grad, optimizer, 0, n_out, out)


@kernel
def gradient_of_few_inputs(network, work, layer, x, batch, grad, optimizer):
    """dW, input by input, as products of its row with the rows of D, a vector of units at a time.

    Tiles as narrow as this would leave most of their lanes empty.
    """
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, delta = load(work.places, STRIDE), delta_of(network, work, layer)
    width, some = lanes(delta), place(work, PACKED)
    for done in range(0, n_out, width):
        rows, out = min(width, n_out - done), block_of(network, work, layer, grad, done)
        for j in range(n_in):
            row, units = advance(x, j * stride), advance(delta, done * stride)
            vstore(some, row_products(units, stride, rows, row, batch), width)
            for i in range(rows):
                before = load(out, i * n_in + j) if grad.start == FROM_OUTPUT else 0.0
                store(out, i * n_in + j, load(some, i) + before)
        end_block(network, work, layer, batch, grad, optimizer, done, rows, out)


@kernel
def gradient_by_tiles(network, work, layer, x, batch, grad, optimizer):
    """dW = D S from panels of x."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, delta = load(work.places, STRIDE), delta_of(network, work, layer)
    panels, done = place(work, PANELS), 0
    width = TILE_VECTORS * lanes(panels)
    fetch_panels(network, work, layer, x, batch)
    while done < n_out:
        rows = rows_of_block(n_out - done, n_in, lanes(delta))
        out, left = block_of(network, work, layer, grad, done), advance(delta, done * stride)
        for j in range(0, n_in, width):
            product = Product(
                advance(out, j), n_in, left, stride, 1, advance(panels, j * batch), width, batch,
                grad.start, delta, AS_IT_IS, delta,
            )  # fmt: skip
            multiply_block(rows, product, n_in - j)
        end_block(network, work, layer, batch, grad, optimizer, done, rows, out)
        done += rows


@kernel
def layer_gradient(network, work, layer, x, batch, grad, optimizer):
    """dW and db from the layer's inputs x (K, B), a block of units at a time, then updated."""
    if column(network, layer, N_OUT) <= FEW_OUTPUTS:
        gradient_of_few_outputs(network, work, layer, x, batch, grad, optimizer)
    elif column(network, layer, N_IN) <= FEW_INPUTS:
        gradient_of_few_inputs(network, work, layer, x, batch, grad, optimizer)
    else:
        gradient_by_tiles(network, work, layer, x, batch, grad, optimizer)


@kernel
def forward(network, work, batch):
    """Outputs of all layers from the inputs that were fetched."""
    x = place(work, INPUTS)
    for layer in range(network.n_layers):
        layer_forward(network, work, layer, x, batch)
        x = output(network, work, layer)


@kernel
def output_delta(network, work, batch, scale):
    """The delta of the last layer, in the place of the targets; returns the loss times scale."""
    last, stride = network.n_layers - 1, load(work.places, STRIDE)
    n_out, code = column(network, last, N_OUT), column(network, last, ACTIVATION)
    y, delta = output(network, work, last), place(work, TARGETS)
    loss = loss_and_delta(network.loss, delta, y, delta, stride, n_out, batch, scale)
    if code == SOFTMAX:
        softmax_backward(delta, y, stride, n_out, batch)
    elif code != STEP:  # forward only: its loss is asked for, its delta is not
        activate_backward(code, delta, y, stride, n_out, batch)
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
