"""`Perceptron` with the interface and the model of scikit-learn's."""

from __future__ import annotations

import time
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastbp.checks import explained, is_sparse, sparse_rows
from fastbp.fit.data import entries_of
from fastbp.fit.warn import warn
from fastbp.kernels.state import Entries
from fastbp.machine import jit
from fastbp.perceptron import plane
from fastbp.sklearn import conversion, hooks
from fastbp.sklearn.annotations import ClassWeight, RandomState
from fastbp.sklearn.inputs import all_or_nothing, refuse_masked
from fastbp.sklearn.randomness import random_state_of
from fastbp.sklearn.recognition import PLANES, Recognised
from fastbp.sklearn.saving import Saves
from fastbp.sklearn.targets import classes_of

FloatArray = npt.NDArray[np.floating]

MOST_SEED = np.iinfo(np.int32).max
SPARSE_DECAY = 0.01
"""Factor of the bias's learning rate for sparse rows, as in scikit-learn's `SGDClassifier`."""


class UnitData(NamedTuple):
    """The data that one unit is trained on.

    Attributes
    ----------
    X : array or sparse matrix, shape (rows, n_features)
    entries : Entries or None
        Those of a sparse matrix.
    is_class : array of bool, shape (rows,)
        Whether a row belongs to the unit's class.
    sample_weight : array of float64, shape (rows,)
    held : array of bool, shape (rows,)
        Rows to validate on.
    """

    X: Any
    entries: Entries | None
    is_class: npt.NDArray[np.bool_]
    sample_weight: npt.NDArray[np.float64]
    held: npt.NDArray[np.bool_]


