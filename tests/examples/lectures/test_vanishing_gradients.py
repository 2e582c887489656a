"""The gradient of sigmoid units vanishes towards the inputs; that of tanh and ReLU does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_vanishing_gradients(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/17_vanishing_gradients.py", capsys, "--folder", str(tmp_path))
    rows = {name: numbers(line[36:]) for name, line in zip(names["NETS"], out.splitlines()[1:5],
                                                           strict=True)}  # fmt: skip
    squared, entropy, tanh, relu = rows.values()
    assert squared[2] > 100 and entropy[2] > 100  # the last norm by the first
    assert tanh[2] < 10 and relu[2] < 10
    assert entropy[0] > 3 * squared[0]  # the slope of the output, at most 1/4, is gone
    assert min(squared[3], entropy[3]) > 0.5 and max(tanh[3], relu[3]) < 0.01
    for line in names["left"].lines[:2]:  # in each layer, going back
        assert (line.get_ydata()[:-1] < line.get_ydata()[1:] / 3).all()
    assert (tmp_path / "17_vanishing_gradients.png").stat().st_size > 10_000
