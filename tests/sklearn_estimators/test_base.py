"""Fitting that is refused, data of every kind, copies, and what is built around an estimator."""

from __future__ import annotations

import copy
import pickle
import pickletools

import joblib
import numpy as np
import pandas
import polars
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp import SGD, AdamW, CosineDecay, Progress
from fastbp.model.optimizers import Group
from fastbp.older import PickleError
from fastbp.sklearn import MLPClassifier, MLPRegressor
from fastbp.sklearn.pickles import FORMAT

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
NAMES = ["one", "two", "three", "four"]


def small(**parameters):
    return MLPClassifier(
        **{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0} | parameters
    )


def state_of(estimator):
    """All that an estimator holds, down to the bits."""
    return {
        name: pickle.dumps(x) if isinstance(x, (list, np.ndarray)) or x is None else repr(x)
        for name, x in vars(estimator).items()
        if name not in ("_net", "_optimizer")
    }


def fit_all(estimator):
    estimator.fit(X, Y)


REFUSED = {
    "NaN": ({}, lambda e: e.fit(np.where(X > 7, np.nan, X), Y), "Input X contains NaN"),
    "infinity": ({}, lambda e: e.fit(np.where(X > 7, np.inf, X), Y), "contains infinity"),
    "rows": ({}, lambda e: e.fit(X[:-1], Y), "inconsistent numbers of samples"),
    "weights": ({}, lambda e: e.fit(X, Y, np.ones(3)), "sample_weight.shape == \\(3,\\)"),
    "negative weights": ({}, lambda e: e.fit(X, Y, -np.ones(150)), "Negative values in data"),
    "weights of 0": ({}, lambda e: e.fit(X, Y, np.zeros(150)), "at least one non-zero|sum above 0"),
    "one dimension": ({}, lambda e: e.fit(X[:, 0], Y), "Expected 2D array, got 1D array"),
    "no rows": ({}, lambda e: e.fit(X[:0], Y[:0]), "Found array with 0 sample"),
    "text": ({}, lambda e: e.fit(np.full((150, 4), "a"), Y), "could not convert string"),
    "targets": ({}, lambda e: e.fit(X, np.full(150, np.nan)), "Input y contains NaN"),
    "continuous": ({}, lambda e: e.fit(X, X[:, 0]), "Unknown label type"),
    "layers": ({"hidden_layer_sizes": (5, 0)}, fit_all, "must be > 0, got"),
    "alpha": ({"alpha": -1.0}, fit_all, "The 'alpha' parameter of MLPClassifier"),
    "callbacks": ({"callbacks": [3]}, fit_all, "classes derived from fastbp.Callb"),
    "split": ({"early_stopping": True, "validation_fraction": 0.0}, fit_all, "test_si"),
    "scoring": ({"scoring": "accuracy"}, fit_all, "set early_stopping=True"),
    "y_val": ({}, lambda e: e.fit(X, Y, X_val=X), "X_val is provided, but y_val was not"),
    "X_val": ({}, lambda e: e.fit(X, Y, y_val=Y), "y_val is provided, but X_val was not"),
    "classes of y_val": ({}, lambda e: e.fit(X, Y, X_val=X, y_val=Y + 1), "y does not have: .3."),
    "columns of X_val": ({}, lambda e: e.fit(X, Y, X_val=X[:, :2], y_val=Y), "X has 2 features"),
    "eval_set": ({}, lambda e: e.fit(X, Y, eval_set=[(X, Y), (X, Y)]), "a list of one such tuple"),
    "both": ({}, lambda e: e.fit(X, Y, X_val=X, y_val=Y, eval_set=(X, Y)), "not both"),
    "early partial_fit": ({"early_stopping": True},
                          lambda e: e.partial_fit(X, Y, classes=[0, 1, 2]),
                          "partial_fit does not support early_stopping"),
    "classes": ({}, lambda e: e.partial_fit(X, Y, classes=[0, 1]), "not"),
    "lbfgs dropout": ({"solver": "lbfgs", "dropout": 0.5}, fit_all, "dropout needs"),
    "lbfgs optimizer": ({"solver": "lbfgs", "optimizer": "lion"}, fit_all, "optimizer"),
    "lbfgs callbacks": ({"solver": "lbfgs", "callbacks": [Progress()]}, fit_all, "callb"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("fitted", [False, True])
def test_a_refused_fit_changes_nothing(case, fitted) -> None:
    parameters, call, message = REFUSED[case]
    estimator = small()
    if fitted:
        estimator.fit(X, Y)
    estimator.set_params(**parameters)
    before = state_of(estimator)
    with pytest.raises((ValueError, TypeError), match=message):
        call(estimator)
    assert state_of(estimator) == before
    if fitted:
        assert np.array_equal(estimator.predict(X), small().fit(X, Y).predict(X))


def test_a_refused_fit_draws_nothing() -> None:
    stream = np.random.RandomState(3)
    net = MLPClassifier((5,), random_state=stream, early_stopping=True)
    with pytest.raises(ValueError, match="least populated class"):
        net.fit(X[:60], Y[:60] * (np.arange(60) == 59))
    assert stream.random() == np.random.RandomState(3).random()


def test_errors_are_scikit_learns() -> None:
    theirs = sklearn.neural_network.MLPClassifier(max_iter=5)
    for case in ("NaN", "infinity", "rows", "one dimension", "no rows", "text", "targets"):
        messages = []
        for estimator in (theirs, small()):
            with pytest.raises(ValueError) as error:
                REFUSED[case][1](estimator)
            messages.append(str(error.value))
        assert messages[0] == messages[1]


def test_bad_input_of_predictions() -> None:
    net = small(as_transformer=True).fit(X, Y)
    bad = X.copy()
    bad[3, 1] = np.nan
    for method in (net.predict, net.predict_proba, net.transform):
        with pytest.raises(ValueError, match="Input X contains NaN"):
            method(bad)
        with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4"):
            method(X[:, :3])
        with pytest.raises(ValueError, match="Found array with 0 sample"):
            method(X[:0])


@pytest.mark.parametrize(
    "kind",
    [pandas.DataFrame, polars.DataFrame, scipy.sparse.csr_matrix, scipy.sparse.csc_array,
     lambda x: scipy.sparse.csr_matrix(x).tocoo(), np.asfortranarray, lambda x: x.tolist()],
    ids=["pandas", "polars", "csr_matrix", "csc_array", "coo", "Fortran order", "lists"],
)  # fmt: skip
def test_kinds_of_data(kind) -> None:
    expected = small(as_transformer=True).fit(X, Y)
    net = small(as_transformer=True).fit(kind(X), Y)
    exact = 1e-12 if scipy.sparse.issparse(kind(X)) else 0  # sums in another order
    for got, wanted in (
        (net.coefs_[0], expected.coefs_[0]),
        (net.predict_proba(kind(X)), expected.predict_proba(X)),
        (net.transform(kind(X)), expected.transform(X)),
    ):
        np.testing.assert_allclose(got, wanted, rtol=exact, atol=exact)
    held = small(early_stopping=True).fit(kind(X), Y, X_val=kind(X[::2]), y_val=Y[::2])
    assert len(held.validation_loss_curve_) == 5


@pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame])
def test_names_of_features(frame) -> None:
    table = frame({name: X[:, i] for i, name in enumerate(NAMES)})
    net = small().fit(table, Y)
    if frame is polars.DataFrame and not hasattr(net, "feature_names_in_"):
        pytest.skip("this scikit-learn knows no names of polars")
    assert net.feature_names_in_.tolist() == NAMES
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        net.predict(X)
    early = small(early_stopping=True, scoring="accuracy", max_iter=3).fit(table, Y)
    assert len(early.validation_scores_) == 3, "scorers get tables with names, or they would warn"
    net = small(as_transformer=True).set_output(transform="pandas")
    output = net.fit(table, Y).transform(table)
    assert list(output.columns) == [f"mlpclassifier{i}" for i in range(5)]


