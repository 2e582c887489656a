"""Activations in NumPy: what `to_python` copies into the files that it writes.

A function takes net inputs (rows, units) in float32 or float64 and returns outputs of the same
dtype, as fastbp's kernels do, for any finite net input. It may call another function of this file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
NORMAL_TAIL = (
    1.0127637343554945e-09, 3.60453989120477e-09, -5.11357310408031e-09,
    -3.269806851103581e-08, 2.1802558944487917e-08, 2.1638892818507688e-07,
    -1.6885699606798646e-07, -1.3845580595346729e-06, 1.990732914612774e-06,
    8.340584785708914e-06, -2.488149949559953e-05, -2.9687858794317356e-05,
    0.0002724495515186751, -0.0003989347002399851, -0.001496688387645452,
    0.01039753340007434, -0.034559319352991315, 0.08251018308518308,
    -0.15676657833565735, 0.24765280798498845, -0.3326912514450283,
    0.3845965248750315,
)  # fmt: skip
"""What `gelu` takes the tail of the normal distribution from, the highest power first.

As in `fastbp.kernels.elementary.normal_tail`, which says where it comes from; a test compares them.
"""


def sigmoid(z: Array) -> Array:
    """1 / (1 + exp(-z)); no exponent is above 0, so that nothing overflows."""
    e = np.exp(-np.abs(z))
    return np.where(z > 0.0, 1.0, e) / (1.0 + e)


def relu(z: Array) -> Array:
    """The larger of z and 0."""
    return np.maximum(z, 0.0)


def step(z: Array) -> Array:
    """1 where z > 0, else 0."""
    return (z > 0.0).astype(z.dtype)


def softmax(z: Array) -> Array:
    """exp(z) over its sum in the row, less the largest z, so that nothing overflows."""
    top: Array = np.max(z, axis=1, keepdims=True)
    e = np.exp(z - top)
    y: Array = e / np.sum(e, axis=1, keepdims=True)
    return y


def leaky_relu(z: Array) -> Array:
    """z where z > 0, else z / 100."""
    return np.maximum(z, 0.01 * z)


def elu(z: Array) -> Array:
    """z where z > 0, else exp(z) - 1."""
    return np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0)))


def selu(z: Array) -> Array:
    """L z where z > 0, else L A (exp(z) - 1): Klambauer et al., NeurIPS 2017."""
    below = 1.6732632423543772848 * np.expm1(np.minimum(z, 0.0))
    return 1.0507009873554804934 * np.where(z > 0.0, z, below)


def gelu(z: Array) -> Array:
    """z Phi(z) with the normal distribution Phi, as max(z, 0) - a Phi(-a) with a = |z|.

    NumPy has no erf. exp(a^2 / 2) Phi(-a) (a + 5) / 2 is a polynomial in
    (a - 5) / (a + 5), NORMAL_TAIL, with a relative error of 1.3e-17; beyond
    a = 37.64 the product is below all normal numbers.
    """
    a = np.minimum(np.abs(z), 37.64).astype(np.float64)
    tail = np.polyval(NORMAL_TAIL, (a - 5.0) / (a + 5.0)) / (a + 5.0)
    return (np.maximum(z, 0.0) - 2.0 * a * tail * np.exp(-0.5 * a * a)).astype(z.dtype)


def silu(z: Array) -> Array:
    """The product of z and sigmoid(z)."""
    return z * sigmoid(z)


def softplus(z: Array) -> Array:
    """log(1 + exp(z)), so written that nothing overflows."""
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def hard_sigmoid(z: Array) -> Array:
    """(z + 3) / 6 where that is between 0 and 1, else the nearer of both."""
    return np.clip(z + 3.0, 0.0, 6.0) / 6.0


def exp(z: Array) -> Array:
    """exp(z), with z cut off to where the result is a normal number."""
    single = z.dtype == np.float32
    low, high = (-87.33654, 88.0) if single else (-708.3964185322641, 709.0)
    return np.exp(np.minimum(np.maximum(z, low), high))
