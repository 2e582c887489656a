"""Gradients of every loss x activation x dtype against a complex step and central differences."""

from __future__ import annotations

import itertools

import numpy as np
import oracle
import pytest
from helpers import DTYPES, counts

from fastbp import MLP
from fastbp.kernels import workspace
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.kernels.layout import GRADIENT, N_COLUMNS
from fastbp.kernels.workspace import BY_INPUTS, BY_OUTPUTS, BY_TILES, INPUT_GROUP
from fastbp.model.losses import LOSSES, Huber, Quantile

pytestmark = pytest.mark.promise("gradients")
NETS = counts(20, 200, 5)
PARTIALS = counts(100, 400, 40)  # of each net
SEEDS = range(NETS)
TRAINABLE = {name: traits for name, traits in ACTIVATIONS.items() if traits.trainable}
HIDDEN = tuple(name for name, traits in TRAINABLE.items() if traits.hidden)
OUTPUTS = [
    *(("squared_error", name) for name in TRAINABLE),
    *(
        (name, loss.activation)
        for name, loss in LOSSES.items()
        if name not in ("squared_error", "huber")
    ),
    ("huber", "tanh"),
    ("binary_cross_entropy smoothed", "sigmoid"),
    ("cross_entropy with labels", "softmax"),
    ("cross_entropy with labels smoothed", "softmax"),
]
CROSS_ENTROPIES = [output for output in OUTPUTS if "cross_entropy" in output[0]]
# Every loss with every hidden activation; every other output with one of them.
MAIN = [output for output in OUTPUTS if output[0] != "squared_error" or output[1] == "identity"]
PAIRS = [
    *itertools.product(HIDDEN, MAIN),
    *zip(itertools.cycle(HIDDEN), [o for o in OUTPUTS if o not in MAIN], strict=False),
]


def loss_object(output, n_out):
    """The loss with hyper-parameters that are not its defaults."""
    name = output[0].split()[0]
    if name == "huber":
        return Huber(0.7)
    if name == "quantile":
        return Quantile(np.linspace(0.1, 0.9, n_out))
    return LOSSES[name](0.1) if "smoothed" in output[0] else LOSSES[name]()


def random_net(rng, sizes, hidden, output, dtype, bias=True, **options):
    """A net with random parameters, biases too; nothing in it is zero or symmetric."""
    net = MLP(
        sizes,
        activation=hidden,
        output_activation=output[1],
        loss=loss_object(output, sizes[-1]),
        dtype=dtype,
        bias=bias,
        seed=int(rng.integers(2**31)),
        **options,
    )
    for biases in net.biases:
        biases[...] = rng.normal(scale=0.3, size=biases.shape)
    return net


def random_data(rng, net, output, rows):
    """Inputs, the targets for fastbp and the same as a matrix."""
    X = rng.normal(size=(rows, net.layer_sizes[0])).astype(net.dtype)
    n_out = net.layer_sizes[-1]
    if "labels" in output[0]:
        labels = rng.integers(n_out, size=rows)
        return X, labels, oracle.one_hot(labels, n_out)
    if output[0].startswith("binary"):
        T = rng.uniform(size=(rows, n_out))
    elif output[0].startswith("cross"):
        T = rng.dirichlet(np.ones(n_out), size=rows)
    elif output[0] == "hinge":
        T = rng.choice([-1.0, 1.0], size=(rows, n_out))
    elif output[0] == "poisson":
        T = rng.poisson(1.5, size=(rows, n_out)).astype(float)
    elif output[0] == "gamma":
        T = rng.gamma(2.0, size=(rows, n_out)) + 0.01
    else:
        T = rng.normal(size=(rows, n_out))
    T = T.astype(net.dtype)
    return X, T, T


def random_weights(rng, rows):
    """Sample weights, some of them 0."""
    weights = rng.gamma(1.0, size=rows)
    weights[1:][rng.random(rows - 1) < 0.25] = 0
    return weights


def relative(got, expected):
    """Largest error relative to each partial, or to 1e-3 of the largest one."""
    largest = np.abs(expected).max()
    assert largest > 1e-6, "the gradient that is checked is all zero"
    return (np.abs(got - expected) / np.maximum(np.abs(expected), 1e-3 * largest)).max()


def smooth(net):
    return "relu" not in net.activations and not net.spec.loss.kinked


def check_float64(net, X, y, T, rng, weights=None):
    """Against the oracle, a complex step and central differences."""
    loss, grad = net.loss_and_grad(X, y, weights)
    description = oracle.net_of(net)
    assert grad.shape == net.params.shape
    assert grad.dtype == net.dtype
    assert net.loss(X, y, weights) == loss
    expected_loss, expected = oracle.loss_and_grad(description, net.params, X, T, weights)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert relative(grad, expected) < 1e-10
    outputs = oracle.forward(description, net.params, X)[1][-1]
    np.testing.assert_allclose(net.predict(X), outputs, rtol=1e-10, atol=1e-12)
    chosen = rng.permutation(net.params.size)[:PARTIALS]
    largest = np.abs(grad).max()
    if smooth(net):
        exact = oracle.complex_step(description, net.params, X, T, chosen, weights)
        floor = np.maximum(np.abs(exact), 1e-3 * largest)
        assert (np.abs(grad[chosen] - exact) / floor).max() < 1e-10
    numeric = oracle.central_differences(
        description, net.params, X, T, chosen, sample_weight=weights
    )
    kept = ~np.isnan(numeric)
    assert kept.sum() > len(chosen) // 4  # kinks are skipped
    floor = np.maximum(np.abs(numeric), 1e-3 * largest)
    assert (np.abs(grad[chosen] - numeric) / floor)[kept].max() < 1e-6
    return kept.sum()


