"""`fit_many`: the bits of each net's own fit, in any number of threads, however it ends."""

from __future__ import annotations

import copy
import os
import signal
import threading
import time
import warnings

import limited
import numpy as np
import pytest
from helpers import COMPILED, SOAK, counts, needs_compiler, state
from recipes import recipe

import fastbp
from fastbp import (
    MLP,
    SGD,
    Adam,
    AdamW,
    CosineDecay,
    DivergenceWarning,
    ElementwiseActivation,
    Group,
    Lion,
    NAdam,
    RMSprop,
    StepDecay,
    fit_many,
)
from fastbp.fit import data
from fastbp.fit.epochs import Epochs
from fastbp.kernels import addresses
from fastbp.many import fit_many as module
from fastbp.many import kernels
from fastbp.many.kernels import STOP

THREADS = ((1, 2, 3, 4, 8) if SOAK else (1, 2, 3)) if COMPILED else (1, 2)
ROWS = 60 if COMPILED else 20


def but_for_the_time(history):
    """All that a history says, except for the seconds."""
    return {**vars(history), "seconds": len(history.seconds)}


def assert_as_by_themselves(make, X, y, threads=THREADS, weights=None, **options):
    """Nets that `make` makes have the bits and histories of their own fits."""
    alone = make()
    for i, net in enumerate(alone):
        own = {} if weights is None else {"sample_weight": weights[i]}
        net.fit(X[i], y[i], **options, **own)
    for n in threads:
        together = make()
        histories = fit_many(together, X, y, threads=n, sample_weights=weights, **options)
        for i, (mine, other) in enumerate(zip(alone, together, strict=True)):
            assert state(other) == state(mine), (i, n)
            assert but_for_the_time(histories[i]) == but_for_the_time(mine.history), (i, n)
            assert other.history is histories[i]
    return alone


# ---- the same bits -------------------------------------------------------------------------------


@pytest.mark.promise("determinism")
@pytest.mark.parametrize("first", range(0, counts(12, 60, 2), 6))
def test_nets_of_all_kinds(first, tally):
    """Shapes, dtypes, losses, optimisers, batches of 1 to 600 rows, frozen parameters."""
    recipes = [recipe(seed) for seed in range(first, first + 6)]
    for shuffle, batch_size in ((True, 32), (False, 7), (True, 600)):
        assert_as_by_themselves(
            lambda: [copy.deepcopy(r.net) for r in recipes],
            [r.X for r in recipes],
            [r.y for r in recipes],
            epochs=4,
            batch_size=batch_size,
            shuffle=shuffle,
        )
        tally["nets among others"] += 6 * len(THREADS)


def test_optimizers_regularisation_and_schedules():
    rng = np.random.default_rng(4)
    X, y = rng.normal(size=(ROWS, 3)), rng.normal(size=(ROWS, 2))
    variants = [
        {"optimizer": AdamW(weight_decay=0.1)},
        {"optimizer": NAdam(), "l1": 0.01, "l2": 0.1},
        {"optimizer": RMSprop(), "dropout": 0.3},
        {"optimizer": Lion(), "input_dropout": 0.2},
        {"optimizer": SGD(0.1, momentum=0.9), "clip_norm": 0.5},
        {"optimizer": SGD(StepDecay(0.1, epochs=2)), "clip_value": 0.01},
        {"optimizer": Adam(CosineDecay(0.01, 30)), "max_norm": 1.0},
        {"optimizer": Adam(groups=[Group([0], learning_rate=0.1)]), "bias": False},
        {"loss": "huber", "activation": "selu"},
        {"activation": ElementwiseActivation(lambda z: (z * 0.5, 0.5))},
    ]

    def make():
        return [MLP((3, 9, 5, 2), seed=i, **options) for i, options in enumerate(variants)]

    for options in ({}, {"patience": 1}):
        assert_as_by_themselves(
            make, [X] * len(variants), [y] * len(variants), epochs=4, batch_size=8, **options
        )


def losses_that_turn(rng, i):
    """Few rows that are mostly noise, so that the loss on others rises soon."""
    X = rng.normal(size=(24 + i, 2))
    return X, np.sin(3 * X[:, :1]) + rng.normal(size=(24 + i, 1))


