"""Histograms of the outputs and of the gradients in a net, one per layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.axes import axes as axes_of
from fastbp.inspection import layer_gradients, layer_outputs
from fastbp.mlp import MLP


def activation_histograms(
    net: MLP, X: npt.ArrayLike, *, bins: int = 40, axes: Any = None
) -> npt.NDArray[Any]:
    """Draw how the outputs of each layer's units are distributed over the rows.

    Parameters
    ----------
    net : MLP
    X : array-like, shape (rows, n_in)
    bins : int, default=40
        Bars of each histogram.
    axes : sequence of matplotlib Axes, default=None
        One per layer. None makes a figure with the layers side by side.

    Returns
    -------
    array of matplotlib Axes, shape (layers,)
        The titles show the activation, and the share of zeros for ReLU.

    Raises
    ------
    ValueError, TypeError
        Bad input, as in `MLP.predict`, or a wrong number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, plot
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> net = MLP((2, 8, 1), loss="binary_cross_entropy", seed=0)
    >>> plot.activation_histograms(net, X).shape
    (2,)
    """
    bins = checks.count("bins", bins)
    outputs = layer_outputs(net, X)
    titles = [
        f"{layer}\n{name}" + (f", {(values == 0).mean():.0%} zeros" if name == "relu" else "")
        for layer, name, values in zip(_names(len(outputs)), net.activations, outputs, strict=True)
    ]
    return _draw(axes, outputs, titles, "Output", bins, "C0")


def gradient_histograms(
    net: MLP,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    *,
    bins: int = 40,
    axes: Any = None,
) -> npt.NDArray[Any]:
    """Draw how the partial derivatives of the loss are distributed over each layer's weights.

    Parameters
    ----------
    net : MLP
    X, y : array-like
    sample_weight : array-like, optional
        As in `MLP.loss_and_grad`.
    bins : int, default=40
        Bars of each histogram.
    axes : sequence of matplotlib Axes, default=None
        One per layer. None makes a figure with the layers side by side.

    Returns
    -------
    array of matplotlib Axes, shape (layers,)
        The titles show the norm of the layer's gradient.

    Raises
    ------
    ValueError, TypeError
        Bad input, as in `MLP.fit`, or a wrong number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, plot
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> net = MLP((2, 8, 1), loss="binary_cross_entropy", seed=0)
    >>> plot.gradient_histograms(net, X, y).shape
    (2,)
    """
    bins = checks.count("bins", bins)
    gradients = layer_gradients(net, X, y, sample_weight)[0]
    titles = [
        f"{layer}\nnorm {np.linalg.norm(values.astype(np.float64)):.2g}"
        for layer, values in zip(_names(len(gradients)), gradients, strict=True)
    ]
    return _draw(axes, gradients, titles, "Derivative", bins, "C1")


def _names(count: int) -> list[str]:
    """Names of the layers, counted from 0 as in ``net.weights``."""
    return [*(f"Layer {number}" for number in range(count - 1)), f"Layer {count - 1}, outputs"]


def _draw(
    given: Any, tables: Sequence[npt.NDArray[np.floating]], titles: list[str], label: str,
    bins: int, color: str,
) -> npt.NDArray[Any]:  # fmt: skip
    """A histogram of each table, as shares of its values."""
    count = len(tables)
    if given is None:
        given = axes_of(ncols=count, figsize=(3.0 * count + 0.5, 3.0), squeeze=False)
    chosen = np.asarray(given, dtype=object).reshape(-1)
    if len(chosen) != count:
        raise ValueError(f"axes must hold one for each of the {count} layers; got {len(chosen)}")
    for ax, table, title in zip(chosen, tables, titles, strict=True):
        values = table.astype(np.float64).reshape(-1)
        axes_of(ax).hist(values, bins=bins, weights=np.full(values.size, 1 / values.size),
                         color=color)  # fmt: skip
        ax.set(title=title, xlabel=label)
        ax.locator_params(axis="x", nbins=4)
        _write_power(ax, float(np.abs(values).max(initial=0.0)))
    chosen[0].set_ylabel("Share")
    return chosen


def _write_power(ax: Any, largest: float) -> None:
    """Write a common power of ten of the ticks into the label of the x-axis."""
    if largest == 0 or not math.isfinite(largest):
        return
    power = math.floor(math.log10(largest))
    if -2 <= power < 3:
        return
    unit = 10.0**power
    ax.xaxis.set_major_formatter(lambda value, _: f"{value / unit:g}")
    ax.set_xlabel(rf"{ax.get_xlabel()}, in $10^{{{power}}}$")
