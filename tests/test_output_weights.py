"""Weights of single outputs, and targets that are missing: those weigh nothing."""

from __future__ import annotations

import copy
import math
import pickle
import warnings

import helpers
import numpy as np
import oracle
import pytest
from helpers import DTYPES, long_uncompiled

from fastbp import MLP, SGD, Adam, explain, find_learning_rate, gradcheck, graph
from fastbp.fit import sources
from fastbp.fit.between_epochs import Options
from fastbp.fit.data import Examples
from fastbp.fit.fit import fit
from fastbp.fit.limits import Limits
from fastbp.insight.diagnose import diagnose
from fastbp.model.losses import BinaryCrossEntropy, CallableLoss, Huber, Quantile

ROWS = 60
SHAPE = (ROWS, 3)


def squares(y_pred, y, sample_weight=None):
    """Half the squared error in Python."""
    weights = np.ones((len(y), 1)) if sample_weight is None else sample_weight.reshape(len(y), -1)
    shares = weights / (weights.sum() / weights.shape[1])
    return float((shares * (y_pred - y) ** 2).sum() / 2), shares * (y_pred - y)


Y_PRED, Y = graph.variables("y_pred y")
BUILT_IN = {
    "squared_error": "squared_error",
    "absolute_error": "absolute_error",
    "huber": Huber(0.5),
    "quantile": Quantile((0.2, 0.5, 0.9)),
    "hinge": "hinge",
    "poisson": "poisson",
    "gamma": "gamma",
    "binary_cross_entropy": BinaryCrossEntropy(label_smoothing=0.1),
}
LOSSES = {**BUILT_IN, "in Python": CallableLoss(squares), "graph": (Y_PRED - Y) ** 2 / 2}
each_loss = pytest.mark.parametrize("loss", LOSSES)


def make(loss="squared_error", **options):
    """A net of 5-7-3."""
    return helpers.make(
        (5, 7, 3), loss=LOSSES[loss], **({"seed": 3, "optimizer": SGD(0.05)} | options)
    )


def data(loss="squared_error", rows=ROWS):
    """X, y, and weights of which a third are 0."""
    rng = np.random.default_rng([1, rows])
    X = rng.normal(size=(rows, 5))
    if loss == "hinge":
        y = rng.choice([-1.0, 1.0], (rows, 3))
    elif loss == "gamma":
        y = rng.gamma(2.0, size=(rows, 3)) + 0.1
    elif loss == "poisson":
        y = rng.poisson(2.0, (rows, 3)).astype(float)
    else:
        y = rng.random((rows, 3))
    return X, y, rng.gamma(0.5, size=(rows, 3)) * rng.choice([0.0, 1.0, 1.0], (rows, 3))


def with_gaps(y, weights):
    """The targets with NaN where the weights are 0."""
    return np.where(weights > 0, y, np.nan)


# ---- weights of outputs ----


@pytest.mark.parametrize("loss", BUILT_IN)
@pytest.mark.parametrize("rows", [1, 7, 60, 600])
def test_loss_and_gradient_agree_with_the_oracle(loss, rows) -> None:
    X, y, weights = data(loss, rows)
    weights[0, 1] = 2.0
    net = make(loss, l2=0.01)
    value, grad = net.loss_and_grad(X, y, weights)
    expected = oracle.loss_and_grad(oracle.net_of(net), net.params, X, y, weights)
    assert value == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(grad, expected[1], rtol=1e-9, atol=1e-12)
    assert net.loss(X, y, weights) == value
    assert value != pytest.approx(net.loss(X, y, weights.mean(axis=1)), rel=1e-6)


@long_uncompiled
@pytest.mark.parametrize("dtype", DTYPES)
@each_loss
def test_gradients_agree_with_differences(loss, dtype) -> None:
    X, y, weights = data(loss, 11)
    net = make(loss, dtype=dtype)
    found = gradcheck(net, X, y, weights)
    assert found.error < (1e-7 if dtype == "float64" else 1e-3)
    assert found.checked > 50


