"""Graphs in nets: as the loss of an `MLP`, and as the activation of a layer."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from fastbp.graph import evaluation, scalars, walk
from fastbp.graph.evaluation import Array, GraphError, GraphInputs
from fastbp.graph.flat import Flat
from fastbp.machine.elementwise import loop_of_data
from fastbp.model.activations import Activation
from fastbp.model.losses import CallableLoss

FloatArray = npt.NDArray[np.floating]
LOSS_VARIABLES = ("y_pred", "y")


class Graph(Protocol):
    """What a loss or an activation needs of an expression."""

    def flat(self) -> Flat:
        """The graph laid out flat."""
        ...


def compiled_loop(flat: Flat, use: str, dtype: np.dtype[Any]) -> int:
    """Where the compiled code of a graph stands, which is the code that the kernels know it by."""
    key = use, dtype.char
    if key not in flat.loops:
        nodes = walk.nodes_of(flat)
        loop = scalars.LOOPS[use]
        flat.loops[key] = loop_of_data(loop, nodes, walk.name_of(nodes), dtype)
    return flat.loops[key].address


class GraphLoss(CallableLoss):
    """A loss defined by a graph, averaged over the rows with their sample weights.

    ``MLP(loss=expression)`` makes one.

    Parameters
    ----------
    expression : Expression
        An expression of ``y_pred`` and ``y``. If these are variables, it is the loss of one output,
        and the loss of a row is the sum over its outputs; if they are vectors with one item per
        output, it is the loss of a row.

    Notes
    -----
    The loss of one output is compiled into the net, in float64 and in some tenths of a second; a
    very large graph, and one of vectors, is computed in Python. Errors are the same.

    If outputs or the loss overflow, the loss is NaN, and training ends as with any loss that
    diverges. If an operation has no value, such as the log of a negative number, a GraphError names
    the node and the row of the batch.
    """

    name: ClassVar[str] = "graph"
    kinked: ClassVar[bool] = True  # it may be
    target_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    explains: ClassVar[bool] = True

    def __init__(self, expression: Graph) -> None:
        flat = expression.flat()
        others = [name for name in flat.sizes if name not in LOSS_VARIABLES]
        if others or "y_pred" not in flat.sizes:
            raise ValueError(
                "a graph that serves as loss must have the variables y_pred, the outputs, and y, "
                f"the targets; got {', '.join(map(repr, flat.sizes)) or 'none'}. Other quantities "
                "must be constants"
            )
        if len(set(flat.sizes.values())) > 1:
            raise ValueError(
                "y_pred and y must both be variables or both vectors of the same length; got "
                f"sizes {flat.sizes['y_pred']} and {flat.sizes['y']}"
            )
        object.__setattr__(self, "expression", expression)
        super().__init__(self._value_and_derivative)

    expression: Graph

    def __repr__(self) -> str:
        return repr(self.expression)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.expression,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GraphLoss) and other.expression is self.expression

    def __hash__(self) -> int:
        return hash(self.expression)

    @property
    def by_output(self) -> bool:
        """Whether y_pred and y are those of one output."""
        return self.expression.flat().sizes["y_pred"] is None

    @property
    def compiled(self) -> bool:
        """Whether it is: that of one output is, unless it is very large."""
        return self.by_output and walk.is_small(self.expression.flat())

    def code_for(self, dtype: np.dtype[Any]) -> int:
        """Where its compiled code stands."""
        return compiled_loop(self.expression.flat(), "loss", dtype)

    def check_outputs(self, outputs: int) -> None:
        """Check that the vector y_pred has one item per output."""
        size = self.expression.flat().sizes["y_pred"]
        if size not in (None, outputs):
            raise ValueError(
                f"the graph's y_pred is a vector of {size}; the last of layer_sizes is {outputs}"
            )

    def _value_and_derivative(
        self, y_pred: FloatArray, y: FloatArray, sample_weight: Array | None = None
    ) -> tuple[float, FloatArray]:
        flat = self.expression.flat()
        rows, outputs = y_pred.shape
        if not np.isfinite(y_pred).all():
            return np.nan, np.full_like(y_pred, np.nan)
        arrays = {"y_pred": y_pred, "y": y}
        by_output = self.by_output
        table = np.empty((flat.n_inputs, y_pred.size if by_output else rows))
        for name, where in flat.rows.items():
            table[where] = arrays[name].reshape(1, -1) if by_output else arrays[name].T
        try:
            values, found = evaluation.gradient_of_inputs(flat, GraphInputs(table, True))
        except GraphError as error:
            if error.overflow:
                return np.nan, np.full_like(y_pred, np.nan)
            if by_output:
                raise _by_unit(error, outputs, "output") from None
            raise
        losses = values.reshape(rows, -1)
        slopes = found[flat.rows["y_pred"]].T.reshape(y_pred.shape)
        share = np.full((rows, 1), 1.0 / rows)
        if sample_weight is not None:
            share = sample_weight.reshape(rows, -1) / (sample_weight.sum() / sample_weight[0].size)
        return float((losses * share).sum()), slopes * share


class GraphActivation(Activation):
    """An activation defined by a graph of one variable.

    ``MLP(activation=expression)`` makes one.

    Parameters
    ----------
    expression : Expression
        An expression of one variable of any name: a unit's net input.

    Notes
    -----
    It is compiled into the net, in float64 and in some tenths of a second, unless it is very large.
    Errors are the same as in Python.

    If it overflows in training, training ends as with any loss that diverges. If an operation has
    no value, or it overflows in prediction, a GraphError names the node, the row of the batch and
    the unit.
    """

    explains: ClassVar[bool] = True

    def __init__(self, expression: Graph) -> None:
        sizes = expression.flat().sizes
        if list(sizes.values()) != [None]:
            raise ValueError(
                "a graph that serves as activation must have one variable, the net input; got "
                f"{', '.join(map(repr, sizes)) or 'none'}"
            )
        self.expression = expression

    def __repr__(self) -> str:
        return repr(self.expression)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GraphActivation) and other.expression is self.expression

    def __hash__(self) -> int:
        return hash(self.expression)

    @property
    def compiled(self) -> bool:
        """Whether it is: unless it is very large."""
        return walk.is_small(self.expression.flat())

    def code_for(self, dtype: np.dtype[Any]) -> int:
        """Where its compiled code stands."""
        return compiled_loop(self.expression.flat(), "activation", dtype)

    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and, `with_slope`, derivatives."""
        flat = self.expression.flat()
        if with_slope and not np.isfinite(z).all():
            return (np.full(z.shape, np.nan),) * 2
        point = GraphInputs(z.reshape(1, -1).astype(np.float64), True)
        try:
            if not with_slope:
                values = evaluation.values_of(flat, point, flat.output)[0].reshape(z.shape)
                return values, values
            y, slope = evaluation.gradient_of(flat, point, flat.variable_nodes)
        except GraphError as error:
            if error.overflow and with_slope:
                return (np.full(z.shape, np.nan),) * 2
            raise _by_unit(error, z.shape[1], "unit") from None
        return y.reshape(z.shape), slope[0].reshape(z.shape)


def _by_unit(error: GraphError, units: int, what: str) -> GraphError:
    """The error with row and unit instead of the index on their joint axis."""
    at = error.row or 0
    row, unit = divmod(at, units)
    where = f"row {row} of the batch, {what} {unit}"
    return GraphError(str(error).replace(f"row {at}", where), error.node, row, error.overflow)