class Perceptron(
    conversion.ConvertsPerceptrons,
    Saves,
    Recognised,
    LinearClassifierMixin,
    SparseCoefMixin,
    BaseEstimator,
):
    """The perceptron, a drop-in for `sklearn.linear_model.Perceptron`.

    With the same `random_state` and float64 data it is the same model: the same shuffles,
    updates, penalties and stopping rules. With more than two classes, each has its own unit, which
    is trained to separate it from all others. The number of epochs may differ with `early_stopping`
    and an L2 penalty: scikit-learn (1.9) then scores weights without their last scaling.

    Parameters
    ----------
    penalty : {"l2", "l1", "elasticnet"}, default=None
        What draws the weights to 0: the sum of their squares, of their magnitudes, or of both.
    alpha : float, default=0.0001
        Factor of the penalty.
    l1_ratio : float, default=0.15
        Share of L1 in "elasticnet".
    fit_intercept : bool, default=True
        Whether units have biases.
    max_iter : int, default=1000
        The largest number of epochs of `fit`.
    tol : float or None, default=1e-3
        How far the mean loss must fall below its best, or the score rise above it with
        `early_stopping`; None trains for `max_iter` epochs.
    shuffle : bool, default=True
        Take the rows in a new order in each epoch.
    verbose : int, default=0
        Above 0, print scikit-learn's lines after each epoch.
    eta0 : float, default=1.0
        The learning rate.
    n_jobs : int, default=None
        Has no effect: training a unit takes less time than starting a process.
    random_state : int, RandomState instance or None, default=0
        Determines the order of the rows and the held-out rows.
    early_stopping : bool, default=False
        Stop when the accuracy on held-out rows no longer improves.
    validation_fraction : float, default=0.1
        Share of the rows to hold out, stratified.
    n_iter_no_change : int, default=5
        Epochs without improvement that end training.
    class_weight : dict or "balanced", default=None
        Factors of the updates of a class: one per class, or "balanced" for the inverse of its
        frequency.
    warm_start : bool, default=False
        Let `fit` continue from the current parameters.

    Attributes
    ----------
    classes_ : array, shape (n_classes,)
    coef_ : array, shape (1, n_features) for two classes, else (n_classes, n_features)
        A sparse matrix after `sparsify`, until the next `fit`, `partial_fit` or `densify`.
    intercept_ : array, shape (1,) or (n_classes,)
    n_iter_ : int
        Number of epochs, the largest over the classes.
    t_ : float
        1 plus the number of rows that were processed.
    n_features_in_ : int
        Columns of `X` in `fit`.
    feature_names_in_ : array of str
        Their names, where all columns have one.

    Notes
    -----
    A unit whose net input is exactly 0 counts as a mistake here, whatever the class; in
    `fastbp.Perceptron` its output is 0. A sparse row takes the time of its entries, also with L2.

    Examples
    --------
    >>> from fastbp.sklearn import Perceptron
    >>> Perceptron().fit([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]).predict([[1, 1]])
    array([1])
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "verbose": ["verbose"],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
    }

    _their_package = "sklearn.linear_model"
    loss = "perceptron"

    classes_: npt.NDArray[Any]
    coef_: Any
    intercept_: FloatArray
    n_iter_: int
    t_: float
    n_features_in_: int
    feature_names_in_: npt.NDArray[Any]

    @explained
    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: int = 0,
        eta0: float = 1.0,
        n_jobs: int | None = None,
        random_state: RandomState = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: ClassWeight = None,
        warm_start: bool = False,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.eta0 = eta0
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        hooks.warn_of_ignored(cls, conversion.their_perceptron, set())

    # ---------------------------------------------------------------- fitting

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None,
        sample_weight: Any = None,
    ) -> Perceptron:  # fmt: skip
        """Train on these rows.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,)
            Classes.
        coef_init, intercept_init : array-like, default=None
            Initial parameters, shaped like `coef_` and `intercept_`; zeros by default.
        sample_weight : array-like, shape (n_samples,), default=None
            Factors of the updates of the rows.

        Returns
        -------
        Perceptron
            Itself.

        Raises
        ------
        ValueError
            Bad input, or parameters that become infinite or NaN in training. The estimator is then
            unchanged.

        Examples
        --------
        >>> from fastbp.sklearn import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> Perceptron().fit(X, y).coef_.tolist()
        [[2.0, 2.0]]
        """
        X, y = self._checked(X, y, first=True)
        classes = classes_of(y)
        if len(classes) < 2:
            raise ValueError(
                f"The number of classes has to be greater than one; got {len(classes)} class"
            )
        if self.warm_start and hasattr(self, "coef_"):
            coef_init = self._dense_coef() if coef_init is None else coef_init
            intercept_init = self.intercept_ if intercept_init is None else intercept_init
        coef, intercept = _initial_parameters(X, len(classes), coef_init, intercept_init)
        self.classes_ = classes
        self.t_ = 1.0
        self._train(X, y, sample_weight, self.max_iter, coef, intercept, True)
        if self.tol is not None and self.n_iter_ == self.max_iter:
            warn(
                "Maximum number of iteration reached before convergence. Consider increasing "
                "max_iter to improve the fit.",
                ConvergenceWarning,
                PLANES,
            )
        return self

    @all_or_nothing
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Perceptron:
        """Train for one epoch on these rows, starting from the current parameters.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,)
        classes : array-like, shape (n_classes,), default=None
            All classes that will occur; needed in the first call.
        sample_weight : array-like, shape (n_samples,), default=None
            Factors of the updates of the rows.

        Returns
        -------
        Perceptron
            Itself.

        Raises
        ------
        ValueError
            As in `fit`.

        Examples
        --------
        >>> from fastbp.sklearn import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> net = Perceptron()
        >>> for _ in range(10):
        ...     net = net.partial_fit(X, y, classes=[0, 1])
        >>> net.predict(X).tolist()
        [0, 0, 0, 1]
        """
        first = not hasattr(self, "classes_")
        if first:
            self._check_first(classes)
        X, y = self._checked(X, y, first)
        if first:
            self.classes_ = classes_of(np.asarray(classes))
            self.t_ = 1.0
            self.coef_, self.intercept_ = _initial_parameters(X, len(self.classes_), None, None)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{self.classes_!r}"
            )
        unknown = set(np.unique(y).tolist()) - set(self.classes_.tolist())
        if unknown:
            raise ValueError(
                f"classes should include all valid labels that can be in y; {self.classes_} lack "
                f"{sorted(unknown)}"
            )
        self._check_parameters()
        self._train(X, y, sample_weight, 1, self._dense_coef(), self.intercept_, first)
        return self

    def _dense_coef(self) -> FloatArray:
        coef: FloatArray = self.coef_.toarray() if is_sparse(self.coef_) else self.coef_
        return coef

    def _check_parameters(self) -> None:
        """Raise a ValueError for parameters of other shapes, which anyone may have assigned."""
        units = 1 if len(self.classes_) == 2 else len(self.classes_)
        for name, shape in (("coef_", (units, self.n_features_in_)), ("intercept_", (units,))):
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(
                    f"{name} must have shape {shape}, as after the first call; got {found}"
                )

    def _check_first(self, classes: Any) -> None:
        """Raise a ValueError for what the first `partial_fit` refuses, in scikit-learn's order."""
        if self.early_stopping:
            raise ValueError("early_stopping should be False with partial_fit")
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if len(np.unique(classes)) < 2:
            raise ValueError(
                "The number of classes has to be greater than one; got "
                f"{len(np.unique(classes))} class"
            )
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit: the frequencies of the "
                "classes are those of all rows. Pass compute_class_weight('balanced', "
                "classes=classes, y=y) of a large enough sample as a dict."
            )

    def _checked(self, X: Any, y: Any, first: bool) -> tuple[Any, npt.NDArray[Any]]:
        refuse_masked(X=X, y=y)
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], order="C",
            accept_large_sparse=False, reset=first,
        )  # fmt: skip
        if y.dtype.kind not in "biu":  # integers are classes, and looking at them takes a while
            check_classification_targets(y)
        return X, y

    def _train(
        self, X: Any, y: npt.NDArray[Any], sample_weight: Any, epochs: int, coef: FloatArray,
        intercept: FloatArray, fresh: bool,
    ) -> None:  # fmt: skip
        """Train a unit for each class, or one for two classes.

        An error changes no parameters, unless they are `fresh`: made for this training.
        """
        classes = self.classes_
        weights = np.ones(len(classes))
        if self.class_weight is not None:
            weights = compute_class_weight(self.class_weight, classes=classes, y=y)
        refuse_masked(sample_weight=sample_weight)
        if sample_weight is None:
            sample_weight = np.ones(len(y))
        else:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        kept = None
        entries = None
        if is_sparse(X):
            entries = entries_of(sparse_rows("X", X, X.shape[1], coef.dtype))
        else:
            X = np.ascontiguousarray(X, coef.dtype)
        if not fresh:
            intercept = intercept.copy()
            if entries is not None and self.penalty in (None, "l1") and coef.flags.carray:
                kept = coef.take(entries.columns, axis=1)  # a copy of all would take longer
            else:
                coef = coef.copy()
        try:
            most = self._train_units(X, y, entries, sample_weight, epochs, coef, intercept, weights)
        except BaseException:
            if kept is not None and entries is not None:  # no other weights have changed
                coef[:, entries.columns] = kept
            raise
        self.coef_ = coef
        self.intercept_ = intercept
        self.n_iter_ = most
        self.t_ += most * len(y)

    def _train_units(
        self, X: Any, y: npt.NDArray[Any], entries: Entries | None,
        sample_weight: npt.NDArray[np.float64], epochs: int, coef: FloatArray,
        intercept: FloatArray, weights: npt.NDArray[np.float64],
    ) -> int:  # fmt: skip
        """Train all units in place, with class weights; returns the largest number of epochs."""
        classes = self.classes_
        several = len(classes) > 2
        random_state = random_state_of(self.random_state)
        held = self._held_out(y, sample_weight) if several else None
        seeds = random_state.randint(MOST_SEED, size=len(classes)) if several else [None]
        most = 0
        for unit, seed in enumerate(seeds):
            is_class = y == classes[unit if several else 1]
            stream = random_state if seed is None else random_state_of(int(seed))
            stream.randint(1, MOST_SEED)  # scikit-learn draws one for its data set first
            mask = self._held_out(is_class, sample_weight) if held is None else held
            data = UnitData(X, entries, is_class, sample_weight, mask)
            rest = 1.0 if several else weights[0]
            factors = np.where(is_class, weights[unit if several else 1], rest)
            intercept[unit], count = self._train_unit(
                data, factors, coef[unit], float(intercept[unit]), epochs,
                int(stream.randint(MOST_SEED)),
            )  # fmt: skip
            most = max(most, count)
        return most

    def _train_unit(
        self, data: UnitData, factors: npt.NDArray[np.float64], w: FloatArray, bias: float,
        epochs: int, seed: int,
    ) -> tuple[float, int]:  # fmt: skip
        """Train one unit, its weights in place; returns its bias and the number of epochs."""
        l1 = {"l1": 1.0, "elasticnet": self.l1_ratio}.get(self.penalty or "", 0.0)
        alpha = 0.0 if self.penalty is None else self.alpha
        sparse = data.entries is not None
        decay = (SPARSE_DECAY if sparse else 1.0) * self.fit_intercept
        settings = np.array([self.eta0, decay, alpha * (1 - l1), alpha * l1])
        squares = w @ w if settings[2] > 0 else 0.0
        magnitudes = np.abs(w).sum() if settings[3] > 0 else 0.0
        state = np.array([bias, 0.0, squares, magnitudes, 1.0, 0.0])
        run = plane.sparse_plane_epoch if sparse else plane.plane_epoch
        targets = np.where(data.is_class, 1.0, -1.0)
        weights = np.where(data.held, -1.0, data.sample_weight * factors)
        steps = (self.eta0 * targets * weights * decay,) if sparse else ()
        q = np.zeros(len(w), w.dtype) if settings[3] > 0 else w
        arguments = (
            w, state, q, data.entries if sparse else data.X, targets,
            weights, *steps, np.arange(len(targets)), settings, seed if self.shuffle else -1,
        )  # fmt: skip
        patience = _Patience(self.tol, int(self.n_iter_no_change))
        lines = _Lines(int(np.count_nonzero(~data.held)))
        for epoch in range(1, epochs + 1):
            if self.verbose:
                lines.begin_epoch()
            loss = float(jit.call(run, w.dtype.char, *arguments))
            if not (np.isfinite(state[0]) and _is_finite(w)):
                raise ValueError(
                    f"Floating-point under-/overflow occurred at epoch #{epoch}. Scaling input "
                    "data with StandardScaler or MinMaxScaler might help."
                )
            value = -_accuracy(data, w * state[4], state[0]) if self.early_stopping else loss
            if self.verbose:
                lines.end_epoch(w * state[4], state, loss, -value if self.early_stopping else None)
            if patience.is_over(value):
                if self.verbose:
                    lines.end()
                break
        if state[4] != 1:
            w *= state[4]
        return float(state[0]), epoch

    def _held_out(
        self, y: npt.NDArray[Any], sample_weight: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Mask of the rows that early stopping validates on."""
        held = np.zeros(len(y), np.bool_)
        if not self.early_stopping:
            return held
        splitter = StratifiedShuffleSplit(
            test_size=self.validation_fraction, random_state=self.random_state
        )
        _, chosen = next(splitter.split(np.zeros((len(y), 1)), y))
        if not sample_weight[chosen].any():
            raise ValueError(
                "The sample weights for validation set are all zero, consider using a different "
                "random state."
            )
        held[chosen] = True
        return held

    # ---------------------------------------------------------------- prediction

    def decision_function(self, X: Any) -> FloatArray:
        """Net inputs of the units.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array, shape (n_samples,) for two classes, else (n_samples, n_classes)
            Above 0 for the class; with two classes, for the second.

        Examples
        --------
        >>> from fastbp.sklearn import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> (Perceptron().fit(X, y).decision_function(X) > 0).tolist()
        [False, False, False, True]
        """
        check_is_fitted(self)
        refuse_masked(X=X)
        X = validate_data(self, X, accept_sparse="csr", reset=False)
        scores: FloatArray = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict classes.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array, shape (n_samples,)

        Examples
        --------
        >>> from fastbp.sklearn import Perceptron
        >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
        >>> Perceptron().fit(X, y).predict(X).tolist()
        [0, 0, 0, 1]
        """
        scores = self.decision_function(X)
        indices = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)
        chosen: npt.NDArray[Any] = self.classes_[indices]
        return chosen

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Patience:
    """Counts the epochs in which a loss has not fallen below its best by `tol`."""

    def __init__(self, tol: float | None, patience: int) -> None:
        self.tol = -np.inf if tol is None else tol
        self.patience = patience
        self.best = np.inf
        self.count = 0

    def is_over(self, value: float) -> bool:
        """Whether to stop after this value."""
        fails = self.tol > -np.inf and value > self.best - self.tol
        self.count = self.count + 1 if fails else 0
        self.best = min(self.best, value)
        return self.count >= self.patience


