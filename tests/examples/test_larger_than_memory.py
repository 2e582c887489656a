"""A folder of Parquet files trains as the same rows in memory do."""

from __future__ import annotations

import pytest
from example_runs import run
from helpers import long_uncompiled

pytest.importorskip("pyarrow", reason="needs pyarrow: pip install pyarrow")


@long_uncompiled
def test_larger_than_memory(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("05_larger_than_memory.py", capsys, "--rows", "20000")
    assert "Parquet of 20,000 rows in 4 row groups, X: x0, x1" in out
    assert "y: price; sample_weight: weight" in out
    assert "as from memory, up to rounding: True" in out
    assert names["history"].loss[-1] < 0.5 * names["history"].loss[0]
