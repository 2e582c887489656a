"""Penalties, clipping and norms: what changes a gradient or weights beside the optimiser's step.

Legend: w weights of a layer, g their gradient, N units of K weights each.

============  =======================================================================
penalties     loss + l1 sum |w| + l2 / 2 sum w^2, so g <- g + l1 sign w + l2 w
clip_values   each g into [-limit, limit]
clip_norm     all g scaled so that their Euclidean norm is at most limit
limit_norms   the K weights into a unit scaled so that their norm is at most limit
============  =======================================================================

They come in this order, the optimiser's step before the last. Penalties and norms concern
weights and not biases. Clipping: Pascanu et al., ICML 2013, section 3.2. Norms of units: Srebro
and Shraibman, COLT 2005; Srivastava et al., JMLR 2014, section 5.1.
"""

import math

from fastbp.kernels.state import (
    L1,
    L2,
    PENALTIES_SHARED,
    REGULATED,
    OptimizerState,
    first_parameter,
    n_inputs,
    n_units,
    n_weights,
    parameters_of,
    weights,
)
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    lanes,
    load,
    splat,
    store,
    vabs,
    vload,
    vmax,
    vmin,
    vstore,
    vsum,
    vwhere_greater,
)

LEAST_SQUARES, MOST_SQUARES = 1e-30, 1e30
"""Between them a sum of squares has lost nothing, in float32 either."""


@kernel
def scale(w, factor, count):
    """w <- factor w."""
    for i in range(0, count, lanes(w)):
        p = advance(w, i)
        vstore(p, vload(p, count - i) * splat(w, factor), count - i)


@kernel
def sum_of_squares(p, count):
    """Sum of the squares of `count` values."""
    total = splat(p, 0.0)
    for i in range(0, count, lanes(p)):
        x = vload(advance(p, i), count - i)
        total = total + x * x
    return vsum(total)


@kernel
def norm(p, count):
    """The Euclidean norm of `count` values, also where their squares overflow or vanish.

    Then they are divided by the largest of them first, as in the BLAS (Lawson et al., ACM TOMS 5,
    1979).
    """
    total = float(sum_of_squares(p, count))
    if LEAST_SQUARES < total and total < MOST_SQUARES:
        return math.sqrt(total)
    largest = 0.0
    for i in range(count):
        largest = max(largest, abs(float(load(p, i))))
    if not 0.0 < largest < math.inf:
        return math.sqrt(total)
    total = 0.0
    for i in range(count):
        x = float(load(p, i)) / largest
        total += x * x
    return largest * math.sqrt(total)


@kernel
def penalty_of_run(w, l1, l2, count):
    """l1 sum |w| + l2 / 2 sum w^2."""
    total = splat(w, 0.0)
    half = splat(w, 0.5 * l2)
    for i in range(0, count, lanes(w)):
        x = vabs(vload(advance(w, i), count - i))
        total = total + x * (x * half + l1)
    return vsum(total)


@kernel
def add_penalties(g, w, l1, l2, count):
    """g <- g + l1 sign w + l2 w; the sign of 0 is 0."""
    zero = splat(g, 0.0)
    plus = splat(g, l1)
    for i in range(0, count, lanes(g)):
        tail = count - i
        p = advance(g, i)
        x = vload(advance(w, i), tail)
        sign = vwhere_greater(x, zero, plus, vwhere_greater(zero, x, -plus, zero))
        vstore(p, vload(p, tail) + (x * splat(g, l2) + sign), tail)


@kernel
def clip_values(g, limit, count):
    """Each value into [-limit, limit]; NaN stays NaN."""
    high = splat(g, limit)
    low = splat(g, -limit)
    for i in range(0, count, lanes(g)):
        p = advance(g, i)
        vstore(p, vmin(high, vmax(low, vload(p, count - i))), count - i)


@kernel
def drop_frozen(g, optimizer, start, count):
    """The gradient of `count` parameters from `start` on, 0 for frozen ones."""
    for i in range(min(count, optimizer.n_frozen - start)):
        if load(optimizer.frozen, start + i) != 0:
            store(g, i, 0.0)


@kernel
def clip_norm(g, optimizer, limit, count):
    """The gradient scaled to a norm of at most `limit`; that of frozen parameters becomes 0."""
    drop_frozen(g, optimizer, 0, count)
    size = norm(g, count)
    if size > limit:
        scale(g, limit / size, count)


@kernel
def any_frozen(optimizer, start, count):
    """Whether one of `count` parameters from `start` on is frozen."""
    for i in range(start, min(start + count, optimizer.n_frozen)):
        if load(optimizer.frozen, i) != 0:
            return True
    return False


@kernel
def limit_norms(params, optimizer, limit, start, k, n):
    """The k weights into each of n units from `start` on scaled to a norm of at most `limit`.

    Units with frozen weights stay as they are.
    """
    for at in range(start, start + n * k, k):
        w = advance(params, at)
        size = norm(w, k)
        if size > limit and not any_frozen(optimizer, at, k):
            scale(w, limit / size, k)


@kernel
def share_penalties(optimizer, divisor):
    """The optimiser for a batch whose loss has this divisor: see PENALTIES_SHARED."""
    o = optimizer
    if load(o.settings, PENALTIES_SHARED) == 0.0:
        return o
    share = 1.0 / divisor if divisor > 0.0 else 0.0
    return OptimizerState(
        o.code, o.scalars, o.slots, o.frozen, o.settings, o.n_params, o.n_frozen, share
    )


@kernel
def penalty(network, optimizer):
    """The penalties of all layers."""
    total = 0.0
    if load(optimizer.settings, REGULATED) != 0.0:
        l1 = load(optimizer.settings, L1) * optimizer.penalty_share
        l2 = load(optimizer.settings, L2) * optimizer.penalty_share
        if l1 + l2 > 0.0:
            for number in range(network.n_layers):
                layer = parameters_of(network, number)
                total += penalty_of_run(weights(layer), l1, l2, n_weights(layer))
    return total


@kernel
def penalize(layer, optimizer, done, units, g):
    """Add to the gradient of `units` units after the first `done` that of the penalties."""
    l1 = load(optimizer.settings, L1) * optimizer.penalty_share
    l2 = load(optimizer.settings, L2) * optimizer.penalty_share
    if l1 + l2 > 0.0:
        k = n_inputs(layer)
        add_penalties(g, advance(weights(layer), done * k), l1, l2, units * k)


@kernel
def penalize_all(network, optimizer, grad):
    """Add to the gradient of all parameters, which stands at grad, that of the penalties."""
    for number in range(network.n_layers):
        layer = parameters_of(network, number)
        penalize(layer, optimizer, 0, n_units(layer), advance(grad, first_parameter(layer)))
