"""The solvers of scikit-learn as optimisers, and the state that an estimator keeps of one."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.warn import warn
from fastbp.kernels.optimizers import (
    EPSILON,
    EPSILON_UNCORRECTED,
    LEARNING_RATE,
    UPDATES,
)
from fastbp.model.optimizers import OPTIMIZERS, SGD, Adam, Optimizer, Scalars, as_optimizer
from fastbp.model.pickles import FORMAT, check_array, check_scalars
from fastbp.older import PickleError, check_format

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

    def correction(self, updates: float) -> float:
        """The factor of the learning rate after so many updates, Kingma and Ba, section 2."""
        factor: float = math.sqrt(1.0 - self.beta_2**updates) / (1.0 - self.beta_1**updates)
        return factor

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


_KINDS: list[type[Optimizer]] = [SolverSGD, SolverAdam, *OPTIMIZERS.values()]
KINDS = {kind.__name__: kind for kind in _KINDS}
"""Optimisers by the names that a pickled state has for them."""
RULES = ("constant", "invscaling", "adaptive")
STATE = {
    "format", "optimizer", "rule", "power_t", "rate", "layer_sizes", "scalars", "slots",
}  # fmt: skip
"""The parts of a pickled state."""


class OptimizerMemory:
    """An optimiser, its state and its learning rate, from one `partial_fit` to the next.

    It keeps the hyper-parameters of the first call, as in scikit-learn.

    Parameters
    ----------
    optimizer : Optimizer
    rule : {"constant", "invscaling", "adaptive"}, default="constant"
        How the learning rate of `SolverSGD` changes.
    power_t : float, default=0.5
        Exponent of "invscaling".

    Attributes
    ----------
    optimizer : Optimizer
    learning_rate : float or callable
        The current rate, or the optimiser's schedule. It may be set between two calls, but for
        the solver "adam", which as in scikit-learn computes it from `learning_rate_init`.
    learning_rate_init : float or callable
        The rate that "adam" and "invscaling" go by. It may be set.
    layer_sizes : tuple of int or None
        Those of the net whose state this is; None before the first epoch.
    scalars, slots : array or None
        The state that the kernels keep; None before the first epoch.
    """

    def __init__(self, optimizer: Optimizer, rule: str = "constant", power_t: float = 0.5) -> None:
        self.optimizer = optimizer
        self.rule = rule
        self.power_t = power_t
        self.rate: Any = optimizer.learning_rate
        self.layer_sizes: tuple[int, ...] | None = None
        self.scalars: Scalars | None = None
        self.slots: npt.NDArray[np.floating] | None = None

    @classmethod
    def of(cls, estimator: Any) -> OptimizerMemory:
        """The beginning, by an estimator's parameters."""
        by_rule = estimator.optimizer is None and estimator.solver == "sgd"
        rule = estimator.learning_rate if by_rule else "constant"
        return cls(optimizer_of(estimator), rule, float(estimator.power_t))

    def as_dict(self) -> dict[str, Any]:
        """Arrays, numbers and text, and the objects that an optimiser was made of: schedules."""
        optimizer = self.optimizer
        fields = {
            field.name: getattr(optimizer, field.name) for field in dataclasses.fields(optimizer)
        }
        known = KINDS.get(type(optimizer).__name__) is type(optimizer)
        return {
            "format": FORMAT,
            "optimizer": {"name": type(optimizer).__name__, **fields} if known else optimizer,
            "rule": self.rule,
            "power_t": self.power_t,
            "rate": self.rate,
            "layer_sizes": self.layer_sizes,
            "scalars": self.scalars,
            "slots": self.slots,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> OptimizerMemory:
        """What `as_dict` gave; arrays are copied. A PickleError for another format."""
        check_format("an optimizer", state.get("format"), FORMAT)
        if set(state) != STATE:
            raise PickleError(
                f"a pickled optimizer must have the parts {sorted(STATE)}; got {[*state]!r:.200}"
            )
        optimizer = state["optimizer"]
        if isinstance(optimizer, dict):
            given = {str(part): value for part, value in optimizer.items()}
            name = given.pop("name", None)
            if not isinstance(name, str) or name not in KINDS:
                raise PickleError(f"a pickled optimizer must be one of {[*KINDS]}; got {name!r}")
            known = [field.name for field in dataclasses.fields(KINDS[name])]
            if set(given) != set(known):
                raise PickleError(f"{name} must have the fields {known}; got {[*given]!r:.200}")
            optimizer = KINDS[name](**given)
        if not isinstance(optimizer, Optimizer):
            raise PickleError(
                f"a pickled optimizer must be one of fastbp's; got {optimizer!r:.100}"
            )
        rule = checks.choice("rule of a pickled optimizer", state["rule"], RULES)
        power_t = checks.at_least_zero("power_t of a pickled optimizer", state["power_t"])
        memory = cls(optimizer, rule, power_t)
        memory.rate = state["rate"]
        if not callable(memory.rate):
            checks.at_least_zero("rate of a pickled optimizer", memory.rate)
        sizes, scalars, slots = state["layer_sizes"], state["scalars"], state["slots"]
        memory.layer_sizes = None if sizes is None else checks.layer_sizes(sizes)
        memory.scalars = None if scalars is None else np.array(scalars)
        memory.slots = None if slots is None else np.array(slots)
        if memory.slots is not None:
            layers = pairwise(checks.layer_sizes(sizes))
            n_params = sum((n_in + 1) * n_out for n_in, n_out in layers)
            memory._check(optimizer.n_slots * n_params)
        return memory

    def _check(self, size: int) -> None:
        """Raise a PickleError unless the kernels can go by the state; `size` is that of `slots`."""
        single = getattr(self.slots, "dtype", None) == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        check_array("slots of a saved optimizer", self.slots, size, dtype)
        check_scalars(self.scalars)

    def attach(self, net: Any) -> None:
        """Let the net continue from this state; it starts afresh if the layers are others."""
        if self.slots is not None and self.layer_sizes == net.layer_sizes:
            self._check(net.state.slots.size)
            slots = self.slots.astype(net.dtype, copy=False)
            net.state = net.state._replace(scalars=self.scalars, slots=slots)
        self.layer_sizes = net.layer_sizes
        self.scalars = net.state.scalars
        self.slots = net.state.slots

    @property
    def learning_rate(self) -> Any:
        """The current rate, or the optimiser's schedule."""
        optimizer = self.optimizer
        if not isinstance(optimizer, SolverAdam) or self.scalars is None:
            return self.rate
        updates = float(self.scalars[UPDATES])
        rate = float(self.scalars[LEARNING_RATE])
        return rate * optimizer.correction(updates) if updates else rate

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        if isinstance(self.optimizer, SolverAdam):
            warn(
                "the solver 'adam' computes its learning_rate from learning_rate_init at each "
                "update, as in scikit-learn: set _optimizer.learning_rate_init."
            )
        elif isinstance(self.optimizer, SolverSGD):
            self.set_rate(checks.at_least_zero("learning_rate", rate))
        else:
            self.learning_rate_init = rate

    @property
    def learning_rate_init(self) -> Any:
        """The rate that "adam" and "invscaling" go by."""
        return self.optimizer.learning_rate

    @learning_rate_init.setter
    def learning_rate_init(self, rate: float) -> None:
        self.optimizer = dataclasses.replace(self.optimizer, learning_rate=rate)
        if isinstance(self.optimizer, SolverSGD):
            return  # what "invscaling" begins with
        self.rate = rate
        if self.scalars is not None:
            self.optimizer.write(self.scalars)

    def end_epoch(self, samples: int) -> None:
        """Lower the rate of learning_rate="invscaling" after a total of `samples` rows."""
        if self.rule == "invscaling":
            start: Any = self.optimizer.learning_rate
            self.set_rate(float(start) / (samples + 1) ** self.power_t)

    def stops(self) -> str:
        """The message when training no longer improves: why it stops, or the new rate."""
        if self.rule != "adaptive":
            return "Stopping."
        if self.rate <= SMALLEST_RATE:
            return "Learning rate too small. Stopping."
        self.set_rate(self.rate / 5.0)
        return f"Setting learning rate to {self.rate:f}"

    def set_rate(self, rate: float) -> None:
        """Change the learning rate but not the speed: scikit-learn's velocity includes the rate.

        The kernels' velocity u is scikit-learn's divided by the rate, so it grows as the rate
        falls. Lest it overflow, the rate has a lower bound, at which the gradient times the rate is
        negligible for any parameter.
        """
        self.rate = rate
        if self.scalars is None or self.slots is None:
            return
        used = max(rate, float(np.finfo(self.slots.dtype).tiny) ** 0.5)
        self.slots *= self.scalars[LEARNING_RATE] / used
        self.scalars[LEARNING_RATE] = used
