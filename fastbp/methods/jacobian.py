"""The Jacobian of a net's outputs, and the sums of its products that least squares take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import data as dataset
from fastbp.fit import in_python
from fastbp.kernels import jacobian as kernels
from fastbp.kernels.addresses import COUNT, FIRST
from fastbp.kernels.layout import BIASES, N_IN, N_OUT, WEIGHTS
from fastbp.kernels.matmul import FROM_OUTPUT, FROM_ZERO
from fastbp.kernels.state import Data, Entries
from fastbp.kernels.table import Table
from fastbp.kernels.workspace import (
    CAPACITY,
    LANES_BYTES,
    STRIDE,
    aligned_zeros,
    round_up,
    row_length,
)
from fastbp.machine import jit
from fastbp.machine.processor import SECOND_CACHE_BYTES, TILE_ROWS, TILE_VECTORS
from fastbp.model.net import SECONDS_A_CALL, FloatArray, Net

PASS_ROWS = 128
"""Rows of a pass: of more, the rows of Jt leave the near caches."""
PRODUCTS_A_SECOND = 1e10
"""Most processors are faster, so that a call takes some tenths of a second at most."""
LEAST_UNITS = 8
"""Of layers whose block of J^T J goes by pairs."""
BLOCK = 2**21
"""Numbers of `Jacobian.blocks` at a time."""


class Jacobian:
    """The buffers for derivatives of a net's outputs on some rows, made once for many calls.

    Parameters
    ----------
    net : Net
    data : Data
        Checked rows. Each output's derivatives are multiplied by the square root of its share in
        the loss: its sample weight by the total.
    rows : int
        How many there are.
    free : array of bool, shape (n_params,), optional
        By which parameters to differentiate; by default all.
    by_inputs : bool, default=False
        Whether to differentiate by the inputs instead.
    params : array of the net's dtype, shape (n_params,), optional
        Where the parameters stand, if not in the net.

    Attributes
    ----------
    size : int
        By how many numbers it differentiates.
    """

    def __init__(
        self, net: Net, data: Data, rows: int, free: npt.NDArray[np.bool_] | None = None,
        by_inputs: bool = False, params: FloatArray | None = None,
    ) -> None:  # fmt: skip
        self.net = net
        self.data = data
        self.rows = rows
        n_params = net.params.size
        free = np.ones(n_params, np.bool_) if free is None else free
        n_in, n_out = net.layer_sizes[0], net.layer_sizes[-1]
        self.size = n_in if by_inputs else int(free.sum())
        self._by_inputs = by_inputs
        self._where = np.where(free, np.cumsum(free) - 1, -1)
        self._table = _table_of(net, min(rows, PASS_ROWS), params)
        self._table.put_data(data)  # of sparse rows each call puts some, made dense
        places = self._table.work.places
        stride = int(places[STRIDE])
        self._capacity = int(places[CAPACITY])
        dtype = net.dtype
        columns = TILE_VECTORS * LANES_BYTES // dtype.itemsize
        self._jt = aligned_zeros(self.size * stride, dtype)
        blocks, numbers = _blocks(net, free, _are_moderate(data.inputs))
        pairs = int(blocks[:, kernels.PAIRS].max(initial=0))
        rows_of_panels = max(self.size, pairs)
        self._of_squares = kernels.Squares(
            blocks=blocks.reshape(-1),
            grams=aligned_zeros(numbers, dtype),
            pairs=aligned_zeros((TILE_ROWS + pairs) * stride if pairs else 0, dtype),
            panels=aligned_zeros(self._capacity * round_up(rows_of_panels, columns), dtype),
            offsets=np.arange(rows_of_panels) * stride,
            h_stride=row_length(self.size, LANES_BYTES // dtype.itemsize, dtype.itemsize),
        )
        self._spare = aligned_zeros(n_in * stride, dtype)
        self._squares: FloatArray | None = None
        products = n_out * (self.size**2 + 3 * n_params)
        most = int(SECONDS_A_CALL * PRODUCTS_A_SECOND / products)
        self._rows_in_a_call = max(1, most // self._capacity) * self._capacity
        own = net.in_python or net.explaining
        self._in_python = own if own is not None and own.activations else None
        if self._in_python is not None:
            self._rows_in_a_call = self._capacity  # Python activates them pass by pass

    def blocks(self) -> Iterator[tuple[int, FloatArray]]:
        """Derivatives of some rows at a time, (rows, n_out, size), and the first of the rows."""
        shape = self.net.layer_sizes[-1], self.size
        a_pass = self._capacity * shape[0] * shape[1]
        most = min(self._rows_in_a_call, max(1, BLOCK // a_pass) * self._capacity)
        for first in range(0, self.rows, most):
            count = min(most, self.rows - first)
            out = np.empty((count, *shape), self.net.dtype)
            self._call(first, count, FROM_ZERO, out, squares=False)
            yield first, out

    def whole(self, out: FloatArray | None = None) -> FloatArray:
        """Derivatives of all rows, (rows, n_out, size), in `out` if it is given."""
        if out is None:
            out = np.empty((self.rows, self.net.layer_sizes[-1], self.size), self.net.dtype)
        for first in range(0, self.rows, self._rows_in_a_call):
            count = min(self._rows_in_a_call, self.rows - first)
            self._call(first, count, FROM_ZERO, out[first : first + count], squares=False)
        return out

    def squares(self, before_each: Callable[[], None] | None = None) -> FloatArray:
        """The sum of the products j j^T of all rows and outputs, on and below the diagonal.

        Parameters
        ----------
        before_each : callable, optional
            Called before each compiled call.

        Returns
        -------
        array of the net's dtype, shape (size, size)
            Overwritten by the next call; what stands above the diagonal is undefined.
        """
        if self._squares is None:
            length = self._of_squares.h_stride
            self._squares = aligned_zeros(self.size * length, self.net.dtype).reshape(-1, length)
        found = self._squares
        for first in range(0, self.rows, self._rows_in_a_call):
            if before_each is not None:
                before_each()
            count = min(self._rows_in_a_call, self.rows - first)
            self._call(first, count, FROM_OUTPUT if first else FROM_ZERO, found, squares=True)
        return found[:, : self.size]

    def _call(self, first: int, count: int, start: int, out: FloatArray, squares: bool) -> None:
        """Carry out what is asked for on some rows."""
        data = self.data
        table = self._table
        if data.entries is not None:
            data = _dense(data, first, count, self.net)
            table.put_data(data)
            first = 0
        in_parts = self._in_python is not None
        if self._in_python is not None:
            in_python.forward(self._in_python, table, data, first, count)
        operation = kernels.BY_INPUTS if self._by_inputs else kernels.BY_PARAMETERS
        table.cells[FIRST] = first
        table.cells[COUNT] = count
        jit.call(
            kernels.jacobian, out.dtype.char, table.cells,
            kernels.SQUARES if squares else operation, start, in_parts, self._where, self.size,
            self._jt, self._spare, out.reshape(-1), self._of_squares,
        )  # fmt: skip


def _table_of(net: Net, rows: int, params: FloatArray | None) -> Table:
    """A workspace for training, whose outputs are those of `predict`, never for a single sample."""
    table = net.new_workspace(max(rows, 2), training=True, activated=True, explaining=True)
    if params is not None:
        table = Table(table.network._replace(params=params), table.work, table.kept)
    return table


def _are_moderate(inputs: FloatArray) -> bool:
    """Whether products of two inputs keep their digits; sparse ones are not looked at."""
    if not inputs.size:
        return False
    most = float(np.finfo(inputs.dtype).max) ** 0.25
    return bool(inputs.max() < most and inputs.min() > -most)


def _blocks(
    net: Net, free: npt.NDArray[np.bool_], moderate: bool
) -> tuple[npt.NDArray[np.int64], int]:
    """The table of blocks of `fastbp.kernels.jacobian`, and how many numbers G has in all layers.

    Layers go by pairs where all their parameters are free, their sums are not mostly ends of tiles,
    and the pairs of inputs stay in the second cache.
    """
    lanes = LANES_BYTES // net.dtype.itemsize
    most = SECOND_CACHE_BYTES // 2 // (PASS_ROWS * net.dtype.itemsize)
    blocks = np.zeros((len(net.layer_table), kernels.N_BLOCK), np.int64)
    before = np.concatenate([[0], np.cumsum(free)])
    size = 0
    for number, layer in enumerate(net.layer_table):
        n, k, start = (int(layer[column]) for column in (N_OUT, N_IN, WEIGHTS))
        end = start + n * (k + int(layer[BIASES] >= 0))
        blocks[number, [kernels.LOW, kernels.HIGH]] = before[[start, end]]
        k += int(layer[BIASES] >= 0)
        pairs = k * (k + 1) // 2
        good = moderate or number > 0
        if good and free[start:end].all() and n >= LEAST_UNITS and lanes <= 2 * pairs <= 2 * most:
            stride = row_length(pairs, lanes, net.dtype.itemsize)
            blocks[number, [kernels.PAIRS, kernels.GRAM, kernels.GRAM_STRIDE]] = pairs, size, stride
            size += n * (n + 1) // 2 * stride
    return blocks, size


def _dense(data: Data, first: int, count: int, net: Net) -> Data:
    """Some of the rows of sparse data as dense ones."""
    entries: Any = data.entries
    values, columns, starts = entries
    some = slice(int(starts[first]), int(starts[first + count]))
    rows = np.repeat(np.arange(count), np.diff(starts[first : first + count + 1]))
    dense = np.zeros((count, net.layer_sizes[0]), net.dtype)
    np.add.at(dense, (rows, columns[some]), values[some])  # an entry may stand there twice
    n = data.n_weights
    weights = data.weights[first * n : (first + count) * n]
    return data._replace(inputs=dense.reshape(-1), weights=weights, entries=None)


def unweighted(inputs: FloatArray, entries: Entries | None) -> Data:
    """Rows without targets, each with a share of 1."""
    nothing = np.empty(0, inputs.dtype)
    integers, numbers = dataset.NO_INTEGERS, dataset.NO_NUMBERS
    return Data(
        inputs, nothing, integers, integers, numbers, numbers, 0, 0, 0, 0, 1.0, entries=entries
    )


def jacobian(net: Net, X: Any, wrt: str) -> FloatArray:
    """`MLP.jacobian`."""
    wrt = checks.choice("wrt", wrt, ("params", "inputs"))
    data, rows = rows_of(net, X)
    return Jacobian(net, data, rows, by_inputs=wrt == "inputs").whole()


def rows_of(net: Net, X: Any) -> tuple[Data, int]:
    """Checked rows to differentiate at, and how many they are."""
    dataset.check_trainable(net.activations)
    inputs = dataset.inputs_or_sparse(X, net.layer_sizes[0], net.dtype)
    if isinstance(inputs, np.ndarray):
        checks.finite("X", inputs, X)
    return unweighted(*dataset.inputs_and_entries(inputs)), inputs.shape[0]
