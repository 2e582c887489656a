"""The drawing of loss curves."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
import sklearn.neural_network
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastbp.sklearn import LossCurveDisplay, MLPClassifier

matplotlib.use("agg")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)


@pytest.fixture(autouse=True)
def close():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_curves_of_training_and_validation_and_the_best_epoch() -> None:
    net = MLPClassifier((5,), max_iter=12, early_stopping=True, random_state=0).fit(X, Y)
    display = LossCurveDisplay.from_estimator(net, color="red")
    x, y = display.line_.get_data()
    assert x.tolist() == list(range(1, net.n_iter_ + 1))
    assert y.tolist() == net.loss_curve_
    assert display.line_.get_color() == "red"
    assert display.validation_line_.get_ydata().tolist() == net.validation_loss_curve_
    best = int(np.argmax(net.validation_scores_)) + 1
    assert display.best_epoch == best
    assert display.best_line_.get_xdata()[0] == best
    assert display.ax_.get_yscale() == "log"
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[:2] == ["MLPClassifier: training", "MLPClassifier: validation"]
    assert labels[2] == f"best epoch {best}"
    assert display.figure_ is display.ax_.figure


def test_options_and_scikit_learns_own_estimators() -> None:
    import matplotlib.pyplot as plt

    theirs = sklearn.neural_network.MLPClassifier((5,), max_iter=4, random_state=0).fit(X, Y)
    _, ax = plt.subplots()
    display = LossCurveDisplay.from_estimator(theirs, ax=ax, name="net", log_scale=False)
    assert display.ax_ is ax
    assert ax.get_yscale() == "linear"
    assert display.validation_line_ is None
    assert display.best_epoch == int(np.argmin(theirs.loss_curve_)) + 1
    assert display.line_.get_label() == "net: training"
    held = MLPClassifier((5,), max_iter=5, random_state=0).fit(X, Y, X_val=X, y_val=Y)
    assert LossCurveDisplay.from_estimator(held).best_epoch == (
        int(np.argmin(held.validation_loss_curve_)) + 1
    )
    assert LossCurveDisplay(loss_curve=[2.0, 1.0]).plot().best_line_ is None


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(MLPClassifier())
    net = MLPClassifier((5,), solver="lbfgs", max_iter=3).fit(X, Y)
    with pytest.raises(ValueError, match="MLPClassifier has no loss_curve_"):
        LossCurveDisplay.from_estimator(net)