def test_early_stopping():
    rng = np.random.default_rng(5)
    data = [losses_that_turn(rng, i) for i in range(6)]
    X, y = zip(*data, strict=True)

    def make():
        return [
            MLP((2, 16 + i, 1), seed=i, optimizer=Adam(0.05), dtype=("float32", "float64")[i % 2])
            for i in range(6)
        ]

    reasons = set()
    for options in (
        {"validation_fraction": 0.3},
        {"validation_fraction": 0.3, "patience": 3},
        {"validation_fraction": 0.3, "patience": 2, "shuffle": False, "batch_size": 100},
        {"patience": 1},
    ):
        nets = assert_as_by_themselves(make, X, y, epochs=25, **options)
        reasons |= {net.history.stop_reason.partition(" for ")[0] for net in nets}
    assert reasons == {"", "no improvement of val_loss", "no improvement of loss"}


def test_weights_and_missing_targets():
    rng = np.random.default_rng(6)
    X = [rng.normal(size=(ROWS + i, 2)) for i in range(4)]
    y = [rng.normal(size=(ROWS + i, 2)) for i in range(4)]
    y[3][::3, 0] = np.nan
    weights = [None, rng.random(ROWS + 1), rng.random((ROWS + 2, 2)), None]

    def make():
        return [MLP((2, 5, 2), seed=i, missing_targets=i == 3) for i in range(4)]

    for options in ({}, {"validation_fraction": 0.25, "patience": 2}):
        assert_as_by_themselves(make, X, y, weights=weights, epochs=4, **options)


def test_sparse_rows_beside_dense_ones():
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(7)
    dense = rng.normal(size=(40, 6)) * (rng.random((40, 6)) < 0.3)
    X = [sparse.csr_array(dense), dense, sparse.csr_array(dense)]
    y = [rng.normal(size=40)] * 3

    def make():
        return [MLP((6, 4 + i, 1), seed=i) for i in range(3)]

    for options in ({}, {"validation_fraction": 0.25}):
        assert_as_by_themselves(make, X, y, epochs=3, **options)


def test_it_goes_on_from_where_the_nets_are():
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(ROWS, 2)), rng.normal(size=ROWS)
    alone, together = MLP((2, 6, 1), seed=0), MLP((2, 6, 1), seed=0)
    for _ in range(2):
        alone.fit(X, y, epochs=2)
        fit_many([together], X, y, epochs=2)
    assert state(alone) == state(together)


def test_what_is_not_compiled_is_fitted_by_its_own_fit():
    rng = np.random.default_rng(9)
    X, y = rng.normal(size=(ROWS, 2)), rng.normal(size=ROWS)

    def make():
        made = [
            MLP((2, 4, 1), seed=0, activation=lambda z: (z * z, 2 * z)),
            MLP((2, 4, 1), seed=1, loss=lambda p, t: (float(((p - t) ** 2).sum()), 2 * (p - t))),
            MLP((2, 4, 1), seed=2, optimizer=SGD(lambda update: 0.1 / (1 + update))),
            MLP((2, 4, 1), seed=3),
        ]
        return made

    assert_as_by_themselves(make, [X] * 4, [y] * 4, (2,), epochs=3)
    assert_as_by_themselves(make, [X] * 4, [y] * 4, (2,), epochs=0)


def test_buffers_may_hold_anything_and_are_kept_to(monkeypatch):
    """A net does not read what the one before left in the thread's buffers, nor write past them."""
    whole = module.aligned_zeros
    behind = []

    def poisoned(count, dtype):
        made = whole(count + 512, dtype)
        made.fill(np.nan if dtype.kind == "f" else 0)
        made[count:] = 77
        behind.append(made[count:])
        return made[:count]

    rng = np.random.default_rng(10)
    X = [rng.normal(size=(n, 3)) for n in (50, 33, 5)]
    y = [rng.normal(size=n) for n in (50, 33, 5)]
    monkeypatch.setattr(module, "aligned_zeros", poisoned)
    options = {"dropout": 0.2, "clip_norm": 1.0}
    assert_as_by_themselves(
        lambda: [MLP((3, 7, 5, 1), seed=i, **options) for i in range(3)], X, y, (1,), epochs=3,
        batch_size=20, validation_fraction=0.2, patience=2,
    )  # fmt: skip
    assert len(behind) > 8 and all((part == 77).all() for part in behind)


def test_one_array_for_all_or_one_for_each():
    X, y = np.arange(12.0).reshape(6, 2) / 12, np.arange(6.0)

    def fitted(*given, **options):
        nets = [MLP((2, 3, 1), seed=i) for i in range(2)]
        fit_many(nets, *given, epochs=2, **options)
        return [state(net) for net in nets]

    expected = fitted(X, y)
    assert fitted([X, X], [y, y]) == expected
    assert fitted(X, [y, y]) == expected
    assert fitted(X.tolist(), y.tolist()) == expected
    assert fitted(X, [[number] for number in y]) == expected
    assert fitted(X, y, sample_weights=[None, np.ones(6)]) == expected
    assert fitted(X, y, sample_weights=np.ones(6)) == expected
    assert fitted(X, [y, y + 1])[0] == expected[0]
    assert fitted(X, [y, y + 1])[1] != expected[1]


