"""The step of each optimiser, a loop over a range of the flat buffer.

Legend: w parameter, g its gradient; u, m, v, h its slots; t the number of this update, rate the
learning rate of these parameters. b1 and b2 are beta_1 and beta_2.

========  ==========================================================================
SGD       u <- momentum u + g;  w <- w - rate u, with Nesterov w - rate (g + momentum u)
Adam      m <- b1 m + g;  v <- b2 v + g^2;  a <- b1 a + 1;  c <- b2 c + 1;
          w <- w - rate (m / a) / (sqrt(v / c) + epsilon)
AMSGrad   as Adam, with h <- max(h, v) instead of v in the step
NAdam     as Adam, with p g + q m instead of m / a: see updates.nadam_factors
RMSprop   v <- rho v + (1 - rho) g^2;  m <- rho m + (1 - rho) g, when centered, else 0;
          u <- momentum u + g / (sqrt(v - m^2) + epsilon);  w <- w - rate u
Adagrad   v <- v + g^2;  w <- w - rate g / (sqrt v + epsilon)
Adadelta  v <- rho v + (1 - rho) g^2;  d = g sqrt(u + epsilon) / sqrt(v + epsilon);
          u <- rho u + (1 - rho) d^2;  w <- w - rate d
Lion      w <- w - rate sign(b1 m + (1 - b1) g);  m <- b2 m + (1 - b2) g
========  ==========================================================================

SGD: Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013, section 2, as PyTorch
writes it. Adam: Kingma and Ba 2015, algorithm 1, with sums instead of the paper's means: its
m_hat = m (1 - b1) / (1 - b1^t) is the weighted sum m over the sum a of the weights. That saves
three operations a parameter, and m / a stays a mean when b1 changes in training. AMSGrad: Reddi
et al. 2018, algorithm 2, with the maximum before the correction, as in PyTorch. NAdam: Dozat
2016, algorithm 8 with a growing momentum. RMSprop: Hinton's lecture 6e of 2012; centered:
Graves 2013, section 2. Adagrad: Duchi et al. 2011. Adadelta: Zeiler 2012, algorithm 1. Lion:
Chen et al. 2023, algorithm 2.
"""

from typing import NamedTuple

from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    is_single,
    lanes,
    load,
    splat,
    vload,
    vmax,
    vquotient,
    vsqrt,
    vstore,
    vwhere_greater,
)

# Entries of OptimizerState.scalars.
LEARNING_RATE = 0
UPDATES = 1
"""How many updates were made."""
MOMENTUM, NESTEROV = 2, 3
BETA_1, BETA_2, EPSILON = 2, 3, 4
RHO, CENTERED = 3, 5
"""RMSprop and Adadelta, beside MOMENTUM and EPSILON."""
WEIGHTS_1, WEIGHTS_2 = 5, 6
"""Sums of the weights of Adam's moments, 0 before the first update."""
STEP_SIZE, SCALED_EPSILON = 7, 8
"""The sums of the weights folded into 1 and epsilon, once an update."""
MOMENTUM_DECAY, MOMENTA = 9, 10
"""The decay of NAdam's momentum, and the product of all momenta so far: 1 before any update."""
GRADIENT_FACTOR = 11
"""The factor of the gradient in NAdam's step; STEP_SIZE is that of the moment."""
EPSILON_UNCORRECTED = 12
"""Whether SCALED_EPSILON is EPSILON itself and not EPSILON times the sums, for Adam and its kin."""
N_SCALARS = 13


@kernel
def smallest_normal(w):
    """The smallest normal number: below it numbers are flushed to 0."""
    return splat(w, 1.2e-38 if is_single(splat(w, 0.0)) else 2.3e-308)


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
def sgd(scalars, rate, w, g, u, count):
    """One step of SGD on `count` parameters; `u` is not read without momentum."""
    momentum = load(scalars, MOMENTUM)
    nesterov = load(scalars, NESTEROV) != 0.0
    c = SgdVectors(splat(w, rate), splat(w, momentum))
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
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
def adam_vectors(scalars, rate, w):
    """Hyper-parameters of Adam and its kin, the sums of the weights folded in.

    rate (m / a) / (sqrt(v / c) + eps) = (rate sqrt c / a) m / (sqrt v + eps sqrt c).
    """
    step = splat(w, rate * load(scalars, STEP_SIZE))
    return AdamVectors(
        step, splat(w, load(scalars, SCALED_EPSILON)), splat(w, load(scalars, BETA_1)),
        splat(w, load(scalars, BETA_2)), smallest_normal(w),
    )  # fmt: skip


@kernel
def new_moment(x, g, m, tail):
    """Update the moment and return it."""
    moment = vload(m, tail) * x.beta_1 + vload(g, tail)
    vstore(m, moment, tail)
    return moment


@kernel
def new_square(x, g, v, tail):
    """Update the sum of squares and return it.

    The smallest normal number is added each time, so that 0 / 0 is 0; it is nothing beside the
    square of any epsilon.
    """
    grad = vload(g, tail)
    square = (vload(v, tail) * x.beta_2 + x.smallest) + grad * grad
    vstore(v, square, tail)
    return square


@kernel
def adam_vector(x, w, g, m, v, tail):
    """One vector of Adam."""
    moment = new_moment(x, g, m, tail)
    square = new_square(x, g, v, tail)
    vstore(w, vload(w, tail) - vquotient(moment, vsqrt(square) + x.epsilon) * x.rate, tail)


