"""Activations in Python: what a layer computes between two compiled calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

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
