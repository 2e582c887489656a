"""Losses, each beside its delta; the one place that averages over the rows of a batch.

Legend: d delta, z net inputs (N, B), y outputs (N, B), t targets (N, B), feature by feature;
s shares of the rows (B,), or of each output of each row (N, B), e = y - t, a parameters of the
loss: one per output (N,) for huber and quantile, three for the cross-entropies, one for
squared_error, none for the others. The shares of an output stand `apart` behind those of the one
before: 0 apart, they are those of the row. cross_entropy knows no others.

====================  ==========================================  =====================
loss                  of one row, summed over the N outputs       delta from
====================  ==========================================  =====================
squared_error         1/2 e^2                                     output y:  e
absolute_error        |e|                                         output y:  sign e
huber                 1/2 c^2 + a (|e| - |c|), c = e in [-a, a]   output y:  c
quantile              (1 - a) e where e > 0, else -a e            output y:  1 - a or -a
hinge                 max(1 - t y, 0)                             output y:  -t or 0
poisson               p - t + t log(t / p), p = exp(z)            net input: p - t
gamma                 t / p - 1 - log(t / p), p = exp(z)          net input: 1 - t / p
binary_cross_entropy  -t log p - (1 - t) log(1 - p)               net input: p - t
cross_entropy         -t log p, p = softmax(z)                    net input: p sum t - t
====================  ==========================================  =====================

Huber: Huber 1964, Ann. Math. Stat. 35. Quantile: Koenker and Bassett 1978, Econometrica 46.
Hinge: Cortes and Vapnik 1995. Poisson and gamma: half the deviance of McCullagh and Nelder,
Generalized Linear Models, 1989, section 2.3, with a logarithmic link.

Each function writes the delta d times s and returns the losses, each times its s, summed by lane;
`loss_of` adds up the lanes. With s = weight / number of rows that is the mean of the rows, and
s = 0 beyond the batch. The sums of each vector of rows are added to those of the rows before, so
that threads that share the rows can come to the same bits. d may be
t itself. The losses of net inputs never take the logarithm of a rounded probability:
``max(z, 0) - z t + log(1 + exp(-|z|))`` and ``log sum exp(z - max z)``. The cross-entropies replace
t by ``a[0] t + a[1]`` first (label smoothing, Szegedy et al., CVPR 2016, section 7). The returned
loss, but not the delta, is cut off at a[2] per output or row by the cross-entropies (infinity by
default), and multiplied by a[0] by squared_error (in `loss_of`).

A new loss of single outputs is a code, a branch of `loss_by_output`, a row above, and a class in
``model/losses.py``, which names its traits.
"""

from fastbp.kernels.elementary import exp_vector, log1p_vector, log_vector
from fastbp.machine.elementwise import FIRST_ADDRESS
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    frame,
    lanes,
    load,
    run_at,
    splat,
    vabs,
    vload,
    vmax,
    vmin,
    vreciprocal,
    vrounded,
    vstore,
    vsum,
    vwhere_greater,
)

SQUARED_ERROR, BINARY_CROSS_ENTROPY, CROSS_ENTROPY = range(3)
ABSOLUTE_ERROR, HUBER, QUANTILE, HINGE, POISSON, GAMMA = range(3, 9)
CALLABLE = -1
"""A loss in Python, which hands in its delta: the kernels never compute it."""
ELEMENTWISE = FIRST_ADDRESS
"""From here on a code is the address of `elementwise.loss_loop` around a user's function."""

SMALLEST = 1.2e-38
"""Below every target whose logarithm is taken: the smallest normal float32."""


@kernel
def squared_error(d, y, t, s, stride, n, batch, apart):
    """(y - t)^2, of which `loss_of` takes a half."""
    width = lanes(y)
    zero = splat(y, 0.0)
    total = zero
    for b in range(0, batch, width):
        tail = batch - b
        part = zero
        for i in range(n):
            at = i * stride + b
            error = vload(advance(y, at), tail) - vload(advance(t, at), tail)
            delta = error * vload(advance(s, i * apart + b), tail)
            part = part + error * delta
            vstore(advance(d, at), delta, tail)
        total = total + part
    return total


@kernel
def loss_by_output(code, d, y, t, s, a, stride, n, batch, apart):
    """The losses that are sums over single outputs, each with its target: see the table."""
    width = lanes(y)
    zero = splat(y, 0.0)
    one = splat(y, 1.0)
    total = zero
    loss = zero
    delta = zero
    for b in range(0, batch, width):
        tail = batch - b
        part = zero
        for i in range(n):
            parameter = splat(y, load(a, i) if code == HUBER or code == QUANTILE else 0.0)
            at = i * stride + b
            out = vload(advance(y, at), tail)
            target = vload(advance(t, at), tail)
            error = out - target
            if code == ABSOLUTE_ERROR:
                loss = vabs(error)
                sign = vwhere_greater(zero, error, -one, error)  # NaN stays NaN, 0 stays 0
                delta = vwhere_greater(error, zero, one, sign)
            elif code == HUBER:
                delta = vmin(parameter, vmax(-parameter, error))
                loss = delta * (error - delta * 0.5)
            elif code == QUANTILE:
                delta = vwhere_greater(error, zero, one - parameter, -parameter)
                loss = delta * error
                delta = vwhere_greater(vabs(error), zero, delta, error)
            elif code == HINGE:
                loss = vmax(zero, one - target * out)
                delta = vwhere_greater(loss, zero, -target, zero)
            elif code == POISSON:
                mean = exp_vector(y, out)
                logarithm = log_vector(y, vmax(target, splat(y, SMALLEST)))
                loss = (mean - target) - target * (out - logarithm)
                delta = mean - target
            elif code == GAMMA:
                ratio = target * exp_vector(y, -out)
                loss = (ratio - one) - (log_vector(y, target) - out)
                delta = one - ratio
            else:
                raise ValueError("unknown loss code")
            weight = vload(advance(s, i * apart + b), tail)
            part = part + loss * weight
            vstore(advance(d, at), delta * weight, tail)
        total = total + part
    return total


