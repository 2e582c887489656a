"""`save` and `load`: what comes back, what is refused, and training that goes on."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import resumed_estimators as resumed
import sklearn
import sklearn.neural_network
from helpers import counts
from resumed_estimators import parts
from sealed import parts_of
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.preprocessing import LabelBinarizer

import fastbp
import fastbp.sklearn
from fastbp.sklearn import MLPClassifier, MLPRegressor, Perceptron, saving
from fastbp.sklearn.conversion import NET, PERCEPTRON
from fastbp.sklearn.pickles import FORMAT

safetensors = pytest.importorskip("safetensors.numpy", reason="estimators are saved by it")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RUNS = counts(24, 300)
ROOT = Path(fastbp.__file__).parents[1]
TESTS = Path(resumed.__file__).parent
X, Y = load_iris(return_X_y=True)


def small(**options: Any) -> MLPClassifier:
    given = {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0} | options
    return MLPClassifier(**given)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "estimator.safetensors"


def twin_of(made: Any, path: Path, **own: Any) -> Any:
    """What a file gives; saving has changed nothing, and saving it again gives the same bytes."""
    before = parts(made)
    made.save(path)
    assert parts(made) == before
    twin = fastbp.sklearn.load(path, **own)
    assert type(twin) is type(made)
    content = path.read_bytes()
    twin.save(path)
    assert path.read_bytes() == content
    return twin


# ---- training goes on ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.promise("resume")
def test_estimators_go_on_in_a_new_process_as_if_they_had_never_stopped(
    tmp_path, tally: Counter[str]
) -> None:
    seeds = [str(seed) for seed in range(RUNS)]
    expected = []
    for seed in range(RUNS):
        r = resumed.run(seed)
        stopped = resumed.gone_on(r.estimator, r, 0, r.stop)
        twin = twin_of(stopped, tmp_path / f"{seed}.safetensors")
        assert parts(twin) == parts(stopped), seed
        again = resumed.run(seed)
        pickled = resumed.gone_on(resumed.unpickled(stopped), again, r.stop, resumed.CALLS)
        whole = resumed.run(seed)
        resumed.gone_on(whole.estimator, whole, 0, resumed.CALLS)
        expected.append(resumed.digest(whole.estimator))
        assert resumed.digest(pickled) == expected[-1], seed
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS), *sys.path[1:]])
    }
    command = [sys.executable, str(TESTS / "resumed_estimators.py"), str(tmp_path), *seeds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    got = done.stdout.split()
    assert not [seed for seed, a, b in zip(seeds, got, expected, strict=True) if a != b]
    tally["estimators"] += RUNS


def test_the_random_runs_differ_in_what_matters() -> None:
    runs = [resumed.run(seed) for seed in range(80)]
    nets = [r.estimator for r in runs if hasattr(r.estimator, "solver")]
    assert len(nets) == 70 and {r.stop for r in runs} == set(range(resumed.CALLS))
    for has in (
        lambda e: e.solver == "lbfgs",
        lambda e: e.solver == "sgd",
        lambda e: isinstance(e.optimizer, fastbp.Optimizer),
        lambda e: e.early_stopping,
        lambda e: e.warm_start,
        lambda e: isinstance(e.random_state, np.random.RandomState),
        lambda e: e.random_state is None,
        lambda e: e.dropout > 0,
        lambda e: getattr(e, "missing_targets", False),
        lambda e: isinstance(e.hidden_layer_sizes, np.ndarray),
        lambda e: getattr(e, "class_weight", None) is not None,
    ):
        assert 3 < sum(map(bool, map(has, nets))) < 67


# ---- what comes back ----------------------------------------------------------------------------


def test_others_can_read_the_weights(path) -> None:
    net = small().fit(X, Y)
    net.save(path)
    arrays = safetensors.load_file(path)
    hidden = np.maximum(X @ arrays["layers.0.weight"] + arrays["layers.0.bias"], 0)
    z = hidden @ arrays["layers.1.weight"] + arrays["layers.1.bias"]
    assert np.array_equal(arrays["classes_"][z.argmax(axis=1)], net.predict(X))
    unit = Perceptron().fit(X, Y)
    unit.save(path)
    arrays = safetensors.load_file(path)
    assert arrays["layers.0.weight"].shape == (4, 3)
    assert np.array_equal(arrays["layers.0.weight"].T, unit.coef_)
    assert np.array_equal(arrays["layers.0.bias"], unit.intercept_)


LABELS: dict[str, Any] = {
    "int64": np.array([5, 7, 9]),
    "uint8": np.array([5, 7, 9], np.uint8),
    "float32": np.array([0, 1, 2], np.float32),
    "str": np.array(["a", "", "ünïcode \U0001f600"]),
    "object": np.array(["a", "b" * 40, "c\nd"], object),
    "bool": np.array([False, True, True]),
}


@pytest.mark.parametrize("kind", [MLPClassifier, Perceptron])
@pytest.mark.parametrize("labels", LABELS)
def test_classes_come_back_with_their_dtype(labels, kind, path) -> None:
    y = LABELS[labels][Y]
    made = kind(max_iter=3, random_state=0).fit(X, y)
    twin = twin_of(made, path)
    assert twin.classes_.dtype == made.classes_.dtype
    assert np.array_equal(twin.classes_, made.classes_)
    predicted = twin.predict(X)
    assert predicted.dtype == made.predict(X).dtype and np.array_equal(predicted, made.predict(X))
    assert twin.score(X, y) == made.score(X, y)
    if kind is MLPClassifier:  # an assigned one is predicted, as before
        assert twin.classes_ is twin._label_binarizer.classes_
        twin.classes_ = np.array(["new", "names", "here"])[: len(twin.classes_)]
        assert set(twin.predict(X)) <= set(twin.classes_)


def test_names_of_features_and_tables_come_back(path) -> None:
    table = pandas.DataFrame(X, columns=["sepal", "ß", "a column with a very long name", ""])
    net = small(as_transformer=True).set_output(transform="pandas").fit(table, Y)
    twin = twin_of(net, path)
    assert twin.feature_names_in_.dtype == object
    assert list(twin.feature_names_in_) == list(table.columns)
    assert twin.transform(table).equals(net.transform(table))
    with pytest.raises(ValueError, match="feature names"):
        twin.predict(table.rename(columns={"ß": "ss"}))


def test_requested_metadata_come_back(path) -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        net = small().set_fit_request(sample_weight=True).set_score_request(sample_weight="w")
        twin = twin_of(net, path)
        assert str(twin.get_metadata_routing()) == str(net.get_metadata_routing())
        assert str(clone(twin)._metadata_request) == str(net._metadata_request)


def test_an_estimator_that_is_not_fitted_comes_back(path) -> None:
    for made in (MLPRegressor(loss=fastbp.Quantile([0.1, 0.9]), alpha=np.inf), Perceptron(eta0=2)):
        twin = twin_of(made, path)
        assert twin.get_params() == made.get_params() and parts(twin) == parts(made)
        assert parts(clone(twin)) == parts(made)
    with pytest.raises(sklearn.exceptions.NotFittedError):
        twin.predict(X)


PARAMETERS: list[dict[str, Any]] = [
    {"hidden_layer_sizes": [np.int32(3), 4]},
    {"hidden_layer_sizes": np.array([], int), "activation": []},
    {"weight_init": [np.ones((4, 2)), np.full((2, 3), 0.5)]},
    {"class_weight": {np.int64(0): np.float32(0.1), 1: 2, "a": None, 2.5: True, (1, "b"): [1]}},
    {"tol": np.nan, "alpha": -np.inf, "max_iter": 10**30, "epsilon": 5e-324},
    {"optimizer": fastbp.AMSGrad(fastbp.OneCycle(0.1, epochs=3), groups=[fastbp.Group([1])])},
    {"verbose": "bar", "scoring": "\ud800 no character", "dtype": np.str_("float32")},
    {"random_state": np.uint16(7)},
]


@pytest.mark.parametrize("number", range(len(PARAMETERS)))
def test_parameters_of_any_kind_come_back(number, path) -> None:
    made = small(**PARAMETERS[number])
    assert parts(twin_of(made, path)) == parts(made)


def test_a_random_state_goes_on_where_it_was(path) -> None:
    stream = np.random.RandomState(3)
    stream.normal(size=3)  # one is left over
    twin = twin_of(small(random_state=stream), path)
    assert twin.random_state is not stream
    assert twin.random_state.normal(size=5).tolist() == stream.normal(size=5).tolist()
    assert twin.random_state.randint(9, size=700).tolist() == stream.randint(9, size=700).tolist()


def test_long_curves_are_arrays_and_come_back_as_lists(path) -> None:
    net = small(max_iter=50, early_stopping=True, n_iter_no_change=60).fit(X, Y)
    assert len(net.loss_curve_) == 50
    net.loss_curve_[3] = np.float64("nan")
    net.beyond_ = [2**70] * 20
    twin = twin_of(net, path)
    table, recipe, _ = parts_of(path.read_bytes())
    assert table["loss_curve_"]["shape"] == [50] == table["validation_scores_"]["shape"]
    assert len(str(recipe)) < 6000
    assert parts(twin) == parts(net)
    assert type(twin.loss_curve_[0]) is np.float64 and type(twin.loss_curve_) is list


def test_attributes_that_were_set_come_back(path) -> None:
    net = small().fit(X, Y)
    net.coefs_ = [*map(np.asfortranarray, net.coefs_)]  # of the user
    net.coefs_[0][:2] = 0
    net.note_ = {"author": "Ada", "tried": [0.1, (1, None)], "rows": X[:3]}
    net._of_mine = np.arange(3, dtype=">i4")
    twin = twin_of(net, path)
    assert np.array_equal(twin.predict_proba(X), net.predict_proba(X))
    assert not twin.coefs_[0][:2].any()
    assert twin.note_["tried"] == [0.1, (1, None)] and np.array_equal(twin.note_["rows"], X[:3])
    assert twin._of_mine.tolist() == [0, 1, 2]


def test_sparse_weights_come_back(path) -> None:
    unit = Perceptron(penalty="l1", alpha=0.01).fit(X, Y).sparsify()
    twin = twin_of(unit, path)
    assert type(twin.coef_) is type(unit.coef_)
    assert np.array_equal(twin.densify().coef_, unit.densify().coef_)
    twin.partial_fit(X, Y)
    assert np.array_equal(twin.coef_, unit.partial_fit(X, Y).coef_)
    twin.coef_[0, 0] = 3  # its own, and writable
    twin.intercept_[0] = 3


def test_estimators_of_scikit_learn_come_by_conversion(path) -> None:
    theirs = sklearn.neural_network.MLPClassifier((5,), max_iter=3, random_state=0)
    theirs.partial_fit(X, Y, classes=[0, 1, 2])
    twin = twin_of(MLPClassifier.from_sklearn(theirs), path)
    net = small().partial_fit(X, Y, classes=[0, 1, 2])
    shared = {name: value for name, value in vars(theirs).items() if name in NET}
    vars(net).update(copy.deepcopy(shared))
    net._optimizer = copy.deepcopy(theirs._optimizer)  # copied by hand, scikit-learn's own
    other = fastbp.sklearn.load(saved(net, path))
    for one in (twin, other):
        np.testing.assert_allclose(
            one.partial_fit(X, Y).coefs_[0], copy.deepcopy(theirs).partial_fit(X, Y).coefs_[0]
        )


def saved(estimator: Any, path: Path) -> Path:
    estimator.save(path)
    return path


# ---- code in Python -----------------------------------------------------------------------------


def squared(y_pred, y):
    return float(((y_pred - y) ** 2).sum()) / len(y), 2 * (y_pred - y) / len(y)


def falling(update: int) -> float:
    return 0.1 / (1 + update)


def ones(generator, shape):
    return np.ones(shape)


class Quiet(fastbp.Callback):
    """Does nothing."""


CODE: dict[str, tuple[Any, str]] = {
    "loss": (squared, "squared"),
    "scoring": (make_scorer(accuracy_score), "_Scorer"),
    "callbacks": ([Quiet(), fastbp.EarlyStopping()], "Quiet, EarlyStopping"),
    "weight_init": (["he", ones], "ones"),
    "optimizer": (fastbp.SGD(fastbp.WarmUp(falling, 3)), "falling"),
}


@pytest.mark.parametrize("name", CODE)
def test_parameters_that_are_code_are_passed_again(name, path) -> None:
    value, called = CODE[name]
    MLPRegressor(**{name: value}).save(path)
    with pytest.raises(
        ValueError, match=rf"is not loaded: its {name} is code in Python, '{called}'.*{name}=\.\.\."
    ):
        fastbp.sklearn.load(path)
    assert getattr(fastbp.sklearn.load(path, **{name: value}), name) is value
    assert getattr(fastbp.sklearn.load(path, **{name: None}), name) is None


@pytest.mark.parametrize("rate", [falling, fastbp.WarmUp(fastbp.ScaledSchedule(falling, 0.5), 3)])
def test_a_learning_rate_that_is_a_function_goes_on(rate, path) -> None:
    net = small(optimizer=fastbp.Adam(rate)).partial_fit(X, Y, classes=[0, 1, 2])
    twin = fastbp.sklearn.load(saved(net, path), optimizer=fastbp.Adam(rate))
    assert np.array_equal(twin.partial_fit(X, Y).coefs_[0], net.partial_fit(X, Y).coefs_[0])
    with pytest.raises(ValueError, match="the optimizer that is passed must have that function"):
        fastbp.sklearn.load(path, optimizer=fastbp.Adam(0.1))
    net.set_params(optimizer=None)
    with pytest.raises(ValueError, match="optimizer= is another by now. Set it back"):
        net.save(path)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"alpha": 0.1}, "it holds its alpha; leave alpha out of load, and use set_params"),
        ({"los": squared}, "MLPClassifier has no parameter 'los'"),
        ({"estimator": MLPClassifier}, "of the class MLPClassifier; leave estimator out"),
    ],
)
def test_what_the_file_holds_is_not_exchanged(own, message, path) -> None:
    with pytest.raises(ValueError, match=message):
        fastbp.sklearn.load(saved(small(), path), **own)


class Mine(MLPClassifier):
    """Of the user's, with a parameter and an attribute of its own."""

    def __init__(self, hidden_layer_sizes=(3,), threshold=0.5) -> None:
        super().__init__(hidden_layer_sizes)
        self.threshold = threshold


