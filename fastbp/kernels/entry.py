"""What Python calls: one function, whose table says on what, and whose code says what to do.

There is one copy of the machine code of all kernels for a dtype, and one more for sparse rows.
"""

import math

from fastbp.kernels import in_python
from fastbp.kernels.addresses import (
    ACTIVATED,
    APART,
    COUNT,
    DIVISOR,
    DROPS_OUT,
    FIRST,
    FROZEN,
    GENERATOR,
    HIGH,
    INPUTS,
    LABELS,
    LOSSES,
    LOW,
    N_BATCH,
    N_EPOCHS,
    N_FROZEN,
    N_LABELS,
    N_LAYERS,
    N_ORDER,
    N_PARAMS,
    N_PASSES,
    NUMBERS,
    ORDER,
    PROGRESS,
    ROWS,
    SNAPSHOT,
    STATUS,
    TARGETS,
    TOTAL,
    data_at,
    entries_at,
    gradient_at,
    network_at,
    optimizer_at,
    random_at,
    work_at,
)  # fmt: skip
from fastbp.kernels.derivatives import derive_rows
from fastbp.kernels.evaluation import evaluate_rows, predict_rows
from fastbp.kernels.finite import all_between, all_finite
from fastbp.kernels.matmul import FROM_ZERO
from fastbp.kernels.regularization import penalty, share_penalties
from fastbp.kernels.sampling import next_order
from fastbp.kernels.state import layer_of, n_inputs, n_units
from fastbp.kernels.training import FINISHED, N_PROGRESS, train_passes
from fastbp.kernels.transposes import copy
from fastbp.kernels.updates import begin_update, update_all
from fastbp.machine.jit import kernel
from fastbp.machine.simd import (
    bytes_at,
    doubles_at,
    floats_at,
    flush_denormals,
    integers_at,
    load,
    pointer,
    put_at,
    restore_denormals,
    store,
)  # fmt: skip

PREDICT, EVALUATE, TRAIN = range(3)
SHUFFLE, OUTPUTS, OUTPUT_LOSS, DESCEND, PENALTIES = range(3, 8)
STEP, DERIVE, APPLY, LOSS = range(8, 12)
"""What to do: see `operate`."""
REFUSED = -1
"""STATUS of a step whose batch or net is not as it must be; it has changed nothing."""


@kernel
def predict(t, x, entries, out, rows):
    """PREDICT of `operate`."""
    put_at(t, INPUTS, x)
    store(t, N_ORDER, 0)
    return predict_rows(t, network_at(t, x), work_at(t, x), x, entries, out, rows)


@kernel
def evaluate(t, like, entries):
    """EVALUATE of `operate`."""
    return evaluate_rows(
        t, like, entries, network_at(t, like), work_at(t, like),
        load(doubles_at(t, NUMBERS), TOTAL), optimizer_at(t, like),
        gradient_at(t, like, FROM_ZERO), load(t, FIRST), load(t, COUNT), load(t, ROWS),
    )  # fmt: skip


@kernel
def train(t, like, entries):
    """TRAIN of `operate`."""
    return train_passes(
        t, network_at(t, like), work_at(t, like), data_at(t, like, entries), optimizer_at(t, like),
        gradient_at(t, like, FROM_ZERO), random_at(t), integers_at(t, PROGRESS),
        doubles_at(t, LOSSES), load(t, N_EPOCHS), floats_at(t, SNAPSHOT, like), load(t, APART),
        load(t, ROWS), load(t, N_BATCH), load(t, N_PASSES),
    )  # fmt: skip


@kernel
def are_good(t, network, work, x, y, rows):
    """Whether parameters and rows are finite, and the targets are such as the loss takes."""
    last = layer_of(network, work, network.n_layers - 1)
    numbers = doubles_at(t, NUMBERS)
    count = rows * n_inputs(layer_of(network, work, 0))
    if not (all_finite(network.params, network.n_params) and all_finite(x, count)):
        return False
    if load(t, N_LABELS) > 0:
        return all_between(integers_at(t, LABELS), rows, 0, n_units(last) - 1)
    return all_between(y, rows * n_units(last), load(numbers, LOW), load(numbers, HIGH))


