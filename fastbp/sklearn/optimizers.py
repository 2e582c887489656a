"""The solvers of scikit-learn as optimisers, and the state that an estimator keeps of one."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.kernels.optimizers import EPSILON, EPSILON_UNCORRECTED, LEARNING_RATE
from fastbp.model.optimizers import SGD, Adam, Optimizer, Scalars, as_optimizer
from fastbp.model.pickles import check_scalars, own_array

SMALLEST_RATE = 1e-6
"""The adaptive rate is not lowered below this: training stops instead."""


@dataclass(frozen=True, repr=False)
class SolverSGD(SGD):
    """`SGD` that allows, as scikit-learn, a momentum of 1 and Nesterov's without momentum."""

    def __post_init__(self) -> None:
        Optimizer.__post_init__(self)


@dataclass(frozen=True, repr=False)
class SolverAdam(Adam):
    """`Adam` that adds `epsilon` before the bias of the second moment is corrected.

    The "epsilon hat" of Kingma and Ba 2015, section 2, as in scikit-learn. The kernels divide by
    the root of a sum of squares; it is the root of their mean divided by sqrt(1 - beta_2).
    """

    def write(self, scalars: Scalars) -> None:
        """Write the hyper-parameters to the entries that the kernels read."""
        super().write(scalars)
        scalars[EPSILON] = self.epsilon / math.sqrt(1.0 - self.beta_2)
        scalars[EPSILON_UNCORRECTED] = 1.0


def optimizer_of(estimator: Any) -> Optimizer:
    """The optimiser of an estimator's parameters."""
    decay = float(estimator.weight_decay)
    if estimator.optimizer is not None:
        given = as_optimizer(estimator.optimizer)
        return dataclasses.replace(given, weight_decay=decay) if decay else given
    rate = float(estimator.learning_rate_init)
    if estimator.solver != "adam":  # lbfgs does not use it
        momentum = float(estimator.momentum)
        return SolverSGD(rate, momentum, bool(estimator.nesterovs_momentum), weight_decay=decay)
    moments = float(estimator.beta_1), float(estimator.beta_2)
    return SolverAdam(rate, *moments, float(estimator.epsilon), weight_decay=decay)


class OptimizerMemory:
    """An optimiser, its state and its learning rate, from one `partial_fit` to the next.

    It keeps the hyper-parameters of the first call, as in scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor

    Attributes
    ----------
    optimizer : Optimizer
    learning_rate : float or callable
        The current rate, or the optimiser's schedule.
    scalars, slots : array or None
        The state that the kernels keep; None before the first epoch.
    """

    def __init__(self, estimator: Any) -> None:
        self.optimizer = optimizer_of(estimator)
        self.learning_rate: Any = self.optimizer.learning_rate
        by_rule = estimator.optimizer is None and estimator.solver == "sgd"
        self.rule = estimator.learning_rate if by_rule else "constant"
        self.power_t = float(estimator.power_t)
        self.scalars: Scalars | None = None
        self.slots: npt.NDArray[np.floating] | None = None

    def attach(self, net: Any) -> None:
        """Let the net continue from this state; it starts afresh if the shape differs."""
        slots = self.slots
        if slots is not None and (slots.shape, slots.dtype) == (net.state.slots.shape, net.dtype):
            check_scalars(self.scalars)
            net.state = net.state._replace(scalars=own_array(self.scalars), slots=own_array(slots))
        self.scalars = net.state.scalars
        self.slots = net.state.slots

    def end_epoch(self, samples: int) -> None:
        """Lower the rate of learning_rate="invscaling" after a total of `samples` rows."""
        if self.rule == "invscaling":
            start: Any = self.optimizer.learning_rate
            self.set_rate(float(start) / (samples + 1) ** self.power_t)

    def stops(self) -> str:
        """The message when training no longer improves: why it stops, or the new rate."""
        if self.rule != "adaptive":
            return "Stopping."
        if self.learning_rate <= SMALLEST_RATE:
            return "Learning rate too small. Stopping."
        self.set_rate(self.learning_rate / 5.0)
        return f"Setting learning rate to {self.learning_rate:f}"

    def set_rate(self, rate: float) -> None:
        """Change the learning rate but not the speed: scikit-learn's velocity includes the rate.

        The kernels' velocity u is scikit-learn's divided by the rate, so it grows as the rate
        falls. Lest it overflow, the rate has a lower bound, at which the gradient times the rate is
        negligible for any parameter.
        """
        self.learning_rate = rate
        if self.scalars is None or self.slots is None:
            return
        used = max(rate, float(np.finfo(self.slots.dtype).tiny) ** 0.5)
        self.slots *= self.scalars[LEARNING_RATE] / used
        self.scalars[LEARNING_RATE] = used
