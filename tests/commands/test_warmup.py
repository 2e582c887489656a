"""Warming up: every entry point is called, and afterwards no net compiles anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from helpers import needs_compiler

import fastbp
from fastbp import (
    MLP,
    SGD,
    Adam,
    Group,
    ImageRotation,
    ImageShift,
    ImageZoom,
    InverseScaling,
    gradcheck,
)
from fastbp.augment import kernels as augment_kernels
from fastbp.commands import info, warmup
from fastbp.commands.warmup import FirstCall, first_call, warm_up
from fastbp.graph import kernels as graph_kernels
from fastbp.graph import sigmoid, variable
from fastbp.kernels import entry, jacobian
from fastbp.machine import peak
from fastbp.machine.cache import CacheInfo
from fastbp.methods import METHODS
from fastbp.methods import kernels as methods_kernels

ROOT = Path(fastbp.__file__).parents[1]

pytestmark = pytest.mark.slow

NAMES = [
    "fma_loop", "train_and_predict", "dot", "rprop", "jacobian", "shift_images", "warp_images",
    "train_and_predict_sparse",
]  # fmt: skip
GRAPHS = ["value", "gradient", "jvp", "local_derivatives"]
ENTRY_POINTS = [
    peak.fma_loop,
    entry.train_and_predict,
    entry.train_and_predict_sparse,
    jacobian.jacobian,
    *(getattr(methods_kernels, name) for name in ("dot", "combine", "rprop")),
    *(getattr(augment_kernels, name) for name in NAMES[5:7]),
    *(getattr(graph_kernels, name) for name in GRAPHS),
]


def versions() -> list[int]:
    """How many versions of each entry point this process holds."""
    return [len(getattr(function, "overloads", ())) for function in ENTRY_POINTS]


def use_everything(dtype: str) -> None:
    """Nets and data of many kinds."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 5)).astype(dtype)
    labels = rng.integers(3, size=600)
    Y = rng.uniform(size=(600, 3)).astype(dtype)
    X_read_only = X.copy()
    X_read_only.flags.writeable = False
    for loss, y in (
        ("squared_error", Y),
        ("binary_cross_entropy", Y[::-1]),
        ("cross_entropy", labels),
        ("cross_entropy", Y / Y.sum(axis=1, keepdims=True)),
    ):
        for optimizer in ("adam", SGD(), SGD(0.01, momentum=0.9, nesterov=True)):
            net = MLP((5, 7, 3), loss=loss, optimizer=optimizer, dtype=dtype, seed=0)
            net.fit(X, y, epochs=1)
            net.fit(X_read_only, y, epochs=1, batch_size=600, shuffle=False)
            net.freeze(layers=[0])
            net.step(np.asfortranarray(X)[:50], y[:50])
    net = MLP((5, 3), dtype=dtype, bias=False, seed=0)
    net.fit(X.tolist(), Y.tolist(), epochs=1)
    net.loss_and_grad(X[::2], Y[::2])
    gradcheck(net, X[:3], Y[:3])
    net.loss(np.tile(X, (30, 1)), np.tile(Y, (30, 1)))
    for rows in (scipy.sparse.csr_matrix(X), scipy.sparse.csc_array(X > 0)):
        net.fit(rows, Y, epochs=1, validation_fraction=0.1, sample_weight=np.ones(600))
        net.step(rows, Y)
        net.predict(rows)
    options = {"dropout": 0.1, "l1": 0.1, "clip_norm": 1.0, "dtype": dtype, "seed": 0}
    optimizer = Adam(InverseScaling(0.1), groups=Group(weight_decay=0.1))
    for loss in ("poisson", lambda y_pred, y, weights=None: (0.0, 0 * y_pred)):
        net = MLP((5, 4, 3), loss=loss, optimizer=optimizer, activation="gelu", **options)
        net.fit(X, Y, epochs=2, sample_weight=np.ones(600), validation_fraction=0.1)
        net.loss_and_grad(X, Y)
    plain = MLP((5, 4, 3), dtype=dtype, seed=0)
    for method in METHODS:
        plain.fit(X_read_only, Y, epochs=3, method=method, sample_weight=np.ones(600))
    image = (1, 5)
    plain.fit(X, Y, augment=[ImageShift(image, 2), ImageRotation(image), ImageZoom(image)])
    z = variable("z")
    for loss in ("poisson", (variable("y_pred") - variable("y")) ** 2):
        net = MLP((5, 4, 3), loss=loss, activation=z * sigmoid(z), **options)
        net.fit(X, Y, epochs=2, sample_weight=np.ones(600), validation_fraction=0.1)
        net.loss_and_grad(X, Y)
        net.predict(X)
    (z * z).jvp({"z": X[:, 0]}, {"z": 1})
    net.predict(X[0:1])
    net.predict(X_read_only.astype(int))


