"""`History`: what a fit leaves behind."""

from __future__ import annotations

import pickle

from fastbp import History


def test_empty():
    history = History()
    assert (history.loss, history.seconds, len(history)) == ([], [], 0)
    assert repr(history) == "History(no finished epoch)"
    assert History().loss is not history.loss


def test_epochs():
    history = History(loss=[2.0, 0.123456789], seconds=[1.0, 0.25])
    assert len(history) == 2
    assert repr(history) == "History(2 epochs in 1.25 s, loss 2 -> 0.123457)"
    assert history == History([2.0, 0.123456789], [1.0, 0.25])
    assert history != History([2.0, 0.5], [1.0, 0.25])
    assert pickle.loads(pickle.dumps(history)) == history
