"""Learning rates that change while a net trains: by schedules, by callbacks, by hand."""

from __future__ import annotations

import copy
import dataclasses

import helpers
import limited
import numpy as np
import pytest
from helpers import counts, long_uncompiled, state

from fastbp import (
    MLP,
    SGD,
    Adam,
    Callback,
    CosineDecay,
    ExponentialDecay,
    Group,
    InverseScaling,
    LearningRateSchedule,
    OneCycle,
    ReduceOnPlateau,
    RMSprop,
    ScaledSchedule,
    Schedule,
    StepDecay,
    WarmUp,
)
from fastbp.fit.limits import LIMITS, Limits
from fastbp.model.schedules import rates_of

RNG = np.random.default_rng(41)
X, Y = RNG.normal(size=(37, 4)), RNG.normal(size=(37, 2))
BATCHES = [slice(first, first + 8) for first in range(0, 37, 8)]  # 5 updates an epoch


def make(optimizer, **options):
    return helpers.make((4, 6, 2), optimizer=optimizer, **options)


def by_hand(net, rate, updates, first=0):
    """Make updates with the rate of each set before it; returns the losses."""
    losses = []
    for update in range(first, first + updates):
        now = float(rates_of(rate, update, 1)[0])  # NumPy rounds powers of one number otherwise
        net.optimizer = dataclasses.replace(net.optimizer, learning_rate=now)
        rows = BATCHES[update % 5]
        losses.append(net.step(X[rows], Y[rows]))
    return losses


OPTIMIZERS = [Adam, SGD, RMSprop, lambda rate: SGD(rate, momentum=0.9, nesterov=True)]
SCHEDULES = [
    StepDecay(0.02, 3, 0.5),
    CosineDecay(0.02, 7, restarts=True),
    ExponentialDecay(0.02, 0.9),
    InverseScaling(0.02),
    OneCycle(0.02, 20),
    WarmUp(StepDecay(0.02, 3), 4),
    ScaledSchedule(WarmUp(0.01, 2), 2.0),
    lambda update: 0.02 / (update + 1),
]
IDS = ["StepDecay", "CosineDecay", "ExponentialDecay", "InverseScaling", "OneCycle", "WarmUp",
       "ScaledSchedule", "function"]  # fmt: skip


# ---- schedules ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPTIMIZERS, ids=["Adam", "SGD", "RMSprop", "nesterov"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=IDS)
def test_a_schedule_is_a_rate_set_before_each_update(schedule, kind):
    net, twin = make(kind(schedule)), make(kind(0.5))
    history = net.fit(X, Y, epochs=4, batch_size=8, shuffle=False)
    losses = by_hand(twin, schedule, 20)
    assert state(net) == state(twin)
    sizes = [8, 8, 8, 8, 5]
    expected = [np.dot(losses[i : i + 5], sizes) / 37 for i in range(0, 20, 5)]
    assert history.loss == pytest.approx(expected, rel=1e-13)
    assert history["learning_rate"] == [float(np.asarray(schedule(u))) for u in (4, 9, 14, 19)]
    assert net.optimizer.learning_rate is schedule


@pytest.mark.parametrize("options", [{"callbacks": Callback()}, {}, {"max_seconds": 1e6}])
def test_a_schedule_goes_on_over_calls(options):
    schedule = StepDecay(0.05, 7, 0.5)
    net, twin = make(Adam(schedule)), make(Adam(0.5))
    net.fit(X, Y, epochs=1, batch_size=8, shuffle=False, **options)
    net.step(X[BATCHES[0]], Y[BATCHES[0]])
    net.loss(X, Y)
    net.loss_and_grad(X, Y)
    net.predict(X)
    net = copy.deepcopy(net)
    for rows in BATCHES[1:]:
        net.step(X[rows], Y[rows])
    history = net.fit(X, Y, epochs=3, batch_size=8, shuffle=False, **options)
    by_hand(twin, schedule, 25)
    assert state(net) == state(twin)
    assert history["learning_rate"] == schedule([14, 19, 24]).tolist()


@pytest.mark.parametrize("most", [1, 3, 7])
def test_more_updates_than_rates_in_one_call(most):
    schedule = CosineDecay(0.05, 40)
    net, twin = make(Adam(schedule)), make(Adam(0.5))
    limits = Limits(most_rates=most, epochs_a_block=2)
    history = limited.fit(net, X, Y, limits=limits, epochs=7, batch_size=8, shuffle=False)
    by_hand(twin, schedule, 35)
    assert state(net) == state(twin)
    assert history["learning_rate"] == schedule(np.arange(4, 35, 5)).tolist()


@pytest.mark.slow
@long_uncompiled
def test_ten_thousands_of_updates():
    updates = LIMITS.most_rates * 2 + 500
    schedule = InverseScaling(0.05)
    net, twin = make(SGD(schedule)), make(SGD(0.5))
    history = net.fit(X[:1], Y[:1], epochs=updates, batch_size=1)
    for update in range(updates):
        twin.state.scalars[0] = schedule(update)
        twin.step(X[:1], Y[:1])
    assert np.array_equal(net.params, twin.params)
    assert history["learning_rate"] == schedule(np.arange(updates)).tolist()


