"""Where a pass stands: inputs, outputs, deltas and scratch in one flat workspace.

In the workspace a batch is stored feature by feature: ``(features, stride)`` with the batch in
the vector lanes, so that ragged layer widths cost rows and not lanes, and ``stride`` is the
batch size rounded up to whole vectors. Which of the methods computes a layer's weight gradient
is chosen here too, because some of them need the inputs in panels.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.kernels.layout import (
    DELTA,
    GRADIENT,
    GRADIENT_FROM,
    N_IN,
    N_OUT,
    OUTPUT,
    SLOPE,
    IntTable,
)
from fastbp.machine.processor import SECOND_CACHE_BYTES, TILE_ROWS, TILE_VECTORS, VECTOR_BITS

BY_TILES, BY_OUTPUTS, BY_INPUTS = 0, 1, 2
"""Methods that compute the weight gradient of a layer: see gradient.py."""
LANES_BYTES = VECTOR_BITS // 8

FEW_OUTPUTS, FEW_INPUTS = 8, 4
"""First layers of at most so many outputs or inputs compute dW without tiles and panels."""

COMMON_BATCH = 128
"""Rows of the batch for which BY_OUTPUTS and BY_INPUTS are compared."""

SPARSE_UNITS = 4
"""Units that are computed side by side from the entries of sparse rows."""

LINE = 128
"""Bytes of two lines of the cache, which processors fetch together."""

SINGLE_BLOCK = 2048
"""Weights whose gradient BLOCK holds for a single sample, besides those of one more unit."""


class Workspace(NamedTuple):
    """Buffers for batches of up to `capacity` rows: arrays at the boundary, pointers within.

    Kernels write all of `values` but ONES, and DATA_ROWS in `offsets`.

    Attributes
    ----------
    values : float, shape (size,)
        Inputs, targets, outputs and deltas, and the scratch of one block of rows.
    offsets : int64
        Where the rows of the matrices start.
    places : int64, shape (N_PLACES,)
        Where each part of the other two starts, its sizes and its strides; constant.
    """

    values: npt.NDArray[np.floating]
    offsets: IntTable
    places: IntTable


# Entries of Workspace.places.
CAPACITY = 0
"""Largest number of rows in a pass."""
STRIDE = 1
"""Row length of the feature-by-feature matrices."""
INPUTS, TARGETS = 2, 3
"""Offsets of the inputs of a group of the batch, (n_in, INPUT_STRIDE), and of the batch's targets,
(n_out, STRIDE), which the delta of the last layer replaces."""
SHARES = 4
"""Offset of the share of each row of the batch in the loss, (STRIDE,), or of each of its outputs,
(n_out, STRIDE)."""
PANELS, PACKED, BLOCK, ONES = 5, 6, 7, 8
"""Scratch: a layer's inputs sample by sample; the packed weights of a block of rows; the gradient
of a block of rows and of the biases. And CAPACITY ones, by which rows are summed."""
DROPS_OUT, INPUT_DROPOUT = 9, 10
"""Whether training drops out units; share of the inputs to drop, times 2^32."""
FEATURE_ROWS, DATA_ROWS = 11, 12
"""In `offsets`: rows of a feature-by-feature matrix; rows of the batch in the data."""
INPUT_GROUP, INPUT_STRIDE = 13, 14
"""Rows of the batch whose inputs are laid out feature by feature at a time, and how far their
features are apart then."""
INPUT_PANELS = 15
"""Offset of the batch's inputs sample by sample, in panels, or -1: then they are made from INPUTS,
and INPUT_GROUP is the whole batch."""
SPARSE_ROWS, SPARSE_BLOCK, SPARSE_WEIGHTS = 16, 17, 18
"""For sparse rows, for which nothing is placed at INPUTS: in `offsets`, the rows of the batch in
the data; units of the first layer whose gradient is computed at a time; scratch for the weights of
a vector of them, transposed, and for a vector more."""
CACHED = 19
"""Values that fill half of the second cache: it decides in which order blocks are taken."""
N_PLACES = 20
LAYER_PANELS = N_PLACES
"""From here on, where a team shares the workspace, the offset of each layer's PANELS."""


