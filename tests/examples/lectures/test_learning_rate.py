"""Four learning rates, and the one that is suggested."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from example_runs import run
from helpers import long_uncompiled

matplotlib.use("agg")


@long_uncompiled
def test_learning_rate(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/12_learning_rate.py", capsys, "--folder", str(tmp_path))
    lines = out.splitlines()
    assert lines[0].startswith("suggested learning rate")
    last = {name.split(",")[0]: one.loss[-1] for name, one in names["histories"].items()}
    assert last["good"] < last["too small"] < last["too large"]  # as the picture is read
    assert any("diverged in epoch" in line for line in lines if line.startswith("divergent"))
    assert (tmp_path / "12_learning_rate.png").stat().st_size > 10_000
    assert len(names["right"].lines) == 4
    matplotlib.pyplot.close("all")
