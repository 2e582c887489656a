"""The judgement of the gate on made-up figures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import judgement
from judgement import (
    BROKEN,
    CONFIRMED,
    FAILED,
    FAST,
    LOST,
    NEW,
    SAME,
    SKIPPED,
    SLOW,
    SLOWER,
    UNCONFIRMED,
    UNITS,
    Figures,
    Key,
    Sides,
    UnjudgedError,
    judge,
    suspects,
)

SUITE = Path(__file__).resolve().parents[2] / "asv_benchmarks" / "benchmarks"
TIME, SHARE = "room.Product.time_product", "room.Product.track_share_of_peak"
ELEMENT, FLOPS = "room.Loss.time_element", "room.Loss.track_flops_at_peak"
IMPORT, IMPORT_RATIO = "room.Cold.track_import", "room.Cold.track_import_ratio"
BYTES, COUNT = "room.Fit.track_bytes", "room.Fit.track_instructions"
ACCURACY, R2 = "room.Quality.track_accuracy", "room.Quality.track_r2"
NAMES = {
    TIME: "seconds",
    SHARE: "of FMA peak",
    ELEMENT: "seconds",
    FLOPS: "flops at the FMA peak",
    IMPORT: "seconds",
    IMPORT_RATIO: "x import numba",
    BYTES: "bytes",
    COUNT: "instructions",
    ACCURACY: "of the test rows",
    R2: "R^2",
}
NO_VALUES, BAD = Figures(), Figures(failed=True)


def figures(value) -> Figures:
    """One value, several, or those given."""
    if isinstance(value, Figures):
        return value
    return Figures(tuple(value) if isinstance(value, tuple) else (value,))


def found(*measured, parameters=()):
    """Sides by key from (name, base, head)."""
    return {
        Key(name, parameters): Sides(figures(base), figures(head)) for name, base, head in measured
    }


def verdicts(*measured) -> list[str]:
    return [row.verdict for row in judge(NAMES, found(*measured))]


def test_every_unit_of_the_suite_is_judged() -> None:
    sources = [path.read_text(encoding="utf-8") for path in SUITE.glob("bench_*.py")]
    units = {unit for source in sources for unit in re.findall(r'\.unit = "([^"]+)"', source)}
    assert len(units) > 5
    assert units <= set(UNITS)


@pytest.mark.parametrize(
    ("time", "share", "verdict"),
    [
        (1.15, 1 / 1.15, SLOW),
        (1.15, 1.0, UNCONFIRMED),
        (1.15, 1.2, UNCONFIRMED),  # a larger share is a better one
        (1.0, 1 / 1.15, SAME),
        (0.8, 1 / 1.15, SAME),
        (0.8, 1 / 0.8, FAST),
        (0.8, 1.0, SAME),
        (1.0, 1.5, SAME),
        (SLOWER, 1 / 1.15, SAME),  # exactly
        (SLOWER * 1.001, 1 / 1.15, SLOW),
        (1.15, 1 / (CONFIRMED * 0.999), UNCONFIRMED),
        (1.15, 1 / (CONFIRMED * 1.001), SLOW),
    ],
)
def test_a_time_and_the_share_beside_it_must_agree(time, share, verdict) -> None:
    (row,) = judge(NAMES, found((TIME, 1.0, time), (SHARE, 1.0, share)))
    assert row.verdict == verdict
    assert (row.base, row.head, row.ratio) == (1.0, time, time)
    assert (row.beside, row.beside_ratio) == (Key(SHARE), 1 / share)


def test_operations_at_the_peak_are_worse_when_there_are_more() -> None:
    assert verdicts((ELEMENT, 2e-9, 2.4e-9), (FLOPS, 50.0, 60.0)) == [SLOW]
    assert verdicts((ELEMENT, 2e-9, 2.4e-9), (FLOPS, 50.0, 45.0)) == [UNCONFIRMED]
    assert verdicts((ELEMENT, 2.4e-9, 2e-9), (FLOPS, 60.0, 50.0)) == [FAST]


def test_seconds_of_a_process_have_a_ratio_beside_them() -> None:
    assert verdicts((IMPORT, 0.5, 0.6), (IMPORT_RATIO, 1.5, 1.8)) == [SLOW]
    assert verdicts((IMPORT, 0.5, 0.6), (IMPORT_RATIO, 1.5, 1.5)) == [UNCONFIRMED]


def test_medians_count_not_the_worst_or_best() -> None:
    time = (TIME, (1.0, 1.0, 9.0), (1.0, 1.2, 1.2, 1.3, 0.1))
    (row,) = judge(NAMES, found(time, (SHARE, (0.9, 0.9, 0.1), (0.9, 0.7, 0.7))))
    assert (row.base, row.head, row.verdict) == (1.0, 1.2, SLOW)
    assert row.beside_ratio == pytest.approx(0.9 / 0.7)


def test_each_set_of_parameters_is_judged_by_itself() -> None:
    small = found((TIME, 1.0, 1.2), (SHARE, 0.8, 0.9), parameters=("8", "'float32'"))
    large = found((TIME, 4.0, 4.8), (SHARE, 0.9, 0.75), parameters=("64", "'float32'"))
    rows = judge(NAMES, small | large)
    assert [row.verdict for row in rows] == [UNCONFIRMED, SLOW]
    assert str(rows[1].key) == f"{TIME}(64, 'float32')"


def test_what_needs_no_machine_counts_by_itself() -> None:
    assert verdicts((COUNT, 1000.0, 1101.0), (BYTES, 1000.0, 1100.0)) == [SLOW, SAME]
    assert verdicts((COUNT, 1000.0, 900.0), (BYTES, 0.0, 0.0)) == [FAST, SAME]
    assert verdicts((BYTES, 0.0, 1.0)) == [SLOW]


def test_accuracy_counts_by_what_is_lost() -> None:
    assert verdicts((ACCURACY, 0.94, 0.94 - LOST * 1.01), (R2, 0.001, -0.01)) == [SLOW, SLOW]
    assert verdicts((ACCURACY, 0.94, 0.94 - LOST * 0.99), (R2, -0.2, -0.18)) == [SAME, FAST]


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (1.0, BAD, FAILED),
        (1.0, NO_VALUES, FAILED),  # skipped, or NaN
        (BAD, 1.0, NEW),
        (NO_VALUES, 1.0, NEW),
        (BAD, BAD, BROKEN),
        (NO_VALUES, BAD, BROKEN),
        (NO_VALUES, NO_VALUES, SKIPPED),
        (1.0, Figures((1.0,), failed=True), FAILED),  # in one of two passes
    ],
)
def test_missing_figures(base, head, verdict) -> None:
    assert verdicts((COUNT, base, head)) == [verdict]
    assert verdicts((TIME, base, head), (SHARE, 1.0, 1.0)) == [verdict]
    assert verdicts((TIME, base, head), (SHARE, base, head)) == [verdict]


def test_the_share_alone_may_fail() -> None:
    assert verdicts((TIME, 1.0, 1.0), (SHARE, 0.9, BAD)) == [FAILED]
    assert verdicts((TIME, 1.0, 1.2), (SHARE, BAD, 0.9)) == [NEW]


def test_what_cannot_be_judged_is_an_error() -> None:
    with pytest.raises(UnjudgedError, match="'parsecs'"):
        judge({COUNT: "parsecs"}, found((COUNT, 1.0, 1.0)))
    with pytest.raises(UnjudgedError, match="without the figure beside it"):
        judge(NAMES, found((TIME, 1.0, 1.0)))
    with pytest.raises(UnjudgedError, match="without the figure beside it"):
        judge({"room.A.time_a": "seconds"}, found(("room.A.time_a", 1.0, 1.0)))
    with pytest.raises(UnjudgedError, match="without the times beside them"):
        judge(NAMES, found((SHARE, 1.0, 1.0)))
    with pytest.raises(UnjudgedError, match="no ratio"):
        judge(NAMES, found((BYTES, 1.0, -1.0)))


def test_suspects_are_measured_again() -> None:
    def suspected(*measured) -> bool:
        return bool(suspects(judge(NAMES, found(*measured))))

    assert suspected((TIME, 1.0, 1.06), (SHARE, 1.0, 1.0))
    assert suspected((TIME, 1.0, 0.9), (SHARE, 1.0, 0.94))
    assert suspected((TIME, 1.0, 0.8), (SHARE, 1.0, 1.2))
    assert not suspected((TIME, 1.0, 1.04), (SHARE, 1.0, 0.97))
    assert suspected((BYTES, 1.0, 1.2))
    assert not suspected((COUNT, 1.0, 1.2))  # a count is the same each time
    assert not suspected((ACCURACY, 0.9, 0.5))
    assert not suspected((BYTES, 1.0, BAD))


def test_the_table_shows_figures_ratios_and_verdicts() -> None:
    measured = found((TIME, 1e-4, 1.2e-4), (SHARE, 0.9, 0.75), parameters=("64", "'float32'"))
    lines = judgement.table(judge(NAMES, measured | found((COUNT, 2000.0, BAD)))).splitlines()
    assert lines[0].split() == "benchmark parameters base head ratio share verdict".split()
    expected = [TIME, "64,", "float32", "100", "us", "120", "us", "1.200", "1.200", SLOW]
    assert lines[2].split() == expected
    assert lines[3].split() == [COUNT, "2000", "instructions", "-", "-", "-", FAILED]


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.5, "2.5 s"), (0.0042, "4.2 ms"), (1e-6, "1 us"), (3e-10, "0.3 ns")]
)
def test_seconds_have_a_prefix(seconds, text) -> None:
    assert judgement.shown(seconds, "seconds") == text
