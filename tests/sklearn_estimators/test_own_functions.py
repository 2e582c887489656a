"""Estimators with activations and losses of a user's own: what `fastbp.MLP` takes."""

from __future__ import annotations

import pickle
import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import fastbp.sklearn
from fastbp import ElementwiseActivation, ElementwiseLoss, graph
from fastbp.__main__ import main
from fastbp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(18)
X = RNG.normal(size=(60, 4))
Y = X[:, 0] ** 2 - X[:, 1]
z, y_pred, y = graph.variables("z y_pred y")


def softsign(z):
    size = 1.0 + abs(z)
    return z / size, 1.0 / (size * size)


def softsign_of_arrays(z):
    size = 1.0 + np.abs(z)
    return z / size, 1.0 / (size * size)


def half_square(y, t):
    return 0.5 * (y - t) * (y - t), y - t


ELEMENTWISE = ElementwiseActivation(softsign)
GRAPH = z / (1 + abs(z))
ACTIVATIONS = {
    "elementwise": ELEMENTWISE,
    "graph": GRAPH,
    "of arrays": softsign_of_arrays,
    "each": [GRAPH, ELEMENTWISE],
}
LOSSES = {"elementwise": ElementwiseLoss(half_square), "graph": 0.5 * (y_pred - y) ** 2}


def regressor(**options):
    options = {"hidden_layer_sizes": (6, 5), "max_iter": 4, "random_state": 0} | options
    return MLPRegressor(**options)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_train_alike(name):
    one = regressor(activation=ACTIVATIONS[name]).fit(X, Y)
    other = regressor(activation=GRAPH).fit(X, Y)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)
    one.partial_fit(X, Y)
    other.partial_fit(X, Y)
    np.testing.assert_allclose(one.coefs_[0], other.coefs_[0], rtol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_train_as_the_built_in(name):
    for solver in ("adam", "lbfgs"):
        one = regressor(loss=LOSSES[name], solver=solver).fit(X, Y)
        other = regressor(solver=solver).fit(X, Y)
        np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-6)


