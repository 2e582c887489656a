"""Estimators of scikit-learn as fastbp's, and back, in the middle of training too."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin

from fastbp.kernels.layout import table_of_layers, weight_views
from fastbp.kernels.optimizers import LEARNING_RATE, N_SCALARS, UPDATES, WEIGHTS_1, WEIGHTS_2
from fastbp.sklearn import networks
from fastbp.sklearn.optimizers import OptimizerMemory, SolverAdam, SolverSGD
from fastbp.sklearn.targets import SeveralOutputs

NET = (
    "n_features_in_", "feature_names_in_", "classes_", "_label_binarizer", "n_iter_", "t_",
    "n_outputs_", "n_layers_", "out_activation_", "loss_", "loss_curve_", "best_loss_",
    "validation_scores_", "best_validation_score_", "_no_improvement_count", "coefs_",
    "intercepts_",
)  # fmt: skip
"""The fitted attributes that scikit-learn's networks and fastbp's share."""
PERCEPTRON = (
    "n_features_in_", "feature_names_in_", "classes_", "coef_", "intercept_", "t_", "n_iter_",
)  # fmt: skip
"""The same of the perceptrons."""
METHODS = ("fit", "partial_fit", "predict", "score")
"""Those that may ask for metadata."""

THEIR_NAMES = {ours: theirs for theirs, ours in networks.ALIASES.items()}
"""scikit-learn's names of activations that fastbp calls otherwise."""
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
OUTPUT_ACTIVATIONS = (*ACTIVATIONS, "softmax", "exp")
LOSSES = ("squared_error", "poisson")


class ConvertsNets:
    """Mixin of `MLPClassifier` and `MLPRegressor`: from scikit-learn's estimator, and to it."""

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """An estimator with the parameters and fitted attributes of scikit-learn's.

        It shares nothing with the other. `partial_fit` and warm starts go on with the numbers that
        scikit-learn's would give, the optimiser's state included.

        Parameters
        ----------
        estimator : sklearn.neural_network.MLPClassifier or MLPRegressor
            Fitted or not; of a `random_state` that is a `RandomState` a copy is taken.

        Returns
        -------
        MLPClassifier or MLPRegressor

        Raises
        ------
        TypeError
            For another kind of estimator.
        ValueError
            For fitted attributes that do not fit each other.

        Examples
        --------
        >>> import sklearn.neural_network
        >>> from fastbp.sklearn import MLPRegressor
        >>> theirs = sklearn.neural_network.MLPRegressor(alpha=0.5)
        >>> MLPRegressor.from_sklearn(theirs)
        MLPRegressor(alpha=0.5)
        """
        ours: Self = net_from_sklearn(cls, estimator)
        return ours

    def to_sklearn(self, *, for_prediction: bool = False) -> Any:
        """scikit-learn's estimator with the same parameters and fitted attributes.

        It shares nothing with this one; its arrays are C-contiguous. `partial_fit` and warm starts
        go on with the same numbers, the optimiser's state included.

        Parameters
        ----------
        for_prediction : bool, default=False
            Leave out what scikit-learn lacks and only training uses, such as `dropout`,
            `class_weight`, `optimizer` and its state, and losses. Without it they are errors, lest
            the other go on by other rules.

        Returns
        -------
        sklearn.neural_network.MLPClassifier or MLPRegressor

        Raises
        ------
        ValueError
            For what scikit-learn cannot express: beside the parameters that it lacks, activations
            other than its four, and targets of several columns with more than two classes.

        Examples
        --------
        >>> from fastbp.sklearn import MLPRegressor
        >>> type(MLPRegressor(alpha=0.5).to_sklearn()).__module__
        'sklearn.neural_network._multilayer_perceptron'
        """
        return net_to_sklearn(self, for_prediction)


class ConvertsPerceptrons:
    """Mixin of `Perceptron`: from scikit-learn's, and to it."""

    @classmethod
    def from_sklearn(cls, estimator: Any) -> Self:
        """A perceptron with the parameters and fitted attributes of scikit-learn's, as copies.

        `partial_fit` and warm starts go on with the same numbers.

        Parameters
        ----------
        estimator : sklearn.linear_model.Perceptron
            Fitted or not.

        Returns
        -------
        Perceptron

        Raises
        ------
        TypeError
            For another kind of estimator.

        Examples
        --------
        >>> import sklearn.linear_model
        >>> from fastbp.sklearn import Perceptron
        >>> Perceptron.from_sklearn(sklearn.linear_model.Perceptron(alpha=0.5))
        Perceptron(alpha=0.5)
        """
        ours: Self = perceptron_from_sklearn(cls, estimator)
        return ours

    def to_sklearn(self) -> Any:
        """scikit-learn's perceptron with the same parameters and fitted attributes, as copies.

        Returns
        -------
        sklearn.linear_model.Perceptron

        Examples
        --------
        >>> from fastbp.sklearn import Perceptron
        >>> type(Perceptron().to_sklearn()).__module__
        'sklearn.linear_model._perceptron'
        """
        return perceptron_to_sklearn(self)


