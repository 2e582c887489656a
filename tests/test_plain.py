"""Plain backpropagation: the fast kernels against it, and itself against other derivatives."""

from __future__ import annotations

import doctest
import itertools
import math
import subprocess
import sys

import numba
import numpy as np
import pytest
from helpers import DTYPES, counts

from fastbp import MLP, SGD, Adam, plain
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.kernels.losses import BINARY_CROSS_ENTROPY, CROSS_ENTROPY, SQUARED_ERROR

pytestmark = pytest.mark.slow  # the loops have no cache: it compiles each of them

HIDDEN = ("identity", "sigmoid", "tanh", "relu")
OUTPUTS = [
    *(("squared_error", name) for name in (*HIDDEN, "softmax")),
    ("binary_cross_entropy", "sigmoid"),
    ("cross_entropy", "softmax"),
]
CASES = list(enumerate(itertools.product(HIDDEN, OUTPUTS)))  # the number is the seed
WIDEST = counts(40, 80, 6)
OPTIMIZERS = (SGD(0.05), SGD(0.05, momentum=0.9), Adam(0.01), Adam(0.02, 0.8, 0.9, 1e-4))

each_case = pytest.mark.parametrize(
    ("seed", "functions"),
    CASES,
    ids=lambda x: str(x) if isinstance(x, int) else "-".join((x[0], *x[1])),
)


def random_case(seed, functions, dtype, optimizer="sgd"):
    """A net of random depth and widths with one of four hidden activations at least, and data."""
    rng = np.random.default_rng(seed)
    hidden, (loss, output) = functions
    more = rng.choice(HIDDEN, size=int(rng.integers(3)))
    sizes = rng.integers(1, WIDEST, size=len(more) + 3)
    sizes[-1] += output == "softmax"  # one class has no gradient
    net = MLP(
        sizes.tolist(), activation=(hidden, *more.tolist()), output_activation=output, loss=loss,
        optimizer=optimizer, dtype=dtype, bias=bool(rng.integers(2)), seed=seed,
    )  # fmt: skip
    for biases in net.biases:
        biases[...] = rng.normal(scale=0.3, size=biases.shape)
    rows = int(rng.choice([1, 2, 7, 16, 33]))
    X = rng.normal(size=(rows, sizes[0])).astype(dtype)
    if loss == "cross_entropy":
        T = rng.dirichlet(np.ones(sizes[-1]), size=rows)
    elif loss == "binary_cross_entropy":
        T = rng.uniform(size=(rows, sizes[-1]))
    else:
        T = rng.normal(size=(rows, sizes[-1]))
    T = T.astype(dtype)
    if np.abs(net.loss_and_grad(X, T)[1]).max() < 1e-3:  # the ReLUs of a whole layer are off
        return random_case(seed + len(CASES), functions, dtype, optimizer)
    return net, X, T


def plain_of(net):
    """The same net for `plain`, with parameters and workspace of its own."""
    codes = np.array([ACTIVATIONS[name].code for name in net.activations])
    same = plain.Net(np.array(net.layer_sizes), codes, net.spec.loss.code, net.bias)
    return same, net.params.copy()


def loss_and_grad(net, params, X, T):
    """Loss, gradient and derivatives by the inputs, by `plain`."""
    work = plain.workspace(params, net, len(X))
    plain.forward(work, params, net, X)
    loss = plain.loss_and_delta(work, net, T)
    plain.backward(work, params, net, len(X))
    return loss, work.grad, plain.values(work.dy, net, 0, len(X))


def train(net, params, X, T, optimizer, steps):
    """Losses before each update by `plain`; the parameters are changed."""
    work = plain.workspace(params, net, len(X))
    losses = []
    for step in range(1, steps + 1):
        plain.forward(work, params, net, X)
        losses.append(plain.loss_and_delta(work, net, T))
        plain.backward(work, params, net, len(X))
        if isinstance(optimizer, SGD):
            plain.sgd(params, work.m, work.grad, optimizer.learning_rate, optimizer.momentum)
        else:
            o = optimizer
            plain.adam(
                params, work.m, work.v, work.grad, step, o.learning_rate, o.beta_1, o.beta_2,
                o.epsilon,
            )  # fmt: skip
    return losses


