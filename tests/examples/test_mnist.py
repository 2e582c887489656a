"""The accuracies that the lecture's nets reach on digits never seen; see tests/conftest.py."""

from __future__ import annotations

import re
import shutil

import pytest
from example_runs import run
from helpers import SOAK, long_uncompiled
from reference_data import FOLDER, needs_mnist


def accuracies(out: str) -> list[float]:
    return [float(x) for x in re.findall(r"([\d.]+)%", out)]


@needs_mnist
@long_uncompiled
@pytest.mark.parametrize("seed", range(5) if SOAK else range(1))
def test_accuracies(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """94 %, 94.5 % and 97 %, by each seed."""
    _, out = run("17_mnist.py", capsys, "--data", str(FOLDER), "--seed", str(seed))
    sgd, adam, augmented = accuracies(out)
    assert sgd >= 94.0
    assert adam >= 94.5
    assert augmented >= 97.0


@needs_mnist
@long_uncompiled
def test_quick(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    for kind in ("images-idx3", "labels-idx1"):
        shutil.copy(FOLDER / f"t10k-{kind}-ubyte.gz", tmp_path)
    _, out = run("17_mnist.py", capsys, "--data", str(tmp_path), "--quick")
    assert all(accuracy > 80 for accuracy in accuracies(out))
    assert len(accuracies(out)) == 3


def test_no_data(capsys: pytest.CaptureFixture[str], tmp_path) -> None:
    with pytest.raises(
        SystemExit, match="there is no t10k-im.*published at.*FASTBP_DATA.*--openml"
    ):
        run("17_mnist.py", capsys, "--data", str(tmp_path))
