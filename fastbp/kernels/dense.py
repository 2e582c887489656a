"""One dense layer: its outputs, and the delta of the layer below.

Legend
------
B rows of the pass, `stride` the row length of feature-by-feature matrices
X (K, B)  a layer's inputs     Y (N, B)  its outputs     D (N, B)  its delta, dE/dZ

In a workspace for single samples (see `is_single_sample`) the stride is 1, so that features
stand in the lanes.
"""

from fastbp.kernels.activations import (
    GELU,
    RELU,
    SILU,
    SOFTMAX,
    STEP,
    activate,
    activate_backward,
    multiply_by_slope,
    softmax,
)
from fastbp.kernels.layout import ACTIVATION, BIASES, DROPOUT, N_IN, N_OUT, SLOPE, WEIGHTS
from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_BIAS,
    FROM_ZERO,
    RELU_BACKWARD,
    RELU_FORWARD,
    Product,
    multiply_rows,
    products_of_rows,
    rows_of_block,
)
from fastbp.kernels.sampling import drop_out
from fastbp.kernels.state import column, delta_of, is_single_sample, output, place, slope_of
from fastbp.kernels.transposes import pack_columns
from fastbp.kernels.workspace import DROPOUT_KEY, PACKED, STRIDE
from fastbp.machine.jit import kernel
from fastbp.machine.processor import SECOND_CACHE_BYTES, TILE_ROWS, TILE_VECTORS, VECTOR_BITS
from fastbp.machine.simd import advance, lanes, load, splat, vstore

PACK_FROM = 3
"""Blocks of columns from which packing the weights for the input gradient pays."""


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
def net_inputs_of(network, work, layer, x, x_stride, first, columns):
    """Z = W X + bias of some samples from `first` on, one block of units after the other.

    Their inputs stand at x, `x_stride` apart. With ReLU these are the outputs.
    """
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, code = load(work.places, STRIDE), column(network, layer, ACTIVATION)
    weights = advance(network.params, column(network, layer, WEIGHTS))
    bias, start = weights, FROM_ZERO
    if column(network, layer, BIASES) >= 0:
        bias, start = advance(network.params, column(network, layer, BIASES)), FROM_BIAS
    finish, y = RELU_FORWARD if code == RELU else AS_IT_IS, output(network, work, layer)
    done, wide = 0, TILE_VECTORS * lanes(x)
    while done < n_out:
        rows = rows_of_block(n_out - done, columns, lanes(x))
        yi = advance(y, done * stride + first)
        product = Product(
            yi, stride, advance(weights, done * n_in), n_in, 1, x, x_stride, wide, n_in, start,
            advance(bias, done), finish, yi,
        )  # fmt: skip
        multiply_rows(rows, product, columns)
        done += rows


@kernel
def net_inputs_of_single_sample(network, work, layer, x):
    """As net_inputs_of, for a workspace of single samples."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    weights = advance(network.params, column(network, layer, WEIGHTS))
    bias, start, y = weights, FROM_ZERO, output(network, work, layer)
    if column(network, layer, BIASES) >= 0:
        bias, start = advance(network.params, column(network, layer, BIASES)), FROM_BIAS
    products_of_rows(y, weights, n_in, n_out, x, n_in, start, bias)
    if column(network, layer, ACTIVATION) == RELU:
        activate(RELU, y, y, 1, n_out, 1)


@kernel
def net_inputs(network, work, layer, x, batch):
    """Z = W X + bias of a batch whose inputs stand at x; with ReLU its outputs."""
    if is_single_sample(work):
        net_inputs_of_single_sample(network, work, layer, x)
        return
    stride = load(work.places, STRIDE)
    group = columns_of_group(x, column(network, layer, N_IN), batch)
    for first in range(0, batch, group):
        columns = min(group, batch - first)
        net_inputs_of(network, work, layer, advance(x, first), stride, first, columns)


@kernel
def store_slope(network, work, layer, batch):
    """dY/dZ from the outputs, where the activation has not stored it."""
    n_out, code = column(network, layer, N_OUT), column(network, layer, ACTIVATION)
    if code != GELU and code != SILU and code != STEP:
        stride, slope = load(work.places, STRIDE), slope_of(network, work, layer)
        width, one = lanes(slope), splat(slope, 1.0)
        for i in range(0, n_out * stride, width):
            vstore(advance(slope, i), one, width)
        activate_backward(code, slope, output(network, work, layer), stride, n_out, batch)


@kernel
def drop_outputs(network, work, layer, batch, key):
    """Dropout of a layer's outputs and, alike, of their slopes."""
    share, n_out = column(network, layer, DROPOUT), column(network, layer, N_OUT)
    if share > 0:
        stride = load(work.places, STRIDE)
        drop_out(output(network, work, layer), stride, n_out, batch, share, key + layer)
        drop_out(slope_of(network, work, layer), stride, n_out, batch, share, key + layer)


