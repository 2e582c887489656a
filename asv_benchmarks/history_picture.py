"""The history as a picture, from the results of one machine: `history_picture.py FILE.png`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isnan, nan
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from asv.results import Results

from asv_calls import SUITE, Key, TroubleError, figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's colours, which the colour-blind can tell apart; a line has its name beside it.
WORKLOAD_COLORS = {
    "wide": "#000000",
    "deep": "#0072B2",
    "mnist": "#D55E00",
    "default": "#009E73",
    "digits": "#E69F00",
    "surrogate": "#CC79A7",
    "tiny": "#56B4E9",
    "online": "#8C6D31",
}


class Line(NamedTuple):
    """One line of a panel: its name, its colour, and the figures that it shows."""

    label: str
    color: str
    key: Key
    factor: float = 1.0

    def values(self, measured: Sequence[Measured]) -> list[float]:
        """Return a value for each commit, NaN where there is none."""
        return [self.factor * m.values.get(self.key, nan) for m in measured]


SHARE = "bench_training.Training.track_share_of_peak"
#: The lines of each panel, by its title; the first panel is the large one at the left.
PANELS = {
    "Training: share of the FMA peak, %": [
        Line(name, color, Key(SHARE, (f"'{name}'",)), 100)
        for name, color in WORKLOAD_COLORS.items()
    ],
    "Fresh process: import and first fit, s": [
        Line("empty cache", "#D55E00", Key("bench_cold.Cold.track_first_fit_empty_cache")),
        Line("warm cache", "#0072B2", Key("bench_cold.Cold.track_first_fit_warm_cache")),
    ],
    "Peak memory of that process, MiB": [
        Line("all", "#0072B2", Key("bench_memory.Process.track_peak_rss")),
        Line("beyond NumPy", "#E69F00", Key("bench_memory.Process.track_peak_rss_beyond_numpy")),
    ],
    "After 1,000 updates: accuracy, R²": [
        Line("breast cancer", "#CC79A7", Key("bench_quality.Quality.track_breast_cancer_accuracy")),
        Line("digits", "#009E73", Key("bench_quality.Quality.track_digits_accuracy")),
        Line("diabetes (R²)", "#000000", Key("bench_quality.Quality.track_diabetes_r2")),
    ],
}


class Measured(NamedTuple):
    """The results of one commit: its date, its hash, a value by benchmark and parameters."""

    date: datetime
    commit: str
    values: dict[Key, float]


def read(path: Path) -> Measured:
    """Read a file of asv's: one commit in one environment."""
    results = Results.load(str(path))
    values = {key: values[0] for key, values in figures(results).items() if values}
    return Measured(datetime.fromtimestamp(results.date / 1000, UTC), results.commit_hash, values)


def history(folder: Path) -> list[Measured]:
    """Read the results of a machine, oldest commit first.

    They are those of the environment (Python and its packages) with the most commits, and of the
    last by name where several have the same number.

    Raises
    ------
    TroubleError
        If there are none.
    """
    paths = sorted(folder.glob("*-*.json"))
    counts = Counter(path.stem.partition("-")[2] for path in paths)
    if not counts:
        raise TroubleError(f"there are no results in {folder}")
    name = max(counts, key=lambda env: (counts[env], env))
    return sorted(read(path) for path in paths if path.stem.endswith(f"-{name}"))


def apart(heights: Sequence[float], least: float) -> list[float]:
    """Move heights as little as can be so that they lie at least so far apart, in their order.

    With ``least`` times its rank taken off each, they must not fall. The nearest heights that do
    not (isotonic regression) are the largest of the least means of runs around each.
    """
    order = sorted(range(len(heights)), key=heights.__getitem__)
    flat = [heights[i] - rank * least for rank, i in enumerate(order)]
    result = [0.0] * len(heights)
    for rank, i in enumerate(order):
        ends = range(rank + 1, len(flat) + 1)
        runs = (min(fmean(flat[begin:end]) for end in ends) for begin in range(rank + 1))
        result[i] = max(runs) + rank * least
    return result


def draw_panel(axes: Axes, title: str, measured: Sequence[Measured], height: float) -> None:
    """Draw the lines of a panel with their names at the right ends; `height` is that of a name."""
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    drawn = [(line, line.values(measured)) for line in PANELS[title]]
    drawn = [(line, values) for line, values in drawn if not all(map(isnan, values))]
    for line, values in drawn:
        axes.plot(values, "o-", color=line.color, ms=3.5, lw=1.6)
    axes.set_ylim(bottom=0)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.02)
    ends = [next(v for v in reversed(values) if not isnan(v)) for _, values in drawn]
    heights = apart(ends, height * axes.get_ylim()[1])
    for (line, _), end, y in zip(drawn, ends, heights, strict=True):
        axes.annotate(
            f"{line.label} {end:.0f}" if end >= 20 else f"{line.label} {end:.2g}",
            (len(measured) - 1, y),
            xytext=(8, 0),
            textcoords="offset points",
            va="center_baseline",
            color=line.color,
            fontsize=8.5,
            annotation_clip=False,
        )
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(-0.4, len(measured) - 0.6)
    axes.set_xticks(range(len(measured)), [])


def draw(measured: Sequence[Measured], machine: Mapping[str, str]) -> Figure:
    """Draw training at the left; start, memory and accuracy at the right."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.6), dpi=110, layout="constrained")
    left, *right = PANELS
    panels = figure.subplot_mosaic([[left, title] for title in right], width_ratios=(1.25, 1))
    for title, axes in panels.items():
        draw_panel(axes, title, measured, 0.034 if title == left else 0.13)
    labels = [f"{m.commit[:7]}  {m.date:%m-%d %H:%M}" for m in measured]
    style = {"rotation": 60, "ha": "right", "rotation_mode": "anchor", "family": "monospace"}
    for title in (left, right[-1]):
        panels[title].set_xticks(range(len(measured)), labels, fontsize=7.5, **style)
    days = sorted({f"{m.date:%Y-%m-%d}" for m in measured})
    figure.suptitle(
        f"fastbp, {' to '.join(days if len(days) < 2 else (days[0], days[-1]))}: {len(measured)} "
        f"commits, one thread of {machine.get('cpu', 'an unnamed processor')}",
        fontsize=11,
    )
    return figure


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the committed results; return the exit code."""
    parser = argparse.ArgumentParser(prog="history_picture.py", description=__doc__)
    parser.add_argument("picture", type=Path, nargs="?", default=SUITE / "history.png")
    parser.add_argument("--results", type=Path, default=SUITE / "results" / "reference")
    options = parser.parse_args(arguments)
    try:
        measured = history(options.results)
    except TroubleError as error:
        print(f"trouble: {error}", file=sys.stderr)
        return 1
    machine = json.loads((options.results / "machine.json").read_text(encoding="utf-8"))
    draw(measured, machine).savefig(options.picture)
    print(f"{options.picture}: {len(measured)} commits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
