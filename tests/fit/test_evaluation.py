"""`MLP.score` and `MLP.evaluate`: values by hand, by scikit-learn, and as in a history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import metrics as peers

import fastbp
from fastbp import MLP, graph

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 3))
WEIGHTS = rng.uniform(0.1, 3.0, size=60)
NUMBERS = X @ rng.normal(size=(3, 2)) + rng.normal(scale=0.3, size=(60, 2))
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)


def trained(y: Any, outputs: int, loss: Any, **options: Any) -> MLP:
    net = MLP((3, 8, outputs), loss=loss, dtype="float64", seed=0, **options)
    net.fit(X, y, epochs=5)
    return net


# ---- score ---------------------------------------------------------------------------------------


def squared(y_pred, y, sample_weight=None):
    weight = np.ones((len(y), 1)) if sample_weight is None else sample_weight.reshape(len(y), -1)
    return (weight * (y_pred - y) ** 2).sum() / len(y), 2 * weight * (y_pred - y) / len(y)


def symbolic():
    y_pred, y = graph.variables("y_pred y")
    return (y_pred - y) ** 2


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(
    "loss",
    ["squared_error", "absolute_error", "huber", "quantile", squared, symbolic()],
    ids=lambda loss: getattr(loss, "__name__", str(loss))[:10],
)
def test_numbers_have_r2(loss, weights) -> None:
    net = trained(NUMBERS, 2, loss)
    expected = peers.r2_score(NUMBERS, net.predict(X), sample_weight=weights)
    assert net.score(X, NUMBERS, weights) == pytest.approx(expected, rel=1e-12)
    assert net.score(sparse.csr_array(X), NUMBERS, weights) == pytest.approx(expected, rel=1e-9)


def test_one_output_takes_a_column_and_a_flat_array() -> None:
    y = NUMBERS[:, 0]
    net = trained(y, 1, "squared_error")
    expected = peers.r2_score(y, net.predict(X))
    for targets in (y, y.reshape(-1, 1), y.tolist()):
        assert net.score(X, targets) == pytest.approx(expected, rel=1e-12)
        found = net.evaluate(X, targets, metrics="r2")
        assert found["r2"] == net.score(X, targets)


@pytest.mark.parametrize("loss", ["poisson", "gamma"])
def test_counts_have_r2(loss) -> None:
    y = np.exp(NUMBERS[:, :1])
    net = trained(y, 1, loss)
    assert net.score(X, y) == pytest.approx(peers.r2_score(y, net.predict(X)), rel=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_classes_have_an_accuracy(weights) -> None:
    net = trained(LABELS, 3, "cross_entropy")
    classes = net.predict(X).argmax(axis=1)
    expected = peers.accuracy_score(LABELS, classes, sample_weight=weights)
    assert 0.3 < expected < 1
    for y in (LABELS, np.eye(3)[LABELS], 0.9 * np.eye(3)[LABELS] + 0.1 / 3):
        assert net.score(X, y, weights) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize(("loss", "no"), [("binary_cross_entropy", 0), ("hinge", -1)])
def test_two_classes_of_one_output(loss, no, weights) -> None:
    y = np.where(X[:, 0] + 0.5 * X[:, 1] > 0.4, 1, no)
    net = trained(y, 1, loss)
    said = np.where(net.predict(X).ravel() > (1 + no) / 2, 1, no)
    expected = peers.accuracy_score(y, said, sample_weight=weights)
    assert 0.3 < expected < 1
    assert net.score(X, y, weights) == pytest.approx(expected, rel=1e-12)
    assert net.score(X, y.reshape(-1, 1), weights) == pytest.approx(expected, rel=1e-12)
    ones = y == 1  # alone they do not tell how the other class is written
    assert net.score(X[ones], y[ones]) == (said[ones] == 1).mean()


def test_hinge_decides_at_0_exactly() -> None:
    net = MLP((1, 1), loss="hinge", seed=0)
    net.params[:] = [1.0, 0.0]
    assert net.score([[1e-30], [-1e-30], [0.25]], [1, -1, 1]) == 1.0


@pytest.mark.parametrize(("loss", "no"), [("binary_cross_entropy", 0), ("hinge", -1)])
def test_several_labels_of_a_row(loss, no) -> None:
    y = np.where(X + rng.normal(size=X.shape) > 0, 1, no)
    net = trained(y, 3, loss)
    right = (net.predict(X) > (1 + no) / 2) == (y == 1)
    assert net.score(X, y) == pytest.approx(right.mean())
    each = rng.uniform(size=y.shape)
    assert net.score(X, y, each) == pytest.approx(np.average(right, weights=each))
    assert net.score(X, y, WEIGHTS) == pytest.approx(
        np.average(right.mean(axis=1), weights=WEIGHTS)
    )


@pytest.mark.parametrize(("loss", "no"), [("binary_cross_entropy", 0), ("hinge", -1)])
def test_one_class_of_a_row_with_an_output_for_each(loss, no) -> None:
    y = np.where(np.eye(3)[LABELS] == 1, 1, no)
    net = trained(y, 3, loss)
    assert net.score(X, y) == (net.predict(X).argmax(axis=1) == LABELS).mean()


def test_targets_that_are_missing_do_not_count() -> None:
    gaps = rng.random(NUMBERS.shape) < 0.4
    y = np.where(gaps, np.nan, NUMBERS)
    net = trained(y, 2, "squared_error", missing_targets=True)
    outputs = net.predict(X)
    by_output = [
        peers.r2_score(y[rows, k], outputs[rows, k], sample_weight=WEIGHTS[rows])
        for k, rows in enumerate(~gaps.T)
    ]
    assert net.score(X, y, WEIGHTS) == pytest.approx(np.mean(by_output), rel=1e-12)
    yes = np.where(gaps, np.nan, NUMBERS > 0)
    net = trained(yes, 2, "binary_cross_entropy", missing_targets=True)
    right = (net.predict(X) > 0.5) == (NUMBERS > 0)
    assert net.score(X, yes) == pytest.approx(right[~gaps].mean())
    with pytest.raises(ValueError, match="missing_targets=True"):
        trained(NUMBERS, 2, "squared_error").score(X, y)


def test_each_quantile_is_scored_against_the_one_column() -> None:
    y = NUMBERS[:, 0]
    net = trained(y, 2, fastbp.Quantile([0.2, 0.8]))
    expected = peers.r2_score(np.column_stack([y, y]), net.predict(X))
    assert net.score(X, y) == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(X, y, metrics="r2")["r2"] == net.score(X, y)
    history = net.fit(X, y, epochs=1, metrics="r2")
    assert history["r2"][-1] == net.score(X, y)


def test_far_from_0_the_targets_keep_their_digits() -> None:
    net = MLP((1, 1), seed=0)  # float32
    net.params[:] = [1.0, 2.0**24]
    y = np.array([0.0, 1.0, 2.0, 3.0]) + 2.0**24
    rows = [[0], [0], [2], [2]]
    assert net.score(rows, y) == peers.r2_score(y, net.predict(rows))


# ---- evaluate ------------------------------------------------------------------------------------


def wrong(y_true, y_pred):
    assert not y_true.flags.writeable
    return (y_pred.argmax(axis=1) != y_true).mean()


@pytest.mark.parametrize("weights", [(), (WEIGHTS[40:],)], ids=["plain", "weighted"])
@pytest.mark.parametrize("dense", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_it_gives_what_a_history_has(dense, weights) -> None:
    net = MLP((3, 8, 3), loss="cross_entropy", l2=0.1, dropout=0.2, seed=0)
    metrics = ["accuracy", wrong]
    rows = dense(X[40:]), LABELS[40:]
    history = net.fit(
        dense(X[:40]), LABELS[:40], epochs=3, metrics=metrics, validation_data=(*rows, *weights)
    )
    before = net.params.copy()
    found = net.evaluate(*rows, metrics=metrics, sample_weight=weights[0] if weights else None)
    assert list(found) == ["loss", "accuracy", "wrong"]
    assert found == {name: history[f"val_{name}"][-1] for name in found}
    assert found["loss"] == net.loss(*rows, *weights)
    assert all(type(value) is float for value in found.values())
    assert net.evaluate(*rows) == {"loss": net.loss(*rows)}
    assert np.array_equal(net.params, before)


def test_training_rows_are_measured_by_their_weights() -> None:
    net = MLP((3, 8, 3), loss="cross_entropy", seed=0)
    history = net.fit(
        X, LABELS, epochs=2, sample_weight=WEIGHTS, metrics=["accuracy", wrong],
        validation_data=(X, LABELS, 5 * WEIGHTS),
    )  # fmt: skip
    score = net.score(X, LABELS, WEIGHTS)
    assert history["accuracy"][-1] == score
    assert history["val_accuracy"][-1] == pytest.approx(score, rel=1e-12)
    assert score != net.score(X, LABELS)
    assert history["wrong"][-1] == pytest.approx(1 - net.score(X, LABELS))


def test_hinge_has_an_accuracy_in_a_fit_too() -> None:
    y = np.where(X[:, 0] > 0.2, 1, -1)
    net = MLP((3, 1), loss="hinge", seed=0)
    history = net.fit(X, y, epochs=2, metrics="accuracy")
    assert history["accuracy"][-1] == net.score(X, y)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((X[:, :2], NUMBERS), {}, ValueError, r"X must have shape \(rows, 3\)"),
        ((X, NUMBERS[:5]), {}, ValueError, "same number of rows; got 60 and 5"),
        ((X, NUMBERS[:, 0]), {}, ValueError, "y must have shape"),
        ((X * np.nan, NUMBERS), {}, ValueError, "X holds nan at row 0"),
        ((X, NUMBERS * np.nan), {}, ValueError, "y holds nan at row 0"),
        ((X, NUMBERS), {"sample_weight": -WEIGHTS}, ValueError, "sample_weight must hold finite"),
        ((X, NUMBERS), {"sample_weight": 0 * WEIGHTS}, ValueError, "sum above 0"),
        ((X, NUMBERS), {"sample_weight": WEIGHTS[:3]}, ValueError, r"must have shape \(60,\)"),
        ((X, NUMBERS.astype(str)), {}, (TypeError, ValueError), "y"),
    ],
)
def test_bad_input(arguments, options, error, words) -> None:
    net = MLP((3, 2), seed=0)
    for method in (net.score, net.evaluate):
        with pytest.raises(error, match=words):
            method(*arguments, **options)


def test_bad_metrics() -> None:
    net = MLP((3, 2), seed=0)
    with pytest.raises(ValueError, match="got 'mse'. Write 'mean_squared_error'"):
        net.evaluate(X, NUMBERS, metrics="mse")
    with pytest.raises(TypeError, match="Write metrics='r2'"):
        net.evaluate(X, NUMBERS, metric="r2")
    with pytest.raises(TypeError) as caught:
        net.evaluate(X, NUMBERS, metrics=[lambda y_true, y_pred: None])
    assert caught.value.__notes__ == ["in the metric '<lambda>', which must return a number"]
