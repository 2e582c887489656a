"""Updates of the flat buffer: frozen runs, groups, rates of a schedule, codes."""

from __future__ import annotations

import numpy as np
import pytest
from formulas import MOMENTS, OPTIMIZERS, SLOTS, Formula, run_update
from helpers import DTYPES

from fastbp.kernels import optimizers as steps
from fastbp.kernels import updates
from fastbp.kernels.state import GROUPS
from fastbp.kernels.updates import LION, NO_UPDATE, SGD

NONE, NO_SETTINGS = np.zeros(0, np.uint8), np.zeros(GROUPS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_frozen_parameters_part_the_run(optimizer, dtype) -> None:
    """The others get the same bits as by themselves, the frozen ones and their slots nothing."""
    rng = np.random.default_rng(1)
    params, gradient = rng.normal(size=70).astype(dtype), rng.normal(size=70).astype(dtype)
    frozen = np.zeros(70, np.uint8)
    frozen[[0, 1, 17, 40, 41, 42, 69]] = 1
    free = frozen == 0
    whole, alone, slots = params.copy(), params[free], np.zeros(SLOTS * 70, dtype)
    their_slots = np.zeros(SLOTS * 63, dtype)
    for given, state, grad, mask in (
        (whole, slots, gradient, frozen),
        (alone, their_slots, gradient[free], NONE),
    ):
        optimizer.start_afresh()
        for _ in range(3):
            optimizer.run(state, given, grad, frozen=mask, factor=0.5, decay=0.25)
    assert np.array_equal(whole[free], alone)
    assert np.array_equal(whole[~free], params[~free])
    assert np.array_equal(slots.reshape(SLOTS, -1)[:, free].ravel(), their_slots)
    assert not slots.reshape(SLOTS, -1)[:, ~free].any()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_factor_is_another_learning_rate(optimizer) -> None:
    rng = np.random.default_rng(2)
    start, gradient = rng.normal(size=11), rng.normal(size=11)
    ends = []
    for rate, factor in ((1.0, 0.25), (0.25, 1.0)):
        params, slots = start.copy(), np.zeros(SLOTS * 11)
        optimizer.start_afresh().scalars[steps.LEARNING_RATE] = rate
        for _ in range(3):
            optimizer.run(slots, params, gradient, factor=factor)
        ends.append(params)
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-14)
    assert np.abs(ends[0] - start).min() > 1e-4


@pytest.mark.parametrize("dtype", DTYPES)
def test_decay_comes_first_and_follows_the_rate(dtype) -> None:
    for rate, factor in ((0.5, 1.0), (0.25, 2.0)):
        optimizer = Formula("SGD", LEARNING_RATE=rate)
        params, slots = np.array([4.0, -8.0, 0.0], dtype), np.zeros(9, dtype)
        gradient = np.array([1.0, 2.0, 0.0], dtype)
        optimizer.run(slots, params, gradient, factor=factor, decay=0.25)
        assert params.tolist() == [4.0 * 0.875 - 0.5, -8.0 * 0.875 - 1.0, 0.0]
    params = np.array([4.0, -8.0, 0.0], dtype)
    Formula("LION", LEARNING_RATE=0.5).run(
        np.zeros(9, dtype), params, np.zeros(3, dtype), decay=0.5
    )
    assert params.tolist() == [3.0, -6.0, 0.0]


def test_rates_of_a_schedule() -> None:
    """Update number t takes rates[t - first_update]; without rates that of the scalars stays."""
    optimizer, params = Formula("SGD", LEARNING_RATE=7.0), np.zeros(1)
    gradient, slots = -np.ones(1), np.zeros(3)
    optimizer.scalars[steps.UPDATES] = 5
    for expected in (0.5, 0.25, 2.0):
        before = params[0]
        optimizer.run(slots, params, gradient, rates=(9.0, 0.5, 0.25, 2.0), first=4)
        assert params[0] - before == expected
        assert optimizer.scalars[steps.LEARNING_RATE] == expected
    optimizer.run(slots, params, gradient)
    assert params[0] == 0.5 + 0.25 + 2.0 + 2.0
    assert optimizer.scalars[steps.UPDATES] == 9


def test_the_number_of_the_update_is_counted() -> None:
    for optimizer in OPTIMIZERS:
        optimizer.start_afresh()
        for _ in range(4):
            optimizer.run(np.zeros(SLOTS), np.zeros(1), np.ones(1))
        assert optimizer.scalars[steps.UPDATES] == 4


def test_sums_of_the_weights() -> None:
    optimizer = Formula("ADAM", **MOMENTS | {"BETA_1": 0.5, "BETA_2": 0.75})
    for _ in range(3):
        optimizer.run(np.zeros(SLOTS), np.zeros(1), np.ones(1))
    assert optimizer.scalars[steps.WEIGHTS_1] == 1 + 0.5 + 0.25
    assert optimizer.scalars[steps.WEIGHTS_2] == 1 + 0.75 + 0.75**2


@pytest.mark.parametrize("code", [NO_UPDATE, LION + 1, 17])
def test_unknown_codes(code) -> None:
    scalars, slots = np.ones(steps.N_SCALARS), np.zeros(12)
    params, gradient = np.ones(4), np.ones(4)
    with pytest.raises(ValueError, match="unknown optimizer"):
        run_update(code, scalars, slots, NONE, NO_SETTINGS, params, gradient, 0, 4, 1.0, 0.0)
    assert np.all(params == 1.0)


def test_all_parameters_frozen() -> None:
    scalars, slots = np.ones(steps.N_SCALARS), np.zeros(12)
    params, frozen = np.ones(4), np.ones(4, np.uint8)
    run_update(SGD, scalars, slots, frozen, NO_SETTINGS, params, np.ones(4), 0, 4, 1.0, 0.5)
    assert np.all(params == 1.0)
    assert np.all(slots == 0.0)


def test_codes_are_in_a_row() -> None:
    names = ["SGD", "ADAM", "AMSGRAD", "NADAM", "RMSPROP", "ADAGRAD", "ADADELTA", "LION"]
    assert [getattr(updates, name) for name in names] == list(range(1, 9))
