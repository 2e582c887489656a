"""The same model as scikit-learn's Perceptron, and its interface."""

from __future__ import annotations

import inspect
import pickle
import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.linear_model
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from fastbp.sklearn import Perceptron

THEIRS = sklearn.linear_model.Perceptron
DATA = {
    "digits": load_digits(return_X_y=True),
    "iris": load_iris(return_X_y=True),
    "cancer": load_breast_cancer(return_X_y=True),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "l2": {"penalty": "l2", "alpha": 1e-3},
    "l1": {"penalty": "l1"},
    "elasticnet": {"penalty": "elasticnet", "l1_ratio": 0.4},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.2},
    "balanced": {"class_weight": "balanced", "shuffle": False, "eta0": 0.3},
    "no intercept": {"fit_intercept": False, "tol": None, "max_iter": 7},
    "another seed": {"random_state": 7, "n_iter_no_change": 2, "tol": 0.01},
}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")


ORDER = "several draws of a row are several updates, a weight is one: so in scikit-learn's too"
EXPECTED = {
    f"check_sample_weight_equivalence_on_{kind}_data": ORDER for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [Perceptron(max_iter=5)], expected_failed_checks=lambda estimator: EXPECTED
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def assert_same(ours: Any, theirs: Any, rtol: float = 1e-9) -> None:
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.t_ == theirs.t_
    scale = np.abs(theirs.coef_).max()
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=rtol * scale)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=rtol, atol=rtol * scale)
    assert ours.coef_.shape == theirs.coef_.shape
    assert ours.coef_.dtype == theirs.coef_.dtype
    assert ours.intercept_.shape == theirs.intercept_.shape


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", DATA)
def test_same_model(name: str, option: str, weighted: bool) -> None:
    X, y = DATA[name]
    weights = np.random.default_rng(0).uniform(0, 2, len(y)) if weighted else None
    ours, theirs = (
        kind(**OPTIONS[option]).fit(X, y, sample_weight=weights) for kind in (Perceptron, THEIRS)
    )
    assert_same(ours, theirs)
    assert np.array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), rtol=1e-6)


@pytest.mark.parametrize("name", DATA)
def test_same_model_of_sparse_rows(name: str) -> None:
    X, y = DATA[name]
    X = scipy.sparse.csr_matrix(X)
    assert_same(Perceptron().fit(X, y), THEIRS().fit(X, y))


@pytest.mark.parametrize("sparse", [False, True])
def test_same_model_in_parts(sparse: bool) -> None:
    X, y = DATA["digits"]
    X = scipy.sparse.csr_matrix(X) if sparse else X
    ours, theirs = Perceptron(penalty="l2"), THEIRS(penalty="l2")
    for first in range(0, 1500, 500):
        for model in (ours, theirs):
            rows = slice(first, first + 500)
            model.partial_fit(X[rows], y[rows], classes=np.arange(10))
        assert_same(ours, theirs)


def test_same_model_in_parts_after_a_fit_with_early_stopping() -> None:
    X, y = DATA["iris"]
    ours, theirs = (
        kind(early_stopping=True, class_weight="balanced").fit(X, y).partial_fit(X, y)
        for kind in (Perceptron, THEIRS)
    )
    assert_same(ours, theirs)
    for kind in (Perceptron, THEIRS):
        with pytest.raises(ValueError, match="early_stopping should be False with partial_fit"):
            kind(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])


@pytest.mark.parametrize("penalty", ["l1", "elasticnet", "l2"])
@pytest.mark.parametrize("rows", [np.asarray, scipy.sparse.csr_matrix])
def test_the_penalty_counts_as_in_scikit_learns_loss(penalty, rows) -> None:
    """The loss with it ends training: of the weights before the last L1."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 4))
        y = X[:, 0] + X[:, 1] * X[:, 2] > 0
        options = {"penalty": penalty, "alpha": 0.01, "tol": 1e-2, "random_state": seed}
        ours, theirs = (kind(**options).fit(rows(X), y) for kind in (Perceptron, THEIRS))
        assert_same(ours, theirs, 1e-7)


@pytest.mark.parametrize("rows", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("eta0", [1.0, 0.25])
def test_net_inputs_of_zero_are_mistakes_as_in_scikit_learn(eta0, rows) -> None:
    """Whole numbers give many; with such rates they are exact. With 0.1 rounding decides."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        X = np.round(2 * rng.normal(size=(40, 4)))
        y = X[:, :2].sum(axis=1) > 0
        options = {"eta0": eta0, "fit_intercept": False, "max_iter": 3, "tol": None}
        ours, theirs = (kind(**options).fit(rows(X), y) for kind in (Perceptron, THEIRS))
        assert_same(ours, theirs)


