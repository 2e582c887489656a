"""`BaseMLP`: the common part of classifier and regressor: parameters, fitting, prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, _fit_context, is_classifier
from sklearn.utils import _safe_indexing, check_consistent_length
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from fastbp.checks import explained, instead
from fastbp.checks.options import MOST_THREADS
from fastbp.fit.callbacks import Callback
from fastbp.fit.data import inputs_or_sparse
from fastbp.kernels.state import Data
from fastbp.mlp import MLP
from fastbp.model.activations import Activation
from fastbp.model.initializers import WEIGHT_INITS
from fastbp.model.losses import Loss
from fastbp.model.optimizers import OPTIMIZERS, Optimizer
from fastbp.sklearn import conversion, hooks, lbfgs, networks, pickles, training
from fastbp.sklearn.annotations import NetAttributes
from fastbp.sklearn.callbacks import CallbackSupport, Listener
from fastbp.sklearn.features import HiddenFeatures
from fastbp.sklearn.inputs import checked_weights, refuse_masked, validation_rows
from fastbp.sklearn.optimizers import OptimizerMemory
from fastbp.sklearn.randomness import random_state_of
from fastbp.sklearn.recognition import Recognised
from fastbp.sklearn.saving import Saves
from fastbp.sklearn.scores import Score
from fastbp.sklearn.streams import Stream
from fastbp.sklearn.validation import CheckedRows, Validation, data_to_train_on, split

FloatArray = npt.NDArray[np.floating]

MOST_PENALTY = 1e30
"""Of alpha over the sum of the sample weights: beyond, steps that shrink the weights overflow."""


class BaseMLP(
    conversion.ConvertsNets, Saves, CallbackSupport, HiddenFeatures, Recognised, NetAttributes,
    BaseEstimator, ABC,
):  # fmt: skip
    """The common part of `MLPClassifier` and `MLPRegressor`; not to be used by itself.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Widths of the hidden layers.
    activation : str, activation or sequence of them, default="relu"
        Activation of the hidden layers, one name or one for each layer: "identity", "logistic" (or
        "sigmoid"), "tanh", "relu", and from `fastbp.MLP` "leaky_relu", "elu", "selu", "gelu",
        "silu", "softplus", "hard_sigmoid". Or one of your own as `fastbp.MLP` takes it: an
        `fastbp.ElementwiseActivation`, an expression of `fastbp.graph`, a function of arrays.
    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "adam" (Kingma and Ba, ICLR 2015, with epsilon hat), "sgd" with momentum, or SciPy's
        L-BFGS-B on all rows at once.
    alpha : float, default=0.0001
        Penalty ``alpha / 2 sum w^2`` on the weights, added to the sum of the losses of all rows:
        each batch takes its share of it.
    batch_size : int or "auto", default="auto"
        "auto" is 200, or all rows if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        With sgd: "invscaling" is ``learning_rate_init / (t_ + 1)^power_t`` after each epoch;
        "adaptive" is divided by 5 instead of stopping, until it is 1e-6.
    learning_rate_init : float, default=0.001
        The learning rate of sgd and adam.
    power_t : float, default=0.5
        Exponent of "invscaling".
    max_iter : int, default=200
        The largest number of epochs, or of iterations with lbfgs.
    shuffle : bool, default=True
        Shuffle the rows in each epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the order of the rows, the held-out rows and dropout. None
        draws from NumPy's global generator, but for the order of the rows, for which that gives
        only a seed: it is never locked for long, and after ``np.random.seed`` a fit repeats itself,
        with other shuffles than scikit-learn's.
    tol : float, default=1e-4
        How much loss or score must improve; with lbfgs, convergence is when no partial derivative
        is larger.
    verbose : bool, int or "bar", default=False
        Print one line per epoch, with lbfgs none, as scikit-learn; "bar" shows a progress bar if
        tqdm is installed.
    warm_start : bool, default=False
        Let `fit` continue from the current parameters.
    momentum : float, default=0.9
        Momentum of sgd, from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether sgd uses Nesterov's momentum.
    early_stopping : bool, default=False
        Stop when the score on held-out rows no longer improves, and keep the best parameters.
    validation_fraction : float, default=0.1
        Share of the rows that early stopping holds out; stratified for two classes.
    beta_1 : float, default=0.9
        How much of its running mean of the gradient adam keeps in an update; at least 0, below 1.
    beta_2 : float, default=0.999
        The same of its running mean of the squared gradient.
    epsilon : float, default=1e-08
        Above 0; adam adds it to the root that it divides by.
    n_iter_no_change : int, default=10
        Epochs without improvement that are tolerated; one more ends training.
    max_fun : int, default=15000
        The largest number of evaluations of loss and gradient with lbfgs.
    optimizer : str or fastbp.Optimizer, default=None
        An optimiser of fastbp instead of the solver "adam" or "sgd", such as
        ``AdamW(CosineDecay(1e-3, 5000))``; a name takes the defaults of `fastbp`. The parameters of
        the solvers then have no effect.
    l1_ratio : float, default=0.0
        Share of `alpha` that penalises ``sum |w|`` instead of ``sum w^2 / 2``.
    weight_decay : float, default=0.0
        Decoupled decay: each update multiplies the parameters by 1 - learning_rate weight_decay,
        see `fastbp.Optimizer`. Not the same as the penalty `alpha`.
    dropout : float or sequence of float, default=0.0
        Share of the outputs of the hidden layers that each pass of training sets to 0, as in
        `fastbp.MLP`; one rate, or one for each hidden layer.
    clip_norm : float, default=None
        The gradient is scaled to a Euclidean norm of at most this before an update, as in
        `fastbp.MLP`; None leaves it as it is.
    scoring : str or callable, default=None
        Criterion of early stopping: the name of a scorer, a scorer, or "loss"; None takes accuracy
        or R^2.
    callbacks : list of fastbp.Callback, default=None
        They are called around the fit and after each epoch; ``fit.net`` is the `fastbp.MLP` that is
        trained. scikit-learn's own callbacks are set by ``set_callbacks``.
    dtype : {"float32", "float64"}, default=None
        Dtype of parameters and computation; None takes that of the data.
    weight_init : str, callable, or sequence of str, callable or array, default=None
        The initial weights as in `fastbp.MLP`, with biases of 0; None draws both as scikit-learn.
    as_transformer : bool, default=False
        Add `transform`, which gives the activations of the last hidden layer, and with it
        `fit_transform`, `get_feature_names_out` and `set_output`.
    n_threads : int or "auto", default=1
        How many threads share a batch of `fit`, see `fastbp.MLP.fit`; the fit has the bits of one.
        Sparse rows and the solver "lbfgs" are for one thread.

    Attributes
    ----------
    coefs_, intercepts_ : list of array, shapes (n_in, n_out) and (n_out,)
        Live views of the parameters, which `partial_fit` trains in place; `fit` makes new ones.
        Assigned arrays are copied into the parameters by the next call, with whatever sizes and
        dtype they have.
    loss_, loss_curve_, best_loss_ : numpy.float64, list of numpy.float64, numpy.float64 or None
        The loss of the last epoch, of each epoch (mean of its batches, each before its update), and
        the lowest. The curve of a fit that diverged ends with a loss that is not finite.
    validation_scores_, best_validation_score_ : list of float and float, or None
        Scores with early stopping.
    validation_loss_curve_ : list of numpy.float64 or None
        Losses without penalties, if there are validation rows.
    n_iter_, t_ : int
        Epochs or iterations of the last fit; total number of rows processed.
    n_layers_, n_outputs_ : int
        Layers, with inputs and outputs, and outputs of the network.
    out_activation_ : str
        The activation of the outputs.
    n_features_in_, feature_names_in_ : int, array of str
        Columns of `X` in `fit`, and their names, where they have any.

    Notes
    -----
    Whoever sets `coefs_`, `intercepts_`, `n_layers_`, `n_outputs_` and `out_activation_` has a
    model.
    """

    _parameter_constraints: dict[str, list[Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [
            StrOptions(networks.ACTIVATION_NAMES),
            "array-like",
            callable,
            networks.Graph("as_activation"),
        ],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose", StrOptions({"bar"})],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(OPTIMIZERS)), Optimizer, None],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), "array-like"],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "scoring": [str, callable, None],
        "callbacks": [list, tuple, None],
        "dtype": [StrOptions({"float32", "float64"}), None],
        "weight_init": [StrOptions(set(WEIGHT_INITS)), callable, "array-like", None],
        "as_transformer": ["boolean"],
        "n_threads": [Interval(Integral, 1, MOST_THREADS, closed="both"), StrOptions({"auto"})],
    }

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        hooks.warn_of_ignored(cls, conversion.their_net, hooks.CALLED)

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """Cached: scikit-learn inspects the signature each time, a tenth of a short fit."""
        names: list[str] = super()._get_param_names()
        return names

    def _validate_params(self) -> None:
        """Validate what differs from its default: all would take a twentieth of a short fit."""
        defaults = _defaults(type(self))
        given = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if value is not defaults.get(name, Parameter.empty)
        }
        try:
            validate_parameter_constraints(
                self._parameter_constraints, given, caller_name=type(self).__name__
            )
        except InvalidParameterError as error:
            hint = self._suggestion(str(error), given)
            if not hint:
                raise
            raise InvalidParameterError(f"{error} {hint}") from None

    def _suggestion(self, message: str, given: dict[str, Any]) -> str:
        """What to write for the parameter that scikit-learn's message is about."""
        for name, value in given.items():
            if f"The {name!r} parameter" in message:
                accepted = {
                    option
                    for constraint in self._parameter_constraints[name]
                    if isinstance(constraint, StrOptions)
                    for option in constraint.options
                }
                base = Optimizer if name == "optimizer" else None
                return instead(name, value, sorted(accepted), base).removeprefix(". ")
        return ""

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Store the parameters of `__init__` under their names."""
        self.__dict__.update((name, x) for name, x in parameters.items() if name != "self")

    missing_targets: bool = False
    _logits_will_do = False
    """Whether `_score_against` can score the net inputs of the outputs as well."""
    _their_package = "sklearn.neural_network"
    _hidden_of_fit: list[int]
    _random_state: np.random.RandomState
    _unit_to_draw: str | Activation

    # ---------------------------------------------------------------- for each subclass

    def _begin_partial_fit(self, y: Any, classes: Any) -> None:
        """Check the arguments of `partial_fit`; the first call learns the classes."""

    @abstractmethod
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        """X, and y as the network learns it; sets the attributes on inputs and classes."""

    @abstractmethod
    def _encode(self, y: Any) -> npt.NDArray[Any]:
        """Further targets as the network learns them, (rows, n_outputs_)."""

    @abstractmethod
    def _choose_loss(self, n_columns: int, dtype: np.dtype[Any]) -> tuple[Loss, str, int]:
        """The loss, scikit-learn's name of the output activation, the number of outputs."""

    def _targets(self, y: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The targets that the loss takes."""
        return y

    def _class_weights(self, y: Any, sample_weight: Any) -> Any:
        """The sample weights times the class weights."""
        return sample_weight

    @property
    def _unit_of_outputs(self) -> str:
        """The activation of the network's outputs, by scikit-learn's name or fastbp's."""
        unit: str = self.__dict__.get("out_activation_", "")
        return unit

    @abstractmethod
    def _score_against(self, y: npt.NDArray[Any], sample_weight: Any, from_logits: bool) -> Score:
        """Accuracy or R^2 against these targets, those of `_encode`, of outputs or of logits."""

    # ---------------------------------------------------------------- fitting

    @_fit_context(prefer_skip_nested_validation=True)
    @explained
    def fit(
        self, X: Any, y: Any, sample_weight: Any = None, *, X_val: Any = None, y_val: Any = None,
        sample_weight_val: Any = None, eval_set: Any = None,
    ) -> Self:  # fmt: skip
        """Fit the model.

        Parameters
        ----------
        X : array-like or sparse matrix, shape (n_samples, n_features)
        y : array-like, shape (n_samples,) or (n_samples, n_outputs)
            Classes, or columns of 0 and 1 for several labels; for a regressor numbers.
        sample_weight : array-like, shape (n_samples,), default=None
            For a regressor also (n_samples, n_outputs), a weight for each output.
        X_val, y_val, sample_weight_val : array-like, default=None
            Validation rows. Early stopping uses them instead of a part of X; without it they only
            give `validation_loss_curve_`.
        eval_set : tuple or list of one tuple, default=None
            ``(X_val, y_val)`` or ``(X_val, y_val, sample_weight_val)``: an alternative to the three
            arguments above.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            Bad input, in scikit-learn's words, or a first epoch that is not finite. The estimator
            is then unchanged.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` was reached.
        DivergenceWarning
            If a later epoch is not finite: the parameters are then the last finite ones.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from fastbp.sklearn import MLPClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier((16,), learning_rate_init=0.05, random_state=1)
        >>> net = net.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
        >>> len(net.validation_loss_curve_) == net.n_iter_
        True
        """
        validation = validation_rows(X_val, y_val, sample_weight_val, eval_set)
        more = {} if validation is None else {"validation": validation}
        self._fit(X, y, sample_weight=sample_weight, incremental=False, **more)
        return self

    @property
    def _by_epochs(self) -> bool:
        return bool(self.solver != "lbfgs")

    def _check_solver(self) -> bool:
        if not self._by_epochs:
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    def _fit(
        self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False,
        validation: Any = None, classes: Any = None,
    ) -> Any:  # fmt: skip
        """Fit; `validation` is None or (X, y, sample_weight). Rejected input changes nothing."""
        refuse_masked(X=X, y=y, sample_weight=sample_weight)
        if validation is not None:
            X_val, y_val, sample_weight_val = validation
            refuse_masked(X_val=X_val, y_val=y_val, sample_weight_val=sample_weight_val)
        before = vars(self).copy()
        stream: Any = self.random_state
        drawn = stream.get_state() if isinstance(stream, np.random.RandomState) else None
        first = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        try:
            if incremental:
                self._begin_partial_fit(y, classes)
            problem = self._prepare(X, y, sample_weight, incremental, first, validation)
        except BaseException:
            self._restore(before)
            if drawn is not None:
                stream.set_state(drawn)
            raise
        name = "epoch" if self._by_epochs else "lbfgs-iter"
        subtasks = int(self.max_iter) + (not self._by_epochs)
        listener = Listener(self, problem.net, X, y, sample_weight, subtasks, name)
        try:
            self._train(problem, listener, incremental, first)
        except ValueError:
            if first:
                self._restore(before)
            raise
        listener.end()
        self.__dict__.pop("_stream", None)
        if incremental and type(self)._fit is BaseMLP._fit and Stream.can_go_on(self, problem.net):
            columns = problem.rows.y.shape[1]
            self._stream = Stream(self, problem.net, problem.memory, columns)
        return self

    def _restore(self, before: dict[str, Any]) -> None:
        """Restore the attributes from before a fit, except those that end begun callbacks."""
        running = ("_callback_fit_ctx", "_skl_callbacks_to_teardown")
        kept = {name: value for name, value in vars(self).items() if name in running}
        self.__dict__.clear()
        self.__dict__.update(before | kept)

    def _check_combination(self, incremental: bool) -> None:
        """Raise a ValueError for parameters that do not go together."""
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        if not self._by_epochs:
            for name in ("optimizer", "weight_decay", "clip_norm", "callbacks"):
                if getattr(self, name):
                    raise ValueError(f"{name} needs the solver 'adam' or 'sgd', not 'lbfgs'.")
            if np.any(np.asarray(self.dropout) != 0):
                raise ValueError("dropout needs the solver 'adam' or 'sgd', not 'lbfgs'.")
        if self.weight_init is not None and type(self)._init_coef is not BaseMLP._init_coef:
            raise ValueError(
                f"weight_init and _init_coef of {type(self).__name__} both give the initial "
                "weights: leave weight_init at None."
            )
        if self.scoring is not None and not self.early_stopping:
            raise ValueError("scoring is the criterion of early stopping: set early_stopping=True.")
        for callback in self.callbacks or ():
            if not isinstance(callback, Callback):
                raise TypeError(
                    "callbacks must be objects of classes derived from fastbp.Callback; "
                    f"scikit-learn's are set by set_callbacks. Got {callback!r}."
                )

    def _prepare(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, first: bool, validation: Any
    ) -> Problem:
        """Check everything; make the network and the training rows."""
        hidden = networks.hidden_sizes(self)
        self._check_combination(incremental)
        given = X, y
        X, y = self._validate_input(X, y, incremental, reset=first)
        sample_weight = checked_weights(sample_weight, X, by_output=not is_classifier(self))
        weights = self._class_weights(given[1], sample_weight)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        random_state = random_state_of(self.random_state)
        dtype = np.dtype(self.dtype or X.dtype) if first else self._network().dtype
        loss, unit, n_outputs = self._choose_loss(y.shape[1], dtype)
        sizes = [X.shape[1], *hidden, n_outputs]
        if not first:
            sizes = networks.sizes_to_go_on_with(self, sizes, unit)
        self.out_activation_ = unit
        self._hidden_of_fit = hidden
        memory = self._memory(incremental)
        net = networks.build(self, sizes, loss, dtype, memory.optimizer)
        self._begin(net, first, incremental, random_state)
        memory.attach(net)
        rows = CheckedRows(inputs_or_sparse(X, sizes[0], dtype), y, weights, sample_weight, given)
        rows, held = self._validation(net, rows, validation, random_state)
        data = data_to_train_on(net, rows, self._targets(rows.y), incremental)
        self._check_penalty(data.total)
        return Problem(net, rows, data, held, memory, random_state)

    def _check_penalty(self, total: float) -> None:
        """Raise a ValueError where the sum of the sample weights blows up the penalty."""
        if self.alpha / total > MOST_PENALTY:
            raise ValueError(
                f"the sum of sample_weight, {total:g}, is so small that the penalty, which is "
                f"alpha={self.alpha:g} divided by the sum as in scikit-learn, leaves nothing of "
                "the loss. Scale the weights, for instance to a mean of 1."
            )

    def _memory(self, incremental: bool) -> OptimizerMemory:
        """The optimiser; in `partial_fit` that of the previous call, scikit-learn's too."""
        if not self._by_epochs:
            return OptimizerMemory.of(self)
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = OptimizerMemory.of(self)
        elif not isinstance(self._optimizer, OptimizerMemory):
            self._optimizer = conversion.memory_of(self, self._optimizer)
        return self._optimizer

    def _begin(
        self, net: MLP, first: bool, incremental: bool, random_state: np.random.RandomState
    ) -> None:
        """Parameters and attributes before training."""
        if first:
            self.t_ = 0
            self.n_iter_ = 0
            networks.draw_initial(net, self, random_state)
        else:
            self.t_ = getattr(self, "t_", 0)
            if incremental:  # as scikit-learn, whose arrays `partial_fit` changes
                net.share_parameters(self._network())
            else:
                net.params[:] = self._network().params
            networks.draw_dropout(net, random_state)
        if self._by_epochs:
            training.begin_curves(self, first)
        self.n_outputs_ = net.layer_sizes[-1]
        self.n_layers_ = len(net.layer_sizes)
        self._own(net)

    def _own(self, net: MLP, coefs: Any = (), intercepts: Any = ()) -> None:
        """Make a network's parameters the fitted attributes, before arrays that do not count."""
        self._net = net
        self.coefs_ = [*net.weights, *coefs]
        self.intercepts_ = [*net.biases, *intercepts]

    def _init_coef(
        self, fan_in: int, fan_out: int, dtype: npt.DTypeLike
    ) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Initial weights (fan_in, fan_out) and biases (fan_out,) of a layer, as scikit-learn's.

        A subclass may have its own. `_random_state` is the random state of the fit.
        """
        return networks.glorot(self._unit_to_draw, fan_in, fan_out, dtype, self._random_state)

    def _validation(
        self, net: MLP, rows: CheckedRows, given: Any, random_state: np.random.RandomState
    ) -> tuple[CheckedRows, Validation | None]:
        """The training rows, and the validation rows."""
        if given is not None:
            X, y, weights = given
            X_val = validate_data(self, X, accept_sparse="csr", dtype=net.dtype, reset=False)
            weights = checked_weights(weights, X_val, by_output=not is_classifier(self))
            y_val = self._encode(y)
            check_consistent_length(X_val, y_val)
            X_val = inputs_or_sparse(X_val, net.layer_sizes[0], net.dtype)
            held = CheckedRows(X_val, y_val, weights, weights, (X, y))
        elif self.early_stopping and self._by_epochs:
            stratify = is_classifier(self) and rows.y.shape[1] == 1
            whole = rows.given
            rows, held, indices = split(rows, self.validation_fraction, stratify, random_state)
            if self.scoring not in (None, "loss"):
                held = held._replace(given=tuple(_safe_indexing(part, indices) for part in whole))
        else:
            self.validation_loss_curve_ = None
            return rows, None
        self.validation_loss_curve_ = []
        return rows, Validation(self, net, held, self._targets(held.y))

    def _train(self, problem: Problem, listener: Listener, incremental: bool, first: bool) -> None:
        net = problem.net
        data = problem.data
        if not self._by_epochs:
            lbfgs.minimize(self, net, data, problem.validation, listener)
            return
        n_rows = len(problem.rows.X)
        batch_size = training.clipped_batch_size(self, n_rows)
        order = problem.random_state if self.shuffle else None
        epochs = training.epochs_of(net, data, batch_size, order, threads=self.n_threads)
        trainer = training.Trainer(
            self, net, epochs, problem.memory, problem.validation, listener, incremental
        )
        trainer.train(first)

    # ---------------------------------------------------------------- prediction

    def _network(self) -> MLP:
        """The network that the fitted attributes are, with `coefs_` and `intercepts_` as its views.

        If others were assigned, or units changed, a new network takes their place: another
        estimator may share the one before.
        """
        net: MLP | None = self.__dict__.get("_net")
        if net is None or not networks.is_current(net, self):
            check_is_fitted(self, ["coefs_", "intercepts_", "out_activation_"], all_or_any=all)
            net = networks.of_attributes(self)
            layers = len(net.weights)
            self._own(net, self.coefs_[layers:], self.intercepts_[layers:])
        return net

    def _outputs(self, X: Any, logits: bool = False) -> FloatArray:
        """Outputs of the network, (rows, n_outputs_), or the net inputs of its last layer."""
        net = self._network()
        state = self.__dict__
        if type(X) is np.ndarray and X.ndim == 2 and X.dtype == net.dtype and len(X) > 0:
            width = net.layer_sizes[0]
            expected = state.get("n_features_in_", width)
            if X.shape[1] == width == expected and "feature_names_in_" not in state:
                try:
                    return net.predict(X, logits=logits)
                except ValueError:  # not finite: reported below in scikit-learn's words
                    pass
        refuse_masked(X=X)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return net.predict(X, logits=logits)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> FloatArray:
        """Outputs of the network: scikit-learn's private name of it."""
        return self._outputs(X) if check_input else self._network().predict(X)

    # ---------------------------------------------------------------- copies

    def __getstate__(self) -> dict[str, Any]:
        return pickles.written(dict(super().__getstate__()))

    def __setstate__(self, state: dict[str, Any]) -> None:
        names = set(self._get_param_names())  # a pickle from before may lack new parameters
        new = {n: value for n, value in _defaults(type(self)).items() if n in names}
        super().__setstate__(new | pickles.read(type(self), state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@cache
def _defaults(kind: type) -> dict[str, Any]:
    """The defaults of an estimator's parameters."""
    return {name: parameter.default for name, parameter in signature(kind).parameters.items()}


class Problem(NamedTuple):
    """A fit's network, data and optimiser, checked."""

    net: MLP
    rows: CheckedRows
    data: Data
    validation: Validation | None
    memory: OptimizerMemory
    random_state: np.random.RandomState
