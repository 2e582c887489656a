"""Probabilities of classes and their logarithms, from logits: 1 - p and log p lose digits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]


def of_two_classes(z: FloatArray) -> FloatArray:
    """Probabilities of both classes, (rows, 2), from the logit of the second, (rows, 1)."""
    small = np.exp(-np.abs(z))
    less = small / (1 + small)
    more = 1 / (1 + small)
    return np.where(np.concatenate([z < 0, z >= 0], axis=1), more, less)


def log_sigmoid(z: FloatArray) -> FloatArray:
    """Logarithm of the sigmoid, (rows, outputs)."""
    logarithms: FloatArray = -np.logaddexp(0, -z)
    return logarithms


def log_softmax(z: FloatArray) -> FloatArray:
    """Logarithm of the softmax of each row, (rows, classes)."""
    most = z.argmax(axis=1)[:, np.newaxis]
    below = z - np.take_along_axis(z, most, axis=1)
    exps = np.exp(below)
    np.put_along_axis(exps, most, 0, axis=1)  # its 1 would swallow the digits of the others
    logarithms: FloatArray = below - np.log1p(exps.sum(axis=1, keepdims=True))
    return logarithms


def softmax_of_blocks(z: FloatArray, sizes: Sequence[int]) -> list[FloatArray]:
    """Probabilities for each block of columns of the given sizes."""
    blocks = []
    for logits in _blocks(z, sizes):
        exps = np.exp(logits - logits.max(axis=1, keepdims=True))
        blocks.append(exps / exps.sum(axis=1, keepdims=True))
    return blocks


def log_softmax_of_blocks(z: FloatArray, sizes: Sequence[int]) -> list[FloatArray]:
    """Logarithms of the probabilities for each block of columns of the given sizes."""
    return [log_softmax(logits) for logits in _blocks(z, sizes)]


def _blocks(z: FloatArray, sizes: Sequence[int]) -> list[FloatArray]:
    return np.split(z, np.cumsum(sizes)[:-1], axis=1)
