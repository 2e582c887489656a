"""The quantities of a step as HTML and as LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from fastbp import tables
from fastbp.insight.quantities import Change, Step
from fastbp.insight.tables import (
    MOST_TERMS,
    Number,
    TextTable,
    heading,
    number_format,
    shown,
    tables_of,
)

GAP = r"&\;\;\vdots"


def html_table(table: TextTable) -> str:
    """One table."""
    return tables.as_html(table.header, table.rows, (table.title, *table.notes))


def as_html(step: Step, decimals: int | None, most: int) -> str:
    """A whole step as HTML tables for a notebook."""
    lines = "<br>\n".join(map(escape, heading(step)))
    blocks = "\n".join(map(html_table, tables_of(step, decimals, most)))
    return f"<div>\n<p>{lines}</p>\n{blocks}\n</div>"


def unit_symbol(step: Step, layer: int, unit: int) -> str:
    """The symbol of a unit; layer 0 is the input layer."""
    last = len(step.layers)
    if layer in (0, last):
        return f"{'o' if layer else 'x'}_{{{unit + 1}}}"
    return f"h_{{{unit + 1}}}" if last == 2 else f"h^{{({layer})}}_{{{unit + 1}}}"


SPECIAL = {character: f"\\{character}" for character in "{}_$&#% "} | {
    "\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim ",
}  # fmt: skip
"""Characters that mean something in mathematics, and how they are written to mean themselves."""


def tex_name(name: str) -> str:
    r"""The name of an activation, which may be anything, for ``\mathrm``."""
    return "".join(SPECIAL.get(character, character) for character in name)


def tex(number: Number, value: Any) -> str:
    """A number in LaTeX; an exponent becomes a power of ten."""
    text = number(value)
    if text in ("-", "nan"):
        return r"\text{undefined}"
    if "inf" in text:
        return text.replace("inf", r"\infty")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


def factor(number: Number, value: Any) -> str:
    """A number within a product, in brackets if it is negative."""
    text = tex(number, value)
    return f"({text})" if text.startswith("-") else text


def sum_of_products(pairs: Sequence[tuple[Any, Any]], number: Number) -> str:
    """The first terms of a sum of products."""
    terms = [rf"{factor(number, a)} \cdot {factor(number, b)}" for a, b in pairs[:MOST_TERMS]]
    return " + ".join(terms + ([r"\cdots"] if len(pairs) > MOST_TERMS else []))


def forward_lines(step: Step, number: Number, most: int) -> Iterator[str]:
    """Net inputs and outputs."""
    for index, layer in enumerate(step.layers):
        for unit in shown(layer.net.size, most):
            if unit is None:
                yield GAP
                continue
            symbol = unit_symbol(step, index + 1, unit)
            pairs = list(zip(layer.weights.old[:, unit], layer.inputs, strict=True))
            total = sum_of_products(pairs, number)
            if layer.biases is not None:
                total += f" + {factor(number, layer.biases.old[unit])}"
            yield rf"net_{{{symbol}}} &= {total} = {tex(number, layer.net[unit])}"
            name = tex_name(layer.activation)
            yield (
                rf"out_{{{symbol}}} &= \mathrm{{{name}}}(net_{{{symbol}}})"
                rf" = {tex(number, layer.output[unit])}"
            )


def loss_lines(step: Step, number: Number, most: int) -> Iterator[str]:
    """The loss per output and in total."""
    losses = step.losses
    last = len(step.layers)
    parts = [] if losses.by_output is None else losses.by_output.tolist()
    for k in shown(len(parts), most):
        if k is None:
            yield GAP
            continue
        yield rf"E_{{{unit_symbol(step, last, k)}}} &= {tex(number, parts[k])}"
    if step.is_penalized:
        yield rf"E_{{\mathrm{{penalties}}}} &= {tex(number, losses.penalty)}"
    yield rf"E &= {tex(number, losses.total)}"


def delta_lines(step: Step, number: Number, most: int) -> Iterator[str]:
    """Deltas, from the outputs down."""
    last = len(step.layers) - 1
    for index in range(last, -1, -1):
        layer = step.layers[index]
        for unit in shown(layer.net.size, most):
            if unit is None:
                yield GAP
                continue
            symbol = unit_symbol(step, index + 1, unit)
            delta = tex(number, layer.delta[unit])
            if index < last:
                above = step.layers[index + 1]
                pairs = list(zip(above.delta, above.weights.old[unit], strict=True))
                yield (
                    rf"\frac{{\partial E}}{{\partial out_{{{symbol}}}}} &= "
                    rf"\sum_k \delta_k w_k = {sum_of_products(pairs, number)} = "
                    rf"{tex(number, layer.d_output[unit])}"
                )
            if step.is_direct(index):
                out, target = layer.output[unit], step.targets[unit]
                yield direct_line(step, symbol, number, out, target, delta)
                continue
            slope = 1.0 if layer.slope is None else layer.slope[unit]
            yield (
                rf"\delta_{{{symbol}}} &= \frac{{\partial E}}{{\partial out_{{{symbol}}}}} "
                rf"\frac{{\partial out_{{{symbol}}}}}{{\partial net_{{{symbol}}}}} = "
                rf"{factor(number, layer.d_output[unit])} \cdot {factor(number, slope)} = {delta}"
            )


def direct_line(step: Step, symbol: str, number: Number, out: Any, target: Any, delta: str) -> str:
    """The delta of an output for which `Step.is_direct` holds."""
    loss = step.before.spec.loss
    if not loss.from_logits:  # softmax with a loss of its outputs
        return (
            rf"\delta_{{{symbol}}} &= \sum_i \frac{{\partial E}}{{\partial out_i}} "
            rf"\frac{{\partial out_i}}{{\partial net_{{{symbol}}}}} = {delta}"
        )
    left, right = factor(number, out), factor(number, target)
    if loss.name == "gamma":
        value = rf"1 - target / out = 1 - {right} / {left}"
    else:
        value = rf"out - target = {left} - {right}"
    return rf"\delta_{{{symbol}}} &= {value} = {delta}"


def weight_line(
    step: Step, index: int, unit: int, below: int | None, change: Change, number: Number
) -> str:
    """The gradient of one weight and its old and new value."""
    layer = step.layers[index]
    at = (unit,) if below is None else (below, unit)
    symbol = unit_symbol(step, index + 1, unit)
    source = "" if below is None else unit_symbol(step, index, below) + " "
    name = rf"{'b' if below is None else 'w'}_{{{source}{symbol}}}"
    gradient = tex(number, change.gradient[at])
    if below is None:
        product = rf"\delta_{{{symbol}}}"
    else:
        product = (
            rf"{factor(number, layer.delta[unit])} \cdot {factor(number, layer.inputs[below])}"
        )
        if step.is_penalized:
            product += rf" + {factor(number, change.penalty[at])}"
    new = r"\text{frozen}" if change.frozen[at] else tex(number, change.new[at])
    return (
        rf"\frac{{\partial E}}{{\partial {name}}} &= {product} = {gradient}, \quad "
        rf"{name}: {tex(number, change.old[at])} \to {new}"
    )


def update_lines(step: Step, number: Number, most: int) -> Iterator[str]:
    """The weights and biases of all layers, from the outputs down."""
    for index in range(len(step.layers) - 1, -1, -1):
        layer = step.layers[index]
        n_in, n_out = layer.weights.old.shape
        entries = n_in + (layer.biases is not None)
        for entry in shown(n_out * entries, most):
            if entry is None:
                yield GAP
                continue
            unit, below = divmod(entry, entries)
            if below == n_in and layer.biases is not None:
                yield weight_line(step, index, unit, None, layer.biases, number)
            else:
                yield weight_line(step, index, unit, below, layer.weights, number)


def as_latex(step: Step, decimals: int | None, most: int) -> str:
    """A whole step as equations: an ``aligned`` environment without dollar signs."""
    number = number_format(step, decimals)
    lines = [
        *forward_lines(step, number, most),
        *loss_lines(step, number, most),
        *delta_lines(step, number, most),
        *update_lines(step, number, most),
    ]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"