@pytest.mark.parametrize("rows", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("name", ["iris", "cancer"])
def test_a_random_state_is_drawn_from_in_scikit_learns_order(name, rows) -> None:
    X, y = DATA[name]
    fitted, left = [], []
    for kind in (Perceptron, THEIRS):
        stream = np.random.RandomState(5)
        model = kind(early_stopping=True, random_state=stream).fit(rows(X), y)
        fitted.append(model.partial_fit(rows(X), y))
        left.append(stream.randint(1000))
    assert_same(*fitted)
    assert left[0] == left[1]


@pytest.mark.parametrize("dtype", [object, float, bool, np.int8, "U"])
def test_classes_have_the_dtype_of_scikit_learns(dtype) -> None:
    X, y = DATA["cancer"]
    y = (np.array(["no", "yes"])[y] if dtype is object else y).astype(dtype)
    for fitted in (
        lambda kind: kind().fit(X, y),
        lambda kind: kind().partial_fit(X, y, classes=list(np.unique(y))),
        lambda kind: kind().partial_fit(X, y, classes=np.unique(y)),
    ):
        ours, theirs = (fitted(kind) for kind in (Perceptron, THEIRS))
        assert ours.classes_.dtype == theirs.classes_.dtype
        assert ours.predict(X).dtype == theirs.predict(X).dtype
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_same_model_warm_started_and_from_given_parameters() -> None:
    X, y = DATA["iris"]
    ours, theirs = (
        kind(warm_start=True, max_iter=4, tol=None).fit(X, y) for kind in (Perceptron, THEIRS)
    )
    assert_same(ours.fit(X, y), theirs.fit(X, y))
    begin = {"coef_init": np.ones((3, 4)), "intercept_init": [1.0, 2.0, 3.0]}
    assert_same(Perceptron().fit(X, y, **begin), THEIRS().fit(X, y, **begin))
    with pytest.raises(ValueError, match=r"coef_init does not match the data: .*\(3, 4\)"):
        Perceptron().fit(X, y, coef_init=np.ones((2, 4)))


def test_float32_stays_float32() -> None:
    X, y = DATA["iris"]
    model = Perceptron().fit(X.astype(np.float32), y)
    assert model.coef_.dtype == model.intercept_.dtype == np.float32
    two = Perceptron().fit(X.astype(np.float32), y > 0)  # scikit-learn's bias is float64
    assert two.coef_.dtype == two.intercept_.dtype == np.float32
    assert model.score(X, y) == THEIRS().fit(X.astype(np.float32), y).score(X, y)


def test_constructor_is_scikit_learns() -> None:
    ours, theirs = (
        [(p.name, p.default, p.kind) for p in inspect.signature(kind).parameters.values()]
        for kind in (Perceptron, THEIRS)
    )
    assert ours == theirs


def test_methods_take_the_same_parameters() -> None:
    for method in ("fit", "partial_fit", "predict", "decision_function", "score"):
        ours, theirs = (inspect.signature(getattr(kind, method)) for kind in (Perceptron, THEIRS))
        assert list(ours.parameters) == list(theirs.parameters)


def test_errors_and_warnings() -> None:
    X, y = DATA["iris"]
    with pytest.warns(ConvergenceWarning, match="Maximum number of iteration"):
        Perceptron(max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="greater than one; got 1 class"):
        Perceptron().fit(X, np.zeros(len(y)))
    with pytest.raises(ValueError, match="classes must be passed"):
        Perceptron().partial_fit(X, y)
    with pytest.raises(ValueError, match="not supported for partial_fit"):
        Perceptron(class_weight="balanced").partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="is not the same as on last call"):
        Perceptron().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="under-/overflow occurred at epoch #1"):
        Perceptron(eta0=1e10).fit(X * (1e308 / X.max()), y)
    held = Perceptron(early_stopping=True)._held_out(y, np.ones(len(y)))
    for kind in (Perceptron, THEIRS):
        with pytest.raises(ValueError, match="validation set are all zero"):
            kind(early_stopping=True).fit(X, y, sample_weight=(~held).astype(float))


