"""Case 6: training as the decks describe it, each statement with its numbers.

Nielsen = M. Nielsen, Neural Networks and Deep Learning, chapter 3, to which MC886 points.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import long_uncompiled

from fastbp import MLP, SGD, Dense, DivergenceWarning, gradcheck

SEED = 6
HIDDEN = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
}
SLOPES = {
    "sigmoid": lambda out: out * (1 - out),
    "tanh": lambda out: 1 - out**2,
    "relu": lambda out: (out > 0).astype(float),
}


# ---- units --------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-2.0, -0.3, 0.4, 3.0])
@pytest.mark.parametrize("activation", HIDDEN)
def test_case_6_hidden_units(activation, z):
    net = MLP((1, 1, 1), activation=activation, dtype="float64")
    net.params[:] = [1.0, 0.0, 2.0, 0.0]  # w1, b1, w2, b2
    out = HIDDEN[activation](z)
    assert net.predict([[z]])[0, 0] == pytest.approx(2 * out, rel=1e-12)
    grad = net.loss_and_grad([[z]], [1.0])[1]
    delta = (2 * out - 1) * 2 * SLOPES[activation](out)
    assert grad[1] == pytest.approx(delta, rel=1e-12)
    assert grad[0] == pytest.approx(delta * z, rel=1e-12)


MATCHED = {
    "linear, squared error": ("squared_error", "identity", [[0.3, -1.2, 2.0]]),
    "sigmoid, binary cross-entropy": ("binary_cross_entropy", "sigmoid", [[1.0, 0.0, 1.0]]),
    "softmax, cross-entropy": ("cross_entropy", "softmax", [[0.0, 0.0, 1.0]]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("pair", MATCHED)
def test_case_6_delta_is_output_minus_target(pair, dtype):
    loss, activation, target = MATCHED[pair]
    net = MLP((4, 5, 3), loss=loss, dtype=dtype, seed=SEED)
    assert net.activations[-1] == activation  # what the loss takes by itself
    X = np.random.default_rng(SEED).normal(size=(1, 4))
    delta = net.loss_and_grad(X, target)[1][-3:]  # of the biases of the outputs
    rtol = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(delta, net.predict(X)[0] - target[0], rtol=rtol, atol=1e-7)
    assert np.abs(delta).min() > 0.01


def test_case_6_delta_of_a_pair_that_does_not_match():
    net = MLP((4, 3), output_activation="sigmoid", dtype="float64", seed=SEED)
    X, target = np.ones((1, 4)), np.array([1.0, 0.0, 1.0])
    out = net.predict(X)[0]
    delta = net.loss_and_grad(X, [target])[1][-3:]
    np.testing.assert_allclose(delta, (out - target) * out * (1 - out), rtol=1e-12)


# ---- gradient descent ---------------------------------------------------------------------------


def plane(rows=12):
    """A linear regression of two features without noise: y = 2 x1 - x2 + 0.5."""
    X = np.random.default_rng(SEED).normal(size=(rows, 2))
    return X, X @ [2.0, -1.0] + 0.5


def descend(batches, rate, epochs=1, momentum=0.0):
    """Gradient descent on 1/2 mean (w.x + b - y)^2 written out; weights and bias as one array."""
    X, y = plane()
    rows = np.column_stack([X, np.ones(len(X))])
    w, velocity = np.zeros(3), np.zeros(3)
    for _ in range(epochs):
        for batch in batches:
            gradient = rows[batch].T @ (rows[batch] @ w - y[batch]) / len(batch)
            velocity = momentum * velocity - rate * gradient
            w = w + velocity
    return w


@long_uncompiled
@pytest.mark.parametrize("batch_size", [12, 1, 5], ids=["full-batch", "stochastic", "mini-batch"])
def test_case_6_gradient_descent(batch_size):
    (X, y), order = plane(), np.arange(12)
    batches = [order[start : start + batch_size] for start in range(0, 12, batch_size)]
    net = MLP((2, 1), optimizer=SGD(0.1), weight_init="zeros", dtype="float64")
    net.fit(X, y, epochs=3, batch_size=batch_size, shuffle=False)
    np.testing.assert_allclose(net.params, descend(batches, 0.1, epochs=3), rtol=1e-10)
    net.fit(X, y, epochs=1500, batch_size=batch_size)
    np.testing.assert_allclose(net.params, [2.0, -1.0, 0.5], rtol=1e-8)


RATES = {"too small": 1e-3, "good": 0.9, "divergent": 2.1}
"""In units of 1 / the largest curvature: gradient descent converges below 2."""


@long_uncompiled
@pytest.mark.parametrize("kind", RATES)
def test_case_6_learning_rate(kind):
    X, y = plane()
    rows = np.column_stack([X, np.ones(12)])
    curvatures, axes = np.linalg.eigh(rows.T @ rows / 12)
    rate, epochs = RATES[kind] / curvatures[-1], 40
    net = MLP((2, 1), optimizer=SGD(rate), weight_init="zeros", dtype="float64")
    first = net.loss(X, y)
    net.fit(X, y, epochs=epochs, batch_size=12)
    # Along each axis of the quadratic the error shrinks or grows by the same factor each step.
    start = axes.T @ -np.array([2.0, -1.0, 0.5])
    error = axes @ (start * (1 - rate * curvatures) ** epochs)
    np.testing.assert_allclose(net.params - [2.0, -1.0, 0.5], error, rtol=1e-6, atol=1e-12)
    loss = net.loss(X, y)
    if kind == "too small":
        assert 0.9 * first < loss < first
    elif kind == "good":
        assert loss < 1e-3 * first
    else:
        assert loss > 100 * first
        with pytest.warns(DivergenceWarning, match="not finite"):
            net.fit(X, y, epochs=100_000, batch_size=12)
        assert np.isfinite(net.params).all()


def test_case_6_momentum():
    (X, y), whole = plane(), [np.arange(12)]
    net = MLP((2, 1), optimizer=SGD(0.05, momentum=0.9), weight_init="zeros", dtype="float64")
    net.fit(X, y, epochs=7, batch_size=12)
    expected = descend(whole, 0.05, epochs=7, momentum=0.9)
    np.testing.assert_allclose(net.params, expected, rtol=1e-10)


def test_case_6_momentum_crosses_a_narrow_valley_sooner():
    X, y = plane()
    X = X * [1.0, 0.05]  # curvatures that are far apart
    losses = {}
    for momentum in (0.0, 0.9):
        net = MLP((2, 1), optimizer=SGD(0.3, momentum), weight_init="zeros", dtype="float64")
        net.fit(X, y, epochs=300, batch_size=12)
        losses[momentum] = net.loss(X, y)
    assert losses[0.9] < losses[0.0] / 10


# ---- beginnings and checks ----------------------------------------------------------------------


def test_case_6_weights_start_small_and_random_and_biases_at_zero():
    net = MLP((50, 40, 10), activation="tanh", seed=SEED)
    for weights in net.weights:
        limit = np.sqrt(6 / sum(weights.shape))
        assert np.abs(weights).max() <= limit < 0.36
        assert len(np.unique(weights)) > 0.99 * weights.size
        assert abs(weights.mean()) < 5 * limit / np.sqrt(3 * weights.size)
    assert not np.concatenate(net.biases).any()
    net.biases[0][...] = 0.1  # or small and positive
    assert net.params[50 * 40 : 50 * 40 + 40].tolist() == [np.float32(0.1)] * 40


def test_case_6_units_that_start_alike_stay_alike():
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(30, 2))
    nets = [
        MLP((2, 3, 1), activation="tanh", weight_init=init, seed=0)
        for init in (lambda generator, shape: np.full(shape, 0.5), "auto")
    ]
    for net in nets:
        net.fit(X, X[:, 0] * X[:, 1], epochs=50)
    alike, random = (np.ptp(net.weights[0], axis=1).max() for net in nets)
    assert alike < 1e-6
    assert random > 0.1


def test_case_6_gradient_check():
    rng = np.random.default_rng(SEED)
    X, y = rng.normal(size=(6, 3)), rng.integers(2, size=6)
    net = MLP((3, 4, 2), activation="sigmoid", loss="cross_entropy", dtype="float64", seed=SEED)
    grad, step = net.loss_and_grad(X, y)[1], 1e-5
    for i in range(net.params.size):
        kept = net.params[i]
        net.params[i] = kept + step
        above = net.loss(X, y)
        net.params[i] = kept - step
        below = net.loss(X, y)
        net.params[i] = kept
        assert (above - below) / (2 * step) == pytest.approx(grad[i], rel=1e-6, abs=1e-9)
    check = gradcheck(net, X, y)
    assert (check.checked, check.skipped) == (net.params.size, 0)
    assert check.error < 1e-7


# ---- Nielsen's chapter --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "before", "after"), [((0.6, 0.9), 0.82, 0.09), ((2.0, 2.0), 0.98, 0.20)]
)
def test_case_6_a_saturated_unit_learns_slowly_by_squared_error(start, before, after):
    net = MLP((1, 1), output_activation="sigmoid", optimizer=SGD(0.15), dtype="float64")
    net.params[:] = start
    assert round(float(net.predict([[1.0]])[0, 0]), 2) == before
    net.fit([[1.0]], [0.0], epochs=300)
    assert round(float(net.predict([[1.0]])[0, 0]), 2) == after


def test_case_6_cross_entropy_does_not_slow_down():
    slopes = {}
    for loss in ("squared_error", "binary_cross_entropy"):
        net = MLP((1, 1), output_activation="sigmoid", loss=loss, dtype="float64")
        net.params[:] = 2.0
        slopes[loss] = net.loss_and_grad([[1.0]], [0.0])[1][0]
    out = 1 / (1 + np.exp(-4.0))
    assert slopes["binary_cross_entropy"] == pytest.approx(out, rel=1e-12)
    assert slopes["squared_error"] == pytest.approx(out * out * (1 - out), rel=1e-12)


@pytest.mark.parametrize(("l1", "l2"), [(0.05, 0.0), (0.0, 0.2), (0.05, 0.2)])
def test_case_6_l1_and_l2_shrink_the_weights(l1, l2):
    options = {"activation": "tanh", "optimizer": SGD(0.1), "dtype": "float64", "seed": SEED}
    plain, penalized = MLP((2, 3, 1), **options), MLP((2, 3, 1), l1=l1, l2=l2, **options)
    X, y = plane()
    before = [weights.copy() for weights in plain.weights]
    plain.step(X, y)
    penalized.step(X, y)
    for with_it, without, w in zip(penalized.weights, plain.weights, before, strict=True):
        expected = without - 0.1 * (l1 * np.sign(w) + l2 * w)
        np.testing.assert_allclose(with_it, expected, rtol=1e-12)
    for with_it, without in zip(penalized.biases, plain.biases, strict=True):
        np.testing.assert_allclose(with_it, without, rtol=1e-12)  # biases are not penalised
    plain.fit(X, y, epochs=300, batch_size=12)
    penalized.fit(X, y, epochs=300, batch_size=12)
    sizes = [sum((w**2).sum() for w in net.weights) for net in (plain, penalized)]
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.slow
@long_uncompiled
def test_case_6_dropout_of_half_the_units():
    net = MLP(
        (1, 4, 1), activation="identity", bias=False, optimizer=SGD(1e-12), dropout=0.5,
        dtype="float64", seed=SEED,
    )  # fmt: skip
    net.params[:4], net.params[4:] = 1.0, 0.25
    losses = np.array([net.step([[1.0]], [0.0]) for _ in range(4000)])
    outputs = np.sqrt(2 * losses)
    kept = np.round(outputs * 2).astype(int)  # of four units, each scaled up to twice its output
    np.testing.assert_allclose(outputs, kept / 2, atol=1e-6)
    shares = np.bincount(kept, minlength=5) / 4000
    np.testing.assert_allclose(shares, np.array([1, 4, 6, 4, 1]) / 16, atol=0.03)  # 4 sigma
    assert net.predict([[1.0]])[0, 0] == pytest.approx(1.0, abs=1e-6)  # all units


# ---- ID2223's program in Keras ------------------------------------------------------------------


@long_uncompiled
def test_case_6_keras_program_layer_by_layer():
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(400, 2))
    y = np.column_stack([X[:, 0] > 0, X[:, 1] > 0, X.sum(axis=1) > 0])
    net = MLP(
        [Dense(4, "sigmoid"), Dense(3, "sigmoid")],
        n_inputs=2, loss="binary_cross_entropy", optimizer=SGD(0.3), seed=0,
    )  # fmt: skip
    history = net.fit(X, y, epochs=100, metrics="accuracy")
    assert [w.shape for w in net.weights] == [(2, 4), (4, 3)]
    assert net.activations == ("sigmoid", "sigmoid")
    assert len(history) == 100
    assert history["accuracy"][-1] == ((net.predict(X) > 0.5) == y).mean() > 0.97
