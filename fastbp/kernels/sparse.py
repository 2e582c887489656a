"""The first layer on sparse rows: its net inputs and its weight gradient from their entries.

Legend
------
B rows of the pass, K inputs and N units of the layer
x the value of an entry, j its column, b its row
W (N, K)  weights, unit by unit     D (N, B)  the delta, dE/dZ     dW (N, K)

    Z[i, b] = b[i] + sum over the entries of row b of x W[i, j]
    dW[i, j] = sum over the entries of column j of x D[i, b]

Both go unit by unit through all entries of the pass: the weights of a unit, or their gradient, stay
in the second cache meanwhile. SPARSE_UNITS units side by
side share the loads of an entry, and their sums do not wait for each other, where the cache holds
so many (`workspace.sparse_block`). The gradient of a block of units exists only until they are
updated, as in gradient.py. Passes of many entries do transpose the weights, a vector of units at a
time: then an entry takes one load and one product for all of these.
"""

from fastbp.kernels.activations import RELU
from fastbp.kernels.gradient import end_block, gradient_block
from fastbp.kernels.matmul import FROM_ZERO
from fastbp.kernels.state import (
    activation_of,
    biases,
    data_rows,
    delta,
    has_biases,
    n_inputs,
    n_units,
    outputs,
    scratch,
    sparse_rows,
    stride_of,
    weights,
)
from fastbp.kernels.transposes import transpose
from fastbp.kernels.workspace import SPARSE_BLOCK, SPARSE_UNITS, SPARSE_WEIGHTS
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, lanes, load, splat, store, vload, vstore


@kernel
def bias_or_zero(layer, unit):
    """The bias of a unit, from which its net input starts."""
    return load(biases(layer), unit) if has_biases(layer) else 0.0


@kernel
def store_net_input(layer, unit, b, z):
    """Store a net input; with ReLU the output."""
    if activation_of(layer) == RELU:
        z = max(z, 0.0)
    store(outputs(layer), unit * stride_of(layer) + b, z)


@kernel
def net_inputs_of_unit(layer, entries, unit, batch):
    """Net inputs of one unit."""
    w = advance(weights(layer), unit * n_inputs(layer))
    rows = sparse_rows(layer)
    bias = bias_or_zero(layer, unit)
    for b in range(batch):
        row = load(rows, b)
        first = load(entries.starts, row)
        end = load(entries.starts, row + 1)
        z0 = bias
        z1 = 0.0
        for entry in range(first, end - 1, 2):  # two sums: one would wait for itself
            z0 += load(w, load(entries.columns, entry)) * load(entries.values, entry)
            z1 += load(w, load(entries.columns, entry + 1)) * load(entries.values, entry + 1)
        if (end - first) % 2 == 1:
            z0 += load(w, load(entries.columns, end - 1)) * load(entries.values, end - 1)
        store_net_input(layer, unit, b, z0 + z1)


@kernel
def net_inputs_of_some_units(layer, entries, unit, batch):
    """Net inputs of SPARSE_UNITS units."""
    k = n_inputs(layer)
    w0 = advance(weights(layer), unit * k)
    w1 = advance(w0, k)
    w2 = advance(w1, k)
    w3 = advance(w2, k)
    rows = sparse_rows(layer)
    bias0 = bias_or_zero(layer, unit)
    bias1 = bias_or_zero(layer, unit + 1)
    bias2 = bias_or_zero(layer, unit + 2)
    bias3 = bias_or_zero(layer, unit + 3)
    for b in range(batch):
        row = load(rows, b)
        z0 = bias0
        z1 = bias1
        z2 = bias2
        z3 = bias3
        for entry in range(load(entries.starts, row), load(entries.starts, row + 1)):
            j = load(entries.columns, entry)
            x = load(entries.values, entry)
            z0 += load(w0, j) * x
            z1 += load(w1, j) * x
            z2 += load(w2, j) * x
            z3 += load(w3, j) * x
        store_net_input(layer, unit, b, z0)
        store_net_input(layer, unit + 1, b, z1)
        store_net_input(layer, unit + 2, b, z2)
        store_net_input(layer, unit + 3, b, z3)


@kernel
def fetch_weights(layer, done, units):
    """Transpose the weights of some units: in SPARSE_WEIGHTS a vector for each input."""
    k = n_inputs(layer)
    rows = data_rows(layer)  # nothing that will be needed stands there now
    for i in range(units):
        store(rows, i, (done + i) * k)
    to = scratch(layer, SPARSE_WEIGHTS)
    transpose(to, lanes(to), weights(layer), rows, units, k)


