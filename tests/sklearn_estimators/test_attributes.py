"""The fitted attributes are the model: what is done to scikit-learn's is done to fastbp's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelBinarizer

import fastbp.sklearn as ours

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # scikit-learn's, of wild numbers
]
X = np.random.default_rng(0).normal(size=(60, 5))
TARGETS = {
    "binary": np.where(X[:, 0] > 0, "yes", "no"),
    "multiclass": (X[:, 0] > 0) + (X[:, 1] > 0).astype(int),
    "multilabel": (X[:, :2] > 0).astype(int),
    "numbers": X[:, 0] * X[:, 1],
    "several numbers": X[:, :3] * X[:, 1:2],
    "counts": np.arange(60.0) % 4,
}
OPTIONS = {"hidden_layer_sizes": (7, 6), "max_iter": 5, "random_state": 0}


def fitted(module, kind, **options):
    if kind in ("binary", "multiclass", "multilabel"):
        return module.MLPClassifier(**OPTIONS | options).fit(X, TARGETS[kind])
    loss = "poisson" if kind == "counts" else "squared_error"
    return module.MLPRegressor(loss, **OPTIONS | options).fit(X, TARGETS[kind])


def assigned(**values):
    return lambda e: vars(e).update(copy.deepcopy(values))


def prune_inputs(e):
    e.coefs_[0] = e.coefs_[0][:4].copy()
    e.n_features_in_ = 4


def prune_units(e):
    e.coefs_[0] = e.coefs_[0][:, 2:]
    e.intercepts_[0] = e.intercepts_[0][2:]
    e.coefs_[1] = e.coefs_[1][2:]


def widen(e):
    e.coefs_[1] = np.concatenate([e.coefs_[1], e.coefs_[1][:, :2]], axis=1)
    e.intercepts_[1] = np.concatenate([e.intercepts_[1], [0.5, -0.5]])
    e.coefs_[2] = np.concatenate([e.coefs_[2], np.ones((2, e.coefs_[2].shape[1]))])


def cut(e):
    e.n_layers_ = 3
    e.n_outputs_ = 6


def cut_lists(e):
    e.coefs_ = e.coefs_[:2]
    e.intercepts_ = e.intercepts_[:2]
    cut(e)


def insert_layer(e):
    e.coefs_.insert(1, np.eye(7) * 0.5)
    e.intercepts_.insert(1, np.full(7, 0.1))
    e.n_layers_ = 5


def zero_in_place(e):
    e.coefs_[0][:, 1] = 0.0
    e.intercepts_[-1][:] = 1.0


def single(e):
    e.coefs_ = [w.astype(np.float32) for w in e.coefs_]
    e.intercepts_ = [b.astype(np.float32) for b in e.intercepts_]


def whole_numbers(e):
    e.coefs_ = [np.sign(w).astype(int) for w in e.coefs_]


def one_bias(e):
    e.intercepts_ = [np.array(0.5), np.full((1, 6), 0.25), e.intercepts_[2].tolist()]


def other_classes(e):
    if hasattr(e, "_label_binarizer"):
        names = np.array([7, 8, 9])[: len(e.classes_)]
        e._label_binarizer = LabelBinarizer().fit(names)


def classes_in_place(e):
    if hasattr(e, "classes_"):
        e.classes_[:] = e.classes_[::-1].copy()


def own_labels(e):
    if hasattr(e, "_label_binarizer"):
        e._label_binarizer.neg_label = -1


CHANGES = {
    "coefs_": [prune_inputs, prune_units, widen, zero_in_place, single, whole_numbers,
               lambda e: e.coefs_.__setitem__(1, e.coefs_[1] * 2)],
    "intercepts_": [one_bias, lambda e: e.intercepts_.__setitem__(0, np.ones(7))],
    "n_layers_": [cut, cut_lists, insert_layer],
    "n_outputs_": [assigned(n_outputs_=1), assigned(n_outputs_=2)],
    "out_activation_": [assigned(out_activation_=name)
                        for name in ("identity", "logistic", "softmax", "exp", "tanh", "relu")],
    "activation": [assigned(activation=name)
                   for name in ("identity", "logistic", "tanh", "relu")],
    "n_features_in_": [assigned(n_features_in_=6)],
    "classes_": [classes_in_place],
    "_label_binarizer": [other_classes, own_labels],
    "t_": [assigned(t_=3)],
    "n_iter_": [assigned(n_iter_=3)],
    "loss_": [assigned(loss_=3.0)],
    "loss": [assigned(loss="squared_error")],
    "loss_curve_": [assigned(loss_curve_=[])],
    "best_loss_": [assigned(best_loss_=3.0)],
    "validation_scores_": [assigned(validation_scores_=[])],
    "best_validation_score_": [assigned(best_validation_score_=3.0)],
    "_no_improvement_count": [assigned(_no_improvement_count=2)],
    "_optimizer": [assigned(_optimizer=None)],
    "_random_state": [assigned(_random_state=None)],
    "_best_coefs": [assigned(_best_coefs=None)],
    "_best_intercepts": [assigned(_best_intercepts=None)],
    "_coef_indptr": [assigned(_coef_indptr=None)],
    "_intercept_indptr": [assigned(_intercept_indptr=None)],
    "hidden_layer_sizes": [assigned(hidden_layer_sizes=(3,))],
}  # fmt: skip


def outcome(function, data):
    """What a method returns, or the kind of its error."""
    try:
        return function(data)
    except Exception as error:
        return next(kind for kind in (ValueError, IndexError, TypeError, Exception)
                    if isinstance(error, kind))  # fmt: skip


def same(got, expected, what):
    if isinstance(expected, type) or isinstance(got, type):
        assert got is expected, what
    elif np.asarray(expected).dtype.kind == "f":
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7, err_msg=what)
    else:
        assert np.array_equal(got, expected), what


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", TARGETS)
def test_a_change_of_any_attribute_does_what_it_does_in_scikit_learn(kind, name) -> None:
    for number, change in enumerate(CHANGES[name]):
        for predicted in (False, True):  # a network may be there already, or not
            pair = [fitted(module, kind) for module in (ours, theirs)]
            for estimator in pair:
                if predicted:
                    estimator.predict(X)
                change(estimator)
            data = X[:, : pair[1].n_features_in_]
            for method in ("predict", "predict_proba", "predict_log_proba"):
                if hasattr(pair[1], method):
                    got, expected = (outcome(getattr(e, method), data) for e in pair)
                    same(got, expected, f"{method} after change {number}")
            same(outcome(pair[0]._forward_pass_fast, data),
                 outcome(pair[1]._forward_pass_fast, data), "outputs")  # fmt: skip
            twin = pickle.loads(pickle.dumps(pair[0]))
            same(outcome(twin.predict, data), outcome(pair[0].predict, data), "pickled")


def test_the_changes_are_of_all_attributes_of_scikit_learns() -> None:
    found = set()
    for kind in TARGETS:
        for options in ({}, {"solver": "lbfgs"}, {"early_stopping": True}):
            estimator = fitted(theirs, kind, **options)
            found |= vars(estimator).keys() - estimator.get_params().keys()
    assert found <= set(CHANGES)
    assert {"coefs_", "_label_binarizer", "_best_coefs", "_coef_indptr"} <= found


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", TARGETS)
def test_whoever_sets_attributes_has_a_model_that_goes_on(kind, solver) -> None:
    source = fitted(theirs, kind, solver=solver)
    ways = []
    for module in (ours, theirs):
        for warm in (False, True):
            new = type(fitted(module, kind))(solver=solver, random_state=0, warm_start=warm)
            new.set_params(hidden_layer_sizes=(3, 4))  # scikit-learn only counts them
            new.set_params(max_iter=3, **{"loss": "poisson"} if kind == "counts" else {})
            for name in ("coefs_", "intercepts_", "n_layers_", "n_outputs_", "out_activation_",
                         "n_features_in_", "classes_", "_label_binarizer"):  # fmt: skip
                if hasattr(source, name):
                    setattr(new, name, copy.deepcopy(getattr(source, name)))
            new._no_improvement_count, new.loss_curve_, new.best_loss_ = 0, [], np.inf
            new.t_ = 0
            same(new.predict(X), source.predict(X), "predicted")
            for _ in range(2):
                new.fit(X, TARGETS[kind]) if warm else new.partial_fit(X, TARGETS[kind])
            ways.append(new)
    for got, expected in zip(ways[:2], ways[2:], strict=True):
        for w, v in zip(got.coefs_, expected.coefs_, strict=True):
            np.testing.assert_allclose(w, v, rtol=1e-9, atol=1e-12)
        assert got.loss_ == pytest.approx(expected.loss_, rel=1e-9)


def test_little_is_enough_to_go_on() -> None:
    source = fitted(ours, "numbers")
    new = ours.MLPRegressor(random_state=0)
    new.coefs_, new.intercepts_ = source.coefs_, source.intercepts_
    new.out_activation_ = "identity"
    assert np.array_equal(new.predict(X), source.predict(X))
    assert new.partial_fit(X, TARGETS["numbers"]).n_layers_ == 4
    assert not np.array_equal(new.predict(X), source.predict(X))
    assert np.array_equal(fitted(ours, "numbers").predict(X), source.predict(X)), "not shared"


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", TARGETS)
def test_all_attributes_of_scikit_learns_at_once(kind, solver) -> None:
    expected = fitted(theirs, kind, solver=solver)
    got = type(fitted(ours, kind))()
    if solver == "lbfgs":
        got.fit(X, TARGETS[kind])  # a network is there that must not be taken
    vars(got).update(copy.deepcopy(vars(expected)))
    same(got.predict(X), expected.predict(X), "predicted")
    for _ in range(2):
        if solver != "lbfgs":
            for estimator in (got, expected):
                estimator.partial_fit(X[:31], TARGETS[kind][:31])
            np.testing.assert_allclose(got.coefs_[1], expected.coefs_[1], rtol=1e-9, atol=1e-12)
    for estimator in (got, expected):
        estimator.set_params(warm_start=True).fit(X, TARGETS[kind])
    tolerance = 1e-5 if solver == "lbfgs" else 1e-9
    np.testing.assert_allclose(got.coefs_[1], expected.coefs_[1], rtol=tolerance, atol=tolerance)
    assert got.n_iter_ == expected.n_iter_
    if solver != "lbfgs":
        np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize("change", [prune_units, widen])
def test_training_goes_on_with_other_layers(change) -> None:
    """As in scikit-learn, whose optimiser has to be made anew by hand."""
    pair = [fitted(module, "numbers", solver="sgd") for module in (ours, theirs)]
    for estimator in pair:
        change(estimator)
        del estimator._optimizer
        for _ in range(2):
            estimator.partial_fit(X, TARGETS["numbers"])
    for got, expected in zip(pair[0].coefs_, pair[1].coefs_, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match="continue with the existing layers"):
        pair[0].set_params(hidden_layer_sizes=(3,)).partial_fit(X, TARGETS["numbers"])


def test_the_moments_of_other_layers_are_not_taken() -> None:
    """Both 5-3-1 and 5-1-5-1 have 22 parameters."""
    net = ours.MLPRegressor(hidden_layer_sizes=(3,), random_state=0).partial_fit(X, X[:, 0])
    net.coefs_ = [np.ones((5, 1)), np.ones((1, 5)), np.ones((5, 1))]
    net.intercepts_ = [np.zeros(1), np.zeros(5), np.zeros(1)]
    net.n_layers_ = 4
    fresh = copy.deepcopy(net)
    del fresh._optimizer
    for one in (net, fresh):
        one.partial_fit(X, X[:, 0])
    assert net._optimizer.slots.size == 2 * 22
    assert np.array_equal(net.coefs_[0], fresh.coefs_[0])


def test_single_precision_of_parameters_keeps_the_moments() -> None:
    pair = [fitted(module, "numbers") for module in (ours, theirs)]
    for estimator in pair:
        single(estimator)
        estimator.partial_fit(X, TARGETS["numbers"])
    assert pair[0].coefs_[0].dtype == np.float32
    np.testing.assert_allclose(pair[0].coefs_[0], pair[1].coefs_[0], rtol=1e-4, atol=1e-5)


def test_classes_that_are_assigned_are_predicted() -> None:
    """scikit-learn predicts by `_label_binarizer` alone; here either may be changed."""
    net = fitted(ours, "binary")
    before = net.predict(X)
    net.classes_ = np.array(["non", "oui"])
    assert np.array_equal(net.predict(X), np.where(before == "yes", "oui", "non"))
    twin = pickle.loads(pickle.dumps(net))
    assert np.array_equal(twin.predict(X), net.predict(X))
    net._label_binarizer = LabelBinarizer().fit([3, 4])
    assert np.array_equal(net.predict(X), np.where(before == "yes", 4, 3))
    first = ours.MLPClassifier(random_state=0).partial_fit(X, before, classes=["no", "yes"])
    assert set(first.predict(X)) <= {"no", "yes"}


WRONG = {
    "rows": (lambda e: e.coefs_.__setitem__(1, np.ones((5, 6))),
             r"coefs_\[1\] must have a row for each of the 7 columns of coefs_\[0\]; got .*\(5, 6"),
    "biases": (lambda e: e.intercepts_.__setitem__(1, np.ones(5)),
               r"intercepts_\[1\] must have the shape \(6,\).*got \(5,\)"),
    "one dimension": (lambda e: e.coefs_.__setitem__(0, np.ones(5)), r"shape \(n_in, n_out\)"),
    "no units": (lambda e: e.coefs_.__setitem__(0, np.ones((5, 0))), r"shape \(n_in, n_out\)"),
    "objects": (lambda e: e.coefs_.__setitem__(0, np.full((5, 7), "a")), "array of real numbers"),
    "more layers": (assigned(n_layers_=6), "n_layers_ - 1 arrays each.*got 3 and 3 with .*=6"),
    "no layers": (assigned(n_layers_=1), "and at least one.*n_layers_=1"),
    "fewer biases": (lambda e: e.intercepts_.pop(), "got 3 and 2 with n_layers_=4"),
    "features": (prune_inputs, None),
    "inputs": (lambda e: e.coefs_.__setitem__(0, np.ones((4, 7))), "each of the 5 features"),
    "unit": (assigned(activation="rule"), "activation must be among .*got 'rule'"),
    "output": (assigned(out_activation_="rule"), "out_activation_ must be among .*got 'rule'"),
    "output to train": (assigned(out_activation_="logistic"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_attributes_that_do_not_fit_say_so(case) -> None:
    change, message = WRONG[case]
    net = fitted(ours, "numbers")
    change(net)
    before = copy.copy(vars(net))
    if message is not None:
        with pytest.raises(ValueError, match=message):
            net.predict(X)
    train = "train outputs of out_activation_='identity'.*got 'logistic'"
    message = message or {"features": "X has 5 features", "output to train": train}[case]
    with pytest.raises(ValueError, match=message):
        net.partial_fit(X, TARGETS["numbers"])
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is value for name, value in before.items())


def test_what_is_missing_is_not_fitted() -> None:
    for name in ("coefs_", "intercepts_", "out_activation_"):
        net = fitted(ours, "numbers")
        delattr(net, name)
        with pytest.raises(NotFittedError):
            net.predict(X)


def test_an_assigned_network_is_shared_with_nobody() -> None:
    net = fitted(ours, "multiclass")
    other = ours.MLPClassifier()
    vars(other).update(vars(net))
    before = net.predict_proba(X)
    other.coefs_ = [w * 2 for w in other.coefs_]
    other.activation = "tanh"
    assert np.abs(other.predict_proba(X) - before).max() > 1e-3
    assert np.array_equal(net.predict_proba(X), before)
    assert other._network() is other._network() is not net._network()
    net.n_layers_ = 3
    net.predict_proba(X)
    assert net._network() is net._network()
    assert len(net.coefs_) == 3, "the arrays behind stay"
    net.n_layers_ = 4
    assert np.array_equal(net.predict_proba(X), before)
