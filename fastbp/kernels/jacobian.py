"""The Jacobian of the outputs by the parameters or the inputs, and the products J^T J.

Legend
------
B rows of a pass, K inputs and N units of a layer, M free parameters, those that are not frozen
J      (rows x outputs, M)  derivatives of the outputs by the free parameters
Jt     (M, B)               those of one output in a pass, transposed: parameter by parameter
H      (M, M)               sum of s j j^T over the rows j of J, on and below its diagonal; its rows
                             stand apart by whole vectors
s                           the share of each output of each row in the loss
where  (parameters,)        the row of Jt of each parameter, -1 for one that is frozen

With a delta of 1 at one output and 0 at the others, the backward pass leaves dy/dZ in each layer,
and the row of Jt of a weight is the product of two rows: delta of its unit, input of the weight.
Whole vectors, and no sum across lanes. H is the product of the weight gradient (matmul.py) with Jt
as both operands, its blocks above the diagonal left out. So J itself never exists.

The block of a layer itself has half as many different numbers: that of weights (j, i) and (k, l) is
the sum of d_j d_k x_i x_l, which stays the same when i and l change places. So it is one product G,
of the pairs of deltas, (N (N + 1) / 2, B), with the pairs of inputs, the biases' 1 included.

Only who asks for it has this file compiled: it is no part of entry.py.
"""

import math
from typing import Any, NamedTuple

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
from fastbp.machine.processor import TILE_ROWS, TILE_VECTORS
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
LOW, HIGH, PAIRS, GRAM, GRAM_STRIDE, N_BLOCK = range(6)
"""Columns of the table of blocks, of which each layer has one: the first row in H and the one after
the last; how many pairs of inputs there are, 0 where H goes by Jt alone; where G stands, and how
far its rows are apart."""


class Squares(NamedTuple):
    """What H takes beside Jt: arrays at the boundary, pointers within.

    Attributes
    ----------
    blocks : int64, shape (n_layers x N_BLOCK,)
    grams : float
        G of each layer that has pairs, which is overwritten and added to as H is.
    pairs : float
        Scratch for TILE_ROWS pairs of deltas and for all pairs of inputs, STRIDE each.
    panels : float
        Scratch: CAPACITY rows, a column for each row of Jt or pair of inputs, and the columns
        rounded up to whole tiles.
    offsets : int64
        Where the rows of Jt, or of pairs, start.
    h_stride : int
        How far the rows of H are apart: M, rounded up to whole vectors.
    """

    blocks: Any
    grams: Any
    pairs: Any
    panels: Any
    offsets: Any
    h_stride: int


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
    """``out[b] = d[b] x[b]``, by whole vectors: a mask takes its turn on the ports that store."""
    width = lanes(out)
    for b in range(0, batch, width):
        product = vload(advance(d, b), width) * vload(advance(x, b), width)
        vstore(advance(out, b), product, width)


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
def put_pairs_of_inputs(xx, layer, x, batch):
    """Rows x_i x_j for j <= i, the last of them with 1 for x_i: the bias, if there is one."""
    k, stride = n_inputs(layer), stride_of(layer)
    row = xx
    for i in range(k):
        for j in range(i + 1):
            put_product(row, advance(x, i * stride), advance(x, j * stride), batch)
            row = advance(row, stride)
    if has_biases(layer):
        for i in range(k):
            copy(row, advance(x, i * stride), batch)
            row = advance(row, stride)
        one = splat(row, 1.0)
        for b in range(0, batch, lanes(row)):
            vstore(advance(row, b), one, lanes(row))


@kernel
def add_pairs(g, g_stride, count, layer, x, pairs, offsets, panels, batch, start):
    """G, (pairs of units, pairs of inputs), of a layer with `count` of the latter."""
    stride = stride_of(layer)
    width = TILE_VECTORS * lanes(g)
    xx = advance(pairs, TILE_ROWS * stride)
    put_pairs_of_inputs(xx, layer, x, batch)
    put_panels(panels, xx, stride, offsets, count, batch)
    d = delta(layer)
    total = n_units(layer) * (n_units(layer) + 1) // 2
    done = 0
    i = 0
    j = 0
    while done < total:
        rows = rows_of_block(total - done, g_stride, lanes(g))
        for r in range(rows):
            to = advance(pairs, r * stride)
            put_product(to, advance(d, i * stride), advance(d, j * stride), batch)
            j += 1
            if j > i:
                i += 1
                j = 0
        to = advance(g, done * g_stride)
        product = Product(
            to, g_stride, pairs, stride, 1, panels, width, width * batch, batch, start, pairs,
            AS_IT_IS, to,
        )  # fmt: skip
        multiply_rows(rows, product, g_stride)
        done += rows


