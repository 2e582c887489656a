"""Gradients of every loss x activation x dtype against a complex step and central differences."""

from __future__ import annotations

import itertools

import numpy as np
import oracle
import pytest
from conftest import counts

from fastbp import MLP
from fastbp.kernels.activations import HIDDEN_ACTIVATIONS

pytestmark = pytest.mark.promise("gradients")
NETS = counts(20, 200, 5)
PARTIALS = counts(100, 400, 40)  # of each net
SEEDS = range(NETS)
DTYPES = ("float32", "float64")
HIDDEN = tuple(name for name in HIDDEN_ACTIVATIONS if name != "step")
OUTPUTS = [
    *(("squared_error", name) for name in (*HIDDEN, "exp", "softmax")),
    ("binary_cross_entropy", "sigmoid"),
    ("cross_entropy", "softmax"),
    ("cross_entropy with labels", "softmax"),
]
# Every loss with every hidden activation; every other output with one of them.
PAIRS = [
    *itertools.product(HIDDEN, [("squared_error", "identity"), *OUTPUTS[-3:]]),
    *zip(itertools.cycle(HIDDEN), OUTPUTS[1:-3], strict=False),
]


def random_net(rng, sizes, hidden, output, dtype, bias=True):
    """A net with random parameters, biases too; nothing in it is zero or symmetric."""
    net = MLP(
        sizes,
        activation=hidden,
        output_activation=output[1],
        loss=output[0].split()[0],
        dtype=dtype,
        bias=bias,
        seed=int(rng.integers(2**31)),
    )
    for biases in net.biases:
        biases[...] = rng.normal(scale=0.3, size=biases.shape)
    return net


def random_data(rng, net, output, rows):
    """Inputs, the targets for fastbp and the same as a matrix."""
    X = rng.normal(size=(rows, net.layer_sizes[0])).astype(net.dtype)
    n_out = net.layer_sizes[-1]
    if output[0] == "squared_error":
        T = rng.normal(size=(rows, n_out)).astype(net.dtype)
    elif output[0] == "binary_cross_entropy":
        T = rng.uniform(size=(rows, n_out)).astype(net.dtype)
    elif output[0] == "cross_entropy":
        T = rng.dirichlet(np.ones(n_out), size=rows).astype(net.dtype)
    else:
        labels = rng.integers(n_out, size=rows)
        return X, labels, oracle.one_hot(labels, n_out)
    return X, T, T


def relative(got, expected):
    """Largest error relative to each partial, or to 1e-3 of the largest one."""
    largest = np.abs(expected).max()
    assert largest > 1e-6, "the gradient that is checked is all zero"
    return (np.abs(got - expected) / np.maximum(np.abs(expected), 1e-3 * largest)).max()


def smooth(net):
    return "relu" not in net.activations


def check_float64(net, X, y, T, rng):
    """Against the oracle, a complex step and central differences."""
    loss, grad = net.loss_and_grad(X, y)
    description = oracle.net_of(net)
    assert grad.shape == net.params.shape
    assert grad.dtype == net.dtype
    assert net.loss(X, y) == loss
    expected_loss, expected = oracle.loss_and_grad(description, net.params, X, T)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert relative(grad, expected) < 1e-10
    outputs = oracle.forward(description, net.params, X)[1][-1]
    np.testing.assert_allclose(net.predict(X), outputs, rtol=1e-10, atol=1e-12)
    chosen = rng.permutation(net.params.size)[:PARTIALS]
    largest = np.abs(grad).max()
    if smooth(net):
        exact = oracle.complex_step(description, net.params, X, T, chosen)
        floor = np.maximum(np.abs(exact), 1e-3 * largest)
        assert (np.abs(grad[chosen] - exact) / floor).max() < 1e-10
    numeric = oracle.central_differences(description, net.params, X, T, chosen)
    kept = ~np.isnan(numeric)
    assert kept.sum() > len(chosen) // 4  # kinks are skipped
    floor = np.maximum(np.abs(numeric), 1e-3 * largest)
    assert (np.abs(grad[chosen] - numeric) / floor)[kept].max() < 1e-6
    return kept.sum()