@kernel
def outputs_of_layer(network, work, layer, batch):
    """Y = activation(Z) with its dropout, and dY/dZ where it is stored; Z stands in Y's place."""
    y, n_out = output(network, work, layer), column(network, layer, N_OUT)
    stride, code = load(work.places, STRIDE), column(network, layer, ACTIVATION)
    has_slope = column(network, layer, SLOPE) >= 0
    if code == SOFTMAX:
        softmax(y, stride, n_out, batch)
    elif code != RELU:
        slope = slope_of(network, work, layer) if has_slope else y
        activate(code, y, slope, stride, n_out, batch)
    if has_slope:
        store_slope(network, work, layer, batch)
        key = load(work.places, DROPOUT_KEY)
        if key != 0:
            drop_outputs(network, work, layer, batch, key)


@kernel
def delta_through(network, work, layer, batch):
    """D <- D * dY/dZ, dY/dZ as it was stored or else from the outputs."""
    n_out, stride = column(network, layer, N_OUT), load(work.places, STRIDE)
    delta = delta_of(network, work, layer)
    if column(network, layer, SLOPE) >= 0:
        multiply_by_slope(delta, slope_of(network, work, layer), stride, n_out, batch)
    else:
        code, y = column(network, layer, ACTIVATION), output(network, work, layer)
        activate_backward(code, delta, y, stride, n_out, batch)


@kernel
def layer_backward(network, work, layer, batch):
    """The delta of the layer below, (W^T D) * dY/dZ."""
    n_in, n_out = column(network, layer, N_IN), column(network, layer, N_OUT)
    stride, code = load(work.places, STRIDE), column(network, layer - 1, ACTIVATION)
    weights = advance(network.params, column(network, layer, WEIGHTS))
    delta, below = delta_of(network, work, layer), delta_of(network, work, layer - 1)
    y, packed = output(network, work, layer - 1), place(work, PACKED)
    fused = code == RELU and column(network, layer - 1, SLOPE) < 0
    finish = RELU_BACKWARD if fused else AS_IT_IS
    if is_single_sample(work):
        wide = TILE_VECTORS * lanes(weights)
        product = Product(
            below, 0, delta, 0, 1, weights, n_in, wide, n_out, FROM_ZERO, delta, finish, y
        )  # fmt: skip
        multiply_rows(1, product, n_in)
        if not fused:
            delta_through(network, work, layer - 1, batch)
        return
    group, wide = columns_of_group(delta, n_out, batch), TILE_VECTORS * lanes(delta)
    for first in range(0, batch, group):
        columns, done = min(group, batch - first), 0
        while done < n_in:
            rows = rows_of_block(n_in - done, batch, lanes(delta))
            left, step, at = advance(weights, done), n_in, done * stride + first
            if columns > (PACK_FROM - 1) * wide:
                pack_columns(packed, left, n_in, rows, n_out)
                left, step = packed, TILE_ROWS
            product = Product(
                advance(below, at), stride, left, 1, step, advance(delta, first), stride, wide,
                n_out, FROM_ZERO, delta, finish, advance(y, at),
            )  # fmt: skip
            multiply_rows(rows, product, columns)
            done += rows
    if not fused:
        delta_through(network, work, layer - 1, batch)
