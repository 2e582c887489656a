"""Missing targets and weights of outputs of the regressor; one class of the classifier."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier as TheirClassifier

from fastbp.model.losses import CallableLoss, CrossEntropy, Quantile
from fastbp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = np.stack([X[:, 0] * X[:, 1], X[:, 2], np.sin(X[:, 3])], axis=1)
GAPS = RNG.random(Y.shape) < 0.4
HOLES = np.where(GAPS, np.nan, Y)
PRESENT = (~GAPS).astype(float)
WEIGHTS = RNG.gamma(1.0, size=Y.shape)
SOLVERS = ["sgd", "adam", "lbfgs"]


def squares(y_pred, y, sample_weight=None):
    """Half the squared error in Python."""
    weights = np.ones((len(y), 1)) if sample_weight is None else sample_weight.reshape(len(y), -1)
    shares = weights / (weights.sum() / weights.shape[1])
    return float((shares * (y_pred - y) ** 2).sum() / 2), shares * (y_pred - y)


def make(**options):
    return MLPRegressor(
        **(
            {"hidden_layer_sizes": (6,), "max_iter": 8, "random_state": 0, "batch_size": 16}
            | options
        )
    )


def same(one, other, rtol=1e-10):
    for a, b in zip(
        (*one.coefs_, *one.intercepts_), (*other.coefs_, *other.intercepts_), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-12)


# ---- weights of outputs ----


@pytest.mark.parametrize("loss", ["squared_error", "huber", CallableLoss(squares)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_equal_columns_are_weights_of_the_rows(solver, loss) -> None:
    weights = WEIGHTS[:, 0]
    matrix = np.repeat(weights[:, np.newaxis], 3, axis=1)
    one = make(solver=solver, loss=loss).fit(X, Y, weights)
    other = make(solver=solver, loss=loss).fit(X, Y, matrix)
    same(one, other)
    if isinstance(loss, str):
        for a, b in zip(one.coefs_, other.coefs_, strict=True):
            assert a.tobytes() == b.tobytes()
        assert one.loss_ == other.loss_
    assert one.score(X, Y, matrix) == pytest.approx(one.score(X, Y, weights), rel=1e-12)


def test_batches_divide_by_the_mean_of_the_sums_of_their_outputs() -> None:
    """One plain step of sgd from the gradient by hand."""
    net = make(
        hidden_layer_sizes=(), solver="sgd", momentum=0.0, alpha=0.0, batch_size=80, max_iter=1
    )
    net.fit(X, Y, WEIGHTS)
    start = make(
        hidden_layer_sizes=(), solver="sgd", momentum=0.0, alpha=0.0, batch_size=80, max_iter=1,
        learning_rate_init=1e-300,
    ).fit(X, Y)  # fmt: skip
    error = (start.predict(X) - Y) * WEIGHTS / (WEIGHTS.sum() / 3)
    np.testing.assert_allclose(net.coefs_[0], start.coefs_[0] - 0.001 * X.T @ error, rtol=1e-10)
    expected = (WEIGHTS * (start.predict(X) - Y) ** 2).sum() / (WEIGHTS.sum() / 3) / 2 / 3
    assert net.loss_ == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("gaps", [True, False])
def test_a_scorer_that_cannot_take_them_is_told_from_the_data(gaps) -> None:
    net = make(early_stopping=True, scoring="r2", missing_targets=gaps)
    y, weights = (np.where(Y > 1, np.nan, Y), None) if gaps else (Y, WEIGHTS)
    with pytest.raises(ValueError, match=r".") as refused:
        net.fit(X, y, weights)
    assert "leave scoring at None" in refused.value.__notes__[0]


def test_partial_fit_and_validation_rows_take_them() -> None:
    matrix = np.repeat(WEIGHTS[:, :1], 3, axis=1)
    nets = [make() for _ in range(2)]
    for net, weights in zip(nets, (WEIGHTS[:, 0], matrix), strict=True):
        net.partial_fit(X, Y, weights).partial_fit(X, Y, weights)
    same(*nets)
    one, other = (
        make(early_stopping=True).fit(
            X, Y, weights, X_val=X[:9], y_val=Y[:9], sample_weight_val=val
        )
        for weights, val in ((WEIGHTS[:, 0], WEIGHTS[:9, 0]), (matrix, matrix[:9]))
    )
    same(one, other)
    np.testing.assert_allclose(one.validation_loss_curve_, other.validation_loss_curve_, rtol=1e-12)
    np.testing.assert_allclose(one.validation_scores_, other.validation_scores_, rtol=1e-10)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones((80, 2)), r"shape \(80,\), one number per row, or \(80, 3\), one per output"),
        (np.ones((79, 3)), "inconsistent numbers of samples"),
        (-np.ones((80, 3)), "at least 0"),
        (np.full((80, 3), np.nan), "sample_weight contains NaN"),
        (np.zeros((80, 3)), "a sum above 0"),
    ],
)
def test_bad_weights_change_nothing(weights, words) -> None:
    net = make()
    with pytest.raises(ValueError, match=words):
        net.fit(X, Y, weights)
    assert not hasattr(net, "coefs_")


def test_losses_of_whole_rows_have_neither() -> None:
    y = np.abs(Y) / np.abs(Y).sum(axis=1, keepdims=True)
    with pytest.raises(ValueError, match="cross_entropy is one for the whole row"):
        make(loss=CrossEntropy()).fit(X, y, WEIGHTS)
    with pytest.raises(ValueError, match="missing_targets=True needs a loss"):
        make(loss=CrossEntropy(), missing_targets=True).fit(X, y)
    labels = np.stack([Y[:, 0] > 0, Y[:, 1] > 0], axis=1)
    with pytest.raises(ValueError, match="1D array or scalar"):
        MLPClassifier().fit(X, labels, WEIGHTS[:, :2])


# ---- missing targets ----


@pytest.mark.parametrize("loss", ["squared_error", "huber", CallableLoss(squares)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_missing_target_is_one_of_weight_0(solver, loss) -> None:
    for given, weights in (
        (None, PRESENT),
        (WEIGHTS, PRESENT * WEIGHTS),
        (WEIGHTS[:, 0], PRESENT * WEIGHTS[:, :1]),
    ):
        one = make(solver=solver, loss=loss, missing_targets=True).fit(X, HOLES, given)
        other = make(solver=solver, loss=loss).fit(X, Y, weights)
        same(one, other, 1e-7)
        assert one.loss_ == pytest.approx(other.loss_, rel=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_rows_without_a_target_have_no_influence(solver) -> None:
    """All rows in one batch, so that nothing else differs."""
    options = {"solver": solver, "batch_size": 80, "shuffle": False, "max_iter": 20}
    more_X, more_Y = np.concatenate([X[:60], 50 * X[60:]]), Y.copy()
    more_Y[60:] = np.nan
    one = make(missing_targets=True, **options).fit(more_X, more_Y)
    other = make(**options | {"batch_size": 60}).fit(X[:60], Y[:60])
    same(one, other, 1e-6)


def test_nothing_missing_changes_nothing() -> None:
    one = make(missing_targets=True).fit(X, Y)
    other = make().fit(X, Y)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one.coefs_, other.coefs_, strict=True))
    assert one.score(X, Y) == other.score(X, Y)
    assert clone(one).missing_targets is True


def test_one_target_may_be_flat() -> None:
    flat = np.where(np.arange(80) % 3 == 0, np.nan, Y[:, 0])
    kept = ~np.isnan(flat)
    options = {"batch_size": 80, "shuffle": False}
    one = make(missing_targets=True, **options).fit(X, flat)
    other = make(**options | {"batch_size": int(kept.sum())}).fit(X[kept], flat[kept])
    same(one, other, 1e-7)
    assert one.predict(X).shape == (80,)
    assert one.score(X, flat) == pytest.approx(one.score(X[kept], flat[kept]), rel=1e-12)
    levels = make(loss=Quantile((0.1, 0.9)), missing_targets=True).fit(X, flat)
    assert levels.predict(X).shape == (80, 2)


@pytest.mark.parametrize("weights", [None, WEIGHTS[:, 0], WEIGHTS])
def test_the_score_is_over_the_targets_that_are_there(weights) -> None:
    net = make(missing_targets=True).fit(X, HOLES)
    predicted = net.predict(X)
    scores = []
    for k in range(3):
        rows = ~GAPS[:, k]
        weight = (
            None
            if weights is None
            else weights.reshape(80, -1)[rows, k % weights.reshape(80, -1).shape[1]]
        )
        scores.append(r2_score(Y[rows, k], predicted[rows, k], sample_weight=weight))
    assert net.score(X, HOLES, weights) == pytest.approx(np.mean(scores), rel=1e-12)
    few = np.full(Y.shape, np.nan)
    few[:, 1] = HOLES[:, 1]
    few[5, 0] = 1.0  # a single target has no R^2
    weight = None if weights is None else weights.reshape(80, -1)
    assert net.score(X, few, weights) == pytest.approx(scores[1], rel=1e-12), weight
    with pytest.warns(UndefinedMetricWarning, match="no output has two targets"):
        assert np.isnan(net.score(X[:1], few[:1] * np.nan))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_early_stopping_goes_by_the_targets_that_are_there(weights) -> None:
    net = make(early_stopping=True, missing_targets=True, max_iter=5, validation_fraction=0.3)
    net.fit(X, HOLES, weights)
    assert np.isfinite(net.validation_scores_).all()
    own = make(early_stopping=True, missing_targets=True, max_iter=5)
    own.fit(X, HOLES, X_val=X[:30], y_val=HOLES[:30])
    assert max(own.validation_scores_) == pytest.approx(own.score(X[:30], HOLES[:30]), rel=1e-10)
    by_loss = make(early_stopping=True, missing_targets=True, max_iter=5, scoring="loss")
    by_loss.fit(X, HOLES, X_val=X[:30], y_val=HOLES[:30])
    known = ~GAPS[:30]
    expected = ((by_loss.predict(X[:30]) - Y[:30])[known] ** 2).mean() / 2
    assert min(by_loss.validation_loss_curve_) == pytest.approx(expected, rel=1e-10)
    with pytest.raises(ValueError, match="those of missing targets"):
        own.fit(X, HOLES, X_val=X[:3], y_val=np.full((3, 3), np.nan))


def test_partial_fit_goes_on_with_gaps() -> None:
    one, other = make(missing_targets=True), make()
    for part in (slice(40), slice(40, 80)):
        one.partial_fit(X[part], HOLES[part])
        other.partial_fit(X[part], Y[part], PRESENT[part])
    same(one, other)


def test_nan_is_refused_without_the_option_which_is_named() -> None:
    net = make()
    for call in (
        lambda: net.fit(X, HOLES),
        lambda: net.partial_fit(X, HOLES),
        lambda: net.fit(X, Y, X_val=X, y_val=HOLES),
    ):
        with pytest.raises(ValueError, match=r"contains NaN\..* set missing_targets=True"):
            call()
    assert not hasattr(net, "coefs_")
    with pytest.raises(ValueError, match="y contains infinity"):
        make(missing_targets=True).fit(X, np.where(GAPS, np.inf, Y))
    with pytest.raises(ValueError, match="those of missing targets"):
        make(missing_targets=True).fit(X, np.full(Y.shape, np.nan))
    with pytest.raises(ValueError, match="'missing_targets' parameter"):
        make(missing_targets="yes").fit(X, Y)


def test_a_search_takes_gaps() -> None:
    search = GridSearchCV(make(missing_targets=True), {"alpha": [1e-4, 1e-2]}, cv=KFold(3))
    search.fit(X, HOLES)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ---- one class ----


@pytest.mark.parametrize("labels", [["a"] * 8, [3] * 8, [True] * 8])
def test_one_class_has_one_column(labels) -> None:
    net = MLPClassifier(hidden_layer_sizes=(3,), max_iter=3, random_state=0).fit(X[:8], labels)
    assert net.classes_.tolist() == labels[:1]
    assert net.predict(X).tolist() == labels[:1] * 80
    assert np.array_equal(net.predict_proba(X), np.ones((80, 1)))
    assert np.array_equal(net.predict_log_proba(X), np.zeros((80, 1)))
    assert net.predict_proba(X.astype("float32")).shape == (80, 1)


@pytest.mark.parametrize("labels", ["a", 3])
def test_early_stopping_scores_the_one_class_that_is_predicted(labels) -> None:
    for kind in (TheirClassifier, MLPClassifier):
        net = kind(hidden_layer_sizes=(), max_iter=3, early_stopping=True, random_state=7)
        net.fit(X, [labels] * 80)
        assert net.validation_scores_ == [1.0] * 3
        assert net.best_validation_score_ == net.score(X, [labels] * 80) == 1.0


def test_probabilities_of_folds_with_one_class_stand_in_their_columns() -> None:
    y = np.array(["a"] * 20 + ["b"] * 20)
    order = np.r_[0:20, 20:40]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "Number of classes in training fold")
        found = cross_val_predict(
            MLPClassifier(hidden_layer_sizes=(3,), max_iter=3, random_state=0), X[order], y[order],
            cv=KFold(2), method="predict_proba",
        )  # fmt: skip
    expected = np.zeros((40, 2))
    expected[:20, 1] = 1.0  # trained on the rows of b alone
    expected[20:, 0] = 1.0
    assert np.array_equal(found, expected)


def test_one_against_the_rest_takes_it() -> None:
    y = np.repeat([[1, 0], [1, 1]], 20, axis=0)
    net = OneVsRestClassifier(MLPClassifier(hidden_layer_sizes=(3,), max_iter=3, random_state=0))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Label 0 is present in all training examples")
        net.fit(X[:40], y)
    assert net.predict_proba(X[:40]).shape == (40, 2)
