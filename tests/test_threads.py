"""Nets train side by side in threads, in forked children and in joblib's workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import recipes
from helpers import COMPILED, counts
from recipes import digest, fit, fitted_net, recipe

import fastbp

pytestmark = [pytest.mark.promise("threads"), pytest.mark.slow]
EPOCHS = 300 if COMPILED else 2  # some milliseconds: long enough to meet
HANG = 120.0
"""Seconds; a guard against a child that waits for a lock for ever."""


def trained(seed):
    """The digest of a net after a fit that lasts."""
    r = recipe(seed)
    return digest(r.net, fit(r, epochs=EPOCHS))


def process(code, *arguments):
    """What a fresh process prints as JSON."""
    root, here = Path(fastbp.__file__).parents[1], Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (root, here)))},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("turn", range(counts(1, 10)))
def test_eight_threads(turn, tally):
    seeds = range(8 * turn, 8 * turn + 8)
    expected = [trained(seed) for seed in seeds]
    assert recipes.in_threads([lambda s=s: trained(s) for s in seeds]) == expected
    tally["fits"] += 8


def test_threads_share_their_data(tally):
    """One array, eight nets: it is neither copied nor written."""
    nets = [recipe(3).net for _ in range(8)]
    r = recipe(3)
    r.X.flags.writeable = False
    kept = r.X.tobytes()
    losses = recipes.in_threads([lambda n=n: fit(r._replace(net=n), epochs=EPOCHS) for n in nets])
    assert {digest(net, loss) for net, loss in zip(nets, losses, strict=True)} == {trained(3)}
    assert r.X.tobytes() == kept
    tally["fits"] += 8


FIRST_FITS = """
import json, sys
import recipes
seeds = range(int(sys.argv[1]), int(sys.argv[1]) + 8)
print(json.dumps(recipes.in_threads([lambda s=s: recipes.fitted(s) for s in seeds])))
"""


@pytest.mark.parametrize("turn", range(counts(1, 4)))
def test_the_first_fits_of_a_process_in_eight_threads(turn, tally):
    """The compiled code is loaded by eight threads at once."""
    seeds = range(8 * turn, 8 * turn + 8)
    assert process(FIRST_FITS, seeds[0]) == [recipes.fitted(seed) for seed in seeds]
    tally["fits"] += 8


FORKED = """
import json, os, sys, threading, warnings
import recipes
first, count, meanwhile = map(int, sys.argv[1:])
warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of a fork beside threads
recipes.fitted(first)
recipes.fitted(first + 3)  # the other dtype
stop = threading.Event()

def go_on():
    while not stop.is_set():
        recipes.fitted(first)

beside = [threading.Thread(target=go_on) for _ in range(meanwhile)]
for thread in beside:
    thread.start()
children = []
for seed in range(first, first + count):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, recipes.fitted(seed).encode())
        os._exit(0)
    os.close(writer)
    children.append((child, reader))
mine = [recipes.fitted(seed) for seed in range(first, first + count)]
theirs = []
for child, reader in children:
    theirs.append(os.read(reader, 100).decode())
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in beside:
    thread.join()
print(json.dumps([mine, theirs]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("meanwhile", [0, 2], ids=["after a fit", "during fits"])
@pytest.mark.parametrize("turn", range(counts(1, 3)))
def test_forked_children(turn, meanwhile, tally):
    """After a fit, and while other threads are in one; parent and children train on."""
    mine, theirs = process(FORKED, 8 * turn, 8, meanwhile)
    expected = [recipes.fitted(seed) for seed in range(8 * turn, 8 * turn + 8)]
    assert mine == expected
    assert theirs == expected
    tally["fits"] += 16


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_nets_in_joblib_workers(backend, tally):
    """Nets go to the workers and come back trained; those that stay are as they were."""
    seeds = range(counts(6, 24, 3))
    given = [recipe(seed) for seed in seeds]
    before = [r.net.params.copy() for r in given]
    nets = joblib.Parallel(n_jobs=4, backend=backend)(joblib.delayed(fitted_net)(r) for r in given)
    for seed, r, net, kept in zip(seeds, given, nets, before, strict=True):
        assert digest(net, net.history.loss) == recipes.fitted(seed)
        assert (net is r.net) == (backend == "threading")
        assert backend == "threading" or np.array_equal(r.net.params, kept)
        # What came back is a whole net: its views are live, and it trains on.
        assert np.shares_memory(net.weights[0], net.params)
        assert len(fit(r._replace(net=net), epochs=1)) == 1
        tally["fits"] += 1