@needs_compiler
def test_nothing_is_left_to_compile() -> None:
    calls = list(warm_up())
    assert [(call.name, call.dtype) for call in calls] == [
        *((name, "float64") for name in GRAPHS),
        *((name, dtype) for dtype in ("float32", "float64") for name in NAMES),
    ]
    assert {call.how for call in calls} <= {"compiled", "loaded", "ready", "shipped"}
    assert all(call.seconds > 0 for call in calls)
    before = versions()
    use_everything("float32")
    use_everything("float64")
    assert versions() == before
    again = list(warm_up(("float64",)))
    assert [(call.name, call.dtype) for call in again] == [
        (name, "float64") for name in GRAPHS + NAMES
    ]
    assert {call.how for call in again} <= {"ready", "shipped"}


@pytest.mark.parametrize(
    ("misses", "hits", "how"),
    [(1, 0, "compiled"), (0, 1, "loaded"), (0, 0, "ready"), (1, 1, "compiled")],
)
def test_first_call_tells_what_happened(misses: int, hits: int, how: str) -> None:
    stats = SimpleNamespace(cache_misses=Counter(a=2), cache_hits=Counter(a=5))
    function = SimpleNamespace(stats=stats, __name__="work")

    def call() -> None:
        stats.cache_misses["b"] += misses
        stats.cache_hits["b"] += hits

    found = first_call(function, "float32", call)
    assert found == FirstCall("work", "float32", how, found.seconds)
    assert found.seconds > 0


# ---- the command --------------------------------------------------------------------------------


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process that compiles, also when this one does not."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    return subprocess.run(
        [sys.executable, "-m", "fastbp", "warmup", *args],
        env=kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
    )


def test_warmup_fills_the_cache() -> None:
    first = run()
    assert (first.returncode, first.stderr) == (0, "")
    line = re.compile(r"(\w+) +(float32|float64) +(compiled|loaded|shipped) +[\d.]+ s")
    calls = [match.groups() for match in map(line.fullmatch, first.stdout.splitlines()) if match]
    assert [call[:2] for call in calls] == [
        *((name, "float64") for name in GRAPHS),
        *((name, dtype) for dtype in ("float32", "float64") for name in NAMES),
    ]
    entries = int(re.search(r"warm: (\d+) compiled functions, [\d.]+ MB", first.stdout)[1])
    assert entries >= len(calls)

    second = run("--dtype", "float64")
    calls = [match.groups() for match in map(line.fullmatch, second.stdout.splitlines()) if match]
    assert calls == [(name, "float64", "loaded") for name in GRAPHS + NAMES]
    assert re.search(r"in all +[\d.]+ s\ncache: (.*)\n", second.stdout)[1] in first.stdout


@pytest.fixture
def nothing_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def warm_up(dtypes: tuple[str, ...]) -> Iterator[FirstCall]:
        return (FirstCall("train", dtype, "compiled", 1.5) for dtype in dtypes)

    monkeypatch.setattr(warmup, "warm_up", warm_up)


@pytest.mark.usefixtures("nothing_compiles")
def test_what_warmup_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warm = CacheInfo(Path("/some/folder"), "warm", 3, 1_234_567)
    monkeypatch.setattr(warmup, "cache_info", lambda: warm)
    monkeypatch.setattr(info, "cache_info", lambda: warm)
    assert warmup.run(("float32", "float64")) == 0
    head, single, double, total, directory, state = capsys.readouterr().out.splitlines()
    assert head == "compiling kernels for float32 and float64, unless they are in the cache"
    assert single == "train                     float32  compiled     1.50 s"
    assert double == "train                     float64  compiled     1.50 s"
    assert total.split()[:2] == ["in", "all"]
    assert directory == f"cache: {Path('/some/folder')}"
    assert state.strip() == "warm: 3 compiled functions, 1.2 MB"


@pytest.mark.usefixtures("nothing_compiles")
def test_warmup_that_stores_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    off = CacheInfo(None, "off: no folder for it", 0, 0)
    monkeypatch.setattr(warmup, "cache_info", lambda: off)
    monkeypatch.setattr(info, "cache_info", lambda: off)
    assert warmup.run(("float32",)) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("compiling kernels for float32: about half a minute for each\n")
    assert "off: no folder for it" in captured.out
    assert "nothing was stored" in captured.err
