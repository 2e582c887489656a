"""The tables, from made-up figures."""

from __future__ import annotations

import pytest
from made_up import GOALS, SMALL, measured, startup

from compare import tables
from compare.peers import FastBP, NumPy, PyTorch, ScikitLearn, TorchCompile
from compare.results import Results
from compare.tables import (
    FURTHER,
    NO_GOAL,
    Machine,
    Row,
    at_least,
    at_most,
    fresh_table,
    prediction_table,
    time_form,
    training_table,
)

LIBRARIES = (FastBP, ScikitLearn, PyTorch, TorchCompile, NumPy)


def cells(text: str, line: int) -> list[str]:
    return [cell.strip() for cell in text.splitlines()[line].strip("|").split("|")]


def results(*measured, further=None, startup=None) -> Results:
    return Results("head", measured, startup, further or {})


def test_training() -> None:
    text = training_table([measured(GOALS, "float32")])
    assert cells(text, 0) == ["net, batch", "fastbp, an update", "x scikit-learn", "x JAX",
                              "of FMA peak"]  # fmt: skip
    assert cells(text, 1) == ["---", "---:", "---:", "---:", "---:"]
    assert cells(text, 2) == ["goals 4-8-1, full", "10.0 µs", "8.00x", "2.50x", "50 %"]


def test_training_in_short() -> None:
    failing = measured(SMALL, "float32", {"torch": "no"})
    text = tables.short_table([failing, measured(GOALS, "float64")])
    assert len(text.splitlines()) == 3  # the first dtype alone
    assert cells(text, 0)[2] == "times faster than scikit-learn / PyTorch / JAX"
    assert cells(text, 2) == ["small 3-5-4-2, 6", "10.0 µs", "8.00x / fails / 2.50x"]
    text = tables.short_table([measured(SMALL, "float32")])
    assert cells(text, 0)[2] == "times faster than scikit-learn / JAX"
    failing.training.clear()
    failing.training.update(fastbp=1.0, numpy=2.0)
    text = tables.short_table([failing._replace(failures={})])
    assert cells(text, 0)[2] == "times faster than NumPy"
    assert cells(text, 2)[2] == "2.00x"


def test_goals_of_training() -> None:
    rows = tables.training_rows([measured(SMALL, "float32"), measured(GOALS, "float32")])
    assert rows == [
        Row("goals 4-8-1, full: x scikit-learn", "8.00x", ">= 10x", False),
        Row("goals 4-8-1, full: x JAX", "2.50x", ">= 2x", True),
        Row("goals 4-8-1, full: share of the FMA peak", "50.4 %", ">= 50 %", True),
    ]
    assert tables.training_rows([measured(GOALS, "float64")]) == []


def test_goals_that_are_missed_stand_before_those_that_are_met() -> None:
    further = {
        FURTHER: [Row("a", "1", ">= 2", False)],
        "Others, all": [Row("b", "3", ">= 2", True), Row("c", "4", NO_GOAL, True)],
    }
    text = tables.goals(results(measured(GOALS, "float32"), further=further))
    assert text.startswith("3 of 5 goals are met.\n\nMissed:\n\n| what | measured | goal |")
    missed, met = text.split("<details><summary>The 3 that are met</summary>")
    assert [cells(line, 0)[0] for line in missed.splitlines()[6:8]] == [
        "goals 4-8-1, full: x scikit-learn", "a",
    ]  # fmt: skip
    assert "| Others: b | 3 | >= 2 |" in met
    alone = tables.goals(results(further={FURTHER: [Row("a", "3", ">= 2", True)]}))
    assert "Missed" not in alone
    assert "| c |" not in text


def test_what_is_as_fast_as_fastbp_is_said() -> None:
    same = measured(SMALL, "float32")  # JAX predicts many rows in 0.75 of the time
    same.training["sklearn"] = 1.04e-5
    same.many["sklearn"] = 3.6e-3
    assert tables.beaten(results(same, startup=startup())) == [
        "training small 3-5-4-2, float32: scikit-learn takes 1.04 times as long as fastbp",
        "predicting 10,000 rows by small 3-5-4-2, float32: scikit-learn takes 0.90, JAX takes 0.75 "
        "times as long as fastbp",
    ]
    found = startup()
    found.warm["sklearn"] = found.warm["sklearn"]._replace(seconds=0.1)
    assert tables.beaten(results(startup=found)) == [
        "importing and fitting in a fresh process: scikit-learn takes 0.20 times as long as fastbp"
    ]
    assert "- predicting 10,000 rows" in tables.summary(results(same))
    same.many.update(sklearn=1.0, jax=1.0)
    same.training["sklearn"] = 1.0
    assert "nothing of what is compared" in tables.summary(results(same))


