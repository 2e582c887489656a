"""The compiled solver follows the true path, and its Jacobian is that of the net."""

from __future__ import annotations

import numpy as np
import pytest
from example_runs import run
from helpers import long_uncompiled

pytest.importorskip("sklearn", reason="the example times it")


@long_uncompiled
def test_inside_numba(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("25_inside_numba.py", capsys)
    assert out.count("\n") == 3
    assert names["off"] < 0.1
    assert names["path"].shape == names["true"].y.T.shape
    f, h = names["compiled"], 1e-6
    arrays = np.empty(2), np.empty(1), np.ones(1), np.empty(2), np.empty(0)
    slopes = [
        names["slope_and_jacobian"](f, 1.2 + dx, -0.7 + dv, *arrays)
        for dx, dv in ((0, 0), (h, 0), (-h, 0), (0, h), (0, -h))
    ]
    _, by_x, by_v = slopes[0]
    assert by_x == pytest.approx((slopes[1][0] - slopes[2][0]) / (2 * h), rel=1e-6)
    assert by_v == pytest.approx((slopes[3][0] - slopes[4][0]) / (2 * h), rel=1e-6)
