"""The comparison as a picture: how many times faster fastbp trains, on a logarithmic scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compare.measure import Measured
from compare.peers import PEERS
from compare.tables import times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, which the colour-blind can tell apart.
COLORS = {
    "sklearn": "#E69F00",
    "torch": "#D55E00",
    "torch_compile": "#CC79A7",
    "jax": "#0072B2",
    "numpy": "#009E73",
}
#: Share of the distance between two nets that their bars take up.
BAND = 0.84
#: Inches: width, height of a bar, of all around the bars. It is read at 400 pixels, too.
WIDTH = 4.4
BAR = 0.17
AROUND = 1.05


def draw_bars(axes: Axes, measured: Sequence[Measured], names: Sequence[str]) -> None:
    """Draw a group of bars for each net, a bar in it for each library."""
    height = BAND / len(names)
    for line, m in enumerate(measured):
        if line % 2 == 0:
            axes.axhspan(line - 0.5, line + 0.5, color="#f3f3f3", zorder=0)
        ratios = m.ratios("training")
        for turn, name in enumerate(names):
            y = line + height * (turn + 0.5) - BAND / 2
            ratio = ratios.get(name)
            if ratio is not None:
                axes.barh(y, ratio - 1, left=1, height=0.9 * height, color=COLORS[name], zorder=2)
            axes.annotate(
                "fails" if ratio is None else times(ratio),
                (max(1.0, ratio or 1.0), y),
                xytext=(3, 0),
                textcoords="offset points",
                va="center_baseline",
                fontsize=8.5,
                zorder=3,
            )


def draw(measured: Sequence[Measured], names: Sequence[str]) -> Figure:
    """Draw the training of the first dtype that was measured.

    Parameters
    ----------
    measured : sequence of Measured
    names : sequence of str
        The libraries to draw, beside fastbp.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, NullFormatter

    shown = [m for m in measured if m.dtype == measured[0].dtype]
    height = AROUND + BAR / BAND * len(names) * len(shown)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots()
    draw_bars(axes, shown, names)
    ratios = [m.ratios("training").get(name, 1.0) for m in shown for name in names]
    axes.axvline(1, color="black", lw=1, zorder=4)
    axes.set_xscale("log")
    axes.set_xlim(min(1.0, *ratios) * 0.95, 3 * max(ratios))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    sizes = ["-".join(map(str, m.workload.layer_sizes)) for m in shown]
    axes.set_yticks(range(len(shown)), sizes, fontsize=9)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel(f"times faster per update, {shown[0].dtype}, one thread", fontsize=9)
    figure.legend(
        handles=[Patch(color=COLORS[name], label=PEERS[name].title) for name in names],
        loc="outside upper center",
        ncols=min(3, len(names)),
        frameon=False,
        fontsize=9,
        handlelength=1,
        columnspacing=1,
    )
    return figure


def save(measured: Sequence[Measured], path: Path, names: Sequence[str]) -> None:
    """Draw and write the picture; the ending of the name says in which format."""
    draw(measured, names).savefig(path, dpi=180)
