"""Batches that are changed at random before they are trained on: ``fit(..., augment=...)``.

Ready functions are in ``augment/images.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastbp.fit.sources import Part, next_generator

Augmentation = Callable[[npt.NDArray[Any], np.random.Generator], npt.ArrayLike]
"""``augment(X, rng)`` returns what is to be trained on in place of the rows X."""

PART_BYTES = 1 << 22
"""About how much of the inputs is changed at a time, batch by batch, and then trained on."""


class Parts(Protocol):
    """What `Augmented` goes through, and is itself."""

    batch_size: int
    shuffle: bool

    def __iter__(self) -> Iterator[Part]: ...


def augmentations(augment: Any) -> tuple[Augmentation, ...]:
    """The functions to apply one after the other; none for None.

    Raises
    ------
    TypeError
        For what is neither a function nor a list of functions.
    """
    if augment is None:
        return ()
    functions = tuple(augment) if isinstance(augment, list | tuple) else (augment,)
    for function in functions:
        if not callable(function) or isinstance(function, type):
            raise TypeError(
                f"augment must be a function (X, rng) -> X of the same shape, such as "
                f"ImageShift((28, 28)), or a list of such functions; got {function!r}"
            )
    return functions


class Rows:
    """Rows of arrays in memory, in parts of whole batches.

    Parameters
    ----------
    X : array, shape (rows, n_in)
    y, sample_weight : array or None
    batch_size : int
    shuffle : bool
        Take the rows in a new random order in each epoch.
    random : array of uint64, shape (1,)
        The net's random stream, which goes on in each epoch.
    """

    def __init__(
        self, X: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool,
        random: npt.NDArray[np.uint64],
    ) -> None:  # fmt: skip
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.batch_size, self.shuffle = min(batch_size, len(X)), False
        self._shuffles, self._random = shuffle, random
        self.part_rows = max(1, PART_BYTES // (X[0].nbytes * self.batch_size)) * self.batch_size

    def __iter__(self) -> Iterator[Part]:
        order = np.arange(len(self.X))
        if self._shuffles and self.batch_size < len(self.X):
            next_generator(self._random).shuffle(order)
        for first in range(0, len(order), self.part_rows):
            some, weights = order[first : first + self.part_rows], self.sample_weight
            weights = None if weights is None else weights[some]
            if weights is None or weights.any():  # rows without weight have no mean to descend on
                yield self.X[some], self.y[some], weights


class Augmented:
    """Parts whose batches are changed on the way.

    Parameters
    ----------
    parts : Batches, Mapped or Rows
    functions : tuple of callable
        Each is given a batch, which is its own, and the generator of the epoch.
    dtype : numpy.dtype
        Of the batches.
    random : array of uint64, shape (1,)
        The net's random stream, which goes on in each epoch.
    """

    shuffle = False

    def __init__(
        self, parts: Parts, functions: tuple[Augmentation, ...], dtype: np.dtype[Any],
        random: npt.NDArray[np.uint64],
    ) -> None:  # fmt: skip
        self.parts, self.functions, self._random = parts, functions, random
        self._dtype = dtype
        self.batch_size = parts.batch_size

    def __iter__(self) -> Iterator[Part]:
        generator = next_generator(self._random)
        for X, y, weights in self.parts:
            X, y = np.array(X, self._dtype), np.asarray(y)
            if self.parts.shuffle:
                order = generator.permutation(len(X))
                X, y = X[order], y[order]
                weights = None if weights is None else np.asarray(weights)[order]
            for first in range(0, len(X), self.batch_size):
                batch = X[first : first + self.batch_size]
                for function in self.functions:
                    batch[...] = _same_shape(function, function(batch, generator), batch.shape)
            yield X, y, weights


def _same_shape(function: Any, result: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    array = np.asarray(result)
    if array.dtype.kind not in "biuf" or array.shape != shape:
        got = f"shape {array.shape}" if array.shape != shape else f"dtype {array.dtype}"
        kind = ValueError if array.shape != shape and array.dtype.kind in "biuf" else TypeError
        raise kind(
            f"the augmentation {function!r} must return numbers of shape {shape}, that of the "
            f"batch it is given; got {got if array.ndim else type(result).__name__}"
        )
    return array
