"""Small nets for XOR get stuck from most starts; the best of many does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_local_minima(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run(
        "lectures/18_local_minima.py", capsys, "--folder", str(tmp_path), "--starts", "200"
    )
    found = names["found"]
    shares = [(one.losses < 0.01).mean() for one in found.values()]
    assert 0.05 < shares[0] < 0.4 < shares[1] < shares[2]
    small = found[2]
    stuck = small.losses[small.losses > 0.01]
    # One, two or all of the answers are 1/2, or three are 2/3: minima, whose gradient is 0.
    assert (np.abs(stuck[:, None] - [1 / 16, 1 / 12, 1 / 8]).min(axis=1) < 1e-3).all()
    net = small.nets[int(np.argmax(small.losses > 0.08))]
    assert np.abs(net.loss_and_grad(names["X"], names["y"])[1]).max() < 1e-3
    assert small.net.predict(names["X"])[:, 0].round(2).tolist() == [0, 1, 1, 0]
    assert numbers(out.splitlines()[-1]) == [0, 1, 1, 0]
    assert [numbers(line)[:2] for line in out.splitlines()[:3]] == [
        [hidden, round(100 * share)] for hidden, share in zip(found, shares, strict=True)
    ]
    curve = names["right"].lines[0].get_ydata()
    assert np.allclose(1 - curve, (1 - shares[0]) ** np.arange(1, 31))
    assert (tmp_path / "18_local_minima.png").stat().st_size > 10_000
