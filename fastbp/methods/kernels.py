"""Loops of the full-batch methods over the flat buffer, between two evaluations.

Legend: w parameters, g their gradient, d a direction; for Rprop s step sizes, p signs of the
previous gradient, 0 where the sign has changed, m the previous change of w.
"""

from typing import NamedTuple

from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    flush_denormals,
    lanes,
    pointer,
    restore_denormals,
    splat,
    vload,
    vmax,
    vmin,
    vstore,
    vsum,
    vwhere_greater,
)

BLOCK = 4096
"""Products that are summed in the dtype of the net; the sums of blocks are added in float64."""


@kernel
def dot_of_block(x, y, count):
    """Sum of `count` products."""
    total = splat(x, 0.0)
    for i in range(0, count, lanes(x)):
        total = total + vload(advance(x, i), count - i) * vload(advance(y, i), count - i)
    return vsum(total)


@kernel(cached=True)
def dot(x, y):
    """x . y of two flat arrays."""
    mode = flush_denormals()
    total = 0.0
    count = x.shape[0]
    for start in range(0, count, BLOCK):
        block = min(BLOCK, count - start)
        total += dot_of_block(pointer(x, start), pointer(y, start), block)
    restore_denormals(mode)
    return total


@kernel
def combine_run(out, x, y, a, b, count):
    """The loop of `combine`, on pointers."""
    for i in range(0, count, lanes(x)):
        tail = count - i
        ax = vload(advance(x, i), tail) * splat(x, a)
        by = vload(advance(y, i), tail) * splat(x, b)
        vstore(advance(out, i), ax + by, tail)


@kernel(cached=True)
def combine(out, x, y, a, b):
    """out <- a x + b y for flat arrays; out may be x or y."""
    mode = flush_denormals()
    combine_run(pointer(out, 0), pointer(x, 0), pointer(y, 0), a, b, out.shape[0])
    restore_denormals(mode)


class RpropSettings(NamedTuple):
    """Hyper-parameters of Rprop.

    Attributes
    ----------
    eta_minus, eta_plus : float
        Factors of a step size when the sign of the derivative changes, and when it stays.
    min_step, max_step : float
        Bounds on the step sizes.
    """

    eta_minus: float
    eta_plus: float
    min_step: float
    max_step: float


@kernel
def sign_of(x, zero, one):
    """-1, 0 or 1 in each lane."""
    return vwhere_greater(x, zero, one, vwhere_greater(zero, x, zero - one, zero))


@kernel
def rprop_run(w, g, p, s, m, settings, back, count):
    """The loop of `rprop`, on pointers."""
    zero = splat(w, 0.0)
    one = splat(w, 1.0)
    for i in range(0, count, lanes(w)):
        tail = count - i
        sign = sign_of(vload(advance(g, i), tail), zero, one)
        step = vload(advance(s, i), tail)
        agreement = sign * vload(advance(p, i), tail)
        longer = vmin(step * splat(w, settings.eta_plus), splat(w, settings.max_step))
        shorter = vmax(step * splat(w, settings.eta_minus), splat(w, settings.min_step))
        step = vwhere_greater(zero, agreement, shorter, step)
        step = vwhere_greater(agreement, zero, longer, step)
        sign = vwhere_greater(zero, agreement, zero, sign)
        change = zero - sign * step
        if back:
            change = vwhere_greater(zero, agreement, zero - vload(advance(m, i), tail), change)
        vstore(advance(w, i), vload(advance(w, i), tail) + change, tail)
        vstore(advance(m, i), change, tail)
        vstore(advance(s, i), step, tail)
        vstore(advance(p, i), sign, tail)


@kernel(cached=True)
def rprop(w, g, p, s, m, settings, back):
    """A step of iRprop: each parameter moves by its own step size, against its derivative's sign.

    If the sign is that of the previous step, the step size grows. If it has changed, the step size
    shrinks, w stays (or, with `back`, its last change is undone), and p becomes 0. Igel and
    Huesken, "Improving the Rprop learning algorithm", NC 2000: iRprop+ if `back` is set whenever
    the loss has risen, iRprop- if it is never set.
    """
    mode = flush_denormals()
    rprop_run(
        pointer(w, 0), pointer(g, 0), pointer(p, 0), pointer(s, 0), pointer(m, 0), settings, back,
        w.shape[0],
    )  # fmt: skip
    restore_denormals(mode)
