"""The methods of a compiled net in a user's compiled code: h is the handle (`handle.py`)."""

import math

from fastbp.embed.handle import (
    CLAIMED,
    ENTRY,
    MANY,
    N_IN,
    N_OUT,
    N_SPACE_CELLS,
    N_SPACES,
    ONE,
    SPACES,
)
from fastbp.kernels.entry import PREDICT
from fastbp.machine.embedding import call_entry, exchange, peek, release, stack_address
from fastbp.machine.jit import kernel
from fastbp.machine.pointers import advance, integers_at, load, store

PREDICT_ROWS = 0
"""What to do: see `embedded`."""
STACK_BITS = 16
"""Stacks of threads are further apart than 2 to this power."""


@kernel
def claim(h):
    """A workspace that no other thread works with; waits until there is one.

    Each thread begins to look at another one, which it mostly finds free and in its cache.
    """
    count = load(h, N_SPACES)
    number = (stack_address() >> STACK_BITS) % count
    while True:
        space = advance(h, SPACES + number * N_SPACE_CELLS)
        if peek(space, CLAIMED) == 0 and exchange(space, CLAIMED, 1) == 0:
            return space
        number = number + 1 if number + 1 < count else 0


@kernel
def predict_finite(h, space, x, rows, out):
    """Outputs of rows; returns -1, or the flat index of the first input that is not finite."""
    n_in, n_out = load(h, N_IN), load(h, N_OUT)
    cells = integers_at(space, ONE if rows == 1 else MANY)
    return int(call_entry(load(h, ENTRY), cells, PREDICT, x, rows, n_in, out, rows, n_out))


@kernel
def predict(h, x, rows, out):
    """Outputs (rows, n_out) of rows x (rows, n_in); NaN for rows that are not finite."""
    n_in, n_out = load(h, N_IN), load(h, N_OUT)
    space = claim(h)
    first = 0
    while first < rows:
        at, to = advance(x, first * n_in), advance(out, first * n_out)
        index = predict_finite(h, space, at, rows - first, to)
        if index < 0:
            break
        good = index // n_in
        if good > 0:
            predict_finite(h, space, at, good, to)
        for i in range(good * n_out, (good + 1) * n_out):
            store(to, i, math.nan)
        first += good + 1
    release(space, CLAIMED)


@kernel(cached=True)
def embedded(h, operation, x, y, dx, grad, rows):
    """Carry out an operation for a user's compiled function, which has checked the sizes.

    It stands here, and not in that function, so that it is compiled once. All but the operation and
    the number of rows are pointers; those that an operation does not need are any.

    =============  ========================================  =============
    operation      what it does                              what it returns
    =============  ========================================  =============
    PREDICT_ROWS   outputs y (rows, n_out) of the rows x     0
    =============  ========================================  =============
    """
    if operation == PREDICT_ROWS:
        predict(h, x, rows, y)
    return 0.0
