"""Axes to draw on, the caller's or those of a new figure; and ticks that can be read."""

from __future__ import annotations

import math
from typing import Any

FEW_DECADES = 2.5
"""Decades of a logarithmic axis up to which its ticks are written as 0.2, 0.5, 1 and so on."""


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


def readable_log_ticks(axis: Any) -> None:
    """Write a short logarithmic axis as 0.2, 0.5, 1 and so on, and not as 2 x 10^-1.

    Parameters
    ----------
    axis : matplotlib Axis
        ``ax.xaxis`` or ``ax.yaxis``, after everything is drawn. One of more decades keeps the
        powers of ten of matplotlib.
    """
    low, high = axis.get_view_interval()
    if axis.get_scale() != "log" or not 0 < low < high < low * 10**FEW_DECADES:
        return
    from matplotlib.ticker import LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_locator(NullLocator())


def readable_levels(low: float, high: float, log: bool) -> list[float]:
    """Three to eight round numbers from `low` to `high`, to label a colour bar with.

    Parameters
    ----------
    low, high : float
        `low` is less than `high`, and above 0 if `log`.
    log : bool
        Whether the scale is logarithmic.
    """
    from matplotlib.ticker import MaxNLocator

    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            ticks = [d * 10.0**n for n in powers for d in digits]
            inside = [float(f"{tick:.1g}") for tick in ticks if low <= tick <= high]
            if 3 <= len(inside) <= 8:
                return inside
        if len(inside) > 8:
            return inside[:: -(-len(inside) // 8)]
    rounds = MaxNLocator(5).tick_values(low, high)
    return [float(f"{tick:.12g}") for tick in rounds if low <= tick <= high]