@kernel
def adam(scalars, rate, w, g, m, v, count):
    """One step of Adam on `count` parameters."""
    x = adam_vectors(scalars, rate, w)
    width = lanes(w)
    whole = count // width * width
    for i in range(0, whole, width):
        adam_vector(x, advance(w, i), advance(g, i), advance(m, i), advance(v, i), width)
    if whole < count:
        adam_vector(
            x, advance(w, whole), advance(g, whole), advance(m, whole), advance(v, whole),
            count - whole,
        )  # fmt: skip


@kernel
def amsgrad(scalars, rate, w, g, m, v, h, count):
    """One step of AMSGrad on `count` parameters."""
    x = adam_vectors(scalars, rate, w)
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
        q = advance(h, i)
        moment = new_moment(x, advance(g, i), advance(m, i), tail)
        square = vmax(vload(q, tail), new_square(x, advance(g, i), advance(v, i), tail))
        vstore(q, square, tail)
        vstore(p, vload(p, tail) - vquotient(moment, vsqrt(square) + x.epsilon) * x.rate, tail)


@kernel
def nadam(scalars, rate, w, g, m, v, count):
    """One step of NAdam on `count` parameters."""
    x = adam_vectors(scalars, rate, w)
    factor = splat(w, rate * load(scalars, GRADIENT_FACTOR))
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
        grad = vload(advance(g, i), count - i)
        moment = new_moment(x, advance(g, i), advance(m, i), tail)
        size = vsqrt(new_square(x, advance(g, i), advance(v, i), tail)) + x.epsilon
        vstore(p, vload(p, tail) - vquotient(moment * x.rate + grad * factor, size), tail)


@kernel
def epsilon_vector(scalars, w):
    """EPSILON, above 0 in the dtype too: 0 / epsilon is 0."""
    return vmax(splat(w, load(scalars, EPSILON)), smallest_normal(w))


@kernel
def root_of(square, smallest):
    """Square root of what may be 0; NaN stays NaN. vsqrt wants normal numbers."""
    zero = smallest - smallest
    return vwhere_greater(square, zero, vsqrt(vmax(square, smallest)), square)


@kernel
def rmsprop(scalars, rate, w, g, v, m, u, count):
    """One step of RMSprop on `count` parameters."""
    momentum = load(scalars, MOMENTUM)
    centered = load(scalars, CENTERED) != 0.0
    r = splat(w, rate)
    c = splat(w, momentum)
    zero = splat(w, 0.0)
    rho = splat(w, load(scalars, RHO))
    rest = splat(w, 1.0 - load(scalars, RHO))
    epsilon = epsilon_vector(scalars, w)
    smallest = smallest_normal(w)
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
        grad = vload(advance(g, i), count - i)
        square = vload(advance(v, i), tail) * rho + grad * grad * rest
        vstore(advance(v, i), square, tail)
        if centered:
            mean = vload(advance(m, i), tail) * rho + grad * rest
            vstore(advance(m, i), mean, tail)
            square = vmax(zero, square - mean * mean)  # rounding may leave less than 0
        step = grad / (root_of(square, smallest) + epsilon)
        if momentum != 0.0:
            step = vload(advance(u, i), tail) * c + step
            vstore(advance(u, i), step, tail)
        vstore(p, vload(p, tail) - step * r, tail)


@kernel
def adagrad(scalars, rate, w, g, v, count):
    """One step of Adagrad on `count` parameters."""
    r = splat(w, rate)
    epsilon = epsilon_vector(scalars, w)
    smallest = smallest_normal(w)
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
        grad = vload(advance(g, i), count - i)
        square = vload(advance(v, i), tail) + grad * grad
        vstore(advance(v, i), square, tail)
        step = grad / (root_of(square, smallest) + epsilon)
        vstore(p, vload(p, tail) - step * r, tail)


@kernel
def adadelta(scalars, rate, w, g, v, u, count):
    """One step of Adadelta on `count` parameters."""
    r = splat(w, rate)
    epsilon = epsilon_vector(scalars, w)
    rho = splat(w, load(scalars, RHO))
    rest = splat(w, 1.0 - load(scalars, RHO))
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
        grad = vload(advance(g, i), count - i)
        square = vload(advance(v, i), tail) * rho + grad * grad * rest
        before = vload(advance(u, i), tail)
        step = vsqrt(before + epsilon) / vsqrt(square + epsilon) * grad
        vstore(advance(v, i), square, tail)
        vstore(advance(u, i), before * rho + step * step * rest, tail)
        vstore(p, vload(p, tail) - step * r, tail)


@kernel
def lion(scalars, rate, w, g, m, count):
    """One step of Lion on `count` parameters."""
    r = splat(w, rate)
    zero = splat(w, 0.0)
    beta_1 = splat(w, load(scalars, BETA_1))
    rest_1 = splat(w, 1.0 - load(scalars, BETA_1))
    beta_2 = splat(w, load(scalars, BETA_2))
    rest_2 = splat(w, 1.0 - load(scalars, BETA_2))
    for i in range(0, count, lanes(w)):
        tail = count - i
        p = advance(w, i)
        grad = vload(advance(g, i), count - i)
        moment = vload(advance(m, i), tail)
        between = moment * beta_1 + grad * rest_1
        step = vwhere_greater(between, zero, r, vwhere_greater(zero, between, -r, between))
        vstore(advance(m, i), moment * beta_2 + grad * rest_2, tail)
        vstore(p, vload(p, tail) - step, tail)
