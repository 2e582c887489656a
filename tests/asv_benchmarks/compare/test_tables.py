"""The tables, from made-up figures."""

from __future__ import annotations

import pytest
from made_up import GOALS, SMALL, measured, startup

from compare import tables
from compare.peers import FastBP, NumPy, PyTorch, ScikitLearn, TorchCompile
from compare.tables import (
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


def test_training_with_goals() -> None:
    text = training_table([measured(GOALS, "float32")])
    assert cells(text, 0) == ["net, batch", "fastbp, a step", "x scikit-learn", "x JAX",
                              "of FMA peak"]  # fmt: skip
    assert cells(text, 1) == ["---", "---:", "---:", "---:", "---:"]
    assert cells(text, 2) == ["goals 4-8-1, full", "10.0 µs", "8.00x (10x) ✗", "2.50x (2x)",
                              "50 % (50 %)"]  # fmt: skip


def test_float64_has_no_goals() -> None:
    line = cells(training_table([measured(GOALS, "float64")]), 2)
    assert line[2:] == ["8.00x", "2.50x", "50 %"]


def test_failures_stand_in_the_table_and_below_it() -> None:
    failing = measured(SMALL, "float32", {"torch_compile": "CppCompileError: no"})
    text = tables.report("head", [failing, measured(SMALL, "float64")], None, {})
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
    assert tables.against(2.0, "2.00x", 2.0, "x") == "2.00x (2x)"
    assert tables.against(2.0, "2.00x", 1.999, "x") == "2.00x (2x) ✗"
    text = tables.goals_table([at_most("slow", 4.0, 3, "s"), at_most("fast", 1.0, 3, "s")])
    assert cells(text, 2) == ["slow", "4.00 s ✗", "<= 3 s"]
    assert cells(text, 3) == ["fast", "1.00 s", "<= 3 s"]


def test_report_has_every_table_and_folds_the_second_dtype() -> None:
    all_of_it = [measured(GOALS, "float32"), measured(GOALS, "float64")]
    text = tables.report("head", all_of_it, startup(), {"More": [Row("a", "1", "2", False)]})
    places = [text.index(part) for part in (
        "head", "Training, float32:", "<summary>Training, float64</summary>",
        "Prediction of one row, and of 10,000 rows, float32:", "rows, float64</summary>",
        "Fresh processes:", "More:", "torch.compile fails on a fresh process: InvalidCxxCompiler",
        "In brackets",
        "✗ a goal that is not met.")]  # fmt: skip
    assert places == sorted(places)
    assert text.count("<details>") == text.count("</details>") == 2


def test_report_without_goals_speaks_of_none() -> None:
    text = tables.report("head", [measured(SMALL, "float64")], None, {})
    assert "In brackets" not in text and "goal" not in text and "<details>" not in text


def test_heading_names_cpu_threads_and_versions(monkeypatch) -> None:
    monkeypatch.setattr(PyTorch, "version", lambda: "PyTorch 2.0")
    machine = Machine("A processor (znver4)", 3, {"float32": 118.4})
    text = tables.heading(machine, LIBRARIES, 3)
    assert text.startswith("A processor (znver4), one thread for every library, all pinned to core")
    assert "118 GFLOP/s in float32; best of 3 rounds" in text
    for library in LIBRARIES:
        assert text.count(library.version()) == 1
