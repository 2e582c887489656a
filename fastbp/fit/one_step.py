"""Updates by one batch each, and losses of one, with little Python around the compiled call.

A step of `MLP.step`, or of a `fit` on an iterable of batches, is one call of an operation that
checks, keeps the parameters and updates. So is `MLP.loss`, with or without its gradient. What it
refuses has changed nothing and goes the long way (fit.py), which says what is wrong.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, cast

import numpy as np

from fastbp.checks import is_sparse
from fastbp.fit import calls, data
from fastbp.fit.guard import Guard
from fastbp.fit.history import History
from fastbp.kernels import entry
from fastbp.kernels.addresses import (
    APART,
    COUNT,
    FIRST,
    HIGH,
    LABELS,
    LOSSES,
    LOW,
    N_BATCH,
    N_EPOCHS,
    N_LABELS,
    N_PASSES,
    PARAMS,
    PROGRESS,
    ROWS,
    SNAPSHOT,
    STATUS,
)
from fastbp.kernels.entry import REFUSED
from fastbp.kernels.state import Data
from fastbp.kernels.table import Table
from fastbp.kernels.training import DIVERGED, FINISHED, N_PROGRESS, NOT_AFTER
from fastbp.model import net as nets
from fastbp.model.net import FloatArray, Net, Training

KEPT = "one step"
"""Where a net keeps what makes its steps, for this thread."""
MOST_KEPT = 4
"""Numbers of rows for which that is kept: batches, and the shorter one at the end of an epoch."""

MOST_COPIED = 1 << 16
"""Parameters whose gradient is copied rather than written where it is to go."""


class OneStep:
    """Makes updates of a net, and evaluates it, for batches of one number of rows.

    Parameters
    ----------
    net : Net
    rows : int
        At most the workspace's capacity.
    training : Training
        What the net trains with.

    Attributes
    ----------
    losses : array of float64
        First the loss of the last update.
    grad : array of the net's dtype or None
        The gradient of the last loss, if there was one with it.
    scheduled : bool
        Whether its rate is a schedule: then it makes no updates.
    """

    def __init__(self, net: Net, rows: int, training: Training) -> None:
        # A workspace of its own: what stands in its table stays there from step to step.
        self.table = table = net.new_workspace(rows, training=True)
        self.rows = rows
        spec = net.spec
        self.loss = spec.loss
        self.n_in = spec.layer_sizes[0]
        self.n_out = spec.layer_sizes[-1]
        self.dtype = spec.dtype
        self.scheduled = callable(training.optimizer.learning_rate)
        self.shape = rows, self.n_out
        self.losses = np.zeros(N_PROGRESS)
        self.grad: FloatArray | None = None
        self.tables: dict[tuple[bool, bool], Table] = {}
        self.labels = np.empty(rows, np.int64)  # a copy: they become addresses
        self.snapshot = np.empty_like(training.state.params)
        self.explains = net.explaining is not None
        self.random = training.state.random
        self.random_before = self.random.copy()
        size = table.network.n_params if net.needs_gradient(rows, rows) else 0
        blank = table.blank.reshape(-1)
        nothing = Data(
            blank, blank, data.NO_INTEGERS, data.NO_INTEGERS, data.NO_NUMBERS, data.NO_NUMBERS,
            0, 0, 0, 0, float(rows),
        )  # fmt: skip
        optimizer = net.optimizer_state()._replace(frozen=training.state.frozen.view(np.uint8))
        calls.fill(table, nothing, optimizer, np.empty(size, self.dtype), training.state.random)
        table.put(LABELS, self.labels)
        table.put(PROGRESS, np.zeros(N_PROGRESS, np.int64))
        table.put(LOSSES, self.losses)
        table.put(SNAPSHOT, self.snapshot)
        cells = table.cells
        cells[N_EPOCHS] = 1
        cells[N_PASSES] = 1
        cells[APART] = NOT_AFTER
        cells[FIRST] = 0
        cells[COUNT] = cells[ROWS] = cells[N_BATCH] = rows
        largest = float(np.finfo(self.dtype).max)
        low, high = self.loss.target_range or (-largest, largest)
        table.numbers[LOW] = max(low, -largest)
        table.numbers[HIGH] = min(high, largest)
        calls.ready(table, False)

    def targets(self, y: Any) -> FloatArray:
        """`y` as the operation takes it, an array (rows, n_out); labels go into the table.

        Values that were not checked yet, the operation checks.
        """
        loss = self.loss
        cells = self.table.cells
        cells[N_LABELS] = 0
        if type(y) is np.ndarray:
            if loss.takes_labels and y.dtype.kind in "iu" and y.shape == (self.rows,):
                self.labels[:] = y
                cells[N_LABELS] = self.rows
                return self.table.blank
            if loss.target_range is not None and y.dtype == self.dtype and y.flags.carray:
                if y.shape == self.shape:
                    return y
                if self.n_out == 1 and y.shape == (self.rows,):
                    return y.reshape(self.shape)
        targets, labels = loss.targets(y, self.rows, self.n_out, self.dtype)
        if labels is None:
            return cast(FloatArray, targets)
        self.labels[:] = labels
        cells[N_LABELS] = self.rows
        return self.table.blank

    def run(self, X: FloatArray, y: FloatArray) -> float:
        """The loss before the update; NaN where `status` is not FINISHED."""
        if self.explains:
            self.random_before[:] = self.random
        loss: float = entry.train_and_predict(self.table.cells, entry.STEP, X, y)
        return loss

    def outcome(self) -> int:
        """`status`, but REFUSED where the loss is not finite and the long way explains it."""
        if self.status == DIVERGED and self.explains and not math.isfinite(self.losses[0]):
            self.random[:] = self.random_before
            self.table.cells[STATUS] = REFUSED
        return self.status

    def is_without_value(self, loss: float) -> bool:
        """Whether the long way is to refuse or to explain a loss."""
        return loss != loss or (self.explains and math.isinf(loss))

    def evaluate(
        self, X: FloatArray, y: FloatArray, with_grad: bool, params: FloatArray | None = None
    ) -> float:
        """The loss, penalties included; NaN where something is not as it must be.

        Parameters
        ----------
        X : array of the net's dtype, shape (rows, n_in)
        y : array of the net's dtype
            From `targets`.
        with_grad : bool
            Whether its gradient goes to `grad`, if it is not NaN.
        params : array of the net's dtype, shape (n_params,), optional
            Parameters to take instead of the net's.
        """
        elsewhere = params is not None
        table = self.tables.get((with_grad, elsewhere))
        if table is None:
            table = self.tables[with_grad, elsewhere] = self._table_for(with_grad, elsewhere)
        if elsewhere:
            table.network.params[:] = params
        table.cells[N_LABELS] = self.table.cells[N_LABELS]
        loss: float = entry.train_and_predict(table.cells, entry.LOSS, X, y)
        return loss

    def _table_for(self, with_grad: bool, elsewhere: bool) -> Table:
        """A table on the same arrays, and on own ones for a gradient and other parameters.

        Addresses take longer to look up than all the rest, so what a caller passes is copied.
        """
        mine = self.table
        network = mine.network
        if elsewhere:
            network = network._replace(params=np.empty_like(network.params))
        grad: FloatArray = mine.blank.reshape(-1)
        if with_grad:
            grad = np.empty_like(network.params) if self.grad is None else self.grad
            self.grad = grad
        table = Table(network, mine.work, mine.kept)
        table.cells[:] = mine.cells
        table.arrays.update(mine.arrays)
        table.put(PARAMS, network.params)
        table.put_gradient(grad)
        return table

    @property
    def status(self) -> int:
        """FINISHED; DIVERGED, where all but the optimiser is as before; or REFUSED."""
        return int(self.table.cells[STATUS])


class Steps(NamedTuple):
    """What a net keeps in each thread.

    Attributes
    ----------
    training : Training
        What the net trained with; exchanged, all is made anew.
    by_rows : dict of int to OneStep
    """

    training: Training
    by_rows: dict[int, OneStep]


def one_step(net: Net, rows: int) -> OneStep | None:
    """What makes updates with so many rows; None where they take the long way."""
    steps: Steps | None = net._spaces.__dict__.get(KEPT)
    training = net._training
    if steps is not None and steps.training is training:
        found = steps.by_rows.get(rows)
        if found is not None:
            return found
    if (
        rows > nets.WHOLE_BATCH
        or net.in_python is not None
        or net.missing_targets
        or not data.is_trainable(net.activations)
    ):
        return None
    if steps is None or steps.training is not training or len(steps.by_rows) == MOST_KEPT:
        steps = net._spaces.__dict__[KEPT] = Steps(training, {})
    made = steps.by_rows[rows] = OneStep(net, rows, training)
    return made


class Update(NamedTuple):
    """An update to be made: a batch that `OneStep` takes, its targets checked or to be checked."""

    one: OneStep
    X: FloatArray
    y: FloatArray

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return self.one.rows

    def run(self) -> int:
        """Make it; returns the status."""
        loss = self.one.run(self.X, self.y)
        return FINISHED if loss == loss else self.one.outcome()


def one_batch(net: Net, X: Any, y: Any) -> Update | None:
    """What makes the update by a batch; None where that takes the long way, or is to be refused.

    Raises
    ------
    ValueError, TypeError
        For another number of columns.
    """
    if type(X) is not np.ndarray and is_sparse(X):
        return None
    spec = net.spec
    X = data.inputs(X, spec.layer_sizes[0], spec.dtype)
    one = one_step(net, len(X))
    if one is None:
        return None
    try:
        return Update(one, X, one.targets(y))
    except (ValueError, TypeError):  # the long way says so, unless X is worse
        return None


def update_of(net: Net, X: Any, y: Any) -> Update | None:
    """As `one_batch`, but None also for nets whose rate is a schedule."""
    update = one_batch(net, X, y)
    return None if update is None or update.one.scheduled else update


def loss(net: Net, X: Any, y: Any) -> float | None:
    """The loss on a batch; None where it takes the long way."""
    update = one_batch(net, X, y)
    if update is None:
        return None
    one, inputs, targets = update
    value = one.evaluate(inputs, targets, False)
    return None if one.is_without_value(value) else value


def loss_and_grad(
    net: Net, X: Any, y: Any, params: FloatArray | None, out: FloatArray | None
) -> tuple[float, FloatArray] | None:
    """The loss on a batch and its gradient, in `out`; None where it takes the long way."""
    update = one_batch(net, X, y) if net.n_params <= MOST_COPIED else None
    if update is None:
        return None
    one, inputs, targets = update
    value = one.evaluate(inputs, targets, True, params)
    grad = cast(FloatArray, one.grad)
    if one.is_without_value(value) or (one.explains and not np.isfinite(grad).all()):
        return None
    if out is None:
        return value, grad.copy()
    out[:] = grad
    return value, out


def step(net: Net, X: Any, y: Any) -> float | None:
    """The loss before an update by a batch, which is made; None where it takes the long way."""
    update = update_of(net, X, y)
    if update is None:
        return None
    one, inputs, targets = update
    loss = one.run(inputs, targets)
    if loss == loss:
        return loss
    if one.outcome() != DIVERGED:
        return None
    with Guard(net, History()) as guard:
        guard.status = DIVERGED
    return float(one.losses[0])
