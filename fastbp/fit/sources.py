"""Data that come in parts: batches from an iterable, and arrays on disk that exceed memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks

PART_BYTES, BLOCK_BYTES = 1 << 26, 1 << 20
"""About how much of an array on disk is read at a time, and how much of it in one piece."""

Part = tuple[Any, Any, Any]
"""X, y, sample_weight or None."""


def is_on_disk(X: Any) -> bool:
    """Whether X is a memory-mapped array of more than one part; a copy of one is in memory."""
    return _mapping(X) is not None and X.nbytes > PART_BYTES


def _mapping(array: Any) -> mmap.mmap | None:
    """The file map that an array is a view of."""
    mapping = getattr(array, "_mmap", None)
    return mapping if isinstance(array, np.memmap) and isinstance(mapping, mmap.mmap) else None


def next_generator(random: npt.NDArray[np.uint64]) -> np.random.Generator:
    """A generator of the state of a random stream, which goes on."""
    generator = np.random.default_rng(random)
    random[:] = generator.integers(2**64, size=1, dtype=np.uint64)
    return generator


class Batches:
    """Batches of an iterable, each a tuple (X, y) or (X, y, sample_weight); one update each.

    Parameters
    ----------
    batches : iterable
        Gone through once an epoch. An iterator, such as a generator, gives a single epoch.
    """

    batch_size, shuffle = 2**62, False

    def __init__(self, batches: Any) -> None:
        if isinstance(batches, np.ndarray | str) or not isinstance(batches, Iterable):
            raise TypeError(
                "fit needs y, the targets; without it X must be an iterable of batches (X, y); "
                f"got {type(batches).__name__}"
            )
        self.batches = batches

    def __iter__(self) -> Iterator[Part]:
        for number, batch in enumerate(self.batches):
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise TypeError(
                    f"batch {number} must be a tuple (X, y) or (X, y, sample_weight); got "
                    f"{type(batch).__name__}"
                    + (f" of {len(batch)}" if isinstance(batch, tuple | list) else "")
                )
            yield batch[0], batch[1], batch[2] if len(batch) == 3 else None


class Mapped:
    """Rows of a memory-mapped array, read a part at a time into memory.

    A part is put together from blocks of neighbouring rows. With `shuffle` the blocks are taken in
    a new random order in each epoch, and the rows of a part in a random order of their own.

    Parameters
    ----------
    X : numpy.memmap, shape (rows, n_in)
    y, sample_weight : array or None
        In memory or mapped too.
    batch_size : int
        All blocks but the last hold whole batches.
    shuffle : bool
    random : array of uint64, shape (1,)
        The net's random stream, which goes on in each epoch.
    """

    def __init__(
        self, X: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool,
        random: npt.NDArray[np.uint64],
    ) -> None:  # fmt: skip
        self.X, self.y = X, np.asanyarray(y)
        self.sample_weight = None if sample_weight is None else np.asanyarray(sample_weight)
        if X.ndim != 2:
            raise ValueError(f"X must have shape (rows, n_in); got shape {X.shape}")
        for name, array in (("y", self.y), ("sample_weight", self.sample_weight)):
            if array is not None and array.shape[:1] != X.shape[:1]:
                raise ValueError(
                    f"X and {name} must have the same number of rows; got {len(X)} and shape "
                    f"{array.shape}"
                )
        self.batch_size, self.shuffle, self.random = min(batch_size, len(X)), shuffle, random
        row_bytes = X.nbytes // len(X)
        batches = max(1, BLOCK_BYTES // (row_bytes * self.batch_size))
        self.block_rows = batches * self.batch_size
        self.blocks_a_part = max(1, PART_BYTES // (row_bytes * self.block_rows))

    def __iter__(self) -> Iterator[Part]:
        starts = np.arange(0, len(self.X), self.block_rows)
        if self.shuffle:
            next_generator(self.random).shuffle(starts)
        for first in range(0, len(starts), self.blocks_a_part):
            some = starts[first : first + self.blocks_a_part]
            X, y = self._read(self.X, some), self._read(self.y, some)
            weights = None if self.sample_weight is None else self._read(self.sample_weight, some)
            yield X, y, weights

    def _read(self, array: npt.NDArray[Any], starts: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Blocks of rows, copied; the mapped pages are given back."""
        blocks = [array[start : start + self.block_rows] for start in starts]
        copied = np.concatenate(blocks)
        forget(array)
        return copied


def pieces(X: Any) -> Iterator[npt.NDArray[Any]]:
    """All rows of an array on disk in their order, a part at a time."""
    rows = max(1, PART_BYTES // (X.nbytes // len(X)))
    for first in range(0, len(X), rows):
        yield np.array(X[first : first + rows])
        forget(X)


def forget(array: npt.NDArray[Any]) -> None:
    """Give the pages of a mapped file back: else all that was read counts as this process's.

    What was written to a map of mode "c" is nowhere else, so that one keeps its pages; and where
    the system cannot be told, it gives them back when memory is short.
    """
    mapping = _mapping(array)
    mode = getattr(array, "mode", None)
    if mapping is not None and mode != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapping.madvise(mmap.MADV_DONTNEED)


def check_columns(X: Any, n_in: int) -> None:
    """Raise a ValueError for another number of columns, before anything is read."""
    if X.shape[1:] != (n_in,):
        checks.matrix("X", X[:1], n_in, X.dtype, "one column per input")
