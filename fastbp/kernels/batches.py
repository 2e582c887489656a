"""Rows of the data into the workspace: inputs, targets and shares in the loss."""

from fastbp.kernels.layout import N_IN, N_OUT
from fastbp.kernels.sampling import drop_out
from fastbp.kernels.state import column, offsets, place
from fastbp.kernels.transposes import transpose, transpose_blocks
from fastbp.kernels.workspace import (
    DATA_ROWS,
    DROPOUT_KEY,
    INPUT_DROPOUT,
    INPUT_PANELS,
    INPUT_STRIDE,
    INPUTS,
    SHARES,
    STRIDE,
    TARGETS,
)
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_VECTORS
from fastbp.machine.simd import advance, lanes, load, splat, store, vstore


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
def row_of(data, at):
    """The row of the data that is taken as number `at`."""
    return load(data.order, at) if data.n_order > 0 else at


@kernel
def batch_weight(data, first, batch):
    """Sum of the sample weights of a batch."""
    if data.n_weights == 0:
        return float(batch)
    total = 0.0
    for b in range(first, first + batch):
        total += load(data.weights, row_of(data, b))
    return total


@kernel
def fetch_shares(work, data, first, batch, total):
    """The share of each row of a pass in the loss: its weight, of the `total`."""
    shares, scale = place(work, SHARES), 1.0 / total if total > 0.0 else 0.0
    if data.n_weights == 0:
        width, same = lanes(shares), splat(shares, scale)
        for b in range(0, batch, width):
            vstore(advance(shares, b), same, batch - b)
        return
    for b in range(batch):
        store(shares, b, load(data.weights, row_of(data, first + b)) * scale)


@kernel
def fetch_inputs(network, work, data, done, count, batch):
    """Gather the inputs of `count` rows of a pass, after `done` of them, feature by feature.

    And in panels sample by sample, where the layer's gradient takes them from there.
    """
    n_in, rows = column(network, 0, N_IN), advance(offsets(work, DATA_ROWS), done)
    x, stride = place(work, INPUTS), load(work.places, INPUT_STRIDE)
    if load(work.places, INPUT_PANELS) >= 0:
        panels = advance(place(work, INPUT_PANELS), done * TILE_VECTORS * lanes(x))
        transpose_blocks(x, stride, data.inputs, rows, count, n_in, panels, batch)
    else:
        transpose(x, stride, data.inputs, rows, count, n_in)


@kernel
def drop_inputs(network, work, batch):
    """Input dropout; the inputs of the whole pass stand in INPUTS where there is any."""
    key, share = load(work.places, DROPOUT_KEY), load(work.places, INPUT_DROPOUT)
    if key != 0 and share > 0:
        n_in, stride = column(network, 0, N_IN), load(work.places, INPUT_STRIDE)
        drop_out(place(work, INPUTS), stride, n_in, batch, share, key - 1)


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
