"""Options of `fit` that need control between epochs, and that the plain call has none."""

from __future__ import annotations

import copy
import pickle
import time
from functools import partial

import helpers
import limited
import numpy as np
import pytest
from helpers import COMPILED, At, counts, interrupt, needs_compiler, state
from limited import Clock

import fastbp.fit.between_epochs
import fastbp.fit.fit
import fastbp.mlp
from fastbp import MLP, SGD, Adam, Callback, DivergenceWarning
from fastbp.fit.limits import Limits
from fastbp.kernels import training

RNG = np.random.default_rng(11)
X, XV = RNG.normal(size=(37, 5)), RNG.normal(size=(20, 5))
Y, YV = RNG.integers(3, size=37), RNG.integers(3, size=20)


make = partial(helpers.make, (5, 7, 3), loss="cross_entropy", optimizer=Adam(0.01))


class Spy(Callback):
    """Notes what it sees."""

    def __init__(self):
        self.calls, self.params, self.losses = [], [], []

    def on_fit_begin(self, fit):
        self.fit = fit
        self.calls.append("begin")

    def on_epoch_end(self, fit):
        self.calls.append(fit.epoch)
        self.params.append(fit.net.params.copy())
        self.losses.append(dict(fit.losses))

    def on_fit_end(self, fit):
        self.calls.append("end")


# ---- the same training --------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [8, 100])
def test_hooks_change_no_bits(batch_size, shuffle):
    plain, hooked, spy = make(), make(), Spy()
    options = {"epochs": 6, "batch_size": batch_size, "shuffle": shuffle}
    losses = plain.fit(X, Y, **options).loss
    history = hooked.fit(
        X, Y, validation_data=(XV, YV), metrics="accuracy", callbacks=spy, **options
    )
    assert history.loss == losses
    assert state(hooked) == state(plain)
    assert spy.calls == ["begin", 1, 2, 3, 4, 5, 6, "end"]
    assert spy.fit.net is hooked
    assert spy.fit.history is history is hooked.history
    assert (spy.fit.epochs, spy.fit.epoch, spy.fit.error, spy.fit.stop_reason) == (6, 6, None, "")
    # After epoch 4 the net is as after a fit of 4.
    assert make().fit(X, Y, **options | {"epochs": 4}).loss == losses[:4]
    twin = make()
    twin.fit(X, Y, **options | {"epochs": 4})
    assert twin.params.tobytes() == spy.params[3].tobytes()


@needs_compiler
def test_the_plain_call_has_no_hooks(monkeypatch):
    calls, real = [], training.train
    monkeypatch.setattr(training, "train", lambda *a: calls.append(a) or real(*a))
    monkeypatch.setattr(fastbp.fit.between_epochs, "Hooks", None)
    assert not fastbp.fit.between_epochs.Options().any_given()
    net = make()
    with monkeypatch.context() as m:
        m.setattr(fastbp.fit.fit, "prepare", None)
        net.fit(X, Y, epochs=2)
    for options in ({}, {"metrics": [], "callbacks": [], "verbose": np.int64(0), "min_delta": 0}):
        calls.clear()
        assert len(net.fit(X, Y, epochs=50, **options)) == 50
        assert len(calls) == 1
    monkeypatch.undo()
    monkeypatch.setattr(training, "train", lambda *a: calls.append(a) or real(*a))
    calls.clear()
    net.fit(X, Y, epochs=50, callbacks=Callback())
    assert len(calls) == 50


@pytest.mark.parametrize(("batch_size", "a_call"), [(8, 1), (8, 3), (100, 1)])
def test_epochs_of_several_calls(batch_size, a_call):
    one, many, spy = make(), make(), Spy()
    losses = one.fit(X, Y, epochs=4, batch_size=batch_size).loss
    limits = Limits(first_passes=a_call, most_passes=a_call)
    history = limited.fit(many, X, Y, limits=limits, epochs=4, batch_size=batch_size, callbacks=spy)
    assert history.loss == losses
    assert state(one) == state(many)
    assert [set(seen) for seen in spy.losses] == [{"loss", "learning_rate", "seconds"}] * 4
    assert [seen["seconds"] for seen in spy.losses] == history.seconds
    assert all(seconds > 0 for seconds in history.seconds)


