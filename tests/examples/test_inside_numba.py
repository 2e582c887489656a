"""The compiled solver reaches the end of the path, and its Jacobian is that of the slope."""

from __future__ import annotations

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled

pytest.importorskip("scipy", reason="the example integrates by it, too")


@pytest.mark.slow
@long_uncompiled
def test_inside_numba(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("07_inside_numba.py", capsys)
    compiled, *by_scipy = map(numbers, out.splitlines()[1:])
    assert names["off"] < 0.05
    assert compiled[-1] < 1e-3
    assert [line[-1] < 2e-3 for line in by_scipy] == [True, True]
    f, start, end, exact = (names[name] for name in ("f", "START", "END", "exact"))
    coarse, fine = (np.subtract(names["solve"](f, start, end / n, n), exact) for n in (500, 1000))
    assert np.abs(coarse).max() == pytest.approx(4 * np.abs(fine).max(), rel=0.1)  # order 2
    z, a, dz, h = np.empty(2), np.empty(1), np.empty(2), 1e-6
    slopes = [
        names["slope"](f, 1.2 + dx, -0.7 + dv, z, a)
        for dx, dv in ((h, 0), (-h, 0), (0, h), (0, -h), (0, 0))
    ]
    f.vjp(z, 1.0, dz, np.empty(0))
    by_x, by_v = 10 * dz / names["SCALE"]
    assert by_x == pytest.approx((slopes[0] - slopes[1]) / (2 * h), rel=1e-6)
    assert by_v == pytest.approx((slopes[2] - slopes[3]) / (2 * h), rel=1e-6)
