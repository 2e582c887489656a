"""The data that estimators are given: checked inputs and targets, validation rows, refusals."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastbp import checks
from fastbp.sklearn.recognition import one_column

Method = TypeVar("Method", bound=Callable[..., Any])


def all_or_nothing(method: Method) -> Method:
    """A method of training that leaves the attributes and the random state alone if it raises."""

    @wraps(method)
    def call(self: Any, *args: Any, **more: Any) -> Any:
        before = vars(self).copy()
        stream = self.random_state
        drawn = stream.get_state() if isinstance(stream, np.random.RandomState) else None
        try:
            return method(self, *args, **more)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            if drawn is not None:
                stream.set_state(drawn)
            raise

    return cast(Method, call)


def checked(
    estimator: Any, X: Any, y: Any, dtype: str | None, reset: bool, **options: Any
) -> tuple[Any, Any]:
    """Inputs and targets of a fit, as scikit-learn's `validate_data` returns them.

    Arrays of finite numbers that it would return unchanged bypass it: it takes a twentieth of a
    short fit.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Gets `n_features_in_` and `feature_names_in_` if `reset`; else X is checked against them.
    X, y : array-like
    dtype : {"float32", "float64"} or None
        Dtype of the inputs; None takes either.
    reset : bool
    **options
        Further options of `validate_data`.
    """
    dtypes = (dtype,) if dtype else ("float64", "float32")
    if reset and is_ready(X, 2) and X.dtype in dtypes and is_ready(y, 1) and len(X) == len(y):
        estimator.n_features_in_ = X.shape[1]
        vars(estimator).pop("feature_names_in_", None)
        return X, y
    X, y = validate_data(
        estimator, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=dtypes,
        reset=reset, **options,
    )  # fmt: skip
    if y.ndim == 2 and y.shape[1] == 1:
        y = one_column(y)
    return X, y


def checked_weights(sample_weight: Any, X: Any, by_output: bool) -> Any:
    """Sample weights in float64, (rows,), or if `by_output` also (rows, n_outputs); None stays."""
    if sample_weight is None:
        return None
    if by_output and np.asarray(sample_weight).ndim == 2:
        weights = check_array(sample_weight, dtype=np.float64, input_name="sample_weight")
        check_consistent_length(X, weights)
        return weights  # the network checks the number of columns, and the values
    return _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)


def is_ready(array: Any, dimensions: int) -> bool:
    """Whether this is a non-empty array that is known to hold finite numbers only.

    A finite sum proves it. A sum that overflows proves nothing: then the answer is False.
    """
    if type(array) is not np.ndarray or array.ndim != dimensions or array.size == 0:
        return False
    if array.dtype.kind != "f":
        return array.dtype.kind in "biu"
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(array.sum()))


def refuse_masked(**arrays: Any) -> None:
    """Raise a ValueError for masked values, by the names of the arrays."""
    for name, array in arrays.items():
        checks.refuse_masked(name, array)


def validation_rows(X_val: Any, y_val: Any, sample_weight_val: Any, eval_set: Any) -> Any:
    """The validation arguments of `fit` as one tuple (X, y, sample_weight); None without them."""
    given = X_val, y_val, sample_weight_val
    if eval_set is not None:
        if any(part is not None for part in given):
            raise ValueError("Pass X_val and y_val, or eval_set, not both.")
        several = isinstance(eval_set, list)
        sets = eval_set if several else [eval_set]
        if len(sets) != 1 or not isinstance(sets[0], tuple) or len(sets[0]) not in (2, 3):
            raise ValueError(
                "eval_set must be a tuple (X_val, y_val) or (X_val, y_val, sample_weight_val), or "
                "a list of one such tuple."
            )
        return (*sets[0], None)[:3]
    if all(part is None for part in given):
        return None
    if y_val is None:
        raise ValueError("X_val is provided, but y_val was not provided.")
    if X_val is None:
        raise ValueError("y_val is provided, but X_val was not provided.")
    return given
