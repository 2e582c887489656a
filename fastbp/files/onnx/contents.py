"""What is in a file of ONNX, taken as it comes: a graph of nodes and arrays, or a ValueError.

Nothing is executed and no other file is opened. Names and sizes are checked before they are used,
so that no more memory is taken than the file is long, times a small number.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.files.onnx.library import library

Array = npt.NDArray[Any]

MOST_BYTES = 2**31
"""Size of a file at which protobuf ends."""
MOST_NODES = 10_000
MOST_PARTS = 200_000
"""Nodes, arrays, attributes, names, ...: of two bytes in a file the library makes a hundred."""
OLDEST_OPSET = 7
"""Before it, arithmetic had another way to say which axes go together."""
DOMAINS = ("", "ai.onnx")
"""Two names for the standard operators."""
_TYPED: dict[str, tuple[str, str, str]] = {
    "FLOAT": ("<f4", "float_data", "f4"),
    "DOUBLE": ("<f8", "double_data", "f8"),
    "FLOAT16": ("<f2", "int32_data", "u2"),
    "INT32": ("<i4", "int32_data", "i4"),
    "INT64": ("<i8", "int64_data", "i8"),
    "BOOL": ("?", "int32_data", "?"),
}
"""Types of tensors: that of raw bytes, the field of the numbers, and the type to read them by."""
FLOATS = ("FLOAT", "DOUBLE", "FLOAT16")


class Node(NamedTuple):
    """A node of a graph.

    Attributes
    ----------
    name, domain, operator : str
    inputs, outputs : list of str
        Names of tensors; "" where an optional one is left out.
    attributes : dict of str
        AttributeProto.
    """

    name: str
    domain: str
    operator: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        domain = "" if self.domain in DOMAINS else f"{self.domain}."
        return f"node {self.name!r:.100} ({domain}{self.operator:.50})"

    def attribute(self, name: str, default: Any) -> Any:
        """The value of an attribute that has the type of its default."""
        given = self.attributes.pop(name, None)
        if given is None:
            return default
        types = type(given)
        for kind, code, field in (
            (float, types.FLOAT, "f"),
            (int, types.INT, "i"),
            (str, types.STRING, "s"),
            (list, types.INTS, "ints"),
        ):
            if type(default) is kind and given.type == code:
                value = getattr(given, field)
                if kind is str:
                    return value.decode()
                return list(value) if kind is list else value
        raise ValueError(f"{self}: its attribute {name!r} must be {type(default).__name__}")


class Model(NamedTuple):
    """A graph, as far as one of its outputs needs it.

    Attributes
    ----------
    input : str
        Name of the one input.
    batch : int or None
        Its rows, if the file has a fixed number of them.
    columns : int or None
        The product of its other axes, if they are all known.
    axes : int or None
    output : str
    constants : dict of str to array
    nodes : list of Node
        Each after those whose outputs it takes.
    size : int
        Bytes of the file.
    """

    input: str
    batch: int | None
    columns: int | None
    axes: int | None
    output: str
    constants: dict[str, Array]
    nodes: list[Node]
    size: int


def read(path: str | os.PathLike[str]) -> Model:
    """The graph in a file.

    Parameters
    ----------
    path : str or path

    Raises
    ------
    ImportError
        Without onnx.
    ValueError
        For anything that is not a graph with one input and one output of numbers.
    OSError
    """
    onnx = library()
    from google.protobuf.message import DecodeError

    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not an ordinary file; only such are read")
    if found.st_size >= MOST_BYTES:
        raise ValueError(f"a file of ONNX has at most 2 GiB; this one has {found.st_size} bytes")
    with open(path, "rb") as file:
        content = file.read(found.st_size)
    _check_parts(content, onnx.ModelProto.DESCRIPTOR)
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise ValueError(f"it is no model of ONNX, or damaged: {error}") from None
    _check_operators(model)
    return _model(onnx, model.graph, len(content))


def _check_parts(content: bytes, model: Any) -> None:
    """Refuse more parts than a model has, before the library makes objects of them.

    Fields of protobuf are a key, the number of the field times 8 and how its value is written (0 a
    varint, 1 eight bytes, 2 a length and as many bytes, 5 four bytes), and the value. What is
    damaged is left to the library.
    """
    kinds: dict[str, dict[int, Any]] = {}
    stack = [(0, len(content), model)]
    parts = 0
    while stack:
        at, end, message = stack.pop()
        if message.full_name not in kinds:
            kinds[message.full_name] = {one.number: one.message_type for one in message.fields}
        below = kinds[message.full_name]
        while at < end:
            key, at = _varint(content, at)
            if key % 8 == 2:
                length, at = _varint(content, at)
                parts += 1
                if length and below.get(key // 8) is not None:
                    stack.append((at, min(at + length, end), below[key // 8]))
                at += length
            elif key % 8 == 0:
                _, at = _varint(content, at)
            elif key % 8 in (1, 5):
                at += 8 if key % 8 == 1 else 4
            else:
                return
            if parts > MOST_PARTS:
                raise ValueError(f"a model must have at most {MOST_PARTS} parts; got more")


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    for i in range(at, min(at + 10, len(content))):
        value |= (content[i] & 127) << shift
        if content[i] < 128:
            return value, i + 1
        shift += 7
    return value, len(content)


def _check_operators(model: Any) -> None:
    """The standard operators in a version whose meaning is known, and no others in their place."""
    versions = [entry.version for entry in model.opset_import if entry.domain in DOMAINS]
    if len(versions) != 1 or versions[0] < OLDEST_OPSET:
        raise ValueError(
            f"a model must say once which opset it has, from {OLDEST_OPSET} on; got {versions[:3]}"
        )
    if model.functions:
        name = f"{model.functions[0].domain}.{model.functions[0].name}"
        raise ValueError(f"a model must have no functions of its own; got {name!r:.100}")


def _model(onnx: Any, graph: Any, size: int) -> Model:
    if len(graph.node) > MOST_NODES or len(graph.initializer) > MOST_NODES:
        raise ValueError(
            f"a graph must have at most {MOST_NODES} nodes and as many arrays; got "
            f"{len(graph.node)} and {len(graph.initializer)}"
        )
    if graph.sparse_initializer:
        raise ValueError("sparse arrays are not read; got some")
    constants = _by_name("array", ((tensor.name, tensor) for tensor in graph.initializer))
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1:
        names = [item.name[:50] for item in inputs[:5]]
        raise ValueError(f"a graph must have one input; got {len(inputs)}: {names}")
    _check_type(onnx, inputs[0])
    nodes = [_node(onnx, node) for node in graph.node]
    made = [(name, node) for node in nodes for name in node.outputs if name]
    others = [(inputs[0].name, None), *((name, None) for name in constants)]
    makers = _by_name("tensor", [*others, *made])
    output = _output(onnx, graph.output)
    nodes = _needed(output, nodes, makers)
    used = {name for node in nodes for name in node.inputs} | {output}
    batch, columns, axes = _shape(inputs[0])
    arrays = {name: array_of(onnx, tensor) for name, tensor in constants.items() if name in used}
    return Model(inputs[0].name, batch, columns, axes, output, arrays, nodes, size)


def _by_name(what: str, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, item in pairs:
        if name in found:
            raise ValueError(f"the name {name!r:.100} must belong to one {what}; it is given twice")
        found[name] = item
    return found


def _node(onnx: Any, node: Any) -> Node:
    attributes = _by_name("attribute", ((item.name, item) for item in node.attribute))
    if any(item.ref_attr_name for item in attributes.values()):
        raise ValueError(f"node {node.name!r:.100}: an attribute must have a value of its own")
    if not isinstance(node.domain, str) or not isinstance(node.op_type, str):  # but bytes
        raise ValueError(f"node {node.name!r:.100}: its operator must be text in UTF-8")
    return Node(
        node.name, node.domain, node.op_type, list(node.input), list(node.output), attributes
    )


def _needed(output: str, nodes: list[Node], makers: dict[str, Any]) -> list[Node]:
    """The nodes that an output depends on, in their order."""
    wanted: set[int] = set()
    names = [output]
    while names:
        node = makers.get(names.pop())
        if node is not None and id(node) not in wanted:
            wanted.add(id(node))
            names.extend(name for name in node.inputs if name)
    return [node for node in nodes if id(node) in wanted]


def _output(onnx: Any, outputs: Any) -> str:
    """The name of the output that holds numbers, and not labels."""
    types = onnx.TensorProto
    numbers = [
        item.name
        for item in outputs
        if item.type.tensor_type.elem_type not in (types.INT64, types.INT32, types.STRING)
    ]
    if len(numbers) != 1:
        names = [name[:50] for name in numbers[:5]]
        raise ValueError(f"a graph must have one output beside labels; got {len(numbers)}: {names}")
    return str(numbers[0])


def _check_type(onnx: Any, item: Any) -> None:
    kind = item.type.tensor_type.elem_type
    if kind not in [getattr(onnx.TensorProto, name) for name in FLOATS]:
        raise ValueError(f"the input must be float32, float64 or float16; got the type {kind}")


def _shape(item: Any) -> tuple[int | None, int | None, int | None]:
    """Rows, columns and axes of an input, as far as they are known."""
    kind = item.type.tensor_type
    if not kind.HasField("shape"):
        return None, None, None
    axes = len(kind.shape.dim)
    if not 2 <= axes <= 32:
        raise ValueError(f"the input must have rows and columns; got {axes} axes")
    lengths = [dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim]
    if any(length is not None and length < 1 for length in lengths[1:]):
        raise ValueError(f"the input must have a column or more; got the shape {lengths}")
    known = [length for length in lengths[1:] if length is not None]
    return lengths[0], math.prod(known) if len(known) == axes - 1 else None, axes


def array_of(onnx: Any, tensor: Any) -> Array:
    """The numbers of a TensorProto; float16 becomes float32.

    Parameters
    ----------
    onnx : module
    tensor : onnx.TensorProto

    Raises
    ------
    ValueError
        For other types, numbers in another file, and as many as its shape does not say.
    """
    what = f"the array {tensor.name!r:.100}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ValueError(f"{what} is kept in another file, which is not opened. Save it as one")
    if tensor.HasField("segment"):
        raise ValueError(f"{what} must be whole; got a segment of it")
    names = {getattr(onnx.TensorProto, name): name for name in _TYPED}
    if tensor.data_type not in names:
        raise ValueError(
            f"{what} must have one of the types {', '.join(_TYPED)}; got {tensor.data_type}"
        )
    raw, field, typed = _TYPED[names[tensor.data_type]]
    dims = list(tensor.dims)
    if len(dims) > 32 or any(length < 0 for length in dims):
        raise ValueError(f"{what} must have a shape of at most 32 lengths; got {dims[:40]}")
    count = math.prod(dims)
    if tensor.HasField("raw_data"):
        found = len(tensor.raw_data) / np.dtype(raw).itemsize
    else:
        found = len(getattr(tensor, field))
    if found != count:
        raise ValueError(f"{what} must have {count} numbers, those of its shape; got {found:g}")
    if tensor.HasField("raw_data"):
        values: Array = np.frombuffer(tensor.raw_data, raw)
    else:
        values = _typed(what, getattr(tensor, field), typed)
    if raw == "<f2":
        values = values.view("f2").astype("f4")
    return values.astype(values.dtype.newbyteorder("="), copy=False).reshape(dims)


def _typed(what: str, numbers: Any, kind: str) -> Array:
    """Numbers of a field, which may be wider than their type."""
    try:
        wide = np.fromiter(numbers, "i8" if kind[0] in "iu?" else kind, len(numbers))
    except OverflowError:
        raise ValueError(f"{what} has numbers that do not fit its type") from None
    narrow = wide.astype(kind)
    if kind[0] in "iu?" and (narrow != wide).any():
        raise ValueError(f"{what} has numbers that do not fit its type")
    return narrow
