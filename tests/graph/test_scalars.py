"""Graphs as compiled code of their own, beside the tape that is read node by node."""

from __future__ import annotations

import copy
import gc
import weakref
from functools import partial

import numba
import numpy as np
import pytest
from graph import random_graphs
from helpers import COMPILED, DTYPES, make, state

from fastbp import MLP, Adam, DivergenceWarning, ElementwiseActivation, StepDecay
from fastbp.graph import (
    GraphError,
    cos,
    dot,
    exp,
    log,
    relu,
    sigmoid,
    sin,
    sqrt,
    tanh,
    variables,
    walk,
)
from fastbp.graph import max as larger
from fastbp.graph import sum as total
from fastbp.machine.elementwise import LOOPS

RNG = np.random.default_rng(18)
X, Y = RNG.normal(size=(37, 4)), RNG.uniform(0.1, 0.9, size=(37, 3))
z, y_pred, y = variables("z y_pred y")


@numba.njit
def derive(f, x, dy, dx, grad):
    f.vjp(x, dy, dx, grad)


ACTIVATIONS = {
    "elementary": exp(0.3 * z) + log(z * z + 1.5) - tanh(z) / (2.0 + sigmoid(-z)),
    "waves": sin(z) * cos(2 * z) - sqrt(1 + z**2),
    "kinks": abs(z) + relu(z - 0.5) - larger(z, -z, 0.3 * z + 1),
    "ties": larger(z, z * 1, 2 * z),
    "powers": z**3 - z**0 + (z * z + 0.1) ** -2.5 + abs(z + 9) ** 1.5 + abs(z + 9) ** 0.3,
    "exponents": 1.7**z + (abs(z) + 0.1) ** (0.1 * z),
    "many": total(z, z * z, 2.0) + dot([z, 1.5, z], [z, z, 0.5]),
    "shared": (tanh(z) + 1) * (tanh(z) + 1) - -tanh(z),
}


@pytest.fixture
def read_as_tapes(monkeypatch):
    """A function that makes a net whose graphs are all in Python."""

    def made(*arguments, how=make, **options):
        with monkeypatch.context() as patched:
            patched.setattr(walk, "MOST_ARGUMENTS", 0)
            net = how(*arguments, **options)
        assert net.in_python is not None
        return net

    return made


def unit(expression, **options):
    """A net that computes the expression of its input."""
    net = MLP((1, 1), output_activation=expression, weight_init="zeros", seed=0, **options)
    net.weights[0][...] = 1.0
    return net


