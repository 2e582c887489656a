"""Bad input: an error that says what was given and what is accepted; the net is as it was."""

from __future__ import annotations

import copy
import dataclasses
import math
import re

import helpers
import numpy as np
import pytest
from helpers import COMPILED, counts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastbp import MLP, SGD, checks, gradcheck
from fastbp.model.optimizers import OPTIMIZERS

pytestmark = pytest.mark.promise("bad input")
INF, NAN = math.inf, math.nan
X = np.arange(12.0).reshape(4, 3) / 12
Y = {  # of a net with 2 outputs
    "squared_error": X[:, :2],
    "binary_cross_entropy": X[:, :2],
    "cross_entropy": np.array([0, 1, 1, 0]),
    "huber": X[:, :2],
    "hinge": np.where(X[:, :2] > 0.5, 1.0, -1.0),
}


def with_number(number, row, column, columns=3, dtype=float):
    array = np.ones((4, columns), dtype)
    array[row, column] = number
    return array


def state(net):
    """All of a net, in bits, with its views and its history."""
    views = [array.tobytes() for array in (*net.weights, *net.biases)]
    history = tuple(net.history.loss), tuple(net.history.seconds)
    return helpers.state(net), views, repr(net), history


@pytest.fixture(scope="module")
def trained():
    """A net of each loss that has been trained a little, so that nothing of it is zero."""
    nets = {loss: MLP((3, 4, 2), loss=loss, seed=0) for loss in Y}
    for loss, net in nets.items():
        net.frozen[5] = True
        net.fit(X, Y[loss], epochs=2, batch_size=3)
    return nets


def check_refused(net, call, error, *words):
    """The call raises `error`, its message has the words, and nothing has changed."""
    kept, history = state(net), net.history
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    for word in words:
        assert str(word) in str(caught.value), f"{word!r} is not in: {caught.value}"
    assert state(net) == kept
    assert net.history is history


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
    "rows": (np.ones((5, 2)), ValueError, "as many rows", "4 and 5"),
    "no rows": (np.empty((0, 2)), ValueError, "as many rows", "4 and 0"),
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
        "too few labels": ([0, 1, 1], ValueError, "as many rows", "4 and 3"),
        "no labels": (np.empty(0, int), ValueError, "as many rows", "4 and 0"),
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


# ---- options of the methods ----------------------------------------------------------------------

BAD_FIT = [
    ("epochs", -1, ValueError, "at least 0"),
    ("epochs", 2.0, TypeError, "whole number"),
    ("epochs", True, TypeError, "whole number"),
    ("epochs", "10", TypeError, "whole number"),
    ("epochs", None, TypeError, "whole number"),
    ("epochs", NAN, TypeError, "whole number"),
    ("epochs", 10**30, ValueError, "at most"),
    ("epochs", 2**60, ValueError, "at most"),
    ("batch_size", 0, ValueError, "at least 1"),
    ("batch_size", -5, ValueError, "at least 1"),
    ("batch_size", 32.0, TypeError, "whole number"),
    ("batch_size", "auto", TypeError, "whole number"),
    ("shuffle", 1, TypeError, "True or False"),
    ("shuffle", None, TypeError, "True or False"),
    ("verbose", -1, ValueError, "at least 0"),
    ("verbose", 0.5, TypeError, "whole number"),
]


@pytest.mark.parametrize(("name", "bad", "error", "accepted"), BAD_FIT)
def test_bad_fit_options(name, bad, error, accepted, trained):
    net = trained["squared_error"]
    shown = bad if error is ValueError else repr(bad)
    call = lambda: net.fit(X, Y["squared_error"], **{name: bad})  # noqa: E731
    check_refused(net, call, error, f"{name} must be", accepted, f"got {shown}")


def test_huge_batch_sizes_are_the_whole_data():
    first, second = (MLP((3, 2), seed=0) for _ in range(2))
    first.fit(X, X[:, :2], epochs=2, batch_size=10**30)
    second.fit(X, X[:, :2], epochs=2, batch_size=4)
    assert first.params.tobytes() == second.params.tobytes()


