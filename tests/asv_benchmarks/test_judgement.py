"""The judgement of the gate on made-up figures."""

from __future__ import annotations

import pytest

import judgement
from asv_calls import Key
from judgement import (
    CONFIRMED,
    COUNTED,
    FAILED,
    LOST,
    NEW,
    REPORTED,
    SAME,
    SLOW,
    SLOWER,
    Sides,
    judge,
)

TIME = "room.Product.time_product"
SHARE = "room.Product.track_share_of_peak"
ELEMENT = "room.Loss.time_element"
FLOPS = "room.Loss.track_flops_at_peak"
IMPORT = "room.Cold.track_import"
IMPORT_RATIO = "room.Cold.track_import_ratio"
BYTES = "room.Fit.track_bytes"
COUNT = "room.Fit.track_instructions"
ACCURACY = "room.Quality.track_accuracy"
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
}
SLOW_TIME = ((TIME, 1.0, 2.0), (SHARE, 0.8, 0.4))


def sides(*values) -> Sides:
    """Values of both commits: one, several, or None."""
    some = [() if v is None else v if isinstance(v, tuple) else (v,) for v in values]
    return Sides(*some)


def found(*measured, parameters=()):
    """Sides by key from (name, base, head)."""
    return {Key(name, parameters): sides(base, head) for name, base, head in measured}


def verdicts(*measured) -> list[str]:
    return [row.verdict for row in judge(NAMES, found(*measured))]


@pytest.mark.parametrize(
    ("head", "verdict"), [(1.0, SAME), (0.5, SAME), (COUNTED, SAME), (COUNTED * 1.0001, SLOW)]
)
def test_instructions_are_judged_and_times_beside_them_reported(head, verdict) -> None:
    assert verdicts((COUNT, 1.0, head), *SLOW_TIME) == [verdict, REPORTED, REPORTED]


def test_times_are_judged_where_nothing_was_counted_at_both_commits() -> None:
    assert verdicts(*SLOW_TIME) == [SLOW, REPORTED]
    assert verdicts((COUNT, None, None), *SLOW_TIME) == [SLOW, REPORTED]
    assert verdicts((COUNT, 1.0, None), *SLOW_TIME) == [FAILED, SLOW, REPORTED]


@pytest.mark.parametrize(
    ("time", "share", "verdict"),
    [
        (1.15, 1 / 1.15, SLOW),
        (1.15, 1.0, SAME),
        (1.15, 1.2, SAME),  # a larger share is a better one
        (1.0, 1 / 1.15, SAME),
        (SLOWER, 1 / 1.15, SAME),  # exactly
        (SLOWER * 1.001, 1 / 1.15, SLOW),
        (1.15, 1 / (CONFIRMED * 0.999), SAME),
        (1.15, 1 / (CONFIRMED * 1.001), SLOW),
    ],
)
def test_the_share_beside_a_time_must_confirm_it(time, share, verdict) -> None:
    row = judge(NAMES, found((TIME, 1.0, time), (SHARE, 1.0, share)))[0]
    assert row.verdict == verdict
    assert (row.base, row.head, row.ratio) == (1.0, time, time)


def test_what_else_stands_beside_a_time() -> None:
    assert verdicts((ELEMENT, 2e-9, 2.4e-9), (FLOPS, 50.0, 60.0))[0] == SLOW
    assert verdicts((ELEMENT, 2e-9, 2.4e-9), (FLOPS, 50.0, 45.0))[0] == SAME
    assert verdicts((IMPORT, 0.5, 0.6), (IMPORT_RATIO, 1.5, 1.8))[0] == SLOW
    assert verdicts((IMPORT, 0.5, 0.6), (IMPORT_RATIO, 1.5, 1.5))[0] == SAME
    assert verdicts((TIME, 1.0, 1.2)) == [SLOW]  # nothing


def test_medians_count_not_the_worst_or_best() -> None:
    time = (TIME, (1.0, 1.0, 9.0), (1.0, 1.2, 1.2, 1.3, 0.1))
    row = judge(NAMES, found(time, (SHARE, (0.9, 0.9, 0.1), (0.9, 0.7, 0.7))))[0]
    assert (row.base, row.head, row.verdict) == (1.0, 1.2, SLOW)


def test_each_set_of_parameters_is_judged_by_itself() -> None:
    small = found((TIME, 1.0, 1.2), (SHARE, 0.8, 0.9), parameters=("8", "'float32'"))
    large = found((TIME, 4.0, 4.8), (SHARE, 0.9, 0.75), parameters=("64", "'float32'"))
    rows = judge(NAMES, small | large)
    assert [row.verdict for row in rows] == [SAME, REPORTED, SLOW, REPORTED]
    assert str(rows[2].key) == f"{TIME}(64, 'float32')"


def test_bytes_and_accuracy_are_judged_in_each_case() -> None:
    assert verdicts((COUNT, 9.0, 9.0), (BYTES, 1000.0, 1101.0)) == [SAME, SLOW]
    assert verdicts((BYTES, 0.0, 1.0)) == [SLOW]
    assert verdicts((BYTES, 0.0, 0.0)) == [SAME]
    assert verdicts((ACCURACY, 0.94, 0.94 - LOST * 1.01)) == [SLOW]
    assert verdicts((ACCURACY, 0.94, 0.94 - LOST * 0.99)) == [SAME]


def test_missing_figures() -> None:
    assert verdicts((COUNT, 1.0, None)) == [FAILED]
    assert verdicts((COUNT, None, 1.0)) == [NEW]
    assert verdicts((COUNT, None, None)) == []


def test_the_table_shows_figures_ratios_and_verdicts() -> None:
    measured = found((TIME, 1e-4, 1.2e-4), (SHARE, 0.9, 0.75), parameters=("64", "'float32'"))
    lines = judgement.table(judge(NAMES, measured | found((BYTES, 2000.0, None)))).splitlines()
    assert lines[0].split() == "benchmark base head ratio verdict".split()
    time = f"{TIME}(64, 'float32')"
    assert lines[2].split() == [*time.split(), "100μs", "120μs", "1.200", SLOW]
    assert lines[4].split() == [BYTES, "2000", "bytes", "-", "-", FAILED]
