"""`decision_boundary`: the regions in which a classifier of two inputs chooses each class."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.axes import axes, pyplot
from fastbp.mlp import MLP

FloatArray = npt.NDArray[np.float64]

MARGIN = 0.1
"""Share of the range of the data that is drawn around it."""


class Outcome(NamedTuple):
    """The predictions of a classifier for some points.

    Attributes
    ----------
    values : array of float64, shape (points,)
        The output, for two classes; else the index of the class.
    level : float or None
        The output at which the class changes; None where `values` are indices of classes.
    """

    values: FloatArray
    level: float | None


def decision_boundary(
    net: Any,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    hidden: bool = False,
    resolution: int = 200,
    ax: Any = None,
) -> Any:
    """Draw the regions in which a classifier of two inputs chooses each class, and the data.

    Parameters
    ----------
    net : MLP or estimator
        An MLP with one output (two classes, the boundary halfway between the lower and the higher
        target) or several (the largest decides); or an object whose `predict` returns classes or
        a column per class, such as the estimators of ``fastbp.sklearn``. For two classes its
        `predict_proba` is drawn if it has one.
    X : array-like, shape (rows, 2)
    y : array-like
        Classes, shape (rows,) or (rows, 1), or one column per class.
    hidden : bool, default=False
        Draw the line where the net input of each unit of the first hidden layer is 0. Only for an
        MLP.
    resolution : int, default=200
        Points along each axis at which the net is evaluated.
    ax : matplotlib Axes, default=None
        None makes a figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        If X does not have two columns, or y does not hold a class for each row.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, plot
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> net = MLP((2, 8, 1), loss="binary_cross_entropy", seed=0)
    >>> ax = plot.decision_boundary(net, X, y, resolution=20)
    """
    points = np.asarray(checks.matrix("X", X, 2, np.float64, "two inputs"), np.float64)
    checks.finite("X", points, X)
    names, classes = classes_of(y, len(points))
    checks.count("resolution", resolution, 2)
    if checks.flag("hidden", hidden) and not isinstance(net, MLP):
        raise TypeError(f"hidden=True needs an MLP, whose weights are known; got {net!r}")
    ax = axes(ax)
    low, high = _frame(points)
    first, second = (np.linspace(low[i], high[i], resolution) for i in (0, 1))
    grid = np.stack(np.meshgrid(first, second), axis=-1).reshape(-1, 2)
    field = _ask(net, grid, y, names)
    _fill(ax, first, second, field, len(names))
    if hidden and len(net.layer_sizes) > 2:
        draw_lines(ax, net, low, high)
    colors = _colors(len(names), field.level is not None)
    for number, name in enumerate(names):
        chosen = points[classes == number]
        ax.scatter(*chosen.T, color=[colors[number]], edgecolor="black", linewidth=0.5, s=22,
                   label=f"{name}", zorder=3)  # fmt: skip
    ax.set(
        xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="X[:, 0]", ylabel="X[:, 1]",
        title="Decision boundary",
    )  # fmt: skip
    ax.legend(title="Class", loc="best")
    return ax


def classes_of(y: npt.ArrayLike, rows: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Names of the classes, and the index of each row's class.

    Parameters
    ----------
    y : array-like
        Classes, or one column per class.
    rows : int
    """
    checks.refuse_masked("y", y)
    targets = np.asarray(y)
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.shape[:1] != (rows,) or targets.ndim > 2:
        raise ValueError(
            f"y must hold a class for each of the {rows} rows of X, or one column per class; got "
            f"shape {np.shape(y)}"
        )
    if targets.ndim == 2:
        return np.arange(targets.shape[1]), targets.argmax(axis=1)
    names, indices = np.unique(targets, return_inverse=True)
    if len(names) > 20:
        raise ValueError(
            f"y must hold classes, at most 20 of them; got {len(names)} different values"
        )
    return names, indices


