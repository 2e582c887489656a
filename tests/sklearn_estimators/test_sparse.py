"""Sparse rows in the estimators: scikit-learn's model, without dense copies of all rows."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse
import sklearn.linear_model
import sklearn.neural_network
from helpers import long_uncompiled
from sklearn.exceptions import ConvergenceWarning

import fastbp.sklearn

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:lbfgs failed to converge"
)
RNG = np.random.default_rng(3)
X = scipy.sparse.random(240, 60, 0.1, format="csr", random_state=3)
CLASSES = {
    2: (X @ RNG.normal(size=60) > 0).astype(int),
    3: np.digitize(X @ RNG.normal(size=60), [-0.3, 0.3]),
}
NUMBERS = X @ RNG.normal(size=60)
FORMS = {
    "csr_matrix": scipy.sparse.csr_matrix, "csr_array": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_array, "coo": scipy.sparse.coo_matrix,
}  # fmt: skip


def both(kind: str, **options) -> list:
    """scikit-learn's estimator and ours."""
    modules = sklearn.neural_network, fastbp.sklearn
    if kind == "Perceptron":
        modules = sklearn.linear_model, fastbp.sklearn
    return [getattr(module, kind)(**({"random_state": 0} | options)) for module in modules]


def assert_same_net(theirs, ours, rtol: float = 1e-6) -> None:
    """Compare curves and weights."""
    assert ours.n_iter_ == theirs.n_iter_
    for name in ("loss_curve_", "validation_scores_"):
        expected = getattr(theirs, name, None)
        if expected is not None:
            np.testing.assert_allclose(getattr(ours, name), expected, rtol=rtol)
    for got, expected in zip(ours.coefs_, theirs.coefs_, strict=True):
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol)


OPTIONS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
    "lbfgs": {"solver": "lbfgs", "tol": 1e-3},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 3},
    "small batches": {"batch_size": 7, "shuffle": False},
    "logistic": {"activation": "logistic", "hidden_layer_sizes": (5, 4)},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("classes", CLASSES)
def test_classifier(classes: int, options) -> None:
    y = CLASSES[classes]
    pair = both("MLPClassifier", **{"hidden_layer_sizes": (9,), "max_iter": 12} | options)
    for estimator in pair:
        estimator.fit(X, y)
    rtol = 1e-3 if "solver" in options and options["solver"] == "lbfgs" else 1e-6
    assert_same_net(*pair, rtol)
    proba = [estimator.predict_proba(X) for estimator in pair]
    np.testing.assert_allclose(proba[1], proba[0], rtol=rtol, atol=rtol)
    assert np.array_equal(pair[1].predict(X), pair[0].predict(X))
    pair[1].as_transformer = True
    np.testing.assert_allclose(pair[1].transform(X), pair[1].transform(X.toarray()), rtol=1e-9)
    assert pair[1].score(X, y) == pair[0].score(X, y)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_regressor_of_every_form(form, dtype: str) -> None:
    rows = form(X.astype(dtype))
    theirs, ours = both("MLPRegressor", hidden_layer_sizes=(7,), max_iter=8)
    theirs.fit(rows, NUMBERS)
    ours.fit(rows, NUMBERS)
    assert ours.coefs_[0].dtype == dtype
    exact = 1e-6 if dtype == "float64" else 1e-3
    assert_same_net(theirs, ours, exact)
    np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), rtol=exact, atol=exact)


def test_fit_in_parts_with_weights() -> None:
    weights = np.random.default_rng(0).uniform(0.5, 2, 240)
    theirs, ours = both("MLPClassifier", hidden_layer_sizes=(9,))
    for first in range(0, 240, 80):
        part = slice(first, first + 80)
        for estimator in (theirs, ours):
            estimator.partial_fit(
                X[part], CLASSES[3][part], sample_weight=weights[part], classes=[0, 1, 2]
            )
    assert_same_net(theirs, ours)


