"""Bumps and towers set by hand come closer as there are more of them, and training closer still."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_any_function(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/16_any_function.py", capsys, "--folder", str(tmp_path))
    lines = out.splitlines()
    few, many, trained = (numbers(line)[-1] for line in lines[:3])
    assert few < 0.06 and many < few / 5
    assert trained < many / 50  # with a fifth of the units
    assert [numbers(line)[-2] for line in lines[:3]] == [20, 100, 20]
    coarse, fine, drawn = (numbers(line)[-1] for line in lines[3:])
    assert fine < drawn < coarse < 0.07
    # A bump is 1 within its edges and 0 outside, and a tower stands on its own square alone.
    bump = names["by_bumps"](np.array([0.3, 0.7]), np.ones(1)).predict(names["x"])[:, 0]
    beside = np.abs(names["x"][:, 0] - 0.5) - 0.2  # of the edge
    clear = np.abs(beside) > 1e-3
    assert np.allclose(bump[clear], beside[clear] < 0, atol=1e-3)
    net = names["by_towers"](6)
    net.weights[2][:, 0] = np.arange(36) == 13  # column 2, row 1
    tower = net.predict(names["plane"]).reshape(120, 120)
    assert np.allclose(tower[41:59, 21:39], 1, atol=1e-6)
    assert abs(tower.sum() - 20 * 20) < 45  # its edges are neither in nor out
    assert (tmp_path / "16_any_function.png").stat().st_size > 10_000
