"""Drawings of a graph: with matplotlib, and as text for Graphviz."""

from __future__ import annotations

from typing import Any

from fastbp.graph.evaluation import Array
from fastbp.graph.flat import Flat
from fastbp.graph.placement import layout_of
from fastbp.graph.text import SYMBOLS, greek, number_text

VALUE = "#1a7f37"
DERIVATIVE = "#c62828"
FILLS = {"variable": "#dbe9fb", "constant": "#f1f1f1", "output": "#fdf0d0"}
DIGITS = 4
LONGEST = 16
"""Characters of a step with its formula up to which the formula is written."""
LINE = 12.5
"""Points from one line in a box to the next."""


def _label(flat: Flat, node: int) -> str:
    """The text in a node: a variable's name; a step with its name by its formula, else its sign."""
    operation = flat.operations[node]
    name = flat.names[node]
    if operation in ("constant", "variable"):
        return greek(name)
    symbol = SYMBOLS.get(operation, operation)
    if not flat.is_named[node] or _is_automatic(flat, node):
        return symbol
    text = greek(f"{name} = {flat.formulas[node]}")
    return text if len(text) <= LONGEST else greek(f"{name}: {symbol}")


def _is_automatic(flat: Flat, node: int) -> bool:
    """Whether the node's name was made from its number, as for an output without a name."""
    name = flat.names[node]
    return node == len(flat) - 1 and name[0] == "v" and name[1:].isdigit()


def _fill(flat: Flat, node: int) -> str:
    kind = "output" if node == len(flat) - 1 else flat.operations[node]
    return FILLS.get(kind, "white")


def draw(flat: Flat, found: tuple[Array, Array] | None, ax: Any) -> Any:
    """`Expression.draw`; `found` holds the values and adjoints of all nodes, if there are any."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "drawing needs matplotlib: pip install matplotlib; to_dot works without it"
        ) from error
    layout = layout_of(flat)
    width, height = (max(position[i] for position in layout.positions.values()) for i in (0, 1))
    if ax is None:
        size = max(4.0, 1.6 * (width + 1)), max(2.0, 0.95 * (height + 1))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    boxes = {}
    for node, position in layout.positions.items():
        style = {"boxstyle": "round,pad=0.35", "fc": _fill(flat, node), "ec": "#444444"}
        lines = {0: (_label(flat, node), "black")}
        if found is not None and flat.operations[node] != "constant":
            lines[1] = number_text(found[0][node], DIGITS), VALUE
            lines[-1] = number_text(found[1][node], DIGITS), DERIVATIVE
        boxes[node] = _box(ax, position, lines, style)
    for argument, node, bends in layout.edges:
        _edge(ax, boxes[argument], boxes[node], bends)
    ax.set(xlim=(-0.6, width + 0.6), ylim=(-0.6, height + 0.6))
    ax.set_axis_off()
    if found is not None:
        title = f"above: value; below: derivative of {greek(_output_name(flat))} by it"
        ax.set_title(title, fontsize="medium")
    return ax


def _output_name(flat: Flat) -> str:
    return "the output" if _is_automatic(flat, len(flat) - 1) else flat.names[-1]


def _box(
    ax: Any, position: tuple[float, float], lines: dict[int, tuple[str, str]], style: dict[str, Any]
) -> Any:
    """A box with coloured lines of text, numbered from the middle upwards; edges end at it."""
    texts = [text for text, _ in lines.values()]
    widest = max(texts, key=len)  # transparent, it sizes the box
    box = ax.text(
        *position, "\n".join(["", widest, ""] if len(lines) > 1 else [widest]), ha="center",
        va="center", alpha=0, bbox={"alpha": 1} | style, zorder=2, linespacing=1.25,
    )  # fmt: skip
    box.set_gid("box")
    for line, (text, color) in lines.items():
        ax.annotate(text, position, (0, line * LINE), textcoords="offset points", ha="center",
                    va="center", color=color, zorder=4)  # fmt: skip
    return box


def _edge(ax: Any, start: Any, end: Any, bends: list[tuple[float, float]]) -> None:
    """A line from one box along the bends, with an arrow at the other box."""
    points = [start.get_position(), *bends, end.get_position()]
    line = {"color": "#777777", "lw": 1.0, "zorder": 1}
    if bends:
        ax.annotate(
            "", points[1], points[0], zorder=1,
            arrowprops={**line, "arrowstyle": "-", "patchA": start.get_bbox_patch(),
                        "shrinkA": 1, "shrinkB": 0},
        )  # fmt: skip
        ax.plot(*zip(*bends, strict=True), **line)
    ax.annotate(
        "", points[-1], points[-2], zorder=1,
        arrowprops={**line, "arrowstyle": "-|>", "patchB": end.get_bbox_patch(), "shrinkB": 2,
                    "patchA": None if bends else start.get_bbox_patch(),
                    "shrinkA": 0 if bends else 1},
    )  # fmt: skip


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def to_dot(flat: Flat, found: tuple[Array, Array] | None) -> str:
    """`Expression.to_dot`; `found` as in `draw`."""
    lines = ["digraph {", "  rankdir=LR;", '  node [style="rounded,filled", fillcolor=white];']
    for node, operation in enumerate(flat.operations):
        label = _label(flat, node)
        if found is not None and operation != "constant":
            value, slope = (number_text(array[node], DIGITS) for array in found)
            label += f"\nvalue {value}\nd{_output_name(flat)}/d. {slope}"
        shape = "plaintext" if operation == "constant" else "box"
        lines.append(
            f"  n{node} [label={_quoted(label)}, shape={shape}, "
            f"fillcolor={_quoted(_fill(flat, node))}];"
        )
    for node, arguments in enumerate(flat.arguments):
        lines += [f"  n{argument} -> n{node};" for argument in arguments]
    return "\n".join([*lines, "}", ""])
