"""The methods of a compiled net in a user's compiled code: h is the handle (`handle.py`)."""

import math

from fastbp.embed.elementwise import CODE_OF_ROW
from fastbp.embed.handle import (
    APPLY,
    CLAIMED,
    ENTRY,
    LOSS_MANY,
    LOSS_ONE,
    N_IN,
    N_OUT,
    N_PARAMS,
    N_SPACE_CELLS,
    N_SPACES,
    PARAMS,
    PREDICT_MANY,
    PREDICT_ONE,
    SPACES,
    STEP_MANY,
    STEP_ONE,
    VJP_MANY,
    VJP_ONE,
)
from fastbp.kernels import entry
from fastbp.kernels.addresses import (
    ACTIVATED,
    APART,
    COUNT,
    FIRST,
    GRADIENT,
    INPUTS,
    LABELS,
    N_BATCH,
    N_FROZEN,
    N_GRADIENT,
    N_LABELS,
    NUMBERS,
    ROWS,
    STATUS,
    TARGETS,
    TOTAL,
)
from fastbp.kernels.entry import any_frozen
from fastbp.kernels.finite import all_between, all_finite
from fastbp.machine.embedding import (
    call_entry,
    exchange,
    handle_of,
    integers_from,
    peek,
    release,
    stack_address,
)
from fastbp.machine.jit import kernel
from fastbp.machine.pointers import (
    advance,
    doubles_at,
    floats_at,
    flush_denormals,
    integers_at,
    load,
    put_at,
    restore_denormals,
    store,
)

PREDICT_ROWS, LOSS, VJP, STEP, STEP_STATUS, APPLY_GRADIENT, LABELS_FIT = range(7)
"""What to do: see `embedded`."""
TO_X, TO_PARAMS = 1, 2
"""Which derivatives VJP computes: their sum."""
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
    t = integers_at(space, PREDICT_ONE if rows == 1 else PREDICT_MANY)
    return int(call_entry(load(h, ENTRY), t, entry.PREDICT, x, rows, n_in, out, rows, n_out))


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


@kernel
def predict_row(f, x, out):
    """Outputs of one row, by code that is written out for the net's type."""
    mode = flush_denormals()
    CODE_OF_ROW(f, floats_at(handle_of(f), PARAMS, x), x, out)
    restore_denormals(mode)


@kernel
def put_targets(t, y, with_labels, rows):
    """Write where the targets of a call are, or the labels, and how many rows it has."""
    if with_labels != 0:
        put_at(t, LABELS, y)
        store(t, N_LABELS, rows)
    else:
        put_at(t, TARGETS, y)
        store(t, N_LABELS, 0)
    store(doubles_at(t, NUMBERS), TOTAL, float(rows))
    store(t, ROWS, rows)


@kernel
def put_derivatives(h, t, x, grad, to_params, rows):
    """Write where the rows of a call are, and where derivatives by the parameters go."""
    put_at(t, INPUTS, x)
    put_at(t, GRADIENT, grad)
    store(t, N_GRADIENT, load(h, N_PARAMS) if to_params else 0)
    store(t, FIRST, 0)
    store(t, COUNT, rows)


@kernel
def loss_and_grad(h, x, y, with_labels, grad, rows):
    """Loss of the rows, with penalties; the gradient goes to grad (n_params,)."""
    space = claim(h)
    t = integers_at(space, LOSS_ONE if rows == 1 else LOSS_MANY)
    put_targets(t, y, with_labels, rows)
    put_derivatives(h, t, x, grad, True, rows)
    loss = call_entry(load(h, ENTRY), t, entry.EVALUATE, x, rows, load(h, N_IN), x, 0, 0)
    release(space, CLAIMED)
    return loss


@kernel
def vjp(h, x, dy, dx, grad, parts, rows):
    """From dy (rows, n_out), the derivatives by x and by the parameters, which `parts` ask for."""
    n_in, n_out = load(h, N_IN), load(h, N_OUT)
    space = claim(h)
    t = integers_at(space, VJP_ONE if rows == 1 else VJP_MANY)
    put_derivatives(h, t, x, grad, (parts & TO_PARAMS) != 0, rows)
    store(t, APART, 0)
    store(t, ACTIVATED, -1)
    to_x = rows if (parts & TO_X) != 0 else 0
    call_entry(load(h, ENTRY), t, entry.DERIVE, dy, rows, n_out, dx, to_x, n_in)
    release(space, CLAIMED)


@kernel
def step_table(h, rows):
    """The table of a step."""
    return integers_at(h, STEP_ONE if rows == 1 else STEP_MANY)


@kernel
def step(h, x, y, with_labels, rows):
    """The loss before an update by the rows; NaN where the status is not FINISHED."""
    t = step_table(h, rows)
    put_targets(t, y, with_labels, rows)
    store(t, N_BATCH, rows)
    return call_entry(
        load(h, ENTRY), t, entry.STEP, x, rows, load(h, N_IN), y, rows, load(h, N_OUT)
    )


@kernel
def apply_gradient(h, grad):
    """An update by a gradient; returns 0, or 1 where that is not finite and nothing was done."""
    n_params = load(h, N_PARAMS)
    if not all_finite(grad, n_params):
        return 1.0
    t = integers_at(h, APPLY)
    put_at(t, GRADIENT, grad)
    store(t, N_FROZEN, any_frozen(t) * n_params)
    call_entry(load(h, ENTRY), t, entry.APPLY, grad, 0, 0, grad, 0, 0)
    return 0.0


@kernel(cached=True)
def embedded(h, operation, x, y, dx, grad, parts, rows):
    """Carry out an operation for a user's compiled function, which has checked the sizes.

    It stands here, and not in that function, so that it is compiled once. All but the operation,
    the parts and the number of rows are pointers; those that an operation does not need are any.

    ==============  ============================================  =================================
    operation       what it does                                  what it returns
    ==============  ============================================  =================================
    PREDICT_ROWS    outputs y (rows, n_out) of the rows x         0
    LOSS            gradient grad of the rows x, y                their loss
    VJP             derivatives dx and grad of the rows x from y  0
    STEP            an update by the rows x, y                    the loss before it, NaN where the
                                                                  status is not FINISHED
    STEP_STATUS     nothing                                       that status
    APPLY_GRADIENT  an update by grad                             1 where that is not finite, else 0
    LABELS_FIT      nothing                                       1 where y are labels of classes
    ==============  ============================================  =================================

    With `parts` 1, the y of LOSS and STEP are labels; those of VJP are TO_X and TO_PARAMS.
    """
    if operation == PREDICT_ROWS:
        predict(h, x, rows, y)
    elif operation == LOSS:
        return loss_and_grad(h, x, y, parts, grad, rows)
    elif operation == VJP:
        vjp(h, x, y, dx, grad, parts, rows)
    elif operation == STEP:
        return step(h, x, y, parts, rows)
    elif operation == STEP_STATUS:
        return float(load(step_table(h, rows), STATUS))
    elif operation == APPLY_GRADIENT:
        return apply_gradient(h, grad)
    elif operation == LABELS_FIT:
        fit = all_between(integers_from(y), rows, 0, load(h, N_OUT) - 1)
        return 1.0 if fit else 0.0
    return 0.0