def test_failures_stand_in_the_table_and_below_it() -> None:
    failing = measured(SMALL, "float32", {"torch_compile": "CppCompileError: no"})
    text = tables.tables(results(failing, measured(SMALL, "float64")))
    assert cells(training_table([failing]), 0)[3] == "x torch.compile"
    assert cells(training_table([failing]), 2)[3] == "fails"
    assert cells(prediction_table([failing]), 2)[3] == "fails"
    assert "torch.compile fails on small in float32: CppCompileError: no" in text
    twice = [failing, failing._replace(dtype="float64")]
    assert tables.failures_of(twice, None) == [
        "torch.compile fails on small in float32, small in float64: CppCompileError: no"
    ]


def test_prediction_has_both_in_a_cell() -> None:
    text = prediction_table([measured(SMALL, "float32")])
    assert cells(text, 0)[:3] == ["net", "fastbp", "x scikit-learn"]
    assert cells(text, 2) == ["small 3-5-4-2", "2.00 µs, 4.00 ms", "45x, 1.50x", "5.00x, 0.75x"]


def test_fresh_processes() -> None:
    text = fresh_table(startup())
    assert cells(text, 2) == ["fastbp", "7.0 s", "0.50 s", "130 MiB"]
    assert cells(text, 3) == ["scikit-learn", "-", "1.00 s (2.00x)", "104 MiB (0.80x)"]
    assert cells(text, 4) == ["torch.compile", "fails", "fails", "fails"]


def test_goals_of_fresh_processes() -> None:
    rows = tables.startup_rows(startup())
    assert [row.met for row in rows] == [False, True, True]
    assert [row.measured.split()[0] for row in rows] == ["7.00", "0.50", "1.25"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.345e-6, "2.35 µs"), (1e-5, "10.0 µs"), (1.234e-4, "123 µs"), (9.994e-4, "999 µs"),
     (9.996e-4, "1.00 ms"), (0.5, "500 ms"), (2.0, "2.00 s"), (5000.0, "5000 s")],
)  # fmt: skip
def test_times_have_three_figures(seconds, text) -> None:
    assert time_form(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.876, "0.88x"), (9.994, "9.99x"), (9.996, "10.0x"), (19.94, "19.9x"), (19.96, "20x"),
     (812.6, "813x")],
)  # fmt: skip
def test_ratios_have_two_or_three_figures(ratio, text) -> None:
    assert tables.times(ratio) == text


def test_goals_at_and_beside_their_limit() -> None:
    assert at_least("a", 0.45, 0.45) == Row("a", "45.0 %", ">= 45 %", True)
    assert not at_least("a", 0.449, 0.45).met
    assert at_most("a", 3.0, 3, "µs") == Row("a", "3.00 µs", "<= 3 µs", True)
    assert not at_most("a", 3.01, 3, "µs").met


def test_report_has_every_table_and_folds_the_second_dtype() -> None:
    all_of_it = [measured(GOALS, "float32"), measured(GOALS, "float64")]
    further = {"More": [Row("a", "1", "2", False)]}
    text = tables.report(results(*all_of_it, further=further, startup=startup()))
    places = [text.index(part) for part in (
        "# fastbp beside", "Where fastbp on one thread", "## All tables\n\nhead",
        "### Training, float32", "<summary>Training, float64</summary>",
        "### Prediction of one row, and of 10,000 rows, float32", "rows, float64</summary>",
        "### Fresh processes", "### More\n\n| what | measured |",
        "torch.compile fails on a fresh process: InvalidCxxCompiler", "## Goals", "Missed:",
        "| More: a | 1 | 2 |")]  # fmt: skip
    assert places == sorted(places)
    assert text.count("<details>") == text.count("</details>") == 3


def test_heading_names_cpu_threads_and_versions(monkeypatch) -> None:
    monkeypatch.setattr(PyTorch, "version", lambda: "PyTorch 2.0")
    machine = Machine("A processor (znver4)", 3, {"float32": 118.4})
    text = tables.heading(machine, LIBRARIES, 3)
    assert text.startswith("A processor (znver4), one thread for every library, all pinned to core")
    assert "118 GFLOP/s in float32; best of 3 rounds" in text
    for library in LIBRARIES:
        assert text.count(library.version()) == 1
