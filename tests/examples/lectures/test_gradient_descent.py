"""Batches, learning rates and momentum do what the lecture says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_gradient_descent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("lectures/11_gradient_descent.py", capsys, "--folder", str(tmp_path))
    rows = [numbers(line)[-2:] for line in out.splitlines()]
    assert [updates for updates, _ in rows] == [120, 15, 3, 9, 9, 9, 40, 40]
    stochastic, mini_batch, full, divergent, good, small, momentum, none = (r[1] for r in rows)
    assert stochastic < mini_batch < full  # the more updates in as many epochs
    X, y = names["x"], names["y"]
    coefs, residual, *_ = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)
    least, start = residual[0] / 80, ((-0.7 * X + 2.0 - y) ** 2).mean() / 2
    assert divergent > start > small > 10 * good
    assert none > 1.3 * momentum
    assert momentum == pytest.approx(least, rel=0.02)
    assert names["descend"](40, 0.5, 200)[-1] == pytest.approx(coefs.ravel(), rel=1e-6)
    assert (tmp_path / "11_gradient_descent.png").read_bytes().startswith(b"\x89PNG")