def round_up(number: int, multiple: int) -> int:
    """`number` rounded up to a multiple of `multiple`."""
    return -(-number // multiple) * multiple


def gradient_path(n_in: int, n_out: int, lanes: int, first: bool) -> tuple[int, int]:
    """The method that computes a layer's dW fastest, and the rows of a batch from which on it does.

    Batches of fewer rows go by tiles; BY_TILES is returned if it is faster for all. How far a batch
    fills the workspace plays no part, so that a short one has the same sums in every fit.

    The choice goes by estimates in cycles, fitted to measurements of 260 layers of 3 to 1500 units,
    in both dtypes, with 16 to 256 rows; on average it is 0.4 % slower than the best of the three.
    Tiles go through all rows, two vectors of inputs at a time, but the inputs have to be laid out
    in panels first. A product of rows takes a vector of rows at a time, but then its lanes have to
    be added up, and those of the product of inputs to be spread. The panels of the first layer come
    with its inputs.

    Parameters
    ----------
    n_in, n_out : int
    lanes : int
        Values in a vector.
    first : bool
        Whether it is the first layer of the net.

    Returns
    -------
    method : {BY_TILES, BY_OUTPUTS, BY_INPUTS}
    rows : int
        0 for BY_TILES.
    """
    if first:
        few = BY_OUTPUTS if n_out <= FEW_OUTPUTS else BY_INPUTS if n_in <= FEW_INPUTS else BY_TILES
        return few, 0
    whole, rest = divmod(n_in, TILE_VECTORS * lanes)
    vectors = whole + (0.0 if rest == 0 else 0.65 if rest <= lanes else 1.0)
    tiles = n_out * vectors + 9.0 * n_in / lanes  # per row
    # How many products of rows there are, and what the end of one takes.
    costs = {
        BY_OUTPUTS: (-(-n_in // lanes) * n_out, 2.35 * lanes),
        BY_INPUTS: (-(-n_out // lanes) * n_in, 3.35 * lanes),
    }
    method = min(costs, key=lambda one: costs[one][0] * (0.7 * COMMON_BATCH + costs[one][1]))
    products, end = costs[method]
    saved = tiles - 0.7 * products  # per row
    return (method, math.ceil(products * end / saved)) if saved > 0 else (BY_TILES, 0)


def sparse_block(n_in: int, n_out: int, itemsize: int) -> int:
    """Units of the first layer whose gradient is computed at a time from sparse rows.

    SPARSE_UNITS of them share the loads of an entry, if their gradient fills at most half of the
    second cache.
    """
    fit = SECOND_CACHE_BYTES // 2 // (n_in * itemsize)
    return min(n_out, SPARSE_UNITS if fit >= SPARSE_UNITS else 1)


def row_length(batch: int, lanes: int, itemsize: int) -> int:
    """Row length for a batch: whole vectors, and not a power of two that the cache folds up.

    With a single sample the features of a layer follow each other: they fill the lanes.
    """
    if batch == 1:
        return 1
    stride = round_up(batch, lanes)
    return stride + lanes if stride * itemsize % 512 == 0 else stride


def _input_group(n_in: int, capacity: int, columns: int, itemsize: int) -> int:
    """Rows of a batch, whole tiles of `columns`, whose inputs fill 1/16 of the second cache.

    More of them would push parameters and optimiser slots out of it, which, with the panels, costs
    a tenth of a step of 784-128-10.
    """
    group = SECOND_CACHE_BYTES // 16 // (n_in * itemsize) // columns * columns
    return min(max(group, columns), capacity)


def aligned_zeros(count: int, dtype: np.dtype) -> npt.NDArray[np.floating]:
    """Zeros that start at a cache line, so that no vector of the workspace straddles two."""
    line = 64
    raw = np.zeros(count * dtype.itemsize + line, dtype=np.uint8)
    start = -raw.ctypes.data % line
    return raw[start : start + count * dtype.itemsize].view(dtype)


class _Offsets:
    """Offsets in a flat buffer, given out one after the other in whole vectors."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.size = 0

    def take(self, count: int) -> int:
        """The offset of the next `count` values."""
        start = self.size
        self.size += round_up(count, self.lanes)
        return start


def _place_inputs(layers: IntTable, places: IntTable, at: _Offsets, training: bool) -> None:
    """Where the inputs stand, whole or in groups: whole for a gradient or dropout that needs it."""
    capacity = int(places[CAPACITY])
    n_in = int(layers[0, N_IN])
    itemsize = LANES_BYTES // at.lanes
    columns = TILE_VECTORS * at.lanes
    whole = training and (layers[0, GRADIENT] != BY_TILES or places[INPUT_DROPOUT] > 0)
    places[INPUT_GROUP] = capacity
    places[INPUT_STRIDE] = places[STRIDE]
    places[INPUT_PANELS] = -1
    if capacity > 1 and not whole:
        group = _input_group(n_in, capacity, columns, itemsize)
        places[INPUT_GROUP] = group
        places[INPUT_STRIDE] = row_length(group, at.lanes, itemsize)
        if training:
            places[INPUT_PANELS] = at.take(capacity * round_up(n_in, columns))
    places[INPUTS] = at.take(n_in * int(places[INPUT_STRIDE]))


def _place_backward(
    layers: IntTable, places: IntTable, at: _Offsets, slopes: Collection[int], sparse: bool
) -> None:
    """Where deltas, slopes and the scratch of a backward pass stand.

    Going back, only two neighbouring layers' deltas are needed at a time.
    """
    capacity = int(places[CAPACITY])
    stride = int(places[STRIDE])
    hidden = int(layers[:-1, N_OUT].max(initial=0))
    deltas = [at.take(hidden * stride), at.take(hidden * stride if len(layers) > 2 else 0)]
    for index, layer in enumerate(layers):
        layer[DELTA] = deltas[index % 2]
        layer[SLOPE] = at.take(int(layer[N_OUT]) * stride) if index in slopes else -1
    places[TARGETS] = at.take(int(layers[-1, N_OUT]) * stride)
    layers[-1, DELTA] = places[TARGETS]
    in_panels = layers[1 if sparse or places[INPUT_PANELS] >= 0 else 0 :, N_IN]
    columns = TILE_VECTORS * at.lanes
    places[PANELS] = at.take(capacity * round_up(int(in_panels.max(initial=0)), columns))
    _place_scratch(layers, places, at, sparse)
    places[ONES] = at.take(capacity)
    places[SHARES] = at.take(int(layers[-1, N_OUT]) * stride)


def _place_scratch(layers: IntTable, places: IntTable, at: _Offsets, sparse: bool) -> None:
    """Where the scratch of a block of rows stands."""
    dense = layers[1:] if sparse else layers
    widest_in = int(dense[:, N_IN].max(initial=0))
    widest_out = int(layers[:, N_OUT].max())
    places[PACKED] = at.take(TILE_ROWS * widest_out + at.lanes)
    single = places[CAPACITY] == 1
    block = (SINGLE_BLOCK if single else max(TILE_ROWS, at.lanes) * widest_in) + widest_in
    if sparse:
        block = max(block, int(places[SPARSE_BLOCK] * layers[0, N_IN]))
    places[BLOCK] = at.take(block + widest_out)


def _place_for_team(
    layers: IntTable, places: IntTable, at: _Offsets, members: int
) -> list[IntTable]:
    """Where the members of a team have what they write, beside the places of one thread.

    Deltas and panels of all layers are kept: the members meet between deltas and gradients. Scratch
    is each member's own, on lines of the cache of its own.

    Returns
    -------
    list of table of places
        One for each member.
    """
    capacity = int(places[CAPACITY])
    columns = TILE_VECTORS * at.lanes
    for layer in layers[:-1]:
        layer[DELTA] = at.take(int(layer[N_OUT]) * int(places[STRIDE]))
    panels = np.full(len(layers), places[PANELS])
    for index, n_in in enumerate(layers[:, N_IN].tolist()):
        if index > 0 or places[INPUT_PANELS] < 0:
            panels[index] = at.take(capacity * round_up(n_in, columns))
    found = []
    for _ in range(members):
        own = np.concatenate([places, panels])
        if places[INPUT_PANELS] >= 0:  # the inputs of a group are scratch, too
            at.take(LINE // LANES_BYTES * at.lanes)
            own[INPUTS] = at.take(int(layers[0, N_IN] * places[INPUT_STRIDE]))
        at.take(LINE // LANES_BYTES * at.lanes)
        _place_scratch(layers, own, at, False)
        found.append(own)
    at.take(LINE // LANES_BYTES * at.lanes)
    return found


def workspace_for(
    layers: IntTable,
    capacity: int,
    dtype: npt.DTypeLike,
    training: bool,
    slopes: Collection[int] = (),
    input_dropout: int = 0,
    sparse: bool = False,
) -> tuple[IntTable, Workspace]:
    """As `workspaces_for`, for a single thread."""
    layers, works = workspaces_for(layers, capacity, dtype, training, slopes, input_dropout, sparse)
    return layers, works[0]


def workspaces_for(
    layers: IntTable,
    capacity: int,
    dtype: npt.DTypeLike,
    training: bool,
    slopes: Collection[int] = (),
    input_dropout: int = 0,
    sparse: bool = False,
    members: int = 0,
) -> tuple[IntTable, list[Workspace]]:
    """Allocate a workspace and return the table of layers with its offsets filled in.

    Parameters
    ----------
    layers : table of layers
        Not changed: the offsets are filled into a copy.
    capacity : int
        Largest number of rows in a pass.
    dtype : {"float32", "float64"}
    training : bool
        Whether it is for backward passes too.
    slopes : collection of int, default=()
        Indices of the layers whose dY/dZ is stored in training.
    input_dropout : int, default=0
        See INPUT_DROPOUT.
    sparse : bool, default=False
        Whether the rows are sparse. Then no part of the workspace grows with rows times inputs.
    members : int, default=0
        How many threads are to share the workspace, in training on dense rows; 0 for no team.

    Returns
    -------
    layers : table of layers
    works : list of Workspace
        One, or one for each member. All have the same values.
    """
    dtype = np.dtype(dtype)
    lanes = LANES_BYTES // dtype.itemsize
    layers = layers.copy()
    for index, layer in enumerate(layers):
        n_in, n_out = int(layer[N_IN]), int(layer[N_OUT])
        layer[[GRADIENT, GRADIENT_FROM]] = gradient_path(n_in, n_out, lanes, index == 0)
    features = int(layers[:, N_OUT].max() if sparse else layers[:, [N_IN, N_OUT]].max())
    stride = row_length(capacity, lanes, dtype.itemsize)
    places = np.zeros(N_PLACES, dtype=np.int64)
    places[CAPACITY] = capacity
    places[STRIDE] = stride
    places[INPUT_DROPOUT] = input_dropout
    places[CACHED] = SECOND_CACHE_BYTES // 2 // dtype.itemsize
    places[FEATURE_ROWS] = 0
    places[DATA_ROWS] = features
    places[SPARSE_ROWS] = features + capacity
    places[SPARSE_BLOCK] = sparse_block(*layers[0, [N_IN, N_OUT]].tolist(), dtype.itemsize)
    at = _Offsets(lanes)
    if sparse:
        places[SPARSE_WEIGHTS] = at.take((int(layers[0, N_IN]) + 1) * lanes)
    else:
        _place_inputs(layers, places, at, training)
    for layer in layers:
        layer[OUTPUT] = at.take(int(layer[N_OUT]) * stride)
    if training:
        _place_backward(layers, places, at, slopes, sparse)
    tables = _place_for_team(layers, places, at, members) if members else [places]
    values = aligned_zeros(at.size, dtype)
    if training:
        values[places[ONES] : places[ONES] + capacity] = 1.0
    offsets = np.zeros(features + (2 if sparse else 1) * capacity, dtype=np.int64)
    offsets[:features] = np.arange(features) * stride
    return layers, [Workspace(values, offsets.copy(), own) for own in tables]
