"""The perceptron learning rule: threshold units that learn from their mistakes.

Legend: w weights of a unit (K,), b its bias, x inputs of a row (K,), t its target 0 or 1, N units.
The units stand one after the other, the biases behind all weights, as in layout.py.

A unit's output is ``y = 1 where w.x + b > 0``, else 0. After each row,

    w <- w - rate (y - t) x,    b <- b - rate (y - t)

which changes nothing where y is right. Rosenblatt, Psychological Review 65, 1958; that it ends
where a plane separates the classes: Novikoff, Symposium on the Mathematical Theory of Automata,
1962. Everything that computes a net input does so by `net_input`, so that predicting and learning
agree to the bit.
"""

from fastbp.kernels.finite import all_finite
from fastbp.kernels.sampling import draw_order
from fastbp.kernels.training import DIVERGED, EPOCH, FINISHED, ROW, RUNNING
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    advance,
    flush_denormals,
    lanes,
    load,
    pointer,
    restore_denormals,
    splat,
    store,
    vload,
    vstore,
    vsum,
)


@kernel
def net_input(w, x, bias, k):
    """w.x + b."""
    total = splat(w, 0.0)
    for i in range(0, k, lanes(w)):
        tail = k - i
        total = total + vload(advance(w, i), tail) * vload(advance(x, i), tail)
    return vsum(total) + bias


@kernel
def add_scaled(w, x, factor, k):
    """w <- w + factor x."""
    scale = splat(w, factor)
    for i in range(0, k, lanes(w)):
        tail, p = k - i, advance(w, i)
        vstore(p, vload(p, tail) + vload(advance(x, i), tail) * scale, tail)


@kernel
def learn_row(params, x, targets, rate, k, n, has_biases):
    """One row; returns how many units were wrong."""
    mistakes, biases = 0, advance(params, n * k)
    for j in range(n):
        w = advance(params, j * k)
        bias = load(biases, j) if has_biases else 0.0
        on = 1.0 if net_input(w, x, bias, k) > 0.0 else 0.0
        error = load(targets, j) - on
        if error != 0.0:
            mistakes += 1
            add_scaled(w, x, rate * error, k)
            if has_biases:
                store(biases, j, load(biases, j) + rate * error)
    return mistakes


@kernel
def learn_rows(params, inputs, targets, order, n_order, random, progress, mistakes, safe, rate,
               rows, k, n, n_params, epochs, count):  # fmt: skip
    """The loop of `learn`, on pointers."""
    epoch, row = load(progress, EPOCH), load(progress, ROW)
    for _ in range(count):
        if epoch == epochs:
            break
        if row == 0 and n_order > 0:
            draw_order(order, n_order, random)
        at = load(order, row) if n_order > 0 else row
        wrong = learn_row(
            params, advance(inputs, at * k), advance(targets, at * n), rate, k, n, n_params > n * k
        )
        store(mistakes, epoch, load(mistakes, epoch) + wrong)
        row += 1
        if row == rows:
            if not all_finite(params, n_params):
                for i in range(n_params):
                    store(params, i, load(safe, i))
                return DIVERGED
            for i in range(n_params):
                store(safe, i, load(params, i))
            epoch, row = epoch + 1, 0
            if load(mistakes, epoch - 1) == 0:
                store(progress, EPOCH, epoch)
                store(progress, ROW, row)
                return FINISHED
        store(progress, EPOCH, epoch)
        store(progress, ROW, row)
    return FINISHED if epoch == epochs else RUNNING


@kernel(cached=True)
def learn(params, inputs, targets, order, random, progress, mistakes, snapshot, rate, count):
    """At most `count` rows of the perceptron learning rule, from where `progress` stands.

    Parameters
    ----------
    params : array, shape (N K,) or (N K + N,)
    inputs, targets : array, shape (rows, K) and (rows, N)
    order : array of int64, shape (rows,) or (0,)
        Drawn anew at the start of each epoch; empty: the rows as they stand.
    random : array of uint64, shape (1,)
    progress : array of int64
        Entries EPOCH and ROW of training.py.
    mistakes : array of int64, shape (epochs,)
        Wrong outputs in each epoch.
    snapshot : array like params
        The parameters after the last epoch that ended finite.
    rate : float
    count : int

    Returns
    -------
    int
        RUNNING; FINISHED after all epochs or one without mistakes; DIVERGED: then the snapshot
        has been restored.
    """
    mode = flush_denormals()
    status = learn_rows(
        pointer(params, 0), pointer(inputs, 0), pointer(targets, 0), pointer(order, 0),
        order.shape[0], pointer(random, 0), pointer(progress, 0), pointer(mistakes, 0),
        pointer(snapshot, 0), rate, inputs.shape[0], inputs.shape[1], targets.shape[1],
        params.shape[0], mistakes.shape[0], count,
    )  # fmt: skip
    restore_denormals(mode)
    return status


@kernel(cached=True)
def net_inputs(params, inputs, out):
    """Net inputs of all units for all rows, in `out`, (rows, N)."""
    mode = flush_denormals()
    rows, k, n = inputs.shape[0], inputs.shape[1], out.shape[1]
    w, x, z, has_biases = pointer(params, 0), pointer(inputs, 0), pointer(out, 0), 0
    biases = advance(w, n * k)
    if params.shape[0] > n * k:
        has_biases = 1
    for row in range(rows):
        for j in range(n):
            bias = load(biases, j) if has_biases == 1 else 0.0
            store(z, row * n + j, net_input(advance(w, j * k), advance(x, row * k), bias, k))
    restore_denormals(mode)