@kernel
def spread_pair(to, h_stride, g, k, is_diagonal):
    """The block of the weights of two units in H, (K, K), from their row of G."""
    for i in range(k):
        copy(to, advance(g, i * (i + 1) // 2), i + 1)
        if not is_diagonal:
            at = (i + 1) * (i + 2) // 2 + i
            for j in range(i + 1, k):
                store(to, j, load(g, at))
                at += j + 1
        to = advance(to, h_stride)


@kernel
def spread_pairs(h, h_stride, low, g, g_stride, layer):
    """The block of a layer in H, on and below the diagonal, from G; its first row is `low`."""
    n, k = n_units(layer), n_inputs(layer)
    of_biases = advance(h, (low + n * k) * h_stride + low)
    for a in range(n):
        for b in range(a + 1):
            to = advance(h, (low + a * k) * h_stride + low + b * k)
            spread_pair(to, h_stride, g, k, a == b)
            if has_biases(layer):
                with_bias = advance(g, k * (k + 1) // 2)
                copy(advance(of_biases, a * h_stride + b * k), with_bias, k)
                copy(advance(of_biases, b * h_stride + a * k), with_bias, k)
                store(of_biases, a * h_stride + n * k + b, load(with_bias, k))
            g = advance(g, g_stride)


@kernel
def put_output(jt, where, network, work, x, k, apart, operation, batch, squares, start):
    """Jt of output k, or its derivatives by the inputs x, after the forward pass; and its G."""
    seed_delta(layer_of(network, work, network.n_layers - 1), k, apart, batch)
    for number in range(network.n_layers - 1, -1, -1):
        layer = layer_of(network, work, number)
        inputs = x
        if number > 0:
            inputs = outputs(layer_of(network, work, number - 1))
        if operation != BY_INPUTS:
            put_layer(jt, where, layer, inputs, batch)
        if operation == SQUARES:
            of = advance(squares.blocks, number * N_BLOCK)
            if load(of, PAIRS) > 0:
                add_pairs(
                    advance(squares.grams, load(of, GRAM)), load(of, GRAM_STRIDE),
                    load(of, PAIRS), layer, inputs, squares.pairs, squares.offsets,
                    squares.panels, batch, start,
                )  # fmt: skip
        if number > 0:
            delta_below(layer, layer_of(network, work, number - 1), batch)
    if operation == BY_INPUTS:
        put_inputs(jt, layer_of(network, work, 0), batch)


@kernel
def put_panels(panels, rows, stride, offsets, m, batch):
    """The transpose of m rows, TILE_VECTORS vectors of columns after the other."""
    width = TILE_VECTORS * lanes(rows)
    for first in range(0, m, width):
        left = advance(rows, first * stride)
        transpose(panels, width, left, offsets, min(width, m - first), batch)
        panels = advance(panels, batch * width)


@kernel
def add_squares(h, h_stride, jt, stride, panels, blocks, batch, start):
    """H from Jt (M, B), but for the blocks of layers with G; added to H if FROM_OUTPUT.

    Each block of rows ends with the vector of the diagonal, or with that where its layer begins: up
    to a tile, it were 6 % more products of 385 parameters in float64, and in float32 10 % instead
    of 6 %.
    """
    vector = lanes(jt)
    width = TILE_VECTORS * vector
    low, high = load(blocks, LOW), load(blocks, HIGH)
    done = low
    while done < high:
        rows = rows_of_block(high - done, high, vector)
        columns = done + rows if load(blocks, PAIRS) == 0 else low
        end = min(h_stride, (columns + vector - 1) // vector * vector)
        to = advance(h, done * h_stride)
        product = Product(
            to, h_stride, advance(jt, done * stride), stride, 1, panels, width, width * batch,
            batch, start, jt, AS_IT_IS, to,
        )  # fmt: skip
        multiply_rows(rows, product, end)
        done += rows


@kernel
def add_all_squares(h, h_stride, jt, stride, panels, offsets, blocks, n_layers, batch, start):
    """`add_squares` of all layers."""
    needed = 0
    for number in range(n_layers):
        of = advance(blocks, number * N_BLOCK)
        if load(of, HIGH) > load(of, LOW):
            needed = load(of, HIGH) if load(of, PAIRS) == 0 else load(of, LOW)
    put_panels(panels, jt, stride, offsets, needed, batch)
    for number in range(n_layers):
        of = advance(blocks, number * N_BLOCK)
        add_squares(h, h_stride, jt, stride, panels, of, batch, start)


@kernel
def differentiate(t, operation, start, is_forward_done, where, m, jt, spare, out, squares):
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
            put_output(jt, where, network, work, x, k, apart, operation, batch, squares, start)
            if operation == SQUARES:
                add_all_squares(
                    out, squares.h_stride, jt, stride, squares.panels, squares.offsets,
                    squares.blocks, network.n_layers, batch, start,
                )  # fmt: skip
                start = FROM_OUTPUT
            else:
                transpose(advance(out, k * m), n_out * m, jt, squares.offsets, m, batch)
        if operation != SQUARES:
            out = advance(out, batch * n_out * m)
        first += batch
    if operation == SQUARES:
        for number in range(network.n_layers):
            of = advance(squares.blocks, number * N_BLOCK)
            if load(of, PAIRS) > 0:
                spread_pairs(
                    out, squares.h_stride, load(of, LOW), advance(squares.grams, load(of, GRAM)),
                    load(of, GRAM_STRIDE), layer_of(network, work, number),
                )  # fmt: skip


@kernel(cached=True)
def jacobian(cells, operation, start, is_forward_done, where, m, jt, spare, out, squares):
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
        Best aligned to lines of the cache (workspace.aligned_zeros), as all that follow: where
        vectors straddle two, H takes 5 % longer.
    spare : array of the net's dtype, shape (n_in x STRIDE,)
    out : array of the net's dtype, shape (rows x outputs x M,), or of SQUARES (M x h_stride,)
        With BY_PARAMETERS and BY_INPUTS each output's derivatives are multiplied by sqrt(s).
    squares : Squares
    """
    mode = flush_denormals()
    inside = Squares(
        pointer(squares.blocks, 0), pointer(squares.grams, 0), pointer(squares.pairs, 0),
        pointer(squares.panels, 0), pointer(squares.offsets, 0), squares.h_stride,
    )  # fmt: skip
    differentiate(
        pointer(cells, 0), operation, start, is_forward_done, pointer(where, 0), m, pointer(jt, 0),
        pointer(spare, 0), pointer(out, 0), inside,
    )  # fmt: skip
    restore_denormals(mode)
