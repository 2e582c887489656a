"""What happens inside a net: the outputs and the gradients of each layer, from the real kernels."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.evaluation import checked_inputs, predict_piece
from fastbp.kernels.layout import N_COLUMNS, N_OUT, OUTPUT, parameter_name, weight_views
from fastbp.kernels.workspace import STRIDE
from fastbp.mlp import MLP, Rows
from fastbp.model.activations import traits_of
from fastbp.model.net import PASS_ROWS, SPARSE_PASS_ROWS, FloatArray
from fastbp.model.optimizers import Optimizer
from fastbp.model.schedules import Rate

__all__ = ["GradCheck", "gradcheck", "layer_gradients", "layer_outputs"]


def check_net(net: object) -> MLP:
    """The net itself, when it is an MLP.

    Raises
    ------
    TypeError
    """
    if not isinstance(net, MLP):
        kind = type(net).__name__
        inner = "; an estimator of fastbp.sklearn is not one" if hasattr(net, "get_params") else ""
        raise TypeError(f"net must be an MLP; got {kind} {net!r}{inner}")
    return net


def layer_outputs(net: MLP, X: Rows) -> tuple[FloatArray, ...]:
    """Outputs of every layer, after its activation, as `MLP.predict` computes them.

    Parameters
    ----------
    net : MLP
    X : array-like or sparse matrix, shape (rows, n_in)

    Returns
    -------
    tuple of array of the net's dtype, shapes (rows, n_out) of each layer
        Hidden layers first; the last is ``net.predict(X)``.

    Raises
    ------
    ValueError, TypeError
        As `MLP.predict`, and for an object that is not an MLP.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.inspection import layer_outputs
    >>> net = MLP((2, 8, 3, 1), seed=0)
    >>> [outputs.shape for outputs in layer_outputs(net, [[0.0, 1.0], [1.0, 1.0]])]
    [(2, 8), (2, 3), (2, 1)]
    """
    inputs = checked_inputs(check_net(net), X)
    rows = inputs.shape[0]
    outputs = tuple(np.empty((rows, size), net.dtype) for size in net.layer_sizes[1:])
    sparse = isinstance(inputs, checks.SparseRows)
    pass_rows = SPARSE_PASS_ROWS if sparse else PASS_ROWS
    for first in range(0, rows, pass_rows):
        some = slice(first, min(first + pass_rows, rows))
        count = some.stop - first
        table = net.workspace(count, training=False, sparse=sparse)
        last = np.empty((count, net.layer_sizes[-1]), net.dtype)
        index = predict_piece(net, table, inputs[some], last)
        if index >= 0:
            dense = cast(FloatArray, inputs)
            checks.raise_not_finite("X", dense, first * dense.shape[1] + index, X)
        stride = int(table.work.places[STRIDE])  # the workspace still holds the one pass
        for layer, out in zip(table.network.layers.reshape(-1, N_COLUMNS), outputs, strict=True):
            start = int(layer[OUTPUT])
            size = int(layer[N_OUT])
            values = table.work.values[start : start + size * stride].reshape(size, stride)
            out[some] = values[:, :count].T
    return outputs


def layer_gradients(
    net: MLP, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Gradient of the loss by the weights and by the biases of each layer.

    Parameters
    ----------
    net : MLP
    X, y : array-like
    sample_weight : array-like, optional
        As in `MLP.loss_and_grad`.

    Returns
    -------
    weights, biases : tuple of array
        Laid out like ``net.weights`` and ``net.biases``.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.inspection import layer_gradients
    >>> weights, biases = layer_gradients(MLP((2, 8, 1), seed=0), [[0.0, 1.0]], [1.0])
    >>> [gradient.shape for gradient in weights], [gradient.shape for gradient in biases]
    ([(2, 8), (8, 1)], [(8,), (1,)])
    """
    gradient = check_net(net).loss_and_grad(X, y, sample_weight)[1]
    return weight_views(gradient, net.layer_table)


class GradCheck(NamedTuple):
    """What `gradcheck` found.

    Attributes
    ----------
    error : float
        Largest relative error of the checked parameters: ``|a - n| / max(|a|, |n|, 1e-3 of the
        largest partial derivative)``.
    worst : str
        The parameter that has it, such as ``"weights[1][3, 2]"``.
    analytic, numeric : float
        Its partial derivative by backpropagation and by differences.
    checked, skipped : int
        Parameters compared, and those left out because an activation has its kink within a step.

    Examples
    --------
    >>> from fastbp import MLP, gradcheck
    >>> checked = gradcheck(MLP((2, 3, 1), activation="tanh", seed=0), [[0.5, -1.0]], [2.0])
    >>> checked.checked, checked.skipped
    (13, 0)
    """

    error: float
    worst: str
    analytic: float
    numeric: float
    checked: int
    skipped: int


