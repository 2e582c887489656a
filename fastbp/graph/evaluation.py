"""Values and derivatives of a flat graph: checks, kernel calls, and errors that name the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.graph import kernels
from fastbp.graph.flat import Flat
from fastbp.graph.text import number_text
from fastbp.machine import jit

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Result = float | Array

BLOCK_VALUES = 1 << 15
"""Values in a block of rows, about: with their adjoints they fit into the second-level cache."""
FEWEST_ROWS = 8
"""The fewest rows of a block."""
MOST_ROWS = 512
"""The most rows of a block."""
DOMAINS: dict[str, tuple[tuple[str, Callable[..., bool]], ...]] = {
    "log": (("log of a negative number", lambda a: a < 0), ("log of 0", lambda a: a == 0)),
    "sqrt": (("sqrt of a negative number", lambda a: a < 0),),
    "divide": (("division by zero", lambda a, b: b == 0),),
    "power": (
        ("division by zero, a negative power of 0", lambda a, b: a == 0 and b < 0),
        ("a power that is not whole of a negative number", lambda a, b: a < 0 and b != round(b)),
    ),
}
"""For each operation: the reasons why it has no value, and when they apply."""


class GraphError(ValueError):
    """A node of a graph has no finite value or derivative.

    Attributes
    ----------
    node : str
        Name of that node.
    row : int or None
        Row of the inputs; None if they are single numbers.
    overflow : bool
        Whether a number became too large; otherwise the operation has no value there.

    Examples
    --------
    >>> from fastbp.graph import GraphError, log, variable
    >>> try:
    ...     log(variable("x")).named("f").value(x=[1, 0])
    ... except GraphError as error:
    ...     print(error.node, error.row)
    f 1
    """

    def __init__(self, message: str, node: str, row: int | None, overflow: bool = False) -> None:
        super().__init__(message)
        self.node = node
        self.row = row
        self.overflow = overflow

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.node, self.row, self.overflow)


class GraphInputs(NamedTuple):
    """The inputs at which a graph is evaluated.

    Attributes
    ----------
    table : float64, shape (inputs, rows)
    has_rows : bool
        Whether rows were given; otherwise there is one row, and results are single numbers.
    """

    table: Array
    has_rows: bool


def point_of(flat: Flat, values: Mapping[str, Any], missing: float | None = None) -> GraphInputs:
    """The inputs of a graph, from values by name.

    Parameters
    ----------
    flat : Flat
    values : mapping of str to array-like
        A number or (rows,) for a variable; (size,) or (rows, size) for a vector.
    missing : float, optional
        Used for variables without a value; None makes them an error.
    """
    sizes = flat.sizes
    if not flat.has_vectors and len(values) == len(sizes):  # the most frequent case, at once
        numbers = [values.get(name) for name in sizes]
        if {*map(type, numbers)} == {float}:
            return GraphInputs(np.array(numbers, np.float64).reshape(-1, 1), False)
    for name in values:
        if name not in sizes:
            raise ValueError(f"the graph has no variable {name!r}; it has {_listed(sizes)}")
    given = []
    for name, size in sizes.items():
        if name in values:
            given.append(values[name])
        elif missing is not None:
            given.append(missing if size is None else [missing] * size)
        else:
            raise ValueError(
                f"no value is given for the variable {name!r}; the graph has {_listed(sizes)}"
            )
    return _from_arrays(sizes, given)


def _from_arrays(sizes: Mapping[str, int | None], given: Sequence[Any]) -> GraphInputs:
    """The inputs from numbers and arrays, each as a matrix (size, rows) or (size, 1)."""
    matrices = []
    rows = None
    counted = ""
    for (name, size), value in zip(sizes.items(), given, strict=True):
        array = checks.numbers(name, value)
        shape = () if size is None else (size,)
        if array.shape != shape and (array.ndim != len(shape) + 1 or array.shape[1:] != shape):
            accepted = f"({size},) or (rows, {size})" if shape else "a number or (rows,)"
            raise ValueError(f"{name} must be {accepted}; got shape {array.shape}")
        if array.ndim > len(shape):
            if len(array) == 0:
                raise ValueError(f"{name} must have at least one row; got shape {array.shape}")
            if rows is not None and rows != len(array):
                raise ValueError(
                    f"all inputs must have the same number of rows; got {rows} for {counted} and "
                    f"{len(array)} for {name}"
                )
            rows = len(array)
            counted = name
            matrices.append(array.T.reshape(size or 1, rows))
        else:
            matrices.append(array.reshape(size or 1, 1))
    table = np.empty((sum(len(m) for m in matrices), rows or 1))
    first = 0
    for matrix in matrices:
        table[first : first + len(matrix)] = matrix
        first += len(matrix)
    return GraphInputs(table, rows is not None)


def _listed(sizes: Mapping[str, int | None]) -> str:
    names = [name if size is None else f"{name} ({size})" for name, size in sizes.items()]
    return f"the variables {', '.join(names)}" if names else "no variables"


# ---- the three passes ---------------------------------------------------------------------------


def _call(function: Any, *arguments: Any) -> Any:
    with np.errstate(all="ignore"):  # uncompiled, NumPy would warn about what is reported below
        return jit.call(function, "", *arguments)


def _stride(flat: Flat, point: GraphInputs) -> int:
    rows = BLOCK_VALUES // len(flat)
    return int(min(point.table.shape[1], max(FEWEST_ROWS, min(MOST_ROWS, rows))))


def values_of(flat: Flat, point: GraphInputs, wanted: IntArray) -> Array:
    """Values of the nodes `wanted`, (nodes, rows)."""
    rows = point.table.shape[1]
    out = np.empty((len(wanted), rows))
    values = np.empty((len(flat), _stride(flat, point)))
    index = _call(kernels.value, out, values, flat.tape, wanted, point.table)
    if index != kernels.ALL_FINITE:
        raise no_value(flat, point, index)
    return out


def gradient_of(flat: Flat, point: GraphInputs, wanted: IntArray) -> tuple[Array, Array]:
    """The output, (rows,), and by backward mode its derivatives by `wanted`, (nodes, rows)."""
    rows = point.table.shape[1]
    stride = _stride(flat, point)
    out = np.empty(rows)
    found = np.empty((len(wanted), rows))
    values, adjoints = np.empty((2, len(flat), stride))
    slopes = np.empty(stride)
    index = _call(
        kernels.gradient, out, found, values, adjoints, slopes, flat.tape, wanted, point.table
    )
    if index != kernels.ALL_FINITE:
        raise no_value(flat, point, index)
    if not np.isfinite(found).all():
        raise no_derivative(flat, point, found)
    return out, found


def gradient_of_inputs(flat: Flat, point: GraphInputs) -> tuple[Array, Array]:
    """The output, (rows,), and its derivatives by all inputs, (inputs, rows)."""
    out, found = gradient_of(flat, point, flat.variable_nodes)
    if not flat.rows_in_order:
        some = found
        found = np.zeros((flat.n_inputs, found.shape[1]))
        found[flat.variable_rows] = some  # the others are unused items of vectors
    return out, found


def jvp_of(
    flat: Flat, point: GraphInputs, directions: Array, wanted: IntArray
) -> tuple[Array, Array]:
    """Values and tangents of the nodes `wanted`, both (nodes, rows), by forward mode."""
    rows = point.table.shape[1]
    stride = _stride(flat, point)
    out, found = np.empty((2, len(wanted), rows))
    values, tangents = np.empty((2, len(flat), stride))
    slopes = np.empty(stride)
    index = _call(
        kernels.jvp, out, found, values, tangents, slopes, flat.tape, wanted, point.table,
        directions,
    )  # fmt: skip
    if index != kernels.ALL_FINITE:
        raise no_value(flat, point, index)
    if not np.isfinite(found).all():
        raise no_derivative(flat, point, found)
    return out, found


def locals_of(flat: Flat, values: Array) -> Array:
    """Derivatives of all nodes by their arguments, in the tape's order, (arguments, rows)."""
    out = np.empty((len(flat.tape.arguments), values.shape[1]))
    _call(kernels.local_derivatives, out, values, flat.tape)
    return out