def perceptron_from_sklearn(kind: type, estimator: Any) -> Any:
    """A perceptron of the class `kind` from scikit-learn's."""
    return _from_theirs(kind, their_perceptron(kind), estimator, PERCEPTRON)


def perceptron_to_sklearn(estimator: Any) -> Any:
    """scikit-learn's perceptron from fastbp's."""
    kind = their_perceptron(type(estimator))
    _refuse(estimator, kind, _additions(estimator, kind))
    theirs = kind(**_parameters_for(kind, estimator))
    take_requests(theirs, requests_of(estimator))
    vars(theirs).update(_attributes_of(estimator, PERCEPTRON))
    return theirs


def net_from_sklearn(kind: type, estimator: Any) -> Any:
    """A classifier or regressor of the class `kind` from scikit-learn's."""
    ours = _from_theirs(kind, their_net(kind), estimator, NET)
    if hasattr(ours, "coefs_"):
        ours.validation_loss_curve_ = None
        if hasattr(estimator, "_optimizer"):
            ours._optimizer = memory_of(ours, estimator._optimizer)
        ours._network()
    return ours


def net_to_sklearn(estimator: Any, for_prediction: bool) -> Any:
    """scikit-learn's classifier or regressor from fastbp's."""
    kind = their_net(type(estimator))
    parameters = _parameters_for(kind, estimator)
    parameters["activation"] = _their_activation(estimator)
    missing = _additions(estimator, kind)
    if parameters["verbose"] == "bar":
        missing.append("verbose='bar'")
        parameters["verbose"] = True
    if parameters.get("loss", LOSSES[0]) not in LOSSES:
        missing.append(f"loss={parameters['loss']!r}")
        unit = vars(estimator).get("out_activation_")
        parameters["loss"] = LOSSES[unit == "exp"]
    fitted = hasattr(estimator, "coefs_")
    memory = vars(estimator).get("_optimizer")
    if isinstance(memory, OptimizerMemory):
        theirs_has_it = isinstance(memory.optimizer, SolverSGD | SolverAdam)
        if memory.optimizer.weight_decay or not theirs_has_it:
            missing.append(f"the state of {memory.optimizer!r}")
            memory = None
    if not for_prediction:
        hint = " to_sklearn(for_prediction=True) leaves out what only training uses."
        _refuse(estimator, kind, missing, hint)
    theirs = kind(**parameters)
    take_requests(theirs, requests_of(estimator))
    if not fitted:
        return theirs
    attributes = _attributes_of(estimator, NET)
    attributes["out_activation_"] = _their_outputs(estimator)
    weights, biases = networks.parameters_of(estimator)
    attributes["coefs_"] = [np.array(w, order="C") for w in weights]
    attributes["intercepts_"] = [np.array(b) for b in biases]
    vars(theirs).update(attributes)
    if isinstance(memory, OptimizerMemory):
        theirs._optimizer = _their_optimizer(memory, theirs.coefs_, theirs.intercepts_)
    elif memory is not None:  # scikit-learn's own, from its attributes
        theirs._optimizer = copy.deepcopy(memory)
    # What a warm start with early stopping falls back to.
    theirs._best_coefs = [w.copy() for w in theirs.coefs_]
    theirs._best_intercepts = [b.copy() for b in theirs.intercepts_]
    return theirs


# ---------------------------------------------------------------- parameters and attributes


def their_net(kind: type) -> type:
    """scikit-learn's class in whose place a subclass of fastbp's stands."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    their: type = MLPClassifier if issubclass(kind, ClassifierMixin) else MLPRegressor
    return their


def their_perceptron(kind: type) -> type:
    """scikit-learn's `Perceptron`."""
    from sklearn.linear_model import Perceptron

    their: type = Perceptron
    return their