def _in_float64(net: MLP) -> MLP:
    """The same net in float64: differences of float32 losses would be noise."""
    twin = MLP(
        net.layer_sizes,
        activation=net.activations[:-1],
        output_activation=net.activations[-1],
        loss=net.spec.loss,
        dtype="float64",
        bias=net.bias,
        l1=net.regularization.l1,
        l2=net.regularization.l2,
        missing_targets=net.missing_targets,
        seed=0,
    )
    twin.params[:] = net.params
    return twin


@checks.explained
def gradcheck(
    net: MLP,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    *,
    step: float = 1e-4,
) -> GradCheck:
    """Compare the gradient of a net's loss with central differences.

    The differences are taken in float64 at two step sizes and extrapolated (Richardson), so
    that their own error is about 1e-9. Where the two disagree, or the slopes to the left and to
    the right do, an activation such as ReLU, a loss or L1 has its kink within a step and the
    parameter is skipped. The net is not changed.

    Parameters
    ----------
    net : MLP
    X, y : array-like
    sample_weight : array-like, optional
        As in `MLP.fit`; a few rows are enough.
    step : float, default=1e-4
        The larger step.

    Returns
    -------
    GradCheck
        Expect an ``error`` below 1e-6 for float64 and 1e-4 for float32. It is NaN when every
        parameter was skipped.

    Raises
    ------
    ValueError, TypeError
        Bad input, as in `MLP.fit`, or an object that is not an MLP.

    Examples
    --------
    Whether a loss of one's own has the derivative that it says:

    >>> from fastbp import MLP, gradcheck
    >>> def cubed(y_pred, y):
    ...     e = y_pred - y
    ...     return (e**3).sum() / len(e), 3 * e**2 / len(e)
    >>> net = MLP((2, 3, 1), activation="tanh", loss=cubed, dtype="float64", seed=0)
    >>> gradcheck(net, [[0.5, -1.0]], [2.0]).error < 1e-6
    True
    """
    check_net(net)
    step = checks.positive("step", step)
    analytic = net.loss_and_grad(X, y, sample_weight)[1].astype(np.float64)
    twin = _in_float64(net)
    data = np.asarray(checks.numbers("X", X), net.dtype), y, sample_weight
    center = twin.loss(*data)
    has_kinks = net.spec.loss.kinked or net.regularization.l1 > 0
    has_kinks = has_kinks or any(traits_of(activation).kinked for activation in net.activations)
    numeric = np.zeros_like(analytic)
    kept = np.ones(analytic.size, np.bool_)
    smallest = max(1e-3 * float(np.abs(analytic).max()), 1e-300)
    for index in range(analytic.size):
        slopes, bends = zip(
            *(_slope_and_bend(twin, index, h, center, data) for h in (step, step / 2)),
            strict=True,
        )
        numeric[index] = (4 * slopes[1] - slopes[0]) / 3
        # Where a function is smooth, its slope hardly depends on the step, its bend halves with it.
        kink = max(abs(slopes[0] - slopes[1]), abs(bends[0] - 2 * bends[1]))
        kept[index] = not (has_kinks and kink > 1e-6 * max(abs(slopes[0]), smallest))
    scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), smallest)
    errors = np.where(kept, np.abs(analytic - numeric) / scale, -1.0)
    worst = int(errors.argmax())
    return GradCheck(
        error=float(errors[worst]) if kept.any() else math.nan,
        worst=parameter_name(worst, net.layer_table),
        analytic=float(analytic[worst]),
        numeric=float(numeric[worst]),
        checked=int(kept.sum()),
        skipped=int((~kept).sum()),
    )


def _slope_and_bend(
    net: MLP, index: int, h: float, center: float, data: tuple[Any, ...]
) -> tuple[float, float]:
    """Central difference of the loss in one parameter, and right minus left slope."""
    kept = net.params[index]
    net.params[index] = kept + h
    above = net.loss(*data)
    net.params[index] = kept - h
    below = net.loss(*data)
    net.params[index] = kept
    return (above - below) / (2 * h), (above - 2 * center + below) / h


def twin_of(net: MLP) -> MLP:
    """A copy with new buffers: parameters, optimiser state, random stream and the rest."""
    return copy.deepcopy(net)


def with_schedule(optimizer: Optimizer, schedule: Rate) -> Optimizer:
    """The optimiser with a schedule instead of its rate.

    The rates of its groups keep their ratio to it, which is how a schedule takes them.
    """
    rate = optimizer.learning_rate
    groups = optimizer.groups
    if not callable(rate):
        groups = tuple(
            group
            if group.learning_rate is None
            else dataclasses.replace(group, learning_rate=group.learning_rate / rate)
            for group in groups
        )
    changed: dict[str, Any] = {"learning_rate": schedule, "groups": groups}
    return dataclasses.replace(optimizer, **changed)
