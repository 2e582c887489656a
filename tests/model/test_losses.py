"""Losses as objects: names, numbers, checks of the targets; a net of each learns."""

from __future__ import annotations

import dataclasses
import pickle
import re

import numpy as np
import pytest

from fastbp import MLP, SGD, checks
from fastbp.kernels import losses as kernels
from fastbp.model.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CallableLoss,
    CrossEntropy,
    Gamma,
    Hinge,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
    as_loss,
)

INF, NAN = float("inf"), float("nan")
F4 = np.dtype("float32")
X = np.arange(12.0).reshape(4, 3) / 12
ALL = tuple(LOSSES.values())


def half(y_pred, y):
    return 0.5, y_pred - y


def test_names_codes_and_activations():
    for name, kind in LOSSES.items():
        assert kind.name == name
        assert kind.code == getattr(kernels, name.upper())
        assert as_loss(name) == kind()
        assert hash(kind()) == hash(kind())
        assert pickle.loads(pickle.dumps(kind())) == kind()
    matching = {kind.name: (kind.activation, kind.from_logits) for kind in ALL}
    assert matching.pop("poisson") == matching.pop("gamma") == ("exp", True)
    assert matching.pop("binary_cross_entropy") == ("sigmoid", True)
    assert matching.pop("cross_entropy") == ("softmax", True)
    assert set(matching.values()) == {("identity", False)}


@pytest.mark.parametrize("kind", ALL)
def test_kinks(kind):
    """A loss is kinked where its delta, or the slope of its delta, jumps."""
    net = MLP((1, 2), loss=kind(), dtype="float64", weight_init="zeros", seed=0)
    y = [1] if kind is CrossEntropy else [[1.0, 1.0]]
    h, deltas = 1e-3, []
    for z in np.arange(-4.0, 4.0, h):
        net.biases[0][0] = z
        deltas.append(net.loss_and_grad([[0.0]], y)[1][-2])
    sharpest = np.abs(np.diff(deltas, 2)).max() / h
    assert kind.kinked == (sharpest > 0.1), sharpest


def test_a_loss_by_name_as_it_is_or_a_function():
    loss = Huber(0.5)
    assert as_loss(loss) is loss
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.delta = 1.0
    assert as_loss(half) == CallableLoss(half)
    assert as_loss(half).code == kernels.CALLABLE
    assert MLP((3, 2), loss=loss).loss_name == "huber"
    with pytest.raises(ValueError, match="loss must be one of 'squared_error', .*; got 'mse'"):
        as_loss("mse")
    for bad in (None, 3, Huber, float):
        words = "loss must be a name .*Huber\\(delta=0.5\\).* or a function.*; got "
        with pytest.raises(TypeError, match=words + re.escape(checks.described(bad))):
            as_loss(bad)


def test_defaults_and_parameters():
    assert Huber() == Huber(delta=1.0)
    assert Quantile() == Quantile(levels=0.5)
    assert Huber(0.25).parameters(3).tolist() == [0.25] * 3
    assert Quantile(0.25).parameters(3).tolist() == [0.25] * 3
    assert Quantile([0.25]).parameters(2).tolist() == [0.25] * 2
    assert Quantile((0.1, 0.5)).parameters(2).tolist() == [0.1, 0.5]
    assert Quantile(np.array([0.25, 0.5])) == Quantile((0.25, 0.5))
    assert SquaredError().parameters(5).tolist() == [1.0]
    for kind in (AbsoluteError, Hinge, Poisson, Gamma):
        assert kind().parameters(5).size == 0
    assert CrossEntropy().parameters(4).tolist() == [1.0, 0.0, np.inf]
    assert CrossEntropy(0.5).parameters(4).tolist() == [0.5, 0.125, np.inf]
    assert BinaryCrossEntropy().parameters(4).tolist() == [1.0, 0.0, np.inf]
    assert BinaryCrossEntropy(0.5).parameters(1).tolist() == [0.5, 0.25, np.inf]
    assert BinaryCrossEntropy(0.5).parameters(7).tolist() == [0.5, 0.25, np.inf]
    for kind in ALL:
        assert kind().parameters(3).dtype == np.float64


