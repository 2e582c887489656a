"""Schedules: the rates of PyTorch's, their ends, hyper-parameters, functions of one's own."""

from __future__ import annotations

import dataclasses
import json
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from fastbp import MLP, SGD, explain
from fastbp.model import schedules
from fastbp.model.schedules import (
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ScaledSchedule,
    Schedule,
    StepDecay,
    WarmUp,
    check_rate,
    counts_epochs,
    rates_of,
)
from fastbp.sklearn import MLPRegressor

FIGURES = json.loads(
    (Path(__file__).parents[1] / "reference_values/torch_schedules.json").read_text("utf-8")
)
ALL = [
    StepDecay(0.1, 10),
    ExponentialDecay(0.1, 0.99),
    CosineDecay(0.1, 100),
    CosineDecay(0.1, 10, restarts=True),
    CosineDecay(0.1, 10, restarts=True, growth=2),
    InverseScaling(0.1),
    OneCycle(0.1, 100),
    WarmUp(0.1, 10),
    WarmUp(StepDecay(0.1, 10), 10),
    ScaledSchedule(CosineDecay(0.1, 100), 0.5),
]


def schedule_of(run):
    options = dict(run["options"])
    if run["schedule"] == "WarmUp":
        options["then"] = CosineDecay(0.1, 50, min_rate=0.01)
    return getattr(schedules, run["schedule"])(**options)


@pytest.mark.parametrize("name", FIGURES["runs"])
def test_rates_agree_with_pytorch(name):
    run = FIGURES["runs"][name]
    schedule = schedule_of(run)
    assert len(run["rates"]) == 60
    np.testing.assert_allclose(schedule(np.arange(60)), run["rates"], rtol=1e-10, atol=1e-15)
    # Any part of it, and one by one.
    np.testing.assert_array_equal(rates_of(schedule, 13, 20), schedule(np.arange(60))[13:33])
    assert float(schedule(17)) == schedule(np.arange(60))[17]


def test_pytorch_figures_differ_between_the_runs():
    assert len({tuple(run["rates"]) for run in FIGURES["runs"].values()}) == 9


def test_after_their_ends():
    far = np.array([10**6, 10**9])
    assert CosineDecay(0.1, 50, min_rate=0.02)(far).tolist() == [0.02, 0.02]
    assert OneCycle(0.5, 20)(far) == pytest.approx([0.5 / 25 / 1e4] * 2, rel=1e-9)
    assert WarmUp(0.3, 4)(far).tolist() == [0.3, 0.3]
    assert StepDecay(0.1, 10)(far).tolist() == [0, 0]
    assert CosineDecay(0.1, 10, restarts=True)(far).tolist() == [0.1, 0.1]


def test_inverse_scaling():
    assert InverseScaling(0.2)([0, 3, 99]).tolist() == [0.2, 0.1, 0.02]
    assert InverseScaling(0.2, power=1)([0, 1, 4]).tolist() == [0.2, 0.1, 0.04]


def test_exponential_over_several_updates():
    assert ExponentialDecay(0.8, 0.25, every=4)([0, 2, 4]).tolist() == [0.8, 0.4, 0.2]


def test_warm_up():
    np.testing.assert_allclose(rates_of(WarmUp(0.5, 4), 0, 6), [0.1, 0.2, 0.3, 0.4, 0.5, 0.5])
    seen = []

    def then(update):
        seen.append(update)
        return 1.0 / (update + 1)

    schedule = WarmUp(then, 1)
    assert seen == [0]  # tried once
    seen.clear()
    np.testing.assert_allclose(rates_of(schedule, 0, 4), [0.5, 1, 1 / 2, 1 / 3])
    assert seen == [0, 0, 1, 2]
    assert all(type(update) is int for update in seen)


def test_one_cycle_without_a_way_up_or_down():
    assert OneCycle(0.5, 10, pct_start=0.0)(0) < 0.5
    assert OneCycle(0.5, 10, pct_start=0.1)(np.arange(2)).tolist()[0] == 0.5
    up = OneCycle(0.5, 10, pct_start=1.0, div_factor=5)(np.arange(10))
    assert up[0] == pytest.approx(0.1)
    assert up[9] == 0.5
    assert (np.diff(up) > 0).all()


def test_scaled():
    steps = StepDecay(0.5, 2, factor=0.5)
    assert ScaledSchedule(steps, 0.1)([0, 2, 4]).tolist() == [0.05, 0.025, 0.0125]
    assert ScaledSchedule(lambda update: update, 2.0)([0, 3]).tolist() == [0, 6]
    assert ScaledSchedule(0.5, 0.5)([0, 1]).tolist() == [0.25, 0.25]


@pytest.mark.parametrize("schedule", ALL, ids=repr)
def test_shapes_and_types(schedule):
    assert isinstance(schedule, Schedule)
    for updates in (np.arange(6).reshape(2, 3), np.arange(0), [1, 2], 3):
        rates = schedule(updates)
        assert np.shape(rates) == np.shape(updates)
        assert np.asarray(rates).dtype == np.float64
    rates = rates_of(schedule, 0, 300)
    assert rates.shape == (300,)
    assert (rates >= 0).all()
    assert 0 < rates.max() <= 0.1 * (1 + 1e-12)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(schedule, dataclasses.fields(schedule)[0].name, 1.0)


