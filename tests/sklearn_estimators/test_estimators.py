"""The interface: scikit-learn's, and what is added to it for classes, targets and losses."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import compute_sample_weight

import fastbp.sklearn
from fastbp import Huber, Quantile
from fastbp.sklearn import MLPClassifier, MLPRegressor

NAMES = ("MLPClassifier", "MLPRegressor")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = (X_IRIS - X_IRIS.mean(axis=0)) / X_IRIS.std(axis=0)


def parameters(function):
    return [p for p in inspect.signature(function).parameters.values() if p.name != "self"]


@pytest.mark.parametrize("name", NAMES)
def test_constructor_begins_with_scikit_learns_parameters(name) -> None:
    theirs = parameters(getattr(sklearn.neural_network, name).__init__)
    ours = parameters(getattr(fastbp.sklearn, name).__init__)
    assert [(p.name, p.default, p.kind) for p in ours[: len(theirs)]] == [
        (p.name, p.default, p.kind) for p in theirs
    ]
    added = ours[len(theirs) :]
    assert len(added) >= 8
    assert all(p.kind is p.KEYWORD_ONLY for p in added)
    assert all(p.default in (None, 0.0, 1) for p in added), "all off by default"


@pytest.mark.parametrize("name", NAMES)
def test_methods_and_their_parameters(name) -> None:
    theirs, ours = (getattr(m, name) for m in (sklearn.neural_network, fastbp.sklearn))
    public = [method for method in dir(theirs) if not method.startswith("_")]
    assert {"fit", "partial_fit", "predict", "score", "set_fit_request"} <= set(public)
    for method in public:
        if not callable(getattr(theirs, method)):
            continue
        expected = [(p.name, p.default) for p in parameters(getattr(theirs, method))]
        got = parameters(getattr(ours, method))
        if method.startswith("set_") and method.endswith("_request"):
            assert {p for p, _ in expected} <= {p.name for p in got}, method
        else:
            assert [(p.name, p.default) for p in got[: len(expected)]] == expected, method
            assert all(p.kind is p.KEYWORD_ONLY for p in got[len(expected) :]), method


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", NAMES)
def test_fitted_attributes_are_scikit_learns_and_one_more(name, solver) -> None:
    fitted = [
        getattr(module, name)(solver=solver, max_iter=3, early_stopping=True).fit(X_IRIS, Y_IRIS)
        for module in (sklearn.neural_network, fastbp.sklearn)
    ]
    theirs, ours = ({n for n in vars(e) if n.endswith("_") and n[0] != "_"} for e in fitted)
    assert ours - theirs == {"validation_loss_curve_"}
    assert theirs - ours == set()
    assert getattr(fitted[1], "loss", None) == getattr(fitted[0], "loss", None)


def test_partial_fit_is_absent_with_lbfgs() -> None:
    """scikit-learn's regressor has it, by a mistake, and it fails."""
    for kind in (MLPClassifier, MLPRegressor):
        assert not hasattr(kind(solver="lbfgs"), "partial_fit")
        assert hasattr(kind(solver="adam"), "partial_fit")
        with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
            kind(solver="lbfgs").partial_fit  # noqa: B018


def test_before_fit() -> None:
    for method in ("predict", "transform"):
        for kind in (MLPClassifier, MLPRegressor):
            with pytest.raises(NotFittedError, match=f"This {kind.__name__} instance is not fit"):
                getattr(kind(as_transformer=True), method)(X_IRIS)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_class_weights_of_all_rows_at_once_are_sample_weights(solver) -> None:
    """Of the same sum: the penalty is divided by the sum of the sample weights alone."""
    X = X_IRIS[:120]
    y = np.array(["a", "b", "c"])[Y_IRIS][:120]  # 50, 50, 20
    weights = {"a": 1.0, "b": 3.0, "c": 0.5}
    of_rows = np.array([weights[label] for label in y])
    own = np.linspace(0.5, 2.0, len(y))
    options = {"max_iter": 5, "random_state": 0, "batch_size": 120, "solver": solver, "alpha": 0.1}
    for class_weight, sample_weight, expected in (
        (weights, None, of_rows),
        (weights, own, of_rows * own),
        ("balanced", None, compute_sample_weight("balanced", y)),
    ):
        total = len(y) if sample_weight is None else own.sum()
        got = MLPClassifier(class_weight=class_weight, **options).fit(X, y, sample_weight)
        same = MLPClassifier(**options).fit(X, y, expected * (total / expected.sum()))
        np.testing.assert_allclose(got.coefs_[0], same.coefs_[0], rtol=1e-6, atol=1e-9)
        assert got.loss_ == pytest.approx(same.loss_, rel=1e-9)
        without = MLPClassifier(**options).fit(X, y).coefs_[0]
        assert np.abs(got.coefs_[0] - without).max() > 1e-4
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial"):
        MLPClassifier(class_weight="balanced").partial_fit(X_IRIS, Y_IRIS, classes=[0, 1, 2])


