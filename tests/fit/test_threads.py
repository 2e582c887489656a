"""Threads that share a fit, a prediction or a gradient: the bits of one, whatever happens."""

from __future__ import annotations

import threading
import time
import warnings
from typing import Any

import numpy as np
import pytest
from helpers import COMPILED, DTYPES, SOAK, At, counts, interrupt, state

import fastbp
import fastbp.sklearn
from fastbp import MLP, Callback, CosineDecay, Group
from fastbp.fit import calls, threads
from fastbp.fit.data import Job
from fastbp.fit.warn import DivergenceWarning
from fastbp.kernels import team
from fastbp.kernels.addresses import BLOCKS
from fastbp.machine import jit
from fastbp.model.activations import ACTIVATIONS
from fastbp.model.losses import LOSSES
from fastbp.model.optimizers import OPTIMIZERS

THREADS = (2, 3, 4, 8) if COMPILED else (2,)
SIZES = {
    "deep": ((64, 256, 256, 256, 10), 128),
    "mnist": ((784, 128, 10), 128),
    "one output": ((20, 100, 100, 1), 200),
    "ragged": ((33, 50, 41, 3), 147),
    "one layer": ((64, 96, 96), 128),
    "several passes": ((5, 9, 2), 600),
}
SMALL = {
    "one output": ((3, 4, 1), 40),
    "several passes": ((3, 2), 600),
}
HIDDEN = [name for name, traits in ACTIVATIONS.items() if traits.hidden and traits.trainable]
FROM_LOGITS = [name for name, loss in LOSSES.items() if loss.from_logits]


