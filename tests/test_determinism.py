"""The same seed gives the same bits: in any number of threads and jobs, however `fit` is called."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import limited
import numpy as np
import oracle
import pytest
import recipes
from helpers import COMPILED, SOAK, counts
from recipes import digest, fit, fitted, recipe

import fastbp

pytestmark = pytest.mark.promise("determinism")
SEEDS = range(counts(6, 20, 4))


@pytest.fixture(scope="module")
def alone():
    """The digests of all seeds, one fit after the other."""
    return [fitted(seed) for seed in SEEDS]


# ---- however it is called ------------------------------------------------------------------------


def in_pieces(r, rng, monkeypatch):
    """Several calls of `fit`, some of no epochs."""
    cuts = [0, *sorted(rng.integers(0, r.epochs + 1, size=3)), r.epochs]
    return sum((fit(r, epochs=int(n)) for n in np.diff(cuts)), [])


def epoch_by_epoch(r, rng, monkeypatch):
    return sum((fit(r, epochs=1) for _ in range(r.epochs)), [])


def printing(r, rng, monkeypatch):
    return fit(r, verbose=1)


def in_many_compiled_calls(r, rng, monkeypatch):
    """A pass a call, as if each pass took long."""
    options = {"epochs": r.epochs, "batch_size": r.batch_size, "shuffle": r.shuffle}
    return limited.fit(r.net, r.X, r.y, limits=limited.A_PASS_A_CALL, **options).loss


def from_a_copy(r, rng, monkeypatch):
    """Copied half-way, and trained on as if nothing had been."""
    first = fit(r, epochs=2)
    kept = r.net.params.copy()
    twin = pickle.loads(pickle.dumps(r.net)) if rng.integers(2) else copy.deepcopy(r.net)
    fit(r._replace(net=twin), epochs=3)
    assert r.net.params.tobytes() == kept.tobytes()
    return first + fit(r, epochs=r.epochs - 2)


def looked_at(r, rng, monkeypatch):
    """Predictions, losses and gradients between the epochs change nothing."""
    losses = []
    for _ in range(r.epochs):
        losses += fit(r, epochs=1)
        some = slice(int(rng.integers(len(r.X))), None)
        r.net.predict(r.X[some])
        r.net.loss(r.X[some], r.y[some])
        r.net.loss_and_grad(r.X[some], r.y[some])
    return losses


def between_others(r, rng, monkeypatch):
    """Another net trains between the epochs."""
    losses, other = [], recipe(int(rng.integers(1000)))
    for _ in range(r.epochs):
        losses += fit(r, epochs=1)
        fit(other, epochs=1)
    return losses


def from_other_arrays(r, rng, monkeypatch):
    """The same numbers elsewhere in memory, in another order of bytes, or in lists."""
    raw = np.zeros(r.X.nbytes + 64 * r.X.itemsize, np.uint8)
    at = int(rng.integers(64)) * r.X.itemsize
    moved = raw[at : at + r.X.nbytes].view(r.X.dtype).reshape(r.X.shape)
    moved[...] = r.X
    kinds = moved, np.asfortranarray(r.X), r.X.tolist(), r.X.astype(r.X.dtype.newbyteorder())
    return fit(r._replace(X=kinds[rng.integers(len(kinds))]))


WAYS = (
    in_pieces,
    epoch_by_epoch,
    printing,
    in_many_compiled_calls,
    from_a_copy,
    looked_at,
    between_others,
    from_other_arrays,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_however_fit_is_called(seed, alone, monkeypatch, tally):
    for number, way in enumerate(WAYS):
        r = recipe(seed)
        with monkeypatch.context() as patches:
            losses = way(r, np.random.default_rng([seed, number]), patches)
        assert digest(r.net, losses) == alone[seed], way.__name__
        tally["fits"] += 1
    assert fitted(seed) == alone[seed]
    tally["fits"] += 1
    tally["seeds"] += 1


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_in_the_same_order(seed, alone, tally):
    """A loop of `step` over equal batches in the order that `fit` draws has its bits."""
    fitting, stepping = recipe(seed), recipe(seed)
    rows = len(fitting.X)
    size = next(n for n in range(min(fitting.batch_size, rows), 0, -1) if rows % n == 0)
    stream = oracle.RandomStream(stepping.net.state.random[0])
    fit(fitting, epochs=3, batch_size=size)
    for _ in range(3):
        shuffled = fitting.shuffle and size < rows
        order = stream.permutation(rows) if shuffled else np.arange(rows)
        for first in range(0, rows, size):
            some = order[first : first + size]
            stepping.net.step(stepping.X[some], stepping.y[some])
    stepping.net.state.random[0] = stream.state
    assert digest(stepping.net, []) == digest(fitting.net, [])
    tally["fits"] += 1


def test_seeds_differ(alone):
    assert len(set(alone)) == len(SEEDS)
    r = recipe(0)
    losses = fit(r)
    assert digest(r.net, losses) == alone[0]
    r.net.params[:1] = np.nextafter(r.net.params[:1], np.inf)
    assert digest(r.net, losses) != alone[0]  # a single bit is seen


# ---- threads, jobs and processes -----------------------------------------------------------------


@pytest.mark.parametrize("n_threads", [1, 2, 4, 8])
def test_threads(n_threads, alone, tally):
    """All seeds, shared out to the threads."""

    def several(first):
        return [fitted(seed) for seed in SEEDS[first::n_threads]]

    of_threads = recipes.in_threads([lambda i=i: several(i) for i in range(n_threads)])
    for first, found in enumerate(of_threads):
        assert found == alone[first::n_threads]
        tally["fits"] += len(found)


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [2, 4])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_joblib(backend, n_jobs, alone, tally):
    jobs = joblib.Parallel(n_jobs=n_jobs, backend=backend)
    found = jobs(joblib.delayed(fitted)(seed) for seed in SEEDS)
    assert found == alone
    tally["fits"] += len(found)


PROCESS = "import sys, recipes; print(*[recipes.fitted(int(s)) for s in sys.argv[1:]])"
SETTINGS = [{"PYTHONHASHSEED": "1", "OMP_NUM_THREADS": "1"}, {"PYTHONHASHSEED": "2"}]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("cache", ["warm"] + ["empty"] * (SOAK and COMPILED))
def test_another_process(cache, settings, alone, tmp_path, tally):
    """Code from the cache and code compiled anew (in long runs only) give the same bits."""
    root, here = Path(fastbp.__file__).parents[1], Path(__file__).parent
    environment = os.environ | settings | {"PYTHONPATH": os.pathsep.join(map(str, (root, here)))}
    if cache == "empty":
        environment["FASTBP_CACHE_DIR"] = str(tmp_path)
    command = [sys.executable, "-W", "error", "-c", PROCESS, *map(str, SEEDS)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == alone
    tally["fits"] += len(SEEDS)


# ---- each option of `fit` ------------------------------------------------------------------------

LEFT_OUT = {
    "X", "y", "epochs",  # what the others are beside
    "method", "patience", "min_delta",  # these look back over a fit, as the README says
    "resume",  # it counts epochs otherwise; tests/saving/test_resume.py has the bits
}  # fmt: skip
"""Parameters of `fit` that are not tested here: epochs in one call and in several have the same
bits beside all others."""


class Counts(fastbp.Callback):
    """Counts epochs."""

    epochs = 0

    def on_epoch_end(self, fit):
        self.epochs += 1


def noisy(X, rng):
    """Augmentation."""
    return X + rng.normal(size=X.shape)


X, Y = np.random.default_rng(5).normal(size=(90, 6)), np.arange(90) % 3
OPTIONS = {
    "batch_size": 7,
    "shuffle": False,
    "augment": noisy,
    "sample_weight": np.random.default_rng(6).gamma(1.0, size=90),
    "validation_data": (X[:20], Y[:20]),
    "validation_fraction": 0.2,
    "metrics": "accuracy",
    "callbacks": Counts(),
    "max_seconds": 1e6,
    "verbose": 2,
    "threads": 2,  # which batches of 32 rows are too small for; tests/fit/test_threads.py has more
}
TOGETHER = {name: OPTIONS[name] for name in OPTIONS if name not in ("shuffle", "validation_data")}


def test_every_option_of_fit_is_tested_or_left_out():
    assert set(inspect.signature(fastbp.MLP.fit).parameters) == {"self", *OPTIONS, *LEFT_OUT}


@pytest.mark.parametrize("name", [*OPTIONS, "together"])
def test_one_fit_or_several_with_every_option(name, tally):
    options = TOGETHER if name == "together" else {name: OPTIONS[name]}

    def losses(*epochs):
        net = fastbp.MLP((6, 9, 3), loss="cross_entropy", seed=3, dropout=0.1)
        found = [net.fit(X, Y, epochs=number, **options) for number in epochs]
        tally["fits"] += len(epochs)
        return digest(net, [loss for history in found for loss in history.loss])

    assert losses(4) == losses(1, 0, 2, 1)
