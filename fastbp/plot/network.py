"""`network`: units as circles, weights as lines between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.axes import axes

POSITIVE = "#2166ac"
NEGATIVE = "#b2182b"
"""Colours of weights by their sign, which the colour-blind can tell apart too."""
MOST_LABELS = 16
"""Weights between two layers up to which they are written on their lines."""
RADIUS = 0.3
"""Radius of a unit."""
APART = 1.5, 1.0
"""Distance of a layer's units from each other: where none has more than `SMALL`, and else."""
SMALL = 4
ACROSS = 3.0
"""Distance from one layer to the next."""
HALF_LABEL = 0.16
"""Half the length of a label, as a share of its line."""
FROM_LINE = 0.16
FROM_LABEL = 0.26
"""Distances from a label to other lines and to other labels that are enough."""
CAPTION = "blue: weights above 0, red: below 0; thickness: magnitude within the layer"
FloatArray = npt.NDArray[np.floating]


class _Drawable(Protocol):
    """What `network` needs of a net: `MLP` and `Perceptron` have it."""

    @property
    def layer_sizes(self) -> tuple[int, ...]: ...
    @property
    def activations(self) -> tuple[Any, ...]: ...
    @property
    def bias(self) -> bool: ...
    @property
    def weights(self) -> tuple[FloatArray, ...]: ...
    @property
    def biases(self) -> tuple[FloatArray, ...]: ...


class Column(NamedTuple):
    """The units of one layer that are drawn.

    Attributes
    ----------
    units : list of int
        Their indices.
    heights : list of float
        The height at which each is drawn.
    gap : float or None
        The height of the dots for the units that are left out.
    """

    units: list[int]
    heights: list[float]
    gap: float | None