@pytest.mark.parametrize("dtype", DTYPES)
@each_loss
def test_equal_columns_are_weights_of_the_rows(loss, dtype) -> None:
    """To the bit, and weights of one are none."""
    X, y, weights = data(loss)
    X, y = X.astype(dtype), y.astype(dtype)
    of_rows = weights[:, 0] + 0.3
    for plain, matrix in (
        (of_rows, np.repeat(of_rows[:, np.newaxis], 3, axis=1)),
        (None, np.ones(SHAPE)),
    ):
        nets = [make(loss, dtype=dtype) for _ in range(2)]
        found = [
            (
                *net.loss_and_grad(X, y, given),
                net.step(X, y, given),
                net.fit(X, y, epochs=2, batch_size=7, sample_weight=given).loss,
                net.fit(X, y, epochs=2, validation_fraction=0.3, sample_weight=given)["val_loss"],
                net.params,
            )
            for net, given in zip(nets, (plain, matrix), strict=True)
        ]
        if loss in BUILT_IN:
            for one, other in zip(*found, strict=True):
                assert np.array_equal(one, other)
        else:
            for one, other in zip(*found, strict=True):
                np.testing.assert_allclose(
                    one,
                    other,
                    rtol=1e-4 if dtype == "float32" else 1e-12,
                    atol=1e-6 if dtype == "float32" else 1e-12,
                )


@each_loss
@pytest.mark.parametrize("batch_size", [1, 10, 60])
def test_an_epoch_of_small_steps_goes_down_the_gradient_of_the_loss(loss, batch_size) -> None:
    """Whatever the batch size: the sum of the updates is that of the gradient of all rows."""
    X, y, weights = data(loss)
    rate = 1e-8
    net = make(loss, optimizer=SGD(rate))
    value, grad = net.loss_and_grad(X, y, weights)
    before = net.params.copy()
    history = net.fit(X, y, epochs=1, batch_size=batch_size, sample_weight=weights)
    moved = (before - net.params) / (rate * ROWS / batch_size)
    np.testing.assert_allclose(moved, grad, rtol=0, atol=2e-5 * abs(grad).max())
    assert history.loss[0] == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("loss", BUILT_IN)
@pytest.mark.parametrize("batch_size", [1, 8, 600])
def test_a_fit_agrees_with_the_oracle(loss, batch_size) -> None:
    """In a random order of the rows."""
    X, y, weights = data(loss, 700 if batch_size == 600 else 50)
    net = make(loss, optimizer=SGD(0.01))
    stream = oracle.RandomStream(net.state.random[0])
    orders = [stream.permutation(len(X)) for _ in range(2)]
    expected, losses, _ = oracle.fit(net, X, y, 2, batch_size, None, orders, weights)
    history = net.fit(X, y, epochs=2, batch_size=batch_size, sample_weight=weights)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-10)
    np.testing.assert_allclose(net.params, expected, rtol=1e-7, atol=1e-10)


def test_an_activation_in_python_changes_nothing() -> None:
    X, y, weights = data()
    net = make()
    other = make(activation=lambda z: (np.tanh(z), 1 - np.tanh(z) ** 2))
    for one in (net, other):
        one.fit(X, y, epochs=2, batch_size=7, sample_weight=weights)
    np.testing.assert_allclose(net.params, other.params, rtol=1e-10, atol=1e-13)
    assert net.history.loss == pytest.approx(other.history.loss, rel=1e-12)


def test_a_step_divides_by_the_rows() -> None:
    X, y, _ = data()
    weights = np.zeros(SHAPE)
    weights[3, 1] = 1e-6
    net = make()
    error = net.predict(X)[3, 1] - y[3, 1]
    before = net.params.copy()
    assert net.step(X, y, weights) == pytest.approx(1e-6 * error**2 / 2 / ROWS, rel=1e-9)
    moved = net.biases[1] - (before[-3:])
    assert moved.tolist() == pytest.approx([0, -0.05 * 1e-6 * error / ROWS, 0], rel=1e-6, abs=1e-30)


