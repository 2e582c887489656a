"""The tables of the comparison, as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import NamedTuple

from compare.measure import MANY, Measured
from compare.peer_base import Peer
from compare.peers import PEERS
from compare.startup import EPOCHS, ROWS, Startup
from workloads import Workload

MISSED = " ✗"
FAILS = "fails"


class Machine(NamedTuple):
    """What the measurements ran on.

    Attributes
    ----------
    cpu : str
        Name and microarchitecture.
    core : int or None
        That the process was pinned to, if it could be.
    peaks : dict of str to float
        FMA peak by dtype, GFLOP/s.
    """

    cpu: str
    core: int | None
    peaks: dict[str, float]


class Row(NamedTuple):
    """One goal: what is measured, how it came out, what is asked for, and whether that is met."""

    what: str
    measured: str
    goal: str
    met: bool


def at_least(what: str, share: float, goal: float) -> Row:
    """Make a row for a share that must not fall short of its goal."""
    return Row(what, f"{100 * share:.1f} %", f">= {100 * goal:.0f} %", share >= goal)


def at_most(what: str, value: float, goal: float, unit: str) -> Row:
    """Make a row for an amount that must not exceed its goal."""
    return Row(what, f"{value:.2f} {unit}", f"<= {goal:g} {unit}", value <= goal)


def heading(machine: Machine, libraries: Sequence[type[Peer]], rounds: int) -> str:
    """Return the lines above the tables: the machine, the threads and the versions."""
    pinned = "" if machine.core is None else f", all pinned to core {machine.core}"
    peaks = ", ".join(f"{peak:.0f} GFLOP/s in {dtype}" for dtype, peak in machine.peaks.items())
    turns = "one round" if rounds == 1 else f"best of {rounds} rounds"
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{title} {version(title.lower())}" for title in ("NumPy", "Numba")]
    versions += [library.version() for library in libraries]
    return (
        f"{machine.cpu}, one thread for every library{pinned}; FMA loop by itself {peaks}; "
        f"{turns}, in turns within one process; {', '.join(dict.fromkeys(versions))}."
    )


def against(goal: float | None, written: str, value: float, unit: str) -> str:
    """Write a figure with its goal in brackets, and a mark if the goal is not met."""
    if goal is None:
        return written
    return f"{written} ({goal:g}{unit}){MISSED if value < goal else ''}"


def times(ratio: float) -> str:
    """Write how many times: two or three figures are enough."""
    return f"{ratio:.{2 if ratio < 9.995 else 1 if ratio < 19.95 else 0}f}x"


def time_form(seconds: float) -> str:
    """Write a time in the unit that suits it, to three figures."""
    fitting = (("µs", 1e6), ("ms", 1e3), ("s", 1.0))
    unit, scale = next((u, s) for u, s in fitting if seconds * s < 999.5 or u == "s")
    figure = seconds * scale
    return f"{figure:.{0 if figure >= 99.5 else 1 if figure >= 9.95 else 2}f} {unit}"


def net_of(workload: Workload) -> str:
    """Name a workload and its widths."""
    return f"{workload.name} {'-'.join(map(str, workload.layer_sizes))}"


def peers_of(measured: Sequence[Measured]) -> list[str]:
    """Return the libraries, without fastbp, that were tried, in the order of the columns."""
    return [
        name for name in PEERS if any(name in m.training or name in m.failures for m in measured)
    ]


def table(columns: Sequence[str], lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lay out a table whose first columns are aligned to the left, the others to the right."""
    rules = ["---"] * left + ["---:"] * (len(columns) - left)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (columns, rules, *lines))


def training_table(measured: Sequence[Measured]) -> str:
    """Return the table of training in one dtype; goals stand beside float32."""
    names = peers_of(measured)
    lines = []
    for m in measured:
        batch = "full" if m.workload.batch_size == m.workload.rows else str(m.workload.batch_size)
        written = {
            name: against(getattr(m.goals, name, None), times(ratio), ratio, "x")
            for name, ratio in m.ratios("training").items()
        }
        cells = [f"{net_of(m.workload)}, {batch}", time_form(m.training["fastbp"])]
        cells += [written.get(name, FAILS) for name in names]
        peak = 100 * m.goals.peak if m.goals and m.goals.peak else None
        cells.append(against(peak, f"{100 * m.share:.0f} %", 100 * m.share, " %"))
        lines.append(cells)
    titles = [f"x {PEERS[name].title}" for name in names]
    return table(["net, batch", "fastbp, a step", *titles, "of FMA peak"], lines)


