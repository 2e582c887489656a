"""A dense layer forward, and backward to the delta of the layer below.

Legend
------
B rows of the pass, K inputs and N units of the layer
X (K, B)  its inputs      Z (N, B)  its net inputs     Y (N, B)  its outputs
W (N, K)  its weights     b (N,)    its biases         D (N, B)  its delta, dE/dZ

Matrices of the pass are stored feature by feature, their rows `stride` apart. In a workspace for
single samples (see `is_single_sample`) the stride is 1, so that features stand in the lanes.
"""

from fastbp.kernels.activations import (
    RELU,
    TANH,
    activate,
    activate_backward,
    multiply_by_slope,
    stores_slope,
)
from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_BIAS,
    FROM_ZERO,
    RELU_BACKWARD,
    RELU_FORWARD,
    TANH_BACKWARD,
    Product,
    multiply_columns,
    multiply_rows,
    products_of_rows,
    rows_of_block,
)
from fastbp.kernels.sampling import drop_out
from fastbp.kernels.state import (
    activation_of,
    biases,
    capacity_of,
    data_rows,
    delta,
    dropout_share,
    has_biases,
    has_slope,
    is_single_sample,
    n_inputs,
    n_units,
    outputs,
    scratch,
    slope,
    stride_of,
    weights,
)
from fastbp.kernels.transposes import copy, fill_columns, pack_columns, transpose
from fastbp.kernels.workspace import CACHED, INPUT_GROUP, INPUT_STRIDE, INPUTS, PACKED
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS
from fastbp.machine.simd import advance, lanes, load, splat, store

PACK_FROM = 3
"""Blocks of columns from which packing the weights for the input gradient pays."""


