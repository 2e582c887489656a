"""Compiled functions of test files are kept until their file changes."""

from __future__ import annotations

import types
from pathlib import Path

import numpy as np
import pytest
from entry_points import entry_point
from formulas import run_update
from helpers import needs_compiler


def doubled(x):
    return 2.0 * x[0]


def of_another_file(x):
    run_update(x)


def stored_in(tmp_path: Path, text: str) -> tuple[Path, tuple]:
    """Where the code of `doubled` is stored if its file has this text, and its key."""
    file = tmp_path / "edited.py"
    file.write_text(text)
    code = doubled.__code__.replace(co_filename=str(file))
    function = entry_point(types.FunctionType(code, globals(), "doubled"))
    path, key = function._cache._locate(("a signature",))
    return path, key


@needs_compiler
def test_an_edit_of_the_test_file_is_another_entry(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path / "cache"))
    before, again, after = (stored_in(tmp_path, text) for text in ("a", "a", "b"))
    assert before == again
    assert before[0] != after[0]
    assert before[1] != after[1]


@needs_compiler
def test_what_is_stored_is_loaded(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path))
    x = np.full(1, 1.5)
    for hits in (0, 1):
        function = entry_point(doubled)
        assert function(x) == 3.0
        assert sum(function.stats.cache_hits.values()) == hits


@needs_compiler
def test_what_the_hash_would_not_cover_is_refused() -> None:
    with pytest.raises(ValueError, match="of_another_file calls run_update of .*formulas.py"):
        entry_point(of_another_file)
    factor = 2.0
    with pytest.raises(ValueError, match="closes over variables"):
        entry_point(lambda x: factor * x)