def prediction_table(measured: Sequence[Measured]) -> str:
    """Return the table of prediction in one dtype: one row and many in each cell."""
    names = peers_of(measured)
    lines = []
    for m in measured:
        many = m.ratios("many")
        written = {
            name: f"{times(one)}, {times(many[name])}" for name, one in m.ratios("one").items()
        }
        cells = [net_of(m.workload), f"{time_form(m.one['fastbp'])}, {time_form(m.many['fastbp'])}"]
        lines.append(cells + [written.get(name, FAILS) for name in names])
    titles = [f"x {PEERS[name].title}" for name in names]
    return table(["net", "fastbp", *titles], lines)


def fresh_table(startup: Startup) -> str:
    """Return the table of fresh processes."""
    ours = startup.warm["fastbp"]
    lines = []
    for name, found in startup.warm.items():
        title = PEERS[name].title if name in PEERS else name
        cold = f"{startup.cold[name].seconds:.1f} s" if name in startup.cold else "-"
        later = f"{found.seconds:.2f} s"
        memory = f"{found.memory:.0f} MiB"
        if name != "fastbp":
            later += f" ({times(found.seconds / ours.seconds)})"
            memory += f" ({times(found.memory / ours.memory)})"
        lines.append([title, cold, later, memory])
    lines += [[PEERS[name].title, FAILS, FAILS, FAILS] for name in startup.failures]
    what = f"import and fit {ROWS} rows for {EPOCHS} epochs"
    return table([what, "first, empty cache", "later", "peak memory"], lines)


def startup_rows(startup: Startup) -> list[Row]:
    """Hold what was measured on fresh processes against its goals."""
    rows = [at_most("import and first fit, empty cache", startup.cold["fastbp"].seconds, 6, "s")]
    if "sklearn" in startup.warm:
        ours, theirs = startup.warm["fastbp"], startup.warm["sklearn"]
        seconds = ours.seconds / theirs.seconds
        memory = ours.memory / theirs.memory
        rows.append(at_most("import and fit, warm cache: time", seconds, 0.65, "x scikit-learn"))
        rows.append(at_most("the same: peak memory", memory, 1.3, "x scikit-learn"))
    return rows


def goals_table(rows: Sequence[Row]) -> str:
    """Return a table of goals."""
    lines = [[row.what, row.measured + ("" if row.met else MISSED), row.goal] for row in rows]
    return table(["what", "measured", "goal"], lines, left=3)


def folded(summary: str, text: str) -> str:
    """Return Markdown that is shown when its summary is clicked."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def failures_of(measured: Sequence[Measured], startup: Startup | None) -> list[str]:
    """Name every library that could not do something, what it was, and why."""
    found: dict[tuple[str, str], list[str]] = {}
    for m in measured:
        for failure in m.failures.items():
            found.setdefault(failure, []).append(f"{m.workload.name} in {m.dtype}")
    for failure in startup.failures.items() if startup is not None else ():
        found.setdefault(failure, []).append("a fresh process")
    return [
        f"{PEERS[name].title} fails on {', '.join(what)}: {reason}"
        for (name, reason), what in found.items()
    ]


def report(
    head: str,
    measured: Sequence[Measured],
    startup: Startup | None,
    goals: Mapping[str, Sequence[Row]],
) -> str:
    """Put the tables together.

    Parameters
    ----------
    head : str
        What `heading` returned.
    measured : sequence of Measured
        The workloads; the first dtype is shown, another is folded away.
    startup : Startup or None
        Fresh processes, if they were measured.
    goals : mapping of str to sequence of Row
        Further tables of goals by title.
    """
    dtypes = list(dict.fromkeys(m.dtype for m in measured))
    parts = [head]
    prediction = f"Prediction of one row, and of {MANY:,} rows"
    for kind, lay_out in (("Training", training_table), (prediction, prediction_table)):
        for dtype in dtypes:
            shown = lay_out([m for m in measured if m.dtype == dtype])
            title = f"{kind}, {dtype}"
            parts += [f"{title}:", shown] if dtype == dtypes[0] else [folded(title, shown)]
    if startup is not None:
        parts += ["Fresh processes:", fresh_table(startup)]
    for title, rows in goals.items():
        parts += [f"{title}:", goals_table(rows)]
    parts += failures_of(measured, startup)
    result = "\n\n".join(parts)
    notes = []
    if any(m.goals for m in measured):
        notes.append("In brackets: the goal.")
    if MISSED in result:
        notes.append(f"{MISSED.strip()} a goal that is not met.")
    return "\n\n".join([result, " ".join(notes)]) if notes else result
