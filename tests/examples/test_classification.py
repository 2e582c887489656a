"""Two spirals are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_two_spirals(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("02_classification.py", capsys, "--folder", str(tmp_path))
    assert out.startswith("MLP((2, 64, 64, 2), activation='relu', output_activation='softmax'")
    accuracy = numbers(out.split("accuracy on held-out rows")[1].splitlines()[0])[0]
    assert accuracy >= 98
    chosen, right = (numbers(line) for line in out.splitlines() if line.endswith("]"))
    assert len(chosen) == 5 and chosen == right
    # The spirals wind around each other: along the middle row the class changes many times.
    (image,) = names["ax"].images
    middle = image.get_array()[100, :, 0]
    assert (middle[1:] != middle[:-1]).sum() >= 4
    assert (tmp_path / "02_classification.png").stat().st_size > 10_000
