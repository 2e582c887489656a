"""Estimators of scikit-learn as fastbp's, and back."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse
import sklearn
import sklearn.linear_model
import sklearn.neural_network as theirs

import fastbp.sklearn as ours
from fastbp import Progress
from fastbp.sklearn import conversion

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(60, 5))
CLASSES = (X[:, 0] > 0) + (X[:, 1] > 0).astype(int)
TARGETS = {"classes": CLASSES, "labels": (X[:, :2] > 0).astype(int), "numbers": X[:, :2] ** 2}
OPTIONS = {"hidden_layer_sizes": (7, 6), "max_iter": 4, "random_state": 0}
SOLVERS = {
    "adam": {"beta_1": 0.0, "epsilon": 1e-3},
    "adam, weights": {"learning_rate_init": 0.01},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "nesterovs_momentum": False},
    "lbfgs": {"solver": "lbfgs"},
}


def new(module, kind, **options):
    name = "MLPRegressor" if kind == "numbers" else "MLPClassifier"
    return getattr(module, name)(**OPTIONS | options)


def alike(one, other, tolerance=1e-9):
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(one.intercepts_[1], other.intercepts_[1], rtol=tolerance, atol=1e-9)
    assert one.n_iter_ == other.n_iter_ and one.loss_ == pytest.approx(other.loss_, rel=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", TARGETS)
def test_both_ways_and_on(kind, solver) -> None:
    """Four estimators that began in either library and crossed over, once or twice."""
    y = TARGETS[kind]
    options = SOLVERS[solver] | {"warm_start": True}
    one = new(theirs, kind, **options).fit(X, y)
    two = new(ours, kind, **options).fit(X, y)
    four = [one, two, type(two).from_sklearn(one), two.to_sklearn()]
    four.append(four[2].to_sklearn())
    four.append(type(two).from_sklearn(four[3]))
    for estimator in four:
        np.testing.assert_allclose(estimator.predict(X), one.predict(X), rtol=1e-6, atol=1e-9)
    for _ in range(2):
        for estimator in four:
            if solver != "lbfgs":
                estimator.partial_fit(X[:40], y[:40])
                alike(estimator, one)
    for estimator in four:
        estimator.fit(X, y)
        alike(estimator, one, 1e-4 if solver == "lbfgs" else 1e-9)
        if solver != "lbfgs":
            np.testing.assert_allclose(estimator.loss_curve_, one.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("rate", [1e-3, 2.0])
def test_early_stopping_goes_on_and_keeps_the_best(rate) -> None:
    """As here, also where scikit-learn would lose the best of the fit before."""
    options = {"early_stopping": True, "warm_start": True, "tol": 0.0, "solver": "sgd"}
    y = TARGETS["numbers"]
    two = new(ours, "numbers", **options).fit(X, y)
    three = two.to_sklearn().set_params(learning_rate_init=rate).fit(X, y)
    one = new(theirs, "numbers", **options).fit(X, y)
    four = ours.MLPRegressor.from_sklearn(one).set_params(learning_rate_init=rate).fit(X, y)
    before = two.coefs_[0].copy()
    two.set_params(learning_rate_init=rate).fit(X, y)
    for estimator in (three, four):
        alike(estimator, two)
        np.testing.assert_allclose(estimator.validation_scores_, two.validation_scores_, rtol=1e-9)
    assert np.array_equal(two.coefs_[0], before) == (rate == 2.0)


@pytest.mark.parametrize("kind", TARGETS)
def test_all_attributes_are_there_and_none_is_shared(kind) -> None:
    one = new(theirs, kind).fit(X, TARGETS[kind])
    two = new(ours, kind).from_sklearn(one)
    three = two.to_sklearn()
    assert vars(three).keys() == vars(one).keys() - {"_random_state"}
    assert two.get_params().keys() > one.get_params().keys()
    for name, value in vars(three).items():
        expected = getattr(one, name)
        if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
            for a, b in zip(value, expected, strict=True):
                assert "best" in name or np.array_equal(a, b)
                assert a.flags.c_contiguous and a.flags.owndata
                assert not np.shares_memory(a, b) and a.flags.writeable
        elif name not in ("_optimizer", "_label_binarizer"):
            assert np.array_equal(value, expected) and type(value) is type(expected), name
    for name, value in vars(three._optimizer).items():
        for a, b in zip(np.atleast_1d(value) if np.isscalar(value) else value,
                        np.atleast_1d(vars(one._optimizer)[name]) if np.isscalar(value)
                        else vars(one._optimizer)[name], strict=True):  # fmt: skip
            np.testing.assert_allclose(a, b, rtol=1e-12)
    if kind != "numbers":
        assert two.classes_ is two._label_binarizer.classes_
        assert three.classes_ is three._label_binarizer.classes_ is not one.classes_
    before = one.predict(X)
    two.coefs_[0][:] = 0.0
    three.coefs_[0][:] = 0.0
    two.loss_curve_.clear()
    assert np.array_equal(one.predict(X), before) and one.loss_curve_


def test_random_states() -> None:
    """A stream is copied, so that both go on with the same draws."""
    stream = np.random.RandomState(3)
    one = new(theirs, "numbers", random_state=stream).partial_fit(X, X)
    two = ours.MLPRegressor.from_sklearn(one)
    three = two.to_sklearn()
    assert two.random_state is not stream and three.random_state is not two.random_state
    for estimator in (one, two, three):
        for _ in range(2):
            estimator.partial_fit(X, X)
        alike(estimator, one)


def test_an_unfitted_estimator_converts_its_parameters() -> None:
    two = ours.MLPClassifier.from_sklearn(theirs.MLPClassifier((3,), alpha=0.5, solver="sgd"))
    assert repr(two) == "MLPClassifier(alpha=0.5, hidden_layer_sizes=(3,), solver='sgd')"
    three = two.set_params(activation=["sigmoid"]).to_sklearn()
    assert type(three) is theirs.MLPClassifier and three.activation == "logistic"
    assert three.alpha == 0.5 and not hasattr(three, "coefs_")
    linear = ours.MLPRegressor(hidden_layer_sizes=(), activation=[], dropout=[]).to_sklearn()
    assert linear.fit(X, X[:, 0]).n_layers_ == 2
    assert ours.MLPClassifier((3, 3), dropout=[0.0, 0.0]).to_sklearn().hidden_layer_sizes == (3, 3)

    class Mine(ours.MLPRegressor):
        pass

    mine = Mine.from_sklearn(theirs.MLPRegressor())
    assert type(mine) is Mine and type(mine.to_sklearn()) is theirs.MLPRegressor


def test_metadata_and_names_of_features() -> None:
    import pandas

    table = pandas.DataFrame({name: X[:, i] for i, name in enumerate("abcde")})
    with sklearn.config_context(enable_metadata_routing=True):
        one = theirs.MLPRegressor(**OPTIONS).set_fit_request(sample_weight="weights")
        one = one.fit(table, X[:, 0])
        two = ours.MLPRegressor.from_sklearn(one)
        for estimator in (two, two.to_sklearn()):
            assert estimator.feature_names_in_.tolist() == list("abcde")
            requests = estimator.get_metadata_routing().fit.requests
            assert requests["sample_weight"] == "weights"
            np.testing.assert_allclose(estimator.predict(table), one.predict(table))


REFUSED = {
    "gelu": ({"activation": "gelu"}, "among .*'relu'.*activation='gelu'"),
    "two activations": ({"activation": ["tanh", "relu"]}, "one activation for all hidden layers"),
    "dropout": ({"dropout": 0.5}, r"cannot express dropout=0.5\..*for_prediction=True"),
    "decay": ({"weight_decay": 0.1}, "express the state of .*, weight_decay=0.1|weight_decay=0.1"),
    "optimizer": ({"optimizer": "lion"}, "cannot express optimizer='lion', the state of Lion"),
    "clip": ({"clip_norm": 1.0, "l1_ratio": 0.5}, "express clip_norm=1.0, l1_ratio=0.5"),
    "callbacks": ({"callbacks": [Progress()]}, "express callbacks="),
    "bar": ({"verbose": "bar"}, "express verbose='bar'"),
    "dtype": ({"dtype": "float32"}, "express dtype='float32'"),
    "init": ({"weight_init": "he"}, "express weight_init='he'"),
    "scoring": ({"early_stopping": True, "scoring": "loss"}, "express scoring='loss'"),
    "class weights": ({"class_weight": {0: 2.0}}, "express class_weight="),
    "huber": ({"loss": "huber"}, "express loss='huber'"),
    "gamma": ({"loss": "gamma"}, "express loss='gamma'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_scikit_learn_cannot_express(case, capsys) -> None:
    options, message = REFUSED[case]
    if case == "gamma":
        net = new(ours, "numbers", **options).fit(X, TARGETS["numbers"] + 0.1)
    else:
        kind = "numbers" if "loss" in options else "classes"
        net = new(ours, kind, **options).fit(X, TARGETS[kind])
    for estimator in (net, sklearn.base.clone(net)):
        with pytest.raises(ValueError, match=message if estimator is net else "scikit-learn"):
            estimator.to_sklearn()
    if "activation" in options:
        with pytest.raises(ValueError, match=message):
            net.to_sklearn(for_prediction=True)
        return
    plain = net.to_sklearn(for_prediction=True)
    tolerance = 1e-4 if net.coefs_[0].dtype == np.float32 else 1e-9
    np.testing.assert_allclose(plain.predict(X), net.predict(X), rtol=tolerance)
    assert plain.out_activation_ == ("exp" if case == "gamma" else net.out_activation_)
    assert hasattr(plain, "_optimizer") == (case not in ("optimizer", "decay"))


def test_several_targets_with_classes_cannot_be_expressed() -> None:
    net = new(ours, "classes").fit(X, np.stack([CLASSES, CLASSES[::-1]], axis=1))
    for for_prediction in (False, True):
        with pytest.raises(ValueError, match="several targets with more than two classes each"):
            net.to_sklearn(for_prediction=for_prediction)
    net = new(ours, "numbers").fit(X, X[:, 0])
    net.out_activation_ = "softplus"
    with pytest.raises(ValueError, match="output activations among .*got 'softplus'"):
        net.to_sklearn()


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (ours.MLPClassifier, theirs.MLPRegressor()),
        (ours.MLPClassifier, ours.MLPClassifier()),
        (ours.MLPRegressor, sklearn.linear_model.Perceptron()),
        (ours.Perceptron, sklearn.linear_model.SGDClassifier()),
        (ours.Perceptron, 3),
    ],
)
def test_another_kind_of_estimator(kind, given) -> None:
    where = "linear_model" if kind is ours.Perceptron else "neural_network"
    message = f"{kind.__name__}.from_sklearn takes a sklearn.{where}.{kind.__name__}; got "
    with pytest.raises(TypeError, match=message):
        kind.from_sklearn(given)


def test_optimizers_that_do_not_fit() -> None:
    one = new(theirs, "numbers").fit(X, X)
    one._optimizer.vs[0] = np.ones((3, 3))
    with pytest.raises(ValueError, match=r"moments of _optimizer must have .*got \[\(3, 3\)"):
        ours.MLPRegressor.from_sklearn(one)
    one._optimizer = object()
    with pytest.raises(TypeError, match="_optimizer must be fastbp's, or an AdamOptimizer or SGD"):
        ours.MLPRegressor.from_sklearn(one)
    two = new(ours, "numbers").fit(X, X)
    two._optimizer = object()
    with pytest.raises(TypeError, match="Delete it to start afresh"):
        two.partial_fit(X, X)
    del two._optimizer
    two.partial_fit(X, X)


def test_scikit_learns_optimizer_is_given_back() -> None:
    one = new(theirs, "numbers").partial_fit(X, X)
    two = ours.MLPRegressor()
    vars(two).update(copy.deepcopy(vars(one)))
    three = two.to_sklearn().partial_fit(X, X)
    alike(three, one.partial_fit(X, X))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("rows", [CLASSES, (CLASSES > 0).astype(int)])
@pytest.mark.parametrize("options", [{}, {"penalty": "l2", "eta0": 0.5}])
def test_perceptrons(rows, options, sparse) -> None:
    data = scipy.sparse.csr_matrix(X) if sparse else X
    options = options | {"max_iter": 5, "tol": None, "warm_start": True}
    one = sklearn.linear_model.Perceptron(**options)
    two = ours.Perceptron(**options)
    for estimator in (one, two):
        estimator.partial_fit(data[:30], rows[:30], classes=np.unique(rows))
    four = [one, two, ours.Perceptron.from_sklearn(one), two.to_sklearn()]
    assert four[3].coef_.flags.c_contiguous and four[3].coef_ is not two.coef_
    assert isinstance(four[3], sklearn.linear_model.Perceptron) and four[3].eta0 == two.eta0
    for _ in range(2):
        for estimator in four:
            estimator.partial_fit(data, rows)
            np.testing.assert_allclose(estimator.coef_, one.coef_, rtol=1e-9)
            assert estimator.t_ == one.t_
    for estimator in four:
        estimator.fit(data, rows)
        np.testing.assert_allclose(estimator.coef_, one.coef_, rtol=1e-9)
        np.testing.assert_allclose(estimator.intercept_, one.intercept_, rtol=1e-9, atol=1e-12)
        assert np.array_equal(estimator.predict(data), one.predict(data))


def test_perceptrons_of_parameters_alone() -> None:
    one = sklearn.linear_model.Perceptron(alpha=0.5, class_weight={0: 2.0, 1: 1.0})
    two = ours.Perceptron.from_sklearn(one)
    assert two.get_params() == one.get_params() == two.to_sklearn().get_params()
    assert not hasattr(two, "coef_") and two.class_weight is not one.class_weight
    assert set(conversion.PERCEPTRON) >= {"coef_", "intercept_", "classes_"}
