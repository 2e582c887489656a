"""Scripts in fresh processes: what they need is told, and a failure is no measurement."""

from __future__ import annotations

import os

import pytest

from fresh import fresh_run

pytestmark = pytest.mark.slow


def test_memory_is_that_of_the_script_alone() -> None:
    """The parent holds 64 MiB that the child has never had."""
    block = b"x" * (64 << 20)
    small = fresh_run("", os.environ)
    large = fresh_run("block = b'x' * (64 << 20)", os.environ)
    assert len(block) == 64 << 20
    assert 2 < small.memory < 40
    assert 50 < large.memory - small.memory < 70  # a few of them the small interpreter has had
    assert small.seconds > 0


def test_a_script_that_fails_is_told(capfd) -> None:
    with pytest.raises(RuntimeError, match="status 3"):
        fresh_run("raise SystemExit(3)", os.environ)
    environment = {**os.environ, "FASTBP_TEST_NAME": "value"}
    fresh_run("import os; assert os.environ['FASTBP_TEST_NAME'] == 'value'", environment)
    with pytest.raises(RuntimeError, match="status 1"):
        fresh_run("print(1 / 0)", os.environ)
    assert "ZeroDivisionError" in capfd.readouterr().err
