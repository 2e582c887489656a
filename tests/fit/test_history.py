"""`History`: what a fit leaves behind."""

from __future__ import annotations

import copy
import math
import pickle
import sys

import numpy as np
import pytest

import fastbp.plot
from fastbp import MLP, EarlyStopping, History
from fastbp.fit.history import best_of
from fastbp.older import PickleError


def short():
    columns = {"val_loss": [3.0, math.nan], "learning_rate": [0.001, 0.0005]}
    return History([2.0, 0.123456789], [1.0, 0.25], columns)


def test_empty():
    history = History()
    assert (history.loss, history.seconds, len(history)) == ([], [], 0)
    assert repr(history) == str(history) == "History(no finished epoch)"
    assert History().loss is not history.loss
    assert history.names == ("loss", "seconds")
    assert history.to_dict() == {"loss": [], "seconds": []}
    assert "<table>" in history._repr_html_()


def test_epochs():
    history = History(loss=[2.0, 0.123456789], seconds=[1.0, 0.25])
    assert len(history) == 2
    assert repr(history) == "History(2 epochs in 1.25 s, loss 2 -> 0.123457)"
    assert history == History([2.0, 0.123456789], [1.0, 0.25])
    assert history != History([2.0, 0.5], [1.0, 0.25])
    assert history != History([2.0, 0.123456789], [1.0, 0.25], {"val_loss": [1.0, 2.0]})
    assert pickle.loads(pickle.dumps(history)) == history


def test_columns():
    history = short()
    assert history.names == ("loss", "val_loss", "learning_rate", "seconds")
    assert history["loss"] is history.loss
    assert history["seconds"] is history.seconds
    assert history["learning_rate"] == [0.001, 0.0005]
    assert "val_loss" in history
    assert "accuracy" not in history
    columns = history.to_dict()
    assert list(columns) == list(history.names)
    assert columns["loss"] == history.loss
    columns["val_loss"][0] = 7.0
    assert history["val_loss"][0] == 3.0


@pytest.mark.parametrize("name", ["accuracy", "other_columns", "names", 0])
def test_unknown_columns(name):
    with pytest.raises(KeyError, match="no column .*; there are 'loss', 'val_loss', 'learning_r"):
        short()[name]


def test_printed_it_is_a_table():
    history = short()
    assert str(history).splitlines() == [
        "History(2 epochs in 1.25 s, loss 2 -> 0.123457)",
        "epoch      loss  val_loss  learning_rate   seconds",
        "    1         2         3          0.001  1.000000",
        "    2  0.123457       nan         0.0005  0.250000",
    ]
    assert "\n" not in repr(history)
    history.stop_reason = "no improvement of loss"
    assert str(history).splitlines()[-1] == "no improvement of loss"
    history.restored_epoch = 1
    first = "History(2 epochs in 1.25 s, loss 2 -> 0.123457, restored epoch 1)"
    assert str(history).splitlines()[0] == repr(history) == first


def test_long_ones_are_abridged():
    def numbers(count):
        lines = str(History([0.5] * count, [1.0] * count)).splitlines()[2:]
        return [line.split()[0] for line in lines]

    assert numbers(21) == [str(n) for n in range(1, 22)]
    expected = [*range(1, 11), "...", *range(991, 1001)]
    assert numbers(1000) == [str(n) for n in expected]
    history = History([0.5] * 1000, [1.0] * 1000, restored_epoch=500)
    lines = [line.split()[0] for line in str(history).splitlines()[2:]]
    assert lines == [str(n) for n in [*range(1, 11), "...", 500, "...", *range(991, 1001)]]
    for epoch in (10, 991):
        history.restored_epoch = epoch
        assert [line.split()[0] for line in str(history).splitlines()[2:]] == list(
            map(str, expected)
        )
    history.restored_epoch = 11
    assert str(history).splitlines()[12].split()[0] == "11"
    assert History([0.5] * 1000, [1.0] * 1000)._repr_html_().count("<tr>") == 1 + 21


def test_rendered_in_a_notebook():
    history = History([2.0], [0.5], {"<lambda>": [0.25]}, stop_reason="a < b")
    html = history._repr_html_()
    assert "<th>epoch</th><th>loss</th><th>&lt;lambda&gt;</th><th>seconds</th>" in html
    assert "<tr><td>1</td><td>2</td><td>0.25</td><td>0.500000</td></tr>" in html
    assert "loss 2 -&gt; 2)</b><br>a &lt; b</caption>" in html


def test_frame_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        short().to_frame()


def test_frame():
    pytest.importorskip("pandas", reason="is about pandas")
    frame = short().to_frame()
    assert list(frame.columns) == ["loss", "val_loss", "learning_rate", "seconds"]
    assert frame.index.tolist() == [1, 2]
    assert frame.index.name == "epoch"
    assert frame["loss"].tolist() == [2.0, 0.123456789]
    assert math.isnan(frame.loc[2, "val_loss"])
    assert History().to_frame().shape == (0, 2)


# ---- the best epoch ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "least", "greatest"),
    [
        ([], None, None),
        ([3.0], 1, 1),
        ([3.0, 1.0, 2.0, 1.0], 2, 1),
        ([math.nan, 2.0, 3.0, 3.0], 2, 3),
        ([math.nan, math.nan], None, None),
        ([math.inf, 5.0], 2, None),
        ([math.inf, math.nan], None, None),
    ],
)
def test_the_best_of_a_column(values, least, greatest):
    assert best_of(values) == least
    assert best_of(values, highest=True) == greatest