def test_a_call_that_ends_early_raises_no_bound(monkeypatch):
    bounds, real = [], training.train
    monkeypatch.setattr(training, "train", lambda *a: bounds.append(a[-1]) or real(*a))
    limited.fit(make(), X, Y, limits=Limits(60.0), epochs=20, callbacks=Callback())
    assert len(bounds) == 20
    assert len(set(bounds)) == 1


# ---- validation and metrics ---------------------------------------------------------------------


def test_validation_data_and_metrics():
    net, spy = make(), Spy()

    def wrong(y_true, y_pred):
        return (y_pred.argmax(axis=1) != y_true).mean()

    history = net.fit(
        X, Y, epochs=3, validation_data=[XV.tolist(), YV.tolist()],
        metrics=["accuracy", wrong], callbacks=[spy],
    )  # fmt: skip
    assert history.names == (
        "loss", "accuracy", "wrong", "val_loss", "val_accuracy", "val_wrong", "learning_rate",
        "seconds",
    )  # fmt: skip
    twin = make()
    for epoch, params in enumerate(spy.params):
        twin.params[:] = params
        assert history["val_loss"][epoch] == twin.loss(XV, YV)
        accuracy = (twin.predict(X).argmax(axis=1) == Y).mean()
        val_accuracy = (twin.predict(XV).argmax(axis=1) == YV).mean()
        assert history["accuracy"][epoch] == accuracy
        assert history["wrong"][epoch] == pytest.approx(1 - accuracy)
        assert history["val_accuracy"][epoch] == val_accuracy
        assert history["val_wrong"][epoch] == pytest.approx(1 - val_accuracy)
        assert spy.losses[epoch] == {name: history[name][epoch] for name in history.names}
    assert len(spy.params) == 3
    assert history["learning_rate"] == [0.01] * 3
    assert all(type(number) is float for name in history.names for number in history[name])


def test_the_learning_rate_is_in_every_history():
    net = make(optimizer=SGD(0.25))
    assert net.fit(X, Y, epochs=3)["learning_rate"] == [0.25] * 3
    net.optimizer = SGD(0.125)
    assert net.fit(X, Y, epochs=2)["learning_rate"] == [0.125] * 2
    assert net.history.names == ("loss", "learning_rate", "seconds")


def test_the_last_rows_validate_without_shuffle():
    net, twin = make(), make()
    options = {"epochs": 3, "batch_size": 8, "shuffle": False}
    history = net.fit(X, Y, validation_fraction=0.25, **options)  # ceil(9.25) rows
    expected = twin.fit(X[:27], Y[:27], validation_data=(X[27:], Y[27:]), **options)
    assert history.loss == expected.loss
    assert history["val_loss"] == expected["val_loss"]
    assert state(net) == state(twin)


def test_rows_for_validation_are_drawn_by_the_seed():
    def held(net, y=Y):
        # The rows are told apart by a metric that sees their targets.
        seen = {}
        numbers = np.arange(37.0).reshape(-1, 1)
        probe = MLP((5, 1), seed=0)
        probe.split_seed = net.split_seed

        def rows(y_true, y_pred):
            seen.setdefault(len(y_true), y_true.ravel().astype(int).tolist())
            return 0.0

        probe.fit(X, numbers, epochs=1, validation_fraction=0.25, metrics=rows)
        assert sorted(seen[10] + seen[27]) == list(range(37))
        assert seen[27] == sorted(seen[27])
        return seen[10]

    rows = held(make(seed=3))
    assert rows == held(make(seed=3))
    assert rows != held(make(seed=4))
    assert rows != list(range(27, 37))
    # The net trains on the others, in the order in which they stand.
    net, twin = make(seed=3), make(seed=3)
    history = net.fit(X, Y, epochs=3, batch_size=100, validation_fraction=0.25)
    kept = np.delete(np.arange(37), rows)
    expected = twin.fit(
        X[kept], Y[kept], epochs=3, batch_size=100, validation_data=(X[rows], Y[rows])
    )
    assert history.loss == expected.loss
    assert history["val_loss"] == expected["val_loss"]
    # Another call holds out the same ones.
    assert held(net) == rows


