"""Ready callbacks: what they write, what they watch, what they change."""

from __future__ import annotations

import csv
import dataclasses
import math
import os
import re
import stat
import sys
import threading
import types
from functools import partial

import numpy as np
import pytest
from helpers import state

import fastbp
from fastbp import (
    MLP,
    SGD,
    Adam,
    Callback,
    Checkpoint,
    CosineDecay,
    CSVLog,
    EarlyStopping,
    Fit,
    History,
    LearningRateSchedule,
    Progress,
    ReduceOnPlateau,
    ScaledSchedule,
)
from fastbp.fit import callbacks
from fastbp.fit.callbacks import TimeLimit
from fastbp.whole_files import NotAFileError

RNG = np.random.default_rng(12)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 1))


make = partial(MLP, (3, 4, 1), seed=0, dtype="float64", optimizer=SGD(0.1))


@dataclasses.dataclass(frozen=True)
class Rate:
    """An optimiser that has a learning rate only."""

    learning_rate: object


class Net:
    """A net whose parameters are the number of the epoch."""

    def __init__(self, rate=0.1):
        self.params, self.optimizer = np.zeros(2), Rate(rate)

    def content(self):
        return b"epoch %d" % self.params[0]


def play(callback, values, name="loss", net=None):
    """Run a callback over made-up values of a column; returns the fit."""
    fit = Fit(
        net or Net(), len(values), History(other_columns={} if name == "loss" else {name: []})
    )
    callback.on_fit_begin(fit)
    for value in values:
        fit.epoch += 1
        fit.net.params[:] = fit.epoch
        fit.losses = {"loss": 0.0, name: value, "seconds": 1.0}
        callback.on_epoch_end(fit)
        if fit.stop_reason:
            break
    callback.on_fit_end(fit)
    return fit


def test_the_base_does_nothing():
    fit = play(Callback(), [1.0, 2.0])
    assert (fit.epoch, fit.stop_reason, fit.restored_epoch) == (2, "", None)


# ---- early stopping -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values", "epochs", "restored"),
    [
        ({"patience": 2}, [5, 4, 6, 7, 1], 4, 2),
        ({"patience": 2}, [5, 4, 6, 3, 7, 8, 1], 6, 4),
        ({"patience": 1}, [5, 5, 1], 2, 1),
        ({"patience": 2}, [5, 4, 3, 2], 4, 4),
        ({"patience": 3}, [5, 4, 6, 6], 4, 2),
        ({"patience": 2, "min_delta": 1.0}, [5, 4.5, 3.9, 3.5, 3.4, 0], 5, 5),
        ({"patience": 2}, [math.nan, math.nan, 1], 2, 0),
        ({"patience": 2}, [5, math.nan, 4, math.inf, math.nan, 1], 5, 3),
        ({"patience": 2, "mode": "max"}, [1, 2, 1.5, 1, 9], 4, 2),
        ({"patience": 2, "restore_best": False}, [5, 4, 6, 7, 1], 4, 0),
    ],
)
def test_early_stopping(options, values, epochs, restored):
    fit = play(EarlyStopping(**options), values)
    assert (fit.epoch, fit.restored_epoch) == (epochs, restored or None)
    assert fit.net.params.tolist() == [restored or epochs] * 2
    patience = options["patience"]
    reason = f"no improvement of loss for {patience} epochs" if epochs < len(values) else ""
    assert fit.stop_reason == reason


@pytest.mark.parametrize(
    ("monitor", "mode", "best"),
    [
        ("val_accuracy", "auto", 3),
        ("r2", "auto", 3),
        ("val_mean_squared_error", "auto", 1),
        ("val_accuracy", "min", 1),
        ("auc", "max", 3),
    ],
)
def test_which_values_are_better(monitor, mode, best):
    callback = EarlyStopping(10, monitor=monitor, mode=mode)
    assert play(callback, [1, 2, 3, 2], monitor).restored_epoch == best
    assert play(callback, [1, 2, 3, 2], monitor).restored_epoch == best  # each fit afresh


def test_the_validation_loss_is_watched_where_there_is_one():
    fit = play(EarlyStopping(1), [3, 2, 1, 2, 0], "val_loss")
    assert fit.stop_reason == "no improvement of val_loss for 1 epochs"
    assert fit.epoch == 4


