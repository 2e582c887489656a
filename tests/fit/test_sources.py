"""Iterables of batches, and memory-mapped arrays read a part at a time."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import helpers
import limited
import numpy as np
import pytest
from helpers import COMPILED, SOAK, state

import fastbp
from fastbp import MLP, SGD, Adam, Callback, CosineDecay, DivergenceWarning, ReduceOnPlateau
from fastbp.fit.limits import Limits
from fastbp.fit.sources import Mapped, forget, is_on_disk

RNG = np.random.default_rng(31)
X, Y = RNG.normal(size=(40, 4)), RNG.normal(size=(40, 2))
W = RNG.uniform(0.1, 2.0, 40)
XV, YV = RNG.normal(size=(9, 4)), RNG.normal(size=(9, 2))
ENDS = (0, 8, 20, 21, 40)  # of ragged batches


make = partial(helpers.make, (4, 6, 2), optimizer=Adam(0.01))


def batches(weighted=False):
    parts = [slice(first, end) for first, end in zip(ENDS, ENDS[1:], strict=False)]
    return [(X[p], Y[p], W[p]) if weighted else (X[p], Y[p]) for p in parts]


class Loader:
    """Batches from a method, as those of other libraries."""

    def __iter__(self):
        return iter(batches())


# ---- iterables ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["list", "tuple", "object", "lists", "of zip"])
def test_iterables_are_steps_in_their_order(kind):
    given = {
        "list": batches(),
        "tuple": tuple(batches()),
        "object": Loader(),
        "lists": [[x.tolist(), y.tolist()] for x, y in batches()],
        "of zip": list(zip(*map(list, zip(*batches(), strict=True)), strict=True)),
    }[kind]
    net, twin = make(dropout=0.5), make(dropout=0.5)
    history = net.fit(given, epochs=3, batch_size=7)
    losses = [[twin.step(*b) for b in batches()] for _ in range(3)]
    assert state(net) == state(twin)
    sizes = np.diff(ENDS)
    assert history.loss == pytest.approx([float(sizes @ some) / 40 for some in losses])
    assert history["learning_rate"] == [0.01] * 3
    assert len(history.seconds) == 3
    assert history.stop_reason == ""


def test_batches_with_weights():
    net, twin = make(), make()
    history = net.fit(batches(True), epochs=2)
    losses = [[twin.step(*b) for b in batches(True)] for _ in range(2)]
    assert state(net) == state(twin)
    sizes = np.diff(ENDS)
    assert history.loss == pytest.approx([float(sizes @ some) / 40 for some in losses])


def test_schedules_go_on_from_batch_to_batch():
    net, twin = (make(optimizer=SGD(CosineDecay(0.1, 9))) for _ in range(2))
    history = net.fit(batches(), epochs=2)
    for batch in [*batches(), *batches()]:
        twin.step(*batch)
    assert state(net) == state(twin)
    assert history["learning_rate"] == CosineDecay(0.1, 9)([3, 7]).tolist()


def test_a_generator_gives_one_epoch():
    net, twin = make(), make()
    message = r"the batches ran out after epoch 1 of 3: .*Pass a list of the batches"
    with pytest.warns(UserWarning, match=message) as caught:
        history = net.fit((b for b in batches()), epochs=3)
    assert [Path(warning.filename).name for warning in caught] == ["test_sources.py"]
    assert len(history) == 1
    assert history.stop_reason == "the batches ran out after epoch 1"
    twin.fit(batches(), epochs=1)
    assert state(net) == state(twin)
    assert net.fit(iter(batches()), epochs=1).stop_reason == ""


@pytest.mark.parametrize("empty", [[], (), iter([]), (b for b in ())])
def test_nothing_to_train_on(empty):
    net = make()
    kept = state(net)
    with pytest.raises(ValueError, match="there are no batches to train on"):
        net.fit(empty)
    assert state(net) == kept


@pytest.mark.parametrize(
    ("item", "error", "words", "note"),
    [
        ((X[:3, :2], Y[:3]), ValueError, "X must have shape", True),
        ((X[:3], Y[:2]), ValueError, "X and y must have the same number of rows", True),
        ((X[:3] * np.nan, Y[:3]), ValueError, "X holds nan at row 0, column 0", True),
        ((X[:3], Y[:3] * np.inf), ValueError, "y holds", True),
        ((X[:3], Y[:3], -W[:3]), ValueError, "sample_weight must hold finite numbers", True),
        ((X[:0], Y[:0]), ValueError, "at least one row", True),
        (("a", "b"), TypeError, "X must hold real numbers", True),
        (X[:3], TypeError, "batch 2 must be a tuple (X, y) or (X, y, sample_weight); got ndarray",
         True),
        ((X[:3],), TypeError, "got tuple of 1", True),
        ((X[:3], Y[:3], W[:3], W[:3]), TypeError, "got tuple of 4", True),
        (None, TypeError, "got NoneType", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_bad_batch_leaves_the_net_as_it_was(epoch, item, error, words, note):
    class Bad:
        epochs = 0

        def __iter__(self):
            self.epochs += 1
            good = batches()
            return iter(good if self.epochs < epoch else [*good[:2], item, *good[2:]])

    net = make(dropout=0.5)
    net.fit(X, Y, epochs=1)
    kept = state(net)
    with pytest.raises(error) as caught:
        net.fit(Bad(), epochs=3)
    assert words in str(caught.value)
    assert ("in batch or part 2 of the epoch, counted from 0" in caught.value.__notes__) == note
    assert state(net) == kept


@pytest.mark.parametrize(
    "error", [OSError, KeyError, TypeError, ValueError, ZeroDivisionError, KeyboardInterrupt]
)
def test_an_error_of_the_iterable_leaves_the_updates_so_far(error):
    def broken():
        yield from batches()[:2]
        raise error("no disk")

    net, twin = make(), make()
    with pytest.raises(error, match="no disk") as caught:
        net.fit(broken(), epochs=2)
    if error is not KeyboardInterrupt:
        assert any("keeps the updates so far" in note for note in caught.value.__notes__)
    for batch in batches()[:2]:
        twin.step(*batch)
    assert state(net) == state(twin)
    assert len(net.history) == 0
    assert np.isfinite(net.fit(batches(), epochs=1).loss).all()


def test_a_bad_batch_after_a_callback_changed_the_net():
    class Change(Callback):
        def on_epoch_end(self, fit):
            fit.net.optimizer = SGD(0.5)
            fit.net.freeze(layers=[0])

    class Bad:
        epochs = 0

        def __iter__(self):
            self.epochs += 1
            return iter(batches() if self.epochs < 2 else [*batches(), (X, Y[:1])])

    net, twin = make(), make()
    for each in (net, twin):
        each.fit(X, Y, epochs=1)
    with pytest.raises(ValueError, match="the same number of rows"):
        net.fit(Bad(), epochs=3, callbacks=Change())
    assert net.optimizer == Adam(0.01)
    assert not net.frozen.any()
    assert state(net) == state(twin)
    net.fit(X, Y, epochs=1)
    twin.fit(X, Y, epochs=1)
    assert state(net) == state(twin)


def test_divergence_keeps_the_last_finite_epoch():
    class Rising(Callback):
        def on_epoch_end(self, fit):
            if fit.epoch == 2:
                fit.net.optimizer = Adam(1e308)

    net, twin = make(), make()
    with pytest.warns(DivergenceWarning, match="in epoch 3: .* the last finite epoch") as caught:
        history = net.fit(batches(), epochs=9, callbacks=Rising())
    assert caught[0].filename == __file__
    twin.fit(batches(), epochs=2)
    assert net.params.tobytes() == twin.params.tobytes()
    assert history.stop_reason == "diverged in epoch 3"
    assert len(history) == 2


def test_divergence_within_an_epoch_undoes_its_first_batches():
    def once(y_pred, y):
        calls.append(1)
        delta = (y_pred - y) / len(y)
        return np.nan if len(calls) == 7 else 0.5 * (delta * (y_pred - y)).sum(), delta

    calls, net, twin = [], make(loss=once), make()
    with pytest.warns(DivergenceWarning, match="in epoch 2"):
        net.fit(batches(), epochs=3)
    twin.fit(batches(), epochs=1)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-12, atol=1e-14)


# ---- hooks --------------------------------------------------------------------------------------


def test_validation_and_metrics_of_validation_data():
    net, twin = make(), make()
    options = {"validation_data": (XV, YV), "metrics": "mean_squared_error"}
    history = net.fit(batches(), epochs=3, **options)
    assert history.names == (
        "loss", "val_loss", "val_mean_squared_error", "learning_rate", "seconds",
    )  # fmt: skip
    for epoch in range(3):
        twin.fit(batches(), epochs=1)
        assert history["val_loss"][epoch] == twin.loss(XV, YV)
        error = ((twin.predict(XV) - YV) ** 2).mean()
        assert history["val_mean_squared_error"][epoch] == pytest.approx(error)
    assert state(net) == state(twin)


def test_callbacks_patience_and_plateaus():
    epochs = []

    class Spy(Callback):
        def on_epoch_end(self, fit):
            epochs.append((fit.epoch, fit.net.params.copy(), fit.losses["loss"]))

    net = make(optimizer=SGD(0.5))
    plateau = ReduceOnPlateau(factor=0.5, patience=1, min_delta=1e6)
    history = net.fit(batches(), epochs=9, patience=3, min_delta=1e3, callbacks=[Spy(), plateau])
    assert [number for number, *_ in epochs] == [1, 2, 3, 4]
    assert history.stop_reason == "no improvement of loss for 3 epochs"
    assert history["learning_rate"] == [0.5, 0.5, 0.25, 0.125]
    best = int(np.argmin(history.loss))
    assert net.params.tobytes() == epochs[best][1].tobytes()
    assert [loss for *_, loss in epochs] == history.loss


def test_time_runs_out():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    class Slow:
        def __iter__(self):
            for batch in batches():
                clock.now += 100
                yield batch

    clock = Clock()
    net, twin = make(), make()
    history = limited.fit(net, Slow(), clock=clock, epochs=9, max_seconds=250)  # 400 an epoch
    assert (len(history), history.stop_reason) == (0, "max_seconds=250 ran out")
    for batch in batches()[:3]:
        twin.step(*batch)
    assert state(net) == state(twin)
    net, twin = make(), make()
    history = limited.fit(net, Slow(), clock=clock, epochs=9, max_seconds=1000)
    assert (len(history), history.stop_reason) == (2, "max_seconds=1000 ran out")
    twin.fit(batches(), epochs=2)
    assert net.params.tobytes() == twin.params.tobytes()  # of the best epoch; here the loss falls


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda net: net.fit(batches(), validation_fraction=0.1), ValueError,
         "validation_fraction needs rows in memory"),
        (lambda net: net.fit(batches(), metrics="r2"), ValueError, "pass validation_data"),
        (lambda net: net.fit(batches(), sample_weight=W), TypeError, "put the weights into"),
        (lambda net: net.fit(batches(), epochs=-1), ValueError, "epochs must be at least 0"),
        (lambda net: net.fit(X), TypeError, "fit needs y, the targets"),
        (lambda net: net.fit("text"), TypeError, "fit needs y, the targets"),
        (lambda net: net.fit(3), TypeError, "an iterable of batches (X, y); got int"),
        (lambda net: net.fit(None), TypeError, "got NoneType"),
    ],
)  # fmt: skip
def test_bad_calls_change_nothing(call, error, words):
    net = make()
    kept, history = state(net), net.history
    with pytest.raises(error) as caught:
        call(net)
    assert words in str(caught.value)
    assert state(net) == kept
    assert net.history is history


# ---- arrays on disk -----------------------------------------------------------------------------


SMALL = Limits(block_bytes=2 * 8 * 4 * 8, part_bytes=3 * 2 * 8 * 4 * 8)
"""Blocks of two batches of 8 rows of float64, parts of three blocks."""
fit = partial(limited.fit, limits=SMALL)


def on_disk(tmp_path, array, name="X", mode="r"):
    path = tmp_path / f"{name}.npy"
    np.save(path, array)
    return np.load(path, mmap_mode=mode)


def table(rows, dtype="float64", seed=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, 4)).astype(dtype), rng.normal(size=(rows, 2))


def test_parts_of_a_file(tmp_path):
    big, targets = table(203)
    parts = Mapped(on_disk(tmp_path, big), targets, None, 8, False, np.zeros(1, np.uint64),
                   SMALL)  # fmt: skip
    read = list(parts)
    assert [len(x) for x, *_ in read] == [48] * 4 + [11]
    assert np.array_equal(np.concatenate([x for x, *_ in read]), big)
    assert np.array_equal(np.concatenate([y for _, y, _ in read]), targets)
    assert not any(isinstance(part, np.memmap) for some in read for part in some)


@pytest.mark.parametrize("batch_size", [1, 8, 16, 48])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_dropout_beside_a_file(dtype, batch_size, tmp_path):
    """All mapped; 192 rows, that dropout may have the same masks: a short batch has others."""
    (big, targets), weights = table(192), np.random.default_rng(1).uniform(0.1, 2, 192)
    net, twin = (make(dropout=0.25, dtype=dtype) for _ in range(2))
    mapped = [on_disk(tmp_path, a, name) for a, name in ((big, "X"), (targets, "y"))]
    options = {"epochs": 2, "batch_size": batch_size, "shuffle": False}
    history = fit(net, *mapped, sample_weight=on_disk(tmp_path, weights, "w"), **options)
    expected = twin.fit(big, targets, sample_weight=weights, **options)
    assert is_on_disk(mapped[0], SMALL)
    assert state(net) == state(twin)
    assert history.loss == pytest.approx(expected.loss, rel=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("rows", [200, 203])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("file_dtype", ["float32", "float64", "int16"])
def test_without_shuffle_the_bits_of_memory(file_dtype, dtype, rows, tmp_path):
    big, targets = table(rows)
    big = (big * 3).astype(file_dtype)
    net, twin = make(dtype=dtype), make(dtype=dtype)
    options = {"epochs": 3, "batch_size": 8, "shuffle": False}
    mapped = on_disk(tmp_path, big)
    limits = SMALL._replace(part_bytes=SMALL.part_bytes * big.itemsize // 8)
    history = limited.fit(net, mapped, targets, limits=limits, **options)
    expected = twin.fit(big, targets, **options)
    assert is_on_disk(mapped, limits)
    assert state(net) == state(twin)
    assert history.loss == pytest.approx(expected.loss, rel=1e-5 if dtype == "float32" else 1e-12)
    assert history["learning_rate"] == expected["learning_rate"]


@pytest.mark.parametrize("kind", ["labels", "big endian", "column by column", "large batches"])
def test_files_of_other_kinds(kind, tmp_path):
    big, _ = table(203)
    labels, batch_size = np.random.default_rng(0).integers(3, size=203), 8
    file = big
    if kind == "big endian":
        file = big.astype(">f8")
    elif kind == "column by column":
        file = np.asfortranarray(big)
    elif kind == "large batches":
        batch_size = 150  # more than a part, which then is one batch
    nets = [MLP((4, 5, 3), loss="cross_entropy", seed=0) for _ in range(2)]
    for net, rows in zip(nets, (on_disk(tmp_path, file), big), strict=True):
        fit(net, rows, labels, epochs=2, batch_size=batch_size, shuffle=False)
    assert state(nets[0]) == state(nets[1])


def taken(tmp_path, seed, epochs=3, rows=203, **options):
    """The numbers of the rows in the order in which batches of 8 take them, epoch by epoch."""
    seen = []

    def loss(y_pred, y, weights=None):
        seen.append(y[:, 0].astype(int).tolist())
        if weights is not None:  # scaled to a mean of 1
            np.testing.assert_allclose(weights, (y[:, 0] + 1) / 102, rtol=1e-14)
        return 1.0, np.zeros_like(y)

    big = table(rows)[0]
    targets = np.repeat(np.arange(float(rows))[:, None], 2, axis=1)
    net = make(loss=loss, seed=seed)
    fit(net, on_disk(tmp_path, big), targets, epochs=epochs, batch_size=8, **options)
    numbers = [number for batch in seen for number in batch]
    return [numbers[i * rows : (i + 1) * rows] for i in range(epochs)], net


@pytest.mark.parametrize("weighted", [False, True])
def test_with_shuffle_every_row_once_an_epoch(weighted, tmp_path):
    options = {"sample_weight": np.arange(203.0) + 1} if weighted else {}
    epochs, net = taken(tmp_path, 1, **options)
    for order in epochs:
        assert sorted(order) == list(range(203))
        assert order != list(range(203))
        # Parts of three blocks of 16 neighbours, mixed among each other.
        first = order[:48] if 202 not in order[:48] else order[48:96]
        assert len({number // 16 for number in first}) <= 4
        assert sorted(first) != first
        assert {number // 16 for number in order[:48]} != {0, 1, 2}
    assert epochs[0] != epochs[1] != epochs[2]
    again, twin = taken(tmp_path, 1, **options)
    assert again == epochs
    assert np.array_equal(net.state.random, twin.state.random)
    assert taken(tmp_path, 2, **options)[0] != epochs


def test_with_shuffle_the_net_learns_and_repeats(tmp_path):
    big, _ = table(400)
    targets = np.tanh(big[:, :2])
    mapped, nets = on_disk(tmp_path, big), [make(seed=seed) for seed in (3, 3, 4)]
    for net in nets:
        history = fit(net, mapped, targets, epochs=30, batch_size=8)
        assert history.loss[-1] < 0.1 * history.loss[0]
    assert state(nets[0]) == state(nets[1])
    assert state(nets[0]) != state(nets[2])


@pytest.mark.parametrize("where", ["X", "y", "weight"])
@pytest.mark.parametrize("shuffle", [False, True])
def test_what_is_bad_in_a_late_part(shuffle, where, tmp_path):
    (big, targets), weights = table(203), np.ones(203)
    {"X": big[:, 0], "y": targets[:, 0], "weight": weights}[where][190] = np.nan
    net = make(dropout=0.5)
    net.fit(X, Y, epochs=1)
    kept = state(net)
    with pytest.raises(ValueError, match="nan at row") as caught:
        fit(net, on_disk(tmp_path, big), targets, sample_weight=weights, batch_size=8,
            shuffle=shuffle)  # fmt: skip
    number = int(caught.value.__notes__[0].split("part ")[1].split()[0])
    if not shuffle:  # 190 = 3 * 48 + 46
        assert number == 3
        assert "row 46" in str(caught.value)
    assert state(net) == kept


def test_what_is_seen_before_anything_is_read(tmp_path):
    (big, targets), net = table(203), make()
    kept, mapped = state(net), on_disk(tmp_path, big)
    for call, words in (
        (lambda: fit(net, mapped, targets[:-1]), "the same number of rows; got 203 and"),
        (lambda: fit(net, mapped, 3.0), "X and y must have the same number of rows"),
        (lambda: fit(net, mapped, targets, sample_weight=W), "X and sample_weight must have"),
        (lambda: fit(net, mapped.reshape(-1), targets), "X must have shape (rows, n_in)"),
        (lambda: fit(net, mapped[:, :3], targets), "X must have shape (rows, 4)"),
        (lambda: fit(net, mapped, targets, validation_fraction=0.1), "needs rows in memory"),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert words in str(caught.value)
    assert state(net) == kept


def test_validation_and_metrics_beside_a_file(tmp_path):
    big, targets = table(203)
    net, twin, mapped = make(), make(), on_disk(tmp_path, big)
    options = {"epochs": 2, "batch_size": 8, "shuffle": False}
    options |= {"validation_data": (XV, YV), "metrics": "mean_squared_error"}
    history = fit(net, mapped, targets, **options)
    expected = twin.fit(big, targets, **options)
    assert history.names == expected.names
    for name in history.names[:-1]:
        assert history[name] == pytest.approx(expected[name], rel=1e-12)
    assert state(net) == state(twin)


# ---- what is mapped, and what only looks like it ------------------------------------------------


@pytest.mark.parametrize("how", ["copy", "rows", "view", "array", "small"])
def test_what_is_on_disk(how, tmp_path):
    """Copies of a map are of its class and yet in memory."""
    big, targets = table(203)
    mapped = on_disk(tmp_path, big)
    given = {
        "copy": lambda: mapped.copy(),
        "rows": lambda: mapped[np.arange(203)],
        "view": lambda: mapped[3:],
        "array": lambda: np.array(mapped),
        "small": lambda: mapped[:48],
    }[how]()
    assert is_on_disk(given, SMALL) == (how == "view")
    net, twin = make(), make()
    targets = targets[: len(given)]
    for each, rows in ((net, given), (twin, np.array(given))):
        fit(each, rows, targets, epochs=2, batch_size=8, shuffle=False)
    assert state(net) == state(twin)
    forget(given)
    assert np.array_equal(given, np.array(given))


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_what_was_written_to_a_map_is_kept(mode, tmp_path):
    big, targets = table(203)
    mapped, theirs = on_disk(tmp_path, big, mode=mode), on_disk(tmp_path, targets, "y", mode)
    if mode != "r":
        big[100:], mapped[100:] = 0.25, 0.25
        targets[:50], theirs[:50] = 0.5, 0.5
    net, twin = make(), make()
    for each, data in ((net, (mapped, theirs)), (twin, (big, targets))):
        fit(each, *data, epochs=2, batch_size=8, shuffle=False)
    assert state(net) == state(twin)
    assert np.array_equal(mapped, big)
    assert np.array_equal(theirs, targets)
    if mode == "r+":
        del mapped
        assert np.array_equal(np.load(tmp_path / "X.npy"), big)


def resident():
    """Bytes of this process that stand in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


