"""Stopped after any epoch, saved, loaded in a new process: the same bits as without a stop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import resumed
from helpers import counts, state

import fastbp

pytest.importorskip("safetensors", reason="nets are saved by it")
pytestmark = pytest.mark.promise("resume")
RUNS = counts(63, 1000, 4)
ROOT = Path(fastbp.__file__).parents[1]
TESTS = Path(resumed.__file__).parent


@pytest.mark.slow
def test_a_net_goes_on_in_a_new_process_as_if_it_had_never_stopped(
    tmp_path, tally: Counter[str]
) -> None:
    seeds = [str(seed) for seed in range(RUNS)]
    expected = []
    for seed in range(RUNS):
        r = resumed.run(seed)
        resumed.fit(r.net, r, r.stop)
        r.net.save(tmp_path / f"{seed}.safetensors")
        whole = resumed.run(seed)
        measured = resumed.fit(whole.net, whole, resumed.EPOCHS)
        left = [column[r.stop :] for column in measured]
        expected.append(resumed.digest(whole.net, left))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS), *sys.path[1:]])
    }
    command = [sys.executable, str(TESTS / "resumed.py"), str(tmp_path), *seeds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    got = done.stdout.split()
    wrong = [seed for seed, a, b in zip(seeds, got, expected, strict=True) if a != b]
    assert not wrong
    tally["nets"] += RUNS


def test_the_random_runs_differ_in_what_matters() -> None:
    runs = [resumed.run(seed) for seed in range(63)]
    assert len({type(r.net.optimizer) for r in runs}) == 9
    assert len({(type(r.net.optimizer), type(r.net.optimizer.learning_rate)) for r in runs}) == 63
    for has in (
        lambda r: r.net.missing_targets,
        lambda r: r.net.regularization.input_dropout > 0,
        lambda r: any(r.net.regularization.dropout),
        lambda r: "augment" in r.options,
        lambda r: "validation_fraction" in r.options,
        lambda r: r.data[2] is not None,
        lambda r: r.net.loss_name == "graph",
        lambda r: r.net.frozen.any(),
    ):
        assert 5 < sum(map(bool, map(has, runs))) < 63
    assert len({r.stop for r in runs}) > 20


def test_a_net_that_is_saved_goes_on_too(tmp_path) -> None:
    r = resumed.run(5)
    whole = resumed.run(5)
    resumed.fit(r.net, r, 3)
    r.net.save(tmp_path / "net.safetensors")
    resumed.fit(r.net, r, 2)
    resumed.fit(whole.net, whole, 5)
    assert np.array_equal(r.net.params, whole.net.params)


# ---- fit(resume=True) ---------------------------------------------------------------------------

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
Y = rng.normal(size=(40, 1))


def made(**options: Any) -> fastbp.MLP:
    rates = fastbp.OneCycle(0.01, epochs=6)
    given = {"optimizer": fastbp.Adam(rates), "dropout": 0.2, "seed": 0} | options
    return fastbp.MLP((3, 4, 1), **given)


MEASURED = ({}, {"validation_fraction": 0.25, "metrics": ["r2"]})


@pytest.mark.parametrize("options", MEASURED, ids=["at once", "measured"])
def test_a_checkpoint_of_any_epoch_goes_on_with_its_history(options, tmp_path) -> None:
    whole = made()
    callbacks = [fastbp.Checkpoint(tmp_path / "{epoch}")]
    whole.fit(X, Y, epochs=6, callbacks=callbacks, **options)
    for epoch in range(1, 7):
        net = fastbp.load(tmp_path / str(epoch))
        assert len(net.history) == epoch
        history = net.fit(X, Y, epochs=6, resume=True, **options)
        assert history is net.history
        assert state(net) == state(whole)
        assert history.names == whole.history.names and len(history.seconds) == 6
        for name in history.names[:-1]:
            assert history[name] == whole.history[name]


def test_callbacks_count_on(tmp_path) -> None:
    seen = []

    class Count(fastbp.Callback):
        def on_epoch_end(self, fit) -> None:
            seen.append((fit.epoch, fit.epochs))

    net = made(optimizer="sgd")
    given = []
    rates = fastbp.LearningRateSchedule(lambda epoch: given.append(epoch) or 0.1)
    log = tmp_path / "log.csv"
    for epochs in (2, 2, 4):
        callbacks = [Count(), rates, fastbp.CSVLog(log, append=True)]
        net.fit(X, Y, epochs=epochs, resume=True, callbacks=callbacks)
    assert seen == [(1, 2), (2, 2), (3, 4), (4, 4)]
    assert given == [0, 1, 2, 3]
    lines = log.read_text().splitlines()[1:]
    assert [line.split(",")[0] for line in lines] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("optimizer", [fastbp.SGD(0.3), fastbp.SGD(fastbp.CosineDecay(0.3, 100))])
@pytest.mark.parametrize("checkpoint_first", [True, False])
def test_a_plateau_counts_on(checkpoint_first, optimizer, tmp_path) -> None:
    def callbacks() -> list[fastbp.Callback]:
        plateau = fastbp.ReduceOnPlateau(0.5, patience=2, min_delta=0.01)
        both = [plateau, fastbp.Checkpoint(tmp_path / "{epoch}")]
        return both[::-1] if checkpoint_first else both

    whole = made(optimizer=optimizer)
    whole.fit(X, Y, epochs=12, callbacks=callbacks())
    assert len({*whole.history["learning_rate"]}) > 2
    for epoch in range(1, 12):
        net = fastbp.load(tmp_path / str(epoch))
        net.fit(X, Y, epochs=12, resume=True, callbacks=callbacks())
        assert net.history["learning_rate"] == whole.history["learning_rate"]
        assert state(net) == state(whole)


def test_the_best_checkpoint_stays_the_best(tmp_path) -> None:
    path = tmp_path / "best"
    net = made()
    net.fit(X, Y, epochs=2, callbacks=fastbp.Checkpoint(path, best_only=True))
    net.history.loss[0] = -1.0
    kept = path.read_bytes()
    net.fit(X, Y, epochs=4, resume=True, callbacks=fastbp.Checkpoint(path, best_only=True))
    assert path.read_bytes() == kept


def test_an_interrupted_fit_goes_on() -> None:
    class Stop(fastbp.Callback):
        def on_epoch_end(self, fit) -> None:
            fit.stop("for a while")

    net = made()
    whole = made()
    assert net.fit(X, Y, epochs=6, callbacks=Stop()).stop_reason == "for a while"
    assert net.fit(X, Y, epochs=6, resume=True).stop_reason == ""
    assert net.history.loss == whole.fit(X, Y, epochs=6).loss
    before = state(net)
    net.fit(X, Y, epochs=6, resume=True)  # all are done
    assert state(net) == before and len(net.history) == 6


# ---- the best epoch ------------------------------------------------------------------------------


class Says(fastbp.Callback):
    """Writes values of its own as the validation loss, before others see them."""

    def __init__(self, *values: float) -> None:
        self.values = values

    def on_epoch_end(self, fit) -> None:
        value = self.values[fit.epoch - 1]
        fit.losses["val_loss"] = fit.history["val_loss"][-1] = value


VALUES = (5.0, 3.0, 4.0, 3.5, 2.0, 2.5)


def stopping(net: fastbp.MLP, epochs: int, *values: float, **options: Any) -> fastbp.History:
    callbacks = [Says(*(values or VALUES)), fastbp.EarlyStopping(10)]
    given = {"validation_data": (X, Y), "callbacks": callbacks} | options
    return net.fit(X, Y, epochs=epochs, resume=True, **given)


def test_the_best_epoch_is_that_of_the_whole_history(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    net = made()
    history = stopping(net, 4)
    assert (history.best_epoch, history.restored_epoch) == (2, 2)
    best = net.params.copy()
    net.save(path)
    net = fastbp.load(path)
    assert net.history == history
    for epochs in (2, 3, 4):  # nothing is left to do, nothing changes
        history = stopping(net, epochs)
        assert (history.best_epoch, history.restored_epoch) == (2, 2)
        assert np.array_equal(net.params, best)
    history = stopping(net, 6)
    assert (len(history), history.best_epoch, history.restored_epoch) == (6, 5, 5)
    assert not np.array_equal(net.params, best)


def test_what_was_restored_is_restored_again_where_it_stays_the_best() -> None:
    net = made()
    stopping(net, 4)
    best = net.params.copy()
    history = stopping(net, 6, 5, 3, 4, 3.5, 3.1, 3.2)
    assert (history.best_epoch, history.restored_epoch) == (2, 2)
    assert np.array_equal(net.params, best)
    history = stopping(net, 8, 5, 3, 4, 3.5, 3.1, 3.2, 3.3, 3.4, callbacks=Says(*[9.0] * 8))
    assert (history.best_epoch, history.restored_epoch) == (2, None)  # nobody restores it
    assert not np.array_equal(net.params, best)


def test_a_checkpoint_after_the_best_epoch_has_lost_it(tmp_path) -> None:
    callbacks = [
        Says(5, 3, 4, 6),
        fastbp.EarlyStopping(10),
        fastbp.Checkpoint(tmp_path / "{epoch}"),
    ]
    made().fit(X, Y, epochs=4, validation_data=(X, Y), callbacks=callbacks)
    net = fastbp.load(tmp_path / "3")
    assert (net.history.best_epoch, net.history.restored_epoch) == (2, None)
    history = stopping(net, 5, 5, 3, 4, 6, 7)
    assert (history.best_epoch, history.restored_epoch) == (2, 4)
    assert repr(history).endswith(", restored epoch 4)")


def test_the_column_that_counts_goes_along(tmp_path) -> None:
    path = tmp_path / "net.safetensors"
    net = made()
    callbacks = fastbp.EarlyStopping(5, monitor="r2", restore_best=False)
    net.fit(X, Y, epochs=4, metrics="r2", callbacks=callbacks)
    net.history["r2"][:] = [0.1, 0.9, 0.3, 0.9]
    assert net.history.loss[-1] == min(net.history.loss)
    assert (net.history.best_epoch, net.history.restored_epoch) == (2, None)
    net.save(path)
    net = fastbp.load(path)
    assert net.history.best_epoch == 2
    history = net.fit(X, Y, epochs=5, metrics="r2", resume=True)
    assert (history.best_epoch, history.monitor, history.highest) == (2, "r2", True)


def test_what_cannot_be_resumed() -> None:
    net = made()
    net.fit(X, Y, epochs=2)
    before = state(net)
    with pytest.raises(ValueError, match="resume=True needs the columns.*Pass the same metrics"):
        net.fit(X, Y, epochs=4, metrics="r2", resume=True)
    with pytest.raises(ValueError, match="a method begins anew"):
        net.fit(X, Y, method="rprop", resume=True)
    with pytest.raises(TypeError, match="resume must be True or False"):
        net.fit(X, Y, resume="net.safetensors")
    assert state(net) == before and len(net.history) == 2
