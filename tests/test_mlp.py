"""`MLP` through its public methods: trajectories, views, copies, input kinds, memory, threads."""

from __future__ import annotations

import contextlib
import copy
import pickle
import re
import time
import tracemalloc
from functools import partial
from types import SimpleNamespace

import helpers
import limited
import numpy as np
import oracle
import pytest
import scipy.sparse
from formulas import Formula
from helpers import COMPILED, DTYPES, SHIPPED, counts, needs_compiler, state
from numba.core.runtime import _nrt_python, rtsys
from recipes import in_threads

from fastbp import MLP, SGD, Adam, DivergenceWarning, History, Huber
from fastbp.fit import calls as fit_calls
from fastbp.fit.limits import Limits
from fastbp.kernels import entry, training
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.machine import jit
from fastbp.methods import full_batch

OPTIMIZERS = [
    SGD(learning_rate=0.1),
    SGD(learning_rate=0.05, momentum=0.9),
    SGD(learning_rate=0.05, momentum=0.9, nesterov=True),
    Adam(learning_rate=0.01),
    Adam(learning_rate=0.02, beta_1=0.8, beta_2=0.9, epsilon=1e-4),
]
IDS = ["sgd", "momentum", "nesterov", "adam", "adam-2"]


make = partial(helpers.make, (5, 7, 6, 3), loss="cross_entropy")


