"""Optimisers as small immutable objects: names, defaults and checks of hyper-parameters.

The steps themselves are in ``kernels/updates.py``; the state that changes belongs to the net.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from fastbp.kernels import updates


def _check(name: str, value: float, accepted: str, is_accepted: Callable[[float], bool]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a number, {accepted}; got {value!r}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond all floats
        number = math.inf
    if not (math.isfinite(number) and is_accepted(number)):
        raise ValueError(f"{name} must be {accepted}; got {value!r}")


def _check_rate(value: float) -> None:
    _check("learning_rate", value, "a finite number above 0", lambda x: x > 0)


class Optimizer(ABC):
    """What every optimiser has.

    Attributes
    ----------
    code : int
        What the kernels know it by.
    n_slots : int
        Numbers that it keeps for each parameter.
    """

    code: ClassVar[int]
    n_slots: ClassVar[int]

    @abstractmethod
    def write(self, scalars: npt.NDArray[np.float64]) -> None:
        """Write the hyper-parameters where the kernels read them; what changes stays."""

    def reset(self, scalars: npt.NDArray[np.float64]) -> None:
        """Write the hyper-parameters and the state before the first update."""
        scalars[:] = 0.0
        self.write(scalars)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's momentum.

    ``u = momentum u + g``; ``w -= learning_rate u``, with `nesterov` ``w -= learning_rate
    (g + momentum u)``.

    Parameters
    ----------
    learning_rate : float, default=0.01
        Above 0.
    momentum : float, default=0.0
        At least 0 and below 1.
    nesterov : bool, default=False
        Needs a momentum above 0.

    Notes
    -----
    Polyak 1964; Nesterov 1983 in the form of Sutskever et al., ICML 2013, as in PyTorch.
    """

    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    code: ClassVar[int] = updates.SGD
    n_slots: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        _check("momentum", self.momentum, "at least 0 and below 1", lambda x: 0 <= x < 1)
        if not isinstance(self.nesterov, bool | np.bool_):
            raise TypeError(f"nesterov must be True or False; got {self.nesterov!r}")
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, such as 0.9")

    def write(self, scalars: npt.NDArray[np.float64]) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[updates.LEARNING_RATE] = self.learning_rate
        scalars[updates.MOMENTUM] = self.momentum
        scalars[updates.NESTEROV] = self.nesterov


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ``m = beta_1 m + (1 - beta_1) g``; ``v = beta_2 v + (1 - beta_2) g^2``; ``w -= learning_rate
    m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)``.

    Parameters
    ----------
    learning_rate : float, default=0.001
        Above 0.
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and below 1.
    epsilon : float, default=1e-8
        Above 0.

    Notes
    -----
    Kingma and Ba, ICLR 2015, algorithm 1.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    code: ClassVar[int] = updates.ADAM
    n_slots: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _check_rate(self.learning_rate)
        for name in ("beta_1", "beta_2"):
            _check(name, getattr(self, name), "at least 0 and below 1", lambda x: 0 <= x < 1)
        _check("epsilon", self.epsilon, "a finite number above 0", lambda x: x > 0)

    def write(self, scalars: npt.NDArray[np.float64]) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[updates.LEARNING_RATE] = self.learning_rate
        scalars[updates.BETA_1], scalars[updates.BETA_2] = self.beta_1, self.beta_2
        scalars[updates.EPSILON] = self.epsilon


OPTIMIZERS: dict[str, type[Optimizer]] = {"sgd": SGD, "adam": Adam}
"""Names, for ``MLP(optimizer=...)``."""


def as_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """An optimiser by name, with its defaults, or as it is."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str):
        if optimizer in OPTIMIZERS:
            return OPTIMIZERS[optimizer]()
        raise ValueError(
            f"optimizer must be one of {', '.join(map(repr, OPTIMIZERS))} or an object such as "
            f"Adam(learning_rate=1e-3); got {optimizer!r}"
        )
    raise TypeError(
        f"optimizer must be a name or an object such as Adam(learning_rate=1e-3); got "
        f"{type(optimizer).__name__} {optimizer!r}"
    )
