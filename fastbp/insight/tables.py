"""The quantities of a step as tables of text: what is printed, and shown in a notebook."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastbp.insight.quantities import Change, Step

MOST_TERMS = 4
"""Terms of a sum that are written out."""
MOST_JACOBIAN = 8
"""Outputs of a softmax up to which its Jacobian is shown."""
Cells = tuple[str, ...]
Number = Callable[[Any], str]
"""Writes a number as text; see `number_format`."""


@dataclass(frozen=True)
class TextTable:
    """A table whose cells are text, with notes below its title."""

    title: str
    header: Cells
    rows: tuple[Cells, ...]
    notes: tuple[str, ...] = ()


def number_format(step: Step, decimals: int | None) -> Number:
    """The function that writes a number: digits of the dtype, or `decimals` after the point."""
    digits = 7 if step.before.dtype == np.float32 else 10

    def write(value: Any) -> str:
        value = float(value) + 0.0  # -0.0 becomes 0.0
        if math.isnan(value):
            return "-"
        if decimals is None or not math.isfinite(value):
            return f"{value:.{digits}g}"
        text = f"{value:.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text == "-0" else text

    return write


def shown(count: int, most: int) -> list[int | None]:
    """Indices of the items that are shown, at most `most` of `count`; None for the gap."""
    if count <= most:
        return list(range(count))
    first = -(-most // 2)
    return [*range(first), None, *range(count - (most - first), count)]


def unit_name(step: Step, layer: int, unit: int) -> str:
    """The name of a unit; layer 0 is the input layer."""
    last = len(step.layers)
    if layer == 0:
        return f"x{unit + 1}"
    if layer == last:
        return f"o{unit + 1}"
    return f"h{unit + 1}" if last == 2 else f"h{layer}.{unit + 1}"


def rows_of(count: int, most: int, width: int, row: Callable[[int], Cells]) -> Iterator[Cells]:
    """The rows that are shown, with a row of dots for the gap."""
    for index in shown(count, most):
        yield ("...",) * width if index is None else row(index)


def signed_sum(terms: Sequence[float], number: Number) -> str:
    """Terms with their signs, abridged: ``0.5 - 0.25 + ...``."""
    text = ""
    for term in terms[:MOST_TERMS]:
        sign = "-" if term < 0 else "+"
        text += f" {sign} {number(abs(term))}" if text else number(term)
    return text + (" + ..." if len(terms) > MOST_TERMS else "")


def forward_table(step: Step, number: Number, most: int) -> TextTable:
    """Net inputs and outputs of all units."""
    rows: list[Cells] = list(
        rows_of(
            step.inputs.size, most, 4,
            lambda i: (unit_name(step, 0, i), "input", "", number(step.inputs[i])),
        )
    )  # fmt: skip
    for index, layer in enumerate(step.layers):
        for unit in shown(layer.net.size, most):
            if unit is None:
                rows.append(("...",) * 4)
                continue
            name = unit_name(step, index + 1, unit)
            rows.append((name, layer.activation, number(layer.net[unit]),
                         number(layer.output[unit])))  # fmt: skip
    bias = " + b" if step.before.bias else ""
    return TextTable(
        f"Forward: net = sum of w out{bias}, out = f(net)", ("unit", "f", "net", "out"),
        tuple(rows),
    )  # fmt: skip


def loss_table(step: Step, number: Number, most: int) -> TextTable:
    """The loss per output and in total."""
    losses = step.losses
    outputs = step.layers[-1].output
    by_output = losses.by_output

    def row(k: int) -> Cells:
        loss = "" if by_output is None else number(by_output[k])
        name = unit_name(step, len(step.layers), k)
        return name, number(step.targets[k]), number(outputs[k]), loss

    rows = list(rows_of(outputs.size, most, 4, row))
    if step.is_penalized:
        rows.append(("penalties", "", "", number(losses.penalty)))
    rows.append(("total", "", "", number(losses.total)))
    rows.append(("after the step", "", "", number(losses.after)))
    name = step.before.loss_name
    name = "a Python function" if name == "callable" else name
    return TextTable(f"Loss E: {name}", ("output", "target", "out", "E"), tuple(rows))


def sum_behind(step: Step, index: int, unit: int, number: Number) -> str:
    """dE/dout of a hidden unit as the sum over the layer above it."""
    above = step.layers[index + 1]
    return signed_sum((above.delta * above.weights.old[unit]).tolist(), number)


def backward_table(step: Step, number: Number, most: int) -> TextTable:
    """Deltas of all units, from the outputs down."""
    rows: list[Cells] = []
    last = len(step.layers) - 1
    for index in range(last, -1, -1):
        layer = step.layers[index]
        for unit in shown(layer.net.size, most):
            if unit is None:
                rows.append(("...",) * 5)
                continue
            slope = "-" if layer.slope is None else number(layer.slope[unit])
            terms = "" if index == last else sum_behind(step, index, unit, number)
            rows.append((unit_name(step, index + 1, unit), number(layer.d_output[unit]), slope,
                         number(layer.delta[unit]), terms))  # fmt: skip
    header: Cells = ("unit", "dE/dout", "dout/dnet", "delta", "dE/dout as sum of delta w")
    if last == 0:
        header = header[:4]
        rows = [row[:4] for row in rows]
    notes = tuple(direct_notes(step))
    return TextTable(
        "Backward: delta = dE/dnet = dE/dout dout/dnet", header, tuple(rows), notes
    )  # fmt: skip


def direct_notes(step: Step) -> Iterator[str]:
    """Notes on an output layer whose delta is not a product of two factors."""
    if not step.is_direct(len(step.layers) - 1):
        return
    loss = step.before.spec.loss
    softmax = step.layers[-1].slope is None
    if softmax:
        yield (
            "softmax: each out depends on every net, delta_j = sum over i of "
            "dE/dout_i dout_i/dnet_j, with dout_i/dnet_j = out_i ([i = j] - out_j)"
        )
    if loss.from_logits:
        rule = "1 - target / out" if loss.name == "gamma" else "out - target"
        yield (
            f"{loss.name} with {loss.activation}: delta = {rule}, which the kernels compute "
            "directly; dE/dout and dout/dnet are shown for comparison"
        )


def jacobian_table(step: Step, number: Number) -> Iterator[TextTable]:
    """The Jacobian of a softmax with few outputs."""
    layer = step.layers[-1]
    last = len(step.layers)
    if layer.slope is None and layer.net.size <= MOST_JACOBIAN:
        names = [unit_name(step, last, k) for k in range(layer.net.size)]
        rows = [
            (name, *map(number, line)) for name, line in zip(names, layer.jacobian, strict=True)
        ]
        header = ("dout/dnet of", *names)
        yield TextTable("Jacobian of the softmax", header, tuple(rows))


def update_header(step: Step, index: int) -> Cells:
    """The columns of `update_table`."""
    factors = ("delta",) if step.is_direct(index) else ("dE/dout", "dout/dnet")
    header = ("weight", *factors, "dnet/dw", "dE/dw")
    header += ("+ penalty", "= gradient") if step.is_penalized else ()
    header += ("clipped",) if step.is_clipped else ()
    return (*header, "old", "new")


def update_row(
    step: Step, index: int, unit: int, below: int | None, change: Change, number: Number
) -> Cells:
    """The row of one weight; with ``below=None`` that of the bias of a unit."""
    layer = step.layers[index]
    at = (unit,) if below is None else (below, unit)
    factors = [layer.delta[unit]]
    if layer.slope is not None and not step.is_direct(index):
        factors = [layer.d_output[unit], layer.slope[unit]]
    factors.append(1.0 if below is None else layer.inputs[below])
    gradient, penalty = change.gradient[at], change.penalty[at]
    cells = [*factors, gradient - penalty]
    cells += [penalty, gradient] if step.is_penalized else []
    cells += [change.used[at]] if step.is_clipped else []
    source = "bias" if below is None else unit_name(step, index, below)
    name = f"{source} -> {unit_name(step, index + 1, unit)}"
    new = "frozen" if change.frozen[at] else number(change.new[at])
    return (name, *map(number, cells), number(change.old[at]), new)


def update_table(step: Step, index: int, number: Number, most: int) -> TextTable:
    """The weights and biases of a layer, unit by unit."""
    layer = step.layers[index]
    header = update_header(step, index)
    n_in, n_out = layer.weights.old.shape
    entries = n_in + (layer.biases is not None)

    def row(entry: int) -> Cells:
        unit, below = divmod(entry, entries)
        if below == n_in and layer.biases is not None:
            return update_row(step, index, unit, None, layer.biases, number)
        return update_row(step, index, unit, below, layer.weights, number)

    count = n_out * entries
    rows = tuple(rows_of(count, most, len(header), row))
    more = f", {count} in total" if count > most else ""
    product = " ".join(header[1 : header.index("dE/dw")])
    return TextTable(f"Update of layer {index}: dE/dw = {product}{more}", header, rows)


def tables_of(step: Step, decimals: int | None, most: int) -> list[TextTable]:
    """All tables of a step, in the order of its computation."""
    number = number_format(step, decimals)
    return [
        forward_table(step, number, most),
        loss_table(step, number, most),
        backward_table(step, number, most),
        *jacobian_table(step, number),
        *(update_table(step, i, number, most) for i in range(len(step.layers) - 1, -1, -1)),
    ]


def heading(step: Step) -> list[str]:
    """Lines that say what is explained."""
    net = step.before
    optimizer = step.before.optimizer
    lines = [
        f"One step of {type(net).__name__}({net.layer_sizes}) for one sample, {net.dtype}",
        f"{optimizer!r}, update {step.number + 1}, learning rate {step.learning_rate:g}",
    ]
    rules = {
        name: getattr(net.regularization, name)
        for name in ("l1", "l2", "clip_value", "clip_norm", "max_norm")
        if getattr(net.regularization, name)
    }
    if rules:
        lines.append(", ".join(f"{name}={value!r}" for name, value in rules.items()))
    if step.drops_out:
        lines.append(
            "without dropout: all units are kept and none is scaled; a training step with dropout "
            "is a different one"
        )
    return lines


def in_columns(table: TextTable) -> Iterator[str]:
    """The lines of a table, with decimal points aligned."""
    columns = list(zip(*table.rows, strict=True))
    padded = [_aligned(column) for column in columns]
    widths = [
        max(len(head), *map(len, column)) for head, column in zip(table.header, padded, strict=True)
    ]
    for cells in (table.header, *zip(*padded, strict=True)):
        yield "  ".join(map(str.ljust, cells, widths)).rstrip()


def _aligned(column: Cells) -> list[str]:
    """Cells of a column, padded on the left so that the decimal points are aligned."""
    before = [_before_point(cell) for cell in column]
    most = max((count for count in before if count is not None), default=0)
    return [
        cell if count is None else " " * (most - count) + cell
        for cell, count in zip(column, before, strict=True)
    ]


def _before_point(cell: str) -> int | None:
    """Characters before the decimal point of a number; None if the cell is not a number."""
    try:
        float(cell)
    except ValueError:
        return None
    return len(cell.partition("e")[0].partition(".")[0])


def as_text(step: Step, decimals: int | None, most: int) -> str:
    """A whole step as aligned text."""
    blocks = ["\n".join(heading(step))]
    for table in tables_of(step, decimals, most):
        blocks.append("\n".join([table.title, *table.notes, *in_columns(table)]))
    return "\n\n".join(blocks)
