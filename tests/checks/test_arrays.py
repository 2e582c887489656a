"""Bad arrays: an error says what was given and what is accepted; the net is as it was."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from bad_input import EXAMPLES, INF, NAN, X, Y, attempt, check_refused, good_or_bad, state
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.exceptions import ConvergenceWarning

from fastbp import (
    MLP,
    GaussianNoise,
    Perceptron,
    checks,
    diagnose,
    explain,
    find_learning_rate,
    gradcheck,
    graph,
)
from fastbp.fit.metrics import accuracy, mean_squared_error
from fastbp.inspection import layer_outputs
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
    "None inside": ([[1, 2, None]] * 4, ValueError, "X holds nan", "row 0, column 2"),
    "complex": (X * 1j, TypeError, "real numbers", "complex128"),
    "text as objects": (
        np.array([[1, 2, 3], [4, "5", 6]], object),
        TypeError,
        "real numbers",
        "dtype object with str '5' at [1, 1]",
    ),
    "dates as objects": (X.astype("M8[s]").astype(object), TypeError, "real numbers", "datetime"),
    "complex objects": (X.astype(complex).astype(object), TypeError, "with complex 0j at [0, 0]"),
    "huge objects": (np.array([[10**400, 2, 3]], object), ValueError, "a number beyond float64"),
    "masked": (
        np.ma.masked_greater(X, 0.8),
        ValueError,
        "must not hold masked values; got 2 of them",
        "X.filled(0)",
        "rows = ~numpy.ma.getmaskarray(X).any(axis=1)",
    ),
    "masked rows": (list(np.ma.masked_greater(X, 0.8)), ValueError, "got 2 of them"),
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
    "masked": (np.ma.masked_equal(np.eye(4, 2), 1), ValueError, "y.filled(0)", "got 2 of them"),
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
    view = checks.arrays.writable(array)
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


# ---- tables --------------------------------------------------------------------------------------

TABLE = pd.DataFrame(
    {"a": [0.5, 1.5, -2.5, 0.0], "b": [True, False, True, True], "c": [1, 2, 3, 4]}
)
NULLABLE = TABLE.convert_dtypes()
TABLES = {
    "floats and booleans": TABLE,
    "dummies": pd.get_dummies(pd.DataFrame({"a": TABLE["a"], "d": ["x", "y", "x", "x"]})),
    "nullable": NULLABLE,
    "objects": TABLE.astype(object),
    "decimals": TABLE.map(lambda item: Decimal(float(item))),
    "categories": TABLE.assign(c=TABLE["c"].astype("category")),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_several_dtypes_are_taken_as_the_numbers_they_hold(name):
    table = TABLES[name]
    plain = table.astype(float).to_numpy()
    y = pd.Series([1.0, 2.0, 3.0, 4.0], dtype="Float64")
    weights = pd.Series([1, 2, 3, 4], dtype=object)
    net, twin = (MLP((3, 4, 1), seed=0) for _ in range(2))
    options = {"epochs": 2, "metrics": ["r2", "mean_absolute_error"]}
    seen = net.fit(table, y, sample_weight=weights, validation_data=(table, y), **options)
    numbers = y.to_numpy(float), weights.to_numpy(float)
    other = twin.fit(
        plain, numbers[0], sample_weight=numbers[1], validation_data=(plain, numbers[0]), **options
    )
    assert seen.loss == other.loss and seen["val_r2"] == other["val_r2"]
    assert net.params.tobytes() == twin.params.tobytes()
    assert net.predict(table).tobytes() == twin.predict(plain).tobytes()
    assert net.step(table, y, weights) == twin.step(plain, *numbers)
    assert net.loss(table, y.astype(object)) == twin.loss(plain, numbers[0])
    net.fit([(table, y, weights)], epochs=1)
    twin.fit([(plain, *numbers)], epochs=1)
    options = {"epochs": 1, "augment": lambda rows, _: rows + 1, "batch_size": 2}
    net.fit(table, y, sample_weight=weights, **options)
    twin.fit(plain, numbers[0], sample_weight=numbers[1], **options)
    assert net.params.tobytes() == twin.params.tobytes()
    assert gradcheck(net, table, y) == gradcheck(twin, plain, numbers[0])


def test_tables_are_taken_as_the_estimators_take_them():
    from fastbp.sklearn import MLPRegressor

    for table in TABLES.values():
        estimator = MLPRegressor(hidden_layer_sizes=(3,), random_state=0, max_iter=400, tol=0)
        with pytest.warns(ConvergenceWarning):
            estimator.fit(table, [1.0, 2.0, 3.0, 4.0])
        shown = checks.numbers("X", table).astype(float)
        assert estimator.predict(table).tolist() == pytest.approx(
            estimator.predict(pd.DataFrame(shown, columns=table.columns)).tolist()
        )


def test_what_is_missing_of_a_table_is_found_at_its_place():
    net = MLP((3, 1), seed=0)
    for missing in (None, pd.NA, np.nan):
        table = TABLE.astype(object)
        table.iloc[2, 1] = missing
        with pytest.raises(ValueError, match="X holds nan at row 2, column 1; only finite"):
            net.predict(table)
    gap = NULLABLE.copy()
    gap.loc[3, "c"] = pd.NA
    with pytest.raises(ValueError, match="X holds nan at row 3, column 2"):
        net.fit(gap, [1, 2, 3, 4])


def test_labels_of_objects_stay_integers():
    net, twin = (MLP((3, 2), loss="cross_entropy", seed=0) for _ in range(2))
    for labels in (pd.Series([0, 1, 1, 0], dtype="Int64"), np.array([0, 1, 1, 0], object)):
        net.fit(TABLE, labels, epochs=1, metrics="accuracy")
        twin.fit(TABLE, [0, 1, 1, 0], epochs=1, metrics="accuracy")
        assert net.history["accuracy"] == twin.history["accuracy"]
    assert net.params.tobytes() == twin.params.tobytes()
    with pytest.raises(TypeError, match="real numbers.*with str 'a' at"):
        net.fit(TABLE, np.array(["a", 1, 1, 0], object))


@pytest.mark.parametrize("shape", ["(4,)", "(4, 1)"])
def test_labels_that_are_floats_are_answered_by_the_cure(shape, trained):
    y = np.reshape([0.0, 1.0, 1.0, 0.0], eval(shape))
    net = trained["cross_entropy"]
    check_refused(net, lambda: net.fit(X, y), TypeError, f"y of shape {shape}", "y.astype(int)")


def test_masked_arrays_without_masked_values_are_taken():
    net, twin = (MLP((3, 2), seed=0) for _ in range(2))
    whole = np.ma.masked_array(X, np.zeros(X.shape, bool))
    net.fit(whole, np.ma.masked_array(X[:, :2]), epochs=2)
    twin.fit(X, X[:, :2], epochs=2)
    assert net.params.tobytes() == twin.params.tobytes()
    assert net.predict(whole).tobytes() == twin.predict(X).tobytes()


def test_masked_values_are_refused_wherever_arrays_are_given():
    net = MLP((3, 1), seed=0)
    y, weights = X[:, 0], np.ones(4)
    masked = np.ma.masked_greater(X, 0.8)
    flat = np.ma.masked_greater(y, 0.5)
    calls = [
        lambda: net.fit(X, flat),
        lambda: net.fit(X, y, sample_weight=flat),
        lambda: net.fit(X, y, validation_data=(masked, y)),
        lambda: net.fit(X, y, validation_data=(X, flat)),
        lambda: net.fit([(X, y), (masked, y)], epochs=1),
        lambda: net.fit([(X, flat)], epochs=1, augment=lambda rows, _: rows),
        lambda: net.fit(masked, y, method="rprop"),
        lambda: net.step(X, y, np.ma.masked_equal(weights, 1)),
        lambda: net.predict(masked),
        lambda: diagnose(net, X, flat),
        lambda: find_learning_rate(net, X, flat),
        lambda: explain(net, masked[3], 1.0),
        lambda: layer_outputs(net, masked),
        lambda: Perceptron(3).fit(X, np.ma.masked_equal([0, 1, 1, 0], 1)),
        lambda: Perceptron.from_weights(masked[3]),
        lambda: MLP((3, 1), weight_init=[np.ma.masked_equal(np.ones((3, 1)), 1)]),
        lambda: accuracy(flat, y),
        lambda: mean_squared_error(y, flat),
        lambda: graph.variable("x").value(x=flat),
        lambda: GaussianNoise()(masked, np.random.default_rng(0)),
    ]
    kept = state(net)
    for call in calls:
        with pytest.raises(ValueError, match="must not hold masked values.*Fill them, as"):
            call()
    assert state(net) == kept


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