@kernel
def net_inputs_of_vector(layer, entries, done, units, batch):
    """Net inputs of at most a vector of units, from weights transposed for them."""
    w = scratch(layer, SPARSE_WEIGHTS)
    width = lanes(w)
    sums = advance(w, width * n_inputs(layer))
    rows = sparse_rows(layer)
    fetch_weights(layer, done, units)
    for b in range(batch):
        row = load(rows, b)
        first = load(entries.starts, row)
        end = load(entries.starts, row + 1)
        z0 = splat(w, 0.0)
        z1 = z0
        for entry in range(first, end - 1, 2):  # two sums again
            w0 = vload(advance(w, width * load(entries.columns, entry)), width)
            w1 = vload(advance(w, width * load(entries.columns, entry + 1)), width)
            z0 = z0 + w0 * load(entries.values, entry)
            z1 = z1 + w1 * load(entries.values, entry + 1)
        if (end - first) % 2 == 1:
            last = vload(advance(w, width * load(entries.columns, end - 1)), width)
            z0 = z0 + last * load(entries.values, end - 1)
        vstore(sums, z0 + z1, width)
        for i in range(units):
            store_net_input(layer, done + i, b, load(sums, i) + bias_or_zero(layer, done + i))


@kernel
def entries_of_pass(layer, entries, batch):
    """How many entries the rows of the pass have."""
    rows = sparse_rows(layer)
    count = 0
    for b in range(batch):
        row = load(rows, b)
        count += load(entries.starts, row + 1) - load(entries.starts, row)
    return count


@kernel
def net_inputs_of_entries(layer, entries, batch):
    """Z = W X + b of the sparse rows of a pass; with ReLU these are the outputs.

    Where there are as many entries as inputs, it pays to transpose the weights.
    """
    n = n_units(layer)
    width = lanes(outputs(layer))
    transposed = batch >= width and entries_of_pass(layer, entries, batch) >= n_inputs(layer)
    side_by_side = load(layer.places, SPARSE_BLOCK) == SPARSE_UNITS
    done = 0
    while done < n:
        if transposed and n - done > 1:
            net_inputs_of_vector(layer, entries, done, min(width, n - done), batch)
            done += width
        elif side_by_side and n - done >= SPARSE_UNITS:
            net_inputs_of_some_units(layer, entries, done, batch)
            done += SPARSE_UNITS
        else:
            net_inputs_of_unit(layer, entries, done, batch)
            done += 1


@kernel
def add_gradient_of_unit(layer, entries, unit, batch, dw):
    """Add the gradient of the weights of one unit."""
    d = advance(delta(layer), unit * stride_of(layer))
    rows = sparse_rows(layer)
    for b in range(batch):
        row = load(rows, b)
        db = load(d, b)
        for entry in range(load(entries.starts, row), load(entries.starts, row + 1)):
            j = load(entries.columns, entry)
            store(dw, j, load(dw, j) + db * load(entries.values, entry))


@kernel
def add_gradient_of_some_units(layer, entries, unit, batch, dw):
    """Add the gradient of the weights of SPARSE_UNITS units."""
    k, stride = n_inputs(layer), stride_of(layer)
    dw1 = advance(dw, k)
    dw2 = advance(dw1, k)
    dw3 = advance(dw2, k)
    d = advance(delta(layer), unit * stride)
    rows = sparse_rows(layer)
    for b in range(batch):
        row = load(rows, b)
        d0 = load(d, b)
        d1 = load(d, b + stride)
        d2 = load(d, b + 2 * stride)
        d3 = load(d, b + 3 * stride)
        for entry in range(load(entries.starts, row), load(entries.starts, row + 1)):
            j = load(entries.columns, entry)
            x = load(entries.values, entry)
            store(dw, j, load(dw, j) + d0 * x)
            store(dw1, j, load(dw1, j) + d1 * x)
            store(dw2, j, load(dw2, j) + d2 * x)
            store(dw3, j, load(dw3, j) + d3 * x)


@kernel
def gradient_of_entries(layer, entries, batch, grad, optimizer):
    """dW from the entries of the sparse rows of a pass, a block of units at a time."""
    k, n = n_inputs(layer), n_units(layer)
    block = load(layer.places, SPARSE_BLOCK)
    for done in range(0, n, block):
        units = min(block, n - done)
        dw = gradient_block(layer, grad, done)
        if grad.start == FROM_ZERO:
            zero = splat(dw, 0.0)
            for i in range(0, units * k, lanes(dw)):
                vstore(advance(dw, i), zero, units * k - i)
        if units == SPARSE_UNITS:
            add_gradient_of_some_units(layer, entries, done, batch, dw)
        else:
            for i in range(units):
                add_gradient_of_unit(layer, entries, done + i, batch, advance(dw, i * k))
        end_block(layer, batch, grad, optimizer, done, units, dw)
