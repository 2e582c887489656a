"""The steps from plain loops to fastbp: each computes the same, and the page gets the table."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import needs_compiler

import from_loops
import from_loops_page
from fastbp import plain
from from_loops_page import Found
from workloads import Workload

#: Ragged in every way: rows and columns of tiles are left over, also fewer than a vector has.
RAGGED = Workload("ragged", (70, 37, 53, 3), 90, 45)
TINY = Workload("tiny", (3, 5, 2), 12, 4)
NETS = {
    net: {name: Found(2.0**-i, 2.0 ** (i - 9)) for i, name in enumerate(from_loops_page.TITLES)}
    for net in ("3-5-2, 4 rows", "70-3, 45 rows")
}


@needs_compiler
@pytest.mark.slow
def test_every_way_computes_what_plain_loops_do(monkeypatch) -> None:
    monkeypatch.setattr(from_loops, "TOLERANCE", 1e-3)
    job = from_loops.Job(RAGGED)
    kinds = job.kinds()
    for kind in kinds.values():
        kind.train(2)
    right = kinds.pop("plain").params
    assert np.abs(right - job.start).max() > 3e-3
    for name, kind in kinds.items():
        job.check(name, kind.params, right)
    # Plain Python is compared inside.
    assert job.in_python() > 0


@needs_compiler
@pytest.mark.slow
def test_measured_ways_are_those_of_the_page(monkeypatch) -> None:
    monkeypatch.setattr(from_loops, "TURN", 1e-4)
    found = from_loops.measure(TINY)
    assert list(found) == list(from_loops_page.TITLES)
    assert all(seconds > 0 and 0 < share < 1 for seconds, share in found.values())


@needs_compiler
def test_a_way_to_other_parameters_is_an_error() -> None:
    job = from_loops.Job(TINY)
    right = job.start + 1
    job.check("near", right + np.float32(1e-3), right)
    for wrong in (right + np.float32(0.02), right * np.nan):
        with pytest.raises(AssertionError, match=r"far: \S+ from plain.py, after a way of"):
            job.check("far", wrong, right)


def test_the_step_in_python_is_not_compiled() -> None:
    step = from_loops.uncompiled_step()
    assert not hasattr(step, "py_func")
    assert not hasattr(step.__globals__["dense_forward"], "py_func")


def test_lines_compare_with_the_line_above() -> None:
    lines = from_loops_page.lines(NETS["3-5-2, 4 rows"])
    assert [line[0] for line in lines] == list(from_loops_page.TITLES.values())
    assert lines[0][1:] == ["1.00 s", "", "0.2 %"]
    assert lines[1][1:] == ["500 ms", "2.00x", "0.39 %"]


def test_page_and_picture_are_written(tmp_path, monkeypatch) -> None:
    page, picture = tmp_path / "page.md", tmp_path / "page.png"
    begin, end = from_loops_page.BEGIN, from_loops_page.END
    page.write_text(f"before\n{begin}\nold\n{end}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(from_loops_page, "PAGE", page)
    monkeypatch.setattr(from_loops_page, "PICTURE", picture)
    from_loops_page.write(from_loops_page.report(NETS))
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{begin}\n") and text.endswith(f"{end}\nafter\n")
    assert "old" not in text and text.count("\n| ") == 2 * (2 + len(from_loops_page.TITLES))
    from_loops_page.draw(NETS)
    assert picture.stat().st_size > 10_000


def test_the_page_has_the_markers_and_the_picture() -> None:
    text = from_loops_page.PAGE.read_text(encoding="utf-8")
    assert 0 < text.find(from_loops_page.BEGIN) < text.find(from_loops_page.END)
    assert f"]({from_loops_page.PICTURE.name})" in text


def test_the_page_begins_with_the_loops_of_plain() -> None:
    text = from_loops_page.PAGE.read_text(encoding="utf-8")
    source = Path(plain.__file__).read_text(encoding="utf-8")
    for name in ("dense_forward", "dense_backward"):
        pattern = rf"^@njit\ndef {name}.*?(?=\n\n\n)"
        (function,) = re.findall(pattern, source, re.MULTILINE | re.DOTALL)
        assert function in text
