"""`loss_curves`: training and validation loss of each epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastbp.fit.curves import Curves, draw
from fastbp.fit.history import History, best_of, curves_of


def loss_curves(history: Any, *, log_scale: bool | None = None, ax: Any = None) -> Any:
    """Draw training and validation loss of each epoch, for one or several histories.

    Parameters
    ----------
    history : History or fitted net, or several
        Several are a dict from names to histories or nets, or a list of these. A net is an MLP or
        an estimator with ``loss_curve_``. "val_loss" is drawn dashed if there is one; with a
        single history its `best_epoch` is marked.
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
    >>> ax = fastbp.plot.loss_curves(history)
    """
    curves = {name: _curves(one) for name, one in _named(history).items()}
    if not curves:
        raise ValueError("history must hold at least one history; got none")
    return draw(curves, log_scale, ax)


def _named(history: Any) -> dict[str, Any]:
    """The histories by their labels."""
    if isinstance(history, Mapping):
        return {str(name): one for name, one in history.items()}
    is_one = isinstance(history, History) or hasattr(history, "history")
    if is_one or hasattr(history, "loss_curve_") or not isinstance(history, Iterable):
        return {"": history}
    return {f"net {number}": one for number, one in enumerate(history)}


def _curves(history: Any) -> Curves:
    """The losses of one history, net or estimator."""
    if hasattr(history, "loss_curve_"):
        validation = list(getattr(history, "validation_loss_curve_", None) or [])
        return Curves(list(history.loss_curve_), validation, best_of(validation))
    history = getattr(history, "history", history)
    if not isinstance(history, History):
        raise TypeError(
            f"history must be a History, as returned by fit, a fitted net, or several of them; got "
            f"{type(history).__name__} {history!r}"
        )
    return curves_of(history)
