"""Every optimiser's step by its paper's formula, and by the kernels.

SGD and Adam are those of ``fastbp/plain.py``, the others are written in NumPy. All take means, as
the papers do, and not sums as ``kernels/optimizers.py``.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from entry_points import entry_point

from fastbp import plain
from fastbp.kernels import optimizers as steps
from fastbp.kernels import state, updates
from fastbp.kernels.state import OptimizerState
from fastbp.kernels.updates import begin_update, update
from fastbp.machine.simd import pointer

SLOTS = 3


@entry_point
def run_update(code, scalars, slots, frozen, settings, params, gradient, start, count, factor,
               decay):  # fmt: skip
    state = OptimizerState(
        code, pointer(scalars, 0), pointer(slots, 0), pointer(frozen, 0), pointer(settings, 0),
        params.shape[0], frozen.shape[0], 1.0,
    )  # fmt: skip
    begin_update(state)
    update(
        state, pointer(params, 0), start, count, pointer(gradient, 0), factor, decay,
    )  # fmt: skip


class Formula:
    """An optimiser with its hyper-parameters, its step in float64 and what the kernels read."""

    def __init__(self, name, **values) -> None:
        self.name = name
        self.values = values
        self.code = getattr(updates, name)
        self.start_afresh()

    @classmethod
    def of(cls, optimizer):
        """The formula of an optimiser without decay, groups and a schedule."""
        formula = cls(type(optimizer).__name__.upper())
        formula.take(optimizer)
        return formula

    def take(self, optimizer):
        """Go on with the hyper-parameters of another optimiser of the same class."""
        values = {item.name.upper(): getattr(optimizer, item.name) for item in fields(optimizer)}
        assert values.pop("WEIGHT_DECAY") == 0
        assert values.pop("GROUPS") == ()
        self.values = values

    def start_afresh(self):
        self.scalars, self.step, self.memory = np.zeros(steps.N_SCALARS), 0, {}
        self.scalars[steps.MOMENTA] = 1.0
        for name, value in self.values.items():
            self.scalars[getattr(steps, name)] = value
        return self

    def remember(self, name, count):
        return self.memory.setdefault(name, np.zeros(count))

    def update(self, w, g, factor=1.0, decay=0.0, frozen=False):
        """The new parameters."""
        self.step += 1
        rate = self.values["LEARNING_RATE"] * factor
        before = {name: values.copy() for name, values in self.memory.items()}
        new = w * (1 - rate * decay) - rate * STEPS[self.name](self, g, **self.values)
        for name, values in self.memory.items():
            self.memory[name] = np.where(frozen, before.get(name, 0.0), values)
        return np.where(frozen, w, new)

    def run(self, slots, params, gradient, start=0, count=None, frozen=None, rates=(), first=0,
            factor=1.0, decay=0.0):  # fmt: skip
        """The same by the kernels, in place."""
        frozen = np.zeros(0, np.uint8) if frozen is None else frozen
        settings = np.concatenate([np.zeros(state.GROUPS), rates])
        settings[state.SCHEDULED], settings[state.RATES] = len(rates) > 0, state.GROUPS - first
        run_update(
            self.code, self.scalars, slots, frozen, settings, params, gradient, start,
            len(params) if count is None else count, factor, decay,
        )  # fmt: skip

    def __repr__(self) -> str:
        values = [str(value) for name, value in self.values.items() if name != "LEARNING_RATE"]
        return "-".join([self.name, *values])


def sgd(o, g, MOMENTUM=0.0, NESTEROV=False, **_):
    """The step itself, by `plain`: where a rate of -1 leads from 0."""
    step = np.zeros(len(g))
    u = o.remember("u", len(g))
    plain.sgd(step, u, g, -1.0, MOMENTUM)
    return g + MOMENTUM * u if NESTEROV else step


def adam(o, g, BETA_1, BETA_2, EPSILON, **_):
    """As `sgd`."""
    step = np.zeros(len(g))
    m = o.remember("m", len(g))
    v = o.remember("v", len(g))
    plain.adam(step, m, v, g, o.step, -1.0, BETA_1, BETA_2, EPSILON)
    return step


def moments(o, g, b1, b2):
    o.memory["m"] = m = b1 * o.remember("m", len(g)) + (1 - b1) * g
    o.memory["v"] = v = b2 * o.remember("v", len(g)) + (1 - b2) * g * g
    return m, v, 1 - b1**o.step, 1 - b2**o.step


def amsgrad(o, g, BETA_1, BETA_2, EPSILON, **_):
    m, v, c1, c2 = moments(o, g, BETA_1, BETA_2)
    o.memory["h"] = h = np.maximum(o.remember("h", len(g)), v)
    return m / c1 / (np.sqrt(h / c2) + EPSILON)


def nadam(o, g, BETA_1, BETA_2, EPSILON, MOMENTUM_DECAY, **_):
    m, v, _, c2 = moments(o, g, BETA_1, BETA_2)
    mu = [BETA_1 * (1 - 0.5 * 0.96 ** (t * MOMENTUM_DECAY)) for t in range(1, o.step + 2)]
    now, then = np.prod(mu[:-1]), np.prod(mu)
    m_hat = mu[-1] * m / (1 - then) + (1 - mu[-2]) * g / (1 - now)
    return m_hat / (np.sqrt(v / c2) + EPSILON)


def rmsprop(o, g, RHO, MOMENTUM, EPSILON, CENTERED, **_):
    o.memory["v"] = v = RHO * o.remember("v", len(g)) + (1 - RHO) * g * g
    o.memory["m"] = m = RHO * o.remember("m", len(g)) + (1 - RHO) * g
    step = g / (np.sqrt(v - (m * m if CENTERED else 0)) + EPSILON)
    o.memory["u"] = u = MOMENTUM * o.remember("u", len(g)) + step
    return u


def adagrad(o, g, EPSILON, **_):
    o.memory["v"] = v = o.remember("v", len(g)) + g * g
    return g / (np.sqrt(v) + EPSILON)


def adadelta(o, g, RHO, EPSILON, **_):
    o.memory["v"] = v = RHO * o.remember("v", len(g)) + (1 - RHO) * g * g
    u = o.remember("u", len(g))
    step = g * np.sqrt(u + EPSILON) / np.sqrt(v + EPSILON)
    o.memory["u"] = RHO * u + (1 - RHO) * step * step
    return step


def lion(o, g, BETA_1, BETA_2, **_):
    m = o.remember("m", len(g))
    o.memory["m"] = BETA_2 * m + (1 - BETA_2) * g
    return np.sign(BETA_1 * m + (1 - BETA_1) * g)


STEPS = {
    "SGD": sgd, "ADAM": adam, "AMSGRAD": amsgrad, "NADAM": nadam, "RMSPROP": rmsprop,
    "ADAGRAD": adagrad, "ADADELTA": adadelta, "LION": lion,
}  # fmt: skip
"""What the learning rate multiplies."""

MOMENTS = {"LEARNING_RATE": 1e-2, "BETA_1": 0.9, "BETA_2": 0.999, "EPSILON": 1e-8}
OTHERS = {"LEARNING_RATE": 1e-2, "BETA_1": 0.25, "BETA_2": 0.5, "EPSILON": 1e-3}
ROOTS = {"LEARNING_RATE": 1e-2, "RHO": 0.9, "EPSILON": 1e-7}
OPTIMIZERS = [
    Formula("SGD", LEARNING_RATE=0.1),
    Formula("SGD", LEARNING_RATE=0.1, MOMENTUM=0.9),
    Formula("SGD", LEARNING_RATE=0.1, MOMENTUM=0.9, NESTEROV=True),
    Formula("ADAM", **MOMENTS),
    Formula("ADAM", **OTHERS | {"BETA_1": 0.0}),
    Formula("AMSGRAD", **MOMENTS),
    Formula("AMSGRAD", **OTHERS),
    Formula("NADAM", **MOMENTS, MOMENTUM_DECAY=0.004),
    Formula("NADAM", **OTHERS, MOMENTUM_DECAY=0.5),
    Formula("RMSPROP", **ROOTS, MOMENTUM=0.0, CENTERED=False),
    Formula("RMSPROP", **ROOTS, MOMENTUM=0.5, CENTERED=False),
    Formula("RMSPROP", **ROOTS | {"EPSILON": 1e-3}, MOMENTUM=0.0, CENTERED=True),
    Formula("RMSPROP", **ROOTS | {"EPSILON": 1e-3}, MOMENTUM=0.5, CENTERED=True),
    Formula("ADAGRAD", LEARNING_RATE=0.1, EPSILON=1e-10),
    Formula("ADADELTA", LEARNING_RATE=1.0, RHO=0.9, EPSILON=1e-6),
    Formula("LION", LEARNING_RATE=1e-2, BETA_1=0.9, BETA_2=0.99),
]
