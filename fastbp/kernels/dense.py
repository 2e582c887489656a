"""One dense layer: its outputs, the delta of the layer below, the gradient and its update.

Legend
------
B rows of the pass, `stride` the row length of feature-by-feature matrices
X (K, B)  a layer's inputs     Y (N, B)  its outputs     D (N, B)  its delta, dE/dZ
S (B, K)  its inputs sample by sample, in panels of two vectors of columns

In a workspace for single samples (see `is_single_sample`) the stride is 1, so that features
stand in the lanes: then S is X.

Gradients are overwritten by the first pass of a batch and added to by the later ones. They are
computed a block of units at a time, and at once these weights are updated, while their gradient
is in the near caches. So training needs no buffer for the gradient.
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
from fastbp.kernels.layout import (
    ACTIVATION,
    BIASES,
    BLOCK,
    BY_INPUTS,
    BY_OUTPUTS,
    BY_TILES,
    DROPOUT,
    DROPOUT_KEY,
    FEATURE_ROWS,
    GRADIENT,
    GRADIENT_FROM,
    INPUT_PANELS,
    N_IN,
    N_OUT,
    ONES,
    PACKED,
    PANELS,
    SINGLE_BLOCK,
    SLOPE,
    STRIDE,
    WEIGHTS,
)
from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_BIAS,
    FROM_OUTPUT,
    FROM_ZERO,
    RELU_BACKWARD,
    RELU_FORWARD,
    Product,
    copy,
    multiply_rows,
    next_row_products,
    outer_product,
    pack_columns,
    products_of_rows,
    rows_of_block,
    transpose,
)
from fastbp.kernels.regularization import update_by_rules
from fastbp.kernels.sampling import drop_out
from fastbp.kernels.state import (
    column,
    delta_of,
    is_single_sample,
    offsets,
    output,
    place,
    slope_of,
)
from fastbp.kernels.updates import NO_UPDATE, REGULATED, update
from fastbp.machine.jit import kernel
from fastbp.machine.processor import SECOND_CACHE_BYTES, TILE_ROWS, TILE_VECTORS, VECTOR_BITS
from fastbp.machine.simd import advance, lanes, load, splat, store, vload, vstore

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