BAD = [
    (Huber, 0, ValueError, "delta must be a finite number above 0; got 0"),
    (Huber, -1.0, ValueError, "delta must be .* above 0; got -1.0"),
    (Huber, INF, ValueError, "delta must be a finite number above 0; got inf"),
    (Huber, NAN, ValueError, "delta must be .*; got nan"),
    (Huber, 10**400, ValueError, "delta must be a finite number above 0; got 1000"),
    (Huber, True, TypeError, "delta must be a number, a finite number above 0; got True"),
    (Huber, "1", TypeError, "delta must be a number, a finite number above 0; got '1'"),
    (Quantile, 0.0, ValueError, "levels must be above 0 and below 1; got 0.0"),
    (Quantile, 1, ValueError, "levels must be above 0 and below 1; got 1"),
    (Quantile, [0.5, 1.5], ValueError, "levels must be above 0 and below 1; got 1.5"),
    (Quantile, NAN, ValueError, "levels must be .*; got nan"),
    (Quantile, [], ValueError, "levels must hold at least one number"),
    (Quantile, "0.5", TypeError, "levels must be a number or a sequence of numbers; got '0.5'"),
    (Quantile, b"\x01", TypeError, "levels must be a number or a sequence"),
    (Quantile, None, TypeError, "levels must be a number.*; got None"),
    (Quantile, True, TypeError, "levels must be a number.*; got True"),
    (Quantile, {0.5}, TypeError, "levels must be a number"),
    (Quantile, np.array(0.5), TypeError, "levels must be a number"),
    (Quantile, [[0.1], [0.2, 0.3]], TypeError, "levels must be a number"),
    (Quantile, [0.5, None], TypeError, "levels must be a number.*; got None"),
]
BAD += [
    (kind, bad, error, "label_smoothing must be .*at least 0 and below 1; got ")
    for kind in (BinaryCrossEntropy, CrossEntropy)
    for bad, error in ((1, ValueError), (-0.1, ValueError), (NAN, ValueError), ("a", TypeError))
]


@pytest.mark.parametrize(("kind", "bad", "error", "words"), BAD, ids=lambda x: str(x)[:20])
def test_bad_hyper_parameters(kind, bad, error, words):
    with pytest.raises(error, match=words):
        kind(bad)


# ---- targets -------------------------------------------------------------------------------------


def test_plain_targets():
    y = np.arange(8.0).reshape(4, 2) - 3
    for loss in (SquaredError(), AbsoluteError(), Huber(), Quantile(0.5), Quantile((0.1, 0.9))):
        targets, labels = loss.targets(y, 4, 2, F4)
        assert labels is None
        assert targets.dtype == F4
        assert targets.tolist() == y.tolist()


def test_one_column_serves_all_levels():
    loss, y = Quantile((0.1, 0.5, 0.9)), [1.0, 2.0, 3.0, 4.0]
    for given in (y, np.reshape(y, (4, 1)), np.array(y, "f4")):
        targets, labels = loss.targets(given, 4, 3, F4)
        assert labels is None
        assert targets.tolist() == [[value] * 3 for value in y]
        assert targets.flags.c_contiguous
    with pytest.raises(ValueError, match=r"y must have shape \(4, 3\), one column per output"):
        loss.targets(np.ones((4, 2)), 4, 3, F4)
    with pytest.raises(ValueError, match="the same number of rows; got 4 and 3"):
        loss.targets([1.0, 2.0, 3.0], 4, 3, F4)
    with pytest.raises(ValueError, match="y must be a rectangular array"):
        loss.targets([[1, 2], [3]], 4, 3, F4)
    with pytest.raises(ValueError, match=r"y must have shape \(4, 2\)"):
        Quantile(0.5).targets(y, 4, 2, F4)  # one level: each output has its own target


def test_levels_need_as_many_outputs():
    for loss in (Quantile(0.5), Quantile([0.5])):
        MLP((3, 2), loss=loss)
    MLP((3, 2), loss=Quantile((0.1, 0.9)))
    for outputs in (1, 3):
        with pytest.raises(ValueError, match=f"2 levels needs 2 outputs.* is {outputs}$"):
            MLP((3, outputs), loss=Quantile((0.1, 0.9)))


BAD_TARGETS = [
    (Hinge(), [1, -1, 0, 1], r"y must hold -1 and 1 for hinge; 2 \* y - 1 maps 0 and 1; got 0.0 at "
     "row 2, column 0"),
    (Hinge(), [1, -1, 1, 0.5], "got 0.5 at row 3"),
    (Poisson(), [0, 1, 2, -1], "y must be at least 0 for poisson: counts or rates; got -1.0 at row "
     "3, column 0"),
    (Gamma(), [1, 0, 2, 3], r"y must be above 0 \(at least 1.2e-38\) for gamma; got 0.0 at row 1"),
    (Gamma(), [1, 2, 3, -2], "for gamma; got -2.0 at row 3, column 0"),
    (Gamma(), [1, 1e-39, 2, 3], "for gamma; got 1.0.*e-39 at row 1"),
    (BinaryCrossEntropy(), [0, 1, 2, 0], "y must lie between 0 and 1 for binary_cross_entropy; got "
     "2.0 at row 2, column 0"),
    (SquaredError(), [0, 1, NAN, 0], "y holds nan at row 2, column 0"),
    (Hinge(), [0, 1, NAN, 0], "y holds nan at row 2, column 0"),
    (Poisson(), [0, 1, INF, 0], "y holds inf at row 2, column 0"),
    (Quantile((0.1, 0.9)), [0, 1, INF, 0], "y holds inf at row 2, column 0"),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "y", "words"), BAD_TARGETS)