def test_what_is_watched_can_be_set_later():
    stopping = EarlyStopping(2)
    stopping.min_delta = 1.0
    assert play(stopping, [5, 4.5, 3.9, 3.5, 3.4, 0]).epoch == 5
    stopping.monitor = "val_loss"
    stopping.mode = "max"
    assert play(stopping, [1, 3, 1, 1, 9], "val_loss").restored_epoch == 2
    stopping.mode = "most"
    with pytest.raises(ValueError, match=r"mode must be one of 'auto', 'min', 'max'"):
        play(stopping, [1])
    reducing = ReduceOnPlateau(0.5, patience=1)
    reducing.min_delta = 1.0
    assert play(reducing, [3, 2.5, 1.9], net=Net(0.8)).net.optimizer.learning_rate == 0.4


def test_after_an_error_nothing_is_restored():
    callback = EarlyStopping(5)
    fit = Fit(Net(), 5, History())
    callback.on_fit_begin(fit)
    for fit.epoch, loss in ((1, 1.0), (2, 2.0)):
        fit.net.params[:], fit.losses = fit.epoch, {"loss": loss}
        callback.on_epoch_end(fit)
    fit.error = KeyboardInterrupt()
    callback.on_fit_end(fit)
    assert fit.net.params.tolist() == [2, 2]


def test_time_limit():
    class Late(TimeLimit):
        def on_epoch_end(self, fit):
            super().on_epoch_end(fit)
            if fit.epoch == 3:
                fit.stop(self.reason)

    assert play(Late("late"), [2, 1, 3, 0]).net.params.tolist() == [2, 2]
    assert play(TimeLimit("late"), [2, 1, 3]).net.params.tolist() == [3, 3]


def test_a_column_that_is_not_measured():
    for callback in (EarlyStopping(monitor="val_loss"), ReduceOnPlateau(monitor="val_loss")):
        with pytest.raises(ValueError, match="'val_loss' is not measured; there are 'loss', 'lear"):
            make().fit(X, Y, callbacks=callback)


# ---- learning rates -----------------------------------------------------------------------------


def test_learning_rate_schedule():
    net, twin, seen = make(optimizer=Adam(0.5, beta_1=0.8)), make(optimizer=Adam(0.5)), []

    def schedule(epoch):
        seen.append(epoch)
        return 0.1 / (epoch + 1)

    history = net.fit(X, Y, epochs=3, callbacks=LearningRateSchedule(schedule))
    assert seen == [0, 1, 2]
    assert history["learning_rate"] == [0.1, 0.05, 0.1 / 3]
    assert net.optimizer == Adam(0.1 / 3, beta_1=0.8)
    losses = []
    for epoch in range(3):
        twin.optimizer = Adam(0.1 / (epoch + 1), beta_1=0.8)
        losses += twin.fit(X, Y, epochs=1).loss
    assert history.loss == losses
    assert net.params.tobytes() == twin.params.tobytes()
    with pytest.raises(TypeError, match="schedule must be a function of the epoch; got 0.1"):
        LearningRateSchedule(0.1)
    kept = net.params.copy()
    with pytest.raises(ValueError, match="learning_rate must be a finite number above 0"):
        net.fit(X, Y, callbacks=LearningRateSchedule(lambda epoch: -1.0))
    assert net.params.tobytes() == kept.tobytes()


def test_reduce_on_plateau():
    rates = []

    class Reduce(ReduceOnPlateau):
        def on_epoch_end(self, fit):
            super().on_epoch_end(fit)
            rates.append(fit.net.optimizer.learning_rate)

    play(Reduce(factor=0.5, patience=2), [5, 4, 4, 4, 4, 4, 3, 3, 3], net=Net(0.8))
    assert rates == [0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1]
    rates.clear()
    play(Reduce(0.5, patience=1, min_rate=0.3), [1, 1, 1, 1], net=Net(0.8))
    assert rates == [0.8, 0.4, 0.3, 0.3]
    rates.clear()
    play(Reduce(0.5, patience=1, min_delta=1.0), [3, 2.5, 1.9, 1.5], net=Net(0.8))
    assert rates == [0.8, 0.4, 0.4, 0.2]
    net = make(optimizer=Adam(0.1))
    history = net.fit(X, Y, epochs=5, callbacks=ReduceOnPlateau(0.5, patience=2, min_delta=10))
    assert history["learning_rate"] == [0.1] * 3 + [0.05] * 2


