"""`partial_fit` of a stream: the short way gives what the long way gives, to the bit."""

from __future__ import annotations

import copy
import pickle
import re
import threading

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.neural_network import MLPRegressor as Theirs

from fastbp import SGD
from fastbp.sklearn import MLPClassifier, MLPRegressor
from fastbp.sklearn.streams import Stream

RNG = np.random.default_rng(41)
X = RNG.normal(size=(96, 4))
SUM = X[:, 0] * X[:, 1]
TARGETS = {
    "one": SUM,
    "two": np.stack([SUM, X[:, 2]], axis=1),
    "whole numbers": np.round(3 * SUM).astype(int),
    "binary": (SUM > 0).astype(int),
    "three classes": np.array(["a", "b", "c"])[(SUM > 0).astype(int) + (X[:, 2] > 0)],
}
PARTS = [slice(i, i + 16) for i in range(0, 96, 16)]


@pytest.fixture
def taken(monkeypatch) -> list[bool]:
    """Whether each call went the short way."""
    found: list[bool] = []
    goes_on = Stream.goes_on

    def noting(*args) -> bool:
        found.append(goes_on(*args))
        return found[-1]

    monkeypatch.setattr(Stream, "goes_on", noting)
    return found


def make(kind: str, **parameters):
    estimator = MLPRegressor if kind in ("one", "two", "whole numbers") else MLPClassifier
    return estimator(**{"hidden_layer_sizes": (5,), "random_state": 0} | parameters)


def first_arguments(kind: str) -> dict:
    y = TARGETS[kind]
    return {"classes": np.unique(y)} if kind in ("binary", "three classes") else {}