def test_validation_data_with_weights():
    net, twin, weights = make(), make(), np.arange(20.0)
    history = net.fit(X, Y, epochs=3, validation_data=(XV, YV, weights.tolist()))
    for epoch in range(3):
        twin.fit(X, Y, epochs=1)
        assert history["val_loss"][epoch] == twin.loss(XV, YV, weights)
        assert history["val_loss"][epoch] != twin.loss(XV, YV)
    assert state(net) == state(twin)


@pytest.mark.parametrize("as_list", [False, True])
def test_a_split_splits_the_weights(as_list):
    weights = np.arange(37.0) + 1
    given = weights.tolist() if as_list else weights
    net, twin = make(), make()
    options = {"epochs": 3, "batch_size": 8, "shuffle": False}
    history = net.fit(X, Y, validation_fraction=0.25, sample_weight=given, **options)
    held = X[27:], Y[27:], weights[27:]
    expected = twin.fit(X[:27], Y[:27], sample_weight=weights[:27], validation_data=held, **options)
    assert history.loss == expected.loss
    assert history["val_loss"] == expected["val_loss"]
    assert state(net) == state(twin)


def test_a_split_at_random_keeps_each_row_its_weight():
    """Weights, inputs and targets hold the numbers of their rows."""
    numbers, seen = np.arange(37.0), []

    def loss(y_pred, y, weights):
        seen.append((y_pred[:, 0].copy(), y[:, 0], weights))
        return 1.0, np.zeros_like(y)

    net = MLP((1, 1), loss=loss, dtype="float64", seed=0)
    net.params[:] = 1.0, 0.0
    net.fit(numbers[:, None], numbers, sample_weight=numbers, epochs=1, batch_size=40,
            validation_fraction=0.25)  # fmt: skip
    (X_kept, y_kept, w_kept), (X_held, y_held, w_held) = seen
    assert len(X_held) == 10
    assert sorted([*y_kept, *y_held]) == numbers.tolist()
    assert y_held.tolist() != numbers[-10:].tolist()
    for a, b, c in ((X_kept, y_kept, w_kept), (X_held, y_held, w_held)):
        assert np.array_equal(a, b)
        np.testing.assert_allclose(b / b.mean(), c / c.mean(), rtol=1e-12)  # scaled in training


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_split_that_leaves_no_weight_changes_nothing(shuffle):
    net = make()
    kept, history = state(net), net.history
    order = np.random.default_rng([net.split_seed, 37, 4]).permutation(37)
    chosen = np.sort(order[:4]) if shuffle else np.arange(33, 37)
    for zero in (chosen, np.setdiff1d(np.arange(37), chosen)):
        weights = np.ones(37)
        weights[zero] = 0
        with pytest.raises(ValueError, match="after the split by .*a sum above 0"):
            net.fit(X, Y, validation_fraction=0.1, sample_weight=weights, shuffle=shuffle)
        assert state(net) == kept
        assert net.history is history


def test_bad_weights_of_validation_data():
    net = make()
    kept = state(net)
    for weights, words in ((np.zeros(20), "sum above 0"), (np.ones(19), "shape (20,)")):
        with pytest.raises(ValueError) as caught:
            net.fit(X, Y, validation_data=(XV, YV, weights))
        assert str(caught.value).startswith("validation_data: sample_weight must have")
        assert words in str(caught.value)
    assert state(net) == kept


def test_validation_loss_sees_no_training_rows():
    # Of targets that are noise, one learns the rows of training alone.
    rng = np.random.default_rng(0)
    inputs, noise = rng.normal(size=(40, 30)), rng.normal(size=40)
    net = MLP((30, 1), optimizer=Adam(0.05), seed=0)
    history = net.fit(inputs, noise, epochs=counts(300, 300, 100), validation_fraction=0.5)
    assert history.loss[-1] < 0.05
    assert history["val_loss"][-1] > 0.3


# ---- patience -----------------------------------------------------------------------------------


