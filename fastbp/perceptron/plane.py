"""The perceptron of scikit-learn's SGDClassifier: one plane, with penalties and sample weights.

Legend: w weights (K,), b the bias, x inputs of a row (K,), t its target -1 or 1, s its weight.
Row by row, with z = w.x + b:

    w <- (1 - rate l2) w,  and if t z <= 0:  w <- w + rate s t x,  b <- b + decay rate s t

and then L1. Unlike in kernels.py, z = 0 is a mistake whatever the target is. The order of the rows
is that of scikit-learn, draw by draw.

A sparse row takes the time of its entries: w is `factor` times what is stored, and L2 shrinks the
factor; L1 is applied to the weights of entries alone.
"""

from fastbp.kernels.regularization import scale
from fastbp.kernels.state import entries_pointers
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, load, pointer, store
from fastbp.perceptron.kernels import add_scaled, net_input

LEAST_FACTOR = 1e-9
"""Below, the factor of L2 is multiplied into the weights of sparse rows."""

MEAN_LOSS = 5
"""Index in `state` of the mean loss of an epoch without the penalties."""


@kernel
def shuffle_rows(order, count, seed):
    """Swap each row with itself or one behind it, drawn by a 32-bit xorshift (Marsaglia 2003).

    The random stream restarts at `seed`; the order is shuffled further.
    """
    state = seed if seed != 0 else 1
    for i in range(count - 1):
        state = (state ^ (state << 13)) & 0xFFFFFFFF
        state = state ^ (state >> 17)
        state = (state ^ (state << 5)) & 0xFFFFFFFF
        j = i + (state & 0x7FFFFFFF) % (count - i)
        kept = load(order, i)
        store(order, i, load(order, j))
        store(order, j, kept)


@kernel
def truncate(w, q, i, u, factor):
    """Apply the cumulative L1 penalty u to weight i, which is `factor` times what is stored.

    q is the share that each weight has had so far. Tsuruoka, Tsujii and Ananiadou, ACL 2009,
    figure 2.
    """
    before = load(w, i) * factor
    after = before
    if before > 0.0:
        after = max(0.0, before - (u + load(q, i)))
    elif before < 0.0:
        after = min(0.0, before + (u - load(q, i)))
    if after != before:
        store(w, i, after / factor)
        store(q, i, load(q, i) + (after - before))


@kernel
def norms(w, k):
    """The sum of squares, and the sum of magnitudes."""
    squares = 0.0
    magnitudes = 0.0
    for i in range(k):
        x = load(w, i)
        squares += x * x
        magnitudes += abs(x)
    return squares, magnitudes


@kernel
def plane_rows(w, state, q, inputs, targets, weights, order, settings, rows, k):
    """The loop of `plane_epoch`, on pointers."""
    rate = load(settings, 0)
    decay = load(settings, 1)
    l2 = load(settings, 2)
    l1 = load(settings, 3)
    shrink = max(0.0, 1.0 - rate * l2)
    squares = load(state, 2)
    magnitudes = load(state, 3)
    total = 0.0
    losses = 0.0
    learned = 0
    for at in range(rows):
        row = load(order, at)
        weight = load(weights, row)
        if weight < 0.0:  # held out
            continue
        learned += 1
        x = advance(inputs, row * k)
        t = load(targets, row)
        margin = net_input(w, x, load(state, 0), k) * t
        losses += max(0.0, -margin)
        total += max(0.0, -margin) + l2 * 0.5 * squares + l1 * magnitudes
        step = rate * t * weight if margin <= 0.0 else 0.0
        if l2 > 0.0:
            add_scaled(w, w, shrink - 1.0, k)
            squares *= shrink * shrink
            magnitudes *= shrink
        if step != 0.0:
            add_scaled(w, x, step, k)
            store(state, 0, load(state, 0) + step * decay)
            if l1 + l2 > 0.0:
                squares, magnitudes = norms(w, k)
        if l1 > 0.0:
            store(state, 1, load(state, 1) + rate * l1)
            for i in range(k):
                truncate(w, q, i, load(state, 1), 1.0)
    store(state, 2, squares)
    store(state, 3, magnitudes)
    store(state, MEAN_LOSS, losses / learned)
    return total / learned


