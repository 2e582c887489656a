"""Make keras_models.json: models of Keras 3 and their outputs.

Run it with Keras and PyTorch installed (``pip install keras torch==2.13.0``):
``KERAS_BACKEND=torch python tests/reference_values/keras_models.py``.
A model is written as its class with what `from_keras` may read of it, so that the tests can build
stand-ins where there is no Keras.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

NAMES = (
    "linear", "sigmoid", "tanh", "relu", "elu", "selu", "gelu", "silu", "softplus", "hard_sigmoid",
)  # fmt: skip
ATTRIBUTES = (
    "rate", "use_bias", "max_value", "negative_slope", "threshold", "alpha", "axis", "invert",
)  # fmt: skip
ARRAYS = ("scale", "offset", "mean", "variance")


def cases() -> dict[str, tuple[list[Any], dict[str, Any]]]:
    """Layers and the options of `from_keras`, by name."""
    found: dict[str, tuple[list[Any], dict[str, Any]]] = {
        name: ([layers.Dense(4, activation=name), layers.Dense(2)], {}) for name in NAMES
    }
    found["layers"] = (
        [
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(4, use_bias=False),
            layers.LeakyReLU(negative_slope=0.01),
            layers.Dropout(0.5),
            keras.Sequential([layers.Dense(3), layers.Activation("tanh"), layers.Identity()]),
            layers.Dense(4, activation=layers.ELU()),
            layers.Dense(3, activation=keras.activations.relu),
            layers.Dense(3),
            layers.ReLU(),
            layers.Dense(2),
        ],
        {},
    )
    found["scaled"] = (
        [
            layers.Rescaling(0.5, offset=-1.0),
            layers.Normalization(mean=[0.5, 1.0, -0.25], variance=[0.25, 1.0, 4.0]),
            layers.Dense(4, activation="tanh", use_bias=False),
            layers.Dense(2),
        ],
        {},
    )
    hidden = layers.Dense(4, activation="tanh")
    found["softmax"] = [hidden, layers.Dense(3, activation="softmax")], {}
    found["softmax layer"] = [hidden, layers.Dense(3), layers.Softmax()], {}
    found["log_softmax"] = [hidden, layers.Dense(3, activation="log_softmax")], {}
    found["sigmoid outputs"] = [hidden, layers.Dense(2, activation="sigmoid")], {}
    found["exponential"] = [hidden, layers.Dense(2, activation="exponential")], {}
    found["logits"] = [hidden, layers.Dense(3)], {"loss": "cross_entropy"}
    return found


def plain(value: Any) -> Any:
    """A function by its name, an array as a list."""
    if callable(value) and not isinstance(value, layers.Layer):
        return {"name": value.__name__, "module": value.__module__}
    if isinstance(value, layers.Layer):
        return specification(value)
    return value


def specification(layer: Any) -> dict[str, Any]:
    """The class of a layer, its plain attributes, weights, and what it is made of."""
    attributes = {name: getattr(layer, name) for name in ATTRIBUTES if hasattr(layer, name)}
    for name in ARRAYS:
        value = getattr(layer, name, None)
        if value is not None:
            attributes[name] = np.asarray(keras.ops.convert_to_numpy(value), float).tolist()
    spec: dict[str, Any] = {
        "class": type(layer).__name__,
        "module": type(layer).__module__,
        "attributes": attributes,
        "weights": [array.tolist() for array in layer.get_weights()],
    }
    if hasattr(layer, "activation"):
        spec["activation"] = plain(layer.activation)
    if isinstance(layer, keras.Sequential):
        spec["parts"] = [specification(part) for part in layer.layers]
        spec["weights"] = []
    return spec


def main() -> None:
    rng = np.random.default_rng(0)
    found = {}
    for name, (parts, options) in cases().items():
        model = keras.Sequential([keras.Input((3,)), *parts])
        model.set_weights([rng.normal(size=array.shape) for array in model.get_weights()])
        for part in parts:  # their arrays are weights, too
            if isinstance(part, layers.Normalization):
                part.finalize_state()
        X = rng.normal(size=(5, 3)).astype(np.float32)
        found[name] = {
            "spec": specification(model),
            "options": options,
            "X": X.tolist(),
            "outputs": model.predict(X, verbose=0).tolist(),
        }
    text = "{\n" + ",\n".join(f'"{name}": {json.dumps(made)}' for name, made in found.items())
    path = Path(__file__).with_suffix(".json")
    path.write_text(f"{text}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
