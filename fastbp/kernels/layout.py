"""Where the parameters stand: layer sizes -> a table of layers over one flat buffer.

A network is a table of integers, one row a layer, over one flat buffer of parameters. Each
layer's parameters are its weights, unit by unit (the ``n_in`` weights that enter unit 0, then
those of unit 1, ...), then its biases. So the weights of a few units are contiguous, which is
what the update of one block of rows needs, and ``weights[i]``, of shape ``(n_in, n_out)``, is a
transposed view.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

IntTable = npt.NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)
# Columns of the table of layers.
N_IN, N_OUT = 0, 1
WEIGHTS, BIASES = 2, 3
"""Offsets into the parameters; BIASES is -1 for a layer without biases."""
ACTIVATION = 4
"""Code of the layer's activation (fastbp.kernels.activations)."""
OUTPUT, DELTA = 5, 6
"""Offsets in the workspace of the layer's output and its delta, both (N_OUT, stride)."""
SLOPE = 7
"""Likewise of dY/dZ where the forward pass stores it, else -1."""
DROPOUT = 8
"""Share of the outputs that are dropped in training, times 2^32."""
GRADIENT, GRADIENT_FROM = 9, 10
"""How the gradient of the weights is computed from how many rows on: BY_TILES (which does it for
fewer, too), BY_OUTPUTS or BY_INPUTS."""
N_COLUMNS = 11


def table_of_layers(
    layer_sizes: tuple[int, ...], activations: list[int], bias: bool
) -> tuple[IntTable, int]:
    """Table of layers and the number of parameters.

    Parameters
    ----------
    layer_sizes : tuple of int
        Inputs, hidden layers, outputs.
    activations : list of int
        One code a layer, hidden layers first.
    bias : bool
        Whether the layers have biases.
    """
    table = np.zeros((len(layer_sizes) - 1, N_COLUMNS), dtype=np.int64)
    offset = 0
    for layer, row in enumerate(table):
        row[N_IN], row[N_OUT] = layer_sizes[layer : layer + 2]
        row[ACTIVATION], row[SLOPE] = activations[layer], -1
        row[WEIGHTS] = offset
        offset += row[N_IN] * row[N_OUT]
        row[BIASES] = offset if bias else -1
        offset += row[N_OUT] if bias else 0
    return table, int(offset)


def weight_views(
    params: npt.NDArray[Number], layers: IntTable
) -> tuple[tuple[npt.NDArray[Number], ...], tuple[npt.NDArray[Number], ...]]:
    """Views of each layer's weights, (n_in, n_out), and biases, (n_out,), into `params`.

    `params` may be anything laid out like the parameters: a gradient, a mask.
    """
    weights, biases = [], []
    for layer in layers:
        n_in, n_out, start = int(layer[N_IN]), int(layer[N_OUT]), int(layer[WEIGHTS])
        weights.append(params[start : start + n_in * n_out].reshape(n_out, n_in).T)
        if layer[BIASES] >= 0:
            biases.append(params[layer[BIASES] : layer[BIASES] + n_out])
    return tuple(weights), tuple(biases)
