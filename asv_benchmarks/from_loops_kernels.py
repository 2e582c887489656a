"""The steps between plain loops and the kernels of fastbp, each as small as it can be read.

Nets of ReLU with linear outputs, the squared error, Adam: what fastbp/plain.py computes in general.

Legend
------
B rows of a batch, K inputs of a layer, N its units
w (N, K) weights, unit by unit            x (K, B) inputs of the layer, feature by feature
y (N, B) outputs                          d (N, B) derivatives of the loss by the net inputs
s (B, K) the inputs sample by sample      dw (N, K) derivatives of the loss by the weights

All three products of a layer are ``C[i, j] = sum over p of A[i, p] B[p, j]``: net inputs w x,
derivatives by the inputs w^T d, derivatives by the weights d s. C and B have whole tiles of
columns; those beyond the last are padding, which nothing reads.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from fastbp.kernels.transposes import pack_columns, transpose
from fastbp.machine.processor import SECOND_CACHE_BYTES, TILE_ROWS, TILE_VECTORS, VECTOR_BITS
from fastbp.machine.simd import (
    advance,
    pointer,
    rows_at,
    rows_next,
    tile_fma,
    tile_shape,
    tile_store,
    tile_zeros,
)
from fastbp.plain import weights_and_biases

LANES = VECTOR_BITS // 32
"""Numbers of float32 in a vector register."""
WIDTH = TILE_VECTORS * LANES
"""Columns of a tile."""
CACHED = SECOND_CACHE_BYTES // 8
"""Numbers that fill half of the second cache."""


@njit
def padded(columns):
    """The next number of columns that is a whole number of tiles."""
    return (columns + WIDTH - 1) // WIDTH * WIDTH


class Work(NamedTuple):
    """What a step writes beside the parameters, in flat arrays."""

    y: np.ndarray  # outputs of all layers, feature by feature; layer 0, too
    d: np.ndarray  # laid out likewise
    s: np.ndarray  # the inputs of a layer, sample by sample
    packed: np.ndarray  # TILE_ROWS rows of the left operand of a product
    grad: np.ndarray  # dw of all layers, in rows of whole tiles
    m: np.ndarray  # moments of Adam, in the order of the parameters
    v: np.ndarray
    starts: np.ndarray  # (B,) where the rows of a batch begin: for `transpose`


def workspace(params, sizes, B):
    """A workspace for batches of B rows."""
    widest = padded(max(sizes))
    features = sum(sizes) * padded(B)
    dw = sum(n * padded(k) for k, n in zip(sizes, sizes[1:], strict=False))
    packed = TILE_ROWS * widest + WIDTH  # `pack_columns` writes whole vectors
    lengths = (features, features, B * widest, packed, dw, params.size, params.size)
    zeros = [np.zeros(length, params.dtype) for length in lengths]
    return Work(*zeros, np.zeros(max(B, WIDTH), np.int64))


@njit
def by_vectors(c, a, b, columns, packed):
    """C = A B. The columns lie side by side, so that LLVM can fill vectors with them."""
    for i in range(len(c)):
        for j in range(columns):
            c[i, j] = 0
        for p in range(a.shape[1]):
            for j in range(columns):
                c[i, j] += a[i, p] * b[0, p, j]


@njit
def tiles(shape, c, a, b, i, first, last):
    """Rows of C = A B from row i on, as many as a tile has, and the columns from first to last.

    The sums of a tile stay in registers until all products are added. b (panels, P, columns).
    """
    row, step = a.strides[0] // a.itemsize, a.strides[1] // a.itemsize
    for j in range(first, last, WIDTH):
        tile = tile_zeros(shape, pointer(c, 0))
        rows = rows_at(shape, advance(pointer(a, 0), i * row), row)
        at = j // b.shape[2] * a.shape[1] * b.shape[2] + j % b.shape[2]
        for _ in range(a.shape[1]):
            tile = tile_fma(tile, rows, pointer(b, at))
            rows = rows_next(rows, step)
            at += b.shape[2]
        tile_store(tile, pointer(c, i * c.shape[1] + j), c.shape[1], LANES)


@njit
def some_columns(c, a, b, first, last):
    """All rows of C = A B, by the largest tiles that fit, and the columns from first to last."""
    i = 0
    while i + TILE_ROWS <= len(c):
        tiles(tile_shape(TILE_ROWS, TILE_VECTORS), c, a, b, i, first, last)
        i += TILE_ROWS
    while i + 4 <= len(c):
        tiles(tile_shape(4, TILE_VECTORS), c, a, b, i, first, last)
        i += 4
    while i < len(c):
        tiles(tile_shape(1, TILE_VECTORS), c, a, b, i, first, last)
        i += 1


@njit
def by_tiles(c, a, b, columns, packed):
    """C = A B by register tiles, a row of tiles after the other."""
    some_columns(c, a, b, 0, columns)


@njit
def by_groups(c, a, b, columns, packed):
    """C = A B by register tiles, for as many columns of B at once as stay in the second cache."""
    group = max(CACHED // a.shape[1] // WIDTH * WIDTH, WIDTH)
    for first in range(0, columns, group):
        some_columns(c, a, b, first, min(first + group, columns))


@njit
def by_packed_rows(c, a, b, columns, packed):
    """C = A B, with the rows of a tile copied side by side where A is a transposed matrix."""
    P = a.shape[1]
    block = packed[: P * TILE_ROWS].reshape(P, TILE_ROWS)
    for i in range(0, len(c), TILE_ROWS):
        n = min(TILE_ROWS, len(c) - i)
        pack_columns(
            pointer(packed, 0), advance(pointer(a, 0), i), a.strides[1] // a.itemsize, n, P
        )
        some_columns(c[i : i + n], block[:, :n].T, b, 0, columns)


@njit
def by_samples(s, x, B, starts):
    """The inputs x (K, padded B) sample by sample, as one panel."""
    K = len(x)
    rows = s[: B * padded(K)].reshape(1, B, padded(K))
    for k in range(K):
        for row in range(B):
            rows[0, row, k] = x[k, row]
    return rows


@njit
def in_panels(s, x, B, starts):
    """The inputs x (K, padded B) sample by sample, in panels as wide as a tile; by tiles, too."""
    panels = padded(len(x)) // WIDTH
    for i in range(WIDTH):
        starts[i] = i * x.shape[1]
    for panel in range(panels):
        features = min(WIDTH, len(x) - panel * WIDTH)
        transpose(
            pointer(s, panel * B * WIDTH), WIDTH, pointer(x, panel * WIDTH * x.shape[1]),
            pointer(starts, 0), features, B,
        )  # fmt: skip
    return s[: panels * B * WIDTH].reshape(panels, B, WIDTH)


@njit
def by_features(x, rows, starts):
    """The rows of a batch (B, K) as x (K, padded B), one number after the other."""
    for k in range(len(x)):
        for row in range(len(rows)):
            x[k, row] = rows[row, k]


@njit
def by_features_in_tiles(x, rows, starts):
    """The same by square tiles, which are transposed in registers."""
    for row in range(len(rows)):
        starts[row] = row * len(x)
    transpose(pointer(x, 0), x.shape[1], pointer(rows, 0), pointer(starts, 0), len(rows), len(x))


@njit
def of_layer(flat, net, layer, columns):
    """View (N, columns) of a layer's part of y or d."""
    start = columns * net.sizes[:layer].sum()
    return flat[start : start + columns * net.sizes[layer]].reshape(-1, columns)


