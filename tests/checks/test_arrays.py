"""Bad arrays: an error says what was given and what is accepted; the net is as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
from bad_input import EXAMPLES, INF, NAN, X, Y, attempt, check_refused, good_or_bad, state
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastbp import MLP, checks, gradcheck
from fastbp.machine import jit

pytestmark = pytest.mark.promise("bad input")


def with_number(number, row, column, columns=3, dtype=float):
    array = np.ones((4, columns), dtype)
    array[row, column] = number
    return array


# ---- inputs --------------------------------------------------------------------------------------

RAGGED = [[1, 2, 3], [4, 5]]
BAD_X = {
    "columns": (np.ones((4, 2)), ValueError, "(rows, 3)", "(4, 2)"),
    "transposed": (X.T, ValueError, "(rows, 3)", "(3, 4)"),
    "flat": (np.ones(4), ValueError, "(rows, 3)", "(4,)"),
    "one row": (np.ones(3), ValueError, "X.reshape(1, -1)"),
    "3-d": (np.ones((4, 3, 1)), ValueError, "(rows, 3)", "(4, 3, 1)"),
    "number": (3.0, ValueError, "(rows, 3)", "()"),
    "no rows": (np.empty((0, 3)), ValueError, "at least one row", "(0, 3)"),
    "empty list": ([], ValueError, "(rows, 3)", "(0,)"),
    "ragged": (RAGGED, ValueError, "X must be a rectangular array of numbers"),
    "text": ("abc", TypeError, "real numbers", "<U3", "X.astype(float)"),
    "text in rows": ([["1", "2", "3"]] * 4, TypeError, "real numbers", "<U1"),
    "None": (None, TypeError, "real numbers", "object"),
    "None inside": ([[1, 2, None]] * 4, TypeError, "real numbers", "object"),
    "complex": (X * 1j, TypeError, "real numbers", "complex128"),
    "object": (X.astype(object), TypeError, "real numbers", "object"),
    "set": ({1.0, 2.0}, TypeError, "real numbers", "object"),
    "dates": (X.astype("M8[s]"), TypeError, "real numbers", "datetime64"),
    "records": (np.zeros((4, 3), "f4,f4"), TypeError, "real numbers"),
    "NaN": (with_number(NAN, 2, 1), ValueError, "X holds nan", "row 2, column 1", "finite"),
    "NaN of the dtype": (with_number(NAN, 3, 2, dtype="f4"), ValueError, "nan", "row 3, column 2"),
    "infinity": (with_number(INF, 0, 2), ValueError, "X holds inf", "row 0, column 2"),
    "-infinity": (with_number(-INF, 3, 0), ValueError, "X holds -inf", "row 3, column 0"),
    "infinite list": ([[0, 0, 0], [0, INF, 0]], ValueError, "row 1, column 1"),
    "NaN in Fortran order": (
        np.asfortranarray(with_number(NAN, 2, 1)),
        ValueError,
        "row 2, column 1",
    ),
    "first of two": (
        with_number(NAN, 3, 0) * with_number(INF, 1, 2),
        ValueError,
        "X holds inf at row 1, column 2",
    ),
    "beyond float32": (
        with_number(1e39, 1, 2),
        ValueError,
        "1e+39 at row 1, column 2",
        "float32",
        "float64",
    ),
    "beyond float32 below": (with_number(-4e38, 1, 2), ValueError, "-4e+38", "float32"),
}


@pytest.mark.parametrize("case", BAD_X)
@pytest.mark.parametrize("loss", Y)
def test_bad_inputs(loss, case, trained):
    bad, error, *words = BAD_X[case]
    net, y = trained[loss], Y[loss]
    for call in (
        lambda: net.predict(bad),
        lambda: net.loss(bad, y),
        lambda: net.loss_and_grad(bad, y),
        lambda: net.step(bad, y),
        lambda: net.fit(bad, y, epochs=1),
        lambda: gradcheck(net, bad, y),
    ):
        check_refused(net, call, error, "X", *words)


def test_first_of_many_not_finite():
    net = MLP((3, 1), seed=0, dtype="float64")
    wide = np.ones((5000, 3))
    wide[4321, 1:] = NAN
    for call in (net.predict, lambda x: net.fit(x, x[:, 0])):
        check_refused(net, lambda call=call: call(wide), ValueError, "row 4321, column 1")


# ---- targets -------------------------------------------------------------------------------------

ANY_Y = {
    "rows": (np.ones((5, 2)), ValueError, "the same number of rows", "4 and 5"),
    "no rows": (np.empty((0, 2)), ValueError, "the same number of rows", "4 and 0"),
    "3-d": (np.ones((4, 2, 1)), ValueError, "(4, 2)", "(4, 2, 1)"),
    "number": (1.0, ValueError, "(4, 2)", "()"),
    "columns": (np.ones((4, 3)), ValueError, "(4, 2)", "(4, 3)"),
    "ragged": (RAGGED, ValueError, "y must be a rectangular array"),
    "text": (["a", "b", "c", "d"], TypeError, "real numbers", "dtype <U1"),
    "None": (None, TypeError, "y"),
    "complex": (np.ones((4, 2)) * 1j, TypeError, "real numbers", "complex128"),
    "NaN": (with_number(NAN, 2, 1, 2), ValueError, "y holds nan at row 2, column 1"),
    "infinity": (with_number(-INF, 0, 0, 2), ValueError, "y holds -inf at row 0, column 0"),
    "beyond float32": (with_number(1e39, 3, 1, 2), ValueError, "1e+39 at row 3, column 1"),
}
BAD_Y = {
    "squared_error": {"flat": (np.ones(4), ValueError, "(4, 2)", "(4,)")},
    "huber": {"flat": (np.ones(4), ValueError, "(4, 2)", "(4,)")},
    "hinge": {
        "flat": (np.ones(4), ValueError, "(4, 2)", "(4,)"),
        "0 and 1": (np.array([[1, 0]] * 4), ValueError, "-1 and 1", "0.0 at row 0, column 1"),
    },
    "binary_cross_entropy": {
        "above 1": (with_number(1.5, 2, 0, 2), ValueError, "between 0 and 1", "1.5 at row 2, col"),
        "below 0": (with_number(-0.5, 1, 1, 2), ValueError, "-0.5 at row 1, column 1"),
        "labels of two": (np.array([0, 1, 1, 0]), ValueError, "(4, 2)", "(4,)"),
    },
    "cross_entropy": {
        "too few labels": ([0, 1, 1], ValueError, "the same number of rows", "4 and 3"),
        "no labels": (np.empty(0, int), ValueError, "the same number of rows", "4 and 0"),
        "label above": ([0, 1, 2, 0], ValueError, "label 2 at row 2", "0 to 1", "numpy.unique"),
        "label below": ([0, -1, 1, 5], ValueError, "label -1 at row 1", "0 to 1"),
        "huge label": (np.array([0, 0, 0, 2**63 + 1], "u8"), ValueError, str(2**63 + 1)),
        "float labels": ([0.0, 1.0, 1.0, 0.0], TypeError, "integer class labels", "astype(int)"),
        "label column above": ([[0], [1], [1], [7]], ValueError, "label 7 at row 3"),
        "negative": (np.array([[1.5, -0.5]] * 4), ValueError, "between 0 and 1", "1.5 at row 0"),
        "sum": (np.full((4, 2), 0.4), ValueError, "sum to 1", "row 0", "0.8"),
        "one-hot of two": (np.ones((4, 2), int), ValueError, "sum to 1", "2"),
    },
}
CASES_Y = [(loss, case) for loss in Y for case in {**ANY_Y, **BAD_Y[loss]}]


@pytest.mark.parametrize(("loss", "case"), CASES_Y)
def test_bad_targets(loss, case, trained):
    bad, error, *words = {**ANY_Y, **BAD_Y[loss]}[case]
    net = trained[loss]
    for call in (
        lambda: net.loss(X, bad),
        lambda: net.loss_and_grad(X, bad),
        lambda: net.step(X, bad),
        lambda: net.fit(X, bad),
        lambda: gradcheck(net, X, bad),
    ):
        check_refused(net, call, error, "y", *words)


# ---- anything at all -----------------------------------------------------------------------------


def calls_refuse(net, inputs, targets):
    outputs = attempt(net, lambda: net.predict(inputs))
    if outputs is not None:
        assert outputs.shape == (len(inputs), 2)
        assert np.asarray(inputs).shape[1:] == (3,)
        assert np.isfinite(np.asarray(inputs, "f4")).all()
    kept = state(net)
    attempt(net, lambda: net.loss(inputs, targets))
    attempt(net, lambda: net.loss_and_grad(inputs, targets))
    assert state(net) == kept


@EXAMPLES
@given(inputs=good_or_bad, targets=good_or_bad, loss=st.sampled_from(sorted(Y)))
def test_anything_as_data(inputs, targets, loss, tally):
    net = MLP((3, 2), loss=loss, seed=0)
    with np.errstate(over="ignore"):
        calls_refuse(net, inputs, targets)
        calls_refuse(net, X, targets)
        calls_refuse(net, inputs, Y[loss])
    tally["examples"] += 1


@EXAMPLES
@given(weights=st.one_of(good_or_bad, hnp.arrays("f8", 4), hnp.arrays("i8", 4)))
def test_anything_as_sample_weights(weights):
    net = MLP((3, 2), seed=0)
    kept = state(net)
    for method in (net.loss, net.loss_and_grad):
        found = attempt(net, lambda method=method: method(X, X[:, :2], weights))
        loss, grad = found if isinstance(found, tuple) else (found or 0.0, 0.0)
        assert math.isfinite(loss)
        assert np.isfinite(grad).all()
    assert state(net) == kept


def test_writable_views_share_memory_and_live_on():
    array = np.arange(6.0).reshape(2, 3)
    array.flags.writeable = False
    view = checks.arrays._writable(array)
    assert view.flags.writeable
    assert np.shares_memory(view, array)
    expected = array.tolist()
    del array
    np.full(1000, 7.0)
    assert view.tolist() == expected


def test_names_of_classes_are_told_how_to_become_labels():
    net = MLP((2, 2), loss="cross_entropy", seed=0)
    with pytest.raises(TypeError, match=r"names, y = numpy\.unique\(y, return_inverse=True\)"):
        net.fit([[0.0, 1.0], [1.0, 0.0]], ["no", "yes"])
    with pytest.raises(TypeError, match=r"y\.astype\(float\)"):
        MLP((2, 1), seed=0).fit([[0.0, 1.0], [1.0, 0.0]], ["0.5", "1"])


@pytest.mark.parametrize("row", [0, 1, 65_535, 65_536, 99_999])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_value_that_is_not_finite_is_named_in_large_arrays(row, value):
    net = MLP((3, 2), loss="cross_entropy", seed=0)
    targets = np.full((100_000, 2), 0.5, "float32")
    targets[row:, 1] = value
    with pytest.raises(ValueError, match=rf"y holds {value} at row {row}, column 1;"):
        net.loss(np.zeros((100_000, 3), "float32"), targets)


def test_large_arrays_need_no_compiled_code(monkeypatch):
    """It would have to be compiled first, in the middle of what a user measures."""
    monkeypatch.setattr(jit, "call", None)
    monkeypatch.setattr(jit, "ready", None)
    array = np.zeros((300_000, 1), "float32")
    assert checks.finite("X", array, array) is array
