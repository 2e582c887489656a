"""The user's arrays while a fit runs: no change becomes an address, and none is written to."""

from __future__ import annotations

import copy
import threading

import helpers
import numpy as np
import pytest
from helpers import DTYPES, counts

from fastbp import MLP, SGD, AMSGrad, Callback


class Changes(Callback):
    """Calls a function after the first epoch."""

    def __init__(self, change):
        self.change = change

    def on_epoch_end(self, fit):
        if fit.epoch == 1:
            self.change()


def rows(n=60, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 4)).astype(dtype), rng.integers(0, 3, n)


@pytest.mark.parametrize("value", [-1, 3, 100, -5000, 10**5, 10**8, 2**62])
@pytest.mark.parametrize("batch_size", [1, 7, 60])
def test_labels_changed_while_fit_runs_change_nothing(value, batch_size):
    """They are indices into a kernel's buffer: another label would be another address."""
    X, y = rows()
    options = {"loss": "cross_entropy", "seed": 0}
    changed, left = helpers.make((4, 8, 3), **options), helpers.make((4, 8, 3), **options)
    expected = left.fit(X, y.copy(), epochs=3, batch_size=batch_size)
    found = changed.fit(
        X, y, epochs=3, batch_size=batch_size, callbacks=[Changes(lambda: y.fill(value))]
    )
    assert found.loss == expected.loss
    assert changed.params.tobytes() == left.params.tobytes()


def test_labels_changed_in_an_iterable_of_batches_change_nothing():
    X, y = rows()
    net, twin = (helpers.make((4, 8, 3), loss="cross_entropy", seed=0) for _ in range(2))
    expected = twin.fit([(X, y.copy())], epochs=1)

    def batches():
        yield X, y
        y.fill(10**6)

    assert net.fit(batches(), epochs=1).loss == expected.loss
    assert net.params.tobytes() == twin.params.tobytes()


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [True, False])
def test_a_loss_in_python_gets_the_users_arrays_read_only(weighted, dtype, shuffle):
    """A view of a mapped file must not become writable, and ordinary arrays stay what they are."""
    X, _ = rows(dtype=dtype)
    y = np.ones((60, 1), dtype)
    weights = np.ones(60) if weighted else None
    seen = []

    def loss(y_pred, y, *more):
        seen.append([array.flags.writeable for array in (y, *more)])
        with pytest.raises(ValueError, match="read-only"):
            y -= 0.5
        return float(((y_pred - y) ** 2).mean() / 2), (y_pred - y) / len(y)

    net = helpers.make((4, 3, 1), loss=loss, dtype=dtype, seed=0)
    net.fit(X, y, epochs=1, batch_size=60, shuffle=shuffle, sample_weight=weights)
    net.loss(X, y, weights)
    assert seen
    assert not any(flag for flags in seen for flag in flags)
    assert (y == 1.0).all()
    assert y.flags.writeable