# ---- what is wrong ------------------------------------------------------------------------------


def _node_text(flat: Flat, node: int) -> str:
    """The node as errors name it: its name and its formula."""
    name = flat.names[node]
    step = flat.step(node)
    return f"{name} = {step}" if step != name else name


def _where(flat: Flat, point: GraphInputs, node: int, values: Array, row: int) -> str:
    """The row and the arguments of a node: ``, row 3: a = 1, b = 2``."""
    at = ", ".join(
        f"{flat.names[a]} = {number_text(values[a])}"
        for a in dict.fromkeys(flat.arguments[node])
        if flat.operations[a] != "constant"
    )
    return (f", row {row}" if point.has_rows else "") + (f": {at}" if at else "")


def _column(point: GraphInputs, row: int) -> GraphInputs:
    return GraphInputs(np.ascontiguousarray(point.table[:, row : row + 1]), point.has_rows)


def no_value(flat: Flat, point: GraphInputs, index: int) -> GraphError:
    """Why a node has no finite value; `index` is what the kernels return."""
    node, row = divmod(int(index), point.table.shape[1])
    shown = row if point.has_rows else None
    name = flat.names[node]
    if flat.operations[node] == "variable":
        bad = point.table[flat.variable_rows[flat.variable_nodes == node][0], row]
        where = f" in row {row}" if point.has_rows else ""
        return GraphError(f"{name} is {bad}{where}; only finite numbers are accepted", name, shown)
    values = np.zeros((len(flat), 1))
    no_output = np.empty((0, 1))
    no_node = np.empty(0, np.int64)
    _call(kernels.value, no_output, values, flat.tape, no_node, _column(point, row).table)
    inputs = [values[a, 0] for a in flat.arguments[node]]
    rules = DOMAINS.get(flat.operations[node], ())
    reasons = [what for what, is_bad in rules if is_bad(*inputs)]
    reason = reasons[0] if reasons else "overflow: no finite value"
    where = f" at node {_node_text(flat, node)}{_where(flat, point, node, values[:, 0], row)}"
    return GraphError(reason + where, name, shown, overflow=not reasons)


def no_derivative(flat: Flat, point: GraphInputs, found: Array) -> GraphError:
    """Why a derivative is not finite: the last node with a value but no derivative."""
    row = int((~np.isfinite(found)).any(axis=0).argmax())
    column = _column(point, row)
    shown = row if point.has_rows else None
    values = values_of(flat, column, np.arange(len(flat)))
    slopes = locals_of(flat, values)[:, 0]
    starts = flat.tape.starts
    for node in range(len(flat) - 1, -1, -1):
        for argument, slope in zip(flat.arguments[node], slopes[starts[node] :], strict=False):
            if not np.isfinite(slope) and flat.operations[argument] != "constant":
                where = _where(flat, point, node, values[:, 0], row)
                return GraphError(
                    f"no finite derivative by {flat.names[argument]} at node "
                    f"{_node_text(flat, node)}{where}", flat.names[node], shown,
                )  # fmt: skip
    name = flat.names[-1]
    return GraphError(
        f"overflow: no finite derivative of {name}" + (f", row {row}" if point.has_rows else ""),
        name, shown, overflow=True,
    )  # fmt: skip
