"""Activations of layers: names, whose traits stand in `fastbp.kernels.activations`, or Python."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.activations import ACTIVATIONS, CALLABLE, HIDDEN_ACTIVATIONS, Traits

FloatArray = npt.NDArray[np.floating]
ActivationFunction = Callable[[FloatArray], tuple[npt.ArrayLike, npt.ArrayLike]]

OWN = Traits(CALLABLE, stores_slope=True, kinked=True)
"""Traits of every activation that is a user's own, as far as anyone can know."""


class Activation(ABC):
    """An activation in Python, computed between two compiled calls; built-in ones are names.

    A subclass must work element by element: dropout and the backward pass rely on it. Tables,
    drawings and formulas call it by its `str`.

    Attributes
    ----------
    explains : bool
        Whether its call raises errors where its compiled code returns NaN.
    """

    explains: ClassVar[bool] = False

    @property
    def compiled(self) -> bool:
        """Whether it is compiled into the net after all (`fastbp.model.elementwise`)."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @abstractmethod
    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and, `with_slope`, their derivatives by `z`.

        Parameters
        ----------
        z : array, shape (rows, units)
            Net inputs, C-contiguous, of the net's dtype.
        with_slope : bool
            Without it the second result is ignored.
        """

    def code_for(self, dtype: np.dtype[Any]) -> int:
        """By which the kernels of a dtype know it."""
        return CALLABLE


class MakesActivation(Protocol):
    """An object that can make an activation, as a graph can."""

    def as_activation(self) -> Activation:
        """The activation."""
        ...


@checks.explained_class
@dataclass(frozen=True)
class CallableActivation(Activation):
    """An activation in Python, computed a layer and batch at a time.

    Parameters
    ----------
    function : callable
        ``function(z)`` takes net inputs, (rows, units) of the net's dtype, and returns the outputs
        and their derivatives dy/dz, both of the shape of `z`, computed element by element.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP
    >>> from fastbp.model.activations import CallableActivation
    >>> def sine(z):
    ...     return np.sin(z), np.cos(z)
    >>> net = MLP((1, 16, 1), activation=CallableActivation(sine), seed=0)
    >>> net.predict([[1.0]]).shape
    (1, 1)
    """

    function: ActivationFunction

    def __repr__(self) -> str:
        return f"CallableActivation({self})"

    def __str__(self) -> str:
        return checks.name_of(self.function)

    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and derivatives, checked."""
        result = self.function(z)
        accepted = f"an activation must return (outputs, derivatives), both of shape {z.shape}"
        if not isinstance(result, tuple) or len(result) != 2:
            hint = checks.instead("activation", checks.name_of(self.function), HIDDEN_ACTIVATIONS)
            raise TypeError(f"{accepted}; got {type(result).__name__}{hint}")
        arrays = tuple(np.asarray(part) for part in result)
        for array in arrays:
            if array.shape != z.shape:
                raise ValueError(f"{accepted}; got shape {array.shape}")
            if array.dtype.kind not in "biuf":
                raise TypeError(f"{accepted}; got dtype {array.dtype}")
        return arrays[0], arrays[1]


def as_activation(value: Any) -> Any:
    """An activation in Python from a graph or function; any other value is returned unchanged."""
    if hasattr(value, "as_activation"):
        return value.as_activation()
    if callable(value) and not isinstance(value, type | Activation):
        return CallableActivation(value)
    return value


def traits_of(activation: str | Activation) -> Traits:
    """The traits of a layer's activation."""
    return ACTIVATIONS[activation] if isinstance(activation, str) else OWN


def code_of(activation: str | Activation, dtype: np.dtype[Any]) -> int:
    """By which the kernels of a dtype know the activation of a layer."""
    if isinstance(activation, str):
        return ACTIVATIONS[activation].code
    return activation.code_for(dtype)


def _checked(name: str, value: Any, accepted: Iterable[str]) -> str | Activation:
    """One of a few names, or an activation in Python."""
    value = as_activation(value)
    return (
        value if isinstance(value, Activation) else checks.choice(name, value, accepted, Activation)
    )


def hidden_activations(value: Any, n_hidden: int) -> tuple[str | Activation, ...]:
    """One activation for each hidden layer, from one for all of them or a sequence."""
    value = as_activation(value)
    if isinstance(value, str | Activation):
        return (_checked("activation", value, HIDDEN_ACTIVATIONS),) * n_hidden
    if not isinstance(value, Iterable):
        raise TypeError(
            "activation must be a name, a graph or a function, or one for each hidden layer; got "
            f"{checks.described(value)}"
            f"{checks.instead('activation', value, HIDDEN_ACTIVATIONS, Activation)}"
        )
    names = tuple(
        _checked(f"activation[{i}]", name, HIDDEN_ACTIVATIONS) for i, name in enumerate(value)
    )
    if len(names) != n_hidden:
        raise ValueError(
            f"activation must be one name or one for each of the {n_hidden} hidden layers; got "
            f"{len(names)}: {names}"
        )
    return names


def output_activation(
    value: Any, outputs: int, loss: str, matching: str, from_logits: bool
) -> str | Activation:
    """The output activation, checked; None takes the one that matches the loss."""
    if value is None:
        return matching
    name = _checked("output_activation", value, ACTIVATIONS)
    if from_logits and name != matching:
        raise ValueError(
            f"loss {loss!r} is computed from the net inputs of {matching} outputs; got "
            f"output_activation={name!r}. Leave it out, or use loss='squared_error'"
        )
    if name == "softmax" and outputs == 1:
        raise ValueError(
            "softmax needs at least 2 outputs, one per class: a single one is 1 for every input; "
            "the last of layer_sizes is 1. Take output_activation='sigmoid', or 'identity' for "
            "numbers"
        )
    return name
