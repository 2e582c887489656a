"""Optuna finds a good net and prunes others."""

from __future__ import annotations

import pytest
from example_runs import numbers, run
from helpers import long_uncompiled

pytest.importorskip("optuna", reason="needs optuna: pip install optuna")


@long_uncompiled
@pytest.mark.slow
def test_search_with_optuna(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("13_search_with_optuna.py", capsys, "--trials", "15")
    trials, pruned = numbers(out.splitlines()[0])
    assert trials == 15
    assert 0 < pruned < 15
    assert names["study"].best_value < 0.05
