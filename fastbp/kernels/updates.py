"""Optimiser steps over a range of the flat buffer; none has heard of layers.

Legend: w parameter, g its gradient, m and v its slots, t the number of this update.

========  ==========================================================================
SGD       u <- momentum u + g;  w <- w - rate u, with Nesterov w - rate (g + momentum u)
Adam      m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;
          w <- w - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)
========  ==========================================================================

SGD: Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013, section 2, as PyTorch
writes it. Adam: Kingma and Ba 2015, algorithm 1.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp._jit import kernel
from fastbp.simd import (
    advance,
    lanes,
    load,
    splat,
    store,
    vload,
    vmax,
    vquotient,
    vsqrt,
    vstore,
)

SGD, ADAM = 1, 2
"""Codes of the optimisers."""
NO_UPDATE = 0
"""The code that leaves the parameters alone."""

# Entries of OptimizerState.scalars.
LEARNING_RATE = 0
MOMENTUM, NESTEROV = 1, 2
BETA_1, BETA_2, EPSILON = 1, 2, 3
BETA_1_POWER, BETA_2_POWER = 4, 5
"""beta^t of the last update, 1 before the first."""
STEP_SIZE, SCALED_EPSILON = 6, 7
"""Adam's bias corrections folded into the rate and epsilon, once an update."""
N_SCALARS = 8


class OptimizerState(NamedTuple):
    """An optimiser as the kernels see it: arrays at the boundary, pointers within.

    Attributes
    ----------
    code : int
        SGD, ADAM or NO_UPDATE.
    scalars : float64, shape (N_SCALARS,)
        Hyper-parameters and what changes with every update.
    slots : float, shape (slots x parameters,)
        One buffer laid out like the parameters for each slot, one after the other.
    frozen : uint8, shape (parameters,) or (0,)
        1 for parameters that no update touches.
    n_frozen : int
        Length of `frozen`.
    """

    code: int
    scalars: npt.NDArray[np.float64]
    slots: npt.NDArray[np.floating]
    frozen: npt.NDArray[np.uint8]
    n_frozen: int


@kernel
def begin_update(optimizer):
    """Advance what changes once an update."""
    if optimizer.code == ADAM:
        s = optimizer.scalars
        power_1 = load(s, BETA_1_POWER) * load(s, BETA_1)
        power_2 = load(s, BETA_2_POWER) * load(s, BETA_2)
        root = math.sqrt(1.0 - power_2)
        store(s, BETA_1_POWER, power_1)
        store(s, BETA_2_POWER, power_2)
        store(s, STEP_SIZE, load(s, LEARNING_RATE) * root / (1.0 - power_1))
        store(s, SCALED_EPSILON, load(s, EPSILON) * root)


class SgdVectors(NamedTuple):
    """Hyper-parameters of SGD, one vector each."""

    rate: float
    momentum: float


@kernel
def sgd_vector(c, nesterov, w, g, u, tail):
    """One vector of SGD with momentum."""
    grad = vload(g, tail)
    velocity = vload(u, tail) * c.momentum + grad
    vstore(u, velocity, tail)
    step = grad + velocity * c.momentum if nesterov else velocity
    vstore(w, vload(w, tail) - step * c.rate, tail)


@kernel
def sgd(scalars, w, g, u, count):
    """One step of SGD on `count` parameters; `u` is not read without momentum."""
    momentum, nesterov = load(scalars, MOMENTUM), load(scalars, NESTEROV) != 0.0
    c = SgdVectors(splat(w, load(scalars, LEARNING_RATE)), splat(w, momentum))
    for i in range(0, count, lanes(w)):
        tail, p = count - i, advance(w, i)
        if momentum != 0.0:
            sgd_vector(c, nesterov, p, advance(g, i), advance(u, i), tail)
        else:
            vstore(p, vload(p, tail) - vload(advance(g, i), tail) * c.rate, tail)


class AdamVectors(NamedTuple):
    """Hyper-parameters of Adam, one vector each."""

    rate: float
    epsilon: float
    keep_1: float
    take_1: float
    keep_2: float
    root_2: float
    smallest: float


@kernel
def adam_vector(c, w, g, m, v, tail):
    """One vector of Adam.

    The bias corrections stand in the step size and epsilon: rate m / (1 - b1^t) / (sqrt(v /
    (1 - b2^t)) + eps) = step_size m / (sqrt v + eps sqrt(1 - b2^t)). v is at least the smallest
    normal number before its root, so that 0 / 0 is 0.
    """
    grad = vload(g, tail)
    mean = vload(m, tail) * c.keep_1 + grad * c.take_1
    scaled = grad * c.root_2
    square = vload(v, tail) * c.keep_2 + scaled * scaled
    vstore(m, mean, tail)
    vstore(v, square, tail)
    below = vsqrt(vmax(square, c.smallest)) + c.epsilon
    vstore(w, vload(w, tail) - vquotient(c.rate * mean, below), tail)


@kernel
def adam(scalars, w, g, m, v, count):
    """One step of Adam on `count` parameters."""
    beta_1, beta_2 = load(scalars, BETA_1), load(scalars, BETA_2)
    c = AdamVectors(
        splat(w, load(scalars, STEP_SIZE)), splat(w, load(scalars, SCALED_EPSILON)),
        splat(w, beta_1), splat(w, 1.0 - beta_1), splat(w, beta_2),
        splat(w, math.sqrt(1.0 - beta_2)), splat(w, 1.2e-38),
    )  # fmt: skip
    width = lanes(w)
    whole = count // width * width
    for i in range(0, whole, width):
        adam_vector(c, advance(w, i), advance(g, i), advance(m, i), advance(v, i), width)
    if whole < count:
        adam_vector(
            c, advance(w, whole), advance(g, whole), advance(m, whole), advance(v, whole),
            count - whole,
        )  # fmt: skip


@kernel
def update_run(optimizer, params, n_params, start, count, g):
    """Update `count` parameters from `start` on; their gradient stands at g."""
    w, slot = advance(params, start), advance(optimizer.slots, start)
    if optimizer.code == ADAM:
        adam(optimizer.scalars, w, g, slot, advance(slot, n_params), count)
    elif optimizer.code == SGD:
        sgd(optimizer.scalars, w, g, slot, count)
    else:
        raise ValueError("unknown optimizer code")


@kernel
def update(optimizer, params, n_params, start, count, g):
    """Update those of `count` parameters that are not frozen, one run after the other."""
    if optimizer.code == NO_UPDATE:
        return
    if optimizer.n_frozen == 0:
        update_run(optimizer, params, n_params, start, count, g)
        return
    frozen, first = advance(optimizer.frozen, start), 0
    while first < count:
        after = first
        while after < count and load(frozen, after) == 0:
            after += 1
        if after > first:
            run = after - first
            update_run(optimizer, params, n_params, start + first, run, advance(g, first))
        first = after + 1
