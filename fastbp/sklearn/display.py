"""`LossCurveDisplay`: curves of training and validation loss, like scikit-learn's displays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from fastbp.axes import axes
from fastbp.fit.curves import draw_curves, finish


class LossCurveDisplay:
    """Training and validation loss of each epoch, with the best epoch marked.

    It is recommended to use `from_estimator` to make one.

    Parameters
    ----------
    loss_curve : sequence of float
        Training loss by epoch.
    validation_loss_curve : sequence of float, default=None
        Validation loss by epoch.
    best_epoch : int, default=None
        Counted from 1; None marks none.
    estimator_name : str, default=None
        Name in the legend.

    Attributes
    ----------
    line_, validation_line_ : matplotlib Line2D, or None
    best_line_ : matplotlib Line2D or None
        The vertical line at the best epoch.
    ax_, figure_ : matplotlib Axes and Figure

    Examples
    --------
    >>> from fastbp.sklearn import LossCurveDisplay, MLPRegressor
    >>> X, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 4.0]
    >>> net = MLPRegressor(solver="sgd", tol=0.01).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(net)
    """

    line_: Any
    validation_line_: Any
    best_line_: Any
    ax_: Any
    figure_: Any

    def __init__(
        self,
        *,
        loss_curve: Sequence[float],
        validation_loss_curve: Sequence[float] | None = None,
        best_epoch: int | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.best_epoch = best_epoch
        self.estimator_name = estimator_name

    def plot(self, *, ax: Any = None, log_scale: bool = True, **kwargs: Any) -> LossCurveDisplay:
        """Draw the curves with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.
        log_scale : bool, default=True
            Whether the axis of the loss is logarithmic.
        **kwargs : object
            Passed to matplotlib's `plot` for the training curve.

        Returns
        -------
        LossCurveDisplay
        """
        ax = axes(ax)
        name = self.estimator_name
        self.line_, self.validation_line_, self.best_line_ = draw_curves(
            ax, self.loss_curve, self.validation_loss_curve, self.best_epoch,
            f"{name}: " if name else "", **kwargs,
        )  # fmt: skip
        finish(ax, log_scale)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, name: str | None = None, log_scale: bool = True,
        **kwargs: Any,
    ) -> LossCurveDisplay:  # fmt: skip
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted by "adam" or "sgd"; scikit-learn's own estimators can be drawn too.
        ax : matplotlib Axes, default=None
        name : str, default=None
            Name in the legend; None takes the name of the class.
        log_scale : bool, default=True
        **kwargs : object
            As in `plot`.

        Returns
        -------
        LossCurveDisplay

        Raises
        ------
        ValueError
            If the estimator has no curve.
        NotFittedError
        """
        check_is_fitted(estimator)
        curve = getattr(estimator, "loss_curve_", None)
        if not curve:
            raise ValueError(
                f"{type(estimator).__name__} has no loss_curve_: only the solvers 'adam' and "
                "'sgd' keep it."
            )
        display = cls(
            loss_curve=curve,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            best_epoch=_best_epoch(estimator),
            estimator_name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax=ax, log_scale=log_scale, **kwargs)


def _best_epoch(estimator: Any) -> int:
    """The epoch with the best score, else the lowest validation loss, else training loss."""
    scores = getattr(estimator, "validation_scores_", None)
    if scores:
        return int(np.nanargmax(scores)) + 1
    losses = getattr(estimator, "validation_loss_curve_", None) or estimator.loss_curve_
    return int(np.nanargmin(losses)) + 1