BAD_FREEZE = [
    ({"weights": 1}, TypeError, "weights must be True or False", "1"),
    ({"biases": None}, TypeError, "biases must be True or False", "None"),
    ({"layers": [2]}, ValueError, "0 to 1", "2"),
    ({"layers": [0, -1]}, ValueError, "at least 0", "-1"),
    ({"layers": [0.0]}, TypeError, "whole number", "0.0"),
    ({"layers": [True]}, TypeError, "whole number", "True"),
    ({"layers": True}, TypeError, "layers", "True"),
    ({"layers": 0.5}, TypeError, "layers", "0.5"),
    ({"layers": "01"}, TypeError, "layers", "'01'"),
    ({"layers": 7}, ValueError, "0 to 1", "7"),
]


@pytest.mark.parametrize(("options", "error", "accepted", "given_"), BAD_FREEZE)
def test_bad_freeze(options, error, accepted, given_, trained):
    net = trained["squared_error"]
    check_refused(net, lambda: net.freeze(**options), error, accepted, given_)
    check_refused(net, lambda: net.unfreeze(**options), error, accepted, given_)


def test_one_layer_may_be_given_as_a_number():
    net = MLP((2, 2, 1), seed=0)
    net.freeze(layers=np.int64(1))
    assert np.flatnonzero(net.frozen).tolist() == [6, 7, 8]


def test_bad_gradcheck(trained):
    net = trained["squared_error"]
    y = Y["squared_error"]
    check_refused(net, lambda: gradcheck("net", X, y), TypeError, "net must be an MLP", "'net'")
    for bad in (0, -1e-4, NAN, INF):
        call = lambda bad=bad: gradcheck(net, X, y, step=bad)  # noqa: E731
        check_refused(net, call, ValueError, "step must be", "above 0", repr(bad))
    for bad in ("1", None, True, 1j):
        call = lambda bad=bad: gradcheck(net, X, y, step=bad)  # noqa: E731
        check_refused(net, call, TypeError, "step must be", "above 0", repr(bad))


def test_step_units_are_not_trained():
    for options in ({"activation": "step"}, {"output_activation": "step"}):
        net = MLP((3, 4, 2), seed=0, **options)
        y = Y["squared_error"]
        calls = (net.fit, net.step, net.loss_and_grad, lambda x, t, n=net: gradcheck(n, x, t))
        for call in calls:
            check_refused(net, lambda call=call, y=y: call(X, y), ValueError, "step", "sigmoid")


def test_parameters_that_are_not_finite(trained):
    net = copy.deepcopy(trained["squared_error"])
    net.params[3] = NAN
    with pytest.warns(RuntimeWarning, match=r"params.* not finite before") as caught:
        assert len(net.fit(X, Y["squared_error"])) == 0
    assert len(caught) == 1


# ---- the constructor -----------------------------------------------------------------------------

