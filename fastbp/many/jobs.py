"""A job for each net that compiled code trains, and what its history says afterwards."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.fit import calls, data, evaluation, sources
from fastbp.fit.between_epochs import Options
from fastbp.fit.data import Examples
from fastbp.fit.epochs import with_rates
from fastbp.fit.fit import rows_in_memory, with_scaled_weights
from fastbp.fit.history import History
from fastbp.fit.limits import LIMITS
from fastbp.kernels.addresses import (
    LOSSES,
    N_BATCH,
    N_CELLS,
    N_EPOCHS,
    N_GRADIENT,
    N_PASSES,
    ROWS,
    STATUS,
)
from fastbp.kernels.optimizers import UPDATES
from fastbp.kernels.state import Data
from fastbp.kernels.table import Table
from fastbp.kernels.training import DIVERGED, FINISHED
from fastbp.kernels.workspace import CAPACITY, Workspace, aligned_zeros, round_up
from fastbp.many import kernels
from fastbp.model.net import Net
from fastbp.model.schedules import Rate, Schedule, rate_in_updates, rates_at, rates_of

MOST_RATES = 1 << 20
"""Learning rates of a schedule that are computed in advance for a net; 8 MB."""
MOST_PASSES = 10_000
"""Passes of a net between two looks at Ctrl-C: of a small one, some hundredths of a second."""
LINE = 16
"""float64 in two lines of the cache: what threads write stands so far apart."""
TRAINING = kernels.ROOM_FOR_VALUES, kernels.ROOM_FOR_OFFSETS
VALIDATION = kernels.VALIDATION_VALUES, kernels.VALIDATION_OFFSETS
"""Cells of a thread with its workspaces."""


class Settings(NamedTuple):
    """What all nets of a call have in common, as in `fit_many`."""

    epochs: int
    batch_size: int
    shuffle: bool
    validation_fraction: float | None
    patience: int | None


class Job:
    """A net and what it is trained on.

    Attributes
    ----------
    index : int
        Number of the net.
    net : MLP
    examples : Examples
        As given.
    history : History
    table : Table or None
        The cells of its job (`kernels.py`); None where its own `fit` has to train it.
    sparse : bool
    cost : float
        About how long it takes, in weights times rows.
    """

    def __init__(self, index: int, net: Any, examples: Examples) -> None:
        self.index = index
        self.net = net
        self.examples = examples
        self.history = History()
        self.table: Table | None = None
        self.validation: Table | None = None
        self.sparse = False
        self.cost = 0.0
        self.rate: Rate = 0.0
        self.updates = 0

    def set_rate(self, updates: int) -> None:
        """Its learning rate, in updates, of which an epoch has so many."""
        self.rate = rate_in_updates(self.net.optimizer.learning_rate, updates)
        self.updates = updates
        self.first_update = int(self.net.state.scalars[UPDATES])

    def write(self, seconds: float, patience: int | None) -> None:
        """Write the history, and put back the optimiser of a net that has diverged.

        Parameters
        ----------
        seconds : float
            What an epoch took.
        patience : int or None
        """
        table = self.table
        if table is None:
            return
        cells = table.cells
        status = int(cells[STATUS])
        done = int(cells[kernels.EPOCHS_DONE])
        best = int(cells[kernels.BEST_EPOCH])
        history = self.history
        columns = history.other_columns
        history.loss = table.arrays[LOSSES][:done].tolist()
        history.seconds = [seconds] * done
        if self.validation is not None:
            columns["val_loss"] = table.arrays[kernels.VALIDATION_LOSSES][:done].tolist()
        columns["learning_rate"] = self._rates(done)
        if status in (DIVERGED, kernels.RESTORED):
            self.net.restart_optimizer()
        if patience is not None:
            name = "loss" if self.validation is None else "val_loss"
            history.monitor = name
            if status in (FINISHED, DIVERGED) and best:
                history.restored_epoch = best
            if status == FINISHED and done < cells[kernels.EPOCHS]:
                history.stop_reason = f"no improvement of {name} for {patience} epochs"
        if status == DIVERGED:
            history.stop_reason = f"diverged in epoch {done + 1}"

    def _rates(self, done: int) -> list[float]:
        """The learning rate of the last update of each epoch."""
        if not callable(self.rate):
            return [float(self.rate)] * done
        after = self.first_update + np.arange(1, done + 1, dtype=np.int64) * self.updates
        rates: list[float] = rates_at(self.rate, after - 1).tolist()
        return rates

    @property
    def diverged(self) -> bool:
        """Whether the loss or a parameter became not finite."""
        return self.table is not None and self.table.cells[STATUS] == DIVERGED


class Planner:
    """Makes jobs of nets of one dtype.

    What is the same for many nets is made once: their rows, and the places in a workspace.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    room : dict of int to int
        How many numbers each thread needs room for, by its cell (`kernels.py`).
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.room: dict[int, int] = {}
        self._rows: dict[Any, tuple[Data, int]] = {}
        self._shapes: dict[Any, tuple[Any, Workspace, int, int]] = {}

    def plan(self, job: Job) -> None:
        """Check all, and fill the table of a job that compiled code can do.

        Raises
        ------
        ValueError, TypeError
            As `fit` does.
        """
        net, settings = job.net, self.settings
        data.check_trainable(net.activations)
        if sources.is_on_disk(job.examples.X, LIMITS):
            return
        (rows, count), validation = self._rows_of(job)
        data.check_dropout(net, rows)
        job.cost = float(net.n_params) * count
        batch_size = min(settings.batch_size, count)
        if not settings.epochs or not self._can_be_compiled(net):
            return
        if validation is not None:
            checked, held = data.rows_and_targets(*validation, net)
            if evaluation.rows_in_a_call(net, held, checked.entries) < held:
                return
        job.set_rate(-(-count // batch_size))
        try:
            rates = self._rates_of(job)
        except (TypeError, ValueError):  # its own fit makes the updates before the bad rate
            return
        if settings.shuffle and batch_size < count:
            rows = rows._replace(n_order=count)
            self._need(kernels.ROOM_FOR_ORDER, count)
        job.sparse = rows.entries is not None
        table = self._table(net, batch_size, job.sparse, TRAINING, kernels.N_JOB_CELLS)
        self._fill(table, net, rows, count, batch_size, rates)
        if validation is not None:
            job.validation = self._table(net, held, job.sparse, VALIDATION)
            calls.fill(
                job.validation, checked, net.optimizer_state(), nothing(net), calls.NO_RANDOM
            )
            job.validation.cells[ROWS] = held
            table.put(kernels.VALIDATION, job.validation.cells)
            table.put(kernels.VALIDATION_LOSSES, np.full(settings.epochs, np.nan))
            table.cells[kernels.HAS_VALIDATION] = 1
        job.table = table

    def _need(self, cell: int, count: int) -> None:
        """Let each thread have room for so many numbers."""
        self.room[cell] = max(self.room.get(cell, 0), count)

    def _can_be_compiled(self, net: Net) -> bool:
        """Whether no part of the net is in Python; not for parameters that are not finite."""
        rate = net.optimizer.learning_rate
        own_rate = callable(rate) and not isinstance(rate, Schedule)
        in_python = net.in_python is not None or net.explaining is not None
        return not (in_python or own_rate) and bool(np.isfinite(net.params).all())

    def _rates_of(self, job: Job) -> Any:
        """The learning rates of all updates of a schedule; None for a number."""
        if not callable(job.rate):
            return None
        count = self.settings.epochs * job.updates
        if count > MOST_RATES:
            raise ValueError(f"{count} updates are too many to compute their rates in advance")
        return rates_of(job.rate, job.first_update, count)

    def _rows_of(self, job: Job) -> tuple[tuple[Data, int], Examples | None]:
        """The checked rows to train on, and those to validate with; drawn ones are copied."""
        net = job.net
        X, y, weights = job.examples
        n_in, *_, n_out = net.layer_sizes
        key = id(X), id(y), id(weights), n_in, n_out, net.spec.loss, net.missing_targets
        found = self._rows.get(key)
        if found is not None:
            return found, None
        rows, hooks, examples = rows_in_memory(
            net, job.examples, self.settings.epochs, self.settings.shuffle,
            Options(validation_fraction=self.settings.validation_fraction),
        )  # fmt: skip
        rows, _ = with_scaled_weights(rows, examples)
        if hooks is not None:
            return rows, hooks.evaluate.validation
        self._rows[key] = rows
        return rows, None

    def _table(
        self, net: Net, rows: int, sparse: bool, cells: tuple[int, int], size: int = N_CELLS
    ) -> Table:
        """A table without a workspace, for which each thread has room in these cells."""
        spec = net.spec
        capacity = net.capacity_for(rows, sparse)
        units = tuple(a if isinstance(a, str) else id(a) for a in spec.activations)
        dropout = spec.regularization.dropout, spec.regularization.input_dropout
        key = spec.layer_sizes, units, spec.loss.from_logits, dropout, spec.bias, capacity, sparse
        found = self._shapes.get(key)
        if found is None:
            made = net.new_workspace(capacity, True, sparse=sparse)
            work = Workspace(nothing(net), data.NO_INTEGERS, made.work.places)
            sizes = made.work.values.size, made.work.offsets.size
            found = self._shapes[key] = made.network.layers, work, *sizes
        layers, work, *sizes_of_shape = found
        for cell, count in zip(cells, sizes_of_shape, strict=True):
            self._need(cell, count)
        return Table(net.network_on(layers), work, spec, size)

    def _fill(
        self, table: Table, net: Net, rows: Data, count: int, batch_size: int, rates: Any
    ) -> None:
        """Write what training needs."""
        epochs, patience = self.settings.epochs, self.settings.patience
        optimizer = net.optimizer_state()
        if rates is not None:
            optimizer = with_rates(optimizer, rates)
        capacity = int(table.work.places[CAPACITY])
        calls.fill(table, rows, optimizer, nothing(net), net.state.random)
        table.put(LOSSES, aligned_zeros(round_up(epochs + 2, LINE), np.dtype(np.float64)))
        cells = table.cells
        self._need(kernels.ROOM_FOR_SNAPSHOT, net.n_params)
        if net.needs_gradient(batch_size, capacity):
            cells[N_GRADIENT] = net.n_params
            self._need(kernels.ROOM_FOR_GRADIENT, net.n_params)
        if patience is not None:
            self._need(kernels.ROOM_FOR_BEST, net.n_params)
            cells[kernels.PATIENCE] = patience
        cells[kernels.LOOKS] = patience is not None or self.settings.validation_fraction is not None
        cells[N_EPOCHS] = cells[kernels.EPOCHS] = epochs
        cells[N_BATCH] = batch_size
        passes = net.rows_in_a_call // (4 * min(batch_size, capacity))
        cells[N_PASSES] = max(1, min(passes, MOST_PASSES))
        cells[ROWS] = count
        cells[STATUS] = kernels.WAITING


def nothing(net: Net) -> npt.NDArray[np.floating]:
    """No numbers of the net's dtype."""
    return np.empty(0, net.dtype)
