"""Updates of the flat buffer: which optimiser, at which rate, on which parameters.

Nothing here has heard of layers. The formulas of the optimisers are in steps.py.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.kernels.optimizers import (
    BETA_1,
    BETA_2,
    EPSILON,
    EPSILON_AS_IT_IS,
    LEARNING_RATE,
    MOMENTA,
    MOMENTUM_DECAY,
    OF_GRADIENT,
    SCALED_EPSILON,
    STEP_SIZE,
    UPDATES,
    WEIGHTS_1,
    WEIGHTS_2,
    adadelta,
    adagrad,
    adam,
    amsgrad,
    lion,
    nadam,
    rmsprop,
    sgd,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, lanes, load, splat, store, vload, vstore

NO_UPDATE = 0
"""The code that leaves the parameters alone."""
SGD, ADAM, AMSGRAD, NADAM, RMSPROP, ADAGRAD, ADADELTA, LION = range(1, 9)
"""Codes of the optimisers."""

# Entries of OptimizerState.rules; a limit of 0 is none.
REGULATED = 0
"""Whether there is anything beside the plain update of all parameters alike."""
SCHEDULED, RATES = 1, 2
"""Whether there is a schedule; where the learning rate of update 0 stands, or would stand."""
L1, L2 = 3, 4
CLIP_VALUE, CLIP_NORM, MAX_NORM = 5, 6, 7
SUMMED, SUMMED_L1, SUMMED_L2 = 8, 9, 10
"""Whether the objective is a sum over the rows: then each batch shares out the penalties SUMMED_L1
and SUMMED_L2 over the sum of its sample weights, into L1 and L2, and counts by its rows in the
loss of an epoch."""
GROUPS = 11
"""From here on a pair for the weights and a pair for the biases of each layer: the factor of the
learning rate and the decay. Then the rates of a schedule."""


class OptimizerState(NamedTuple):
    """An optimiser as the kernels see it: arrays at the boundary, pointers within.

    Attributes
    ----------
    code : int
        One of the codes above.
    scalars : float64, shape (N_SCALARS,)
        Hyper-parameters and what changes with every update.
    slots : float, shape (slots x parameters,)
        One buffer laid out like the parameters for each slot, one after the other.
    frozen : uint8, shape (parameters,) or (0,)
        1 for parameters that no update touches.
    rules : float64, shape (GROUPS + 4 x layers + rates,)
        Regularisation, groups of parameters and the learning rates of the next updates.
    n_frozen : int
        Length of `frozen`.
    """

    code: int
    scalars: npt.NDArray[np.float64]
    slots: npt.NDArray[np.floating]
    frozen: npt.NDArray[np.uint8]
    rules: npt.NDArray[np.float64]
    n_frozen: int


@kernel
def nadam_factors(s, updates):
    """Of NAdam's step: the factors of the gradient and of the moment.

    With mu(t) = b1 (1 - 0.96^(t decay) / 2) and M(t) the product of mu(1) ... mu(t), the paper's
    step is (1 - mu(t)) / (1 - M(t)) g + mu(t + 1) / (1 - M(t + 1)) (1 - b1) m.
    """
    beta, decay = load(s, BETA_1), load(s, MOMENTUM_DECAY)
    now = beta * (1.0 - 0.5 * 0.96 ** (updates * decay))
    then = beta * (1.0 - 0.5 * 0.96 ** ((updates + 1.0) * decay))
    momenta = load(s, MOMENTA) * now
    store(s, MOMENTA, momenta)
    return (1.0 - now) / (1.0 - momenta), then / (1.0 - momenta * then) * (1.0 - beta)


@kernel
def begin_update(optimizer):
    """Advance what changes once an update."""
    s = optimizer.scalars
    updates = load(s, UPDATES)
    if load(optimizer.rules, SCHEDULED) != 0.0:
        at = np.int64(updates + load(optimizer.rules, RATES))
        store(s, LEARNING_RATE, load(optimizer.rules, at))
    store(s, UPDATES, updates + 1.0)
    if optimizer.code == ADAM or optimizer.code == AMSGRAD or optimizer.code == NADAM:
        weights_1 = load(s, WEIGHTS_1) * load(s, BETA_1) + 1.0
        weights_2 = load(s, WEIGHTS_2) * load(s, BETA_2) + 1.0
        root = math.sqrt(weights_2)
        store(s, WEIGHTS_1, weights_1)
        store(s, WEIGHTS_2, weights_2)
        store(s, STEP_SIZE, root / weights_1)
        scaled = 1.0 if load(s, EPSILON_AS_IT_IS) != 0.0 else root
        store(s, SCALED_EPSILON, load(s, EPSILON) * scaled)
        if optimizer.code == NADAM:
            of_gradient, of_moment = nadam_factors(s, updates + 1.0)
            store(s, OF_GRADIENT, of_gradient * root)
            store(s, STEP_SIZE, of_moment * root)


@kernel
def scale(w, factor, count):
    """w <- factor w."""
    for i in range(0, count, lanes(w)):
        p = advance(w, i)
        vstore(p, vload(p, count - i) * splat(w, factor), count - i)


@kernel
def other_step(code, scalars, rate, w, g, slot, n_params, count):
    """A step of those optimisers that are not built into the training loop: it calls them."""
    second, third = advance(slot, n_params), advance(slot, 2 * n_params)
    if code == AMSGRAD:
        amsgrad(scalars, rate, w, g, slot, second, third, count)
    elif code == NADAM:
        nadam(scalars, rate, w, g, slot, second, count)
    elif code == RMSPROP:
        rmsprop(scalars, rate, w, g, slot, second, third, count)
    elif code == ADAGRAD:
        adagrad(scalars, rate, w, g, slot, count)
    elif code == ADADELTA:
        adadelta(scalars, rate, w, g, slot, second, count)
    elif code == LION:
        lion(scalars, rate, w, g, slot, count)
    else:
        raise ValueError("unknown optimizer code")


@kernel
def update_run(optimizer, params, n_params, start, count, g, factor, decay):
    """Update `count` parameters from `start` on; their gradient stands at g.

    The learning rate is multiplied by `factor`. With a decay the parameters are first multiplied
    by 1 - rate decay (Loshchilov and Hutter 2019, algorithm 2, as PyTorch scales it).
    """
    w, slot, s = advance(params, start), advance(optimizer.slots, start), optimizer.scalars
    rate = load(s, LEARNING_RATE) * factor
    if decay != 0.0:
        scale(w, 1.0 - rate * decay, count)
    if optimizer.code == ADAM:
        adam(s, rate, w, g, slot, advance(slot, n_params), count)
    elif optimizer.code == SGD:
        sgd(s, rate, w, g, slot, count)
    else:
        other_step(optimizer.code, s, rate, w, g, slot, n_params, count)


@kernel
def update(optimizer, params, n_params, start, count, g, factor, decay):
    """Update those of `count` parameters that are not frozen, one run after the other."""
    if optimizer.n_frozen == 0:
        update_run(optimizer, params, n_params, start, count, g, factor, decay)
        return
    frozen, first = advance(optimizer.frozen, start), 0
    while first < count:
        after = first
        while after < count and load(frozen, after) == 0:
            after += 1
        if after > first:
            update_run(
                optimizer, params, n_params, start + first, after - first, advance(g, first),
                factor, decay,
            )  # fmt: skip
        first = after + 1
