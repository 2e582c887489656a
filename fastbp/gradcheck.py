"""Check a net's gradient against central differences."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.layout import weight_views
from fastbp.mlp import MLP

KINKED = {
    "relu", "leaky_relu", "elu", "selu", "hard_sigmoid",
    "absolute_error", "huber", "quantile", "hinge", "graph",
}  # fmt: skip
"""Activations and losses whose first or second derivative jumps, or may."""


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
    """

    error: float
    worst: str
    analytic: float
    numeric: float
    checked: int
    skipped: int


def _name(net: MLP, index: int) -> str:
    """The name of the parameter at a flat index."""
    numbers = np.arange(net.params.size, dtype=np.int64)
    weights, biases = weight_views(numbers, net._layers)
    for kind, views in (("weights", weights), ("biases", biases)):
        for layer, view in enumerate(views):
            place = np.argwhere(view == index)
            if len(place):
                return f"{kind}[{layer}][{', '.join(map(str, place[0]))}]"
    raise IndexError(index)


def _in_float64(net: MLP) -> MLP:
    """The same net in float64: differences of float32 losses would be noise."""
    twin = MLP(
        net.layer_sizes,
        activation=net.activations[:-1],
        output_activation=net.activations[-1],
        loss=net._loss,
        dtype="float64",
        bias=net.bias,
        l1=net._regularization.l1,
        l2=net._regularization.l2,
        seed=0,
    )
    twin.params[:] = net.params
    return twin


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
    X, y, sample_weight : array-like
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
        Bad input, as in `MLP.fit`, or what is no net.
    """
    if not isinstance(net, MLP):
        raise TypeError(f"net must be an MLP; got {type(net).__name__} {net!r}")
    step = checks.positive("step", step)
    analytic = net.loss_and_grad(X, y, sample_weight)[1].astype(np.float64)
    twin, inputs = _in_float64(net), np.asarray(X, net.dtype)
    data = inputs, y, sample_weight
    center, names = twin.loss(*data), {*net.activations, net.loss_name}
    has_own = any(not isinstance(activation, str) for activation in net.activations)
    has_kinks = not KINKED.isdisjoint(names) or has_own or net._regularization.l1 > 0
    numeric, kept = np.zeros_like(analytic), np.ones(analytic.size, np.bool_)
    smallest = max(1e-3 * float(np.abs(analytic).max()), 1e-300)
    for index in range(analytic.size):
        slopes, bends = zip(
            *(_slope_and_bend(twin, index, h, center, data) for h in (step, step / 2)),
            strict=True,
        )
        numeric[index] = (4 * slopes[1] - slopes[0]) / 3
        # Of a smooth function, the slope hardly depends on the step and the bend halves with it.
        kink = max(abs(slopes[0] - slopes[1]), abs(bends[0] - 2 * bends[1]))
        kept[index] = not (has_kinks and kink > 1e-6 * max(abs(slopes[0]), smallest))
    scale = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), smallest)
    errors = np.where(kept, np.abs(analytic - numeric) / scale, -1.0)
    worst = int(errors.argmax())
    return GradCheck(
        error=float(errors[worst]) if kept.any() else math.nan,
        worst=_name(net, worst),
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
