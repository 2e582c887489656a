"""Every number of case 2 is printed, as the deck prints it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from example_runs import run

DECK = """
    0.3775 0.593269992 0.596884378 1.105905967 0.75136507 0.772928465
    0.274811083 0.023560026 0.298371109
    0.74136507 0.186815602 0.138498562 0.082167041
    0.055399425 0.036350306 0.241300709 0.000438568
    0.149780716 0.19956143 0.24975114 0.29950229
    0.35891648 0.408666186 0.511301270 0.561370121
    0.01591 0.98406
"""


def test_sigmoid_network(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, out = run("lectures/05_sigmoid_network.py", capsys, "--folder", str(tmp_path))
    printed = [float(x) for x in re.findall(r"\d+\.\d+(?:e-\d+)?", out)]
    for number in DECK.split():
        digits = len(number.partition(".")[2])
        assert any(f"{x:.{digits}f}" == number for x in printed), number
    # The deck multiplies rounded numbers: -0.019049119, and 0.291027924 after the step.
    assert "0.055399425 - 0.019049118" in out
    assert 0.291027774 in printed
    assert re.search(r"after 10,000 steps: E = 3\.51e-05", out)
    assert (tmp_path / "05_sigmoid_network.png").stat().st_size > 10_000