# ---- divergence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"patience": 3}, {"validation_fraction": 0.2}])
def test_a_net_that_diverges_is_restored_and_the_others_go_on(options):
    rng = np.random.default_rng(11)
    X, y = rng.normal(size=(ROWS, 2)), rng.normal(size=ROWS)

    def make():
        rates = (0.01, 1e3, 0.01, 1e30)
        return [MLP((2, 6, 1), seed=i, optimizer=SGD(rate)) for i, rate in enumerate(rates)]

    alone = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        for net in alone:
            net.fit(X, y, epochs=8, **options)
    for threads in THREADS:
        together = make()
        with pytest.warns(DivergenceWarning, match=r"2 of 4 nets diverged: nets 1, 3\.") as caught:
            fit_many(together, X, y, epochs=8, threads=threads, **options)
        assert len(caught) == 1 and caught[0].filename == __file__
        for mine, other in zip(alone, together, strict=True):
            assert state(other) == state(mine)
            assert repr(but_for_the_time(other.history)) == repr(but_for_the_time(mine.history))


def test_parameters_that_are_not_finite_before():
    nets = [MLP((1, 1), seed=i) for i in range(2)]
    nets[1].params[0] = np.nan
    with pytest.warns(DivergenceWarning, match="not finite before training"):
        fit_many(nets, [[1.0]], [1.0], epochs=2)
    assert len(nets[0].history) == 2 and len(nets[1].history) == 0


def test_losses_that_are_far_too_large():
    nets = [MLP((1, 1), seed=i, optimizer=SGD(1e-9)) for i in range(2)]
    with pytest.warns(UserWarning, match=r"above 1e\+08 in 1 of 2 nets: nets 1\."):
        fit_many(nets, [[1.0]], [np.ones(1), np.full(1, 1e6)], epochs=2)


# ---- Ctrl-C --------------------------------------------------------------------------------------


