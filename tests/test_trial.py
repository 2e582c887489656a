"""Copies for trials: what they do changes nothing of the net."""

from __future__ import annotations

import numpy as np
import pytest

from fastbp import MLP, SGD, Adam, Group, Scaled, StepDecay
from fastbp.trial import twin_of, with_schedule

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)), RNG.normal(size=40)


def net(optimizer):
    return MLP((3, 5, 1), optimizer=optimizer, dropout=0.2, seed=0)


def test_a_twin_trains_as_the_net_does_and_shares_nothing() -> None:
    one = net(Adam(0.01))
    one.freeze(layers=[0])
    one.fit(X, Y, epochs=2)
    twin, before = twin_of(one), one.params.copy()
    twin.fit(X, Y, epochs=3)
    assert np.array_equal(one.params, before)
    assert not np.array_equal(twin.params, before)
    one.fit(X, Y, epochs=3)
    assert np.array_equal(one.params, twin.params)


@pytest.mark.parametrize(
    "optimizer",
    [SGD(0.1), SGD(StepDecay(0.1, 2)), SGD(0.1, groups=[Group([0], learning_rate=0.3)]),
     SGD(StepDecay(0.1, 2), groups=[Group([1], learning_rate=0.3)])],
)  # fmt: skip
def test_a_scaled_schedule_scales_every_update(optimizer: SGD) -> None:
    plain, scaled = net(optimizer), net(optimizer)
    scaled.optimizer = with_schedule(optimizer, Scaled(optimizer.learning_rate, 0.25))
    start = plain.params.copy()
    plain.step(X, Y)
    scaled.step(X, Y)
    assert np.allclose(scaled.params - start, 0.25 * (plain.params - start), rtol=1e-4, atol=1e-7)