def test_classifiers_early_stopping_and_transform():
    options = {"hidden_layer_sizes": (6,), "max_iter": 5, "random_state": 0}
    options |= {"early_stopping": True, "as_transformer": True}
    labels = (Y > 0).astype(int)
    own = MLPClassifier(activation=GRAPH, **options).fit(X, labels)
    other = MLPClassifier(activation=softsign_of_arrays, **options).fit(X, labels)
    np.testing.assert_allclose(own.predict_proba(X), other.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(own.transform(X), other.transform(X), rtol=1e-9)
    assert own.validation_scores_ == other.validation_scores_


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_clone_pickle_and_repr(name):
    net = regressor(activation=ACTIVATIONS[name]).fit(X, Y)
    assert np.array_equal(clone(net).fit(X, Y).predict(X), net.predict(X))
    twin = pickle.loads(pickle.dumps(net))
    assert np.array_equal(twin.predict(X), net.predict(X))
    assert np.array_equal(twin.partial_fit(X, Y).coefs_[0], net.partial_fit(X, Y).coefs_[0])
    assert net.get_params()["activation"] is ACTIVATIONS[name]


def test_what_is_shown():
    assert "activation=z / (1 + abs(z))" in repr(regressor(activation=GRAPH))
    assert "activation=ElementwiseActivation(softsign)" in repr(regressor(activation=ELEMENTWISE))
    assert "loss=0.5 * (y_pred - y)**2" in repr(regressor(loss=LOSSES["graph"]))


def test_a_grid_of_them():
    grid = {"activation": ["relu", GRAPH, ELEMENTWISE], "loss": list(LOSSES.values())}
    found = GridSearchCV(regressor(hidden_layer_sizes=(6,)), grid, cv=2).fit(X, Y)
    scores = found.cv_results_["mean_test_score"]
    assert scores[2] == pytest.approx(scores[5], rel=1e-6)  # graph and function
    assert scores[0] != pytest.approx(scores[2], rel=1e-3)


def test_files(tmp_path, capsys):
    pytest.importorskip("safetensors", reason="estimators are saved by it")
    path = tmp_path / "net.safetensors"
    net = regressor(activation=GRAPH, loss=LOSSES["graph"]).fit(X, Y)
    net.save(path)
    loaded = fastbp.sklearn.load(path)
    assert isinstance(loaded.activation, graph.Expression)
    assert repr(loaded) == repr(net)
    assert np.array_equal(loaded.partial_fit(X, Y).predict(X), net.partial_fit(X, Y).predict(X))
    net = regressor(activation=["tanh", ELEMENTWISE], loss=LOSSES["elementwise"]).fit(X, Y)
    net.save(path)
    with pytest.raises(ValueError, match=r"its activation is code in Python, 'softsign'.*Pass it"):
        fastbp.sklearn.load(path, loss=LOSSES["elementwise"])
    own = {"activation": ["tanh", ELEMENTWISE], "loss": LOSSES["elementwise"]}
    with pytest.raises(ValueError, match=r"its loss is code in Python, 'half_square'"):
        fastbp.sklearn.load(path, activation=own["activation"])
    assert main(["show", str(path)]) == 0
    assert "softsign" in capsys.readouterr().out
    loaded = fastbp.sklearn.load(path, **own)
    assert np.array_equal(loaded.partial_fit(X, Y).predict(X), net.partial_fit(X, Y).predict(X))


@pytest.mark.parametrize(
    "given, told",
    [
        (dict, "one of your own: an ElementwiseActivation, an expression of fastbp.graph or a fun"),
        (["relu", 3], "one of your own.*got 3"),
        (3, "an array-like, a callable or an expression of fastbp.graph. Got 3"),
        ([GRAPH], "one for each of the 2 hidden layers, got 1"),
        (z * y, "must have one variable, the net input; got 'z', 'y'"),
        (np.tanh, "an activation must return .outputs, derivatives."),
    ],
)
def test_what_is_no_activation_is_refused(given, told):
    with pytest.raises((ValueError, TypeError), match=told):
        regressor(activation=given).fit(X, Y)


def test_what_is_no_loss_is_refused():
    with pytest.raises(ValueError, match="y_pred is a vector of 2; the last of layer_sizes is 1"):
        regressor(loss=graph.vector("y_pred", 2)[0] ** 2).fit(X, Y)
    with pytest.raises(ValueError, match="a callable or an expression of fastbp.graph. Got 3"):
        regressor(loss=3).fit(X, Y)


def test_errors_of_graphs_leave_the_updates_before_them():
    net = regressor(activation=graph.log(z + 4), hidden_layer_sizes=(6,)).fit(X / 10, Y)
    before = net.coefs_[0].copy()
    with pytest.raises(graph.GraphError, match="log of a negative number"):
        net.partial_fit(X * 1e3, Y)
    with pytest.raises(graph.GraphError, match="log of a negative number"):
        net.predict(X * 1e3)
    assert np.array_equal(net.coefs_[0], before)


def test_orders_of_rows_are_those_of_numpy_after_an_error():
    """What compiled code has drawn is put back before a batch is done once more."""
    streams = np.random.RandomState(5), np.random.RandomState(5)
    of_one = graph.sqrt(y_pred - y + 3.0)
    of_row = graph.sqrt(graph.vector("y_pred", 1)[0] - graph.vector("y", 1)[0] + 3.0)  # in Python
    odd = np.where(np.arange(60) == 41, 50.0, Y)
    for stream, loss in zip(streams, (of_one, of_row), strict=True):
        with pytest.raises(graph.GraphError, match="sqrt of a negative"):
            regressor(loss=loss, random_state=stream, batch_size=7).fit(X, odd)
    assert streams[0].randint(2**31) == streams[1].randint(2**31)


def test_no_hidden_layers():
    for given in ("relu", [], GRAPH):
        net = regressor(hidden_layer_sizes=(), activation=given).fit(X, Y)
        assert net.coefs_[0].shape == (4, 1)
    with pytest.raises(ValueError, match="one for each of the 0 hidden layers, got 1"):
        regressor(hidden_layer_sizes=(), activation=["relu"]).fit(X, Y)


def test_scikit_learn_has_no_activations_of_ones_own():
    net = regressor(activation=GRAPH).fit(X, Y)
    told = re.escape("got activation=z / (1 + abs(z))")
    with pytest.raises(ValueError, match=told):
        net.to_sklearn()