def complex_step(net, params, X, T):
    """The gradient from losses alone, to rounding."""
    h = 1e-30
    moved = params.astype(np.complex128)
    work = plain.workspace(moved, net, len(X))
    found = np.empty(len(params))
    for i in range(len(params)):
        moved[i] += 1j * h
        plain.forward(work, moved, net, X)
        found[i] = plain.loss_and_delta(work, net, T).imag / h
        moved[i] = params[i]
    return found


# ---- the fast kernels against it ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@each_case
def test_fast_loss_and_gradient(seed, functions, dtype):
    net, X, T = random_case(seed, functions, dtype)
    same, params = plain_of(net)
    expected_loss, expected, _ = loss_and_grad(same, params, X, T)
    loss, grad = net.loss_and_grad(X, T)
    exact = 1e-13 if dtype == "float64" else 1e-5
    assert loss == pytest.approx(expected_loss, rel=exact)
    assert grad.dtype == expected.dtype == dtype
    np.testing.assert_allclose(grad, expected, rtol=0, atol=exact * np.abs(expected).max())
    work = plain.workspace(params, same, len(X))
    outputs = plain.forward(work, params, same, X)
    np.testing.assert_allclose(net.predict(X), outputs, rtol=exact, atol=exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("case", CASES[:: counts(4, 1)], ids=lambda case: f"seed{case[0]}")
def test_fast_updates(case, optimizer, dtype):
    net, X, T = random_case(*case, dtype, optimizer)
    same, params = plain_of(net)
    start = params.copy()
    expected = train(same, params, X, T, optimizer, steps=5)
    losses = [net.step(X, T) for _ in range(5)]
    exact = 1e-11 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(losses, expected, rtol=exact)
    np.testing.assert_allclose(net.params, params, rtol=exact, atol=exact)
    assert np.abs(params - start).max() > 1e-3


def test_every_function_is_here():
    """All losses and activations that `plain` takes from the kernels."""
    codes = {name for name in ACTIVATIONS if hasattr(plain, name.upper())}
    assert codes == {*HIDDEN, "softmax"}
    assert {loss.upper() for loss, _ in OUTPUTS} == {
        n for n in vars(plain) if n.endswith(("ERROR", "ENTROPY"))
    }


# ---- itself against other derivatives -----------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False], ids=["biases", "none"])
@pytest.mark.parametrize("output", OUTPUTS, ids="-".join)
def test_gradient_by_complex_step(output, bias):
    rng = np.random.default_rng(3)
    loss, activation = output
    net = MLP(
        (3, 4, 5, 3, 4, 2), activation=HIDDEN, output_activation=activation, loss=loss, bias=bias,
        dtype="float64", seed=3,
    )  # fmt: skip
    same, params = plain_of(net)
    params += rng.normal(scale=0.3, size=len(params))
    X = rng.normal(size=(6, 3))
    T = rng.dirichlet(np.ones(2), size=6)
    _, grad, _ = loss_and_grad(same, params, X, T)
    assert np.abs(grad).max() > 1e-3
    np.testing.assert_allclose(grad, complex_step(same, params, X, T), rtol=1e-11, atol=1e-15)


def test_derivatives_by_the_inputs():
    """Its `dy` of layer 0, by central differences."""
    net, X, T = random_case(3, ("tanh", ("squared_error", "softmax")), "float64")
    same, params = plain_of(net)
    _, _, dx = loss_and_grad(same, params, X, T)
    dx = dx.copy()
    for index in list(np.ndindex(X.shape))[: counts(20, 200, 5)]:
        sides = []
        for h in (1e-5, -1e-5):
            moved = X.copy()
            moved[index] += h
            sides.append(loss_and_grad(same, params, moved, T)[0])
        assert dx[index] == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-6, abs=1e-9)


# ---- values by hand -----------------------------------------------------------------------------


