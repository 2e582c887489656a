"""The mutants of `make test-mutants`: what they break is still there."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant, MutantError, broken

import fastbp

HERE = Path(__file__).parent
SOURCE = '''
class Sum:
    """A sum."""

    def add(self, x):  # and count
        self.total += (
            2 * x + 1
        )
        if x > 0:
            self.count(2 * x + 1)
            self.count(x)
            return x
        self.count(x)
        return self.total
'''


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_code_stands_once_and_its_tests_are_there(mutant):
    source = (Path(fastbp.__file__).parent / mutant.file).read_text(encoding="utf-8")
    result = broken(source, mutant)  # mend a mutant that is not found in tests/mutants.py
    compile(result, mutant.file, "exec")
    assert result != ast.unparse(ast.parse(source))
    for test in mutant.tests:
        file, _, name = test.partition("::")
        text = (HERE / file).read_text(encoding="utf-8")
        assert not name or f"def {name}(" in text


def test_names_are_given_once():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    ("code", "replacement", "written"),
    [
        ("self.total += (2*x + 1)", "pass", "self.total += (\n            2 * x + 1\n        )"),
        ("x>0", "x >= 0", "x > 0"),
        ("self.count(x)\nreturn x", "return x", "self.count(x)\n            return x"),
        ("return x", "pass", "return x"),
    ],
)
def test_code_is_found_however_it_is_written(code, replacement, written):
    expected = SOURCE.replace(written, replacement)
    result = broken(SOURCE, Mutant("", "", "Sum.add", code, replacement, ()))
    assert result == ast.unparse(ast.parse(expected))


@pytest.mark.parametrize(
    ("function", "code", "words"),
    [
        ("Sum.add", "2 * x + 1", "'2 * x + 1' in Sum.add stands 2 times"),
        ("Sum.add", "x < 0", "'x < 0' in Sum.add stands 0 times"),
        ("Sum.subtract", "x > 0", "subtract in sums.py stands 0 times"),
    ],
)
def test_code_that_is_not_there_once_is_an_error(function, code, words):
    with pytest.raises(MutantError) as caught:
        broken(SOURCE, Mutant("", "sums.py", function, code, "0", ()))
    assert str(caught.value) == words
