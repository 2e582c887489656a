"""The table and the picture of from_loops.py, and where they stand in docs/how_it_works.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numba
from llvmlite import binding

from compare.tables import table, time_form, times
from fastbp.machine.peak import cpu_model

#: What is measured, in the order of the page.
TITLES = {
    "python": "plain loops in Python",
    "plain": "the same loops, compiled",
    "vectors": "feature by feature: rows fill the vectors",
    "tiles": "sums in tiles of registers",
    "packed": "operands copied into the order of reading",
    "at once": "weights updated while the gradient is cached",
    "step": "fastbp, one update a call: `net.step`",
    "fit": "fastbp, many epochs a call: `net.fit`",
}
DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "how_it_works.md"
PICTURE = DOCS / "how_it_works.png"
BEGIN = "<!-- from_loops:begin -->"
END = "<!-- from_loops:end -->"


class Found(NamedTuple):
    """Seconds of an update, and the share of the FMA peak."""

    seconds: float
    share: float


def percent(share: float) -> str:
    """A share, to two figures."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def lines(ways: Mapping[str, Found]) -> list[list[str]]:
    """The cells of the table of a net, a line for each way to train."""
    found = []
    above: Found | None = None
    for name, title in TITLES.items():
        now = ways[name]
        factor = "" if above is None else times(above.seconds / now.seconds)
        found.append([title, time_form(now.seconds), factor, percent(now.share)])
        above = now
    return found


def report(nets: Mapping[str, Mapping[str, Found]]) -> str:
    """A table for each net, and what they were measured on."""
    cpu = f"{cpu_model()} ({binding.get_host_cpu_name()})"
    head = f"{cpu}, one core; Numba {numba.__version__}; float32, Adam."
    tables = [
        table([net, "an update", "times faster", "of FMA peak"], lines(ways))
        for net, ways in nets.items()
    ]
    return "\n\n".join([head, *tables]) + "\n"


def draw(nets: Mapping[str, Mapping[str, Found]]) -> None:
    """Draw the share of the FMA peak after each step."""
    from matplotlib.figure import Figure

    # One below the other, so that it can be read on a narrow screen.
    figure = Figure(figsize=(5.4, 0.4 + 2.6 * len(nets)), layout="constrained")
    axes = figure.subplots(len(nets), 1, sharex=True, squeeze=False)[:, 0]
    titles = [title.replace("`", "") for title in TITLES.values()]
    for panel, (net, ways) in zip(axes, nets.items(), strict=True):
        panel.barh(range(len(TITLES)), [100 * ways[name].share for name in TITLES], color="#0072B2")
        for y, name in enumerate(TITLES):
            text = f"{percent(ways[name].share)}, {time_form(ways[name].seconds)}"
            inside = ways[name].share > 0.5
            panel.text(
                100 * ways[name].share + (-2 if inside else 2), y, text, va="center", fontsize=8.5,
                ha="right" if inside else "left", color="white" if inside else "black",
            )  # fmt: skip
        panel.axvline(100, color="black", lw=1)
        panel.set_xlim(0, 104)
        panel.set_title(net, loc="left", fontsize=10, fontweight="bold")
        panel.set_yticks(range(len(TITLES)), titles, fontsize=8.5)
        panel.spines[["top", "right"]].set_visible(False)
        panel.tick_params(axis="x", labelsize=8.5)
        panel.invert_yaxis()
    axes[-1].set_xlabel("% of the FMA peak", fontsize=9)
    figure.savefig(PICTURE, dpi=130)


def write(text: str) -> None:
    """Put the table between the markers of the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")
