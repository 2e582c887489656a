"""`fit` with a method: what it leaves, what it refuses, how it ends."""

from __future__ import annotations

import builtins
import math
from functools import partial

import helpers
import limited
import numpy as np
import pytest
from helpers import At, interrupt

from fastbp import (
    MLP,
    SGD,
    Adam,
    Callback,
    DivergenceWarning,
    LearningRateSchedule,
    ReduceOnPlateau,
    Rprop,
)
from fastbp.fit.limits import Limits
from fastbp.methods import METHODS

X = np.random.default_rng(0).uniform(-1, 1, size=(80, 3))
Y = np.tanh(X @ [1.0, -2.0, 0.5]) * X[:, 0]
each_method = pytest.mark.parametrize("method", METHODS)


make = partial(helpers.make, (3, 6, 1), seed=1)


@each_method
def test_history(method) -> None:
    net = make()
    first_loss, first_grad = net.loss_and_grad(X, Y)
    start = net.params.copy()
    points = []

    class Keep(Callback):
        def on_epoch_end(self, fit) -> None:
            points.append(fit.net.params.copy())

    history = net.fit(X, Y, epochs=15, method=method, callbacks=Keep())
    assert history is net.history
    own = METHODS[method].columns
    columns = ("loss", "gradient_norm", "step_size", "evaluations", *own, "seconds")
    assert history.names == columns
    assert {len(history[name]) for name in history.names} == {15}
    assert history.stop_reason == ""
    for before, point, row in zip([start, *points[:-1]], points, range(15), strict=True):
        net.params[:] = point
        loss, grad = net.loss_and_grad(X, Y)
        assert history.loss[row] == loss
        assert history["gradient_norm"][row] == pytest.approx(np.linalg.norm(grad), rel=1e-12)
        size = np.linalg.norm(point - before)
        assert history["step_size"][row] == pytest.approx(size, rel=1e-9)
    evaluations = np.array(history["evaluations"])
    assert evaluations[0] >= 2
    assert (np.diff(evaluations) >= 1).all()
    assert history.loss[-1] < first_loss
    assert np.linalg.norm(first_grad) > history["gradient_norm"][-1]


@each_method
def test_with_and_without_hooks_it_is_the_same(method) -> None:
    plain, hooked = make(), make()
    plain.fit(X, Y, epochs=12, method=method)
    history = hooked.fit(
        X, Y, epochs=12, method=method, validation_data=(X[:20], Y[:20]), metrics="r2"
    )
    assert np.array_equal(plain.params, hooked.params)
    assert plain.history.loss == history.loss
    assert history["val_loss"][-1] == hooked.loss(X[:20], Y[:20])
    assert len(history["val_r2"]) == 12


@each_method
def test_frozen_parameters_stay(method) -> None:
    net = make()
    net.freeze(layers=[0], weights=True, biases=False)
    before = net.params.copy()
    net.fit(X, Y, epochs=10, method=method)
    frozen = net.frozen
    assert np.array_equal(net.params[frozen], before[frozen])
    assert (net.params[~frozen] != before[~frozen]).all()
    net.freeze()
    before[:] = net.params
    assert "converged after iteration 0" in net.fit(X, Y, epochs=10, method=method).stop_reason
    assert np.array_equal(net.params, before)


@each_method
def test_penalties_and_weights_count(method) -> None:
    """A row of weight 2 is two rows; the optimum of a ridge regression is known."""
    net = MLP((3, 1), dtype="float64", l2=0.1, seed=0)
    weights = np.arange(80) % 3
    net.fit(X, Y, sample_weight=weights, epochs=500, method=METHODS[method](1e-7))
    repeated = np.repeat(np.c_[X, np.ones(80)], weights, axis=0)
    share = np.diag([0.1, 0.1, 0.1, 0]) * len(repeated)
    exact = np.linalg.solve(repeated.T @ repeated + share, repeated.T @ np.repeat(Y, weights))
    np.testing.assert_allclose(np.r_[net.weights[0][:, 0], net.biases[0]], exact, atol=1e-5)


