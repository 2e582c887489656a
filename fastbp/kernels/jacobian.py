"""The Jacobian of the outputs by the parameters or the inputs, and the products J^T J.

Legend
------
B rows of a pass, K inputs and N units of a layer, M free parameters, those that are not frozen
J      (rows x outputs, M)  derivatives of the outputs by the free parameters
Jt     (M, B)               those of one output in a pass, transposed: parameter by parameter
H      (M, M)               sum of s j j^T over the rows j of J, on and below its diagonal
s                           the share of each output of each row in the loss
where  (parameters,)        the row of Jt of each parameter, -1 for one that is frozen

With a delta of 1 at one output and 0 at the others, the backward pass leaves dy/dZ in each layer,
and the row of Jt of a weight is the product of two rows: delta of its unit, input of the weight.
Whole vectors, and no sum across lanes. H is the product of the weight gradient (matmul.py) with Jt
as both operands, its blocks above the diagonal left out. So J itself never exists.

Only who asks for it has this file compiled: it is no part of entry.py.
"""

import math

from fastbp.kernels.addresses import COUNT, FIRST, data_at, network_at, work_at
from fastbp.kernels.backprop import forward
from fastbp.kernels.batches import fetch_shares
from fastbp.kernels.dense import delta_below, delta_through
from fastbp.kernels.layout import BIASES
from fastbp.kernels.matmul import (
    AS_IT_IS,
    FROM_OUTPUT,
    FROM_ZERO,
    Product,
    multiply_rows,
    rows_of_block,
)
from fastbp.kernels.state import (
    capacity_of,
    data_rows,
    delta,
    first_parameter,
    has_biases,
    layer_of,
    n_inputs,
    n_units,
    outputs,
    scratch,
    stride_of,
    weights,
)
from fastbp.kernels.transposes import copy, transpose
from fastbp.kernels.workspace import INPUT_GROUP, INPUTS, SHARES
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_VECTORS
from fastbp.machine.simd import (
    advance,
    flush_denormals,
    lanes,
    load,
    pointer,
    restore_denormals,
    splat,
    store,
    vload,
    vstore,
)

BY_PARAMETERS, BY_INPUTS, SQUARES = range(3)
"""What to compute: J, the derivatives by the inputs (rows, outputs, n_in), or H."""


@kernel
def fetch_roots(work, data, first, batch):
    """The square roots of the shares of a pass, where the shares stand in training."""
    s = scratch(work, SHARES)
    stride = stride_of(work)
    if data.n_weights == 0:
        same = splat(s, math.sqrt(1.0 / data.total))
        for b in range(0, stride, lanes(s)):
            vstore(advance(s, b), same, stride - b)
        return
    fetch_shares(work, data, first, batch, data.total)
    for i in range(data.n_weights):
        for b in range(batch):
            store(s, i * stride + b, math.sqrt(load(s, i * stride + b)))


@kernel
def seed_delta(last, k, apart, batch):
    """The delta of output k alone: sqrt(s), through the output activation."""
    d = delta(last)
    s = scratch(last, SHARES)
    stride = stride_of(last)
    zero = splat(d, 0.0)
    for i in range(0, n_units(last) * stride, lanes(d)):
        vstore(advance(d, i), zero, lanes(d))
    copy(advance(d, k * stride), advance(s, k * apart), batch)
    delta_through(last, batch)


@kernel
def first_inputs(layer, data, spare, batch):
    """The inputs of the pass feature by feature; at `spare` where they have come in groups."""
    if load(layer.places, INPUT_GROUP) >= capacity_of(layer):
        return scratch(layer, INPUTS)
    transpose(spare, stride_of(layer), data.inputs, data_rows(layer), batch, n_inputs(layer))
    return spare


@kernel
def put_product(out, d, x, batch):
    """``out[b] = d[b] x[b]``."""
    for b in range(0, batch, lanes(out)):
        tail = batch - b
        vstore(advance(out, b), vload(advance(d, b), tail) * vload(advance(x, b), tail), tail)


@kernel
def put_layer(jt, where, layer, x, batch):
    """The rows of Jt that belong to a layer whose inputs are x (K, B)."""
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    index = first_parameter(layer)
    for j in range(n):
        d = advance(delta(layer), j * stride)
        for i in range(k):
            row = load(where, index)
            if row >= 0:
                put_product(advance(jt, row * stride), d, advance(x, i * stride), batch)
            index += 1
    if has_biases(layer):
        for j in range(n):
            row = load(where, load(layer.row, BIASES) + j)
            if row >= 0:
                copy(advance(jt, row * stride), advance(delta(layer), j * stride), batch)


