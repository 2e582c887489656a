"""Models of ONNX as PyTorch, Keras and skl2onnx export them."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path

import numpy as np
import pytest

from fastbp.files import from_onnx

pytest.importorskip("onnx", reason="models are read by the onnx library")
FILE = Path(__file__).parents[2] / "reference_values" / "onnx_models.json"
MODELS = {
    f"{library}: {one['name']}": one
    for library, models in json.loads(FILE.read_text(encoding="utf-8")).items()
    for one in models
}
NAMED = {
    "torch": ("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid",
              "hard_sigmoid", "identity", "softmax"),
    "keras": ("relu", "elu", "selu", "silu", "softplus", "tanh", "sigmoid", "hard_sigmoid", "graph",
              "leaky_relu", "graph", "softmax"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_the_outputs_are_theirs(name, tmp_path) -> None:
    one = MODELS[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(zlib.decompress(base64.b64decode(one["model"])))
    net = from_onnx(path)
    wanted = np.array(one["outputs"])
    outputs = net.predict(np.array(one["X"]))
    if "two classes" in name:
        wanted = wanted[:, 1:]
    assert outputs.shape == wanted.shape
    assert np.abs(outputs - wanted).max() <= 1e-6 * np.abs(wanted).max()
    if "named" in name:
        found = tuple(unit if isinstance(unit, str) else "graph" for unit in net.activations)
        assert found == NAMED[name.split(":")[0]]
        assert net.spec.loss.name == "cross_entropy"


def test_they_are_those_that_the_script_makes() -> None:
    libraries = {name.split(":")[0] for name in MODELS}
    assert libraries == {"torch", "keras", "sklearn"}
    assert len(MODELS) >= 18
