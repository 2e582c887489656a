"""Rounds of local steps on two workers."""

from __future__ import annotations

import pytest
from example_runs import run
from helpers import long_uncompiled

pytest.importorskip("distributed", reason="needs Dask: pip install 'dask[distributed]'")


@long_uncompiled
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_dask(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = run("15_dask.py", capsys, "--rounds", "2")
    assert "rounds: 2" in out
    first, last = (float(line.split()[1]) for line in out.splitlines()[2:4])
    assert last < first
