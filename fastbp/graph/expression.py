"""`Expression`: a node of a graph, made by Python operators, with its value and derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.graph import drawing, evaluation
from fastbp.graph.evaluation import Array, GraphInputs, IntArray, Result
from fastbp.graph.flat import Flat, Slot, in_order
from fastbp.graph.in_nets import GraphActivation, GraphLoss
from fastbp.graph.table import Table, single_point, table_of

Number = int | float | np.integer[Any] | np.floating[Any]
Values = Mapping[str, npt.ArrayLike]
Gradient = dict[str, Result]

LONGEST_REPR = 200


class Expression:
    """A node of a computational graph; with all its arguments it is the graph itself.

    Made by `variable`, by the operators ``+ - * / **`` and unary ``-``, and by the functions of
    `fastbp.graph`. It is immutable; one expression may be part of many others.

    The methods that evaluate it take the values of the variables by name, as a mapping or as
    keywords: a number or an array (rows,) for a variable, (size,) or (rows, size) for a vector.
    All arithmetic is in float64. If rows are given for any variable, results have rows too:
    (rows,) or (rows, size); else they are floats, or (size,).

    Raises
    ------
    GraphError
        A node has no finite value or derivative; the error, a ValueError, names node and row.
    ValueError, TypeError
        If a value is missing, belongs to no variable, has a wrong shape, or is not a number.

    Notes
    -----
    The first evaluation lays the graph out as a tape (`fastbp.graph.kernels`): backward mode then
    costs a few nanoseconds per node and row, for all inputs in one pass; forward mode takes one
    pass per direction. The derivative of relu and abs at their kink is 0; max distributes its
    derivative equally over the arguments that attain it.

    Examples
    --------
    >>> from fastbp.graph import variables
    >>> x, y, z = variables("x y z")
    >>> f = (x + y) * z
    >>> f.value(x=-2, y=5, z=-4)
    -12.0
    >>> f.gradient(x=-2, y=5, z=-4)
    {'x': -4.0, 'y': -4.0, 'z': 3.0}
    """

    __slots__ = ("_flat", "arguments", "name", "number", "operation", "slot")
    __array_ufunc__ = None  # a NumPy number on the left leaves the operation to this class

    def __init__(
        self,
        operation: str,
        arguments: tuple[Expression, ...] = (),
        *,
        number: float = 0.0,
        slot: Slot | None = None,
        name: str | None = None,
    ) -> None:
        self.operation = operation
        self.arguments = arguments
        self.number = number
        self.slot = slot
        self.name = name
        self._flat: Flat | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        nodes = list(in_order(self))
        number_of = {id(node): i for i, node in enumerate(nodes)}
        parts = []
        for node in cast("list[Expression]", nodes):
            below = [number_of[id(argument)] for argument in node.arguments]
            parts.append((node.operation, below, node.number, node.slot, node.name))
        return _rebuilt, (parts,)

    def __copy__(self) -> Expression:
        return self

    def __deepcopy__(self, memo: Any) -> Expression:
        return self

    def __repr__(self) -> str:
        nodes = sum(1 for _ in in_order(self))
        if nodes <= LONGEST_REPR:
            text = self.flat().formulas[-1]
            if len(text) <= LONGEST_REPR:
                return text
        return f"<expression of {nodes} nodes>"

    def named(self, name: str) -> Expression:
        """The same expression with a name, for tables, drawings, errors and derivatives.

        Parameters
        ----------
        name : str
            Unique among the nodes and variables of the graph.

        Returns
        -------
        Expression
            A new one; this one is not changed.

        Raises
        ------
        ValueError
            For a variable, which has a name.
        """
        if self.slot is not None:
            raise ValueError(
                f"the variable {self.slot.text()!r} has a name already; make another variable"
            )
        return Expression(
            self.operation, self.arguments, number=self.number, name=checked_name(name)
        )

    # ---------------------------------------------------------------- operators

    def __add__(self, other: Expression | Number) -> Expression:
        return binary("add", self, other)

    def __radd__(self, other: Number) -> Expression:
        return binary("add", other, self)

    def __sub__(self, other: Expression | Number) -> Expression:
        return binary("subtract", self, other)

    def __rsub__(self, other: Number) -> Expression:
        return binary("subtract", other, self)

    def __mul__(self, other: Expression | Number) -> Expression:
        return binary("multiply", self, other)

    def __rmul__(self, other: Number) -> Expression:
        return binary("multiply", other, self)

    def __truediv__(self, other: Expression | Number) -> Expression:
        return binary("divide", self, other)

    def __rtruediv__(self, other: Number) -> Expression:
        return binary("divide", other, self)

    def __pow__(self, other: Expression | Number) -> Expression:
        return binary("power", self, other)

    def __rpow__(self, other: Number) -> Expression:
        return binary("power", other, self)

    def __neg__(self) -> Expression:
        return Expression("negate", (self,))

    def __pos__(self) -> Expression:
        return self

    def __abs__(self) -> Expression:
        return Expression("abs", (self,))

    def __bool__(self) -> bool:
        raise TypeError(
            "an expression has no truth value before its variables have values; use relu, max or "
            "abs for a function with branches"
        )

    # ---------------------------------------------------------------- evaluation

    def flat(self) -> Flat:
        """The graph laid out flat: the tape, and the names of nodes and inputs."""
        if self._flat is None:
            self._flat = Flat(self)
        return self._flat

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables and vectors, in the order in which they appear."""
        return tuple(self.flat().sizes)

    def value(self, values: Values | None = None, /, **named: npt.ArrayLike) -> Result:
        """The value.

        Parameters
        ----------
        values : mapping, optional
        **named : number or array-like
            Values of the variables, by name.

        Returns
        -------
        float or array of float64, shape (rows,)
        """
        flat = self.flat()
        point = evaluation.point_of(flat, _merged(values, named))
        return _result(evaluation.values_of(flat, point, flat.output)[0], point)

    def gradient(
        self, values: Values | None = None, /, *, wrt: Any = None, **named: npt.ArrayLike
    ) -> Gradient:
        """The derivatives by all variables, in one pass of backward mode.

        Parameters
        ----------
        values : mapping, optional
            Values of the variables, by name.
        wrt : str or sequence of str, optional
            Names of the variables and steps to differentiate by; by default all variables.
        **named : number or array-like
            The values as keywords, but for a variable called ``wrt``.

        Returns
        -------
        dict of str to float or array of float64
            One per name, shaped like its value, with rows if there are any.
        """
        return self.value_and_gradient(values, wrt=wrt, **named)[1]

    def value_and_gradient(
        self, values: Values | None = None, /, *, wrt: Any = None, **named: npt.ArrayLike
    ) -> tuple[Result, Gradient]:
        """The value and the derivatives by all variables, in one pass of backward mode.

        Parameters
        ----------
        values : mapping, optional
        wrt : str or sequence of str, optional
        **named : number or array-like
            As in `gradient`.

        Returns
        -------
        value : float or array of float64, shape (rows,)
        gradient : dict of str to float or array of float64
            As in `gradient`.
        """
        flat = self.flat()
        point = evaluation.point_of(flat, _merged(values, named))
        if wrt is not None:
            return self._by_steps(flat, point, wrt)
        out, found = evaluation.gradient_of_inputs(flat, point)
        return _result(out, point), _by_name(flat, found, point)

    def _by_steps(self, flat: Flat, point: GraphInputs, wrt: Any) -> tuple[Result, Gradient]:
        """`value_and_gradient` with respect to chosen variables and steps."""
        asked = [wrt] if isinstance(wrt, str) else list(wrt)
        chosen: list[IntArray] = []
        for name in asked:
            if name in flat.rows:
                rows = flat.rows[name]
                inside = (flat.variable_rows >= rows.start) & (flat.variable_rows < rows.stop)
                chosen.append(flat.variable_nodes[inside])
            elif name in flat.names and flat.operations[flat.names.index(name)] != "constant":
                chosen.append(np.array([flat.names.index(name)], np.int64))
            else:
                raise ValueError(
                    f"wrt must name variables or steps of the graph, such as "
                    f"{', '.join(map(repr, flat.rows))}; got {name!r}"
                )
        out, found = evaluation.gradient_of(flat, point, np.concatenate(chosen))
        result: Gradient = {}
        first = 0
        for name, nodes in zip(asked, chosen, strict=True):
            some = found[first : first + len(nodes)]
            first += len(nodes)
            size = flat.sizes.get(name)
            if size is not None:
                whole = np.zeros((size, found.shape[1]))
                inside = np.isin(flat.variable_nodes, nodes)
                whole[flat.variable_rows[inside] - flat.rows[name].start] = some
                result[name] = _vector_result(whole, point)
            else:
                result[name] = _result(some[0], point)
        return _result(out, point), result

    def jvp(self, values: Values, tangents: Values) -> tuple[Result, Result]:
        """The value and its derivative along a direction, in one pass of forward mode.

        The Jacobian-vector product, here sum_i df/dx_i t_i.

        Parameters
        ----------
        values : mapping
            Values of the variables, by name.
        tangents : mapping
            The direction t, shaped like the values; 0 for variables that are left out.

        Returns
        -------
        value, derivative : float or array of float64, shape (rows,)

        Raises
        ------
        ValueError
            For tangents that are not finite.
        """
        flat = self.flat()
        point = evaluation.point_of(flat, _mapping("values", values))
        along = evaluation.point_of(flat, _mapping("tangents", tangents), missing=0.0)
        has_rows = point.has_rows or along.has_rows
        table, directions = np.broadcast_arrays(point.table, along.table)
        if not np.isfinite(directions).all():
            raise ValueError(f"tangents must be finite numbers; got {dict(tangents)}")
        point = GraphInputs(np.ascontiguousarray(table), has_rows)
        out, found = evaluation.jvp_of(
            flat, point, np.ascontiguousarray(directions), flat.output
        )  # fmt: skip
        return _result(out[0], point), _result(found[0], point)

    # ---------------------------------------------------------------- shown

    def forward_table(
        self, wrt: str, values: Values | None = None, /, *, every: bool = False,
        **named: npt.ArrayLike,
    ) -> Table:  # fmt: skip
        """Forward mode, step by step: value, local derivatives, derivative by a variable.

        Parameters
        ----------
        wrt : str
            The variable to differentiate by, such as ``"x"`` or ``"w[0]"``.
        values : mapping, optional
            Values of the variables, by name, without rows.
        every : bool, default=False
            Whether each node is a row. By default only the nodes with names are rows, and what
            lies between them is written out; if no node has a name, all nodes are rows.
        **named : number
            The values as keywords.

        Returns
        -------
        Table
            Prints as aligned text.

        Raises
        ------
        ValueError
            When `wrt` is no variable of the graph.
        """
        flat = self.flat()
        given = _merged(values, named)
        point = single_point(evaluation.point_of(flat, given), given)
        names = [flat.names[i] for i in flat.variable_nodes]
        if wrt not in names:
            raise ValueError(f"wrt must be one of {', '.join(map(repr, names))}; got {wrt!r}")
        directions = np.zeros((flat.n_inputs, 1))
        directions[flat.variable_rows[names.index(wrt)]] = 1.0
        out, found = evaluation.jvp_of(flat, point, directions, np.arange(len(flat)))
        return table_of(flat, "forward", f"d/d{wrt}", out[:, 0], found[:, 0], every)

    def backward_table(
        self, values: Values | None = None, /, *, every: bool = False, **named: npt.ArrayLike
    ) -> Table:
        """Backward mode, from the output on: value, local derivatives, derivative of the output.

        Parameters
        ----------
        values : mapping, optional
        every : bool, default=False
        **named : number
            As in `forward_table`.

        Returns
        -------
        Table
            Prints as aligned text.
        """
        flat = self.flat()
        out, found = self._everywhere(_merged(values, named))
        return table_of(flat, "backward", f"d{flat.names[-1]}/d(step)", out, found, every)

    def _everywhere(self, given: Values) -> tuple[Array, Array]:
        """Values and adjoints of all nodes at a single point."""
        flat = self.flat()
        point = single_point(evaluation.point_of(flat, given), given)
        nodes = np.arange(len(flat))
        found = evaluation.gradient_of(flat, point, nodes)[1]
        return evaluation.values_of(flat, point, nodes)[:, 0], found[:, 0]

    def draw(self, values: Values | None = None, /, *, ax: Any = None, **named: Any) -> Any:
        """Draw the graph with matplotlib, from the variables on the left to the output.

        Parameters
        ----------
        values : mapping, optional
            Values without rows. Each node then shows its value and, below, the derivative of the
            output with respect to it.
        ax : matplotlib Axes, optional
            None makes a figure.
        **named : number
            The values as keywords.

        Returns
        -------
        matplotlib Axes
        """
        given = _merged(values, named)
        return drawing.draw(self.flat(), self._everywhere(given) if given else None, ax)

    def to_dot(self, values: Values | None = None, /, **named: Any) -> str:
        """The graph in the language of Graphviz.

        Parameters
        ----------
        values : mapping, optional
        **named : number
            As in `draw`.

        Returns
        -------
        str
        """
        given = _merged(values, named)
        return drawing.to_dot(self.flat(), self._everywhere(given) if given else None)

    # ---------------------------------------------------------------- in nets

    def as_loss(self) -> GraphLoss:
        """For ``MLP(loss=...)``, which takes the expression itself."""
        return GraphLoss(self)

    def as_activation(self) -> GraphActivation:
        """For ``MLP(activation=...)``, which takes the expression itself."""
        return GraphActivation(self)