X = np.random.default_rng(8).normal(size=(30, 4))
TWO, THREE = np.arange(30) % 2, np.arange(30) % 3


@pytest.mark.parametrize("names", [np.arange(3), np.array(["a", "b", "c"])])
def test_unknown_classes_are_refused_in_every_partial_fit(names) -> None:
    for kind in (Perceptron, THEIRS):
        with pytest.raises(ValueError, match="classes should include all valid labels"):
            kind().partial_fit(X, names[THREE], classes=names[:2])
        perceptron = kind().partial_fit(X, names[TWO], classes=names[:2])
        with pytest.raises(ValueError, match="classes should include all valid labels"):
            perceptron.partial_fit(X, names[THREE])
        perceptron.partial_fit(X[:3], names[[1, 1, 1]])


def test_a_refused_first_partial_fit_leaves_nothing_behind() -> None:
    perceptron = Perceptron()
    with pytest.raises(ValueError, match="sample_weight"):
        perceptron.partial_fit(X, THREE, classes=[0, 1, 2], sample_weight=np.ones(3))
    assert vars(perceptron) == vars(Perceptron())


@pytest.mark.parametrize("name", ["coef_", "intercept_"])
def test_parameters_of_another_shape_are_refused_before_a_kernel_reads_them(name: str) -> None:
    X, y = DATA["iris"]
    model = Perceptron().partial_fit(X, y, classes=[0, 1, 2])
    kept = getattr(model, name)
    setattr(model, name, kept[:1])
    with pytest.raises(ValueError, match=rf"{name} must have shape \(3,.*got \(1,"):
        model.partial_fit(X, y)
    setattr(model, name, kept)
    model.partial_fit(X, y)


