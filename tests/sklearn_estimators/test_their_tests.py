"""scikit-learn's own tests of its networks, and its checks of estimators, on fastbp's classes."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import sklearn.linear_model
import sklearn.neural_network
from sklearn.neural_network.tests import test_mlp as installed
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp.sklearn import MLPClassifier, MLPRegressor, Perceptron

pytestmark = [
    pytest.mark.slow,
    pytest.mark.promise("estimators"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
]

PRIVATE = {"test_gradient": "_loss_grad_lbfgs"}
"""Tests of scikit-learn's file that need a private attribute of its class, and which."""


def with_our_classes() -> ModuleType:
    """The installed file, executed once more with fastbp's classes under its names."""
    spec = importlib.util.spec_from_file_location("their_tests", installed.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.neural_network, "MLPClassifier", MLPClassifier)
        patch.setattr(sklearn.neural_network, "MLPRegressor", MLPRegressor)
        spec.loader.exec_module(module)
    assert module.MLPClassifier is MLPClassifier
    assert module.MLPRegressor is MLPRegressor
    return module


THEIRS = with_our_classes()
TESTS = {name: test for name, test in vars(THEIRS).items() if name.startswith("test_")}


@pytest.fixture
def global_random_seed() -> int:
    """As in scikit-learn's conftest.py, of which pytest does not know here."""
    return 42


@pytest.fixture(autouse=True)
def count(request: pytest.FixtureRequest, tally: Any) -> Iterator[None]:
    """Count each of scikit-learn's tests and checks."""
    yield
    if request.function in TESTS.values():
        tally["their tests"] += 1
    elif request.function is test_checks:
        tally["checks"] += 1


globals().update({name: test for name, test in TESTS.items() if name not in PRIVATE})


@pytest.mark.parametrize("name", PRIVATE)
def test_what_cannot_pass_needs_a_private_attribute(name: str) -> None:
    with pytest.raises(AttributeError, match=f"no attribute '{PRIVATE[name]}'"):
        TESTS[name]()


def test_their_file_was_run_as_a_whole() -> None:
    functions = {
        name
        for name, test in vars(installed).items()
        if name.startswith("test_") and inspect.isfunction(test)
    }
    assert functions == set(TESTS)
    assert len(functions) > 40
    assert set(PRIVATE) < functions


ESTIMATORS = [
    MLPClassifier(max_iter=100),
    MLPRegressor(max_iter=100),
    MLPRegressor(max_iter=100, as_transformer=True),
]
"""With the parameters that scikit-learn gives its own in these checks."""


@parametrize_with_checks(ESTIMATORS)
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def names_of_checks(estimator: Any) -> set[str]:
    checks = estimator_checks_generator(estimator, mark="skip")
    return {getattr(check, "func", check).__name__ for _, check in checks}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: type(estimator).__name__)
def test_every_check_of_their_own_is_run(estimator: Any) -> None:
    theirs = getattr(sklearn.neural_network, type(estimator).__name__)(max_iter=100)
    assert names_of_checks(theirs) <= names_of_checks(estimator)


class ToThePrintedDigits(doctest.OutputChecker):
    """Numbers agree to a unit of the last digit printed; all else to the letter."""

    NUMBER = re.compile(r"-?\d+(?:\.\d*)?")

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        if super().check_output(want, got, optionflags):
            return True
        rest = [re.sub(r"\s+", "", self.NUMBER.sub("#", text)) for text in (want, got)]
        numbers = [self.NUMBER.findall(text) for text in (want, got)]
        return rest[0] == rest[1] and all(
            abs(float(a) - float(b)) <= 1.0001 * 10.0 ** -len(a.partition(".")[2])
            for a, b in zip(*numbers, strict=True)
        )


@pytest.mark.parametrize("ours", [MLPClassifier, MLPRegressor, Perceptron])
def test_their_docstrings(ours: type, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sklearn.linear_model if ours is Perceptron else sklearn.neural_network
    theirs = getattr(module, ours.__name__)
    monkeypatch.setattr(module, ours.__name__, ours)  # the examples import it from there
    (example,) = (e for e in doctest.DocTestFinder(recurse=False).find(theirs) if e.examples)
    runner = doctest.DocTestRunner(ToThePrintedDigits(), optionflags=doctest.ELLIPSIS)
    found = runner.run(example)
    assert found.attempted > 3
    assert found.failed == 0
