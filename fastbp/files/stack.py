"""`Stack`: layers, activations and dropout as other frameworks list them, one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.files.chain import FloatArray, Layer
from fastbp.kernels.activations import ACTIVATIONS, HIDDEN_ACTIVATIONS
from fastbp.model.activations import Activation

SCALED = ("identity", "relu", "leaky_relu")
"""Activations that commute with dropout: f(c z) = c f(z) for c >= 0."""


class Stack:
    """What has been met of a net so far.

    Attributes
    ----------
    layers : list of Layer
    dropout : list of float
        Rates in front of each layer.
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.dropout: list[float] = []
        self._rate = 0.0
        self._dropped = ""
        self._unit = ""

    def dense(self, name: str, weight: FloatArray, bias: FloatArray | None) -> None:
        """Add a layer, whose activation may follow.

        Parameters
        ----------
        name : str
            What messages call it.
        weight : array, shape (n_in, n_out)
        bias : array, shape (n_out,), or None
        """
        unit = self.layers[-1].activation if self.layers else "identity"
        if isinstance(unit, str) and not ACTIVATIONS[unit].hidden:
            raise ValueError(
                f"{self._unit} is followed by {name}; fastbp has {unit!r} in the last layer only. "
                f"Hidden layers may have {', '.join(HIDDEN_ACTIVATIONS)}"
            )
        shape = (weight.shape[1],) if weight.ndim == 2 else ()
        if not shape or (bias is not None and bias.shape != shape):
            raise ValueError(
                f"{name} must have weights of two dimensions and one bias for each output, or "
                f"none; got shapes {weight.shape} and {None if bias is None else bias.shape}"
            )
        self.layers.append(Layer(weight, bias, "identity"))
        self.dropout.append(self._rate)
        self._rate = 0.0
        self._unit = ""

    def activation(self, name: str, unit: str | Activation) -> None:
        """Set the activation of the layer before.

        Parameters
        ----------
        name : str
        unit : str or Activation
        """
        if not self.layers:
            raise ValueError(
                f"{name} stands in front of the first layer; fastbp has activations behind layers. "
                "Apply it to the inputs yourself"
            )
        if self._unit:
            raise ValueError(
                f"{name} follows {self._unit}; fastbp has one activation for each layer. Write "
                "both as one graph (fastbp.graph)"
            )
        if self._rate and unit not in SCALED:
            raise ValueError(
                f"{self._dropped} stands between a layer and {name}; fastbp has dropout behind "
                "activations. Exchange both, or leave the dropout out"
            )
        self._unit = name
        self.layers[-1] = self.layers[-1]._replace(activation=unit)

    def drop(self, name: str, rate: Any) -> None:
        """Add dropout, of the outputs so far or of the inputs.

        Parameters
        ----------
        name : str
        rate : float
        """
        rate = checks.fraction(f"the rate of {name}", rate)
        if self._rate:  # two masks are one
            rate = 1.0 - (1.0 - self._rate) * (1.0 - rate)
        self._rate = rate
        self._dropped = name

    @property
    def pending(self) -> bool:
        """Whether dropout has been met that belongs to the next layer."""
        return self._rate > 0.0

    def finish(self) -> None:
        """Check that nothing is left over."""
        if self._rate:
            raise ValueError(
                f"{self._dropped} follows the last layer; fastbp has dropout of inputs and hidden "
                "layers only. Leave it out"
            )


def class_of(part: Any, package: str, ours: str, method: str) -> str:
    """The name of the class of a framework's or ours that computes what a part does, else "".

    A class that is derived from it without a method of its own computes the same. The framework
    need not be imported for that.

    Parameters
    ----------
    part : object
        A layer, a module.
    package, ours : str
        The framework's package, and the module of ours that has further classes.
    method : str
        The method that computes.
    """
    kind = type(part)
    for base in kind.__mro__:
        if base.__module__.split(".")[0] == package or base.__module__ == ours:
            same = getattr(kind, method, None) is getattr(base, method, None)
            return base.__name__ if same else ""
    return ""


def array_of(name: str, value: Any) -> FloatArray:
    """An array of any framework in float32 or float64: another dtype becomes float32.

    Parameters
    ----------
    name : str
    value : array-like, or a tensor of PyTorch
        On any device, with or without a gradient.

    Raises
    ------
    ValueError, TypeError
        For values that are not numbers, or not there.
    """
    if hasattr(value, "detach"):
        if value.is_meta:
            raise ValueError(f"{name} has no data: it is on PyTorch's device meta. Load it first")
        value = value.detach().cpu()
        if value.is_floating_point() and value.element_size() < 4:  # NumPy has no bfloat16
            value = value.float()
    array: npt.NDArray[Any] = np.asarray(value)
    if array.dtype.name == "bfloat16":  # of the package ml_dtypes
        array = array.astype(np.float32)
    array = checks.numbers(name, array)
    return array if array.dtype == np.float64 else array.astype(np.float32)