def test_dtypes() -> None:
    for solver in ("adam", "sgd", "lbfgs"):
        single = small(solver=solver).fit(X.astype(np.float32), Y)
        assert {a.dtype.name for a in single.coefs_ + single.intercepts_} == {"float32"}
        asked = small(solver=solver, dtype="float32").fit(X, Y)
        assert {a.dtype.name for a in asked.coefs_} == {"float32"}
        np.testing.assert_array_equal(asked.predict_proba(X), single.predict_proba(X))
    assert small(dtype="float64").fit(X.astype(np.float32), Y).coefs_[0].dtype == np.float64
    assert small().fit(X.astype(int), Y).coefs_[0].dtype == np.float64
    regressor = MLPRegressor(max_iter=3, dtype="float32").fit(X, Y)
    assert regressor.predict(X).dtype == np.float32
    warm = small(warm_start=True).fit(X.astype(np.float32), Y).fit(X, Y)
    assert warm.coefs_[0].dtype == np.float32, "a warm start keeps the parameters' dtype"


def test_read_only_data_and_data_are_left_alone() -> None:
    x, y = X.copy(), Y.copy()
    for array in (x, y):
        array.setflags(write=False)
    net = small().fit(x, y, np.ones(150))
    assert np.array_equal(net.predict(x), small().fit(X, Y, np.ones(150)).predict(X))


