"""The fit that was stopped ends with the bits of the one that was not."""

from __future__ import annotations

import pytest
from example_runs import run
from helpers import long_uncompiled

pytest.importorskip("safetensors", reason="nets are saved by it")


@long_uncompiled
def test_save_and_resume(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("04_save_and_resume.py", capsys)
    assert "begins after epoch 0 and goes on to 17\nbegins after epoch 15 and goes on to 40" in out
    assert "one bit flipped: it is damaged: its SHA-256" in out
    assert "the same parameters: True" in out
    assert "the same history: True" in out
    assert len(names["resumed"].history) == 40
    assert len(names["content"]) < 5000
