"""Tables of forward and backward mode: the value and the derivatives of each step."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.graph.evaluation import GraphInputs, locals_of
from fastbp.graph.flat import Flat
from fastbp.graph.text import number_text

Array = npt.NDArray[np.float64]


class Row(NamedTuple):
    """One step of a graph.

    Attributes
    ----------
    name : str
    formula : str
        In the names of other rows; for a variable its name.
    value : float
    local : dict of str to float
        The derivative of the step by each row in its formula.
    running : float
        In forward mode the derivative of the step by the variable; in backward mode the derivative
        of the output by the step.

    Examples
    --------
    >>> from fastbp.graph import variables
    >>> x, y = variables("x y")
    >>> row = (x * y).named("f").forward_table("x", x=2, y=5)["f"]
    >>> row.formula, row.value, row.local, row.running
    ('x * y', 10.0, {'x': 5.0, 'y': 2.0}, 5.0)
    """

    name: str
    formula: str
    value: float
    local: dict[str, float]
    running: float


class Table(Sequence[Row]):
    """The steps of a graph with their derivatives; it prints as aligned text.

    Attributes
    ----------
    mode : {"forward", "backward"}
    heading : str
        Heading of the running derivative, such as ``"d/dW"`` or ``"dL/d"``.
    rows : tuple of Row
        In the order of computation: in backward mode the output comes first.

    Examples
    --------
    >>> from fastbp.graph import variables
    >>> x, y = variables("x y")
    >>> print(((x + y).named("s") * y).named("f").backward_table(x=2, y=5))
    step  formula  value  local derivatives  df/d(step)
    ---------------------------------------------------
    f     s * y       35  df/dy = 7                   1
                          df/ds = 5
    s     x + y        7  ds/dx = 1                   5
                          ds/dy = 1
    y                  5                             12
    x                  2                              5
    """

    def __init__(self, mode: str, heading: str, rows: Sequence[Row]) -> None:
        self.mode = mode
        self.heading = heading
        self.rows = tuple(rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __getitem__(self, key: int | slice | str) -> Row:  # type: ignore[override]
        if isinstance(key, str):
            for row in self.rows:
                if row.name == key:
                    return row
            raise KeyError(f"no row {key!r}; there are {', '.join(row.name for row in self.rows)}")
        return self.rows[key]  # type: ignore[return-value]

    def text(self, digits: int = 9) -> str:
        """The table as aligned text.

        Parameters
        ----------
        digits : int, default=9
            The most significant digits of a number.

        Returns
        -------
        str
        """
        cells = [("step", "formula", "value", "local derivatives", self.heading)]
        for row in self.rows:
            local = [
                f"d{row.name}/d{name} = {number_text(slope, digits)}"
                for name, slope in row.local.items()
            ]
            lines = local or [""]
            value = number_text(row.value, digits)
            running = number_text(row.running, digits)
            shown = "" if row.formula == row.name else row.formula
            cells.append((row.name, shown, value, lines[0], running))
            cells += [("", "", "", line, "") for line in lines[1:]]
        widths = [max(len(line[i]) for line in cells) for i in range(5)]
        ends = (str.ljust, str.ljust, str.rjust, str.ljust, str.rjust)
        texts = [
            "  ".join(end(c, w) for end, c, w in zip(ends, line, widths, strict=True)).rstrip()
            for line in cells
        ]
        return "\n".join([texts[0], "-" * (sum(widths) + 8), *texts[1:]])

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<{self.mode} table of {len(self)} steps>\n{self}"


def steps_of(flat: Flat, every: bool) -> list[int]:
    """The nodes that are rows: those with names if there are any, else all; never constants."""
    shown = [i for i, name in enumerate(flat.operations) if name != "constant"]
    inner = [i for i in shown[:-1] if flat.operations[i] != "variable" and flat.is_named[i]]
    if every or not inner:
        return shown or [len(flat) - 1]
    return [i for i in shown if flat.is_named[i]]


def _local(flat: Flat, node: int, steps: set[int], slopes: Array) -> dict[str, float]:
    """Derivatives of a step by the steps in its formula, through the nodes in between."""
    adjoints = {node: 1.0}
    found = {}
    waiting = [-node]
    starts = flat.tape.starts
    while waiting:
        at = -heapq.heappop(waiting)
        if at != node and at in steps:
            found[at] = adjoints[at]
            continue
        for argument, slope in zip(flat.arguments[at], slopes[starts[at] :], strict=False):
            if flat.operations[argument] != "constant":
                if argument not in adjoints:
                    heapq.heappush(waiting, -argument)
                adjoints[argument] = adjoints.get(argument, 0.0) + adjoints[at] * float(slope)
    return {flat.names[i]: found[i] for i in sorted(found)}


def table_of(
    flat: Flat, mode: str, heading: str, values: Array, running: Array, every: bool
) -> Table:
    """A table from the values and running derivatives of all nodes, (N,) each."""
    steps = steps_of(flat, every)
    slopes = locals_of(flat, values.reshape(-1, 1))[:, 0]
    all_steps = set(steps)
    rows = [
        Row(
            flat.names[i], flat.step(i) if every else flat.formulas[i], float(values[i]),
            _local(flat, i, all_steps, slopes), float(running[i]),
        )
        for i in steps
    ]  # fmt: skip
    return Table(mode, heading, rows if mode == "forward" else rows[::-1])


def single_point(point: GraphInputs, given: Mapping[str, Any]) -> GraphInputs:
    """The inputs themselves if they have no rows: a table shows single values."""
    if point.has_rows:
        rows = point.table.shape[1]
        raise ValueError(
            f"a table or drawing shows one point: give each variable one number; got {rows} rows "
            f"of {', '.join(name for name, value in given.items() if np.ndim(value))}"
        )
    return point