def test_a_unit_by_hand():
    """z = 2 * 3 + 1 = 7, E = (7 - 5)^2 / 2 = 2, dz = 2, dw = 2 * 3, db = 2, dx = 2 * 2."""
    net = plain.Net(np.array([1, 1]), np.array([plain.IDENTITY]), SQUARED_ERROR, True)
    loss, grad, dx = loss_and_grad(net, np.array([2.0, 1.0]), np.array([[3.0]]), np.array([[5.0]]))
    assert (loss, grad.tolist(), dx.tolist()) == (2.0, [6.0, 2.0], [[4.0]])


def test_momentum_and_adam_by_hand():
    params, u = np.zeros(2), np.zeros(2)
    for expected in (-0.5, -1.25):
        plain.sgd(params, u, np.array([1.0, -1.0]), 0.5, 0.5)
        assert params.tolist() == [expected, -expected]
    params, m, v = np.zeros(2), np.zeros(2), np.zeros(2)
    for step in (1, 2, 3):  # a constant gradient has steps of the rate
        plain.adam(params, m, v, np.array([3.0, -1e-3]), step, 0.25, 0.9, 0.999, 1e-12)
        np.testing.assert_allclose(params, [-0.25 * step, 0.25 * step], rtol=1e-8)


def test_huge_net_inputs():
    """Losses stay finite and exact where a probability rounds to 0 or 1."""
    z, t = np.array([[1000.0, -1000.0]]), np.array([[0.0, 1.0]])
    for loss, activation, expected in (
        (plain.binary_cross_entropy, plain.SIGMOID, 2000.0),
        (plain.cross_entropy, plain.SOFTMAX, 2000.0),
    ):
        y, dz = np.empty((1, 2)), np.empty((1, 2))
        with np.errstate(over="ignore"):
            plain.activation_forward(y, z, activation)
        assert loss(dz, y, z, t) == expected
        assert dz.tolist() == [[1.0, -1.0]]


def test_fewer_rows_than_the_workspace_has():
    net, X, T = random_case(0, ("relu", ("cross_entropy", "softmax")), "float64")
    same, params = plain_of(net)
    work = plain.workspace(params, same, len(X) + 3)
    plain.forward(work, params, same, X)
    assert plain.loss_and_delta(work, same, T) == loss_and_grad(same, params, X, T)[0]


@pytest.mark.parametrize(
    ("activation", "loss", "message"),
    [
        (plain.TANH, BINARY_CROSS_ENTROPY, "other outputs"),
        (plain.SIGMOID, CROSS_ENTROPY, "other outputs"),
        (plain.TANH, 99, "unknown loss"),
        (ACTIVATIONS["gelu"].code, SQUARED_ERROR, "unknown activation"),
    ],
)
def test_unknown_codes(activation, loss, message):
    net = plain.Net(np.array([1, 1]), np.array([activation]), loss, True)
    with pytest.raises(ValueError, match=message):
        loss_and_grad(net, np.array([2.0, 1.0]), np.array([[3.0]]), np.array([[5.0]]))


# ---- for whoever calls it -----------------------------------------------------------------------


@numba.njit
def compiled_loop(params, net, X, T, steps):
    """Somebody's own compiled training loop."""
    work = plain.workspace(params, net, len(X))
    loss = math.inf
    for step in range(1, steps + 1):
        loss = plain.train_step(params, work, net, X, T, step, 0.01)
    return loss


def test_from_compiled_code():
    net, X, T = random_case(1, ("tanh", ("squared_error", "identity")), "float64")
    same, params = plain_of(net)
    mine = params.copy()
    loss = compiled_loop(mine, same, X, T, 7)
    assert loss == train(same, params, X, T, Adam(0.01), steps=7)[-1]
    assert mine.tobytes() == params.tobytes()


def test_its_example_learns_exclusive_or():
    result = doctest.testmod(plain)
    assert result.attempted > 5
    assert result.failed == 0


def test_fastbp_does_not_import_it():
    code = "import sys, fastbp; sys.exit('fastbp.plain' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
