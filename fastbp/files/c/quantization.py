"""A net in whole numbers of 8 bits, made from a trained one; and exactly what it computes.

Legend
------
x = s (q - z)   a value x and its int8 number q on a `Grid` of scale s and zero point z
w = r v         a weight w and its int8 number v; each unit has its own r

The net inputs of a unit are ``sum = bias + sum_k v_k q_k`` in int32, in units of s r. The bias has
taken in what the zero point adds. On the grid of the next layer they are ``round(sum m / 2^n) + z``
with whole m and n (`rescaled`). Activations are tables of 256 entries, but for identity and relu,
which the cut-off to int8 computes. The net inputs of the last layer have 16 bits.

B. Jacob et al., Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018, section 2; per-unit scales: R. Krishnamoorthi, arXiv
1806.08342, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp.files.chain import Chain, FloatArray, Layer, net_of
from fastbp.model.activations import Activation

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MOST_SUM = 2**31 - 1
MOST_BIAS = 2**30
"""Larger biases would leave no room in int32; the unit's scale is raised before that."""
MOST_SHIFT = 62
OUTPUT_MOST = 2**15 - 1
MOST_FLOAT = float(np.finfo(np.float32).max)
ROOM = 2.0
"""How far net inputs of the last layer may go beyond those of the calibration rows."""
SAMPLE = 20_000
"""Values by which the range of a grid is chosen."""
SHRINKS = 2.0 ** (-np.arange(16) / 4)
"""Shares of a range that are tried as grids."""
IN_CUT_OFF = ("identity", "relu")
"""Activations that the cut-off to int8 computes."""
MONOTONE = (
    "identity", "sigmoid", "tanh", "softmax", "leaky_relu", "elu", "selu", "softplus", "exp",
)  # fmt: skip
"""Activations by which the largest net input is the largest output."""


class Grid(NamedTuple):
    """Values of int8: ``scale (q - zero)``.

    Attributes
    ----------
    scale : float
    zero : int
    """

    scale: float
    zero: int

    def values(self, numbers: npt.NDArray[Any]) -> Doubles:
        """The values of numbers."""
        return self.scale * (numbers.astype(np.float64) - self.zero)


class IntegerLayer(NamedTuple):
    """A layer in whole numbers.

    Attributes
    ----------
    weights : array of int8, shape (n_out, n_in)
        From -127 to 127.
    biases : array of int32, shape (n_out,)
    multipliers : array of int32, shape (n_out,)
    shifts : array of uint8, shape (n_out,)
        ``round(sum multiplier / 2^shift)`` are the net inputs on the next grid, but for its zero.
    zero : int
        Zero point of these.
    table : array of int8, shape (256,), or None
        The outputs for net inputs -128 to 127.
    """

    weights: npt.NDArray[np.int8]
    biases: npt.NDArray[np.int32]
    multipliers: npt.NDArray[np.int32]
    shifts: npt.NDArray[np.uint8]
    zero: int
    table: npt.NDArray[np.int8] | None


class IntegerNet(NamedTuple):
    """A net in whole numbers.

    Attributes
    ----------
    inputs : Grid
        That of the scaled inputs.
    layers : tuple of IntegerLayer
    output_scale : float
        The net inputs of the last layer are its int16 numbers times this.
    """

    inputs: Grid
    layers: tuple[IntegerLayer, ...]
    output_scale: float

    def net_inputs(self, numbers: npt.NDArray[np.int8]) -> npt.NDArray[np.int16]:
        """The net inputs of the last layer, exactly as the C computes them.

        Parameters
        ----------
        numbers : array of int8, shape (rows, n_in)

        Returns
        -------
        array of int16, shape (rows, n_out)
        """
        x: npt.NDArray[Any] = numbers
        for layer in self.layers[:-1]:
            x = rescaled(_sums(layer, x), layer, -128, 127)
            if layer.table is not None:
                x = layer.table[x + 128]
        last = self.layers[-1]
        return rescaled(_sums(last, x), last, -OUTPUT_MOST, OUTPUT_MOST).astype(np.int16)


def _sums(layer: IntegerLayer, x: npt.NDArray[Any]) -> Integers:
    """Exact: products of float64 with whole numbers below 2^53 are."""
    products = x.astype(np.float64) @ layer.weights.T.astype(np.float64)
    return products.astype(np.int64) + layer.biases


