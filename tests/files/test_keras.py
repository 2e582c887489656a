"""`to_keras`, `from_keras`: outputs are those of Keras, its own models or stand-ins.

The stand-ins have the classes' names and attributes as `reference_values/keras_models.json` has
them of Keras' own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exchanged import DTYPES, UNITS, by_keras, cases, graph, largest_error, overflows

from fastbp import MLP, SGD
from fastbp.files import from_keras, from_torch, to_keras

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference_values/keras_models.json").read_text("utf-8")
)
TOLERANCE = 1e-6
"""Of the largest output, in float64 too: only by TensorFlow does Keras multiply in float64."""
BACKENDS = ("torch", "jax", "tensorflow")
HAS_KERAS = importlib.util.find_spec("keras") is not None
BACKEND = next((name for name in BACKENDS if importlib.util.find_spec(name)), None)
# Keras' variables have no `copy` in `__array__`, as NumPy 2 wants it.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)
needs_keras = pytest.mark.skipif(
    not HAS_KERAS or BACKEND is None,
    reason="needs Keras and a backend: pip install keras torch==2.13.0",
)
if HAS_KERAS and BACKEND is not None:
    os.environ.setdefault("KERAS_BACKEND", BACKEND)


def function(name: str, module: str = "keras.src.activations.activations") -> Any:
    """A stand-in for an activation of Keras."""

    def activation(x: Any) -> Any: ...

    activation.__name__ = name
    activation.__module__ = module
    return activation


def stand_in(spec: dict[str, Any]) -> Any:
    """An object that looks like a layer of Keras to who has no Keras."""

    def call(self: Any) -> None: ...

    def get_weights(self: Any) -> list[np.ndarray]:
        return [np.array(array, np.float32) for array in spec.get("weights", [])]

    members = {"__module__": spec["module"], "call": call, "get_weights": get_weights}
    layer = type(spec["class"], (), members)()
    attributes = dict(spec.get("attributes", {}))
    for name in ("mean", "variance"):
        if attributes.get(name) is not None:
            attributes[name] = np.array(attributes[name])
    vars(layer).update(attributes)
    activation = spec.get("activation")
    if activation is not None:
        is_layer = "class" in activation
        layer.activation = stand_in(activation) if is_layer else function(**activation)
    layer.layers = [stand_in(part) for part in spec.get("parts", ())]
    return layer


def layer_of(name: str, **attributes: Any) -> Any:
    return stand_in({"class": name, "module": "keras.src.layers", "attributes": attributes})


def dense(n_in: int, n_out: int, activation: str = "linear", **attributes: Any) -> Any:
    weights = [np.linspace(-1.0, 1.0, n_in * n_out).reshape(n_in, n_out), np.zeros(n_out)]
    layer = stand_in({
        "class": "Dense", "module": "keras.src.layers", "weights": weights,
        "attributes": {"use_bias": True, **attributes},
    })  # fmt: skip
    layer.activation = function(activation)
    return layer


def sequential(*parts: Any) -> Any:
    model = stand_in({"class": "Sequential", "module": "keras.src.models.sequential"})
    model.layers = list(parts)
    return model


def compare(net: MLP, case: dict[str, Any], log: bool) -> None:
    X, outputs = np.array(case["X"]), np.array(case["outputs"])
    got = net.predict(X, logits=bool(case["options"]))
    got = np.log(got) if log else got
    assert np.abs(got - outputs).max() <= TOLERANCE * np.abs(outputs).max()


@pytest.mark.parametrize("name", REFERENCE)
def test_models_become_nets(name: str) -> None:
    case = REFERENCE[name]
    net = from_keras(stand_in(case["spec"]), **case["options"])
    assert net.dtype == np.float32
    compare(net, case, name == "log_softmax")


def test_the_loss_goes_with_the_outputs() -> None:
    losses = {"softmax": "cross_entropy", "log_softmax": "cross_entropy", "relu": "squared_error",
              "sigmoid": "binary_cross_entropy", "exponential": "poisson"}  # fmt: skip
    for unit, loss in losses.items():
        assert from_keras(sequential(dense(2, 3, unit))).spec.loss.name == loss
    net = from_keras(sequential(dense(2, 3)), loss="huber", optimizer="sgd", dtype="float32")
    assert (net.spec.loss.name, net.optimizer, net.dtype) == ("huber", SGD(), np.float32)


def test_dropout_comes_along() -> None:
    net = from_keras(stand_in(REFERENCE["layers"]["spec"]))
    assert net.regularization.dropout_rates(6) == (0.25, 0.5, 0.0, 0.0, 0.0, 0.0)


def test_scaling_that_float32_would_lose() -> None:
    years = layer_of("Normalization", invert=False, mean=[[2000.0]], variance=[[100.0]])
    model = sequential(years, dense(1, 3))
    with pytest.raises(
        ValueError, match=r"moves the inputs by 200 when scaled: float32 .* Pass dt"
    ):
        from_keras(model, dtype="float32")
    net = from_keras(model, dtype="float64")
    np.testing.assert_allclose(net.predict([[2010.0]]), [[-1.0, 0.0, 1.0]], atol=1e-12)
    pixels = layer_of("Rescaling", scale=1 / 127.5, offset=-1.0)
    net = from_keras(sequential(layer_of("Flatten"), pixels, dense(4, 2)), dtype="float32")
    X = np.array([[0.0, 255.0, 127.5, 51.0]])
    expected = (X / 127.5 - 1.0) @ np.linspace(-1.0, 1.0, 8).reshape(4, 2)
    np.testing.assert_allclose(net.predict(X), expected, rtol=0.0, atol=1e-6)


BAD = {
    "slope of the function": (
        [dense(2, 3, "leaky_relu"), dense(3, 1)],
        r"layers\[0\] \(Dense\) has the activation 'leaky_relu'; .* Take LeakyReLU\(negative_",
    ),
    "slope of the layer": (
        [dense(2, 3), layer_of("LeakyReLU", negative_slope=0.3), dense(3, 1)],
        "has negative_slope=0.3; fastbp has 0.01",
    ),
    "another function": ([dense(2, 3, "mish")], "the activation 'mish'; from_keras takes Keras'"),
    "another layer": (
        [dense(2, 3), layer_of("BatchNormalization")],
        r"from_keras takes keras.Sequential of Dense, .*; got model.layers\[1\] \(BatchNorm",
    ),
    "not built": (
        [stand_in({"class": "Dense", "module": "keras.src", "attributes": {"use_bias": True}})],
        r"got 0 arrays. Build the model first, by model.build\(\(None, inputs\)\)",
    ),
    "softmax inside": (
        [dense(2, 3, "softmax"), dense(3, 1)],
        r"softmax of model.layers\[0\] \(Dense\) is followed by model.layers\[1\] \(Dense\)",
    ),
    "two activations": (
        [dense(2, 3, "tanh"), layer_of("ReLU", max_value=None, negative_slope=0.0, threshold=0.0)],
        r"model.layers\[1\] \(ReLU\) follows tanh of model.layers\[0\]",
    ),
    "relu6": (
        [dense(2, 3), layer_of("ReLU", max_value=6.0, negative_slope=0.0, threshold=0.0)],
        "max_value=6.0; fastbp has None",
    ),
    "scaling behind layers": (
        [dense(2, 3), layer_of("Rescaling", scale=0.5, offset=0.0)],
        "must stand in front of everything else",
    ),
    "dropout behind scaling": (
        [layer_of("Rescaling", scale=0.5, offset=0.0), layer_of("Dropout", rate=0.5), dense(2, 3)],
        "Dropout of the inputs behind",
    ),
    "not adapted": (
        [layer_of("Normalization", invert=False, mean=None), dense(2, 3)], "Call its method adapt",
    ),
    "scaling of other inputs": (
        [layer_of("Rescaling", scale=[1.0, 2.0, 3.0], offset=0.0), dense(2, 3)],
        "one number for all inputs or one for each of 2; got 3",
    ),
    "no layers": ([], "must have at least one layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_models(name: str) -> None:
    parts, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        from_keras(sequential(*parts))


def test_other_things() -> None:
    with pytest.raises(TypeError, match="model must be keras.Sequential of .*; got .*net.keras"):
        from_keras("net.keras")
    functional = stand_in({"class": "Functional", "module": "keras.src.models.functional"})
    with pytest.raises(
        ValueError, match=r"got Functional. .* pass keras.Sequential\(model.layers\)"
    ):
        from_keras(functional)
    own = function("relu", "__main__")
    layer = dense(2, 3)
    layer.activation = own
    with pytest.raises(ValueError, match="has the activation 'relu'; from_keras takes Keras'"):
        from_keras(sequential(layer))
    kind = type(sequential())
    changed = type("Changed", (kind,), {"call": lambda self, x: x + 1})()
    with pytest.raises(ValueError, match="got Changed"):
        from_keras(changed)
    with pytest.raises(TypeError, match="module is a model of Keras.*: use from_keras"):
        from_torch(sequential(dense(2, 3)))
    with pytest.raises(TypeError, match="net must be an MLP"):
        to_keras(3)


@pytest.mark.skipif(HAS_KERAS, reason="Keras is installed")
def test_without_keras() -> None:
    with pytest.raises(ImportError, match="to_keras needs Keras: pip install keras"):
        to_keras(MLP((2, 1), seed=0))


# ---- with Keras ---------------------------------------------------------------------------------


@needs_keras
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNITS)
def test_outputs_are_those_of_the_net(name: str, dtype: str) -> None:
    for net, X in cases(name, dtype):
        if overflows("keras", name, X):
            continue
        # exp makes a relative error of what was the absolute one of z, which float32 rounds.
        tolerance = 1e-5 if (name, dtype) == ("exp", "float64") else TOLERANCE
        assert largest_error(net, by_keras(net), X) <= tolerance


@needs_keras
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNITS)
def test_there_and_back(name: str, dtype: str) -> None:
    for net, X in cases(name, dtype):
        again = from_keras(to_keras(net), loss="squared_error")
        assert again.dtype == net.dtype
        np.testing.assert_array_equal(again.predict(X), net.predict(X))


@needs_keras
def test_logits_and_dropout() -> None:
    net = MLP((4, 8, 3), activation="leaky_relu", loss="cross_entropy", dropout=0.25,
              input_dropout=0.1, seed=0)  # fmt: skip
    model = to_keras(net, logits=True)
    assert [type(layer).__name__ for layer in model.layers] == [
        "Dropout", "Dense", "LeakyReLU", "Dropout", "Dense",
    ]  # fmt: skip
    X = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    got = model.predict(X, verbose=0)
    np.testing.assert_allclose(got, net.predict(X, logits=True), rtol=1e-5, atol=1e-6)
    again = from_keras(model, loss="cross_entropy")
    assert again.regularization.dropout_rates(2) == (0.1, 0.25)
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


@needs_keras
def test_no_random_numbers_are_drawn() -> None:
    import random

    random.seed(0)  # of which Keras makes seeds
    expected = random.random()
    random.seed(0)
    to_keras(MLP((4, 8, 3), seed=0))
    assert random.random() == expected


@needs_keras
def test_models_can_be_saved_and_trained(tmp_path: Path) -> None:
    import keras

    net = MLP((2, 4, 1), activation=graph(), seed=0)
    model = to_keras(net)
    path = tmp_path / "net.keras"
    model.save(path)
    X = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    loaded.compile(keras.optimizers.SGD(0.1), "mse")
    loaded.fit(X, X[:, :1], epochs=1, batch_size=32, shuffle=False, verbose=0)
    # mse is twice squared_error of one output
    _, gradient = net.loss_and_grad(X, X[:, :1])
    trained = from_keras(loaded)
    np.testing.assert_allclose(trained.params, net.params - 0.2 * gradient, atol=1e-6)


@needs_keras
def test_models_of_keras() -> None:
    import keras

    model = keras.Sequential([keras.layers.Dense(2)])
    with pytest.raises(ValueError, match="Build the model first"):
        from_keras(model)
    inputs = keras.Input((3,))
    functional = keras.Model(inputs, keras.layers.Dense(2, activation="relu")(inputs))
    with pytest.raises(ValueError, match=r"pass keras.Sequential\(model.layers\)"):
        from_keras(functional)
    assert from_keras(keras.Sequential(functional.layers)).layer_sizes == (3, 2)
    normalization = keras.layers.Normalization()
    X = np.random.default_rng(0).normal(1.0, 2.0, size=(50, 3)).astype(np.float32)
    normalization.adapt(X)
    model = keras.Sequential([
        keras.Input((3,)), normalization, keras.layers.Dense(4, activation="tanh"),
        keras.layers.Dense(2),
    ])  # fmt: skip
    expected = model.predict(X, verbose=0)
    got = from_keras(model).predict(X)
    assert np.abs(got - expected).max() <= 1e-6 * np.abs(expected).max()


@needs_keras
def test_no_backend_is_explained() -> None:
    code = "from fastbp import MLP\nfrom fastbp.files import to_keras\nto_keras(MLP((2, 1)))"
    if importlib.util.find_spec("tensorflow"):
        pytest.skip("TensorFlow, the backend by default, is installed")
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ImportError: Keras needs a backend and found no tensorflow" in done.stderr
