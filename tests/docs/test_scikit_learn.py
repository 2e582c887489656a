"""docs/howto/scikit_learn.md: the list of what the estimators have more is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import sklearn.linear_model
import sklearn.neural_network

import fastbp.sklearn

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "scikit_learn.md"
(LINE,) = re.findall(
    r"^- `get_params\(\)` has these keys more: .*?(?=^- )",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)
LISTED = set(re.findall(r"`(\w+)`", LINE))


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "Perceptron"])
def test_the_keys_that_scikit_learn_lacks_are_listed(name: str) -> None:
    ours = getattr(fastbp.sklearn, name)()
    theirs = next(t for t in (sklearn.neural_network, sklearn.linear_model) if hasattr(t, name))
    more = ours.get_params().keys() - getattr(theirs, name)().get_params().keys()
    assert more <= LISTED


def test_nothing_else_is_listed() -> None:
    classifier, theirs = fastbp.sklearn.MLPClassifier(), sklearn.neural_network.MLPClassifier()
    more = classifier.get_params().keys() - theirs.get_params().keys()
    requests = classifier.get_metadata_routing().fit.requests.keys() - {"sample_weight"}
    assert LISTED - {"fit"} == {*more, *requests, "missing_targets"}
