"""`loss_curves`: training and validation loss of each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fastbp.fit.history import History
from fastbp.plot.axes import axes


def loss_curves(history: Any, *, log_scale: bool | None = None, ax: Any = None) -> Any:
    """Draw training and validation loss of each epoch, for one or several histories.

    Parameters
    ----------
    history : History or fitted net, or several
        Several are a dict from names to histories or nets, or a list of these. A net is an MLP or
        an estimator with ``loss_curve_``. "val_loss" is drawn dashed if there is one; with a
        single history its best epoch is marked.
    log_scale : bool, default=None
        Whether the axis of the loss is logarithmic; None: if every loss is above 0.
    ax : matplotlib Axes, default=None
        None makes a figure.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    TypeError, ValueError
        If it is not a history, or has no epoch.

    Examples
    --------
    >>> import fastbp.plot
    >>> from fastbp import MLP
    >>> history = MLP((1, 4, 1), seed=0).fit([[0.0], [1.0]], [1.0, 3.0])
    >>> ax = fastbp.plot.loss_curves(history)  # doctest: +SKIP
    """
    curves = {name: _curves(one) for name, one in _named(history).items()}
    if not curves:
        raise ValueError("history must hold at least one history; got none")
    ax = axes(ax)
    alone = len(curves) == 1
    bare = not any(validation for _, validation in curves.values())
    for number, (name, (training, validation)) in enumerate(curves.items()):
        best = int(np.nanargmin(validation)) + 1 if alone and len(validation) else None
        lines = draw_curves(ax, training, validation or None, best, f"{name}: " if name else "")
        if name and bare:
            lines[0].set_label(name)
        for line in lines[:2]:
            if line is not None and not alone:
                line.set_color(f"C{number % 10}")
    if log_scale is None:
        log_scale = min(x for pair in curves.values() for curve in pair for x in curve) > 0
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
    """Label the axes of loss curves."""
    ax.set(xlabel="Epoch", ylabel="Loss", yscale="log" if log_scale else "linear")
    ax.legend()


def _named(history: Any) -> dict[str, Any]:
    """The histories by their labels."""
    if isinstance(history, Mapping):
        return {str(name): one for name, one in history.items()}
    is_one = isinstance(history, History) or hasattr(history, "history")
    if is_one or hasattr(history, "loss_curve_") or not isinstance(history, Iterable):
        return {"": history}
    return {f"net {number}": one for number, one in enumerate(history, 1)}


def _curves(history: Any) -> tuple[list[float], list[float]]:
    """Loss and "val_loss", which is empty if there is none."""
    if hasattr(history, "loss_curve_"):
        return list(history.loss_curve_), list(
            getattr(history, "validation_loss_curve_", None) or []
        )
    history = getattr(history, "history", history)
    if not isinstance(history, History):
        raise TypeError(
            f"history must be a History, as returned by fit, a fitted net, or several of them; got "
            f"{type(history).__name__} {history!r}"
        )
    if not len(history):
        raise ValueError("the history has no finished epoch; fit the net first")
    return history.loss, history["val_loss"] if "val_loss" in history else []
