"""`Dense`: a layer with its own settings, for nets that are given layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fastbp import checks
from fastbp.model.activations import Activation, ActivationFunction, MakesActivation
from fastbp.model.initializers import Init, LayerInit

DEFAULTS = {"activation": "relu", "output_activation": None, "weight_init": "auto", "dropout": 0.0}
"""Defaults of the parameters of `MLP` that each `Dense` may set for itself."""


@checks.explained_class
@dataclass(frozen=True)
class Dense:
    """A layer of units that each take all outputs of the layer before.

    ``MLP([Dense(4, "sigmoid"), Dense(3, "sigmoid")], n_inputs=2)`` is the net
    ``MLP((2, 4, 3), activation="sigmoid", output_activation="sigmoid")``, with the same initial
    weights. What holds for the whole net stays a parameter of `MLP`: the loss, the optimiser,
    biases, penalties, limits.

    Parameters
    ----------
    units : int
        Number of units, at least 1.
    activation : str, Activation or callable, optional
        As in `MLP`. A hidden layer needs one; in the last layer None takes the one that matches
        the loss.
    weight_init : str, callable or array (n_in, units), default="auto"
        How to initialise the weights that enter the layer: a name or a function as in `MLP`, or
        the weights themselves.
    dropout : float, default=0.0
        Share of the layer's outputs that each pass of training sets to 0, while the others are
        scaled up. Hidden layers only.

    Raises
    ------
    ValueError, TypeError
        When `units` is not a whole number of at least 1 or `dropout` is not at least 0 and below
        1. `MLP`, which knows the layer before, checks the others.

    Examples
    --------
    >>> from fastbp import MLP, Dense
    >>> MLP([Dense(8, "tanh", dropout=0.1), Dense(1)], n_inputs=2).layer_sizes
    (2, 8, 1)
    """

    units: int
    activation: str | Activation | MakesActivation | ActivationFunction | None = None
    weight_init: LayerInit = field(default="auto", kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", checks.count("units", self.units))
        object.__setattr__(self, "dropout", checks.fraction("dropout", self.dropout))

    def __repr__(self) -> str:
        named = [f"{self.units}"] + ([] if self.activation is None else [f"{self.activation!r}"])
        for name in ("weight_init", "dropout"):
            value = getattr(self, name)
            if not _is(value, DEFAULTS[name]):
                named.append(f"{name}={value!r}")
        return f"Dense({', '.join(named)})"


class Settings(NamedTuple):
    """The parameters of `MLP` that each layer may set for itself."""

    layer_sizes: Any
    activation: Any
    output_activation: Any
    weight_init: Init
    dropout: float | Iterable[float]


def settings(given: Settings, n_inputs: int | None) -> Settings:
    """Sizes and settings of a net that is given by sizes or layer by layer.

    Parameters
    ----------
    given : Settings
        The parameters of `MLP`; the sizes may be layers.
    n_inputs : int or None
        Required with layers, refused without.

    Returns
    -------
    Settings
        `given` itself when it has sizes.

    Raises
    ------
    ValueError, TypeError
        When something is missing or given both ways.
    """
    layers = given.layer_sizes
    if isinstance(layers, Dense):
        raise TypeError(f"layer_sizes must be a list, even of a single layer: [{layers!r}]")
    if isinstance(layers, Iterable) and not isinstance(layers, str):
        layers = tuple(layers)
        if any(isinstance(layer, Dense) for layer in layers):
            return _from_layers(layers, given, n_inputs)
    if n_inputs is not None:
        raise ValueError(
            f"n_inputs goes with layers, as in MLP([Dense(3)], n_inputs=2); layer_sizes begin with "
            f"the inputs themselves; got n_inputs={n_inputs!r} and layer_sizes={layers!r}. Leave "
            "n_inputs out"
        )
    return given._replace(layer_sizes=layers)


def _from_layers(layers: Sequence[Any], given: Settings, n_inputs: int | None) -> Settings:
    for i, layer in enumerate(layers):
        if not isinstance(layer, Dense):
            raise TypeError(
                f"layer_sizes[{i}] must be a Dense like the others, and the number of inputs is "
                f"given as n_inputs; got {layer!r}"
            )
    for name, default in DEFAULTS.items():
        if not _is(getattr(given, name), default):
            raise ValueError(
                f"{name} belongs to each layer of a net that is given layer by layer, as in "
                f"Dense(4, 'relu', dropout=0.1); MLP got {name} too. Leave it out of MLP"
            )
    if n_inputs is None:
        raise ValueError(
            f"a net of layers needs the number of its inputs: MLP([{layers[0]!r}, ...], n_inputs=2)"
        )
    *hidden, last = layers
    for i, layer in enumerate(hidden):
        if layer.activation is None:
            raise ValueError(
                f"layer_sizes[{i}] is hidden and must name its activation, such as "
                f"Dense({layer.units}, 'relu'), or 'identity' for a linear layer; got {layer!r}"
            )
    if last.dropout != 0:
        raise ValueError(
            f"dropout belongs to hidden layers and, as input_dropout, to the inputs; got "
            f"{last!r} as the outputs. Leave it out of that layer"
        )
    return Settings(
        (checks.count("n_inputs", n_inputs), *(layer.units for layer in layers)),
        tuple(layer.activation for layer in hidden),
        last.activation,
        _one_or_each([layer.weight_init for layer in layers]),
        _one_or_each([layer.dropout for layer in hidden]) if hidden else 0.0,
    )


def _is(value: Any, plain: str | float | None) -> bool:
    """Equality with a plain value; an array, which compares element by element, equals none."""
    return value is plain or (type(value) in (str, int, float) and bool(value == plain))


def _one_or_each(values: list[Any]) -> Any:
    """The name, function or number that all layers share, or one value per layer."""
    first = values[0]
    shared = isinstance(first, str | float) or callable(first)
    return first if shared and all(_is(value, first) for value in values) else values