def check_float32(net, X, y, T):
    """Against the oracle in float64 on the same numbers."""
    loss, grad = net.loss_and_grad(X, y)
    wide = net.params.astype(np.float64)
    expected_loss, expected = oracle.loss_and_grad(
        oracle.net_of(net), wide, X.astype(np.float64), T.astype(np.float64)
    )
    assert grad.dtype == np.float32
    assert net.loss(X, y) == loss
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    largest = np.abs(expected).max()
    assert largest > 1e-6, "the gradient that is checked is all zero"
    assert np.abs(grad - expected).max() < 1e-5 * largest


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("hidden", "output"), PAIRS, ids=lambda x: x if isinstance(x, str) else "-".join(x)
)
def test_every_loss_and_activation(hidden, output, dtype):
    rng = np.random.default_rng(7)
    net = random_net(rng, (5, 7, 6, 3), hidden, output, dtype)
    X, y, T = random_data(rng, net, output, rows=11)
    if dtype == "float64":
        check_float64(net, X, y, T, rng)
    else:
        check_float32(net, X, y, T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", SEEDS)
def test_random_nets(seed, dtype, tally):
    rng = np.random.default_rng([seed, 1])
    depth = seed % 5
    widest = 40 if counts(1, 1, 0) else 12
    sizes = [int(n) for n in rng.integers(1, widest, size=depth + 2)]
    output = OUTPUTS[rng.integers(len(OUTPUTS))]
    if output[0].startswith("cross") or output[1] == "softmax":
        sizes[-1] = max(2, sizes[-1])
    hidden = tuple(rng.choice(HIDDEN, size=depth))
    bias = bool(rng.integers(2))
    net = random_net(rng, sizes, hidden, output, dtype, bias)
    rows = int(rng.choice([1, 2, 7, 16, 33, 100]))
    X, y, T = random_data(rng, net, output, rows)
    if np.abs(oracle.loss_and_grad(oracle.net_of(net), net.params, X, T)[1]).max() < 1e-3:
        X, y, T = random_data(rng, net, output, 33)  # all ReLUs were off, or one-class softmax
        if np.abs(oracle.loss_and_grad(oracle.net_of(net), net.params, X, T)[1]).max() < 1e-3:
            net.params[...] = rng.uniform(0.1, 1.0, size=net.params.size)
            X = np.abs(X)
    if dtype == "float64":
        partials = check_float64(net, X, y, T, rng)
        assert partials > 0
        tally["partials"] += int(partials)
    else:
        check_float32(net, X, y, T)
    tally["nets"] += 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [512, 513, 1000, 3 * 256 + 5])
@pytest.mark.parametrize("output", OUTPUTS[-3:], ids="-".join)
def test_large_batches_accumulate_over_passes(output, rows, dtype):
    rng = np.random.default_rng(rows)
    net = random_net(rng, (5, 6, 3), "tanh", output, dtype)
    X, y, T = random_data(rng, net, output, rows)
    if dtype == "float64":
        loss, grad = net.loss_and_grad(X, y)
        expected_loss, expected = oracle.loss_and_grad(oracle.net_of(net), net.params, X, T)
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        assert relative(grad, expected) < 1e-10
    else:
        check_float32(net, X, y, T)


def test_frozen_parameters_have_their_gradients_too():
    rng = np.random.default_rng(3)
    net = random_net(rng, (5, 7, 3), "tanh", OUTPUTS[0], "float64")
    X, y, _ = random_data(rng, net, OUTPUTS[0], 9)
    _, grad = net.loss_and_grad(X, y)
    net.freeze(layers=[0])
    _, frozen_grad = net.loss_and_grad(X, y)
    assert frozen_grad.tobytes() == grad.tobytes()
    assert np.abs(grad[net.frozen]).min() > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("output", OUTPUTS[-3:], ids="-".join)
def test_huge_logits_have_finite_losses_and_gradients(output, dtype):
    rng = np.random.default_rng(5)
    net = random_net(rng, (4, 3), (), output, dtype)
    X, y, T = random_data(rng, net, output, 20)
    for size in (1e2, 1e4, 1e6):
        scaled = (X * size).astype(dtype)
        loss, grad = net.loss_and_grad(scaled, y)
        wide = net.params.astype(np.float64)
        expected_loss, expected = oracle.loss_and_grad(
            oracle.net_of(net), wide, scaled.astype(np.float64), T
        )
        assert np.isfinite(loss)
        assert np.isfinite(grad).all()
        tolerance = 1e-4 if dtype == "float32" else 1e-10
        assert loss == pytest.approx(expected_loss, rel=tolerance)
        assert np.abs(grad - expected).max() <= tolerance * np.abs(expected).max()
