"""Drawings of a graph: with matplotlib, and as text for Graphviz."""

from __future__ import annotations

from typing import Any

from fastbp.graph.evaluation import Array
from fastbp.graph.flat import Flat
from fastbp.graph.placement import layout_of
from fastbp.graph.text import SYMBOLS, number_text

VALUE = "#1a7f37"
DERIVATIVE = "#c62828"
FILLS = {"variable": "#dbe9fb", "constant": "#f1f1f1", "output": "#fdf0d0"}
DIGITS = 4


def _label(flat: Flat, node: int) -> str:
    """The text in a node: a variable's name, a step's name and operation."""
    operation = flat.operations[node]
    name = flat.names[node]
    if operation in ("constant", "variable"):
        return name
    symbol = SYMBOLS.get(operation, operation)
    return f"{name}: {symbol}" if flat.is_named[node] and not _is_automatic(flat, node) else symbol


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
        size = max(4.0, 1.35 * (width + 1)), max(2.0, 0.95 * (height + 1))
        _, ax = plt.subplots(figsize=size, layout="constrained")
    boxes = {}
    for node, position in layout.positions.items():
        style = {"boxstyle": "round,pad=0.35", "fc": _fill(flat, node), "ec": "#444444"}
        boxes[node] = ax.text(
            *position, _label(flat, node), ha="center", va="center", bbox=style, zorder=3
        )
        if found is not None:
            _write_values(ax, flat, node, position, found)
    for argument, node, bends in layout.edges:
        _edge(ax, boxes[argument], boxes[node], bends)
    ax.set(xlim=(-0.6, width + 0.6), ylim=(-0.6, height + 0.6))
    ax.set_axis_off()
    if found is not None:
        title = f"above: value; below: derivative of {_output_name(flat)}"
        ax.set_title(title, fontsize="medium")
    return ax


def _output_name(flat: Flat) -> str:
    return "the output" if _is_automatic(flat, len(flat) - 1) else flat.names[-1]


def _write_values(
    ax: Any, flat: Flat, node: int, position: tuple[float, float], found: tuple[Array, Array]
) -> None:
    """The value above a node and its derivative below."""
    if flat.operations[node] == "constant":
        return
    for array, offset, va, color in (
        (found[0], 13, "bottom", VALUE),
        (found[1], -13, "top", DERIVATIVE),
    ):
        ax.annotate(
            number_text(array[node], DIGITS), position, (0, offset), textcoords="offset points",
            ha="center", va=va, color=color, fontsize="small", zorder=4,
            bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.8},
        )  # fmt: skip


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