class _Lines:
    """Prints what scikit-learn prints of the training of a unit on so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.epochs = 0
        self.clock = jit.without_compiling(time.perf_counter)
        self.start = self.clock()

    def begin_epoch(self) -> None:
        self.epochs += 1
        print(f"-- Epoch {self.epochs}")

    def end_epoch(
        self, w: FloatArray, state: FloatArray, objective: float, score: float | None
    ) -> None:
        line = (
            f"Norm: {np.linalg.norm(w):.2f}, NNZs: {np.count_nonzero(w)}, Bias: {state[0]:.6f}, "
            f"T: {self.epochs * self.rows}, Avg. loss: {state[plane.MEAN_LOSS]:f}, "
            f"Objective: {objective:f}"
        )
        print(line if score is None else f"{line}, Validation score: {score:f}")
        print(f"Total training time: {self.clock() - self.start:.2f} seconds.")

    def end(self) -> None:
        seconds = self.clock() - self.start
        print(f"Convergence after {self.epochs} epochs took {seconds:.2f} seconds")


def _is_finite(w: FloatArray) -> bool:
    """Whether all weights are finite, which a finite sum proves."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(w.sum()) or np.isfinite(w).all())


def _accuracy(data: UnitData, w: FloatArray, bias: float) -> float:
    """Share of the held-out rows on the right side, by their sample weights."""
    right = (data.X[data.held] @ w + bias > 0) == data.is_class[data.held]
    return float(np.average(right, weights=data.sample_weight[data.held]))


def _initial_parameters(
    X: Any, classes: int, coef_init: Any, intercept_init: Any
) -> tuple[FloatArray, FloatArray]:
    """The initial parameters, zeros by default."""
    units = 1 if classes == 2 else classes
    coef = np.zeros((units, X.shape[1]), X.dtype)
    intercept = np.zeros(units, X.dtype)
    for name, own, given in (("coef_", coef, coef_init), ("intercept_", intercept, intercept_init)):
        if given is None:
            continue
        array = np.asarray(given, X.dtype)
        if array.size != own.size or (units > 1 and array.shape != own.shape):
            raise ValueError(
                f"{name.rstrip('_')}_init does not match the data: it must have shape {own.shape}; "
                f"got {array.shape}"
            )
        own[...] = array.reshape(own.shape)
    return coef, intercept
