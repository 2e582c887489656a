"""Whether a commit is slower than another: the judgement of the gate, on figures alone.

Instructions are judged where they were counted: on one processor's code they are the same at each
run to 0.06 %, while on two shared cores a time of identical commits moved by up to 24 %. What they
do not show are caches and the code for AVX-512, so times are reported beside them.

Without a count, times are judged: a slowdown is one by more than `SLOWER` that the figure beside
the time, which the machine has little part in, confirms by more than `CONFIRMED`. In 135
comparisons of identical commits no time was over 10 % and the figure beside it over 5 %.

Bytes and accuracy are judged in each case. Every ratio is written so that more than 1 is worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from statistics import median
from typing import NamedTuple

from asv.util import human_value
from tabulate import tabulate

from asv_calls import Key

COUNTED = 1.02
"""Ratio of instructions over which something is a slowdown."""
SLOWER = 1.10
"""The same of a time, and of bytes."""
CONFIRMED = 1.05
"""Ratio over which the figure beside a time confirms that it is slower."""
LOST = 0.01
"""How much of an accuracy or R^2 may be lost; another order of summation moves them by 0.002."""

INSTRUCTIONS = "instructions"
SECONDS = "seconds"
#: Units whose figures are the same at each run, and so are always judged, with their limits.
EXACT = {INSTRUCTIONS: COUNTED, "bytes": SLOWER, "x the parameters": SLOWER}
QUALITY = ("of the test rows", "R^2")
MORE_IS_BETTER = ("of FMA peak", "x faster", *QUALITY)
#: What stands beside a time, by the end of its name.
BESIDE = ("track_share_of_peak", "track_flops_at_peak")

SLOW = "SLOWER"
FAILED = "FAILED"
NEW = "new"
SAME = "same"
REPORTED = ""


class Sides(NamedTuple):
    """The values that both commits gave, none where a benchmark failed or was skipped."""

    base: tuple[float, ...] = ()
    head: tuple[float, ...] = ()


class Row(NamedTuple):
    """A line of the table: medians, how many times worse the head is, and the verdict."""

    key: Key
    unit: str
    base: float | None
    head: float | None
    ratio: float | None
    verdict: str


def judge(units: Mapping[str, str], found: Mapping[Key, Sides]) -> list[Row]:
    """Judge what has been measured at one of the commits at least.

    Parameters
    ----------
    units : mapping of str to str
        The unit of each benchmark of the suite, by its name.
    found : mapping of Key to Sides
    """
    ratios = {key: worse(sides, units[key.benchmark]) for key, sides in found.items() if all(sides)}
    counted = any(units[key.benchmark] == INSTRUCTIONS for key in ratios)
    rows = []
    for key, sides in found.items():
        base, head = (median(side) if side else None for side in sides)
        unit = units[key.benchmark]
        if base is None and head is None:
            continue
        if base is None or head is None:
            verdict = NEW if base is None else FAILED
        elif unit in QUALITY:
            verdict = SLOW if base - head > LOST else SAME
        elif unit in EXACT:
            verdict = SLOW if ratios[key] > EXACT[unit] else SAME
        elif unit == SECONDS and not counted:
            verdict = SLOW if ratios[key] > SLOWER and confirmed(key, ratios) else SAME
        else:
            verdict = REPORTED
        rows.append(Row(key, unit, base, head, ratios.get(key), verdict))
    return rows


def worse(sides: Sides, unit: str) -> float:
    """Return how many times worse the head is."""
    base, head = median(sides.base), median(sides.head)
    above, below = (base, head) if unit in MORE_IS_BETTER else (head, base)
    return above / below if below > 0 else 1.0 if above == below else inf


def confirmed(key: Key, ratios: Mapping[Key, float]) -> bool:
    """Say whether the figure beside a time, if there is one, is worse too."""
    group, _, method = key.benchmark.rpartition(".")
    beside = [Key(f"{group}.{name}", key.parameters) for name in (*BESIDE, f"{method}_ratio")]
    return max((ratios[other] for other in beside if other in ratios), default=inf) > CONFIRMED


def shown(value: float | None, unit: str) -> str:
    """Return a figure with its unit, seconds with a prefix."""
    if value is None:
        return "-"
    return str(human_value(value, unit)) if unit == SECONDS else f"{value:.4g} {unit}"


def table(rows: Iterable[Row]) -> str:
    """Return the rows as text."""
    cells = [
        (
            str(row.key),
            shown(row.base, row.unit),
            shown(row.head, row.unit),
            "-" if row.ratio is None else f"{row.ratio:.3f}",
            row.verdict,
        )
        for row in rows
    ]
    head = ("benchmark", "base", "head", "ratio", "verdict")
    text = tabulate(cells, head, disable_numparse=True)
    return f"{text}\nRatios over 1 are worse. What has no verdict is reported alone."
