"""Axes to draw on: the caller's, or those of a new figure."""

from __future__ import annotations

from typing import Any


def axes(ax: Any = None, **figure: Any) -> Any:
    """The given axes, or new ones.

    Parameters
    ----------
    ax : matplotlib Axes, default=None
        Returned as it is. None makes a figure with `matplotlib.pyplot`.
    **figure : object
        Passed to `matplotlib.pyplot.subplots` when a figure is made, such as ``figsize``; with
        ``nrows`` or ``ncols`` an array of axes is returned. The layout is "constrained" by
        default, so that nothing is cut off.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        Without matplotlib: ``pip install matplotlib``.
    TypeError
        For an `ax` that cannot be drawn on.

    Examples
    --------
    >>> from fastbp import plot
    >>> left, right = plot.axes(ncols=2, figsize=(8, 4))
    >>> left.set_title("left").get_text()
    'left'
    """
    if ax is not None:
        if not hasattr(ax, "get_figure") or not hasattr(ax, "plot"):
            raise TypeError(f"ax must be matplotlib Axes or None, which makes a figure; got {ax!r}")
        return ax
    return pyplot().subplots(**({"layout": "constrained"} | figure))[1]


def pyplot() -> Any:
    """The module `matplotlib.pyplot`.

    Raises
    ------
    ImportError
        Without matplotlib: ``pip install matplotlib``.
    """
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise ImportError("drawing needs matplotlib: pip install matplotlib") from error
    return matplotlib.pyplot
