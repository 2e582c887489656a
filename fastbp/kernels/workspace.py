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
LANES_BYTES = VECTOR_BITS // 8


class Workspace(NamedTuple):
    """Buffers for batches of up to `capacity` rows; kernels write all of it but ONES.

    Attributes
    ----------
    numbers : array of float, shape (size,)
        Inputs, targets, outputs and deltas, and the scratch of one block of rows.
    offsets : array of int64
        Where the rows of the matrices start.
    places : array of int64, shape (N_PLACES,)
        Where each part stands, and the strides.
    """

    numbers: npt.NDArray[np.floating]
    offsets: IntTable
    places: IntTable


# Entries of Workspace.places.
CAPACITY = 0
"""Largest number of rows in a pass."""
STRIDE = 1
"""Row length of the feature-by-feature matrices."""
INPUTS, TARGETS = 2, 3
"""Offsets of the inputs of a group of the batch (n_in, INPUT_STRIDE) and of the batch's targets
(n_out, STRIDE), which the delta of the last layer replaces."""
SHARES = 4
"""Offset of the share of each row of the batch in the loss, (STRIDE,)."""
PANELS, PACKED, BLOCK, ONES = 5, 6, 7, 8
"""Scratch: a layer's inputs sample by sample; the packed weights of a block of rows; the gradient
of a block of rows and of the biases. And CAPACITY ones, by which rows are summed."""
DROPS_OUT, DROPOUT_KEY, INPUT_DROPOUT = 9, 10, 11
"""Whether training drops out units; the key of its random bits in this pass, 0 for none; share of
the inputs to drop, times 2^32."""
FEATURE_ROWS, DATA_ROWS = 12, 13
"""In `offsets`: rows of a feature-by-feature matrix; rows of the batch in the data."""
BIT_GENERATOR = 14
"""Address of the NumPy bit generator that permutes the order of the rows, or 0: then an epoch draws
its order from fastbp's own stream."""
INPUT_GROUP, INPUT_STRIDE = 15, 16
"""Rows of the batch whose inputs are laid out feature by feature at a time, and how far their
features are then apart."""
INPUT_PANELS = 17
"""Offset of the batch's inputs sample by sample, in panels, or -1: then they are made from INPUTS,
and INPUT_GROUP is the whole batch."""
N_PLACES = 18
FEW_OUTPUTS, FEW_INPUTS = 8, 4
"""First layers of at most so many outputs or inputs compute dW without tiles and panels."""
COMMON_BATCH = 128
"""Rows of a batch with which the two ways without tiles are held against each other."""
SINGLE_BLOCK = 2048
"""Weights whose gradient BLOCK holds for a single sample, besides those of one more unit."""