def check_float32(net, X, y, T, weights=None):
    """Against the oracle in float64 on the same numbers."""
    loss, grad = net.loss_and_grad(X, y, weights)
    wide = net.params.astype(np.float64)
    expected_loss, expected = oracle.loss_and_grad(
        oracle.net_of(net), wide, X.astype(np.float64), T.astype(np.float64), weights
    )
    assert grad.dtype == np.float32
    assert net.loss(X, y, weights) == loss
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
    l1, l2 = rng.choice([0.0, 0.0, 0.01, 0.1], size=2)
    net = random_net(rng, sizes, hidden, output, dtype, bias, l1=l1, l2=l2)
    rows = int(rng.choice([1, 2, 7, 16, 33, 100]))
    X, y, T = random_data(rng, net, output, rows)
    plain = oracle.net_of(net)._replace(l1=0.0, l2=0.0)
    if np.abs(oracle.loss_and_grad(plain, net.params, X, T)[1]).max() < 1e-3:
        X, y, T = random_data(rng, net, output, 33)  # all ReLUs were off, or one-class softmax
        if np.abs(oracle.loss_and_grad(plain, net.params, X, T)[1]).max() < 1e-3:
            net.params[...] = rng.uniform(0.1, 1.0, size=net.params.size)
            X = np.abs(X)
    weights = random_weights(rng, len(X)) if rng.integers(2) else None
    if dtype == "float64":
        partials = check_float64(net, X, y, T, rng, weights)
        assert partials > 0
        tally["partials"] += int(partials)
    else:
        check_float32(net, X, y, T, weights)
    tally["nets"] += 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [512, 513, 1000, 3 * 256 + 5])
@pytest.mark.parametrize("output", CROSS_ENTROPIES, ids="-".join)
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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [70, 257])
def test_many_inputs_are_laid_out_in_groups(rows, dtype):
    """Each group is shorter than the batch, and the last one shorter than the others."""
    rng, output = np.random.default_rng(rows), ("squared_error", "identity")
    net = random_net(rng, (1101, 13, 2), "tanh", output, dtype)
    X, y, T = random_data(rng, net, output, rows)
    places = net.workspace(rows, True).work.places
    assert 0 < places[INPUT_GROUP] < rows
    assert rows % places[INPUT_GROUP]
    wide = net.params.astype(np.float64)
    expected_loss, expected = oracle.loss_and_grad(
        oracle.net_of(net), wide, X.astype(np.float64), T.astype(np.float64)
    )
    loss, grad = net.loss_and_grad(X, y)
    bound = 1e-11 if dtype == "float64" else 1e-4
    assert loss == pytest.approx(expected_loss, rel=bound)
    assert np.linalg.norm(grad - expected) <= bound * np.linalg.norm(expected)
    outputs = oracle.forward(oracle.net_of(net), wide, X.astype(np.float64))[1][-1]
    np.testing.assert_allclose(net.predict(X), outputs, rtol=bound, atol=bound)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [33, 64, 600])
@pytest.mark.parametrize("path", [BY_TILES, BY_OUTPUTS, BY_INPUTS])
def test_every_way_to_the_gradient_of_weights(path, rows, dtype, monkeypatch):
    """Odd and even numbers of rows, fewer than lanes and more, in one pass and in three."""
    monkeypatch.setattr(workspace, "gradient_path", lambda *sizes: (path, 0))
    rng, output = np.random.default_rng([rows, path]), ("squared_error", "identity")
    for sizes in ((5, 37, 4, 1), (18, 16, 3), (2, 29)):
        net = random_net(rng, sizes, "tanh", output, dtype)
        X, y, T = random_data(rng, net, output, rows)
        assert (
            net.workspace(rows, True).network.layers.reshape(-1, N_COLUMNS)[:, GRADIENT] == path
        ).all()
        if dtype == "float64":
            check_float64(net, X, y, T, rng)
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
@pytest.mark.parametrize("output", CROSS_ENTROPIES, ids="-".join)
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


def test_every_loss_meets_every_activation():
    assert {(hidden, name.split()[0]) for hidden, (name, _) in PAIRS} == set(
        itertools.product(HIDDEN, LOSSES)
    )


@pytest.mark.parametrize("output", OUTPUTS, ids="-".join)
def test_the_oracle_agrees_with_itself(output):
    """Its backpropagation with central differences of its loss."""
    rng = np.random.default_rng(11)
    net = oracle.Net((4, 5, 3), ("tanh", output[1]), loss_object(output, 3), True, 0.01, 0.1)
    params, weights = rng.normal(scale=0.5, size=43), random_weights(rng, 9)
    shape = random_net(rng, (4, 5, 3), "tanh", OUTPUTS[0], "float64")  # of the data
    X, _, T = random_data(rng, shape, output, 9)
    _, grad = oracle.loss_and_grad(net, params, X, T, weights)
    chosen = rng.permutation(43)[: counts(43, 43, 10)]
    numeric = oracle.central_differences(net, params, X, T, chosen, sample_weight=weights)
    kept = ~np.isnan(numeric)
    assert kept.sum() > len(chosen) // 2
    np.testing.assert_allclose(grad[chosen][kept], numeric[kept], rtol=1e-6, atol=1e-9)
