"""A graph laid out flat: its nodes in topological order, as the arrays that the kernels take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from fastbp.graph.kernels import Tape
from fastbp.graph.operations import ADD, DOT, MAX, NEGATE, OPERATIONS, POWER, RELU, SUM
from fastbp.graph.text import Formula, atom, formula, number_text
from fastbp.machine.elementwise import Loop

LONGEST_FORMULA = 100
"""Longest formula in characters: in a longer one, nodes are written by name."""


class Slot(NamedTuple):
    """Which input a variable is.

    Attributes
    ----------
    name : str
        Name of the variable, or of the vector that it belongs to.
    size : int or None
        Size of that vector; None for a single variable.
    position : int
        Its index in the vector.
    """

    name: str
    size: int | None
    position: int

    def text(self) -> str:
        """The name of the node: ``x`` or ``x[1]``."""
        return self.name if self.size is None else f"{self.name}[{self.position}]"


class Node(Protocol):
    """A node of a graph; `fastbp.graph.Expression` is one.

    Attributes
    ----------
    operation : str
        A name of `fastbp.graph.operations.OPERATIONS`.
    arguments : tuple of Node
    number : float
        Value of a constant.
    slot : Slot or None
        Input of a variable.
    name : str or None
        Given by the user.
    """

    @property
    def operation(self) -> str:
        """See the class."""
        ...

    @property
    def arguments(self) -> tuple[Node, ...]:
        """See the class."""
        ...

    @property
    def number(self) -> float:
        """See the class."""
        ...

    @property
    def slot(self) -> Slot | None:
        """See the class."""
        ...

    @property
    def name(self) -> str | None:
        """See the class."""
        ...


def in_order(root: Node) -> Iterator[Node]:
    """Every node once, its arguments before it, without recursion: graphs may be deep."""
    done: set[int] = set()
    stack: list[tuple[Node, Iterator[Node]]] = [(root, iter(root.arguments))]
    while stack:
        node, rest = stack[-1]
        for argument in rest:
            if id(argument) not in done:
                stack.append((argument, iter(argument.arguments)))
                break
        else:
            stack.pop()
            if id(node) not in done:
                done.add(id(node))
                yield node


def check_node(node: Node) -> None:
    """Raise a ValueError for a node that the kernels cannot read, as from an edited pickle.

    They take the number of arguments from the operation, and a variable's row from its slot.

    Parameters
    ----------
    node : Node
    """
    count = len(node.arguments)
    code = OPERATIONS.get(node.operation)
    if code is None:
        fits = False
    elif code in (MAX, SUM):
        fits = count > 0
    elif code == DOT:
        fits = count > 0 and count % 2 == 0
    else:
        fits = count == (2 if ADD <= code <= POWER else 1 if NEGATE <= code <= RELU else 0)
    slot = node.slot
    if slot is not None:
        fits = fits and 0 <= slot.position < (1 if slot.size is None else slot.size)
    if not fits or (slot is not None) != (node.operation == "variable"):
        raise ValueError(
            f"a graph has no {node.operation!r} of {count} arguments and slot {slot}. Make the "
            "graph by fastbp.graph"
        )


class Flat:
    """A graph laid out flat.

    Parameters
    ----------
    root : Node
        The output.

    Attributes
    ----------
    tape : Tape
        The arrays for the kernels; the output is the last node.
    operations : list of str
    arguments : list of list of int
        For each node, the indices of its arguments.
    names : list of str
        Unique, except for constants: given by the user, else v1, v2, ... in the order of the tape.
    is_named : list of bool
        Whether the node is a variable, was named by the user or is the output.
    formulas : list of str
        Formula of each node; arguments without a name are written out.
    sizes : dict of str to int or None
        The inputs by name: the length of a vector, None for a variable.
    rows : dict of str to slice
        The rows of the inputs that hold each variable or vector.
    variable_nodes : array of int64, shape (variables in use,)
        Indices of their nodes.
    variable_rows : array of int64, shape (variables in use,)
        The rows of the inputs that they read.
    rows_in_order : bool
        Whether these are all rows, from the first to the last.
    has_vectors : bool
        Whether any of the inputs is a vector.
    n_inputs : int
    output : array of int64, shape (1,)
        The index of the last node.
    loops : dict of tuple of str to Loop
        What nets have compiled of it, by its use and the characters of their dtypes.

    Raises
    ------
    ValueError
        If two nodes have the same name, or vectors of the same name differ in length.
    """

    def __init__(self, root: Node) -> None:
        nodes: list[Node] = []
        number_of: dict[int, int] = {}
        by_slot: dict[Slot, int] = {}
        for node in in_order(root):
            if node.slot is not None and node.slot in by_slot:  # the same name is the same variable
                number_of[id(node)] = by_slot[node.slot]
                continue
            number_of[id(node)] = len(nodes)
            if node.slot is not None:
                by_slot[node.slot] = len(nodes)
            check_node(node)
            nodes.append(node)
        self.sizes = _sizes(list(by_slot))
        self.has_vectors = any(size is not None for size in self.sizes.values())
        self.rows = {}
        self.n_inputs = 0
        for name, size in self.sizes.items():
            first = self.n_inputs
            self.n_inputs += 1 if size is None else size
            self.rows[name] = slice(first, self.n_inputs)
        self.operations = [node.operation for node in nodes]
        self.arguments = [[number_of[id(a)] for a in node.arguments] for node in nodes]
        self.names, self.is_named = _names(nodes)
        self.formulas = self._formulas()
        self.variable_nodes = np.array(list(by_slot.values()), np.int64)
        self.variable_rows = np.array(
            [self.rows[slot.name].start + slot.position for slot in by_slot], np.int64
        )
        in_use = len(by_slot)  # few, whatever size a file gives a vector
        ordered = np.array_equal(self.variable_rows, np.arange(in_use))
        self.rows_in_order = in_use == self.n_inputs and ordered
        self.tape = self._tape(nodes)
        self.loops: dict[tuple[str, str], Loop] = {}
        self.output = np.array([len(nodes) - 1], np.int64)

    def __len__(self) -> int:
        return len(self.operations)

    def _tape(self, nodes: Sequence[Node]) -> Tape:
        listed = [list(some) for some in self.arguments]
        for node, row in zip(self.variable_nodes, self.variable_rows, strict=True):
            listed[node] = [int(row)]
        return Tape(
            codes=np.array([OPERATIONS[name] for name in self.operations], np.int64),
            starts=np.cumsum([0, *map(len, listed)], dtype=np.int64),
            arguments=np.array([a for some in listed for a in some], np.int64),
            constants=np.array([node.number for node in nodes], np.float64),
        )

    def _formulas(self) -> list[str]:
        """Formulas of all nodes; a part that has a name is written by it."""
        shown: list[Formula] = []
        formulas = []
        for node, operation in enumerate(self.operations):
            full = atom(self.names[node])
            if operation not in ("constant", "variable"):
                full = formula(operation, [shown[a] for a in self.arguments[node]])
            formulas.append(full[0])
            short = self.is_named[node] or len(full[0]) > LONGEST_FORMULA
            shown.append(atom(self.names[node]) if short else full)
        return formulas

    def step(self, node: int) -> str:
        """The formula of a node with the names of its arguments, such as ``v1 * z``."""
        if self.operations[node] in ("constant", "variable"):
            return self.names[node]
        return formula(self.operations[node], [atom(self.names[a]) for a in self.arguments[node]])[
            0
        ]


def _sizes(slots: Sequence[Slot]) -> dict[str, int | None]:
    """The variables and vectors by name, in the order in which they appear."""
    sizes: dict[str, int | None] = {}
    for name, size, _ in slots:
        if sizes.setdefault(name, size) != size:
            kinds = ["a variable" if n is None else f"a vector of {n}" for n in (sizes[name], size)]
            raise ValueError(f"{name!r} is {kinds[0]} and {kinds[1]} in one graph; rename one")
    return sizes


def _names(nodes: Sequence[Node]) -> tuple[list[str], list[bool]]:
    """A name for each node, and whether it was given, or is the output's."""
    own = [node.slot.text() if node.slot is not None else node.name for node in nodes]
    taken: set[str] = set()
    for name in own:
        if name is not None and name in taken:
            raise ValueError(
                f"two nodes of the graph are named {name!r}; give each variable and each step its "
                "own name"
            )
        taken |= set() if name is None else {name}
    names = []
    count = 0
    for node, name in zip(nodes, own, strict=True):
        if name is None and node.operation == "constant":
            name = number_text(node.number)
        while name is None:
            count += 1
            name = None if f"v{count}" in taken else f"v{count}"
        names.append(name)
    is_named = [name is not None for name in own]
    is_named[-1] = True
    return names, is_named
