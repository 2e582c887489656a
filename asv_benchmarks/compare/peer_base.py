"""What every library that is compared offers: the small interface of a peer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib.metadata import PackageNotFoundError, version
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workloads import Workload

#: Adam, as in its paper and as every library has it by default.
LEARNING_RATE = 1e-3
BETA1 = 0.9
BETA2 = 0.999
EPSILON = 1e-8


class CannotRunError(Exception):
    """A library that is installed cannot do this work here."""


class Peer(ABC):
    """A library that trains the net of a workload.

    Parameters
    ----------
    workload : Workload
        What to train, and on what.
    dtype : {"float32", "float64"}, default="float32"
        Type of the data, the parameters and all arithmetic.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    package: ClassVar[str]  # as installed
    #: Whether Adam's epsilon stands where fastbp has it, beside the corrected root.
    same_epsilon: ClassVar[bool] = True
    #: How many threads it may use: those of `all_cores`, else one.
    threads: int = 1

    def __init__(self, workload: Workload, dtype: str = "float32") -> None:
        self.workload = workload
        self.dtype = dtype
        self.X, self.Y = workload.data(dtype)
        self.setup()
        self.reset()

    @classmethod
    def installed(cls) -> bool:
        """Whether the library is installed."""
        try:
            return bool(cls.version())
        except PackageNotFoundError:
            return False

    @classmethod
    def version(cls) -> str:
        """Return the installed version, with the library's name before it."""
        return f"{cls.title} {version(cls.package)}"

    def setup(self) -> None:  # noqa: B027 - not every library needs it
        """Do what is done once, before the first `reset`."""

    @abstractmethod
    def reset(self) -> None:
        """Go back to the initial weights and a new optimiser."""

    def epoch(self, shuffle: bool = True) -> None:
        """Train for one epoch; without `shuffle` the batches are taken in order.

        A library defines this, or `train`: each is made of the other.
        """
        self.train(1, shuffle)

    def train(self, epochs: int, shuffle: bool = True) -> None:
        """Train for several epochs and wait until they are done."""
        for _ in range(epochs):
            self.epoch(shuffle)

    @abstractmethod
    def predict(self, X: NDArray) -> NDArray:
        """Return the outputs for `X`, shape (rows, n_out)."""

    @abstractmethod
    def parameters(self) -> list[NDArray]:
        """Return copies of the weights, (n_in, n_out) for each layer, and then of the biases."""

    def loss(self) -> float:
        """Return the loss over all rows of the data."""
        difference = self.predict(self.X).astype(np.float64) - self.Y
        return float((difference**2).sum() / 2 / len(self.X))
