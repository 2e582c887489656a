"""Classes, filters of warnings and links take fastbp's estimators for scikit-learn's."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import warnings

import pytest
import sklearn.linear_model
import sklearn.neural_network
from sklearn.base import TransformerMixin, is_classifier, is_regressor
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastbp.sklearn

X, Y = load_iris(return_X_y=True)
NAMES = ("MLPClassifier", "MLPRegressor", "Perceptron")
THEIRS = {
    name: getattr(sklearn.linear_model if name == "Perceptron" else sklearn.neural_network, name)
    for name in NAMES
}
OURS = {name: getattr(fastbp.sklearn, name) for name in NAMES}


# ---------------------------------------------------------------- classes


@pytest.mark.parametrize("name", NAMES)
def test_isinstance(name) -> None:
    estimator = OURS[name]()
    assert [other for other in NAMES if isinstance(estimator, THEIRS[other])] == [name]
    assert not isinstance(THEIRS[name](), OURS[name])
    assert THEIRS[name] not in OURS[name].__mro__, "no code is inherited"

    class Own(OURS[name]):
        pass

    assert isinstance(Own(), THEIRS[name])


def test_single_dispatch() -> None:
    @functools.singledispatch
    def kind_of(estimator) -> str:
        return "other"

    for name in NAMES:
        kind_of.register(THEIRS[name], lambda estimator, name=name: name)
    assert [kind_of(OURS[name]()) for name in NAMES] == list(NAMES)


def test_kinds_are_scikit_learns() -> None:
    for name in NAMES:
        for kind in (is_classifier, is_regressor):
            assert kind(OURS[name]()) == kind(THEIRS[name]())
        assert not isinstance(OURS[name](), TransformerMixin)


@pytest.mark.slow
def test_nothing_of_scikit_learn_changes() -> None:
    """Beside the list of virtual subclasses, which `abc` keeps."""
    code = """
import inspect, sys, sklearn.linear_model, sklearn.model_selection, sklearn.neural_network
import sklearn.pipeline, sklearn.metrics
def found():
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] == "sklearn" and module is not None:
            for key, value in list(vars(module).items()):
                yield (name, key), value
                if inspect.isclass(value) and value.__module__ == name:
                    yield from (((name, key, n), x) for n, x in vars(value).items())
before = dict(found())
import fastbp.sklearn
after = dict(found())
print([key for key, value in before.items() if after.get(key) is not value])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_scikit_learns_pages(name) -> None:
    assert OURS[name]()._get_doc_link() == THEIRS[name]()._get_doc_link() != ""
    assert OURS[name]()._get_doc_link() in OURS[name]()._repr_html_()

    class Own(OURS[name]):
        pass

    assert Own()._get_doc_link() == ""


# ---------------------------------------------------------------- warnings


def not_converged(kinds) -> None:
    kinds["MLPClassifier"]((3,), max_iter=1).fit(X, Y)


def not_converged_in_a_pipeline(kinds) -> None:
    make_pipeline(StandardScaler(), kinds["MLPRegressor"](hidden_layer_sizes=(3,), max_iter=1)).fit(
        X, Y
    )


def lbfgs_not_converged(kinds) -> None:
    kinds["MLPClassifier"]((3,), solver="lbfgs", max_iter=2, random_state=0).fit(X, Y)


def evaluations_of_lbfgs_used_up(kinds) -> None:
    kinds["MLPClassifier"]((3,), solver="lbfgs", max_fun=2, random_state=0).fit(X, Y)


def perceptron_not_converged(kinds) -> None:
    kinds["Perceptron"](max_iter=1).fit(X, Y)


def clipped(kinds) -> None:
    net = kinds["MLPClassifier"]((3,), batch_size=151)
    net.partial_fit(X, Y, classes=[0, 1, 2])


def column(kinds) -> None:
    kinds["MLPClassifier"]((3,)).partial_fit(X, Y[:, None], classes=[0, 1, 2])