def rescaled(sums: Integers, layer: IntegerLayer, low: int, high: int) -> Integers:
    """Net inputs on the next grid, cut off to `low` and `high`.

    Halves are rounded away from 0.

    Parameters
    ----------
    sums : array of int64, shape (rows, n_out)
    layer : IntegerLayer
    low, high : int
    """
    products = sums * layer.multipliers.astype(np.int64)
    shifts = layer.shifts.astype(np.int64)
    half = np.left_shift(1, shifts - 1)
    rounded = np.right_shift(np.abs(products) + half, shifts) * np.sign(products)
    cut: Integers = np.clip(rounded + layer.zero, low, high)
    return cut


def activated(activation: str | Activation, z: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Outputs of an activation by fastbp itself, in the dtype of z.

    Parameters
    ----------
    activation : str or GraphActivation
    z : array, shape (rows, units)
    """
    if activation == "identity":
        return z
    columns = z.shape[1] if activation == "softmax" else 1
    net = net_of([Layer(np.eye(columns, dtype=z.dtype), None, activation)], dtype=z.dtype)
    return net.predict(np.ascontiguousarray(z).reshape(-1, columns)).reshape(z.shape)


def quantized(chain: Chain, inputs: Doubles) -> IntegerNet:
    """A net in whole numbers.

    Parameters
    ----------
    chain : Chain
    inputs : array of float64, shape (rows, n_in)
        Scaled inputs, by which the ranges are chosen.

    Raises
    ------
    ValueError
        For a layer of so many inputs that its sums might not fit into 32 bits, and for outputs
        that float32 does not hold.
    """
    first = grid = _chosen(inputs, lambda values: values)
    layers = []
    x = inputs
    for number, layer in enumerate(chain.layers):
        weight = layer.weight.astype(np.float64)
        bias = np.zeros(weight.shape[1]) if layer.bias is None else layer.bias.astype(np.float64)
        z = x @ weight + bias
        if number == len(chain.layers) - 1:
            most = float(np.abs(z).max()) or 1.0
            if not ROOM * most <= MOST_FLOAT:
                raise ValueError(
                    f"the net inputs of the last layer must be within half of float32; they reach "
                    f"{most:.3g} on the calibration rows. Scale the inputs, or train the net first"
                )
            target = Grid(ROOM * most / OUTPUT_MOST, 0)
            layers.append(_layer(number, weight, bias, grid, target, None))
            return IntegerNet(first, tuple(layers), target.scale)
        x = activated(layer.activation, z)
        if layer.activation in IN_CUT_OFF:
            target = _chosen(x, lambda values: values)
            if layer.activation == "relu":  # of units that are all dead, too
                target = target._replace(zero=-128)
            grid_of_outputs = target
            table = None
        else:
            target = _chosen(z, _function(layer.activation))
            levels = activated(layer.activation, target.values(np.arange(-128, 128))[:, None])
            grid_of_outputs = _grid(float(levels.min()), float(levels.max()))
            table = numbers_of(levels[:, 0], grid_of_outputs)
        layers.append(_layer(number, weight, bias, grid, target, table))
        grid = grid_of_outputs
    raise ValueError("a net must have at least one layer")


def _function(activation: str | Activation) -> Callable[[Doubles], Doubles]:
    """An activation as a function of an array (n,)."""
    return lambda z: activated(activation, z[:, None])[:, 0]


def numbers_of(values: Doubles, grid: Grid) -> npt.NDArray[np.int8]:
    """The numbers of values on a grid."""
    rounded = np.rint(values / grid.scale) + grid.zero
    numbers: npt.NDArray[np.int8] = np.clip(rounded, -128, 127).astype(np.int8)
    return numbers


def _grid(low: float, high: float) -> Grid:
    """The grid of a range, which is widened to hold 0, whose number is exact."""
    low = min(low, 0.0)
    high = max(high, 0.0)
    scale = (high - low) / 255.0
    if scale < np.finfo(np.float32).tiny:
        return Grid(1.0, 0)
    return Grid(scale, int(np.clip(round(-128.0 - low / scale), -128, 127)))


def _chosen(values: Doubles, function: Callable[[Doubles], Doubles]) -> Grid:
    """The grid of part of the range of values by which a function of them has the least error.

    Units that saturate need fine steps around 0, and few values far out are no reason for coarse
    steps everywhere.
    """
    ordered = np.sort(values.ravel())
    chosen = ordered[np.linspace(0, ordered.size - 1, min(ordered.size, SAMPLE)).astype(int)]
    exact = function(chosen)
    best = _grid(float(ordered[0]), float(ordered[-1]))
    least = np.inf
    for below in SHRINKS if ordered[0] < 0.0 else SHRINKS[:1]:
        for above in SHRINKS if ordered[-1] > 0.0 else SHRINKS[:1]:
            grid = _grid(float(ordered[0] * below), float(ordered[-1] * above))
            outputs = function(grid.values(np.arange(-128, 128)))
            numbers = numbers_of(chosen, grid).astype(int)
            error = float(np.square(outputs[numbers + 128] - exact).mean())
            if error < least:
                best = grid
                least = error
    return best


def _layer(
    number: int, weight: Doubles, bias: Doubles, source: Grid, target: Grid,
    table: npt.NDArray[np.int8] | None,
) -> IntegerLayer:  # fmt: skip
    """A layer from one grid to another."""
    scales = np.maximum(np.abs(weight).max(axis=0) / 127.0, np.abs(bias) / source.scale / MOST_BIAS)
    scales[scales == 0.0] = 1.0
    weights = np.rint(weight / scales).astype(np.int64).T
    biases = np.rint(bias / (source.scale * scales)).astype(np.int64)
    biases -= source.zero * weights.sum(axis=1)
    most = np.abs(biases) + 128 * np.abs(weights).sum(axis=1)
    if (most > MOST_SUM).any():
        raise ValueError(
            f"the sums of layer {number} must fit into 32 bits; with {len(weight)} inputs they may "
            f"reach {most.max()}. Use fewer inputs, or dtype='float32'"
        )
    pairs = [_multiplier(float(m)) for m in source.scale * scales / target.scale]
    return IntegerLayer(
        weights.astype(np.int8),
        biases.astype(np.int32),
        np.array([m for m, _ in pairs], np.int32),
        np.array([n for _, n in pairs], np.uint8),
        target.zero,
        table,
    )


def _multiplier(factor: float) -> tuple[int, int]:
    """Whole m below 2^31 and n from 1 to MOST_SHIFT with m / 2^n near a factor above 0."""
    mantissa, exponent = np.frexp(factor)
    m = round(float(mantissa) * 2**31)
    n = 31 - int(exponent)
    if m == 2**31:
        m = 2**30
        n -= 1
    if n < 1:  # then every sum but 0 is cut off
        return MOST_SUM, 1
    if n > MOST_SHIFT:
        return round(m / 2.0 ** min(n - MOST_SHIFT, 40)), MOST_SHIFT
    return m, n


class Int8Error(NamedTuple):
    """How far outputs in whole numbers are from those of the net, on the calibration rows.

    Attributes
    ----------
    largest, rms : float
        The largest difference, and the root of the mean of the squared differences, both as shares
        of the largest output.
    agreement : float or None
        Share of the rows that come to the same class; None without classes.
    rows : int
    """

    largest: float
    rms: float
    agreement: float | None
    rows: int

    def __str__(self) -> str:
        """A sentence."""
        same = "" if self.agreement is None else f"; {self.agreement:.2%} of the classes agree"
        return (
            f"On {self.rows} calibration rows the outputs differ from those of the net by "
            f"{self.largest:.2%} of the largest output at most, {self.rms:.2%} in the root mean "
            f"square{same}."
        )


def error_of(
    got: FloatArray, wanted: FloatArray, classes: Sequence[npt.NDArray[Any]] | None
) -> Int8Error:
    """The error of outputs.

    Parameters
    ----------
    got, wanted : array, shape (rows, n_out)
    classes : pair of array, shape (rows,), or None
        Indices of the classes by both.
    """
    most = float(np.abs(wanted).max()) or 1.0
    difference = np.abs(got.astype(np.float64) - wanted) / most  # its square is finite, too
    agreement = None if classes is None else float((classes[0] == classes[1]).mean())
    return Int8Error(
        float(difference.max()),
        float(np.sqrt(np.square(difference).mean())),
        agreement,
        len(wanted),
    )
