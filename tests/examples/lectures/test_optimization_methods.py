"""Each way down, compared; the picture is drawn."""

from __future__ import annotations

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_optimization_methods(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    names, out = run(
        "lectures/13_optimization_methods.py",
        capsys,
        "--folder",
        str(tmp_path),
        "--evaluations",
        "400",
    )
    lines = out.splitlines()
    assert numbers(lines[0]) == [10, 100, 400]
    losses = {line[:28].strip(): numbers(line[28:]) for line in lines[1:]}
    assert len(losses) == 8
    assert all(a >= b >= c for a, b, c in losses.values())
    assert losses["conjugate_gradient"][2] < losses["gradient_descent"][2]
    assert sorted(losses, key=lambda name: losses[name][2])[:2] == ["lm", "lbfgs"]
    assert {len(curve[0]) for curve in names["curves"].values()} != {1}
    assert (tmp_path / "13_optimization_methods.png").stat().st_size > 20_000
