"""Restarts and cross-validation against what loops of single fits give."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from helpers import COMPILED, state

from fastbp import MLP, SGD, Adam, cross_validate, restarts
from fastbp.many.selection import drawn_anew

X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.sin(X.sum(axis=1))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weight_init": "orthogonal", "bias": False, "dtype": "float64"},
        {"weight_init": ["he", "glorot_normal"], "optimizer": SGD(0.1, momentum=0.5)},
        {"loss": "huber", "activation": "selu", "dropout": 0.1, "missing_targets": True},
    ],
)
def test_drawn_anew_is_what_another_seed_makes(options):
    net, other = (MLP((3, 5, 1), seed=seed, **options) for seed in (0, 7))
    before = state(net)
    made = drawn_anew(net, 7)
    assert state(made) == state(other)
    assert repr(made) == repr(other)
    assert made.missing_targets == other.missing_targets
    assert made.split_seed == net.split_seed
    assert state(net) == before


def test_restarts_are_fits_of_other_seeds():
    net = MLP((3, 4, 1), seed=3, optimizer=Adam(0.02))
    net.freeze(layers=[0], weights=False)
    net.biases[0][:] = 0.5
    options = {"epochs": 6, "patience": 2}
    before = state(net)
    found = restarts(net, X, Y, 4, threads=2, **options)
    assert state(net) == before
    assert found.net is found.nets[found.losses.argmin()]
    assert len(set(found.losses)) == 4
    seeds = np.random.default_rng(net.split_seed).integers(2**63, size=4).tolist()
    for one, loss, seed in zip(found.nets, found.losses, seeds, strict=True):
        mine = drawn_anew(net, seed)
        history = mine.fit(X, Y, validation_fraction=0.2, **options)
        assert state(one) == state(mine)
        assert loss == min(history["val_loss"])
        assert (one.biases[0] == 0.5).all()
    assert restarts(net, X, Y, 2, **options).losses.tolist() == found.losses[:2].tolist()


@pytest.mark.skipif(not COMPILED, reason="trains at length")
def test_restarts_find_a_solution_of_exclusive_or():
    corners, targets = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    net = MLP((2, 2, 1), activation="leaky_relu", optimizer=Adam(0.05), seed=0)
    found = restarts(net, corners, targets, 20, validation_fraction=None, epochs=1000)
    assert found.losses.min() < 1e-6 and (found.losses > 0.05).sum() > 2
    assert found.net.loss(corners, targets) == found.losses.min()


def test_restarts_refuse_weights_that_were_given():
    net = MLP((3, 1), weight_init=lambda rng, shape: np.zeros(shape))
    with pytest.raises(ValueError, match="Make the nets yourself"):
        restarts(net, X, Y, 2, epochs=1)
    with pytest.raises(ValueError, match="k must"):
        restarts(MLP((3, 1)), X, Y, 0)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 40)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_cross_validation_is_a_loop_over_folds(shuffle, weights):
    net = MLP((3, 4, 1), seed=5)
    before = state(net)
    found = cross_validate(
        net, X, Y, 3, epochs=3, shuffle=shuffle, sample_weight=weights, threads=2
    )
    assert state(net) == before
    assert [len(fold) for fold in found.folds] == [14, 13, 13]
    assert sorted(np.concatenate(found.folds)) == list(range(40))
    if not shuffle:
        assert found.folds[0].tolist() == list(range(14))
    for i, fold in enumerate(found.folds):
        one = copy.deepcopy(net)
        kept = np.setdiff1d(np.arange(40), fold)
        w, held = (None, None) if weights is None else (weights[kept], weights[fold])
        one.fit(X[kept], Y[kept], epochs=3, shuffle=shuffle, sample_weight=w)
        assert state(found.nets[i]) == state(one)
        assert found.losses[i] == one.loss(X[fold], Y[fold], held)
        assert (found.predictions[fold] == one.predict(X[fold])).all()


def test_cross_validation_with_folds_that_are_given():
    labels = (X[:, 0] > 0).astype(int)
    net = MLP((3, 2), loss="cross_entropy", seed=0)
    found = cross_validate(net, X.tolist(), labels, [range(5), [7, 6]], epochs=1)
    assert [fold.tolist() for fold in found.folds] == [[0, 1, 2, 3, 4], [7, 6]]
    assert np.isnan(found.predictions).any(axis=1).sum() == 33
    assert found.losses[1] == found.nets[1].loss(X[[7, 6]], labels[[7, 6]])


def test_leave_one_out_of_ordinary_least_squares():
    """The residuals of leave-one-out are those of all rows over 1 - h (Allen, 1974)."""
    rows = 12
    A = np.column_stack([X[:rows], np.ones(rows)])
    hat = A @ np.linalg.pinv(A)
    expected = (Y[:rows] - hat @ Y[:rows]) / (1 - np.diag(hat))
    net = MLP((3, 1), dtype="float64", optimizer=SGD(0.3), seed=0)
    epochs = 2000 if COMPILED else 300
    found = cross_validate(net, X[:rows], Y[:rows], rows, epochs=epochs, batch_size=rows)
    tolerance = 1e-8 if COMPILED else 1e-2
    np.testing.assert_allclose(Y[:rows] - found.predictions[:, 0], expected, atol=tolerance)
    order = [int(fold[0]) for fold in found.folds]
    np.testing.assert_allclose(found.losses, expected[order] ** 2 / 2, atol=tolerance)


def test_folds_that_are_refused():
    net = MLP((3, 1))
    cases = {
        "folds must": (1, 41, 2.5, "loo"),
        "each of the folds": ([[0.5]], [[]], [range(40)], [3]),
        "must have different numbers from 0 to 39": ([[0, 40]], [[1, 1]], [[-1]]),
        "at least one": ([],),
    }
    for words, given in cases.items():
        for folds in given:
            with pytest.raises((ValueError, TypeError), match=words):
                cross_validate(net, X, Y, folds, epochs=1)
