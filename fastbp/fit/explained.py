"""Nets whose compiled code has found no number: computed once more in Python, which says why.

`Net.explaining` names the parts, which are graphs: where a node has no finite value, their code
returns NaN. In Python they raise an error that names the node and the row. Where they do not, as
NaN came from elsewhere, the results are those of Python.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.checks import SparseRows
from fastbp.fit import calls, in_python
from fastbp.fit.calls import Random
from fastbp.kernels.activations import IDENTITY
from fastbp.kernels.layout import ACTIVATION, N_COLUMNS
from fastbp.kernels.state import Data, OptimizerState
from fastbp.kernels.table import Table
from fastbp.kernels.training import DIVERGED, EPOCH, ROW
from fastbp.kernels.workspace import CAPACITY
from fastbp.model.net import FloatArray, InPython, Net

OF_LAST = ACTIVATION - N_COLUMNS


def table_in_python(net: Net, like: Table, capacity: int, training: bool, sparse: bool) -> Table:
    """A table whose explaining parts are in Python, of the parameters of another."""
    made = net.new_workspace(capacity, training, sparse=sparse, activated=True, explaining=True)
    if like.network.layers[OF_LAST] == IDENTITY:
        made.network.layers[OF_LAST] = IDENTITY
    return Table(made.network._replace(params=like.network.params), made.work, made.kept)


def predict(net: Net, like: Table, inputs: FloatArray | SparseRows, out: FloatArray) -> None:
    """Write the outputs once more, if any of them is not finite, or raise."""
    own = net.explaining
    if own is None or not own.activations or np.isfinite(out).all():
        return
    capacity = int(like.work.places[CAPACITY])
    table = table_in_python(net, like, capacity, False, isinstance(inputs, SparseRows))
    in_python.predict(own, table, inputs, out)


def evaluate(
    net: Net, like: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, rows: int,
    loss: float,
) -> float:  # fmt: skip
    """The loss once more, with its gradient, if either is not finite, or an error; else `loss`."""
    own = net.explaining
    if own is None or (np.isfinite(loss) and np.isfinite(grad).all()):
        return loss
    table = table_in_python(net, like, rows, True, data.entries is not None)
    return in_python.evaluate(own, table, data, optimizer, grad, rows)


def derive(
    net: Net, like: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, first: int,
    rows: int, dY: FloatArray | None = None, dX: FloatArray | None = None,
) -> None:  # fmt: skip
    """The derivatives once more, if any is not finite, or an error; as `in_python.derive`."""
    own = net.explaining
    if own is None:
        return
    if np.isfinite(grad).all() and (dX is None or np.isfinite(dX).all()):
        return
    table = table_in_python(net, like, rows, True, data.entries is not None)
    in_python.derive(own, table, data, optimizer, grad, first, rows, dY, dX)


class Training:
    """The compiled loop `calls.train`; a batch that diverges is done once more in Python.

    For that, what a call has changed is put back, and the batches before are done again. So errors
    leave the updates so far, as those of losses and activations in Python do.

    Parameters
    ----------
    net : Net
    own : InPython
        ``net.explaining``.
    lock : context manager
        Held during compiled calls.
    owner : object
        The `RandomState` from which compiled calls draw the order of the rows, if they do.
    """

    def __init__(
        self, net: Net, own: InPython, lock: AbstractContextManager[Any], owner: Any
    ) -> None:
        self.net = net
        self.own = own
        self.lock = lock
        self.owner = owner

    def __call__(
        self, table: Table, data: Data, optimizer: OptimizerState, grad: FloatArray, random: Random,
        progress: npt.NDArray[np.int64], losses: npt.NDArray[np.float64], snapshot: FloatArray,
        rows: int, batch_size: int, passes: int,
    ) -> int:  # fmt: skip
        """As `calls.train`, but that each call ends with a batch."""
        plan = _Passes(rows, batch_size, int(table.work.places[CAPACITY]))
        start = plan.batches_before(progress)
        batches = max(1, passes // plan.of_batch)
        arrays = (
            table.network.params, optimizer.slots, optimizer.scalars, data.order, random, progress,
            losses,
        )  # fmt: skip
        kept = [array.copy() for array in arrays]
        drawn = self.owner.get_state(legacy=False) if data.generator else None
        arguments = (
            table, data, optimizer, grad, random, progress, losses, snapshot, rows, batch_size,
        )  # fmt: skip
        with self.lock:
            status = calls.train(*arguments, plan.between(start, start + batches))
        if status != DIVERGED:
            return status
        good = plan.between(start, plan.batches_before(progress))
        for array, before in zip(arrays, kept, strict=True):
            array[...] = before
        if data.generator:
            self.owner.set_state(drawn)
        if good:
            with self.lock:
                calls.train(*arguments, good)
        slow = table_in_python(self.net, table, batch_size, True, data.entries is not None)
        return in_python.train(self.own, nullcontext(), slow, *arguments[1:], 1)


class _Passes:
    """How many passes batches take.

    Parameters
    ----------
    rows, batch_size : int
    capacity : int
        Rows of a pass.
    """

    def __init__(self, rows: int, batch_size: int, capacity: int) -> None:
        self.batch_size = batch_size
        self.of_batch = -(-min(batch_size, rows) // capacity)
        whole, rest = divmod(rows, batch_size)
        self.batches = whole + (rest > 0)
        self.of_epoch = whole * self.of_batch + -(-rest // capacity)

    def batches_before(self, progress: npt.NDArray[np.int64]) -> int:
        """The batches before the one that training stands at."""
        return int(progress[EPOCH]) * self.batches + int(progress[ROW]) // self.batch_size

    def between(self, start: int, end: int) -> int:
        """The passes of the batches from `start` to `end`, counted through all epochs."""
        return self._before(end) - self._before(start)

    def _before(self, batch: int) -> int:
        epoch, number = divmod(batch, self.batches)
        return epoch * self.of_epoch + number * self.of_batch
