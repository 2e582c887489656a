"""`Net`: its specification and its state, which other modules use instead of its fields."""

from __future__ import annotations

import copy
import pickle

import numpy as np

from fastbp import MLP, SGD, Adam
from fastbp.model.net import Net, Spec, State
from fastbp.model.regularization import Regularization

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 2))


def net(**options) -> MLP:
    return MLP((3, 5, 2), activation="tanh", seed=0, **options)


def test_the_specification_is_what_was_given() -> None:
    one = net(l2=0.1, dtype="float64", bias=False)
    assert isinstance(one.spec, Spec)
    assert one.spec[:2] == ((3, 5, 2), ("tanh", "identity"))
    assert one.spec.loss.name == "squared_error"
    assert one.spec.regularization == Regularization(l2=0.1)
    assert one.spec[4:] == (np.dtype("float64"), False)
    assert (one.layer_sizes, one.activations, one.dtype, one.bias) == (
        one.spec.layer_sizes, one.spec.activations, one.spec.dtype, one.spec.bias,
    )  # fmt: skip


def test_a_specification_makes_the_same_net() -> None:
    one = net(optimizer=Adam(0.01), dropout=0.2)
    other = MLP.from_spec(one.spec, one.optimizer)
    assert not any(array.any() for array in (other.params, other.state.slots, other.state.random))
    for to, given in zip(other.state, one.state, strict=True):
        to[:] = given
    for each in (one, other):
        each.fit(X, Y, epochs=3, batch_size=7)
    assert np.array_equal(one.params, other.params)


def test_the_state_is_all_that_training_changes() -> None:
    one = net(optimizer=Adam(0.01), dropout=0.2)
    one.freeze(layers=[0])
    kept = one.state.copy()
    assert not any(np.shares_memory(a, b) for a, b in zip(kept, one.state, strict=True) if a.size)
    first = one.fit(X, Y, epochs=2, batch_size=7).loss
    after = one.params.copy()
    for array, before in zip(one.state, kept, strict=True):
        array[:] = before
    assert one.fit(X, Y, epochs=2, batch_size=7).loss == first
    assert np.array_equal(one.params, after)


def test_another_optimizer_exchanges_the_state_as_a_whole() -> None:
    one = net(optimizer=SGD(0.1, momentum=0.9))
    one.step(X, Y)
    before = one.state
    slots = before.slots.copy()
    one.optimizer = Adam()
    assert isinstance(one.state, State) and one.state is not before
    assert one.state.slots.size == 2 * one.params.size
    assert one.state.params is before.params
    assert np.array_equal(before.slots, slots)


def test_other_regularization_counts_from_the_next_pass_on() -> None:
    one, penalized = net(), net(l2=0.5)
    assert one.loss(X, Y) < penalized.loss(X, Y)
    one.regularization = Regularization(l2=0.5)
    assert one.loss(X, Y) == penalized.loss(X, Y)
    one.regularization = Regularization(dropout=0.5)
    dropped = net(dropout=0.5)
    assert one.step(X, Y) == dropped.step(X, Y)


def test_copies_share_nothing() -> None:
    one = net(optimizer="adam")
    one.step(X, Y)
    for twin in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        for a, b in zip(one.state, twin.state, strict=True):
            assert np.array_equal(a, b) and not (a.size and np.shares_memory(a, b))
        assert np.shares_memory(twin.weights[0], twin.params)
        twin.step(X, Y)
        assert not np.array_equal(one.params, twin.params)


def test_what_is_for_the_package_is_not_offered() -> None:
    offered = set(dir(net()))
    assert {"fit", "predict", "params", "weights", "layer_sizes", "optimizer"} <= offered
    assert {"score", "evaluate", "summary", "n_params"} <= offered
    inside = {name for name in vars(Net) if not name.startswith("_")} - offered
    assert inside == {
        "capacity_for", "needs_gradient", "network_on", "new_workspace", "optimizer_state",
        "regularization", "restart_optimizer", "settings", "share_parameters", "state",
        "team_workspaces", "workspace",
    }  # fmt: skip
    assert {"spec", "state", "rules", "layer_table", "in_python", "split_seed"}.isdisjoint(offered)