def data(rows, dtype="float64", seed=0):
    """Inputs, labels, and the labels as probabilities."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=rows)
    return rng.normal(size=(rows, 5)).astype(dtype), labels, oracle.one_hot(labels, 3)


def close(net, expected):
    rtol, atol = (1e-9, 1e-12) if net.dtype == np.float64 else (2e-4, 2e-5)
    np.testing.assert_allclose(net.params, expected, rtol=rtol, atol=atol)


# ---- what it computes -------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=IDS)
def test_fit_follows_the_oracle(optimizer, dtype):
    net, (X, labels, T) = make(optimizer=optimizer, dtype=dtype), data(37, dtype)
    expected, losses, _ = oracle.fit(net, X, T, epochs=4, batch_size=8)  # 8 8 8 8 5
    before = net.params.copy()
    history = net.fit(X, labels, epochs=4, batch_size=8, shuffle=False)
    close(net, expected)
    assert np.abs(expected - before).max() > 0.03
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("batch_size", [1, 8, 37, 1000])
def test_fit_shuffled_follows_the_oracle(batch_size):
    net, (X, labels, T) = make(), data(37)
    stream = oracle.RandomStream(net.state.random[0])
    orders = [stream.permutation(37) if batch_size < 37 else np.arange(37) for _ in range(3)]
    expected, losses, _ = oracle.fit(net, X, T, epochs=3, batch_size=batch_size, orders=orders)
    history = net.fit(X, labels, epochs=3, batch_size=batch_size)
    close(net, expected)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 2, 16, 33, 600])
@pytest.mark.parametrize(
    "sizes",
    [(1, 1), (10, 32, 1), (4, 40, 3), (3, 9, 8, 9), (200, 30, 17), (16, 5, 33)],
    ids=str,
)
def test_every_shape_of_layer_follows_the_oracle(sizes, batch_size):
    """Few inputs, few outputs, tiles; a single sample, also in blocks; narrow and ragged."""
    rng = np.random.default_rng(len(sizes) + batch_size)
    rows = 601 if batch_size == 600 else 40
    X, y = rng.normal(size=(rows, sizes[0])), rng.normal(size=(rows, sizes[-1]))
    for activation, bias in (("relu", True), ("tanh", False)):
        net = MLP(sizes, activation=activation, bias=bias, dtype="float64", seed=1)
        for biases in net.biases:
            biases[...] = rng.normal(size=biases.shape)
        expected, losses, _ = oracle.fit(net, X, y, epochs=2, batch_size=batch_size)
        history = net.fit(X, y, epochs=2, batch_size=batch_size, shuffle=False)
        close(net, expected)
        np.testing.assert_allclose(history.loss, losses, rtol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=IDS)
def test_large_batches_take_several_passes(optimizer):
    net, (X, labels, T) = make(optimizer=optimizer), data(1300)
    net.freeze(weights=False, layers=[0])
    expected, losses, _ = oracle.fit(net, X, T, epochs=3, batch_size=600)  # 600 600 100
    history = net.fit(X, labels, epochs=3, batch_size=600, shuffle=False)
    close(net, expected)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-9)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=IDS)
def test_step_follows_the_oracle(optimizer):
    net, (X, labels, T) = make(optimizer=optimizer), data(11)
    expected, losses, _ = oracle.fit(net, X, T, epochs=5, batch_size=11)
    np.testing.assert_allclose([net.step(X, labels) for _ in range(5)], losses, rtol=1e-9)
    close(net, expected)


@pytest.mark.parametrize("rows", [1, 3, 16, 512, 513, 700])
def test_predict_loss_and_gradient_follow_the_oracle(rows):
    net, (X, labels, T) = make(), data(rows)
    kept = state(net)
    description = oracle.net_of(net)
    outputs = oracle.forward(description, net.params, X)[1][-1]
    loss, grad = oracle.loss_and_grad(description, net.params, X, T)
    np.testing.assert_allclose(net.predict(X), outputs, rtol=1e-10)
    assert net.loss(X, labels) == pytest.approx(loss, rel=1e-12)
    got_loss, got_grad = net.loss_and_grad(X, labels)
    assert got_loss == net.loss(X, labels)
    np.testing.assert_allclose(got_grad, grad, rtol=1e-8, atol=1e-12)
    assert state(net) == kept


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_of_every_output_activation(activation, dtype):
    net = MLP((5, 3), output_activation=activation, dtype=dtype, seed=1)
    X, _, T = data(20, dtype)
    expected = oracle.loss(oracle.net_of(net), net.params.astype("float64"), X, T)
    assert net.loss(X, T) == pytest.approx(expected, rel=1e-5 if dtype == "float32" else 1e-12)


def bent(z):
    """An activation in Python."""
    return z + np.sin(z), 1 + np.cos(z)


def name(activation) -> str:
    return getattr(activation, "__name__", str(activation))


@pytest.mark.parametrize("rows", [1, 20, 700])
@pytest.mark.parametrize("hidden", ["tanh", bent], ids=["compiled", "in Python"])
@pytest.mark.parametrize("output", [*ACTIVATIONS, bent], ids=name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_logits_are_the_outputs_of_a_net_without_output_activation(output, hidden, dtype, rows):
    net, plain = (
        MLP((5, 4, 3), activation=hidden, output_activation=a, dtype=dtype, seed=1)
        for a in (output, "identity")
    )
    plain.params[:] = net.params
    X = data(rows, dtype)[0]
    outputs = net.predict(X)
    assert np.array_equal(net.predict(X, logits=True), plain.predict(X))
    assert np.array_equal(net.predict(X), outputs)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
def test_logits_keep_what_probabilities_lose(loss):
    net = MLP((2, 2), loss=loss, weight_init=[np.eye(2, dtype="f4")], seed=0)
    z = np.array([[300.0, -300.0]], "float32")
    assert net.predict(z).min() < 1e-37
    assert np.array_equal(net.predict(z, logits=True), z)


def test_logits_are_asked_for_by_true_or_false():
    net = MLP((2, 1), seed=0)
    for given in (1, None, "yes"):
        with pytest.raises(TypeError, match=f"logits must be True or False; got {given!r}"):
            net.predict([[1.0, 2.0]], logits=given)
    with pytest.raises(ValueError, match="X holds nan at row 1, column 0"):
        net.predict([[1.0, 2.0], [np.nan, 0.0]], logits=True)


def test_large_data_has_logits_in_several_calls():
    net = MLP((5, 300, 3), seed=0)
    net.rows_in_a_call = 256
    X = data(1000, "float32")[0]
    parts = [net.predict(X[first : first + 256], logits=True) for first in range(0, 1000, 256)]
    assert np.array_equal(net.predict(X, logits=True), np.concatenate(parts))


def test_labels_equal_their_probabilities():
    X, labels, T = data(20)
    first, second = make(), make()
    assert first.fit(X, labels).loss == second.fit(X, T).loss
    assert state(first) == state(second)


def test_fit_goes_on_where_step_left_off():
    X, labels, _ = data(20)
    stepped, fitted = make(), make()
    for _ in range(6):
        stepped.step(X, labels)
    for epochs in (2, 0, 4):
        fitted.fit(X, labels, epochs=epochs, batch_size=20)
    assert state(stepped) == state(fitted)


# ---- the same bits however it is called ---------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=IDS)
def test_fit_twice_is_fit_once(optimizer, shuffle):
    X, labels, _ = data(37)
    once, twice = make(optimizer=optimizer), make(optimizer=optimizer)
    loss = once.fit(X, labels, epochs=10, batch_size=8, shuffle=shuffle).loss
    first = twice.fit(X, labels, epochs=4, batch_size=8, shuffle=shuffle).loss
    assert first + twice.fit(X, labels, epochs=6, batch_size=8, shuffle=shuffle).loss == loss
    assert state(once) == state(twice)


@pytest.mark.parametrize(("batch_size", "passes"), [(8, 5), (600, 3 + 3 + 1)])
def test_one_compiled_call_is_many(batch_size, passes, monkeypatch):
    X, labels, _ = data(37 if batch_size == 8 else 1300)
    one, many = make(), make()
    first = one.fit(X, labels, epochs=3, batch_size=batch_size)
    calls = spy(monkeypatch)
    second = limited.fit(
        many, X, labels, limits=limited.A_PASS_A_CALL, epochs=3, batch_size=batch_size
    )
    assert len(calls) == 3 * passes
    assert first.loss == second.loss
    assert state(one) == state(many)


def test_large_data_is_evaluated_in_several_calls(monkeypatch):
    X, labels, _ = data(1300)
    net = make()
    outputs, loss, (_, grad) = net.predict(X), net.loss(X, labels), net.loss_and_grad(X, labels)
    net.rows_in_a_call = 512
    predicted, evaluated = spy(monkeypatch, "predict"), spy(monkeypatch, "evaluate")
    np.testing.assert_array_equal(net.predict(X), outputs)
    assert net.loss(X, labels) == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(net.loss_and_grad(X, labels)[1], grad, rtol=1e-12, atol=1e-15)
    assert (len(predicted), len(evaluated)) == (3, 6)
    X[1234, 3] = np.nan
    with pytest.raises(ValueError, match="nan at row 1234, column 3"):
        net.predict(X)


def test_seed_decides_all_randomness():
    X, labels, _ = data(37)
    nets = [make(seed=seed) for seed in (3, 3, 4, None, None)]
    for net in nets:
        net.fit(X, labels, epochs=2, batch_size=8)
    assert state(nets[0]) == state(nets[1])
    assert len({state(net) for net in nets}) == 4
    # The order of the rows too, not the weights alone.
    nets = [make(seed=seed) for seed in (3, 4, 3, None, None)]
    for net in nets:
        net.params[:] = nets[0].params
    losses = [tuple(net.fit(X, labels, epochs=2, batch_size=8).loss) for net in nets]
    assert losses[0] == losses[2]
    assert len(set(losses)) == 4


def test_each_epoch_takes_every_row_once_in_a_new_order():
    # Row i updates weight i alone, so that its trace shows how often it was taken.
    rows = 64
    net = MLP((rows, 1), bias=False, optimizer=SGD(learning_rate=1.0), dtype="float64", seed=0)
    net.params[:] = 0
    X = np.eye(rows)
    history = net.fit(X, np.ones(rows), epochs=1, batch_size=5)
    assert history.loss == [0.5]
    # Of 13 batches the last has 4 rows: its rows move by 1/4, the others by 1/5.
    moved, how_many = np.unique(net.params.round(12), return_counts=True)
    assert moved.tolist() == [0.2, 0.25]
    assert how_many.tolist() == [60, 4]
    short = []
    for _ in range(3):
        net.params[:] = 0
        net.fit(X, np.ones(rows), epochs=1, batch_size=5)
        short.append(tuple(np.flatnonzero(net.params > 0.22)))
    assert len(set(short)) == 3
    assert (60, 61, 62, 63) not in short


# ---- views, freezing, copies --------------------------------------------------------------------


def test_params_are_flat_and_views_are_live():
    net = MLP((2, 3, 1), seed=0)
    assert net.params.shape == (13,)
    assert [w.shape for w in net.weights] == [(2, 3), (3, 1)]
    assert [b.shape for b in net.biases] == [(3,), (1,)]
    net.params[:] = np.arange(13)
    # Unit by unit, then the biases.
    assert net.weights[0].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert net.biases[0].tolist() == [6, 7, 8]
    assert net.weights[1].tolist() == [[9], [10], [11]]
    assert net.biases[1].tolist() == [12]
    net.weights[0][1, 2], net.biases[1][0] = -5, -12
    assert net.params[[5, 12]].tolist() == [-5, -12]
    assert net.predict([[1.0, 0.0]]).tolist() == [[6 * 9 + 9 * 10 + 12 * 11 - 12]]
    params = net.params
    net.fit([[1.0, 2.0]], [3.0], epochs=3)
    assert net.params is params
    assert np.shares_memory(net.weights[0], params)
    with pytest.raises(AttributeError):
        net.params = np.zeros(13)


def test_views_are_not_replaced_by_mistake():
    net = MLP((2, 3, 1), seed=0)
    with pytest.raises(TypeError):
        net.weights[0] = np.zeros((2, 3))
    for name in ("params", "weights", "biases", "frozen"):
        with pytest.raises(AttributeError):
            setattr(net, name, None)


def test_no_biases():
    net = MLP((2, 3, 1), bias=False, seed=0)
    assert net.params.shape == (9,)
    assert len(net.biases) == 0
    assert net.predict([[0.0, 0.0]]).tolist() == [[0.0]]
    net.freeze(weights=False)
    assert not net.frozen.any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=IDS)
@pytest.mark.parametrize("batch_size", [8, 600])
def test_frozen_parameters_keep_their_bits(optimizer, batch_size):
    net, (X, labels, T) = make(optimizer=optimizer), data(37 if batch_size == 8 else 700)
    frozen = np.random.default_rng(5).random(net.params.size) < 0.4
    net.frozen[:] = frozen
    before = net.params.copy()
    expected, _, _ = oracle.fit(net, X, T, epochs=3, batch_size=batch_size)
    net.fit(X, labels, epochs=3, batch_size=batch_size, shuffle=False)
    assert net.params[frozen].tobytes() == before[frozen].tobytes()
    assert (net.params[~frozen] != before[~frozen]).all()
    close(net, expected)


def test_freeze_and_unfreeze():
    net = MLP((2, 3, 1), seed=0)
    kinds = np.array(list("wwwwwwbbbwwwb"))
    net.freeze(weights=False, biases=True)
    assert (net.frozen == (kinds == "b")).all()
    net.freeze(biases=False)
    assert net.frozen.all()
    net.unfreeze(layers=[0])
    assert (net.frozen == (np.arange(13) >= 9)).all()
    net.unfreeze(biases=False)
    assert np.flatnonzero(net.frozen).tolist() == [12]
    net.unfreeze()
    net.freeze(layers=[1, 0], biases=False)
    assert (net.frozen == (kinds == "w")).all()
    net.frozen[:] = True
    kept = net.params.copy()
    net.fit([[1.0, 2.0]], [3.0], epochs=3)
    assert net.params.tobytes() == kept.tobytes()


@pytest.mark.parametrize("how", ["pickle", "deepcopy"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_train_on_with_the_same_bits(how, dtype):
    net, (X, labels, _) = make(dtype=dtype), data(37, dtype)
    net.freeze(weights=False, layers=[1])
    net.fit(X, labels, epochs=2, batch_size=8)
    twin = copy.deepcopy(net) if how == "deepcopy" else pickle.loads(pickle.dumps(net))
    kept = state(net)
    assert state(twin) == kept
    assert repr(twin) == repr(net)
    assert twin.history == net.history
    assert np.shares_memory(twin.weights[1], twin.params)
    assert np.shares_memory(twin.biases[1], twin.params)
    for mine, its in ((net.params, twin.params), (net.frozen, twin.frozen)):
        assert not np.shares_memory(mine, its)
    assert twin.predict(X).tobytes() == net.predict(X).tobytes()
    losses = twin.fit(X, labels, epochs=3, batch_size=8).loss
    assert state(net) == kept
    assert state(twin) != kept
    assert net.fit(X, labels, epochs=3, batch_size=8).loss == losses
    assert state(twin) == state(net)
    twin.weights[0][0, 0] += 1
    assert state(twin) != state(net)


def test_optimizer_setter():
    X, labels, T = data(20)
    net = make(optimizer=Adam(learning_rate=0.01))
    params, _, formula = oracle.fit(net, X, T, epochs=3, batch_size=20)
    net.fit(X, labels, epochs=3, batch_size=20)
    close(net, params)
    # Another of the same kind keeps the moments and the count of the updates.
    net.optimizer = Adam(learning_rate=0.05, epsilon=1e-3)
    formula.take(net.optimizer)
    sums = np.concatenate([formula.memory["m"] / (1 - 0.9), formula.memory["v"] / (1 - 0.999)])
    np.testing.assert_allclose(net.state.slots, sums, rtol=1e-8, atol=1e-12)
    expected, _, _ = oracle.fit(net, X, T, epochs=3, batch_size=20, optimizer=formula)
    net.fit(X, labels, epochs=3, batch_size=20)
    close(net, expected)
    # A new kind starts afresh.
    net.optimizer = SGD(learning_rate=0.1, momentum=0.5)
    assert net.optimizer == SGD(learning_rate=0.1, momentum=0.5)
    expected, _, _ = oracle.fit(net, X, T, epochs=3, batch_size=20)
    net.fit(X, labels, epochs=3, batch_size=20)
    close(net, expected)
    net.optimizer = "adam"
    assert net.optimizer == Adam()
    expected, _, _ = oracle.fit(net, X, T, epochs=3, batch_size=20)
    net.fit(X, labels, epochs=3, batch_size=20)
    close(net, expected)


def test_optimizer_setter_changes_the_learning_rate():
    X, labels, T = data(20)
    net = make(optimizer=SGD(learning_rate=0.1, momentum=0.9))
    net.fit(X, labels, epochs=2, batch_size=20)
    net.optimizer = SGD(learning_rate=0.01, momentum=0.9)
    resumed = Formula.of(net.optimizer)
    resumed.memory["u"] = net.state.slots.copy()
    expected, _, _ = oracle.fit(net, X, T, epochs=3, batch_size=20, optimizer=resumed)
    net.fit(X, labels, epochs=3, batch_size=20)
    close(net, expected)


# ---- input kinds and copies ---------------------------------------------------------------------


def misaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    wide = np.zeros((2 * array.shape[0], *(3 * n for n in array.shape[1:])), array.dtype)
    view = wide[tuple(slice(None, None, 2 + (i > 0)) for i in range(array.ndim))]
    view[...] = array
    return view


KINDS = {
    "read-only": read_only,
    "read-only view": lambda a: np.broadcast_to(a, a.shape),
    "Fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "list": lambda a: a.tolist(),
    "tuple of rows": tuple,
    "misaligned": misaligned,
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "other float": lambda a: a.astype("float32" if a.dtype == "float64" else "float64"),
    "float16": lambda a: a.astype("float16"),
    "int8": lambda a: a.astype("int8"),
    "uint64": lambda a: a.astype("uint64"),
    "bool": lambda a: a.astype(bool),
    "memoryview": lambda a: memoryview(np.ascontiguousarray(a)),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_input_kinds_give_the_same_bits(kind, dtype):
    rng = np.random.default_rng(2)
    X, y = (rng.integers(2, size=(30, n)).astype(dtype) for n in (5, 3))
    labels = rng.integers(2, size=30)
    signatures = compiled_signatures() if COMPILED else None
    targets = {"squared_error": y, "binary_cross_entropy": y, "cross_entropy": labels}
    for loss, target in targets.items():
        net, other = make(dtype=dtype, loss=loss), make(dtype=dtype, loss=loss)
        given_X, given_y = KINDS[kind](X), target
        if target.ndim == 2 or kind not in ("other float", "float16"):
            given_y = KINDS[kind](target)
        expected = net.fit(X, target, epochs=2, batch_size=8).loss
        assert other.fit(given_X, given_y, epochs=2, batch_size=8).loss == expected
        assert state(net) == state(other)
        assert other.predict(given_X).tobytes() == net.predict(X).tobytes()
        assert other.loss(given_X, given_y) == net.loss(X, target)
        assert other.step(given_X, given_y) == net.step(X, target)
    if COMPILED and signatures[0]:
        assert compiled_signatures() == signatures


def test_one_output_takes_flat_targets_and_one_column_labels():
    X = np.random.default_rng(0).normal(size=(6, 2))
    net = MLP((2, 1), dtype="float64", seed=0)
    assert net.loss(X, X[:, 0]) == net.loss(X, X[:, :1])
    assert net.loss(X, X[:, 0]) == pytest.approx(
        0.5 * np.mean((net.predict(X)[:, 0] - X[:, 0]) ** 2), rel=1e-12
    )
    classes = MLP((2, 2), loss="cross_entropy", dtype="float64", seed=0)
    labels = np.array([0, 1, 1, 0, 1, 0])
    assert classes.loss(X, labels) == classes.loss(X, labels.reshape(-1, 1))


def spy(monkeypatch, name="train"):
    """Record the arguments of the compiled calls."""
    calls, real = [], getattr(fit_calls, name)

    def recorded(*arguments):
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(fit_calls, name, recorded)
    return calls


@pytest.mark.parametrize("read_only_too", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_contiguous_data_is_not_copied(dtype, read_only_too, monkeypatch):
    X, _, T = data(600, dtype)  # more than `one_step` takes
    T = np.ascontiguousarray(T, dtype)
    if read_only_too:
        X, T = read_only(X), read_only(T)
    net = make(dtype=dtype)
    for name in ("train", "evaluate"):
        calls = spy(monkeypatch, name)
        (net.fit if name == "train" else net.loss)(X, T)
        assert np.shares_memory(calls[0][1].inputs, X)
        assert np.shares_memory(calls[0][1].targets, T)
    net.predict(X)
    calls = []
    real = entry.train_and_predict
    monkeypatch.setattr(entry, "train_and_predict", lambda *a: (calls.append(a), real(*a))[1])
    net.predict(X)
    assert np.shares_memory(calls[0][2], X)
    assert X.flags.writeable is not read_only_too
    net.predict(np.asfortranarray(X))
    assert not np.shares_memory(calls[1][2], X)


def test_input_is_never_written():
    X, labels, T = data(40)
    X, labels, T = read_only(X), read_only(labels), read_only(T)
    kept = X.tobytes(), labels.tobytes(), T.tobytes()
    net = make()
    for y in (labels, T):
        net.fit(X, y, epochs=2, batch_size=8)
        net.step(X, y)
        net.loss_and_grad(X, y)
    net.predict(X)
    assert (X.tobytes(), labels.tobytes(), T.tobytes()) == kept


# ---- memory and compilation ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "slots"), [(SGD(learning_rate=0.01, momentum=0.9), 1), (Adam(), 2)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_of_a_fit(dtype, optimizer, slots):
    rows, batch, sizes = counts(20_000, 20_000, 32), 32, (100, 300, 200, 10)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, sizes[0])).astype(dtype)
    y = rng.integers(sizes[-1], size=rows)
    MLP((2, 2), loss="cross_entropy", dtype=dtype).fit(np.zeros((40_000, 2)), [0, 1] * 20_000)
    tracemalloc.start()
    try:
        net = MLP(sizes, loss="cross_entropy", optimizer=optimizer, dtype=dtype, seed=0)
        net.fit(X, y, epochs=1, batch_size=batch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    itemsize = np.dtype(dtype).itemsize
    masks = net.params.size  # one byte a parameter says whether it is frozen
    parameters = net.params.nbytes * (2 + slots) + masks
    activations = 2 * (batch + 16) * sum(sizes) * itemsize  # outputs and deltas
    small = (
        (100_000 if COMPILED else 150_000) + 16 * rows + 8 * rows // 8
    )  # the order of the rows, the copy of the labels, and their check
    assert peak >= net.params.nbytes * (2 + slots)
    assert peak <= parameters + activations + small


def compiled_signatures():
    functions = entry.train_and_predict, entry.train_and_predict_sparse
    return [len(getattr(function, "signatures", ())) for function in functions]


@needs_compiler
def test_nothing_is_compiled_again():
    def use(dtype, loss, rows, sizes, **options):
        for form in (np.asarray, scipy.sparse.csr_array):
            use_rows(form, dtype, loss, rows, sizes, **options)

    def use_rows(form, dtype, loss, rows, sizes, **options):
        rng = np.random.default_rng(0)
        net = MLP(sizes, loss=loss, dtype=dtype, seed=0, **options)
        X = form(rng.normal(size=(rows, sizes[0])))
        y = rng.integers(2, size=(rows, sizes[-1])).astype(float)
        if loss == "cross_entropy":
            y = rng.integers(sizes[-1], size=rows)
        net.fit(X, y, epochs=1, batch_size=4)
        net.freeze(weights=False)
        net.fit(X.astype(dtype), y, epochs=2, batch_size=7)
        net.step(X, y)
        net.loss_and_grad(X, y)
        net.loss(X, y)
        net.predict(X)

    for dtype in DTYPES:
        use(dtype, "squared_error", 10, (3, 2))
    before = compiled_signatures()
    assert all(n <= 2 for n in before), "more than one signature a dtype"
    for dtype in DTYPES:
        use(dtype, "cross_entropy", 33, (3, 4, 5, 2), activation="sigmoid", optimizer="sgd")
        use(dtype, "binary_cross_entropy", 600, (1, 1, 1), bias=False)
        use(dtype, "squared_error", 513, (17, 40), output_activation="tanh")
    assert compiled_signatures() == before


@needs_compiler
@pytest.mark.parametrize("batch_size", [8, 600])
def test_nothing_is_allocated_inside_an_epoch(batch_size, monkeypatch):
    # Numba wraps each array that enters a call; what an epoch allocates would come on top.
    rows = 37 if batch_size == 8 else 1300
    X, labels, _ = data(rows, "float32")
    net = make(dtype="float32", optimizer=SGD(learning_rate=1e-3, momentum=0.9))
    net.fit(X, labels, epochs=1, batch_size=batch_size)
    allocated, real = [], fit_calls.train

    def counted(*arguments):
        before = rtsys.get_allocation_stats()
        result = real(*arguments)
        after = rtsys.get_allocation_stats()
        assert result == training.FINISHED  # in one call
        allocated.append(after.alloc - before.alloc)
        assert after.free - before.free == allocated[-1]
        return result

    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        monkeypatch.setattr(fit_calls, "train", counted)
        for epochs in (1, 2, 40):
            net.fit(X, labels, epochs=epochs, batch_size=batch_size)
    finally:
        if not enabled:
            _nrt_python.memsys_disable_stats()
    assert allocated[0] == allocated[1] == allocated[2]
    assert allocated[0] < 30


@needs_compiler
def test_many_small_epochs_run_in_one_compiled_call(monkeypatch):
    X, labels, _ = data(16, "float32")
    net = make(dtype="float32")
    net.fit(X, labels)
    calls = spy(monkeypatch)
    history = net.fit(X, labels, epochs=100, batch_size=16)
    assert len(history) == 100
    assert len(calls) == 1


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    ("sizes", "rows", "batch_size"),
    [((1, 1), 1000, 1), ((2, 2, 1), 5, 5), ((300, 500, 300), 20_000, 64)],
    ids=["tiny", "small", "wide"],
)
def test_control_returns_often(sizes, rows, batch_size, monkeypatch):
    """No compiled call lasts long, the first included."""
    rng = np.random.default_rng(0)
    X, y = (rng.normal(size=(rows, n)).astype("float32") for n in (sizes[0], sizes[-1]))
    net = MLP(sizes, optimizer=SGD(learning_rate=1e-4), activation="tanh", seed=0)
    net.fit(X[:2], y[:2], epochs=1)
    lasted, real, start = [], fit_calls.train, time.monotonic()

    def timed(*arguments):
        before = time.thread_time()
        result = real(*arguments)
        lasted.append(time.thread_time() - before)
        if time.monotonic() - start > 0.7:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(fit_calls, "train", timed)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10_000_000, batch_size=batch_size)
    assert max(lasted) < 0.5
    assert np.isfinite(net.params).all()


# ---- history, output, threads -------------------------------------------------------------------


def test_history_of_a_fit():
    X, labels, _ = data(37)
    net = make()
    assert len(net.history) == 0
    start = time.perf_counter()
    history = net.fit(X, labels, epochs=5, batch_size=8)
    wall = time.perf_counter() - start
    assert history is net.history
    assert isinstance(history, History)
    assert len(history) == len(history.loss) == len(history.seconds) == 5
    assert all(type(number) is float for number in history.loss + history.seconds)
    assert all(seconds > 0 for seconds in history.seconds)
    assert sum(history.seconds) <= wall
    assert history.loss[0] > history.loss[-1]
    assert len(net.fit(X, labels, epochs=2)) == 2  # of the last fit alone
    assert len(history) == 5
    assert len(net.fit(X, labels, epochs=0)) == 0
    assert len(net.history) == 0


@needs_compiler
def test_seconds_of_epochs_over_several_calls(monkeypatch):
    limits = Limits(seconds_a_call=1e-4, first_passes=10)
    X, labels, _ = data(500, "float32")
    net = make(dtype="float32")
    net.fit(X, labels, epochs=1)
    calls = spy(monkeypatch)
    start = time.perf_counter()
    history = limited.fit(net, X, labels, limits=limits, epochs=40, batch_size=3)
    wall = time.perf_counter() - start
    assert len(calls) > 40
    assert len(history.seconds) == 40
    assert all(seconds > 0 for seconds in history.seconds)
    assert sum(history.seconds) <= wall


@needs_compiler
@pytest.mark.parametrize("kind", ["memory", "batches", "in Python", "method"])
def test_seconds_leave_out_compiling(kind, monkeypatch):
    clock, compiled = limited.Clock(), []

    def compile_slowly(function, types, notice):
        compiled.append(function)
        clock.now += 1000.0

    monkeypatch.setattr(jit, "_READY", set())
    monkeypatch.setattr(jit, "_compile_in_thread", compile_slowly)
    for module in (jit, full_batch):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=clock))
    X, labels, T = data(40)
    given = ([(X, T)] * 2,) if kind == "batches" else (X, T)
    loss = mean_of_squares if kind == "in Python" else "squared_error"
    net = MLP((5, 4, 3), loss=loss, dtype="float64", seed=0)
    options = {"method": "rprop"} if kind == "method" else {"validation_data": (X, T)}
    history = limited.fit(net, *given, clock=clock, epochs=3, **options)
    assert compiled or (SHIPPED and kind != "method")
    assert len(history) == 3
    assert all(0 < seconds < 1 for seconds in history.seconds)


def mean_of_squares(y_pred, y):
    """A loss in Python that returns a number of NumPy's."""
    error = y_pred - y
    return np.square(error).mean(), 2 * error / error.size


