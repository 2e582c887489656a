"""What keeps a net from fitting noise: checks, rates by layer, the table of rules, nets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fastbp import MLP, SGD, Adam
from fastbp.kernels.state import CLIP_NORM, CLIP_VALUE, GROUPS, L1, L2, MAX_NORM, REGULATED
from fastbp.model.optimizers import AdamW, Group
from fastbp.model.regularization import Regularization

INF, NAN = float("inf"), float("nan")
OFF = Regularization()


def test_everything_is_off_by_default():
    assert OFF == Regularization(0.0, 0.0, 0.0, 0.0, None, None, None)
    assert OFF.settings(SGD(), 3).tolist() == [0] * GROUPS + [1, 0] * 6
    assert OFF.settings(Adam(), 1).tolist() == [0] * GROUPS + [1, 0] * 2
    assert OFF.dropout_rates(3) == (0.0, 0.0, 0.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        OFF.l1 = 1.0


BAD = [
    (name, bad, error, words)
    for name in ("l1", "l2")
    for bad, error, words in (
        (-0.1, ValueError, "must be a finite number of at least 0; got -0.1"),
        (NAN, ValueError, "must be a finite number of at least 0; got nan"),
        (10**400, ValueError, "must be a finite number of at least 0; got 1000"),
        (None, TypeError, "must be a number.*; got None"),
        (True, TypeError, "must be a number.*; got True"),
    )
]
BAD += [
    (name, bad, error, words)
    for name in ("clip_value", "clip_norm", "max_norm")
    for bad, error, words in (
        (0, ValueError, "must be None or a finite number above 0; got 0"),
        (-1.0, ValueError, "must be None or a finite number above 0; got -1.0"),
        (INF, ValueError, "must be None or a finite number above 0; got inf"),
        ("1", TypeError, "must be a number, None or .* above 0; got '1'"),
    )
]
BAD += [
    (name, bad, error, words)
    for name in ("dropout", "input_dropout")
    for bad, error, words in (
        (1.0, ValueError, "must be at least 0 and below 1; got 1.0"),
        (-0.1, ValueError, "must be at least 0 and below 1; got -0.1"),
        (NAN, ValueError, "must be at least 0 and below 1; got nan"),
        ("0.5", TypeError, "must be a number, at least 0 and below 1; got '0.5'"),
        (None, TypeError, "must be a number.*; got None"),
        (False, TypeError, "must be a number.*; got False"),
        (np.array(0.5), TypeError, "must be a number"),
        (b"\x00", TypeError, "must be a number"),
        ({0.5}, TypeError, "must be a number"),
        ({0.5: 1}, TypeError, "must be a number"),
    )
]
BAD += [
    ("dropout", [0.1, 1.5], ValueError, "must be at least 0 and below 1; got 1.5"),
    ("dropout", [0.1, [0.2]], TypeError, r"must be a number.*; got \[0.2\]"),
    ("input_dropout", [0.1], TypeError, r"must be a number.*; got \[0.1\]"),
]


@pytest.mark.parametrize(("name", "bad", "error", "words"), BAD, ids=lambda x: str(x)[:20])
def test_bad_numbers(name, bad, error, words):
    with pytest.raises(error, match=f"{name} {words}"):
        Regularization(**{name: bad})
    with pytest.raises(error, match=f"{name} {words}"):
        MLP((2, 3, 3, 1), **{name: bad})


def test_rates_of_dropout():
    assert Regularization(dropout=0.5).dropout_rates(3) == (0.0, 0.5, 0.5)
    assert Regularization(dropout=0.5, input_dropout=0.25).dropout_rates(1) == (0.25,)
    assert Regularization(dropout=np.float32(0.5)).dropout_rates(2) == (0.0, 0.5)
    for given in ([0.1, 0.0], (0.1, 0.0), (x for x in (0.1, 0.0)), np.array([0.1, 0.0])):
        found = Regularization(dropout=given, input_dropout=0.2)
        assert found.dropout == (0.1, 0.0)
        assert found.dropout_rates(3) == (0.2, 0.1, 0.0)
        assert all(type(rate) is float for rate in found.dropout_rates(3))
        for layers in (2, 4):
            words = f"each of the {layers - 1} hidden layers; got 2"
            with pytest.raises(ValueError, match=words):
                found.dropout_rates(layers)
    assert Regularization(dropout=[]).dropout_rates(1) == (0.0,)


def test_the_table_of_rules():
    all_of_them = Regularization(
        l1=0.5, l2=0.25, clip_value=2.0, clip_norm=3.0, max_norm=4.0, dropout=0.5
    )
    values = all_of_them.settings(SGD(), 2)
    assert values.dtype == np.float64
    assert values[[L1, L2, CLIP_VALUE, CLIP_NORM, MAX_NORM]].tolist() == [0.5, 0.25, 2.0, 3.0, 4.0]
    assert values[GROUPS:].tolist() == [1, 0] * 4
    assert Regularization(dropout=0.5, input_dropout=0.5).settings(SGD(), 2)[REGULATED] == 0
    for name, entry in (("l1", L1), ("l2", L2), ("clip_value", CLIP_VALUE),
                        ("clip_norm", CLIP_NORM), ("max_norm", MAX_NORM)):  # fmt: skip
        values = Regularization(**{name: 0.5}).settings(SGD(), 1)
        assert np.flatnonzero(values[:GROUPS]).tolist() == [REGULATED, entry]
        assert values[entry] == 0.5


def test_decay_and_groups_are_rules_too():
    assert OFF.settings(AdamW(weight_decay=0.5), 1).tolist() == [1] + [0] * (GROUPS - 1) + [
        1,
        0.5,
        1,
        0.5,
    ]
    groups = Group(biases=False, learning_rate=0.25)
    assert (
        OFF.settings(SGD(0.5, groups=groups), 2).tolist()
        == [1] + [0] * (GROUPS - 1) + [0.5, 0, 1, 0] * 2
    )
    assert OFF.settings(SGD(0.5, groups=Group(learning_rate=0.5)), 2)[REGULATED] == 0


# ---- nets ----------------------------------------------------------------------------------------


def data(rows=60):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 5)), rng.normal(size=(rows, 3))


def net(**options):
    options = {"optimizer": SGD(0.1), "activation": "tanh", "dtype": "float64", "seed": 1} | options
    made = MLP((5, 8, 3), **options)
    for biases in made.biases:
        biases[...] = np.linspace(-1, 1, biases.size)
    return made


def test_penalties_in_loss_and_gradient():
    X, y = data()
    plain_loss, plain_grad = net().loss_and_grad(X, y)
    penalized = net(l1=0.25, l2=0.5)
    loss, grad = penalized.loss_and_grad(X, y)
    expected, more = plain_loss, []
    for weights in penalized.weights:
        expected += 0.25 * np.abs(weights).sum() + 0.25 * (weights**2).sum()
        more.append((0.25 * np.sign(weights) + 0.5 * weights).T.ravel())
        more.append(np.zeros(weights.shape[1]))  # biases have none
    assert loss == pytest.approx(expected, rel=1e-13)
    assert penalized.loss(X, y) == loss
    np.testing.assert_allclose(grad, plain_grad + np.concatenate(more), atol=1e-14)


@pytest.mark.parametrize("batch_size", [7, 600])
def test_penalties_are_in_the_history_of_every_epoch(batch_size):
    X, y = data(600)
    trained = net(l2=0.5, optimizer=SGD(1e-12))
    history = trained.fit(X, y, epochs=2, batch_size=batch_size)
    assert history.loss == pytest.approx([trained.loss(X, y)] * 2, rel=1e-9)


@pytest.mark.parametrize("rows", [1, 60, 600])
def test_clipping_is_of_the_update_and_not_of_the_gradient(rows):
    """Whether a batch is one sample, one pass or several."""
    X, y = data(rows)
    whole = net()
    loss, grad = whole.loss_and_grad(X, y)
    norm = float(np.linalg.norm(grad))
    for name, limit, clipped in (
        ("clip_norm", norm / 2, grad / 2),
        ("clip_norm", norm * 2, grad),
        ("clip_value", 0.05, np.clip(grad, -0.05, 0.05)),
    ):
        limited = net(**{name: limit})
        before = limited.params.copy()
        same_loss, same_grad = limited.loss_and_grad(X, y)
        assert same_loss == loss
        assert np.array_equal(same_grad, grad)
        limited.step(X, y)
        np.testing.assert_allclose(before - limited.params, 0.1 * clipped, atol=1e-14)


def test_frozen_parameters_do_not_count_in_the_norm():
    X, y = data()
    limited = net(clip_norm=0.01)
    limited.freeze(layers=[1])
    before = limited.params.copy()
    limited.step(X, y)
    steps = before - limited.params
    assert np.linalg.norm(steps) == pytest.approx(0.1 * 0.01, rel=1e-12)
    assert not steps[48:].any()


@pytest.mark.parametrize("batch_size", [1, 16, 600])
def test_norms_of_units_stay_below_the_limit(batch_size):
    X, y = data(600)
    limited = net(max_norm=0.3, optimizer=SGD(0.5))
    before = [b.copy() for b in limited.biases]
    limited.fit(X, 10 * y, epochs=2, batch_size=batch_size)
    for weights, biases, old in zip(limited.weights, limited.biases, before, strict=True):
        norms = np.linalg.norm(weights, axis=0)
        assert norms.max() <= 0.3 * (1 + 1e-12)
        assert norms.max() > 0.29
        assert not np.array_equal(biases, old)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits_that_never_bind_give_the_bits_of_none(dtype):
    X, y = data(100)
    ends = []
    for options in ({}, {"clip_value": 1e9}, {"clip_norm": 1e9}, {"max_norm": 1e9}):
        made = net(dtype=dtype, optimizer="adam", **options)
        made.fit(X, y, epochs=3, batch_size=16)
        ends.append(made.params.tobytes())
    assert len(set(ends)) == 1


@pytest.mark.parametrize("batch_size", [1, 16, 700])
def test_penalties_by_blocks_and_at_once_agree(batch_size):
    """A limit of the norm that never binds makes the update wait for the whole gradient."""
    X, y = data(700)
    ends = []
    for options in ({}, {"clip_norm": 1e9}):
        groups = Group(layers=[1], learning_rate=0.02, weight_decay=0.5)
        rules = {"l1": 0.01, "l2": 0.02, "max_norm": 1.0, "clip_value": 0.5} | options
        made = net(optimizer=Adam(0.05, groups=groups), **rules)
        made.fit(X, y, epochs=1, batch_size=batch_size)
        ends.append(made.params)
    np.testing.assert_allclose(*ends, rtol=1e-9, atol=1e-12)