def column_of_numbers(kinds) -> None:
    kinds["MLPRegressor"](hidden_layer_sizes=(3,)).partial_fit(X, Y[:, None])


def column_of_the_perceptron(kinds) -> None:
    kinds["Perceptron"]().fit(X, Y[:, None])


CALLS = [
    (not_converged, ConvergenceWarning),
    (not_converged_in_a_pipeline, ConvergenceWarning),
    (lbfgs_not_converged, ConvergenceWarning),
    (evaluations_of_lbfgs_used_up, ConvergenceWarning),
    (perceptron_not_converged, ConvergenceWarning),
    (clipped, UserWarning),
    (column, DataConversionWarning),
    (column_of_numbers, DataConversionWarning),
    (column_of_the_perceptron, DataConversionWarning),
]


def caught(call, kinds, *filters) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always")
        for options in filters:
            warnings.filterwarnings("ignore", **options)
        call(kinds)
    return records


@pytest.mark.parametrize(("call", "category"), CALLS)
def test_warnings_are_scikit_learns(call, category) -> None:
    (ours,), (theirs,) = (caught(call, kinds) for kinds in (OURS, THEIRS))
    assert ours.category is theirs.category is category
    assert str(ours.message) == str(theirs.message)


@pytest.mark.parametrize(("call", "category"), CALLS)
def test_filters_by_module(call, category) -> None:
    """``module="sklearn"`` is the idiom of scikit-learn's examples; finer names work, too."""
    assert caught(call, OURS, {"category": category, "module": "sklearn"}) == []
    (theirs,) = caught(call, THEIRS)
    module = re.sub(r".*/(?=sklearn/)", "", theirs.filename.replace("\\", "/"))
    module = module.removesuffix(".py").replace("/", ".")
    assert caught(call, OURS, {"module": f"{re.escape(module)}$"}) == []
    assert len(caught(call, OURS, {"category": category, "module": "fastbp"})) == 1


SAID_BY_THEM = (column_of_the_perceptron,)
"""By a function of scikit-learn's, which shows a line of its own."""


@pytest.mark.parametrize("call", [call for call, _ in CALLS if call not in SAID_BY_THEM])
def test_they_show_the_users_line(call) -> None:
    (warning,) = caught(call, OURS)
    assert warning.filename == __file__
    first = call.__code__.co_firstlineno
    assert first < warning.lineno <= max(n for *_, n in call.__code__.co_lines() if n)


def test_interrupts_are_filtered_alike(monkeypatch) -> None:
    def interrupted(kinds) -> None:
        monkeypatch.setattr(fastbp.sklearn.training.Trainer, "_train", interrupt)
        kinds["MLPClassifier"]((3,), max_iter=2).fit(X, Y)

    def interrupt(self, first) -> None:
        raise KeyboardInterrupt

    (warning,) = caught(interrupted, OURS)
    assert str(warning.message) == "Training interrupted by user."
    assert caught(interrupted, OURS, {"module": "sklearn"}) == []


def test_default_filters_count_by_place() -> None:
    def fit() -> None:
        fastbp.sklearn.MLPClassifier((3,), max_iter=1).fit(X, Y)

    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("default")
        for _ in range(3):
            fit()
        fastbp.sklearn.MLPClassifier((3,), max_iter=1).fit(X, Y)
    assert [w.category for w in records] == [ConvergenceWarning] * 2
    assert len({w.lineno for w in records}) == 2


def test_divergence_is_no_warning_of_scikit_learn() -> None:
    def diverge(kinds) -> None:
        net = kinds["MLPRegressor"](
            hidden_layer_sizes=(20,), activation="identity", solver="sgd", learning_rate_init=0.05,
            momentum=0.0, max_iter=200, random_state=0,
        )  # fmt: skip
        net.fit(X, Y)

    (warning,) = caught(diverge, OURS, {"module": "sklearn"})
    assert warning.category is fastbp.DivergenceWarning
