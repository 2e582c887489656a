"""Where the rows come from: memory, batches, a file, each changed at random where asked to.

All of these sources are gone through once an epoch, and yield jobs. `Batches`, `Mapped`, `Rows`
and `Augmented` have the rows as users pass them, which `Jobs` checks and puts into the form that
the kernels take. Ready functions for ``fit(augment=...)`` are in ``augment/images.py``.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.data import (
    Examples,
    Job,
    check_dropout,
    job_of,
    row_weights,
    rows_to_train_on,
    total_weight,
    weights_beside,
)
from fastbp.fit.limits import LIMITS, Limits
from fastbp.fit.one_step import Update, update_of
from fastbp.kernels.entry import REFUSED
from fastbp.kernels.state import Data
from fastbp.model.net import Net

Random = npt.NDArray[np.uint64]

KEPT = "the net keeps the updates so far"
THEIRS = f"raised by the program's own code, not by fastbp; {KEPT}"
"""Note of the errors that an iterable or an augmentation raises."""

Augmentation = Callable[[npt.NDArray[Any], np.random.Generator], npt.ArrayLike]
"""``augment(X, rng)`` returns what is to be trained on instead of the rows X."""


# ---- jobs ----------------------------------------------------------------------------------------


class Source(Protocol):
    """The jobs of an epoch.

    Attributes
    ----------
    whole : bool
        Whether all rows are one job, the same in each epoch: then many epochs can run at once.
    updates : int
        Updates of an epoch, 0 where that is not known before.
    """

    whole: bool
    updates: int

    def __iter__(self) -> Iterator[Job | Update]: ...


class Pieces(Protocol):
    """Rows as users pass them, some at a time.

    Attributes
    ----------
    batch_size : int
    shuffle : bool
        Whether the rows of a piece are still to be taken in a random order.
    updates : int
        Updates of an epoch, 0 where that is not known before.
    """

    batch_size: int
    shuffle: bool
    updates: int

    def __iter__(self) -> Iterator[Examples]: ...


class Memory:
    """Checked rows in memory: one job, the same in each epoch.

    Parameters
    ----------
    data : Data
    rows, batch_size : int
    shuffle : bool
        Take the rows in a new random order in each epoch.
    """

    whole = True

    def __init__(self, data: Data, rows: int, batch_size: int, shuffle: bool) -> None:
        self.job = job_of(data, rows, batch_size, shuffle)
        self.updates = self.job.updates

    def __iter__(self) -> Iterator[Job]:
        yield self.job


class Jobs:
    """Pieces of rows as jobs.

    Bad rows are found on the way; then the net becomes what it was before the first epoch. What
    reading, the user's iterable or augmentation raises itself, of whatever class, keeps the updates
    so far, as Ctrl-C and errors of other code of the user's do: a disk that fails in the last epoch
    must not cost those before, and what is kept must not depend on how someone names an error.

    Parameters
    ----------
    net : Net
        What is trained.
    pieces : Batches, Mapped, Rows or Augmented
    """

    whole = False

    def __init__(self, net: Net, pieces: Pieces) -> None:
        self.net = net
        self.pieces = pieces
        self.updates = pieces.updates
        self._before: _Kept | None = None

    def __iter__(self) -> Iterator[Job | Update]:
        if self._before is None:
            self._before = _Kept(self.net)
        pieces = iter(self.pieces)
        number = 0
        refused: Examples | None = None
        while True:
            try:
                if refused is None:
                    piece = next(pieces, None)
                    if piece is None:
                        return
                    job = self._update(piece) or self._job(piece)
                else:
                    job = self._job(refused)
            except Exception as error:
                if not any(KEPT in note for note in getattr(error, "__notes__", ())):
                    self._before.restore(self.net)
                error.add_note(f"in batch or part {number} of the epoch, counted from 0")
                raise
            yield job
            refused = piece if isinstance(job, Update) and job.one.status == REFUSED else None
            number += refused is None

    def _update(self, piece: Examples) -> Update | None:
        """A batch that is one update, and that a single call takes."""
        if piece.sample_weight is not None or not isinstance(self.pieces, Batches):
            return None
        return update_of(self.net, piece.X, piece.y)

    def _job(self, piece: Examples) -> Job:
        data, rows = rows_to_train_on(*piece, self.net)
        check_dropout(self.net, data)
        return job_of(data, rows, self.pieces.batch_size, self.pieces.shuffle)


class _Kept:
    """All that training and callbacks change of a net, to restore it."""

    def __init__(self, net: Net) -> None:
        self.optimizer = net.optimizer
        self.state = net.state.copy()

    def restore(self, net: Net) -> None:
        """Make the net what it was."""
        net.optimizer = self.optimizer
        for array, kept in zip(net.state, self.state, strict=True):
            array[:] = kept


# ---- rows as users pass them ---------------------------------------------------------------------


def is_in_memory(examples: Examples, limits: Limits = LIMITS) -> bool:
    """Whether all rows are there, as arrays in memory."""
    return examples.y is not None and not is_on_disk(examples.X, limits)


def not_in_memory(
    net: Net, examples: Examples, batch_size: int, shuffle: bool, limits: Limits = LIMITS
) -> Batches | Mapped:
    """Batches of an iterable, or the rows of an array on disk.

    Raises
    ------
    TypeError, ValueError
        For what is neither, and for weights that belong to no row.
    """
    if examples.y is not None:
        return Mapped(*examples, batch_size, shuffle, net.state.random, limits, net.missing_targets)
    if examples.sample_weight is not None:
        raise TypeError(
            "sample_weight beside batches has no rows of its own; put the weights into the "
            "batches: tuples (X, y, sample_weight)"
        )
    return Batches(examples.X)


@contextmanager
def reading() -> Iterator[None]:
    """What is raised within is marked as an error of reading."""
    try:
        yield
    except Exception as error:
        error.add_note(f"raised while rows were read; {KEPT}")
        raise


def _marked(items: Iterable[Any]) -> Iterator[Any]:
    """The items; what going through them raises is marked."""
    try:
        yield from items
    except Exception as error:
        error.add_note(THEIRS)
        raise


class Batches:
    """Batches of an iterable, each a tuple (X, y) or (X, y, sample_weight); one update each.

    Parameters
    ----------
    batches : iterable
        Gone through once an epoch. An iterator, such as a generator, gives a single epoch.
    """

    batch_size = 2**62
    shuffle = False
    examples = Examples(None, None)

    def __init__(self, batches: Any) -> None:
        array = isinstance(batches, np.ndarray | str) or is_chunked(batches)
        if array or not isinstance(batches, Iterable):
            raise TypeError(
                "fit needs y, the targets; without it X must be an iterable of batches (X, y); "
                f"got {type(batches).__name__}"
            )
        self.batches = batches
        self.updates = len(batches) if isinstance(batches, Sized) else 0

    def __iter__(self) -> Iterator[Examples]:
        for number, batch in enumerate(_marked(self.batches)):
            if not isinstance(batch, tuple | list) or len(batch) not in (2, 3):
                raise TypeError(
                    f"batch {number} must be a tuple (X, y) or (X, y, sample_weight); got "
                    f"{type(batch).__name__}"
                    + (f" of {len(batch)}" if isinstance(batch, tuple | list) else "")
                )
            yield Examples(*batch)


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
    limits : Limits
    missing : bool, default=False
        Whether NaN in y is a missing target, whose weight is 0.

    Attributes
    ----------
    ended : bool
        Nothing more is read once this is True.
    """

    def __init__(
        self, X: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool, random: Random,
        limits: Limits = LIMITS, missing: bool = False,
    ) -> None:  # fmt: skip
        weights = None if sample_weight is None else plain("sample_weight", sample_weight)
        self.examples = Examples(X, plain("y", y), weights)
        check_rows(self.examples)
        self.ended = False
        self.weight_factor = factor_to_mean_1(self.examples, missing, limits)
        self.batch_size = min(batch_size, len(X))
        self.updates = -(-len(X) // self.batch_size)
        self.shuffle = shuffle
        self.random = random
        row_bytes = X.nbytes // len(X)
        batches = max(1, limits.block_bytes // (row_bytes * self.batch_size))
        self.block_rows = batches * self.batch_size
        self.blocks_a_part = max(1, limits.part_bytes // (row_bytes * self.block_rows))

    def __iter__(self) -> Iterator[Examples]:
        X, y, sample_weight = self.examples
        starts = np.arange(0, len(X), self.block_rows)
        if self.shuffle:
            next_generator(self.random).shuffle(starts)
        for first in range(0, len(starts), self.blocks_a_part):
            some = starts[first : first + self.blocks_a_part]
            rows = self._read(X, some)
            targets = self._read(y, some)
            weights = None
            if sample_weight is not None:
                weights = self._read(sample_weight, some) * self.weight_factor
            elif self.weight_factor != 1:  # of the targets that are not missing
                weights = np.full(len(rows), self.weight_factor)
            yield Examples(rows, targets, weights)

    def _read(self, array: npt.NDArray[Any], starts: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Blocks of rows, copied; the mapped pages are given back."""
        blocks = [array[start : start + self.block_rows] for start in starts]
        copied = np.concatenate(blocks)
        forget(array)
        return copied


def factor_to_mean_1(examples: Examples, missing: bool, limits: Limits) -> float:
    """What scales mapped sample weights, 0 for missing targets, to a mean of 1 over all rows.

    Weights and targets that are none are left to the check of the part they stand in.
    """
    X, y, weights = examples
    arrays = [y] * missing + [weights] * (weights is not None)
    outputs = {array.shape[1] for array in arrays if array.ndim == 2} - {1}
    regular = all(array.dtype.kind in "biuf" and array.ndim in (1, 2) for array in arrays)
    if not arrays or not regular or len(outputs) > 1:
        return 1.0
    count: int = X.shape[0]
    rows = max(1, limits.part_bytes // max(array.nbytes // count for array in arrays))
    sums = []
    for first in range(0, count, rows):
        part = slice(first, first + rows)
        some = np.ones((min(rows, count - first), 1))
        if weights is not None:
            some = np.array(weights[part], np.float64).reshape(len(some), -1)
        if missing:
            some = weights_beside(np.isnan(y[part]), some)
        sums.append(row_weights(some).sum())
        for array in arrays:
            forget(array)
    if not np.isfinite(sums).all():
        return 1.0
    return count / total_weight(np.array(sums))


def check_rows(examples: Examples) -> None:
    """Raise a ValueError for another shape of X than (rows, n_in), and other numbers of rows."""
    X, y, sample_weight = examples
    if X.ndim != 2:
        raise ValueError(f"X must have shape (rows, n_in); got shape {X.shape}")
    for name, array in (("y", y), ("sample_weight", sample_weight)):
        if array is not None and array.shape[:1] != X.shape[:1]:
            raise ValueError(
                f"X and {name} must have the same number of rows; got {X.shape[0]} and shape "
                f"{array.shape}"
            )


def plain(name: str, value: Any) -> npt.NDArray[Any]:
    """An array of numbers; one that is mapped from a file stays so."""
    return value if isinstance(value, np.memmap) else checks.numbers(name, value)


class Rows:
    """Rows of arrays in memory, in parts of whole batches, to be changed.

    Parameters
    ----------
    X : array, shape (rows, n_in)
    y, sample_weight : array or None
    batch_size : int
    shuffle : bool
        Take the rows in a new random order in each epoch.
    random : array of uint64, shape (1,)
        The net's random stream, which goes on in each epoch.
    limits : Limits
    """

    shuffle = False  # the parts come shuffled

    def __init__(
        self, X: Any, y: Any, sample_weight: Any, batch_size: int, shuffle: bool, random: Random,
        limits: Limits = LIMITS,
    ) -> None:  # fmt: skip
        self.examples = Examples(X, y, sample_weight)
        self.batch_size = min(batch_size, len(X))
        self.updates = -(-len(X) // self.batch_size)
        self._shuffles = shuffle
        self._random = random
        batches = max(1, limits.augmented_bytes // (X[0].nbytes * self.batch_size))
        self.part_rows = batches * self.batch_size

    def __iter__(self) -> Iterator[Examples]:
        order = np.arange(len(self.examples.X))
        if self._shuffles and self.batch_size < len(order):
            next_generator(self._random).shuffle(order)
        for first in range(0, len(order), self.part_rows):
            yield self.examples.take(order[first : first + self.part_rows])


class Augmented:
    """Pieces whose batches are changed on the way.

    Parameters
    ----------
    pieces : Batches, Mapped or Rows
    functions : tuple of callable
        Each is given a batch, which is its own, and the generator of the epoch.
    dtype : numpy.dtype
        Dtype of the batches.
    random : array of uint64, shape (1,)
        The net's random stream, which goes on in each epoch.
    """

    shuffle = False  # the rows are in the order in which they were changed

    def __init__(
        self, pieces: Pieces, functions: tuple[Augmentation, ...], dtype: np.dtype[Any],
        random: Random,
    ) -> None:  # fmt: skip
        self.pieces = pieces
        self.functions = functions
        self.batch_size = pieces.batch_size
        self.updates = pieces.updates
        self._dtype = dtype
        self._random = random

    def __iter__(self) -> Iterator[Examples]:
        generator = next_generator(self._random)
        for given in self.pieces:
            X = np.array(checks.numbers("X", given.X), self._dtype)
            weights = given.sample_weight
            if weights is not None:
                weights = checks.numbers("sample_weight", weights)
            piece = Examples(X, checks.numbers("y", given.y), weights)
            if self.pieces.shuffle:
                piece = piece.take(generator.permutation(len(X)))
            for first in range(0, len(X), self.batch_size):
                batch = piece.X[first : first + self.batch_size]
                for function in self.functions:
                    try:
                        changed = function(batch, generator)
                    except Exception as error:
                        error.add_note(THEIRS)
                        raise
                    batch[...] = _same_shape(function, changed, batch.shape)
            yield piece


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
                f"ImageShift((28, 28)), or a list of such functions; got "
                f"{checks.described(function)}{checks.instead('augment', function, (), object)}"
            )
    return functions


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


def next_generator(random: Random) -> np.random.Generator:
    """A generator seeded by the state of a random stream, which goes on."""
    generator = np.random.default_rng(random)
    random[:] = generator.integers(2**64, size=1, dtype=np.uint64)
    return generator


# ---- arrays on disk ------------------------------------------------------------------------------


def is_on_disk(X: Any, limits: Limits = LIMITS) -> bool:
    """Whether X is a mapped or chunked array of more than one part; a copy of one is in memory."""
    return (_mapping(X) is not None or is_chunked(X)) and X.nbytes > limits.part_bytes


def is_chunked(X: Any) -> bool:
    """Whether X is an array that a file holds in chunks, such as zarr.Array or h5py.Dataset.

    Arrays that compute by themselves, such as Dask's, are none.
    """
    if isinstance(X, np.ndarray) or hasattr(X, "__array_ufunc__"):
        return False
    return all(hasattr(X, name) for name in ("shape", "dtype", "chunks", "nbytes", "__getitem__"))


def _mapping(array: Any) -> mmap.mmap | None:
    """The file map that an array is a view of."""
    mapping = getattr(array, "_mmap", None)
    return mapping if isinstance(array, np.memmap) and isinstance(mapping, mmap.mmap) else None


def parts_of(X: Any, limits: Limits = LIMITS) -> Iterator[npt.NDArray[Any]]:
    """All rows of an array on disk in their order, a part at a time."""
    count = X.shape[0]  # an array of Zarr has no length
    rows = max(1, limits.part_bytes // (X.nbytes // count))
    for first in range(0, count, rows):
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
