"""What a compiled call works on, as one row of integers: sizes, codes and addresses.

`Table` writes the row, in Python; the functions below it make the tuples of state.py from it. All
nets of a dtype have the same type then, and one version of the code serves whoever calls it:
Python, compiled code of users, threads.
"""

from __future__ import annotations

from fastbp.kernels.state import Data, Entries, Gradient, Network, OptimizerState
from fastbp.kernels.workspace import Workspace
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    bytes_at,
    doubles_at,
    floats_at,
    int32s_at,
    integers_at,
    load,
    words_at,
)

# The cells of a table: addresses, sizes (N_...), codes and counts.
NUMBERS = 0
"""float64: see TOTAL."""
PARAMS, LAYERS, LOSS_PARAMETERS, N_PARAMS, N_LAYERS, LOSS = range(1, 7)
"""Network; LOSS is a code."""
VALUES, OFFSETS, PLACES = range(7, 10)
"""Workspace."""
INPUTS, TARGETS, LABELS, ORDER, WEIGHTS, DIVISORS = range(10, 16)
N_LABELS, N_ORDER, N_WEIGHTS, N_DIVISORS, GENERATOR = range(16, 21)
"""Data; its total is one of the NUMBERS."""
ENTRY_VALUES, ENTRY_COLUMNS, ENTRY_STARTS = range(21, 24)
"""Entries of sparse rows."""
SCALARS, SLOTS, FROZEN, SETTINGS, UPDATE, N_FROZEN = range(24, 30)
"""OptimizerState; UPDATE is its code, and its share of the penalties one of the NUMBERS."""
GRADIENT, N_GRADIENT = 30, 31
RANDOM, PROGRESS, LOSSES, SNAPSHOT = range(32, 36)
N_EPOCHS, APART, N_BATCH, N_PASSES = range(36, 40)
"""What only training takes: see `training.train_passes`."""
FIRST, COUNT, ROWS = range(40, 43)
"""The rows of a call: the first and how many; those of the data."""
ACTIVATED, DROPS_OUT = 43, 44
"""For activations in Python: the layer that was activated there, or -1; whether to drop out."""
STATUS = 45
"""What STEP came to: REFUSED, or what training returns."""
TEAM, SUMS, COLUMN_LOSSES, BLOCKS, MEMBER, N_MEMBERS = range(46, 52)
"""What a member of a team has: see threads.py."""
N_CELLS = 52

TOTAL, PENALTY_SHARE, DIVISOR, LOW, HIGH = range(5)
"""NUMBERS: of Data, of OptimizerState, by what the loss of a batch is divided, and the least and
the largest target of STEP."""
N_NUMBERS = 5


@kernel
def network_at(t, like):
    """The network; `like` points to numbers of its dtype."""
    return Network(
        floats_at(t, PARAMS, like), integers_at(t, LAYERS), load(t, N_PARAMS), load(t, N_LAYERS),
        load(t, LOSS), doubles_at(t, LOSS_PARAMETERS),
    )  # fmt: skip


@kernel
def work_at(t, like):
    """The workspace."""
    return Workspace(floats_at(t, VALUES, like), integers_at(t, OFFSETS), integers_at(t, PLACES))


@kernel
def entries_at(t, like):
    """The entries of sparse rows."""
    return Entries(
        floats_at(t, ENTRY_VALUES, like), int32s_at(t, ENTRY_COLUMNS), integers_at(t, ENTRY_STARTS)
    )


@kernel
def data_at(t, like, entries):
    """The rows; `entries` are theirs, or None."""
    return Data(
        floats_at(t, INPUTS, like), floats_at(t, TARGETS, like), integers_at(t, LABELS),
        integers_at(t, ORDER), doubles_at(t, WEIGHTS), doubles_at(t, DIVISORS), load(t, N_LABELS),
        load(t, N_ORDER), load(t, N_WEIGHTS), load(t, N_DIVISORS),
        load(doubles_at(t, NUMBERS), TOTAL), load(t, GENERATOR), entries,
    )  # fmt: skip


@kernel
def optimizer_at(t, like):
    """The optimiser."""
    return OptimizerState(
        load(t, UPDATE), doubles_at(t, SCALARS), floats_at(t, SLOTS, like), bytes_at(t, FROZEN),
        doubles_at(t, SETTINGS), load(t, N_PARAMS), load(t, N_FROZEN),
        load(doubles_at(t, NUMBERS), PENALTY_SHARE),
    )  # fmt: skip


@kernel
def gradient_at(t, like, start):
    """The gradient; `start` as in Gradient."""
    return Gradient(floats_at(t, GRADIENT, like), load(t, N_GRADIENT), start)


@kernel
def random_at(t):
    """The random stream."""
    return words_at(t, RANDOM)
