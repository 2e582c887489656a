"""Each example is one page, numbered in the order of learning, and has a test of its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from example_runs import EXAMPLES

PATHS = sorted(EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_is_short_and_tested(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 60
    assert ast.get_docstring(ast.parse(text))
    assert (Path(__file__).parent / "examples" / f"test_{path.stem[3:]}.py").exists()


def test_numbers_are_unique() -> None:
    assert len({path.name[:3] for path in PATHS}) == len(PATHS)
