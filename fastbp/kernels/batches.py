"""Rows of the data into the workspace: inputs, targets, and the share of each row in the loss.

Legend
------
B rows of the pass, K inputs of the first layer, N outputs of the last
X (K, B)  inputs, feature by feature     T (N, B)  targets
s (B,)    shares of the rows in the loss, or (N, B), of each of their outputs

The rows of a pass are those from `first` on in the order of the data.
"""

from fastbp.kernels.dense import net_inputs, net_inputs_of_group
from fastbp.kernels.sampling import drop_out
from fastbp.kernels.sparse import net_inputs_of_entries
from fastbp.kernels.state import (
    data_rows,
    is_single_sample,
    n_inputs,
    n_units,
    scratch,
    sparse_rows,
    stride_of,
)
from fastbp.kernels.transposes import copy, fill_columns, transpose, transpose_blocks
from fastbp.kernels.workspace import (
    INPUT_DROPOUT,
    INPUT_GROUP,
    INPUT_PANELS,
    INPUT_STRIDE,
    INPUTS,
    SHARES,
    TARGETS,
)
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_VECTORS
from fastbp.machine.simd import advance, lanes, load, splat, store, vstore


@kernel
def row_offsets(offsets, data, first, batch, width):
    """Offsets of the next `batch` rows in an array of `width` columns."""
    if data.n_order > 0:
        for b in range(batch):
            store(offsets, b, load(data.order, first + b) * width)
    else:
        for b in range(batch):
            store(offsets, b, (first + b) * width)


@kernel
def row_of(data, index):
    """The row of the data that stands at `index` in their order."""
    return load(data.order, index) if data.n_order > 0 else index


@kernel
def batch_divisor(data, first, batch):
    """By what the loss of a batch is divided."""
    if data.n_divisors == 0:
        return float(batch)
    divisor = 0.0
    for b in range(first, first + batch):
        divisor += load(data.divisors, row_of(data, b))
    return divisor


@kernel
def fetch_shares(work, data, first, batch, divisor):
    """The share of each row of a pass in the loss: its weight, divided by the `divisor`.

    Where each output has weights of its own, its shares stand as its targets do.
    """
    s = scratch(work, SHARES)
    scale = 1.0 / divisor if divisor > 0.0 else 0.0
    if data.n_weights == 0:
        same = splat(s, scale)
        for b in range(0, batch, lanes(s)):
            vstore(advance(s, b), same, batch - b)
        return
    n = data.n_weights
    stride = stride_of(work)
    for i in range(n):
        for b in range(batch):
            weight = load(data.weights, row_of(data, first + b) * n + i)
            store(s, i * stride + b, weight * scale)


@kernel
def fetch_targets(last, data, first, batch):
    """Gather the targets of a pass for the last layer; labels become rows of zeros with a one."""
    n = n_units(last)
    stride = stride_of(last)
    t = scratch(last, TARGETS)
    rows = data_rows(last)
    if data.n_labels == 0:
        row_offsets(rows, data, first, batch, n)
        transpose(t, stride, data.targets, rows, batch, n)
        return
    row_offsets(rows, data, first, batch, 1)
    fill_columns(t, splat(t, 0.0), stride, n, batch)
    for b in range(batch):
        store(t, load(data.labels, load(rows, b)) * stride + b, 1.0)


@kernel
def fetch_inputs(layer, x, data, done, count, batch):
    """Gather the inputs of `count` rows of a pass, after `done` of them, at x feature by feature.

    And sample by sample in panels, if the layer's gradient takes them from there.
    """
    k = n_inputs(layer)
    rows = advance(data_rows(layer), done)
    stride = load(layer.places, INPUT_STRIDE)
    if load(layer.places, INPUT_PANELS) >= 0:
        panels = advance(scratch(layer, INPUT_PANELS), done * TILE_VECTORS * lanes(x))
        transpose_blocks(x, stride, data.inputs, rows, count, k, panels, batch)
    else:
        transpose(x, stride, data.inputs, rows, count, k)


@kernel
def drop_inputs(layer, x, batch, key, first):
    """Input dropout; x stands at column `first` of the inputs of the whole pass."""
    share = load(layer.places, INPUT_DROPOUT)
    if key != 0 and share > 0:
        stride = load(layer.places, INPUT_STRIDE)
        drop_out(x, stride, n_inputs(layer), batch, share, key - 1, first)


@kernel
def net_inputs_of_dense_rows(layer, data, first, batch, key):
    """Fetch and multiply one group of rows after the other: see `workspace._input_group`."""
    k = n_inputs(layer)
    x = scratch(layer, INPUTS)
    rows = data_rows(layer)
    row_offsets(rows, data, first, batch, k)
    if is_single_sample(layer):
        copy(x, advance(data.inputs, load(rows, 0)), k)
        drop_inputs(layer, x, 1, key, 0)
        net_inputs(layer, x, 1)
        return
    stride = load(layer.places, INPUT_STRIDE)
    group = load(layer.places, INPUT_GROUP)
    for done in range(0, batch, group):
        count = min(group, batch - done)
        fetch_inputs(layer, x, data, done, count, batch)
        drop_inputs(layer, x, count, key, done)
        net_inputs_of_group(layer, x, stride, done, count, None)


@kernel
def first_net_inputs(layer, data, entries, first, batch, key):
    """Net inputs of the first layer; `key` is that of dropout, 0 for none."""
    if entries is None:
        net_inputs_of_dense_rows(layer, data, first, batch, key)
    else:
        row_offsets(sparse_rows(layer), data, first, batch, 1)
        net_inputs_of_entries(layer, entries, batch)
