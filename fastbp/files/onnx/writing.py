"""A chain of layers as a model of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.files.chain import Chain, Layer, Scaling, in_type
from fastbp.files.onnx.formulas import Tensor, activated
from fastbp.files.onnx.library import library

LONGEST = 2**31 - 2**20
"""Bytes of arrays in one file: protobuf ends at 2 GiB."""
PROBABILITIES = ("softmax", "sigmoid")
"""Output activations after which a classifier's outputs are called probabilities."""


class Graph:
    """The nodes and constants of a graph.

    Parameters
    ----------
    dtype : numpy.dtype
        That of the net.
    opset : int

    Attributes
    ----------
    nodes, constants : list
        NodeProto, and TensorProto.
    room : str
        What the names of the nodes begin with.
    """

    def __init__(self, dtype: np.dtype[Any], opset: int) -> None:
        self.dtype = dtype
        self.opset = opset
        self.onnx = library()
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.room = ""
        self._numbers: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def node(self, operator: str, inputs: Sequence[str], attributes: dict[str, Any]) -> str:
        """Append a node; the name of its output, which is that of the node."""
        path = f"{self.room}/{operator}"
        count = self._counts.get(path, 0)
        self._counts[path] = count + 1
        name = f"{path}_{count}" if count else path
        given = {key: self._attribute(value) for key, value in attributes.items()}
        self.nodes.append(
            self.onnx.helper.make_node(operator, list(inputs), [name], name=name, **given)
        )
        return name

    def array(self, name: str, value: npt.NDArray[Any]) -> str:
        """Append a constant; its name."""
        self.constants.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def number(self, value: float, dtype: np.dtype[Any]) -> str:
        """The name of a constant without axes, one for all nodes that take it."""
        key = (dtype.name, repr(value))
        if key not in self._numbers:
            text = repr(value) if dtype == self.dtype else f"{value!r}_{dtype.name}"
            self._numbers[key] = text
            self.constants.append(
                self.onnx.numpy_helper.from_array(np.array(value, dtype), self._numbers[key])
            )
        return self._numbers[key]

    def rename(self, made: Tensor, name: str) -> Tensor:
        """Give what the last node has made the name of an output of the graph."""
        self.nodes[-1].output[0] = name
        made.name = name
        return made

    def _attribute(self, value: Any) -> Any:
        return self.type_of(value) if isinstance(value, np.dtype) else value

    def type_of(self, dtype: np.dtype[Any]) -> int:
        """The code of a type of numbers."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(dtype))


def model_of(chain: Chain, opset: int, producer_version: str) -> Any:
    """The model of a chain.

    Parameters
    ----------
    chain : Chain
    opset : int
    producer_version : str

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ImportError
        Without onnx.
    ValueError
        For more than one file of ONNX can hold.
    """
    size = sum(part.nbytes for layer in chain.layers for part in layer[:2] if part is not None)
    if size > LONGEST:
        raise ValueError(
            f"the net must have at most {LONGEST} bytes of weights and biases, what a file of ONNX "
            f"can hold; got {size}"
        )
    graph = Graph(chain.dtype, opset)
    helper = graph.onnx.helper
    code = graph.type_of(chain.dtype)
    x = Tensor(graph, "input", chain.dtype)
    inputs = [helper.make_tensor_value_info("input", code, ["batch", chain.n_in])]
    if chain.input_scaling is not None:
        x = _scaled(graph, x, chain.input_scaling)
    for i, layer in enumerate(chain.layers):
        x = _layer(graph, i, x, layer)
    if chain.output_scaling is not None:
        graph.room = "output_scaling"
        mean, scale = in_type("output_scaler", chain.output_scaling, chain.dtype)
        x = x * graph.array("output_scale", scale) + graph.array("output_mean", mean)
    outputs = [helper.make_tensor_value_info("output", code, ["batch", chain.n_out])]
    if chain.labels is None:
        graph.rename(x, "output")
    else:
        outputs = _classes(graph, chain, chain.labels, x)
    return helper.make_model(
        helper.make_graph(graph.nodes, "fastbp", inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
        producer_name="fastbp",
        producer_version=producer_version,
    )


def _scaled(graph: Graph, x: Tensor, scaling: Scaling) -> Tensor:
    """``(x - mean) / scale``, where the mean of a column may have more digits than float32.

    What is lost in rounding it, is subtracted afterwards: years and times of day are far from 0.
    """
    graph.room = "input_scaling"
    mean, scale = in_type("input_scaler", scaling, graph.dtype)
    rest = (scaling.mean - mean).astype(graph.dtype)
    x = x - graph.array("input_mean", mean)
    if rest.any():
        x = x - graph.array("input_mean_rest", rest)
    return x / graph.array("input_scale", scale)


def _layer(graph: Graph, i: int, x: Tensor, layer: Layer) -> Tensor:
    graph.room = f"layers.{i}"
    operands = [graph.array(f"layers.{i}.weight", layer.weight)]
    if layer.bias is not None:
        operands.append(graph.array(f"layers.{i}.bias", layer.bias))
    z = x.op("Gemm", *operands)
    graph.room += f"/{layer.activation}" if isinstance(layer.activation, str) else "/graph"
    return activated(z, layer.activation)


def _classes(graph: Graph, chain: Chain, classes: list[int] | list[str], y: Tensor) -> list[Any]:
    """Append the label of each row; the outputs of the graph."""
    helper = graph.onnx.helper
    graph.room = "label"
    activation = chain.layers[-1].activation
    name = "probabilities" if activation in PROBABILITIES else "scores"
    columns = chain.n_out
    if columns > 1:
        y = graph.rename(y, name)
        index = y.op("ArgMax", axis=1, keepdims=0)
    else:
        if name == "scores":
            y = graph.rename(y, name)
        second = y.op("Greater", chain.threshold).cast(np.dtype(np.int64))
        index = second.op("Squeeze", graph.array("axis_1", np.array([1])))
    if name == "probabilities" and columns == 1:  # those of both classes, as scikit-learn
        columns = 2
        graph.rename((1.0 - y).op("Concat", y, axis=1), name)
    labels = np.array(classes, object if isinstance(classes[0], str) else np.int64)
    label = Tensor(graph, graph.array("labels", labels), chain.dtype).op("Gather", index)
    graph.rename(label, "label")
    kind = graph.onnx.TensorProto.STRING if labels.dtype == object else graph.type_of(labels.dtype)
    return [
        helper.make_tensor_value_info("label", kind, ["batch"]),
        helper.make_tensor_value_info(name, graph.type_of(chain.dtype), ["batch", columns]),
    ]