def assert_same(ours, others) -> None:
    for one, other in zip(
        (*ours.coefs_, *ours.intercepts_), (*others.coefs_, *others.intercepts_), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    for name in ("loss_curve_", "loss_", "best_loss_", "n_iter_", "t_", "_no_improvement_count"):
        assert getattr(ours, name) == getattr(others, name), name


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
        {"dropout": 0.3},
        {"shuffle": False, "alpha": 0.1},
        {"batch_size": 7, "random_state": None},
        {"optimizer": "lion", "clip_norm": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", TARGETS)
def test_the_short_way_gives_the_same_numbers(kind, parameters, taken) -> None:
    y = TARGETS[kind]
    fitted = []
    for as_lists in (False, True):
        np.random.seed(5)  # noqa: NPY002
        net = make(kind, **parameters)
        for number, part in enumerate(PARTS):
            weights = np.linspace(0.5, 2.0, 16) if number % 2 else None
            rows = X[part].tolist() if as_lists else X[part]
            more = first_arguments(kind) if number in (0, 3) else {}
            net.partial_fit(rows, y[part], sample_weight=weights, **more)
        fitted.append(net)
        assert taken == [not as_lists] * 5
        taken.clear()
    assert_same(*fitted)


@pytest.mark.parametrize("shared", [False, True])
def test_a_shared_random_state_goes_on(shared, taken) -> None:
    fitted = []
    for as_lists in (False, True):
        stream = np.random.RandomState(3)
        net = make("one", random_state=stream)
        for part in PARTS:
            net.partial_fit(X[part].tolist() if as_lists else X[part], SUM[part])
            if shared:
                stream.normal()
        fitted.append((net, stream.randint(1000)))
    assert_same(fitted[0][0], fitted[1][0])
    assert fitted[0][1] == fitted[1][1]
    assert taken == [True] * 5 + [False] * 5


def test_it_trains_in_place_as_scikit_learn() -> None:
    for kind in (Theirs, MLPRegressor):
        net = kind(hidden_layer_sizes=(5,), random_state=0)
        net.partial_fit(X, SUM)
        for rows in (X, X.tolist()):
            kept, before = net.coefs_[0], net.coefs_[0].copy()
            curve = net.loss_curve_
            net.partial_fit(rows, SUM)
            assert not np.array_equal(kept, before)
            np.testing.assert_array_equal(kept, net.coefs_[0])
            assert net.loss_curve_ is curve  # and grows in place


def edited(net) -> None:
    net.coefs_[0][:] *= 0.5


def assigned(net) -> None:
    net.intercepts_[0] = np.full(5, 0.25)


def rate_set(net) -> None:
    net._optimizer.learning_rate_init = 0.05


def moments_cut(net) -> None:
    net._optimizer.slots = None


def counts_deleted(net) -> None:
    for name in ("loss_curve_", "best_loss_", "_no_improvement_count", "t_"):
        delattr(net, name)


CHANGES = {
    "coefs_ edited": (edited, True),
    "intercepts_ assigned": (assigned, False),
    "alpha set": (lambda net: net.set_params(alpha=0.5), False),
    "seed set": (lambda net: net.set_params(random_state=7), False),
    "rate set": (rate_set, False),
    "fitted anew": (lambda net: net.set_params(max_iter=2).fit(X, SUM), False),
    "another optimizer": (lambda net: net.set_params(optimizer=SGD(0.01)), False),
    "moments cut": (moments_cut, False),
    "counts deleted": (counts_deleted, True),
    "no curve": (lambda net: setattr(net, "loss_curve_", None), True),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_what_is_changed_between_two_calls_counts(name, taken) -> None:
    change, goes_on = CHANGES[name]
    fitted = []
    for as_lists in (False, True):
        net = make("one").partial_fit(X[:32], SUM[:32])
        change(net)
        rows = X[32:64].tolist() if as_lists else X[32:64]
        taken.clear()
        net.partial_fit(rows, SUM[32:64])
        fitted.append(net)
        assert taken in ([], [goes_on and not as_lists])
    assert_same(*fitted)


BAD = {
    "NaN in X": (np.where(X > 2, np.nan, X), SUM, None),
    "another width": (X[:, :3], SUM, None),
    "NaN in y": (X, np.where(SUM > 1, np.nan, SUM), None),
    "other rows": (X, SUM[:5], None),
    "a negative weight": (X, SUM, np.r_[-1.0, np.ones(95)]),
    "NaN among the weights": (X, SUM, np.r_[np.nan, np.ones(95)]),
    "no rows": (X[:0], SUM[:0], None),
    "one number for y": (X, np.array(1.0), None),
}


def test_what_no_parameter_is_named_after_is_refused() -> None:
    net = make("one").partial_fit(X, SUM)
    classifier = make("binary").partial_fit(X, TARGETS["binary"], classes=[0, 1])
    for call in (
        lambda: net.partial_fit(X, SUM, sample_weights=np.ones(96)),
        lambda: net.partial_fit(X, SUM, None, None),
        lambda: net.partial_fit(X, SUM, classes=None),
        lambda: classifier.partial_fit(X, TARGETS["binary"], sample_weights=np.ones(96)),
        lambda: classifier.partial_fit(X, TARGETS["binary"], None, [0, 1], classes=[0, 1]),
    ):
        with pytest.raises(TypeError, match="partial_fit"):
            call()
    assert len(net.loss_curve_) == len(classifier.loss_curve_) == 1


def test_other_features_than_those_of_the_fit_are_refused() -> None:
    net = make("one").partial_fit(X, SUM)
    net.n_features_in_ = 7
    with pytest.raises(ValueError, match="7 features"):
        net.partial_fit(X, SUM)
    net.n_features_in_ = 4
    net.feature_names_in_ = np.array(["a", "b", "c", "d"], object)
    with pytest.warns(UserWarning, match="valid feature names"):
        net.partial_fit(X, SUM)


REFUSED_LATE = {
    "too small weights": ("squared_error", SUM, np.full(96, 1e-290)),
    "targets of another loss": ("poisson", SUM, None),
}


@pytest.mark.parametrize("name", REFUSED_LATE)
def test_a_refused_call_draws_nothing(name) -> None:
    loss, y, weights = REFUSED_LATE[name]
    stream = np.random.RandomState(3)
    net = make("one", loss=loss, dropout=0.5, random_state=stream).partial_fit(X, np.abs(SUM))
    before = stream.get_state()
    with pytest.raises(ValueError, match=r"."):
        net.partial_fit(X, y, sample_weight=weights)
    np.testing.assert_equal(stream.get_state(), before)


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_refused_as_ever_and_change_nothing(name) -> None:
    net = make("one").partial_fit(X, SUM)
    before = pickle.dumps(net)
    rows, y, weights = BAD[name]
    with pytest.raises((ValueError, TypeError)) as refused:
        net.partial_fit(rows, y, sample_weight=weights)
    with pytest.raises(refused.type, match=re.escape(str(refused.value))):
        make("one").partial_fit(X, SUM)._fit(rows, y, weights, incremental=True)
    assert pickle.dumps(net) == before
    net.partial_fit(X, SUM)


def test_unknown_classes_are_refused() -> None:
    net = make("binary").partial_fit(X, TARGETS["binary"], classes=[0, 1])
    with pytest.raises(ValueError, match="classes"):
        net.partial_fit(X, TARGETS["binary"] + 1)
    with pytest.raises(ValueError, match="classes"):
        net.partial_fit(X, TARGETS["binary"], classes=[0, 1, 2])


@pytest.mark.parametrize("kind", ["binary", "three classes"])
def test_a_warm_start_wants_all_classes_in_each_call(kind) -> None:
    y = TARGETS[kind]
    for make_one in (TheirClassifier, MLPClassifier):
        net = make_one(hidden_layer_sizes=(5,), random_state=0, warm_start=True)
        net.partial_fit(X, y, **first_arguments(kind)).partial_fit(X, y)
        with pytest.raises(ValueError, match="same classes"):
            net.partial_fit(X, np.full_like(y, y[0]))
        assert len(net.loss_curve_) == 2


def test_a_subclass_with_a_fit_of_its_own_is_asked(taken) -> None:
    class Noting(MLPRegressor):
        calls = 0

        def _fit(self, *args, **kwargs):
            type(self).calls += 1
            return super()._fit(*args, **kwargs)

    net = Noting(hidden_layer_sizes=(3,), random_state=0)
    for _ in range(3):
        net.partial_fit(X, SUM)
    assert Noting.calls == 3
    assert taken == []


def test_copies_and_pickles_go_their_own_way(taken) -> None:
    net = make("one").partial_fit(X, SUM)
    other = pickle.loads(pickle.dumps(net))
    before = [w.copy() for w in other.coefs_]
    net.partial_fit(X, SUM)
    for w, kept in zip(other.coefs_, before, strict=True):
        np.testing.assert_array_equal(w, kept)
    other.partial_fit(X, SUM)
    assert_same(net, other)
    assert taken == [True]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_copies_of_the_attributes_are_another_model(copied) -> None:
    net = make("one").partial_fit(X, SUM)
    other = MLPRegressor()
    vars(other).update(copied(vars(net)))
    before = [w.copy() for w in net.coefs_]
    other.partial_fit(X, SUM)
    for w, kept in zip(net.coefs_, before, strict=True):
        np.testing.assert_array_equal(w, kept)
    assert_same(net.partial_fit(X, SUM), other)


def test_a_second_thread_takes_the_long_way(monkeypatch) -> None:
    net = make("one").partial_fit(X, SUM)
    inside, ended = threading.Event(), threading.Event()
    train = Stream._train

    def waiting(*args) -> None:
        inside.set()
        assert ended.wait(60)
        train(*args)

    monkeypatch.setattr(Stream, "_train", waiting)
    thread = threading.Thread(target=net.partial_fit, args=(X, SUM))
    thread.start()
    assert inside.wait(60)
    assert not net._stream.goes_on(net, X, SUM, None, None)
    ended.set()
    thread.join(60)
    assert not thread.is_alive()
    assert len(net.loss_curve_) == 2


def test_a_subclass_with_other_parameters_takes_the_long_way(taken):
    class Narrow(MLPRegressor):
        def __init__(self, width=5):
            super().__init__(hidden_layer_sizes=(width,), random_state=0)
            self.width = width

    net = Narrow().partial_fit(X[:32], SUM[:32])
    twin = MLPRegressor(hidden_layer_sizes=(5,), random_state=0).partial_fit(X[:32], SUM[:32])
    for part in PARTS:
        net.partial_fit(X[part], SUM[part])
        twin.partial_fit(X[part], SUM[part])
    assert np.array_equal(net.coefs_[0], twin.coefs_[0])
    net.alpha = 100.0  # no parameter of this class: it counts all the same
    assert not np.array_equal(
        net.partial_fit(X[:32], SUM[:32]).coefs_[0], twin.partial_fit(X[:32], SUM[:32]).coefs_[0]
    )
