"""Epochs, stopping, divergence, Ctrl-C, callbacks, and what is printed."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings

import numpy as np
import pytest
from helpers import At, interrupt
from limited import A_PASS_A_CALL
from sklearn.datasets import load_iris, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as Theirs
from sklearn.utils import check_random_state, shuffle

from fastbp import Callback, DivergenceWarning, EarlyStopping, ReduceOnPlateau
from fastbp.fit import calls as fit_calls
from fastbp.fit.limits import LIMITS
from fastbp.kernels.optimizers import LEARNING_RATE
from fastbp.kernels.training import FINISHED
from fastbp.sklearn import MLPClassifier, MLPRegressor, training
from fastbp.sklearn.networks import build
from fastbp.sklearn.optimizers import OptimizerMemory
from fastbp.sklearn.randomness import bits_of
from fastbp.sklearn.validation import CheckedRows, data_of

X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
ignore_convergence = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**parameters):
    return MLPClassifier(
        **{"hidden_layer_sizes": (5,), "max_iter": 5, "random_state": 0} | parameters
    )


def epochs_of(random_state, rows=37, batch_size=10, limits=LIMITS):
    estimator = MLPRegressor()
    memory = OptimizerMemory.of(estimator)
    net = build(estimator, (2, 3, 1), estimator._choose_loss(1, np.dtype("float64"))[0], "float64",
                memory.optimizer)  # fmt: skip
    x = np.random.default_rng(0).normal(size=(rows, 2))
    data = data_of(net, CheckedRows(x, x[:, :1], None, None, (x, x)), x[:, :1])
    return training.epochs_of(net, data, batch_size, random_state, limits)


def is_free(lock) -> bool:
    """Whether another thread could take the lock now: a plain lock would make this one wait, too.

    NumPy before 2.4 has plain locks.
    """
    found = []

    def try_it():
        found.append(lock.acquire(blocking=False))
        if found[0]:
            lock.release()

    thread = threading.Thread(target=try_it)
    thread.start()
    thread.join()
    return found[0]


def test_orders_are_those_of_scikit_learns_shuffle() -> None:
    epochs, same = epochs_of(np.random.RandomState(3)), np.random.RandomState(3)
    expected = np.arange(37)
    for _ in range(3):
        expected = shuffle(expected, random_state=same)
        assert epochs.run(1) == FINISHED
        assert np.array_equal(epochs.job.data.order, expected)


def test_many_short_calls_make_the_same_epoch() -> None:
    whole = epochs_of(np.random.RandomState(3))
    parts = epochs_of(np.random.RandomState(3), limits=A_PASS_A_CALL)
    for _ in range(3):
        assert whole.run(2) == parts.run(2)
        assert whole.finished == parts.finished
    assert np.array_equal(whole.net.params, parts.net.params)


def test_the_random_state_is_free_between_calls() -> None:
    state, free = np.random.RandomState(3), []
    epochs, lock = epochs_of(state, limits=A_PASS_A_CALL), bits_of(state)[1]

    class Watch:
        def seconds_left(self):
            return np.inf

        def look(self, running):
            free.append(is_free(lock))
            return True

    assert epochs.run(2, Watch()) == FINISHED
    assert free == [True] * 8


@pytest.mark.parametrize("shared", [False, True])
@ignore_convergence
def test_a_loss_in_python_may_draw_from_the_generator_of_the_fit(shared) -> None:
    state = np.random.RandomState(0) if shared else None
    lock = bits_of(check_random_state(state))[1]
    free = []

    def noisy(prediction, target):
        free.append(is_free(lock))
        error = prediction - target
        return float((error**2).mean() / 2), error / len(prediction)

    regressor = MLPRegressor(noisy, (4,), max_iter=2, batch_size=50, random_state=state)
    regressor.fit(X, Y)
    assert free == [True] * 6


@ignore_convergence
def test_a_callback_may_draw_from_the_generator_of_the_fit() -> None:
    state, free = np.random.RandomState(0), []

    class Draw(Callback):
        def on_epoch_end(self, fit):
            free.append(is_free(bits_of(state)[1]))

    small(random_state=state, callbacks=[Draw()], max_iter=3).fit(X, Y)
    assert free == [True] * 3


@ignore_convergence
def test_a_fit_without_a_random_state_leaves_numpys_generator_to_other_threads(monkeypatch) -> None:
    lock, free = bits_of(check_random_state(None))[1], []
    real = fit_calls.train

    def train(*arguments):
        free.append(is_free(lock))
        return real(*arguments)

    monkeypatch.setattr(fit_calls, "train", train)
    small(random_state=None).fit(X, Y)
    assert free and all(free)


@ignore_convergence
def test_a_fit_without_a_random_state_repeats_itself_after_a_seed_of_numpy() -> None:
    nets = []
    for seed in (3, 3, 4):
        np.random.seed(seed)  # noqa: NPY002 - what users of it do
        nets.append(small(random_state=None).fit(X, Y))
    assert np.array_equal(nets[0].coefs_[0], nets[1].coefs_[0])
    assert nets[0].loss_curve_ == nets[1].loss_curve_ != nets[2].loss_curve_
    again = small(random_state=None).fit(X, Y)
    assert again.loss_curve_ != nets[2].loss_curve_, "the generator has moved on"


@pytest.mark.parametrize("options", [{"shuffle": False}, {"solver": "lbfgs"}])
@ignore_convergence
def test_without_shuffles_a_seed_of_numpy_gives_scikit_learns_model(options) -> None:
    nets = []
    for kind in (MLPClassifier, Theirs):
        np.random.seed(7)  # noqa: NPY002 - what users of it do
        nets.append(kind((5,), max_iter=5, **options).fit(X, Y))
    for ours, theirs in zip(nets[0].coefs_, nets[1].coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)


def count_calls(monkeypatch):
    """A list that gets the number of epochs of each run."""
    runs, run = [], training.Epochs.run

    def counted(self, epochs, **options):
        runs.append(epochs)
        return run(self, epochs, **options)

    monkeypatch.setattr(training.Epochs, "run", counted)
    return runs


@ignore_convergence
def test_epochs_run_together_until_training_may_stop(monkeypatch) -> None:
    runs = count_calls(monkeypatch)
    net = small(max_iter=30, tol=1.0).fit(X, Y)
    assert net.n_iter_ == 12
    assert runs == [11, 1]
    del runs[:]
    small(max_iter=30, tol=0.0, n_iter_no_change=np.inf).fit(X, Y)
    assert runs == [30]
    del runs[:]
    small(max_iter=30, tol=0.0).fit(X, Y)
    assert runs == [11, 11, 8]


@pytest.mark.parametrize("options", [
    {"verbose": True}, {"early_stopping": True, "scoring": "accuracy"},
    {"callbacks": [ReduceOnPlateau()]},
    {"solver": "sgd", "learning_rate": "invscaling"},
])  # fmt: skip
@ignore_convergence
def test_epochs_run_alone_where_each_is_seen(options, monkeypatch, capsys) -> None:
    runs = count_calls(monkeypatch)
    small(**options).fit(X, Y)
    assert runs == [1] * 5


@ignore_convergence
def test_how_many_epochs_run_together_changes_nothing(monkeypatch) -> None:
    options = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.3}
    options |= {"tol": 1e-3, "n_iter_no_change": 3, "max_iter": 90}
    together = small(**options).fit(X, Y)
    monkeypatch.setattr(training.Trainer, "_at_once", lambda self: 1)
    alone = small(**options).fit(X, Y)
    assert together.n_iter_ == alone.n_iter_
    assert together.loss_curve_ == alone.loss_curve_
    assert together.t_ == alone.t_
    assert together.best_loss_ == alone.best_loss_
    assert np.array_equal(together.coefs_[0], alone.coefs_[0])


@ignore_convergence
def test_batches_larger_than_a_pass_are_one_step() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 3))
    y = (x.sum(axis=1) > 0).astype(int)
    weights = rng.gamma(1.0, size=1500)
    for clip in (None, 0.5):
        options = {"batch_size": 700, "max_iter": 4, "random_state": 0, "alpha": 5.0}
        ours = MLPClassifier(**options, clip_norm=clip).fit(x, y, weights)
        if clip is None:
            theirs = Theirs(**options).fit(x, y, weights)
            np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)
            np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-9)


# ---------------------------------------------------------------- divergence


def diverging(**parameters):
    options = {"hidden_layer_sizes": (20,), "activation": "identity", "solver": "sgd"}
    options |= {"learning_rate_init": 1.0, "random_state": 0, "momentum": 0.0}
    return MLPRegressor(**options | parameters)


SLOWER = {200: {}, 20: {"learning_rate_init": 0.32}}
"""With more updates an epoch, a rate at which the first epoch ends finite."""


@pytest.mark.parametrize("batch_size", [200, 20])
@pytest.mark.filterwarnings("ignore:Got `batch_size`")
def test_after_divergence_the_last_finite_parameters_are_kept(batch_size) -> None:
    """scikit-learn trains on with NaN, and then raises an error or keeps NaN."""
    with pytest.warns(DivergenceWarning, match="training diverged in epoch") as caught:
        net = diverging(batch_size=batch_size, **SLOWER[batch_size]).fit(X, Y)
    assert caught[-1].filename == __file__
    last = net.n_iter_
    assert 2 <= last < 50
    assert len(net.loss_curve_) == last
    assert not np.isfinite(net.loss_curve_[-1])
    assert np.isfinite(net.loss_curve_[:-1]).all()
    assert net.loss_ == net.loss_curve_[-2]
    with pytest.warns(ConvergenceWarning):
        before = diverging(batch_size=batch_size, max_iter=last - 1, **SLOWER[batch_size]).fit(X, Y)
    for got, expected in zip(net.coefs_, before.coefs_, strict=True):
        assert np.isfinite(got).all()
        assert np.array_equal(got, expected)


def test_a_first_epoch_that_is_not_finite_is_an_error() -> None:
    net = diverging(learning_rate_init=1e200)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        net.fit(1e150 * X, Y)
    assert not hasattr(net, "coefs_")
    assert not hasattr(net, "n_features_in_")
    with pytest.warns(DivergenceWarning):
        warm = diverging(warm_start=True).fit(X, Y)
    kept = [w.copy() for w in warm.coefs_]
    with pytest.warns(DivergenceWarning):
        warm.set_params(learning_rate_init=1e300).fit(1e150 * X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(warm.coefs_, kept, strict=True))


@pytest.mark.parametrize("early_stopping", [False, True])
def test_parameters_that_are_not_finite_are_not_trained_further(early_stopping) -> None:
    net = MLPRegressor(hidden_layer_sizes=(3,), early_stopping=early_stopping, warm_start=True)
    with pytest.warns(ConvergenceWarning):
        net.set_params(max_iter=2).fit(X, Y)
    net.intercepts_[0][1] = np.nan
    curve = list(net.loss_curve_)
    for train in (net.fit, net.partial_fit)[: 2 - early_stopping]:
        with pytest.raises(ValueError, match="coefs_ or intercepts_ hold NaN or infinity"):
            train(X, Y)
        assert net.loss_curve_ == curve
        assert np.isnan(net.intercepts_[0]).sum() == 1


def test_divergence_with_early_stopping_keeps_the_best() -> None:
    with pytest.warns(DivergenceWarning):
        net = diverging(early_stopping=True).fit(X, Y)
    assert np.isnan(net.validation_scores_[-1])
    assert len(net.validation_scores_) == len(net.validation_loss_curve_) == net.n_iter_
    assert np.isfinite(net.best_validation_score_)
    assert np.isfinite(net.predict(X)).all()


# ---------------------------------------------------------------- early stopping


@ignore_convergence
def test_early_stopping_on_rows_that_are_handed_in() -> None:
    train, held = np.arange(150) % 3 > 0, np.arange(150) % 3 == 0
    options = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 3, "solver": "sgd"}
    options |= {"learning_rate_init": 0.3, "momentum": 0.0}
    nets = [
        small(**options).fit(X[train], Y[train], X_val=X[held], y_val=Y[held]),
        small(**options).fit(X[train], Y[train], eval_set=(X[held], Y[held])),
        small(**options).fit(X[train], Y[train], eval_set=[(X[held], Y[held], np.ones(50))]),
    ]
    for net in nets:
        assert np.array_equal(net.coefs_[0], nets[0].coefs_[0])
        best = net.best_validation_score_
        assert best == max(net.validation_scores_)
        assert net.score(X[held], Y[held]) == best, "the best parameters are kept"
        assert net.validation_scores_[-1] < best or net.n_iter_ < 60
    weights = np.where(Y[held] == 0, 1.0, 0.0)
    weighted = small(**options).fit(
        X[train], Y[train], X_val=X[held], y_val=Y[held], sample_weight_val=weights
    )
    assert weighted.best_validation_score_ == weighted.score(X[held], Y[held], weights)


@ignore_convergence
def test_validation_loss() -> None:
    """Without penalties; alone it stops nothing."""
    x, y = make_regression(n_samples=80, n_features=3, random_state=0)
    y = y / y.std()
    weights = np.linspace(0.0, 2.0, 40)
    options = {"hidden_layer_sizes": (6,), "random_state": 0, "alpha": 10.0}
    plain = MLPRegressor(**options, max_iter=7).fit(x[:40], y[:40])
    net = MLPRegressor(**options, max_iter=7)
    net.fit(x[:40], y[:40], X_val=x[40:], y_val=y[40:], sample_weight_val=weights)
    assert np.array_equal(net.coefs_[0], plain.coefs_[0])
    assert plain.validation_loss_curve_ is None
    assert len(net.validation_loss_curve_) == 7
    expected = 0.5 * np.average((net.predict(x[40:]) - y[40:]) ** 2, weights=weights)
    assert net.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-10)
    for solver in ("adam", "lbfgs"):
        net.set_params(solver=solver).fit(x[:40], y[:40], eval_set=(x[40:], y[40:]))
        expected = 0.5 * np.mean((net.predict(x[40:]) - y[40:]) ** 2)
        assert len(net.validation_loss_curve_) == net.n_iter_
        assert net.validation_loss_curve_[-1] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("scoring", ["loss", "neg_log_loss", "balanced_accuracy"])
@ignore_convergence
def test_early_stopping_on_the_loss_or_a_scorer(scoring) -> None:
    from sklearn.metrics import get_scorer

    options = {"solver": "sgd", "learning_rate_init": 1.0, "momentum": 0.95, "max_iter": 30}
    net = small(early_stopping=True, scoring=scoring, n_iter_no_change=30, **options)
    net.fit(X[::2], Y[::2], X_val=X[1::2], y_val=Y[1::2])
    best = int(np.argmax(net.validation_scores_))
    assert net.best_validation_score_ == net.validation_scores_[best]
    scorer = get_scorer("neg_log_loss" if scoring == "loss" else scoring)
    got = scorer(net, X[1::2], Y[1::2])
    assert got == pytest.approx(net.best_validation_score_, rel=1e-6), "of the parameters kept"
    assert 0 < best < 29
    if scoring == "loss":
        assert net.validation_scores_ == [-x for x in net.validation_loss_curve_]


@ignore_convergence
def test_a_warm_start_keeps_the_best_parameters_of_the_fit_before() -> None:
    """scikit-learn keeps them in the arrays that it trains, so that they are lost."""
    options = {"early_stopping": True, "warm_start": True, "max_iter": 40, "random_state": 0}
    nets = [kind((5,), **options, learning_rate_init=0.05) for kind in (MLPClassifier, Theirs)]
    for net in nets:
        net.fit(X, Y)
        best, kept = net.best_validation_score_, [w.copy() for w in net.coefs_]
        net.set_params(learning_rate_init=0.5, n_iter_no_change=3, max_iter=5).fit(X, Y)
        assert net.best_validation_score_ == best, "no improvement, or this shows nothing"
        same = all(np.array_equal(a, b) for a, b in zip(net.coefs_, kept, strict=True))
        assert same == isinstance(net, MLPClassifier)


# ---------------------------------------------------------------- interruptions


def test_ctrl_c_ends_training_and_the_model_is_usable() -> None:
    net = MLPClassifier((20,), max_iter=10**6, tol=0.0, n_iter_no_change=np.inf, random_state=0)
    net.partial_fit(X, Y, classes=[0, 1, 2])  # compiled
    small(tol=10.0, n_iter_no_change=1).fit(X, Y)  # and all that it needs is imported
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        net.fit(X, Y)
    assert time.monotonic() - start < 3
    timer.join()
    assert 1 <= net.n_iter_ < 10**6
    assert len(net.loss_curve_) == net.n_iter_
    assert net.score(X, Y) > 0.9


def test_interrupted_between_epochs() -> None:
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        net = small(callbacks=[At(3, interrupt)], max_iter=9).fit(X, Y)
    assert net.n_iter_ == 3


# ---------------------------------------------------------------- callbacks and lines


class Records(Callback):
    def __init__(self) -> None:
        self.events: list = []

    def on_fit_begin(self, fit) -> None:
        self.events.append(("begin", fit.epochs, fit.net.layer_sizes))

    def on_epoch_end(self, fit) -> None:
        self.events.append((fit.epoch, fit.losses))

    def on_fit_end(self, fit) -> None:
        self.events.append(("end", fit.history.stop_reason))


@ignore_convergence
def test_callbacks_of_the_core() -> None:
    records = Records()
    net = small(callbacks=[records], early_stopping=True, validation_fraction=0.3).fit(X, Y)
    assert records.events[0] == ("begin", 5, (4, 5, 3))
    assert [event[0] for event in records.events[1:-1]] == [1, 2, 3, 4, 5]
    last = records.events[-2][1]
    assert last["loss"] == net.loss_
    assert last["val_loss"] == net.validation_loss_curve_[-1]
    assert last["val_score"] == net.validation_scores_[-1]
    assert last["learning_rate"] == 0.001
    stopping = EarlyStopping(patience=2, min_delta=10.0)
    net = small(callbacks=[stopping], max_iter=50).fit(X, Y)
    assert net.n_iter_ == 3


@ignore_convergence
def test_callbacks_change_the_learning_rate() -> None:
    reduce = ReduceOnPlateau(factor=0.5, patience=1, min_delta=100.0)
    net = small(callbacks=[reduce], max_iter=4).fit(X, Y)
    assert net._net.state.scalars[LEARNING_RATE] == pytest.approx(0.001 / 2**3)
    assert not np.array_equal(net.coefs_[0], small(max_iter=4).fit(X, Y).coefs_[0])


@ignore_convergence
def test_lines_are_scikit_learns(capsys) -> None:
    printed = []
    for kind in (MLPClassifier, Theirs):
        for options in (
            {"early_stopping": True},
            {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
            {"tol": 10.0, "n_iter_no_change": 2},
        ):
            kind((5,), max_iter=8, random_state=0, verbose=True, **options).fit(X, Y)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert "Iteration 8, loss" in printed[0]
    assert "Setting learning rate to 0.000200" in printed[0]
    assert "Training loss did not improve more than tol=10.000000 for 2" in printed[0]


@ignore_convergence
def test_a_progress_bar(capsys) -> None:
    pytest.importorskip("tqdm", reason="draws the bar")
    small(verbose="bar").fit(X, Y)
    captured = capsys.readouterr()
    assert "5/5" in captured.err
    assert "Iteration" not in captured.out


def test_nothing_is_warned_of_when_it_has_converged() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net = small(max_iter=300, tol=1.0).fit(X, Y)
    assert net.n_iter_ == 12


@ignore_convergence
@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"early_stopping": True}])
def test_losses_have_the_type_of_scikit_learns(options) -> None:
    theirs = Theirs(hidden_layer_sizes=(5,), max_iter=5, random_state=0, **options).fit(X, Y)
    ours = small(**options).fit(X, Y)
    for name in ("loss_", "best_loss_"):
        assert type(getattr(ours, name, None)) is type(getattr(theirs, name, None))
    for name in ("loss_curve_", "validation_loss_curve_"):
        assert {type(loss) for loss in getattr(ours, name, None) or []} <= {np.float64}
    assert type(ours.loss_) is np.float64


# ---- epochs that are validated after some of them ------------------------------------------------


def scores_held_out(net, X, y) -> float:
    """The score of a fitted net on the rows that it held out."""
    stream = np.random.RandomState(net.random_state)
    for weights, biases in zip(net.coefs_, net.intercepts_, strict=True):
        stream.uniform(size=weights.shape)
        stream.uniform(size=biases.shape)
    if net.dropout:
        stream.randint(2**31 - 1)
    _, held = train_test_split(np.arange(len(y)), random_state=stream, test_size=0.1)
    return float(net.score(X[held], y[held]))


@ignore_convergence
@pytest.mark.filterwarnings("ignore::fastbp.DivergenceWarning")
@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "max_iter": 30, "n_iter_no_change": 2, "tol": 0.01},
        {"early_stopping": True, "max_iter": 7},
        {"early_stopping": True, "max_iter": 9, "scoring": "loss", "dropout": 0.2},
        {"early_stopping": True, "solver": "sgd", "learning_rate": "adaptive", "max_iter": 40,
         "n_iter_no_change": 1, "tol": 0.1},
        {"early_stopping": True, "solver": "sgd", "learning_rate_init": 1e150, "max_iter": 12},
        {"early_stopping": True, "loss": "poisson", "n_iter_no_change": np.inf, "max_iter": 9},
        {"max_iter": 9, "tol": 1.0, "n_iter_no_change": 3},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_they_are_as_if_validated_one_by_one(kind, parameters) -> None:
    y = Y if kind is MLPClassifier else np.exp(X @ [1.0, -1.0, 0.5, 0.2] / 3)
    if kind is MLPClassifier:
        parameters = {name: value for name, value in parameters.items() if name != "loss"}
    options = {} if parameters.get("early_stopping") else {"X_val": X[::5], "y_val": y[::5]}
    fitted = []
    for callbacks in (None, [Callback()]):  # with callbacks an epoch a call
        net = kind(hidden_layer_sizes=(5,), random_state=0, callbacks=callbacks, **parameters)
        try:
            net.fit(X, y, **options)
        except ValueError as error:  # the first epoch is not finite
            assert "non-finite" in str(error)
        fitted.append(net)
    one, other = fitted
    if np.isfinite(getattr(one, "best_validation_score_", None) or np.nan) and one.scoring is None:
        held = scores_held_out(one, X, y)
        assert one.best_validation_score_ == pytest.approx(held, rel=1e-12)
    assert vars(one).keys() == vars(other).keys()
    for name in (
        "n_iter_", "loss_curve_", "validation_scores_", "validation_loss_curve_", "best_loss_",
        "best_validation_score_", "t_",
    ):  # fmt: skip
        np.testing.assert_equal(getattr(one, name, None), getattr(other, name, None), err_msg=name)
    for a, b in zip(getattr(one, "coefs_", ()), getattr(other, "coefs_", ()), strict=True):
        np.testing.assert_array_equal(a, b)
