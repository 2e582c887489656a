"""The loop of a thread that trains many nets: it takes one after the other by a counter.

A net is trained by the compiled code that its own `fit` calls, which is called by its address:
so there is no second copy of it, and this file is compiled in about a second.

What a net needs for itself stands in its job, what a net needs while it is trained in buffers of
the thread. So a thousand nets need no thousand workspaces.
"""

import math

from fastbp.kernels.addresses import (
    COUNT,
    FIRST,
    GRADIENT,
    LOSSES,
    N_CELLS,
    N_EPOCHS,
    N_GRADIENT,
    N_ORDER,
    N_PARAMS,
    OFFSETS,
    ORDER,
    PARAMS,
    PLACES,
    PROGRESS,
    ROWS,
    SNAPSHOT,
    STATUS,
    VALUES,
)
from fastbp.kernels.entry import EVALUATE, TRAIN
from fastbp.kernels.finite import all_finite
from fastbp.kernels.training import EPOCH, FINISHED, N_PROGRESS, RUNNING
from fastbp.kernels.transposes import copy
from fastbp.kernels.workspace import CAPACITY, DATA_ROWS, FEATURE_ROWS, ONES, STRIDE
from fastbp.machine.jit import compiles, kernel
from fastbp.machine.simd import (
    advance,
    atomic_add,
    atomic_load,
    doubles_at,
    floats_at,
    integers_at,
    load,
    pointer,
    put_at,
    store,
)

if compiles():
    from fastbp.machine.embedding import call_entry
else:
    from fastbp.many.uncompiled import call_entry

# Cells of a job: those of a table (kernels/addresses.py) and, after them, its own.
ENTRY = N_CELLS
"""Address of `entry.train_and_predict`, or of the one for sparse rows."""
EPOCHS, LOOKS, PATIENCE = range(N_CELLS + 1, N_CELLS + 4)
"""How many epochs at the most; whether to look at the loss after each; see `train_watched`."""
HAS_VALIDATION, VALIDATION, VALIDATION_LOSSES = range(N_CELLS + 4, N_CELLS + 7)
"""Whether there are validation rows; their table; the losses of the epochs on them."""
EPOCHS_DONE, BEST_EPOCH = N_CELLS + 7, N_CELLS + 8
"""What it came to, beside its STATUS; the best epoch is counted from 1, and 0 if there is none."""
N_JOB_CELLS = N_CELLS + 9

WAITING = -1
"""STATUS of a job that no thread has taken."""
RESTORED = -2
"""STATUS of a job that was stopped amid an epoch whose updates were not finite: the parameters are
those of the epoch before."""

# Cells of a thread.
CONTROL, JOBS, N_JOBS = range(3)
"""What all threads share: see COUNTER; the addresses of the jobs, and their number."""
ROOM_FOR_VALUES, ROOM_FOR_OFFSETS, VALIDATION_VALUES, VALIDATION_OFFSETS = range(3, 7)
"""Workspaces of training and of validation."""
ROOM_FOR_ORDER, ROOM_FOR_GRADIENT, ROOM_FOR_SNAPSHOT, ROOM_FOR_BEST, ROOM_FOR_PROGRESS = range(
    7, 12
)
N_THREAD_CELLS = 12

COUNTER, STOP = 0, 16
"""In CONTROL, on lines of the cache of their own: the next job; not 0 when threads are to stop."""
N_CONTROL = 32


@kernel
def furnish(t, values, offsets):
    """Let a table work in these buffers, which were another shape's before."""
    put_at(t, VALUES, values)
    put_at(t, OFFSETS, offsets)
    places = integers_at(t, PLACES)
    stride = load(places, STRIDE)
    for i in range(load(places, DATA_ROWS) - load(places, FEATURE_ROWS)):
        store(offsets, load(places, FEATURE_ROWS) + i, i * stride)
    ones = advance(values, load(places, ONES))
    for i in range(load(places, CAPACITY)):
        store(ones, i, 1.0)


