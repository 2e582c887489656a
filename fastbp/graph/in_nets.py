"""Graphs in nets: as the loss of an `MLP`, and as the activation of a layer."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from fastbp.graph import evaluation
from fastbp.graph.evaluation import Array, GraphError, Point
from fastbp.graph.flat import Flat
from fastbp.model.activations import Activation
from fastbp.model.losses import CallableLoss

FloatArray = npt.NDArray[np.floating]
LOSS_VARIABLES = ("y_pred", "y")


class Graph(Protocol):
    """An expression, as far as it matters here."""

    def flat(self) -> Flat:
        """The graph laid out flat."""
        ...


class GraphLoss(CallableLoss):
    """A loss by a graph, averaged over the rows by their sample weights.

    ``MLP(loss=expression)`` makes one.

    Parameters
    ----------
    expression : Expression
        Of ``y_pred`` and ``y``. As variables they stand for each output in turn, and the loss of a
        row is the sum over its outputs; as vectors of as many numbers as there are outputs, the
        expression is the loss of a row.

    Notes
    -----
    Where outputs or the loss are beyond all numbers, the loss is NaN, and training ends as for
    every loss that diverges. Where an operation has no value, such as the log of a negative number,
    a GraphError names the node and the row of the batch.
    """

    name: ClassVar[str] = "graph"
    kinked: ClassVar[bool] = True  # it may be

    def __init__(self, expression: Graph) -> None:
        flat = expression.flat()
        others = [name for name in flat.sizes if name not in LOSS_VARIABLES]
        if others or "y_pred" not in flat.sizes:
            raise ValueError(
                "a graph that serves as loss has the variables y_pred, the outputs, and y, the "
                f"targets; got {', '.join(map(repr, flat.sizes)) or 'none'}. Other quantities are "
                "constants"
            )
        if len(set(flat.sizes.values())) > 1:
            raise ValueError(
                "y_pred and y must both be variables or both vectors of as many numbers; got "
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

    def check_outputs(self, outputs: int) -> None:
        """As many outputs as the vector y_pred has numbers."""
        size = self.expression.flat().sizes["y_pred"]
        if size not in (None, outputs):
            raise ValueError(
                f"the graph's y_pred is a vector of {size}; the last of layer_sizes is {outputs}"
            )

    def _value_and_derivative(
        self, y_pred: FloatArray, y: FloatArray, sample_weight: Array | None = None
    ) -> tuple[float, FloatArray]:
        flat, (rows, outputs) = self.expression.flat(), y_pred.shape
        if not np.isfinite(y_pred).all():
            return np.nan, np.zeros_like(y_pred)
        arrays = {"y_pred": y_pred, "y": y}
        by_output = flat.sizes["y_pred"] is None
        table = np.empty((flat.n_inputs, y_pred.size if by_output else rows))
        for name, where in flat.rows.items():
            table[where] = arrays[name].reshape(1, -1) if by_output else arrays[name].T
        try:
            values, found = evaluation.gradient_of_inputs(flat, Point(table, True))
        except GraphError as error:
            if error.overflow:
                return np.nan, np.zeros_like(y_pred)
            if by_output:
                raise _by_unit(error, outputs, "output") from None
            raise
        losses, slopes = values, found[flat.rows["y_pred"]].T
        if by_output:
            losses, slopes = values.reshape(y_pred.shape).sum(axis=1), slopes.reshape(y_pred.shape)
        share = np.full(rows, 1.0 / rows)
        if sample_weight is not None:
            share = sample_weight / sample_weight.sum()
        return float(losses @ share), slopes * share[:, None]


class GraphActivation(Activation):
    """An activation by a graph of one variable.

    ``MLP(activation=expression)`` makes one.

    Parameters
    ----------
    expression : Expression
        Of one variable, whatever its name: a unit's net input.

    Notes
    -----
    Training where it overflows ends as every training that diverges; where an operation has no
    value, and in prediction where it overflows, a GraphError names the node, the row of the batch
    and the unit.
    """

    def __init__(self, expression: Graph) -> None:
        sizes = expression.flat().sizes
        if list(sizes.values()) != [None]:
            raise ValueError(
                "a graph that serves as activation has one variable, the net input; got "
                f"{', '.join(map(repr, sizes)) or 'none'}"
            )
        self.expression = expression

    def __repr__(self) -> str:
        return repr(self.expression)

    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and, `with_slope`, derivatives."""
        flat = self.expression.flat()
        if with_slope and not np.isfinite(z).all():
            return np.full(z.shape, np.nan), np.zeros(z.shape)
        point = Point(z.reshape(1, -1).astype(np.float64), True)
        try:
            if not with_slope:
                values = evaluation.values_of(flat, point, flat.output)[0].reshape(z.shape)
                return values, values
            y, slope = evaluation.gradient_of(flat, point, flat.variable_nodes)
        except GraphError as error:
            if error.overflow and with_slope:
                return np.full(z.shape, np.nan), np.zeros(z.shape)
            raise _by_unit(error, z.shape[1], "unit") from None
        return y.reshape(z.shape), slope[0].reshape(z.shape)


def _by_unit(error: GraphError, units: int, what: str) -> GraphError:
    """The error with the row of the batch and the unit, where rows and units were one axis."""
    at = error.row or 0
    row, unit = divmod(at, units)
    place = f"row {row} of the batch, {what} {unit}"
    return GraphError(str(error).replace(f"row {at}", place), error.node, row, error.overflow)
