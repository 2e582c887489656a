"""The row of integers that a compiled call works on, written in Python."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastbp.kernels.addresses import (
    DIVISORS,
    ENTRY_COLUMNS,
    ENTRY_STARTS,
    ENTRY_VALUES,
    GENERATOR,
    GRADIENT,
    INPUTS,
    LABELS,
    LAYERS,
    LOSS,
    LOSS_PARAMETERS,
    LOSSES,
    N_CELLS,
    N_DIVISORS,
    N_FROZEN,
    N_GRADIENT,
    N_LABELS,
    N_LAYERS,
    N_NUMBERS,
    N_PARAMS,
    NUMBERS,
    OFFSETS,
    ORDER,
    PARAMS,
    PENALTY_SHARE,
    PLACES,
    PROGRESS,
    SCALARS,
    SNAPSHOT,
    TARGETS,
    TOTAL,
    UPDATE,
    VALUES,
    WEIGHTS,
)
from fastbp.kernels.state import Data, Entries, Network, OptimizerState
from fastbp.kernels.workspace import Workspace
from fastbp.machine.addresses import AddressTable

OF_A_CALL = (
    INPUTS, TARGETS, LABELS, ORDER, WEIGHTS, DIVISORS, ENTRY_VALUES, ENTRY_COLUMNS, ENTRY_STARTS,
    GRADIENT, PROGRESS, LOSSES, SNAPSHOT,
)  # fmt: skip
"""Cells of what a caller passes, and gets back."""


class Table(AddressTable):
    """The row of one net and workspace.

    Parameters
    ----------
    network : Network
    work : Workspace
    kept : object, optional
        What is to live as long: it holds code of which there are addresses in the table of layers.
    size : int, default=N_CELLS
        How many cells there are: further ones are their user's.

    Attributes
    ----------
    network, work
        As given: what calls find at the addresses.
    numbers : array of float64
        See NUMBERS.
    blank : array of the net's dtype, shape (0, 0)
        Stands for rows or outputs where a call takes none.
    called : bool
        Whether a call was made with it: then the code is there.
    """

    __slots__ = ("blank", "called", "kept", "network", "numbers", "work")

    def __init__(
        self, network: Network, work: Workspace, kept: object = None, size: int = N_CELLS
    ) -> None:
        super().__init__(size)
        self.network = network
        self.work = work
        self.kept = kept
        self.numbers: npt.NDArray[np.float64] = np.zeros(N_NUMBERS)
        self.called = False
        self.blank = np.empty((0, 0), network.params.dtype)
        self.put(NUMBERS, self.numbers)
        self.put(PARAMS, network.params)
        self.put(LAYERS, network.layers)
        self.put(LOSS_PARAMETERS, network.loss_parameters)
        self.cells[N_PARAMS] = network.n_params
        self.cells[N_LAYERS] = network.n_layers
        self.cells[LOSS] = network.loss
        self.put(VALUES, work.values)
        self.put(OFFSETS, work.offsets)
        self.put(PLACES, work.places)

    def put_data(self, data: Data) -> None:
        """Write where the rows are."""
        for cell, array in enumerate(data[:6], start=INPUTS):
            self.put(cell, array)
        self.cells[N_LABELS : N_DIVISORS + 1] = data[6:10]
        self.numbers[TOTAL] = data.total
        self.cells[GENERATOR] = data.generator
        if data.entries is not None:
            self.put_entries(data.entries)

    def put_entries(self, entries: Entries) -> None:
        """Write where the entries of sparse rows are."""
        for cell, array in enumerate(entries, start=ENTRY_VALUES):
            self.put(cell, array)

    def put_optimizer(self, optimizer: OptimizerState) -> None:
        """Write where the optimiser is."""
        for cell, array in enumerate(optimizer[1:5], start=SCALARS):
            self.put(cell, array)
        self.cells[UPDATE] = optimizer.code
        self.cells[N_FROZEN] = optimizer.n_frozen
        self.numbers[PENALTY_SHARE] = optimizer.penalty_share

    def put_gradient(self, grad: npt.NDArray[np.floating]) -> None:
        """Write where the gradient goes; an empty array is no gradient."""
        self.put(GRADIENT, grad)
        self.cells[N_GRADIENT] = grad.size

    def follow(self, leader: Table, own: tuple[int, ...]) -> None:
        """Write what stands in another table, but for the cells that are this table's own."""
        cells = self.cells[list(own)]
        arrays = {cell: self.arrays[cell] for cell in own if cell in self.arrays}
        self.cells[:] = leader.cells
        self.cells[list(own)] = cells
        self.arrays = leader.arrays | arrays

    def forget(self) -> None:
        """Let go of what belongs to a call: the rows of a user are not kept alive."""
        for cell in OF_A_CALL:
            array = self.arrays.get(cell)
            if array is not None and array.size:
                del self.arrays[cell]