@kernel
def columns_of_group(layer, k, batch):
    """Samples of which k features fill half of the second cache, in whole tiles; at most `batch`.

    The right operand of a product is read again for each block of rows: a larger one would come
    from the third cache each time.
    """
    cached = load(layer.places, CACHED)
    if k * batch <= cached:
        return batch
    width = TILE_VECTORS * lanes(layer.values)
    return max(cached // k // width * width, width)


@kernel
def net_inputs_of_group(layer, x, x_stride, first, columns, long):
    """Z = W X + b of some samples from `first` on, one block of units after the other.

    Their inputs stand at x, `x_stride` apart. With ReLU these are the outputs. `long` is None for a
    whole group, and for a part of one as in `multiply_columns`.
    """
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    w, b, y = weights(layer), biases(layer), outputs(layer)
    start = FROM_BIAS if has_biases(layer) else FROM_ZERO
    finish = RELU_FORWARD if activation_of(layer) == RELU else AS_IT_IS
    wide = TILE_VECTORS * lanes(x)
    done = 0
    while done < n:
        rows = rows_of_block(n - done, columns, lanes(x))
        yi = advance(y, done * stride + first)
        product = Product(
            yi, stride, advance(w, done * k), k, 1, x, x_stride, wide, k, start, advance(b, done),
            finish, yi,
        )  # fmt: skip
        if long is None:
            multiply_rows(rows, product, columns)
        else:
            multiply_columns(rows, product, columns, long)
        done += rows


@kernel
def net_inputs_of_single_sample(layer, x):
    """Z = W X + b in a workspace for single samples; with ReLU the outputs."""
    k, n = n_inputs(layer), n_units(layer)
    y = outputs(layer)
    start = FROM_BIAS if has_biases(layer) else FROM_ZERO
    products_of_rows(y, weights(layer), k, n, x, k, start, biases(layer))
    if activation_of(layer) == RELU:
        activate(RELU, y, y, 1, n, 1)


@kernel
def net_inputs(layer, x, batch):
    """Z = W X + b of a batch whose inputs stand at x; with ReLU its outputs."""
    if is_single_sample(layer):
        net_inputs_of_single_sample(layer, x)
        return
    stride = stride_of(layer)
    group = columns_of_group(layer, n_inputs(layer), batch)
    for first in range(0, batch, group):
        columns = min(group, batch - first)
        net_inputs_of_group(layer, advance(x, first), stride, first, columns, None)


@kernel
def store_slope(layer, batch):
    """dY/dZ from the outputs, unless the activation has stored it."""
    n, stride = n_units(layer), stride_of(layer)
    code = activation_of(layer)
    s = slope(layer)
    if not stores_slope(code):
        fill_columns(s, splat(s, 1.0), stride, n, batch)
        activate_backward(code, s, outputs(layer), stride, n, batch)


@kernel
def drop_outputs(layer, batch, key, first):
    """Dropout of a layer's outputs, and of their slopes at the same units and rows.

    The buffers of the layer begin at column `first` of the pass.
    """
    n, stride = n_units(layer), stride_of(layer)
    share = dropout_share(layer)
    if share > 0:
        drop_out(outputs(layer), stride, n, batch, share, key + layer.number, first)
        drop_out(slope(layer), stride, n, batch, share, key + layer.number, first)


@kernel
def activate_layer(layer, batch, key, first):
    """Y = activation(Z), which replaces Z, and dY/dZ if it is stored; with dropout by the key.

    The buffers of the layer begin at column `first` of the pass.
    """
    n, stride = n_units(layer), stride_of(layer)
    code = activation_of(layer)
    y = outputs(layer)
    if code != RELU:  # the product has done ReLU
        activate(code, y, slope(layer) if has_slope(layer) else y, stride, n, batch)
    if has_slope(layer):
        store_slope(layer, batch)
        if key != 0:
            drop_outputs(layer, batch, key, first)


@kernel
def delta_through(layer, batch):
    """D <- D * dY/dZ, from the stored slope or else from the outputs."""
    n, stride = n_units(layer), stride_of(layer)
    if has_slope(layer):
        multiply_by_slope(delta(layer), slope(layer), stride, n, batch)
    else:
        activate_backward(activation_of(layer), delta(layer), outputs(layer), stride, n, batch)


@kernel
def product_below(layer, dx, dx_stride, first, columns, finish, y, long):
    """dX = W^T D of some samples of a pass from `first` on, one block of inputs after the other.

    They go to dx, `dx_stride` apart; y are outputs of the layer below, laid out like dx, or
    anything where the product is left AS_IT_IS; `long` as in `net_inputs_of_group`.
    """
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    w, d = weights(layer), delta(layer)
    packed = scratch(layer, PACKED)
    wide = TILE_VECTORS * lanes(d)
    done = 0
    while done < k:
        rows = rows_of_block(k - done, columns, lanes(d))
        left = advance(w, done)
        step = k
        if columns > (PACK_FROM - 1) * wide:
            pack_columns(packed, left, k, rows, n)
            left = packed
            step = TILE_ROWS
        at = done * dx_stride
        block = Product(
            advance(dx, at), dx_stride, left, 1, step, advance(d, first), stride, wide, n,
            FROM_ZERO, d, finish, advance(y, at),
        )  # fmt: skip
        if long is None:
            multiply_rows(rows, block, columns)
        else:
            multiply_columns(rows, block, columns, long)
        done += rows


@kernel
def product_below_of_single_sample(layer, dx, finish, y):
    """The same in a workspace for single samples."""
    k, n = n_inputs(layer), n_units(layer)
    w, d = weights(layer), delta(layer)
    wide = TILE_VECTORS * lanes(w)
    product = Product(dx, 0, d, 0, 1, w, k, wide, n, FROM_ZERO, d, finish, y)
    multiply_rows(1, product, k)


@kernel
def delta_below(layer, below, batch):
    """The delta of the layer below, dX = (W^T D) * dY/dZ; Y are the outputs of that layer."""
    stride = stride_of(layer)
    dx, y = delta(below), outputs(below)
    finish = AS_IT_IS
    if not has_slope(below):
        if activation_of(below) == RELU:
            finish = RELU_BACKWARD
        elif activation_of(below) == TANH:
            finish = TANH_BACKWARD
    if stride == 1:
        product_below_of_single_sample(layer, dx, finish, y)
    else:
        group = columns_of_group(layer, n_units(layer), batch)
        for first in range(0, batch, group):
            columns = min(group, batch - first)
            product_below(
                layer, advance(dx, first), stride, first, columns, finish, advance(y, first),
                None,
            )  # fmt: skip
    if finish == AS_IT_IS:
        delta_through(below, batch)


@kernel
def delta_of_inputs(layer, dx, batch):
    """dE/dX (B, K) of a pass, row by row in dx, from the delta D of the first layer.

    It goes through the inputs of the workspace, a group of rows after the other, and overwrites
    them.
    """
    k = n_inputs(layer)
    x = scratch(layer, INPUTS)
    if is_single_sample(layer):
        product_below_of_single_sample(layer, x, AS_IT_IS, x)
        copy(dx, x, k)
        return
    stride = load(layer.places, INPUT_STRIDE)
    group = load(layer.places, INPUT_GROUP)
    rows = data_rows(layer)
    block = capacity_of(layer)
    for first in range(0, batch, group):
        columns = min(group, batch - first)
        product_below(layer, x, stride, first, columns, AS_IT_IS, x, None)
        for done in range(0, k, block):
            some = min(block, k - done)
            for i in range(some):
                store(rows, i, i * stride)
            to = advance(dx, first * k + done)
            transpose(to, k, advance(x, done * stride), rows, some, columns)