def test_reduce_on_plateau_scales_a_schedule():
    schedule = CosineDecay(0.1, 100)
    fit = play(ReduceOnPlateau(0.5, patience=1), [1, 1, 1], net=Net(schedule))
    assert fit.net.optimizer.learning_rate == ScaledSchedule(schedule, 0.25)
    with pytest.raises(ValueError, match=r"min_rate=0.01 needs a learning rate that is a number"):
        play(ReduceOnPlateau(min_rate=0.01), [1, 1], net=Net(schedule))


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("best_only", [False, True])
def test_checkpoint(best_only, tmp_path):
    path = tmp_path / "net.safetensors"
    play(Checkpoint(path, best_only=best_only), [3, 1, 2])
    assert path.read_bytes() == (b"epoch 2" if best_only else b"epoch 3")
    assert os.listdir(tmp_path) == ["net.safetensors"]
    net = make()
    net.fit(X, Y, epochs=3, callbacks=Checkpoint(str(path)))
    twin = fastbp.load(path)
    assert state(twin) == state(net) and twin.history == net.history


def test_checkpoints_of_some_epochs(tmp_path):
    path = tmp_path / "{epoch}"
    play(Checkpoint(path, every=3), [1.0] * 10)
    assert sorted(os.listdir(tmp_path)) == ["3", "6", "9"]
    play(Checkpoint(path, every=2, best_only=True), [0, 5, 0, 6, 0, 4])  # 6 is worse than 5
    assert sorted(os.listdir(tmp_path)) == ["2", "3", "6", "9"]


@pytest.mark.parametrize(
    ("values", "keep", "kept"),
    [
        ([5, 4, 3, 2, 1], 1, [5]),
        ([5, 4, 3, 2, 1], 2, [4, 5]),
        ([5, 1, 2, 3, 4], 1, [2, 5]),
        ([5, 1, 2, 3, 4], 2, [2, 4, 5]),
        ([1, 2, 3, 0, 3, 3], 2, [4, 5, 6]),
        ([np.nan, np.nan, np.nan], 1, [3]),
    ],
)
def test_the_last_checkpoints_and_the_best_are_kept(values, keep, kept, tmp_path):
    (tmp_path / "0.safetensors").touch()  # another's
    play(Checkpoint(tmp_path / "{epoch}.safetensors", keep=keep), values)
    assert sorted(os.listdir(tmp_path)) == [f"{epoch}.safetensors" for epoch in (0, *kept)]


def test_a_net_that_cannot_be_saved_is_refused_before_it_is_trained(tmp_path):
    class Mine(SGD):
        """Of the user's."""

    net = make(optimizer=Mine())
    before = state(net)
    with pytest.raises(ValueError, match="a file can hold the classes of fastbp"):
        net.fit(X, Y, callbacks=Checkpoint(tmp_path / "net.safetensors"))
    assert state(net) == before and os.listdir(tmp_path) == []


def test_a_checkpoint_that_fails_keeps_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    play(Checkpoint(path), [3.0])
    kept = path.read_bytes()

    def broken(number):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="disk full"):
        play(Checkpoint(path), [3.0, 2.0])
    assert path.read_bytes() == kept
    assert os.listdir(tmp_path) == ["net.safetensors"]


