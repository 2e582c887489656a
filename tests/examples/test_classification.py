"""Two spirals are told apart."""

from __future__ import annotations

import re

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_two_spirals(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("02_classification.py", capsys)
    assert out.startswith("MLP((2, 64, 64, 2), activation='relu', output_activation='softmax'")
    accuracy = numbers(out.split("accuracy on held-out rows")[1].splitlines()[0])[0]
    assert accuracy >= 98
    drawn = out.splitlines()[-21:]
    assert all(len(line) == 41 and set(line) <= set(".o") for line in drawn)
    # The spirals wind around each other: along the middle row the class changes many times.
    assert len(re.findall(r"\.o|o\.", drawn[10])) >= 4
    assert np.array_equal(names["classes"] == 1, [c == "o" for c in drawn[-1]])