@pytest.mark.parametrize("way", ["pickle", "deepcopy", "copy", "joblib", "joblib mapped"])
def test_copies_go_on_as_the_original(way, tmp_path) -> None:
    net = small(warm_start=True).partial_fit(X, Y, classes=[0, 1, 2])
    if way == "pickle":
        twin = pickle.loads(pickle.dumps(net))
    elif way == "deepcopy":
        twin = copy.deepcopy(net)
    elif way == "copy":
        twin = copy.copy(net)
    else:
        joblib.dump(net, tmp_path / "net")
        twin = joblib.load(tmp_path / "net", mmap_mode="r" if "mapped" in way else None)
    assert np.array_equal(twin.predict_proba(X), net.predict_proba(X))
    twin.coefs_[0][:1] += 0.0  # not read-only
    twin.partial_fit(X, Y)
    assert not np.array_equal(twin.coefs_[0], net.coefs_[0])
    net.partial_fit(X, Y)
    assert np.array_equal(twin.coefs_[0], net.coefs_[0]), "the optimiser's state is copied too"


def test_a_pickle_of_another_format_is_refused() -> None:
    net = small().fit(X, Y)
    state = net.__getstate__()
    assert state["_format"] == FORMAT and not hasattr(pickle.loads(pickle.dumps(net)), "_format")
    for change, said in (({"_format": 0}, "has the format 0"), ({}, "has no format number")):
        del state["_format"]
        state |= change
        with pytest.raises(PickleError, match=f"pickle of an MLPClassifier {said}.*coefs_"):
            MLPClassifier().__setstate__(dict(state))
        state.setdefault("_format", 0)
    old = {"_format": 1, "_net": None, "hidden_layer_sizes": (5,)}  # what format 1 held
    with pytest.raises(PickleError, match="has the format 1, so another version"):
        MLPClassifier().__setstate__(old)
    state = net.__getstate__()
    state["_optimizer"]["format"] += 1
    with pytest.raises(PickleError, match="pickle of an optimizer has the format"):
        MLPClassifier().__setstate__(state)


def test_an_estimator_that_is_not_fitted_is_read_right() -> None:
    """A parameter that was not there yet has its default."""
    assert pickle.loads(pickle.dumps(small())).hidden_layer_sizes == (5,)
    state = small(alpha=0.5).__getstate__()
    del state["weight_init"]
    net = MLPClassifier.__new__(MLPClassifier)
    net.__setstate__(state)
    assert net.weight_init is None and net.alpha == 0.5
    assert np.array_equal(net.fit(X, Y).coefs_[0], small(alpha=0.5).fit(X, Y).coefs_[0])


