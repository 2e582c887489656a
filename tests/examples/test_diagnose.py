"""Each net of the example has its fault, the last one none."""

from __future__ import annotations

import pytest
from example_runs import run
from helpers import long_uncompiled


@long_uncompiled
def test_diagnose(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("20_diagnose.py", capsys)
    expected = {
        "inputs in other units": "unscaled inputs",
        "biases far below 0": "dead units",
        "eight sigmoid layers": "vanishing gradient",
        "a tiny learning rate": "learning rate too small",
        "a huge learning rate": "learning rate too large",
        "no hidden layer": "underfitting",
        "random labels": "overfitting",
    }
    assert names["reports"].keys() == expected.keys()
    for name, fault in expected.items():
        assert fault in names["reports"][name], name
    assert out.splitlines()[-4].startswith("No problems found (loss 0.0")