@kernel
def takes(t, x, y, rows):
    """Whether rows and targets are good; if so, they are those of the table now."""
    if not are_good(t, network_at(t, x), work_at(t, x), x, y, rows):
        return False
    put_at(t, INPUTS, x)
    if load(t, N_LABELS) == 0:
        put_at(t, TARGETS, y)
    return True


@kernel
def any_frozen(t):
    """1 where a parameter is frozen, else 0."""
    frozen = bytes_at(t, FROZEN)
    found = 0
    for i in range(load(t, N_PARAMS)):
        found |= load(frozen, i)
    return found


@kernel
def step(t, x, y, rows, entries):
    """STEP of `operate`."""
    network = network_at(t, x)
    losses = doubles_at(t, LOSSES)
    progress = integers_at(t, PROGRESS)
    for i in range(N_PROGRESS):
        store(progress, i, 0)
        store(losses, i, 0.0)
    if not takes(t, x, y, rows):
        store(t, STATUS, REFUSED)
        return math.nan
    store(t, N_FROZEN, any_frozen(t) * network.n_params)
    copy(floats_at(t, SNAPSHOT, x), network.params, network.n_params)
    status = train(t, x, entries)
    store(t, STATUS, status)
    return load(losses, 0) if status == FINISHED else math.nan


@kernel
def shuffle(t):
    """SHUFFLE of `operate`."""
    next_order(integers_at(t, ORDER), load(t, N_ORDER), load(t, GENERATOR), random_at(t))


@kernel
def outputs(t, like, entries, out, n_out):
    """OUTPUTS of `operate`."""
    return in_python.outputs(
        t, like, entries, network_at(t, like), work_at(t, like), load(t, FIRST), load(t, COUNT),
        load(t, ACTIVATED), random_at(t), load(t, DROPS_OUT), out, n_out,
    )  # fmt: skip


@kernel
def output_loss(t, like, entries):
    """OUTPUT_LOSS of `operate`."""
    return in_python.output_loss(
        t, like, entries, load(t, N_LAYERS), load(t, FIRST), load(t, COUNT),
        load(doubles_at(t, NUMBERS), DIVISOR),
    )  # fmt: skip


@kernel
def shared_optimizer(t, like):
    """The optimiser, with its share of the penalties for a batch of this DIVISOR."""
    return share_penalties(optimizer_at(t, like), load(doubles_at(t, NUMBERS), DIVISOR))


@kernel
def descend(t, like, entries, delta, has_delta):
    """DESCEND of `operate`."""
    in_python.descend(
        network_at(t, like), work_at(t, like), entries, delta, has_delta,
        shared_optimizer(t, like), gradient_at(t, like, FROM_ZERO), load(t, COUNT),
    )  # fmt: skip


@kernel
def derive(t, dy, from_dy, dx, to_dx, entries):
    """DERIVE of `operate`."""
    return derive_rows(
        t, dy, entries, network_at(t, dy), work_at(t, dy), load(doubles_at(t, NUMBERS), TOTAL),
        optimizer_at(t, dy), gradient_at(t, dy, FROM_ZERO), load(t, APART), load(t, ACTIVATED) + 1,
        dy, from_dy, dx, to_dx, load(t, FIRST), load(t, COUNT),
    )  # fmt: skip


@kernel
def apply_gradient(t, like):
    """APPLY of `operate`."""
    optimizer = optimizer_at(t, like)
    begin_update(optimizer)
    update_all(network_at(t, like), optimizer, gradient_at(t, like, FROM_ZERO).values)