@pytest.mark.parametrize("rate", [0.1, np.float32(0.5), 1, np.int64(2)])
def test_rates_of_a_number(rate):
    rates = rates_of(rate, 5, 3)
    assert rates.dtype == np.float64
    assert rates.tolist() == [float(rate)] * 3


def test_rates_of_a_function():
    seen = []

    def rate(update):
        seen.append(update)
        return 0 if update == 7 else np.float32(0.5)

    assert rates_of(rate, 5, 3).tolist() == [0.5, 0.5, 0.0]
    assert seen == [5, 6, 7]
    assert all(type(update) is int for update in seen)


@pytest.mark.parametrize(
    ("result", "error"),
    [(-0.1, ValueError), (math.nan, ValueError), (math.inf, ValueError)]
    + [(None, TypeError), ("0.1", TypeError), (True, TypeError), (np.ones(1), TypeError)],
)
def test_rates_of_a_function_are_checked(result, error):
    with pytest.raises(error, match=r"finite number of at least 0 .* for update 4 "):
        rates_of(lambda update: 0.1 if update < 4 else result, 2, 5)


def test_rates_of_a_schedule_of_ones_own_are_checked():
    class Own(Schedule):
        def __call__(self, updates):
            return np.zeros(3)

    assert rates_of(Own(), 0, 3).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match=r"one rate for each update; for \(4,\) updates"):
        rates_of(Own(), 0, 4)
    with pytest.raises(ValueError, match="for update 1024 .* gives inf"):
        rates_of(ExponentialDecay(1.0, 2.0), 1000, 100)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: StepDecay(0, 5), ValueError, "initial_rate must be a finite number above 0"),
        (lambda: StepDecay(0.1, 0), ValueError, "every must be at least 1"),
        (lambda: StepDecay(0.1, 2.5), TypeError, "every must be a whole number"),
        (lambda: StepDecay(0.1, 5, factor=-1), ValueError, "factor"),
        (lambda: ExponentialDecay("fast", 0.9), TypeError, "initial_rate must be a number"),
        (lambda: ExponentialDecay(0.1, math.nan), ValueError, "factor"),
        (lambda: CosineDecay(0.1, 10, min_rate=0.2), ValueError, "at most initial_rate, 0.1"),
        (lambda: CosineDecay(0.1, 10, min_rate=-0.2), ValueError, "min_rate must be a finite"),
        (lambda: CosineDecay(0.1, 10, min_rate=None), TypeError, "min_rate must be a number"),
        (lambda: CosineDecay(0.1, 10**30), ValueError, "period must be at most"),
        (lambda: CosineDecay(0.1, 10, restarts=1), TypeError, "restarts must be True or False"),
        (lambda: CosineDecay(0.1, 10, growth=2), ValueError, "growth=2 needs restarts=True"),
        (lambda: InverseScaling(0.1, power=0), ValueError, "power"),
        (lambda: OneCycle(0.1, 1), ValueError, "total must be at least 2"),
        (lambda: OneCycle(0.1, 10, pct_start=30), ValueError, "pct_start must be from 0 to 1"),
        (lambda: OneCycle(0.1, 10, div_factor=0), ValueError, "div_factor"),
        (lambda: OneCycle(0.1, 10, final_div_factor=math.inf), ValueError, "final_div_factor"),
        (lambda: WarmUp("0.1", 5), TypeError, "then must be a number above 0, a schedule such as"),
        (lambda: WarmUp(-0.1, 5), ValueError, "then must be a finite number above 0"),
        (lambda: WarmUp(0.1, 0), ValueError, "updates must be at least 1"),
        (lambda: ScaledSchedule(None, 5), TypeError, "schedule must be a number above 0"),
        (lambda: ScaledSchedule(0.1, 0), ValueError, "factor"),
        (lambda: check_rate("learning_rate", [0.1]), TypeError, "learning_rate must be a number"),
        (lambda: rates_of("0.1", 0, 1), TypeError, "learning_rate must be a number"),
    ],
)
def test_bad_hyperparameters(make, error, words):
    with pytest.raises(error) as caught:
        make()
    assert words in str(caught.value)


# ---- lengths in epochs ---------------------------------------------------------------------------

