"""The grid has settings that learn the function and others that do not."""

from __future__ import annotations

import pytest
from example_runs import run
from helpers import long_uncompiled


@long_uncompiled
def test_grid(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("11_grid.py", capsys)
    assert out.count("\n") == 5
    assert len(names["scores"]) == 36
    assert max(names["scores"]) > 0.85
    assert min(names["scores"]) < 0.6
