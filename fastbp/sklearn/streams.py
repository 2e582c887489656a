"""What one `partial_fit` keeps for the next: small batches of a stream need little Python.

All checks and all that is made for a batch of 32 rows take ten times as long as training on it.
So a call that differs from the one before in nothing but its rows goes on with what that one made.
Every other call takes the way of the first, with the same results.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from fastbp.fit.data import LEAST_WEIGHT, MOST_WEIGHT
from fastbp.mlp import MLP
from fastbp.model.losses import Loss
from fastbp.model.optimizers import Optimizer
from fastbp.sklearn import networks, training
from fastbp.sklearn.callbacks import NobodyListens
from fastbp.sklearn.optimizers import OptimizerMemory
from fastbp.sklearn.randomness import Reseeded
from fastbp.sklearn.targets import is_plain
from fastbp.sklearn.validation import CheckedRows, data_to_train_on

Method = TypeVar("Method", bound=Callable[..., Any])


def goes_on(partial_fit: Method) -> Method:
    """`partial_fit` that first tries to go on from the call before."""
    further = signature(partial_fit).parameters.keys() & {"classes"}

    @wraps(partial_fit)
    def call(self: Any, X: Any, y: Any, sample_weight: Any = None, *args: Any, **more: Any) -> Any:
        stream: Stream | None = self.__dict__.get("_stream")
        # Whatever else is given is refused by the call itself.
        if stream is not None and len(args) + len(more) <= len(further) and further >= more.keys():
            classes = args[0] if args else more.get("classes")
            if stream.goes_on(self, X, y, sample_weight, classes):
                return self
        return partial_fit(self, X, y, sample_weight, *args, **more)

    return cast(Method, call)


UNCHANGING = (bool, int, float, str, tuple, type(None), np.generic, Optimizer, Loss)
"""Parameters of these types are the same where they are the same object."""


def _parameters_of(kind: type[Any]) -> frozenset[str]:
    """The parameters of the estimator of fastbp that a class is or is derived from."""
    package = __name__.partition(".")[0]
    own: Any = next(base for base in kind.__mro__ if base.__module__.partition(".")[0] == package)
    return frozenset(own._get_param_names())


class Stream:
    """What an estimator needs to train on another batch of plain arrays.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        `partial_fit` has just trained it. It is not kept.
    net : MLP
    memory : OptimizerMemory
    columns : int
        Columns of the targets.
    """

    def __init__(self, estimator: Any, net: MLP, memory: OptimizerMemory, columns: int) -> None:
        self.net = net
        self.memory = memory
        self.optimizer = memory.optimizer
        self.columns = columns
        self.parameters = [
            (name, value)
            for name, value in estimator.get_params(deep=False).items()
            if name != "random_state"
        ]
        self.random = Reseeded(estimator.random_state)
        self.classes = getattr(estimator, "classes_", None)
        self.binarizer = getattr(estimator, "_label_binarizer", None)
        self.wants_every_class = bool(estimator.warm_start)
        self.running = threading.Lock()

    def __reduce__(self) -> Any:
        """Copies and pickles of an estimator's attributes leave it out: it would not fit them."""
        return type(None), ()

    @staticmethod
    def can_go_on(estimator: Any, net: MLP) -> bool:
        """Whether the next call may go on from here, if it is given plain arrays."""
        state = vars(estimator)
        parameters = estimator.get_params(deep=False)
        if not parameters.keys() >= _parameters_of(type(estimator)):
            return False  # what a subclass does not show may change unseen
        random_state = parameters.pop("random_state")
        classes = state.get("classes_")
        return (
            net.in_python is None
            and net.explaining is None
            and not net.missing_targets
            and not hasattr(estimator, "_skl_callbacks")
            and "feature_names_in_" not in state
            and not (parameters["verbose"] or parameters["callbacks"])
            and parameters.get("class_weight") is None
            and all(isinstance(value, UNCHANGING) for value in parameters.values())
            and isinstance(random_state, int | np.integer | np.random.RandomState | None)
            and (classes is None or (is_plain(classes) and len(classes) > 1))
            and getattr(state.get("_label_binarizer"), "y_type_", "binary")
            in ("binary", "multiclass")
        )

    def goes_on(self, estimator: Any, X: Any, y: Any, sample_weight: Any, classes: Any) -> bool:
        """Train on these rows if all is as it was; False, and nothing done, if it is not.

        Two threads do not go on with one network: the second is told False.
        """
        state = vars(estimator)
        memory, net = self.memory, self.net
        if not (
            all(state.get(name) is value for name, value in self.parameters)
            and self.random.is_for(state["random_state"])
            and state.get("_optimizer") is memory
            and memory.optimizer is self.optimizer
            and memory.slots is net.state.slots
            and memory.scalars is net.state.scalars
            and state.get("_net") is net
            and state.get("classes_") is self.classes
            and state.get("_label_binarizer") is self.binarizer
            and "_skl_callbacks" not in state
            and "feature_names_in_" not in state
            and state.get("n_features_in_", net.layer_sizes[0]) == net.layer_sizes[0]
            and networks.is_current(net, estimator)
            and (classes is None or np.array_equal(classes, self.classes))
        ):
            return False
        if not (self._takes_inputs(X) and self._takes_weights(sample_weight, len(X))):
            return False
        targets = self._targets(y, len(X))
        if targets is None or not self.running.acquire(blocking=False):
            return False
        try:
            self._train(estimator, X, targets, sample_weight)
        finally:
            self.running.release()
        return True

    def _takes_inputs(self, X: Any) -> bool:
        """Whether X is a plain matrix of the network's dtype and width, and finite."""
        net = self.net
        return (
            type(X) is np.ndarray
            and X.dtype == net.dtype
            and X.ndim == 2
            and X.shape[1] == net.layer_sizes[0]
            and len(X) > 0
            and bool(np.isfinite(X).all())
        )

    @staticmethod
    def _takes_weights(weights: Any, rows: int) -> bool:
        """Whether these are no weights, or good ones of single rows."""
        if weights is None:
            return True
        return (
            type(weights) is np.ndarray
            and weights.dtype == np.float64
            and weights.shape == (rows,)
            and bool(weights.min() >= 0)
            and LEAST_WEIGHT < float(weights.sum()) < MOST_WEIGHT
        )

    def _targets(self, y: Any, rows: int) -> npt.NDArray[Any] | None:
        """y as the loss takes it; None where it is no plain array, or has other classes."""
        if type(y) is not np.ndarray or y.shape[:1] != (rows,):
            return None
        if self.classes is not None:
            classes = self.classes
            if y.ndim != 1 or y.dtype.kind != classes.dtype.kind:
                return None
            codes = np.searchsorted(classes, y)
            if codes.max() == len(classes) or not np.array_equal(classes[codes], y):
                return None
            if self.wants_every_class and len(np.unique(codes)) < len(classes):
                return None  # an error, as in scikit-learn
            return codes if len(classes) > 2 else (codes == 1)[:, np.newaxis]
        shape = (rows,) if self.columns == 1 else (rows, self.columns)
        if y.dtype.kind not in "iuf" or y.shape != shape or not np.isfinite(y).all():
            return None
        return y.reshape(rows, self.columns)

    def _train(self, estimator: Any, X: Any, targets: npt.NDArray[Any], weights: Any) -> None:
        net = self.net
        rows = CheckedRows(X, targets, weights, weights, (X, targets))
        data = data_to_train_on(net, rows, targets, incremental=True)
        estimator._check_penalty(data.total)
        # From here on nothing is refused.
        random_state = self.random.begin()
        networks.draw_dropout(net, random_state)
        training.begin_curves(estimator, False)
        batch_size = training.clipped_batch_size(estimator, len(X))
        order = random_state if estimator.shuffle else None
        epochs = training.epochs_of(net, data, batch_size, order, threads=estimator.n_threads)
        listener = NobodyListens()
        training.Trainer(estimator, net, epochs, self.memory, None, listener, True).train(False)
