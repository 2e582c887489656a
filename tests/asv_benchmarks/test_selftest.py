"""The slowdown that the self-test plants still fits the sources."""

from __future__ import annotations

import pytest

import selftest
from asv_calls import ROOT
from selftest import LINE, PATCHED

SOURCE = (ROOT / PATCHED).read_text(encoding="utf-8")


def test_the_line_stands_once_in_the_sources() -> None:
    slow = selftest.planted(SOURCE)
    assert slow.count(LINE) == 2
    compile(slow, PATCHED, "exec")
    for source in (SOURCE.replace(LINE, ""), slow):
        with pytest.raises(ValueError, match="does not stand once"):
            selftest.planted(source)


@pytest.mark.slow
@pytest.mark.parametrize(("found", "status"), [((1, 0), 0), ((0, 0), 1), ((1, 1), 1), ((2, 0), 1)])
def test_the_gate_must_find_the_slowdown_and_nothing_else(monkeypatch, found, status) -> None:
    """With another gate in the clone; it says what it was given to compare."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    changed = []
    statuses = iter(found)
    run = selftest.subprocess.run

    def gate(command, cwd, **options):
        if "--base=original" not in command:
            return run(command, cwd=cwd, **options)
        changed.append(selftest.git("diff", "--name-only", "original", "HEAD", root=cwd))
        return run([command[0], "-c", f"raise SystemExit({next(statuses)})"], cwd=cwd)

    monkeypatch.setattr(selftest.subprocess, "run", gate)
    assert selftest.main() == status
    assert changed == [PATCHED, ""]
