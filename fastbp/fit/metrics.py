"""Metrics: small functions of targets and predictions, for `MLP.fit` and `MLP.evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks

Metric = Callable[[Any, Any], float]
Floats = npt.NDArray[np.float64]


def accuracy(
    y_true: npt.ArrayLike,
    y_pred: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    *,
    negative: float = 0.0,
) -> float:
    """Share of the rows whose class is predicted.

    Parameters
    ----------
    y_true : array-like
        Class labels, shape (rows,) or (rows, 1), or one column per output, shape (rows, n_out):
        where each row has one class, as 1 and `negative` or as probabilities, its class is the
        one with the greatest number; else each output is a yes or no of its own, and the share
        of right outputs is returned.
    y_pred : array-like
        Outputs of a net. Several columns: the greatest number is the class. One column, or a
        flat array of floats: above the middle of 1 and `negative` is class 1. A flat array of
        integers: the classes. NaN is never right.
    sample_weight : array-like, shape (rows,) or (rows, n_out), optional
        By which rows, or outputs, count. Where a row has one class it counts by its mean weight.
    negative : {0.0, -1.0}, default=0.0
        The target that says no where 1 says yes: -1 for the loss "hinge".

    Returns
    -------
    float
        Targets that are NaN, which are missing, do not count; NaN where all are.

    Raises
    ------
    ValueError
        For other shapes, and where targets of one output do not lie between `negative` and 1.
    """
    truth = checks.numbers("y_true", y_true)
    outputs = checks.numbers("y_pred", y_pred)
    labels = truth.reshape(-1) if truth.ndim == 2 and truth.shape[1] == 1 else truth
    middle = (1 + negative) / 2
    if outputs.ndim == 1 and outputs.dtype.kind in "biu" and labels.ndim == 1:
        right = _same_shape("accuracy", labels, outputs) == outputs
    elif outputs.ndim == 2 and outputs.shape[1] > 1:
        one_class = 1 + negative * (outputs.shape[1] - 1)  # the sum of such a row
        if labels.ndim == 2 and not np.allclose(labels.sum(axis=1), one_class, atol=1e-3):
            labels = _same_shape("accuracy", labels, outputs)
            right = ((labels > middle) == (outputs > middle)) & ~np.isnan(outputs)
        else:
            if labels.ndim == 2:
                labels = _same_shape("accuracy", labels, outputs).argmax(axis=1)
            classes = outputs.argmax(axis=1)
            right = _same_shape("accuracy", labels, classes) == classes
            right &= ~np.isnan(outputs[np.arange(len(outputs)), classes])  # argmax finds the NaN
    else:
        flat = outputs.reshape(-1)
        labels = _same_shape("accuracy", labels, flat)
        known = labels[~np.isnan(labels)]
        if known.size and not negative <= known.min() <= known.max() <= 1:
            raise ValueError(
                f"accuracy of one output needs targets {negative:g} and 1; got targets from "
                f"{known.min()} to {known.max()}. For others pass a function of your own, such "
                "as metrics=[lambda y_true, y_pred: (y_true == y_pred.round().ravel()).mean()]"
            )
        right = ((labels > middle) == (flat > middle)) & ~np.isnan(flat)
    return _mean(right, _weights(labels, sample_weight))


def mean_squared_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean of the squared differences, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred : array-like
        Both of the same shape; one column may come as a flat array. Targets that are NaN, which
        are missing, do not count; the result is NaN where all are.
    sample_weight : array-like, shape (rows,) or (rows, n_out), optional
        By which rows, or outputs, count.

    Returns
    -------
    float
    """
    truth, outputs = _columns("mean_squared_error", y_true, y_pred)
    return _mean((truth - outputs) ** 2, _weights(truth, sample_weight))


