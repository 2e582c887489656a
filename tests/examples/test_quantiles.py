"""Three quantiles hold the shares they are named for."""

from __future__ import annotations

import re

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_quantiles(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = run("19_quantiles.py", capsys)
    shares = [float(x) for x in re.findall(r"([\d.]+)%", out)]
    assert shares == pytest.approx([10, 50, 90], abs=4)
    ranges = [numbers(line.partition(":")[2]) for line in out.splitlines()[-3:]]
    assert all(low < median < high for median, low, high in ranges)
    assert ranges[1][2] - ranges[1][1] < 0.6 < ranges[0][2] - ranges[0][1]
    assert "no improvement of val_loss for 15 epochs" in out
