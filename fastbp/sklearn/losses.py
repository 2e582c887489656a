"""The losses of scikit-learn's networks, and one for several targets with several classes each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp.model.losses import BinaryCrossEntropy, CrossEntropy, Smoothed, SquaredError
from fastbp.sklearn.probabilities import log_softmax_of_blocks, softmax_of_blocks

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class MeanSquaredError(SquaredError):
    """Half of the squared difference, reported as its mean over the outputs.

    Its derivative is that of the sum over the outputs, as in scikit-learn.
    """

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """One over the number of outputs."""
        return np.full(1, 1.0 / outputs)


def largest_log_loss(dtype: np.dtype[Any]) -> float:
    """Loss that scikit-learn reports for an impossible class: it clips probabilities at epsilon."""
    return -math.log(float(np.finfo(dtype).eps))


@dataclass(frozen=True)
class _Cut(Smoothed):
    """Mixin for a cross-entropy that is reported as at most `most`.

    Parameters
    ----------
    most : float, default=inf
    """

    most: float = math.inf

    def parameters(self, outputs: int) -> npt.NDArray[np.float64]:
        """The parameters of the cross-entropy, with the cut."""
        parameters = super().parameters(outputs)
        parameters[2] = self.most
        return parameters


@dataclass(frozen=True)
class CutBinaryCrossEntropy(_Cut, BinaryCrossEntropy):
    """The binary cross-entropy, reported as at most `most` for each output."""


@dataclass(frozen=True)
class CutCrossEntropy(_Cut, CrossEntropy):
    """The cross-entropy, reported as at most `most` for each row."""


@dataclass(frozen=True)
class BlockCrossEntropy:
    """The sum of a cross-entropy for each block of outputs, as a loss in Python.

    Parameters
    ----------
    sizes : tuple of int
        Number of classes of each block.
    """

    sizes: tuple[int, ...]

    def __call__(
        self, z: FloatArray, y: FloatArray, sample_weight: FloatArray | None = None
    ) -> tuple[float, FloatArray]:
        """Loss averaged over the rows and its derivative by the net inputs `z`.

        Parameters
        ----------
        z, y : array, shape (rows, outputs)
            Net inputs; one-hot targets in each block.
        sample_weight : array, shape (rows,), optional
        """
        weights = np.ones(len(z)) if sample_weight is None else sample_weight
        shares = (weights / weights.sum())[:, np.newaxis]
        p = np.concatenate(softmax_of_blocks(z, self.sizes), axis=1)
        logarithms = np.concatenate(log_softmax_of_blocks(z, self.sizes), axis=1)
        return -float((y * logarithms * shares).sum()), (p - y) * shares
