"""What a network's kernels share: its tables and buffers in tuples, and their parts by name."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.kernels.layout import DELTA, N_COLUMNS, OUTPUT, SLOPE, STRIDE
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load


class Network(NamedTuple):
    """A network as the kernels see it: arrays at the boundary, pointers within.

    Attributes
    ----------
    params : float, shape (n_params,)
    layers : int64, shape (n_layers x N_COLUMNS,)
        See fastbp.kernels.layout.
    n_params, n_layers : int
    loss : int
        Code of the loss.
    loss_numbers : float64
        What the loss needs to know, of each output or of all: see losses.py.
    """

    params: npt.NDArray[np.floating]
    layers: npt.NDArray[np.int64]
    n_params: int
    n_layers: int
    loss: int
    loss_numbers: npt.NDArray[np.float64]


class Data(NamedTuple):
    """Rows to train on or evaluate: arrays at the boundary, pointers within.

    Attributes
    ----------
    inputs : float, shape (rows x n_in,)
    targets : float, shape (rows x n_out,) or (0,)
    labels : int64, shape (rows,) or (0,)
        Classes in place of targets.
    order : int64, shape (rows,) or (0,)
        The order in which to take the rows; empty: as they stand.
    weights : float64, shape (rows,) or (0,)
        Sample weights; empty: all are 1.
    n_labels, n_order, n_weights : int
        Lengths of `labels`, `order` and `weights`.
    total : float
        Sum of the sample weights.
    """

    inputs: npt.NDArray[np.floating]
    targets: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    n_labels: int
    n_order: int
    n_weights: int
    total: float


class Gradient(NamedTuple):
    """Where the gradient goes.

    Attributes
    ----------
    numbers : float, shape (n_params,) or (0,)
        Laid out like the parameters.
    length : int
        Length of `numbers`; with 0 only one block of it is ever there.
    start : int
        FROM_ZERO to overwrite it, FROM_OUTPUT to add to it.
    """

    numbers: npt.NDArray[np.floating]
    length: int
    start: int


@kernel
def column(network, layer, name):
    """An entry of the table of layers."""
    return load(network.layers, layer * N_COLUMNS + name)


@kernel
def place(work, name):
    """A part of the workspace."""
    return advance(work.numbers, load(work.places, name))


@kernel
def offsets(work, name):
    """A table of the offsets of rows."""
    return advance(work.offsets, load(work.places, name))


@kernel
def output(network, work, layer):
    """A layer's outputs."""
    return advance(work.numbers, column(network, layer, OUTPUT))


@kernel
def delta_of(network, work, layer):
    """A layer's delta."""
    return advance(work.numbers, column(network, layer, DELTA))


@kernel
def slope_of(network, work, layer):
    """A layer's stored slopes dY/dZ."""
    return advance(work.numbers, column(network, layer, SLOPE))


@kernel
def is_single_sample(work):
    """Whether the workspace is for one sample at a time: features stand in the lanes."""
    return load(work.places, STRIDE) == 1
