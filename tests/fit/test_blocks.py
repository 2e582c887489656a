"""Parquet, Zarr and other chunked arrays: read in blocks, by a thread, while the kernel works."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import helpers
import limited
import numpy as np
import pytest
from helpers import COMPILED, SOAK, state

import fastbp
from fastbp import MLP, Adam, Callback, GaussianNoise, Parquet
from fastbp.fit import sources
from fastbp.fit.blocks import Chunked, Streamed
from fastbp.fit.limits import Limits

ROWS, GROUP = 203, 30
RNG = np.random.default_rng(41)
X, Y = RNG.normal(size=(ROWS, 4)), RNG.normal(size=(ROWS, 2))
W = RNG.uniform(0.1, 2.0, ROWS)
LABELS = RNG.integers(3, size=ROWS)
SMALL = Limits(block_bytes=16 * 4 * 8, part_bytes=48 * 4 * 8)
"""Blocks of about 16 rows of float64, windows of 48."""

make = partial(helpers.make, (4, 6, 2), optimizer=Adam(0.01))
fit = partial(limited.fit, limits=SMALL)


def needs(library):
    return pytest.mark.skipif(
        importlib.util.find_spec(library) is None,
        reason=f"needs {library}: pip install {library}",
    )


needs_pyarrow = needs("pyarrow")


class InChunks:
    """An array as those of Zarr and HDF5: chunks, slices, no length."""

    def __init__(self, array, chunk=10):
        self.array = array
        self.shape, self.dtype, self.nbytes = array.shape, array.dtype, array.nbytes
        self.ndim, self.size = array.ndim, array.size
        self.chunks = (chunk, *array.shape[1:])
        self.reads = []

    def __getitem__(self, rows):
        self.reads.append(rows)
        return self.array[rows]


def parquet(folder, columns, group=GROUP, name="rows.parquet", **options):
    """A file of columns; two-dimensional ones become lists of a fixed size."""
    import pyarrow as pa
    from pyarrow import parquet as library

    made = {
        key: pa.array(value)
        if np.ndim(value) == 1
        else pa.FixedSizeListArray.from_arrays(pa.array(value.reshape(-1)), value.shape[1])
        for key, value in columns.items()
    }
    path = folder / name
    library.write_table(pa.table(made), path, row_group_size=group, **options)
    return path


def table(**others):
    return {f"x{i}": X[:, i] for i in range(4)} | {"y0": Y[:, 0], "y1": Y[:, 1]} | others


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "fastbp reads"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not readers()


# ---- the bits of rows in memory -----------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 8, 32, 150, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["chunks", "zarr", pytest.param("parquet", marks=needs_pyarrow)])
def test_without_shuffle_the_bits_of_memory(kind, weighted, dtype, batch_size, tmp_path):
    options = {"epochs": 2, "batch_size": batch_size, "shuffle": False}
    weights = W if weighted else None
    net, twin = make(dtype=dtype), make(dtype=dtype)
    expected = twin.fit(X, Y, sample_weight=weights, **options)
    if kind == "parquet":
        path = parquet(tmp_path, table(w=W) if weighted else table())
        rows = Parquet(path, y=["y0", "y1"], sample_weight="w" if weighted else None)
        history = fit(net, rows, **options)
    else:
        given = [InChunks(a) for a in (X, Y, W)]
        if kind == "zarr":
            zarr = pytest.importorskip("zarr", reason="needs zarr: pip install zarr")
            given = [
                zarr.create_array(tmp_path / name, data=a, chunks=(30, *a.shape[1:]))
                for name, a in (("X", X), ("y", Y), ("w", W))
            ]
        weights = given[2] if weighted else None
        history = fit(net, given[0], given[1], sample_weight=weights, **options)
    if weighted:  # the sum of the weights is rounded otherwise
        np.testing.assert_allclose(
            net.params, twin.params, rtol=2e-5 if dtype == "float32" else 1e-11
        )
    else:
        assert state(net) == state(twin)
    assert history.loss == pytest.approx(expected.loss, rel=1e-5 if dtype == "float32" else 1e-12)
    assert history["learning_rate"] == expected["learning_rate"]


@needs_pyarrow
@pytest.mark.parametrize("kind", ["lists", "files", "folder", "whole numbers", "order", "booleans"])
def test_parquet_of_other_kinds(kind, tmp_path):
    inputs, columns, options = X, table(), {"y": ["y0", "y1"]}
    if kind == "lists":
        columns = {"y": Y, "x": X}
        options = {"y": "y"}
    if kind == "whole numbers":
        inputs = (X * 3).astype(np.int16)
        columns |= {f"x{i}": inputs[:, i] for i in range(4)}
    if kind == "booleans":
        inputs = X > 0
        columns |= {f"x{i}": inputs[:, i] for i in range(4)}
    if kind == "order":
        inputs = X[:, [2, 0, 3, 1]]
        options["X"] = ["x2", "x0", "x3", "x1"]
    path = parquet(tmp_path, columns)
    if kind in ("files", "folder"):
        path.unlink()
        ends = [0, 31, 90, ROWS]
        paths = [
            parquet(tmp_path, {k: v[a:b] for k, v in columns.items()}, name=f"{i}.parquet")
            for i, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True))
        ]
        path = tmp_path if kind == "folder" else paths
    rows = Parquet(path, **options)
    assert (rows.rows, rows.n_in, len(rows)) == (ROWS, 4, ROWS)
    net, twin = make(), make()
    fit(net, rows, epochs=2, batch_size=8, shuffle=False)
    twin.fit(inputs, Y, epochs=2, batch_size=8, shuffle=False)
    assert state(net) == state(twin)


@needs_pyarrow
@pytest.mark.parametrize("weighted", [False, True])
def test_missing_targets_and_labels(weighted, tmp_path):
    import pyarrow as pa

    gaps = np.where(RNG.uniform(size=(ROWS, 2)) < 0.3, np.nan, Y)
    columns = table(w=W) | {"y0": pa.array(gaps[:, 0], from_pandas=True), "y1": gaps[:, 1]}
    options = {"sample_weight": "w"} if weighted else {"X": ["x0", "x1", "x2", "x3"]}
    net, twin = make(missing_targets=True), make(missing_targets=True)
    path = parquet(tmp_path, columns)
    fit(net, Parquet(path, y=["y0", "y1"], **options), epochs=2, batch_size=8, shuffle=False)
    weights = W if weighted else None
    twin.fit(X, gaps, sample_weight=weights, epochs=2, batch_size=8, shuffle=False)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-12)
    path = parquet(tmp_path, {f"x{i}": X[:, i] for i in range(4)} | {"label": LABELS})
    nets = [MLP((4, 5, 3), loss="cross_entropy", seed=0) for _ in range(2)]
    fit(nets[0], Parquet(path, y="label"), epochs=2, batch_size=8, shuffle=False)
    nets[1].fit(X, LABELS, epochs=2, batch_size=8, shuffle=False)
    assert state(nets[0]) == state(nets[1])


@pytest.mark.parametrize("shuffle", [False, True])
def test_augmentation_dropout_validation_and_metrics(shuffle):
    """What draws from the net's stream beside the reading thread has the same draws each time."""
    options = {"epochs": 3, "batch_size": 8, "shuffle": shuffle, "augment": GaussianNoise(0.1)}
    options |= {"validation_data": (X[:9], Y[:9]), "metrics": "mean_squared_error"}
    nets = [make(dropout=0.25) for _ in range(2)]
    histories = [fit(net, InChunks(X), InChunks(Y), **options) for net in nets]
    assert state(nets[0]) == state(nets[1])
    assert histories[0].loss == histories[1].loss
    error = ((nets[0].predict(X) - Y) ** 2).mean()
    assert histories[0]["mean_squared_error"][-1] == pytest.approx(error)
    assert histories[0]["val_loss"][-1] == nets[0].loss(X[:9], Y[:9])


