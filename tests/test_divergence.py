"""Absurd learning rates and overflow: the parameters stay finite, and a warning says so."""

from __future__ import annotations

import warnings

import limited
import numpy as np
import pytest
from helpers import counts
from limited import A_PASS_A_CALL

from fastbp import MLP, SGD, Adam, DivergenceWarning
from fastbp.fit import calls as fit_calls

pytestmark = pytest.mark.promise("divergence")
RUNS = counts(20, 200, 6)
LOSSES = ("squared_error", "binary_cross_entropy", "cross_entropy")


def random_run(seed):
    """A net, its data and how to fit it, with a rate or inputs beyond all reason."""
    rng = np.random.default_rng([seed, 2])
    loss = LOSSES[seed % 3]
    dtype = ("float32", "float64")[seed // 3 % 2]
    rate = float(10.0 ** rng.uniform(1, 30))
    optimizer = [
        SGD(rate),
        SGD(rate, momentum=0.99),
        SGD(rate, momentum=0.9, nesterov=True),
        Adam(rate),
    ][seed % 4]
    activation = str(rng.choice(["identity", "relu", "tanh", "sigmoid"]))
    sizes = (3, *rng.integers(1, 9, size=rng.integers(0, 4)), 2)

    def make():
        return MLP(
            [int(n) for n in sizes],
            activation=activation,
            loss=loss,
            optimizer=optimizer,
            dtype=dtype,
            seed=seed,
        )

    rows = int(rng.integers(5, 40))
    X = rng.normal(size=(rows, 3)) * 10.0 ** rng.uniform(0, 15)
    y = rng.integers(2, size=rows) if loss == "cross_entropy" else rng.integers(2, size=(rows, 2))
    return make, X, y, int(rng.integers(1, 9))


@pytest.mark.parametrize("seed", range(RUNS))
def test_parameters_stay_finite(seed, tally):
    make, X, y, batch_size = random_run(seed)
    net = make()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", "the mean loss of the first epoch")
        history = net.fit(X, y, epochs=8, batch_size=batch_size)
    assert np.isfinite(net.params).all()
    assert np.isfinite(history.loss).all()
    stopped = len(history) < 8
    assert [w.category for w in caught] == [DivergenceWarning] * stopped
    if stopped:
        # They are those after the last finite epoch, to the bit.
        assert f"epoch {len(history) + 1}" in str(caught[0].message)
        twin = make()
        assert twin.fit(X, y, epochs=len(history), batch_size=batch_size).loss == history.loss
        assert twin.params.tobytes() == net.params.tobytes()
        assert not net.state.slots.any()
    # Training can go on, as that of a new net.
    twin, tame = make(), X / np.abs(X).max()
    net.params[:] = twin.params
    for each in (net, twin):
        each.optimizer = SGD(0.01) if isinstance(each.optimizer, Adam) else Adam(0.01)
        each.fit(tame, y, epochs=30, batch_size=batch_size, shuffle=False)
    assert len(net.history) == 30
    assert net.history.loss == twin.history.loss
    assert net.params.tobytes() == twin.params.tobytes()
    tally["runs"] += 1
    tally["diverged"] += stopped


PLACES = ("params", "slots", "rows", "targets")


@pytest.mark.parametrize("seed", range(counts(12, 200, 8)))
def test_bad_numbers_at_random_places(seed, monkeypatch, tally):
    """NaN, infinity or overflow comes in at some place of the net or the data, at some time."""
    rng = np.random.default_rng([seed, 5])
    dtype, place = ("float32", "float64")[seed % 2], PLACES[seed // 2 % 4]
    loss = "squared_error" if place == "targets" else LOSSES[seed % 3]
    optimizer = (SGD(0.01, momentum=0.9), Adam(0.01))[int(rng.integers(2))]
    sizes = [3, *(int(n) for n in rng.integers(1, 9, size=rng.integers(0, 3))), 2]

    def make():
        return MLP(sizes, activation="tanh", loss=loss, optimizer=optimizer, dtype=dtype, seed=seed)

    rows, batch_size = int(rng.integers(5, 40)), int(rng.integers(1, 9))
    X, y = rng.normal(size=(rows, 3)).astype(dtype), rng.uniform(size=(rows, 2)).astype(dtype)
    if loss == "cross_entropy":
        y = rng.integers(2, size=rows)
    net, real, calls = make(), fit_calls.train, []
    when = int(rng.integers(1, 30))

    def spoilt(*arguments):
        if len(calls) == when:
            array = {"params": net.params, "slots": net.state.slots, "rows": arguments[1].inputs,
                     "targets": arguments[1].targets}[place]  # fmt: skip
            array[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
        calls.append(True)
        return real(*arguments)

    monkeypatch.setattr(fit_calls, "train", spoilt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = limited.fit(
            net, X.copy(), y.copy(), limits=A_PASS_A_CALL, epochs=40, batch_size=batch_size
        )
    monkeypatch.undo()
    assert len(calls) > when
    assert [w.category for w in caught] == [DivergenceWarning]
    assert len(history) == len(history.loss) < 40
    # They are those after the last finite epoch, and the optimiser starts afresh.
    twin = make()
    assert twin.fit(X, y, epochs=len(history), batch_size=batch_size).loss == history.loss
    assert twin.params.tobytes() == net.params.tobytes()
    assert np.isfinite(net.params).all()
    assert not net.state.slots.any()
    tally["runs"] += 1
    tally["diverged"] += 1


def test_the_runs_diverge_and_do_not():
    """The runs above are of both kinds."""
    ended = []
    for seed in range(counts(20, 20, 6)):
        make, X, y, batch_size = random_run(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ended.append(len(make().fit(X, y, epochs=8, batch_size=batch_size)) == 8)
    assert any(ended)
    assert not all(ended)


@pytest.mark.parametrize("optimizer", [SGD(1e30), SGD(1e30, momentum=0.9), Adam(1e308)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_step_that_diverges_changes_nothing(dtype, optimizer):
    net = MLP((2, 3, 1), activation="identity", optimizer=optimizer, dtype=dtype, seed=0)
    X, y = np.array([[1.0, 2.0], [3.0, -4.0]]), [0.5, 100.0]
    losses, before = [], net.params.copy()
    for _ in range(20):
        before = net.params.copy()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            losses.append(net.step(X, y))
        if caught:
            break
    assert [w.category for w in caught] == [DivergenceWarning]
    assert caught[0].filename == __file__
    assert net.params.tobytes() == before.tobytes()
    assert np.isfinite(net.params).all()
    assert not net.state.slots.any()


def test_fit_warns_where_it_was_called():
    net = MLP((1, 1), optimizer=SGD(1e30), seed=0)
    with pytest.warns(DivergenceWarning, match="in epoch 1: .*smaller learning_rate") as caught:
        net.fit([[1.0], [2.0]], [5.0, 6.0], batch_size=1, epochs=3)
    assert caught[0].filename == __file__


def test_adam_starts_afresh_after_divergence():
    net = MLP((1, 1), dtype="float64", optimizer=Adam(0.1), seed=0)
    X, y = np.array([[1.0]]), np.array([2.0])
    net.fit(X, y, epochs=5)
    before = net.params.copy()
    with pytest.warns(DivergenceWarning):
        net.fit(X * 1e200, y, epochs=5)
    assert net.params.tobytes() == before.tobytes()
    twin = MLP((1, 1), dtype="float64", optimizer=Adam(0.1))
    twin.params[:] = net.params
    assert net.fit(X, y, epochs=5).loss == twin.fit(X, y, epochs=5).loss
    assert net.params.tobytes() == twin.params.tobytes()


def test_overflow_in_the_last_update_of_an_epoch():
    # The loss is finite; the update is not, and no later loss shows it.
    net = MLP((1, 1), bias=False, optimizer=SGD(3e38), seed=0)
    net.params[:] = 1
    with pytest.warns(DivergenceWarning):
        history = net.fit([[1e3]], [0.0], epochs=1)
    assert len(history) == 0
    assert net.params.tolist() == [1.0]


def test_overflow_that_no_loss_shows():
    # Infinite net inputs, saturated sigmoids: every loss is finite.
    net = MLP(
        (1, 1),
        output_activation="sigmoid",
        bias=False,
        dtype="float32",
        optimizer=SGD(3e38),
        seed=0,
    )
    net.params[:] = 0
    with pytest.warns(DivergenceWarning):
        net.fit(np.full((6, 1), 1e3), np.ones(6), epochs=2, batch_size=2)
    assert net.params.tolist() == [0.0]


@pytest.mark.parametrize("epochs_before", [0, 2])
def test_interrupted_before_an_overflow_is_seen(epochs_before, monkeypatch):
    """Ctrl-C between the update that overflows and the next loss leaves finite parameters."""
    net = MLP((1, 1), bias=False, optimizer=SGD(1e-3), dtype="float64", seed=0)
    X, y = np.ones((6, 1)), np.zeros(6)
    net.fit(X, y, epochs=epochs_before, batch_size=2, shuffle=False)
    before = net.params.copy()
    real, overflowed = fit_calls.train, []

    def interrupted(*arguments):
        result = real(*arguments)
        if not np.isfinite(net.params).all():
            overflowed.append(True)
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(fit_calls, "train", interrupted)
    net.optimizer = SGD(1.7e308)
    with pytest.raises(KeyboardInterrupt):
        limited.fit(net, X * 4, y, limits=A_PASS_A_CALL, epochs=3, batch_size=2, shuffle=False)
    assert overflowed
    assert net.params.tobytes() == before.tobytes()