def check_values(expression, at, dtype, rtol):
    net = unit(expression, dtype=dtype)
    assert net.in_python is None
    at = at.reshape(-1, 1).astype(dtype)
    expected, slope = expression.as_activation()(at, True)
    np.testing.assert_allclose(net.predict(at), expected, rtol=rtol, atol=rtol)
    dX = net.vjp(at, np.ones_like(at))[0]
    np.testing.assert_allclose(dX, slope, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_slopes(name):
    at = np.concatenate([np.linspace(-4.0, 4.0, 81), [0.0, -0.0, 1e-9, -7.25]])
    check_values(ACTIVATIONS[name], at, "float64", 1e-13)


def test_arithmetic_is_in_float64_whatever_the_dtype():
    at = np.array([-30.0, -2.0, 0.5, 300.0])  # in float32 1 + exp(-30) is 1, and exp(300) infinite
    check_values(log(1.0 + exp(z)), at, "float32", 1e-7)
    net = unit(log(1.0 + exp(z)), dtype="float32")
    assert net.predict([[-30.0]])[0, 0] == pytest.approx(np.exp(-30.0), rel=1e-3)


def test_functions_keep_their_digits_far_out():
    far = np.array([-700.0, -40.0, -18.0, -3e-5, 3e-5, 18.0, 40.0, 300.0])
    for expression in (tanh(z), sigmoid(z)):
        net = unit(expression, dtype="float64")
        at = far.reshape(-1, 1)
        expected, slope = expression.as_activation()(at, True)
        np.testing.assert_allclose(net.predict(at), expected, rtol=1e-14)
        np.testing.assert_allclose(net.vjp(at, np.ones_like(at))[0], slope, rtol=1e-13, atol=1e-300)


@pytest.mark.parametrize("seed", range(3))
def test_random_graphs(seed):
    rng = np.random.default_rng(seed)
    program = random_graphs.steps_of(rng, 1, 12)
    made = random_graphs.run(program, [z], random_graphs.OURS)
    at = rng.normal(size=40)
    check_values(made, at, "float64", 1e-9)


# ---- no value ------------------------------------------------------------------------------------

WITHOUT = {
    "log": (log(z), -1.0, "log of a negative number at node v1 = log"),
    "hidden by a quotient": (1.0 / exp(z * z), 30.0, "overflow"),
    "hidden by exp": (exp(log(z * z)), 0.0, "log of 0"),
    "hidden by relu": (relu(-1.0 / z), 0.0, "division by zero"),
    "hidden by max": (larger(1.0, log(z)), -2.0, "log of a negative"),
    "hidden by tanh": (tanh(1.0 / z), 0.0, "division by zero"),
    "hidden by a power": (log(z) ** 0.0, -2.0, "log of a negative"),
    "root": (sqrt(z), -0.1, "sqrt of a negative"),
    "power": (z**0.5, -0.1, "a power that is not whole of a negative number"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_no_value_is_the_error_that_names_the_node(name):
    expression, at, words = WITHOUT[name]
    net = unit(expression, dtype="float64")
    with pytest.raises(GraphError, match=words) as caught:
        net.predict([[0.5], [at]])
    assert "row 1 of the batch, unit 0" in str(caught.value)
    before = net.params.copy()
    if "overflow" in words:
        with pytest.warns(DivergenceWarning):
            net.step([[0.5], [at]], [[0.0], [0.0]])
    else:
        for call in (net.step, net.loss_and_grad, net.input_gradient, net.sample_gradients):
            with pytest.raises(GraphError, match=words):
                call([[0.5], [at]], [[0.0], [0.0]])
        with pytest.raises(GraphError, match=words):
            net.objective([[0.5], [at]], [[0.0], [0.0]])(net.params)
        with pytest.raises(GraphError, match=words):
            net.jacobian([[0.5], [at]])
    assert np.array_equal(net.params, before)


def test_there_is_no_slope_without_a_value(read_as_tapes):
    """Also where nobody asks for the value; in compiled code of others both are NaN."""
    at, targets = [[1.5], [-0.5]], [[0.0], [0.0]]
    for made in (unit, partial(read_as_tapes, how=unit)):
        of_loss = made("identity", loss=log(y_pred))
        of_outputs = made(log(z), dtype="float64")
        for call in (
            lambda net=of_loss: net.input_gradient(at, targets),
            lambda net=of_loss: net.sample_gradients(at, targets),
            lambda net=of_outputs: net.vjp(at, targets),
            lambda net=of_outputs: net.vjp(at, [[1.0], [1.0]]),
        ):
            with pytest.raises(GraphError, match="log of a negative number"):
                call()
        overflows = made("identity", loss=exp(1e4 * y_pred))
        assert np.isnan(overflows.input_gradient([[1.0], [-1.0]], targets)).any()
        assert np.isnan(overflows.loss_and_grad([[1.0], [-1.0]], targets)[1]).any()
    net, dx, grad = unit(log(z), dtype="float64"), np.zeros(1), np.zeros(2)
    if COMPILED:
        derive(net.compiled(), np.array([-0.5]), np.ones(1), dx, grad)
        assert np.isnan(dx).all()
        assert np.isnan(grad).all()


def test_no_slope():
    net = unit(sqrt(z), dtype="float64")
    assert net.predict([[0.0]])[0, 0] == 0.0  # there is a value
    for call in (net.step, net.fit, net.loss_and_grad):
        with pytest.raises(GraphError, match="no finite derivative by z at node"):
            call([[0.25], [0.0]], [[0.0], [0.0]])
    assert unit(sqrt(relu(z)), dtype="float64").predict([[-1.0]])[0, 0] == 0.0


BARRIER = -y_pred - 1e-3 * log(2.0 - y_pred) + 0.0 * y  # large steps jump over it
CASES = {
    "plain": {},
    "dropout": {
        "net": {"dropout": 0.3, "input_dropout": 0.1, "optimizer": {"learning_rate": 0.02}}
    },
    "weights": {"fit": {"sample_weight": RNG.uniform(0.5, 1.5, 37)}},
    "schedule": {"net": {"optimizer": {"learning_rate": StepDecay(0.05, 20)}}},
    "clip": {"net": {"clip_norm": 5.0}},
    "in passes": {"rows": 1500, "batch_size": 700},
    "in passes, clipped": {"rows": 1500, "batch_size": 700, "net": {"clip_norm": 5.0}},
}


@pytest.mark.parametrize("case", CASES if COMPILED else ["dropout", "weights", "clip"])
def test_errors_leave_the_updates_before_them(case, read_as_tapes):
    """The error, the parameters, the optimiser and the random stream are those of Python."""
    options = dict(CASES[case].get("net", {}))
    options["optimizer"] = Adam(**options.get("optimizer", {"learning_rate": 0.05}))
    options |= {"loss": BARRIER, "activation": "tanh", "dtype": "float64", "seed": 3}
    rows = CASES[case].get("rows", 37)
    x, t = np.resize(X, (rows, 4)), np.resize(Y, (rows, 3))
    how = {"epochs": 60, "batch_size": CASES[case].get("batch_size", 8)}
    how |= CASES[case].get("fit", {})
    net, twin = make((4, 6, 3), **options), read_as_tapes((4, 6, 3), **options)
    assert net.explaining is not None
    told = []
    for one in (net, twin):
        with pytest.raises(GraphError, match="log of a negative number") as caught:
            one.fit(x, t, **how)
        told.append(str(caught.value).split("y_pred =")[0])
    assert told[0] == told[1]
    assert len(net.history) == len(twin.history) > 0
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.state.slots, twin.state.slots, rtol=1e-7, atol=1e-10)
    assert np.array_equal(net.state.random, twin.state.random)
    assert net.state.scalars[-1] == twin.state.scalars[-1]


def test_errors_of_steps_and_batches_change_nothing():
    net = make((4, 6, 3), activation=["tanh"], loss=sqrt(y_pred - y + 3.0), dropout=0.2)
    for call in (
        lambda: net.step(X, Y + 9.0),
        lambda: net.fit(iter([(X, Y), (X, Y + 9.0)]), epochs=1),
    ):
        net.step(X, Y)
        before = state(copy.deepcopy(net))
        with pytest.raises(GraphError, match="sqrt of a negative number"):
            call()
    assert net.step(X, Y) == net.step(X, Y) or before


def test_no_number_from_elsewhere_is_divergence(read_as_tapes):
    options = {"activation": z / (1 + z * z), "optimizer": "sgd", "dtype": "float64"}
    for one in (make((4, 6, 3), **options), read_as_tapes((4, 6, 3), **options)):
        before = one.params.copy()
        with pytest.warns(DivergenceWarning, match="diverged in epoch 1"):
            one.fit(X, Y * 1e200, epochs=3, batch_size=8)
        assert np.array_equal(one.params, before)


# ---- beside other parts --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_beside_what_is_in_python(dtype):
    """Then graphs are in Python too, as are all parts that can be."""

    def own(v):
        return np.tanh(v), 1.0 - np.tanh(v) ** 2

    net = make((4, 5, 6, 3), activation=[tanh(z), own], dtype=dtype, weight_init="glorot")
    twin = make((4, 5, 6, 3), activation="tanh", dtype=dtype, weight_init="glorot")
    assert net.explaining is None
    assert sorted(net.in_python.activations) == [0, 1]
    for one in (net, twin):
        one.fit(X, Y, epochs=2, batch_size=8)
    np.testing.assert_allclose(net.params, twin.params, rtol=2e-5, atol=1e-6)


def test_beside_a_function_of_numbers():
    def soft(v):
        return v / (1.0 + abs(v)), 1.0 / (1.0 + abs(v)) ** 2

    mixed = [ElementwiseActivation(soft), z / (1 + abs(z))]
    net = make((4, 5, 6, 3), activation=mixed, dtype="float64")
    twin = make((4, 5, 6, 3), activation=z / (1 + abs(z)), dtype="float64")
    for one in (net, twin):
        one.fit(X, Y, epochs=2, batch_size=8)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-10)


def test_one_graph_as_activation_and_as_loss():
    square = y_pred * y_pred
    net = make((4, 5, 3), activation=square, loss=square)
    twin = make((4, 5, 3), activation=square, loss=square + 0 * y)
    assert net.loss(X, Y) == pytest.approx(twin.loss(X, Y), rel=1e-6)


def test_very_large_graphs_stay_in_python():
    large = z
    for _ in range(walk.MOST_ARGUMENTS // 2 + 1):
        large = large + 0.001
    net = make((4, 5, 3), activation=large)
    assert net.in_python is not None
    assert np.isfinite(net.predict(X)).all()


def test_code_lives_as_long_as_the_graph_or_a_net():
    expression = 3.0 * z
    net = unit(expression, dtype="float64")
    twin = unit(expression, dtype="float64")
    address = net.spec.activations[0].code_for(net.dtype)
    assert twin.spec.activations[0].code_for(net.dtype) == address
    loop = weakref.ref(LOOPS[address])
    del expression, net
    gc.collect()
    assert twin.predict([[2.0]])[0, 0] == 6.0
    del twin
    gc.collect()
    assert loop() is None