@pytest.mark.parametrize("loss", ["cross_entropy", "rows"])
def test_a_loss_of_whole_rows_has_no_weights_of_outputs(loss) -> None:
    X, y, weights = data()
    if loss == "cross_entropy":
        y, name = y.argmax(axis=1), "cross_entropy"
    else:
        difference = graph.vector("y_pred", 3) - graph.vector("y", 3)
        loss, name = graph.sum(difference**2), "graph"
    words = rf"{name} is one for the whole row\. (Pass one number|Leave out)"
    with pytest.raises(ValueError, match=words):
        MLP((5, 3), loss=loss, missing_targets=True)
    net = MLP((5, 3), loss=loss, seed=0)
    kept = helpers.state(net)
    for call in (net.loss, net.step, net.loss_and_grad):
        with pytest.raises(ValueError, match=words):
            call(X, y, weights)
    with pytest.raises(ValueError, match=words):
        net.fit(X, y, sample_weight=weights)
    assert helpers.state(net) == kept


# ---- missing targets ----


@each_loss
def test_a_missing_target_is_one_of_weight_0(loss) -> None:
    X, y, weights = data(loss)
    present = (weights > 0).astype(float)
    gaps = with_gaps(y, weights)
    net, other = make(loss, missing_targets=True), make(loss)
    for given, same in (
        (None, present),
        (weights, weights),
        (weights[:, 0] + 1, present * (weights[:, :1] + 1)),
    ):
        value, grad = net.loss_and_grad(X, gaps, given)
        expected, same_grad = other.loss_and_grad(X, y, same)
        assert value == pytest.approx(expected, rel=1e-14)
        np.testing.assert_allclose(grad, same_grad, rtol=1e-12, atol=1e-15)
        assert net.step(X, gaps, given) == pytest.approx(other.step(X, y, same), rel=1e-12)
        one = net.fit(X, gaps, epochs=2, batch_size=7, sample_weight=given)
        two = other.fit(X, y, epochs=2, batch_size=7, sample_weight=same)
        np.testing.assert_allclose(one.loss, two.loss, rtol=1e-12)
        np.testing.assert_allclose(net.params, other.params, rtol=1e-10, atol=1e-14)


def test_missing_terms_are_dropped_by_hand() -> None:
    X, y, weights = data()
    gaps = with_gaps(y, weights)
    net = make(missing_targets=True)
    squared = (net.predict(X) - y) ** 2 / 2
    present = weights > 0
    assert net.loss(X, gaps) == pytest.approx(squared[present].mean() * 3, rel=1e-12)
    assert net.step(X, gaps) == pytest.approx(squared[present].sum() / ROWS, rel=1e-12)


