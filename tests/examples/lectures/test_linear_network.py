"""Every number of case 1 is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_runs import numbers, run

from fastbp import SGD, explain


def test_linear_network(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/04_linear_network.py", capsys, "--folder", str(tmp_path))
    lines = {line.split()[0]: numbers(line) for line in out.splitlines() if line}
    forward = out.partition("Loss")[0].splitlines()
    outputs = {line.split()[0]: numbers(line)[-1] for line in forward[5:] if line}
    assert outputs == {"x1": 3, "x2": -2, "h1": -3, "h2": 8, "h3": 13, "o1": 5}
    assert lines["total"] == [8]
    assert "dE/dW36 = 12, new W36 = -2.2" in out
    assert "dE/dW13 = 12, new W13 = -0.2" in out
    # The loss rises at the lecture's rate, and falls at a hundredth of it.
    assert lines["after"] == [15488]
    rates, losses = lines["learning"], lines["loss"]
    assert rates == [0.1, 0.01, 0.001, 0.0001] and losses[0] == 15488 and losses[-1] == 8
    assert losses[1] > 8 > losses[2]
    for rate, loss in zip(rates, losses[:4], strict=True):
        names["net"].optimizer = SGD(rate)
        assert explain(names["net"], [3, -2], 9).losses.after == pytest.approx(loss, rel=1e-4)
    assert (tmp_path / "04_linear_network.png").stat().st_size > 10_000
