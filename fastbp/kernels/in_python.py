"""The pieces of a training step, for losses and activations in Python between them.

Python has them carried out one after the other for each batch (fit/in_python.py): `outputs`, as
often as an activation in Python interrupts it, then `output_loss` unless the loss is in Python,
then `descend`. Between the calls everything stands in the workspace.
"""

from fastbp.kernels import state
from fastbp.kernels.backprop import backward
from fastbp.kernels.dense import delta_through, drop_outputs
from fastbp.kernels.evaluation import add_gradient, forward_pass
from fastbp.kernels.regularization import penalize_all
from fastbp.kernels.sampling import dropout_key, last_random, next_random
from fastbp.kernels.state import (
    data_rows,
    delta,
    feature_rows,
    layer_of,
    n_units,
    stride_of,
)
from fastbp.kernels.transposes import transpose
from fastbp.kernels.updates import NO_UPDATE, begin_update, update_all
from fastbp.kernels.workspace import DROPS_OUT
from fastbp.machine.jit import kernel
from fastbp.machine.simd import load, store


@kernel
def outputs(t, like, entries, network, work, first, batch, done, random, drops_out, out, n_out):
    """Outputs of the rows from `first` on in `out`, (batch, n_out); dropout only if `drops_out`.

    Where Python activates a layer, its number is returned, and its net inputs stand where its
    outputs belong. The next call goes on from there, with the number as `done`, which is -1 at
    the beginning, and with `random` as the call before has left it. At the end the number of
    layers is returned. With `n_out` 0 nothing is written: what the backward pass needs stays in
    the workspace, which holds the whole batch.
    """
    key = 0
    if drops_out != 0 and load(work.places, DROPS_OUT) != 0:
        if done < 0:
            next_random(random)
        key = dropout_key(last_random(random))
    if done >= 0 and key != 0:
        drop_outputs(layer_of(network, work, done), batch, key, 0)
    number = int(forward_pass(t, like, entries, first, batch, 0.0, key, done + 1, False))
    if number == network.n_layers and n_out > 0:
        y = state.outputs(layer_of(network, work, number - 1))
        transpose(out, n_out, y, feature_rows(work), n_out, batch)
    return number


@kernel
def output_loss(t, like, entries, n_layers, first, batch, divisor):
    """A compiled loss after `outputs`, summed and divided; the last delta stays."""
    return forward_pass(t, like, entries, first, batch, divisor, 0, n_layers, True)


@kernel
def fetch_delta(last, source, batch):
    """The delta of the last layer's net inputs from that of its outputs, (batch, n_out)."""
    n, stride = n_units(last), stride_of(last)
    d = delta(last)
    rows = data_rows(last)
    for b in range(batch):
        store(rows, b, b * n)
    transpose(d, stride, source, rows, batch, n)
    delta_through(last, batch)


@kernel
def descend(network, work, entries, source, has_delta, optimizer, grad, batch):
    """Update the parameters after `outputs`, from dE/dY in `source`, (batch, n_out).

    `entries` are those of the data. Without `has_delta` the delta is that of `output_loss`. With
    NO_UPDATE the gradient, penalties included, goes to `grad`.
    """
    if has_delta:
        fetch_delta(layer_of(network, work, network.n_layers - 1), source, batch)
    if optimizer.code == NO_UPDATE:
        add_gradient(network, work, entries, 0, batch, grad, optimizer)
        penalize_all(network, optimizer, grad.values)
        return
    begin_update(optimizer)
    if grad.length == 0:
        backward(network, work, entries, batch, grad, optimizer)
    else:
        add_gradient(network, work, entries, 0, batch, grad, optimizer)
        update_all(network, optimizer, grad.values)
