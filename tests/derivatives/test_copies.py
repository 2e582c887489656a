"""Copies of the state: what goes back is what was taken."""

from __future__ import annotations

import numpy as np
import pytest
from derivatives.cases import net_of, rows_for

from fastbp import SGD, Adam, CosineDecay
from fastbp.kernels.optimizers import UPDATES


def test_training_goes_on_to_the_bit() -> None:
    net, other = net_of(dtype="float32", dropout=0.2), net_of(dtype="float32", dropout=0.2, seed=4)
    X, T = rows_for(net, 40)
    net.fit(X, T, epochs=3)
    net.freeze(layers=[0])
    other.step(X[:8], T[:8])  # there is a table with addresses
    buffers = other.state
    other.set_state(net.get_state())
    assert other.state is buffers
    for net_ in (net, other):
        net_.fit(X, T, epochs=3)
        net_.step(X[:8], T[:8])
    for mine, theirs in zip(net.state, other.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_it_is_a_copy() -> None:
    net = net_of()
    state = net.get_state()
    assert set(state) == {"params", "slots", "scalars", "random", "frozen"}
    state["params"][:] = 0
    assert net.params.all()
    net.set_state(state)
    state["params"][:] = 1
    assert not net.params.any()


def test_means_of_two_nets() -> None:
    a, b = net_of(dtype="float32"), net_of(dtype="float32", seed=2)
    for _ in range(3):
        b.step(*rows_for(b, 4))
    states = [net.get_state() for net in (a, b)]
    mean = states[0] | {
        name: np.mean([state[name] for state in states], axis=0, dtype=np.float64)
        for name in ("params", "slots", "scalars")
    }
    expected = (a.params.astype("f8") + b.params) / 2
    a.set_state(mean)
    np.testing.assert_array_equal(a.params, expected.astype("f4"))
    assert a.get_state()["scalars"][UPDATES] == 2.0  # 1.5, to the next even number


def test_hyper_parameters_stay_those_of_the_net() -> None:
    net, other = net_of(optimizer=Adam(0.1)), net_of(optimizer=Adam(0.5))
    X, T = rows_for(net, 8)
    other.step(X, T)
    net.set_state(other.get_state())
    moved = net_of(optimizer=Adam(0.1))
    moved.set_state(net.get_state())
    net.step(X, T)
    moved.step(X, T)
    np.testing.assert_array_equal(net.params, moved.params)
    assert net.optimizer == Adam(0.1)
    scheduled = net_of(optimizer=SGD(CosineDecay(0.1, 9)))
    scheduled.step(X, T)
    state = scheduled.get_state()
    scheduled.set_state(state)
    np.testing.assert_array_equal(scheduled.state.scalars, state["scalars"])


def test_bad_states_are_refused() -> None:
    net = net_of()
    state = net.get_state()
    before = net.get_state()
    cases = [
        ([1.0], TypeError, "dict of arrays"),
        ({}, ValueError, "params, slots, scalars, random, frozen.*got none"),
        (state | {"more": 1}, ValueError, "more"),
        (state | {"params": np.zeros(3)}, ValueError, r"params must have shape"),
        (state | {"slots": np.zeros(0)}, ValueError, "another kind of optimizer"),
        (state | {"frozen": state["frozen"].astype(float)}, TypeError, "frozen must have dtype"),
        (state | {"random": [1.5]}, TypeError, "random must have dtype uint64"),
        (state | {"params": state["params"] * np.nan}, ValueError, "params must be finite"),
        (state | {"scalars": state["scalars"] - 1.5}, ValueError, "0 updates or more; got -2.0"),
    ]
    for bad, kind, message in cases:
        with pytest.raises(kind, match=message):
            net.set_state(bad)
    for name, array in net.get_state().items():
        np.testing.assert_array_equal(array, before[name])
