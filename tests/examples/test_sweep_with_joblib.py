"""A sweep comes to the same losses in threads, in processes and on a Dask cluster."""

from __future__ import annotations

import importlib.util

import pytest
from example_runs import run
from helpers import long_uncompiled


@pytest.mark.slow
@long_uncompiled
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sweep_with_joblib(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("joblib", reason="the sweep is joblib's")
    names, out = run("12_sweep_with_joblib.py", capsys, "--epochs", "5")
    there = importlib.util.find_spec("distributed") is not None
    assert list(names["found"]) == ["threading", "loky", *["dask"] * there]
    assert "the same losses: True" in out
    assert all(len(losses) == 8 for losses in names["found"].values())
