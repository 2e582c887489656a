"""The slides' numbers, forward and backward, and three pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from example_runs import numbers, run

matplotlib.use("Agg")


def test_computational_graph(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/06_computational_graph.py", capsys, "--folder", str(tmp_path))
    lines = out.splitlines()
    assert lines[0].endswith("{'x': -4.0, 'y': -4.0, 'z': 3.0, 'q': -4.0}")
    forward, backward = (next(x for x in some if x[:2] == "L ") for some in (lines, lines[::-1]))
    assert numbers(forward)[-1] == pytest.approx(-0.00037018372, abs=1e-11)
    assert numbers(backward)[-1] == 1
    assert numbers(next(x for x in lines[::-1] if x[:2] == "W "))[-1] == pytest.approx(
        -0.00037018372, abs=1e-11
    )
    slopes = [numbers(line)[-1] for line in lines if line.startswith("full")]
    assert slopes == pytest.approx([-0.00037018372, 3 - 0.00037018372], abs=1e-8)
    before, after = names["losses"][0], names["losses"][-1]
    assert after < 0.8 * before
    pictures = sorted(path.name for path in tmp_path.iterdir())
    assert pictures == ["06_cross_entropy.png", "06_one_branch.png", "06_product.png"]
