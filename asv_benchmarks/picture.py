"""The comparison as a picture: how many times faster fastbp is, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from measure import MANY, Measured
from peers import PEERS
from tables import peers_of, ratio_form

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
    "training": "Training, one step",
    "one": "Prediction of one row",
    "many": f"Prediction of {MANY:,} rows",
}
#: Of the distance between two workloads, how much their libraries take up.
BAND = 0.76
#: Inches: width of a column of panels, height of a workload in a panel, of all around a panel,
#: of the legend.
COLUMN, LINE, AROUND, LEGEND = 5.6, 0.62, 0.62, 0.75


def ratios_of(m: Measured, kind: str) -> dict[str, float]:
    """Return how many times longer than fastbp each library takes."""
    times: dict[str, float] = getattr(m, kind)
    return {name: times[name] / times["fastbp"] for name in PEERS if name in times}


def draw_panel(axes: Axes, measured: Sequence[Measured], kind: str, names: Sequence[str]) -> None:
    """Draw one panel: a band for each workload, a line in it for each library."""
    dtype = measured[0].dtype
    axes.set_title(f"{KINDS[kind]}, {dtype}", loc="left", fontsize=12, fontweight="bold")
    for place, m in enumerate(measured):
        if place % 2 == 0:
            axes.axhspan(place - 0.5, place + 0.5, color="#f3f3f3", zorder=0)
        for turn, (name, ratio) in enumerate(ratios_of(m, kind).items()):
            turn = names.index(name)
            y = place + BAND * ((turn + 0.5) / len(names) - 0.5)
            style = STYLES[name]
            axes.plot([1, ratio], [y, y], color=style.color, lw=1.4, alpha=0.55, zorder=2)
            axes.plot(ratio, y, style.marker, color=style.color, ms=6, zorder=4)
            right = ratio >= 1
            axes.annotate(
                ratio_form(ratio).format(ratio)[:-1],
                (ratio, y),
                xytext=(6 if right else -6, 0),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                fontsize=7.5,
                zorder=5,
            )
            goals = m.workload.goals if dtype == "float32" and kind == "training" else None
            goal = getattr(goals, name, None)
            if goal is not None:
                half = 0.5 * BAND / len(names)
                axes.plot([goal, goal], [y - half, y + half], color="black", lw=1.8, zorder=3)
    axes.axvline(1, color="black", lw=1, zorder=1)
    axes.set_yticks(range(len(measured)), [m.workload.name for m in measured], fontsize=11)
    axes.set_ylim(len(measured) - 0.5, -0.5)


def limits(measured: Sequence[Measured]) -> tuple[float, float]:
    """Return the ends of the scale, the same for all panels; goals lie inside, too."""
    found = [ratio for m in measured for kind in KINDS for ratio in ratios_of(m, kind).values()]
    for m in measured:
        if m.workload.goals is not None:
            found += [getattr(m.workload.goals, name, 1.0) for name in PEERS]
    return min(0.8, min(found) / 1.5), max(2.0, max(found) * 2.0)


def draw(measured: Sequence[Measured]) -> Figure:
    """Draw everything that was measured: a column for each dtype, a row for each kind of work."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, NullFormatter

    dtypes = list(dict.fromkeys(m.dtype for m in measured))
    by_dtype = {dtype: [m for m in measured if m.dtype == dtype] for dtype in dtypes}
    names = peers_of(measured)
    most = max(len(some) for some in by_dtype.values())
    height = LEGEND + len(KINDS) * (AROUND + LINE * most)
    figure = Figure(figsize=(COLUMN * len(dtypes), height), layout="constrained")
    panels = figure.subplots(len(KINDS), len(dtypes), sharex=True, squeeze=False)
    for row, kind in zip(panels, KINDS, strict=True):
        for axes, some in zip(row, by_dtype.values(), strict=True):
            draw_panel(axes, some, kind, names)
            axes.set_xscale("log")
            axes.set_xlim(*limits(measured))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", labelbottom=True)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x", color="#cccccc", lw=0.7, zorder=0)
            axes.set_axisbelow(True)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
    figure.supxlabel("time of the library / time of fastbp: right of 1x fastbp is faster")
    handles = [
        Line2D([], [], color=STYLES[n].color, marker=STYLES[n].marker, ms=7, label=PEERS[n].title)
        for n in names
    ]
    goal = Line2D([], [], color="black", marker="|", ms=10, mew=1.8, lw=0, label="goal")
    figure.legend(
        handles=[*handles, goal], loc="outside upper center", ncols=len(names) + 1, frameon=False
    )
    return figure


def save(measured: Sequence[Measured], path: Path) -> None:
    """Draw and write the picture; the ending of the name says in which format."""
    draw(measured).savefig(path, dpi=110)
