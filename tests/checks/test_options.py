"""Bad options: an error says what was given and what is accepted; the net is as it was."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
from bad_input import EXAMPLES, INF, NAN, X, Y, anything, attempt, check_refused
from hypothesis import given
from hypothesis import strategies as st

from fastbp import MLP, SGD, gradcheck
from fastbp.model.optimizers import OPTIMIZERS

pytestmark = pytest.mark.promise("bad input")

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