def test_validation_rows_may_be_sparse() -> None:
    ours = [fastbp.sklearn.MLPClassifier((9,), max_iter=5, random_state=0) for _ in range(2)]
    y = CLASSES[2]
    ours[0].fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    rows = X.toarray()
    ours[1].fit(rows[:200], y[:200], X_val=rows[200:], y_val=y[200:])
    np.testing.assert_allclose(
        ours[0].validation_loss_curve_, ours[1].validation_loss_curve_, rtol=1e-9
    )


PENALTIES = (None, "l2", "l1", "elasticnet")


@pytest.mark.parametrize("alpha", [1e-4, 1e-2, 0.3])
@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("classes", CLASSES)
def test_perceptron(classes: int, penalty, alpha: float) -> None:
    """Also the number of epochs: the loss has the penalty of few weights, as in scikit-learn."""
    y = CLASSES[classes]
    for options in ({"eta0": 0.1}, {"fit_intercept": False}, {"class_weight": "balanced"}):
        theirs, ours = both("Perceptron", penalty=penalty, alpha=alpha, **options)
        theirs.fit(X, y)
        ours.fit(X, y)
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-7, atol=1e-10)
        assert np.array_equal(ours.predict(X), theirs.predict(X))


@pytest.mark.parametrize("penalty", PENALTIES)
def test_perceptron_in_parts(penalty) -> None:
    theirs, ours = both("Perceptron", penalty=penalty, eta0=0.5)
    for first in range(0, 240, 60):
        part = slice(first, first + 60)
        for estimator in (theirs, ours):
            estimator.partial_fit(X[part], CLASSES[3][part], classes=[0, 1, 2])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=1e-7, atol=1e-10)


def test_perceptron_stops_early() -> None:
    theirs, ours = both("Perceptron", early_stopping=True)
    theirs.fit(X, CLASSES[2])
    ours.fit(X, CLASSES[2])
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("penalty", [None, "l2"])
def test_a_perceptron_that_overflows_keeps_its_weights(penalty) -> None:
    ours = fastbp.sklearn.Perceptron(penalty=penalty).partial_fit(X, CLASSES[2], classes=[0, 1])
    before = ours.coef_.copy()
    with pytest.raises(ValueError, match="under-/overflow"):
        ours.partial_fit(X * 1e308, CLASSES[2], sample_weight=np.full(240, 1e10))
    assert np.array_equal(ours.coef_, before)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
def test_a_perceptron_keeps_its_dtype(sparse: bool, dtypes) -> None:
    ours = fastbp.sklearn.Perceptron()
    exact = fastbp.sklearn.Perceptron()
    for dtype in dtypes:
        rows = X if sparse else X.toarray()
        ours.partial_fit(rows.astype(dtype), CLASSES[2], classes=[0, 1])
        exact.partial_fit(rows, CLASSES[2], classes=[0, 1])
    assert ours.coef_.dtype == dtypes[0]
    np.testing.assert_allclose(ours.coef_, exact.coef_, rtol=1e-4, atol=1e-4)


def peak(action) -> float:
    """MiB that an action takes at the most."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@long_uncompiled
def test_memory_does_not_grow_with_rows_times_features() -> None:
    """Dense, these rows would take 1.5 GiB."""
    wide = scipy.sparse.random(2000, 100_000, 1e-4, format="csr", random_state=0)
    y = np.arange(2000) % 2
    net = fastbp.sklearn.MLPClassifier((4,), max_iter=1, random_state=0, as_transformer=True)
    unit = fastbp.sklearn.Perceptron(max_iter=2)
    core = fastbp.MLP((100_000, 4, 2), loss="cross_entropy")

    def use() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for estimator in (net, unit):
                estimator.fit(wide, y)
                estimator.partial_fit(wide, y)
                estimator.predict(wide)
            net.transform(wide)
            core.fit(wide, y, epochs=1, validation_fraction=0.1, metrics="accuracy")

    assert peak(use) < 100
