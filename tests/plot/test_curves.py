"""`loss_curves`: which lines are drawn, from what, and how they are labelled."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fastbp import MLP, History
from fastbp.plot import loss_curves

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 2)), RNG.normal(size=60)


def history(losses, val=None):
    made = History(loss=list(losses), seconds=[0.0] * len(losses))
    if val is not None:
        made.other_columns["val_loss"] = list(val)
    return made


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_one_history_with_its_best_epoch() -> None:
    net = MLP((2, 4, 1), seed=0)
    fitted = net.fit(X[:40], Y[:40], epochs=7, validation_data=(X[40:], Y[40:]))
    ax = loss_curves(fitted)
    training, validation, best = ax.lines
    assert training.get_xdata().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert training.get_ydata().tolist() == fitted.loss
    assert validation.get_ydata().tolist() == fitted["val_loss"]
    assert validation.get_linestyle() == "--"
    number = int(np.argmin(fitted["val_loss"])) + 1
    assert best.get_xdata()[0] == number
    assert labels(ax) == ["training", "validation", f"best epoch {number}"]
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("Epoch", "Loss", "log")
    assert loss_curves(net, ax=ax) is ax  # a net has its history
    assert ax.lines[3].get_ydata().tolist() == fitted.loss


def test_several_histories_have_a_colour_each() -> None:
    ax = loss_curves({"a": history([3, 2], [4, 3]), "b": history([2, 1])})
    assert [line.get_ydata().tolist() for line in ax.lines] == [[3, 2], [4, 3], [2, 1]]
    assert [line.get_color() for line in ax.lines] == ["C0", "C0", "C1"]
    assert labels(ax) == ["a: training", "a: validation", "b: training"]
    assert labels(loss_curves([history([3]), history([2])])) == ["net 0", "net 1"]


def test_scale_follows_the_sign_or_what_is_asked() -> None:
    assert loss_curves(history([1.0, -1.0])).get_yscale() == "linear"
    assert loss_curves(history([1.0, 0.5], [1.0, 0.0])).get_yscale() == "linear"
    assert loss_curves(history([1.0, 0.5]), log_scale=False).get_yscale() == "linear"


def test_estimators() -> None:
    estimator = SimpleNamespace(loss_curve_=[2.0, 1.0], validation_loss_curve_=[3.0, 4.0])
    ax = loss_curves(estimator)
    assert [line.get_ydata().tolist() for line in ax.lines[:2]] == [[2, 1], [3, 4]]
    assert labels(ax)[2] == "best epoch 1"


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="no finished epoch; fit the net first"):
        loss_curves(MLP((2, 1)))
    with pytest.raises(TypeError, match="history must be a History"):
        loss_curves(3)
    with pytest.raises(ValueError, match="history must hold at least one history"):
        loss_curves([])
