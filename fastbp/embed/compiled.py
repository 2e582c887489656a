"""`Compiled`: a net as compiled code takes it, and the same methods in Python."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.embed import handle
from fastbp.fit import calls
from fastbp.kernels import entry
from fastbp.machine.addresses import AddressTable
from fastbp.machine.jit import compiles
from fastbp.model.net import FloatArray, Net

if TYPE_CHECKING:
    from fastbp.kernels.table import Table

KINDS = ("auto", "unrolled", "address")


class Compiled:
    """A net that functions compiled by Numba take as an argument: ``net.compiled()`` makes it.

    Its methods are the same in compiled code and in Python. They write what they compute into
    arrays of the caller, and take C-contiguous arrays of the net's dtype.

    Attributes
    ----------
    net : MLP
        Its parameters are read at each call: what is trained or assigned later is seen.
    kind : str
        "unrolled" or "address", and what the compiled code depends on.
    address : int
        Where the handle of the net stands.
    """

    def __init__(self, net: Net, kind: str, rows: int, workspaces: int) -> None:
        self.net = net
        self.rows = rows
        self.workspaces = workspaces
        spec = net.spec
        self._n_in, self._n_out = spec.layer_sizes[0], spec.layer_sizes[-1]
        self._handle = AddressTable(handle.SPACES + workspaces * handle.N_SPACE_CELLS)
        self.address: int = self._handle.cells.__array_interface__["data"][0]
        self._tables: list[Table] = []
        self._kind = kind
        self.refresh()
        net._compiled.add(self)

    def refresh(self) -> None:
        """Find the net's buffers again, where they were exchanged; no call may be running."""
        net = self.net
        h = self._handle
        tables = []

        def put(cell: int, table: Table) -> None:
            tables.append(table)
            h.put(cell, table.cells)

        for number in range(self.workspaces):
            space = handle.SPACES + number * handle.N_SPACE_CELLS
            put(space + handle.ONE, net.new_workspace(1, False))
            put(space + handle.MANY, net.new_workspace(self.rows, False))
        sizes = (self._n_in, self._n_out, net.n_params, self.rows, self.workspaces)
        h.cells[handle.N_IN : handle.N_SPACES + 1] = sizes
        if compiles():
            calls.ready(tables[0], False)
            addresses = addresses_for(tables[0])
            h.cells[[handle.EMBEDDED, handle.ENTRY]] = addresses
            from fastbp.embed.types import type_for

            self._numba_type_ = type_for(net, self._kind)
        self._tables = tables

    def predict(self, x: FloatArray, out: FloatArray) -> None:
        """Write the outputs of a row, or of rows, into `out`: the bits of ``net.predict``.

        Parameters
        ----------
        x : array of the net's dtype, shape (n_in,) or (rows, n_in)
        out : array of the net's dtype, shape (n_out,) or (rows, n_out)
            A row of x that is not finite has NaN here.

        Raises
        ------
        ValueError, TypeError
            For another shape, dtype or layout; nothing was written.
        """
        self._check("x", x, (1, 2), False)
        self._check("out", out, (x.ndim,), True)
        if x.shape[-1:] != (self._n_in,) or out.shape != (*x.shape[:-1], self._n_out):
            raise ValueError(
                f"x and out must have the shapes ({self._n_in},) and ({self._n_out},), or (rows, "
                f"{self._n_in}) and (rows, {self._n_out}); got {x.shape} and {out.shape}"
            )
        inputs, outputs = x.reshape(-1, self._n_in), out.reshape(-1, self._n_out)
        first = 0
        while first < len(inputs):
            index = self._predict_finite(inputs[first:], outputs[first:])
            if index < 0:
                return
            good = index // self._n_in
            if good > 0:
                self._predict_finite(inputs[first : first + good], outputs[first : first + good])
            outputs[first + good] = np.nan
            first += good + 1

    def _predict_finite(self, x: FloatArray, out: FloatArray) -> int:
        table = self.net.workspace(len(x), False)
        return int(calls.carry_out(table, entry.PREDICT, False, x, out))

    def _check(self, name: str, given: Any, ranks: tuple[int, ...], written: bool) -> None:
        accepted = " or ".join(f"{rank}-dimensional" for rank in ranks)
        dtype = self.net.dtype
        what = f"{name} must be a C-contiguous, {accepted} array of {dtype}"
        if not isinstance(given, np.ndarray):
            raise TypeError(f"{what}; got {type(given).__name__}")
        if given.dtype != dtype:
            raise TypeError(
                f"{what}, the dtype of the net; got {given.dtype}. Write {name}.astype(np.{dtype})"
            )
        if given.ndim not in ranks:
            raise TypeError(f"{what}; got {given.ndim} dimensions")
        if not given.flags.c_contiguous:
            raise TypeError(f"{what}; got one with gaps. Write np.ascontiguousarray({name})")
        if written and not given.flags.writeable:
            raise ValueError(f"{name} is written to; got a read-only array")


def addresses_for(table: Table) -> tuple[int, int]:
    """Where the machine code stands that compiled code calls, for the dtype of a table."""
    from fastbp.embed.kernels import embedded
    from fastbp.machine.embedding import embedded_address, native_address

    blank = table.blank
    return embedded_address(embedded, blank.dtype.name), native_address(
        entry.train_and_predict, table.cells, entry.PREDICT, blank, blank
    )


def compiled(net: Net, kind: str, rows: int, workspaces: int | None) -> Compiled:
    """`MLP.compiled`."""
    kind = checks.choice("kind", kind, KINDS)
    rows = checks.count("rows", rows)
    count = os.cpu_count() or 1 if workspaces is None else checks.count("workspaces", workspaces)
    if net.in_python is not None and net.in_python.activations:
        raise ValueError(
            "a net with an activation in Python cannot be called from compiled code; got one in "
            f"layer {min(net.in_python.activations)}. Give that layer a named activation"
        )
    return Compiled(net, kind, rows, count)

