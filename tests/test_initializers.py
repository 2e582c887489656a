"""Initial weights: their range, their spread, and what decides them."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP
from fastbp.initializers import WEIGHT_INITS, draw_weights

SHAPE = (300, 200)
GLOROT, HE = np.sqrt(6 / 500), np.sqrt(6 / 300)


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
        ("auto", "leaky_relu", HE),
        ("auto", "elu", HE),
        ("auto", "gelu", HE),
        ("auto", "silu", HE),
        ("auto", "softplus", HE),
        ("auto", "selu", GLOROT),
        ("auto", "hard_sigmoid", GLOROT),
        ("auto", "exp", GLOROT),
    ],
)
def test_uniform_within_its_limit(weight_init, activation, limit):
    weights = draw_weights(np.random.default_rng(0), SHAPE, weight_init, activation)
    assert weights.shape == SHAPE
    assert 0.999 * limit < weights.max() <= limit
    assert -limit <= weights.min() < -0.999 * limit
    assert abs(weights.mean()) < 4 * limit / np.sqrt(3 * weights.size)
    assert weights.std() == pytest.approx(limit / np.sqrt(3), rel=0.01)


def test_a_net_takes_the_one_of_each_layer():
    assert WEIGHT_INITS == ("auto", "glorot", "he")
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