IN_EPOCHS = [
    (StepDecay(0.1, epochs=2), StepDecay(0.1, 14)),
    (StepDecay(0.1, factor=0.5, epochs=2), StepDecay(0.1, 14, 0.5)),
    (ExponentialDecay(0.1, 0.9, epochs=1), ExponentialDecay(0.1, 0.9, 7)),
    (CosineDecay(0.1, epochs=3), CosineDecay(0.1, 21)),
    (CosineDecay(0.1, epochs=1, restarts=True), CosineDecay(0.1, 7, restarts=True)),
    (OneCycle(0.1, epochs=3), OneCycle(0.1, 21)),
    (WarmUp(0.1, epochs=2), WarmUp(0.1, 14)),
    (WarmUp(CosineDecay(0.1, epochs=2), epochs=1), WarmUp(CosineDecay(0.1, 14), 7)),
    (WarmUp(CosineDecay(0.1, epochs=2), 5), WarmUp(CosineDecay(0.1, 14), 5)),
    (ScaledSchedule(CosineDecay(0.1, epochs=3), 2.0), ScaledSchedule(CosineDecay(0.1, 21), 2.0)),
]
ROWS = np.random.default_rng(8).normal(size=(20, 3))  # 7 batches of at most 3 rows


@pytest.mark.parametrize(("by_epochs", "by_updates"), IN_EPOCHS)
def test_a_length_in_epochs_is_one_in_the_updates_of_the_fit(by_epochs, by_updates) -> None:
    assert by_epochs.in_updates(7) == by_updates
    assert by_updates.in_updates(9) is by_updates
    assert counts_epochs(by_epochs) and not counts_epochs(by_updates)
    batches = [(ROWS[i : i + 3], ROWS[i : i + 3, :1]) for i in range(0, 20, 3)]
    ways = {
        "memory": lambda net: net.fit(ROWS, ROWS[:, :1], batch_size=3, epochs=2),
        "changed": lambda net: net.fit(
            ROWS, ROWS[:, :1], batch_size=3, epochs=2, augment=lambda X, _: X
        ),
        "batches": lambda net: net.fit(batches, epochs=2),
    }
    for way in ways.values():
        nets = [MLP((3, 1), optimizer=SGD(rate), seed=0) for rate in (by_epochs, by_updates)]
        histories = [way(net) for net in nets]
        assert histories[0]["learning_rate"] == histories[1]["learning_rate"]
        assert nets[0].params.tobytes() == nets[1].params.tobytes()
        for net in nets:
            way(net)  # the schedules go on
        assert nets[0].params.tobytes() == nets[1].params.tobytes()


def test_validation_rows_make_shorter_epochs() -> None:
    nets = [
        MLP((3, 1), optimizer=SGD(rate), seed=0)
        for rate in (CosineDecay(0.1, epochs=2), CosineDecay(0.1, 2 * 4))
    ]
    for net in nets:
        net.fit(ROWS, ROWS[:, :1], batch_size=4, epochs=2, validation_fraction=0.2)
    assert nets[0].params.tobytes() == nets[1].params.tobytes()
    assert nets[0].history["learning_rate"][-1] == CosineDecay(0.1, 8)([7])[0]


def test_estimators_know_their_epochs() -> None:
    fitted = [
        MLPRegressor(
            hidden_layer_sizes=(), optimizer=SGD(rate), random_state=0, max_iter=2, batch_size=3
        )
        for rate in (CosineDecay(0.1, epochs=2), CosineDecay(0.1, 14))
    ]
    for estimator in fitted:
        with pytest.warns(ConvergenceWarning):
            estimator.fit(ROWS, ROWS[:, 0])
    assert fitted[0].coefs_[0].tolist() == fitted[1].coefs_[0].tolist()


def test_where_nobody_knows_the_epochs() -> None:
    net = MLP((3, 1), optimizer=SGD(CosineDecay(0.1, epochs=2)), seed=0)
    kept = net.params.copy()
    with pytest.raises(ValueError, match=r"counts epochs.* beside step, which makes one update"):
        net.step(ROWS, ROWS[:, :1])
    with pytest.raises(ValueError, match=r"counts epochs.* beside batches of an iterable without"):
        net.fit(iter([(ROWS, ROWS[:, :1])]), epochs=1)
    with pytest.raises(ValueError, match=r"CosineDecay\(.*epochs=2\) counts epochs, and only fit"):
        CosineDecay(0.1, epochs=2)([0, 1])
    with pytest.raises(ValueError, match="counts epochs"):
        explain(net, ROWS[0], 1.0)
    assert net.params.tobytes() == kept.tobytes()
    assert net.fit(ROWS, ROWS[:, :1], epochs=3, method="gradient_descent").loss


def test_one_length_is_given() -> None:
    for kind in (StepDecay, CosineDecay, OneCycle, WarmUp):
        for options in ({}, {kind.length: 10, "epochs": 2}):
            with pytest.raises(ValueError, match=f"must have either {kind.length}, its length in"):
                kind(0.1, **options)
        with pytest.raises(ValueError, match="epochs must be at least 1; got 0"):
            kind(0.1, epochs=0)
        with pytest.raises(TypeError, match="epochs must be a whole number"):
            kind(0.1, epochs=2.0)
    assert ExponentialDecay(0.1, 0.9).every == 1
    assert repr(CosineDecay(0.1, epochs=2)) == (
        "CosineDecay(initial_rate=0.1, min_rate=0.0, restarts=False, growth=1, epochs=2)"
    )
    assert pickle.loads(pickle.dumps(CosineDecay(0.1, epochs=2))) == CosineDecay(0.1, epochs=2)
