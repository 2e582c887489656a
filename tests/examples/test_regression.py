"""A first regression explains held-out prices, and its file predicts the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from example_runs import numbers, run
from helpers import long_uncompiled

import fastbp


@long_uncompiled
def test_regression(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names, out = run("01_regression.py", capsys, "--folder", str(tmp_path))
    stopped, score, error, same = out.splitlines()
    assert "val_loss" in stopped
    assert numbers(score)[-1] > 0.96
    measured, noise = numbers(error.replace("%", ""))
    assert noise == 4.0
    assert noise < measured < 7
    assert same.endswith("True")
    loaded = fastbp.load(tmp_path / "price.safetensors")
    assert np.array_equal(loaded.params, names["net"].params)
