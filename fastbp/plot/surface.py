"""`loss_surface`: the loss on a plane through the parameters, with the path of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.axes import axes, readable_levels
from fastbp.fit.data import rows_and_targets
from fastbp.inspection import check_net, twin_of
from fastbp.kernels.layout import weight_views
from fastbp.mlp import MLP
from fastbp.plot.recording import Recorder

FloatArray = npt.NDArray[np.float64]

MARGIN = 0.25
"""Share of the extent of a path that is drawn around it."""
LEVELS = 17
"""Contours, with the lowest and the highest loss."""


def loss_surface(
    net: MLP,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    path: Any = None,
    directions: Any = None,
    span: float = 1.0,
    resolution: int = 41,
    seed: int | None = 0,
    ax: Any = None,
) -> Any:
    """Draw the loss on a plane through the net's parameters, as contours.

    Parameters
    ----------
    net : MLP
        Its parameters are the origin of the plane. The net is not changed.
    X, y : array-like
        As in `MLP.fit`. The loss of all rows is computed ``resolution**2`` times.
    path : Recorder or array of shape (points, n_params), optional
        Successive parameters, such as a `Recorder` keeps, projected onto the plane and drawn.
    directions : {"random", "pca"} or pair of arrays of shape (n_params,), optional
        The directions that span the plane. "random": normally distributed, scaled for each unit to
        the norm of its weights; 0 for biases. "pca": the first two principal components of the
        path about the net's parameters, which needs a path of three points. The default is "pca"
        with a path, else "random".
    span : float, default=1.0
        Without a path, the plane reaches from -span to span in each direction.
    resolution : int, default=41
        Points along each axis, at least 3.
    seed : int or None, default=0
        Seed for the random directions; None draws a new one.
    ax : matplotlib Axes, default=None
        None makes a figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError, TypeError
        Bad input.

    Notes
    -----
    Li et al., "Visualizing the loss landscape of neural nets", NeurIPS 2018: section 4 for the
    directions, section 7.2 for the path.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, plot
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> y = (X[:, 0] * X[:, 1] > 0).astype(int)
    >>> net = MLP((2, 8, 1), loss="binary_cross_entropy", seed=0)
    >>> recorder = plot.Recorder()
    >>> history = net.fit(X, y, epochs=10, callbacks=recorder)
    >>> ax = plot.loss_surface(net, X, y, path=recorder, resolution=5)
    """
    check_net(net)
    span = checks.positive("span", span)
    resolution = checks.count("resolution", resolution, 3)
    rows_and_targets(X, y, None, net)
    points = None if path is None else _points(net, path)
    plane, labels = _plane(net, points, directions, checks.generator(seed))
    origin = net.params.astype(np.float64)
    low = np.full(2, -span)
    high = np.full(2, span)
    line = None
    if points is not None:
        line = np.linalg.lstsq(plane.T, (points - origin).T)[0].T
        margin = MARGIN * np.maximum(np.ptp(np.vstack([line, [[0, 0]]]), axis=0), 1e-6)
        low = np.minimum(line.min(axis=0), 0) - margin
        high = np.maximum(line.max(axis=0), 0) + margin
    first, second = (np.linspace(low[i], high[i], resolution) for i in (0, 1))
    losses = plane_losses(net, X, y, plane, first, second)
    ax = axes(ax)
    _contours(ax, first, second, losses)
    if line is not None:
        ax.plot(*line.T, color="white", linewidth=2.5)
        ax.plot(*line.T, color="C3", marker=".", markersize=4, linewidth=1, label="path")
        ax.plot(*line[0], color="C3", marker="o", linestyle="", label="start")
    least = np.unravel_index(np.nanargmin(losses), losses.shape)
    ax.plot(first[least[1]], second[least[0]], color="gold", marker="D", markersize=6,
            markeredgecolor="black", linestyle="", clip_on=False,
            label="lowest loss drawn")  # fmt: skip
    ax.plot(0, 0, color="C3", marker="*", markersize=12, markeredgecolor="white", linestyle="",
            label="net")  # fmt: skip
    ax.set(xlabel=labels[0], ylabel=labels[1], title="Loss surface")
    ax.locator_params(nbins=6)
    ax.legend()
    return ax


def plane_losses(
    net: MLP, X: npt.ArrayLike, y: npt.ArrayLike, plane: npt.ArrayLike, first: FloatArray,
    second: FloatArray,
) -> FloatArray:  # fmt: skip
    """The losses at ``net.params + a plane[0] + b plane[1]``, penalties included.

    Parameters
    ----------
    net : MLP
        It is not changed.
    X, y : array-like
        As in `MLP.fit`.
    plane : array-like, shape (2, n_params)
    first, second : array, shapes (columns,) and (rows,)
        The values of a and b.

    Returns
    -------
    array of float64, shape (rows, columns)
    """
    twin = twin_of(net)
    across, up = np.asarray(plane, np.float64)
    origin = net.params.astype(np.float64)
    losses = np.empty((len(second), len(first)))
    for row, b in enumerate(second):
        for column, a in enumerate(first):
            twin.params[:] = origin + a * across + b * up
            losses[row, column] = twin.loss(X, y)
    return losses


def random_direction(net: MLP, generator: np.random.Generator) -> FloatArray:
    """A random direction, scaled for each unit to the norm of its weights; 0 for biases.

    Parameters
    ----------
    net : MLP
    generator : numpy.random.Generator

    Returns
    -------
    array of float64, shape (n_params,)
    """
    direction = np.zeros(net.params.size)
    for part, weights in zip(weight_views(direction, net.layer_table)[0], net.weights, strict=True):
        drawn = generator.normal(size=weights.shape)
        norms = np.linalg.norm(weights.astype(np.float64), axis=0)
        part[...] = drawn * (norms / np.linalg.norm(drawn, axis=0))
    return direction


def _points(net: MLP, path: Any) -> FloatArray:
    """The points of a path, checked."""
    given = path.params if isinstance(path, Recorder) else path
    points = checks.matrix("path", given, net.params.size, np.float64, "one column per parameter")
    return np.asarray(checks.finite("path", points, points), np.float64)


def _plane(
    net: MLP, points: FloatArray | None, directions: Any, generator: np.random.Generator
) -> tuple[FloatArray, tuple[str, str]]:
    """Both directions, (2, n_params), and their labels."""
    if directions is None:
        directions = "random" if points is None else "pca"
    if isinstance(directions, str):
        checks.choice("directions", directions, ("random", "pca"))
        if directions == "random":
            drawn = np.stack([random_direction(net, generator) for _ in range(2)])
            return drawn, ("First random direction", "Second random direction")
        if points is None or len(points) < 3:
            raise ValueError(
                "directions='pca' needs a path of at least three points; pass path=Recorder() of "
                "a fit, or directions='random'"
            )
        _, sizes, components = np.linalg.svd(
            points - net.params.astype(np.float64), full_matrices=False
        )
        if sizes[1] < 1e-9 * sizes[0] or sizes[0] == 0:
            raise ValueError("path has no second direction: its points lie on a line")
        shares = sizes**2 / (sizes**2).sum()
        labels = "First principal component", "Second principal component"
        return components[:2], (f"{labels[0]} ({shares[0]:.0%})", f"{labels[1]} ({shares[1]:.0%})")
    plane = checks.matrix(
        "directions", directions, net.params.size, np.float64, "one column per parameter"
    )
    if len(plane) != 2 or np.linalg.matrix_rank(checks.finite("directions", plane, plane)) < 2:
        raise ValueError("directions must be two vectors that are not parallel")
    return plane.astype(np.float64), ("directions[0]", "directions[1]")


def _contours(ax: Any, first: FloatArray, second: FloatArray, losses: FloatArray) -> None:
    """Filled contours with a colour bar; the levels are logarithmic if all losses are above 0."""
    shown = np.ma.masked_invalid(losses)
    low, high = float(shown.min()), float(shown.max())
    high = max(high, low + 1e-9 * max(abs(low), 1.0))
    if low > 0 and high > 3 * low:
        levels = np.geomspace(low, high, LEVELS)
        scale = {"norm": "log"}
    else:
        levels = np.linspace(low, high, LEVELS)
        scale = {}
    filled = ax.contourf(first, second, shown, levels=levels, cmap="viridis", **scale)
    ax.contour(first, second, shown, levels=levels[1:-1], colors="white", linewidths=0.3, **scale)
    bar = ax.figure.colorbar(filled, ax=ax, label="Loss")
    ticks = readable_levels(low, high, bool(scale))
    bar.set_ticks(ticks, labels=[f"{tick:g}" for tick in ticks])
    bar.minorticks_off()
