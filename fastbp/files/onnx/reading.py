"""A graph of ONNX as a chain of layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.files.chain import Layer
from fastbp.files.onnx.contents import DOMAINS, FLOATS, Model, Node, array_of
from fastbp.files.onnx.library import library
from fastbp.files.onnx.operators import OPERATORS
from fastbp.files.onnx.terms import Affine, Term, affine_of, parts_of

Array = npt.NDArray[Any]

CHAINS = "Gemm, or MatMul and Add, with constant weights, and activations between them"


class Batch(NamedTuple):
    """A tensor with a row for each row of the input.

    Attributes
    ----------
    layer : int
        How many layers are below.
    term : Term
        What has been made of the outputs of the last, or of the input.
    columns : int or None
        None as long as it is not known.
    is_flat : bool
        Whether it has rows and columns, and no more axes.
    transposed : bool
        Whether its rows are columns.
    """

    layer: int
    term: Term
    columns: int | None
    is_flat: bool
    transposed: bool = False


class Product(NamedTuple):
    """The product of a layer."""

    weight: Array
    bias: Array | None
    node: Node
    term: Term  # what it is the product of


Value = Batch | Array | None


class Reader:
    """Goes through the nodes and collects the layers.

    Parameters
    ----------
    model : Model
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.onnx = library()
        self.products: list[Product] = []
        self.weights = 0
        self.values: dict[str, Value] = {**model.constants}
        flat = model.axes is None or model.axes == 2
        self.values[model.input] = Batch(0, Term(""), model.columns, flat)

    def layers(self) -> list[Layer]:
        """The layers.

        Raises
        ------
        ValueError
            For a graph that is no chain of them.
        """
        for node in self.model.nodes:
            inputs = [self._value(node, name) for name in node.inputs]
            self.values[node.outputs[0] if node.outputs else ""] = self._output(node, inputs)
            if node.attributes:
                raise ValueError(f"{node} must not have the attributes {list(node.attributes)[:5]}")
        last = self.values.get(self.model.output)
        if not isinstance(last, Batch) or not last.is_flat or last.transposed:
            raise ValueError(
                f"the output {self.model.output!r:.100} must be computed from the input, row by row"
            )
        if last.layer != len(self.products) or not self.products:
            raise ValueError(f"the output must be that of the last layer; accepted are {CHAINS}")
        with np.errstate(all="ignore"):  # terms are tried out far from 0; weights are checked later
            return self._folded(last.term)

    def _value(self, node: Node, name: str) -> Value:
        if not name:
            return None
        if name not in self.values:
            raise ValueError(f"{node} takes {name!r:.100}, which no node before it makes")
        return self.values[name]

    def _output(self, node: Node, inputs: list[Value]) -> Value:
        if node.domain == "ai.onnx.ml" and node.operator == "ZipMap":  # names for the columns
            node.attributes.clear()
            return self._one(node, inputs)
        if node.domain not in DOMAINS:
            raise ValueError(f"{node} is no standard operator; accepted are {CHAINS}")
        handler = HANDLERS.get(node.operator)
        if handler is not None:
            return handler(self, node, inputs)
        if node.operator in OPERATORS:
            return self._elementwise(node, inputs)
        more = ", ".join(sorted({*HANDLERS, *OPERATORS}))
        raise ValueError(f"{node} has an operator that is not read; accepted are {more}")

    # ---- layers ----------------------------------------------------------------------------------

    def _gemm(self, node: Node, inputs: list[Value]) -> Batch:
        alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
        transposed = [bool(node.attribute(name, 0)) for name in ("transA", "transB")]
        _check_count(node, inputs, 2, 3)
        x, weight = self._operands(node, inputs, transposed[0])
        weight = weight.T if transposed[1] else weight
        if alpha != 1.0:
            weight = _scaled(weight, alpha)
        bias = None
        if len(inputs) == 3 and inputs[2] is not None:
            bias = self._row(node, inputs[2], weight.shape[1])
            if beta != 1.0:
                bias = _scaled(bias, beta)
        return self._product(node, x, weight, bias)

    def _matmul(self, node: Node, inputs: list[Value]) -> Batch:
        _check_count(node, inputs, 2, 2)
        x, weight = self._operands(node, inputs, False)
        return self._product(node, x, weight, None)

    def _operands(self, node: Node, inputs: list[Value], transposed: bool) -> tuple[Batch, Array]:
        x, weight = inputs[:2]
        if not isinstance(x, Batch) or not isinstance(weight, np.ndarray):
            raise ValueError(
                f"{node} must take rows first and then constant weights: accepted are {CHAINS}"
            )
        if x.transposed is not transposed:
            raise ValueError(f"{node} must take a sample in each row, not in each column")
        if not x.is_flat:
            raise ValueError(f"{node} must take rows and columns; put a Flatten in front of it")
        if weight.ndim != 2 or weight.size == 0 or weight.dtype.kind != "f":
            raise ValueError(
                f"{node} must take weights of the shape (a, b), floats; got {weight.shape} of "
                f"{weight.dtype}"
            )
        return x, weight

    def _product(self, node: Node, x: Batch, weight: Array, bias: Array | None) -> Batch:
        if x.columns is not None and x.columns != len(weight):
            raise ValueError(
                f"{node} must take as many columns as its weights have rows, {len(weight)}; got "
                f"{x.columns}"
            )
        if x.layer != len(self.products):
            raise ValueError(f"{node} begins a second branch; accepted are {CHAINS}")
        self.weights += weight.size
        if self.weights > self.model.size:
            raise ValueError(f"{node} shares its weights with other layers, which no MLP does")
        self.products.append(Product(weight, bias, node, x.term))
        return Batch(x.layer + 1, Term(""), weight.shape[1], True)

    def _row(self, node: Node, value: Value, columns: int) -> Array:
        """A constant as one number for each column."""
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            raise ValueError(f"{node} must take a constant bias of floats")
        if value.size not in (1, columns) or value.shape[-1:] not in ((), (1,), (columns,)):
            raise ValueError(
                f"{node} must take a bias of the shape ({columns},); got {value.shape}"
            )
        return np.broadcast_to(value.reshape(-1), (columns,))

    # ---- number by number ------------------------------------------------------------------------

    def _elementwise(self, node: Node, inputs: list[Value]) -> Batch:
        operator = OPERATORS[node.operator]
        attributes = tuple(node.attribute(key, value) for key, value in operator.attributes.items())
        if node.operator == "Clip" and len(inputs) == 1:  # as attributes, up to opset 10
            bounds = {key: node.attribute(key, math.nan) for key in ("min", "max")}
            inputs += [None if math.isnan(b) else np.array(b) for b in bounds.values()]
        _check_count(node, inputs, operator.fewest, operator.most)
        if any(one is None for one in inputs[: 1 if node.operator == "Clip" else None]):
            raise ValueError(f"{node} must have all of its inputs")
        batches = [one for one in inputs if isinstance(one, Batch)]
        if not batches:
            raise ValueError(f"{node} computes with constants alone: fold them before")
        x = batches[0]
        columns = x.columns
        for batch in batches[1:]:
            if batch.layer != x.layer:
                raise ValueError(f"{node} joins two branches; accepted are {CHAINS}")
            if (batch.is_flat, batch.transposed) != (x.is_flat, x.transposed):
                raise ValueError(f"{node} must take tensors of the same axes")
        operands: list[Term | Array | None] = []
        for one in inputs:
            if isinstance(one, np.ndarray):
                columns = self._check_constant(node, one, x, columns)
                operands.append(one.astype(np.float64).reshape(-1))
            else:
                operands.append(one.term if isinstance(one, Batch) else None)
        term = Term(node.operator, tuple(operands), attributes, str(node))
        return x._replace(term=term, columns=columns)

    def _check_constant(
        self, node: Node, value: Array, x: Batch, columns: int | None
    ) -> int | None:
        """The columns of what is made of a constant and a batch; the constant must fit."""
        if value.size == 1 and value.ndim <= 2:
            return columns
        length = value.shape[-1] if value.ndim else 0
        fits = value.size == length and value.ndim <= 2 and x.is_flat and not x.transposed
        if not fits or (columns is not None and length != columns):
            raise ValueError(
                f"{node} must take constants with one number, or one for each of the "
                f"{columns or 'n'} columns; got the shape {value.shape}"
            )
        return length

    def _softmax(self, node: Node, inputs: list[Value]) -> Batch:
        x = self._batch(node, inputs)
        axis = node.attribute("axis", -1)
        if axis not in (-1, 1) or not x.is_flat or x.transposed:
            raise ValueError(f"{node} must have the last axis of rows and columns; got {axis}")
        return x._replace(term=Term("Softmax", (x.term,), (), str(node)))

    def _concat(self, node: Node, inputs: list[Value]) -> Batch:
        """Of 1 - p and p, the probabilities of two classes: p."""
        axis = node.attribute("axis", 0)
        if len(inputs) == 2 and all(isinstance(one, Batch) for one in inputs) and axis in (1, -1):
            other, p = inputs
            assert isinstance(other, Batch)
            assert isinstance(p, Batch)
            term = other.term
            same_layer = other.layer == p.layer and p.columns == 1
            if same_layer and term.operator == "Sub" and term.inputs[1] is p.term:
                one = term.inputs[0]
                if isinstance(one, np.ndarray) and (one == 1.0).all():
                    return p
        raise ValueError(f"{node} must join the probabilities 1 - p and p of two classes")

    # ---- shapes ----------------------------------------------------------------------------------

    def _one(self, node: Node, inputs: list[Value]) -> Value:
        _check_count(node, inputs, 1, 1)
        if inputs[0] is None:
            raise ValueError(f"{node} must have an input")
        return inputs[0]

    def _batch(self, node: Node, inputs: list[Value]) -> Batch:
        x = self._one(node, inputs)
        if not isinstance(x, Batch):
            raise ValueError(f"{node} must take what is computed from the input")
        return x

    def _cast(self, node: Node, inputs: list[Value]) -> Value:
        code = node.attribute("to", 0)
        node.attribute("saturate", 1)
        x = self._one(node, inputs)
        floats = {getattr(self.onnx.TensorProto, name): name for name in FLOATS}
        if code not in floats:
            raise ValueError(f"{node} must give floats ({', '.join(FLOATS)}); got the type {code}")
        if isinstance(x, np.ndarray):
            return x.astype(np.float64 if floats[code] == "DOUBLE" else np.float32)
        return x

    def _dropout(self, node: Node, inputs: list[Value]) -> Value:
        for name, default in (("ratio", 0.5), ("seed", 0)):
            node.attribute(name, default)
        _check_count(node, inputs, 1, 3)
        training = inputs[2] if len(inputs) == 3 else None
        if training is not None and (isinstance(training, Batch) or training.any()):
            raise ValueError(f"{node} must not be training. Export the model for inference")
        return self._one(node, inputs[:1])

    def _flatten(self, node: Node, inputs: list[Value]) -> Batch:
        x = self._batch(node, inputs)
        axis = node.attribute("axis", 1)
        if axis != 1 or x.transposed:
            raise ValueError(f"{node} must keep the rows, axis=1; got {axis}")
        return x._replace(is_flat=True)

    def _reshape(self, node: Node, inputs: list[Value]) -> Value:
        node.attribute("allowzero", 0)
        _check_count(node, inputs, 2, 2)
        x, shape = inputs
        if not isinstance(shape, np.ndarray) or shape.dtype.kind != "i" or shape.ndim != 1:
            raise ValueError(f"{node} must have a constant shape")
        wanted = shape.tolist()[:32]
        if isinstance(x, np.ndarray):
            try:
                return x.reshape(wanted)
            except ValueError as error:
                raise ValueError(f"{node} does not fit: {error}") from None
        if not isinstance(x, Batch) or len(wanted) != 2 or x.transposed:
            raise ValueError(f"{node} must give rows and columns; got the shape {wanted}")
        rows, columns = wanted
        keeps_columns = columns == -1 or (x.is_flat and columns == 0) or columns == x.columns
        keeps_rows = rows in (0, self.model.batch) or (rows == -1 and columns != -1)
        if not keeps_columns or not keeps_rows:
            raise ValueError(
                f"{node} must keep the rows, with {x.columns or 'all'} columns; got the shape "
                f"{wanted}"
            )
        return x._replace(is_flat=True)

    def _transpose(self, node: Node, inputs: list[Value]) -> Value:
        x = self._one(node, inputs)
        axes = x.ndim if isinstance(x, np.ndarray) else 2
        order = node.attribute("perm", list(range(axes))[::-1])
        if isinstance(x, np.ndarray) and sorted(order) == list(range(axes)):
            return x.transpose(order)
        if isinstance(x, Batch) and x.is_flat and order == [1, 0]:
            return x._replace(transposed=not x.transposed)
        raise ValueError(f"{node} must transpose rows and columns, perm=[1, 0]; got {order[:8]}")

    def _constant(self, node: Node, inputs: list[Value]) -> Array:
        _check_count(node, inputs, 0, 0)
        types = self.onnx.AttributeProto
        for name, code, kind in (
            ("value", types.TENSOR, None),
            ("value_float", types.FLOAT, np.float32),
            ("value_floats", types.FLOATS, np.float32),
            ("value_int", types.INT, np.int64),
            ("value_ints", types.INTS, np.int64),
        ):
            given = node.attributes.get(name)
            if given is not None and given.type == code:
                del node.attributes[name]
                if kind is None:
                    return array_of(self.onnx, given.t)
                field = {"float": "f", "floats": "floats", "int": "i", "ints": "ints"}
                return np.array(getattr(given, field[name.removeprefix("value_")]), kind)
        raise ValueError(f"{node} must have a value of numbers; got {list(node.attributes)[:5]}")

    # ---- the end ---------------------------------------------------------------------------------

    def _folded(self, last: Term) -> list[Layer]:
        """The layers, with what only scales in their weights and biases."""
        first = self.products[0]
        carried = affine_of(first.term)
        if carried is None:
            raise ValueError(
                f"{first.node} is the first layer and must take the input, which may be scaled; "
                f"got an activation, {first.term.node}"
            )
        ends = [*(product.term for product in self.products[1:]), last]
        layers = []
        for i, (product, term) in enumerate(zip(self.products, ends, strict=True)):
            before, activation, after = parts_of(term, i + 1 == len(ends))
            weight, bias = _after(product, carried)
            weight, bias = _before(weight, bias, before)
            if not all(np.isfinite(part).all() for part in (weight, bias) if part is not None):
                raise ValueError(f"{product.node} must have finite weights and a finite bias")
            layers.append(Layer(weight, bias, activation))
            carried = after
        return layers


def _check_count(node: Node, inputs: list[Value], fewest: int, most: int) -> None:
    if not fewest <= len(inputs) <= most or len(node.outputs) < 1:
        raise ValueError(
            f"{node} must have {fewest} to {most} inputs and an output; got {len(inputs)} and "
            f"{len(node.outputs)}"
        )


def _scaled(array: Array, factor: float) -> Array:
    return (array * np.float64(factor)).astype(array.dtype)


def _after(product: Product, scaling: Affine) -> tuple[Array, Array | None]:
    """Weight and bias of a layer that takes what has not been scaled: ``(f x + s) W + b``."""
    weight, bias, _, _ = product
    if scaling.is_identity:
        return weight, bias
    wide = weight.astype(np.float64)
    shift = np.broadcast_to(scaling.shift, (len(wide),)) @ wide
    factor = np.broadcast_to(scaling.factor, (len(wide),))
    total = shift if bias is None else bias + shift
    if bias is None and not shift.any():
        return (factor[:, None] * wide).astype(weight.dtype), None
    return (factor[:, None] * wide).astype(weight.dtype), total.astype(weight.dtype)


def _before(weight: Array, bias: Array | None, scaling: Affine) -> tuple[Array, Array | None]:
    """Weight and bias of a layer whose net inputs are scaled: ``f (x W + b) + s``."""
    if scaling.is_identity:
        return weight, bias
    columns = weight.shape[1]
    factor = np.broadcast_to(scaling.factor, (columns,))
    shift = np.broadcast_to(scaling.shift, (columns,))
    scaled = weight if (factor == 1.0).all() else (factor * weight).astype(weight.dtype)
    if bias is None and not shift.any():
        return scaled, None
    total = shift if bias is None else factor * bias + shift
    return scaled, total.astype(weight.dtype)


Handler = Callable[[Reader, Node, list[Value]], Value]
HANDLERS: dict[str, Handler] = {
    "Gemm": Reader._gemm,
    "MatMul": Reader._matmul,
    "Softmax": Reader._softmax,
    "Concat": Reader._concat,
    "Identity": Reader._one,
    "Cast": Reader._cast,
    "Dropout": Reader._dropout,
    "Flatten": Reader._flatten,
    "Reshape": Reader._reshape,
    "Transpose": Reader._transpose,
    "Constant": Reader._constant,
}
"""The operators that make layers of numbers, or change shapes; the others are in OPERATORS."""
