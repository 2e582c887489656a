"""Optimiser steps over a range of the flat buffer; none has heard of layers.

Legend: w parameter, g its gradient, m and v its slots, t the number of this update.

========  ==========================================================================
SGD       u <- momentum u + g;  w <- w - rate u, with Nesterov w - rate (g + momentum u)
Adam      m <- b1 m + g;  v <- b2 v + g^2;  a <- b1 a + 1;  c <- b2 c + 1;
          w <- w - rate (m / a) / (sqrt(v / c) + epsilon)
========  ==========================================================================

SGD: Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013, section 2, as PyTorch
writes it. Adam: Kingma and Ba 2015, algorithm 1, with sums in place of the paper's means: its
m_hat = m (1 - b1) / (1 - b1^t) is the weighted sum m over the sum a of the weights. That saves
three operations a parameter, and m / a stays a mean when b1 changes on the way.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp._jit import kernel
from fastbp.simd import (
    advance,
    is_single,
    lanes,
    load,
    splat,
    store,
    vload,
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
WEIGHTS_1, WEIGHTS_2 = 4, 5
"""Sums of the weights of Adam's moments, 0 before the first update."""
STEP_SIZE, SCALED_EPSILON = 6, 7
"""The sums of the weights folded into the rate and epsilon, once an update."""
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
        weights_1 = load(s, WEIGHTS_1) * load(s, BETA_1) + 1.0
        weights_2 = load(s, WEIGHTS_2) * load(s, BETA_2) + 1.0
        root = math.sqrt(weights_2)
        store(s, WEIGHTS_1, weights_1)
        store(s, WEIGHTS_2, weights_2)
        store(s, STEP_SIZE, load(s, LEARNING_RATE) * root / weights_1)
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
    beta_1: float
    beta_2: float
    smallest: float


@kernel
def adam_vector(x, w, g, m, v, tail):
    """One vector of Adam.

    The sums of the weights stand in the step size and epsilon: rate (m / a) / (sqrt(v / c) +
    eps) = (rate sqrt c / a) m / (sqrt v + eps sqrt c). The smallest normal number is added to v
    in each update, so that 0 / 0 is 0; it is nothing beside the square of any epsilon.
    """
    grad = vload(g, tail)
    moment = vload(m, tail) * x.beta_1 + grad
    square = (vload(v, tail) * x.beta_2 + x.smallest) + grad * grad
    vstore(m, moment, tail)
    vstore(v, square, tail)
    vstore(w, vload(w, tail) - vquotient(moment, vsqrt(square) + x.epsilon) * x.rate, tail)


@kernel
def adam(scalars, w, g, m, v, count):
    """One step of Adam on `count` parameters."""
    rate, width = splat(w, load(scalars, STEP_SIZE)), lanes(w)
    x = AdamVectors(
        rate, splat(w, load(scalars, SCALED_EPSILON)), splat(w, load(scalars, BETA_1)),
        splat(w, load(scalars, BETA_2)), splat(w, 1.2e-38 if is_single(rate) else 2.3e-308),
    )  # fmt: skip
    whole = count // width * width
    for i in range(0, whole, width):
        adam_vector(x, advance(w, i), advance(g, i), advance(m, i), advance(v, i), width)
    if whole < count:
        adam_vector(
            x, advance(w, whole), advance(g, whole), advance(m, whole), advance(v, whole),
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
