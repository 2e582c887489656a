"""Make onnx_models.json: small models of ONNX as other libraries export them, with their outputs.

``python tests/reference_values/onnx_models.py torch`` needs ``torch``, ``onnx`` and ``onnxscript``;
``... keras`` needs ``tensorflow-cpu`` and ``tf2onnx``; ``... sklearn`` needs ``scikit-learn`` and
``skl2onnx``. Each replaces its own part of the file. Models are in base64 of zlib, without what
says how they were made.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

FILE = Path(__file__).with_suffix(".json")
Made = tuple[str, Any, np.ndarray, np.ndarray]


def stripped(model: Any) -> Any:
    """The model without what it does not need to be computed."""
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output,
                 *model.graph.initializer):  # fmt: skip
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    return model


def numbers(array: np.ndarray) -> list[list[float]]:
    """Nine digits, which is all of float32."""
    return [[float(f"{value:.9g}") for value in row] for row in array.tolist()]


def packed(model: Any) -> str:
    return base64.b64encode(zlib.compress(model.SerializeToString(), 9)).decode()


def from_torch() -> Iterator[Made]:
    import torch
    from torch import nn

    def linear(n_in: int, n_out: int, bias: bool = True) -> nn.Linear:
        return nn.Linear(n_in, n_out, bias=bias)

    units = (
        nn.ReLU(), nn.LeakyReLU(), nn.ELU(), nn.SELU(), nn.GELU(), nn.SiLU(), nn.Softplus(),
        nn.Tanh(), nn.Sigmoid(), nn.Hardsigmoid(),
    )  # fmt: skip
    nets = {
        "named": (nn.Sequential(
            linear(3, 2), *[part for unit in units for part in (unit, linear(2, 2))],
            nn.Dropout(0.1), linear(2, 3, bias=False), nn.Softmax(dim=-1)), (1, 3)),
        "graphs": (nn.Sequential(
            nn.Flatten(), linear(8, 3), nn.Mish(), linear(3, 2), nn.Hardswish(), linear(2, 2),
            nn.GELU(approximate="tanh"), linear(2, 2), nn.ELU(0.5), linear(2, 2), nn.LogSigmoid(),
            linear(2, 2), nn.ReLU6(), linear(2, 2), nn.Softsign(), linear(2, 1)), (1, 1, 2, 4)),
    }  # fmt: skip
    warnings.simplefilter("ignore")
    for name, (net, shape) in nets.items():
        torch.manual_seed(0)
        for parameters in net.parameters():
            nn.init.normal_(parameters)
        net.eval()
        example = torch.randn(shape)
        X = torch.randn((6, *shape[1:]))
        with torch.no_grad():
            outputs = net(X).numpy()
        for opset in (12, 17):
            file = io.BytesIO()
            torch.onnx.export(net, (example,), file, dynamo=False, opset_version=opset,
                              input_names=["x"], dynamic_axes={"x": {0: "batch"}})  # fmt: skip
            model = onnx.load_from_string(file.getvalue())
            yield f"{name}, TorchScript, {opset}", model, X.numpy(), outputs
        for opset in (18, 20):
            batch = {0: torch.export.Dim("batch")}
            program = torch.onnx.export(net, (example,), dynamo=True, opset_version=opset,
                                        dynamic_shapes=(batch,), verbose=False)  # fmt: skip
            yield f"{name}, dynamo, {opset}", program.model_proto, X.numpy(), outputs


def from_keras() -> Iterator[Made]:
    import keras
    import tensorflow
    import tf2onnx

    layers = keras.layers
    names = ("relu", "elu", "selu", "silu", "softplus", "tanh", "sigmoid", "hard_sigmoid", "relu6")
    keras.utils.set_random_seed(0)
    net = keras.Sequential(
        [layers.Input((3,)), *[layers.Dense(2, name) for name in names], layers.Dropout(0.1),
         layers.Dense(2), layers.LeakyReLU(negative_slope=0.01),
         layers.Dense(2, lambda x: keras.activations.gelu(x, approximate=True)),
         layers.Dense(3, "softmax")]
    )  # fmt: skip
    rng = np.random.default_rng(0)
    net.set_weights([rng.normal(size=array.shape) for array in net.get_weights()])
    X = rng.normal(size=(6, 3)).astype(np.float32)
    given = [tensorflow.TensorSpec((None, 3), tensorflow.float32, name="x")]
    function = tensorflow.function(lambda x: net(x, training=False), input_signature=given)
    for opset in (13, 17):
        model, _ = tf2onnx.convert.from_function(function, input_signature=given, opset=opset)
        yield f"named, tf2onnx, {opset}", model, X, np.asarray(net(X))
    with tempfile.TemporaryDirectory() as folder:
        net.export(f"{folder}/net.onnx", format="onnx")
        yield "named, export", onnx.load(f"{folder}/net.onnx"), X, np.asarray(net(X))


def from_sklearn() -> Iterator[Made]:
    import skl2onnx
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.normal(2.0, 3.0, size=(60, 3)).astype(np.float32)
    three = np.array(["a", "b", "c"])[rng.integers(3, size=60)]
    options = {"hidden_layer_sizes": (4, 3), "max_iter": 5, "random_state": 0}
    for name, kind, y, more in (
        ("two classes", MLPClassifier, (X[:, 0] > 2).astype(int), {"activation": "relu"}),
        ("three classes", MLPClassifier, three, {"activation": "tanh"}),
        ("regression", MLPRegressor, X[:, 1] ** 2, {"activation": "logistic"}),
    ):
        net = kind(**options, **more).fit(X, y)
        outputs = net.predict_proba(X[:6]) if kind is MLPClassifier else net.predict(X[:6, :])
        outputs = outputs.reshape(6, -1)
        choices = ({}, {"zipmap": False}) if kind is MLPClassifier else (None,)
        for choice in choices:
            for dtype in (np.float32, np.float64):
                model = skl2onnx.to_onnx(net, X[:1].astype(dtype), options=choice, target_opset=17)
                text = "" if choice is None else ", no map" if choice else ", map"
                yield f"{name}{text}, {dtype.__name__}", model, X[:6], outputs


LIBRARIES = {"torch": from_torch, "keras": from_keras, "sklearn": from_sklearn}


if __name__ == "__main__":
    stored = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    library = sys.argv[1]
    stored[library] = [
        {
            "name": name,
            "model": packed(stripped(model)),
            "X": numbers(X.reshape(len(X), -1)),
            "outputs": numbers(outputs),
        }
        for name, model, X, outputs in LIBRARIES[library]()
    ]
    lines = [
        f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, models)) + "\n]"
        for name, models in sorted(stored.items())
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
