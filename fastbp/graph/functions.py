"""Variables, vectors, and the functions of expressions."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from fastbp import checks
from fastbp.graph.expression import Expression, Number, as_expression, binary, checked_name
from fastbp.graph.flat import Slot

Scalar = Expression | Number


def variable(name: str) -> Expression:
    """A named variable: one number, or one for each row of the data.

    Parameters
    ----------
    name : str
        Two variables with the same name are the same variable.

    Returns
    -------
    Expression

    Examples
    --------
    >>> from fastbp.graph import variable
    >>> x = variable("x")
    >>> (x**2 + 1).value(x=3), (x**2 + 1).gradient(x=3)
    (10.0, {'x': 6.0})
    """
    return Expression("variable", slot=Slot(checked_name(name), None, 0))


def variables(names: str | Sequence[str]) -> tuple[Expression, ...]:
    """Several variables.

    Parameters
    ----------
    names : str or sequence of str
        One string with blanks or commas between the names, or a sequence of names.

    Returns
    -------
    tuple of Expression

    Examples
    --------
    >>> from fastbp.graph import variables
    >>> x, y = variables("x y")
    >>> (x * y).gradient(x=2, y=5)
    {'x': 5.0, 'y': 2.0}
    """
    if isinstance(names, str):
        names = names.replace(",", " ").split()
    return tuple(variable(name) for name in names)


def vector(name: str, size: int) -> Vector:
    """A named vector of variables; its value is an array (size,) or (rows, size).

    Parameters
    ----------
    name : str
        The name under which it is given its values.
    size : int
        How many variables it has, at least 1.

    Returns
    -------
    Vector

    Examples
    --------
    >>> from fastbp.graph import vector
    >>> w = vector("w", 3)
    >>> (w @ w).value(w=[1, 2, 3])
    14.0
    >>> (w @ w).gradient(w=[1, 2, 3])["w"].tolist()
    [2.0, 4.0, 6.0]
    """
    size = checks.count("size", size)
    name = checked_name(name)
    return Vector(Expression("variable", slot=Slot(name, size, i)) for i in range(size))


class Vector(Sequence[Expression]):
    """A sequence of expressions with elementwise operators.

    It gives several expressions one name, such as the weights, inputs or outputs of a unit. The
    other operand is a vector or sequence of the same length, or one expression or number for all;
    ``v @ w`` is `dot`.

    Parameters
    ----------
    items : iterable of Expression or number
        At least one.

    Examples
    --------
    >>> from fastbp.graph import Vector, variables
    >>> x, y = variables("x y")
    >>> v = Vector([x, y, x * y])
    >>> len(v), (v @ [1, 10, 100]).value(x=2, y=3)
    (3, 632.0)
    """

    __slots__ = ("_items",)
    __array_ufunc__ = None

    def __init__(self, items: Any) -> None:
        self._items = tuple(as_expression(item) for item in items)
        if not self._items:
            raise ValueError("a vector must hold at least one expression; got none")

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Expression]:
        return iter(self._items)

    @overload
    def __getitem__(self, key: int) -> Expression: ...
    @overload
    def __getitem__(self, key: slice) -> Vector: ...
    def __getitem__(self, key: int | slice) -> Expression | Vector:
        return Vector(self._items[key]) if isinstance(key, slice) else self._items[key]

    def __repr__(self) -> str:
        return f"Vector([{', '.join(map(repr, self._items))}])"

    def named(self, name: str) -> Vector:
        """The same vector with names for its expressions, ``name[0]``, ``name[1]``, ..."""
        name = checked_name(name)
        return Vector(item.named(f"{name}[{i}]") for i, item in enumerate(self._items))

    def _with(self, operation: str, other: Any, reflected: bool = False) -> Vector:
        if hasattr(other, "__len__"):
            _same_length(self, other)
            others = tuple(other)
        else:
            others = (other,) * len(self)
        pairs = zip(others, self, strict=True) if reflected else zip(self, others, strict=True)
        return Vector(binary(operation, left, right) for left, right in pairs)

    def __add__(self, other: Any) -> Vector:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Vector:
        return self._with("add", other, True)

    def __sub__(self, other: Any) -> Vector:
        return self._with("subtract", other)

    def __rsub__(self, other: Any) -> Vector:
        return self._with("subtract", other, True)

    def __mul__(self, other: Any) -> Vector:
        return self._with("multiply", other)

    def __rmul__(self, other: Any) -> Vector:
        return self._with("multiply", other, True)

    def __truediv__(self, other: Any) -> Vector:
        return self._with("divide", other)

    def __rtruediv__(self, other: Any) -> Vector:
        return self._with("divide", other, True)

    def __pow__(self, other: Any) -> Vector:
        return self._with("power", other)

    def __rpow__(self, other: Any) -> Vector:
        return self._with("power", other, True)

    def __matmul__(self, other: Any) -> Expression:
        return dot(self, other)

    def __rmatmul__(self, other: Any) -> Expression:
        return dot(other, self)

    def __neg__(self) -> Vector:
        return Vector(-item for item in self)

    def __abs__(self) -> Vector:
        return Vector(builtins.abs(item) for item in self)


def _same_length(left: Any, right: Any) -> None:
    if len(left) != len(right) or np.ndim(right) > 1:
        shape = np.shape(right) if isinstance(right, np.ndarray) else len(right)
        raise ValueError(f"vectors must have the same length; got {len(left)} and {shape}")


# ---- functions ----------------------------------------------------------------------------------


@overload
def _apply(operation: str, x: Scalar) -> Expression: ...
@overload
def _apply(operation: str, x: Vector) -> Vector: ...
def _apply(operation: str, x: Scalar | Vector) -> Expression | Vector:
    if isinstance(x, Vector):
        return Vector(Expression(operation, (item,)) for item in x)
    return Expression(operation, (as_expression(x),))


OF_ONE_NUMBER = """Parameters
    ----------
    x : Expression, number or Vector
        A vector is taken item by item.

    Returns
    -------
    Expression or Vector

    """
Function = TypeVar("Function", bound=Callable[..., Any])


def _by_item(function: Function) -> Function:
    """Put what the functions of one number share into a docstring, above its examples."""
    if function.__doc__:  # Python leaves docstrings out with -OO
        function.__doc__ = function.__doc__.replace("Examples\n", f"{OF_ONE_NUMBER}Examples\n", 1)
    return function


@overload
def exp(x: Scalar) -> Expression: ...
@overload
def exp(x: Vector) -> Vector: ...
@_by_item
def exp(x: Scalar | Vector) -> Expression | Vector:
    """e to the power x.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.exp(x).value(x=0), graph.exp(x).gradient(x=0)
    (1.0, {'x': 1.0})
    """
    return _apply("exp", x)


@overload
def log(x: Scalar) -> Expression: ...
@overload
def log(x: Vector) -> Vector: ...
@_by_item
def log(x: Scalar | Vector) -> Expression | Vector:
    """Natural logarithm of x > 0.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.log(x).value(x=1), graph.log(x).gradient(x=1)
    (0.0, {'x': 1.0})
    """
    return _apply("log", x)


@overload
def tanh(x: Scalar) -> Expression: ...
@overload
def tanh(x: Vector) -> Vector: ...
@_by_item
def tanh(x: Scalar | Vector) -> Expression | Vector:
    """Hyperbolic tangent.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.tanh(x).value(x=0), graph.tanh(x).gradient(x=0)
    (0.0, {'x': 1.0})
    """
    return _apply("tanh", x)


@overload
def sigmoid(x: Scalar) -> Expression: ...
@overload
def sigmoid(x: Vector) -> Vector: ...
@_by_item
def sigmoid(x: Scalar | Vector) -> Expression | Vector:
    """1 / (1 + exp(-x)), without overflow for any x.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.sigmoid(x).value(x=0), graph.sigmoid(x).gradient(x=0)
    (0.5, {'x': 0.25})
    """
    return _apply("sigmoid", x)


@overload
def sqrt(x: Scalar) -> Expression: ...
@overload
def sqrt(x: Vector) -> Vector: ...
@_by_item
def sqrt(x: Scalar | Vector) -> Expression | Vector:
    """Square root of x >= 0; it has no derivative at 0.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.sqrt(x).value(x=4), graph.sqrt(x).gradient(x=4)
    (2.0, {'x': 0.25})
    """
    return _apply("sqrt", x)


@overload
def sin(x: Scalar) -> Expression: ...
@overload
def sin(x: Vector) -> Vector: ...
@_by_item
def sin(x: Scalar | Vector) -> Expression | Vector:
    """Sine of x in radians.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.sin(x).value(x=0), graph.sin(x).gradient(x=0)
    (0.0, {'x': 1.0})
    """
    return _apply("sin", x)


@overload
def cos(x: Scalar) -> Expression: ...
@overload
def cos(x: Vector) -> Vector: ...
@_by_item
def cos(x: Scalar | Vector) -> Expression | Vector:
    """Cosine of x in radians.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.cos(x).value(x=0), graph.cos(x).gradient(x=0)
    (1.0, {'x': 0.0})
    """
    return _apply("cos", x)


@overload
def abs(x: Scalar) -> Expression: ...
@overload
def abs(x: Vector) -> Vector: ...
@_by_item
def abs(x: Scalar | Vector) -> Expression | Vector:
    """Absolute value; its derivative at 0 is taken as 0.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.abs(x).value(x=-3), graph.abs(x).gradient(x=-3)
    (3.0, {'x': -1.0})
    """
    return _apply("abs", x)


@overload
def relu(x: Scalar) -> Expression: ...
@overload
def relu(x: Vector) -> Vector: ...
@_by_item
def relu(x: Scalar | Vector) -> Expression | Vector:
    """The larger of x and 0; its derivative at 0 is taken as 0.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.variable("x")
    >>> graph.relu(x).value(x=-3), graph.relu(x).gradient(x=-3)
    (0.0, {'x': 0.0})
    """
    return _apply("relu", x)


def _terms(name: str, terms: tuple[Any, ...]) -> tuple[Expression, ...]:
    """The arguments of a function of any number of them, or the items of its only one."""
    if len(terms) == 1 and isinstance(terms[0], Iterable):
        terms = tuple(terms[0])
    if not terms:
        raise ValueError(f"{name} needs at least one expression; got none")
    return tuple(as_expression(term) for term in terms)


def max(*terms: Any) -> Expression:
    """The largest of some expressions, or of a vector or another iterable of them.

    Where several are equal, each has an equal share of the derivative.

    Parameters
    ----------
    *terms : Expression or number, or one iterable of them
        At least one.

    Returns
    -------
    Expression

    Examples
    --------
    >>> from fastbp import graph
    >>> x, y = graph.variables("x y")
    >>> graph.max(x, y, 2).gradient(x=3, y=1)
    {'x': 1.0, 'y': 0.0}
    """
    return Expression("max", _terms("max", terms))


def sum(*terms: Any) -> Expression:
    """The sum of some expressions, or of a vector or another iterable of them.

    Parameters
    ----------
    *terms : Expression or number, or one iterable of them
        At least one.

    Returns
    -------
    Expression

    Examples
    --------
    >>> from fastbp import graph
    >>> x, y = graph.variables("x y")
    >>> graph.sum(x, y, 2).gradient(x=3, y=1)
    {'x': 1.0, 'y': 1.0}
    """
    return Expression("sum", _terms("sum", terms))


def dot(left: Iterable[Any], right: Iterable[Any]) -> Expression:
    """The dot product of two vectors or sequences of the same length.

    Parameters
    ----------
    left, right : iterable of Expression or number
        Vectors or sequences, both of the same length.

    Returns
    -------
    Expression

    Raises
    ------
    ValueError, TypeError
        For different lengths, and for an argument that is not a sequence.

    Examples
    --------
    >>> from fastbp import graph
    >>> x = graph.vector("x", 2)
    >>> graph.dot([3, 4], x).value(x=[1, 10])
    43.0
    """
    for side in (left, right):
        if not isinstance(side, Iterable) or isinstance(side, str):
            raise TypeError(
                "dot takes two vectors or sequences of expressions; got "
                f"{type(side).__name__} {side!r}"
            )
    first = tuple(left)
    second = tuple(right)
    _same_length(first, second)
    return Expression("dot", (*_terms("dot", first), *_terms("dot", second)))
