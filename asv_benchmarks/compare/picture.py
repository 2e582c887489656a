"""The comparison as a picture: how many times faster fastbp is, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from compare.measure import MANY, Measured
from compare.peers import PEERS
from compare.tables import peers_of, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Style(NamedTuple):
    """How a library is drawn: told apart by colour and by shape."""

    color: str
    marker: str


#: Okabe and Ito's colours, which the colour-blind can tell apart.
STYLES = {
    "sklearn": Style("#E69F00", "o"),
    "torch": Style("#D55E00", "s"),
    "torch_compile": Style("#CC79A7", "D"),
    "jax": Style("#0072B2", "^"),
    "numpy": Style("#009E73", "v"),
}
KINDS = {
    "training": "Training",
    "one": "Predicting one row",
    "many": f"Predicting {MANY:,} rows",
}
#: Share of the distance between two workloads that their libraries take up.
BAND = 0.84
#: Inches: width of a column of panels, height of a workload in a panel, of all around a panel,
#: of legend and label.
COLUMN = 3.9
LINE = 0.72
AROUND = 0.62
LEGEND = 0.8
#: A goal less than so many times further right than the ratio would stand in its label.
CLOSE = 1.9


def goal_of(m: Measured, kind: str, name: str) -> float | None:
    """Return the goal of a ratio, if it has one."""
    return getattr(m.goals, name, None) if kind == "training" else None


def draw_ratio(axes: Axes, y: float, ratio: float, style: Style, goal: float | None) -> None:
    """Draw one ratio at the height `y`: a line from 1, a mark, a number, and its goal."""
    axes.plot([1, ratio], [y, y], color=style.color, lw=1.5, alpha=0.55, zorder=2)
    axes.plot(ratio, y, style.marker, color=style.color, ms=6, zorder=4)
    right = ratio >= 1
    after = ratio
    if goal is not None:
        axes.plot(goal, y, "|", color="black", ms=9, mew=2, zorder=5)
        if ratio < goal < CLOSE * ratio:
            after = goal
    axes.annotate(
        times(ratio),
        (after, y),
        xytext=(6 if right else -6, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center_baseline",
        fontsize=8,
        zorder=6,
    )


def draw_panel(axes: Axes, measured: Sequence[Measured], kind: str, names: Sequence[str]) -> None:
    """Draw one panel: a band for each workload, a line in it for each library."""
    title = f"{KINDS[kind]}, {measured[0].dtype}"
    axes.set_title(title, loc="left", fontsize=12, fontweight="bold")
    for line, m in enumerate(measured):
        if line % 2 == 0:
            axes.axhspan(line - 0.5, line + 0.5, color="#f3f3f3", zorder=0)
        ratios = m.ratios(kind)
        for turn, name in enumerate(names):
            y = line + BAND * ((turn + 0.5) / len(names) - 0.5)
            if name in ratios:
                draw_ratio(axes, y, ratios[name], STYLES[name], goal_of(m, kind, name))
            else:
                axes.text(1.1, y, "fails", va="center", fontsize=8, color=STYLES[name].color)
    axes.axvline(1, color="black", lw=1, zorder=1)
    sizes = ["-".join(map(str, m.workload.layer_sizes)) for m in measured]
    labels = [f"{m.workload.name}\n{size}" for m, size in zip(measured, sizes, strict=True)]
    axes.set_yticks(range(len(measured)), labels, fontsize=9)
    axes.set_ylim(len(measured) - 0.5, -0.5)


def limits(measured: Sequence[Measured]) -> tuple[float, float]:
    """Return the ends of the scale, the same for all panels; goals lie inside, too."""
    found = [ratio for m in measured for kind in KINDS for ratio in m.ratios(kind).values()]
    goals = [goal_of(m, kind, name) for m in measured for kind in KINDS for name in STYLES]
    most = max([1.0, *found, *(goal for goal in goals if goal is not None)])
    least = min([1.0, *found])
    return (0.8 if least == 1 else least / 3.5), 3.5 * most


def set_scale(axes: Axes, ends: tuple[float, float]) -> None:
    """Lay out the logarithmic axis of ratios and take away what only fills the panel."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelbottom=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#cccccc", lw=0.7, zorder=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def draw(measured: Sequence[Measured]) -> Figure:
    """Draw everything that was measured: a row for each dtype, a column for each kind of work."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    dtypes = list(dict.fromkeys(m.dtype for m in measured))
    names = peers_of(measured)
    lines = len({m.workload.name for m in measured})
    size = COLUMN * len(KINDS), LEGEND + len(dtypes) * (AROUND + LINE * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(dtypes), len(KINDS), sharex=True, sharey=True, squeeze=False)
    for row, dtype in zip(panels, dtypes, strict=True):
        for axes, kind in zip(row, KINDS, strict=True):
            draw_panel(axes, [m for m in measured if m.dtype == dtype], kind, names)
            set_scale(axes, limits(measured))
    figure.supxlabel("how many times as long as fastbp a library takes: 1x is as long", fontsize=11)
    handles = [
        Line2D([], [], color=STYLES[n].color, marker=STYLES[n].marker, ms=7, label=PEERS[n].title)
        for n in names
    ]
    goal = Line2D([], [], color="black", marker="|", ms=10, mew=2, lw=0, label="goal")
    figure.legend(
        handles=[*handles, goal],
        loc="outside upper center",
        ncols=len(names) + 1,
        frameon=False,
        fontsize=11,
    )
    return figure


def save(measured: Sequence[Measured], path: Path) -> None:
    """Draw and write the picture; the ending of the name says in which format."""
    draw(measured).savefig(path, dpi=120)
