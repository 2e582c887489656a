"""The mutants of `make test-mutants`: what they break is still there."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutants import MUTANTS

import fastbp

HERE = Path(__file__).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_text_stands_once_and_its_tests_are_there(mutant):
    source = (Path(fastbp.__file__).parent / mutant.file).read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1, "mend the mutant in tests/mutants.py"
    assert mutant.new != mutant.old
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (HERE / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text
