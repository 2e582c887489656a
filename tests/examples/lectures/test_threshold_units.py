"""AND, OR and NOT by one unit, XOR by two layers."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_runs import numbers, run


def test_threshold_units(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/01_threshold_units.py", capsys, "--folder", str(tmp_path))
    lines = out.splitlines()
    assert lines[0].split()[-4:] == ["00", "01", "10", "11"]
    assert lines[1].split()[-4:] == ["0", "0", "0", "1"]
    assert lines[2].split()[-4:] == ["0", "1", "1", "1"]
    assert lines[3].split()[-2:] == ["1", "0"]
    assert numbers(lines[5]) == [-1.5, -0.5, -0.5, 0.5, -0.5, 0.5, 0.5, 1.5]
    assert numbers(lines[6]) == [-0.5, 0.5, 0.5, -0.5]
    assert numbers(lines[7]) == [0, 1, 1, 0]
    assert [len(ax.lines) - 4 for ax in names["axes"]] == [1, 1, 2]  # lines beside the points
    assert (tmp_path / "01_threshold_units.png").stat().st_size > 10_000
