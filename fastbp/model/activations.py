"""Activations in Python: what a layer computes between two compiled calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS

FloatArray = npt.NDArray[np.floating]
ActivationFunction = Callable[[FloatArray], tuple[npt.ArrayLike, npt.ArrayLike]]


class Activation(ABC):
    """An activation in Python; built-in ones are names.

    A subclass computes each number from the one at its place alone, as dropout and the backward
    pass take for granted.
    """

    @abstractmethod
    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and, `with_slope`, their derivatives by `z`.

        Parameters
        ----------
        z : array, shape (rows, units)
            Net inputs, C-contiguous, of the net's dtype.
        with_slope : bool
            Without it the second result is of no matter.
        """


class MakesActivation(Protocol):
    """What serves as an activation by a method, as a graph does."""

    def as_activation(self) -> Activation:
        """The activation."""
        ...


@dataclass(frozen=True)
class CallableActivation(Activation):
    """An activation in Python, computed a layer and batch at a time.

    Parameters
    ----------
    function : callable
        ``function(z)`` of net inputs (rows, units), of the net's dtype, returns the outputs and
        their derivatives dy/dz, both shaped alike, each number from the one at its place.
    """

    function: ActivationFunction

    def __call__(self, z: FloatArray, with_slope: bool) -> tuple[FloatArray, FloatArray]:
        """Outputs and derivatives, checked."""
        result = self.function(z)
        accepted = f"an activation must return (outputs, derivatives), both of shape {z.shape}"
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"{accepted}; got {type(result).__name__}")
        arrays = tuple(np.asarray(part) for part in result)
        for array in arrays:
            if array.shape != z.shape:
                raise ValueError(f"{accepted}; got shape {array.shape}")
            if array.dtype.kind not in "biuf":
                raise TypeError(f"{accepted}; got dtype {array.dtype}")
        return arrays[0], arrays[1]


def as_activation(value: Any) -> Any:
    """An activation in Python of an object or function; anything else as it is, to be checked."""
    if hasattr(value, "as_activation"):
        return value.as_activation()
    if callable(value) and not isinstance(value, type | Activation):
        return CallableActivation(value)
    return value


def _checked(name: str, value: Any, accepted: Iterable[str]) -> str | Activation:
    """One of a few names, or an activation in Python."""
    value = as_activation(value)
    return value if isinstance(value, Activation) else checks.choice(name, value, accepted)


def hidden_activations(value: Any, n_hidden: int) -> tuple[str | Activation, ...]:
    """One activation for each hidden layer, from one for all of them or a sequence."""
    value = as_activation(value)
    if isinstance(value, str | Activation):
        return (_checked("activation", value, HIDDEN_ACTIVATIONS),) * n_hidden
    if not isinstance(value, Iterable):
        raise TypeError(
            "activation must be a name, a graph or a function, or one for each hidden layer; got "
            f"{value!r}"
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


def output_activation(value: Any, loss: str, matching: str, from_logits: bool) -> str | Activation:
    """The output activation: the one that matches the loss, or another where the loss allows."""
    if value is None:
        return matching
    name = _checked("output_activation", value, ACTIVATIONS)
    if from_logits and name != matching:
        raise ValueError(
            f"loss {loss!r} is computed from the net inputs of {matching} outputs; got "
            f"output_activation={name!r}. Leave it out, or use loss='squared_error'"
        )
    return name
