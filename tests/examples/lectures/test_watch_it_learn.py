"""The animation, the loss surface and the histograms are drawn."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled
from PIL import Image

matplotlib.use("agg")


@long_uncompiled
def test_watch_it_learn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    options = ("--folder", str(tmp_path), "--frames", "3")
    names, out = run("lectures/14_watch_it_learn.py", capsys, *options)
    assert names["accuracy"] > 0.98
    assert names["epochs"][0] == 0 and names["epochs"][-1] == 150
    with Image.open(tmp_path / "14_animation.gif") as animation:
        assert animation.n_frames == 3
    for name in ("14_loss_surface.png", "14_histograms.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    norms = numbers(next(line for line in out.splitlines() if "norms" in line).split("ients:")[1])
    assert norms[0] < norms[1] < norms[2] < norms[3]  # they vanish going back
    matplotlib.pyplot.close("all")
