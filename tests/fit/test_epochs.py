"""The driver of compiled loops: how much a call may do, and epochs that go on over calls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import make, state
from limited import A_PASS_A_CALL

from fastbp import SGD
from fastbp.fit import epochs
from fastbp.fit.data import job_of, rows_and_targets
from fastbp.fit.epochs import Epochs, Pace, next_passes
from fastbp.fit.limits import Limits
from fastbp.kernels.training import DIVERGED, FINISHED, RUNNING

X = np.random.default_rng(0).normal(size=(10, 3))


def job(net, rows=10, batch_size=3):
    data, count = rows_and_targets(X[:rows], X[:rows, 0], None, net)
    return job_of(data, count, batch_size, False)


def test_the_bound_of_a_call_follows_its_time():
    assert next_passes(100, 0.05, 0.1, 1 << 40) == 200
    assert next_passes(100, 1e-9, 0.1, 1 << 40) == 400
    assert next_passes(100, 0.2, 0.1, 1 << 40) == 50
    assert next_passes(1, 5.0, 0.1, 1 << 40) == 1
    assert next_passes(100, 0.05, 0.1, 150) == 150


class Watch:
    """Has so many seconds left, and goes on for so many calls."""

    def __init__(self, seconds=math.inf, calls=10**9):
        self.seconds = seconds
        self.calls = calls
        self.seen = []

    def seconds_left(self):
        return self.seconds

    def look(self, running):
        self.seen.append(running)
        self.calls -= 1
        return self.calls > 0


@pytest.mark.parametrize(
    ("status", "took", "left", "expected"),
    [
        (RUNNING, 0.0625, None, 160),
        (RUNNING, 0.25, None, 40),
        (RUNNING, 0.0625, 0.01, 16),
        (FINISHED, 0.0625, None, 100),  # it ended early and says nothing
        (FINISHED, 0.25, None, 40),
    ],
)
def test_pace(status, took, left, expected):
    """A loop gets the bound as its last argument."""
    times = iter([3.0, 3.0 + took])
    pace = Pace(100, Limits(), lambda: next(times))
    got = []

    def loop(*arguments):
        got.extend(arguments)
        return status

    assert pace.call(loop, "", ("a", "b"), None if left is None else Watch(left)) == status
    assert got == ["a", "b", 100]
    assert pace.passes == expected
    assert pace.start == 3.0


def test_a_loop_is_made_ready_before_the_lock_is_taken(monkeypatch):
    """Whoever shares the generator does not wait for a compiler."""
    order = []

    class Lock:
        def __enter__(self):
            order.append("locked")

        def __exit__(self, *error):
            order.append("free")

    def loop(*arguments):
        order.append("runs")
        return FINISHED

    monkeypatch.setattr(epochs, "ready", lambda *arguments: order.append("ready"))
    Pace(1).call(loop, "", (), lock=Lock())
    assert order == ["ready", "locked", "runs", "free"]


def test_the_first_bound_is_limited():
    assert Pace(10**9, Limits(first_passes=7)).passes == 7
    assert Pace(0).passes == 1


def test_runs_follow_each_other():
    """Many calls make the same epochs, and a job may be taken again."""
    net, twin = make((3, 4, 1)), make((3, 4, 1))
    epochs, one = Epochs(net, limits=A_PASS_A_CALL), Epochs(twin)
    watch, jobs = Watch(), (job(net), job(net, 5))
    for some in (jobs[0], jobs[0], jobs[1]):
        for each in (epochs, one):
            each.take(some)
        assert epochs.run(2, watch) == one.run(2) == FINISHED
        assert epochs.finished == one.finished
        assert len(epochs.finished) == 2
    assert len(watch.seen) == 8 + 8 + 4
    assert watch.seen.count(False) == 3
    assert state(net) == state(twin)


def test_a_watch_ends_a_run():
    net = make((3, 4, 1))
    epochs = Epochs(net, limits=A_PASS_A_CALL)
    epochs.take(job(net))
    assert epochs.run(9, Watch(calls=6)) == RUNNING
    assert epochs.done == (1, 6)
    assert len(epochs.finished) == 1


def test_divergence_restores_the_snapshot():
    net = make((3, 1), optimizer=SGD(1e200))
    before = net.params.copy()
    epochs = Epochs(net)
    epochs.take(job(net, batch_size=10))
    assert epochs.run(5) == DIVERGED
    assert not np.isfinite(epochs.unfinished) or len(epochs.finished) < 5
    assert np.isfinite(net.params).all()
    if not epochs.finished:
        assert np.array_equal(net.params, before)


def test_what_callbacks_change_counts_after_a_refresh():
    net = make((3, 1), optimizer=SGD(0.1))
    epochs = Epochs(net)
    epochs.take(job(net))
    net.freeze()
    epochs.refresh()
    before = net.params.copy()
    assert epochs.run(1) == FINISHED
    assert np.array_equal(net.params, before)