def test_class_weights_of_partial_fit_are_taken_as_they_are() -> None:
    options = {"solver": "sgd", "momentum": 0.0, "alpha": 0.0, "random_state": 0}
    doubled = MLPClassifier(class_weight={0: 2.0, 1: 2.0}, learning_rate_init=0.1, **options)
    faster = MLPClassifier(learning_rate_init=0.2, **options)
    for net in (doubled, faster):
        net.partial_fit(X_IRIS[:100], Y_IRIS[:100], classes=[0, 1])
    np.testing.assert_allclose(doubled.coefs_[0], faster.coefs_[0], rtol=1e-12)


def test_a_rare_class_with_balanced_weights_is_predicted_at_one_half() -> None:
    """One positive in 1,000, constant inputs, all defaults: most batches have none."""
    rng = np.random.default_rng(0)
    y = (np.arange(20_000) % 1000 == 0).astype(int)
    rng.shuffle(y)
    X = np.ones((len(y), 1))
    net = MLPClassifier(class_weight="balanced", random_state=0).fit(X, y)
    assert net.predict_proba(X[:1])[0, 1] == pytest.approx(0.5, abs=0.1)


def test_weights_so_small_that_the_penalty_is_all_are_refused() -> None:
    weights = np.full(len(X_IRIS), 1e-300)
    with pytest.raises(ValueError, match="the sum of sample_weight, 1.5e-298, is so small"):
        MLPClassifier().fit(X_IRIS, Y_IRIS, weights)


def test_balanced_classes_are_found_where_they_are_rare() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2000, 2))
    y = (X[:, 0] + 0.7 * rng.normal(size=2000) > 2).astype(int)
    assert 0.03 < y.mean() < 0.08
    options = {"max_iter": 60, "random_state": 0, "tol": 0.0}
    plain, balanced = (
        MLPClassifier(class_weight=w, **options).fit(X, y) for w in (None, "balanced")
    )
    found = [(e.predict(X)[y == 1]).mean() for e in (plain, balanced)]
    assert found[0] < 0.7 < 0.85 < found[1]


def test_several_targets_of_several_classes() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    y = np.stack(
        [np.array(["low", "mid", "top"])[np.digitize(X[:, 0], [-0.5, 0.5])],
         np.array(["no", "yes"])[(X[:, 1] > 0).astype(int)]], axis=1,
    )  # fmt: skip
    net = MLPClassifier((30,), max_iter=150, random_state=0, learning_rate_init=0.01).fit(X, y)
    assert [c.tolist() for c in net.classes_] == [["low", "mid", "top"], ["no", "yes"]]
    assert net.n_outputs_ == 5
    predicted, probabilities = net.predict(X), net.predict_proba(X)
    assert predicted.shape == y.shape
    assert (predicted == y).all(axis=1).mean() > 0.9
    assert [p.shape for p in probabilities] == [(300, 3), (300, 2)]
    for p, logarithm, classes, column in zip(
        probabilities, net.predict_log_proba(X), net.classes_, predicted.T, strict=True
    ):
        np.testing.assert_allclose(p.sum(axis=1), 1.0)
        np.testing.assert_allclose(np.exp(logarithm), p, rtol=1e-12)
        assert np.array_equal(classes[p.argmax(axis=1)], column)
    part = MLPClassifier((5,), early_stopping=True, max_iter=3, random_state=0).fit(X, y)
    assert len(part.validation_scores_) == 3
    theirs = sklearn.neural_network.MLPClassifier()
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        theirs.fit(X, y)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", Huber(0.1), "quantile"])
def test_losses_of_the_core(loss) -> None:
    """Outliers move the mean of the targets, and hardly their median."""
    X = np.linspace(-1, 1, 200).reshape(-1, 1)
    y = X[:, 0].copy()
    y[::5] += 50.0
    options = {"max_iter": 400, "random_state": 0, "tol": 0.0, "learning_rate_init": 0.01}
    plain, robust = (MLPRegressor(k, (20,), **options).fit(X, y) for k in ("squared_error", loss))
    clean = np.arange(200) % 5 != 0
    assert np.abs(plain.predict(X) - y)[clean].mean() > 5
    assert np.abs(robust.predict(X) - y)[clean].mean() < 0.5
    assert robust.out_activation_ == "identity"


