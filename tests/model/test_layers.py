"""Nets that are given layer by layer are the nets that are given by sizes, and nothing else."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest

from fastbp import MLP, SGD, Adam, Dense

SEED = 4
OPTIONS = {"loss": "binary_cross_entropy", "optimizer": SGD(0.1), "l2": 0.01, "seed": SEED}


def one_by_one() -> MLP:
    layers = [
        Dense(5, "tanh", weight_init="lecun", dropout=0.25),
        Dense(4, "relu"),
        Dense(3, weight_init="zeros"),
    ]
    return MLP(layers, n_inputs=2, **OPTIONS)


def by_sizes() -> MLP:
    return MLP(
        (2, 5, 4, 3), activation=["tanh", "relu"], weight_init=["lecun", "auto", "zeros"],
        dropout=[0.25, 0.0], **OPTIONS,
    )  # fmt: skip


def trained(net: MLP) -> tuple[list[float], bytes]:
    rng = np.random.default_rng(SEED)
    X, y = rng.normal(size=(40, 2)), rng.integers(2, size=(40, 3))
    return net.fit(X, y, epochs=3, batch_size=8).loss, net.params.tobytes()


def test_both_ways_give_the_same_net_to_the_bit() -> None:
    nets = one_by_one(), by_sizes()
    assert repr(nets[0]) == repr(nets[1])
    assert nets[0].activations == ("tanh", "relu", "sigmoid")
    assert nets[0].params.tobytes() == nets[1].params.tobytes()
    assert trained(nets[0]) == trained(nets[1])
    assert nets[0].params.tobytes() != one_by_one().params.tobytes()


def test_the_weights_may_be_given() -> None:
    W, V = np.arange(4.0).reshape(2, 2), np.array([[5.0], [6.0]])
    net = MLP([Dense(2, "relu", weight_init=W), Dense(1, weight_init=V)], n_inputs=2)
    assert [w.tolist() for w in net.weights] == [W.tolist(), V.tolist()]
    assert MLP([Dense(1, weight_init=V)], n_inputs=2).weights[0].tolist() == V.tolist()
    alike = Dense(2, "relu", weight_init=W)
    assert [w.tolist() for w in MLP([alike, alike], n_inputs=2).weights] == [W.tolist()] * 2


def test_one_layer_and_the_one_that_matches_the_loss() -> None:
    net = MLP([Dense(3)], n_inputs=7, loss="cross_entropy")
    assert (net.layer_sizes, net.activations) == ((7, 3), ("softmax",))
    assert MLP((Dense(3, "tanh"),), n_inputs=7).activations == ("tanh",)
    assert MLP(iter([Dense(4, "tanh"), Dense(1)]), n_inputs=7).layer_sizes == (7, 4, 1)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (Dense(3), "Dense(3)"),
        (Dense(4, "sigmoid"), "Dense(4, 'sigmoid')"),
        (Dense(np.int64(4), activation="relu", dropout=0.5), "Dense(4, 'relu', dropout=0.5)"),
        (Dense(2, weight_init="he_normal"), "Dense(2, weight_init='he_normal')"),
        (
            Dense(1, "tanh", weight_init="zeros", dropout=0.1),
            "Dense(1, 'tanh', weight_init='zeros', dropout=0.1)",
        ),
    ],
)
def test_representation_of_a_layer_makes_it_again(layer: Dense, text: str) -> None:
    assert repr(layer) == text
    assert eval(text) == layer
    assert hash(eval(text)) == hash(layer)


def test_representation_of_a_net_makes_it_again() -> None:
    net = one_by_one()
    twin = eval(repr(net).replace("MLP(", f"MLP(seed={SEED}, layer_sizes=", 1))
    assert repr(twin) == repr(net)
    assert twin.params.tobytes() == net.params.tobytes()
    assert trained(twin) == trained(net)
    net = MLP([Dense(2, "tanh"), Dense(1)], n_inputs=3, bias=False)
    assert "bias=False" in repr(net)
    assert isinstance(net.optimizer, Adam)
    assert len(eval(repr(net)).biases) == 0


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))]
)
def test_copies(copied) -> None:
    layer = Dense(4, "relu", dropout=0.5)
    assert copied(layer) == layer
    net = one_by_one()
    before = net.params.tobytes()
    if copied is not copy.copy:  # which shares the buffers
        assert trained(copied(net)) == trained(one_by_one())
        assert net.params.tobytes() == before
    assert repr(copied(net)) == repr(net)


def test_a_layer_does_not_change() -> None:
    with pytest.raises(AttributeError):
        Dense(3).units = 4


HIDDEN = Dense(4, "relu")


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Dense(0), ValueError, "units must be at least 1; got 0"),
        (lambda: Dense("relu", 4), TypeError, "units must be a whole number"),
        (lambda: Dense(4, dropout=1.0), ValueError, "dropout must be at least 0 and below 1"),
        (lambda: Dense(4, dropout=[0.1]), TypeError, "dropout must be a number"),
        (lambda: Dense(4, bias=False), TypeError, "bias"),
        (lambda: MLP([HIDDEN, Dense(3)]), ValueError, "n_inputs=2"),
        (lambda: MLP([]), ValueError, "layer_sizes needs at least inputs and outputs"),
        (lambda: MLP(HIDDEN, n_inputs=2), TypeError, "a list, even of a single layer: [Dense("),
        (lambda: MLP([HIDDEN], n_inputs=0), ValueError, "n_inputs must be at least 1; got 0"),
        (lambda: MLP([HIDDEN], n_inputs=2.0), TypeError, "n_inputs must be a whole number"),
        (lambda: MLP((2, 3), n_inputs=2), ValueError, "n_inputs=2 and layer_sizes=(2, 3). Leave"),
        (lambda: MLP(3, n_inputs=2), ValueError, "Leave n_inputs out"),
        (lambda: MLP([2, HIDDEN], n_inputs=2), TypeError, "layer_sizes[0] must be a Dense like"),
        (lambda: MLP([HIDDEN, 3]), TypeError, "layer_sizes[1] must be a Dense like"),
        (lambda: MLP([Dense(4), Dense(3)], n_inputs=2), ValueError, "such as Dense(4, 'relu')"),
        (lambda: MLP([Dense(4, "mish"), Dense(3)], n_inputs=2), ValueError, "got 'mish'"),
        (lambda: MLP([Dense(4, 3), Dense(3)], n_inputs=2), TypeError, "activation[0] must be"),
        (lambda: MLP([HIDDEN, Dense(3, "mish")], n_inputs=2), ValueError, "output_activation must"),
        (lambda: MLP([HIDDEN, Dense(3, dropout=0.1)], n_inputs=2), ValueError, "Dense(3, dropout="),
        (
            lambda: MLP([HIDDEN, Dense(3, weight_init="xavier")], n_inputs=2),
            ValueError,
            "weight_init[1] must be one of",
        ),
        (
            lambda: MLP([Dense(4, "relu", weight_init=np.ones((4, 2))), Dense(3)], n_inputs=2),
            ValueError,
            "weight_init[0] must have shape (2, 4); got shape (4, 2); weights are (n_in, n_out)",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(make, error, words) -> None:
    with pytest.raises(error, match=re.escape(words)):
        make()


@pytest.mark.parametrize(
    "option",
    [
        {"activation": "tanh"},
        {"activation": ["relu"]},
        {"output_activation": "sigmoid"},
        {"weight_init": "he"},
        {"weight_init": [np.ones((2, 4)), np.ones((4, 3))]},
        {"weight_init": np.ones((2, 4, 3))},
        {"dropout": 0.1},
        {"dropout": [0.0]},
    ],
    ids=str,
)
def test_given_in_both_ways(option: dict[str, object]) -> None:
    (name,) = option
    with pytest.raises(ValueError, match=f"^{name} belongs to each layer .* MLP got {name} too"):
        MLP([HIDDEN, Dense(3)], n_inputs=2, **option)