def test_an_interrupt_leaves_what_fits_of_their_own_would_leave(monkeypatch):
    """Stopped after a number of compiled calls, every net has the bits of so many passes."""
    rng = np.random.default_rng(12)
    X, y = rng.normal(size=(64, 2)), rng.normal(size=64)

    def make():
        return [MLP((2, 6, 1), seed=i) for i in range(3)]

    nets = make()
    before = [state(net) for net in nets]
    run = module.Crew._run

    def stopped(crew):
        for job in crew.jobs:
            job.table.cells[addresses.N_PASSES] = 3
        crew.control[kernels.STOP] = 1
        run(crew)
        raise KeyboardInterrupt

    monkeypatch.setattr(module.Crew, "_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        fit_many(nets, X, y, epochs=5)
    assert [state(net) for net in nets] == before  # nobody began
    assert [len(net.history) for net in nets] == [0, 0, 0]
    assert list(nets[0].history.to_dict()) == ["loss", "learning_rate", "seconds"]


@pytest.mark.parametrize("seed", range(counts(3, 20, 2)))
def test_a_stop_amid_an_epoch_has_the_bits_of_so_many_passes(seed, monkeypatch):
    rng = np.random.default_rng([seed, 14])
    X, y = rng.normal(size=(37, 2)), rng.normal(size=37)
    net, twin = (MLP((2, 6, 1), seed=seed) for _ in range(2))
    crews = []
    run = module.Crew._run

    def stopped(crew):
        crews.append(crew)
        crew.jobs[0].table.cells[addresses.N_PASSES] = 1
        timer = threading.Timer(rng.random() / 20, lambda: crew.control.__setitem__(STOP, 1))
        timer.start()
        run(crew)
        timer.join()

    monkeypatch.setattr(module.Crew, "_run", stopped)
    history = fit_many([net], X, y, epochs=100_000, batch_size=8)[0]
    epoch, row, _ = crews[0].threads[0].arrays[kernels.ROOM_FOR_PROGRESS][:3].tolist()
    assert len(history) == epoch < 100_000
    losses = twin.fit(X, y, epochs=epoch, batch_size=8).loss
    assert history.loss == losses

    class Passes:
        """Lets so many batches pass."""

        left = row // 8

        def seconds_left(self) -> float:
            return np.inf

        def look(self, running: bool) -> bool:
            self.left -= 1
            return self.left > 0

    if row:
        epochs = Epochs(twin, limits=limited.A_PASS_A_CALL)
        epochs.take(data.job_of(data.rows_to_train_on(X, y, None, twin)[0], 37, 8, True))
        epochs.run(1, Passes())
    assert state(net) == state(twin)


@pytest.mark.promise("Ctrl-C")
@needs_compiler
@pytest.mark.parametrize("options", [{}, {"validation_fraction": 0.2, "patience": 10**9}])
def test_ctrl_c(options):
    """Two nets are amid their epochs, and the next are as they were."""
    rng = np.random.default_rng(13)
    X, y = rng.normal(size=(200, 2)), rng.normal(size=200)
    nets = [MLP((2, 6 - i, 1), seed=i) for i in range(4)]
    fit_many([MLP((2, 6, 1))], X, y, epochs=1, **options)
    begun = [state(net) for net in nets]
    running = threading.active_count()

    def press() -> None:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        fit_many(nets, X, y, epochs=10**6, threads=2, **options)
    thread.join()
    for _ in range(500):  # a thread that was starting ends by itself
        if threading.active_count() == running:
            break
        time.sleep(0.01)
    assert threading.active_count() == running
    assert sum(len(net.history) for net in nets[:2]) > 0
    assert [state(net) for net in nets[2:]] == begun[2:]
    assert [len(net.history) for net in nets[2:]] == [0, 0]
    for net in nets[:2]:
        assert np.isfinite(net.params).all()
        assert not net.history.stop_reason and net.history.restored_epoch is None
        net.fit(X, y, epochs=1)  # it can be trained on


# ---- bad input -----------------------------------------------------------------------------------


def test_bad_input_changes_nothing():
    X, y = np.ones((4, 2)), np.ones(4)
    nets = [MLP((2, 3, 1), seed=i) for i in range(3)]
    before = [state(net) for net in nets]
    twin = copy.copy(nets[0])
    cases = [
        (TypeError, "nets must be a list of MLP; got ", (nets[0], X, y), {}),
        (TypeError, "nets must be a list of MLP; got .* at 1", ([nets[0], 3], X, y), {}),
        (ValueError, "nets 0 and 2 are the same net", ([nets[0], nets[1], nets[0]], X, y), {}),
        (ValueError, "nets 0 and 1 share parameters.*deepcopy", ([nets[0], twin], X, y), {}),
        (
            ValueError,
            "X must be one array, or a list of one for each of the 3",
            (nets, [X, X], y),
            {},
        ),
        (ValueError, "net 1: X must", (nets, [X, np.ones((4, 3)), X], y), {}),
        (ValueError, "net 2: X and y must have the same", (nets, X, [y, y, np.ones(5)]), {}),
        (ValueError, "net 0: .*validation_fraction", (nets, X, y), {"validation_fraction": 2.0}),
        (ValueError, "patience", (nets, X, y), {"patience": 0}),
        (ValueError, "epochs", (nets, X, y), {"epochs": -1}),
        (ValueError, "threads", (nets, X, y), {"threads": 0}),
        (ValueError, "net 1: X.*nan", (nets, [X, np.full((4, 2), np.nan), X], y), {}),
    ]
    for kind, words, given, options in cases:
        with pytest.raises(kind, match=f"(?is){words}"):
            fit_many(*given, **options)
    assert [state(net) for net in nets] == before
    assert [len(net.history) for net in nets] == [0, 0, 0]


def test_nets_that_share_a_random_stream_are_refused():
    first, second = MLP((1, 1), seed=0), MLP((1, 1), seed=1)
    second.state = second.state._replace(random=first.state.random)
    with pytest.raises(ValueError, match="nets 0 and 1 share a random stream"):
        fit_many([first, second], [[1.0]], [1.0])


def test_no_nets():
    assert fastbp.fit_many([], [[1.0]], [1.0]) == []


def test_memory_does_not_grow_with_the_workspaces(monkeypatch):
    """The room of a thread is that of the largest net, however many there are."""
    made = []
    monkeypatch.setattr(module.Crew, "_run", lambda crew: made.append(crew))
    X, y = np.ones((300, 2)), np.ones(300)
    nets = [MLP((2, 40 + i, 1), seed=i) for i in range(20)]
    fit_many(nets, X, y, batch_size=256, threads=2)
    fit_many(nets[-1:], X, y, batch_size=256)
    sizes = [[a.size for a in table.arrays.values()] for crew in made for table in crew.threads]
    assert max(sizes[0]) == max(sizes[1]) == max(sizes[2])
    for job in made[0].jobs:
        assert job.table.work.values.size == 0
        assert sum(a.nbytes for a in job.table.arrays.values()) < 50_000
