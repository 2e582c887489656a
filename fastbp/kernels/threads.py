"""Training by a team of threads, with the bits of one thread.

A pass is cut twice, and no sum is:

1. by columns: each member takes some rows of the batch through all layers, forward and back to the
   deltas (columns.py);
2. by units: each member takes blocks of units, their gradient over the whole pass, and updates them
   at once (blocks.py). A gradient that is clipped by its norm, or of a batch that takes several
   passes, is a whole one.

A barrier stands behind each of the two, two more where the gradient is clipped by its norm, one at
the end of an epoch. Every member adds the losses of all columns in the same order,
and so sees whether the loss is finite; and everyone has the scalars of the optimiser for itself.
The leader alone draws random numbers, keeps the progress and tells what is next.

The code has an entry point of its own, which is compiled when it is first used.
"""

import math

from fastbp.kernels.addresses import (
    APART,
    BLOCKS,
    COLUMN_LOSSES,
    COUNT,
    FIRST,
    LOSSES,
    MEMBER,
    N_BATCH,
    N_EPOCHS,
    N_MEMBERS,
    N_PASSES,
    NUMBERS,
    PROGRESS,
    ROWS,
    SNAPSHOT,
    SUMS,
    TEAM,
    TOTAL,
    data_at,
    gradient_at,
    network_at,
    optimizer_at,
    random_at,
    work_at,
)
from fastbp.kernels.blocks import (
    block_gradient,
    first_block,
    list_blocks,
    shape_whole,
    update_clipped,
    update_whole,
)
from fastbp.kernels.columns import Pass, pass_columns
from fastbp.kernels.losses import loss_of
from fastbp.kernels.matmul import FROM_OUTPUT, FROM_ZERO
from fastbp.kernels.regularization import norm, penalize_all, penalty, share_penalties
from fastbp.kernels.state import CLIP_NORM, Gradient, OptimizerState, capacity_of, layer_of
from fastbp.kernels.team import (
    BLOCK_QUEUE,
    COLUMN_QUEUE,
    TOLD,
    UPDATE_QUEUE,
    barrier,
    next_item,
    restart,
)
from fastbp.kernels.training import (
    DIVERGED,
    DONE,
    EPOCH,
    FINISHED,
    ROW,
    RUNNING,
    begin_pass,
    end_pass,
)
from fastbp.kernels.updates import NO_UPDATE, begin_update
from fastbp.machine.jit import kernel
from fastbp.machine.processor import TILE_VECTORS
from fastbp.machine.simd import (
    advance,
    doubles_at,
    floats_at,
    flush_denormals,
    integers_at,
    lanes,
    load,
    pointer,
    restore_denormals,
    splat,
    store,
    vload,
)

TRAIN, EVALUATE, WAIT = range(3)
"""What to do: see `operate`."""

# What the leader tells, from team.TOLD on.
STATUS = TOLD
"""GOING, or what training has come to."""
FIRST_ROW, DONE_ROWS, BATCH, KEY = range(TOLD + 1, TOLD + 5)
GOING = -1

# Entries of SUMS.
DIVISOR, LOSS_BEFORE, PENALTY = range(3)
"""What the loss of the batch is divided by, the loss so far, and the penalties."""
N_SUMS = 3

KEEP, UPDATE_BLOCK, UPDATE_WHOLE, SHAPE = range(4)
"""See `take_gradients`."""
LEAST_TILES, MOST_ITEMS = 2, 3
"""A member's columns are cut into so many items at the most, each of about so many tiles at least:
each item reads all weights, and the items are what is left for others to take."""


