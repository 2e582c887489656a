"""Nets in exchange formats: how far their outputs are from those of fastbp.

``python tests/exchanged.py`` prints the table of all formats that are installed here; Keras by the
backend of ``KERAS_BACKEND``, by default torch.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fastbp import MLP
from fastbp.files import to_keras, to_python, to_torch
from fastbp.graph import Expression, exp, relu, tanh, variable
from fastbp.graph import max as largest
from fastbp.kernels.activations import ACTIVATIONS

DTYPES = ("float32", "float64")
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
"""Of the largest output."""
SIZES = (1e-30, 1e-3, 1.0, 20.0, 80.0, 100.0, 730.0, 1e4, 1e30)
"""Net inputs at which each activation is compared."""
WEIGHTS = [1.0, -1.0, 0.5, -0.5, 0.25, -0.25, 0.125, -0.125]
"""Powers of two: sums of other numbers differ by their order, and exp would make that larger."""
Predict = Callable[[np.ndarray], np.ndarray]


def graph() -> Expression:
    """An activation that is in no table, with parts that several others need."""
    z = variable("z")
    bounded = tanh(z)
    return largest(bounded * exp(-bounded), 0.3 * relu(z), bounded**2.0 / (1.5 + bounded) - 0.1)


UNITS: dict[str, Any] = {name: name for name in ACTIVATIONS} | {"graph": graph()}
HIDDEN = [name for name in UNITS if name == "graph" or ACTIVATIONS[name].hidden]


def units(name: str, dtype: str) -> MLP:
    """A layer of one input, whose net inputs are exact."""
    net = MLP(
        (1, len(WEIGHTS)), output_activation=UNITS[name], loss="squared_error", dtype=dtype,
        bias=False,
    )  # fmt: skip
    net.weights[0][...] = [WEIGHTS]
    return net


def deep(name: str, dtype: str) -> MLP:
    """Two hidden layers, with random biases."""
    hidden = UNITS[name] if name in HIDDEN else "tanh"
    output = None if name in HIDDEN else name
    loss = "squared_error"
    net = MLP((5, 16, 8, 3), activation=hidden, output_activation=output, loss=loss, dtype=dtype,
              seed=7)  # fmt: skip
    rng = np.random.default_rng(8)
    for bias in net.biases:
        bias[...] = rng.normal(size=bias.shape)
    return net


def cases(name: str, dtype: str) -> Iterator[tuple[MLP, np.ndarray]]:
    """Nets with the activation, and inputs."""
    rng = np.random.default_rng(9)
    for size in SIZES:
        yield units(name, dtype), (size * rng.uniform(0.5, 1.0, size=(50, 1))).astype(dtype)
    yield deep(name, dtype), rng.normal(size=(200, 5)).astype(dtype)


def largest_error(net: MLP, predict: Predict, X: np.ndarray) -> float:
    """The largest difference over the largest output; below all normal numbers it is none."""
    expected = net.predict(X).astype(np.float64)
    got = np.asarray(predict(X), np.float64)
    assert got.shape == expected.shape
    assert np.isfinite(expected).all() and np.isfinite(got).all()
    difference = np.abs(got - expected)
    difference[difference <= 2.0 * np.finfo(net.dtype).tiny] = 0.0
    size = np.abs(expected).max()
    return float(difference.max() / size) if difference.any() else 0.0


def by_python(net: MLP) -> Predict:
    """The `predict` of the file that `to_python` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "written.py"
        to_python(net, path)
        return imported(path).predict


def by_torch(net: MLP) -> Predict:
    """The module that `to_torch` makes."""
    import torch

    module = to_torch(net)
    return lambda X: module(torch.from_numpy(X)).detach().numpy()


def by_keras(net: MLP) -> Predict:
    """The model that `to_keras` makes."""
    import keras

    model = to_keras(net)
    return lambda X: keras.ops.convert_to_numpy(model(X, training=False))


def imported(path: Path) -> ModuleType:
    """The module in a file."""
    spec = importlib.util.spec_from_file_location("written", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def overflows(name: str, unit: str, X: np.ndarray) -> bool:
    """Whether outputs are infinite there: Keras' exponential is not cut off as fastbp's is."""
    return name == "keras" and unit == "exp" and bool(np.abs(X).max() > 80.0)


FORMATS: dict[str, Callable[[MLP], Predict]] = {
    "python": by_python, "torch": by_torch, "keras": by_keras,
}  # fmt: skip


def main() -> None:
    """Print the table."""
    print("largest error / largest output")
    formats = [name for name in FORMATS if name == "python" or importlib.util.find_spec(name)]
    print(f"{'activation':14}{'dtype':10}" + "".join(f"{name:>10}" for name in formats))
    for unit in UNITS:
        for dtype in DTYPES:
            found = [
                max(
                    largest_error(net, FORMATS[name](net), X)
                    for net, X in cases(unit, dtype)
                    if not overflows(name, unit, X)
                )
                for name in formats
            ]
            print(f"{unit:14}{dtype:10}" + "".join(f"{error:10.1e}" for error in found))


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "torch")
    sys.exit(main())
