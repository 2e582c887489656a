"""AND and OR are learned, XOR is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_runs import numbers, run


def test_perceptron(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("lectures/02_perceptron.py", capsys, "--folder", str(tmp_path))
    conjunction, disjunction, xor, _, both, squares, outputs, *_ = out.splitlines()
    for line, y in ((conjunction, [0, 0, 0, 1]), (disjunction, [0, 1, 1, 1])):
        said, _, reason = line.partition("predicts")[2].partition("  ")
        assert numbers(said) == y
        assert reason.startswith("no mistake in epoch ")
    assert xor.endswith("35 epochs, none without a mistake")
    assert numbers(both) == [0, 0, 0, 1, 0, 1, 1, 1]
    assert numbers(squares) == [0, 0, 0.5]
    assert numbers(outputs) == [0.5] * 4
    # The lines that are drawn stand between the points of the two kinds, but for XOR.
    X, targets = names["X"], names["targets"]
    for (name, y), ax in zip(targets.items(), names["axes"][0], strict=True):
        (x0, y0), (x1, y1) = (ax.lines[-1].get_xy1(), ax.lines[-1].get_xy2())
        sides = {on: set() for on in (0, 1)}
        for point, on in zip(X, y, strict=True):
            sides[on].add((x1 - x0) * (point[1] - y0) > (y1 - y0) * (point[0] - x0))
        assert sides[0].isdisjoint(sides[1]) == (name != "XOR")
    assert (tmp_path / "02_perceptron.png").stat().st_size > 10_000
