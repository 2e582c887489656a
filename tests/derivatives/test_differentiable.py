"""The examples in the docstrings of the methods that take derivatives."""

from __future__ import annotations

import doctest

import pytest
from helpers import long_uncompiled

from fastbp.derivatives import differentiable

EXAMPLES = [example for example in doctest.DocTestFinder().find(differentiable) if example.examples]


def test_methods_have_examples() -> None:
    assert len(EXAMPLES) == 8


@long_uncompiled
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_says(example) -> None:
    report: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=report.append)
    assert result.failed == 0, "".join(report)
