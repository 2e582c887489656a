"""Updates of the parameters: which optimiser, at which rate, on which of them.

The formulas of the optimisers are in optimizers.py, penalties, clipping and norms in
regularization.py.
"""

import math

import numpy as np

from fastbp.kernels.layout import BIASES, N_IN, N_OUT, WEIGHTS
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
from fastbp.kernels.regularization import clip_norm, clip_values, limit_norms, penalize, scale
from fastbp.kernels.state import (
    CLIP_NORM,
    CLIP_VALUE,
    GROUPS,
    MAX_NORM,
    RATES,
    REGULATED,
    SCHEDULED,
    column,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, store

NO_UPDATE = 0
"""The code that leaves the parameters alone."""
SGD, ADAM, AMSGRAD, NADAM, RMSPROP, ADAGRAD, ADADELTA, LION = range(1, 9)
"""Codes of the optimisers."""


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


@kernel
def update_group(network, optimizer, group, start, count, g):
    """Update parameters with the learning rate and decay of their group."""
    at = GROUPS + 2 * group
    factor, decay = load(optimizer.rules, at), load(optimizer.rules, at + 1)
    if factor > 0.0:
        update(optimizer, network.params, network.n_params, start, count, g, factor, decay)


@kernel
def shape_gradient(network, optimizer, layer, done, units, g, count):
    """Penalties and the clipping of values, on `count` numbers at g."""
    penalize(network, optimizer, layer, done, units, g)
    limit = load(optimizer.rules, CLIP_VALUE)
    if limit > 0.0:
        clip_values(g, limit, count)


@kernel
def update_units(network, optimizer, layer, done, units, g, has_biases):
    """Update `units` units after the first `done`; g is shaped, biases stand behind weights.

    Weights with a learning rate of 0 are not limited either.
    """
    n_in = column(network, layer, N_IN)
    start, count = column(network, layer, WEIGHTS) + done * n_in, units * n_in
    update_group(network, optimizer, 2 * layer, start, count, g)
    limit = load(optimizer.rules, MAX_NORM)
    if limit > 0.0 and load(optimizer.rules, GROUPS + 4 * layer) > 0.0:
        limit_norms(network, optimizer, limit, start, n_in, units)
    if has_biases:
        n_out = column(network, layer, N_OUT)
        update_group(network, optimizer, 2 * layer + 1, start + count, n_out, advance(g, count))


@kernel
def update_by_rules(network, optimizer, layer, done, units, g, has_biases):
    """As `update`, of a block of units, with regularisation and groups."""
    count = units * column(network, layer, N_IN)
    if has_biases:
        count += column(network, layer, N_OUT)
    shape_gradient(network, optimizer, layer, done, units, g, count)
    update_units(network, optimizer, layer, done, units, g, has_biases)


@kernel
def update_all(network, optimizer, grad):
    """Update all parameters; their gradient stands at grad."""
    count = network.n_params
    if load(optimizer.rules, REGULATED) == 0.0:
        update(optimizer, network.params, count, 0, count, grad, 1.0, 0.0)
        return
    for layer in range(network.n_layers):
        g, units = advance(grad, column(network, layer, WEIGHTS)), column(network, layer, N_OUT)
        length = units * column(network, layer, N_IN)
        if column(network, layer, BIASES) >= 0:
            length += units
        shape_gradient(network, optimizer, layer, 0, units, g, length)
    limit = load(optimizer.rules, CLIP_NORM)
    if limit > 0.0:
        clip_norm(grad, optimizer, limit, count)
    for layer in range(network.n_layers):
        g, units = advance(grad, column(network, layer, WEIGHTS)), column(network, layer, N_OUT)
        has_biases = column(network, layer, BIASES) >= 0
        update_units(network, optimizer, layer, 0, units, g, has_biases)
