"""`History`: what a fit leaves behind."""

from __future__ import annotations

import math
import pickle
import sys

import pytest

from fastbp import History


def short():
    others = {"val_loss": [3.0, math.nan], "learning_rate": [0.001, 0.0005]}
    return History([2.0, 0.123456789], [1.0, 0.25], others)


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


@pytest.mark.parametrize("name", ["accuracy", "others", "names", 0])
def test_unknown_columns(name):
    with pytest.raises(KeyError, match="no column .*; there are 'loss', 'val_loss', 'learning_r"):
        short()[name]


def test_printed_it_is_a_table():
    history = short()
    assert str(history).splitlines() == [
        "History(2 epochs in 1.25 s, loss 2 -> 0.123457)",
        "epoch      loss  val_loss  learning_rate  seconds",
        "    1         2         3          0.001        1",
        "    2  0.123457       nan         0.0005     0.25",
    ]
    assert "\n" not in repr(history)
    history.stopped = "no improvement of loss"
    assert str(history).splitlines()[-1] == "no improvement of loss"


def test_long_ones_are_abridged():
    def numbers(count):
        lines = str(History([0.5] * count, [1.0] * count)).splitlines()[2:]
        return [line.split()[0] for line in lines]

    assert numbers(21) == [str(n) for n in range(1, 22)]
    expected = [*range(1, 11), "...", *range(991, 1001)]
    assert numbers(1000) == [str(n) for n in expected]
    assert History([0.5] * 1000, [1.0] * 1000)._repr_html_().count("<tr>") == 1 + 21


def test_rendered_in_a_notebook():
    history = History([2.0], [0.5], {"<lambda>": [0.25]}, stopped="a < b")
    html = history._repr_html_()
    assert "<th>epoch</th><th>loss</th><th>&lt;lambda&gt;</th><th>seconds</th>" in html
    assert "<tr><td>1</td><td>2</td><td>0.25</td><td>0.5</td></tr>" in html
    assert "loss 2 -&gt; 2). a &lt; b</caption>" in html


def test_frame_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install 'fastbp\[pandas\]'"):
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