def round_up(number: int, multiple: int) -> int:
    """`number` rounded up to a multiple of `multiple`."""
    return -(-number // multiple) * multiple


def gradient_path(n_in: int, n_out: int, lanes: int, first: bool) -> tuple[int, int]:
    """A way to a layer's dW that needs no panels, and the rows of a batch from which it is sooner.

    From fewer rows on tiles are, and without such a way always: then it is BY_TILES. How far the
    batch fills the workspace plays no part, so that a short one has the same sums in every fit.

    By estimates in cycles, fitted to measurements of 260 layers of 3 to 1500 units, in both dtypes,
    with 16 to 256 rows, 0.4 % from the best of the three on average. Tiles go through all rows, two
    vectors of inputs at a time, but the inputs have to be laid out in panels before. A product of
    rows takes a vector of rows at a time, but then its lanes have to be added up, and those of
    inputs to be spread. The panels of the first layer come with fetching it.

    Parameters
    ----------
    n_in, n_out : int
    lanes : int
        Numbers in a vector.
    first : bool
        Whether it is the first layer of the net.
    """
    if first:
        few = BY_OUTPUTS if n_out <= FEW_OUTPUTS else BY_INPUTS if n_in <= FEW_INPUTS else BY_TILES
        return few, 0
    whole, rest = divmod(n_in, TILE_VECTORS * lanes)
    vectors = whole + (0.0 if rest == 0 else 0.65 if rest <= lanes else 1.0)
    tiles = n_out * vectors + 9.0 * n_in / lanes  # a row
    by_outputs, by_inputs = -(-n_in // lanes) * n_out, -(-n_out // lanes) * n_in
    # How many products of rows there are, and what the end of one takes.
    ways = {BY_OUTPUTS: (by_outputs, 2.35 * lanes), BY_INPUTS: (by_inputs, 3.35 * lanes)}
    way = min(ways, key=lambda way: ways[way][0] * (0.7 * COMMON_BATCH + ways[way][1]))
    products, end = ways[way]
    saved = tiles - 0.7 * products  # a row
    return (way, math.ceil(products * end / saved)) if saved > 0 else (BY_TILES, 0)


def _stride(batch: int, lanes: int, itemsize: int) -> int:
    """Row length for a batch: whole vectors, and not a power of two that the cache folds up.

    With a single sample the features of a layer follow each other: they fill the lanes.
    """
    if batch == 1:
        return 1
    stride = round_up(batch, lanes)
    return stride + lanes if stride * itemsize % 512 == 0 else stride


def _input_group(n_in: int, capacity: int, columns: int, itemsize: int) -> int:
    """Rows of a batch, whole tiles of `columns`, whose inputs fill 1/16 of the second cache.

    More of them would push parameters and optimiser slots out of it: with the panels, a tenth of
    a step of 784-128-10.
    """
    group = SECOND_CACHE_BYTES // 16 // (n_in * itemsize) // columns * columns
    return min(max(group, columns), capacity)


def _aligned_zeros(count: int, dtype: np.dtype) -> npt.NDArray[np.floating]:
    """Zeros that start at a cache line, so that no vector of the workspace straddles two."""
    line = 64
    raw = np.zeros(count * dtype.itemsize + line, dtype=np.uint8)
    start = -raw.ctypes.data % line
    return raw[start : start + count * dtype.itemsize].view(dtype)


def workspace_for(
    layers: IntTable,
    capacity: int,
    dtype: npt.DTypeLike,
    training: bool,
    slopes: Collection[int] = (),
    input_dropout: int = 0,
) -> tuple[IntTable, Workspace]:
    """Allocate a workspace and return the table of layers with its offsets filled in.

    Parameters
    ----------
    layers : table of layers
        It is left as it is.
    capacity : int
        Largest number of rows in a pass.
    dtype : {"float32", "float64"}
    training : bool
        Whether there is to be room for a backward pass.
    slopes : collection of int, default=()
        Numbers of the layers whose dY/dZ is stored in training.
    input_dropout : int, default=0
        See INPUT_DROPOUT.
    """
    dtype = np.dtype(dtype)
    lanes = LANES_BYTES // dtype.itemsize
    stride = _stride(capacity, lanes, dtype.itemsize)
    layers = layers.copy()
    places = np.zeros(N_PLACES, dtype=np.int64)
    size = 0

    def take(count: int) -> int:
        nonlocal size
        start, size = size, size + round_up(count, lanes)
        return start

    n_in, n_out = int(layers[0, N_IN]), int(layers[-1, N_OUT])
    widest_in, widest_out = int(layers[:, N_IN].max()), int(layers[:, N_OUT].max())
    places[CAPACITY], places[STRIDE] = capacity, stride
    places[INPUT_DROPOUT], places[INPUT_PANELS] = input_dropout, -1
    columns, group, input_stride = TILE_VECTORS * lanes, capacity, stride
    for index, layer in enumerate(layers):
        layer[[GRADIENT, GRADIENT_FROM]] = gradient_path(
            int(layer[N_IN]), int(layer[N_OUT]), lanes, index == 0
        )
    by_rows = layers[0, GRADIENT] != BY_TILES
    if capacity > 1 and not (training and (by_rows or input_dropout > 0)):
        group = _input_group(n_in, capacity, columns, dtype.itemsize)
        input_stride = _stride(group, lanes, dtype.itemsize)
        if training:
            places[INPUT_PANELS] = take(capacity * round_up(n_in, columns))
    places[INPUT_GROUP], places[INPUT_STRIDE] = group, input_stride
    places[INPUTS] = take(n_in * input_stride)
    for layer in layers:
        layer[OUTPUT] = take(int(layer[N_OUT]) * stride)
    if training:
        # Going back, only two neighbouring layers' deltas are needed at a time.
        hidden = int(layers[:-1, N_OUT].max(initial=0))
        deltas = [take(hidden * stride), take(hidden * stride if len(layers) > 2 else 0)]
        for index, layer in enumerate(layers):
            layer[DELTA] = deltas[index % 2]
            layer[SLOPE] = take(int(layer[N_OUT]) * stride) if index in slopes else -1
        places[TARGETS] = layers[-1, DELTA] = take(n_out * stride)
        in_panels = layers[1 if places[INPUT_PANELS] >= 0 else 0 :, N_IN]
        places[PANELS] = take(capacity * round_up(int(in_panels.max(initial=0)), columns))
        places[PACKED] = take(TILE_ROWS * widest_out + lanes)
        block = SINGLE_BLOCK if capacity == 1 else max(TILE_ROWS, lanes) * widest_in
        places[BLOCK] = take(block + widest_in + widest_out)
        places[ONES] = take(capacity)
        places[SHARES] = take(capacity)
    features = max(widest_in, widest_out)
    places[FEATURE_ROWS], places[DATA_ROWS] = 0, features
    offsets = np.zeros(features + capacity, dtype=np.int64)
    offsets[:features] = np.arange(features) * stride
    numbers = _aligned_zeros(size, dtype)
    if training:
        numbers[places[ONES] : places[ONES] + capacity] = 1.0
    return layers, Workspace(numbers, offsets, places)