@pytest.mark.parametrize("size", [0, 3])
def test_an_edited_optimizer_reads_nothing_beyond_its_numbers(size) -> None:
    net = pickle.loads(pickle.dumps(small().partial_fit(X, Y, classes=[0, 1, 2])))
    net._optimizer.scalars = np.zeros(size)
    with pytest.raises(PickleError, match=rf"scalars .* shape \(13,\).*got shape \({size},\)"):
        net.partial_fit(X, Y)
    net._optimizer.slots = np.zeros(size)
    with pytest.raises(PickleError, match=rf"slots .* shape \(\d+,\).*got shape \({size},\)"):
        net.partial_fit(X, Y)


PLAIN = (bool, int, float, str, type(None), np.ndarray, np.generic, np.random.RandomState)


def parts(value):
    """All that a state is made of, but for containers."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from parts(key)
            yield from parts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from parts(item)
    else:
        yield value


@pytest.mark.parametrize(
    "options",
    [{}, {"solver": "sgd"}, {"solver": "lbfgs"}, {"early_stopping": True}, {"optimizer": "lion"},
     {"random_state": np.random.RandomState(0)}],
    ids=",".join,
)  # fmt: skip
def test_a_pickle_names_no_class_of_fastbp_but_its_own(options) -> None:
    nets = [small(**options).fit(X, Y), MLPRegressor(**options).fit(X, X)]
    nets.append(small(**options).fit(X, np.stack([Y, Y[::-1]], axis=1)))
    for net in nets:
        net.predict(X)
        for part in parts(net.__getstate__()):
            assert isinstance(part, PLAIN) or type(part).__module__.startswith("sklearn."), part
        text = pickletools.genops(pickle.dumps(net))
        named = {arg for _, arg, _ in text if isinstance(arg, str) and arg.startswith("fastbp")}
        assert named == {"fastbp.sklearn.estimators"}
        assert np.array_equal(pickle.loads(pickle.dumps(net)).predict(X), net.predict(X))


@pytest.mark.parametrize(
    "optimizer",
    ["lion", AdamW(CosineDecay(0.01, 40)), SGD(0.1, 0.9, groups=[Group([0], learning_rate=0.01)])],
)
def test_a_pickle_goes_on_with_any_optimizer(optimizer) -> None:
    net = small(optimizer=optimizer).partial_fit(X, Y, classes=[0, 1, 2])
    twin = pickle.loads(pickle.dumps(net))
    assert twin._optimizer.optimizer == net._optimizer.optimizer
    for _ in range(2):
        net.partial_fit(X, Y)
        twin.partial_fit(X, Y)
    assert np.array_equal(twin.coefs_[0], net.coefs_[0])
    assert np.array_equal(twin._optimizer.slots, net._optimizer.slots)


def test_an_unknown_optimizer_is_refused() -> None:
    state = small().fit(X, Y).__getstate__()
    state["_optimizer"]["optimizer"]["name"] = "SolverNone"
    with pytest.raises(PickleError, match="must be one of .*'SolverSGD'.*got 'SolverNone'"):
        MLPClassifier().__setstate__(state)


def test_a_pickle_holds_the_parameters_once() -> None:
    net = MLPClassifier((300, 300), max_iter=1, solver="lbfgs", max_fun=2).fit(X, Y)
    numbers = sum(a.nbytes for a in net.coefs_)
    assert len(pickle.dumps(net)) < 2.4 * numbers  # and one slot of an optimiser


def test_parameters_are_live_views_and_may_be_replaced() -> None:
    net, twin = small().fit(X, Y), small().fit(X, Y)
    shared = copy.copy(net)
    net.coefs_[0][:] = 0.0
    assert np.ptp(net.predict_proba(X), axis=0).max() == 0
    shared.coefs_ = [w.copy() for w in twin.coefs_]
    assert np.array_equal(shared.predict_proba(X), twin.predict_proba(X))
    assert np.ptp(net.predict_proba(X), axis=0).max() == 0, "not written into the other's"
    net.coefs_[0] = twin.coefs_[0].copy()
    assert np.array_equal(net.predict_proba(X), twin.predict_proba(X))
    net.intercepts_[1] = np.array([100.0, 0.0, 0.0])
    assert not net.predict(X).any()


def test_warm_start_after_other_layers_is_a_clear_error() -> None:
    """scikit-learn continues with the old layers, or fails with an error about shapes."""
    for call in (fit_all, lambda e: e.partial_fit(X, Y)):
        net = small(warm_start=True).fit(X, Y)
        before = state_of(net.set_params(hidden_layer_sizes=(6,)))
        with pytest.raises(ValueError, match=r"continue with the existing layers, \[4, 5, 3\]"):
            call(net)
        assert state_of(net) == before
    net = MLPRegressor(warm_start=True, max_iter=3).fit(X, Y)
    with pytest.raises(ValueError, match=r"\[4, 100, 1\]; .* need \[4, 100, 2\]"):
        net.fit(X, np.stack([Y, Y], axis=1))


def test_clone_and_parameters() -> None:
    callback = Progress()
    net = small(callbacks=[callback], optimizer="lion", activation=["tanh"]).fit(X, Y)
    fresh = clone(net)
    assert not hasattr(fresh, "coefs_")
    assert fresh.get_params().keys() == net.get_params().keys()
    assert fresh.activation == ["tanh"]
    assert "loss" not in net.get_params()
    assert "loss" in MLPRegressor().get_params()
    assert repr(MLPClassifier(alpha=0.5)) == "MLPClassifier(alpha=0.5)"
    html = net._repr_html_()
    assert "MLPClassifier" in html
    assert "learning_rate_init" in html


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_grid_search_and_pipelines(backend) -> None:
    pipeline = make_pipeline(StandardScaler(), small(max_iter=15))
    grid = {"mlpclassifier__alpha": [1e-4, 10.0], "mlpclassifier__hidden_layer_sizes": [(3,), (9,)]}
    theirs = clone(pipeline).set_params(
        mlpclassifier=sklearn.neural_network.MLPClassifier(max_iter=15, random_state=0)
    )
    with joblib.parallel_backend(backend, n_jobs=2):
        ours = GridSearchCV(pipeline, grid, cv=3).fit(X, Y)
    expected = GridSearchCV(theirs, grid, cv=3).fit(X, Y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], atol=1e-12
    )
    assert ours.best_params_ == expected.best_params_
    assert np.array_equal(ours.predict(X), expected.predict(X))


def test_metadata_routing() -> None:
    weights = np.linspace(0.1, 2.0, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        net = small().set_fit_request(sample_weight=True, X_val=True, y_val=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, net)
        pipeline.fit(X, Y, sample_weight=weights, X_val=X, y_val=Y)
        assert len(pipeline[-1].validation_loss_curve_) == 5
        expected = small().fit(StandardScaler().fit_transform(X), Y, weights)
        assert np.array_equal(pipeline[-1].coefs_[0], expected.coefs_[0])
        net = small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        scores = cross_validate(net, X, Y, params={"sample_weight": weights}, cv=3)
        assert np.isfinite(scores["test_score"]).all()


def test_fits_side_by_side_in_threads() -> None:
    expected = [small(random_state=seed).fit(X, Y).coefs_[0] for seed in range(6)]
    found = joblib.Parallel(4, backend="threading")(
        joblib.delayed(small(random_state=seed).fit)(X, Y) for seed in range(6)
    )
    for net, coef in zip(found, expected, strict=True):
        assert np.array_equal(net.coefs_[0], coef)
