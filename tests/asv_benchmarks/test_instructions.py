"""Counting instructions: what is read from valgrind's files, and what is made of it."""

from __future__ import annotations

import pytest

import instructions
from workloads import WORKLOADS

DUMP = """\
# callgrind format
version: 1
desc: Trigger: Client Request

summary: 7

totals: 540582
"""


def test_the_total_of_a_dump() -> None:
    assert instructions.total_of(DUMP) == 540582
    with pytest.raises(RuntimeError, match="no total"):
        instructions.total_of("desc: nothing\n")


def test_the_short_fit_is_taken_from_the_long_one() -> None:
    short, long = instructions.EPOCHS
    assert long == short + 1 and short > 1  # both write their history by the same path
    assert [instructions.batches_of(WORKLOADS[name]) for name in ("tiny", "wide")] == [100, 1]
    found = instructions.per_update(["tiny", "wide"], [1_000, 2_500, 400, 1_600])
    assert found == {"tiny": 15.0, "wide": 1200.0}


def test_requests_do_nothing_without_valgrind() -> None:
    if instructions.unavailable().startswith("instructions"):
        pytest.skip(instructions.unavailable())
    for kind in (instructions.START, instructions.STOP, instructions.DUMP):
        instructions.request(kind)


def test_why_nothing_can_be_counted(monkeypatch) -> None:
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    assert instructions.unavailable() in (
        "valgrind is not installed",
        "instructions are counted on x86-64 Linux",
    )
    monkeypatch.setattr(instructions.platform, "machine", lambda: "aarch64")
    assert instructions.unavailable() == "instructions are counted on x86-64 Linux"
