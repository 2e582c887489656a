"""Initial weights: their range, their spread, and what decides them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fastbp import MLP
from fastbp.model.initializers import WEIGHT_INITS, draw_weights

SHAPE = (300, 200)
GLOROT, HE, LECUN = np.sqrt(6 / 500), np.sqrt(6 / 300), np.sqrt(3 / 300)


@pytest.mark.parametrize(
    ("weight_init", "activation", "limit"),
    [
        ("glorot", "relu", GLOROT),
        ("glorot", "tanh", GLOROT),
        ("he", "relu", HE),
        ("he", "tanh", HE),
        ("auto", "relu", HE),
        ("auto", "tanh", GLOROT),
        ("auto", "sigmoid", GLOROT),
        ("auto", "identity", GLOROT),
        ("auto", "softmax", GLOROT),
        ("auto", "step", GLOROT),
        ("auto", "silu", HE),
        ("glorot_uniform", "relu", GLOROT),
        ("he_uniform", "tanh", HE),
        ("lecun", "relu", LECUN),
        ("lecun_uniform", "tanh", LECUN),
    ],
)
def test_uniform_within_its_limit(weight_init, activation, limit):
    weights = draw_weights(np.random.default_rng(0), SHAPE, weight_init, activation)
    assert weights.shape == SHAPE
    assert 0.999 * limit < weights.max() <= limit
    assert -limit <= weights.min() < -0.999 * limit
    assert abs(weights.mean()) < 4 * limit / np.sqrt(3 * weights.size)
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


@pytest.mark.parametrize(
    ("weight_init", "activation", "variance"),
    [
        ("glorot_normal", "relu", 2 / 500),
        ("he_normal", "tanh", 2 / 300),
        ("lecun_normal", "relu", 1 / 300),
        ("auto", "selu", 1 / 300),
    ],
)
def test_normal_with_its_variance(weight_init, activation, variance):
    weights = draw_weights(np.random.default_rng(0), SHAPE, weight_init, activation)
    assert weights.shape == SHAPE
    assert weights.var() == pytest.approx(variance, rel=0.02)
    assert abs(weights.mean()) < 4 * np.sqrt(variance / weights.size)
    assert (weights**4).mean() == pytest.approx(3 * variance**2, rel=0.06)  # of a normal one


@pytest.mark.parametrize("shape", [(7, 4), (4, 7), (5, 5), (1, 3), (3, 1)])
def test_orthogonal(shape):
    weights = draw_weights(np.random.default_rng(1), shape, "orthogonal", "tanh")
    assert weights.shape == shape
    product = weights.T @ weights if shape[0] >= shape[1] else weights @ weights.T
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-14)
    signs = [
        np.sign(draw_weights(np.random.default_rng(seed), (3, 3), "orthogonal", "relu"))
        for seed in range(200)
    ]
    assert np.abs(np.mean(signs, axis=0)).max() < 0.3  # of either sign, each of them


def test_zeros():
    assert not draw_weights(np.random.default_rng(0), SHAPE, "zeros", "relu").any()
    assert not MLP((3, 4, 1), weight_init="zeros", seed=0).params.any()


def test_names():
    assert WEIGHT_INITS == (
        "auto",
        "glorot",
        "glorot_uniform",
        "glorot_normal",
        "he",
        "he_uniform",
        "he_normal",
        "lecun",
        "lecun_uniform",
        "lecun_normal",
        "orthogonal",
        "zeros",
    )
    draws = {
        name: draw_weights(np.random.default_rng(0), (5, 4), name, "tanh").tobytes()
        for name in WEIGHT_INITS
    }
    for name in ("glorot", "he", "lecun"):
        assert draws[name] == draws[f"{name}_uniform"]
    assert len(set(draws.values())) == 12 - 3 - 1  # "auto" is glorot here


@pytest.mark.parametrize(("weight_init", "outputs"), [("glorot", True), ("he", False)])
def test_uniform_draws_to_the_bit(weight_init, outputs):
    generator = np.random.default_rng(7)
    net = MLP((7, 5, 3), weight_init=weight_init, dtype="float64", seed=7)
    for weights in net.weights:
        n_in, n_out = weights.shape
        limit = np.sqrt(6.0 / (n_in + outputs * n_out))
        expected = generator.uniform(-limit, limit, size=(n_in, n_out))
        assert weights.tobytes() == expected.tobytes()


def test_a_function_makes_the_weights():
    seen = []

    def init(generator, shape):
        seen.append(shape)
        return generator.integers(10, size=shape)

    net = MLP((3, 4, 2), weight_init=init, seed=5)
    assert seen == [(3, 4), (4, 2)]
    generator = np.random.default_rng(5)
    for weights, shape in zip(net.weights, seen, strict=True):
        assert weights.tolist() == generator.integers(10, size=shape).tolist()
    assert not any(biases.any() for biases in net.biases)
    # The net does not hold on to the function, so that it can be copied.
    net = MLP((3, 2), weight_init=lambda generator, shape: np.ones(shape))
    assert pickle.loads(pickle.dumps(net)).params.tolist() == [1] * 6 + [0] * 2


def test_arrays_are_the_weights():
    given = [np.arange(12).reshape(3, 4), -np.arange(8.0).reshape(4, 2)]
    for dtype in ("float32", "float64"):
        net = MLP((3, 4, 2), weight_init=given, dtype=dtype)
        assert [w.tolist() for w in net.weights] == [w.tolist() for w in given]
        net.params[:] = 7
    assert given[0].tolist() == np.arange(12).reshape(3, 4).tolist()
    stack = np.arange(8.0).reshape(2, 2, 2)
    assert MLP((2, 2, 2), weight_init=stack).weights[1].tolist() == [[4, 5], [6, 7]]
    assert MLP((2, 1), weight_init=[[[3], [4]]]).weights[0].tolist() == [[3], [4]]


def test_each_layer_has_one_of_its_own():
    given = np.arange(6.0).reshape(2, 3)
    each = ["he_normal", lambda generator, shape: np.full(shape, 5), given]
    net = MLP((7, 4, 2, 3), weight_init=each, dtype="float64", seed=3)
    expected = np.random.default_rng(3).normal(0.0, np.sqrt(2 / 7), size=(7, 4))
    assert net.weights[0].tobytes() == expected.tobytes()
    assert net.weights[1].tolist() == [[5, 5]] * 4
    assert net.weights[2].tolist() == given.tolist()
    assert net.weight_init == "own"
    net = MLP((3, 2, 1), weight_init=["zeros", "auto"], seed=0)
    assert not net.weights[0].any()
    assert net.weights[1].all()
    assert net.weight_init == ("zeros", "auto")
    assert "weight_init=('zeros', 'auto')" in repr(net)


@pytest.mark.parametrize(
    ("weight_init", "error", "words"),
    [
        (["he", "xavier"], ValueError, "weight_init[1] must be one of 'auto', 'glorot', "),
        ("xavier", ValueError, "'orthogonal', 'zeros'; got 'xavier'"),
        (3, TypeError, "a list of one array for each layer; got 3"),
        (None, TypeError, "a list of one array for each layer; got None"),
        ([np.ones((3, 4))], ValueError, "2 layers, of shapes (3, 4), (4, 2); got 1"),
        ([np.ones((3, 4)), np.ones((2, 4))], ValueError, "(4, 2); got shape (2, 4); weights are"),
        ([np.ones(12), np.ones((4, 2))], ValueError, "weight_init[0] must have shape (3, 4)"),
        ([np.full((3, 4), np.nan), np.ones((4, 2))], ValueError, "holds nan at row 0, column 0"),
        (
            [np.full((3, 4), 1e300), np.ones((4, 2))],
            ValueError,
            "1e+300 at row 0, column 0",
        ),
        ([[["a"] * 4] * 3, np.ones((4, 2))], TypeError, "weight_init[0] must hold real numbers"),
        ([[[1], [2, 3]], np.ones((4, 2))], ValueError, "rectangular array of numbers"),
        (lambda g, shape: np.ones((4, 2)), ValueError, "for layer 0 must have shape (3, 4)"),
        (lambda g, shape: np.full(shape, np.inf), ValueError, "for layer 0 holds inf"),
        (lambda g, shape: None, TypeError, "for layer 0 must hold real numbers"),
    ],
)
def test_bad_ones(weight_init, error, words):
    with pytest.raises(error) as caught:
        MLP((3, 4, 2), weight_init=weight_init)
    assert words in str(caught.value)


def test_a_net_takes_the_one_of_each_layer():
    net = MLP((100, 200, 300), activation="relu", loss="cross_entropy", seed=0)
    for weights, limit in zip(net.weights, (np.sqrt(6 / 100), np.sqrt(6 / 500)), strict=True):
        assert 0.99 * limit < np.abs(weights).max() <= limit * (1 + 1e-6)
    for biases in net.biases:
        assert not biases.any()


def test_both_dtypes_get_the_same_net():
    single, double = (MLP((5, 4, 3), dtype=dtype, seed=9) for dtype in ("float32", "float64"))
    assert single.params.tolist() == double.params.astype("float32").tolist()
    assert len(np.unique(double.params)) == 5 * 4 + 4 * 3 + 1  # all differ; biases are 0


def test_seed_decides():
    nets = [MLP((5, 4, 3), seed=seed).params.tobytes() for seed in (0, 0, 1, None, None)]
    assert nets[0] == nets[1]
    assert len(set(nets)) == 4
    assert MLP((5, 3), seed=2**200).params.tobytes() != MLP((5, 3), seed=2**199).params.tobytes()
