"""Models of ONNX made by hand, node by node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node
rng = np.random.default_rng(5)
W = rng.normal(size=(3, 2)).astype(np.float32)
B = rng.normal(size=2).astype(np.float32)
V = rng.normal(size=(2, 2)).astype(np.float32)
X = rng.normal(size=(6, 3)).astype(np.float32)
ARRAYS = {
    "W": W, "B": B, "V": V, "WT": np.ascontiguousarray(W.T), "two": np.float32(2.0),
    "twos": np.array([2.0], np.float32), "half": np.float32(0.5), "one": np.float32(1.0),
    "six": np.float32(6.0), "zero": np.float32(0.0), "three": np.float32(3.0),
    "root": np.float32(np.sqrt(2.0)), "inverse root": np.float32(np.sqrt(0.5)),
    "twenty": np.float32(20.0), "leak": np.float32(0.01), "shape": np.array([-1, 3]),
    "row": np.array([[0.25, -4.0]], np.float32), "rows": np.array([-1, 2]), "flag": np.array(False),
    "on": np.array(True), "column": np.ones((6, 1), np.float32), "sixth": np.float32(1 / 6),
    "pair": np.array([2, -1]), "any": np.array([-1, -1]), "one column": W[:, :1],
    "n1": np.array([0, -1]), "threshold": np.array([1.0, 2.0, 0.5], np.float32),
}  # fmt: skip


def model(
    nodes: list[Any],
    *,
    arrays: dict[str, Any] | None = None,
    opset: int = 17,
    shape: tuple[Any, ...] = ("batch", 3),
    kind: int = TensorProto.FLOAT,
) -> Any:
    """The model of the nodes, from x to y, with those of `ARRAYS` that they take, and others."""
    used = {name for one in nodes for name in one.input}
    known = {**{name: array for name, array in ARRAYS.items() if name in used}, **(arrays or {})}
    tensors = [
        numpy_helper.from_array(np.asarray(array), name)
        if not isinstance(array, TensorProto) else array
        for name, array in known.items()
    ]  # fmt: skip
    graph = helper.make_graph(
        nodes, "made", [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)], tensors,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def written(made: Any, folder: Path) -> Path:
    """The path of a file with the model."""
    path = folder / "made.onnx"
    path.write_bytes(made.SerializeToString())
    return path