def test_targets_out_of_range(loss, y, words):
    outputs = 2 if isinstance(loss, Quantile) else 1
    with pytest.raises(ValueError, match=words):
        loss.targets(y, 4, outputs, F4)


def test_targets_at_the_ends_of_their_range():
    for loss, y in (
        (Hinge(), [1, -1, 1, -1]),
        (Poisson(), [0, 0, 1e9, 2.5]),
        (Gamma(), [1.2e-38, 1, 2, 1e9]),
        (BinaryCrossEntropy(), [0, 1, 0.5, 1]),
    ):
        targets, labels = loss.targets(y, 4, 1, F4)
        assert labels is None
        assert targets.ravel().tolist() == np.array(y, F4).tolist()


def test_labels_or_probabilities():
    targets, labels = CrossEntropy(0.1).targets([0, 1, 1, 0], 4, 2, F4)
    assert targets is None
    assert labels.tolist() == [0, 1, 1, 0]
    targets, labels = CrossEntropy().targets([[0.25, 0.75]] * 4, 4, 2, F4)
    assert labels is None
    assert targets.tolist() == [[0.25, 0.75]] * 4
    with pytest.raises(ValueError, match="at least 2; .*binary_cross_entropy"):
        CrossEntropy().check_outputs(1)


# ---- functions -----------------------------------------------------------------------------------


def test_what_a_function_returns():
    value, delta = CallableLoss(lambda y, t: (np.float32(0.5), (y - t).tolist()))(X, X)
    assert type(value) is float
    assert value == 0.5
    assert delta.dtype == np.float64
    assert delta.tolist() == [[0.0] * 3] * 4


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (1.0, TypeError, "got float 1.0"),
        ([1.0, X], TypeError, "got list"),
        ((1.0,), TypeError, "got tuple"),
        ((1.0, X[:2]), ValueError, r"got a derivative of shape \(2, 3\)"),
        ((1.0, 2.0), ValueError, r"got a derivative of shape \(\)"),
        ((None, X), TypeError, "got the value None"),
        (("a", X), TypeError, "got the value 'a'"),
        ((1.0, X * 1j), TypeError, "got a derivative of dtype complex128"),
        ((1.0, X.astype(str)), TypeError, "got a derivative of dtype <U"),
    ],
)
def test_what_a_function_must_return(result, error, words):
    accepted = r"a loss must return \(value, derivative by y_pred of shape \(4, 3\)\); "
    with pytest.raises(error, match=accepted + words):
        CallableLoss(lambda y_pred, y: result)(X, X)


# ---- nets ----------------------------------------------------------------------------------------


def constant(loss, y, outputs=1, rate=0.05, epochs=2000):
    """What a net without inputs to speak of learns to say."""
    net = MLP((1, outputs), loss=loss, optimizer=SGD(rate), dtype="float64", seed=0)
    net.freeze(biases=False)
    net.fit(np.zeros((len(y), 1)), y, epochs=epochs, batch_size=len(y))
    return net.predict([[0.0]])[0]


def test_minima():
    """Mean, median, quantiles, the sign of the majority."""
    y = np.array([0.0, 0.1, 0.3, 1.0, 8.0, 0.2, 0.5, 0.4, 0.9, 2.0, 4.0])
    assert constant("squared_error", y)[0] == pytest.approx(y.mean(), abs=1e-6)
    assert constant("absolute_error", y)[0] == pytest.approx(np.median(y), abs=0.02)
    levels = (0.1, 0.5, 0.8)
    expected = np.quantile(y, levels, method="inverted_cdf")
    got = constant(Quantile(levels), y, outputs=3)
    np.testing.assert_allclose(got, expected, atol=0.04)
    far, near = constant(Huber(1e3), y)[0], constant(Huber(0.01), y, rate=1.0)[0]
    assert far == pytest.approx(y.mean(), abs=1e-6)
    assert near == pytest.approx(np.median(y), abs=0.02)
    assert constant("hinge", [1, 1, -1])[0] == pytest.approx(1.0, abs=0.06)


def test_label_smoothing_draws_probabilities_together():
    y = np.array([0, 1, 1, 1])
    net = MLP((1, 2), loss=CrossEntropy(0.2), optimizer=SGD(0.5), dtype="float64", seed=0)
    net.fit(np.zeros((4, 1)), y, epochs=500, batch_size=4)
    np.testing.assert_allclose(net.predict([[0.0]]), [[0.3, 0.7]], atol=1e-6)
    got = constant(BinaryCrossEntropy(0.2), y, rate=0.5)[0]
    assert got == pytest.approx(0.7, abs=1e-6)
    plain = MLP((1, 2), loss="cross_entropy", dtype="float64", seed=0)
    smooth = MLP((1, 2), loss=CrossEntropy(0.2), dtype="float64", seed=0)
    probabilities = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    zeros = np.zeros((4, 1))
    loss, grad = plain.loss_and_grad(zeros, probabilities)
    other, same = smooth.loss_and_grad(zeros, y)
    assert other == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(same, grad, atol=1e-16)