def _rebuilt(parts: list[tuple[Any, ...]]) -> Expression:
    """Undo `Expression.__reduce__`."""
    nodes: list[Expression] = []
    for operation, below, number, slot, name in parts:
        arguments = tuple(nodes[i] for i in below)
        nodes.append(Expression(operation, arguments, number=number, slot=slot, name=name))
    return nodes[-1]


def checked_name(name: Any) -> str:
    """A name: text without line breaks."""
    if not isinstance(name, str):
        raise TypeError(f"a name must be a string; got {type(name).__name__} {name!r}")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(f"a name must be printable text such as 'x' or 'net_h1'; got {name!r}")
    return name


def as_expression(value: Any) -> Expression:
    """An expression unchanged; a finite number as a constant."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(
            f"a graph is made of expressions and numbers; got {type(value).__name__} {value!r}. "
            "Arrays are values of variables: pass them when the graph is evaluated"
        )
    number = checks.number("a constant of a graph", value, "finite in float64", lambda _: True)
    return Expression("constant", number=number)


def binary(operation: str, left: Any, right: Any) -> Expression:
    """The expression of an operator; NotImplemented if the other operand must handle it."""
    if hasattr(left, "__len__") or hasattr(right, "__len__"):
        return cast(Expression, NotImplemented)
    return Expression(operation, (as_expression(left), as_expression(right)))


def _mapping(name: str, values: Any) -> Values:
    if not isinstance(values, Mapping):
        raise TypeError(
            f"{name} must be a mapping from names to numbers, such as {{'x': 1.0}}; got "
            f"{type(values).__name__} {values!r}"
        )
    return values


def _merged(values: Values | None, named: Values) -> Values:
    """The values from the mapping and the keywords together."""
    if values is None:
        return named
    values = _mapping("values", values)
    if not named:
        return values
    twice = set(values) & set(named)
    if twice:
        raise ValueError(f"{sorted(twice)} are given twice, in the mapping and as keywords")
    return {**values, **named}


def _result(row: Array, point: GraphInputs) -> Result:
    return row if point.has_rows else float(row[0])


def _vector_result(rows: Array, point: GraphInputs) -> Array:
    return np.ascontiguousarray(rows.T) if point.has_rows else rows[:, 0]


def _by_name(flat: Flat, found: Array, point: GraphInputs) -> Gradient:
    """The derivatives by the variables, shaped like their values."""
    if not point.has_rows and not flat.has_vectors:
        return dict(zip(flat.sizes, found[:, 0].tolist(), strict=True))
    return {
        name: _result(found[flat.rows[name].start], point)
        if size is None
        else _vector_result(found[flat.rows[name]], point)
        for name, size in flat.sizes.items()
    }