def test_batches_of_several_passes():
    rng = np.random.default_rng(0)
    big, targets = rng.normal(size=(1300, 4)), rng.normal(size=(1300, 2))
    net, twin = make(Adam(StepDecay(0.05, 1, 0.5))), make(Adam(0.5))
    net.fit(big, targets, epochs=2, batch_size=650, shuffle=False)
    for update in range(4):
        twin.optimizer = Adam(0.05 * 0.5**update)
        rows = slice(650 * (update % 2), 650 * (update % 2) + 650)
        twin.step(big[rows], targets[rows])
    assert state(net) == state(twin)


def test_only_the_updates_of_the_fit_are_asked_for():
    """A table with a rate for each update is enough."""
    table, asked = np.linspace(0.1, 0.01, 12).tolist(), []

    def rate(update):
        asked.append(update)
        return table[update]

    net, twin = make(SGD(rate)), make(SGD(0.5))
    net.fit(X, Y, epochs=2, batch_size=8, shuffle=False)
    assert max(asked) == 9
    asked.clear()
    net.step(X[BATCHES[0]], Y[BATCHES[0]])
    assert set(asked) == {10}
    net.step(X[BATCHES[1]], Y[BATCHES[1]])
    by_hand(twin, table.__getitem__, 12)
    assert state(net) == state(twin)
    with pytest.raises(IndexError):
        net.step(X, Y)


def test_groups_scale_with_the_schedule():
    """A group's rate stands for a schedule that begins at 1."""
    schedule = StepDecay(0.05, 2, 0.5)
    groups = [Group([0], learning_rate=0.5), Group([1], biases=False, learning_rate=0.0)]
    net, twin = make(SGD(schedule, groups=groups)), make(SGD(0.5))
    for update in range(6):
        _, grad = net.loss_and_grad(X, Y)
        before, rate = net.params.copy(), float(schedule(update))
        net.step(X, Y)
        factors = np.r_[np.full(30, 0.5), np.zeros(12), np.ones(2)]
        np.testing.assert_allclose(net.params, before - rate * factors * grad, rtol=1e-12)
    assert np.array_equal(net.weights[1], twin.weights[1])


def test_a_rate_of_0_changes_nothing():
    net = make(SGD(CosineDecay(0.1, 5)))
    net.fit(X, Y, epochs=1, batch_size=8)
    kept = net.params.copy()
    assert net.fit(X, Y, epochs=2, batch_size=8)["learning_rate"] == [0.0, 0.0]
    assert np.array_equal(net.params, kept)


class Late(Schedule):
    """Good for 12 updates."""

    def __init__(self, bad):
        self.bad = bad

    def __call__(self, updates):
        return np.where(np.asarray(updates) < 12, 0.01, self.bad)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
@pytest.mark.parametrize("kind", ["Schedule", "function"])
@pytest.mark.parametrize("most", [1, 5, 10_000])
def test_a_schedule_that_is_bad_late(most, kind, bad):
    """What was updated before stays, and so do the epochs that ended."""
    rate = Late(bad) if kind == "Schedule" else lambda update: 0.01 if update < 12 else bad
    net, twin = make(Adam(rate)), make(Adam(0.01))
    with pytest.raises(ValueError, match="the learning rate must be a finite number of at least 0"):
        limited.fit(
            net, X, Y, limits=Limits(most_rates=most), epochs=5, batch_size=8, shuffle=False
        )
    for update in range(12):
        twin.step(X[BATCHES[update % 5]], Y[BATCHES[update % 5]])
    assert state(net) == state(twin)
    assert len(net.history) == 2
    assert net.history["learning_rate"] == [0.01, 0.01]
    net.predict(X)
    net.optimizer = Adam(0.01)
    net.step(X, Y)
    twin.step(X, Y)
    assert state(net) == state(twin)


@pytest.mark.parametrize("result", [None, "0.1", True, 1j])
def test_a_function_that_returns_no_number(result):
    net = make(SGD(lambda update: 0.1 if update < 1 else result))
    net.step(X, Y)
    with pytest.raises(TypeError, match="for update 1 the function returned"):
        net.step(X, Y)


def test_a_schedule_of_another_shape():
    class Flat(Schedule):
        def __call__(self, updates):
            return np.float64(0.1)

    with pytest.raises(ValueError, match="must give one rate for each update"):
        make(SGD(Flat()))


