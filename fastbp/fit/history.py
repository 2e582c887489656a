"""What a fit leaves behind: everything by epoch, as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbp import checks
from fastbp.fit.curves import Curves, draw
from fastbp.older import MEND, PickleError
from fastbp.tables import as_html, as_lines

FIRST_ROWS = 10
LAST_ROWS = 10
"""Rows that a printed table shows of a longer history."""


def best_of(values: Sequence[float], highest: bool = False) -> int | None:
    """The number of the best value, counted from 1: the first of the least, or of the greatest.

    NaN is never the best; None where there is nothing else, or the best is infinite.
    """
    column = np.asarray(values, np.float64)
    signed = np.where(np.isnan(column), np.inf, -column if highest else column)
    best = int(signed.argmin()) if signed.size else 0
    return best + 1 if signed.size and math.isfinite(signed[best]) else None


@dataclass
class History:
    """What was measured in each finished epoch.

    ``history["val_loss"]`` is a column by its name; printed, a history is a table.

    Attributes
    ----------
    loss : list of float
        Mean over the rows of the loss of each epoch, each batch's before its update; with a
        method, of all rows after each iteration.
    seconds : list of float
        Wall-clock time of each epoch. It leaves out compiling and loading compiled code,
        validation, metrics and callbacks. Epochs that end in one compiled call share its time by
        the number of their rows.
    other_columns : dict of str to list of float
        The other columns: "learning_rate" (of the last update of the epoch), and what was asked
        for: "val_loss", metrics by their names, and on the validation data as "val_" + name. NaN
        where an epoch finished and an interruption came before the number was there. With a
        method, instead of the learning rate: "gradient_norm" after the iteration and "step_size",
        the Euclidean length of its change of the parameters, and "evaluations" of loss and
        gradient so far.
    stop_reason : str
        Why training stopped before the last epoch; "" when it did not, or by an error.
    restored_epoch : int or None
        The epoch, counted from 1, whose parameters were restored at the end: by `patience`,
        `max_seconds` or `EarlyStopping`. None when none were: the net has those of the end.
    monitor : str
        The column that the epochs are judged by, which an `EarlyStopping` sets; "" is "val_loss"
        where it is measured, else "loss".
    highest : bool
        Whether the greatest value of that column is the best, and not the least.

    Examples
    --------
    >>> from fastbp import MLP
    >>> net = MLP((1, 4, 1), seed=0)
    >>> history = net.fit([[0], [1], [2]], [0, 1, 2], epochs=30, validation_data=([[3]], [3]))
    >>> len(history), history.names
    (30, ('loss', 'val_loss', 'learning_rate', 'seconds'))
    >>> history["val_loss"] == history.to_dict()["val_loss"], history.best_epoch
    (True, 30)
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    other_columns: dict[str, list[float]] = field(default_factory=dict)
    stop_reason: str = ""
    restored_epoch: int | None = None
    monitor: str = ""
    highest: bool = False

    if not TYPE_CHECKING:  # type checkers refuse what the class does not have by themselves

        def __getattr__(self, name: str) -> Any:
            """Say where what is meant stands: columns are items."""
            if name.startswith("__"):
                raise AttributeError(name)
            message = f"a History has no attribute {name!r}"
            columns = vars(self).get("other_columns", {})  # none while it is unpickled
            if name in columns:
                raise AttributeError(f'{message}. A column is an item: write history["{name}"]')
            shown = ", ".join(map(repr, ("loss", *columns, "seconds")))
            columns_are = f". Columns are items, as history['loss'] is; there are {shown}"
            raise AttributeError(message + (checks.instead("history", name) or columns_are))

    def __setstate__(self, state: dict[str, Any]) -> None:
        missing = [item.name for item in fields(self) if item.name not in state]
        if missing:
            raise PickleError(
                f"this pickle of a History has no {missing[0]}, so another version of fastbp made "
                f"it. {MEND}; for a history, keep history.to_dict()"
            )
        self.__dict__.update(state)

    @property
    def best_epoch(self) -> int | None:
        """The epoch, counted from 1, with the best value of the column that it is judged by.

        That is the column and the direction of the last `EarlyStopping`, also where it restored
        nothing; else "val_loss" where it is measured, and "loss" where it is not. The first of
        equal ones counts; None before the first epoch, and where all values are NaN.

        Whether the net has the parameters of this epoch, `restored_epoch` says. The two differ
        after ``fit(resume=True)`` of a net that was saved after its best epoch: the parameters of
        that epoch were gone, and the best of the new epochs is restored.
        """
        monitor = self.monitor or ("val_loss" if "val_loss" in self else "loss")
        return best_of(self[monitor], self.highest)

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns: loss first, seconds last."""
        return ("loss", *self.other_columns, "seconds")

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> list[float]:
        """A column by its name.

        Raises
        ------
        KeyError
            When there is none; the message has the names that there are.
        """
        if name not in self.names:
            hint = checks.instead("monitor", name, self.names)
            raise KeyError(f"no column {name!r}; there are {self._shown_names()}{hint}")
        return getattr(self, name) if name in ("loss", "seconds") else self.other_columns[name]

    def _shown_names(self) -> str:
        return ", ".join(map(repr, self.names))

    def go_on(self, before: History) -> None:
        """Take over the epochs of a fit before, which measured the same.

        Parameters
        ----------
        before : History
            Is left as it is.

        Raises
        ------
        ValueError
            For other columns.
        """
        names = list(self.other_columns) or ["learning_rate"]
        if set(names) != set(before.other_columns):
            raise ValueError(
                f"resume=True needs the columns of the epochs before, "
                f"{before._shown_names()}; this fit measures "
                f"{', '.join(map(repr, ('loss', *names, 'seconds')))}. Pass the same metrics and "
                "validation data"
            )
        columns = before.to_dict()
        self.loss = columns["loss"]
        self.seconds = columns["seconds"]
        self.other_columns = {name: columns[name] for name in names}
        self.restored_epoch = before.restored_epoch
        self.monitor = before.monitor
        self.highest = before.highest

    def add(self, loss: float, seconds: float, **others: float) -> None:
        """Add an epoch, with some of the other columns; what else is measured follows."""
        self.loss.append(loss)
        self.seconds.append(seconds)
        for name, value in others.items():
            self.other_columns.setdefault(name, []).append(value)
        for column in self.other_columns.values():
            column.extend([math.nan] * (len(self) - len(column)))

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no finished epoch)"
        return (
            f"History({len(self)} epochs in {sum(self.seconds):.3g} s, "
            f"loss {self.loss[0]:.6g} -> {self.loss[-1]:.6g}"
            + (f", restored epoch {self.restored_epoch})" if self.restored_epoch else ")")
        )

    def __str__(self) -> str:
        if not self.loss:
            return repr(self)
        table = as_lines([("epoch", *self.names), *self._rows()])
        return "\n".join((repr(self), *table, *([self.stop_reason] if self.stop_reason else [])))

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        caption = [repr(self)] + ([self.stop_reason] if self.stop_reason else [])
        return as_html(("epoch", *self.names), self._rows(), caption)

    def _rows(self) -> list[tuple[str, ...]]:
        """The cells of the table, abridged, but with those of a restored epoch."""
        count = len(self)
        shown = list(range(count))
        if count > FIRST_ROWS + LAST_ROWS + 1:
            restored = [self.restored_epoch - 1] if self.restored_epoch else []
            kept = sorted({*range(FIRST_ROWS), *restored, *range(count - LAST_ROWS, count)})
            shown = [kept[0]]
            for last, epoch in pairwise(kept):
                shown += [epoch] if epoch == last + 1 else [-1, epoch]
        columns = [self[name] for name in self.names]
        return [
            ("...",) * (1 + len(columns))
            if epoch < 0
            else (str(epoch + 1), *map(_shown, self.names, (column[epoch] for column in columns)))
            for epoch in shown
        ]

    def plot(self, *, log_scale: bool | None = None, ax: Any = None) -> Any:
        """Draw training and validation loss of each epoch, as `fastbp.plot.loss_curves` does.

        Parameters
        ----------
        log_scale : bool, default=None
            Whether the axis of the loss is logarithmic; None: if every loss is above 0.
        ax : matplotlib Axes, default=None
            None makes a figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ValueError
            When no epoch is finished.
        ImportError
            Without matplotlib: ``pip install matplotlib``.

        Examples
        --------
        >>> from fastbp import MLP
        >>> history = MLP((1, 4, 1), seed=0).fit([[0], [1], [2]], [0, 1, 2], epochs=3)
        >>> history.plot().get_xlabel()
        'Epoch'
        """
        return draw({"": curves_of(self)}, log_scale, ax)

    def to_dict(self) -> dict[str, list[float]]:
        """The columns by name, as new lists of the same length.

        Returns
        -------
        dict of str to list of float

        Examples
        --------
        >>> from fastbp import MLP
        >>> history = MLP((1, 4, 1), seed=0).fit([[0], [1], [2]], [0, 1, 2], epochs=3)
        >>> list(history.to_dict())
        ['loss', 'learning_rate', 'seconds']
        """
        columns = {name: list(self[name]) for name in self.names}
        whole = min(map(len, columns.values()))  # another thread may be adding an epoch
        return {name: column[:whole] for name, column in columns.items()}

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, a row an epoch, counted from 1.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            Without pandas: ``pip install pandas``.

        Examples
        --------
        >>> from fastbp import MLP
        >>> history = MLP((1, 4, 1), seed=0).fit([[0], [1], [2]], [0, 1, 2], epochs=3)
        >>> history.to_frame().index.tolist()
        [1, 2, 3]
        """
        return _frame(self.to_dict())


def _shown(name: str, value: float) -> str:
    """A cell of the table; seconds to the microsecond, one below the other."""
    return f"{value:.6f}" if name == "seconds" else f"{value:.6g}"


def curves_of(history: History) -> Curves:
    """The losses to draw.

    Raises
    ------
    ValueError
        When no epoch is finished.
    """
    if not history.loss:
        raise ValueError("the history has no finished epoch; fit the net first")
    validation = history["val_loss"] if "val_loss" in history else []
    return Curves(history.loss, validation, history.best_epoch)


def _frame(columns: dict[str, list[float]]) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "to_frame needs pandas: pip install pandas. to_dict needs nothing"
        ) from error
    index = pandas.RangeIndex(1, len(columns["loss"]) + 1, name="epoch")
    return pandas.DataFrame(columns, index=index, dtype="float64")