def test_a_step_while_the_optimiser_is_exchanged_meets_one_or_the_other():
    """The code of AMSGrad needs three slots of numbers, that of SGD has one or none."""
    net = MLP((30, 30, 1), seed=0, optimizer="sgd")
    for name in ("amsgrad", "sgd"):
        before = net.optimizer_state()
        net.optimizer = name
        after = net.optimizer_state()
        assert before.slots is not after.slots
        assert before.scalars is not after.scalars
        assert after.slots.size == net.optimizer.n_slots * net.params.size
    stop = threading.Event()
    errors = []

    def toggle():
        while not stop.is_set():
            for name in ("sgd", "amsgrad"):
                net.optimizer = name

    slots = {kind.code: kind.n_slots for kind in (SGD, AMSGrad)}

    def look():
        for _ in range(3000):
            state = net.optimizer_state()
            if slots[state.code] * state.n_params != state.slots.size:
                errors.append((state.code, state.slots.size))
        stop.set()

    threads = [threading.Thread(target=toggle), threading.Thread(target=look)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_net_that_a_callback_makes_anew_is_refused():
    X, y = rows()
    net = helpers.make((4, 8, 1), seed=0, optimizer=SGD(0.1))
    smaller = Changes(lambda: net.__init__((4, 2, 1), seed=0))
    with pytest.raises(RuntimeError, match="made anew while it is trained"):
        net.fit(X, y, epochs=3, callbacks=[smaller])
    twin = helpers.make((4, 8, 1), seed=0, optimizer=SGD(0.1))
    kept = copy.deepcopy(twin.__getstate__())
    with pytest.raises(RuntimeError, match="made anew while it is trained"):
        twin.fit(X, y, epochs=3, callbacks=[Changes(lambda: twin.__setstate__(kept))])


def test_a_state_of_another_size_is_refused():
    net = MLP((4, 2, 1), seed=0, optimizer="adam")
    for name in ("params", "slots", "scalars", "random", "frozen"):
        wrong = net.state._replace(**{name: getattr(net.state, name)[:-1]})
        with pytest.raises(ValueError, match=f"{name} must have shape"):
            net.state = wrong


# ---- whatever is changed, and whatever a user's function writes to -------------------------------


def fill_with(array, rng):
    """Extremes of the dtype somewhere in an array."""
    some = rng.random(array.shape) < 0.5
    if array.dtype.kind in "iu":
        array[some] = rng.choice([-1, 10**9, np.iinfo(array.dtype).max])
    else:
        array[some] = rng.choice([np.nan, np.inf, -1e30, 1e300], some.sum()).astype(array.dtype)


def set_frozen(net, rng):
    net.frozen[:] = rng.random(net.params.size) < 0.5


CHANGES = {
    "labels": lambda net, data, rng: fill_with(data["labels"], rng),
    "inputs": lambda net, data, rng: fill_with(data["X"], rng),
    "targets": lambda net, data, rng: fill_with(data["targets"], rng),
    "sample weights": lambda net, data, rng: fill_with(data["weights"], rng),
    "validation rows": lambda net, data, rng: fill_with(data["held"], rng),
    "optimizer": lambda net, data, rng: setattr(
        net, "optimizer", str(rng.choice(["sgd", "adam", "amsgrad", "adadelta", "lion"]))
    ),
    "parameters": lambda net, data, rng: fill_with(net.params, rng),
    "frozen": lambda net, data, rng: set_frozen(net, rng),
    "random stream": lambda net, data, rng: net.state.random.fill(int(rng.integers(2**63))),
}


@pytest.mark.promise("changed under way")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("how", ["callback", "thread"])
def test_what_is_changed_under_way_spoils_numbers_at_most(kind, how, tally):
    """A fit ends, or raises an error; the net stays usable, with finite parameters."""
    for seed in range(counts(3, 60, 1)):
        rng = np.random.default_rng([seed, list(CHANGES).index(kind)])
        rows, dtype = int(rng.integers(2, 300)), str(rng.choice(DTYPES))
        data = {
            "X": rng.normal(size=(rows, 4)).astype(dtype),
            "labels": rng.integers(0, 3, rows),
            "targets": rng.random((rows, 3)).astype(dtype),
            "weights": rng.random(rows) + 0.1,
            "held": rng.normal(size=(rows, 4)).astype(dtype),
        }
        labelled = kind == "labels" or bool(rng.integers(2))
        loss = "cross_entropy" if labelled else "squared_error"
        y = data["labels"] if labelled else data["targets"]
        net = helpers.make(
            (4, int(rng.integers(1, 40)), 3), loss=loss, dtype=dtype, seed=seed,
            optimizer=str(rng.choice(["sgd", "adam", "nadam"])),
        )  # fmt: skip
        stop = threading.Event()

        def change(net=net, data=data, rng=rng, stop=stop):
            while not stop.is_set():
                CHANGES[kind](net, data, rng)
                if how == "callback":
                    return

        thread = threading.Thread(target=change)
        options = {"callbacks": [Changes(change)]} if how == "callback" else {}
        if how == "thread":
            thread.start()
        try:
            net.fit(
                data["X"], y, epochs=4, batch_size=int(rng.integers(1, rows + 1)),
                sample_weight=data["weights"], validation_data=(data["held"], y.copy()), **options,
            )  # fmt: skip
        except (ValueError, TypeError):
            pass  # what was changed before it was looked at is refused
        finally:
            stop.set()
            if how == "thread":
                thread.join()
        net.params[~np.isfinite(net.params)] = 0.0
        assert np.isfinite(net.predict(np.ones((rows, 4)))).all()
        tally["runs"] += 1


@pytest.mark.promise("user code")
def test_functions_of_the_user_cannot_write_to_what_is_not_theirs(tally):
    X, _ = rows()
    y = np.ones((60, 1), "float32")
    weights = np.ones(60)
    kept = X.copy(), y.copy(), weights.copy()

    def scribble(*arrays):
        """Write to each; what cannot be written to says so, all else must be the function's own."""
        for array in arrays:
            tally["arrays"] += 1
            if array.flags.writeable:
                array[...] = 7.0
            else:
                with pytest.raises(ValueError, match="read-only"):
                    array[...] = 7.0

    def loss(y_pred, y, *more):
        result = float(((y_pred - y) ** 2).mean() / 2), (y_pred - y) / len(y)
        scribble(y_pred, y, *more)
        return result

    def activation(z):
        result = np.tanh(z), 1 - np.tanh(z) ** 2
        scribble(z)
        return result

    def metric(y_true, y_pred):
        scribble(y_true, y_pred)
        return 0.0

    def augment(batch, rng):
        result = batch.copy()
        scribble(batch)
        return result

    def schedule(updates):
        scribble(np.asarray(updates))
        return 0.01

    class Scribbles(Callback):
        def on_epoch_end(self, fit):
            fit.losses.clear()
            tally["arrays"] += 1

    options = {"epochs": 2, "batch_size": 60, "shuffle": False, "callbacks": [Scribbles()]}
    for more in ({}, {"augment": augment}):
        net = helpers.make(
            (4, 3, 1), loss=loss, activation=activation, optimizer=SGD(schedule), seed=0
        )
        net.fit(
            X, y, sample_weight=weights, metrics=metric, validation_data=(X, y), **options, **more
        )
        net.loss_and_grad(X, y, weights)
        assert np.isfinite(net.predict(X)).all()
    for array, before in zip((X, y, weights), kept, strict=True):
        assert array.tobytes() == before.tobytes()
        assert array.flags.writeable
