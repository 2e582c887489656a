"""The epoch loop: many epochs in one compiled call, in pieces of bounded length."""

import math

from fastbp.kernels.backprop import backward
from fastbp.kernels.batches import batch_divisor
from fastbp.kernels.evaluation import add_gradient, forward_pass
from fastbp.kernels.finite import all_finite
from fastbp.kernels.regularization import penalty, share_penalties
from fastbp.kernels.sampling import dropout_key, next_order, next_random
from fastbp.kernels.state import (
    PENALTIES_SHARED,
    capacity_of,
)
from fastbp.kernels.transposes import copy
from fastbp.kernels.updates import begin_update, update_all
from fastbp.kernels.workspace import DROPS_OUT
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, lane_of, load, number_of, store, vfma

# Entries of the array `progress`.
EPOCH, ROW, DONE = 0, 1, 2
"""Epochs finished, first row of the running batch in the running epoch, rows of it done."""
N_PROGRESS = 3
RUNNING, FINISHED, DIVERGED = 0, 1, 2
"""What `train_passes` returns."""
NOT_AFTER = -1
"""See `train_passes`."""


@kernel
def train_pass(t, entries, network, work, first, done, batch, divisor, key, grad, optimizer,
               loss_before):  # fmt: skip
    """The next pass of a batch that starts at row `first`, after `done` of its rows.

    Without `grad` each layer is updated as soon as its gradient is there. A batch that takes
    several passes, or whose gradient is clipped by its norm, adds to `grad`, and its last pass
    updates all. Nothing is updated when the loss is not finite. Returns the loss of the batch so
    far.
    """
    rows = min(batch - done, capacity_of(work))
    loss = loss_before + forward_pass(
        t, network.params, entries, first + done, rows, divisor, key, 0, True
    )
    if done == 0:
        loss += penalty(network, optimizer)
    if not math.isfinite(loss):
        return loss
    if grad.length == 0:
        begin_update(optimizer)
        backward(network, work, entries, rows, grad, optimizer)
        return loss
    add_gradient(network, work, entries, done, rows, grad, optimizer)
    if done + rows == batch:
        begin_update(optimizer)
        update_all(network, optimizer, grad.values)
    return loss


@kernel
def begin_pass(work, data, random, progress, losses, epochs, rows, batch_size):
    """What the next pass needs: the rows of its batch, the key of dropout and the divisor.

    At the start of an epoch the order of the rows becomes the next.
    """
    first, done = load(progress, ROW), load(progress, DONE)
    if first == 0 and done == 0 and data.n_order > 0:
        next_order(data.order, data.n_order, data.generator, random)
    batch = min(batch_size, rows - first)
    key = 0
    if load(work.places, DROPS_OUT) != 0:
        key = dropout_key(next_random(random))
    divisor = load(losses, epochs + 1)
    if done == 0:
        divisor = batch_divisor(data, first, batch)
    return batch, key, divisor


@kernel
def end_pass(network, work, data, optimizer, progress, losses, epochs, snapshot, apart, rows,
             batch, divisor, batch_loss):  # fmt: skip
    """Write down what a pass came to, its batch's loss so far; whether training goes on.

    It does not where the loss is not finite, or a parameter at the end of an epoch: then the
    snapshot has been restored.
    """
    epoch, first, done = load(progress, EPOCH), load(progress, ROW), load(progress, DONE)
    done += min(batch - done, capacity_of(work))
    if done == batch:
        share = divisor * (1.0 / data.total)
        if load(optimizer.settings, PENALTIES_SHARED) != 0.0:
            share = batch * (1.0 / rows)
        # Each operation is spelled out: a team's loss has the same bits in code of its own.
        part = vfma(lane_of(batch_loss), lane_of(share), lane_of(load(losses, epoch)))
        store(losses, epoch, number_of(part))
        first += batch
        done = 0
    if not math.isfinite(batch_loss) or (
        first == rows and not all_finite(network.params, network.n_params)
    ):
        copy(network.params, advance(snapshot, epoch * apart), network.n_params)
        if done > 0:
            store(losses, epoch, batch_loss)
        return False
    if done == 0:
        batch_loss = 0.0
    if first == rows:
        epoch += 1
        if apart != NOT_AFTER:
            copy(advance(snapshot, epoch * apart), network.params, network.n_params)
        first = 0
    store(progress, EPOCH, epoch)
    store(progress, ROW, first)
    store(progress, DONE, done)
    store(losses, epochs, batch_loss)
    store(losses, epochs + 1, divisor)
    return True


@kernel
def train_passes(t, network, work, data, optimizer, grad, random, progress, losses, epochs,
                 snapshot, apart, rows, batch_size, passes):  # fmt: skip
    """At most `passes` passes of mini-batch training, from where `progress` stands.

    A pass is a batch, or a part of one that exceeds the workspace's capacity. All but numbers are
    pointers.

    Parameters
    ----------
    t : int64
        The table (addresses.py) that the next four are made from.
    network, work, data, optimizer : Network, Workspace, Data, OptimizerState
        The parameters and the optimiser's state are updated in place; the order of the rows,
        unless empty, becomes the next at the start of each epoch (`sampling.next_order`).
    grad : Gradient
        Needed when a batch takes more than one pass or its gradient is clipped by its norm; kept
        from one call to the next.
    random : uint64, shape (1,)
        The random stream that shuffles and drops out.
    progress : int64, shape (3,)
        See EPOCH, ROW and DONE.
    losses : float64, shape (epochs + 2,)
        Mean loss over the rows of each epoch, each batch's before its update; last the loss so
        far of a batch that is not done, and what it is divided by.
    epochs : int
    snapshot : shape (parameters,) or ((epochs + 1) x parameters,)
        The parameters after the last epoch that ended finite; or those at the start and after each
        epoch, one after the other.
    apart : int
        How far the snapshots of epochs are apart, 0 if there is one; NOT_AFTER if that is of the
        parameters before, and for an epoch alone.
    rows, batch_size, passes : int
        Rows of the data, rows of a batch (the last may be shorter), bound on the passes.

    Returns
    -------
    int
        RUNNING, FINISHED, or DIVERGED: then the snapshot has been restored.
    """
    for _ in range(passes):
        if load(progress, EPOCH) == epochs:
            break
        batch, key, divisor = begin_pass(
            work, data, random, progress, losses, epochs, rows, batch_size
        )
        batch_loss = train_pass(
            t, data.entries, network, work, load(progress, ROW), load(progress, DONE), batch,
            divisor, key, grad, share_penalties(optimizer, divisor), load(losses, epochs),
        )  # fmt: skip
        going = end_pass(
            network, work, data, optimizer, progress, losses, epochs, snapshot, apart, rows, batch,
            divisor, batch_loss,
        )  # fmt: skip
        if not going:
            return DIVERGED
    return FINISHED if load(progress, EPOCH) == epochs else RUNNING