@each_loss
def test_a_row_of_missing_targets_has_no_influence(loss) -> None:
    X, y, _ = data(loss)
    net = make(loss, missing_targets=True)
    other = copy.deepcopy(net)
    more_X = np.concatenate([X, 100 * X[:20]])
    more_y = np.concatenate([y, np.full((20, 3), np.nan)])
    value, grad = net.loss_and_grad(more_X, more_y)
    expected, same = net.loss_and_grad(X, y)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(grad, same, rtol=1e-10, atol=1e-14)
    net.fit(more_X, more_y, epochs=3, batch_size=80)
    other.fit(X, y, epochs=3, batch_size=60)
    np.testing.assert_allclose(net.params, other.params, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("loss", ["squared_error", "in Python"])
def test_a_batch_without_targets_does_nothing(loss) -> None:
    X, y, _ = data()
    net = make(loss, missing_targets=True)
    kept = net.params.copy()
    assert net.step(X, np.full(SHAPE, np.nan)) == 0.0
    assert net.params.tobytes() == kept.tobytes()
    for call in (net.loss, net.loss_and_grad, net.fit):
        with pytest.raises(ValueError, match="all weights are 0, and so are those of missing"):
            call(X, np.full(SHAPE, np.nan))
    assert net.params.tobytes() == kept.tobytes()


@pytest.mark.parametrize("missing", [np.nan, None])
def test_one_output_may_be_flat(missing) -> None:
    X, y, _ = data()
    flat = [missing if i % 3 == 0 else value for i, value in enumerate(y[:, 0])]
    kept = np.arange(ROWS) % 3 != 0
    net = helpers.make((5, 4, 1), missing_targets=True)
    expected = net.loss(X[kept], y[kept, 0])
    assert net.loss(X, flat) == pytest.approx(expected, rel=1e-13)
    weights = np.ones((ROWS, 1))
    assert net.loss(X, flat, weights) == pytest.approx(expected, rel=1e-13)


def test_several_levels_share_a_column_with_gaps() -> None:
    X, y, weights = data("quantile")
    column = np.where(np.arange(ROWS) % 4 == 0, np.nan, y[:, 0])
    kept = ~np.isnan(column)
    net = make("quantile", missing_targets=True)
    assert net.loss(X, column) == pytest.approx(net.loss(X[kept], column[kept]), rel=1e-13)
    expected = net.loss(X[kept], column[kept], weights[kept])  # weights are those of the outputs
    assert net.loss(X, column[:, np.newaxis], weights) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("loss", BUILT_IN)
def test_nan_is_refused_without_the_option_which_is_named(loss) -> None:
    X, y, weights = data(loss)
    net = make(loss)
    kept = helpers.state(net)
    for call in (net.loss, net.step, net.fit):
        with pytest.raises(ValueError, match=r"y holds nan at row .* with missing_targets=True$"):
            call(X, with_gaps(y, weights))
        infinite = np.where(weights > 0, y, np.inf)
        with pytest.raises(ValueError, match=r"first$"):
            call(X, infinite)
    assert helpers.state(net) == kept
    with pytest.raises(ValueError, match="y holds inf"):
        make(loss, missing_targets=True).fit(X, infinite)


def test_the_option_is_checked_shown_and_pickled() -> None:
    with pytest.raises(TypeError, match="missing_targets must be True or False"):
        make(missing_targets="yes")
    net = make(missing_targets=True)
    assert "missing_targets=True" in repr(net)
    assert "missing" not in repr(make())
    assert pickle.loads(pickle.dumps(net)).missing_targets is True
    assert pickle.loads(pickle.dumps(make())).missing_targets is False


# ---- where rows come from ----


def options(weights):
    return {"epochs": 2, "batch_size": 8, "shuffle": False, "sample_weight": weights}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gaps", [False, True])
def test_every_source_trains_the_same(weighted, gaps, tmp_path) -> None:
    """Memory, an augmentation, a file; and an iterable of batches with weights scaled by hand."""
    X, y, weights = data()
    given = weights + 0.1 if weighted else None
    targets = with_gaps(y, weights) if gaps else y
    in_memory = make(missing_targets=gaps)
    expected = in_memory.fit(X, targets, **options(given)).loss

    augmented = make(missing_targets=gaps)
    augmented.fit(X, targets, augment=lambda rows, rng: rows, **options(given))
    np.testing.assert_allclose(augmented.params, in_memory.params, rtol=1e-12, atol=1e-15)

    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", targets)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    mapped_y = np.load(tmp_path / "y.npy", mmap_mode="r")
    limits = Limits(part_bytes=16 * X[0].nbytes, block_bytes=8 * X[0].nbytes)
    assert sources.is_on_disk(mapped, limits)
    for read_y in (targets, mapped_y):
        from_file = make(missing_targets=gaps)
        history = fit(
            from_file, Examples(mapped, read_y, given), 2, 8, False, Options(),
            limits=limits,
        )  # fmt: skip
        np.testing.assert_allclose(from_file.params, in_memory.params, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(history.loss, expected, rtol=1e-12)

    scaled = (np.ones(SHAPE) if given is None else given) * ~np.isnan(targets)
    scaled /= scaled.mean()
    parts = [slice(first, first + 8) for first in range(0, ROWS, 8)]
    streamed = make(missing_targets=gaps)
    streamed.fit([(X[part], targets[part], scaled[part]) for part in parts], epochs=2)
    np.testing.assert_allclose(streamed.params, in_memory.params, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("method", ["gradient_descent", "lbfgs", "rprop"])
def test_methods_minimise_the_loss_of_the_targets_that_are_there(method) -> None:
    pytest.importorskip("scipy")
    X, y, weights = data()
    one = make(missing_targets=True, optimizer=Adam())
    two = copy.deepcopy(one)
    one.fit(X, with_gaps(y, weights), method=method, epochs=5, sample_weight=weights)
    two.fit(X, y, method=method, epochs=5, sample_weight=weights)
    np.testing.assert_allclose(one.params, two.params, rtol=1e-9, atol=1e-12)
    assert one.history.loss[-1] == pytest.approx(one.loss(X, y, weights), rel=1e-12)


def test_validation_data_and_metrics_leave_missing_targets_out() -> None:
    X, y, weights = data()
    gaps = with_gaps(y, weights)
    seen = []

    def largest(y_true, y_pred):
        seen.append(np.isnan(y_true).sum())
        return float(np.nanmax(np.abs(y_true - y_pred)))

    net = make(missing_targets=True)
    history = net.fit(
        X, gaps, epochs=2, validation_data=(X[:20], gaps[:20], weights[:20]), patience=5,
        metrics=["mean_squared_error", "mean_absolute_error", "r2", largest],
    )  # fmt: skip
    known = ~np.isnan(gaps)
    best = net.predict(X)
    assert history["val_loss"][-1] == pytest.approx(net.loss(X[:20], y[:20], weights[:20]))
    assert history["mean_squared_error"][-1] == pytest.approx(((best - y)[known] ** 2).mean())
    assert history["mean_absolute_error"][-1] == pytest.approx(abs(best - y)[known].mean())
    scores = []
    for k in range(3):
        t, p = y[known[:, k], k], best[known[:, k], k]
        scores.append(1 - ((t - p) ** 2).sum() / ((t - t.mean()) ** 2).sum())
    assert history["r2"][-1] == pytest.approx(np.mean(scores))
    assert history["largest"][-1] == pytest.approx(abs(best - y)[known].max())
    assert seen[0] == (~known).sum()
    with pytest.raises(ValueError, match=r"validation_data: .*and so are those of missing"):
        net.fit(X, gaps, validation_data=(X[:2], gaps[:2] * np.nan))
    alone = np.full(SHAPE, np.nan)
    alone[0] = y[0]
    with pytest.raises(ValueError, match=r"after the split by validation_fraction: sample_weight"):
        net.fit(X, alone, validation_fraction=0.5)


# ---- insight ----


def test_insight_takes_missing_targets() -> None:
    X, y, weights = data()
    gaps = with_gaps(y, weights)
    gaps[:, 2] = np.nan  # an output without any
    net = make(missing_targets=True, optimizer=Adam())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = diagnose(net, X, gaps)
        assert find_learning_rate(net, X, gaps, updates=20).suggestion > 0
        with_weights = diagnose(net, X, gaps, np.where(weights > 0, weights, 1.0))
    assert found.loss == pytest.approx(net.loss(X, gaps), rel=1e-12)
    assert math.isfinite(with_weights.loss)
    assert gradcheck(net, X[:9], gaps[:9]).error < 1e-7
    with pytest.raises(ValueError, match="explain needs all targets of a sample"):
        explain(net, X[0], [0.5, np.nan, 0.1])
