"""Compiled loops over single kernels, as the training loop calls them.

Inner kernels take pointers and are called from compiled code alone, so each has a loop of its own
here. The loops are kept in a folder named by the hash of fastbp's sources: Numba's own cache
looks at this file only, and would serve an old kernel after an edit of fastbp.
"""

# ruff: noqa: F403, F405 - what stands in `names.__all__`

from __future__ import annotations

import os
import tempfile
from typing import NamedTuple

import numba
import numpy as np

from fastbp import MLP
from names import *

numba.config.CACHE_DIR = os.path.join(tempfile.gettempdir(), f"fastbp-benchmarks-{source_digest()}")


@numba.njit(cache=True)
def forward(network, work, batch, repetitions):
    """Z = W X + bias of layer 1."""
    net = network_pointers(network)
    space = work_pointers(work)
    for _ in range(repetitions):
        net_inputs(net, space, 1, outputs(net, space, 0), batch)


@numba.njit(cache=True)
def input_gradient(network, work, batch, repetitions):
    """The delta of layer 0 from that of layer 1, W^T D."""
    net = network_pointers(network)
    space = work_pointers(work)
    for _ in range(repetitions):
        delta_below(net, space, 1, batch)


@numba.njit(cache=True)
def weight_gradient(network, work, state, grad, batch, repetitions):
    """dW = D X^T of layer 1 and the gradient of its biases; `state` updates nothing."""
    net = network_pointers(network)
    space = work_pointers(work)
    optimizer = optimizer_pointers(state)
    gradient = Gradient(pointer(grad, 0), grad.shape[0], FROM_ZERO)
    for _ in range(repetitions):
        layer_gradient(net, space, 1, outputs(net, space, 0), batch, gradient, optimizer)


@numba.njit(cache=True)
def activate(code, z, slope, repetitions):
    """z <- activation(z), again and again."""
    mode = flush_denormals()
    for _ in range(repetitions):
        activations.activate(code, pointer(z, 0), pointer(slope, 0), z.shape[0], 1, z.shape[0])
    restore_denormals(mode)


@numba.njit(cache=True)
def loss_and_delta(code, delta, y, target, share, parameters, n, batch, repetitions):
    """The loss of a batch with its delta; returns the loss."""
    mode = flush_denormals()
    loss = 0.0
    for _ in range(repetitions):
        parts = losses.loss_and_delta(
            code, pointer(delta, 0), pointer(y, 0), pointer(target, 0), pointer(share, 0),
            pointer(parameters, 0), batch, n, batch, *APART,
        )  # fmt: skip
        loss = loss_of(code, pointer(parameters, 0), parts)
    restore_denormals(mode)
    return loss


@numba.njit(cache=True)
def updates(state, params, grad, repetitions):
    """Steps of an optimiser on the whole buffer, always with the same gradient."""
    mode = flush_denormals()
    optimizer = optimizer_pointers(state)
    for _ in range(repetitions):
        begin_update(optimizer)
        update(optimizer, pointer(params, 0), params.shape[0], pointer(grad, 0))
    restore_denormals(mode)


class Square(NamedTuple):
    """A layer with the same number of inputs and units, in a net ready to run its products."""

    net: MLP
    network: object
    work: object
    matrices: dict[str, np.ndarray]  # X, Z, D and the delta below: (features, batch), live

    @classmethod
    def of(cls, width: int, batch: int, dtype: str) -> Square:
        """Make one, with random values in X and D."""
        net = MLP((width, width, width), activation="identity", dtype=dtype, seed=0)
        network, work = workspace(net, batch, True)
        table = network.layers.reshape(-1, N_COLUMNS)
        stride = work.places[STRIDE]
        at = {"X": (0, OUTPUT), "Z": (1, OUTPUT), "D": (1, DELTA), "below": (0, DELTA)}
        matrices = {
            name: work_values(work)[table[entry] :][: width * stride].reshape(width, -1)[:, :batch]
            for name, entry in at.items()
        }
        rng = np.random.default_rng(3)
        for name in ("X", "D"):
            matrices[name][...] = rng.standard_normal((width, batch))
        net.biases[1][...] = rng.standard_normal(width)
        return cls(net, network, work, matrices)