@kernel
def tiles_at_once(count):
    """Tiles of an item of a member that owns so many."""
    items = max(1, min(MOST_ITEMS, count // LEAST_TILES))
    return max(1, (count + items - 1) // items)


@kernel
def take_columns(network, work, data, p, losses, team, member, members):
    """Phase 1: this member's columns, then what is left of the others'."""
    tile = TILE_VECTORS * lanes(work.values)
    tiles = max(1, p.rows // tile)  # the last has the rest as well
    for turn in range(members):
        owner = (member + turn) % members
        begin = tiles * owner // members
        count = tiles * (owner + 1) // members - begin
        at_once = tiles_at_once(count)
        items = (count + at_once - 1) // at_once
        while True:
            item = next_item(team, COLUMN_QUEUE, members, owner, items, turn == 0)
            if item >= items:
                break
            first = begin + item * at_once
            end = min(first + at_once, begin + count)
            last = p.rows if end == tiles else end * tile
            pass_columns(network, work, data, p, first * tile, last, losses)


@kernel
def next_block(blocks, team, queue, members, owner, own):
    """Where the owner's next block stands in the list; -1 when none is left."""
    begin = load(blocks, 1 + owner)
    count = load(blocks, 2 + owner) - begin
    item = next_item(team, queue, members, owner, count, own)
    return first_block(members) + 3 * (begin + item) if item < count else -1


@kernel
def take_gradients(network, work, blocks, batch, grad, optimizer, then, team, member, members):
    """Phase 2: the gradients of blocks, each followed by an update or what comes before it.

    `then` is UPDATE_BLOCK where the gradient of a block is updated at once; of a whole gradient
    KEEP, UPDATE_WHOLE or SHAPE.
    """
    paused = without_update(optimizer)
    for turn in range(members):
        owner = (member + turn) % members
        while True:
            at = next_block(blocks, team, BLOCK_QUEUE, members, owner, turn == 0)
            if at < 0:
                break
            number, done, units = load(blocks, at), load(blocks, at + 1), load(blocks, at + 2)
            layer = layer_of(network, work, number)
            by = optimizer if then == UPDATE_BLOCK else paused
            block_gradient(network, work, number, batch, grad, by, done, units)
            if then == UPDATE_WHOLE:
                update_whole(layer, grad, optimizer, done, units)
            elif then == SHAPE:
                shape_whole(layer, grad, optimizer, done, units)


@kernel
def take_updates(network, work, blocks, grad, optimizer, factor, team, member, members):
    """Phase 3, where the gradient is clipped by its norm: the updates."""
    for turn in range(members):
        owner = (member + turn) % members
        while True:
            at = next_block(blocks, team, UPDATE_QUEUE, members, owner, turn == 0)
            if at < 0:
                break
            layer = layer_of(network, work, load(blocks, at))
            done, units = load(blocks, at + 1), load(blocks, at + 2)
            update_clipped(layer, grad, optimizer, done, units, factor)


@kernel
def without_update(o):
    """The optimiser, to compute gradients alone."""
    return OptimizerState(
        NO_UPDATE, o.scalars, o.slots, o.frozen, o.settings, o.n_params, o.n_frozen,
        o.penalty_share,
    )  # fmt: skip


@kernel
def update_parameters(network, work, blocks, p, done, is_last, grad, optimizer, team, member,
                      members):  # fmt: skip
    """Phases 2 and 3 of a pass after `done` rows of its batch; False if the team was stopped."""
    if load(blocks, 0) != p.rows:
        list_blocks(network, work, blocks, members, p.rows)
    if is_last:
        begin_update(optimizer)
    start = FROM_ZERO if done == 0 else FROM_OUTPUT
    place = Gradient(grad.values, grad.length, start)
    limit = load(optimizer.settings, CLIP_NORM)
    then = KEEP
    if grad.length == 0:
        then = UPDATE_BLOCK
    elif is_last:
        then = SHAPE if limit > 0.0 else UPDATE_WHOLE
    take_gradients(network, work, blocks, p.rows, place, optimizer, then, team, member, members)
    if then != SHAPE:
        return True
    if not barrier(team, members):
        return False
    size = norm(grad.values, network.n_params)
    # Divided here: in the loop over blocks it would be multiplied by 1 / size, with other bits.
    factor = limit / size if size > limit else 1.0
    if not barrier(team, members):  # the gradient is scaled from here on
        return False
    take_updates(network, work, blocks, grad, optimizer, factor, team, member, members)
    return True


@kernel
def loss_of_pass(network, p, losses):
    """The loss of a pass from that of its columns, in the order of one thread."""
    width = lanes(losses)
    total = splat(losses, 0.0)
    for first in range(0, p.rows, width):
        total = total + vload(advance(losses, first), width)
    return loss_of(network.loss, network.loss_parameters, total)


@kernel
def tell(t, team, sums, network, work, data, passes):
    """The leader says what is next."""
    progress, losses = integers_at(t, PROGRESS), doubles_at(t, LOSSES)
    epochs = load(t, N_EPOCHS)
    if load(progress, EPOCH) == epochs or passes == 0:
        store(team, STATUS, FINISHED if load(progress, EPOCH) == epochs else RUNNING)
        return
    batch, key, divisor = begin_pass(
        work, data, random_at(t), progress, losses, epochs, load(t, ROWS), load(t, N_BATCH)
    )
    store(team, FIRST_ROW, load(progress, ROW))
    store(team, DONE_ROWS, load(progress, DONE))
    store(team, BATCH, batch)
    store(team, KEY, key)
    store(sums, DIVISOR, divisor)
    store(sums, LOSS_BEFORE, load(losses, epochs))
    store(team, STATUS, GOING)


@kernel
def go_on(t, team, sums, network, work, data, optimizer, snapshot, batch, divisor, loss, passes):
    """The leader writes down a pass and says what is next."""
    going = end_pass(
        network, work, data, optimizer, integers_at(t, PROGRESS), doubles_at(t, LOSSES),
        load(t, N_EPOCHS), snapshot, load(t, APART), load(t, ROWS), batch, divisor, loss,
    )  # fmt: skip
    if going:
        tell(t, team, sums, network, work, data, passes)
    else:
        store(team, STATUS, DIVERGED)


@kernel
def train(t, like):
    """TRAIN of `operate`."""
    network, work, data = network_at(t, like), work_at(t, like), data_at(t, like, None)
    optimizer, grad = optimizer_at(t, like), gradient_at(t, like, FROM_ZERO)
    team, sums, blocks = integers_at(t, TEAM), doubles_at(t, SUMS), integers_at(t, BLOCKS)
    snapshot, column_losses = floats_at(t, SNAPSHOT, like), floats_at(t, COLUMN_LOSSES, like)
    member, members = load(t, MEMBER), load(t, N_MEMBERS)
    leads = member == 0
    passes = load(t, N_PASSES)
    if leads:
        tell(t, team, sums, network, work, data, passes)
    if not barrier(team, members):
        return RUNNING
    while load(team, STATUS) == GOING:
        passes -= 1
        first, done, batch = load(team, FIRST_ROW), load(team, DONE_ROWS), load(team, BATCH)
        rows = min(batch - done, capacity_of(work))
        divisor = load(sums, DIVISOR)
        before = load(sums, LOSS_BEFORE)
        p = Pass(first + done, rows, divisor, load(team, KEY))
        shared = share_penalties(optimizer, divisor)
        restart(team, BLOCK_QUEUE, members, member)
        restart(team, UPDATE_QUEUE, members, member)
        if leads and done == 0:
            store(sums, PENALTY, penalty(network, shared))
        take_columns(network, work, data, p, column_losses, team, member, members)
        if not barrier(team, members):
            return RUNNING
        loss = before + loss_of_pass(network, p, column_losses)
        if done == 0:
            loss += load(sums, PENALTY)
        restart(team, COLUMN_QUEUE, members, member)
        is_last = done + rows == batch
        ends = not math.isfinite(loss) or (is_last and first + batch == load(t, ROWS))
        if leads and not ends:
            go_on(
                t, team, sums, network, work, data, shared, snapshot, batch, divisor, loss, passes
            )
        if math.isfinite(loss):
            if not update_parameters(
                network, work, blocks, p, done, is_last, grad, shared, team, member, members
            ):
                return RUNNING
        if not barrier(team, members):
            return RUNNING
        if ends:  # what stands in the parameters now is looked at
            if leads:
                go_on(
                    t, team, sums, network, work, data, shared, snapshot, batch, divisor, loss,
                    passes,
                )  # fmt: skip
            if not barrier(team, members):
                return RUNNING
    return load(team, STATUS)


@kernel
def evaluate(t, like):
    """EVALUATE of `operate`."""
    network, work, data = network_at(t, like), work_at(t, like), data_at(t, like, None)
    optimizer, grad = optimizer_at(t, like), gradient_at(t, like, FROM_ZERO)
    team, blocks = integers_at(t, TEAM), integers_at(t, BLOCKS)
    column_losses = floats_at(t, COLUMN_LOSSES, like)
    member, members = load(t, MEMBER), load(t, N_MEMBERS)
    total = load(doubles_at(t, NUMBERS), TOTAL)
    loss = 0.0
    first = load(t, FIRST)
    end = first + load(t, COUNT)
    while first < end:
        p = Pass(first, min(end - first, capacity_of(work)), total, 0)
        restart(team, BLOCK_QUEUE, members, member)
        take_columns(network, work, data, p, column_losses, team, member, members)
        if not barrier(team, members):
            return loss
        loss += loss_of_pass(network, p, column_losses)
        restart(team, COLUMN_QUEUE, members, member)
        going = update_parameters(
            network, work, blocks, p, first, False, grad, optimizer, team, member, members
        )
        if not (going and barrier(team, members)):
            return loss
        first += p.rows
    if member == 0 and end == load(t, ROWS):
        shared = share_penalties(optimizer, total)
        loss += penalty(network, shared)
        penalize_all(network, shared, grad.values)
    return loss


@kernel
def operate(t, operation, like):
    """Carry out an operation as a member of a team.

    ========  =====================================================  ==========================
    TRAIN     at most N_PASSES passes of training, as                RUNNING, FINISHED, DIVERGED;
              `training.train_passes`                                RUNNING if it was stopped
    EVALUATE  loss of COUNT of the ROWS from FIRST on and its        their share in the loss, the
              gradient, as `evaluation.evaluate_rows`                leader's
    WAIT      COUNT barriers                                         0
    ========  =====================================================  ==========================
    """
    if operation == TRAIN:
        return float(train(t, like))
    if operation == EVALUATE:
        return evaluate(t, like)
    if operation == WAIT:
        for _ in range(load(t, COUNT)):
            if not barrier(integers_at(t, TEAM), load(t, N_MEMBERS)):
                break
        return 0.0
    raise ValueError("unknown operation")


@kernel(cached=True)
def train_together(cells, operation, like):
    """Carry out an operation of `operate` as a member of a team.

    Parameters
    ----------
    cells : array of int64
        The row of a `table.Table` for this member.
    operation : int
    like : array of the net's dtype
        Not looked at.
    """
    mode = flush_denormals()
    result = operate(pointer(cells, 0), operation, pointer(like, 0))
    restore_denormals(mode)
    return result
