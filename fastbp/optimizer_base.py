"""What every optimiser has, and groups of parameters that are trained in their own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.schedules import Rate, check_rate, rates_of

Scalars = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Group:
    """Parameters that have a learning rate or decay of their own.

    Parameters
    ----------
    layers : iterable of int, optional
        Which layers, counted from 0 at the inputs; all by default.
    weights, biases : bool, default=True
        Which of their parameters.
    learning_rate : float, optional
        Of these parameters, at least 0. When the optimiser has a schedule, that scales it too:
        it stands for a schedule that begins at 1.
    weight_decay : float, optional
        Of these parameters, at least 0.

    Notes
    -----
    What is None is taken from the optimiser. Of several groups with the same parameters the last
    one counts.
    """

    layers: Iterable[int] | None = None
    weights: bool = True
    biases: bool = True
    learning_rate: float | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        checks.flag("weights", self.weights)
        checks.flag("biases", self.biases)
        for name in ("learning_rate", "weight_decay"):
            if getattr(self, name) is not None:
                checks.at_least_zero(name, getattr(self, name))
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(checks.layer_indices(self.layers, 2**31)))


@dataclass(frozen=True, repr=False)
class Optimizer(ABC):
    """What every optimiser has.

    Parameters
    ----------
    learning_rate : float or callable
        Above 0; or a schedule such as `CosineDecay`, or any function of the number of the
        update, counted from 0.
    weight_decay : float, default=0.0
        Decoupled decay: before each update the parameters, biases too, are multiplied by
        1 - learning_rate weight_decay (Loshchilov and Hutter, ICLR 2019). Not the same as a
        penalty, which is ``MLP(l2=...)``.
    groups : sequence of Group, optional
        Parameters with another learning rate or decay.

    Attributes
    ----------
    code : int
        What the kernels know it by.
    n_slots : int
        Numbers that it keeps for each parameter.
    """

    learning_rate: Rate = 0.001
    weight_decay: float = field(default=0.0, kw_only=True)
    groups: tuple[Group, ...] = field(default=(), kw_only=True)

    code: ClassVar[int]
    n_slots: ClassVar[int]

    def __post_init__(self) -> None:
        check_rate("learning_rate", self.learning_rate)
        checks.at_least_zero("weight_decay", self.weight_decay)
        given: Any = self.groups
        groups = tuple(given) if isinstance(given, Iterable) else (given,)
        for group in groups:
            if not isinstance(group, Group):
                raise TypeError(f"groups must hold Group objects; got {group!r}")
        object.__setattr__(self, "groups", groups)

    def __repr__(self) -> str:
        values = [
            f"{item.name}={getattr(self, item.name)!r}"
            for item in sorted(fields(self), key=lambda item: bool(item.kw_only))
            if not item.kw_only or getattr(self, item.name) != item.default
        ]
        return f"{type(self).__name__}({', '.join(values)})"

    @property
    def first_rate(self) -> float:
        """The learning rate of the first update."""
        rate = self.learning_rate
        return float(rates_of(rate, 0, 1)[0]) if callable(rate) else float(rate)

    @abstractmethod
    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them; what changes stays."""

    def reset(self, scalars: Scalars) -> None:
        """Write the hyper-parameters and the state before the first update."""
        scalars[:] = 0.0
        self.write(scalars)

    def group_table(self, n_layers: int) -> Scalars:
        """Factor of the learning rate and decay, of the weights and biases of each layer."""
        table = np.empty((n_layers, 2, 2))
        table[:] = 1.0, self.weight_decay
        for group in self.groups:
            kinds = [kind for kind, taken in enumerate((group.weights, group.biases)) if taken]
            for layer in checks.layer_indices(group.layers, n_layers):
                if group.learning_rate is not None:
                    rate = 1.0 if callable(self.learning_rate) else self.learning_rate
                    table[layer, kinds, 0] = group.learning_rate / rate
                if group.weight_decay is not None:
                    table[layer, kinds, 1] = group.weight_decay
        return table.reshape(-1)
