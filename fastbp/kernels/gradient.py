"""The weight gradient of a dense layer, by one of four methods, each followed by the update.

Legend
------
B rows of the pass, K inputs and N units of the layer
X (K, B)  its inputs, feature by feature, rows `stride` apart     D (N, B)  its delta, dE/dZ
S (B, K)  its inputs sample by sample, in panels of two vectors of columns
dW (N, K)  unit by unit, as the weights; db (N,) behind it

=========================  =======================================================
method                     dW = D X^T as
=========================  =======================================================
gradient_of_single_sample  an outer product, in a workspace for single samples
gradient_by_tiles          a product by register tiles of D with S, which is made first
gradient_by_outputs        sums along the rows, X by D: for layers of few outputs
gradient_by_inputs         sums along the rows, D by X: for layers of few inputs
=========================  =======================================================

`workspace.gradient_path` chooses. Gradients are overwritten by the first pass of a batch and
added to by the later ones. They are computed a block of units at a time, and these weights are
updated at once, while their gradient is in the near caches (8 % of a step). So training needs no
buffer for the gradient.
"""

from fastbp.kernels.layout import GRADIENT, GRADIENT_FROM
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
from fastbp.kernels.state import (
    REGULATED,
    LayerParameters,
    delta,
    feature_rows,
    first_parameter,
    has_biases,
    is_single_sample,
    n_inputs,
    n_units,
    scratch,
    stride_of,
)
from fastbp.kernels.transposes import copy, transpose
from fastbp.kernels.updates import NO_UPDATE, update, update_regulated
from fastbp.kernels.workspace import (
    BLOCK,
    BY_INPUTS,
    BY_OUTPUTS,
    BY_TILES,
    INPUT_PANELS,
    ONES,
    PACKED,
    PANELS,
    SINGLE_BLOCK,
)
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS
from fastbp.machine.simd import advance, lanes, load, store, vload, vstore


@kernel
def gradient_block(layer, grad, done):
    """Where the gradient of the units from `done` on goes."""
    if grad.length == 0:
        return scratch(layer, BLOCK)
    return advance(grad.values, first_parameter(layer) + done * n_inputs(layer))


@kernel
def update_block(layer, optimizer, done, rows, out, count, with_biases):
    """Update `rows` units after the first `done`; their gradient, `count` values, stands at out."""
    if load(optimizer.settings, REGULATED) != 0.0:
        block = LayerParameters(layer.row, layer.params, layer.number)
        update_regulated(block, optimizer, done, rows, out, with_biases)
    else:
        start = first_parameter(layer) + done * n_inputs(layer)
        update(optimizer, layer.params, start, count, out, 1.0, 0.0)


@kernel
def end_block(layer, batch, grad, optimizer, done, rows, out):
    """Update `rows` units after the first `done`; the gradient of their weights stands at out.

    The biases stand behind the weights of the last block: they are updated together.
    """
    k, n = n_inputs(layer), n_units(layer)
    count = rows * k
    with_biases = done + rows == n and has_biases(layer)
    if with_biases:
        db = advance(out, count)
        if is_single_sample(layer) and grad.start == FROM_ZERO:
            copy(db, delta(layer), n)
        else:
            ones = scratch(layer, ONES)
            products_of_rows(db, delta(layer), stride_of(layer), n, ones, batch, grad.start, db)
        count += n
    if optimizer.code != NO_UPDATE:
        update_block(layer, optimizer, done, rows, out, count, with_biases)


