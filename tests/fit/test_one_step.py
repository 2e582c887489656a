"""Updates by one compiled call: the bits and the errors of the long way, and little beside it."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
from helpers import DTYPES, needs_compiler, state
from numba.core.runtime import _nrt_python, rtsys

import fastbp.fit.fit
from fastbp import MLP, SGD, Adam, CosineDecay, DivergenceWarning, Group, RMSprop
from fastbp.fit import one_step, sources
from fastbp.kernels import entry
from fastbp.machine import addresses
from fastbp.machine.addresses import AddressTable

SEED = 18
NETS = {
    "squared_error": {},
    "absolute_error": {"loss": "absolute_error", "activation": "gelu"},
    "quantile": {"loss": "quantile", "optimizer": SGD(0.01, momentum=0.9)},
    "poisson": {"loss": "poisson", "l1": 0.1, "l2": 0.1},
    "gamma": {"loss": "gamma", "optimizer": "lion"},
    "hinge": {"loss": "hinge", "bias": False},
    "binary_cross_entropy": {"loss": "binary_cross_entropy", "dropout": 0.2, "input_dropout": 0.1},
    "labels": {"loss": "cross_entropy", "clip_norm": 0.1},
    "probabilities": {"loss": "cross_entropy", "clip_value": 0.01, "max_norm": 1.0},
    "groups": {"optimizer": Adam(groups=Group(biases=False, learning_rate=0.1))},
    "scheduled": {"optimizer": Adam(CosineDecay(0.01, 10))},
    "in python": {"activation": lambda z: (z**3, 3 * z**2)},
    "missing": {"missing_targets": True},
}


def make(kind: str = "squared_error", dtype: str = "float32", **options) -> MLP:
    return MLP((4, 5, 3), dtype=dtype, seed=SEED, **NETS[kind] | options)


def batch(kind: str, rows: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(SEED + rows)
    X = rng.normal(size=(rows, 4)).astype(dtype)
    y = rng.dirichlet(np.ones(3), rows).astype(dtype)
    if kind == "labels":
        y = rng.integers(0, 3, rows)
    elif kind == "hinge":
        y = np.where(y > 0.3, 1, -1).astype(dtype)
    elif kind == "missing":
        y[:, 0] = np.nan
    return X, y


@pytest.fixture
def long_way(monkeypatch):
    """Runs a function without the short way."""

    def run(function):
        with monkeypatch.context() as m:
            for name in ("step", "loss", "loss_and_grad"):
                m.setattr(one_step, name, lambda *arguments: None)
            m.setattr(sources, "update_of", lambda *arguments: None)
            return function()

    return run


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NETS)
def test_a_step_has_the_bits_of_the_long_way(kind: str, dtype: str, long_way) -> None:
    net, twin = make(kind, dtype), make(kind, dtype)
    for rows in (1, 8, 3, 8, 1, 600, 2, 4, 5, 8):
        X, y = batch(kind, rows, dtype)
        assert net.step(X, y) == long_way(lambda X=X, y=y: twin.step(X, y))
        assert state(net) == state(twin)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", NETS)
def test_losses_have_the_bits_of_the_long_way(kind: str, dtype: str, long_way) -> None:
    net = make(kind, dtype)
    other = net.params * 0.5
    before = state(net)
    for rows in (1, 8, 3, 8, 600):
        X, y = batch(kind, rows, dtype)
        out = np.empty_like(other)

        def results(X=X, y=y, out=out):
            found = [net.loss(X, y), net.evaluate(X, y)["loss"]]
            for options in ({}, {"params": other}, {"out": out}, {"params": other, "out": out}, {}):
                loss, grad = net.loss_and_grad(X, y, **options)
                assert ("out" in options) == (grad is out)
                found += [loss, grad.tobytes()]
            return found

        assert results() == long_way(results)
        assert state(net) == before


def test_losses_between_steps(long_way) -> None:
    """With another optimiser, penalties, frozen parameters, and the tables of other rows."""
    net = make()
    X, y = batch("squared_error", 5)
    for change in (
        lambda: net.step(X, y), lambda: net.freeze(layers=[0]), lambda: net.step(X[:3], y[:3]),
        lambda: setattr(net, "optimizer", SGD(CosineDecay(0.1, 5))), lambda: net.step(X, y),
        lambda: setattr(net, "regularization", dataclasses.replace(net.regularization, l2=0.1)),
        lambda: net.weights[0].fill(0.5),
    ):  # fmt: skip
        change()
        loss, grad = net.loss_and_grad(X, y)
        expected = long_way(lambda: net.loss_and_grad(X, y))
        assert loss == expected[0] == net.loss(X, y)
        np.testing.assert_array_equal(grad, expected[1])
    grads = [net.loss_and_grad(X, y)[1] for _ in range(3)]
    assert len({id(grad) for grad in grads}) == 3  # each is the caller's


def test_a_net_of_step_units_has_a_loss_and_no_gradient() -> None:
    net = MLP((4, 3, 1), activation="step", seed=SEED)
    X, y = batch("squared_error", 4)
    assert net.loss(X, y[:, :1]) == pytest.approx(0.5 * ((net.predict(X) - y[:, :1]) ** 2).mean())
    with pytest.raises(ValueError, match="step units"):
        net.loss_and_grad(X, y[:, :1])


def test_parameters_that_are_not_finite_have_a_loss_that_is_not() -> None:
    net = make()
    X, y = batch("squared_error", 4)
    good = net.loss(X, y)
    bad = np.full_like(net.params, np.nan)
    loss, grad = net.loss_and_grad(X, y, params=bad)
    assert np.isnan(loss) and np.isnan(grad).any()
    assert net.loss(X, y) == good
    net.params[0] = np.nan
    assert np.isnan(net.loss(X, y))


@pytest.mark.parametrize("kind", NETS)
def test_so_has_an_iterable(kind: str, long_way) -> None:
    net, twin = make(kind), make(kind)
    batches = [batch(kind, rows) for rows in (8, 8, 5, 1)]
    history = net.fit(batches, epochs=3, validation_data=batches[0])
    expected = long_way(lambda: twin.fit(batches, epochs=3, validation_data=batches[0]))
    assert history.loss == expected.loss
    assert history["val_loss"] == expected["val_loss"]
    assert history["learning_rate"] == expected["learning_rate"]
    assert state(net) == state(twin)


def test_any_form_of_rows_is_taken(long_way) -> None:
    X, y = batch("squared_error", 6)
    forms = (
        (X, y), (np.asfortranarray(X), np.asfortranarray(y)), (X.astype("f8"), y.astype("f8")),
        (X.tolist(), y.tolist()), (np.repeat(X, 2, axis=0)[::2], np.repeat(y, 2, axis=1)[:, ::2]),
    )  # fmt: skip
    losses = [make().step(*form) for form in forms]
    assert losses == [losses[0]] * len(forms)
    X.flags.writeable = y.flags.writeable = False
    assert make().step(X, y) == losses[0]
    one = MLP((4, 1), seed=SEED)
    assert one.step(X, y[:, 0]) == MLP((4, 1), seed=SEED).step(X, y[:, :1])
    for integers in (np.int64, np.uint8, np.bool_):
        net = MLP((4, 2), loss="cross_entropy", seed=SEED)
        twin = MLP((4, 2), loss="cross_entropy", seed=SEED)
        labels = np.array([0, 1, 1, 0, 1, 0])
        assert net.step(X, labels.astype(integers)) == twin.step(X, labels.tolist())


def test_what_changes_between_steps_counts(long_way) -> None:
    net, twin = make(), make()
    X, y = batch("squared_error", 5)

    def both(change):
        for one in (net, twin):
            change(one)
        assert net.step(X, y) == long_way(lambda: twin.step(X, y))
        assert state(net) == state(twin)

    both(lambda one: None)
    both(lambda one: one.freeze(layers=[0]))
    both(lambda one: one.unfreeze())
    both(lambda one: one.weights[0].fill(0.5))
    both(lambda one: setattr(one, "optimizer", RMSprop(0.01)))
    both(lambda one: setattr(one, "optimizer", RMSprop(0.1, momentum=0.5)))
    both(lambda one: one.fit(X, y, epochs=2))
    both(lambda one: setattr(one, "optimizer", SGD(CosineDecay(0.1, 5))))
    both(lambda one: setattr(one, "optimizer", SGD(0.1)))


@pytest.mark.parametrize(
    ("kind", "rows", "row", "value", "message"),
    [
        ("squared_error", "X", 2, np.nan, "X holds nan at row 2"),
        ("squared_error", "X", 1, np.inf, "X holds inf at row 1"),
        ("squared_error", "y", 2, np.nan, "y holds nan at row 2"),
        ("squared_error", "y", 0, -np.inf, "y holds -inf at row 0"),
        ("poisson", "y", 1, -0.5, "at least 0 for poisson"),
        ("gamma", "y", 1, 0.0, "above 0"),
        ("binary_cross_entropy", "y", 1, 1.5, "between 0 and 1"),
        ("hinge", "y", 1, 0.5, "-1 and 1 for hinge"),
        ("probabilities", "y", 1, 0.9, "sum to 1"),
        ("labels", "y", 1, 3, "label 3 at row 1"),
        ("labels", "y", 1, -1, "label -1 at row 1"),
    ],
)
def test_bad_rows_are_refused_and_change_nothing(kind, rows, row, value, message, long_way) -> None:
    net = make(kind)
    X, y = batch(kind, 4)
    net.step(X, y)
    before = state(net)
    bad = {"X": X.copy(), "y": y.copy()}
    bad[rows][row] = value
    out = np.full(net.n_params, 7, net.dtype)
    for refused in (net.loss, net.evaluate, lambda X, y: net.loss_and_grad(X, y, out=out)):
        with pytest.raises(ValueError, match=message):
            refused(bad["X"], bad["y"])
    assert (out == 7).all() and state(net) == before
    with pytest.raises(ValueError, match=message):
        net.step(bad["X"], bad["y"])
    assert state(net) == before
    with pytest.raises(ValueError, match=message) as caught:
        net.fit([(X, y), (bad["X"], bad["y"])], epochs=1)
    assert "in batch or part 1 of the epoch" in caught.value.__notes__[-1]
    assert state(net) == before


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.ones((2, 3), "f"), np.ones((2, 3), "f"), "X must have shape"),
        (np.ones((2, 4), "f"), np.ones((3, 3), "f"), "same number of rows"),
        (np.ones((2, 4), "f"), np.ones((2, 2), "f"), "y must have shape"),
        (np.ones((2, 4), "f"), np.ones(2, "f"), "y must have shape"),
        (np.ones((0, 4), "f"), np.ones((0, 3), "f"), "row"),
        (np.ones(4, "f"), np.ones(3, "f"), "X must"),
    ],
)
def test_other_shapes_are_refused(X, y, message: str) -> None:
    net = make()
    for refused in (net.step, net.loss, net.loss_and_grad, net.evaluate):
        with pytest.raises(ValueError, match=message):
            refused(X, y)


@pytest.mark.parametrize("how", ["loss", "parameters", "before"])
def test_divergence_is_that_of_the_long_way(how: str, long_way) -> None:
    nets = make(optimizer=SGD(1e38, momentum=0.5)), make(optimizer=SGD(1e38, momentum=0.5))
    X, y = batch("squared_error", 4)
    if how == "loss":
        X = X * np.float32(1e38)
    if how == "before":
        for net in nets:
            net.params[3] = np.inf
    results = []
    for net, run in zip(nets, (lambda f: f(), long_way), strict=True):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            loss = run(lambda net=net: net.step(X, y))
        assert [w.category for w in caught] == [DivergenceWarning]
        assert caught[0].filename == __file__
        results.append((np.float64(loss).tobytes(), str(caught[0].message), state(net)))
    assert results[0] == results[1]


def test_an_iterable_that_diverges_leaves_the_last_finite_epoch(long_way) -> None:
    X, y = batch("squared_error", 4)
    results = []
    for run in (lambda f: f(), long_way):
        net = make(optimizer=SGD(1e-3))
        big = np.float32(1e38)

        class Batches:
            epoch = 0

            def __len__(self):
                return 2

            def __iter__(self):
                self.epoch += 1
                yield X, y
                yield (X, y) if self.epoch < 3 else (X * big, y * big)  # noqa: B023

        with pytest.warns(DivergenceWarning, match="diverged in epoch 3"):
            history = run(lambda net=net, own=Batches: net.fit(own(), epochs=5))
        results.append((history.loss, history.stop_reason, state(net)))
    assert results[0] == results[1]
    assert len(results[0][0]) == 2


# ---------------------------------------------------------------- what makes it fast


@needs_compiler
@pytest.mark.parametrize("what", ["step", "loss", "loss_and_grad", "evaluate"])
@pytest.mark.parametrize("kind", ["squared_error", "labels"])
def test_a_step_is_one_compiled_call_that_allocates_nothing(kind, what, monkeypatch) -> None:
    net = make(kind)
    X, y = batch(kind, 8)
    function = getattr(net, what)
    function(X, y)
    calls = []
    real = entry.train_and_predict
    monkeypatch.setattr(
        entry, "train_and_predict", lambda *given: (calls.append(given[1]), real(*given))[1]
    )
    for name in ("Epochs", "History", "Guard"):
        monkeypatch.setattr(fastbp.fit.fit, name, None)
    monkeypatch.setattr(one_step, "OneStep", None)
    monkeypatch.setattr(addresses, "address_of", None)  # to look one up takes longer than the work
    monkeypatch.setattr(AddressTable, "put", None)
    enabled = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    try:
        before = rtsys.get_allocation_stats()
        for _ in range(5):
            function(X, y)
        after = rtsys.get_allocation_stats()
    finally:
        if not enabled:
            _nrt_python.memsys_disable_stats()
    assert calls == [entry.STEP if what == "step" else entry.LOSS] * 5
    assert after.alloc - before.alloc == after.free - before.free <= 5 * 3  # cells, X and y


@needs_compiler
def test_a_batch_of_an_iterable_is_one_compiled_call(monkeypatch) -> None:
    net = make()
    batches = [batch("squared_error", 8)] * 50
    net.fit(batches, epochs=1)
    calls = []
    real = entry.train_and_predict
    monkeypatch.setattr(
        entry, "train_and_predict", lambda *given: (calls.append(given[1]), real(*given))[1]
    )
    net.fit(batches, epochs=2)
    assert calls == [entry.STEP] * 100


def test_few_numbers_of_rows_are_kept() -> None:
    net = make()
    for rows in range(1, 20):
        net.step(*batch("squared_error", rows))
        kept = net._spaces.__dict__[one_step.KEPT].by_rows
        assert rows in kept and len(kept) <= one_step.MOST_KEPT


@needs_compiler  # a pointer of uncompiled code holds its array
def test_arrays_of_the_user_are_not_kept() -> None:
    import gc
    import weakref

    net = make()
    X, y = batch("squared_error", 300)
    out = np.empty(net.n_params, net.dtype)
    alive = [weakref.ref(array) for array in (X, y, out)]
    net.fit(X, y, epochs=1)
    net.loss_and_grad(X, y, out=out)
    net.predict(X)
    del X, y, out
    gc.collect()
    assert [array() is None for array in alive] == [True] * 3
