"""`MLPClassifier` and `MLPRegressor`, with the interface and the model of scikit-learn's."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import methodcaller
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin, RegressorMixin, _fit_context
from sklearn.utils import check_consistent_length, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.validation import check_array

from fastbp.checks import explained
from fastbp.fit.data import targets_and_gaps
from fastbp.model.initializers import Init
from fastbp.model.losses import CallableLoss, Loss, Quantile, as_loss
from fastbp.model.optimizers import Optimizer
from fastbp.sklearn.annotations import (
    Activations,
    Callbacks,
    ClassWeight,
    Losses,
    RandomState,
    Rates,
    Scoring,
    Sizes,
)
from fastbp.sklearn.base import BaseMLP
from fastbp.sklearn.documentation import with_shared_entries
from fastbp.sklearn.inputs import checked, checked_weights
from fastbp.sklearn.losses import (
    BlockCrossEntropy,
    CutBinaryCrossEntropy,
    CutCrossEntropy,
    MeanSquaredError,
    largest_log_loss,
)
from fastbp.sklearn.networks import Graph
from fastbp.sklearn.probabilities import log_sigmoid, log_softmax, of_two_classes
from fastbp.sklearn.recognition import one_column
from fastbp.sklearn.scores import R2, Accuracy, Score
from fastbp.sklearn.streams import goes_on
from fastbp.sklearn.targets import (
    SeveralOutputs,
    binarizer_for,
    columns_of,
    naming_missing_targets,
    with_gaps,
)

REGRESSION_LOSSES = {
    "squared_error", "poisson", "absolute_error", "huber", "quantile", "gamma",
}  # fmt: skip


@with_shared_entries(BaseMLP)
class MLPClassifier(ClassifierMixin, BaseMLP):
    """scikit-learn's `MLPClassifier` on fastbp: the same interface, the same model, faster.

    Parameters have the names, defaults and meaning of scikit-learn's; those after `max_fun` are
    additions, all off by default.

    Parameters
    ----------
    class_weight : dict or "balanced", default=None
        Factors of the losses of the rows: one per class, or "balanced" for the inverse of its
        frequency in the data of `fit`. In `fit` they are scaled to a mean of 1 over the rows, in
        `partial_fit` they are taken as they are.

    Attributes
    ----------
    classes_ : array, shape (n_classes,), or list of array
        The classes; a list for several targets.

    Notes
    -----
    Several targets with more than two classes (`y` of shape (n_samples, n_targets)) have one
    softmax each; their loss is computed in Python.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from fastbp.sklearn import MLPClassifier
    >>> X, y = make_classification(n_samples=100, random_state=1)
    >>> net = MLPClassifier(random_state=1, max_iter=300).fit(X, y)
    >>> net.predict(X[:5]).tolist()
    [1, 1, 1, 0, 0]
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    class_weight: ClassWeight
    classes_: Any
    _label_binarizer: Any
    _known_classes: Any
    _logits_will_do = True
    loss = "log_loss"

    @explained
    def __init__(
        self, hidden_layer_sizes: Sizes = (100,), activation: Activations = "relu", *,
        solver: str = "adam", alpha: float = 0.0001, batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: RandomState = None, tol: float = 1e-4,
        verbose: bool | int | str = False, warm_start: bool = False, momentum: float = 0.9,
        nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, n_iter_no_change: float = 10, max_fun: int = 15000,
        class_weight: ClassWeight = None, optimizer: str | Optimizer | None = None,
        l1_ratio: float = 0.0, weight_decay: float = 0.0, dropout: Rates = 0.0,
        clip_norm: float | None = None, scoring: Scoring = None, callbacks: Callbacks = None,
        dtype: str | None = None, weight_init: Init | None = None, as_transformer: bool = False,
        n_threads: int | str = 1,
    ) -> None:  # fmt: skip
        self._keep(locals())

    # ---------------------------------------------------------------- fitting

    @available_if(lambda estimator: estimator._check_solver())
    @goes_on
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None
    ) -> MLPClassifier:
        """Train for one epoch, starting from the current parameters; not with the solver "lbfgs".

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,), default=None
            As in `fit`.
        classes : array-like, shape (n_classes,), default=None
            All classes that will occur; needed in the first call.

        Returns
        -------
        self

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier((16,), learning_rate_init=0.01, random_state=1)
        >>> for _ in range(100):
        ...     net = net.partial_fit(X, y, classes=[0, 1, 2])
        >>> net.score(X, y) > 0.9
        True
        """
        more = {} if classes is None else {"classes": classes}
        self._fit(X, y, sample_weight=sample_weight, incremental=True, **more)
        return self

    def _begin_partial_fit(self, y: Any, classes: Any) -> None:
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' is not supported for partial_fit. Pass the weights as a "
                "dict, or as sample_weight."
            )
        if _check_partial_fit_first_call(self, classes):
            several = type_of_target(y).startswith("multilabel")
            self._label_binarizer = binarizer_for(y if several else classes)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X, y = checked(self, X, y, self.dtype, reset)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = binarizer_for(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            self._check_classes(y)
        self._known_classes = self._label_binarizer.classes_
        return X, columns_of(self._label_binarizer, y)

    def _check_classes(self, y: Any) -> None:
        """Raise a ValueError for classes that the previous call did not have."""
        if isinstance(self.classes_, list):
            return  # the encoder checks the classes of each target
        classes = unique_labels(y)
        if self.warm_start:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the "
                    f"previous call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )

    def _encode(self, y: Any) -> npt.NDArray[Any]:
        y = check_array(y, ensure_2d=False, dtype=None, accept_sparse="csr", input_name="y_val")
        if y.ndim == 2 and y.shape[1] == 1:
            y = one_column(y)
        if not isinstance(self.classes_, list):
            unknown = np.setdiff1d(unique_labels(y), self.classes_, assume_unique=True)
            if len(unknown):
                raise ValueError(f"y_val has classes that y does not have: {unknown}.")
        return columns_of(self._label_binarizer, y)

    def _choose_loss(self, n_columns: int, dtype: np.dtype[Any]) -> tuple[Loss, str, int]:
        binarizer = self._label_binarizer
        if isinstance(binarizer, SeveralOutputs):
            return CallableLoss(BlockCrossEntropy(binarizer.sizes)), "softmax", n_columns
        if binarizer.y_type_ == "multiclass":
            return CutCrossEntropy(most=largest_log_loss(dtype)), "softmax", n_columns
        return CutBinaryCrossEntropy(most=largest_log_loss(dtype)), "logistic", n_columns

    def _targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._label_binarizer.y_type_ == "multiclass":
            labels: npt.NDArray[Any] = y.argmax(axis=1)
            return labels
        return y

    def _class_weights(self, y: Any, sample_weight: Any) -> Any:
        if self.class_weight is None:
            return sample_weight
        y = check_array(y, ensure_2d=False, dtype=None)
        class_weight = compute_sample_weight(self.class_weight, y)
        return class_weight if sample_weight is None else class_weight * sample_weight

    def _score_against(self, y: npt.NDArray[Any], sample_weight: Any, from_logits: bool) -> Score:
        binarizer = self._label_binarizer
        decide: Callable[[Any], npt.NDArray[Any]]
        if isinstance(binarizer, SeveralOutputs):
            decide = binarizer.inverse_transform
        elif binarizer.y_type_ == "multiclass":
            decide = methodcaller("argmax", axis=1)
        elif len(binarizer.classes_) == 1:  # `predict` knows no other, whatever the output
            decide = np.zeros_like
        else:
            decide = partial(np.less, 0.0 if from_logits else 0.5)
        return Accuracy(decide, y, sample_weight)

    # ---------------------------------------------------------------- prediction

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict classes.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array, shape (n_samples,) or (n_samples, n_outputs)

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier((16,), solver="lbfgs", alpha=1.0, max_iter=1000).fit(X, y)
        >>> net.predict(X[[0, 50, 100]]).tolist()
        [0, 1, 2]
        """
        outputs = self._outputs(X)
        state = vars(self)
        if state.get("n_outputs_") == 1:
            outputs = outputs.ravel()
        binarizer = self._label_binarizer
        classes = binarizer.classes_
        if classes is state.get("_known_classes"):  # those of the fit: `classes_` may be new
            classes = self.classes_
        kind = binarizer.y_type_
        labels: npt.NDArray[Any]
        if kind == "multiclass":
            labels = classes.take(outputs.argmax(axis=1), mode="clip")
        elif kind == "binary" and len(classes) == 2 and outputs.ndim == 1:
            threshold = (binarizer.neg_label + binarizer.pos_label) / 2
            labels = classes.take(outputs > threshold)
        else:
            labels = binarizer.inverse_transform(outputs)
        return labels

    @property
    def _unit_of_outputs(self) -> str:
        """The network of several targets gives logits: each has a softmax of its own."""
        state = self.__dict__
        unit: str = state.get("out_activation_", "")
        if unit == "softmax" and type(state.get("_label_binarizer")) is SeveralOutputs:
            return "identity"
        return unit

    def predict_proba(self, X: Any) -> Any:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array, shape (n_samples, n_classes), or list of array
            In the order of `classes_`, one column where there is one class; a list for several
            targets.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier((16,), solver="lbfgs", alpha=1.0, max_iter=1000).fit(X, y)
        >>> net.predict_proba(X[[0, 50, 100]]).argmax(axis=1).tolist()
        [0, 1, 2]
        """
        state = vars(self)
        of_one = state.get("n_outputs_") == 1  # before a fit, the outputs raise
        if of_one and len(state.get("classes_", ())) == 1:
            return np.ones_like(self._outputs(X).reshape(-1, 1))
        if of_one and state.get("out_activation_") == "logistic":
            return of_two_classes(self._outputs(X, logits=True).reshape(-1, 1))
        outputs = self._outputs(X)
        if of_one:
            outputs = outputs.ravel()
            return np.stack([1 - outputs, outputs], axis=1)
        if isinstance(state.get("_label_binarizer"), SeveralOutputs):
            return self._label_binarizer.probabilities(outputs)
        return outputs

    def predict_log_proba(self, X: Any) -> Any:
        """Logarithms of the probabilities of the classes, with all their digits.

        They are computed from the logits, so that they are finite and exact where a probability
        is rounded to 0 or 1. For several labels that holds up to a probability of one half; above
        it they are the logarithms of `predict_proba`, off by its rounding.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array, shape (n_samples, n_classes), or list of array
            As those of `predict_proba`.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier((16,), solver="lbfgs", alpha=1.0, max_iter=1000).fit(X, y)
        >>> bool(abs(net.predict_log_proba(X)[0, 0]) < 0.1)
        True
        """
        z = self._outputs(X, logits=True)
        state = vars(self)
        unit = self.out_activation_
        of_one = state.get("n_outputs_") == 1
        if isinstance(state.get("_label_binarizer"), SeveralOutputs):
            return self._label_binarizer.log_probabilities(z)
        if of_one and len(state.get("classes_", ())) == 1:
            return np.zeros_like(z.reshape(-1, 1))
        if of_one and unit == "logistic":
            z = z.reshape(-1, 1)
            return log_sigmoid(np.concatenate([-z, z], axis=1))
        if unit == "softmax" and not of_one:
            return log_softmax(z)
        if unit != "logistic":  # the user's choice: as in scikit-learn, whatever it means
            return np.log(self.predict_proba(X))
        # Labels that are all certain tie in `predict_proba`. scikit-learn's tests want the order of
        # the columns to be the same here, so a likely label has the logarithm of what is rounded.
        p = self._outputs(X)
        with np.errstate(divide="ignore"):
            return np.where(p > 0.5, np.log(p), log_sigmoid(z))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@with_shared_entries(BaseMLP)
class MLPRegressor(RegressorMixin, BaseMLP):
    """scikit-learn's `MLPRegressor` on fastbp: the same interface, the same model, faster.

    Parameters have the names, defaults and meaning of scikit-learn's; those after `max_fun` are
    additions, all off by default.

    Parameters
    ----------
    loss : str, fastbp.Loss or callable, default="squared_error"
        "squared_error", "poisson" (for targets of at least 0), or from `fastbp.MLP`
        "absolute_error", "huber", "quantile", "gamma", an object such as ``Quantile((0.1, 0.9))``
        (for one target it gives one column per level), an `fastbp.ElementwiseLoss`, an expression
        of `fastbp.graph` of y_pred and y, or a function ``(y_pred, y) -> (value, derivative by
        y_pred)``.
    missing_targets : bool, default=False
        Take NaN in `y` for targets that are missing: they have no share in the loss, as with a
        weight of 0. Several outputs may have gaps in different rows. `score` and early stopping
        go by the targets that are there; a scorer of your own is given `y` as it is.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from fastbp.sklearn import MLPRegressor
    >>> X, y = make_regression(n_samples=200, n_features=20, random_state=1)
    >>> net = MLPRegressor(random_state=1, max_iter=2000, tol=0.1).fit(X, y)
    >>> round(net.score(X, y), 2)
    1.0
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **BaseMLP._parameter_constraints,
        "loss": [StrOptions(REGRESSION_LOSSES), Loss, callable, Graph("as_loss")],
        "missing_targets": ["boolean"],
    }
    loss: Losses
    missing_targets: bool

    @explained
    def __init__(
        self, loss: Losses = "squared_error", hidden_layer_sizes: Sizes = (100,),
        activation: Activations = "relu", *, solver: str = "adam", alpha: float = 0.0001,
        batch_size: int | str = "auto", learning_rate: str = "constant",
        learning_rate_init: float = 0.001, power_t: float = 0.5, max_iter: int = 200,
        shuffle: bool = True, random_state: RandomState = None, tol: float = 1e-4,
        verbose: bool | int | str = False, warm_start: bool = False, momentum: float = 0.9,
        nesterovs_momentum: bool = True, early_stopping: bool = False,
        validation_fraction: float = 0.1, beta_1: float = 0.9, beta_2: float = 0.999,
        epsilon: float = 1e-8, n_iter_no_change: float = 10, max_fun: int = 15000,
        optimizer: str | Optimizer | None = None, l1_ratio: float = 0.0, weight_decay: float = 0.0,
        dropout: Rates = 0.0, clip_norm: float | None = None, scoring: Scoring = None,
        callbacks: Callbacks = None, dtype: str | None = None, weight_init: Init | None = None,
        as_transformer: bool = False, missing_targets: bool = False,
        n_threads: int | str = 1,
    ) -> None:  # fmt: skip
        self._keep(locals())

    # ---------------------------------------------------------------- fitting

    @available_if(lambda estimator: estimator._check_solver())
    @goes_on
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPRegressor:
        """Train for one epoch, starting from the current parameters; not with the solver "lbfgs".

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,) or (n_samples, n_outputs), default=None
            As in `fit`.

        Returns
        -------
        self

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp.sklearn import MLPRegressor
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = MLPRegressor(hidden_layer_sizes=(16,), learning_rate_init=0.01, random_state=0)
        >>> for _ in range(300):
        ...     net = net.partial_fit(X, X.ravel() ** 2)
        >>> net.score(X, X.ravel() ** 2) > 0.9
        True
        """
        self._fit(X, y, sample_weight=sample_weight, incremental=True)
        return self

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        y, gaps = targets_and_gaps(y, self.missing_targets)
        with naming_missing_targets():
            X, y = checked(self, X, y, self.dtype, reset, y_numeric=True)
        return X, with_gaps(y, gaps)

    def _encode(self, y: Any) -> npt.NDArray[Any]:
        y, gaps = targets_and_gaps(y, self.missing_targets)
        with naming_missing_targets():
            y = check_array(y, ensure_2d=False, dtype="numeric", input_name="y_val")
        targets = with_gaps(y, gaps)
        return targets.reshape(-1, 1) if targets.ndim == 1 else targets

    def _choose_loss(self, n_columns: int, dtype: np.dtype[Any]) -> tuple[Loss, str, int]:
        loss: Loss = MeanSquaredError() if self.loss == "squared_error" else as_loss(self.loss)
        if self.missing_targets:
            loss.check_by_output("missing_targets=True", "Leave out the rows without a target")
        outputs = n_columns
        if isinstance(loss, Quantile) and isinstance(loss.levels, tuple) and n_columns == 1:
            outputs = len(loss.levels)
        loss.check_outputs(outputs)
        return loss, loss.activation, outputs

    def _score_against(self, y: npt.NDArray[Any], sample_weight: Any, from_logits: bool) -> Score:
        return R2(y, sample_weight)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R^2 of the predictions, averaged over the outputs.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like, shape (n_samples,) or (n_samples, n_outputs), default=None

        Returns
        -------
        float
            With `missing_targets`, or a weight for each output, the R^2 of an output is that over
            its targets which are there and weigh more than 0; an output with fewer than two of them
            does not count.

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp.sklearn import MLPRegressor
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = MLPRegressor(activation="tanh", solver="lbfgs", random_state=0)
        >>> net = net.fit(X, X.ravel() ** 2)
        >>> net.score(X, X.ravel() ** 2) > 0.99
        True
        """
        if not (self.missing_targets or np.asarray(sample_weight).ndim > 1):
            return float(super().score(X, y, sample_weight))
        predicted = self.predict(X)
        weights = checked_weights(sample_weight, predicted, by_output=True)
        targets = self._encode(y)
        check_consistent_length(targets, predicted)
        with np.errstate(over="ignore", invalid="ignore"):
            return R2(targets, weights)(predicted.reshape(len(predicted), -1))

    # ---------------------------------------------------------------- prediction

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Predict target values.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)

        Returns
        -------
        array of the parameters' dtype, shape (n_samples,) or (n_samples, n_outputs)

        Examples
        --------
        >>> import numpy as np
        >>> from fastbp.sklearn import MLPRegressor
        >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
        >>> net = MLPRegressor(activation="tanh", solver="lbfgs", random_state=0)
        >>> net = net.fit(X, X.ravel() ** 2)
        >>> net.predict([[0.5]]).round(1).tolist()
        [0.3]
        """
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs
