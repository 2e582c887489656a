"""What methods on all rows at once do to the flat buffer between two evaluations.

Legend: w parameters, g their gradient, d a direction; of Rprop s step sizes, p the gradient
before, 0 where its sign has changed, m the change of w before.
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
"""Numbers that are summed in the dtype of the net; the sums of blocks are added in float64."""


@kernel
def dot_of_block(x, y, count):
    """Sum of the products of `count` numbers."""
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
def add_scaled(out, x, y, of_x, of_y, count):
    """out <- of_x x + of_y y; out may be x or y."""
    for i in range(0, count, lanes(x)):
        tail = count - i
        a, b = vload(advance(x, i), tail), vload(advance(y, i), tail)
        vstore(advance(out, i), a * splat(x, of_x) + b * splat(x, of_y), tail)


@kernel(cached=True)
def combine(out, x, y, of_x, of_y):
    """out <- of_x x + of_y y of flat arrays; out may be x or y."""
    mode = flush_denormals()
    add_scaled(pointer(out, 0), pointer(x, 0), pointer(y, 0), of_x, of_y, out.shape[0])
    restore_denormals(mode)


class RpropNumbers(NamedTuple):
    """Hyper-parameters of Rprop.

    Attributes
    ----------
    eta_minus, eta_plus : float
        By what a step size is multiplied when the sign of the derivative changes, or stays.
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
def rprop_run(w, g, p, s, m, x, back, count):
    """The loop of `rprop`, on pointers."""
    zero = splat(w, 0.0)
    one = splat(w, 1.0)
    for i in range(0, count, lanes(w)):
        tail = count - i
        sign = sign_of(vload(advance(g, i), tail), zero, one)
        step = vload(advance(s, i), tail)
        agreement = sign * vload(advance(p, i), tail)
        longer = vmin(step * splat(w, x.eta_plus), splat(w, x.max_step))
        shorter = vmax(step * splat(w, x.eta_minus), splat(w, x.min_step))
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
def rprop(w, g, p, s, m, numbers, back):
    """A step of iRprop: each parameter by its own step size against the sign of its derivative.

    Where the sign agrees with that of the step before, the size grows; where it has changed, the
    size shrinks and w stays, or with `back` gives back its last change; p, which holds signs, is
    then 0. Igel and Huesken, "Improving the Rprop learning algorithm", NC 2000: iRprop+ when
    `back` is given where the loss has risen, else iRprop-.
    """
    mode = flush_denormals()
    rprop_run(
        pointer(w, 0), pointer(g, 0), pointer(p, 0), pointer(s, 0), pointer(m, 0), numbers, back,
        w.shape[0],
    )  # fmt: skip
    restore_denormals(mode)