BAD_NETS = [
    ({"layer_sizes": (3,)}, ValueError, "at least inputs and outputs", "(3,)"),
    ({"layer_sizes": ()}, ValueError, "at least inputs and outputs", "()"),
    ({"layer_sizes": (3, 0, 2)}, ValueError, "layer_sizes[1]", "at least 1", "0"),
    ({"layer_sizes": (-3, 2)}, ValueError, "layer_sizes[0]", "-3"),
    ({"layer_sizes": (3, 2.0)}, TypeError, "layer_sizes[1]", "whole number", "2.0"),
    ({"layer_sizes": (3, True)}, TypeError, "layer_sizes[1]", "True"),
    ({"layer_sizes": (3, None)}, TypeError, "layer_sizes[1]", "None"),
    ({"layer_sizes": "64"}, TypeError, "(64, 32, 10)", "'64'"),
    ({"layer_sizes": 64}, TypeError, "(64, 32, 10)", "64"),
    ({"layer_sizes": None}, TypeError, "(64, 32, 10)", "None"),
    ({"layer_sizes": (2**32, 2**32)}, ValueError, "at most", 2**32),
    ({"layer_sizes": (10**30, 2)}, ValueError, "at most", 10**30),
    ({"activation": "mish"}, ValueError, "'relu'", "'tanh'", "'mish'"),
    ({"activation": "ReLU"}, ValueError, "'relu'", "'ReLU'"),
    ({"activation": "softmax"}, ValueError, "'relu'", "'softmax'"),
    ({"activation": None}, TypeError, "activation must be", "None"),
    ({"activation": 3}, TypeError, "activation must be", "3"),
    ({"activation": ["relu", "tanh"]}, ValueError, "each of the 1 hidden layers", "2"),
    ({"activation": []}, ValueError, "each of the 1 hidden layers", "0"),
    ({"activation": ["exp"]}, ValueError, "activation[0]", "'exp'"),
    ({"activation": [None]}, TypeError, "activation[0]", "None"),
    ({"output_activation": "mish"}, ValueError, "'softmax'", "'mish'"),
    ({"output_activation": 1}, TypeError, "output_activation", "int 1"),
    ({"loss": "binary_cross_entropy", "output_activation": "tanh"}, ValueError, "sigmoid", "tanh"),
    ({"loss": "cross_entropy", "output_activation": "sigmoid"}, ValueError, "softmax", "'sigmoid'"),
    ({"loss": "cross_entropy", "layer_sizes": (3, 4, 1)}, ValueError, "binary_cross_entropy"),
    ({"loss": "mse"}, ValueError, "'squared_error'", "'cross_entropy'", "'mse'"),
    ({"loss": None}, TypeError, "'squared_error'", "None"),
    ({"optimizer": "adamax"}, ValueError, "'adam'", "'sgd'", "'rmsprop'", "'adamax'"),
    ({"optimizer": SGD}, TypeError, "Adam(learning_rate=1e-3)", "SGD"),
    ({"optimizer": None}, TypeError, "Adam(learning_rate=1e-3)", "None"),
    ({"dtype": "float16"}, ValueError, "'float32' or 'float64'", "'float16'"),
    ({"dtype": ">f4" if np.little_endian else "<f4"}, ValueError, "'float32'", "f4"),
    ({"dtype": int}, ValueError, "'float32' or 'float64'", "int"),
    ({"dtype": None}, ValueError, "'float32' or 'float64'", "None"),
    ({"dtype": "single precision"}, TypeError, "'float32' or 'float64'", "'single precision'"),
    ({"dtype": ","}, TypeError, "'float32' or 'float64'", "','"),
    ({"dtype": 32}, TypeError, "'float32' or 'float64'", "32"),
    ({"bias": 1}, TypeError, "bias must be True or False", "1"),
    ({"bias": None}, TypeError, "bias must be True or False", "None"),
    ({"weight_init": "xavier"}, ValueError, "'auto', 'glorot', ", "'xavier'"),
    ({"weight_init": 0.1}, TypeError, "'auto', 'glorot', ", "0.1"),
    ({"seed": -1}, ValueError, "seed must be at least 0", "-1"),
    ({"seed": 1.5}, TypeError, "seed must be a whole number", "1.5"),
    ({"seed": "0"}, TypeError, "seed must be a whole number", "'0'"),
    ({"seed": True}, TypeError, "seed must be a whole number", "True"),
]


@pytest.mark.parametrize(("options", "error", "words"), [(o, e, w) for o, e, *w in BAD_NETS])
def test_bad_nets(options, error, words):
    with pytest.raises(error) as caught:
        MLP(**({"layer_sizes": (3, 4, 2)} | options))
    assert type(caught.value) is error
    for word in words:
        assert str(word) in str(caught.value), f"{word!r} is not in: {caught.value}"


def test_unknown_options_are_refused():
    with pytest.raises(TypeError, match="learning_rate"):
        MLP((3, 2), learning_rate=0.1)
    with pytest.raises(TypeError, match="positional"):
        MLP((3, 2), "relu")


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float32", "f4"), (np.float32, "f4"), ("f4", "f4"), (np.dtype("f8"), "f8"), (float, "f8")],
)
def test_dtypes_that_are_accepted(dtype, expected):
    assert MLP((2, 1), dtype=dtype).params.dtype == expected


def test_sizes_that_are_accepted():
    for sizes in ([3, 2], np.array([3, 2]), range(3, 1, -1), (np.int8(3), np.uint64(2))):
        net = MLP(sizes, seed=0)
        assert net.layer_sizes == (3, 2)
        assert [type(size) for size in net.layer_sizes] == [int, int]
    assert MLP((3, 5, 4, 2), activation=("relu", "tanh")).activations == (
        "relu",
        "tanh",
        "identity",
    )


# ---- anything at all -----------------------------------------------------------------------------

anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=2)), max_size=4),
    st.lists(st.lists(st.floats(), min_size=0, max_size=4), max_size=4),
    st.dictionaries(st.integers(), st.integers(), max_size=2),
)
arrays = hnp.arrays(
    st.one_of(
        hnp.floating_dtypes(),
        hnp.integer_dtypes(),
        hnp.boolean_dtypes(),
        hnp.complex_number_dtypes(),
        hnp.byte_string_dtypes(max_len=2),
    ),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
good_or_bad = st.one_of(anything, arrays, hnp.arrays("f4", (4, 3)), hnp.arrays("f8", (4, 2)))
EXAMPLES = settings(
    max_examples=counts(150, 10_000, 30),
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # `tally` adds up the examples
)


def attempt(net, call):
    """Either it works or it raises one of two errors with a message, and nothing has changed."""
    kept = state(net)
    try:
        return call()
    except (TypeError, ValueError) as error:
        assert state(net) == kept
        assert re.search(r"\w+ .*(must|hold|have|need|accept)", str(error)), error
        return None


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


OPTIONS = [
    "layer_sizes",
    "n_inputs",
    "activation",
    "output_activation",
    "loss",
    "optimizer",
    "dtype",
    "bias",
    "weight_init",
    "l1",
    "l2",
    "dropout",
    "input_dropout",
    "clip_value",
    "clip_norm",
    "max_norm",
    "seed",
]


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


@EXAMPLES
@given(name=st.sampled_from(OPTIONS), value=anything)
def test_anything_as_an_option(name, value, tally):
    if name == "layer_sizes" and isinstance(value, list | dict):  # not nets of gigabytes
        value = [size % 50 if isinstance(size, int) else size for size in value]
    try:
        net = MLP(**({"layer_sizes": (3, 4, 2), "seed": 0} | {name: value}))
    except (TypeError, ValueError) as error:
        assert name in str(error)
    else:
        assert np.isfinite(net.params).all()
    tally["examples"] += 1


FIT_OPTIONS = [
    "epochs",
    "batch_size",
    "shuffle",
    "validation_data",
    "validation_fraction",
    "metrics",
    "patience",
    "min_delta",
    "callbacks",
    "max_seconds",
    "verbose",
]


@EXAMPLES
@given(
    name=st.sampled_from(FIT_OPTIONS),
    value=anything.filter(lambda value: not isinstance(value, int) or value < 3),
)
def test_anything_as_a_fit_option(name, value, tally):
    net = MLP((3, 2), seed=0)
    attempt(net, lambda: net.fit(X, X[:, :2], **({"epochs": 1} | {name: value})))
    assert np.isfinite(net.params).all()
    tally["examples"] += 1


HYPER_PARAMETERS = [
    (kind, field.name) for kind in OPTIMIZERS.values() for field in dataclasses.fields(kind)
]


@EXAMPLES
@given(which=st.sampled_from(HYPER_PARAMETERS), value=anything)
def test_anything_as_a_hyper_parameter(which, value, tally):
    kind, name = which
    try:
        optimizer = kind(**{name: value})
    except (TypeError, ValueError) as error:
        assert name in str(error)
    else:
        kept = getattr(optimizer, name)
        assert kept == () if name == "groups" else value is None or math.isfinite(kept)
        MLP((3, 2), optimizer=optimizer, seed=0)
    tally["examples"] += 1


@EXAMPLES
@given(name=st.sampled_from(["weights", "biases", "layers"]), value=anything)
def test_anything_to_freeze(name, value, tally):
    net = MLP((3, 4, 2), seed=0)
    attempt(net, lambda: net.freeze(**{name: value}))
    assert len(net.frozen) == len(net.params)
    tally["examples"] += 1


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
    assert not COMPILED or checks.arrays.first_not_finite(view.reshape(-1)) == -1


def test_names_of_classes_are_told_how_to_become_labels():
    net = MLP((2, 2), loss="cross_entropy", seed=0)
    with pytest.raises(TypeError, match=r"names, y = numpy\.unique\(y, return_inverse=True\)"):
        net.fit([[0.0, 1.0], [1.0, 0.0]], ["no", "yes"])
    with pytest.raises(TypeError, match=r"y\.astype\(float\)"):
        MLP((2, 1), seed=0).fit([[0.0, 1.0], [1.0, 0.0]], ["0.5", "1"])