@njit
def gradient_of(grad, net, layer):
    """View (N, padded K) of a layer's dw."""
    start = 0
    for below in range(1, layer):
        start += net.sizes[below] * padded(net.sizes[below - 1])
    columns = padded(net.sizes[layer - 1])
    return grad[start : start + net.sizes[layer] * columns].reshape(-1, columns)


@njit
def add_biases(y, b, relu):
    """y = max(y + b, 0), or without the maximum."""
    for n in range(len(y)):
        for j in range(y.shape[1]):
            y[n, j] += b[n]
            if relu and not y[n, j] > 0:
                y[n, j] = 0


@njit
def through_relu(d, y):
    """Derivatives by the net inputs from those by the outputs."""
    for n in range(len(y)):
        for j in range(y.shape[1]):
            if not y[n, j] > 0:
                d[n, j] = 0


@njit
def output_delta(d, y, t):
    """d = (y - t) / B; returns the loss, 1/2 (y - t)^2 summed over outputs, averaged over rows."""
    total = 0.0
    for row in range(len(t)):
        for n in range(len(y)):
            error = y[n, row] - t[row, n]
            total += error * error / 2
            d[n, row] = error / len(t)
    return total / len(t)


@njit(error_model="numpy")
def adam(params, m, v, grad, scale, root):
    """As in fastbp/plain.py, with what is the same for all parameters computed before.

    `scale` is rate / (1 - beta_1^step), `root` is 1 / sqrt(1 - beta_2^step).
    """
    beta_1, beta_2, epsilon = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
    one = np.float32(1)
    for i in range(len(params)):
        m[i] = beta_1 * m[i] + (one - beta_1) * grad[i]
        v[i] = beta_2 * v[i] + (one - beta_2) * grad[i] * grad[i]
        params[i] -= scale * m[i] / (math.sqrt(v[i]) * root + epsilon)