@kernel
def binary_cross_entropy(d, z, t, s, a, stride, n, batch, apart):
    """-t log p - (1 - t) log(1 - p) with p = 1 / (1 + exp(-z))."""
    width = lanes(z)
    zero = splat(z, 0.0)
    one = splat(z, 1.0)
    share = splat(z, load(a, 0))
    rest = splat(z, load(a, 1))
    most = splat(z, load(a, 2))
    total = zero
    for b in range(0, batch, width):
        tail = batch - b
        part = zero
        for i in range(n):
            at = i * stride + b
            logit = vload(advance(z, at), tail)
            weight = vload(advance(s, i * apart + b), tail)
            target = vload(advance(t, at), tail) * share + rest
            small = exp_vector(z, -vabs(logit))
            loss = vmax(zero, logit) - logit * target + log1p_vector(z, small)
            part = part + vmin(most, loss) * weight
            probability = vwhere_greater(logit, zero, one, small) * vreciprocal(small + 1.0)
            vstore(advance(d, at), (probability - target) * weight, tail)
        total = total + part
    return total


@kernel
def cross_entropy(d, z, t, s, a, stride, n, batch):
    """-sum_i t_i log p_i with p = softmax(z)."""
    width = lanes(z)
    share = splat(z, load(a, 0))
    rest = splat(z, load(a, 1))
    most = splat(z, load(a, 2))
    zero = splat(z, 0.0)
    total = zero
    for b in range(0, batch, width):
        tail = batch - b
        row_weight = vload(advance(s, b), tail)
        top = vload(advance(z, b), tail)
        for i in range(1, n):
            top = vmax(vload(advance(z, i * stride + b), tail), top)
        exps = zero
        weight = zero
        score = zero
        for i in range(n):
            logit = vload(advance(z, i * stride + b), tail) - top
            target = vload(advance(t, i * stride + b), tail) * share + rest
            exps = exps + exp_vector(z, logit)
            weight = weight + target
            score = score + target * logit
        loss = weight * log_vector(z, exps) - score
        total = total + vrounded(vmin(most, loss) * row_weight)  # as a part by itself
        scale = weight * vreciprocal(exps)
        for i in range(n):
            at = i * stride + b
            target = vload(advance(t, at), tail) * share + rest
            logit = vload(advance(z, at), tail) - top
            delta = exp_vector(z, logit) * scale - target
            vstore(advance(d, at), delta * row_weight, tail)
    return total


@kernel
def elementwise(code, d, y, t, s, stride, n, batch, apart):
    """A user's loss of single outputs, a vector at a time; lanes beyond the batch do not count."""
    width = lanes(y)
    zero = splat(y, 0.0)
    total = zero
    outs, targets, values, slopes = frame(y), frame(y), frame(y), frame(y)
    for b in range(0, batch, width):
        tail = batch - b
        part = zero
        for i in range(n):
            at = i * stride + b
            vstore(outs, vload(advance(y, at), tail), width)
            vstore(targets, vload(advance(t, at), tail), width)
            run_at(code, outs, targets, values, slopes, width)
            weight = vload(advance(s, i * apart + b), tail)
            part = part + vload(values, tail) * weight
            vstore(advance(d, at), vload(slopes, tail) * weight, tail)
        total = total + part
    return total


@kernel
def loss_and_delta(code, d, y, t, s, a, stride, n, batch, apart):
    """The loss with this code, by lane, and its delta: see the table above."""
    if code == SQUARED_ERROR:
        return squared_error(d, y, t, s, stride, n, batch, apart)
    if code == BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(d, y, t, s, a, stride, n, batch, apart)
    if code == CROSS_ENTROPY:
        return cross_entropy(d, y, t, s, a, stride, n, batch)
    if code >= ELEMENTWISE:
        return elementwise(code, d, y, t, s, stride, n, batch, apart)
    return loss_by_output(code, d, y, t, s, a, stride, n, batch, apart)


@kernel
def loss_of(code, a, total):
    """The loss from the sums by lane that `loss_and_delta` returns."""
    if code == SQUARED_ERROR:
        # Not behind the sum, where the product might be fused with what it is added to.
        total = total * (0.5 * load(a, 0))
    return vsum(total)
