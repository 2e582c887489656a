"""Metrics: small functions of targets and predictions, for ``fit(metrics=...)``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks

Metric = Callable[[Any, Any], float]


def accuracy(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Share of the rows whose class is predicted.

    Parameters
    ----------
    y_true : array-like
        Class labels, shape (rows,) or (rows, 1), or one column per output, shape (rows, n_out):
        where each row sums to 1 its class is the one with the greatest number; else each output
        is a yes or no of its own, and the share of right outputs is returned.
    y_pred : array-like
        Outputs of a net. Several columns: the greatest number is the class. One column, or a
        flat array of floats: above 1/2 is class 1. A flat array of integers: the classes.

    Returns
    -------
    float
        Targets that are NaN, which are missing, do not count; NaN where all are.

    Raises
    ------
    ValueError
        For other shapes, and where targets of one output do not lie between 0 and 1.
    """
    truth = checks.numbers("y_true", y_true)
    outputs = checks.numbers("y_pred", y_pred)
    labels = truth.reshape(-1) if truth.ndim == 2 and truth.shape[1] == 1 else truth
    if outputs.ndim == 1 and outputs.dtype.kind in "biu" and labels.ndim == 1:
        right = _same_shape("accuracy", labels, outputs) == outputs
    elif outputs.ndim == 2 and outputs.shape[1] > 1:
        if labels.ndim == 2 and not np.allclose(labels.sum(axis=1), 1, atol=1e-3):
            labels = _same_shape("accuracy", labels, outputs)
            right = (labels > 0.5) == (outputs > 0.5)
        else:
            if labels.ndim == 2:
                labels = _same_shape("accuracy", labels, outputs).argmax(axis=1)
            classes = outputs.argmax(axis=1)
            right = _same_shape("accuracy", labels, classes) == classes
    else:
        flat = outputs.reshape(-1)
        labels = _same_shape("accuracy", labels, flat)
        known = labels[~np.isnan(labels)]
        if known.size and not 0 <= known.min() <= known.max() <= 1:
            raise ValueError(
                "accuracy of one output needs targets 0 and 1; got targets from "
                f"{known.min()} to {known.max()}. For others pass a function of your own, such "
                "as metrics=[lambda y_true, y_pred: (y_true == y_pred.round().ravel()).mean()]"
            )
        right = (labels > 0.5) == (flat > 0.5)
    return _mean(right[~np.isnan(labels)])


def mean_squared_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Mean of the squared differences, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred : array-like
        Both of the same shape; one column may come as a flat array. Targets that are NaN, which
        are missing, do not count; the result is NaN where all are.

    Returns
    -------
    float
    """
    truth, outputs = _columns("mean_squared_error", y_true, y_pred)
    return _mean((truth - outputs)[~np.isnan(truth)] ** 2)


def mean_absolute_error(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Mean of the absolute differences, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred : array-like
        As in `mean_squared_error`.

    Returns
    -------
    float
    """
    truth, outputs = _columns("mean_absolute_error", y_true, y_pred)
    return _mean(np.abs(truth - outputs)[~np.isnan(truth)])


def r2(y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> float:
    """Coefficient of determination, averaged over the outputs: 1 is best, 0 the mean's.

    Parameters
    ----------
    y_true, y_pred : array-like
        As in `mean_squared_error`.

    Returns
    -------
    float
        An output with constant targets counts 1 where it is met exactly, else 0, as in
        scikit-learn; one without targets does not count.
    """
    truth, outputs = _columns("r2", y_true, y_pred)
    known = ~np.isnan(truth)
    counts = known.sum(axis=0)
    means = truth.sum(axis=0, where=known) / np.maximum(counts, 1)
    left = ((truth - outputs) ** 2).sum(axis=0, where=known)
    total = ((truth - means) ** 2).sum(axis=0, where=known)
    varies = total > 0
    scores = np.where(left == 0, 1.0, 0.0)
    scores[varies] = 1.0 - left[varies] / total[varies]
    return _mean(scores[counts > 0])


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "r2": r2,
}
"""Names, for ``fit(metrics=...)``."""
HIGHER_IS_BETTER = ("accuracy", "r2")


def named_metrics(metrics: Any) -> dict[str, Metric]:
    """The functions by the names under which a history keeps them.

    Parameters
    ----------
    metrics : str, callable or iterable of both
        Names of METRICS, or functions of (y_true, y_pred) that return a number; a function goes
        by its ``__name__``.

    Raises
    ------
    ValueError, TypeError
        For unknown names, what is not a function, and names that occur twice.
    """
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    accepted = f"{', '.join(map(repr, METRICS))} or a function of (y_true, y_pred)"
    if not isinstance(metrics, Iterable):
        raise TypeError(f"metrics must be a list of {accepted}; got {metrics!r}")
    found: dict[str, Metric] = {}
    for metric in metrics:
        if isinstance(metric, str):
            if metric not in METRICS:
                hint = checks.instead("metrics", metric, METRICS)
                raise ValueError(f"metrics must be {accepted}; got {metric!r}{hint}")
            name = metric
            function = METRICS[metric]
        elif callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            function = metric
        else:
            raise TypeError(f"metrics must be {accepted}; got {metric!r}")
        if name in found or name in ("loss", "seconds", "learning_rate"):
            raise ValueError(
                f"metrics must have names of their own; {name!r} occurs twice. Name a function "
                "with def, or set its __name__"
            )
        found[name] = function
    return found


def _mean(values: npt.NDArray[Any]) -> float:
    """The mean; of nothing NaN, without NumPy's warning."""
    return float(values.mean()) if values.size else float("nan")


def _same_shape(
    metric: str, truth: npt.NDArray[Any], outputs: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    if truth.shape != outputs.shape:
        raise ValueError(
            f"{metric} needs a target for each prediction; got targets of shape {truth.shape} "
            f"for predictions of shape {outputs.shape}"
        )
    return truth


def _columns(
    metric: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both in float64 as (rows, outputs)."""
    truth = checks.numbers("y_true", y_true).astype(np.float64)
    outputs = checks.numbers("y_pred", y_pred).astype(np.float64)
    truth, outputs = (a.reshape(-1, 1) if a.ndim == 1 else a for a in (truth, outputs))
    return _same_shape(metric, truth, outputs), outputs
