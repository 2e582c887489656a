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
    f, u = names["compiled"], np.array([1.2, -0.7])
    J, slopes = np.array([[0.0, 1.0], [0.0, 0.0]]), []
    rest = (J, np.empty(2), np.empty(1), np.ones(1), np.empty(2), np.empty(0))
    h = 1e-6
    for e in (*(h * np.eye(2)), *(-h * np.eye(2)), np.zeros(2)):
        du = np.empty(2)
        names["slope_and_jacobian"](f, u + e, du, *rest)
        slopes.append(du)
    differences = (np.array(slopes[:2]) - np.array(slopes[2:4])).T / (2 * h)
    assert np.allclose(J, differences, rtol=1e-6)
