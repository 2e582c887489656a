"""How far ONNX Runtime's outputs are from fastbp's, for every activation, dtype and size of input.

``python tests/onnx_errors.py`` prints the table; tests/files/onnx/test_formulas.py asserts it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastbp import MLP, graph
from fastbp.files import to_onnx
from fastbp.kernels.activations import ACTIVATIONS

LOSSES = {"softmax": "cross_entropy", "exp": "poisson"}
TOLERANCES = {"float32": 1e-6, "float64": 1e-12}
"""Of the largest output."""
ORDINARY = np.concatenate([[0.0, 1e-30, 1e-12, 1e-8, 1e-4], np.linspace(0.01, 20.0, 400)])
SIZES = {"to 20": ORDINARY, "80": [80.0], "1e4": [1e4], "1e30": [1e30]}
"""Net inputs by size; both signs are tried."""

z = graph.variable("z")
GRAPHS = {
    "mish": z * graph.tanh(graph.relu(z) + graph.log(1.0 + graph.exp(-graph.abs(z)))),
    "waves": graph.sin(z) + graph.cos(z / 3.0) - z**2 / (1.0 + z * z),
    "a bent one": graph.max(z, -0.2 * z, z - 1.0) + graph.sqrt(1.0 + graph.abs(z) ** 0.5),
    "sums": graph.sum(graph.sigmoid(z), -z, 0.5) + graph.dot([z, 2.0], [z, graph.sigmoid(-z)]),
    "cancellation": (1e6 + graph.sigmoid(z)) - 1e6,
}
"""Activations of fastbp.graph with all of its operations."""


class Row(NamedTuple):
    """The errors of one activation: largest error / largest output, by size of the net input."""

    activation: str
    dtype: str
    errors: dict[str, float]


def net_of(activation: str, dtype: str) -> MLP:
    """A net whose outputs are the activation of its inputs."""
    if activation in GRAPHS:
        net = MLP((1, 1, 1), activation=GRAPHS[activation], dtype=dtype)
        net.weights[1][...] = 1.0
    else:
        units = 2 if activation == "softmax" else 1
        net = MLP((units, units), output_activation=activation, dtype=dtype,
                  loss=LOSSES.get(activation, "squared_error"))  # fmt: skip
    net.weights[0][...] = np.eye(len(net.weights[0]))
    return net


def run(path: Path, X: np.ndarray) -> list[Any]:
    """What ONNX Runtime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": X})


def error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest error / largest output; infinite where there is NaN."""
    assert got.shape == wanted.shape
    assert got.dtype == wanted.dtype
    off = np.abs(got.astype(np.float64) - wanted)
    if not np.isfinite(off).all():
        return np.inf
    return float(off.max() / (np.abs(wanted).max() or 1.0)) if off.size else 0.0  # no rows


def row_of(activation: str, dtype: str, path: Path, opset: int = 13) -> Row:
    """The errors of one activation in one dtype."""
    net = net_of(activation, dtype)
    to_onnx(net, path, opset=opset)
    errors = {}
    for name, sizes in SIZES.items():
        if activation in GRAPHS and name == "1e30":  # the square of it overflows in float32
            continue
        X = np.concatenate([sizes, np.negative(sizes)]).astype(dtype)[:, None]
        if activation == "softmax":
            X = np.concatenate([X, X / 3], axis=1)
        errors[name] = error(run(path, X)[0], net.predict(X))
    return Row(activation, dtype, errors)


def rows() -> Iterator[Row]:
    """All activations in both dtypes."""
    with tempfile.TemporaryDirectory() as folder:
        for activation in (*ACTIVATIONS, *GRAPHS):
            for dtype in TOLERANCES:
                yield row_of(activation, dtype, Path(folder) / "net.onnx")


if __name__ == "__main__":
    print("largest error / largest output, at net inputs of the size")
    print(f"{'activation':<14}{'dtype':<10}", *(f"{name:>9}" for name in SIZES))
    for row in rows():
        numbers = (f"{row.errors[name]:9.1e}" if name in row.errors else " " * 9 for name in SIZES)
        print(f"{row.activation:<14}{row.dtype:<10}", *numbers)
