"""A user's functions of single numbers in nets: those of built-in formulas train as these do."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import scipy.sparse
from helpers import COMPILED, DTYPES, make, state

import fastbp
from fastbp import Adam, DivergenceWarning, ElementwiseActivation, ElementwiseLoss, gradcheck
from fastbp.fit import calls
from fastbp.inspection import layer_outputs
from fastbp.machine.elementwise import LOOPS

RNG = np.random.default_rng(31)
X, Y = RNG.normal(size=(37, 4)), RNG.uniform(0.1, 1.0, size=(37, 3))
W, WY = RNG.uniform(0.1, 2.0, 37), RNG.uniform(0.1, 2.0, (37, 3))


def tanh(z):
    y = math.tanh(z)
    return y, 1.0 - y * y


def sigmoid(z):
    y = 1.0 / (1.0 + math.exp(-z))
    return y, y * (1.0 - y)


def relu(z):
    if z > 0.0:
        return z, 1.0
    return 0, 0


def softplus(z):
    e = np.exp(-abs(z))
    return max(z, 0.0) + np.log1p(e), (1.0 if z > 0.0 else e) / (1.0 + e)


def elu(z):
    return (z, 1.0) if z > 0.0 else (math.expm1(z), math.exp(z))


def half_square(y, t):
    e = y - t
    return 0.5 * e * e, e


def absolute(y, t):
    return abs(y - t), (1.0 if y > t else -1.0)


@numba.njit
def clipped(e):
    return min(max(e, -0.2), 0.2)


@numba.njit
def huber(y, t):
    e = y - t
    c = clipped(e)
    return c * (e - 0.5 * c), c


def own_activations(*functions):
    return [ElementwiseActivation(function) for function in functions]


# Each is compiled once for a dtype, and for the file: objects are shared by its tests.
TANH, SIGMOID, RELU, SOFTPLUS, ELU = own_activations(tanh, sigmoid, relu, softplus, elu)
SQUARE, ABSOLUTE, HUBER = (ElementwiseLoss(f) for f in (half_square, absolute, huber))
ACTIVATIONS = {"tanh": TANH, "sigmoid": SIGMOID, "relu": RELU, "softplus": SOFTPLUS, "elu": ELU}
LOSSES = {"squared_error": SQUARE, "absolute_error": ABSOLUTE, fastbp.Huber(0.2): HUBER}
OPTIONS = {
    "plain": {},
    "adam": {"optimizer": Adam(0.01)},
    "dropout": {"dropout": 0.3, "input_dropout": 0.1},
    "penalties": {"l1": 0.01, "l2": 0.1},
    "clip": {"clip_norm": 0.2},
    "no bias": {"bias": False},
}


def close(got, expected, dtype):
    rtol, atol = (1e-12, 1e-14) if dtype == "float64" else (3e-5, 2e-6)
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 37])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_as_those_built_in(name, rows, dtype):
    own = ACTIVATIONS[name]
    init = "glorot"
    net = make((4, 7, 5, 3), activation=own, output_activation=own, dtype=dtype, weight_init=init)
    twin = make((4, 7, 5, 3), activation=name, output_activation=name, dtype=dtype,
                weight_init=init)  # fmt: skip
    x, y = X[:rows], Y[:rows]
    close(net.predict(x), twin.predict(x), dtype)
    loss, grad = net.loss_and_grad(x, y)
    expected, expected_grad = twin.loss_and_grad(x, y)
    close(loss, expected, dtype)
    close(grad, expected_grad, dtype)
    net.step(x, y)
    twin.step(x, y)
    close(net.params, twin.params, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 37, 600])
@pytest.mark.parametrize("name", LOSSES, ids=str)
def test_losses_are_as_those_built_in(name, rows, dtype):
    x, y = RNG.normal(size=(rows, 4)), RNG.normal(size=(rows, 3))
    net = make((4, 7, 3), loss=LOSSES[name], dtype=dtype)
    twin = make((4, 7, 3), loss=name, dtype=dtype)
    loss, grad = net.loss_and_grad(x, y)
    expected, expected_grad = twin.loss_and_grad(x, y)
    close(loss, expected, dtype)
    close(grad, expected_grad, dtype)
    close(net.loss(x, y), twin.loss(x, y), dtype)
    assert net.step(x, y) == pytest.approx(twin.step(x, y), rel=1e-6)
    close(net.params, twin.params, dtype)


@pytest.mark.parametrize("case", OPTIONS)
def test_they_train_as_those_built_in(case):
    options = {"dtype": "float64", "seed": 4} | OPTIONS[case]
    net = make((4, 9, 6, 3), activation=TANH, loss=SQUARE, **options)
    twin = make((4, 9, 6, 3), activation="tanh", loss="squared_error", **options)
    for one in (net, twin):
        one.fit(X, Y, epochs=4, batch_size=8, sample_weight=W, validation_fraction=0.2)
    close(net.params, twin.params, "float64")
    close(net.history["loss"], twin.history["loss"], "float64")
    close(net.history["val_loss"], twin.history["val_loss"], "float64")


@pytest.mark.parametrize("rows", [1, 5, 37])
def test_what_stands_beyond_the_batch_does_not_count(rows):
    def gamma(y, t):
        p = math.exp(y)
        return t / p - 1.0 - math.log(t / p), 1.0 - t / p  # of (0, 0) NaN

    net = make((4, 3), loss=ElementwiseLoss(gamma), dtype="float64")
    twin = make((4, 3), loss="gamma", dtype="float64")
    close(net.loss(X[:rows], Y[:rows]), twin.loss(X[:rows], Y[:rows]), "float64")
    close(net.step(X[:rows], Y[:rows]), twin.step(X[:rows], Y[:rows]), "float64")
    close(net.params, twin.params, "float64")


def test_weights_by_output_and_missing_targets():
    missing = np.where(RNG.random(Y.shape) < 0.3, np.nan, Y)
    nets = [
        make((4, 5, 3), loss=loss, dtype="float64", missing_targets=True)
        for loss in (SQUARE, "squared_error")
    ]
    for net in nets:
        net.fit(X, missing, epochs=2, batch_size=7, sample_weight=WY)
    close(nets[0].params, nets[1].params, "float64")


def test_sparse_rows():
    rows = scipy.sparse.random_array((30, 12), density=0.2, rng=5, format="csr")
    net = make((12, 5, 3), activation=TANH, loss=SQUARE, dtype="float64")
    twin = make((12, 5, 3), activation="tanh", loss="squared_error", dtype="float64")
    for one in (net, twin):
        one.fit(rows, Y[:30], epochs=2, batch_size=8)
    close(net.params, twin.params, "float64")
    close(net.predict(rows), twin.predict(rows), "float64")


def test_several_functions_beside_built_in_ones_and_ones_in_python():
    def in_python(z):
        y = np.tanh(z)
        return y, 1 - y * y

    units = [SIGMOID, "tanh", TANH, in_python, SOFTPLUS]
    names = ["sigmoid", "tanh", "tanh", "tanh", "softplus"]
    net = make((4, 5, 6, 7, 8, 5, 3), activation=units, dtype="float64", weight_init="glorot")
    twin = make((4, 5, 6, 7, 8, 5, 3), activation=names, dtype="float64", weight_init="glorot")
    for one in (net, twin):
        one.fit(X, Y, epochs=2, batch_size=8)
    close(net.params, twin.params, "float64")


@pytest.mark.parametrize("loss", ["squared_error", HUBER], ids=str)
def test_gradcheck(loss):
    net = make((4, 5, 3), activation=SOFTPLUS, loss=loss, dtype="float64")
    assert gradcheck(net, X, Y).error < 1e-6


def test_an_output_activation_with_a_loss_of_net_inputs_is_refused():
    with pytest.raises(ValueError, match="computed from the net inputs"):
        make((2, 1), loss="binary_cross_entropy", output_activation=SIGMOID)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_do_not_change_the_precision(dtype):
    scale = 0.1

    def scaled(z):
        third = 1.0 / 3.0
        return scale * z + third * math.pi, scale

    net = make((1, 1), output_activation=ElementwiseActivation(scaled), dtype=dtype,
               weight_init="zeros")  # fmt: skip
    kind = np.dtype(dtype).type
    assert net.predict([[0.0]])[0, 0] == kind(1.0 / 3.0) * kind(math.pi)


def test_what_it_reads_is_constant_until_it_is_given_again():
    space = {"__builtins__": __builtins__, "__name__": __name__, "factor": 2.0}
    function = type(tanh)((lambda z: (factor * z, factor)).__code__, space)  # noqa: F821
    first = make((1, 1), output_activation=ElementwiseActivation(function), weight_init="zeros")
    first.biases[0][...] = 1.0
    space["factor"] = 3.0
    second = make((1, 1), output_activation=ElementwiseActivation(function), weight_init="zeros")
    second.biases[0][...] = 1.0
    if COMPILED:
        assert first.predict([[0.0]])[0, 0] == 2.0
    assert second.predict([[0.0]])[0, 0] == 3.0


def raises(z):
    if z > 100.0:
        raise ValueError("too large")
    return z, 1.0


TABLE = np.linspace(0.0, 1.0, 5)


def looks_up(z):
    return TABLE[int(z)], 0.0


def allocates(z):
    return np.zeros(3)[0] + z, 1.0


def prints(z):
    print(z)
    return z, 1.0


def one(z):
    return z


def three(z):
    return z, z, z


def sometimes(z):
    if z > 0.0:
        return z, 1.0
    return None


def strings(z):
    return "a", "b"


def unknown(z):
    return not_there(z), 1.0  # noqa: F821


@pytest.mark.skipif(not COMPILED, reason="uncompiled, what a function does shows when it is called")
@pytest.mark.parametrize(
    "function, told",
    [
        (raises, "raises may raise an exception.*math.nan"),
        (looks_up, "kept inside an array by min and max"),
        (allocates, "allocates memory"),
        (prints, "prints"),
        (one, r"one must return \(y, slope\), 2 single numbers, for all z; it returns float64"),
        (three, "three must return"),
        (sometimes, "sometimes must return"),
        (strings, "strings must return"),
        (unknown, "Numba cannot compile unknown for single numbers of float64: .*not_there"),
    ],
)
def test_functions_that_cannot_be_compiled_are_refused(function, told):
    with pytest.raises(TypeError, match=told):
        make((2, 3, 1), activation=ElementwiseActivation(function))


@pytest.mark.parametrize("given", [math.sin, np.tanh, "tanh", 3, None, dict])
def test_what_is_no_function_is_refused(given):
    with pytest.raises(TypeError, match=r"Python function or one compiled by numba.njit, f\(z\)"):
        ElementwiseActivation(given)


def test_other_parameters_are_refused():
    with pytest.raises(TypeError, match=r"f\(z\) -> \(y, slope\), of single numbers; half_square"):
        ElementwiseActivation(half_square)
    with pytest.raises(TypeError, match=r"f\(y, t\) -> \(value, slope\), of single numbers; tanh"):
        ElementwiseLoss(tanh)


def test_an_index_that_is_kept_inside_is_accepted():
    def looked_up(z):
        return TABLE[min(max(int(z), 0), 4)], 0.0

    net = make((1, 1), output_activation=ElementwiseActivation(looked_up), weight_init="zeros")
    for z, y in ((-7.0, 0.0), (2.5, 0.5), (1e9, 1.0)):
        net.biases[0][...] = z
        assert net.predict([[0.0]])[0, 0] == y


def test_nan_ends_training():
    def root(z):
        return (math.sqrt(z), 0.5 / math.sqrt(z)) if z > -1e3 else (z, 1.0)

    def loss(y, t):
        return (math.nan, 0.0) if y > t else (t - y, -1.0)

    net = make((4, 3), loss=ElementwiseLoss(loss))
    before = net.params.copy()
    with pytest.warns(DivergenceWarning):
        net.fit(X, Y - 5.0, epochs=2)
    assert np.array_equal(net.params, before)
    if COMPILED:
        net = make((4, 6, 3), activation=ElementwiseActivation(root))
        with pytest.warns(DivergenceWarning):
            net.fit(X, Y, epochs=2)


def test_pickles_copies_and_files(tmp_path):
    net = make((4, 5, 3), activation=TANH, loss=HUBER)
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert np.array_equal(twin.predict(X), net.predict(X))
        assert twin.spec.activations[0] == net.spec.activations[0]
    net.save(tmp_path / "net.fbp")
    with pytest.raises(ValueError, match=r"'huber', which no file holds. Pass it: load"):
        fastbp.load(tmp_path / "net.fbp", activation=TANH)
    loaded = fastbp.load(tmp_path / "net.fbp", activation=[TANH, None], loss=HUBER)
    assert np.array_equal(loaded.predict(X), net.predict(X))
    net.fit(X, Y, epochs=1)
    loaded.fit(X, Y, epochs=1)
    assert state(loaded) == state(net)


def test_the_code_lives_as_long_as_a_table_and_no_longer():
    def function(z):
        return 3.0 * z, 3.0

    net = make((1, 1), output_activation=ElementwiseActivation(function), weight_init="zeros")
    net.biases[0][...] = 2.0
    table = net.workspace(1, training=False)
    address = net.spec.activations[0].code_for(net.dtype)
    seen = weakref.ref(function)
    loop = weakref.ref(LOOPS[address])
    del function, net
    gc.collect()
    assert loop() is not None
    out = np.empty((1, 1))
    calls.predict(table, np.zeros((1, 1)), None, out)
    assert out == 6.0
    del table
    gc.collect()
    assert loop() is None
    assert seen() is None


def test_threads():
    net = make((4, 9, 3), activation=SIGMOID)
    expected = net.predict(X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: net.predict(X), range(20)):
            assert np.array_equal(found, expected)


def test_what_is_shown():
    net = make((4, 5, 3), activation=TANH, loss=HUBER)
    assert repr(ElementwiseActivation(tanh)) == "ElementwiseActivation(tanh)"
    assert repr(ElementwiseLoss(huber)) == "ElementwiseLoss(huber)"
    assert "tanh" in str(net.summary())
    assert "activation=ElementwiseActivation(tanh)" in repr(net)
    assert "tanh" in str(fastbp.explain(net, X[0], Y[0]))
    net.fit(X, Y, epochs=2)
    assert fastbp.diagnose(net, X, Y) is not None
    np.testing.assert_array_equal(layer_outputs(net, X)[-1], net.predict(X))


def test_in_python_it_gives_the_same():
    y, slope = TANH(X, True)
    np.testing.assert_allclose(y, np.tanh(X))
    np.testing.assert_allclose(slope, 1.0 - np.tanh(X) ** 2, atol=1e-15)