@kernel
def operate(t, operation, x, y, rows, y_rows, columns, entries):
    """Carry out an operation; y is (y_rows, columns), `entries` are None for dense rows.

    ===========  ==================================================  ==========================
    operation    what it does                                        what it returns
    ===========  ==================================================  ==========================
    PREDICT      outputs y (rows, n_out) of the rows x (rows, n_in)  index of the first input
                                                                     that is not finite, or -1
    EVALUATE     loss of COUNT of the ROWS from FIRST on, as         their share in the loss
                 `evaluation.evaluate_rows`
    TRAIN        at most N_PASSES passes of training                 RUNNING, FINISHED, DIVERGED
    SHUFFLE      the order of the rows in the next epoch             0
    OUTPUTS      outputs y (rows, n_out) of COUNT rows from FIRST    the layer that Python is to
                 on, as `in_python.outputs`; none without rows       activate, or n_layers
    OUTPUT_LOSS  loss of COUNT rows from FIRST on, after OUTPUTS     their share in the loss
    DESCEND      an update after OUTPUTS, or the gradient, from the  0
                 derivative y (rows, n_out); without rows from the
                 delta of OUTPUT_LOSS
    PENALTIES    nothing                                             penalties of a batch
    STEP         one update by the rows x (rows, n_in) with targets  the loss before it, NaN where
                 y (rows, n_out), or the LABELS                      the STATUS is not FINISHED
    DERIVE       derivatives of COUNT rows from FIRST on, from that  their share in the loss; 0
                 by the outputs, x (rows, n_out), or without rows    from x
                 that of the loss, as `derivatives.derive_rows`;
                 those by the inputs in y, unless that has no rows
    APPLY        one update by the GRADIENT                          0
    LOSS         loss of the rows x (rows, n_in) with targets y      the loss; NaN also where
                 (rows, n_out), or the LABELS, as EVALUATE           something is not as it must be
    ===========  ==================================================  ==========================

    The rows of all but PREDICT, STEP and LOSS are those of the table.
    """
    if operation == PREDICT:
        return float(predict(t, x, entries, y, rows))
    if operation == TRAIN:
        return float(train(t, x, entries))
    if operation == STEP:
        return step(t, x, y, rows, entries)
    if operation == LOSS:
        if not takes(t, x, y, rows):
            return math.nan
        operation = EVALUATE
    if operation == EVALUATE:
        return evaluate(t, x, entries)
    if operation == OUTPUTS:
        return float(outputs(t, x, entries, y, columns if y_rows > 0 else 0))
    if operation == OUTPUT_LOSS:
        return output_loss(t, x, entries)
    if operation == PENALTIES:
        return penalty(network_at(t, x), shared_optimizer(t, x))
    if operation == DERIVE:
        return derive(t, x, rows > 0, y, y_rows > 0, entries)
    if operation == SHUFFLE:
        shuffle(t)
    elif operation == APPLY:
        apply_gradient(t, x)
    elif operation == DESCEND:
        descend(t, x, entries, y, y_rows > 0)
    else:
        raise ValueError("unknown operation")
    return 0.0


@kernel
def on_dense(t, operation, x, y, rows, y_rows, columns):
    """Carry out an operation of `operate` on dense rows."""
    mode = flush_denormals()
    result = operate(t, operation, x, y, rows, y_rows, columns, None)
    restore_denormals(mode)
    return result


@kernel
def on_sparse(t, operation, x, y, rows, y_rows, columns):
    """Carry out an operation of `operate` on sparse rows; of x and y one at most has rows."""
    mode = flush_denormals()
    entries = entries_at(t, x)
    result = operate(t, operation, x, y, max(rows, y_rows), y_rows, columns, entries)
    restore_denormals(mode)
    return result


@kernel(cached=True, shipped=True)
def train_and_predict(cells, operation, x, y):
    """Carry out an operation of `operate` on dense rows.

    Parameters
    ----------
    cells : array of int64
        The row of a `table.Table`.
    operation : int
    x, y : array of the net's dtype, shape (rows, n_in) and (rows, n_out), or (0, 0)
    """
    return on_dense(
        pointer(cells, 0), operation, pointer(x, 0), pointer(y, 0), x.shape[0], y.shape[0],
        y.shape[1],
    )  # fmt: skip


@kernel(cached=True, shipped=True)
def train_and_predict_sparse(cells, operation, x, y):
    """The same on sparse rows, as `on_sparse`."""
    return on_sparse(
        pointer(cells, 0), operation, pointer(x, 0), pointer(y, 0), x.shape[0], y.shape[0],
        y.shape[1],
    )  # fmt: skip


SHIPPED = {"train_and_predict": on_dense, "train_and_predict_sparse": on_sparse}
"""What `emission.emit` makes objects of."""
