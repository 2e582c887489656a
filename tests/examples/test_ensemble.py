"""The ensemble is right where there are data, and unsure elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from example_runs import run
from helpers import long_uncompiled


@long_uncompiled
def test_ensemble(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("10_ensemble.py", capsys)
    assert out.count("\n") == 13
    x, mean, spread = names["grid"][:, 0], names["mean"], names["spread"]
    inside = (abs(x) >= 1) & (abs(x) <= 4)
    assert abs(mean - np.sin(x))[inside].max() < 0.3
    assert spread[abs(x) > 4].min() > 1.5 * np.median(spread[inside])
