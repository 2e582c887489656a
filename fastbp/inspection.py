"""What happens inside a net: the outputs and the gradients of each layer, from the real kernels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastbp import checks, dataset, stepwise
from fastbp._jit import ready
from fastbp.kernels import training
from fastbp.layout import N_COLUMNS, N_OUT, OUTPUT, STRIDE, weight_views
from fastbp.mlp import MLP
from fastbp.net import PASS_ROWS, FloatArray


def check_net(net: object) -> MLP:
    """The net itself, when it is an MLP.

    Raises
    ------
    TypeError
    """
    if not isinstance(net, MLP):
        kind = type(net).__name__
        inner = "; an estimator of fastbp.sklearn is none" if hasattr(net, "get_params") else ""
        raise TypeError(f"net must be an MLP; got {kind} {net!r}{inner}")
    return net


def layer_outputs(net: MLP, X: npt.ArrayLike) -> tuple[FloatArray, ...]:
    """Outputs of every layer, after its activation, as `MLP.predict` computes them.

    Parameters
    ----------
    net : MLP
    X : array-like, shape (rows, n_in)

    Returns
    -------
    tuple of array of the net's dtype, shapes (rows, n_out) of each layer
        Hidden layers first; the last is ``net.predict(X)``.

    Raises
    ------
    ValueError, TypeError
        As `MLP.predict`, and for what is no net.

    Examples
    --------
    >>> from fastbp import MLP
    >>> from fastbp.inspection import layer_outputs
    >>> net = MLP((2, 8, 3, 1), seed=0)
    >>> [outputs.shape for outputs in layer_outputs(net, [[0.0, 1.0], [1.0, 1.0]])]
    [(2, 8), (2, 3), (2, 1)]
    """
    inputs = dataset.inputs(X, check_net(net).layer_sizes[0], net.dtype)
    rows = inputs.shape[0]
    outputs = tuple(np.empty((rows, size), net.dtype) for size in net.layer_sizes[1:])
    own = net._own_parts
    in_python = own is not None and bool(own.activations)
    if in_python:
        checks.finite("X", inputs, X)
    for first in range(0, rows, PASS_ROWS):
        some = slice(first, min(first + PASS_ROWS, rows))
        count = some.stop - first
        network, work = net._space(count, training=False)
        last = np.empty((count, net.layer_sizes[-1]), net.dtype)
        if own is not None and in_python:
            stepwise.predict(own, network, work, inputs[some], last)
        else:
            arguments = (network.params, network.layers, *work, inputs[some], last)
            ready(training.predict, net.dtype.char, arguments)
            index = training.predict(*arguments)
            if index >= 0:
                checks.raise_not_finite("X", inputs, first * inputs.shape[1] + index, X)
        stride = int(work.places[STRIDE])  # the workspace still holds the one pass
        for layer, out in zip(network.layers.reshape(-1, N_COLUMNS), outputs, strict=True):
            start, size = int(layer[OUTPUT]), int(layer[N_OUT])
            table = work.numbers[start : start + size * stride].reshape(size, stride)
            out[some] = table[:, :count].T
    return outputs


def layer_gradients(
    net: MLP, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Gradient of the loss by the weights and by the biases of each layer.

    Parameters
    ----------
    net : MLP
    X, y, sample_weight : array-like
        As of `MLP.loss_and_grad`.

    Returns
    -------
    weights, biases : tuple of array
        Laid out like ``net.weights`` and ``net.biases``.
    """
    gradient = check_net(net).loss_and_grad(X, y, sample_weight)[1]
    return weight_views(gradient, net._layers)
