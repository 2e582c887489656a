"""Other people's libraries, used as their documentation does, with either library's estimators.

They come with ``pip install -e .[test,clients]``; what is missing is skipped.
"""

from __future__ import annotations

import importlib
import io
from typing import Any

import joblib
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import VotingClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

import fastbp.sklearn

IRIS = load_iris(return_X_y=True)
X, Y = scale(IRIS[0]), IRIS[1]
CANCER = scale(load_breast_cancer(return_X_y=True)[0]), load_breast_cancer(return_X_y=True)[1]
DIABETES = scale(load_diabetes(return_X_y=True)[0]), scale(load_diabetes(return_X_y=True)[1])
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def library(name: str) -> Any:
    """A client's module."""
    hint = f"{name} is missing: pip install -e .[test,clients]"
    pytest.importorskip(name.partition(".")[0], reason=hint)
    return importlib.import_module(name)


def theirs(name: str) -> Any:
    module = sklearn.linear_model if name == "Perceptron" else sklearn.neural_network
    return getattr(module, name)


def ours(name: str) -> Any:
    return getattr(fastbp.sklearn, name)


BOTH = (ours, theirs)


def made(kinds: Any, name: str, **options: Any) -> Any:
    """An estimator of either library, small and the same in both."""
    if name != "Perceptron":
        options = {"hidden_layer_sizes": (6,), "max_iter": 15, **options}
    return kinds(name)(random_state=0, **options)


def assert_close(found: Any, expected: Any, atol: float = 1e-7) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=atol)


# ---------------------------------------------------------------- skl2onnx and onnxruntime


def alone(model: Any) -> Any:
    return model


def in_a_pipeline(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


def voting(model: Any) -> Any:
    if hasattr(model, "predict_proba"):
        linear = LogisticRegression()
        pair = [("net", model), ("linear", linear)]
        return VotingClassifier(pair, voting="soft", flatten_transform=False)
    if sklearn.base.is_classifier(model):
        pair = [("unit", model), ("linear", LogisticRegression())]
        return VotingClassifier(pair, flatten_transform=False)
    return VotingRegressor([("net", model), ("linear", Ridge())])


@pytest.mark.parametrize("place", [alone, in_a_pipeline, voting])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "Perceptron"])
def test_onnx(name, place) -> None:
    skl2onnx, runtime = library("skl2onnx"), library("onnxruntime")
    fastbp.sklearn.register_onnx()
    rows, targets = DIABETES if name == "MLPRegressor" else (X, Y)
    rows = rows.astype(np.float32)
    found = []
    for kinds in BOTH:
        model = place(made(kinds, name)).fit(rows.astype(float), targets)
        options = {id(model): {"zipmap": False}} if name != "MLPRegressor" else None
        graph = skl2onnx.to_onnx(model, rows[:1], options=options)
        session = runtime.InferenceSession(
            graph.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found.append(session.run(None, {session.get_inputs()[0].name: rows}))
        expected = model.predict(rows.astype(float))
        assert_close(found[-1][0].ravel(), expected, atol=1e-5)
        if hasattr(model, "predict_proba"):
            assert_close(found[-1][1], model.predict_proba(rows.astype(float)), atol=1e-5)
    for one, other in zip(*found, strict=True):
        assert_close(one, other, atol=1e-4)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_skops(name, solver) -> None:
    skops = library("skops.io")
    model = made(ours, name, solver=solver).fit(X, Y)
    data = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=data)
    assert untrusted == [f"fastbp.sklearn.estimators.{name}"]
    restored = skops.loads(data, trusted=untrusted)
    assert np.array_equal(restored.predict(X), model.predict(X))
    if solver != "lbfgs":
        assert np.array_equal(
            restored.partial_fit(X, Y).coefs_[0], model.partial_fit(X, Y).coefs_[0]
        )
    reference = skops.dumps(made(theirs, name, solver=solver).fit(X, Y))
    assert_close(
        skops.loads(data, trusted=untrusted).predict(X),
        skops.loads(reference, trusted=skops.get_untrusted_types(data=reference)).predict(X),
        atol=1e-5,
    )


def test_skops_in_a_pipeline() -> None:
    skops = library("skops.io")
    model = make_pipeline(StandardScaler(), made(ours, "Perceptron")).fit(X, Y)
    data = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=data)
    assert untrusted == ["fastbp.sklearn.perceptron.Perceptron"]
    restored = skops.loads(data, trusted=untrusted)
    assert np.array_equal(restored.decision_function(X), model.decision_function(X))


@pytest.mark.parametrize("mode", [None, "r"])
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor", "Perceptron"])
def test_joblib(name, mode, tmp_path) -> None:
    for kinds in BOTH:
        model = made(kinds, name).fit(X, Y)
        joblib.dump(model, tmp_path / "model.joblib")
        restored = joblib.load(tmp_path / "model.joblib", mmap_mode=mode)
        assert np.array_equal(restored.predict(X), model.predict(X))
        joblib.dump(model, tmp_path / "small.joblib", compress=3)
        again = joblib.load(tmp_path / "small.joblib")
        trained, expected = again.partial_fit(X, Y), model.partial_fit(X, Y)
        assert np.array_equal(trained.predict(X), expected.predict(X))