@kernel
def gradient_of_single_sample(layer, x, grad, optimizer):
    """dW = D X^T, a block of units at a time."""
    k, n = n_inputs(layer), n_units(layer)
    d = delta(layer)
    done = 0
    while done < n:
        rows = min(SINGLE_BLOCK // k + 1, n - done)
        out = gradient_block(layer, grad, done)
        outer_product(out, advance(d, done), rows, x, k, grad.start)
        end_block(layer, 1, grad, optimizer, done, rows, out)
        done += rows


@kernel
def fetch_panels(layer, panel, x, first, columns, batch):
    """Transpose some columns of a layer's inputs x (K, B) into panels.

    Each panel holds all B samples of two vectors of inputs.
    """
    k, stride = n_inputs(layer), stride_of(layer)
    width = TILE_VECTORS * lanes(panel)
    rows = feature_rows(layer)
    panel = advance(panel, first * width)
    x = advance(x, first)
    for done in range(0, k, width):
        features = min(width, k - done)
        transpose(panel, width, advance(x, done * stride), rows, features, columns)
        panel = advance(panel, batch * width)


@kernel
def block_by_tiles(layer, k, stride, d, panels, batch, grad, optimizer, done, rows):
    """gradient_by_tiles for `rows` units after the first `done`."""
    width = TILE_VECTORS * lanes(panels)
    out = gradient_block(layer, grad, done)
    product = Product(
        out, k, advance(d, done * stride), stride, 1, panels, width, width * batch, batch,
        grad.start, d, AS_IT_IS, d,
    )  # fmt: skip
    multiply_rows(rows, product, k)
    end_block(layer, batch, grad, optimizer, done, rows, out)


@kernel
def has_input_panels(layer):
    """Whether the layer is the first and its panels come with its inputs."""
    return layer.number == 0 and load(layer.places, INPUT_PANELS) >= 0


@kernel
def gradient_by_tiles(layer, x, batch, grad, optimizer):
    """dW = D S from panels of x; those of the first layer may have come with its inputs."""
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    d = delta(layer)
    panels = scratch(layer, PANELS)
    if has_input_panels(layer):
        panels = scratch(layer, INPUT_PANELS)
    else:
        fetch_panels(layer, panels, x, 0, batch, batch)
    done = 0
    while done < n:
        rows = rows_of_block(n - done, k, lanes(x))
        block_by_tiles(layer, k, stride, d, panels, batch, grad, optimizer, done, rows)
        done += rows


@kernel
def block_by_outputs(layer, k, stride, d, sums, x, batch, grad, optimizer, first, end):
    """gradient_by_outputs for the units from `first` to `end`."""
    width = lanes(x)
    out = gradient_block(layer, grad, first)
    for j in range(0, k, width):
        rows = advance(x, j * stride)
        inputs = min(width, k - j)
        done = first
        while done < end:
            di = advance(d, done * stride)
            some = next_row_products(sums, rows, stride, inputs, di, stride, end - done, batch)
            for r in range(some):
                to = advance(out, (done - first + r) * k + j)
                total = vload(advance(sums, r * width), inputs)
                if grad.start == FROM_OUTPUT:
                    total = total + vload(to, inputs)
                vstore(to, total, inputs)
            done += some
    end_block(layer, batch, grad, optimizer, first, end - first, out)


@kernel
def gradient_by_outputs(layer, x, batch, grad, optimizer):
    """dW as products of the rows of D with a vector of rows of x (K, B); needs no panels."""
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    d = delta(layer)
    sums = scratch(layer, PACKED)
    for first in range(0, n, TILE_ROWS):
        end = min(first + TILE_ROWS, n)
        block_by_outputs(layer, k, stride, d, sums, x, batch, grad, optimizer, first, end)


@kernel
def block_by_inputs(layer, k, stride, d, sums, x, batch, grad, optimizer, first, units):
    """gradient_by_inputs for `units` units from `first` on, at most one a lane."""
    width = lanes(x)
    out = gradient_block(layer, grad, first)
    rows = advance(d, first * stride)
    done = 0
    while done < k:
        inputs = advance(x, done * stride)
        some = next_row_products(sums, rows, stride, units, inputs, stride, k - done, batch)
        for r in range(some):
            for i in range(units):
                at = i * k + done + r
                total = load(sums, r * width + i)
                if grad.start == FROM_OUTPUT:
                    total += load(out, at)
                store(out, at, total)
        done += some
    end_block(layer, batch, grad, optimizer, first, units, out)


@kernel
def gradient_by_inputs(layer, x, batch, grad, optimizer):
    """dW as products of the rows of x (K, B) with a vector of rows of D; needs no panels."""
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    d = delta(layer)
    sums = scratch(layer, PACKED)
    for first in range(0, n, lanes(x)):
        units = min(lanes(x), n - first)
        block_by_inputs(layer, k, stride, d, sums, x, batch, grad, optimizer, first, units)


@kernel
def gradient_method(layer, batch):
    """The method for a pass of `batch` rows, in a workspace for several."""
    return BY_TILES if batch < load(layer.row, GRADIENT_FROM) else load(layer.row, GRADIENT)


@kernel
def layer_gradient(layer, x, batch, grad, optimizer):
    """dW and db from the layer's inputs x (K, B), a block of units at a time, then updated."""
    method = gradient_method(layer, batch)
    if is_single_sample(layer):
        gradient_of_single_sample(layer, x, grad, optimizer)
    elif method == BY_OUTPUTS:
        gradient_by_outputs(layer, x, batch, grad, optimizer)
    elif method == BY_INPUTS:
        gradient_by_inputs(layer, x, batch, grad, optimizer)
    else:
        gradient_by_tiles(layer, x, batch, grad, optimizer)
