"""Losses, optimisers, schedules and graphs as plain values for JSON, and back.

What a file names is looked up in closed lists. It is never imported, and no code is in a file.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from fastbp import checks
from fastbp.graph.expression import Expression, checked_name
from fastbp.graph.flat import Slot, in_order
from fastbp.graph.in_nets import GraphActivation, GraphLoss
from fastbp.model.activations import Activation, CallableActivation
from fastbp.model.elementwise import Elementwise
from fastbp.model.losses import NAMED, CallableLoss, Loss
from fastbp.model.optimizers import OPTIMIZERS, Group
from fastbp.model.regularization import Regularization
from fastbp.model.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ScaledSchedule,
    Schedule,
    StepDecay,
    WarmUp,
)

SCHEDULES = (
    StepDecay, ExponentialDecay, CosineDecay, InverseScaling, OneCycle, WarmUp, ScaledSchedule,
)  # fmt: skip
_KINDS: tuple[type[Any], ...] = (
    *NAMED, *OPTIMIZERS.values(), *SCHEDULES, Group, Regularization,
)  # fmt: skip
RENAMED: dict[type[Any], str] = {ScaledSchedule: "Scaled"}
"""Classes that have another name in files: that of when their format was made."""
CLASSES: dict[str, type[Any]] = {RENAMED.get(kind, kind.__name__): kind for kind in _KINDS}
"""Dataclasses by their names in files, which hold their fields."""
GRAPHS: dict[str, type[Any]] = {"loss": GraphLoss, "activation": GraphActivation}
"""Where a graph may stand, and what it is there."""
FLOATS: dict[str, type[Any]] = {"float16": np.float16, "float32": np.float32}
"""NumPy's numbers in which a schedule computes otherwise than in float64."""
OWN = "your own"
"""The kind of what is written in Python, of which a file holds the name alone."""


def encoded(value: Any) -> Any:
    """A value as None, bool, number, string, list or dict; the kind of an object is its "kind".

    Parameters
    ----------
    value : object

    Raises
    ------
    ValueError
        For an object that is none of fastbp's and no function.
    """
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):  # and what is derived from them
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, tuple | list):
        return [encoded(item) for item in value]
    if isinstance(value, np.generic):
        if value.dtype.name in FLOATS:
            return {"kind": value.dtype.name, "value": float(value)}
        if isinstance(value, np.bool_ | np.integer):
            return value.item()
    if type(value) in CLASSES.values():
        parts = {item.name: encoded(getattr(value, item.name)) for item in fields(value)}
        return {"kind": RENAMED.get(type(value), type(value).__name__), **parts}
    if type(value) in GRAPHS.values():
        return {"kind": "graph", "nodes": nodes_of(value.expression)}
    own = isinstance(value, CallableLoss | CallableActivation | Elementwise)
    if own and not isinstance(value, GraphLoss):
        return {"kind": OWN, "name": checks.name_of(value.function)}
    if isinstance(value, Loss | Activation | Schedule) or callable(value):
        return {"kind": OWN, "name": checks.name_of(value)}
    raise ValueError(
        f"a file can hold the classes of fastbp, numbers and names; got {checks.described(value)}. "
        "Pickle the net, or exchange that part of it"
    )


def decoded(data: Any, part: str, own: Any = None) -> Any:
    """Undo `encoded`.

    Parameters
    ----------
    data : object
        What was in the file.
    part : str
        "loss", "activation" or "learning_rate": the parameter of `load` that replaces what is
        the user's own.
    own : object, optional
        What it is replaced by.

    Raises
    ------
    ValueError, TypeError
        For unknown kinds, wrong fields, values that the classes refuse, and where `own` is missing.
    """
    if isinstance(data, list):
        return [decoded(item, part, own) for item in data]
    if not isinstance(data, dict):
        return data
    kind = data.get("kind")
    given = {name: value for name, value in data.items() if name != "kind"}
    if kind == OWN:
        check_fields(kind, given, ("name",))
        if own is None:
            raise ValueError(
                f"its {part} is code in Python, {given['name']!r}, which no file holds. Pass it: "
                f"load(path, {part}=...)"
            )
        return own
    if kind == "graph" and part in GRAPHS:
        check_fields(kind, given, ("nodes",))
        return GRAPHS[part](expression_of(given["nodes"]))
    if isinstance(kind, str) and kind in FLOATS:
        check_fields(kind, given, ("value",))
        most = float(np.finfo(FLOATS[kind]).max)
        number = checks.number("value", given["value"], f"a {kind}", lambda x: abs(x) <= most)
        return FLOATS[kind](number)
    if not isinstance(kind, str) or kind not in CLASSES:
        raise ValueError(f"its {part} has the kind {kind!r}, which this fastbp does not know")
    made = CLASSES[kind]
    check_fields(kind, given, tuple(item.name for item in fields(made)))
    return made(**{name: decoded(value, part, own) for name, value in given.items()})


def has_own(data: Any) -> bool:
    """Whether something that is the user's own is in what `encoded` returned."""
    if isinstance(data, dict):
        return data.get("kind") == OWN or any(has_own(value) for value in data.values())
    return isinstance(data, list) and any(has_own(item) for item in data)


def check_fields(kind: str, given: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise a ValueError for missing and for other fields.

    Parameters
    ----------
    kind : str
        For the message.
    given : dict of str
    names : tuple of str
    """
    if set(given) != set(names):
        raise ValueError(f"{kind} must have the fields {sorted(names)}; got {sorted(given)}")


def nodes_of(expression: Any) -> list[list[Any]]:
    """The nodes of a graph, each after its arguments, which it names by their indices.

    Parameters
    ----------
    expression : Expression

    Returns
    -------
    list of [operation, arguments, number, slot, name]
    """
    nodes = list(in_order(expression))
    number_of = {id(node): i for i, node in enumerate(nodes)}
    return [
        [
            node.operation,
            [number_of[id(argument)] for argument in node.arguments],
            float(node.number),
            None if node.slot is None else list(node.slot),
            node.name,
        ]
        for node in nodes
    ]


def expression_of(nodes: Any) -> Expression:
    """Undo `nodes_of`; the graph is checked again when it is laid out.

    Parameters
    ----------
    nodes : list

    Raises
    ------
    ValueError, TypeError
        When it is no graph.
    """
    made: list[Expression] = []
    if not isinstance(nodes, list) or not nodes:
        raise ValueError(f"a graph must be a list of nodes; got {checks.described(nodes)}")
    for node in nodes:
        if not isinstance(node, list) or len(node) != 5 or not isinstance(node[0], str):
            raise ValueError(
                f"a node of a graph must be [operation, arguments, number, slot, name]; got {node}"
            )
        operation, below, number, slot, name = node
        if not isinstance(below, list):
            raise ValueError(f"the arguments of a node must be a list; got {below!r}")
        for index in below:
            checks.count("the number of an argument", index, 0, len(made) - 1)
        made.append(
            Expression(
                operation,
                tuple(made[index] for index in below),
                number=checks.number("a constant", number, "finite", lambda _: True),
                slot=None if slot is None else _slot(slot),
                name=None if name is None else checked_name(name),
            )
        )
    return made[-1]


def _slot(given: Any) -> Slot:
    if not isinstance(given, list) or len(given) != 3:
        raise ValueError(f"the slot of a variable must be [name, size, position]; got {given!r}")
    name, size, position = given
    return Slot(
        checked_name(name),
        None if size is None else checks.count("size", size),
        checks.count("position", position, 0),
    )