# ---- shuffling ----------------------------------------------------------------------------------


def taken(rows, seed, epochs=2):
    """The numbers of the rows in the order in which batches of 8 take them, epoch by epoch."""
    seen = []

    def loss(y_pred, y):
        seen.append(y[:, 0].astype(int).tolist())
        return 1.0, np.zeros_like(y)

    net = make(loss=loss, seed=seed)
    numbers = np.repeat(np.arange(float(ROWS))[:, None], 2, axis=1)
    if rows is None:
        fit(net, InChunks(X), numbers, epochs=epochs, batch_size=8)
    else:
        fit(net, rows, epochs=epochs, batch_size=8)
    assert {len(batch) for batch in seen[:-1]} == {8, ROWS % 8}  # the last of each epoch
    numbers = sum(seen, [])
    return [numbers[i * ROWS : (i + 1) * ROWS] for i in range(epochs)], net


@pytest.mark.parametrize("kind", ["chunks", pytest.param("parquet", marks=needs_pyarrow)])
def test_with_shuffle_every_row_once_an_epoch(kind, tmp_path):
    rows, block = None, 10
    if kind == "parquet":
        numbers = {f"y{i}": np.arange(float(ROWS)) for i in (0, 1)}
        rows, block = Parquet(parquet(tmp_path, table() | numbers), y=["y0", "y1"]), GROUP
    epochs, net = taken(rows, 1)
    for order in epochs:
        assert sorted(order) == list(range(ROWS))
        first = order[:48]  # a window
        blocks = {number // block for number in first}
        assert len(blocks) <= 48 // block + 2
        in_turn = list(dict.fromkeys(number // block for number in order))
        assert in_turn != sorted(in_turn)
        assert first != sorted(first)
    assert epochs[0] != epochs[1]
    again, twin = taken(rows, 1)
    assert again == epochs
    assert state(net) == state(twin)
    assert taken(rows, 2)[0] != epochs


# ---- bad values, and what fails -----------------------------------------------------------------


@pytest.mark.parametrize("where", ["X", "y", "w"])
@pytest.mark.parametrize("kind", ["chunks", pytest.param("parquet", marks=needs_pyarrow)])
def test_bad_values_are_named_by_block_and_row(kind, where, tmp_path):
    arrays = {"X": X.copy(), "y": Y.copy(), "w": W.copy()}
    arrays[where][(95, 1) if where != "w" else 95] = np.nan
    net = make(dropout=0.5)
    net.fit(X, Y, epochs=1)
    kept = state(net)
    with pytest.raises(ValueError, match="holds nan at row 95") as caught:
        if kind == "parquet":
            columns = {"x": arrays["X"], "y": arrays["y"], "w": arrays["w"]}
            path = parquet(tmp_path, columns)
            fit(net, Parquet(path, y="y", sample_weight="w"), batch_size=8)
        else:
            given = [InChunks(a) for a in arrays.values()]
            fit(net, given[0], given[1], sample_weight=given[2], batch_size=8)
    block = "row 5 of row group 3 of" if kind == "parquet" else "row 5 of block 9"
    assert block in str(caught.value)
    assert ("column 1" in str(caught.value)) == (where != "w")
    assert state(net) == kept


@needs_pyarrow
def test_null_is_a_bad_value(tmp_path):
    import pyarrow as pa

    columns = table(x1=pa.array([None if i == 40 else 1 for i in range(ROWS)]))
    net = make()
    kept = state(net)
    with pytest.raises(ValueError, match="X holds nan at row 40, column 1: row 10 of row group 1"):
        fit(net, Parquet(parquet(tmp_path, columns), y=["y0", "y1"]), shuffle=False)
    assert state(net) == kept


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt, MemoryError])
def test_an_error_of_the_thread_reaches_the_caller(error):
    class Failing(InChunks):
        def __getitem__(self, rows):
            if rows.start == 100:
                raise error("the disk is gone")
            return super().__getitem__(rows)

    net, twin = make(), make()
    with pytest.raises(error, match="the disk is gone") as caught:
        fit(net, Failing(X), Y, epochs=3, batch_size=8, shuffle=False)
    if issubclass(error, Exception):
        assert any("keeps the updates so far" in note for note in caught.value.__notes__)
    twin.fit(X[:64], Y[:64], epochs=1, batch_size=8, shuffle=False)
    assert state(net) == state(twin)
    assert np.isfinite(net.fit(X, Y, epochs=1).loss).all()


@needs_pyarrow
def test_a_damaged_file(tmp_path):
    path = parquet(tmp_path, table(), compression="gzip")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    net = make()
    with pytest.raises(Exception, match=r".") as caught:
        fit(net, Parquet(path, y=["y0", "y1"]), epochs=2, batch_size=8)
    assert type(caught.value).__module__ in ("builtins", "pyarrow.lib")
    assert np.isfinite(net.params).all()


@needs_pyarrow
@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda p: Parquet(p, y="z"), ValueError, "there is no column 'z'"),
        (lambda p: Parquet(p, y="y0", X=["x0", "xx"]), ValueError, "there is no column 'xx'"),
        (lambda p: Parquet(p, y="y0"), TypeError, "'name' must hold numbers or lists of a fixed"),
        (lambda p: Parquet(p, y="y0", X=[]), TypeError, "X must be the name of a column or a list"),
        (lambda p: Parquet(p, y=3), TypeError, "y must be the name of a column or a list"),
        (lambda p: Parquet(p, y="y0", X="x0", sample_weight="v"), ValueError, "no column 'v'"),
        (lambda p: Parquet([], y="y0"), ValueError, "got an empty list"),
        (lambda p: Parquet(p.parent / "none.parquet", y="y0"), FileNotFoundError, "none.parquet"),
        (lambda p: Parquet(p, target="y0"), TypeError, "target"),
        (lambda p: make().fit(Parquet(p, y="y0", X=["x0"])), ValueError,
         "X must have 4 columns, one per input; Parquet of 203 rows"),
        (lambda p: make().fit(Parquet(p, y="y0", X=["x0"]), Y), TypeError, "leave out y"),
        (lambda p: make().fit(Parquet(p, ["y0", "y1"], [f"x{i}" for i in range(4)]),
                              validation_fraction=0.1), ValueError, "needs rows in memory"),
        (lambda p: make().fit(Parquet(p, ["y0", "y1"], [f"x{i}" for i in range(4)]),
                              metrics="r2"), ValueError, "pass validation_data"),
    ],
)  # fmt: skip
def test_bad_calls_say_what_is_wrong(call, error, words, tmp_path):
    path = parquet(tmp_path, table(name=np.array(["a"] * ROWS)))
    with pytest.raises(error) as caught:
        call(path)
    assert words in str(caught.value)


