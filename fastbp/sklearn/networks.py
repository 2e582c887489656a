"""The network of an estimator: its layers, penalties and initial weights, as in scikit-learn.

The fitted attributes are the model: sizes and dtype come from `coefs_`, the units from `activation`
and `out_activation_`. Whoever sets them has a network (`of_attributes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import HasMethods

from fastbp import checks
from fastbp.kernels.activations import ACTIVATIONS
from fastbp.kernels.state import PENALTIES_SHARED
from fastbp.mlp import MLP
from fastbp.model.activations import Activation, as_activation
from fastbp.model.initializers import check_init, initial_weights
from fastbp.model.losses import Loss, SquaredError
from fastbp.model.net import Spec
from fastbp.model.optimizers import SGD, Optimizer
from fastbp.model.regularization import Regularization
from fastbp.sklearn.randomness import SEED_WORDS

ALIASES = {"logistic": "sigmoid"}
"""scikit-learn's names of activations that have another name in fastbp."""
ACTIVATION_NAMES = {*ALIASES} | {
    name for name, traits in ACTIVATIONS.items() if traits.hidden and traits.trainable
}
"""Names of the activations that hidden layers of an estimator may have."""


class Graph(HasMethods):
    """The constraint that a parameter is a graph, in words of its own."""

    def __str__(self) -> str:
        return "an expression of fastbp.graph"


Arrays = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class SummedRegularization(Regularization):
    """Penalties on the sum of the losses of all rows: each batch takes its share of them."""

    def settings(self, optimizer: Optimizer, n_layers: int) -> npt.NDArray[np.float64]:
        """The settings that the kernels read, with the optimiser's groups, without a schedule."""
        settings = super().settings(optimizer, n_layers)
        settings[PENALTIES_SHARED] = 1.0
        return settings


