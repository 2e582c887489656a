"""What keeps from fitting noise fits less of it and predicts better; zeros do not begin."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled

from fastbp import MLP


@long_uncompiled
def test_regularization(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--folder", str(tmp_path), "--seeds", "2")
    names, out = run("lectures/15_regularization.py", capsys, *options)
    assert f"{MLP((1, 64, 64, 1)).params.size:,} parameters" in str(names["__doc__"])
    rows = dict.fromkeys(names["METHODS"])
    for line in out.splitlines()[1 : 1 + len(rows)]:
        name = next(name for name in rows if line.startswith(name))
        rows[name] = numbers(line.removeprefix(name).replace("L", "").replace("%", ""))
    training, new, size, zeros, epochs = zip(*rows.values(), strict=True)
    assert min(training[1:]) > training[0] < 0.05
    assert max(new[1:]) < 0.8 * new[0]
    assert size[2] < size[1] / 2 < size[0] / 4  # L1, L2, nothing
    assert zeros[2] > 90 > zeros[1] > zeros[0]
    assert epochs[:-1] == (3000,) * 4
    assert epochs[-1] < 1500
    losses = [numbers(line)[-1] for line in out.splitlines()[-4:]]
    assert losses[-1] > 4 * max(losses[:-1])
    assert (tmp_path / "15_regularization.png").read_bytes().startswith(b"\x89PNG")
