"""Where the parameters stand: layer sizes -> a table of layers over one flat buffer.

A network is a table of integers, one row per layer, over one flat buffer of parameters. Each
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
"""Offset in the workspace of dY/dZ, (N_OUT, stride), if the forward pass stores it, else -1."""
DROPOUT = 8
"""Share of the outputs that are dropped in training, times 2^32."""
GRADIENT, GRADIENT_FROM = 9, 10
"""The method that computes the gradient of the weights, and the rows of a batch from which on it
does: see `workspace.gradient_path`."""
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
        One code per layer, hidden layers first.
    bias : bool
        Whether the layers have biases.
    """
    table = np.zeros((len(layer_sizes) - 1, N_COLUMNS), dtype=np.int64)
    offset = 0
    for layer, row in enumerate(table):
        row[N_IN], row[N_OUT] = layer_sizes[layer : layer + 2]
        row[ACTIVATION] = activations[layer]
        row[SLOPE] = -1
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
    weights = []
    biases = []
    for layer in layers:
        n_in, n_out = int(layer[N_IN]), int(layer[N_OUT])
        start = int(layer[WEIGHTS])
        weights.append(params[start : start + n_in * n_out].reshape(n_out, n_in).T)
        if layer[BIASES] >= 0:
            biases.append(params[layer[BIASES] : layer[BIASES] + n_out])
    return tuple(weights), tuple(biases)


def parameter_name(index: int, layers: IntTable) -> str:
    """The parameter at an index of the flat buffer as users write it: ``"weights[1][3, 2]"``."""
    layer = int(np.searchsorted(layers[:, WEIGHTS], index, "right")) - 1
    n_in, n_out = layers[layer, [N_IN, N_OUT]].tolist()
    offset = index - int(layers[layer, WEIGHTS])
    if offset < n_in * n_out:
        return f"weights[{layer}][{offset % n_in}, {offset // n_in}]"
    return f"biases[{layer}][{offset - n_in * n_out}]"