@pytest.mark.parametrize("loss", ["squared_error", mean_of_squares], ids=["compiled", "in Python"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_and_histories_are_floats(dtype, loss):
    X, labels, T = data(20, dtype)
    net = MLP((5, 4, 3), loss=loss, dtype=dtype, l2=0.1, seed=0)
    found = {type(x) for x in (net.loss(X, T), net.loss_and_grad(X, T)[0], net.step(X, T))}
    metrics = ["r2", "mean_absolute_error", lambda y, y_pred: np.square(y - y_pred).mean()]
    histories = [
        net.fit(X, T, epochs=2),
        net.fit(X, T, epochs=2, validation_fraction=0.2, metrics=metrics[:2]),
        net.fit([(X, T), (X, T)], epochs=2, validation_data=(X, T), metrics=metrics[1]),
        net.fit(X, T, epochs=2, augment=lambda X, rng: X),
        *(net.fit(X, T, epochs=2, method=name) for name in ("rprop", "conjugate_gradient")),
    ]
    net.optimizer = SGD(lambda update: np.float32(0.01))
    histories.append(net.fit(X, T, epochs=2, max_seconds=60))
    found |= {type(x) for h in histories for name in h.names for x in h[name]}
    assert found == {float}


def test_verbose_prints_a_line_an_epoch(capsys):
    X, labels, _ = data(37)
    net = make()
    history = net.fit(X, labels, epochs=12, batch_size=8, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    for number, (line, loss) in enumerate(zip(lines, history.loss, strict=True), 1):
        match = re.fullmatch(r"epoch ( ?\d+)/12  loss (\d+\.\d{6})  (\d+\.\d\d) ms", line)
        assert match, line
        assert int(match[1]) == number
        assert match[2] == f"{loss:.6f}"
    net.fit(X, labels, epochs=3)
    assert capsys.readouterr() == ("", "")


def test_four_nets_train_side_by_side():
    X, labels, _ = data(300, "float32")
    epochs = counts(200, 2000, 1)

    def nets():
        options = [("relu", "adam"), ("tanh", "sgd"), ("sigmoid", "adam"), ("relu", "sgd")]
        return [
            make(dtype="float32", activation=a, optimizer=o, seed=i)
            for i, (a, o) in enumerate(options)
        ]

    alone, together = nets(), nets()
    for net in alone:
        net.fit(X, labels, epochs=epochs, batch_size=8)
    in_threads(
        [lambda net=net: net.fit(X, labels, epochs=epochs, batch_size=8) for net in together]
    )
    assert [state(net) for net in together] == [state(net) for net in alone]
    assert [net.history.loss for net in together] == [net.history.loss for net in alone]


@needs_compiler
def test_one_net_predicts_in_several_threads():
    net = MLP((64, 256, 256, 4), seed=0)
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=(500, 64)).astype("float32") for _ in range(4)]
    labels = rng.normal(size=(500, 4)).astype("float32")
    expected = [(net.predict(X).tobytes(), net.loss_and_grad(X, labels)[0]) for X in inputs]
    wrong = []

    def predict(i):
        for _ in range(60):
            got = net.predict(inputs[i]).tobytes(), net.loss_and_grad(inputs[i], labels)[0]
            wrong.extend(a != b for a, b in zip(got, expected[i], strict=True))

    in_threads([lambda i=i: predict(i) for i in range(4)])
    assert len(wrong) == 480
    assert not any(wrong)


def test_arithmetic_of_the_thread_is_as_before():
    """Kernels may flush denormal numbers to zero; whoever called them must not see it."""
    tiny = np.array([1e-320])

    def denormals_work():
        return (tiny * 0.5).item() > 0 and (tiny + 0.0).item() > 0

    X, labels, T = data(20)
    net = make()
    stepped = MLP((5, 3), output_activation="step", seed=0)
    calls = [
        lambda: net.fit(X, labels, epochs=2),
        lambda: net.step(X, labels),
        lambda: net.predict(X),
        lambda: net.loss(X, labels),
        lambda: net.loss_and_grad(X, labels),
        lambda: stepped.predict(X),
        lambda: stepped.loss(X, T),
        lambda: net.predict(np.full((4, 5), np.nan)),
        lambda: net.fit(X, labels + 7),
        lambda: stepped.fit(X, T),
    ]
    assert denormals_work()
    for number, call in enumerate(calls):
        with contextlib.suppress(ValueError):
            call()
        assert denormals_work(), number
    net = MLP((5, 3), optimizer=SGD(1e300), dtype="float64", seed=0)
    with pytest.warns(DivergenceWarning):
        net.fit(X * 1e100, T)
    assert denormals_work()


def test_repr():
    assert repr(MLP((5, 7, 3), loss="cross_entropy", seed=0)) == (
        "MLP((5, 7, 3), activation='relu', output_activation='softmax', loss='cross_entropy', "
        "optimizer=Adam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08), "
        "dtype='float32')"
    )
    assert repr(MLP((5, 1), optimizer="sgd", dtype="float64")) == (
        "MLP((5, 1), output_activation='identity', loss='squared_error', "
        "optimizer=SGD(learning_rate=0.01, momentum=0.0, nesterov=False), dtype='float64')"
    )


def test_repr_says_what_is_not_as_usual():
    net = MLP((2, 1), loss=Huber(0.5), optimizer=SGD(0.1), l2=0.1, clip_norm=1.0, seed=0)
    assert repr(net) == (
        "MLP((2, 1), output_activation='identity', loss=Huber(delta=0.5), optimizer=SGD("
        "learning_rate=0.1, momentum=0.0, nesterov=False), dtype='float32', l2=0.1, clip_norm=1.0)"
    )
