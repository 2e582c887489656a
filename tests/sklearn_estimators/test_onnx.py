"""What `register_onnx` converts and what it refuses. test_clients.py has the comparisons."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastbp.sklearn import MLPClassifier, MLPRegressor, Perceptron, register_onnx

X, Y = load_iris(return_X_y=True)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_without_skl2onnx(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="register_onnx needs skl2onnx: pip install skl2onnx"):
        register_onnx()


def converted(model, **options):
    skl2onnx = pytest.importorskip(
        "skl2onnx", reason="skl2onnx is missing: pip install -e .[test,clients]"
    )
    register_onnx()
    return skl2onnx.to_onnx(model, X[:1].astype(np.float32), **options)


def outputs(model, **options) -> list:
    runtime = pytest.importorskip(
        "onnxruntime", reason="onnxruntime is missing: pip install -e .[test,clients]"
    )
    session = runtime.InferenceSession(
        converted(model, **options).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: X.astype(np.float32)})


def net(kind=MLPClassifier, y=Y, **options):
    return kind(hidden_layer_sizes=(6, 4), max_iter=20, random_state=0, **options).fit(X, y)


def test_registering_twice_changes_nothing() -> None:
    first = converted(net()).SerializeToString()
    register_onnx()
    assert converted(net()).SerializeToString() == first


def test_scikit_learns_converters_stay() -> None:
    pytest.importorskip("skl2onnx", reason="skl2onnx is missing: pip install -e .[test,clients]")
    from skl2onnx._supported_operators import sklearn_operator_name_map
    from skl2onnx.common._registration import get_converter

    theirs = {kind: alias for kind, alias in sklearn_operator_name_map.items()
              if kind.__module__.startswith("sklearn.")}  # fmt: skip
    converters = {alias: get_converter(alias) for alias in theirs.values()}
    register_onnx()
    assert all(sklearn_operator_name_map[kind] == alias for kind, alias in theirs.items())
    assert all(get_converter(alias) is found for alias, found in converters.items())


@pytest.mark.parametrize(
    "activation", ["identity", "logistic", "sigmoid", "tanh", "relu", ["tanh", "tanh"]]
)
def test_activations(activation) -> None:
    model = net(activation=activation)
    labels, probabilities = outputs(model, options={"zipmap": False})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    assert np.array_equal(labels, model.predict(X))


def test_what_only_training_uses_is_no_hindrance() -> None:
    model = net(dropout=0.2, optimizer="adamw", class_weight="balanced", l1_ratio=0.5)
    np.testing.assert_allclose(
        outputs(model, options={"zipmap": False})[1], model.predict_proba(X), atol=1e-5
    )
    model = net(MLPRegressor, loss="huber", activation="tanh", weight_decay=1e-3)
    np.testing.assert_allclose(outputs(model)[0].ravel(), model.predict(X), rtol=1e-4, atol=1e-5)


def test_names_of_classes() -> None:
    names = np.array(["setosa", "versicolor", "virginica"])[Y]
    for model in (net(y=names), Perceptron().fit(X, names)):
        assert np.array_equal(outputs(model)[0], model.predict(X))


def test_maps_of_probabilities() -> None:
    model = net()
    _, maps = outputs(model)
    found = [list(row.values()) for row in maps]
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-5)
    assert list(maps[0]) == [0, 1, 2]


@pytest.mark.parametrize("classes", [2, 3])
def test_options_of_the_perceptron(classes) -> None:
    rows = Y < classes
    model = Perceptron(random_state=0).fit(X[rows], Y[rows])
    for options in ({"zipmap": False}, {"zipmap": False, "raw_scores": True}):
        labels, scores = outputs(model, options={id(model): options})
        expected = model.decision_function(X)
        expected = np.c_[-expected, expected] if classes == 2 else expected
        np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
        assert np.array_equal(labels, model.predict(X))
    labels = outputs(model, options={Perceptron: {"nocl": True, "zipmap": False}})[0]
    assert np.array_equal(labels, model.predict(X))


def test_three_labels() -> None:
    y = np.eye(3, dtype=int)[Y]
    model = net(y=y)
    labels, probabilities = outputs(model, options={"zipmap": False})
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    assert np.array_equal(labels, model.predict(X))


ONE = [(X[:, 0] > 5.8), X[:, 1] > 3]
LEFT_OUT = {
    "gelu": (lambda: net(activation="gelu"), r"among .*; got .*gelu"),
    "mixed": (lambda: net(activation=["tanh", "relu"]), "one activation for all hidden layers"),
    "poisson": (lambda: net(MLPRegressor, loss="poisson"), "got 'exp', that of loss='poisson'"),
    "columns": (lambda: net(MLPRegressor, X[:, :2]), "MLPRegressor mixes up 2 columns"),
    "two labels": (lambda: net(y=np.stack(ONE, 1).astype(int)), "MLPClassifier mixes up 2 columns"),
    "targets": (lambda: net(y=np.stack([Y, Y], 1)), "no networks for several targets"),
    "sparse": (lambda: Perceptron().fit(X, Y).sparsify(), r"call densify\(\) first"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_OUT)
def test_what_is_refused(case) -> None:
    make, message = LEFT_OUT[case]
    with pytest.raises(ValueError, match=message):
        converted(make())


def test_before_a_fit() -> None:
    with pytest.raises(NotFittedError, match="This MLPRegressor instance is not fitted"):
        converted(MLPRegressor())