def test_fits_in_threads_may_keep_one_checkpoint(tmp_path):
    path = tmp_path / "net.safetensors"
    nets = [make(seed=seed) for seed in range(4)]
    threads = [
        threading.Thread(target=net.fit, args=(X, Y), kwargs={"epochs": 5, "callbacks": callback})
        for net, callback in zip(nets, map(Checkpoint, [path] * 4), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(net.history) for net in nets] == [5] * 4
    assert state(fastbp.load(path)) in [state(net) for net in nets]
    assert os.listdir(tmp_path) == ["net.safetensors"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has neither links nor devices such as these")
def test_a_checkpoint_follows_links_and_destroys_no_device(tmp_path):
    target, link = tmp_path / "first.npz", tmp_path / "latest.npz"
    target.touch(mode=0o600)
    link.symlink_to(target)
    play(Checkpoint(link), [3.0])
    assert link.is_symlink() and target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes() == b"epoch 1"
    net = make()
    kept = net.params.copy()
    for path in ("/dev/null", tmp_path):
        with pytest.raises(NotAFileError, match="is a .*Name an ordinary file"):
            net.fit(X, Y, callbacks=Checkpoint(path))
    assert net.params.tobytes() == kept.tobytes()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("make_callback", [Checkpoint, CSVLog])
def test_a_folder_that_is_missing(make_callback, tmp_path):
    net = make()
    kept = net.params.copy()
    with pytest.raises(FileNotFoundError, match="there is no folder .* for 'file'"):
        net.fit(X, Y, callbacks=make_callback(tmp_path / "missing" / "file"))
    assert net.params.tobytes() == kept.tobytes()


def test_csv_log(tmp_path):
    path, net = tmp_path / "log.csv", make()

    def rows():
        with open(path, encoding="utf-8", newline="") as file:
            return list(csv.reader(file))

    seen = []

    class Reader(Callback):
        def on_epoch_end(self, fit):
            seen.append(len(rows()))

    options = {"validation_fraction": 0.2, "metrics": "r2"}
    history = net.fit(X, Y, epochs=3, callbacks=[CSVLog(path), Reader()], **options)
    names = ["epoch", "loss", "r2", "val_loss", "val_r2", "learning_rate", "seconds"]
    assert rows()[0] == names
    assert [row[0] for row in rows()[1:]] == ["1", "2", "3"]
    for column, name in enumerate(names[1:], 1):
        assert [float(row[column]) for row in rows()[1:]] == history[name]
    assert seen == [2, 3, 4]  # a line is there when its epoch ends
    net.fit(X, Y, epochs=2, callbacks=CSVLog(path, append=True), **options)
    assert [row[0] for row in rows()] == ["epoch", "1", "2", "3", "1", "2"]
    kept = path.read_bytes()
    with pytest.raises(ValueError, match="has the columns 'epoch,loss,r2,.*append=False"):
        net.fit(X, Y, epochs=2, callbacks=CSVLog(path, append=True))
    assert path.read_bytes() == kept
    net.fit(X, Y, epochs=2, callbacks=CSVLog(path))
    assert [row[0] for row in rows()] == ["epoch", "1", "2"]


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1", "@sum", "\t=1", "\r=1"])
def test_no_name_in_a_log_is_a_formula(name, tmp_path):
    def metric(y_true, y_pred):
        return 1.5

    metric.__name__ = name
    path, net = tmp_path / "log.csv", make()
    net.fit(X, Y, epochs=1, metrics=metric, callbacks=CSVLog(path))
    net.fit(X, Y, epochs=1, metrics=metric, callbacks=CSVLog(path, append=True))
    with open(path, encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head[2] == f"'{name}"
    assert [row[2] for row in rows] == ["1.5", "1.5"]


@pytest.mark.parametrize("left", ["3,0.1", "", "3"])
def test_an_unfinished_line_of_a_log_is_not_taken_for_numbers(left, tmp_path):
    path = tmp_path / "log.csv"
    make().fit(X, Y, epochs=2, callbacks=CSVLog(path))
    whole = path.read_bytes()
    path.write_bytes(whole + left.encode())
    with pytest.raises(ValueError, match="has the columns"):
        make().fit(X, Y, epochs=1, metrics="r2", callbacks=CSVLog(path, append=True))
    assert path.read_bytes() == whole + left.encode()  # another file is left alone
    make().fit(X, Y, epochs=1, callbacks=CSVLog(path, append=True))
    lines = path.read_bytes().splitlines()
    assert lines[:3] == whole.splitlines() and lines[3].startswith(b"1,") and len(lines) == 4


def test_a_log_that_has_but_an_unfinished_head_begins_anew(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes(b"epoch,loss,learning_rate,seconds")
    make().fit(X, Y, epochs=1, callbacks=CSVLog(path, append=True))
    assert path.read_bytes().startswith(b"epoch,loss,learning_rate,seconds\r\n1,")


# ---- progress -----------------------------------------------------------------------------------


def test_lines(capsys):
    make().fit(
        X, Y, epochs=10, validation_fraction=0.2, metrics="r2", callbacks=Progress(bar=False)
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    number = r"-?\d+\.\d{6}"
    assert re.fullmatch(
        rf"epoch  1/10  loss {number}  r2 {number}  val_loss {number}  val_r2 {number}  "
        r"\d+\.\d\d ms",
        lines[0],
    )


def test_lines_say_why_training_stopped(capsys):
    make().fit(X, Y, epochs=10, patience=1, min_delta=10, verbose=2)
    assert capsys.readouterr().out.splitlines()[-1] == "no improvement of loss for 1 epochs"


def test_without_tqdm_there_are_lines(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    make().fit(X, Y, epochs=3, verbose=1)
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("place", ["terminal", "notebook", "notebook with widgets"])
def test_bar(capsys, monkeypatch, place):
    """In a notebook what is written to standard error looks like an error."""
    said = []

    class Bar:
        start_t = last_print_t = 0.0

        def __init__(self, **options):
            said.append(options)

        def set_postfix(self, values, refresh):
            said.append(values)

        def update(self):
            said.append("update")

        def close(self):
            said.append("close")

    class Other:
        """The kind of bar that does not belong there."""

    kinds = (Other, Bar) if "widgets" in place else (Bar, Other)
    for name, kind in zip(("tqdm", "tqdm.auto"), kinds, strict=True):
        monkeypatch.setitem(sys.modules, name, types.SimpleNamespace(tqdm=kind))
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if place != "terminal":
        monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setattr(callbacks, "find_spec", lambda name: True if "widgets" in place else None)
    stream = sys.stdout if place == "notebook" else None
    loss = make().fit(X, Y, epochs=2, verbose=1).loss
    assert said == [
        {"total": 2, "initial": 0, "unit": "epoch", "file": stream},
        {"loss": f"{loss[0]:.6g}"},
        "update",
        {"loss": f"{loss[1]:.6g}"},
        "update",
        "close",
    ]
    said.clear()
    make().fit(X, Y, epochs=2, verbose=2)
    assert said == []
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_clock_of_a_bar_starts_after_compiling(monkeypatch):
    """Else it would say that the epochs take as long as the compiler did."""
    pytest.importorskip("tqdm", reason="is about tqdm")
    spent = iter([7.0, 77.0, 77.0, 80.0])
    monkeypatch.setattr(callbacks, "seconds_compiling", lambda: next(spent))
    progress, found = Progress(), []

    class See(Callback):
        def on_fit_begin(self, fit):
            self.start = progress._bar.start_t, progress._bar.last_print_t

        def on_epoch_end(self, fit):
            bar = progress._bar
            found.append(bar.start_t - self.start[0])
            if fit.epoch == 1:
                assert bar.last_print_t >= self.start[1] + 70.0

    make().fit(X, Y, epochs=3, callbacks=[progress, See()])
    assert found == pytest.approx([70.0, 70.0, 73.0])


def test_real_bar(capsys):
    pytest.importorskip("tqdm", reason="is about tqdm")
    make().fit(X, Y, epochs=4, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "4/4" in err
    assert "loss=" in err


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: EarlyStopping(0), ValueError, "patience must be at least 1"),
        (lambda: EarlyStopping(min_delta=-1), ValueError, "min_delta"),
        (lambda: EarlyStopping(monitor=3), TypeError, "monitor must be a column"),
        (lambda: EarlyStopping(restore_best=1), TypeError, "restore_best must be True or False"),
        (lambda: EarlyStopping(mode="least"), ValueError, "mode must be one of 'auto'"),
        (lambda: ReduceOnPlateau(factor=1), ValueError, "above 0 and below 1; got 1"),
        (lambda: ReduceOnPlateau(factor=0), ValueError, "factor"),
        (lambda: ReduceOnPlateau(patience=0), ValueError, "patience"),
        (lambda: ReduceOnPlateau(min_rate=-1), ValueError, "min_rate"),
        (lambda: Checkpoint("net.safetensors", best_only=1), TypeError, "best_only must be True"),
        (lambda: Checkpoint("net.safetensors", every=0), ValueError, "every must be at least 1"),
        (lambda: Checkpoint("{epoch}", keep=0), ValueError, "keep must be at least 1"),
        (
            lambda: Checkpoint("net.safetensors", keep=2),
            ValueError,
            "such as 'net-{epoch}.safetensors'",
        ),
        (lambda: CSVLog("log.csv", append=None), TypeError, "append must be True"),
        (lambda: Progress(bar=2), TypeError, "bar must be True or False"),
    ],
)
def test_bad_hyperparameters(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
