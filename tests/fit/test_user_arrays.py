"""The user's arrays while a fit runs: no change becomes an address, and none is written to."""

from __future__ import annotations

import copy
import threading

import helpers
import numpy as np
import pytest
from helpers import DTYPES

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
