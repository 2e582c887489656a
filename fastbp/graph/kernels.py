"""Computational graphs as flat tapes: values forward, derivatives forward and backward.

Legend
------
tape    a graph's nodes in topological order: every argument stands before the node that takes it
V (N, stride)  values of the N nodes: a row for each, with a column for each row of the data
A (N, stride)  adjoints, d output / d node (backward mode), or T, tangents (forward mode)
D (stride,)    a node's local derivative by one of its arguments, for each row of the data

The operations with one or two arguments are in operations.py. Here are the loops over nodes and
rows, and the operations with any number of arguments. Rows are processed in blocks whose values
stay in the cache.

Baydin et al., Automatic Differentiation in Machine Learning: a Survey, JMLR 18, 2018, section 3.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.graph.operations import (
    CONSTANT,
    DOT,
    MAX,
    POWER,
    SUM,
    VARIABLE,
    slope_of_one,
    slope_of_two,
    value_of_one,
    value_of_two,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, pointer, store

ALL_FINITE = -1
"""Returned by the passes when every value is finite."""


class Tape(NamedTuple):
    """A graph as the kernels see it: arrays at the boundary, pointers within.

    Attributes
    ----------
    codes : int64, shape (N,)
        The operation of each node.
    starts : int64, shape (N + 1,)
        Node i has the arguments ``arguments[starts[i]:starts[i + 1]]``.
    arguments : int64
        Indices of nodes; for a variable, the row of the inputs that holds it.
    constants : float64, shape (N,)
        Value of each node that is a constant.
    """

    codes: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    arguments: npt.NDArray[np.int64]
    constants: npt.NDArray[np.float64]


@kernel
def tape_pointers(tape):
    """The tape with pointers instead of arrays."""
    return Tape(
        pointer(tape.codes, 0), pointer(tape.starts, 0), pointer(tape.arguments, 0),
        pointer(tape.constants, 0),
    )  # fmt: skip


@kernel
def fill(out, value, rows):
    """The same value in every row."""
    for r in range(rows):
        store(out, r, value)


@kernel
def argument_of(tape, values, stride, node, k):
    """The values of argument k of a node."""
    at = load(tape.arguments, load(tape.starts, node) + k)
    return advance(values, at * stride)


@kernel
def operate_many(out, tape, values, stride, node, rows):
    """``out <- max, sum or dot`` of a node's arguments."""
    code = load(tape.codes, node)
    count = load(tape.starts, node + 1) - load(tape.starts, node)
    first = argument_of(tape, values, stride, node, 0)
    if code == DOT:
        fill(out, 0.0, rows)
        for k in range(count // 2):
            a = argument_of(tape, values, stride, node, k)
            b = argument_of(tape, values, stride, node, k + count // 2)
            for r in range(rows):
                store(out, r, load(out, r) + load(a, r) * load(b, r))
        return
    for r in range(rows):
        store(out, r, load(first, r))
    for k in range(1, count):
        a = argument_of(tape, values, stride, node, k)
        if code == SUM:
            for r in range(rows):
                store(out, r, load(out, r) + load(a, r))
        elif code == MAX:
            for r in range(rows):
                store(out, r, max(load(out, r), load(a, r)))
        else:
            raise ValueError("unknown operation code")


@kernel
def operate(values, tape, inputs, total, stride, node, first, rows):
    """The values of a node for `rows` of the `total` rows of the data, starting at `first`."""
    code = load(tape.codes, node)
    out = advance(values, node * stride)
    if code == CONSTANT:
        fill(out, load(tape.constants, node), rows)
    elif code == VARIABLE:
        row = load(tape.arguments, load(tape.starts, node))
        for r in range(rows):
            store(out, r, load(inputs, row * total + first + r))
    elif code >= MAX:
        operate_many(out, tape, values, stride, node, rows)
    elif code <= POWER:
        a = argument_of(tape, values, stride, node, 0)
        b = argument_of(tape, values, stride, node, 1)
        for r in range(rows):
            store(out, r, value_of_two(code, load(a, r), load(b, r)))
    else:
        a = argument_of(tape, values, stride, node, 0)
        for r in range(rows):
            store(out, r, value_of_one(code, load(a, r)))


@kernel
def slopes_of_many(d, tape, values, stride, node, k, rows):
    """``d <- `` the derivative of max, sum or dot by argument k; for max it is 1 / ties or 0."""
    code = load(tape.codes, node)
    count = load(tape.starts, node + 1) - load(tape.starts, node)
    if code == SUM:
        fill(d, 1.0, rows)
    elif code == DOT:
        other = k + count // 2 if k < count // 2 else k - count // 2
        b = argument_of(tape, values, stride, node, other)
        for r in range(rows):
            store(d, r, load(b, r))
    else:
        a = argument_of(tape, values, stride, node, k)
        y = advance(values, node * stride)
        for r in range(rows):
            ties = 0.0
            for j in range(count):
                if load(argument_of(tape, values, stride, node, j), r) == load(y, r):
                    ties += 1.0
            store(d, r, 1.0 / ties if load(a, r) == load(y, r) else 0.0)


@kernel
def differentiate(d, tape, values, stride, node, k, rows):
    """``d <- `` the derivative of a node by its argument k."""
    code = load(tape.codes, node)
    y = advance(values, node * stride)
    if code >= MAX:
        slopes_of_many(d, tape, values, stride, node, k, rows)
    elif code <= POWER:
        a = argument_of(tape, values, stride, node, 0)
        b = argument_of(tape, values, stride, node, 1)
        for r in range(rows):
            store(d, r, slope_of_two(code, load(a, r), load(b, r), load(y, r), k))
    else:
        a = argument_of(tape, values, stride, node, 0)
        for r in range(rows):
            store(d, r, slope_of_one(code, load(a, r), load(y, r)))


@kernel
def values_of_block(values, tape, inputs, n_nodes, total, stride, first, rows):
    """Values of all nodes; returns ALL_FINITE, or ``node * total + row`` of the first that is not.

    It stops there.
    """
    for node in range(n_nodes):
        operate(values, tape, inputs, total, stride, node, first, rows)
        for r in range(rows):
            if not np.isfinite(load(values, node * stride + r)):
                return node * total + first + r
    return ALL_FINITE


@kernel
def adjoints_of_block(adjoints, d, tape, values, n_nodes, stride, rows):
    """Adjoints of all nodes after `values_of_block`, from the output, which is the last.

    A node whose adjoint is 0 passes nothing on, even if its local derivative is infinite.
    """
    fill(adjoints, 0.0, (n_nodes - 1) * stride)
    fill(advance(adjoints, (n_nodes - 1) * stride), 1.0, rows)
    for node in range(n_nodes - 1, -1, -1):
        if load(tape.codes, node) <= VARIABLE:
            continue
        start = load(tape.starts, node)
        above = advance(adjoints, node * stride)
        for k in range(load(tape.starts, node + 1) - start):
            below = load(tape.arguments, start + k)
            if load(tape.codes, below) != CONSTANT:
                differentiate(d, tape, values, stride, node, k, rows)
                for r in range(rows):
                    at = below * stride + r
                    up = load(above, r)
                    if up != 0.0:
                        store(adjoints, at, load(adjoints, at) + up * load(d, r))


@kernel
def tangents_of_block(tangents, d, tape, values, directions, n_nodes, total, stride, first, rows):
    """Tangents of all nodes after `values_of_block`, from those of the variables, (n, total).

    An argument whose tangent is 0 contributes nothing, even if the local derivative is infinite.
    """
    for node in range(n_nodes):
        out = advance(tangents, node * stride)
        code = load(tape.codes, node)
        start = load(tape.starts, node)
        fill(out, 0.0, rows)
        if code == VARIABLE:
            for r in range(rows):
                at = load(tape.arguments, start) * total + first + r
                store(out, r, load(directions, at))
        elif code != CONSTANT:
            for k in range(load(tape.starts, node + 1) - start):
                below = load(tape.arguments, start + k)
                if load(tape.codes, below) != CONSTANT:
                    differentiate(d, tape, values, stride, node, k, rows)
                    for r in range(rows):
                        by = load(tangents, below * stride + r)
                        if by != 0.0:
                            store(out, r, load(out, r) + by * load(d, r))


@kernel
def value_of_row(values, tape, inputs, total, node, row):
    """The value of a node when a single row is computed."""
    code, start = load(tape.codes, node), load(tape.starts, node)
    if code == CONSTANT:
        return load(tape.constants, node)
    first = load(tape.arguments, start)
    if code == VARIABLE:
        return load(inputs, first * total + row)
    if code >= MAX:
        operate_many(advance(values, node), tape, values, 1, node, 1)
        return load(values, node)
    if code <= POWER:
        return value_of_two(
            code, load(values, first), load(values, load(tape.arguments, start + 1))
        )
    return value_of_one(code, load(values, first))


@kernel
def values_of_row(values, tape, inputs, n_nodes, total, row):
    """`values_of_block` for a stride of 1: without loops over rows it is twice as fast."""
    for node in range(n_nodes):
        y = value_of_row(values, tape, inputs, total, node, row)
        store(values, node, y)
        if not np.isfinite(y):
            return node * total + row
    return ALL_FINITE


@kernel
def add_adjoint(adjoints, tape, below, step):
    """Add to the adjoint of an argument; a constant has none."""
    if load(tape.codes, below) != CONSTANT:
        store(adjoints, below, load(adjoints, below) + step)


@kernel
def adjoints_of_row(adjoints, d, tape, values, n_nodes):
    """`adjoints_of_block` for a stride of 1."""
    fill(adjoints, 0.0, n_nodes)
    store(adjoints, n_nodes - 1, 1.0)
    for node in range(n_nodes - 1, -1, -1):
        code = load(tape.codes, node)
        up = load(adjoints, node)
        start = load(tape.starts, node)
        if code <= VARIABLE or up == 0.0:
            continue
        i = load(tape.arguments, start)
        if code >= MAX:
            for k in range(load(tape.starts, node + 1) - start):
                slopes_of_many(d, tape, values, 1, node, k, 1)
                add_adjoint(adjoints, tape, load(tape.arguments, start + k), up * load(d, 0))
        elif code <= POWER:
            j = load(tape.arguments, start + 1)
            a = load(values, i)
            b = load(values, j)
            y = load(values, node)
            add_adjoint(adjoints, tape, i, up * slope_of_two(code, a, b, y, 0))
            if load(tape.codes, j) != CONSTANT:
                add_adjoint(adjoints, tape, j, up * slope_of_two(code, a, b, y, 1))
        else:
            slope = slope_of_one(code, load(values, i), load(values, node))
            add_adjoint(adjoints, tape, i, up * slope)


@kernel
def values_of_some(values, tape, inputs, n_nodes, total, stride, first, rows):
    """Values of a block of rows or of a single row."""
    if stride == 1:
        return values_of_row(values, tape, inputs, n_nodes, total, first)
    return values_of_block(values, tape, inputs, n_nodes, total, stride, first, rows)


@kernel
def copy_rows(out, wanted, n_wanted, table, total, stride, first, rows):
    """Copy the rows of the nodes `wanted` from a table of all nodes: out (n_wanted, total)."""
    for i in range(n_wanted):
        node = load(wanted, i)
        for r in range(rows):
            store(out, i * total + first + r, load(table, node * stride + r))


@kernel(cached=True)
def value(out, values, tape, wanted, inputs):
    """Values of the nodes `wanted`, (n,), for each row of the data.

    Parameters
    ----------
    out : float64, shape (n, rows)
    values : float64, shape (N, stride)
        Scratch space; `stride` rows are computed at a time.
    tape : Tape
    wanted : int64, shape (n,)
    inputs : float64, shape (variables, rows)

    Returns
    -------
    int
        ALL_FINITE, or ``node * rows + row`` of the first value that is not; `out` is then
        undefined.
    """
    total = inputs.shape[1]
    n_nodes, stride = values.shape
    nodes = tape_pointers(tape)
    table = pointer(values, 0)
    for first in range(0, total, stride):
        rows = min(stride, total - first)
        bad = values_of_some(table, nodes, pointer(inputs, 0), n_nodes, total, stride, first, rows)
        if bad != ALL_FINITE:
            return bad
        copy_rows(
            pointer(out, 0), pointer(wanted, 0), wanted.shape[0], table, total, stride, first, rows
        )
    return ALL_FINITE


@kernel(cached=True)
def gradient(out, derivatives, values, adjoints, slopes, tape, wanted, inputs):
    """The output and, by backward mode, its derivatives by the nodes `wanted`, for each row.

    Parameters
    ----------
    out : float64, shape (rows,)
    derivatives : float64, shape (n, rows)
    values, adjoints : float64, shape (N, stride)
        Scratch space.
    slopes : float64, shape (stride,)
        Scratch space.
    tape, wanted, inputs
        As in `value`, like the return value.
    """
    total = inputs.shape[1]
    n_nodes, stride = values.shape
    nodes = tape_pointers(tape)
    table = pointer(values, 0)
    other = pointer(adjoints, 0)
    for first in range(0, total, stride):
        rows = min(stride, total - first)
        bad = values_of_some(table, nodes, pointer(inputs, 0), n_nodes, total, stride, first, rows)
        if bad != ALL_FINITE:
            return bad
        if stride == 1:
            adjoints_of_row(other, pointer(slopes, 0), nodes, table, n_nodes)
        else:
            adjoints_of_block(other, pointer(slopes, 0), nodes, table, n_nodes, stride, rows)
        for r in range(rows):
            store(pointer(out, 0), first + r, load(table, (n_nodes - 1) * stride + r))
        copy_rows(
            pointer(derivatives, 0), pointer(wanted, 0), wanted.shape[0], other, total, stride,
            first, rows,
        )  # fmt: skip
    return ALL_FINITE


@kernel(cached=True)
def jvp(out, derivatives, values, tangents, slopes, tape, wanted, inputs, directions):
    """Values and, by forward mode, tangents of the nodes `wanted`, for each row.

    Parameters
    ----------
    out, derivatives : float64, shape (n, rows)
    values, tangents : float64, shape (N, stride)
        Scratch space.
    slopes : float64, shape (stride,)
        Scratch space.
    tape, wanted, inputs
        As in `value`, like the return value.
    directions : float64, shape (variables, rows)
        Tangents of the variables.
    """
    total = inputs.shape[1]
    n_nodes, stride = values.shape
    nodes = tape_pointers(tape)
    table = pointer(values, 0)
    other = pointer(tangents, 0)
    for first in range(0, total, stride):
        rows = min(stride, total - first)
        bad = values_of_some(table, nodes, pointer(inputs, 0), n_nodes, total, stride, first, rows)
        if bad != ALL_FINITE:
            return bad
        tangents_of_block(
            other, pointer(slopes, 0), nodes, table, pointer(directions, 0), n_nodes, total, stride,
            first, rows,
        )  # fmt: skip
        for source, to in ((table, out), (other, derivatives)):
            copy_rows(
                pointer(to, 0), pointer(wanted, 0), wanted.shape[0], source, total, stride, first,
                rows,
            )  # fmt: skip
    return ALL_FINITE


@kernel(cached=True)
def local_derivatives(out, values, tape):
    """Derivatives of each node by each argument, (arguments, rows), from all values (N, rows)."""
    nodes = tape_pointers(tape)
    stride = values.shape[1]
    for node in range(values.shape[0]):
        if tape.codes[node] > VARIABLE:
            for at in range(tape.starts[node], tape.starts[node + 1]):
                d = advance(pointer(out, 0), at * stride)
                k = at - tape.starts[node]
                differentiate(d, nodes, pointer(values, 0), stride, node, k, stride)
