"""What stands between two layers of a graph: which activation it is, and what is only scaling.

A term is what operators make of one layer's net inputs z, number by number. Exporters write the
same activation in many ways, so it is recognised by its values: a term that agrees with an
activation of fastbp to the precision of float32, from -1e30 to 1e30, is that activation. Any other
becomes a graph, if `fastbp.graph` has its operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import graph
from fastbp.files.onnx.operators import ACTIVATIONS, OPERATORS
from fastbp.graph.in_nets import GraphActivation
from fastbp.kernels.activations import HIDDEN_ACTIVATIONS
from fastbp.model.activations import Activation

Array = npt.NDArray[Any]

MOST_TERMS = 200
"""More are no activation of fastbp: gelu in float64 takes 60."""
MOST_SCALINGS = 8
"""In a row, of which one could belong to the activation and the next no more."""
RELATIVE, ABSOLUTE = 2e-7, 1e-7
"""How far constants rounded to float32 move an activation."""
ORDINARY = 80.0
"""As far as float32 goes in exponentials. Farther out, terms may overflow where fastbp does not."""


class Term:
    """What an operator makes of one layer's net inputs and of constants.

    Parameters
    ----------
    operator : str
        A name of `OPERATORS`, "Softmax", or "" for the net inputs themselves.
    inputs : tuple of Term, array or None
    attributes : tuple
        Values, in the order of the operator's.
    node : str
        For messages.
    """

    __slots__ = ("attributes", "inputs", "node", "operator")

    def __init__(
        self,
        operator: str,
        inputs: tuple[Term | Array | None, ...] = (),
        attributes: tuple[Any, ...] = (),
        node: str = "",
    ) -> None:
        self.operator = operator
        self.inputs = inputs
        self.attributes = attributes
        self.node = node


class Affine(NamedTuple):
    """``factor * x + shift``: numbers, or arrays with one for each column."""

    factor: Any = 1.0
    shift: Any = 0.0

    @property
    def is_identity(self) -> bool:
        """Whether it changes nothing."""
        return bool(np.all(np.equal(self.factor, 1.0)) and np.all(np.equal(self.shift, 0.0)))


class Parts(NamedTuple):
    """A term taken apart: scaling, an activation, scaling."""

    before: Affine
    activation: str | Activation
    after: Affine


def _step(term: Term) -> tuple[Term, Affine] | None:
    """What the term scales and by what, if it does nothing else."""
    if term.operator not in ("Add", "Sub", "Mul", "Div", "Neg"):
        return None
    if term.operator == "Neg":
        below = term.inputs[0]
        return (below, Affine(-1.0)) if isinstance(below, Term) else None
    left, right = term.inputs
    if isinstance(left, Term) and isinstance(right, np.ndarray):
        return left, _by_constant(term.operator, right)
    if isinstance(right, Term) and isinstance(left, np.ndarray) and term.operator != "Div":
        negative = term.operator == "Sub"
        return right, Affine(-1.0, left) if negative else _by_constant(term.operator, left)
    return None


def _by_constant(operator: str, constant: Array) -> Affine:
    """What is done to the first operand if the second is a constant."""
    if operator == "Add":
        return Affine(1.0, constant)
    if operator == "Sub":
        return Affine(1.0, -constant)
    return Affine(constant if operator == "Mul" else 1.0 / constant)


def _joined(first: Affine, second: Affine) -> Affine:
    """The second after the first."""
    return Affine(second.factor * first.factor, second.factor * first.shift + second.shift)


def affine_of(term: Term) -> Affine | None:
    """The scaling of the net inputs that a term is, or None if it is more than that.

    Parameters
    ----------
    term : Term
    """
    steps = []
    while term.operator:
        found = _step(term)
        if found is None:
            return None
        term, scaling = found
        steps.append(scaling)
    whole = Affine()
    for scaling in reversed(steps):
        whole = _joined(whole, scaling)
    return whole


def parts_of(term: Term, is_last: bool) -> Parts:
    """The activation in a term, and the scaling before and after it.

    Parameters
    ----------
    term : Term
    is_last : bool
        Whether it is behind the last layer. Behind the others, the next one takes the scaling, and
        softmax may not stand.

    Raises
    ------
    ValueError
        For what fastbp has neither as an activation nor as a graph.
    """
    whole = affine_of(term)
    if whole is not None:
        return Parts(whole, "identity", Affine())
    ends = [(term, Affine())]
    while not is_last and len(ends) < MOST_SCALINGS:
        found = _step(ends[-1][0])
        if found is None:
            break
        ends.append((found[0], _joined(found[1], ends[-1][1])))
    for end, after in ends:
        for before, activation in _named(end, is_last):
            return Parts(before, activation, after)
    for end, after in ends:
        for start in _starts(end):
            made = _as_graph(end, start)
            before_graph = affine_of(start)
            if made is not None and before_graph is not None:
                return Parts(before_graph, made, after)
    raise ValueError(_reason(term))


def _named(end: Term, is_last: bool) -> Iterator[tuple[Affine, str]]:
    """The activation that a term is, with the scaling before it."""
    if end.operator == "Softmax":
        below = end.inputs[0]
        before = affine_of(below) if isinstance(below, Term) else None
        if before is not None and not is_last:
            raise ValueError(f"{end.node} must be the last: a hidden layer cannot be softmax")
        if before is not None:
            yield before, "softmax"
        return
    if sum(1 for _ in _below(end)) > MOST_TERMS:
        return
    x = _points()
    for start in _starts(end):
        y = _values(end, start, x)
        before = affine_of(start)
        if y is None or before is None or not np.isfinite(y[abs(x) <= ORDINARY]).all():
            continue
        for name, expected in _expected().items():
            seen = np.isfinite(y) & np.isfinite(expected)
            if name == "exp":  # fastbp's is clipped
                seen &= abs(x) <= ORDINARY
            off = abs(y - expected)[seen]
            close = (off <= ABSOLUTE + RELATIVE * abs(expected[seen])).all()
            if close and (is_last or name in HIDDEN_ACTIVATIONS):
                yield before, name


def _below(end: Term, start: Term | None = None) -> Iterator[Term]:
    """Every term that one is made of, inputs first, down to a start; without recursion."""
    done: set[int] = set()
    stack = [(end, False)]
    while stack:
        term, ready = stack.pop()
        if ready:
            yield term
        elif id(term) not in done:
            done.add(id(term))
            stack.append((term, True))
            if term is not start:
                stack.extend((one, False) for one in term.inputs if isinstance(one, Term))


def _starts(end: Term) -> list[Term]:
    """The terms below that only scale, where an activation may begin: the net inputs and others."""
    found: list[Term] = []
    scaled: set[int] = set()
    for term in _below(end):
        below = _step(term) if term.operator else (term, Affine())
        if below is not None and (not term.operator or id(below[0]) in scaled):
            scaled.add(id(term))
            found.append(term)
    return found[-MOST_SCALINGS:]


def _walk(end: Term, start: Term, x: Any, of: Callable[[Term, list[Any]], Any]) -> Any:
    """The value of a term where `start` is x; None where something has none."""
    made: dict[int, Any] = {}
    for term in _below(end, start):
        if term is start:
            made[id(term)] = x
            continue
        if not term.operator:
            return None  # past the start
        inputs: list[Any] = []
        for one in term.inputs:
            if isinstance(one, np.ndarray):
                if one.size == 0 or (one != one.flat[0]).any():
                    return None  # a number for each column
                inputs.append(float(one.flat[0]))
            else:
                inputs.append(None if one is None else made[id(one)])
        value = of(term, inputs)
        if value is None:
            return None
        made[id(term)] = value
    return made[id(end)]


def _values(end: Term, start: Term, x: Array) -> Array | None:
    def value(term: Term, inputs: list[Any]) -> Any:
        if term.operator not in OPERATORS:
            return None
        return OPERATORS[term.operator].value(*inputs, *term.attributes)

    found = _walk(end, start, x, value)
    return None if found is None else np.broadcast_to(np.asarray(found, np.float64), x.shape)


def _as_graph(end: Term, start: Term) -> GraphActivation | None:
    def value(term: Term, inputs: list[Any]) -> Any:
        operator = OPERATORS.get(term.operator)
        if operator is None or operator.graph is None:
            return None
        return operator.graph(*inputs, *term.attributes)

    found = _walk(end, start, graph.variable("z"), value)
    return None if found is None else GraphActivation(found)


def _reason(term: Term) -> str:
    """Why a term is no activation: the first operator in it that is in no graph."""
    for one in _below(term):
        operator = OPERATORS.get(one.operator)
        if one.operator and (operator is None or operator.graph is None):
            break
    else:
        one = term
    return (
        f"{one.node} is part of no activation that an MLP has: {', '.join(ACTIVATIONS)}, softmax "
        "of the outputs, or a graph of fastbp.graph's operations with the same numbers for all "
        "units, which nothing scales afterwards but the next layer's weights"
    )


@cache
def _points() -> Array:
    """Where terms are compared with activations."""
    near = np.concatenate([np.logspace(-6.0, 0.0, 40), np.linspace(1.0, 20.0, 200)])
    sizes = np.concatenate([near, np.logspace(1.4, 30.0, 80)])
    return np.concatenate([-sizes[::-1], [0.0], sizes])


@cache
def _expected() -> dict[str, Array]:
    with np.errstate(all="ignore"):
        return {name: formula(_points()) for name, formula in ACTIVATIONS.items()}