@njit(fastmath={"reassoc"})
def sum_of(values):
    """Their sum, in an order in which they fill vectors."""
    total = values[0] - values[0]
    for value in values:
        total += value
    return total


@njit
def update_units(params, work, net, layer, first, dw, B, scale, root):
    """Update the weights into the units from `first` on, and their biases."""
    w, b = weights_and_biases(params, net, layer)
    mw, mb = weights_and_biases(work.m, net, layer)
    vw, vb = weights_and_biases(work.v, net, layer)
    d = of_layer(work.d, net, layer, padded(B))
    for n in range(first, first + len(dw)):
        adam(w[n], mw[n], vw[n], dw[n - first], scale, root)
        dw[n - first, 0] = sum_of(d[n, :B])  # no longer needed: db takes its place
        adam(b[n : n + 1], mb[n : n + 1], vb[n : n + 1], dw[n - first], scale, root)


def train_step_by(products, product_below, inputs, samples, at_once):
    """Compile a step that is made of the given pieces; it is called as `plain.train_step`.

    Parameters
    ----------
    products : function
        C = A B, for the net inputs and for dw.
    product_below : function
        The same for the derivatives by the inputs, where A is w transposed.
    inputs : function
        From the rows of a batch to the inputs of the first layer, feature by feature.
    samples : function
        From the inputs of a layer to the same sample by sample.
    at_once : bool
        Update the weights into TILE_ROWS units as soon as their gradient is there. Otherwise all
        parameters are updated at the end.
    """

    @njit
    def train_step(params, work, net, x, t, step, rate):
        B, L = len(x), len(net.activations)
        scale = np.float32(rate / (1 - 0.9**step))
        root = np.float32(1 / math.sqrt(1 - 0.999**step))
        columns = padded(B)
        inputs(of_layer(work.y, net, 0, columns), x, work.starts)
        for layer in range(1, L + 1):
            w, b = weights_and_biases(params, net, layer)
            below = of_layer(work.y, net, layer - 1, columns)
            y = of_layer(work.y, net, layer, columns)
            products(y, w, below.reshape(1, len(below), columns), columns, work.packed)
            add_biases(y, b, layer < L)
        loss = output_delta(of_layer(work.d, net, L, columns), of_layer(work.y, net, L, columns), t)
        for layer in range(L, 0, -1):
            w, _ = weights_and_biases(params, net, layer)
            below = of_layer(work.y, net, layer - 1, columns)
            d = of_layer(work.d, net, layer, columns)
            if layer > 1:
                dx = of_layer(work.d, net, layer - 1, columns)
                product_below(dx, w.T, d.reshape(1, len(d), columns), columns, work.packed)
                through_relu(dx, below)
            s = samples(work.s, below, B, work.starts)
            dw = gradient_of(work.grad, net, layer)
            units = TILE_ROWS if at_once else len(w)
            for n in range(0, len(w), units):
                last = min(n + units, len(w))
                some = dw[: last - n]
                products(some, d[n:last, :B], s, dw.shape[1], work.packed)
                if at_once:
                    update_units(params, work, net, layer, n, some, B, scale, root)
        if not at_once:
            for layer in range(1, L + 1):
                dw = gradient_of(work.grad, net, layer)
                update_units(params, work, net, layer, 0, dw, B, scale, root)
        return loss

    return train_step


STEPS = {
    "vectors": (by_vectors, by_vectors, by_features, by_samples, False),
    "tiles": (by_tiles, by_tiles, by_features, by_samples, False),
    "packed": (by_groups, by_packed_rows, by_features_in_tiles, in_panels, False),
    "at once": (by_groups, by_packed_rows, by_features_in_tiles, in_panels, True),
}
"""The arguments of `train_step_by`, each line with one idea more than the one before."""