def rows_for(sizes, rows, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    shapes = (rows, sizes[0]), (rows, sizes[-1])
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


def both(make, X, y, n_threads, **options):
    """All bits and losses of a fit with one thread, and with several."""
    found = []
    for number in (1, n_threads):
        net = make()
        history = net.fit(X, y, threads=number, **options)
        found.append((state(net), history.loss))
    return found


@pytest.mark.parametrize("extra", [0, 17, 40])
@pytest.mark.parametrize("name", SIZES if COMPILED else SMALL)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_bits_of_one_thread(dtype, name, extra):
    """Whole batches, and last ones of all sizes."""
    sizes, batch = (SIZES if COMPILED else SMALL)[name]
    X, y = rows_for(sizes, 2 * batch + extra, dtype)
    for n_threads in THREADS:
        one, several = both(
            lambda: MLP(sizes, dtype=dtype, seed=0), X, y, n_threads, epochs=2, batch_size=batch
        )
        assert several == one, f"{n_threads} threads"


def random_case(seed) -> dict[str, Any]:
    """A net, its data and how it is fitted; eighteen seeds in a row are each loss twice."""
    rng = np.random.default_rng(seed)
    depth = int(rng.integers(0, 4))
    loss = list(LOSSES)[seed % len(LOSSES)]
    widest = int(rng.choice([3, 12, 40, 130] if COMPILED else [3, 6]))
    sizes = [int(n) for n in rng.integers(1, widest + 1, depth + 2)]
    if rng.random() < 0.25:
        sizes[int(rng.integers(0, len(sizes)))] = 1
    if loss == "cross_entropy":
        sizes[-1] = max(sizes[-1], 2)
    optimizer = str(rng.choice(list(OPTIMIZERS)))
    of_optimizer: dict[str, Any] = {"learning_rate": 1e-3}
    if rng.random() < 0.3:
        of_optimizer["learning_rate"] = CosineDecay(1e-3, 20)
    if rng.random() < 0.3:
        of_optimizer["groups"] = Group(weights=False, learning_rate=1e-2, weight_decay=0.1)
    if optimizer in ("sgd", "rmsprop"):
        of_optimizer["momentum"] = float(rng.choice([0.0, 0.9]))
    rows = int(rng.integers(70, 1400 if COMPILED else 150))
    batches = [int(rng.integers(33, 300)), rows, 128, 600]
    return {
        "seed": seed,
        "layer_sizes": sizes,
        "activation": [str(name) for name in rng.choice(HIDDEN, depth)],
        "output_activation": None if loss in FROM_LOGITS else str(rng.choice([*HIDDEN, "exp"])),
        "loss": loss,
        "optimizer": optimizer,
        "of_optimizer": of_optimizer,
        "dtype": DTYPES[int(rng.integers(2))],
        "bias": bool(rng.integers(0, 4)),
        "l1": float(rng.choice([0.0, 0.0, 0.01])),
        "l2": float(rng.choice([0.0, 0.0, 0.01])),
        "dropout": float(rng.choice([0.0, 0.0, 0.2])),
        "input_dropout": float(rng.choice([0.0, 0.0, 0.2])),
        "clip_value": (None, None, 0.05)[int(rng.integers(3))],
        "clip_norm": (None, None, 0.05)[int(rng.integers(3))],
        "max_norm": (None, None, 0.5)[int(rng.integers(3))],
        "rows": rows,
        "batch_size": min(int(rng.choice(batches)), 600 if COMPILED else 80),
        "shuffle": bool(rng.integers(0, 4)),
        "weights": int(rng.choice([0, 0, 1, 2])),
        "labels": bool(rng.integers(0, 2)),
        "frozen": bool(rng.integers(0, 4) == 0),
    }


OF_NET = (
    "layer_sizes", "activation", "output_activation", "loss", "dtype", "bias", "l1", "l2",
    "dropout", "input_dropout", "clip_value", "clip_norm", "max_norm", "seed",
)  # fmt: skip


def net_of(case) -> MLP:
    optimizer = OPTIMIZERS[case["optimizer"]](**case["of_optimizer"])
    net = MLP(optimizer=optimizer, **{name: case[name] for name in OF_NET})
    if case["frozen"]:
        net.frozen[...] = np.random.default_rng(case["seed"]).random(net.n_params) < 0.3
    return net


def data_of(case):
    rng = np.random.default_rng([case["seed"], 1])
    rows, n_out = case["rows"], case["layer_sizes"][-1]
    X = rng.normal(size=(rows, case["layer_sizes"][0]))
    y = rng.dirichlet(np.ones(n_out), size=rows)
    if case["loss"] == "cross_entropy" and case["labels"]:
        y = rng.integers(0, n_out, rows)
    elif case["loss"] == "hinge":
        y = np.where(y > 0.2, 1, -1)
    elif case["loss"] == "gamma":
        y = y + 0.1
    weights = None
    if case["weights"]:
        by_output = case["weights"] == 2 and case["loss"] != "cross_entropy"
        weights = rng.uniform(size=(rows, n_out) if by_output else rows)
    return X, y, weights


@pytest.mark.promise("determinism")
@pytest.mark.parametrize("seed", range(counts(36, 600, 9)))
def test_random_nets(seed, tally):
    """Every loss, optimiser and regularisation; the seed is in the name of the test."""
    case = random_case(seed)
    X, y, weights = data_of(case)
    options = {name: case[name] for name in ("batch_size", "shuffle")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # of a first loss that is large
        for n_threads in THREADS if SOAK else THREADS[seed % len(THREADS) :][:1]:
            one, several = both(
                lambda: net_of(case), X, y, n_threads, epochs=2, sample_weight=weights, **options
            )
            assert several == one, (n_threads, case)
            tally["nets by several threads"] += 1


def test_elementwise_functions_of_users():
    own = fastbp.ElementwiseActivation(lambda z: (z / (1 + abs(z)), 1 / (1 + abs(z)) ** 2))
    loss = fastbp.ElementwiseLoss(lambda y, t: ((y - t) ** 4, 4 * (y - t) ** 3))
    X, y = rows_for((5, 2), 150)
    one, several = both(
        lambda: MLP((5, 20, 2), activation=own, loss=loss, seed=0), X, y, 2, batch_size=70, epochs=2
    )
    assert several == one


@pytest.mark.parametrize("dtype", DTYPES)
def test_estimators(dtype):
    """Penalties shared by the batches, NumPy's order of the rows, early stopping, partial_fit."""
    X, y = rows_for((12, 1), 300, dtype)
    options = {"random_state": 1, "max_iter": 5, "batch_size": 100, "n_iter_no_change": 100}
    for kind, target in (
        (fastbp.sklearn.MLPRegressor, y.ravel()),
        (fastbp.sklearn.MLPClassifier, y.ravel() > 0),
    ):
        found = []
        for n_threads in (1, 2):
            net = kind(hidden_layer_sizes=(30, 7), n_threads=n_threads, alpha=0.1, **options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # max_iter is small
                net.fit(X, target)
                net.partial_fit(X, target)
            found.append((net.loss_curve_, [w.tobytes() for w in net.coefs_]))
        assert found[0] == found[1]
    with pytest.raises(ValueError, match="'n_threads' parameter"):
        fastbp.sklearn.MLPRegressor(n_threads=0).fit(X, y.ravel())


@pytest.mark.parametrize(
    "sizes", [(784, 128, 10), (64, 256, 256, 256, 10), (33, 50, 41, 3), (5, 3)]
)
def test_blocks_are_shared_out_evenly(sizes):
    """Each unit once, and no member has many weights more than another: blocks are cut for that."""
    rows = 128
    X, y = rows_for(sizes, rows)
    for n_threads in THREADS:
        net = MLP(sizes, seed=0)
        net.fit(X, y, epochs=1, batch_size=rows, threads=n_threads)
        found = threads.team_for(net, rows, threads.members_for(net, rows, n_threads, False))
        members = len(found.tables)
        lists = found.tables[0].arrays[BLOCKS]
        begins = lists[1 : members + 2]
        blocks = lists[members + 2 :][: 3 * begins[-1]].reshape(-1, 3)
        units = [(layer, first + i) for layer, first, n in blocks.tolist() for i in range(n)]
        assert units == [(i, j) for i, n in enumerate(sizes[1:]) for j in range(n)]
        weights = blocks[:, 2] * np.array(sizes)[blocks[:, 0]]
        shares = [sum(weights[a:b]) for a, b in zip(begins, begins[1:], strict=False)]
        assert max(shares) - min(shares) <= 4 * max(sizes[:-1]) + 3 * 12 * sizes[-2], shares


# ---- what can happen to a fit --------------------------------------------------------------------


@pytest.fixture
def no_threads_stay():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def many(n_threads, **options):
    X, y = rows_for((6, 2), 300)
    net = MLP((6, 40, 2), seed=0, **options)
    return net, lambda **more: net.fit(X, y, batch_size=100, threads=n_threads, **more)


def test_validation_callbacks_and_ctrl_c(no_threads_stay):
    found = []
    for n_threads in (1, 2):
        net, fit = many(n_threads)
        with pytest.raises(KeyboardInterrupt):
            fit(epochs=9, validation_fraction=0.2, callbacks=At(3, interrupt), metrics="r2")
        found.append((state(net), net.history.loss, net.history["val_r2"]))
    assert found[0] == found[1]
    assert len(found[0][1]) == 3


def test_ctrl_c_within_a_call(no_threads_stay, monkeypatch):
    """What is raised when the leader's call returns, as Ctrl-C is: nobody waits for ever."""
    net, fit = many(2)
    fit(epochs=1)
    plain = threads.threads.train_together

    def interrupted(cells, operation, like):
        result = plain(cells, operation, like)
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(threads.threads, "train_together", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(epochs=3)
    monkeypatch.undo()
    fit(epochs=1)
    assert np.isfinite(net.params).all()


@pytest.mark.parametrize("who", ["leader", "other"])
def test_a_member_that_fails_stops_the_others(who, no_threads_stay, monkeypatch):
    net, fit = many(2)
    fit(epochs=1)
    before = net.params.copy()
    plain = threads.threads.train_together

    def fails(cells, operation, like):
        leads = threading.current_thread() is threading.main_thread()
        if leads == (who == "leader"):
            raise MemoryError("on purpose")
        return plain(cells, operation, like)

    monkeypatch.setattr(threads.threads, "train_together", fails)
    with pytest.raises(MemoryError, match="on purpose"):
        fit(epochs=3)
    assert np.array_equal(net.params, before)


def test_a_thread_that_cannot_start(no_threads_stay, monkeypatch):
    net, fit = many(3)
    fit(epochs=1)
    start = threading.Thread.start
    started = []

    def refuse(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        fit(epochs=3)
    monkeypatch.undo()
    assert not started[0].is_alive()


def test_divergence(no_threads_stay):
    found = []
    for n_threads in (1, 2):
        net, fit = many(n_threads, optimizer=fastbp.SGD(1e25))
        with pytest.warns(DivergenceWarning):
            history = fit(epochs=9)
        found.append((state(net), history.loss, history.stop_reason))
    assert found[0] == found[1]


def test_epochs_in_pieces_and_short_calls():
    """A pass a call, and one epoch after the other."""
    import limited

    X, y = rows_for((6, 2), 300)
    expected, _ = both(lambda: MLP((6, 40, 2), seed=0, dropout=0.1), X, y, 1, epochs=4,
                       batch_size=100)  # fmt: skip
    net = MLP((6, 40, 2), seed=0, dropout=0.1, threads=2)
    loss = limited.fit(net, X, y, limits=limited.A_PASS_A_CALL, epochs=2, batch_size=100).loss
    loss = loss + net.fit(X, y, epochs=1, batch_size=100).loss
    loss = loss + net.fit(X, y, epochs=1, batch_size=100, threads=1).loss
    assert (state(net), loss) == expected


# ---- how many ------------------------------------------------------------------------------------


def test_what_is_refused():
    X, y = rows_for((6, 2), 10)
    net = MLP((6, 2), seed=0)
    before = state(net)
    for wrong, kind in (
        (0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError), ("all", ValueError),
        (10**6, ValueError),
    ):  # fmt: skip
        for call in (
            lambda t=wrong: net.fit(X, y, threads=t),
            lambda t=wrong: net.predict(X, threads=t),
            lambda t=wrong: net.loss_and_grad(X, y, threads=t),
            lambda t=wrong: MLP((6, 2), threads=t),
        ):
            with pytest.raises(kind, match="threads must be"):
                call()
    assert state(net) == before


def test_the_net_has_a_number_of_threads(monkeypatch):
    X, y = rows_for((6, 2), 200)
    seen = []
    plain = threads.Team.train
    monkeypatch.setattr(
        threads.Team, "train", lambda self, *a: seen.append(len(self.tables)) or plain(self, *a)
    )
    net = MLP((6, 2), threads=2)
    assert net.threads == 2
    net.fit(X, y, batch_size=100, epochs=1)
    net.fit(X, y, batch_size=100, epochs=1, threads=1)
    net.threads = 3
    net.fit(X, y, batch_size=150, epochs=1)
    assert set(seen) == {2, 3}
    with pytest.raises(ValueError, match="threads must be"):
        net.threads = "many"
        net.fit(X, y)


def job(net, batch_size, rows=1000):
    X, y = rows_for(net.layer_sizes, rows)
    rows_and_targets, count = fastbp.fit.data.rows_to_train_on(X, y, None, net)
    return Job(rows_and_targets, count, batch_size)


def test_how_many_can_share():
    net = MLP((6, 2))
    tile = threads.tile_columns(net.dtype)
    members = [threads.members_for(net, n * tile - 1, 8, False) for n in (1, 2, 3, 4, 9)]
    assert members == [1, 1, 2, 3, 8]
    assert threads.members_for(net, 600, 99, False) == 256 // tile  # in passes of 256
    assert threads.members_for(net, 300, 8, True) == 1  # sparse rows
    in_python = MLP((6, 2), loss=lambda y, t: (((y - t) ** 2).mean(), (y - t) / len(y)))
    assert threads.members_for(in_python, 300, 8, False) == 1
    assert threads.members_for(net, 300, "auto", False) <= threads.usable_cores()


def test_what_cannot_be_shared_has_one_thread(monkeypatch):
    """With the same bits, and no team."""
    import scipy.sparse

    monkeypatch.setattr(threads, "Team", None)
    X, y = rows_for((6, 2), 90)
    for rows, options in (
        (X[:20], {}),
        (scipy.sparse.csr_array(X), {}),
        (X, {"loss": lambda y, t: (0.5 * ((y - t) ** 2).sum() / len(y), (y - t) / len(y))}),
    ):
        n = rows.shape[0]
        one, several = both(
            lambda o=options: MLP((6, 5, 2), seed=0, **o), rows, y[:n], 4, batch_size=n, epochs=2
        )
        assert several == one


class Stub:
    """A team that takes so long."""

    def __init__(self, clock, seconds, pair) -> None:
        self.clock, self.seconds, self.pair = clock, seconds, pair
        self.table, self.calls = None, 0

    def ready(self, table, sparse) -> None:
        pass

    def seconds_of_barriers(self):
        return self.pair

    def train(self, table, *arguments):
        self.calls += 1
        self.clock[0] += self.seconds
        arguments[4][0] += 1  # an epoch
        return 0


@pytest.mark.parametrize(
    ("alone", "together", "pair", "calls_of_team"),
    [
        (5e-3, 3e-3, 0.1e-6, 3),  # steps of 0.5 ms, near: faster
        (5e-3, 6e-3, 0.1e-6, 1),  # slower
        (5e-3, 3e-3, 0.5e-6, 0),  # far
        (50e-3, 30e-3, 0.5e-6, 3),  # far, but steps of 5 ms
        (0.5e-3, 0.3e-3, 0.1e-6, 0),  # steps of 50 us
    ],
)
def test_auto(alone, together, pair, calls_of_team, monkeypatch):
    clock = [0.0]
    one, several = Stub(clock, alone, 0), Stub(clock, together, pair)
    monkeypatch.setattr(threads.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(calls, "train", one.train)
    monkeypatch.setattr(threads, "team_for", lambda *a: several)
    net = MLP((6, 2))
    auto = threads.Auto(net, job(net, 100), 2, net.workspace(100, True))
    progress = np.zeros(3, np.int64)
    for _ in range(4):
        auto.train(None, None, None, None, None, progress)
    assert several.calls == calls_of_team
    assert one.calls == 4 - calls_of_team


def test_auto_has_the_bits_of_one_thread(monkeypatch):
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    monkeypatch.setattr(threads, "STEP_NEAR", 0.0)
    monkeypatch.setattr(threads, "NEAR", 1.0)
    import limited

    X, y = rows_for((6, 2), 300)
    found = []
    for n_threads in (1, "auto"):
        net = MLP((6, 40, 2), seed=0, threads=n_threads)
        limits = limited.A_PASS_A_CALL
        found.append((limited.fit(net, X, y, limits=limits, epochs=3, batch_size=100).loss,
                      state(net)))  # fmt: skip
    assert found[0] == found[1]


def test_barriers_are_measured(monkeypatch):
    monkeypatch.setattr(threads, "FEW_PAIRS", 5)
    monkeypatch.setattr(threads, "PAIRS", 10)
    net = MLP((6, 2))
    made = threads.team_for(net, 100, 2)
    made.ready(made.table, False)
    assert 0 <= made.seconds_of_barriers() < 10
    assert threads.team_for(net, 100, 2) is made
    assert threads.team_for(net, 100, 3) is not made
    assert made.words[team.STOPPED] == 0


# ---- many rows -----------------------------------------------------------------------------------


@pytest.fixture
def few_rows_do(monkeypatch):
    if not COMPILED:
        monkeypatch.setattr(threads, "ROWS_A_THREAD", 100)


ROWS = 5000 if COMPILED else 600


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(7, 30, 3), (5, 1), (70, 1, 3)], ids=str)
def test_predictions(sizes, dtype, few_rows_do, no_threads_stay):
    X, _ = rows_for(sizes, ROWS + 13, dtype)
    net = MLP(sizes, dtype=dtype, seed=0)
    for n_threads in THREADS:
        assert np.array_equal(net.predict(X, threads=n_threads), net.predict(X))
    assert np.array_equal(net.predict(X, logits=True, threads=2), net.predict(X, logits=True))
    for rows in (3, ROWS // 2):
        X[rows:, 1] = np.nan
        with pytest.raises(ValueError, match=rf"\[{rows}, 1\]|row {rows}"):
            net.predict(X, threads=2)
        X[rows:, 1] = 0.0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(7, 30, 3), (5, 1), (70, 1, 3)], ids=str)
def test_gradients(sizes, dtype, few_rows_do, no_threads_stay):
    X, y = rows_for(sizes, ROWS + 13, dtype)
    net = MLP(sizes, dtype=dtype, seed=0, l2=0.1)
    other = net.params + 1
    weights = np.random.default_rng(0).uniform(size=len(X))
    for options in (
        {}, {"params": other}, {"reduction": "sum", "sample_weight": weights},
    ):  # fmt: skip
        loss, grad = net.loss_and_grad(X, y, **options)
        for n_threads in THREADS:
            found = net.loss_and_grad(X, y, threads=n_threads, **options)
            assert found[0] == loss
            assert np.array_equal(found[1], grad)


def test_a_team_is_told_when_it_is_compiled(monkeypatch):
    """Compiling is done before the clock runs."""
    seen = []
    monkeypatch.setattr(jit, "ready", lambda *a: seen.append(a[0]))
    net = MLP((6, 2))
    made = threads.team_for(net, 100, 2)
    made.ready(made.table, False)
    assert seen == [threads.threads.train_together]


class Counts(Callback):
    """Counts epochs, slowly."""

    epochs = 0

    def on_epoch_end(self, fit):
        self.epochs += 1
        time.sleep(0)


def test_callbacks_are_called_in_the_callers_thread():
    _, fit = many(2)
    seen = Counts()
    fit(epochs=3, callbacks=seen)
    assert seen.epochs == 3
