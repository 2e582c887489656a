"""Optimisers as small immutable objects: names, defaults and checks of hyper-parameters.

The formulas, with their papers, are in ``kernels/optimizers.py``; the state that changes belongs to
the net.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels import optimizers, updates
from fastbp.model.schedules import (
    NOMINAL_UPDATES,
    Rate,
    check_rate,
    rate_in_updates,
    rates_of,
)

Scalars = npt.NDArray[np.float64]


@checks.explained_class
@dataclass(frozen=True)
class Group:
    """A group of parameters with its own learning rate or weight decay.

    Parameters
    ----------
    layers : iterable of int, optional
        Which layers, counted from 0 at the inputs; all by default.
    weights, biases : bool, default=True
        Whether the group has the weights, the biases or both.
    learning_rate : float, optional
        Learning rate of the group, at least 0. A schedule of the optimiser scales it too: write
        the rate for a schedule that begins at 1.
    weight_decay : float, optional
        Weight decay of the group, at least 0.

    Notes
    -----
    What is None is taken from the optimiser. Where groups overlap, the last one counts.

    Examples
    --------
    The weights of the first layer learn at a tenth of the rate of the others:

    >>> import numpy as np
    >>> from fastbp import MLP, Adam, Group
    >>> slow = Group(layers=[0], biases=False, learning_rate=1e-4)
    >>> net = MLP((2, 3, 1), optimizer=Adam(1e-3, groups=[slow]), seed=0)
    >>> before = net.params.copy()
    >>> loss = net.step([[1.0, 2.0]], [3.0])
    >>> steps = np.abs(net.params - before)
    >>> bool(steps[:6].max() < 0.2 * steps[6:].max())
    True
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
    """The base of all optimisers.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
        A number above 0, a schedule such as `CosineDecay`, or any function of the update's index,
        counted from 0.
    weight_decay : float, default=0.0
        Decoupled decay: before each update the parameters, biases too, are multiplied by
        1 - learning_rate weight_decay (Loshchilov and Hutter, ICLR 2019). Not the same as a
        penalty, which is ``MLP(l2=...)``.
    groups : sequence of Group, default=()
        Groups of parameters with another learning rate or decay.

    Attributes
    ----------
    code : int
        By which the kernels know it.
    n_slots : int
        Values that it keeps for each parameter, such as Adam's two moments.

    Examples
    --------
    The optimiser of a net can be replaced; one of the same class keeps its state:

    >>> from fastbp import MLP, Adam
    >>> net = MLP((2, 3, 1), optimizer="adam", seed=0)
    >>> net.optimizer = Adam(learning_rate=1e-4, weight_decay=0.01)
    >>> net.optimizer
    Adam(learning_rate=0.0001, beta_1=0.9, beta_2=0.999, epsilon=1e-08, weight_decay=0.01)
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
                raise TypeError(
                    f"groups must hold Group objects; got {checks.described(group)}"
                    f"{checks.instead('groups', group, (), Group)}"
                )
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
        """The learning rate of the first update; of long epochs, where it depends on them."""
        rate = rate_in_updates(self.learning_rate, NOMINAL_UPDATES)
        return float(rates_of(rate, 0, 1)[0]) if callable(rate) else float(rate)

    @abstractmethod
    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them; the state stays as it is."""

    def reset(self, scalars: Scalars) -> None:
        """Write the hyper-parameters and the state before the first update."""
        scalars[:] = 0.0
        self.write(scalars)

    def group_table(self, n_layers: int) -> Scalars:
        """Rate factors and decays, shape (n_layers, weights and biases, factor and decay), flat."""
        table = np.empty((n_layers, 2, 2))
        table[:] = 1.0, self.weight_decay
        for group in self.groups:
            chosen = [i for i, taken in enumerate((group.weights, group.biases)) if taken]
            for layer in checks.layer_indices(group.layers, n_layers):
                if group.learning_rate is not None:
                    rate = 1.0 if callable(self.learning_rate) else self.learning_rate
                    table[layer, chosen, 0] = group.learning_rate / rate
                if group.weight_decay is not None:
                    table[layer, chosen, 1] = group.weight_decay
        return table.reshape(-1)


