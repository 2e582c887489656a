"""The comparison as Markdown: in short, all tables, and the goals."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

from compare.measure import MANY, Measured
from compare.peer_base import Peer
from compare.peers import PEERS
from compare.startup import EPOCHS, ROWS, Startup
from workloads import Workload

if TYPE_CHECKING:
    from compare.results import Results

FAILS = "fails"
#: The libraries of the short table and of the picture.
SHOWN = ("sklearn", "torch", "jax")
#: Below this many times faster a library counts as equally fast.
FASTER = 1.05
#: The title of further figures that need none.
FURTHER = "Other dtypes, activations and widths; single calls"
#: The goal of a figure that is only reported.
NO_GOAL = "-"


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
    """What is measured, how it came out, what is asked for (or NO_GOAL), whether that is met."""

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


def net_and_batch(workload: Workload) -> str:
    """Name a workload, its widths and its batch."""
    batch = "full" if workload.batch_size == workload.rows else str(workload.batch_size)
    return f"{net_of(workload)}, {batch}"


def training_table(measured: Sequence[Measured]) -> str:
    """Return the table of training in one dtype."""
    names = peers_of(measured)
    lines = []
    for m in measured:
        written = {name: times(ratio) for name, ratio in m.ratios("training").items()}
        cells = [net_and_batch(m.workload), time_form(m.training["fastbp"])]
        cells += [written.get(name, FAILS) for name in names]
        lines.append([*cells, f"{100 * m.share:.0f} %"])
    titles = [f"x {PEERS[name].title}" for name in names]
    return table(["net, batch", "fastbp, an update", *titles, "of FMA peak"], lines)


def short_table(measured: Sequence[Measured]) -> str:
    """Return the table of training in the first dtype beside the libraries of `SHOWN`.

    If none of those was measured, all are shown that were.
    """
    tried = peers_of(measured)
    names = [name for name in SHOWN if name in tried] or tried
    lines = []
    for m in measured:
        if m.dtype == measured[0].dtype:
            ratios = m.ratios("training")
            cells = [times(ratios[name]) if name in ratios else FAILS for name in names]
            ours = time_form(m.training["fastbp"])
            lines.append([net_and_batch(m.workload), ours, " / ".join(cells)])
    titles = " / ".join(PEERS[name].title for name in names)
    return table(["net, batch", "fastbp, an update", f"times faster than {titles}"], lines)


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


def training_rows(measured: Sequence[Measured]) -> list[Row]:
    """Hold training against its goals."""
    rows = []
    for m in measured:
        net = net_and_batch(m.workload)
        goals = m.goals._asdict() if m.goals else {}
        for name, ratio in m.ratios("training").items():
            if name in goals:
                goal = f">= {goals[name]:g}x"
                what = f"{net}: x {PEERS[name].title}"
                rows.append(Row(what, times(ratio), goal, ratio >= goals[name]))
        if goals.get("peak"):
            rows.append(at_least(f"{net}: share of the FMA peak", m.share, goals["peak"]))
    return rows


def goals(results: Results) -> str:
    """Return which goals are missed, and, folded away, which are met."""
    rows = training_rows(results.measured)
    for title, others in results.further.items():
        rows += [
            row._replace(
                what=row.what if title == FURTHER else f"{title.partition(',')[0]}: {row.what}"
            )
            for row in others
            if row.goal != NO_GOAL
        ]
    missed, met = ([[*row[:3]] for row in rows if row.met is kind] for kind in (False, True))
    heads = ["what", "measured", "goal"]
    parts = [f"{len(met)} of {len(rows)} goals are met."]
    if missed:
        parts += ["Missed:", table(heads, missed, left=3)]
    if met:
        parts.append(folded(f"The {len(met)} that are met", table(heads, met, left=3)))
    return "\n\n".join(parts)


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


def beaten(results: Results) -> list[str]:
    """Name all that libraries do as fast as fastbp, or faster, within `FASTER`."""
    found = []
    kinds = {
        "training": "training {}, {}",
        "one": "predicting one row by {}, {}",
        "many": f"predicting {MANY:,} rows by {{}}, {{}}",
    }
    for m in results.measured:
        for kind, what in kinds.items():
            net = what.format(net_of(m.workload), m.dtype)
            found += [(net, name, ratio) for name, ratio in m.ratios(kind).items()]
    if results.startup is not None:
        what = "importing and fitting in a fresh process"
        ours = results.startup.warm["fastbp"].seconds
        others = {n: run for n, run in results.startup.warm.items() if n != "fastbp"}
        found += [(what, name, run.seconds / ours) for name, run in others.items()]
    lines: dict[str, list[str]] = {}
    for what, name, ratio in found:
        if ratio < FASTER:
            lines.setdefault(what, []).append(f"{PEERS[name].title} takes {ratio:.2f}")
    return [f"{what}: {', '.join(some)} times as long as fastbp" for what, some in lines.items()]


def summary(results: Results) -> str:
    """Return the short table, and what fastbp is not faster at."""
    found = beaten(results)
    parts = [short_table(results.measured)]
    if found:
        parts.append(f"Where fastbp on one thread is not faster, or by less than {FASTER:g}x:")
        parts.append("\n".join(f"- {line}" for line in found))
    else:
        parts.append("On one thread nothing of what is compared below is faster than fastbp.")
    return "\n\n".join(parts)


def tables(results: Results) -> str:
    """Return all tables; a second dtype is folded away."""
    measured = results.measured
    dtypes = list(dict.fromkeys(m.dtype for m in measured))
    parts = [results.head]
    prediction = f"Prediction of one row, and of {MANY:,} rows"
    for kind, lay_out in (("Training", training_table), (prediction, prediction_table)):
        for dtype in dtypes:
            shown = lay_out([m for m in measured if m.dtype == dtype])
            title = f"{kind}, {dtype}"
            parts += [f"### {title}", shown] if dtype == dtypes[0] else [folded(title, shown)]
    if results.startup is not None:
        parts += ["### Fresh processes", fresh_table(results.startup)]
    for title, rows in results.further.items():
        lines = [[row.what, row.measured] for row in rows]
        parts += [f"### {title}", table(["what", "measured"], lines, left=2)]
    return "\n\n".join([*parts, *failures_of(measured, results.startup)])


def report(results: Results) -> str:
    """Return everything as one text."""
    parts = ["# fastbp beside its peers", summary(results), "## All tables", tables(results)]
    return "\n\n".join([*parts, "## Goals", goals(results)])