# ---- callbacks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0.5, CosineDecay(0.5, 100)], ids=["number", "schedule"])
def test_learning_rate_schedule(start):
    """It replaces either kind; the moments and the number of updates stay."""
    net, twin = make(Adam(start)), make(Adam(0.5))
    net.step(X, Y)
    twin.step(X, Y)
    callback = LearningRateSchedule(lambda epoch: 0.1 / (epoch + 1))
    history = net.fit(X, Y, epochs=3, batch_size=8, shuffle=False, callbacks=callback)
    by_hand(twin, lambda update: 0.1 / (update // 5 + 1), 15)
    assert state(net) == state(twin)
    assert history["learning_rate"] == [0.1, 0.05, 0.1 / 3]
    assert net.optimizer == Adam(0.1 / 3)
    assert net.state.scalars[1] == 16


def test_learning_rate_schedule_may_give_schedules():
    net, twin = make(SGD(0.5)), make(SGD(0.5))
    rates = StepDecay(0.1, 1, 0.5), 0.01
    callback = LearningRateSchedule(lambda epoch: rates[epoch])
    history = net.fit(X, Y, epochs=2, batch_size=8, shuffle=False, callbacks=callback)
    by_hand(twin, lambda update: 0.1 * 0.5**update if update < 5 else 0.01, 10)
    assert state(net) == state(twin)
    assert history["learning_rate"] == [0.1 * 0.5**4, 0.01]


def test_reduce_on_plateau_of_a_number():
    net, twin = make(Adam(0.08)), make(Adam(0.08))
    callback = ReduceOnPlateau(factor=0.5, patience=1, min_delta=1e6, min_rate=0.03)
    history = net.fit(X, Y, epochs=4, batch_size=8, shuffle=False, callbacks=callback)
    rates = [0.08, 0.08, 0.04, 0.03]  # the first epoch is an improvement in any case
    assert history["learning_rate"] == rates
    by_hand(twin, lambda update: rates[update // 5], 20)
    twin.optimizer = Adam(0.03)
    assert state(net) == state(twin)


def test_reduce_on_plateau_of_a_schedule():
    schedule = ExponentialDecay(0.08, 0.95)
    net, twin = make(Adam(schedule)), make(Adam(0.5))
    callback = ReduceOnPlateau(factor=0.5, patience=1, min_delta=1e6)
    history = net.fit(X, Y, epochs=4, batch_size=8, shuffle=False, callbacks=callback)
    factors = [1.0, 1.0, 0.5, 0.25]

    def rate(update):
        return float(schedule(update)) * factors[update // 5]

    assert history["learning_rate"] == [rate(update) for update in (4, 9, 14, 19)]
    by_hand(twin, rate, 20)
    assert net.params.tobytes() == twin.params.tobytes()
    assert net.state.slots.tobytes() == twin.state.slots.tobytes()
    assert net.optimizer == Adam(ScaledSchedule(schedule, 0.125))


def test_a_new_kind_of_optimizer_begins_its_schedule():
    """Its updates are counted from 0, also in the history."""
    schedule = ExponentialDecay(0.1, 0.5)

    class Change(Callback):
        def on_epoch_end(self, fit):
            if fit.epoch == 2:
                fit.net.optimizer = SGD(schedule)

    net = make(Adam(0.01))
    history = net.fit(X, Y, epochs=4, batch_size=8, callbacks=Change())
    expected = [0.01, 0.01, *schedule([4, 9]).tolist()]
    assert history["learning_rate"] == expected
    assert net.state.scalars[1] == 10


# ---- sample weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [np.ones(37), np.full(37, 4.0)])
def test_equal_weights_are_none(weights):
    net, twin = make(Adam(0.01)), make(Adam(0.01))
    history = net.fit(X, Y, epochs=3, batch_size=8, sample_weight=weights)
    assert history.loss == pytest.approx(twin.fit(X, Y, epochs=3, batch_size=8).loss, rel=1e-12)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-10, atol=1e-12)


def test_whole_weights_are_repeated_rows():
    rng = np.random.default_rng(7)
    for _ in range(counts(5, 50, 2)):
        weights = rng.integers(0, 4, 37)
        rows = np.repeat(np.arange(37), weights)
        net, twin = make(Adam(0.01), l2=0.1), make(Adam(0.01), l2=0.1)
        for _ in range(3):
            loss = net.step(X, Y, weights / weights.mean())
            assert loss == pytest.approx(twin.step(X[rows], Y[rows]), rel=1e-12)
        np.testing.assert_allclose(net.params, twin.params, rtol=1e-9, atol=1e-12)


# ---- rows that were never scaled -----------------------------------------------------------------


@pytest.mark.parametrize("batches", [False, True])
def test_rows_of_a_wild_scale_are_told_of(batches):
    rng = np.random.default_rng(33)
    X = rng.normal(size=(20, 2))
    y = rng.normal(size=20)
    net = MLP((2, 3, 1), dtype="float64", seed=0)
    wild = ([(1e8 * X, y)],) if batches else (1e8 * X, y)
    with pytest.warns(UserWarning, match=r"first epoch was \d\S+: .*Scale each column.* diagnose"):
        net.fit(*wild, epochs=2)
    net.fit(X, y, epochs=2)  # warns of nothing
