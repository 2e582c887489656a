"""1,000 digits are worth more when they are turned and shifted."""

from __future__ import annotations

import re

import pytest
from example_runs import run
from helpers import SOAK, long_uncompiled
from reference_data import FOLDER, needs_mnist


@needs_mnist
@long_uncompiled
def test_augmentation_helps(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    options = () if SOAK else ("--seeds", "2", "--epochs", "25")
    _, out = run(
        "18_augmentation.py", capsys, "--data", str(FOLDER), "--folder", str(tmp_path), *options
    )
    found = {
        line[13:27].strip(): [float(x) for x in re.findall(r"([\d.]+)%", line)]
        for line in out.splitlines()
    }
    assert list(found) == ["original", "noise", "shifted", "rotated", "all of these"]
    # A seed moves an accuracy on 1,500 digits by half a percent or more.
    assert found["rotated"][0] > found["original"][0]
    for name in ("shifted", "all of these"):
        assert found[name][0] > found["original"][0] + 1
        assert min(found[name][1:]) > max(found["original"][1:])
    assert found["all of these"][0] > found["original"][0] + 1.5
    assert (tmp_path / "18_augmentation.png").stat().st_size > 10_000


def test_no_data(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    with pytest.raises(SystemExit, match="there is no t10k-images.*FASTBP_DATA"):
        run("18_augmentation.py", capsys, "--data", str(tmp_path))
