"""Where the suite finds what it needs of fastbp: in this commit, and in older ones it measures.

The names of this commit stand first. The others are those of the commits before the folders
`machine`, `model` and `fit`. `KERNELS` is False in commits that have other kernels still.
"""

from __future__ import annotations

import inspect
import sys
from operator import attrgetter

import numba

from fastbp import MLP

__all__ = [
    "ACTIVATIONS", "APART", "DELTA", "FROM_ZERO", "KERNELS", "LOSSES", "NO_UPDATE", "N_COLUMNS",
    "OUTPUT", "STRIDE", "VECTOR_BITS", "Gradient", "activations", "begin_update", "delta_below",
    "flush_denormals", "layer_gradient", "loss_of", "loss_parameters", "losses", "net_inputs",
    "network_pointers", "optimizer_pointers", "optimizer_state", "outputs", "pointer",
    "restore_denormals", "source_digest", "update", "work_pointers", "work_values", "workspace",
]  # fmt: skip

try:
    from fastbp.machine.processor import VECTOR_BITS
    from fastbp.machine.simd import flush_denormals, pointer, restore_denormals
except ImportError:
    from fastbp.simd import flush_denormals, pointer, restore_denormals

    from fastbp import target

    VECTOR_BITS = target.VECTOR_BITS
    # The loop of the FMA peak is that of this checkout (peak.py), which imports this name.
    sys.modules["fastbp.machine.processor"] = target


@numba.njit
def loss_of(code, parameters, loss):
    """The loss, where old commits returned it as such and not as sums by lane."""
    return loss


KERNELS = True
try:
    from fastbp.kernels import activations, dense, gradient, losses, state, updates
    from fastbp.kernels.layout import DELTA, N_COLUMNS, OUTPUT
    from fastbp.kernels.matmul import FROM_ZERO
    from fastbp.kernels.state import Gradient
    from fastbp.kernels.updates import NO_UPDATE, begin_update
    from fastbp.kernels.workspace import STRIDE, Workspace
    from fastbp.machine.jit import source_digest
    from fastbp.model.losses import LOSSES

    #: How far apart the shares of outputs are: the last argument of a loss, which old ones lack.
    APART = (0,) * (len(inspect.signature(losses.loss_and_delta).parameters) - 9)

    loss_of = getattr(losses, "loss_of", loss_of)

    ACTIVATIONS = {name: traits.code for name, traits in activations.ACTIVATIONS.items()}

    @numba.njit
    def outputs(net, space, layer):
        return state.outputs(state.layer_of(net, space, layer))

    @numba.njit
    def net_inputs(net, space, layer, x, batch):
        dense.net_inputs(state.layer_of(net, space, layer), x, batch)

    @numba.njit
    def delta_below(net, space, layer, batch):
        below = state.layer_of(net, space, layer - 1)
        dense.delta_below(state.layer_of(net, space, layer), below, batch)

    @numba.njit
    def layer_gradient(net, space, layer, x, batch, grad, optimizer):
        gradient.layer_gradient(state.layer_of(net, space, layer), x, batch, grad, optimizer)

    @numba.njit
    def update(optimizer, params, count, grad):
        updates.update(optimizer, params, 0, count, grad, 1.0, 0.0)

    @numba.njit
    def network_pointers(network):
        return state.Network(
            pointer(network.params, 0), pointer(network.layers, 0), network.n_params,
            network.n_layers, network.loss, pointer(network.loss_parameters, 0),
        )  # fmt: skip

    @numba.njit
    def work_pointers(work):
        return Workspace(pointer(work.values, 0), pointer(work.offsets, 0), pointer(work.places, 0))

    @numba.njit
    def optimizer_pointers(optimizer):
        o = optimizer
        return state.OptimizerState(
            o.code, pointer(o.scalars, 0), pointer(o.slots, 0), pointer(o.frozen, 0),
            pointer(o.settings, 0), o.n_params, o.n_frozen, o.penalty_share,
        )  # fmt: skip

    def workspace(net, rows, training):
        found = net.workspace(rows, training)
        return found if isinstance(found, tuple) else (found.network, found.work)

    optimizer_state = MLP.optimizer_state
    work_values = attrgetter("values")
    loss_parameters = attrgetter("parameters")
except ImportError:
    try:
        from fastbp._jit import source_digest
        from fastbp.kernels.network import Gradient
        from fastbp.kernels.network import output as outputs
        from fastbp.layout import DELTA, N_COLUMNS, OUTPUT, STRIDE
        from fastbp.losses import LOSSES

        from fastbp.kernels import activations, dense, losses, updates
        from fastbp.kernels.activations import ACTIVATIONS
        from fastbp.kernels.dense import layer_backward as delta_below
        from fastbp.kernels.dense import layer_gradient, net_inputs
        from fastbp.kernels.matmul import FROM_ZERO
        from fastbp.kernels.training import network_pointers, optimizer_pointers, work_pointers
        from fastbp.kernels.updates import NO_UPDATE, begin_update

        @numba.njit
        def update(optimizer, params, count, grad):
            updates.update(optimizer, params, count, 0, count, grad, 1.0, 0.0)

        APART = ()
        workspace = MLP._space
        optimizer_state = MLP._state
        work_values = attrgetter("numbers")
        loss_parameters = attrgetter("numbers")
    except ImportError:
        KERNELS = False
