"""Updates of the parameters: which optimiser, at which rate, on which of them.

The formulas of the optimisers are in optimizers.py, penalties, clipping and norms in
regularization.py. An update can be of a single block of units, because `backprop.backward` updates
each block as soon as its gradient is there: in the cache, which saves 8 % of a step, and without
a buffer for the gradient. Where the gradient of all parameters is needed first, `update_all`
updates at the end.

Legend: w parameters, g their gradient, s `OptimizerState.scalars`; a block of a layer is `units`
units after the first `done`, with the layer's biases behind the last one.
"""

import math

import numpy as np

from fastbp.kernels.optimizers import (
    BETA_1,
    BETA_2,
    EPSILON,
    EPSILON_UNCORRECTED,
    GRADIENT_FACTOR,
    LEARNING_RATE,
    MOMENTA,
    MOMENTUM_DECAY,
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
    first_parameter,
    has_biases,
    n_inputs,
    n_units,
    n_weights,
    parameters_of,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, store

NO_UPDATE = 0
"""The code that leaves the parameters alone."""
SGD, ADAM, AMSGRAD, NADAM, RMSPROP, ADAGRAD, ADADELTA, LION = range(1, 9)
"""Codes of the optimisers."""
LOG_OF_096 = math.log(0.96)


@kernel
def power_of_096(x):
    """0.96^x for x >= 0 to 1e-12: e^r by its series, r = x log 0.96 / 1024, squared ten times.

    Python's power would be a function of the C library, which objects do without.
    """
    r = max(LOG_OF_096 / 1024.0 * x, -0.7)  # beyond, the power is 0
    power = 1.0
    for k in range(14, 0, -1):
        power = 1.0 + power * r / k
    for _ in range(10):
        power *= power
    return power


@kernel
def nadam_factors(s, updates):
    """The factors of the gradient and of the moment in NAdam's step.

    With mu(t) = b1 (1 - 0.96^(t decay) / 2) and M(t) the product of mu(1) ... mu(t), the paper's
    step is (1 - mu(t)) / (1 - M(t)) g + mu(t + 1) / (1 - M(t + 1)) (1 - b1) m.
    """
    beta = load(s, BETA_1)
    decay = load(s, MOMENTUM_DECAY)
    now = beta * (1.0 - 0.5 * power_of_096(updates * decay))
    then = beta * (1.0 - 0.5 * power_of_096((updates + 1.0) * decay))
    momenta = load(s, MOMENTA) * now
    store(s, MOMENTA, momenta)
    return (1.0 - now) / (1.0 - momenta), then / (1.0 - momenta * then) * (1.0 - beta)


@kernel
def begin_update(optimizer):
    """Advance what changes once an update."""
    s = optimizer.scalars
    updates = load(s, UPDATES)
    if load(optimizer.settings, SCHEDULED) != 0.0:
        at = np.int64(updates + load(optimizer.settings, RATES))
        store(s, LEARNING_RATE, load(optimizer.settings, at))
    store(s, UPDATES, updates + 1.0)
    if optimizer.code == ADAM or optimizer.code == AMSGRAD or optimizer.code == NADAM:
        weights_1 = load(s, WEIGHTS_1) * load(s, BETA_1) + 1.0
        weights_2 = load(s, WEIGHTS_2) * load(s, BETA_2) + 1.0
        root = math.sqrt(weights_2)
        store(s, WEIGHTS_1, weights_1)
        store(s, WEIGHTS_2, weights_2)
        store(s, STEP_SIZE, root / weights_1)
        scaled = 1.0 if load(s, EPSILON_UNCORRECTED) != 0.0 else root
        store(s, SCALED_EPSILON, load(s, EPSILON) * scaled)
        if optimizer.code == NADAM:
            gradient_factor, moment_factor = nadam_factors(s, updates + 1.0)
            store(s, GRADIENT_FACTOR, gradient_factor * root)
            store(s, STEP_SIZE, moment_factor * root)


@kernel
def other_step(code, scalars, rate, w, g, slot, n_params, count):
    """A step of one of the optimisers that are called, and not inlined as SGD and Adam are."""
    second = advance(slot, n_params)
    third = advance(slot, 2 * n_params)
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
def update_run(optimizer, params, start, count, g, factor, decay):
    """Update `count` parameters from `start` on; their gradient stands at g.

    The learning rate is multiplied by `factor`. With a decay the parameters are first multiplied
    by 1 - rate decay (Loshchilov and Hutter 2019, algorithm 2, as PyTorch scales it).
    """
    s = optimizer.scalars
    w = advance(params, start)
    slot = advance(optimizer.slots, start)
    rate = load(s, LEARNING_RATE) * factor
    if decay != 0.0:
        scale(w, 1.0 - rate * decay, count)
    if optimizer.code == ADAM:
        adam(s, rate, w, g, slot, advance(slot, optimizer.n_params), count)
    elif optimizer.code == SGD:
        sgd(s, rate, w, g, slot, count)
    else:
        other_step(optimizer.code, s, rate, w, g, slot, optimizer.n_params, count)


@kernel
def update(optimizer, params, start, count, g, factor, decay):
    """Update those of `count` parameters that are not frozen, one run after the other."""
    if optimizer.n_frozen == 0:
        update_run(optimizer, params, start, count, g, factor, decay)
        return
    frozen = advance(optimizer.frozen, start)
    first = 0
    while first < count:
        after = first
        while after < count and load(frozen, after) == 0:
            after += 1
        if after > first:
            update_run(
                optimizer, params, start + first, after - first, advance(g, first), factor, decay,
            )  # fmt: skip
        first = after + 1


@kernel
def update_group(params, optimizer, group, start, count, g):
    """Update parameters with the learning rate and decay of their group."""
    pair = GROUPS + 2 * group
    factor = load(optimizer.settings, pair)
    decay = load(optimizer.settings, pair + 1)
    if factor > 0.0:
        update(optimizer, params, start, count, g, factor, decay)


@kernel
def shape_gradient(layer, optimizer, done, units, g, count):
    """Penalties and the clipping of values: the gradient of a block, `count` values at g."""
    penalize(layer, optimizer, done, units, g)
    limit = load(optimizer.settings, CLIP_VALUE)
    if limit > 0.0:
        clip_values(g, limit, count)


@kernel
def update_units(layer, optimizer, done, units, g, with_biases):
    """Update a block whose gradient has been shaped.

    Weights with a learning rate of 0 are not limited either.
    """
    number = layer.number
    k = n_inputs(layer)
    start = first_parameter(layer) + done * k
    count = units * k
    update_group(layer.params, optimizer, 2 * number, start, count, g)
    limit = load(optimizer.settings, MAX_NORM)
    if limit > 0.0 and load(optimizer.settings, GROUPS + 4 * number) > 0.0:
        limit_norms(layer.params, optimizer, limit, start, k, units)
    if with_biases:
        db = advance(g, count)
        update_group(layer.params, optimizer, 2 * number + 1, start + count, n_units(layer), db)


@kernel
def update_regulated(layer, optimizer, done, units, g, with_biases):
    """Update a block with regularisation and groups; the layer is a LayerParameters."""
    count = units * n_inputs(layer)
    if with_biases:
        count += n_units(layer)
    shape_gradient(layer, optimizer, done, units, g, count)
    update_units(layer, optimizer, done, units, g, with_biases)


@kernel
def update_all(network, optimizer, grad):
    """Update all parameters; their gradient stands at grad."""
    count = network.n_params
    if load(optimizer.settings, REGULATED) == 0.0:
        update(optimizer, network.params, 0, count, grad, 1.0, 0.0)
        return
    for number in range(network.n_layers):
        layer = parameters_of(network, number)
        length = n_weights(layer)
        if has_biases(layer):
            length += n_units(layer)
        g = advance(grad, first_parameter(layer))
        shape_gradient(layer, optimizer, 0, n_units(layer), g, length)
    limit = load(optimizer.settings, CLIP_NORM)
    if limit > 0.0:
        clip_norm(grad, optimizer, limit, count)
    for number in range(network.n_layers):
        layer = parameters_of(network, number)
        g = advance(grad, first_parameter(layer))
        update_units(layer, optimizer, 0, n_units(layer), g, has_biases(layer))