@each_method
def test_what_else_it_may_be_combined_with(method) -> None:
    net = make()
    history = net.fit(
        X, Y, epochs=400, method=method, validation_fraction=0.25, shuffle=False, patience=5
    )
    assert "no improvement of val_loss for 5 epochs" in history.stop_reason
    best = int(np.argmin(history["val_loss"]))
    assert net.loss(X[60:], Y[60:]) == history["val_loss"][best]
    assert net.fit(X, Y, epochs=0, method=method).loss == []
    if method == "lm":  # for sums of squares alone
        return
    classes = MLP((3, 4, 3), loss="cross_entropy", seed=0)
    labels = (Y > 0).astype(int) + (Y > 0.2)
    assert classes.fit(X, labels, epochs=50, method=method).loss[-1] < 0.6


def test_the_optimizer_is_left_alone() -> None:
    one, other = make(optimizer=Adam(1e-2)), make(optimizer=Adam(1e-2))
    for net in (one, other):
        net.fit(X, Y, epochs=3, batch_size=20)
    params = one.params.copy()
    one.fit(X, Y, epochs=5, method="rprop")
    assert not np.array_equal(one.params, params)
    one.params[:] = params
    assert one.fit(X, Y, epochs=3, batch_size=20).loss == other.fit(X, Y, epochs=3,
                                                                   batch_size=20).loss  # fmt: skip


def test_rprop_takes_l1() -> None:
    net = make(l1=0.02)
    net.fit(X, Y, epochs=300, method="rprop")
    assert np.mean([np.abs(w).ravel().min() < 1e-3 for w in net.weights]) == 1


@pytest.mark.parametrize(
    ("options", "fit_options", "message"),
    [
        ({"l1": 0.1}, {}, "'lbfgs' minimises a smooth function.*cannot be used with l1"),
        ({"dropout": 0.1, "clip_norm": 1.0}, {}, "cannot be used with clip_norm and dropout"),
        ({"input_dropout": 0.1}, {}, "cannot be used with input_dropout"),
        ({"max_norm": 1.0, "clip_value": 1.0}, {}, "used with clip_value and max_norm"),
        ({}, {"batch_size": 16}, "all rows at once.*got batch_size=16. Leave batch_size out"),
        ({}, {"augment": [np.copy]}, "as they are; got augment=.*Leave augment out"),
        ({}, {"callbacks": LearningRateSchedule(lambda _: 0.1)}, "LearningRateSchedule sets"),
        ({}, {"callbacks": [ReduceOnPlateau()]}, "ReduceOnPlateau sets the optimizer's"),
        ({}, {"epochs": -1}, "epochs must be at least 0"),
        ({}, {"shuffle": 1}, "shuffle must be True or False"),
    ],
)
def test_what_it_refuses(options, fit_options, message) -> None:
    net = make(**options)
    before = net.params.copy()
    with pytest.raises((TypeError, ValueError), match=message):
        net.fit(X, Y, method="lbfgs", **fit_options)
    assert np.array_equal(net.params, before)


def test_rows_must_be_in_memory(tmp_path) -> None:
    net = make()
    with pytest.raises(ValueError, match="all rows at once, from memory; got an iterable of"):
        net.fit([(X, Y)], method="rprop")
    mapped = np.memmap(tmp_path / "X", np.float64, "w+", shape=X.shape)
    mapped[:] = X
    with pytest.raises(ValueError, match="from memory; got an array on disk"):
        limited.fit(net, mapped, Y, limits=Limits(part_bytes=100), method="rprop")
    with pytest.raises(ValueError, match="a net with step units"):
        MLP((3, 2, 1), activation="step").fit(X, Y, method="rprop")


def test_without_scipy(monkeypatch) -> None:
    actual = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("scipy"):
            raise ImportError(name)
        return actual(name, *arguments, **options)

    net = make()
    before = net.params.copy()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="L-BFGS needs SciPy: pip install"):
        net.fit(X, Y, method="lbfgs")
    assert np.array_equal(net.params, before)