def test_a_column_for_each_quantile() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(800, 1))
    y = X[:, 0] + rng.normal(size=800)
    loss = Quantile((0.1, 0.5, 0.9))
    net = MLPRegressor(loss, (20,), max_iter=150, random_state=0, tol=0.0).fit(X, y)
    below = (y[:, np.newaxis] <= net.predict(X)).mean(axis=0)
    np.testing.assert_allclose(below, [0.1, 0.5, 0.9], atol=0.05)
    assert net.n_outputs_ == 3


def test_a_loss_in_python() -> None:
    def half_square(z, y, sample_weight=None):
        shares = np.full(len(z), 1.0 / len(z))
        if sample_weight is not None:
            shares = sample_weight / sample_weight.sum()
        delta = (z - y) * shares[:, np.newaxis]
        return 0.5 * float((delta * (z - y)).sum()), delta

    X, y = make_regression(n_samples=150, n_features=5, random_state=0)
    y = y / y.std()
    for weights in (None, np.linspace(0.5, 1.5, 150)):
        options = {"max_iter": 10, "random_state": 0, "batch_size": 40, "alpha": 0.1}
        ours, same = (
            MLPRegressor(k, **options).fit(X, y, weights) for k in (half_square, "squared_error")
        )
        np.testing.assert_allclose(ours.coefs_[0], same.coefs_[0], rtol=1e-9)
        np.testing.assert_allclose(ours.loss_curve_, same.loss_curve_, rtol=1e-9)


def test_gamma_needs_positive_targets_and_poisson_no_negative_ones() -> None:
    X = np.ones((4, 1))
    with pytest.raises(ValueError, match="y must be above 0"):
        MLPRegressor("gamma").fit(X, [1.0, 2.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="y must be at least 0 for poisson"):
        MLPRegressor("poisson").fit(X, [1.0, 2.0, -1.0, 1.0])
    net = MLPRegressor(
        "gamma", max_iter=500, n_iter_no_change=np.inf, learning_rate_init=0.01, random_state=0
    )
    assert net.fit(X, [1.0, 2.0, 3.0, 2.0]).predict(X[:1])[0] == pytest.approx(2.0, rel=0.01)


def test_units_one_name_a_layer() -> None:
    X, y = X_IRIS, Y_IRIS
    options = {"hidden_layer_sizes": (7, 5), "max_iter": 5, "random_state": 0}
    one = MLPClassifier(activation="logistic", **options).fit(X, y)
    for names in (["logistic", "logistic"], ("sigmoid", "logistic")):
        same = MLPClassifier(activation=names, **options).fit(X, y)
        assert np.array_equal(one.coefs_[0], same.coefs_[0])
    mixed = MLPClassifier(activation=["gelu", "tanh"], as_transformer=True, **options).fit(X, y)
    hidden = np.tanh(1.0 * gelu(X @ mixed.coefs_[0] + mixed.intercepts_[0]) @ mixed.coefs_[1]
                     + mixed.intercepts_[1])  # fmt: skip
    np.testing.assert_allclose(mixed.transform(X), hidden, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="one for each of the 2 hidden layers, got 1"):
        MLPClassifier(activation=["relu"], **options).fit(X, y)
    with pytest.raises(ValueError, match="'activation' parameter of MLPClassifier must be a str"):
        MLPClassifier(activation="step", **options).fit(X, y)
    with pytest.raises(ValueError, match="activation must be among .* got 'step'"):
        MLPClassifier(activation=["step", "relu"], **options).fit(X, y)


def gelu(z):
    from scipy.special import ndtr

    return z * ndtr(z)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_gives_the_last_hidden_layer(dtype) -> None:
    X = X_IRIS.astype(dtype)
    net = MLPClassifier((9, 4), max_iter=3, random_state=0, as_transformer=True).fit(X, Y_IRIS)
    first = np.maximum(X @ net.coefs_[0] + net.intercepts_[0], 0)
    second = np.maximum(first @ net.coefs_[1] + net.intercepts_[1], 0)
    hidden = net.transform(X)
    assert hidden.dtype == dtype
    np.testing.assert_allclose(hidden, second, rtol=1e-5, atol=1e-6)
    assert net.get_feature_names_out().tolist() == [f"mlpclassifier{i}" for i in range(4)]
    with pytest.raises(ValueError, match="transform needs a hidden layer"):
        MLPClassifier((), max_iter=3, as_transformer=True).fit(X, Y_IRIS).transform(X)


def test_without_hidden_layers_it_is_scikit_learns_linear_model() -> None:
    for activation in ("relu", "logistic"):
        fits = [
            module.MLPClassifier((), activation, max_iter=20, random_state=1).fit(X_IRIS, Y_IRIS)
            for module in (sklearn.neural_network, fastbp.sklearn)
        ]
        np.testing.assert_allclose(fits[0].coefs_[0], fits[1].coefs_[0], rtol=1e-9)


def test_convergence_warning() -> None:
    message = r"Stochastic Optimizer: Maximum iterations \(2\) reached"
    for estimator in (MLPClassifier(max_iter=2), MLPRegressor(max_iter=2)):
        with pytest.warns(ConvergenceWarning, match=message) as caught:
            estimator.fit(X_IRIS, Y_IRIS)
        assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger") as caught:
        MLPClassifier(max_iter=2, batch_size=1000).fit(X_IRIS, Y_IRIS)
    assert caught[0].filename == __file__


def with_logits(X, y, dtype):
    """A classifier without hidden layers whose logits are its inputs."""
    net = MLPClassifier((), max_iter=2, dtype=dtype).fit(X, y)
    net.coefs_[0][:] = np.eye(*net.coefs_[0].shape)
    net.intercepts_[0][:] = 0
    return net


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_keep_what_the_loss_keeps(dtype) -> None:
    """The class that is next to impossible has a probability, and the other's logarithm digits."""
    rtol = 1e-6 if dtype == "float32" else 1e-14
    z = np.array([[17.0], [40.0], [-40.0], [800.0], [0.5]])
    net = with_logits(np.array([[-1.0], [1.0]] * 20), [0, 1] * 20, dtype)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(np.concatenate([z, -z], axis=1)))
    np.testing.assert_allclose(net.predict_proba(z), expected, rtol=rtol, atol=0)
    logarithms = -np.logaddexp(0, np.concatenate([z, -z], axis=1))
    np.testing.assert_allclose(net.predict_log_proba(z), logarithms, rtol=rtol, atol=1e-45)
    net = with_logits(np.eye(3), [0, 1, 2], dtype)
    found = net.predict_log_proba([[-431.0, 279.0, 427.0]])
    np.testing.assert_allclose(found, [[-858, -148, 0]], rtol=rtol, atol=1e-60)
    net = with_logits(np.eye(2), np.eye(2, dtype=int), dtype)  # two labels, each by itself
    found = net.predict_log_proba([[-900.0, 40.0]])
    np.testing.assert_allclose(found, [[-900, 0]], rtol=rtol, atol=np.finfo(dtype).eps)
    ties = net.predict_log_proba([[60.0, 70.0]])
    assert ties[0, 0] == ties[0, 1], "as the probabilities, which are rounded to 1"
    assert net.predict_proba([[-900.0, 40.0]]).shape == (1, 2)


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix])
def test_logarithms_of_several_targets_are_finite(kind) -> None:
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = np.stack([np.arange(60) % 3, np.arange(60) % 2], axis=1)
    net = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    logarithms = net.predict_log_proba(kind(X * 1e6))
    assert [p.shape for p in logarithms] == [(60, 3), (60, 2)]
    assert all(np.isfinite(p).all() for p in logarithms)
    assert min(p.min() for p in logarithms) < -1e4


