"""Local steps and averaged parameters on a LocalCluster of two workers."""

from __future__ import annotations

import os
import signal
import sys
import warnings

import helpers
import numpy as np
import pytest
from helpers import long_uncompiled, state

import fastbp
from fastbp import SGD, Adam, CosineDecay, DivergenceWarning
from fastbp.distributed import WorkerError
from fastbp.distributed import dask as on_dask
from fastbp.fit.sources import next_generator

distributed = pytest.importorskip(
    "distributed", reason="needs Dask: pip install 'dask[distributed]'"
)
arrays = pytest.importorskip("dask.array")

pytestmark = [
    pytest.mark.slow,
    long_uncompiled,
    # Dask's own, when a cluster ends.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
RNG = np.random.default_rng(21)
X = RNG.normal(size=(203, 5))
Y = np.tanh(X[:, :3])
W = RNG.uniform(0.1, 2.0, 203)


def make(**options):
    return helpers.make((5, 8, 3), **({"optimizer": Adam(0.01)} | options))


@pytest.fixture(scope="module")
def cluster():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
        ) as cluster:
            yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client:
        yield client


def by_hand(net, shards, rounds, **options):
    """The same rounds in this process."""
    for _ in range(rounds):
        seeds = next_generator(net.state.random).integers(2**64, size=len(shards), dtype=np.uint64)
        states = []
        for seed, (x, y, w) in zip(seeds, shards, strict=True):
            copy = make()
            copy.set_state(net.get_state() | {"random": np.array([seed])})
            copy.fit(x, y, sample_weight=w, **options)
            states.append((copy.get_state(), len(x) if w is None else w.sum()))
        total = sum(weight for _, weight in states)
        mean = states[0][0] | {"random": net.get_state()["random"]}
        for name in ("params", "slots"):
            mean[name] = sum(s[name] * weight for s, weight in states) / total
        net.set_state(mean)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["arrays", "dask arrays"])
def test_a_round_is_the_mean_of_fits(kind, weighted, client):
    weights = W if weighted else None
    if kind == "arrays":
        given = (X, Y, weights)
        cuts = [slice(i, None, 2) for i in (0, 1)]
    else:
        given = [None if a is None else arrays.from_array(a, chunks=(80, *a.shape[1:]))
                 for a in (X, Y, weights)]  # fmt: skip
        cuts = [slice(i, i + 80) for i in (0, 80, 160)]
    shards = [(X[c], Y[c], None if weights is None else W[c]) for c in cuts]
    net, twin = make(), make()
    history = on_dask.fit(
        net, given[0], given[1], sample_weight=given[2], rounds=3, local_epochs=2, batch_size=16
    )
    by_hand(twin, shards, 3, epochs=2, batch_size=16)
    np.testing.assert_allclose(net.params, twin.params, rtol=1e-12, atol=1e-15)
    assert np.array_equal(net.state.random, twin.state.random)
    assert len(history) == 3
    assert history.loss[-1] < history.loss[0]


def test_a_restart_goes_on_with_the_same_bits(client, tmp_path):
    path = tmp_path / "net.safetensors"
    options = {"optimizer": Adam(CosineDecay(0.02, 60)), "dropout": 0.2}
    whole = make(**options)
    expected = on_dask.fit(whole, X, Y, rounds=4)
    on_dask.fit(make(**options), X, Y, rounds=2, checkpoint=path)
    net = fastbp.load(path)
    history = on_dask.fit(net, X, Y, rounds=4, checkpoint=path, resume=True)
    assert state(net) == state(whole)
    assert history.loss == expected.loss
    assert state(fastbp.load(path)) == state(net)


def test_what_a_shard_raises_names_the_shard(client):
    bad = X.copy()
    bad[7, 2] = np.nan  # row 3 of the second shard
    net = make()
    kept = state(net)
    with pytest.raises(ValueError, match="X holds nan at row 3, column 2") as caught:
        on_dask.fit(net, bad, Y)
    assert "in shard 1 of 2" in caught.value.__notes__
    assert state(net) == kept
    for call, error, words in (
        (lambda: on_dask.fit(net, X, Y[:-1]), ValueError, "the same number of rows"),
        (lambda: on_dask.fit(net, arrays.from_array(X), Y), TypeError, "all together"),
        (lambda: on_dask.fit(net, arrays.from_array(X, chunks=50), arrays.from_array(Y)),
         ValueError, "the same chunks of rows"),
        (lambda: on_dask.fit(net, X, Y, client=3), TypeError, "dask.distributed.Client"),
        (lambda: on_dask.fit(net, X, Y, rounds=-1), ValueError, "rounds must be at least 0"),
        (lambda: on_dask.fit(net, X, Y, epochs=3), TypeError, "epochs"),
    ):  # fmt: skip
        with pytest.raises(error, match=words):
            call()
    assert state(net) == kept


def test_divergence_leaves_the_round_before(client):
    net = make(optimizer=SGD(1e300))
    kept = net.params.copy()
    with pytest.warns(DivergenceWarning, match="diverged in epoch 1"):
        history = on_dask.fit(net, X, Y, rounds=3)
    assert np.array_equal(net.params, kept)
    assert len(history) == 0
    assert history.stop_reason == "diverged in epoch 1"


class Kills:
    """A loss that kills one worker, in a round after the first, and makes the other wait."""

    def __init__(self, pid, folder):
        self.pid, self.folder = pid, folder

    def __call__(self, y_pred, y):
        mark = self.folder / "calls"
        with open(mark, "a") as file:
            file.write(".")
        if os.getpid() == self.pid and mark.stat().st_size > 40:
            os.kill(self.pid, signal.SIGKILL)
        delta = (y_pred - y) / len(y)
        return float(0.5 * (delta * (y_pred - y)).sum()), delta


@pytest.mark.filterwarnings("ignore")
def test_a_dead_worker_is_an_error_with_its_name(tmp_path):
    """Without a nanny, which would start another."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        address, pid = next(iter(pids.items()))
        for nanny in cluster.workers.values():
            nanny.auto_restart = False
        net = make(loss=Kills(pid, tmp_path))
        path = tmp_path / "net.safetensors"
        with pytest.raises(WorkerError, match=address) as caught:
            on_dask.fit(net, X, Y, rounds=50, checkpoint=path)
        assert caught.value.workers == (address,)
        done = len(net.history)
        assert 0 < done < 50
        saved = fastbp.load(path, loss=Kills(0, tmp_path))
        assert state(saved) == state(net)
        history = on_dask.fit(saved, X, Y, rounds=done + 1, resume=True)  # on the other worker
        assert len(history) == done + 1


def test_without_dask_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'dask\[distributed\]'"):
        on_dask.fit(make(), X, Y)