def hidden_sizes(estimator: Any) -> list[int]:
    """Widths of the hidden layers, checked."""
    given = estimator.hidden_layer_sizes
    sizes = list(given) if isinstance(given, Iterable) else [given]
    for i, size in enumerate(sizes):
        if isinstance(size, bool | np.bool_) or not isinstance(size, int | np.integer):
            checks.count(f"hidden_layer_sizes[{i}]", size)  # raises: not a whole number
    if np.any(np.array(sizes) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {sizes}.")
    return sizes


def hidden_activations(estimator: Any, n_hidden: int) -> list[str | Activation]:
    """The activation of each hidden layer: fastbp's name of it, or the user's own."""
    given = as_activation(estimator.activation)
    if isinstance(given, str | Activation):
        return [_hidden_activation(given)] * n_hidden
    if not isinstance(given, Iterable):
        _hidden_activation(given)  # raises
    units = list(given)
    if len(units) != n_hidden:
        raise ValueError(
            f"activation must be one name or one for each of the {n_hidden} hidden layers, got "
            f"{len(units)}: {units}."
        )
    return [_hidden_activation(unit) for unit in units]


def _hidden_activation(given: Any) -> str | Activation:
    """The activation of one hidden layer."""
    unit = as_activation(given)
    if isinstance(unit, Activation):
        return unit
    if not isinstance(unit, str) or unit not in ACTIVATION_NAMES:
        raise ValueError(
            f"activation must be among {sorted(ACTIVATION_NAMES)}, or one of your own: an "
            f"ElementwiseActivation, an expression of fastbp.graph or a function of arrays; got "
            f"{unit!r}."
        )
    return ALIASES.get(unit, unit)


def build(
    estimator: Any, sizes: Sequence[int], loss: Loss, dtype: npt.DTypeLike, optimizer: Optimizer
) -> MLP:
    """A network with an estimator's parameters; its weights are zeros.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    sizes : sequence of int
        Inputs, hidden layers, outputs.
    loss : Loss
    dtype : dtype
    optimizer : Optimizer
    """
    alpha, share = float(estimator.alpha), float(estimator.l1_ratio)
    regularization = SummedRegularization(
        l1=alpha * share,
        l2=alpha * (1.0 - share),
        dropout=estimator.dropout,
        clip_norm=estimator.clip_norm,
    )
    activations = *hidden_activations(estimator, len(sizes) - 2), loss.activation
    # Without `MLP.__init__`: the estimator has checked the other arguments, and nothing is drawn.
    sizes = checks.layer_sizes(sizes)
    spec = Spec(sizes, tuple(activations), loss, regularization, np.dtype(dtype), True)
    net = MLP.from_spec(spec, optimizer)
    net.missing_targets = estimator.missing_targets
    return net


# ---------------------------------------------------------------- the attributes as a network


def n_layers_of(estimator: Any) -> int:
    """The number of layers of weights: scikit-learn passes through ``n_layers_ - 1`` of `coefs_`.

    Raises
    ------
    ValueError
        If there are not as many.
    """
    coefs, intercepts = estimator.coefs_, estimator.intercepts_
    layers = int(vars(estimator).get("n_layers_", len(coefs) + 1)) - 1
    if not 1 <= layers <= min(len(coefs), len(intercepts)):
        raise ValueError(
            f"coefs_ and intercepts_ must hold n_layers_ - 1 arrays each, and at least one; got "
            f"{len(coefs)} and {len(intercepts)} with n_layers_={layers + 1}."
        )
    return layers


def units_of(estimator: Any, layers: int) -> tuple[str | Activation, ...]:
    """The activations of so many layers, the outputs included: names, or the user's own."""
    given = estimator.activation
    outputs = estimator._unit_of_outputs
    last = (ALIASES.get(outputs, outputs),)
    if isinstance(given, str):  # checked where a network is made
        return (ALIASES.get(given, given),) * (layers - 1) + last
    return (*hidden_activations(estimator, layers - 1), *last)


def dtype_of(estimator: Any) -> np.dtype[Any]:
    """The dtype of an estimator's parameters: float32 where `coefs_` begin so, else float64."""
    single = getattr(estimator.coefs_[0], "dtype", None) == np.float32
    return np.dtype(np.float32 if single else np.float64)


def parameters_of(estimator: Any) -> tuple[Arrays, Arrays]:
    """The arrays of `coefs_` and `intercepts_` that count, of shapes (n_in, n_out) and (n_out,).

    Raises
    ------
    ValueError
        If they do not fit each other.
    """
    layers = n_layers_of(estimator)
    weights = [np.asarray(given) for given in estimator.coefs_[:layers]]
    biases = [np.asarray(given) for given in estimator.intercepts_[:layers]]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        for name, array in ((f"coefs_[{i}]", w), (f"intercepts_[{i}]", b)):
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{name} must be an array of real numbers; got {array.dtype}.")
        if w.ndim != 2 or 0 in w.shape:
            raise ValueError(f"coefs_[{i}] must have the shape (n_in, n_out); got {w.shape}.")
        if i and len(w) != weights[i - 1].shape[1]:
            raise ValueError(
                f"coefs_[{i}] must have a row for each of the {weights[i - 1].shape[1]} columns of "
                f"coefs_[{i - 1}]; got the shape {w.shape}."
            )
        width = w.shape[1]
        if b.size != 1 and b.shape not in ((width,), (1, width)):
            raise ValueError(
                f"intercepts_[{i}] must have the shape ({width},), one number for each column of "
                f"coefs_[{i}]; got {b.shape}."
            )
    found = vars(estimator).get("n_features_in_", len(weights[0]))
    if found != len(weights[0]):
        raise ValueError(
            f"coefs_[0] must have a row for each of the {found} features (n_features_in_); got the "
            f"shape {weights[0].shape}."
        )
    return weights, biases


def is_current(net: MLP, estimator: Any) -> bool:
    """Whether a network is what the estimator's attributes say: the usual, quick case.

    `coefs_` and `intercepts_` are then its own views, so that their shapes and dtype need no look.
    """
    state = estimator.__dict__
    coefs = state.get("coefs_", ())
    intercepts = state.get("intercepts_", ())
    units = net.spec.activations
    layers = len(units)
    return (
        state.get("n_layers_", len(coefs) + 1) == layers + 1
        and len(coefs) >= layers <= len(intercepts)
        and units == units_of(estimator, layers)
        and all(map(is_, net.weights, coefs))
        and all(map(is_, net.biases, intercepts))
    )


def of_attributes(estimator: Any) -> MLP:
    """A network of an estimator's attributes, to predict with: its loss and optimiser mean nothing.

    Raises
    ------
    ValueError
        For shapes that do not fit each other, or units that are not known.
    """
    weights, biases = parameters_of(estimator)
    units = units_of(estimator, len(weights))
    for unit in units[:-1]:
        _hidden_activation(unit)
    if units[-1] not in ACTIVATIONS:
        known = sorted({*ALIASES, *ACTIVATIONS})
        raise ValueError(f"out_activation_ must be among {known}, got {units[-1]!r}.")
    sizes = len(weights[0]), *(w.shape[1] for w in weights)
    spec = Spec(
        checks.layer_sizes(sizes), units, SquaredError(), Regularization(), dtype_of(estimator),
        True,
    )  # fmt: skip
    net = MLP.from_spec(spec, SGD())
    load(net, weights, biases)
    return net


def sizes_to_go_on_with(estimator: Any, wanted: list[int], unit: str) -> list[int]:
    """The layer sizes of the attributes, to be trained further.

    Hidden layers of other widths are no reason not to, if arrays were assigned: scikit-learn goes
    on with them, too.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    wanted : list of int
        The sizes by the data and `hidden_layer_sizes`.
    unit : str
        The output activation that belongs to the loss.

    Raises
    ------
    ValueError
        If the data, `hidden_layer_sizes` since the last fit or the loss want others.
    """
    sizes = list(estimator._network().layer_sizes)
    hidden = wanted[1:-1]
    changed = hidden != sizes[1:-1] and vars(estimator).get("_hidden_of_fit", hidden) != hidden
    if changed or (wanted[0], wanted[-1]) != (sizes[0], sizes[-1]):
        raise ValueError(
            f"warm_start and partial_fit continue with the existing layers, {sizes}; "
            f"hidden_layer_sizes={estimator.hidden_layer_sizes} and the data need {wanted}. Set "
            "hidden_layer_sizes back, or fit a new estimator."
        )
    found = estimator.out_activation_
    if ALIASES.get(found, found) != ALIASES.get(unit, unit):
        raise ValueError(
            f"warm_start and partial_fit train outputs of out_activation_={unit!r}, which the loss "
            f"belongs to; got {found!r}. Set out_activation_={unit!r}, or fit anew."
        )
    return sizes


# ---------------------------------------------------------------- initial parameters


def glorot(
    unit: str | Activation,
    fan_in: int,
    fan_out: int,
    dtype: npt.DTypeLike,
    random_state: np.random.RandomState,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Weights and biases of a layer, uniform with Glorot's bound: scikit-learn's random numbers.

    Parameters
    ----------
    unit : str or Activation
        The activation that the bound depends on; for the output layer, that of the last hidden
        layer.
    fan_in, fan_out : int
    dtype : dtype
    random_state : numpy.random.RandomState
    """
    bound = np.sqrt((2.0 if unit == "sigmoid" else 6.0) / (fan_in + fan_out))
    weights = random_state.uniform(-bound, bound, (fan_in, fan_out))
    biases = random_state.uniform(-bound, bound, fan_out)
    return weights.astype(dtype, copy=False), biases.astype(dtype, copy=False)


def draw_initial(net: MLP, estimator: Any, random_state: np.random.RandomState) -> None:
    """Draw weights and biases: by `weight_init`, by a subclass's `_init_coef`, or as scikit-learn.

    The seed of dropout is drawn last.

    Raises
    ------
    ValueError, TypeError
        For parameters that do not fit the layers or are not finite.
    """
    if estimator.weight_init is not None:
        _draw_by_name(net, estimator, random_state)
    else:
        units: list[Any] = [*net.activations[:-1], *net.activations[-2:-1]]
        if not units:  # the bound depends on the activation of no layer
            given = estimator.activation
            one = isinstance(given, str) or not isinstance(given, Iterable)
            units = hidden_activations(estimator, 1) if one else ["identity"]
        for layer, (unit, weights) in enumerate(zip(units, net.weights, strict=True)):
            # For `_init_coef`, which subclasses know to find the stream here.
            estimator._random_state = random_state
            estimator._unit_to_draw = unit
            made = estimator._init_coef(*weights.shape, net.dtype)
            if not isinstance(made, tuple | list) or len(made) != 2:
                raise TypeError(
                    "_init_coef must return weights (fan_in, fan_out) and biases (fan_out,); got "
                    f"{type(made).__name__}"
                )
            for name, to, given in zip(
                ("weights", "biases"), (weights, net.biases[layer]), made, strict=True
            ):
                what = f"{name} of layer {layer} from _init_coef"
                to[...] = checks.weights(what, given, to.shape, net.dtype)
        del estimator._random_state
        del estimator._unit_to_draw
    draw_dropout(net, random_state)


def _draw_by_name(net: MLP, estimator: Any, random_state: np.random.RandomState) -> None:
    """Draw weights as `fastbp.MLP` does; biases are 0."""
    shapes = [weights.shape for weights in net.weights]
    init = check_init(estimator.weight_init, shapes, net.dtype)
    generator = np.random.default_rng(random_state.randint(2**32, size=SEED_WORDS, dtype=np.uint32))
    for layer, (shape, unit) in enumerate(zip(shapes, net.activations, strict=True)):
        net.weights[layer][...] = initial_weights(generator, shape, init, layer, unit, net.dtype)
        net.biases[layer][...] = 0.0


def draw_dropout(net: MLP, random_state: np.random.RandomState) -> None:
    """Draw the seed of dropout; without dropout nothing is drawn."""
    if any(net.regularization.dropout_rates(len(net.layer_table))):
        net.state.random[:] = random_state.randint(2**31 - 1)


def load(net: MLP, coefs: Arrays, intercepts: Arrays) -> None:
    """Copy parameters into a network; the shapes must fit."""
    for to, given in zip((*net.weights, *net.biases), (*coefs, *intercepts), strict=True):
        to[...] = given
