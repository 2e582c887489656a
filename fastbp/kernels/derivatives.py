"""Derivatives of many rows by parameters and by inputs, a pass at a time, without an update."""

from fastbp.kernels.dense import delta_below, delta_of_inputs
from fastbp.kernels.evaluation import add_gradient, forward_pass
from fastbp.kernels.in_python import fetch_delta
from fastbp.kernels.state import Gradient, capacity_of, layer_of, n_inputs, n_units
from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance


@kernel
def deltas_below(network, work, batch):
    """The deltas of all layers from that of the last one: `backprop.backward` without gradients."""
    for number in range(network.n_layers - 1, 0, -1):
        delta_below(layer_of(network, work, number), layer_of(network, work, number - 1), batch)


@kernel
def derive_rows(t, like, entries, network, work, total, optimizer, grad, apart, start, dy, from_dy,
                dx, to_dx, first, count):  # fmt: skip
    """Derivatives of `count` rows from `first` on; penalties have no share in them.

    Parameters
    ----------
    t : int64
        The table (addresses.py) that the next tuples are made from.
    total : float
        By what the loss is divided.
    grad : Gradient
        The derivatives by the parameters, if it has a length. Those of the first pass, or of each
        with `apart`, overwrite it, those of the later ones are added.
    apart : int
        How far the gradients of the passes stand apart in `grad`; 0 for one sum.
    start : int
        The layer from which on outputs are computed: those of the layers below are there.
    dy : (count, n_out)
        With `from_dy` the derivative by the outputs; without, that of the loss is taken.
    dx : (count, n_in)
        With `to_dx`, where the derivative by the inputs goes; the rows are dense.

    Returns
    -------
    float
        What the rows add to the loss, 0 with `from_dy`.
    """
    first_layer = layer_of(network, work, 0)
    last = layer_of(network, work, network.n_layers - 1)
    loss = 0.0
    done = 0
    to = grad.values
    while done < count:
        batch = min(count - done, capacity_of(work))
        value = forward_pass(
            t, like, entries, first + done, batch, total, 0, start, not from_dy
        )
        if from_dy:
            fetch_delta(last, advance(dy, done * n_units(last)), batch)
        else:
            loss += value
        if grad.length > 0:
            before = 0 if apart > 0 else first + done
            place = Gradient(to, grad.length, grad.start)
            add_gradient(network, work, entries, before, batch, place, optimizer)
            to = advance(to, apart)
        else:
            deltas_below(network, work, batch)
        if entries is None:
            if to_dx:
                delta_of_inputs(first_layer, advance(dx, done * n_inputs(first_layer)), batch)
        done += batch
    return loss