needs_statm = pytest.mark.skipif(
    not Path("/proc/self/statm").exists() or not hasattr(mmap, "MADV_DONTNEED"),
    reason="reads the size of the process from /proc and gives pages back with madvise",
)


@needs_statm
@pytest.mark.parametrize("weights_too", [False, True])
def test_pages_are_given_back(weights_too, tmp_path):
    rows = (24 << 20) // 8
    mapped = on_disk(tmp_path, np.zeros((rows, 1)))
    theirs = on_disk(tmp_path, np.ones(rows), "w") if weights_too else None
    parts = Mapped(mapped, theirs if weights_too else np.zeros(1).repeat(rows), theirs, 1 << 14,
                   True, np.zeros(1, np.uint64), Limits(part_bytes=1 << 20))  # fmt: skip
    before, most = resident(), 0
    for _ in parts:
        most = max(most, resident() - before)
    assert most < 12 << 20
    for first in range(0, rows, 1 << 16):
        mapped[first : first + (1 << 16)].sum()
    assert resident() - before > 20 << 20  # what would be there otherwise


# ---- data larger than memory --------------------------------------------------------------------

CHILD = """
import resource, sys
from pathlib import Path
import numpy as np
from fastbp import MLP

path, size = sys.argv[1], int(sys.argv[2])
rows, n_in = size // (4 * 64), 64
X = np.memmap(path, np.float32, "w+", shape=(rows, n_in))
generator, real = np.random.default_rng(0), min(rows, 1 << 16)
X[:real] = generator.normal(size=(real, n_in))
X.flush()
y = np.zeros(rows, np.float32)
y[:real] = X[:real, 0]
X = np.memmap(path, np.float32, "r", shape=(rows, n_in))
net = MLP((n_in, 16, 1), seed=0)
first = net.loss(np.array(X[:real]), y[:real])
history = net.fit(X, y, epochs=1, batch_size=256)
last = net.loss(np.array(X[:real]), y[:real])
status = Path("/proc/self/status")
if status.exists():  # ru_maxrss counts what the parent had when it forked
    peak = int(status.read_text().split("VmHWM:")[1].split()[0]) * 1024
else:
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(len(history), last < first, peak)
"""


@pytest.mark.slow
@pytest.mark.promise("larger than memory")
@pytest.mark.skipif(os.name != "posix", reason="the peak of a process is read with getrusage")
@pytest.mark.skipif(not COMPILED, reason="uncompiled it takes hours")
def test_more_data_than_memory(tally, tmp_path):
    """4 GB of which most stands in holes of the file; a tenth of a GB outside `make soak`."""
    size, path = (4 * 10**9 if SOAK else 10**8), tmp_path / "X.raw"
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", CHILD, str(path), str(size)],
            env=os.environ | {"PYTHONPATH": str(Path(fastbp.__file__).parents[1])},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.unlink(missing_ok=True)
    assert done.returncode == 0, done.stderr
    epochs, learned, peak = done.stdout.split()
    assert (epochs, learned) == ("1", "True")
    assert 20e6 < int(peak) < 500e6
    tally["GB"] += size // 10**9