def _from_theirs(kind: type, their: Any, estimator: Any, names: Iterable[str]) -> Any:
    """An estimator of the class `kind` with the parameters and attributes of another."""
    if their not in type(estimator).__mro__:  # `isinstance` may be true of fastbp's
        raise TypeError(
            f"{kind.__name__}.from_sklearn takes a {their.__module__.split('._')[0]}."
            f"{their.__name__}; got {type(estimator).__module__}.{type(estimator).__name__}."
        )
    ours = kind(**_parameters_for(their, estimator))
    vars(ours).update(_attributes_of(estimator, names))
    take_requests(ours, requests_of(estimator))
    return ours


def requests_of(estimator: Any) -> dict[str, dict[str, Any]]:
    """The metadata that were asked for, by ``set_fit_request`` and the like, for each method."""
    found = vars(estimator).get("_metadata_request")
    methods = () if found is None else METHODS
    return {method: dict(getattr(found, method).requests) for method in methods}


def take_requests(to: Any, asked: dict[str, dict[str, Any]]) -> None:
    """Ask for the metadata that `requests_of` gave, where an estimator knows them."""
    if not asked:
        return
    requests = to._get_metadata_request()
    for method, aliases in asked.items():
        known = getattr(requests, method)
        for name, alias in aliases.items():
            if alias is not None and name in known.requests:
                known.add_request(param=name, alias=alias)
    to._metadata_request = requests


def _parameters_for(their: Any, estimator: Any) -> dict[str, Any]:
    """Copies of the parameters that scikit-learn's class has."""
    return {n: copy.deepcopy(getattr(estimator, n)) for n in their._get_param_names()}


def _attributes_of(estimator: Any, names: Iterable[str]) -> dict[str, Any]:
    """Copies of the attributes that there are; what is one object stays one."""
    state = vars(estimator)
    copied: dict[str, Any] = copy.deepcopy({name: state[name] for name in names if name in state})
    return copied


def _additions(estimator: Any, their: Any) -> list[str]:
    """The parameters that scikit-learn lacks, where they are not at their defaults."""
    defaults = type(estimator)().get_params(deep=False)
    values = estimator.get_params(deep=False)
    more = defaults.keys() - set(their._get_param_names())
    return [f"{n}={values[n]!r}" for n in sorted(more) if not _same(values[n], defaults[n])]


def _same(value: Any, default: Any) -> bool:
    """Whether a parameter is at its default; 0 for each layer is the default of 0, too."""
    if value is default:
        return True
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError):
        return bool(type(value) is type(default) and value == default)
    return default is not None and bool((array == default).all())


def _refuse(estimator: Any, their: Any, missing: list[str], hint: str = "") -> None:
    if missing:
        raise ValueError(
            f"scikit-learn's {their.__name__} cannot express {', '.join(missing)}. Set what is "
            f"listed to its default in a copy.{hint}"
        )


def _their_activation(estimator: Any) -> str:
    """scikit-learn's name of the activation of the hidden layers."""
    given = estimator.activation
    names = set(given) if isinstance(given, Iterable) and not isinstance(given, str) else {given}
    found = {THEIR_NAMES.get(name, name) for name in names} or {"relu"}
    if len(found) > 1 or not found <= set(ACTIVATIONS):
        raise ValueError(
            f"scikit-learn has one activation for all hidden layers, among {list(ACTIVATIONS)}; "
            f"got activation={given!r}."
        )
    name: str = found.pop()
    return name


def _their_outputs(estimator: Any) -> str:
    """scikit-learn's name of the activation of the outputs."""
    if isinstance(vars(estimator).get("_label_binarizer"), SeveralOutputs):
        raise ValueError(
            "scikit-learn has no networks for several targets with more than two classes each."
        )
    given: str = estimator.out_activation_
    name = THEIR_NAMES.get(given, given)
    if name not in OUTPUT_ACTIVATIONS:
        raise ValueError(
            f"scikit-learn has output activations among {list(OUTPUT_ACTIVATIONS)}; got {given!r}."
        )
    return name


# ---------------------------------------------------------------- the optimiser


