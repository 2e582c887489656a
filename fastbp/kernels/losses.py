"""Losses, each beside its delta; the one place that averages over the rows of a batch.

Legend: d delta, z net inputs (N, B), y outputs (N, B), t targets (N, B), feature by feature.

====================  ==========================================  =====================
loss                  of one row, summed over the N outputs       delta from
====================  ==========================================  =====================
squared_error         1/2 (y - t)^2                               output y:  y - t
binary_cross_entropy  -t log p - (1 - t) log(1 - p)               net input: p - t
cross_entropy         -t log p, p = softmax(z)                    net input: p sum t - t
====================  ==========================================  =====================

Each function writes the delta d times `scale` (1 / rows of the batch) and returns the loss
summed over its rows, times `scale`; d may be the place of the targets. The cross-entropies
take net inputs (logits) and never the logarithm of a rounded probability: ``max(z, 0) - z t +
log(1 + exp(-|z|))`` and ``log sum exp(z - max z)``.
"""

from fastbp._jit import kernel
from fastbp.kernels.elementary import exp_vector, log1p_vector, log_vector
from fastbp.simd import (
    advance,
    lanes,
    splat,
    vabs,
    vkeep,
    vload,
    vmax,
    vreciprocal,
    vstore,
    vsum,
    vwhere_greater,
)

SQUARED_ERROR, BINARY_CROSS_ENTROPY, CROSS_ENTROPY = range(3)
LOSSES = {
    "squared_error": SQUARED_ERROR,
    "binary_cross_entropy": BINARY_CROSS_ENTROPY,
    "cross_entropy": CROSS_ENTROPY,
}
"""Names and codes."""
MATCHING_ACTIVATION = {
    "squared_error": "identity",
    "binary_cross_entropy": "sigmoid",
    "cross_entropy": "softmax",
}
"""The output activation for which delta = output - target."""
FROM_LOGITS = ("binary_cross_entropy", "cross_entropy")
"""Losses that take the net inputs of the last layer and not its outputs."""


@kernel
def squared_error(d, y, t, stride, n, batch, scale):
    """1/2 (y - t)^2."""
    width = lanes(y)
    total = splat(y, 0.0)
    for i in range(n):
        for b in range(0, batch, width):
            tail = batch - b
            at = i * stride + b
            error = vload(advance(y, at), tail) - vload(advance(t, at), tail)
            total = total + error * error
            vstore(advance(d, at), error * scale, tail)
    return 0.5 * scale * vsum(total)


@kernel
def binary_cross_entropy(d, z, t, stride, n, batch, scale):
    """-t log p - (1 - t) log(1 - p) with p = 1 / (1 + exp(-z))."""
    width = lanes(z)
    zero, one = splat(z, 0.0), splat(z, 1.0)
    total = zero
    for i in range(n):
        for b in range(0, batch, width):
            tail = batch - b
            at = i * stride + b
            logit, target = vload(advance(z, at), tail), vload(advance(t, at), tail)
            small = exp_vector(z, -vabs(logit))
            loss = vmax(zero, logit) - logit * target + log1p_vector(z, small)
            total = total + vkeep(loss, tail)
            probability = vwhere_greater(logit, zero, one, small) * vreciprocal(small + 1.0)
            vstore(advance(d, at), (probability - target) * scale, tail)
    return scale * vsum(total)


@kernel
def cross_entropy(d, z, t, stride, n, batch, scale):
    """-sum_i t_i log p_i with p = softmax(z)."""
    width = lanes(z)
    zero = splat(z, 0.0)
    total = zero
    for b in range(0, batch, width):
        tail = batch - b
        top = vload(advance(z, b), tail)
        for i in range(1, n):
            top = vmax(vload(advance(z, i * stride + b), tail), top)
        exps, weight, score = zero, zero, zero
        for i in range(n):
            logit = vload(advance(z, i * stride + b), tail) - top
            target = vload(advance(t, i * stride + b), tail)
            exps = exps + exp_vector(z, logit)
            weight = weight + target
            score = score + target * logit
        total = total + vkeep(weight * log_vector(z, exps) - score, tail)
        share = weight * vreciprocal(exps)
        for i in range(n):
            at = i * stride + b
            target = vload(advance(t, at), tail)
            logit = vload(advance(z, at), tail) - top
            vstore(advance(d, at), (exp_vector(z, logit) * share - target) * scale, tail)
    return scale * vsum(total)


@kernel
def loss_and_delta(code, d, y, t, stride, n, batch, scale):
    """The loss with this code: see the table above."""
    if code == SQUARED_ERROR:
        return squared_error(d, y, t, stride, n, batch, scale)
    if code == BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(d, y, t, stride, n, batch, scale)
    if code == CROSS_ENTROPY:
        return cross_entropy(d, y, t, stride, n, batch, scale)
    raise ValueError("unknown loss code")