def overfitting():
    """A net, and data that it overfits within some epochs."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(40, 5))
    targets = inputs[:, 0] + 2 * rng.normal(size=40)
    net = MLP((5, 30, 1), optimizer=Adam(0.03), dtype="float64", seed=0)
    data = {"X": inputs[:20], "y": targets[:20]}
    return net, data | {"validation_data": (inputs[20:], targets[20:])}


def test_patience_stops_and_restores_the_best():
    (net, data), spy = overfitting(), Spy()
    slots_before = None

    def keep_slots(fit):
        nonlocal slots_before
        slots_before = fit.net.state.slots.copy()

    class Slots(Callback):
        def on_epoch_end(self, fit):
            keep_slots(fit)

    history = net.fit(**data, epochs=1000, patience=5, callbacks=[spy, Slots()])
    best = int(np.argmin(history["val_loss"]))
    assert len(history) == best + 1 + 5 < 1000
    assert history.stop_reason == "no improvement of val_loss for 5 epochs"
    assert spy.fit.restored_epoch == best + 1
    assert net.params.tobytes() == spy.params[best].tobytes()
    assert net.params.tobytes() != spy.params[-1].tobytes()
    assert net.loss(*data["validation_data"]) == history["val_loss"][best]
    assert (net.state.slots == slots_before).all()  # the optimiser goes on


def test_patience_that_lasts_restores_the_best_too():
    net, data = overfitting()
    history = net.fit(**data, epochs=60, patience=1000)
    assert len(history) == 60
    assert history.stop_reason == ""
    assert net.loss(*data["validation_data"]) == min(history["val_loss"]) < history["val_loss"][-1]


def test_patience_without_validation_watches_the_loss():
    net = make(optimizer=SGD(0.01))
    history = net.fit(X, Y, epochs=50, patience=2, min_delta=10.0)
    assert len(history) == 3  # the first is an improvement
    assert history.stop_reason == "no improvement of loss for 2 epochs"


# ---- time ---------------------------------------------------------------------------------------


def test_out_of_time_after_an_epoch():
    clock = Clock()
    net, data = overfitting()
    spy = Spy()

    def wait(fit):
        clock.now += 1000

    callbacks = [spy, At(40, wait)]
    history = limited.fit(net, **data, clock=clock, epochs=60, max_seconds=500, callbacks=callbacks)
    best = int(np.argmin(history["val_loss"]))
    assert len(history) == 40
    assert best < 39
    assert history.stop_reason == "max_seconds=500 ran out"
    assert net.params.tobytes() == spy.params[best].tobytes()


def test_time_that_does_not_run_out_restores_nothing():
    clock = Clock()
    net, data = overfitting()
    spy = Spy()
    history = limited.fit(net, **data, clock=clock, epochs=60, max_seconds=500, callbacks=spy)
    assert (len(history), history.stop_reason, spy.fit.restored_epoch) == (60, "", None)
    assert min(history["val_loss"]) < history["val_loss"][-1]
    assert net.params.tobytes() == spy.params[-1].tobytes()
    # Nor when it runs out after the last epoch.
    net, data = overfitting()
    late = At(60, lambda fit: setattr(clock, "now", clock.now + 1000))
    history = limited.fit(net, **data, clock=clock, epochs=60, max_seconds=500, callbacks=late)
    assert history.stop_reason == ""
    assert net.params.tobytes() == spy.params[-1].tobytes()


@pytest.mark.parametrize("call", [1, 3, 12])
def test_out_of_time_within_an_epoch(call, monkeypatch):
    clock = Clock()
    net, twin, calls, real = make(), make(), [], training.train
    options = {"limits": Limits(first_passes=1, most_passes=1), "clock": clock}
    options |= {"batch_size": 8, "shuffle": False}  # 5 updates an epoch

    def slow(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            clock.now += 1000
        return real(*arguments)

    monkeypatch.setattr(training, "train", slow)
    history = limited.fit(net, X, Y, epochs=9, max_seconds=500, **options)
    assert len(calls) == call
    assert len(history) == call // 5
    assert history.stop_reason == "max_seconds=500 ran out"
    monkeypatch.undo()
    if call < 5:  # the updates made
        for first in range(0, 8 * call, 8):
            twin.step(X[first : first + 8], Y[first : first + 8])
    else:  # the best epoch; here the loss falls
        twin.fit(X, Y, epochs=call // 5, batch_size=8, shuffle=False)
    assert net.params.tobytes() == twin.params.tobytes()


def test_overflow_when_time_runs_out_is_divergence(monkeypatch):
    clock = Clock()
    net = MLP((1, 1), bias=False, optimizer=SGD(1.7e308), dtype="float64", seed=0)
    before, real = net.params.copy(), training.train

    def slow(*arguments):
        clock.now += 1000
        return real(*arguments[:-1], 1)  # one update

    monkeypatch.setattr(training, "train", slow)
    with pytest.warns(DivergenceWarning, match="after the last finite epoch"):
        history = limited.fit(
            net, np.full((6, 1), 4.0), np.zeros(6), clock=clock, batch_size=2, max_seconds=500
        )
    assert (len(history), history.stop_reason) == (0, "diverged in epoch 1")
    assert net.params.tobytes() == before.tobytes()


@pytest.mark.skipif(not COMPILED, reason="an uncompiled call takes its time")
def test_real_time():
    big = np.random.default_rng(0).normal(size=(200_000, 5)).astype("float32")
    net = MLP((5, 200, 1), seed=0)
    net.fit(big[:10], big[:10, 0], epochs=1)
    start = time.perf_counter()
    history = net.fit(big, big[:, 0], epochs=10**6, batch_size=8, max_seconds=0.3)
    assert history.stop_reason == "max_seconds=0.3 ran out"
    assert 0.3 <= time.perf_counter() - start < 60  # a guard against hanging
    assert len(history) < 10**6


# ---- how a fit can end --------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_in_a_callback(error):
    def fail(fit):
        raise error

    net, twin, before, after = make(), make(), Spy(), Spy()
    with pytest.raises(error):
        net.fit(
            X, Y, epochs=9, batch_size=8, validation_data=(XV, YV), patience=1,
            callbacks=[before, At(3, fail), after],
        )  # fmt: skip
    assert before.calls == ["begin", 1, 2, 3, "end"]
    assert after.calls == ["begin", 1, 2, "end"]
    assert type(before.fit.error) is error
    history = net.history
    expected = twin.fit(X, Y, epochs=3, batch_size=8, validation_data=(XV, YV))
    for name in ("loss", "val_loss", "learning_rate"):
        assert history[name] == expected[name]
    assert len(history.seconds) == 3
    assert state(net) == state(twin)
    assert net.fit(X, Y, epochs=2, batch_size=8).loss == twin.fit(X, Y, epochs=2, batch_size=8).loss


@pytest.mark.parametrize("where", ["loss", "metric"])
def test_interrupted_while_validating(where, monkeypatch):
    """An epoch that is finished is in the history; what was not measured is NaN."""
    net, calls = make(), []

    def metric(y_true, y_pred):
        calls.append(1)
        if where == "metric" and len(calls) == 6:  # on the validation data after epoch 3
            raise KeyboardInterrupt
        return 0.5

    if where == "loss":
        real = MLP.loss

        def loss(self, *data):
            if len(calls) == 5:
                raise KeyboardInterrupt
            return real(self, *data)

        monkeypatch.setattr(MLP, "loss", loss)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=9, validation_data=(XV, YV), metrics=metric)
    columns = net.history.to_dict()
    assert {len(column) for column in columns.values()} == {3}
    assert np.isfinite([columns[name][:2] for name in columns]).all()
    assert np.isfinite([columns[name][2] for name in ("loss", "seconds", "learning_rate")]).all()
    assert np.isnan([columns[name][2] for name in ("metric", "val_loss", "val_metric")]).all()


def test_interrupted_in_a_compiled_call(monkeypatch):
    net, twin, spy, real = make(), make(), Spy(), training.train

    def interrupted(*arguments):
        status = real(*arguments)
        if len(spy.calls) == 3:
            raise KeyboardInterrupt
        return status

    monkeypatch.setattr(training, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, epochs=9, batch_size=8, validation_data=(XV, YV), callbacks=spy)
    monkeypatch.undo()
    assert spy.calls == ["begin", 1, 2, "end"]
    assert net.history.loss == twin.fit(X, Y, epochs=3, batch_size=8).loss
    assert np.isnan(net.history["val_loss"]).tolist() == [False, False, True]
    assert state(net) == state(twin)


def test_an_error_at_the_beginning_changes_nothing():
    class Failing(Spy):
        def on_fit_begin(self, fit):
            super().on_fit_begin(fit)
            raise OSError("no disk")

    net, first, second, third = make(), Spy(), Failing(), Spy()
    net.fit(X, Y, epochs=2)
    kept, history = state(net), net.history
    with pytest.raises(OSError, match="no disk"):
        net.fit(X, Y, callbacks=[first, second, third])
    assert (first.calls, second.calls, third.calls) == (["begin", "end"], ["begin", "end"], [])
    assert state(net) == kept
    assert net.history is history


def test_errors_at_the_end():
    class Failing(Callback):
        def on_fit_end(self, fit):
            raise OSError("no disk")

    net, last = make(), Spy()
    with pytest.raises(OSError, match="no disk"):
        net.fit(X, Y, epochs=2, callbacks=[Failing(), last])
    assert last.calls == ["begin", 1, 2, "end"]
    with pytest.raises(KeyboardInterrupt) as caught:
        net.fit(X, Y, epochs=2, callbacks=[At(1, interrupt), Failing(), last])
    assert "no disk" in caught.value.__notes__[0]


def test_stop():
    net, spy = make(), Spy()
    callbacks = [At(3, lambda fit: fit.stop("enough")), At(3, lambda fit: fit.stop()), spy]
    history = net.fit(X, Y, epochs=9, callbacks=callbacks)
    assert spy.calls == ["begin", 1, 2, 3, "end"]
    assert spy.fit.stop_reason == history.stop_reason == "enough"

    class Never(Callback):
        def on_fit_begin(self, fit):
            fit.stop()

    kept = state(net)
    history = net.fit(X, Y, epochs=9, callbacks=Never())
    assert (len(history), history.stop_reason) == (0, "stopped by a callback")
    assert state(net) == kept


def test_no_epochs_call_nothing():
    net, spy = make(), Spy()
    assert len(net.fit(X, Y, epochs=0, callbacks=spy, patience=3)) == 0
    assert spy.calls == []


@pytest.mark.parametrize("patience", [None, 50])
def test_divergence(patience):
    def too_far(fit):
        fit.net.optimizer = Adam(1e308)

    net, spy = make(), Spy()
    restored = "epoch 4, the best" if patience else "the last finite epoch"
    with pytest.warns(DivergenceWarning, match=f"in epoch 5: .* after {restored}") as caught:
        history = net.fit(
            X, Y, epochs=9, batch_size=8, patience=patience, callbacks=[At(4, too_far), spy]
        )
    assert caught[0].filename == __file__
    assert len(history) == 4
    assert history.stop_reason == "diverged in epoch 5"
    assert spy.calls == ["begin", 1, 2, 3, 4, "end"]
    assert net.params.tobytes() == spy.params[3].tobytes()
    assert not net.state.slots.any()


# ---- what callbacks may change ------------------------------------------------------------------


def test_callbacks_may_change_the_optimizer_and_what_is_frozen():
    def change(fit):
        fit.net.optimizer = SGD(0.125, momentum=0.5)
        fit.net.freeze(layers=[0])

    net, twin = make(), make()
    history = net.fit(X, Y, epochs=6, batch_size=8, callbacks=At(3, change))
    losses = twin.fit(X, Y, epochs=3, batch_size=8).loss
    twin.optimizer = SGD(0.125, momentum=0.5)
    twin.freeze(layers=[0])
    first = twin.weights[0].copy()
    assert history.loss == losses + twin.fit(X, Y, epochs=3, batch_size=8).loss
    assert history["learning_rate"] == [0.01] * 3 + [0.125] * 3
    assert state(net) == state(twin)
    assert (net.weights[0] == first).all()


def test_a_net_may_be_copied_and_used_by_a_callback():
    copies = []
    net = make()
    net.fit(X, Y, epochs=4, callbacks=At(2, lambda fit: copies.append(copy.deepcopy(fit.net))))
    twin = make()
    twin.fit(X, Y, epochs=2)
    assert state(copies[0]) == state(twin)


# ---- bad options --------------------------------------------------------------------------------


def broken_metric(y_true, y_pred):
    return "good"


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            {"validation_data": X},
            TypeError,
            "validation_data must be a tuple (X, y) or (X, y, sample_weight); got ndarray",
        ),
        ({"validation_data": (XV,)}, ValueError, "(X, y, sample_weight); got 1 parts"),
        ({"validation_data": (XV[:, :2], YV)}, ValueError, "validation_data: X must have shape"),
        ({"validation_data": (XV, YV + 5)}, ValueError, "validation_data: y holds label"),
        ({"validation_data": (XV, YV[:9])}, ValueError, "validation_data: X and y must have the"),
        ({"validation_data": (XV * np.nan, YV)}, ValueError, "validation_data: X holds nan"),
        ({"validation_data": ("XV", YV)}, TypeError, "validation_data: X must hold real"),
        ({"validation_fraction": 0.0}, ValueError, "a finite number above 0"),
        ({"validation_fraction": 1}, ValueError, "above 0 and below 1; got 1"),
        ({"validation_fraction": 0.99}, ValueError, "0.99 of 37 rows leaves none"),
        ({"validation_fraction": "0.1"}, TypeError, "validation_fraction must be a number"),
        (
            {"validation_fraction": 0.1, "validation_data": (XV, YV)},
            ValueError,
            "validation_data or validation_fraction, not both",
        ),
        ({"metrics": "auc"}, ValueError, "got 'auc'"),
        ({"metrics": "r2"}, ValueError, "r2 needs a target for each prediction"),
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"patience": 2.5}, TypeError, "patience must be a whole number"),
        ({"min_delta": 0.1}, ValueError, "min_delta=0.1 needs a patience"),
        ({"min_delta": -0.1, "patience": 2}, ValueError, "min_delta must be a finite number of"),
        ({"callbacks": print}, TypeError, "callbacks must be a list of Callback objects"),
        ({"callbacks": [print]}, TypeError, "classes derived from fastbp.Callback; got built"),
        (
            {"callbacks": [Callback]},
            TypeError,
            "got the class Callback. Write Callback(...), an object",
        ),
        ({"max_seconds": 0}, ValueError, "max_seconds must be a finite number above 0"),
        ({"max_seconds": None, "verbose": 3}, ValueError, "verbose must be at most 2"),
    ],
)
def test_bad_options_change_nothing(options, error, words):
    net = make()
    net.fit(X, Y, epochs=2)
    kept, history = state(net), net.history
    with pytest.raises(error) as caught:
        net.fit(X, Y, **{"validation_fraction": 0.2} | options if "metrics" in options else options)
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert state(net) == kept
    assert net.history is history


def test_a_metric_that_gives_no_number_says_which():
    with pytest.raises(ValueError) as caught:
        make().fit(X, Y, metrics=broken_metric)
    assert "in the metric 'broken_metric'" in caught.value.__notes__[0]


def test_validation_rows_are_never_trained_on():
    """Of as many rows every fit of a net holds out the same ones, also beside a method."""
    numbers = np.arange(float(len(X)))
    evaluated = []

    def rows(y_true, y_pred):
        evaluated.append(np.asarray(y_true).ravel().tolist())
        return 0.0

    def held_out(net, **options):
        net.fit(X, numbers, epochs=1, validation_fraction=0.25, metrics=rows, **options)
        return evaluated[-1]

    net = helpers.make((5, 7, 1), seed=0)
    expected = held_out(copy.deepcopy(net))
    assert len(expected) == 10
    for options in ({}, {"batch_size": 5}, {"method": "rprop"}, {"augment": lambda X, rng: X}):
        net.fit(X, numbers, epochs=2)  # the random stream goes on
        assert held_out(net, **options) == expected
    assert held_out(pickle.loads(pickle.dumps(net))) == expected
    assert held_out(helpers.make((5, 7, 1), seed=99)) != expected


def test_noise_cannot_be_learned_from_validation_rows_in_many_fits():
    rng = np.random.default_rng(0)
    inputs, labels = rng.normal(size=(200, 5)), rng.integers(0, 3, 200)
    net = MLP((5, 64, 3), loss="cross_entropy", optimizer=Adam(0.01), seed=3)
    for _ in range(20):
        history = net.fit(inputs, labels, epochs=5, validation_fraction=0.2, metrics="accuracy")
    assert history["accuracy"][-1] > 0.9
    assert history["val_accuracy"][-1] < 0.55