def test_a_class_of_ones_own_is_passed_again(path) -> None:
    mine = Mine(threshold=0.25)
    mine.max_iter = 3
    mine.fit(X, Y)
    mine._kept = 3
    mine.save(path)
    with pytest.raises(
        ValueError, match=r"class is code in Python, 'Mine'.*load\(path, estimator="
    ):
        fastbp.sklearn.load(path)
    with pytest.raises(
        ValueError, match="estimator must be derived from MLPClassifier; got MLPReg"
    ):
        fastbp.sklearn.load(path, estimator=MLPRegressor)
    with pytest.raises(TypeError, match="estimator must be a class; got str 'Mine'"):
        fastbp.sklearn.load(path, estimator="Mine")
    twin = twin_of(mine, path, estimator=Mine)
    assert (twin.threshold, twin._kept) == (0.25, 3)
    assert np.array_equal(twin.predict_proba(X), mine.predict_proba(X))


# ---- what cannot be saved -----------------------------------------------------------------------


class Rate(fastbp.SGD):
    """Of the user's."""


class Binarizer(LabelBinarizer):
    """Of the user's."""


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an optimizer": ({"optimizer": Rate()}, "optimizer is Rate.*; a file holds .*set_params"),
    "a range": ({"hidden_layer_sizes": range(3, 5)}, "hidden_layer_sizes is range range"),
    "objects": ({"hidden_layer_sizes": np.array([3, None])}, "sizes is an array of objects"),
    "complex": ({"alpha": 1j}, "alpha is complex 1j; a file holds numbers"),
    "long doubles": ({"alpha": np.longdouble(1)}, "alpha is longdouble"),
    "arrays of them": ({"weight_init": np.ones((2, 2), np.complex64)}, "an array of complex64"),
    "masks": ({"weight_init": np.ma.ones((2, 2))}, "weight_init is MaskedArray|a masked array"),
    "another stream": (
        {"random_state": np.random.RandomState(np.random.PCG64(1))}, "RandomState of PCG64",
    ),
    "a named tuple": ({"hidden_layer_sizes": sys.version_info}, "hidden_layer_sizes is version_i"),
}  # fmt: skip
ATTRIBUTES: dict[str, tuple[Any, str]] = {
    "note_": (object(), "note_ is object .*Delete the attribute"),
    "of_mine": (squared, "of_mine is code in Python, which no file holds. Delete the attribute"),
    "predict": (3, "'predict' is no attribute that a file holds: it would hide what MLPClass"),
    "_label_binarizer": (Binarizer().fit([0, 1]), "_label_binarizer is Binarizer"),
    "deep_": (nested(40), "deep_ is nested more than 30 deep"),
    "text_": (np.array(["a\0"], object), "text_ has text that ends in a null character"),
    "classes_": (3, "classes_ must be an array, or a list of arrays; got 3"),
    "_skl_callbacks": ([3], r"callbacks of set_callbacks are code.*set_callbacks\(\) before"),
    "out_activation_": ("loud", "out_activation_ must be among"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_parameters_that_no_file_holds(case, path) -> None:
    parameters, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        small(**parameters).save(path)
    assert not path.exists()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_attributes_that_no_file_holds(name, path) -> None:
    value, message = ATTRIBUTES[name]
    net = small().fit(X, Y)
    net.save(path)
    before = path.read_bytes()
    vars(net)[name] = value
    with pytest.raises(ValueError, match=message):
        net.save(path)
    assert path.read_bytes() == before


def test_parameters_of_the_network_that_are_not_finite_are_not_saved(path) -> None:
    net = small().fit(X, Y)
    net.intercepts_[1][0] = np.nan
    with pytest.raises(ValueError, match="layers.1.bias must be finite; got nan"):
        net.save(path)
    unit = Perceptron().fit(X, Y)
    unit.coef_ = unit.coef_.astype(int)
    with pytest.raises(ValueError, match="layers.0.weight must be float32 or float64; got int64"):
        unit.save(path)
    unit.coef_ = np.ones((3, 4))
    unit.intercept_ = np.ones(2)
    with pytest.raises(ValueError, match=r"intercept_ must have the shape \(3,\)"):
        unit.save(path)


def test_nets_and_estimators_are_told_apart(path) -> None:
    with pytest.raises(ValueError, match=r"holds an estimator: fastbp\.sklearn\.load reads it"):
        fastbp.load(saved(small(), path))
    fastbp.MLP((2, 2)).save(path)
    with pytest.raises(ValueError, match=r"holds a net: fastbp\.load reads it"):
        fastbp.sklearn.load(path)


@pytest.mark.promise("saving")
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(call, path, monkeypatch) -> None:
    net = small().fit(X, Y)
    net.save(path)
    before = path.read_bytes()

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    net.set_params(alpha=0.5)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            net.save(path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_the_recipe_says_what_pickles_say(path) -> None:
    """Another state has another number: `pickles.FORMAT` counts for files, too."""
    net = small().fit(X, Y)
    _, recipe, _ = parts_of(saved(net, path).read_bytes())
    assert list(recipe) == ["format", "sha256", *saving.RECIPE]
    assert recipe["estimator"] == "MLPClassifier" and recipe["attributes"]["_format"] == FORMAT
    assert recipe["parameters"].keys() == net.get_params().keys()
    assert recipe["attributes"].keys() == net.__getstate__().keys() - net.get_params().keys()
    _, recipe, _ = parts_of(saved(Perceptron().fit(X, Y), path).read_bytes())
    assert recipe["attributes"].keys() == {*PERCEPTRON} - {"feature_names_in_"}
