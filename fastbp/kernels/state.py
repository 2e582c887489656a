"""What a network's kernels share: its tables and buffers in tuples, and their parts by name."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.kernels.layout import DELTA, N_COLUMNS, OUTPUT, SLOPE
from fastbp.kernels.workspace import STRIDE, Workspace
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, pointer


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


# Entries of OptimizerState.rules; a limit of 0 is none.
REGULATED = 0
"""Whether there is anything beside the plain update of all parameters alike."""
SCHEDULED, RATES = 1, 2
"""Whether there is a schedule; where the learning rate of update 0 stands, or would stand."""
L1, L2 = 3, 4
CLIP_VALUE, CLIP_NORM, MAX_NORM = 5, 6, 7
SUMMED, SUMMED_L1, SUMMED_L2 = 8, 9, 10
"""Whether the objective is a sum over the rows: then each batch shares out the penalties SUMMED_L1
and SUMMED_L2 over the sum of its sample weights, into L1 and L2, and counts by its rows in the
loss of an epoch."""
GROUPS = 11
"""From here on a pair for the weights and a pair for the biases of each layer: the factor of the
learning rate and the decay. Then the rates of a schedule."""


class OptimizerState(NamedTuple):
    """An optimiser as the kernels see it: arrays at the boundary, pointers within.

    Attributes
    ----------
    code : int
        One of the codes above.
    scalars : float64, shape (N_SCALARS,)
        Hyper-parameters and what changes with every update.
    slots : float, shape (slots x parameters,)
        One buffer laid out like the parameters for each slot, one after the other.
    frozen : uint8, shape (parameters,) or (0,)
        1 for parameters that no update touches.
    rules : float64, shape (GROUPS + 4 x layers + rates,)
        Regularisation, groups of parameters and the learning rates of the next updates.
    n_frozen : int
        Length of `frozen`.
    """

    code: int
    scalars: npt.NDArray[np.float64]
    slots: npt.NDArray[np.floating]
    frozen: npt.NDArray[np.uint8]
    rules: npt.NDArray[np.float64]
    n_frozen: int


@kernel
def network_pointers(network):
    """The tuple with pointers in place of arrays; so for the next three."""
    return Network(
        pointer(network.params, 0), pointer(network.layers, 0), network.n_params,
        network.n_layers, network.loss, pointer(network.loss_numbers, 0),
    )  # fmt: skip


@kernel
def work_pointers(work):
    """See network_pointers."""
    return Workspace(pointer(work.numbers, 0), pointer(work.offsets, 0), pointer(work.places, 0))


@kernel
def data_pointers(data):
    """See network_pointers."""
    return Data(
        pointer(data.inputs, 0), pointer(data.targets, 0), pointer(data.labels, 0),
        pointer(data.order, 0), pointer(data.weights, 0), data.n_labels, data.n_order,
        data.n_weights, data.total,
    )  # fmt: skip


@kernel
def optimizer_pointers(optimizer):
    """See network_pointers."""
    o = optimizer
    return OptimizerState(
        o.code, pointer(o.scalars, 0), pointer(o.slots, 0), pointer(o.frozen, 0),
        pointer(o.rules, 0), o.n_frozen,
    )  # fmt: skip


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
