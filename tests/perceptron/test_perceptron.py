"""Threshold units, set by hand and trained."""

from __future__ import annotations

import copy
import pickle
import signal
import threading

import numpy as np
import pytest
from helpers import COMPILED

from fastbp import DivergenceWarning, Perceptron

POINTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def separable(seed, rows=60, n_in=5, n_out=1):
    """Rows that planes separate, with a margin."""
    rng = np.random.default_rng(seed)
    w, X = rng.normal(size=(n_in, n_out)), rng.normal(size=(20 * rows, n_in))
    X = X[np.abs(X @ w + 0.3).min(axis=1) > 0.2][:rows]
    return X, (X @ w + 0.3 > 0).astype(int)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("shuffle", [False, True])
def test_separable_rows_are_learned(dtype, n_out, shuffle) -> None:
    for seed in range(10):
        X, y = separable(seed, n_out=n_out)
        units = Perceptron(5, n_out, dtype=dtype, seed=seed)
        history = units.fit(X, y, epochs=10_000, shuffle=shuffle)
        assert history.stop_reason == f"no mistake in epoch {len(history)}"
        assert history["mistakes"][-1] == 0
        assert min(history["mistakes"][:-1]) > 0
        assert np.array_equal(units.predict(X), y)
        assert units.predict(X).dtype == dtype


def test_a_step_by_hand() -> None:
    """w <- w - rate (y_hat - y) x, row by row."""
    unit = Perceptron.from_weights([1.0, -1.0], 0.5, dtype="float64")
    unit.learning_rate = 0.25
    # z = 2.5: on, and should be off. Then z = -1.25: off, and should be on.
    history = unit.fit([[3.0, 1.0], [-1.0, 0.25]], [0, 1], epochs=1, shuffle=False)
    assert unit.weights[0].ravel().tolist() == [1 - 0.75 - 0.25, -1 - 0.25 + 0.0625]
    assert unit.biases[0].tolist() == [0.5 - 0.25 + 0.25]
    assert history["mistakes"] == [2]
    assert history.loss == [0.5]
    assert history["learning_rate"] == [0.25]
    assert history.stop_reason == ""


def test_zero_is_off() -> None:
    unit = Perceptron(2)
    assert unit.net_inputs([[1, 2]]).tolist() == [[0]]
    assert unit.predict([[1, 2]]).tolist() == [[0]]


def test_units_learn_side_by_side() -> None:
    X, y = separable(3, n_out=2)
    both = Perceptron(5, 2)
    both.fit(X, y, epochs=4, shuffle=False)
    for unit in range(2):
        alone = Perceptron(5)
        alone.fit(X, y[:, unit], epochs=4, shuffle=False)
        assert np.array_equal(both.weights[0][:, unit], alone.weights[0].ravel())


def test_labels_stand_for_columns() -> None:
    rng = np.random.default_rng(0)
    X, labels = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    by_labels, by_columns = Perceptron(3, 4, seed=1), Perceptron(3, 4, seed=1)
    by_labels.fit(X, labels, epochs=5)
    by_columns.fit(X, np.eye(4)[labels], epochs=5)
    assert np.array_equal(by_labels.params, by_columns.params)
    assert by_labels.params.any()


def test_no_bias() -> None:
    X, y = separable(1)
    unit = Perceptron(5, bias=False)
    unit.fit(X, y, epochs=3)
    assert unit.biases == ()
    assert unit.params.size == 5
    assert unit.net_inputs(np.zeros((1, 5))).tolist() == [[0]]


def test_seed_and_going_on() -> None:
    X, y = separable(2, rows=200)
    y = y ^ (np.random.default_rng(0).random(y.shape) < 0.1)
    first, second, pieces = (Perceptron(5, seed=4) for _ in range(3))
    first.fit(X, y, epochs=6)
    second.fit(X, y, epochs=6)
    for _ in range(3):
        pieces.fit(X, y, epochs=2)
    assert np.array_equal(first.params, second.params)
    assert np.array_equal(first.params, pieces.params)
    other = Perceptron(5, seed=5)
    other.fit(X, y, epochs=6)
    assert not np.array_equal(first.params, other.params)


def test_xor_defeats_it() -> None:
    unit = Perceptron(2, seed=0)
    history = unit.fit(POINTS, [0, 1, 1, 0], epochs=500)
    assert len(history) == 500
    assert min(history["mistakes"]) > 0
    assert history.stop_reason == ""