def test_cloudpickle() -> None:
    """It takes classes and functions that no module holds, by their code."""
    cloudpickle = library("cloudpickle")

    def cubed(y_pred, y):
        error = np.abs(y_pred - y)
        return (error**3).mean(), 3 * (y_pred - y) * error / len(y)

    class Rounded(ours("MLPRegressor")):
        def predict(self, X):
            return np.round(super().predict(X), self.digits)

        digits = 3

    model = made(lambda name: Rounded, "MLPRegressor", loss=cubed).fit(X, Y.astype(float))
    data = cloudpickle.dumps(model)
    restored = cloudpickle.loads(data)
    assert np.array_equal(restored.predict(X), model.predict(X))
    assert np.array_equal(restored.predict(X), np.round(restored.predict(X), 3))
    for name in ("MLPClassifier", "Perceptron"):
        found = [
            cloudpickle.load(io.BytesIO(cloudpickle.dumps(made(kinds, name).fit(X, Y))))
            for kinds in BOTH
        ]
        assert np.array_equal(found[0].predict(X), found[1].predict(X))


# ---------------------------------------------------------------- ensembles, selection, searches


def few_of_a_class() -> tuple[Any, Any]:
    rows, classes = CANCER
    kept = np.r_[np.flatnonzero(classes == 1), np.flatnonzero(classes == 0)[:40]]
    return rows[kept], classes[kept]


def test_imbalanced_learn() -> None:
    pipelines, sampling = library("imblearn.pipeline"), library("imblearn.over_sampling")
    ensembles = library("imblearn.ensemble")
    rows, classes = few_of_a_class()
    for place in (
        lambda net: pipelines.make_pipeline(sampling.SMOTE(random_state=0), net),
        lambda net: ensembles.BalancedBaggingClassifier(net, n_estimators=3, random_state=0),
        lambda net: pipelines.make_pipeline(
            StandardScaler(), sampling.RandomOverSampler(random_state=0), net
        ),
    ):
        found = [
            place(made(kinds, "MLPClassifier")).fit(rows, classes).predict_proba(rows)
            for kinds in BOTH
        ]
        assert_close(*found)
    found = [
        pipelines.make_pipeline(sampling.SMOTE(random_state=0), made(kinds, "Perceptron"))
        .fit(rows, classes)
        .decision_function(rows)
        for kinds in BOTH
    ]
    assert_close(*found)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mlxtend_selects_features() -> None:
    selection = library("mlxtend.feature_selection")
    found = []
    for kinds in BOTH:
        net = made(kinds, "MLPClassifier")
        search = selection.SequentialFeatureSelector(net, k_features=2, cv=3).fit(X, Y)
        found.append((search.k_feature_idx_, search.k_score_))
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_mlxtend_stacks_and_votes() -> None:
    classifiers, evaluate = library("mlxtend.classifier"), library("mlxtend.evaluate")
    for place in (
        lambda net: classifiers.StackingCVClassifier(
            [net, LogisticRegression()], LogisticRegression(), use_probas=True, cv=3,
            random_state=0,
        ),
        lambda net: classifiers.EnsembleVoteClassifier([net, LogisticRegression()], voting="soft"),
    ):  # fmt: skip
        found = [place(made(kinds, "MLPClassifier")).fit(X, Y).predict_proba(X) for kinds in BOTH]
        assert_close(*found, atol=1e-6)
    found = [
        evaluate.bias_variance_decomp(
            made(kinds, "MLPRegressor"), *DIABETES, *DIABETES, loss="mse", num_rounds=3,
            random_seed=0,
        )
        for kinds in BOTH
    ]  # fmt: skip
    assert_close(*found)


def test_optuna() -> None:
    """A search that prunes between epochs."""
    optuna = library("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def search(kinds: Any) -> list[tuple[Any, ...]]:
        def objective(trial: Any) -> float:
            options = {
                "hidden_layer_sizes": (trial.suggest_int("units", 2, 12),),
                "alpha": trial.suggest_float("alpha", 1e-5, 1e-1, log=True),
                "activation": trial.suggest_categorical("activation", ["relu", "tanh"]),
            }
            net = made(kinds, "MLPClassifier", **options)
            for epoch in range(5):
                net.partial_fit(X, Y, classes=np.unique(Y))
                trial.report(net.score(X, Y), epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned()
            return float(cross_val_score(net, X, Y, cv=3).mean())

        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=0),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
        )  # fmt: skip
        study.optimize(objective, n_trials=10)
        return [
            (trial.state.name, trial.value, trial.params, trial.intermediate_values)
            for trial in study.trials
        ]

    found = search(ours)
    assert found == search(theirs)
    assert {state for state, *_ in found} == {"COMPLETE", "PRUNED"}


# ---------------------------------------------------------------- tools that want the class itself


def test_what_to_sklearn_is_for() -> None:
    """mlflow's autologging and m2cgen look for the module and name of scikit-learn's class."""
    for name in ("MLPClassifier", "MLPRegressor", "Perceptron"):
        model = made(ours, name).fit(X, Y)
        converted = model.to_sklearn()
        assert type(converted) is theirs(name)
        assert_close(converted.predict(X), model.predict(X))
