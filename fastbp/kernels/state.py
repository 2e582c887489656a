"""What the kernels share: a network, its layers, data and an optimiser, as tuples of buffers.

Network, Workspace (workspace.py), Data and OptimizerState hold arrays where Python makes them and
pointers within: addresses.py turns one into the other. A Layer is made within, by `layer_of`, and
read by the functions below it. No kernel writes a table of constants: `Network.layers`,
`Workspace.places` and `OptimizerState.settings`.

For estimators
--------------
scikit-learn's estimators need what `MLP` does not. Each of these is one branch:
`Data.generator` shuffles the rows as NumPy does (`sampling.shuffle_as_numpy`). PENALTIES_SHARED
makes the objective a sum over the rows, `OptimizerState.penalty_share` being the share of a
batch. EPSILON_UNCORRECTED (optimizers.py) leaves Adam's epsilon as it is. And the losses take a
factor and a bound from `Network.loss_parameters` (losses.py).
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.kernels.layout import (
    ACTIVATION,
    BIASES,
    DELTA,
    DROPOUT,
    N_COLUMNS,
    N_IN,
    N_OUT,
    OUTPUT,
    SLOPE,
    WEIGHTS,
)
from fastbp.kernels.workspace import (
    CAPACITY,
    DATA_ROWS,
    FEATURE_ROWS,
    SPARSE_ROWS,
    STRIDE,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, pointer


class Network(NamedTuple):
    """A network: arrays at the boundary, pointers within.

    Attributes
    ----------
    params : float, shape (n_params,)
    layers : int64, shape (n_layers x N_COLUMNS,)
        The table of layers, see layout.py.
    n_params, n_layers : int
    loss : int
        Code of the loss.
    loss_parameters : float64
        The loss's own parameters, one per output or a few for all: see losses.py.
    """

    params: npt.NDArray[np.floating]
    layers: npt.NDArray[np.int64]
    n_params: int
    n_layers: int
    loss: int
    loss_parameters: npt.NDArray[np.float64]


class Entries(NamedTuple):
    """The inputs of sparse rows, one row after the other (CSR): arrays or pointers.

    An entry may be 0, stand anywhere in its row and share its column with others, whose sum counts.

    Attributes
    ----------
    values : float, shape (entries,)
    columns : int32, shape (entries,)
    starts : int64, shape (rows + 1,)
        Where the entries of each row start; those of the last end at the last of these.
    """

    values: npt.NDArray[np.floating]
    columns: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]


class Data(NamedTuple):
    """Rows to train on or to evaluate: arrays at the boundary, pointers within.

    Attributes
    ----------
    inputs : float, shape (rows x n_in,), or (0,) with `entries`
    targets : float, shape (rows x n_out,) or (0,)
    labels : int64, shape (rows,) or (0,)
        Classes, instead of targets.
    order : int64, shape (rows,) or (0,)
        The order in which to take the rows; empty: as they stand.
    weights : float64, shape (rows x n_weights,)
        Sample weights, by which the losses of the rows are multiplied, or of each of their outputs.
    divisors : float64, shape (rows,) or (0,)
        The loss of a batch is divided by the sum of its rows' divisors; empty: all are 1.
    n_labels, n_order, n_divisors : int
        Lengths of `labels`, `order` and `divisors`.
    n_weights : int
        How many weights a row has: 0, where all are 1; 1; or n_out, one for each output.
    total : float
        By what the loss of all rows is divided; in training the sum of the divisors.
    generator : int, default=0
        Address of the NumPy bit generator that permutes `order` for each epoch; 0: an epoch draws
        its order from fastbp's own stream.
    entries : Entries or None, default=None
        The inputs of sparse rows. Its type decides what is compiled: where it is None, no code for
        sparse rows, else none for dense ones.
    """

    inputs: npt.NDArray[np.floating]
    targets: npt.NDArray[np.floating]
    labels: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    divisors: npt.NDArray[np.float64]
    n_labels: int
    n_order: int
    n_weights: int
    n_divisors: int
    total: float
    generator: int = 0
    entries: Entries | None = None


class Gradient(NamedTuple):
    """Where the gradient goes.

    Attributes
    ----------
    values : float, shape (n_params,) or (0,)
        Laid out like the parameters.
    length : int
        Length of `values`; with 0 only one block of the gradient exists at a time.
    start : int
        FROM_ZERO to overwrite the values, FROM_OUTPUT to add to them.
    """

    values: npt.NDArray[np.floating]
    length: int
    start: int


# Entries of OptimizerState.settings; a limit of 0 is none.
REGULATED = 0
"""Whether there is anything beside the plain update of all parameters alike."""
SCHEDULED, RATES = 1, 2
"""Whether there is a schedule; the entry that holds, or would hold, the learning rate of update
0."""
L1, L2 = 3, 4
CLIP_VALUE, CLIP_NORM, MAX_NORM = 5, 6, 7
PENALTIES_SHARED = 8
"""Whether the objective is a sum over the rows. Then the batches share L1 and L2: a batch has them
divided by what its loss is divided by, and counts by its rows in the loss of an epoch."""
GROUPS = 9
"""From here on a pair for the weights and a pair for the biases of each layer: the factor of the
learning rate and the decay. Then the rates of a schedule."""


class OptimizerState(NamedTuple):
    """An optimiser: arrays at the boundary, pointers within.

    Attributes
    ----------
    code : int
        One of the codes in updates.py.
    scalars : float64, shape (N_SCALARS,)
        Hyper-parameters and what changes with every update: see optimizers.py.
    slots : float, shape (slots x parameters,)
        One buffer laid out like the parameters for each slot, one after the other.
    frozen : uint8, shape (parameters,) or (0,)
        1 for parameters that no update touches.
    settings : float64, shape (GROUPS + 4 x layers + rates,)
        Regularisation, groups of parameters and the learning rates of the next updates.
    n_params : int
        Length of a slot.
    n_frozen : int
        Length of `frozen`.
    penalty_share : float, default=1.0
        By which the penalties are multiplied: see PENALTIES_SHARED.
    """

    code: int
    scalars: npt.NDArray[np.float64]
    slots: npt.NDArray[np.floating]
    frozen: npt.NDArray[np.uint8]
    settings: npt.NDArray[np.float64]
    n_params: int
    n_frozen: int
    penalty_share: float = 1.0


# ---- from arrays to pointers ---------------------------------------------------------------------


@kernel
def entries_pointers(entries):
    """The tuple with pointers instead of arrays; None stays None."""
    if entries is None:
        return None
    return Entries(
        pointer(entries.values, 0), pointer(entries.columns, 0), pointer(entries.starts, 0)
    )


# ---- a layer -------------------------------------------------------------------------------------


class Layer(NamedTuple):
    """A layer: its row of the table, the parameters and the workspace. All but `number` pointers.

    Six fields that the functions below read where they are needed: a tuple of what they return
    costs 2 to 5 % more instructions an update.

    Attributes
    ----------
    row : int64
        Its row of the table of layers.
    params : float
        All parameters of the network.
    values, offsets, places
        The workspace.
    number : int
        0 for the first layer.
    """

    row: Any
    params: Any
    values: Any
    offsets: Any
    places: Any
    number: int


class LayerParameters(NamedTuple):
    """A layer without a workspace: the functions of a Layer that need none read it too."""

    row: Any
    params: Any
    number: int


@kernel
def layer_of(network, work, number):
    """The layer of this number."""
    row = advance(network.layers, number * N_COLUMNS)
    return Layer(row, network.params, work.values, work.offsets, work.places, number)


@kernel
def parameters_of(network, number):
    """The layer of this number, without a workspace."""
    row = advance(network.layers, number * N_COLUMNS)
    return LayerParameters(row, network.params, number)


@kernel
def n_inputs(layer):
    """K."""
    return load(layer.row, N_IN)


@kernel
def n_units(layer):
    """N."""
    return load(layer.row, N_OUT)


@kernel
def activation_of(layer):
    """Code of the activation."""
    return load(layer.row, ACTIVATION)


@kernel
def dropout_share(layer):
    """Share of the outputs that are dropped in training, times 2^32."""
    return load(layer.row, DROPOUT)


@kernel
def has_biases(layer):
    """Whether the units have biases."""
    return load(layer.row, BIASES) >= 0


@kernel
def has_slope(layer):
    """Whether dY/dZ is stored."""
    return load(layer.row, SLOPE) >= 0


@kernel
def first_parameter(layer):
    """Offset of the weights, and so of all parameters of the layer, in the flat buffer."""
    return load(layer.row, WEIGHTS)


@kernel
def n_weights(layer):
    """N K."""
    return n_units(layer) * n_inputs(layer)


@kernel
def weights(layer):
    """W (N, K)."""
    return advance(layer.params, load(layer.row, WEIGHTS))


@kernel
def biases(layer):
    """b (N,), if the layer has biases."""
    return advance(layer.params, load(layer.row, BIASES))


@kernel
def outputs(layer):
    """Y (N, B)."""
    return advance(layer.values, load(layer.row, OUTPUT))


@kernel
def delta(layer):
    """D (N, B)."""
    return advance(layer.values, load(layer.row, DELTA))


@kernel
def slope(layer):
    """dY/dZ (N, B), if it is stored."""
    return advance(layer.values, load(layer.row, SLOPE))


# ---- a workspace, by itself or as a layer has it -------------------------------------------------


@kernel
def stride_of(work):
    """How far the features of a batch are apart; 1 in a workspace for single samples."""
    return load(work.places, STRIDE)


@kernel
def is_single_sample(work):
    """Whether the workspace is for one sample at a time: features stand in the lanes."""
    return load(work.places, STRIDE) == 1


@kernel
def capacity_of(work):
    """Largest number of rows in a pass."""
    return load(work.places, CAPACITY)


@kernel
def scratch(work, name):
    """A part of the workspace that belongs to no layer."""
    return advance(work.values, load(work.places, name))


@kernel
def feature_rows(work):
    """Offsets of the rows of a feature-by-feature matrix."""
    return advance(work.offsets, load(work.places, FEATURE_ROWS))


@kernel
def data_rows(work):
    """Offsets of the rows of the pass in the data, as `batches.row_offsets` has written them."""
    return advance(work.offsets, load(work.places, DATA_ROWS))


@kernel
def sparse_rows(work):
    """The sparse rows of the pass in the data."""
    return advance(work.offsets, load(work.places, SPARSE_ROWS))
