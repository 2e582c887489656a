"""A loop of one's own: checked, frozen, thawed."""

from __future__ import annotations

import re

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled


@long_uncompiled
def test_own_loop(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("06_own_loop.py", capsys)
    assert names["check"].checked > 70
    assert names["check"].error < 1e-4
    rates = [float(x) for x in re.findall(r"learning rate (\S+)", out)]
    assert rates == [0.1, 0.1, 0.1, 0.025, 0.00625, 0.0015625]
    assert "first layer unchanged while frozen: True" in out
    assert numbers(out.splitlines()[-1])[0] < 0.005
