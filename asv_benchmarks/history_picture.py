"""The history as a picture, from the results of one machine: `history_picture.py FILE.png`."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HERE = Path(__file__).resolve().parent


class Line(NamedTuple):
    """One line of a panel: a benchmark, its parameters, what it is called and drawn with."""

    label: str
    color: str
    benchmark: str
    parameters: tuple[str, ...] = ()


class Panel(NamedTuple):
    """A panel: its title, which says the unit, what the figures are multiplied by, its lines."""

    title: str
    scale: float
    lines: tuple[Line, ...]


#: Okabe and Ito's colours, which the colour-blind can tell apart; a line has its name beside it.
BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, BROWN = "#CC79A7", "#56B4E9", "#000000", "#8C6D31"
WORKLOAD_COLORS = {
    "wide": BLACK,
    "deep": BLUE,
    "mnist": RED,
    "default": GREEN,
    "digits": ORANGE,
    "surrogate": PURPLE,
    "tiny": SKY,
    "online": BROWN,
}
SHARES = Panel(
    "Training: share of the FMA peak, %",
    100.0,
    tuple(
        Line(name, color, "bench_training.Training.track_share_of_peak", (name,))
        for name, color in WORKLOAD_COLORS.items()
    ),
)
OTHERS = (
    Panel(
        "Fresh process: import and first fit, s",
        1.0,
        (
            Line("empty cache", RED, "bench_cold.Cold.track_first_fit_empty_cache"),
            Line("warm cache", BLUE, "bench_cold.Cold.track_first_fit_warm_cache"),
        ),
    ),
    Panel(
        "Peak memory of that process, MiB",
        1.0,
        (
            Line("all", BLUE, "bench_memory.Process.track_peak_rss"),
            Line("beyond NumPy", ORANGE, "bench_memory.Process.track_peak_rss_beyond_numpy"),
        ),
    ),
    Panel(
        "After 1,000 updates: accuracy, R²",
        1.0,
        (
            Line("breast cancer", PURPLE, "bench_quality.Quality.track_breast_cancer_accuracy"),
            Line("digits", GREEN, "bench_quality.Quality.track_digits_accuracy"),
            Line("diabetes (R²)", BLACK, "bench_quality.Quality.track_diabetes_r2"),
        ),
    ),
)


class NoResultsError(Exception):
    """There is nothing to draw."""


class Measured(NamedTuple):
    """The results of one commit.

    `values` maps (benchmark, parameters) to a figure; what was not measured is not in it.
    """

    commit: str
    date: datetime
    values: dict[tuple[str, tuple[str, ...]], float]


def read(path: Path) -> Measured:
    """Read a file of asv's: one commit in one environment."""
    content = json.loads(path.read_text(encoding="utf-8"))
    columns: list[str] = content["result_columns"]
    values = {}
    for benchmark, row in content["results"].items():
        cells: Mapping[str, Any] = dict(zip(columns, row, strict=False))
        # Parameters are written as in Python, strings in quotes.
        names = [[name.strip("'") for name in axis] for axis in cells["params"]]
        for parameters, value in zip(product(*names), cells["result"] or [], strict=False):
            if value is not None and math.isfinite(value):
                values[benchmark, parameters] = float(value)
    date = datetime.fromtimestamp(content["date"] / 1000, UTC)
    return Measured(content["commit_hash"], date, values)


def history(folder: Path) -> list[Measured]:
    """Read the results of a machine, oldest commit first.

    Those of the environment (Python and its packages) with most commits; of the last by name where
    several have as many.

    Raises
    ------
    NoResultsError
        If there are none.
    """
    environments: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*-*.json")):
        environments.setdefault(path.stem.partition("-")[2], []).append(path)
    if not environments:
        raise NoResultsError(f"there are no results in {folder}")
    name = max(environments, key=lambda env: (len(environments[env]), env))
    return sorted((read(path) for path in environments[name]), key=lambda m: (m.date, m.commit))


def series(measured: Sequence[Measured], line: Line, scale: float) -> list[float]:
    """Return the figures of a line, NaN where there is none."""
    key = (line.benchmark, line.parameters)
    return [m.values.get(key, math.nan) * scale for m in measured]


def apart(heights: Sequence[float], least: float) -> list[float]:
    """Move heights as little as can be so that they lie at least so far apart, in their order.

    With ``least`` times its rank taken off each, they must not fall: neighbours that do share
    their mean (isotonic regression by pooling).
    """
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    pools: list[list[float]] = []
    for rank, i in enumerate(order):
        pools.append([heights[i] - rank * least])
        while len(pools) > 1 and fmean(pools[-1]) < fmean(pools[-2]):
            pools[-2:] = [pools[-2] + pools[-1]]
    means = [fmean(pool) for pool in pools for _ in pool]
    result = [0.0] * len(heights)
    for rank, i in enumerate(order):
        result[i] = means[rank] + rank * least
    return result


def draw_panel(axes: Axes, measured: Sequence[Measured], panel: Panel, height: float) -> None:
    """Draw the lines of a panel, each with its name at its right end.

    Parameters
    ----------
    axes : Axes
    measured : sequence of Measured
    panel : Panel
    height : float
        Of a name, as a share of the panel.
    """
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    found = [(line, series(measured, line, panel.scale)) for line in panel.lines]
    found = [(line, values) for line, values in found if not all(map(math.isnan, values))]
    for line, values in found:
        axes.plot(range(len(values)), values, "o-", color=line.color, ms=3.5, lw=1.6)
    axes.set_ylim(bottom=0)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.02)
    ends = [next(v for v in reversed(values) if not math.isnan(v)) for _, values in found]
    places = apart(ends, height * axes.get_ylim()[1])
    for (line, _), end, place in zip(found, ends, places, strict=True):
        number = f"{end:.0f}" if end >= 20 else f"{end:.2g}"
        axes.annotate(
            f"{line.label} {number}",
            (len(measured) - 1, place),
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


def label_commits(axes: Axes, measured: Sequence[Measured], *, names: bool) -> None:
    """Write hash and date of each commit below a panel, or only set the marks."""
    axes.set_xticks(range(len(measured)))
    labels = [f"{m.commit[:7]}  {m.date:%m-%d %H:%M}" for m in measured]
    axes.set_xticklabels(
        labels if names else [],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
        fontsize=7.5,
        family="monospace",
    )


def draw(measured: Sequence[Measured], machine: Mapping[str, str]) -> Figure:
    """Draw the history: training at the left; start, memory and accuracy at the right.

    Parameters
    ----------
    measured : sequence of Measured
        Oldest commit first.
    machine : mapping of str to str
        What asv knows of the machine.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 6.6), dpi=110, layout="constrained")
    places = figure.add_gridspec(3, 2, width_ratios=(1.25, 1))
    left = figure.add_subplot(places[:, 0])
    draw_panel(left, measured, SHARES, 0.034)
    label_commits(left, measured, names=True)
    for place, panel in enumerate(OTHERS):
        axes = figure.add_subplot(places[place, 1])
        draw_panel(axes, measured, panel, 0.13)
        label_commits(axes, measured, names=place == len(OTHERS) - 1)
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
    parser.add_argument("picture", type=Path, nargs="?", default=HERE / "history.png")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "reference")
    options = parser.parse_args(arguments)
    try:
        measured = history(options.results)
    except NoResultsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    machine = json.loads((options.results / "machine.json").read_text(encoding="utf-8"))
    draw(measured, machine).savefig(options.picture)
    print(f"{options.picture}: {len(measured)} commits")
    return 0


if __name__ == "__main__":
    sys.exit(main())
