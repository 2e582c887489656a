"""Derivatives and updates in users' compiled functions, and the same methods from Python."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from helpers import COMPILED, DTYPES, make, needs_compiler, state

from fastbp import MLP, SGD, Adam, CosineDecay


@numba.njit
def loss_and_grad(f, x, y, grad):
    return f.loss_and_grad(x, y, grad)


@numba.njit
def vjp(f, x, dy, dx, grad):
    f.vjp(x, dy, dx, grad)


@numba.njit
def step(f, x, y):
    return f.step(x, y)


@numba.njit
def apply_gradient(f, grad):
    f.apply_gradient(grad)


@numba.njit
def train(f, X, Y, grad, n):
    for i in range(n):
        j = i % X.shape[0]
        f.loss_and_grad(X[j], Y[j], grad)
        f.apply_gradient(grad)


def in_python(name: str):
    """The same method of `Compiled`."""
    return lambda f, *given: getattr(f, name)(*given)


def both(function):
    """A compiled function, and the method it calls."""
    return function, in_python(function.__name__)


def examples(net: MLP, rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, net.layer_sizes[0])).astype(net.dtype)
    return X, rng.normal(size=(rows, net.layer_sizes[-1])).astype(net.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_loss_and_gradient_are_those_of_the_net_to_the_bit(dtype: str) -> None:
    net = make((5, 9, 3), dtype=dtype, l2=0.01)
    f = net.compiled()
    for rows in (1, 7, 40):
        X, Y = examples(net, rows)
        want, gradient = net.loss_and_grad(X, Y)
        for call in both(loss_and_grad):
            grad = np.zeros_like(net.params)
            assert call(f, X, Y, grad) == want
            assert np.array_equal(grad, gradient)
    for call in both(loss_and_grad):
        grad[:] = 0
        assert call(f, X[0], Y[0], grad) == net.loss(X[:1], Y[:1])
        assert np.array_equal(grad, net.loss_and_grad(X[:1], Y[:1])[1])


def test_more_rows_than_a_pass_has() -> None:
    net = make((5, 9, 3))
    f = net.compiled(rows=16)
    X, Y = examples(net, 100)
    want, gradient = net.loss_and_grad(X, Y)
    grad, dx = np.zeros_like(net.params), np.zeros_like(X)
    assert loss_and_grad(f, X, Y, grad) == pytest.approx(want, rel=1e-13)
    assert np.allclose(grad, gradient, rtol=1e-12)
    vjp(f, X, Y, dx, grad)
    by_x, by_params = net.vjp(X, Y)
    assert np.allclose(dx, by_x, rtol=1e-12)
    assert np.allclose(grad, by_params, rtol=1e-12)


def test_labels() -> None:
    net = make((4, 6, 3), loss="cross_entropy")
    f = net.compiled()
    X, _ = examples(net, 5)
    labels = np.array([0, 2, 1, 1, 0])
    want, gradient = net.loss_and_grad(X, labels)
    other = make((4, 6, 3), loss="cross_entropy")
    for call in both(loss_and_grad):
        grad = np.zeros_like(net.params)
        assert call(f, X, labels, grad) == want
        assert np.array_equal(grad, gradient)
        assert call(f, X[3], labels[3:4], grad) == net.loss(X[3:4], labels[3:4])
    for _ in range(3):
        assert step(f, X, labels) == other.step(X, labels)
    assert state(net) == state(other)
    labels[1] = 3
    for call in both(loss_and_grad):
        with pytest.raises(ValueError, match="labels in y must be from 0 to n_out - 1"):
            call(f, X, labels, grad)
    for call in both(step):
        with pytest.raises(ValueError, match="labels in y must be from 0 to n_out - 1"):
            call(f, X, labels)
    assert state(net) == state(other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_single_number_is_the_label_of_a_row(dtype: str) -> None:
    net, other = (make((4, 6, 3), loss="cross_entropy", dtype=dtype) for _ in range(2))
    f = net.compiled()
    X, _ = examples(net, 1)
    for label in (2, np.int64(0), np.int32(1), np.uint8(2), True):
        want, gradient = other.loss_and_grad(X, [int(label)])
        for call in both(loss_and_grad):
            grad = np.zeros_like(net.params)
            assert call(f, X[0], label, grad) == want
            assert np.array_equal(grad, gradient)
        for call in both(step):
            assert call(f, X[0], label) == other.step(X, [int(label)])
            assert state(net) == state(other)
    for call in both(step):
        for label in (3, -1):
            with pytest.raises(ValueError, match="labels in y must be from 0 to n_out - 1"):
                call(f, X[0], label)
        with pytest.raises(ValueError, match="a single number as y goes with a single row"):
            call(f, X[0], 1.0)
    assert state(net) == state(other)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_single_number_is_the_target_of_one_output(dtype: str) -> None:
    net, other = make((4, 6, 1), dtype=dtype), make((4, 6, 1), dtype=dtype)
    f = net.compiled()
    X, _ = examples(net, 1)
    for target in (0.3, 1, np.float32(0.5), False):
        y = np.full((1, 1), target, dtype)
        by_x, by_params = other.vjp(X, y)
        want, gradient = other.loss_and_grad(X, y)
        for call in both(vjp):
            dx, grad = np.zeros_like(X[0]), np.zeros_like(net.params)
            call(f, X[0], target, dx, grad)
            assert np.array_equal(dx, by_x[0])
            assert np.array_equal(grad, by_params)
        for call in both(loss_and_grad):
            assert call(f, X[0], target, grad) == want
            assert np.array_equal(grad, gradient)
        for call in both(step):
            assert call(f, X[0], target) == other.step(X, y)
            assert state(net) == state(other)
    for options in ({}, {"loss": "cross_entropy"}):  # whose labels are numbers, but no dy is
        other = make((4, 6, 2), dtype=dtype, **options).compiled()
        for call in both(vjp):
            for dy in (0.5, 1, True):
                with pytest.raises(ValueError, match="a single number as dy goes with a single"):
                    call(other, X[0], dy, X[0], np.zeros_like(other.net.params))
    for call, error in zip(both(step), (numba.TypingError, TypeError), strict=True):
        with pytest.raises(error if COMPILED else TypeError, match="goes with a single row x"):
            call(f, X, 0.5)
    for call in both(step):
        with pytest.raises(ValueError, match="step takes finite x|finite"):
            call(f, X[0], np.nan)


def test_labels_of_another_type_are_refused() -> None:
    net = make((4, 6, 3), loss="cross_entropy")
    X, _ = examples(net, 2)
    for call, error in zip(both(step), (numba.TypingError, TypeError), strict=True):
        with pytest.raises(error if COMPILED else TypeError, match="array of int64 with one"):
            call(net.compiled(), X, np.zeros(2, np.int32))
        with pytest.raises((ValueError, TypeError), match="C-contiguous"):
            call(net.compiled(), X, np.zeros(4, np.int64)[::2])


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_vjp_against_the_net_and_against_differences(loss: str) -> None:
    net = make((4, 6, 3), loss=loss)
    f = net.compiled()
    for rows in (1, 6):
        X, dY = examples(net, rows)
        by_x, by_params = net.vjp(X, dY)
        for call in both(vjp):
            dx, grad = np.zeros_like(X), np.zeros_like(net.params)
            call(f, X, dY, dx, grad)
            assert np.array_equal(dx, by_x)
            assert np.array_equal(grad, by_params)
            dx[:], grad[:] = 0, 0
            call(f, X, dY, dx, np.empty(0))
            assert np.allclose(dx, by_x, rtol=1e-14)
            call(f, X, dY, np.empty((0, 4)), grad)
            assert np.array_equal(grad, by_params)
    h = 1e-6
    for j in range(4):
        e = h * np.eye(4)[j]
        slope = ((net.predict(X + e) - net.predict(X - e)) * dY).sum(axis=1) / (2 * h)
        assert np.allclose(dx[:, j], slope, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [{}, {"optimizer": SGD(0.1, momentum=0.9)}, {"l2": 0.1}, {"clip_norm": 0.1}],
)
def test_steps_are_those_of_the_net_to_the_bit(options: dict) -> None:
    net, other = make((5, 9, 2), **options), make((5, 9, 2), **options)
    f = net.compiled()
    X, Y = examples(net, 12)
    for rows in (slice(0, 12), slice(3, 4), slice(0, 5)):
        for call in both(step):
            assert call(f, X[rows], Y[rows]) == other.step(X[rows], Y[rows])
            assert state(net) == state(other)
    net.freeze(layers=[0])
    other.freeze(layers=[0])
    assert step(f, X[0], Y[0]) == other.step(X[:1], Y[:1])
    assert state(net) == state(other)


def test_a_step_drops_out() -> None:
    net = make((5, 200, 2), dropout=0.5)  # which units depends on the rows of the workspace
    f = net.compiled()
    X, Y = examples(net, 1)
    before, random = net.weights[1].copy(), net.state.random.copy()
    step(f, X, Y)
    dropped = (net.weights[1] == before).all(axis=1).sum()
    assert 60 < dropped < 140
    assert net.state.random != random


@pytest.mark.parametrize("options", [{}, {"l2": 0.1}, {"clip_norm": 0.1}])
def test_a_gradient_applied_is_a_step(options: dict) -> None:
    net, other = make((5, 9, 2), **options), make((5, 9, 2), **options)
    X, Y = examples(net, 12)
    grad = np.zeros_like(net.params)
    net.freeze(layers=[1], weights=False)
    other.freeze(layers=[1], weights=False)
    train(net.compiled(), X, Y, grad, 20)
    for i in range(20):
        other.step(X[i % 12 : i % 12 + 1], Y[i % 12 : i % 12 + 1])
    assert np.allclose(net.params, other.params, rtol=1e-12)
    if not options:
        assert state(net) == state(other)


def test_another_optimizer_is_seen() -> None:
    net, other = make((5, 9, 2)), make((5, 9, 2))
    f = net.compiled()
    X, Y = examples(net, 12)
    for each in (net, other):
        each.optimizer = SGD(0.1, momentum=0.9)
    step(f, X, Y)
    other.step(X, Y)
    grad = net.loss_and_grad(X, Y)[1]
    apply_gradient(f, grad.copy())
    other.apply_gradient(grad)
    assert state(net) == state(other)
    for each in (net, other):
        each.optimizer = Adam(0.5)
    step(f, X, Y)
    other.step(X, Y)
    assert state(net) == state(other)


# ---- what is refused -----------------------------------------------------------------------------

REFUSES = numba.TypingError if COMPILED else ValueError


@pytest.mark.parametrize(
    ("options", "method", "message"),
    [
        ({"optimizer": Adam(CosineDecay(0.1, 10))}, step, "a learning rate that is a sched"),
        ({"optimizer": Adam(CosineDecay(0.1, 10))}, apply_gradient, "rate that is a sched"),
        ({"loss": lambda y, t: (0.0, y)}, loss_and_grad, "a loss in Python cannot be called"),
        ({"loss": lambda y, t: (0.0, y)}, step, "a loss in Python cannot be called"),
        ({"activation": "step"}, vjp, "a net with step units has no derivatives"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, method, message: str) -> None:
    net = make((2, 3, 1), **options)
    f = net.compiled()
    before = state(net)
    x, y, grad = np.zeros(2), np.zeros(1), np.zeros_like(net.params)
    given = {step: (x, y), apply_gradient: (grad,), vjp: (x, y, x, grad),
             loss_and_grad: (x, y, grad)}[method]  # fmt: skip
    with pytest.raises(REFUSES, match=message):
        method(f, *given)
    with pytest.raises(ValueError, match=message):
        in_python(method.__name__)(f, *given)
    assert state(net) == before
    out = np.zeros(1)
    f.predict(x, out)
    assert np.array_equal(out, net.predict(x[np.newaxis])[0])


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        (loss_and_grad, (np.zeros(2), np.zeros(2), np.zeros(13)), r"x and y must have the shapes"),
        (loss_and_grad, (np.zeros((3, 2)), np.zeros((2, 1)), np.zeros(13)), "x and y must have"),
        (loss_and_grad, (np.zeros(2), np.zeros(1), np.zeros(12)), "grad must have the shape"),
        (vjp, (np.zeros(2), np.zeros(1), np.zeros(1), np.zeros(0)), "dx must have the shape of x"),
        (vjp, (np.zeros(2), np.zeros(1), np.zeros(2), np.zeros(5)), "grad must have the shape"),
        (step, (np.zeros((0, 2)), np.zeros((0, 1))), "x and y must have|row"),
        (step, (np.zeros((9, 2)), np.zeros((9, 1))), "step takes no more rows than"),
        (apply_gradient, (np.zeros(12),), "grad must have the shape"),
        (apply_gradient, (np.full(13, np.nan),), "grad must be finite; nothing was changed"),
    ],
)
def test_other_shapes_are_refused_at_the_call(method, given: tuple, message: str) -> None:
    net = make((2, 3, 1))
    f = net.compiled(rows=8)
    before = state(net)
    for call in both(method):
        with pytest.raises(ValueError, match=message):
            call(f, *given)
    assert state(net) == before


@needs_compiler
def test_a_step_that_is_not_finite_changes_nothing() -> None:
    net = make((2, 3, 1))
    f = net.compiled()
    before = state(net)
    with pytest.raises(ValueError, match="step takes finite x"):
        step(f, np.array([np.nan, 0.0]), np.zeros(1))
    assert state(net) == before
    params = net.params.copy()
    assert np.isnan(step(f, np.zeros(2), np.full(1, 1e300)))
    assert np.array_equal(net.params, params)


@pytest.mark.parametrize(
    ("y", "message"),
    [(np.zeros(1, "f4"), "y must be .* array of float64.*got float32"),
     (np.zeros(1, np.int64), "squared_error does not take class labels; got integers"),
     (np.zeros((1, 1)), "y must be a C-contiguous, 1-dimensional array")],
)  # fmt: skip
def test_other_types_are_refused_when_compiling(y: np.ndarray, message: str) -> None:
    f = make((2, 3, 1)).compiled()
    error = numba.TypingError if COMPILED else (TypeError, ValueError)
    with pytest.raises(error, match=message):
        step(f, np.zeros(2), y)
    with pytest.raises((TypeError, ValueError), match=message):
        f.step(np.zeros(2), y)
