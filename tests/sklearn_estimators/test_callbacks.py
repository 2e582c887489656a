"""scikit-learn's own callbacks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastbp.sklearn import MLPClassifier

callbacks = pytest.importorskip("sklearn.callback", reason="scikit-learn has them from 1.9 on")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)


class Recorder:
    """What is called, with what."""

    max_propagation_depth = None

    def __init__(self, stop_after=10**9) -> None:
        self.calls, self.scores, self.stop_after = [], [], stop_after

    def setup(self, estimator, context) -> None:
        self.calls.append("setup")

    def teardown(self, estimator, context) -> None:
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None) -> None:
        self.calls.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, y=None, metadata=None, fitted_estimator=None):
        self.calls.append(f"end {context.task_name}")
        if fitted_estimator is not None and isinstance(estimator, MLPClassifier):
            self.scores.append(fitted_estimator.predict_proba(np.asarray(X)))
            self.metadata = metadata
        return len(self.calls) > self.stop_after


def net(**parameters):
    return MLPClassifier(
        **{"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0} | parameters
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_hooks_are_called_around_the_fit_and_each_epoch(solver) -> None:
    recorder, weights = Recorder(), np.ones(150)
    fitted = net(solver=solver).set_callbacks(recorder).fit(X, Y, weights)
    name = "epoch" if solver == "adam" else "lbfgs-iter"
    epochs = [f"begin {name}", f"end {name}"]
    extra = [] if solver == "adam" else epochs  # as scikit-learn's: begun, and not carried out
    expected = ["setup", "begin fit", *(epochs * 3), *extra, "end fit", "teardown"]
    assert recorder.calls == expected
    assert np.array_equal(recorder.scores[-1], fitted.predict_proba(X))
    assert np.abs(recorder.scores[0] - recorder.scores[2]).max() > 1e-6, "each of its own epoch"
    assert recorder.metadata["sample_weight"] is weights
    assert not hasattr(fitted, "_callback_fit_ctx")


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_hook_can_stop_training(solver) -> None:
    recorder = Recorder(stop_after=5)
    assert net(solver=solver, max_iter=50).set_callbacks(recorder).fit(X, Y).n_iter_ == 2


def test_they_reach_it_through_a_pipeline() -> None:
    recorder = Recorder()
    make_pipeline(StandardScaler(), net()).set_callbacks(recorder).fit(X, Y)
    assert recorder.calls.count("end epoch") == 3
    assert recorder.calls[0] == "setup"
    assert recorder.calls[-1] == "teardown"


def test_they_are_torn_down_when_the_fit_fails() -> None:
    recorder = Recorder()
    bad = MLPClassifier(solver="sgd", learning_rate_init=1e300, max_iter=5).set_callbacks(recorder)
    with pytest.raises(ValueError, match="Solver produced non-finite"):
        bad.fit(1e200 * X, Y)
    assert recorder.calls[-1] == "teardown"
    assert not hasattr(bad, "coefs_")


def test_scoring_monitor() -> None:
    monitor = callbacks.ScoringMonitor(scoring="accuracy")
    fitted = net().set_callbacks(monitor).fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs().data]
    assert scores[-1] == fitted.score(X, Y)
    assert len(scores) >= 3
