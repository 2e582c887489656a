"""What is checked of inputs and targets, with and without scikit-learn's own checks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from sklearn.datasets import load_iris
from sklearn.utils.validation import validate_data

from fastbp.sklearn import MLPClassifier, MLPRegressor, Perceptron, inputs

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
SEVERAL = np.stack([Y, Y], axis=1)


def small(**parameters):
    return MLPClassifier(
        **{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0} | parameters
    )


def count_checks(monkeypatch):
    """A list that gets an entry for each call of scikit-learn's `validate_data`."""
    calls = []

    def counted(*arguments, **options):
        calls.append(options)
        return validate_data(*arguments, **options)

    monkeypatch.setattr(inputs, "validate_data", counted)
    return calls


READY = {
    "doubles": (X, Y),
    "floats": (X.astype("float32"), Y.astype("float32")),
    "columns": (np.asfortranarray(X), Y.astype("uint8")),
    "steps": (X[::2], Y[::2]),
    "booleans": (X, Y > 0),
}


@pytest.mark.parametrize("given", READY.values(), ids=READY)
def test_arrays_that_are_ready_are_taken_as_they_are(given, monkeypatch) -> None:
    calls, estimators = count_checks(monkeypatch), (MLPRegressor(), MLPRegressor())
    x, y = inputs.checked(estimators[0], *given, None, reset=True, y_numeric=True)
    assert x is given[0]
    assert y is given[1]
    assert not calls
    options = {"multi_output": True, "y_numeric": True, "dtype": [np.float64, np.float32]}
    expected = validate_data(estimators[1], *given, **options)
    assert np.array_equal(x, expected[0])
    assert np.array_equal(y, expected[1])
    assert (x.dtype, y.dtype) == (expected[0].dtype, expected[1].dtype)
    assert vars(estimators[0]) == vars(estimators[1])


OTHERS = {
    "lists": (X.tolist(), Y),
    "integers": (X.astype(int), Y),
    "half precision": (X.astype("float16"), Y),
    "long double": (X.astype("longdouble"), Y),
    "sparse": (scipy.sparse.csr_matrix(X), Y),
    "objects": (X.astype(object), Y),
    "several targets": (X, SEVERAL),
    "a column": (X, Y[:, np.newaxis]),
    "objects as targets": (X, Y.astype(object)),
    "overflow in the sum": (np.full((150, 4), 1e308), Y),
}


@pytest.mark.parametrize("given", OTHERS.values(), ids=OTHERS)
@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_everything_else_is_left_to_scikit_learn(given, monkeypatch) -> None:
    calls = count_checks(monkeypatch)
    x, _ = inputs.checked(MLPRegressor(), *given, None, reset=True)
    assert len(calls) == 1
    assert x.dtype == np.float64


REFUSED = {
    "NaN": (np.where(X > 7, np.nan, X), Y, "Input X contains NaN"),
    "infinities of both signs": (np.where(X > 7, np.inf, -np.inf), Y, "contains infinity"),
    "NaN as target": (X, np.where(Y > 1, np.nan, Y), "Input y contains NaN"),
    "no rows": (X[:0], Y[:0], "Found array with 0 sample"),
    "no columns": (X[:, :0], Y, "Found array with 0 feature"),
    "other rows": (X, Y[1:], "inconsistent numbers of samples"),
    "flat": (X[:, 0], Y, "Expected 2D array, got 1D array"),
}


@pytest.mark.filterwarnings("ignore:invalid value encountered in reduce")  # scikit-learn's own
@pytest.mark.parametrize(("x", "y", "match"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_by_scikit_learn(x, y, match) -> None:
    with pytest.raises(ValueError, match=match):
        inputs.checked(MLPRegressor(), x, y, None, reset=True)


def test_a_dtype_that_is_asked_for_and_the_features_of_before(monkeypatch) -> None:
    calls, estimator = count_checks(monkeypatch), MLPRegressor()
    assert inputs.checked(estimator, X, Y, "float32", reset=True)[0].dtype == np.float32
    assert len(calls) == 1
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 4"):
        inputs.checked(estimator, X[:, :3], Y, None, reset=False)
    estimator.feature_names_in_ = np.array(["a", "b", "c", "d"])
    inputs.checked(estimator, X[:, :2], Y, None, reset=True)
    assert estimator.n_features_in_ == 2
    assert not hasattr(estimator, "feature_names_in_")


MASKED = np.ma.masked_greater(X, 7.0)
MASKED_CLASSES = np.ma.masked_equal(Y, 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.fit(MASKED, Y),
        lambda net: net.fit(X, MASKED_CLASSES),
        lambda net: net.fit(X, Y, sample_weight=MASKED_CLASSES + 1.0),
        lambda net: net.fit(X, Y, X_val=MASKED, y_val=Y),
        lambda net: net.fit(X, Y, eval_set=(X, MASKED_CLASSES)),
        lambda net: net.partial_fit(MASKED, Y, classes=[0, 1, 2]),
        lambda net: net.fit(X, Y).predict(MASKED),
        lambda net: net.fit(X, Y).predict_proba(MASKED),
        lambda net: net.set_params(as_transformer=True).fit(X, Y).transform(MASKED),
        lambda net: net.fit(X, Y).score(MASKED, Y),
        lambda net: MLPRegressor().fit(X, np.ma.masked_equal(Y.astype(float), 2)),
        lambda net: Perceptron().fit(MASKED, Y),
        lambda net: Perceptron().fit(X, MASKED_CLASSES),
        lambda net: Perceptron().fit(X, Y, sample_weight=MASKED_CLASSES + 1.0),
        lambda net: Perceptron().fit(X, Y).predict(MASKED),
    ],
)
def test_masked_values_are_refused(call) -> None:
    with pytest.raises(ValueError, match=r"must not hold masked values; got \d+ of them. Fill"):
        call(small())


def test_masked_arrays_without_masked_values_are_taken() -> None:
    whole = np.ma.masked_array(X, np.zeros(X.shape, bool))
    one, other = small().fit(whole, np.ma.masked_array(Y)), small().fit(X, Y)
    assert one.coefs_[0].tolist() == other.coefs_[0].tolist()
    assert one.predict(whole).tolist() == other.predict(X).tolist()
