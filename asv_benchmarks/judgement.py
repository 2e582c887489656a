"""Whether a commit is slower than another: the judgement of the gate, on figures alone.

A time on a shared machine rises and falls by itself, so no time counts alone. Beside each stands a
figure that the machine has little part in, measured in a process of its own: the share of the FMA
peak, or how many operations the FMA units could have done meanwhile, or a ratio to `import numba`.
It is a slowdown when the medians of the time are more than `SLOWER` apart and the medians of the
figure beside it are worse by more than `CONFIRMED`. What does not depend on the machine at all,
such as instructions, bytes or an accuracy, counts by itself.

Every ratio here is written so that more than 1 is worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from statistics import median
from typing import NamedTuple

SLOWER = 1.10
"""Ratio of medians over which something is a slowdown; below its inverse it is a speed-up."""
CONFIRMED = 1.05
"""Ratio over which the figure beside a time agrees that it is slower. On two commits with the same
code medians of such figures were up to 8 % worse, with times at most 6 % worse (CONTRIBUTING); a
slowdown of 10 % moves them by 10 %: this stands in the middle."""
SUSPECT = 1.05
"""Ratio of the time, or of the figure beside it, over which both are measured again: so low that
noise seldom hides a slowdown of 15 % from both."""
LOST = 0.01
"""How much of an accuracy or R^2 may be lost; another order of summation moves them by 0.002."""

TIME, BESIDE, ALONE, QUALITY = "time", "beside", "alone", "quality"


class Unit(NamedTuple):
    """How figures in a unit are judged.

    Attributes
    ----------
    kind : str
        TIME counts when the figure beside it agrees, BESIDE is such a figure, ALONE counts by its
        ratio, QUALITY by how much is lost.
    more_is_better : bool
    exact : bool
        Whether a second measurement would give the same.
    """

    kind: str
    more_is_better: bool = False
    exact: bool = False


#: Each unit of the suite. One that is not here is an error: nobody would judge its figures.
UNITS = {
    "seconds": Unit(TIME),
    "of FMA peak": Unit(BESIDE, more_is_better=True),
    "flops at the FMA peak": Unit(BESIDE),
    "x import numba": Unit(BESIDE),
    "x faster": Unit(ALONE, more_is_better=True),
    "MiB": Unit(ALONE),
    "bytes": Unit(ALONE),
    "x the parameters": Unit(ALONE),
    "instructions": Unit(ALONE, exact=True),
    "of the test rows": Unit(QUALITY, more_is_better=True, exact=True),
    "R^2": Unit(QUALITY, more_is_better=True, exact=True),
}

SLOW, FAST, SAME, UNCONFIRMED = "SLOWER", "faster", "same", "not confirmed"
FAILED, NEW, BROKEN, SKIPPED = "FAILED", "new", "fails in both", "skipped"
MEASURED = (SLOW, FAST, SAME, UNCONFIRMED)


class Key(NamedTuple):
    """A benchmark and one set of its parameters, as asv writes them."""

    benchmark: str
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.benchmark}({', '.join(self.parameters)})" if self.parameters else self[0]


class Figures(NamedTuple):
    """What one commit gave for one key in all passes: values, none if it was skipped each time."""

    values: tuple[float, ...] = ()
    failed: bool = False

    def __add__(self, other: Figures) -> Figures:
        return Figures(self.values + other.values, self.failed or other.failed)


class Sides(NamedTuple):
    """The figures of both commits."""

    base: Figures
    head: Figures


class Row(NamedTuple):
    """A line of the table.

    Attributes
    ----------
    key : Key
    unit : str
    base, head : float or None
        Medians.
    ratio : float or None
        How many times worse the head is; None for an accuracy, whose loss is judged.
    beside : Key or None
        The figure that has to agree.
    beside_ratio : float or None
        How many times worse that is.
    verdict : str
        SLOW, FAST, SAME, UNCONFIRMED (the time alone is slower), FAILED (the head alone has no
        figure), NEW (the base alone has none), BROKEN (it fails in both) or SKIPPED (in both).
    """

    key: Key
    unit: str
    base: float | None
    head: float | None
    ratio: float | None
    beside: Key | None
    beside_ratio: float | None
    verdict: str


class UnjudgedError(Exception):
    """A figure that the gate does not know how to judge."""


def judge(units: Mapping[str, str], found: Mapping[Key, Sides]) -> list[Row]:
    """Judge everything that has been measured.

    Parameters
    ----------
    units : mapping of str to str
        The unit of each benchmark of the suite, by its name.
    found : mapping of Key to Sides

    Returns
    -------
    list of Row
        One for each key that is not itself a figure beside another, in the order of `found`.

    Raises
    ------
    UnjudgedError
        If a unit is unknown, or a time was measured without the figure beside it.
    """
    for key in found:
        if units[key.benchmark] not in UNITS:
            raise UnjudgedError(
                f"{key.benchmark} is measured in {units[key.benchmark]!r}; "
                "say in UNITS of judgement.py how to judge that"
            )
    rows, beside_others = [], set()
    for key, sides in found.items():
        kind = UNITS[units[key.benchmark]].kind
        beside = beside_of(key, units) if kind == TIME else None
        if kind == TIME and beside not in found:
            raise UnjudgedError(
                f"{key} was measured without the figure beside it; the chosen benchmarks must "
                "include it (leave the name of the method out)"
            )
        if kind != BESIDE:
            rows.append(judged(key, units, sides, beside, found.get(beside)))
            beside_others.add(beside)
    if left := [str(key) for key in found if is_beside(key, units) and key not in beside_others]:
        raise UnjudgedError(f"{', '.join(left)}: measured without the times beside them")
    return rows


def is_beside(key: Key, units: Mapping[str, str]) -> bool:
    return UNITS[units[key.benchmark]].kind == BESIDE


def beside_of(key: Key, names: Iterable[str]) -> Key | None:
    """Return the machine-independent figure beside a time, if the suite has one."""
    room, _, method = key.benchmark.rpartition(".")
    others = (
        ("track_share_of_peak", "track_flops_at_peak")
        if method.startswith("time_")
        else (f"{method}_ratio",)
    )
    for other in others:
        if f"{room}.{other}" in names:
            return Key(f"{room}.{other}", key.parameters)
    return None


def judged(
    key: Key, units: Mapping[str, str], sides: Sides, beside: Key | None, other: Sides | None
) -> Row:
    """Judge one key; `other` are the figures beside it."""
    unit = UNITS[units[key.benchmark]]
    base, head = middle(sides.base), middle(sides.head)
    ratio = None if unit.kind == QUALITY else worse(sides, unit)
    beside_ratio = None
    if beside is not None and other is not None:
        beside_ratio = worse(other, UNITS[units[beside.benchmark]])
    verdict = unmeasured([sides] if other is None else [sides, other])
    if verdict is None:
        if unit.kind == QUALITY:
            verdict = SLOW if base - head > LOST else FAST if head - base > LOST else SAME
        else:
            verdict = verdict_of(ratio, beside_ratio if unit.kind == TIME else ratio)
    return Row(key, units[key.benchmark], base, head, ratio, beside, beside_ratio, verdict)


def unmeasured(measured: Iterable[Sides]) -> str | None:
    """Return the verdict where a commit has not all figures, None if both have."""
    measured = list(measured)
    base, head = (
        any(figures.failed or not figures.values for figures in side)
        for side in zip(*measured, strict=True)
    )
    if head and base:
        return BROKEN if any(sides.head.failed for sides in measured) else SKIPPED
    return FAILED if head else NEW if base else None


def verdict_of(ratio: float, beside_ratio: float) -> str:
    """Return the verdict of a time and of the figure beside it, or of one figure given twice."""
    if ratio > SLOWER:
        return SLOW if beside_ratio > CONFIRMED else UNCONFIRMED
    return FAST if ratio < 1 / SLOWER and beside_ratio < 1 / CONFIRMED else SAME


def middle(figures: Figures) -> float | None:
    return median(figures.values) if figures.values else None


def worse(sides: Sides, unit: Unit) -> float | None:
    """Return how many times worse the head is, None if one of them has no values.

    Raises
    ------
    UnjudgedError
        If a median is below 0: such figures have no ratio.
    """
    base, head = middle(sides.base), middle(sides.head)
    if base is None or head is None:
        return None
    if min(base, head) < 0:
        raise UnjudgedError(f"figures of {base:g} and {head:g} have no ratio")
    above, below = (base, head) if unit.more_is_better else (head, base)
    return above / below if below > 0 else 1.0 if above == below else inf


def suspects(rows: Iterable[Row]) -> list[Row]:
    """Return what should be measured again before it is judged: slow, or fast, at first sight."""
    return [
        row
        for row in rows
        if row.verdict in MEASURED
        and not UNITS[row.unit].exact
        and (max(row.ratio or 0, row.beside_ratio or 0) > SUSPECT or row.verdict == FAST)
    ]


def shown(value: float | None, unit: str) -> str:
    """Return a figure with its unit, seconds with a prefix."""
    if value is None:
        return "-"
    if unit != "seconds":
        return f"{value:.4g} {unit}"
    for factor, name in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= factor:
            return f"{value / factor:.4g} {name}"
    return f"{value / 1e-9:.4g} ns"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as text, with a line that explains the columns."""
    head = ("benchmark", "parameters", "base", "head", "ratio", "share", "verdict")
    cells = [head]
    for row in rows:
        ratios = ["-" if r is None else f"{r:.3f}" for r in (row.ratio, row.beside_ratio)]
        parameters = ", ".join(row.key.parameters).replace("'", "")
        figures = [shown(row.base, row.unit), shown(row.head, row.unit)]
        cells.append((row.key.benchmark, parameters, *figures, *ratios, row.verdict))
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    cells.insert(1, tuple("-" * width for width in widths))
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join(
        [
            *lines,
            f"Ratios over 1 are worse. SLOWER: that of the medians is over {SLOWER:.2f}, and over "
            f"{CONFIRMED:.2f} is that of the",
            "figure beside the time, which hardly depends on the machine, such as the share of the "
            "FMA peak.",
        ]
    )