@checks.explained_class
@dataclass(frozen=True, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum and Nesterov's momentum.

    ``u = momentum u + g``; ``w -= learning_rate u``, with `nesterov` ``w -= learning_rate
    (g + momentum u)``.

    Parameters
    ----------
    learning_rate : float or callable, default=0.01
        A number above 0, a schedule, or a function of the update's index.
    momentum : float, default=0.0
        At least 0 and below 1.
    nesterov : bool, default=False
        Needs a momentum above 0.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Polyak 1964; Nesterov 1983 in the form of Sutskever et al., ICML 2013, as in PyTorch.

    Examples
    --------
    >>> from fastbp import MLP, SGD
    >>> net = MLP((1, 1), optimizer=SGD(0.5), weight_init="zeros")
    >>> net.step([[1.0]], [4.0])  # the loss before the update, 1/2 (0 - 4)^2
    8.0
    >>> net.weights[0].item(), net.biases[0].item()  # each has moved by 0.5 * 4
    (2.0, 2.0)
    """

    learning_rate: Rate = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    code: ClassVar[int] = updates.SGD
    n_slots: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.fraction("momentum", self.momentum)
        checks.flag("nesterov", self.nesterov)
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov=True needs a momentum above 0, such as 0.9")

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[optimizers.LEARNING_RATE] = self.first_rate
        scalars[optimizers.MOMENTUM] = self.momentum
        scalars[optimizers.NESTEROV] = self.nesterov


@checks.explained_class
@dataclass(frozen=True, repr=False)
class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square.

    ``m = beta_1 m + (1 - beta_1) g``; ``v = beta_2 v + (1 - beta_2) g^2``; ``w -= learning_rate
    m / (1 - beta_1^t) / (sqrt(v / (1 - beta_2^t)) + epsilon)``.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
        A number above 0, a schedule, or a function of the update's index.
    beta_1, beta_2 : float, default=0.9 and 0.999
        At least 0 and below 1.
    epsilon : float, default=1e-8
        Above 0.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Kingma and Ba, ICLR 2015, algorithm 1.

    Examples
    --------
    >>> from fastbp import MLP, Adam, CosineDecay
    >>> optimizer = Adam(CosineDecay(1e-2, epochs=50), beta_2=0.99)
    >>> net = MLP((4, 16, 3), loss="cross_entropy", optimizer=optimizer, seed=0)
    >>> net.optimizer == optimizer
    True
    """

    learning_rate: Rate = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    code: ClassVar[int] = updates.ADAM
    n_slots: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta_1", "beta_2"):
            checks.fraction(name, getattr(self, name))
        checks.positive("epsilon", self.epsilon)

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[optimizers.LEARNING_RATE] = self.first_rate
        scalars[optimizers.BETA_1] = self.beta_1
        scalars[optimizers.BETA_2] = self.beta_2
        scalars[optimizers.EPSILON] = self.epsilon


@checks.explained_class
@dataclass(frozen=True, repr=False)
class AdamW(Adam):
    """Adam with decoupled weight decay: `Adam` with another default.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-08
        As in `Adam`.
    weight_decay : float, default=0.01
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Loshchilov and Hutter, ICLR 2019, algorithm 2; the decay times the rate, as in PyTorch.

    Examples
    --------
    >>> from fastbp import MLP, AdamW
    >>> net = MLP((4, 16, 1), optimizer=AdamW(1e-3, weight_decay=0.05), seed=0)
    >>> net.optimizer
    AdamW(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08, weight_decay=0.05)
    """

    weight_decay: float = field(default=0.01, kw_only=True)


@checks.explained_class
@dataclass(frozen=True, repr=False)
class AMSGrad(Adam):
    """Adam that divides by the largest mean of squares so far.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-08
        As in `Adam`.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Reddi et al., ICLR 2018, algorithm 2; the maximum is taken before the bias correction, as in
    PyTorch.

    Examples
    --------
    >>> from fastbp import MLP, AMSGrad
    >>> net = MLP((4, 16, 1), optimizer=AMSGrad(1e-3, beta_2=0.99), seed=0)
    >>> net.optimizer
    AMSGrad(learning_rate=0.001, beta_1=0.9, beta_2=0.99, epsilon=1e-08)
    """

    code: ClassVar[int] = updates.AMSGRAD
    n_slots: ClassVar[int] = 3


@checks.explained_class
@dataclass(frozen=True, repr=False)
class NAdam(Adam):
    """Adam with Nesterov's momentum.

    Parameters
    ----------
    learning_rate : float or callable, default=0.002
    beta_1, beta_2 : float, default=0.9 and 0.999
    epsilon : float, default=1e-08
        As in `Adam`.
    momentum_decay : float, default=0.004
        How fast the momentum approaches `beta_1`: in update t it is ``beta_1 (1 - 0.96^(t
        momentum_decay) / 2)``.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Dozat, ICLR workshop 2016, algorithm 8.

    Examples
    --------
    >>> from fastbp import MLP, NAdam
    >>> net = MLP((4, 16, 1), optimizer=NAdam(1e-3), seed=0)
    >>> net.optimizer
    NAdam(learning_rate=0.001, beta_1=0.9, beta_2=0.999, epsilon=1e-08, momentum_decay=0.004)
    """

    learning_rate: Rate = 0.002
    momentum_decay: float = 0.004

    code: ClassVar[int] = updates.NADAM

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.at_least_zero("momentum_decay", self.momentum_decay)

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        super().write(scalars)
        scalars[optimizers.MOMENTUM_DECAY] = self.momentum_decay

    def reset(self, scalars: Scalars) -> None:
        """Write the hyper-parameters and the state before the first update."""
        super().reset(scalars)
        scalars[optimizers.MOMENTA] = 1.0


@checks.explained_class
@dataclass(frozen=True, repr=False)
class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of the squared gradient.

    ``v = rho v + (1 - rho) g^2``; ``u = momentum u + g / (sqrt(v) + epsilon)``; ``w -=
    learning_rate u``. When `centered`, the square of the running mean of g is subtracted from v.

    Parameters
    ----------
    learning_rate : float or callable, default=0.001
        A number above 0, a schedule, or a function of the update's index.
    rho : float, default=0.9
        At least 0 and below 1.
    momentum : float, default=0.0
        At least 0 and below 1.
    epsilon : float, default=1e-7
        Above 0.
    centered : bool, default=False
        Whether to divide by the standard deviation.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Tieleman and Hinton, lecture 6e of Neural Networks for Machine Learning, 2012; centered:
    Graves 2013, arXiv 1308.0850. Defaults as in Keras.

    Examples
    --------
    >>> from fastbp import MLP, RMSprop
    >>> net = MLP((4, 16, 1), optimizer=RMSprop(1e-3, momentum=0.9), seed=0)
    >>> net.optimizer
    RMSprop(learning_rate=0.001, rho=0.9, momentum=0.9, epsilon=1e-07, centered=False)
    """

    learning_rate: Rate = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    code: ClassVar[int] = updates.RMSPROP
    n_slots: ClassVar[int] = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.fraction("rho", self.rho)
        checks.fraction("momentum", self.momentum)
        checks.positive("epsilon", self.epsilon)
        checks.flag("centered", self.centered)

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[optimizers.LEARNING_RATE] = self.first_rate
        scalars[optimizers.RHO] = self.rho
        scalars[optimizers.MOMENTUM] = self.momentum
        scalars[optimizers.EPSILON] = self.epsilon
        scalars[optimizers.CENTERED] = self.centered


@checks.explained_class
@dataclass(frozen=True, repr=False)
class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients.

    ``v = v + g^2``; ``w -= learning_rate g / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    learning_rate : float or callable, default=0.01
        A number above 0, a schedule, or a function of the update's index.
    epsilon : float, default=1e-10
        Above 0.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Duchi, Hazan and Singer, JMLR 12, 2011, figure 1. Defaults as in PyTorch.

    Examples
    --------
    >>> from fastbp import MLP, Adagrad
    >>> net = MLP((4, 16, 1), optimizer=Adagrad(0.1), seed=0)
    >>> net.optimizer
    Adagrad(learning_rate=0.1, epsilon=1e-10)
    """

    learning_rate: Rate = 0.01
    epsilon: float = 1e-10

    code: ClassVar[int] = updates.ADAGRAD
    n_slots: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("epsilon", self.epsilon)

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[optimizers.LEARNING_RATE] = self.first_rate
        scalars[optimizers.EPSILON] = self.epsilon


@checks.explained_class
@dataclass(frozen=True, repr=False)
class Adadelta(Optimizer):
    """Steps in units of the parameters: their size follows that of the steps before.

    ``v = rho v + (1 - rho) g^2``; ``d = g sqrt(u + epsilon) / sqrt(v + epsilon)``; ``u = rho u +
    (1 - rho) d^2``; ``w -= learning_rate d``.

    Parameters
    ----------
    learning_rate : float or callable, default=1.0
        A number above 0, a schedule, or a function of the update's index.
    rho : float, default=0.9
        At least 0 and below 1.
    epsilon : float, default=1e-6
        Above 0.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Zeiler 2012, arXiv 1212.5701, algorithm 1. Defaults as in PyTorch.

    Examples
    --------
    >>> from fastbp import MLP, Adadelta
    >>> net = MLP((4, 16, 1), optimizer=Adadelta(rho=0.95), seed=0)
    >>> net.optimizer
    Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-06)
    """

    learning_rate: Rate = 1.0
    rho: float = 0.9
    epsilon: float = 1e-6

    code: ClassVar[int] = updates.ADADELTA
    n_slots: ClassVar[int] = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.fraction("rho", self.rho)
        checks.positive("epsilon", self.epsilon)

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[optimizers.LEARNING_RATE] = self.first_rate
        scalars[optimizers.RHO] = self.rho
        scalars[optimizers.EPSILON] = self.epsilon


@checks.explained_class
@dataclass(frozen=True, repr=False)
class Lion(Optimizer):
    """Steps of a fixed size along the sign of a running mean of the gradient.

    ``w -= learning_rate sign(beta_1 m + (1 - beta_1) g)``; ``m = beta_2 m + (1 - beta_2) g``.

    Parameters
    ----------
    learning_rate : float or callable, default=0.0001
        A number above 0, a schedule, or a function of the update's index.
    beta_1, beta_2 : float, default=0.9 and 0.99
        At least 0 and below 1.
    weight_decay : float, default=0.0
    groups : sequence of Group, default=()
        Decoupled decay, and parameters with another rate or decay: see `Optimizer`.

    Notes
    -----
    Chen et al., NeurIPS 2023, algorithm 2.

    Examples
    --------
    >>> from fastbp import MLP, Lion
    >>> net = MLP((4, 16, 1), optimizer=Lion(1e-4, weight_decay=0.1), seed=0)
    >>> net.optimizer
    Lion(learning_rate=0.0001, beta_1=0.9, beta_2=0.99, weight_decay=0.1)
    """

    learning_rate: Rate = 0.0001
    beta_1: float = 0.9
    beta_2: float = 0.99

    code: ClassVar[int] = updates.LION
    n_slots: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("beta_1", "beta_2"):
            checks.fraction(name, getattr(self, name))

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters where the kernels read them."""
        scalars[optimizers.LEARNING_RATE] = self.first_rate
        scalars[optimizers.BETA_1] = self.beta_1
        scalars[optimizers.BETA_2] = self.beta_2


OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.__name__.lower(): optimizer
    for optimizer in (SGD, Adam, AdamW, AMSGrad, NAdam, RMSprop, Adagrad, Adadelta, Lion)
}
"""Names, for ``MLP(optimizer=...)``."""


def as_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """An optimiser from its name (with its defaults) or from an `Optimizer`."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    names = ", ".join(map(repr, OPTIMIZERS))
    accepted = f"one of {names} or an object such as Adam(learning_rate=1e-3)"
    if isinstance(optimizer, str):
        if optimizer in OPTIMIZERS:
            return OPTIMIZERS[optimizer]()
        raise ValueError(
            f"optimizer must be {accepted}; got {optimizer!r}"
            f"{checks.instead('optimizer', optimizer, OPTIMIZERS)}"
        )
    raise TypeError(
        f"optimizer must be {accepted}; got {checks.described(optimizer)}"
        f"{checks.instead('optimizer', optimizer, OPTIMIZERS, Optimizer)}"
    )