@needs_pyarrow
def test_files_that_do_not_go_together(tmp_path):
    parquet(tmp_path, {"x": X, "y": Y}, name="a.parquet")
    parquet(tmp_path, {"x": X[:, :3].copy(), "y": Y}, name="b.parquet")
    with pytest.raises(ValueError, match="all files must have columns of the same sizes"):
        Parquet(tmp_path, y="y")
    empty = parquet(tmp_path, {"x": X[:0, 0], "y": X[:0, 0]}, name="empty.parquet")
    with pytest.raises(ValueError, match="there are no rows"):
        Parquet(empty, y="y")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match="no file \\*.parquet in the folder"):
        Parquet(tmp_path / "folder", y="y")


def test_without_pyarrow_the_error_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        Parquet(tmp_path / "rows.parquet", y="y")


def test_chunked_arrays_are_checked_as_rows_in_memory():
    for call, words in (
        (lambda: fit(make(), InChunks(X), Y[:-1]), "the same number of rows; got 203 and"),
        (lambda: fit(make(), InChunks(X[:, :3]), Y), "X must have shape (rows, 4)"),
        (lambda: fit(make(), InChunks(X), Y, sample_weight=W[1:]), "X and sample_weight must have"),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert words in str(caught.value)
    with pytest.raises(TypeError, match="fit needs y, the targets"):
        fit(make(), InChunks(X))
    net, twin = make(), make()
    net.fit(InChunksWithArray(X), Y, epochs=1)  # small: read as a whole
    twin.fit(X, Y, epochs=1)
    assert state(net) == state(twin)


class InChunksWithArray(InChunks):
    def __array__(self, dtype=None, copy=None):
        return self.array


def test_chunks_are_read_as_a_whole():
    """A chunk that is read in two goes is decoded twice."""
    rows = InChunks(X, chunk=10)
    fit(make(), rows, Y, epochs=1, batch_size=8, shuffle=False)
    read = [some for some in rows.reads if some.stop - some.start > 1]
    assert [some.start for some in read] == list(range(0, ROWS, 10))
    assert [some.stop for some in read] == [*range(10, ROWS, 10), ROWS]
    blocks = Chunked(InChunks(X, chunk=5), Y, None, SMALL)
    assert blocks.block_rows == 15
    assert Chunked(InChunks(X, chunk=500), Y, None, SMALL).count == 1


def test_what_is_chunked():
    class Lazy(InChunks):
        """As Dask's arrays, which compute by themselves."""

        def __array_ufunc__(self, *arguments, **options):
            return NotImplemented

    assert sources.is_chunked(InChunks(X))
    assert not any(map(sources.is_chunked, (X, X.tolist(), "text", None, Lazy(X))))


# ---- the thread ---------------------------------------------------------------------------------


def test_the_next_rows_are_read_while_the_net_is_trained():
    """The loss of a window waits for the reading of the next."""
    read = threading.Event()

    class Telling(InChunks):
        def __getitem__(self, rows):
            if rows.start == 130:
                read.set()
            return super().__getitem__(rows)

    waited = []

    def loss(y_pred, y):
        if y[0, 0] == 64.0:  # the second window of 64 rows begins; row 130 is in the third
            waited.append(read.wait(10))
        return 1.0, np.zeros_like(y)

    numbers = np.repeat(np.arange(float(ROWS))[:, None], 2, axis=1)
    reading = Telling(X)
    net = make(loss=loss)
    fit(net, reading, numbers, epochs=1, batch_size=8, shuffle=False)
    assert waited == [True]


class Ends(Exception):
    pass


@pytest.mark.parametrize("how", ["Ctrl-C", "an error", "divergence", "the clock", "a callback"])
@pytest.mark.parametrize("kind", ["chunks", "a map"])
def test_the_thread_ends_with_the_fit(how, kind, tmp_path):
    calls = []

    def loss(y_pred, y):
        calls.append(len(readers()))
        if len(calls) == 5 and how == "Ctrl-C":
            raise KeyboardInterrupt
        if len(calls) == 5 and how == "an error":
            raise Ends
        return np.nan if len(calls) == 5 and how == "divergence" else 1.0, np.zeros_like(y)

    class Stop(Callback):
        def on_epoch_end(self, fit):
            raise Ends

    rows = InChunks(X)
    if kind == "a map":
        np.save(tmp_path / "X.npy", X)
        rows = np.load(tmp_path / "X.npy", mmap_mode="r")
    clock = limited.Clock()
    options = {"max_seconds": 1e-9} if how == "the clock" else {}
    if how == "a callback":
        options["callbacks"] = Stop()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(make(loss=loss), rows, Y, epochs=3, batch_size=8, clock=clock, **options)
    except (KeyboardInterrupt, Ends) as error:
        assert not readers()  # while the traceback still holds the frames
        assert error.__traceback__ is not None
    assert not readers()
    assert calls[0] <= 1


def test_no_more_than_a_block_is_read_after_the_end():
    started, go = threading.Event(), threading.Event()

    class Slow(InChunks):
        def __getitem__(self, rows):
            if rows.start >= 100:
                started.set()
                go.wait(10)
            return super().__getitem__(rows)

    def loss(y_pred, y):
        started.wait(10)
        threading.Timer(0.05, go.set).start()
        raise KeyboardInterrupt

    rows = Slow(X)
    with pytest.raises(KeyboardInterrupt):
        fit(make(loss=loss), rows, Y, batch_size=8, shuffle=False)
    assert max(some.start for some in rows.reads) == 100


# ---- data larger than memory --------------------------------------------------------------------

CHILD = """
import sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from pyarrow import parquet
from fastbp import MLP, Parquet

path, size = sys.argv[1], int(sys.argv[2])
n_in, group = 64, 16384
rows = size // (4 * (n_in + 1))
generator = np.random.default_rng(0)
X = generator.normal(size=(group, n_in)).astype("f4")
table = pa.table({"x": pa.FixedSizeListArray.from_arrays(pa.array(X.reshape(-1)), n_in),
                  "y": X[:, 0]})
with parquet.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as file:
    for first in range(0, rows, group):
        file.write_table(table.slice(0, min(group, rows - first)))
del table
net = MLP((n_in, 16, 1), seed=0)
first = net.loss(X, X[:, 0])
source = Parquet(path, y="y")
history = net.fit(source, epochs=1, batch_size=256)
last = net.loss(X, X[:, 0])
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
print(len(source), rows, last < 0.1 * first, peak)
"""


@pytest.mark.slow
@pytest.mark.promise("larger than memory")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.skipif(not COMPILED, reason="uncompiled it takes hours")
@needs_pyarrow
def test_more_data_than_memory(tally, tmp_path):
    """A Parquet file of 4 GB in 500 MB; of 200 MB outside `make soak`."""
    size, path = (4 * 10**9 if SOAK else 2 * 10**8), tmp_path / "rows.parquet"
    net = MLP((64, 16, 1), seed=0)  # compiles into the cache: the compiler takes 200 MB
    net.loss(np.ones((9, 64)), np.ones(9))
    net.fit(np.ones((9, 64)), np.ones(9), epochs=1)
    paths = [str(Path(fastbp.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    try:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", CHILD, str(path), str(size)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert path.stat().st_size > 0.98 * size
    finally:
        path.unlink(missing_ok=True)
    read, rows, learned, peak = done.stdout.split()
    assert (read, learned) == (rows, "True")
    assert 20e6 < int(peak) < 500e6
    tally["GB"] += size // 10**9


def test_a_window_is_put_together_from_pieces():
    blocks = Chunked(InChunks(X), Y, W, SMALL)
    windows = list(Streamed(blocks, make(), 8, True, SMALL))
    assert [len(window.X) for window in windows] == [48] * 4 + [11]
    assert sorted(np.concatenate([w.X for w in windows])[:, 0]) == sorted(X[:, 0])
    assert sum(w.sample_weight.sum() for w in windows) == pytest.approx(ROWS)
    pairs = zip(windows, windows[1:], strict=False)
    assert not any(np.may_share_memory(a.X, b.X) for a, b in pairs)
