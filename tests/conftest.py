"""The promises: what each is counted in, and their table under FASTBP_SOAK=1."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest
from helpers import COMPILED, SOAK

PROMISES = {
    "gradients": {"nets": 200, "partials": 50_000},
    "numerics": {"points": 100_000, "logits": 100_000},
    "memory safety": {"shapes": 500},
    "bad input": {"examples": 10_000},
    "divergence": {"runs": 200},
    "Ctrl-C": {"signals": 200, "answered in 0.5 s": 30, "loops of short calls": 5},
    "determinism": {"seeds": 20, "nets among others": 500, "nets by several threads": 2000},
    "threads": {"fits": 200},
    "saving": {"kills": 500, "kills of a saving net": 100},
    "loading": {
        "damaged files": 100_000,
        "hostile nets": 100_000,
        "hostile estimators": 40_000,
        "hostile models": 100_000,
    },
    "resume": {"nets": 1000, "estimators": 300},
    "larger than memory": {"GB": 4},
    "compiled cache": {"damage cases": 8, "starts at once": 16, "folders": 5, "trees": 5},
    "changed under way": {"runs": 1000},
    "user code": {"arrays": 14},
    "other people's files": {"plants": 18},
    "versions": {"edits": 2000},
    "estimators": {"configurations": 1000, "checks": 100, "their tests": 50},
}
"""What each promise is counted in, and the least of it under FASTBP_SOAK=1 (`make soak`).

A test belongs to the promise of its ``pytest.mark.promise(name)`` and counts what it has checked
with the fixture `tally`.
"""
OTHERS = "(other tests)"


@pytest.fixture
def tally(request) -> Counter[str]:
    """Count what a test has checked, by unit: ``tally["nets"] += 1`` after the assertions."""
    counted: Counter[str] = Counter()
    request.node.user_properties.append(("tally", counted))
    return counted


# ---- the table of `make soak` -------------------------------------------------------------------


class Row(NamedTuple):
    """What the reports of one promise's tests add up to."""

    promise: str
    tests: int
    counted: Counter[str]
    failures: int
    seconds: float

    @property
    def short(self) -> list[str]:
        """The units of which there were too few."""
        least = PROMISES.get(self.promise, {})
        return [unit for unit, number in least.items() if self.counted[unit] < number]


def rows_of(reports) -> list[Row]:
    """The promises that were tested, in the order of the table."""
    rows = []
    for promise in (*PROMISES, OTHERS):
        mine = [r for r in reports if dict(r.user_properties).get("promise", OTHERS) == promise]
        calls = [r for r in mine if r.when == "call" and not r.skipped]
        counted: Counter[str] = Counter()
        for report in calls:
            counted.update(dict(report.user_properties).get("tally", {}))
        failures, seconds = sum(r.failed for r in mine), sum(r.duration for r in mine)
        if calls or failures:
            rows.append(Row(promise, len(calls), counted, failures, seconds))
    return rows


def rows_of_session(config) -> list[Row]:
    stats = config.pluginmanager.get_plugin("terminalreporter").stats
    reports = [r for some in stats.values() for r in some if isinstance(r, pytest.TestReport)]
    return rows_of(reports)


def pytest_configure(config) -> None:
    config.addinivalue_line("markers", "promise(name): the row of PROMISES that the test holds")
    config.addinivalue_line(
        "markers", "slow: starts processes, compiles at length or trains at length (`make quick`)"
    )


def pytest_runtest_setup(item) -> None:
    mark = item.get_closest_marker("promise")
    if mark is not None:
        assert mark.args[0] in PROMISES, f"unknown promise {mark.args[0]!r}"
        item.user_properties.append(("promise", mark.args[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn the tally into a dict: pytest-xdist can send it to the process that reports."""
    report = yield
    report.user_properties = [
        (name, dict(value) if name == "tally" else value) for name, value in report.user_properties
    ]
    return report


def pytest_sessionfinish(session) -> None:
    """Fewer cases than promised are a failure, too."""
    if SOAK and COMPILED and session.exitstatus == pytest.ExitCode.OK:
        if any(row.short for row in rows_of_session(session.config)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter, config) -> None:
    if not SOAK:
        return
    terminalreporter.section("promises")
    line = "{:<18} {:>5}  {:<70} {:>8} {:>8}".format
    terminalreporter.line(line("promise", "tests", "counted", "failures", "seconds"))
    for row in rows_of_session(config):
        short = [f"{unit}: fewer than {PROMISES[row.promise][unit]:,}" for unit in row.short]
        what = [f"{number:,} {unit}" for unit, number in row.counted.items()] + short
        numbers = row.failures, f"{row.seconds:.1f}"
        terminalreporter.line(line(row.promise, row.tests, ", ".join(what), *numbers))