def _frame(points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Lower left and upper right corner of the drawing."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = np.where(high > low, MARGIN * (high - low), 1.0)
    return low - margin, high + margin


def _ask(net: Any, grid: FloatArray, y: npt.ArrayLike, names: npt.NDArray[Any]) -> Outcome:
    """The net's predictions for the points of the grid."""
    if hasattr(net, "predict_proba") and len(names) == 2:
        shares = np.asarray(net.predict_proba(grid))
        if shares.ndim == 2 and shares.shape[1] == 2:
            return Outcome(shares[:, 1].astype(np.float64), 0.5)
    outputs = np.asarray(net.predict(grid))
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        return Outcome(outputs.argmax(axis=1).astype(np.float64), None)
    outputs = outputs.reshape(-1)
    if hasattr(net, "classes_") or len(names) != 2 or outputs.dtype.kind not in "f":
        at = np.searchsorted(names, outputs).clip(0, len(names) - 1)
        if (names[at] != outputs).any():
            odd = outputs[names[at] != outputs][0]
            raise ValueError(
                f"net predicts {odd!r}, which is not a class of y: {names.tolist()}. One output "
                "separates two classes; more classes need one output each"
            )
        return Outcome(at.astype(np.float64), None)
    return Outcome(outputs.astype(np.float64), float(np.mean(names.astype(np.float64))))


def _colors(count: int, by_output: bool) -> npt.NDArray[Any]:
    """One colour per class: blue and red for one output, else those of matplotlib's lines."""
    if by_output:
        return np.array([[0.13, 0.4, 0.67, 1.0], [0.7, 0.09, 0.17, 1.0]])
    return np.asarray(pyplot().get_cmap("tab20" if count > 10 else "tab10")(np.arange(count)))


def _fill(ax: Any, first: FloatArray, second: FloatArray, field: Outcome, count: int) -> None:
    """Colour the regions and draw the line between them."""
    table = field.values.reshape(len(second), len(first))
    if field.level is None:
        image = _colors(count, False)[table.astype(np.int64)]
        frame = (first[0], first[-1], second[0], second[-1])
        ax.imshow(image, extent=frame, origin="lower", aspect="auto", alpha=0.35)
        for number in np.unique(table)[1:]:
            inside = (table == number).astype(np.float64)
            ax.contour(first, second, inside, levels=[0.5], colors="black", linewidths=0.8)
        return
    reach = max(float(np.abs(table - field.level).max()), 1e-9)
    if (
        field.level == 0.5 and reach <= 0.5
    ):  # probabilities: the same scale in all frames of an animation
        reach = 0.5
    levels = field.level + reach * np.linspace(-1.0, 1.0, 21)
    ax.contourf(first, second, table, levels=levels, cmap="RdBu_r", alpha=0.6, extend="both")
    if table.min() < field.level < table.max():
        ax.contour(first, second, table, levels=[field.level], colors="black", linewidths=1.5)


def draw_lines(ax: Any, net: MLP, low: FloatArray, high: FloatArray) -> list[Any]:
    """Draw, within a frame, where the net input of each unit of the first hidden layer is 0.

    Parameters
    ----------
    ax : matplotlib Axes
    net : MLP
        A net with two inputs.
    low, high : array, shape (2,)
        Corners of the frame.

    Returns
    -------
    list of matplotlib Line2D
        One for each unit whose line crosses the frame.
    """
    biases = net.biases[0] if net.bias else np.zeros(net.layer_sizes[1])
    lines: list[Any] = []
    for (a, b), bias in zip(net.weights[0].T.astype(float), biases.astype(float), strict=True):
        ends = _crossing(a, b, bias, low, high)
        if ends is not None:
            label = "hidden unit" if not lines else "_"
            lines += ax.plot(*ends.T, color="0.25", linewidth=0.8, linestyle="--", label=label)
    return lines


def _crossing(a: float, b: float, c: float, low: FloatArray, high: FloatArray) -> Any:
    """Both ends of the line a x + b y + c = 0 within a rectangle; None if it lies outside."""
    ends = []
    for x in (low[0], high[0]):
        if b != 0 and low[1] <= -(a * x + c) / b <= high[1]:
            ends.append((x, -(a * x + c) / b))
    for y in (low[1], high[1]):
        if a != 0 and low[0] <= -(b * y + c) / a <= high[0]:
            ends.append((-(b * y + c) / a, y))
    if len(ends) < 2:
        return None
    found = np.array(ends)
    return found[[0, int(np.abs(found - found[0]).sum(axis=1).argmax())]]
