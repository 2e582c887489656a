"""What a fit leaves behind: everything by epoch, as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import Any

from fastbp import checks

FIRST_ROWS = 10
LAST_ROWS = 10
"""Rows that a printed table shows of a longer history."""


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
    others : dict of str to list of float
        The other columns: "learning_rate" (of the last update of the epoch), and what was asked
        for: "val_loss", metrics by their names, and on the validation data as "val_" + name. NaN
        where an epoch finished and an interruption came before the number was there. With a
        method, instead of the learning rate: "gradient_norm" after the iteration and "step_size",
        the Euclidean length of its change of the parameters, and "evaluations" of loss and
        gradient so far.
    stopped : str
        Why training stopped before the last epoch; "" when it did not, or by an error.
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    others: dict[str, list[float]] = field(default_factory=dict)
    stopped: str = ""

    def __len__(self) -> int:
        return len(self.loss)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns: loss first, seconds last."""
        return ("loss", *self.others, "seconds")

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
            raise KeyError(
                f"no column {name!r}; there are {', '.join(map(repr, self.names))}{hint}"
            )
        return getattr(self, name) if name in ("loss", "seconds") else self.others[name]

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
        names = list(self.others) or ["learning_rate"]
        if set(names) != set(before.others):
            raise ValueError(
                f"resume=True needs the columns of the epochs before, "
                f"{', '.join(map(repr, before.names))}; this fit measures "
                f"{', '.join(map(repr, ('loss', *names, 'seconds')))}. Pass the same metrics and "
                "validation data"
            )
        self.loss = list(before.loss)
        self.seconds = list(before.seconds)
        self.others = {name: list(before.others[name]) for name in names}

    def add(self, loss: float, seconds: float, **others: float) -> None:
        """Add an epoch, with some of the other columns; what else is measured follows."""
        self.loss.append(loss)
        self.seconds.append(seconds)
        for name, value in others.items():
            self.others.setdefault(name, []).append(value)
        for column in self.others.values():
            column.extend([math.nan] * (len(self) - len(column)))

    def __repr__(self) -> str:
        if not self.loss:
            return "History(no finished epoch)"
        return (
            f"History({len(self)} epochs in {sum(self.seconds):.3g} s, "
            f"loss {self.loss[0]:.6g} -> {self.loss[-1]:.6g})"
        )

    def __str__(self) -> str:
        if not self.loss:
            return repr(self)
        lines = [("epoch", *self.names), *self._rows()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        padded = ("  ".join(map(str.rjust, line, widths)) for line in lines)
        return "\n".join((repr(self), *padded, *([self.stopped] if self.stopped else [])))

    def _repr_html_(self) -> str:
        """The table for a notebook."""
        head = "".join(f"<th>{escape(name)}</th>" for name in ("epoch", *self.names))
        body = "".join(
            f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in self._rows()
        )
        caption = escape(". ".join(filter(None, (repr(self), self.stopped))))
        return (
            f"<table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}</tbody>\n</table>"
        )

    def _rows(self) -> list[tuple[str, ...]]:
        """The cells of the table, abridged."""
        count = len(self)
        shown = list(range(count))
        if count > FIRST_ROWS + LAST_ROWS + 1:
            shown = [*range(FIRST_ROWS), -1, *range(count - LAST_ROWS, count)]
        columns = [self[name] for name in self.names]
        return [
            ("...",) * (1 + len(columns))
            if epoch < 0
            else (str(epoch + 1), *(f"{column[epoch]:.6g}" for column in columns))
            for epoch in shown
        ]

    def to_dict(self) -> dict[str, list[float]]:
        """The columns by name, as new lists.

        Returns
        -------
        dict of str to list of float
        """
        return {name: list(self[name]) for name in self.names}

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame, a row an epoch, counted from 1.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ImportError
            Without pandas: ``pip install 'fastbp[pandas]'``.
        """
        return _frame(self.to_dict(), len(self))


def _frame(columns: dict[str, list[float]], count: int) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "to_frame needs pandas: pip install 'fastbp[pandas]'. to_dict needs nothing"
        ) from error
    index = pandas.RangeIndex(1, count + 1, name="epoch")
    return pandas.DataFrame(columns, index=index, dtype="float64")