def kinds(estimator) -> dict[str, set[type]]:
    """The types of an estimator's losses and scores."""
    names = ("loss_", "best_loss_", "loss_curve_", "validation_scores_", "best_validation_score_")
    found = {name: getattr(estimator, name, None) for name in names}
    return {n: {type(x) for x in (v if isinstance(v, list) else [v])} for n, v in found.items()}


@pytest.mark.parametrize("options", [
    {}, {"early_stopping": True}, {"solver": "lbfgs"},
    {"solver": "sgd", "learning_rate": "adaptive"},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_losses_have_scikit_learns_types(name, options, dtype) -> None:
    X, y = X_IRIS.astype(dtype), (Y_IRIS > 0).astype(int)
    nets = [
        getattr(module, name)(hidden_layer_sizes=(4,), max_iter=4, random_state=0, **options)
        for module in (fastbp.sklearn, sklearn.neural_network)
    ]
    assert kinds(nets[0].fit(X, y)) == kinds(nets[1].fit(X, y))
    if not options:
        nets = [net.partial_fit(X, y) for net in nets]
        assert kinds(nets[0]) == kinds(nets[1])
    own = nets[0].set_params(early_stopping=False).fit(X, y, X_val=X, y_val=y)
    assert {type(loss) for loss in own.validation_loss_curve_} == {np.float64}


def test_callbacks_of_the_core_see_floats() -> None:
    histories = []

    class Keep(fastbp.Callback):
        def on_fit_end(self, fit):
            histories.append(fit.history)

    options = {"early_stopping": True, "max_iter": 3, "random_state": 0}
    MLPClassifier((4,), callbacks=[Keep()], **options).fit(X_IRIS, Y_IRIS)
    (history,) = histories
    assert {"val_loss", "val_score"} <= set(history.names)
    assert {type(x) for name in history.names for x in history[name]} == {float}