@each_method
def test_an_interruption_keeps_the_last_iteration(method, monkeypatch) -> None:
    twin = make()
    twin.fit(X, Y, epochs=4, method=method)
    net = make()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=9, method=method, callbacks=At(4, interrupt))
    assert np.array_equal(net.params, twin.params)
    assert net.history.loss == twin.history.loss
    # Likewise within an iteration, while a trial step is evaluated.
    import fastbp.methods.objective

    evaluate, left = fastbp.methods.objective.evaluate, [int(twin.history["evaluations"][3])]

    def interrupted(*arguments):
        value = evaluate(*arguments)
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return value

    monkeypatch.setattr(fastbp.methods.objective, "evaluate", interrupted)
    net = make()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=9, method=method)
    assert np.array_equal(net.params, twin.params)
    assert net.history.loss == twin.history.loss


@each_method
def test_time_runs_out_within_an_iteration(method, monkeypatch) -> None:
    net = make()
    clock = limited.Clock()

    class Late(Callback):
        def on_epoch_end(self, fit) -> None:
            self.params = fit.net.params.copy()
            if fit.epoch == 3:
                fit.net.__dict__["late"] = True

    import fastbp.methods.objective

    evaluate, late = fastbp.methods.objective.evaluate, Late()

    def slow(*arguments):
        value = evaluate(*arguments)
        if "late" in net.__dict__:
            clock.now += 100.0
        return value

    monkeypatch.setattr(fastbp.methods.objective, "evaluate", slow)
    history = limited.fit(
        net, X, Y, clock=clock, epochs=50, method=method, max_seconds=60, callbacks=late
    )
    assert history.stop_reason == "max_seconds=60 ran out"
    assert len(history) in (3, 4)
    assert np.array_equal(net.params, late.params)


@each_method
def test_callbacks_may_change_the_parameters(method) -> None:
    """Then the method starts afresh from there."""

    class Shake(Callback):
        def on_epoch_end(self, fit) -> None:
            if fit.epoch == 5:
                fit.net.params[:] = start

    net, twin = make(), make()
    start = net.params.copy()
    history = net.fit(X, Y, epochs=12, method=method, callbacks=Shake())
    other = twin.fit(X, Y, epochs=7, method=method)
    assert history.loss[5:] == other.loss
    assert np.array_equal(net.params, twin.params)
    last = make()
    last.fit(X, Y, epochs=5, method=method, callbacks=Shake())
    assert np.array_equal(last.params, start)


@pytest.mark.parametrize("hooked", [False, True])
def test_divergence(hooked) -> None:
    """Rprop has no line search: with a huge step it leaves what is finite."""
    net = MLP((3, 1), loss="poisson", dtype="float64", seed=0)
    options = {"validation_data": (X, Y**2), "patience": 100} if hooked else {}
    before = net.params.copy()
    with pytest.warns(DivergenceWarning, match="diverged in iteration 1.*Scale the inputs") as got:
        history = net.fit(X, Y**2, epochs=5, method=Rprop(first_step=1e6, max_step=1e9), **options)
    assert got[0].filename == __file__
    assert history.stop_reason == "diverged in iteration 1"
    assert len(history) == 0
    assert np.array_equal(net.params, before)


def test_parameters_that_are_not_finite() -> None:
    net = make()
    net.params[0] = math.nan
    with pytest.warns(DivergenceWarning, match="diverged in iteration 1"):
        history = net.fit(X, Y, method="conjugate_gradient")
    assert history.loss == []


def test_it_goes_on_where_training_ended() -> None:
    net = make(optimizer=SGD(0.1))
    net.fit(X, Y, epochs=20, batch_size=16)
    loss = net.loss(X, Y)
    assert net.fit(X, Y, epochs=5, method="conjugate_gradient").loss[0] < loss


def test_several_rows_a_call(monkeypatch) -> None:
    """Losses and gradients of many rows come from several compiled calls."""
    net, twin = make(), make()
    X_many, y_many = np.tile(X, (20, 1)), np.tile(Y, 20)
    net.rows_in_a_call = 512
    net.fit(X_many, y_many, epochs=5, method="conjugate_gradient")
    twin.fit(X, Y, epochs=5, method="conjugate_gradient")
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-8)