@kernel
def put_inputs(jt, layer, batch):
    """dX = W^T D (K, B) of the first layer in the place of Jt."""
    k, n, stride = n_inputs(layer), n_units(layer), stride_of(layer)
    w, d = weights(layer), delta(layer)
    wide = TILE_VECTORS * lanes(d)
    done = 0
    while done < k:
        rows = rows_of_block(k - done, batch, lanes(d))
        to = advance(jt, done * stride)
        product = Product(
            to, stride, advance(w, done), 1, k, d, stride, wide, n, FROM_ZERO, d, AS_IT_IS, to
        )  # fmt: skip
        multiply_rows(rows, product, batch)
        done += rows


@kernel
def put_output(jt, where, network, work, x, k, apart, operation, batch):
    """Jt of output k, or its derivatives by the inputs x, after the forward pass."""
    seed_delta(layer_of(network, work, network.n_layers - 1), k, apart, batch)
    for number in range(network.n_layers - 1, 0, -1):
        layer = layer_of(network, work, number)
        below = layer_of(network, work, number - 1)
        if operation != BY_INPUTS:
            put_layer(jt, where, layer, outputs(below), batch)
        delta_below(layer, below, batch)
    if operation == BY_INPUTS:
        put_inputs(jt, layer_of(network, work, 0), batch)
    else:
        put_layer(jt, where, layer_of(network, work, 0), x, batch)


@kernel
def add_squares(h, jt, stride, panels, offsets, m, batch, start):
    """H from Jt (M, B), by blocks of rows as far as the diagonal; added to H if FROM_OUTPUT."""
    width = TILE_VECTORS * lanes(jt)
    panel = panels
    for first in range(0, m, width):
        left = advance(jt, first * stride)
        transpose(panel, width, left, offsets, min(width, m - first), batch)
        panel = advance(panel, batch * width)
    done = 0
    while done < m:
        rows = rows_of_block(m - done, m, lanes(jt))
        end = min(m, (done + rows + width - 1) // width * width)
        to = advance(h, done * m)
        product = Product(
            to, m, advance(jt, done * stride), stride, 1, panels, width, width * batch, batch,
            start, jt, AS_IT_IS, to,
        )  # fmt: skip
        multiply_rows(rows, product, end)
        done += rows


@kernel
def differentiate(t, operation, start, is_forward_done, where, m, jt, offsets, panels, spare, out):
    """What `jacobian` does, on pointers."""
    network = network_at(t, jt)
    work = work_at(t, jt)
    data = data_at(t, jt, None)
    last = layer_of(network, work, network.n_layers - 1)
    n_out, stride = n_units(last), stride_of(last)
    apart = stride if data.n_weights > 1 else 0
    end = load(t, FIRST) + load(t, COUNT)
    first = load(t, FIRST)
    while first < end:
        batch = min(end - first, capacity_of(work))
        if not is_forward_done:
            forward(network, work, data, first, 0, batch, 0)
        x = spare
        if operation != BY_INPUTS:
            x = first_inputs(layer_of(network, work, 0), data, spare, batch)
        fetch_roots(work, data, first, batch)
        for k in range(n_out):
            put_output(jt, where, network, work, x, k, apart, operation, batch)
            if operation == SQUARES:
                add_squares(out, jt, stride, panels, offsets, m, batch, start)
                start = FROM_OUTPUT
            else:
                transpose(advance(out, k * m), n_out * m, jt, offsets, m, batch)
        if operation != SQUARES:
            out = advance(out, batch * n_out * m)
        first += batch


@kernel(cached=True)
def jacobian(cells, operation, start, is_forward_done, where, m, jt, offsets, panels, spare, out):
    """Derivatives of the outputs of COUNT rows from FIRST on, in `out`, or their products.

    Parameters
    ----------
    cells : array of int64
        The row of a `table.Table` for training, with dense rows and their weights in it.
    operation : {BY_PARAMETERS, BY_INPUTS, SQUARES}
    start : {FROM_ZERO, FROM_OUTPUT}
        Whether H is overwritten or added to.
    is_forward_done : bool
        Whether the outputs of the rows, one pass of them, stand in the workspace already.
    where : array of int64, shape (n_params,)
    m : int
        M, or with BY_INPUTS the number of inputs.
    jt : array of the net's dtype, shape (M x STRIDE,)
    offsets : array of int64, shape (M,)
        Where the rows of Jt start.
    panels : array of the net's dtype
        Scratch for SQUARES: CAPACITY rows of M columns, these rounded up to whole tiles.
    spare : array of the net's dtype, shape (n_in x STRIDE,)
    out : array of the net's dtype, shape (rows x outputs x M,), or of SQUARES (M x M,)
        With BY_PARAMETERS and BY_INPUTS each output's derivatives are multiplied by sqrt(s).
    """
    mode = flush_denormals()
    differentiate(
        pointer(cells, 0), operation, start, is_forward_done, pointer(where, 0), m, pointer(jt, 0),
        pointer(offsets, 0), pointer(panels, 0), pointer(spare, 0), pointer(out, 0),
    )  # fmt: skip
    restore_denormals(mode)
