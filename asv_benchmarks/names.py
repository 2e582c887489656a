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
    "flush_denormals", "layer_gradient", "loss_parameters", "losses", "net_inputs",
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

KERNELS = True
try:
    from fastbp.kernels import activations, dense, gradient, losses, state, updates
    from fastbp.kernels.layout import DELTA, N_COLUMNS, OUTPUT
    from fastbp.kernels.matmul import FROM_ZERO
    from fastbp.kernels.state import Gradient
    from fastbp.kernels.training import network_pointers, optimizer_pointers, work_pointers
    from fastbp.kernels.updates import NO_UPDATE, begin_update
    from fastbp.kernels.workspace import STRIDE
    from fastbp.machine.jit import source_digest
    from fastbp.model.losses import LOSSES

    #: How far apart the shares of outputs are: the last argument of a loss, which old ones lack.
    APART = (0,) * (len(inspect.signature(losses.loss_and_delta).parameters) - 9)

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

    workspace = MLP.workspace
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