def mean_absolute_error(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Mean of the absolute differences, over rows and outputs.

    Parameters
    ----------
    y_true, y_pred, sample_weight : array-like
        As in `mean_squared_error`.

    Returns
    -------
    float
    """
    truth, outputs = _columns("mean_absolute_error", y_true, y_pred)
    return _mean(np.abs(truth - outputs), _weights(truth, sample_weight))


def r2(
    y_true: npt.ArrayLike, y_pred: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> float:
    """Coefficient of determination, averaged over the outputs: 1 is best, 0 the mean's.

    Parameters
    ----------
    y_true, y_pred, sample_weight : array-like
        As in `mean_squared_error`.

    Returns
    -------
    float
        An output with constant targets counts 1 where it is met exactly, else 0, as in
        scikit-learn; one without targets does not count.
    """
    truth, outputs = _columns("r2", y_true, y_pred)
    weights = _weights(truth, sample_weight)
    known = True if weights is None else weights > 0
    totals = np.full(truth.shape[1], len(truth)) if weights is None else weights.sum(axis=0)
    counts = totals > 0
    means = _sums(truth, weights) / np.where(counts, totals, 1.0)
    left = _sums((truth - outputs) ** 2, weights)
    total = _sums((truth - means) ** 2, weights)
    least = truth.min(axis=0, where=known, initial=np.inf)
    varies = (truth.max(axis=0, where=known, initial=-np.inf) > least) & (total > 0)
    scores = np.where(left == 0, 1.0, 0.0)
    scores[varies] = 1.0 - left[varies] / total[varies]
    return _mean(scores[counts], None)


METRICS: dict[str, Metric] = {
    "accuracy": accuracy,
    "mean_squared_error": mean_squared_error,
    "mean_absolute_error": mean_absolute_error,
    "r2": r2,
}
"""Names, for ``fit(metrics=...)`` and `MLP.evaluate`."""
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


def is_named(metric: Metric) -> bool:
    """Whether it is one of METRICS, which know missing targets and sample weights."""
    return any(metric is one for one in METRICS.values())


def _weights(truth: npt.NDArray[Any], sample_weight: Any) -> Floats | None:
    """Weights of the shape of the targets, 0 for those that are missing; None where all are 1.

    Where rows have one target each, that of a row is the mean of its outputs' weights.
    """
    known = ~np.isnan(truth)
    if sample_weight is None:
        return None if known.all() else known.astype(np.float64)
    given = checks.numbers("sample_weight", sample_weight)
    columns = given.shape[1] if given.ndim == 2 else 1
    if truth.ndim == 2:
        columns = truth.shape[1]
    weights = checks.sample_weights(given, len(truth), columns)
    if truth.ndim == 1:
        weights = weights.mean(axis=1)
    found: Floats = np.where(known, weights, 0.0)
    return found


def _sums(values: Floats, weights: Floats | None) -> Floats:
    """Weighted sums by output; what has no weight may be NaN or infinite."""
    if weights is not None:
        values = weights * np.where(weights > 0, values, 0.0)
    sums: Floats = values.sum(axis=0)
    return sums


def _mean(values: npt.NDArray[Any], weights: Floats | None) -> float:
    """The weighted mean of what has a weight; of nothing NaN, without NumPy's warning."""
    if weights is None:
        return float(values.mean()) if values.size else float("nan")
    counts = weights > 0
    if not counts.any():
        return float("nan")
    weights = weights[counts]
    return float((values[counts] * weights).sum() / weights.sum())


def _same_shape(
    metric: str, truth: npt.NDArray[Any], outputs: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    if truth.shape != outputs.shape:
        raise ValueError(
            f"{metric} needs a target for each prediction; got targets of shape {truth.shape} "
            f"for predictions of shape {outputs.shape}"
        )
    return truth


def _columns(metric: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both in float64 as (rows, outputs)."""
    truth = checks.numbers("y_true", y_true).astype(np.float64)
    outputs = checks.numbers("y_pred", y_pred).astype(np.float64)
    truth, outputs = (a.reshape(-1, 1) if a.ndim == 1 else a for a in (truth, outputs))
    return _same_shape(metric, truth, outputs), outputs