def test_by_hand() -> None:
    unit = Perceptron.from_weights([1, 1], -1.5)
    assert unit.predict(POINTS).ravel().tolist() == [0, 0, 0, 1]
    units = Perceptron.from_weights([[1, 1, -1], [1, 1, 0]], [-1.5, -0.5, 0.5], dtype="float64")
    assert units.layer_sizes == (2, 3)
    assert units.predict(POINTS).tolist() == [[0, 0, 1], [0, 1, 1], [0, 1, 0], [1, 1, 0]]
    plain = Perceptron.from_weights([1, -1])
    assert plain.biases == ()
    assert plain.predict([[2, 1], [1, 2]]).ravel().tolist() == [1, 0]
    assert Perceptron.from_weights([[1, 2]], 1).biases[0].tolist() == [1, 1]


def test_repr_copies_and_pickles() -> None:
    X, y = separable(0)
    unit = Perceptron(5, learning_rate=0.5, bias=False, seed=0)
    assert repr(unit) == "Perceptron(5, 1, learning_rate=0.5, bias=False, dtype='float32')"
    unit.fit(X, y, epochs=2)
    kept, outputs = unit.params.copy(), unit.predict(X)
    twins = copy.deepcopy(unit), pickle.loads(pickle.dumps(unit))
    unit.fit(X, 1 - y, epochs=1)
    assert not np.array_equal(unit.params, kept)
    for twin in twins:
        assert np.array_equal(twin.params, kept)
        assert np.array_equal(twin.predict(X), outputs)
        twin.fit(X, 1 - y, epochs=1)  # the same stream of random numbers
        assert np.array_equal(twin.params, unit.params)
        assert np.array_equal(twin.weights[0].ravel(), twin.params)


def test_divergence() -> None:
    unit = Perceptron(1, learning_rate=1e10)
    with pytest.warns(DivergenceWarning, match="diverged in epoch 1"):
        history = unit.fit([[3e38], [3e38]], [1, 0])
    assert unit.params.tolist() == [0, 0]
    assert history.stop_reason == "diverged in epoch 1"


@pytest.mark.skipif(not COMPILED, reason="an uncompiled call is not bounded in time")
def test_ctrl_c_is_heard(request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(5000, 20)), rng.integers(0, 2, 5000)
    unit = Perceptron(20, dtype="float64", seed=0)
    unit.fit(X, y, epochs=1)
    timer = threading.Timer(0.4, signal.raise_signal, [signal.SIGINT])
    timer.start()
    epochs = 50_000  # half a minute
    with pytest.raises(KeyboardInterrupt):
        unit.fit(X, y, epochs=epochs)
    assert 1 < len(unit.history) < epochs
    assert np.isfinite(unit.params).all()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_in": 0}, ValueError, "n_in must be at least 1; got 0"),
        ({"n_out": 1.5}, TypeError, "n_out must be a whole number"),
        ({"learning_rate": 0}, ValueError, "learning_rate must be a finite number above 0"),
        ({"dtype": "int8"}, ValueError, "dtype must be 'float32' or 'float64'"),
    ],
)
def test_bad_options(options, error, message) -> None:
    with pytest.raises(error, match=message):
        Perceptron(**({"n_in": 2} | options))


@pytest.mark.parametrize(
    ("n_out", "X", "y", "error", "message"),
    [
        (1, [[1, 2, 3]], [0], ValueError, r"X must have shape \(rows, 2\)"),
        (1, [[1, np.inf]], [0], ValueError, "X holds inf at row 0, column 1"),
        (1, [[1, 2]], [2], ValueError, "y must hold 0 and 1, .*; got 2.0 at row 0"),
        (1, [[1, 2]], [-1], ValueError, "y must hold 0 and 1"),
        (1, [[1, 2]], [0, 1], ValueError, "the same number of rows; got 1 and 2"),
        (3, [[1, 2]], [3], ValueError, "label 3 at row 0"),
        (3, [[1, 2]], [0.5], TypeError, "integer labels 0 to 2 for 3 units"),
        (3, [[1, 2]], [[0, 1]], ValueError, r"y must have shape \(1, 3\)"),
    ],
)
def test_bad_rows(n_out, X, y, error, message) -> None:
    units = Perceptron(2, n_out)
    with pytest.raises(error, match=message):
        units.fit(X, y)
    assert not units.params.any()


@pytest.mark.parametrize(
    ("weights", "biases", "error", "message"),
    [
        (1.0, None, ValueError, r"weights must have shape \(n_in,\)"),
        ([[[1]]], None, ValueError, "weights must have shape"),
        ([], None, ValueError, "weights must have shape"),
        ([np.nan], None, ValueError, "weights holds nan"),
        (["a"], None, TypeError, "real numbers"),
        ([1, 2], [1, 2], ValueError, r"biases must have shape \(1,\).*got \(2,\)"),
        ([1, 2], np.inf, ValueError, "biases holds inf"),
    ],
)
def test_bad_units_by_hand(weights, biases, error, message) -> None:
    with pytest.raises(error, match=message):
        Perceptron.from_weights(weights, biases)