@kernel(cached=True)
def plane_epoch(weights, state, q, inputs, targets, row_weights, order, settings, seed):
    """One epoch of one unit; returns its mean loss max(0, -t z) with the penalties.

    The penalty in the loss is that of scikit-learn (1.9): of the weights after the last correction
    and what L2 has shrunk them since, before L1.

    Parameters
    ----------
    weights : array, shape (K,)
    state : array of float64, shape (6,)
        The bias; the cumulative L1 penalty; the sums of squares and of magnitudes that the penalty
        in the loss is computed from, at first those of all weights; a number of sparse rows;
        afterwards the mean loss without the penalties.
    q : array, shape (K,)
        See `truncate`.
    inputs : array, shape (rows, K)
    targets : array of float64, shape (rows,)
        -1 and 1.
    row_weights : array of float64, shape (rows,)
        Sample weight times class weight; a row below 0 is held out.
    order : array of int64, shape (rows,)
    settings : array of float64, shape (4,)
        Learning rate; its factor for the bias, 0 for no bias; L2 and L1 penalty.
    seed : int
        Seed of the shuffle; below 0 the order stays.
    """
    if seed >= 0:
        shuffle_rows(pointer(order, 0), order.shape[0], seed)
    return plane_rows(
        pointer(weights, 0), pointer(state, 0), pointer(q, 0), pointer(inputs, 0),
        pointer(targets, 0), pointer(row_weights, 0), pointer(order, 0), pointer(settings, 0),
        inputs.shape[0], inputs.shape[1],
    )  # fmt: skip


@kernel
def net_input_of_entries(w, entries, first, end):
    """w.x of a sparse row, whose entries are those from `first` to before `end`."""
    total = 0.0
    for entry in range(first, end):
        total += load(w, load(entries.columns, entry)) * load(entries.values, entry)
    return total


@kernel
def add_entries(w, entries, first, end, step):
    """w <- w + step x; returns the sums of squares and magnitudes of the weights of the entries."""
    squares = 0.0
    magnitudes = 0.0
    for entry in range(first, end):
        i = load(entries.columns, entry)
        after = load(w, i) + load(entries.values, entry) * step
        store(w, i, after)
        squares += after * after
        magnitudes += abs(after)
    return squares, magnitudes


@kernel
def sparse_plane_rows(w, state, q, entries, targets, weights, bias_steps, order, settings, rows,
                      k):  # fmt: skip
    """The loop of `sparse_plane_epoch`, on pointers."""
    rate = load(settings, 0)
    l2 = load(settings, 2)
    l1 = load(settings, 3)
    factor = load(state, 4)
    shrink = max(0.0, 1.0 - rate * l2)
    squares = load(state, 2)
    magnitudes = load(state, 3)
    total = 0.0
    losses = 0.0
    learned = 0
    for at in range(rows):
        row = load(order, at)
        weight = load(weights, row)
        if weight < 0.0:  # held out
            continue
        learned += 1
        first = load(entries.starts, row)
        end = load(entries.starts, row + 1)
        t = load(targets, row)
        margin = (net_input_of_entries(w, entries, first, end) * factor + load(state, 0)) * t
        losses += max(0.0, -margin)
        total += max(0.0, -margin) + l2 * 0.5 * squares + l1 * magnitudes
        if l2 > 0.0:
            factor *= shrink
            squares *= shrink * shrink
            magnitudes *= shrink
            if factor < LEAST_FACTOR:
                scale(w, factor, k)
                factor = 1.0
        if margin <= 0.0 and weight > 0.0:
            step = rate * t * weight
            squares, magnitudes = add_entries(w, entries, first, end, step / factor)
            squares *= factor * factor
            magnitudes *= factor
            store(state, 0, load(state, 0) + load(bias_steps, row))
        if l1 > 0.0:
            u = load(state, 1) + rate * l1
            store(state, 1, u)
            for entry in range(first, end):
                truncate(w, q, load(entries.columns, entry), u, factor)
    store(state, 2, squares)
    store(state, 3, magnitudes)
    store(state, 4, factor)
    store(state, MEAN_LOSS, losses / learned)
    return total / learned


@kernel(cached=True)
def sparse_plane_epoch(weights, state, q, entries, targets, row_weights, bias_steps, order,
                       settings, seed):  # fmt: skip
    """As `plane_epoch`, for sparse rows.

    The penalty in the loss is again that of scikit-learn: of the weights that the last correction
    has changed alone.

    Parameters
    ----------
    weights, q, targets, row_weights, order, settings, seed
        As in `plane_epoch`, but for the factor of the weights.
    state : array of float64, shape (6,)
        The bias; the cumulative L1 penalty; the sums of squares and of magnitudes that the penalty
        in the loss is computed from, at first those of all weights; by what the weights are to be
        multiplied, at first 1; afterwards the mean loss without the penalties.
    entries : Entries
    bias_steps : array of float64, shape (rows,)
        What a mistake adds to the bias: computed outside, where the product is rounded before it is
        added, as in scikit-learn. Where L1 makes all weights 0, its last bit decides.
    """
    if seed >= 0:
        shuffle_rows(pointer(order, 0), order.shape[0], seed)
    return sparse_plane_rows(
        pointer(weights, 0), pointer(state, 0), pointer(q, 0), entries_pointers(entries),
        pointer(targets, 0), pointer(row_weights, 0), pointer(bias_steps, 0), pointer(order, 0),
        pointer(settings, 0), order.shape[0], weights.shape[0],
    )  # fmt: skip
