"""Loss curves of histories that were checked: the drawing of `fastbp.plot.loss_curves`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastbp.axes import axes, readable_log_ticks


class Curves(NamedTuple):
    """The losses of a fit.

    Attributes
    ----------
    training, validation : sequence of float
        By epoch; the second is empty without validation data.
    best_epoch : int or None
        Counted from 1.
    """

    training: Sequence[float]
    validation: Sequence[float]
    best_epoch: int | None


def draw(curves: Mapping[str, Curves], log_scale: bool | None, ax: Any) -> Any:
    """Draw the losses of one or several fits; returns the axes.

    Parameters
    ----------
    curves : dict of str to Curves
        At least one, by their labels.
    log_scale : bool or None
        As in `fastbp.plot.loss_curves`.
    ax : matplotlib Axes or None
    """
    ax = axes(ax)
    alone = len(curves) == 1
    bare = not any(one.validation for one in curves.values())
    for number, (name, one) in enumerate(curves.items()):
        best = one.best_epoch if alone and one.validation else None
        prefix = f"{name}: " if name else ""
        lines = draw_curves(ax, one.training, one.validation or None, best, prefix)
        if name and bare:
            lines[0].set_label(name)
        for line in lines[:2]:
            if line is not None and not alone:
                line.set_color(f"C{number % 10}")
    if log_scale is None:
        losses = [x for one in curves.values() for x in (*one.training, *one.validation)]
        log_scale = min(losses) > 0
    finish(ax, log_scale)
    return ax


def draw_curves(
    ax: Any, training: Sequence[float], validation: Sequence[float] | None, best_epoch: int | None,
    prefix: str, **style: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Draw the curves of one history; returns their lines and that of the best epoch, or None.

    Parameters
    ----------
    ax : matplotlib Axes
    training, validation : sequence of float
        Losses by epoch; `validation` may be None.
    best_epoch : int or None
        Counted from 1.
    prefix : str
        Prefix of the labels.
    **style
        Passed to matplotlib's `plot` for the training curve.
    """
    epochs = np.arange(1, len(training) + 1)
    (line,) = ax.plot(epochs, training, **({"label": f"{prefix}training"} | style))
    validation_line = None
    best_line = None
    if validation is not None:
        validation_line, = ax.plot(
            np.arange(1, len(validation) + 1), validation, linestyle="--",
            label=f"{prefix}validation",
        )  # fmt: skip
    if best_epoch is not None:
        best_line = ax.axvline(
            best_epoch, color="gray", linestyle=":", label=f"best epoch {best_epoch}"
        )
    return line, validation_line, best_line


def finish(ax: Any, log_scale: bool) -> None:
    """Label the axes of loss curves that are drawn."""
    ax.set(xlabel="Epoch", ylabel="Loss", yscale="log" if log_scale else "linear")
    ax.set_title(ax.get_title() or "Loss by epoch")
    readable_log_ticks(ax.yaxis)
    ax.legend()