@pytest.mark.parametrize("rows", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize(
    "options", [{}, {"penalty": "l2"}, {"early_stopping": True}, {"max_iter": 3, "tol": None}]
)
def test_verbose_prints_scikit_learns_lines(rows, options, capfd) -> None:
    X, y = DATA["cancer"]
    printed = []
    for kind in (Perceptron, THEIRS):
        model = kind(verbose=1, **options).fit(rows(X), y)
        text = capfd.readouterr().out
        printed.append(re.sub(r"(time:|took) [0-9.]+", r"\1", text).splitlines())
        assert text.count("-- Epoch") == model.n_iter_
    assert printed[0] == printed[1]
    assert printed[0][0] == "-- Epoch 1"


@pytest.mark.parametrize("rows", [np.asarray, scipy.sparse.csr_matrix])
def test_early_stopping_scores_the_weights_as_they_are(rows, capfd) -> None:
    """scikit-learn (1.9) leaves out what an L2 penalty has scaled them by."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 4))
    y = X[:, 0] + X[:, 1] * X[:, 2] > 0
    options = {"early_stopping": True, "validation_fraction": 0.3, "random_state": 3}
    options |= {"penalty": "l2", "alpha": 0.01, "max_iter": 1, "tol": None, "verbose": 1}
    ours, theirs = (kind(**options).fit(rows(X), y) for kind in (Perceptron, THEIRS))
    assert_same(ours, theirs)
    held = ours._held_out(y, np.ones(60))
    printed = re.findall(r"Validation score: ([0-9.]+)", capfd.readouterr().out)
    assert float(printed[0]) == pytest.approx(ours.score(X[held], y[held]), abs=1e-6)
    assert len(printed) == 2


def test_verbose_of_several_units(capfd) -> None:
    Perceptron(verbose=1, max_iter=2, tol=None).fit(*DATA["iris"])
    lines = capfd.readouterr().out.splitlines()
    assert [line for line in lines if line[0] == "-"] == ["-- Epoch 1", "-- Epoch 2"] * 3


REFUSED = {
    "one class": lambda model, X, y: model.fit(X[:, :2], np.zeros(len(y))),
    "numbers, not classes": lambda model, X, y: model.fit(X[:, :2], X[:, 0]),
    "one weight": lambda model, X, y: model.fit(X[:, :2], y > 0, sample_weight=[1.0]),
    "masked weights": lambda model, X, y: model.fit(X, y, sample_weight=np.ma.masked_equal(y, 1)),
    "too large": lambda model, X, y: model.fit(X * 1e307, y),
    "coef_init": lambda model, X, y: model.fit(X[:, :2], y, coef_init=np.ones((3, 4))),
    "other classes": lambda model, X, y: model.partial_fit(X, y, classes=[0]),
    "a weight in parts": lambda model, X, y: model.partial_fit(X, y, [0, 1, 2], [1.0]),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("fitted", [False, True])
def test_refused_input_changes_nothing(name, fitted) -> None:
    X, y = DATA["iris"]
    stream = np.random.RandomState(3)
    model = Perceptron(random_state=stream, early_stopping=name == "one weight")
    model.set_params(eta0=1e10 if name == "too large" else 1.0)
    if fitted:
        model.fit(X, y)
    before, drawn = pickle.dumps(model), stream.get_state()[1].copy()
    with pytest.raises(ValueError, match=r"."):
        REFUSED[name](model, X, y)
    assert pickle.dumps(model) == before
    np.testing.assert_array_equal(stream.get_state()[1], drawn)
    assert hasattr(model, "classes_") == hasattr(model, "coef_") == fitted
    assert not fitted or model.predict(X).shape == y.shape


@pytest.mark.parametrize("name", ["iris", "cancer"])
def test_sparse_coefficients(name) -> None:
    X, y = DATA[name]
    model = Perceptron(penalty="l1", alpha=1e-2).fit(X, y)
    kept = model.coef_.copy()
    scores, classes = model.decision_function(X), model.predict(X)
    theirs = THEIRS(penalty="l1", alpha=1e-2).fit(X, y).sparsify()
    assert model.sparsify() is model
    assert type(model.coef_) is type(theirs.coef_)
    assert model.coef_.nnz == np.count_nonzero(kept) < kept.size
    np.testing.assert_allclose(model.decision_function(X), scores, rtol=1e-9)
    rows = scipy.sparse.csr_matrix(X)
    np.testing.assert_allclose(model.decision_function(rows), scores, rtol=1e-9)
    assert np.array_equal(model.predict(X), classes)
    assert np.array_equal(model.densify().coef_, kept)
    assert model.densify() is model


@pytest.mark.parametrize("rows", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("name", ["iris", "cancer"])
def test_training_goes_on_from_sparse_coefficients(name, rows) -> None:
    X, y = DATA[name]
    for train in (lambda model: model.partial_fit(rows(X), y), lambda model: model.fit(rows(X), y)):
        dense, sparse = (Perceptron(warm_start=True).fit(X, y) for _ in range(2))
        sparse.sparsify()
        assert np.array_equal(train(sparse).coef_, train(dense).coef_)
        assert type(sparse.coef_) is np.ndarray
    sparse.sparsify()
    with pytest.raises(ValueError, match="features"):
        sparse.partial_fit(X[:, 1:], y)
    assert not isinstance(sparse.coef_, np.ndarray), "rejected input changes nothing"


def test_before_a_fit_there_is_nothing_to_convert() -> None:
    for method in (Perceptron().sparsify, Perceptron().densify):
        with pytest.raises(NotFittedError, match="Perceptron, must be fitted before"):
            method()


def test_checks_of_linear_classifiers_run() -> None:
    ours, theirs = (
        {getattr(check, "func", check).__name__ for _, check in estimator_checks_generator(kind())}
        for kind in (Perceptron, THEIRS)
    )
    assert theirs <= ours
    assert {"check_class_weight_balanced_linear_classifier", "check_sparsify_coefficients"} <= ours


def test_in_a_search() -> None:
    X, y = DATA["iris"]
    search = GridSearchCV(clone(Perceptron()), {"penalty": [None, "l2"]}, cv=3).fit(X, y)
    assert search.best_score_ > 0.6