def memory_of(estimator: Any, theirs: Any) -> OptimizerMemory:
    """The optimiser of scikit-learn, with its moments, as fastbp's for the estimator's layers.

    Adam of scikit-learn keeps means, the kernels sums: see `fastbp.kernels.optimizers`.
    scikit-learn's velocities include the learning rate, with its sign.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Its `coefs_` and `intercepts_` are those that the moments belong to.
    theirs : AdamOptimizer or SGDOptimizer

    Raises
    ------
    TypeError
        For something else.
    ValueError
        For moments of other shapes.
    """
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    rate = float(getattr(theirs, "learning_rate_init", 0.0))
    if isinstance(theirs, AdamOptimizer):
        adam = SolverAdam(rate, float(theirs.beta_1), float(theirs.beta_2), float(theirs.epsilon))
        memory = OptimizerMemory(adam)
        sums = (1 - adam.beta_1**theirs.t) / (1 - adam.beta_1)
        squares = (1 - adam.beta_2**theirs.t) / (1 - adam.beta_2)
        counted = {UPDATES: theirs.t, WEIGHTS_1: sums, WEIGHTS_2: squares}
        parts = [(theirs.ms, 1 / (1 - adam.beta_1)), (theirs.vs, 1 / (1 - adam.beta_2))]
    elif isinstance(theirs, SGDOptimizer):
        sgd = SolverSGD(rate, float(theirs.momentum), bool(theirs.nesterov))
        memory = OptimizerMemory(sgd, theirs.lr_schedule, float(theirs.power_t))
        counted = {}
        parts = [(theirs.velocities, -1.0)]
    else:
        raise TypeError(
            "_optimizer must be fastbp's, or an AdamOptimizer or SGDOptimizer of scikit-learn; got "
            f"{type(theirs).__name__}. Delete it to start afresh."
        )
    weights, biases = networks.parameters_of(estimator)
    sizes = len(weights[0]), *(w.shape[1] for w in weights)
    table, n_params = table_of_layers(sizes, [0] * len(weights), True)
    memory.layer_sizes = sizes
    memory.slots = np.zeros(len(parts) * n_params, networks.dtype_of(estimator))
    memory.scalars = np.zeros(N_SCALARS)
    memory.optimizer.reset(memory.scalars)
    for index, value in counted.items():
        memory.scalars[index] = value
    for start, (arrays, factor) in enumerate(parts):
        views = _moments(memory.slots[start * n_params : (start + 1) * n_params], table)
        if [np.shape(array) for array in arrays] != [view.shape for view in views]:
            raise ValueError(
                "the moments of _optimizer must have the shapes of coefs_ and intercepts_, "
                f"{[view.shape for view in views]}; got {[np.shape(array) for array in arrays]}. "
                "Delete _optimizer to start afresh."
            )
        for view, array in zip(views, arrays, strict=True):
            view[...] = array
            view *= factor
    if isinstance(theirs, SGDOptimizer):  # the kernels' velocity is the negative over the rate
        memory.scalars[LEARNING_RATE] = 1.0
        memory.set_rate(float(theirs.learning_rate))
    return memory


def _moments(slots: Any, table: Any) -> list[npt.NDArray[Any]]:
    """Views of what an optimiser keeps for each parameter, in the order of scikit-learn's."""
    weights, biases = weight_views(slots, table)
    return [*weights, *biases]


def _their_optimizer(memory: OptimizerMemory, coefs: list[Any], intercepts: list[Any]) -> Any:
    """scikit-learn's optimiser with the moments of fastbp's; its arrays are C-contiguous."""
    from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

    ours: Any = memory.optimizer
    parameters = [*coefs, *intercepts]
    adam = isinstance(ours, SolverAdam)
    if adam:
        rate = float(ours.learning_rate)
        theirs = AdamOptimizer(parameters, rate, ours.beta_1, ours.beta_2, ours.epsilon)
    else:
        theirs = SGDOptimizer(
            parameters, float(ours.learning_rate), memory.rule, ours.momentum, ours.nesterov,
            memory.power_t,
        )  # fmt: skip
        theirs.learning_rate = float(memory.rate)
    sizes = len(coefs[0]), *(w.shape[1] for w in coefs)
    if memory.scalars is None or memory.slots is None or memory.layer_sizes != sizes:
        return theirs  # it would start afresh here, too
    table, n_params = table_of_layers(sizes, [0] * len(coefs), True)
    if adam:
        theirs.learning_rate_init = float(memory.scalars[LEARNING_RATE])
        theirs.t = int(memory.scalars[UPDATES])
        theirs.learning_rate = float(memory.learning_rate)
        parts = [("ms", 1 - ours.beta_1), ("vs", 1 - ours.beta_2)]
    else:
        parts = [("velocities", -float(memory.scalars[LEARNING_RATE]))]
    for start, (name, factor) in enumerate(parts):
        views = _moments(memory.slots[start * n_params : (start + 1) * n_params], table)
        setattr(theirs, name, [np.array(view * factor, order="C") for view in views])
    return theirs