def test_the_best_epoch_is_judged_by_validation_where_there_is_some():
    assert History().best_epoch is None
    assert History([3.0, 1.0, 2.0], [1.0] * 3).best_epoch == 2
    columns = {"val_loss": [1.0, 2.0, 0.5], "val_r2": [0.1, 0.3, 0.2]}
    history = History([3.0, 1.0, 2.0], [1.0] * 3, columns)
    assert history.best_epoch == 3
    history.monitor = "val_r2"
    history.highest = True
    assert history.best_epoch == 2


X = np.random.default_rng(0).normal(size=(40, 2))
Y = X[:, :1] * X[:, 1:]


def test_an_epoch_that_is_half_written_does_not_count() -> None:
    history = History([3.0, 2.0, 1.0], [0.1, 0.1], {"learning_rate": [0.5, 0.5, 0.5]})
    assert history.to_dict() == {
        "loss": [3.0, 2.0], "learning_rate": [0.5, 0.5], "seconds": [0.1, 0.1],
    }  # fmt: skip
    after = History()
    after.go_on(history)
    after.add(1.5, 0.2, learning_rate=0.5)
    assert (after.loss, after.seconds) == ([3.0, 2.0, 1.5], [0.1, 0.1, 0.2])


@pytest.mark.parametrize("method", [None, "gradient_descent"])
def test_a_fit_says_what_it_restored(method):
    net = MLP((2, 8, 1), seed=0)
    options = {"validation_data": (X[30:], Y[30:]), "method": method}
    history = net.fit(X[:30], Y[:30], epochs=60, patience=2, **options)
    best = int(np.argmin(history["val_loss"])) + 1
    assert history.best_epoch == history.restored_epoch == best
    assert repr(history).endswith(f", restored epoch {best})")
    assert history["val_loss"][best - 1] == net.loss(X[30:], Y[30:])
    again = net.fit(X[:30], Y[:30], epochs=3, **options)  # a history of its own
    assert again.restored_epoch is None and "restored" not in repr(again)


def test_the_last_that_restores_is_what_counts():
    net = MLP((2, 8, 1), seed=0)
    stopping = EarlyStopping(50, monitor="r2", mode="min")
    history = net.fit(X, Y, epochs=9, metrics="r2", patience=50, callbacks=stopping)
    assert history["r2"][-1] > history["r2"][0]
    assert (history.monitor, history.highest) == ("r2", False)
    assert history.best_epoch == history.restored_epoch == 1
    assert net.score(X, Y) == history["r2"][0]


# ---- names ---------------------------------------------------------------------------------------


def test_a_column_is_an_item():
    with pytest.raises(AttributeError, match=r"an item: write history\[\"val_loss\"\]$"):
        _ = short().val_loss
    with pytest.raises(AttributeError, match="not measured: pass validation_data"):
        _ = History([1.0], [1.0]).val_loss


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("history", "Write history.to_dict()"),
        ("epochs", "Write len(history)"),
        ("losses", "Write history.loss"),
        ("stopped", "Write history.stop_reason"),
        ("others", "Write history.other_columns"),
        ("best_iteration_", "Write history.best_epoch"),
        ("accurcy", "there are 'loss', 'val_loss', 'learning_rate', 'seconds'"),
    ],
)
def test_what_is_not_there_says_what_is(name, words):
    history = short()
    with pytest.raises(AttributeError) as caught:
        getattr(history, name)
    assert f"a History has no attribute {name!r}" in str(caught.value)
    assert words in str(caught.value)
    assert not hasattr(history, name)


def test_what_suggestions_name_is_there():
    history = short()
    assert history.names and history.to_dict() and history.seconds and history.loss
    assert history.stop_reason == "" and history.restored_epoch is None
    assert history["val_loss"][history.best_epoch - 1] == 3.0


def test_copies_and_pickles():
    history = History([2.0, 1.0], [1.0, 0.5], {"val_loss": [3.0, 4.0]}, restored_epoch=1)
    history.note = "mine"
    for twin in (copy.copy(history), copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert twin == history and twin.note == "mine" and twin.best_epoch == 1
    assert copy.copy(history).loss is history.loss
    state = vars(history) | {"others": {}, "stopped": ""}
    del state["other_columns"]
    old = History.__new__(History)
    with pytest.raises(PickleError, match="pickle of a History has no other_columns.*to_dict"):
        old.__setstate__(state)
    with pytest.raises(AttributeError, match="no attribute 'loss'"):
        _ = old.loss  # nothing was taken over, and the search for a hint ends


# ---- drawing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("val", [None, [3.0, 1.0, 2.0], [math.nan] * 3])
def test_it_draws_itself_as_loss_curves_does(val):
    matplotlib = pytest.importorskip("matplotlib", reason="is about matplotlib")
    matplotlib.use("agg")
    history = History([3.0, 2.0, 1.0], [1.0] * 3, {} if val is None else {"val_loss": val})
    one, other = fastbp.plot.axes(ncols=2)
    assert history.plot(ax=one, log_scale=False) is one
    fastbp.plot.loss_curves(history, ax=other, log_scale=False)
    assert one.get_yscale() == "linear"
    drawn = [[line.get_xydata().tolist() for line in ax.lines] for ax in (one, other)]
    assert str(drawn[0]) == str(drawn[1])
    labels = [text.get_text() for text in one.get_legend().get_texts()]
    expected = ["training", "validation", "best epoch 2"]
    assert labels == expected[: 1 if val is None else 2 if math.isnan(val[0]) else 3]
    matplotlib.pyplot.close("all")


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no finished epoch"):
        History().plot()