@kernel
def begin_job(w, t, like):
    """Give a job the buffers of its thread; returns its progress."""
    furnish(t, floats_at(w, ROOM_FOR_VALUES, like), integers_at(w, ROOM_FOR_OFFSETS))
    if load(t, HAS_VALIDATION) != 0:
        furnish(
            integers_at(t, VALIDATION), floats_at(w, VALIDATION_VALUES, like),
            integers_at(w, VALIDATION_OFFSETS),
        )  # fmt: skip
    if load(t, N_ORDER) > 0:
        put_at(t, ORDER, integers_at(w, ROOM_FOR_ORDER))
    if load(t, N_GRADIENT) > 0:
        put_at(t, GRADIENT, floats_at(w, ROOM_FOR_GRADIENT, like))
    snapshot = floats_at(w, ROOM_FOR_SNAPSHOT, like)
    copy(snapshot, floats_at(t, PARAMS, like), load(t, N_PARAMS))
    put_at(t, SNAPSHOT, snapshot)
    progress = integers_at(w, ROOM_FOR_PROGRESS)
    for i in range(N_PROGRESS):
        store(progress, i, 0)
    put_at(t, PROGRESS, progress)
    return progress


@kernel
def train(t, control, like):
    """Train until N_EPOCHS are done; returns RUNNING where the thread is to stop."""
    status = RUNNING
    while status == RUNNING and atomic_load(control, STOP) == 0:
        status = int(call_entry(load(t, ENTRY), t, TRAIN, like, 0, 0, like, 0, 0))
    return status


@kernel
def validation_loss(t, like):
    """The loss of the validation rows."""
    e = integers_at(t, VALIDATION)
    store(e, FIRST, 0)
    store(e, COUNT, load(e, ROWS))
    return call_entry(load(t, ENTRY), e, EVALUATE, like, 0, 0, like, 0, 0)


@kernel
def train_watched(t, control, best, like):
    """Train epoch by epoch, as with `EarlyStopping` where there is a PATIENCE.

    It ends after so many epochs in which the loss, that of the validation rows where there are
    some, was not below the least before. `best` then becomes the parameters of the best epoch.
    """
    losses = doubles_at(t, LOSSES)
    params = floats_at(t, PARAMS, like)
    patience = load(t, PATIENCE)
    epochs = load(t, EPOCHS)
    least = math.inf
    waited = 0
    for epoch in range(epochs):
        for i in range(3):  # the loss of the epoch, and of a batch that is not done
            store(losses, epoch + i, 0.0)
        store(t, N_EPOCHS, epoch + 1)
        status = train(t, control, like)
        if status != FINISHED:
            return status
        loss = load(losses, epoch)
        if load(t, HAS_VALIDATION) != 0:
            loss = validation_loss(t, like)
            store(doubles_at(t, VALIDATION_LOSSES), epoch, loss)
        waited += 1
        if patience > 0 and loss < least:  # never NaN
            least = loss
            waited = 0
            store(t, BEST_EPOCH, epoch + 1)
            copy(best, params, load(t, N_PARAMS))
        if patience > 0 and waited >= patience:
            break
    return FINISHED


@kernel
def carry_out(w, t, control, like):
    """Train the net of a job to its end, or until the thread is to stop."""
    progress = begin_job(w, t, like)
    params = floats_at(t, PARAMS, like)
    n_params = load(t, N_PARAMS)
    best = floats_at(w, ROOM_FOR_BEST, like)
    if load(t, LOOKS) != 0:
        status = train_watched(t, control, best, like)
    else:
        status = train(t, control, like)
    if status == RUNNING:
        if not all_finite(params, n_params):
            copy(params, floats_at(t, SNAPSHOT, like), n_params)
            status = RESTORED
    elif load(t, BEST_EPOCH) > 0:
        copy(params, best, n_params)
    store(t, EPOCHS_DONE, load(progress, EPOCH))
    store(t, STATUS, status)


@kernel(cached=True)
def train_many(cells, like):
    """Train the nets of jobs until none is left, or the thread is to stop.

    Parameters
    ----------
    cells : array of int64
        Those of the thread.
    like : array of the nets' dtype, shape (1,)
        Not looked at.
    """
    w = pointer(cells, 0)
    x = pointer(like, 0)
    control = integers_at(w, CONTROL)
    jobs = integers_at(w, JOBS)
    while atomic_load(control, STOP) == 0:
        i = atomic_add(control, COUNTER, 1)
        if i >= load(w, N_JOBS):
            break
        carry_out(w, integers_at(jobs, i), control, x)
