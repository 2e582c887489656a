"""Nets in users' compiled functions, and the same methods from Python."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numba
import numpy as np
import pytest
import scipy.integrate
from helpers import COMPILED, DTYPES, make, needs_compiler

import fastbp
from fastbp import MLP, SGD, compiled_from, graph
from fastbp.kernels.activations import ACTIVATIONS

USERS = Path(__file__).parent / "users.py"
KINDS = ("address", "unrolled")
each_kind = pytest.mark.parametrize("kind", KINDS)


@numba.njit
def predict(f, x, out):
    f.predict(x, out)


@numba.njit
def derive(f, x, dy, dx, grad):
    f.vjp(x, dy, dx, grad)
    f.loss_and_grad(x, dy, grad)
    f.vjp(x, dy, dx, grad)


@numba.njit(nogil=True)
def predict_often(f, X, out, n):
    for _ in range(n):
        for r in range(X.shape[0]):
            f.predict(X[r], out[r])


@numba.njit(parallel=True)
def predict_in_parallel(f, X, out):
    for r in numba.prange(X.shape[0]):
        f.predict(X[r], out[r])


def inputs(net: MLP, rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, net.layer_sizes[0])).astype(net.dtype)


def row_by_row(net: MLP, X: np.ndarray) -> np.ndarray:
    return np.concatenate([net.predict(x[np.newaxis]) for x in X])


@each_kind
@pytest.mark.parametrize("dtype", DTYPES)
def test_outputs_are_those_of_predict_to_the_bit(kind: str, dtype: str) -> None:
    net = make((5, 19, 3), dtype=dtype, output_activation="sigmoid")
    f = net.compiled(kind=kind)
    for rows in (1, 3, 21, 300):
        X = inputs(net, rows)
        want = net.predict(X)
        out = np.zeros_like(want)
        predict(f, X, out)
        assert np.array_equal(out, want)
        out[:] = 0
        f.predict(X, out)
        assert np.array_equal(out, want)
    for x, y in zip(X[:20], row_by_row(net, X[:20]), strict=True):
        for call in (predict, type(f).predict):
            out = np.zeros(3, dtype)
            call(f, x, out)
            assert np.array_equal(out, y)


@each_kind
def test_parameters_are_read_at_each_call(kind: str) -> None:
    net = make((2, 5, 1))
    f = net.compiled(kind=kind)
    x, out = np.array([0.3, -0.4]), np.zeros(1)
    predict(f, x, out)
    first = out.copy()
    net.fit(inputs(net, 20), np.ones((20, 1)), epochs=3)
    predict(f, x, out)
    assert np.array_equal(out, net.predict(x[np.newaxis])[0])
    assert out != first


@each_kind
def test_buffers_that_were_exchanged_are_found(kind: str) -> None:
    net = make((2, 5, 1))
    f = net.compiled(kind=kind)
    net.state = net.state._replace(params=net.params + 0.25)
    x, out = np.array([0.3, -0.4]), np.zeros(1)
    predict(f, x, out)
    assert np.array_equal(out, net.predict(x[np.newaxis])[0])


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))]
)
def test_a_copy_has_a_handle_of_its_own(copied) -> None:
    f = make((2, 5, 1)).compiled(kind="address", rows=7, workspaces=2)
    twin = copied(f)
    assert twin.address != f.address
    assert compiled_from(twin.user_data, twin.kind) is twin
    assert (twin.kind, twin.rows, twin.workspaces) == (f.kind, 7, 2)
    twin.net.params[:] = 0.5
    del f  # and its buffers
    gc.collect()
    x, out = np.array([0.3, -0.4]), np.zeros(1)
    predict(twin, x, out)
    assert np.array_equal(out, twin.net.predict(x[np.newaxis])[0])
    twin.net.optimizer = SGD(learning_rate=0.5)
    other = copy.deepcopy(twin.net)
    twin.step(x, out + 1)
    other.step(x[np.newaxis], [out + 1])
    assert np.array_equal(twin.net.params, other.params)


@each_kind
def test_rows_that_are_not_finite_have_nan(kind: str) -> None:
    net = make((4, 6, 2))
    f = net.compiled(kind=kind, rows=4)
    X = inputs(net, 11)
    want = net.predict(X)
    X[2, 3], X[3, 0], X[10, 1] = np.nan, np.inf, -np.inf
    want[[2, 3, 10]] = np.nan
    for call in (predict, type(f).predict):
        out = np.zeros_like(want)
        call(f, X, out)
        assert np.allclose(out, want, rtol=1e-13, equal_nan=True)
        out = np.zeros(2)
        call(f, X[3], out)
        assert np.isnan(out).all()


@needs_compiler
@each_kind
def test_threads_may_call_at_once(kind: str) -> None:
    net = MLP((10, 32, 32, 1), seed=0)
    f = net.compiled(kind=kind, workspaces=2)
    X = inputs(net, 200)
    want = row_by_row(net, X)
    outs = [np.zeros_like(want) for _ in range(4)]
    for o in outs:
        predict_often(f, X[:1], o[:1], 1)
    threads = [threading.Thread(target=predict_often, args=(f, X, o, 20)) for o in outs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in outs:
        assert np.array_equal(out, want)


@needs_compiler
@pytest.mark.slow  # prange takes some seconds to compile
@each_kind
def test_a_parallel_loop(kind: str) -> None:
    net = MLP((10, 32, 32, 1), seed=0)
    X = inputs(net, 2000)
    out = np.zeros((2000, 1), np.float32)
    predict_in_parallel(net.compiled(kind=kind), X, out)
    assert np.array_equal(out, row_by_row(net, X))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "other_hidden"), [("address", 9), ("unrolled", 8)])
def test_a_users_cache_serves_another_process(tmp_path, kind: str, other_hidden: int) -> None:
    program = shutil.copy(USERS, tmp_path / "users.py")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    environment["PYTHONPATH"] = str(Path(fastbp.__file__).parent.parent)
    counts = []
    for hidden in (8, other_hidden):
        command = [sys.executable, str(program), kind, str(hidden)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        counts.append(done.stdout.split())
    assert counts == [["0", "1"], ["1", "0"]]


# ---- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "out"),
    [((3,), (2,)), ((2,), (1,)), ((4, 3), (4, 2)), ((4, 2), (3, 2)), ((4, 2), (4, 1))],
)
def test_other_shapes_are_refused_at_the_call(x: tuple, out: tuple) -> None:
    f = make((2, 4, 2)).compiled(kind="address")
    written = np.ones(out)
    for call in (predict, type(f).predict):
        with pytest.raises(ValueError, match=r"x and out must have the shapes \((n_in|2),\)"):
            call(f, np.zeros(x), written)
    assert (written == 1).all()


@pytest.mark.parametrize(
    ("x", "out", "message"),
    [
        (np.zeros(2, "f4"), np.zeros(1), r"x must be .* array of float64; "
         r"got float32. The net has float64: write x.astype"),
        (np.zeros(2), np.zeros((1, 1)), "out must be a C-contiguous, 1-dimensional array"),
        (np.zeros((2, 2), order="F"), np.zeros((2, 1)), r"gaps. Write np.ascontiguousarray\(x\)"),
        (0.5, np.zeros(1), "x must be a C-contiguous, 1-dimensional or 2-dimensional array of"),
    ],
)  # fmt: skip
def test_other_types_are_refused_when_compiling(x, out, message: str) -> None:
    f = make((2, 4, 1)).compiled(kind="address")
    error = numba.TypingError if COMPILED else TypeError
    with pytest.raises(error, match=message):
        predict(f, x, out)
    with pytest.raises(TypeError, match=message):
        f.predict(x, out)


@numba.njit
def predict_each(f, X, out):
    for x, y in zip(X, out):  # noqa: B905 - Numba knows no strict
        f.predict(x, y)


@each_kind
def test_rows_of_a_loop_over_an_array(kind: str) -> None:
    """Numba does not know them to be contiguous."""
    net = make((3, 4, 2))
    X, out = inputs(net, 5), np.zeros((5, 2))
    predict_each(net.compiled(kind=kind), X, out)
    assert np.array_equal(out, row_by_row(net, X))


@numba.njit
def call_each(f, x, y, out, dx, grad, wide):
    """Call the methods with one array after the other replaced by a view with gaps."""
    found = 0
    for i in range(6):
        try:
            if i == 0:
                f.predict(x, wide[:2, 0])
            elif i == 1:
                f.predict(wide[:3, 0], out)
            elif i == 2:
                f.loss_and_grad(x, wide[:2, 0], grad)
            elif i == 3:
                f.vjp(x, y, wide[:3, 0], grad)
            elif i == 4:
                f.loss_and_grad(x, y, wide[:, 0])
            else:
                f.apply_gradient(wide[:, 0])
        except Exception:  # nothing else is caught in compiled code
            found += 1
    return found


@needs_compiler
def test_gaps_are_refused_at_the_call() -> None:
    net = make((3, 4, 2))
    x, y, out, grad = np.zeros(3), np.ones(2), np.zeros(2), np.zeros_like(net.params)
    wide = np.zeros((net.n_params, 2))
    f = net.compiled()
    assert call_each(f, x, y, out, x, grad, wide) == 6
    assert not wide.any()
    with pytest.raises(ValueError, match="x and out must be C-contiguous arrays; got one with ga"):
        predict(f, np.zeros(6)[::2], out)
    many = np.zeros((6, 3))
    predict(f, many[::2][:1], np.zeros((1, 2)))  # one row has no gaps
    with pytest.raises(ValueError, match="x and out must be C-contiguous arrays; got one with ga"):
        predict(f, many[::2], np.zeros((3, 2)))
    with pytest.raises(TypeError, match="out must be .*gaps. Make out by np.empty"):
        f.predict(x, np.zeros(4)[::2])


@needs_compiler
def test_a_global_net_is_refused() -> None:
    f = make((2, 4, 1)).compiled(kind="address")

    @numba.njit
    def closes_over(x, out):
        f.predict(x, out)

    with pytest.raises(numba.TypingError, match="must be an argument of the function"):
        closes_over(np.zeros(2), np.zeros(1))


def test_an_activation_in_python_is_refused() -> None:
    net = MLP((2, 4, 1), activation=graph.sin)
    with pytest.raises(ValueError, match="got one in layer 0. Give that layer a named activation"):
        net.compiled()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kind": "inline"}, "kind must be one of"), ({"rows": 0}, "rows must be at least 1"),
     ({"workspaces": 1.5}, "workspaces must be a whole number")],
)  # fmt: skip
def test_other_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make((2, 4, 1)).compiled(**options)


# ---- callbacks from C ----------------------------------------------------------------------------


@needs_compiler
@each_kind
def test_scipy_integrates_a_net(kind: str) -> None:
    net = MLP((1, 16, 1), activation="tanh", dtype="float64", seed=0)
    f = net.compiled(kind=kind)
    net_kind = f.kind

    @numba.cfunc(
        numba.float64(numba.intc, numba.types.CPointer(numba.float64), numba.types.voidptr)
    )
    def integrand(n, x, data):
        out = np.empty(1)
        compiled_from(data, net_kind).predict(numba.carray(x, 1), out)
        return out[0]

    callback = scipy.LowLevelCallable(integrand.ctypes, f.user_data)
    found, _ = scipy.integrate.quad(callback, -1, 2)
    want, _ = scipy.integrate.quad(lambda x: net.predict([[x]])[0, 0], -1, 2)
    assert found == pytest.approx(want, rel=1e-12)


@needs_compiler
def test_a_callback_for_another_kind_of_net_is_refused() -> None:
    f, other = (make((2, n, 1)).compiled(kind="unrolled") for n in (3, 4))
    net_kind = f.kind

    @numba.njit
    def call(data, x, out):
        compiled_from(data, net_kind).predict(x, out)

    out = np.zeros(1)
    call(f.address, np.ones(2), out)
    assert np.array_equal(out, f.net.predict(np.ones((1, 2)))[0])
    with pytest.raises(ValueError, match="compiled for another kind of net"):
        call(other.address, np.ones(2), out)

    @numba.njit
    def misuse(data, x, out):
        compiled_from(data, "relu").predict(x, out)

    with pytest.raises(numba.TypingError, match="kind must be the `kind` of a net"):
        misuse(f.address, np.ones(2), out)


def test_compiled_from_in_python() -> None:
    f = make((2, 3, 1)).compiled()
    assert compiled_from(f.address, f.kind) is f
    assert compiled_from(f.user_data, f.kind) is f
    with pytest.raises(ValueError, match="no compiled net stands at address 1"):
        compiled_from(1, f.kind)


# ---- code that is written out --------------------------------------------------------------------


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_activation_to_the_bit(activation: str, dtype: str) -> None:
    hidden = activation if ACTIVATIONS[activation].hidden else "relu"
    net = MLP((7, 18, 3), activation=hidden, output_activation=activation, dtype=dtype,
              loss="squared_error", seed=0)  # fmt: skip
    rng = np.random.default_rng(0)
    net.biases[0][:] = rng.normal(size=18)
    X = (3 * rng.normal(size=(40, 7))).astype(dtype)
    X[:4] *= 1e-30  # denormal products in float32
    net.weights[0][:, :9] *= 2e-9 if dtype == "float32" else 1e-280
    out = np.zeros((40, 3), dtype)
    predict_often(net.compiled(kind="unrolled"), X, out, 1)
    assert np.array_equal(out, row_by_row(net, X))


@numba.njit(fastmath=True)
def predict_fast(f, X, out):
    for r in range(X.shape[0]):
        f.predict(X[r], out[r])


@needs_compiler
@pytest.mark.parametrize(
    "sizes", [(1, 1), (16, 16), (17, 33, 1), (2, 2, 1), (10, 32, 32, 1), (40, 5, 40)]
)
def test_shapes_without_biases_and_with_fastmath(sizes: tuple) -> None:
    net = MLP(sizes, bias=False, seed=0)
    X = inputs(net, 30)
    out = np.zeros((30, sizes[-1]), np.float32)
    predict_fast(net.compiled(kind="unrolled"), X, out)
    assert np.array_equal(out, row_by_row(net, X))


@needs_compiler
def test_auto_writes_out_small_nets_alone() -> None:
    assert "10-32-32-1" in MLP((10, 32, 32, 1)).compiled().kind
    assert "-" not in MLP((200, 100, 1)).compiled().kind


# ---- memory --------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="guards pages by mprotect of Linux")
@each_kind
@pytest.mark.parametrize("side", ["after", "before"])
def test_users_arrays_are_not_overrun(kind: str, side: str) -> None:
    """Each stands against a page that faults: an access outside would end this process."""
    from test_memory_safety import Pages

    net = MLP((7, 18, 3), seed=0)
    f = net.compiled(kind=kind, rows=4)
    for shape in ((7,), (1, 7), (6, 7)):
        x = np.linspace(-1, 1, np.prod(shape), dtype=np.float32).reshape(shape)
        y = np.ones((*shape[:-1], 3), np.float32)
        pages = [Pages(a, side) for a in (x, y, y, x, net.params)]
        given, dy, out, dx, grad = (page.array for page in pages)
        predict(f, given, out)
        assert np.array_equal(out.reshape(-1, 3), net.predict(x.reshape(-1, 7)))
        derive(f, given, dy, dx, grad)
        by_x, by_params = net.vjp(x.reshape(-1, 7), y.reshape(-1, 3))
        assert np.allclose(dx.reshape(-1, 7), by_x, rtol=1e-5, atol=1e-6)
        assert np.allclose(grad, by_params, rtol=1e-5, atol=1e-6)


# ---- activations of a user's own -----------------------------------------------------------------

z, y_pred, y = graph.variables("z y_pred y")


def softsign(z):
    size = 1.0 + abs(z)
    return z / size, 1.0 / (size * size)


@pytest.mark.parametrize("own", [fastbp.ElementwiseActivation(softsign), z / (1 + abs(z))], ids=str)
def test_activations_of_ones_own_are_called(own) -> None:
    net = make((5, 9, 3), activation=own, loss=0.5 * (y_pred - y) ** 2, dtype="float64")
    f = net.compiled()
    X = inputs(net, 4)
    out = np.zeros((4, 3))
    predict(f, X, out)
    assert np.array_equal(out, net.predict(X))
    predict(f, X[0], out[0])
    assert np.array_equal(out[0], net.predict(X[:1])[0])
    dx, grad = np.zeros_like(X), np.zeros_like(net.params)
    derive(f, X, out, dx, grad)
    assert np.array_equal(dx, net.vjp(X, out)[0])
    with pytest.raises(ValueError, match="is written out for built-in activations.*kind='auto'"):
        net.compiled(kind="unrolled")


def test_where_a_graph_has_no_value_there_is_nan() -> None:
    net = MLP((1, 1), output_activation=graph.log(z), weight_init="zeros", dtype="float64", seed=0)
    net.weights[0][...] = 1.0
    f = net.compiled()
    x, out = np.array([[2.0], [-1.0]]), np.zeros((2, 1))
    predict(f, x, out)
    assert out[0, 0] == pytest.approx(np.log(2.0), rel=1e-15)
    assert np.isnan(out[1, 0])
    with pytest.raises(graph.GraphError, match="log of a negative number"):
        f.loss_and_grad(x, np.ones((2, 1)), np.zeros(2))