def column_of(count: int, most: int) -> Column:
    """The units of a layer that are drawn, the first at the top, centred at height 0."""
    if count <= most:
        rows = count
        units = list(range(count))
        gap = None
    else:
        first = -(-most // 2)
        units = [*range(first), *range(count - (most - first), count)]
        rows = most + 1
        gap = first
    middle = (rows - 1) / 2
    heights = [middle - row for row in range(rows) if row != gap]
    return Column(units, heights, None if gap is None else middle - gap)


def network(
    net: _Drawable,
    *,
    ax: Any = None,
    after: _Drawable | None = None,
    outputs: Sequence[npt.ArrayLike] | None = None,
    labels: bool | None = None,
    most: int = 8,
) -> Any:
    """Draw a network: units in columns, and a line for each weight.

    A line is blue for a positive weight and red for a negative one. Its width shows the magnitude
    of the weight, relative to the largest of its layer. The names of units are those of lectures,
    which count from 1: x1 for inputs, h1 for hidden units (h2.1 in the second of several hidden
    layers), o1 for outputs.

    Parameters
    ----------
    net : MLP or Perceptron
    ax : matplotlib Axes, default=None
        None makes a figure large enough for all units.
    after : MLP or Perceptron, optional
        The same net after some training: the labels read "before → after". Colours and widths are
        those of `net`.
    outputs : sequence of array, optional
        Outputs of the units, written into the circles: one array (n,) for each layer, inputs
        first.
    labels : bool, optional
        Whether weights and biases are written. None writes those of layers with up to 16 lines.
    most : int, default=8
        Units per layer that are drawn, at least 2; of a wider layer the first and the last ones,
        with dots in between.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If `net` is not a net, or `after` or `outputs` do not fit it.

    Examples
    --------
    >>> from fastbp import MLP, plot
    >>> ax = plot.network(MLP((2, 3, 1), seed=0))
    """
    values = _checked(net, after, outputs)
    most = checks.count("most", most, 2)
    if labels is not None:
        labels = checks.flag("labels", labels)
    columns = [column_of(size, most) for size in net.layer_sizes]
    tallest = max(len(column.units) + (column.gap is not None) for column in columns)
    apart = APART[tallest > SMALL]
    columns = [_spread(column, apart) for column in columns]
    top = apart * (tallest - 1) / 2 + 0.5
    if ax is None:
        ax = axes(figsize=(1.6 + 2.3 * (len(columns) - 1), 1.5 + 1.7 * top))
    else:
        ax = axes(ax)
    for layer, (left, right) in enumerate(zip(columns, columns[1:], strict=False)):
        count = len(left.units) * len(right.units)
        written = count <= MOST_LABELS if labels is None else labels
        _draw_weights(ax, net, after, layer, (left, right), written)
        if written and net.bias:
            _draw_biases(ax, net, after, layer, right)
    for index, column in enumerate(columns):
        _draw_units(ax, net, index, column, None if values is None else values[index])
        _draw_name(ax, net, index, -top - 0.25)
    middle = (len(columns) - 1) * ACROSS / 2
    ax.text(middle, -top - 0.95, CAPTION, ha="center", va="top", fontsize=7, color="0.4")
    ax.set_xlim(-0.8, 2 * middle + 0.8)
    ax.set_ylim(-top - 1.25, top + 0.1)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _checked(net: Any, after: Any, outputs: Any) -> list[FloatArray] | None:
    """The outputs as arrays, if everything fits together."""
    for name, given in (("net", net), ("after", after)):
        is_net = all(hasattr(given, part) for part in ("layer_sizes", "activations", "weights"))
        if not is_net and not (given is None and name == "after"):
            raise TypeError(
                f"{name} must be an MLP or a Perceptron; got {type(given).__name__} {given!r}"
            )
    if after is not None and (after.layer_sizes, after.bias) != (net.layer_sizes, net.bias):
        raise ValueError(
            f"after must have the layers and biases of net, {net.layer_sizes}; got "
            f"{after.layer_sizes}"
        )
    if outputs is None:
        return None
    values = [np.asarray(array) for array in outputs]
    expected = [(size,) for size in net.layer_sizes]
    if [array.shape for array in values] != expected:
        raise ValueError(
            f"outputs must hold an array for each layer, inputs first, of shapes {expected}; got "
            f"{[array.shape for array in values]}"
        )
    return values


def _text(value: Any, after: Any = None) -> str:
    """A value in few digits; one that hardly changes gets enough digits to show the change."""
    if after is None or after == value:
        return f"{value:.3g}"
    for digits in range(3, 8):
        texts = f"{value:.{digits}g}", f"{after:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return f"{texts[0]} → {texts[1]}"


def _draw_weights(
    ax: Any,
    net: _Drawable,
    after: _Drawable | None,
    layer: int,
    ends: tuple[Column, Column],
    written: bool,
) -> None:
    """The lines between two layers."""
    weights = net.weights[layer]
    left, right = ends
    largest = float(np.abs(weights).max()) or 1.0
    pairs = [(i, j) for i in left.units for j in right.units]
    lines = np.array([(low, high) for low in left.heights for high in right.heights])
    x = np.array([layer, layer + 1]) * ACROSS
    for (i, j), line in zip(pairs, lines, strict=True):
        weight = float(weights[i, j])
        share = abs(weight) / largest
        ax.plot(
            x, line, color=POSITIVE if weight >= 0 else NEGATIVE, zorder=1,
            linewidth=0.4 + 3 * share, alpha=0.25 + 0.65 * share, solid_capstyle="round",
        )  # fmt: skip
    if not written:
        return
    for (i, j), line, at in zip(pairs, lines, label_positions(lines), strict=True):
        new = None if after is None else after.weights[layer][i, j]
        _draw_label(ax, x, line, at, _text(weights[i, j], new))


def label_positions(lines: npt.NDArray[np.float64]) -> list[float]:
    """Shares of the lines at which their labels stand, clear of other lines and labels.

    Parameters
    ----------
    lines : array, shape (lines, 2)
        The heights at which each begins and ends.
    """
    chosen: list[float] = []
    possible = sorted(np.linspace(0.28, 0.72, 23), key=lambda share: abs(share - 0.5))
    for number, line in enumerate(lines):
        room = [_room(lines, number, line, share, chosen) for share in possible]
        chosen.append(float(possible[int(np.argmax(room))]))
    return chosen


def _room(
    lines: npt.NDArray[np.float64], number: int, line: npt.NDArray[np.float64], share: float,
    chosen: list[float],
) -> float:  # fmt: skip
    """How much room a label has, as a share of what is enough, which is 1."""
    along = share + HALF_LABEL * np.linspace(-1, 1, 5)
    apart = np.abs((lines - line) @ np.array([1 - along, along])) / np.hypot(
        1.0, (line[1] - line[0]) / ACROSS
    )
    room = apart / FROM_LINE
    for other, taken in enumerate(chosen):
        beside = np.abs(along - taken) < HALF_LABEL
        room[other, beside] = apart[other, beside] / FROM_LABEL
    room[number] = 1.0
    return float(min(room.min(), 1.0))


def _spread(column: Column, apart: float) -> Column:
    """A column whose units are so far apart."""
    gap = None if column.gap is None else apart * column.gap
    return Column(column.units, [apart * height for height in column.heights], gap)


def _draw_label(
    ax: Any, x: npt.NDArray[Any], y: npt.NDArray[np.float64], share: float, text: str
) -> None:
    """A label on a line, rotated with it."""
    angle = np.degrees(np.arctan2(y[1] - y[0], x[1] - x[0]))
    ax.text(
        x[0] + share * (x[1] - x[0]), y[0] + share * (y[1] - y[0]), text, rotation=angle,
        rotation_mode="anchor", ha="center", va="center", fontsize=7, zorder=2,
        bbox={"boxstyle": "round,pad=0.12", "facecolor": "white", "edgecolor": "none",
              "alpha": 0.85},
    )  # fmt: skip


def _draw_biases(
    ax: Any, net: _Drawable, after: _Drawable | None, layer: int, column: Column
) -> None:
    """Biases below the units they enter."""
    for unit, height in zip(column.units, column.heights, strict=True):
        new = None if after is None else after.biases[layer][unit]
        text = f"b {_text(net.biases[layer][unit], new)}"
        ax.text(
            (layer + 1) * ACROSS, height - RADIUS - 0.03, text, ha="center", va="top",
            fontsize=6.5, color="0.3", zorder=4,
        )  # fmt: skip


def _draw_units(ax: Any, net: _Drawable, index: int, column: Column, values: Any) -> None:
    """The circles of a layer."""
    last = len(net.layer_sizes) - 1
    hidden = "h" if last == 2 else f"h{index}."
    symbol = "x" if index == 0 else "o" if index == last else hidden
    face = "#f0f0f0" if index == 0 else "#fff7e6" if index == last else "white"
    for unit, height in zip(column.units, column.heights, strict=True):
        circle = (index * ACROSS, height)
        patch = _circle(circle, RADIUS, facecolor=face, edgecolor="0.25", linewidth=1, zorder=3)
        ax.add_patch(patch)
        text = f"{symbol}{unit + 1}"
        if values is not None:
            text += f"\n{values[unit]:.3g}"
        ax.text(*circle, text, ha="center", va="center", fontsize=7, zorder=4)
    if column.gap is not None:
        ax.text(index * ACROSS, column.gap, "⋮", ha="center", va="center", fontsize=14, zorder=4)


def _circle(*arguments: Any, **options: Any) -> Any:
    from matplotlib.patches import Circle

    return Circle(*arguments, **options)


def _draw_name(ax: Any, net: _Drawable, index: int, height: float) -> None:
    """The name of a layer, below it."""
    size = net.layer_sizes[index]
    last = len(net.layer_sizes) - 1
    if index == 0:
        text = f"{size} input{'s' * (size > 1)}"
    else:
        kind = "output" if index == last else "hidden"
        text = f"{size} {kind}{'s' * (size > 1 and index == last)}\n{net.activations[index - 1]}"
    ax.text(index * ACROSS, height, text, ha="center", va="top", fontsize=8, color="0.2")
