"""Steps on the gradient and on the parameters beside the optimiser's own, each by itself.

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

from fastbp.kernels.layout import N_IN, N_OUT, WEIGHTS
from fastbp.kernels.state import L1, L2, REGULATED, SUMMED, SUMMED_L1, SUMMED_L2, column
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


@kernel
def scale(w, factor, count):
    """w <- factor w."""
    for i in range(0, count, lanes(w)):
        p = advance(w, i)
        vstore(p, vload(p, count - i) * splat(w, factor), count - i)


@kernel
def sum_of_squares(p, count):
    """Sum of the squares of `count` numbers."""
    total = splat(p, 0.0)
    for i in range(0, count, lanes(p)):
        x = vload(advance(p, i), count - i)
        total = total + x * x
    return vsum(total)


@kernel
def penalty_of_run(w, l1, l2, count):
    """l1 sum |w| + l2 / 2 sum w^2."""
    total, half = splat(w, 0.0), splat(w, 0.5 * l2)
    for i in range(0, count, lanes(w)):
        x = vabs(vload(advance(w, i), count - i))
        total = total + x * (x * half + l1)
    return vsum(total)


@kernel
def add_penalties(g, w, l1, l2, count):
    """g <- g + l1 sign w + l2 w; the sign of 0 is 0."""
    zero, plus = splat(g, 0.0), splat(g, l1)
    for i in range(0, count, lanes(g)):
        tail, p = count - i, advance(g, i)
        x = vload(advance(w, i), tail)
        sign = vwhere_greater(x, zero, plus, vwhere_greater(zero, x, -plus, zero))
        vstore(p, vload(p, tail) + (x * splat(g, l2) + sign), tail)


@kernel
def clip_values(g, limit, count):
    """Each number into [-limit, limit]; NaN stays NaN."""
    high, low = splat(g, limit), splat(g, -limit)
    for i in range(0, count, lanes(g)):
        p = advance(g, i)
        vstore(p, vmin(high, vmax(low, vload(p, count - i))), count - i)


@kernel
def clip_norm(g, optimizer, limit, count):
    """The gradient scaled to a norm of at most `limit`; of frozen parameters it becomes 0."""
    for i in range(optimizer.n_frozen):
        if load(optimizer.frozen, i) != 0:
            store(g, i, 0.0)
    norm = math.sqrt(sum_of_squares(g, count))
    if norm > limit:
        scale(g, limit / norm, count)


@kernel
def any_frozen(optimizer, start, count):
    """Whether one of `count` parameters from `start` on is frozen."""
    for i in range(start, min(start + count, optimizer.n_frozen)):
        if load(optimizer.frozen, i) != 0:
            return True
    return False


@kernel
def limit_norms(network, optimizer, limit, start, k, n):
    """The k weights into each of n units from `start` on scaled to a norm of at most `limit`.

    Units with frozen weights stay as they are.
    """
    for at in range(start, start + n * k, k):
        w = advance(network.params, at)
        norm = math.sqrt(sum_of_squares(w, k))
        if norm > limit and not any_frozen(optimizer, at, k):
            scale(w, limit / norm, k)


@kernel
def share_penalties(optimizer, weight):
    """The penalties of a batch, `weight` the sum of its sample weights; see SUMMED."""
    if load(optimizer.rules, SUMMED) != 0.0:
        share = 1.0 / weight if weight > 0.0 else 0.0
        store(optimizer.rules, L1, load(optimizer.rules, SUMMED_L1) * share)
        store(optimizer.rules, L2, load(optimizer.rules, SUMMED_L2) * share)


@kernel
def penalty(network, optimizer):
    """The penalties of all layers."""
    total = 0.0
    if load(optimizer.rules, REGULATED) != 0.0:
        l1, l2 = load(optimizer.rules, L1), load(optimizer.rules, L2)
        if l1 + l2 > 0.0:
            for layer in range(network.n_layers):
                count = column(network, layer, N_IN) * column(network, layer, N_OUT)
                w = advance(network.params, column(network, layer, WEIGHTS))
                total += penalty_of_run(w, l1, l2, count)
    return total


@kernel
def penalize(network, optimizer, layer, done, units, g):
    """Add to the gradient of `units` units after the first `done` that of the penalties."""
    n_in = column(network, layer, N_IN)
    l1, l2 = load(optimizer.rules, L1), load(optimizer.rules, L2)
    if l1 + l2 > 0.0:
        w = advance(network.params, column(network, layer, WEIGHTS) + done * n_in)
        add_penalties(g, w, l1, l2, units * n_in)
