"""Rows on disk in blocks of a library's own: row groups of Parquet, chunks of Zarr and HDF5.

`Streamed` reads them a window at a time, so that they may exceed memory. Maps of files of NumPy are
`fastbp.fit.sources.Mapped`, whose blocks may begin anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import sources
from fastbp.fit.data import Examples
from fastbp.fit.limits import LIMITS, Limits
from fastbp.fit.sources import Random, next_generator, reading
from fastbp.model.net import Net

SOON = 4
"""Blocks of `limits.block_bytes` to a window whose rows are not shuffled."""


class Blocks(ABC):
    """Rows in blocks that are read as a whole, or a piece after the other.

    Attributes
    ----------
    examples : Examples
        What stands in memory or can be indexed; all None where only `read` has it.
    rows, n_in : int
    count : int
        How many blocks there are.
    """

    examples = Examples(None, None)
    rows: int
    n_in: int
    count: int

    @abstractmethod
    def read(self, number: int, rows: int, net: Net) -> Iterator[Examples]:
        """The rows of a block in pieces of about `rows`; X has the net's dtype and is finite."""

    @abstractmethod
    def weight_factor(self, net: Net, limits: Limits) -> float:
        """What scales the sample weights, 0 for missing targets, to a mean of 1 over all rows."""

    def check_inputs(self, n_in: int) -> None:
        """Raise a ValueError where the net has another number of inputs."""
        if n_in != self.n_in:
            raise ValueError(f"X must have {n_in} columns, one per input; {self!r} has {self.n_in}")


def stream_of(
    net: Net, examples: Examples, batch_size: int, shuffle: bool, limits: Limits = LIMITS
) -> sources.Batches | sources.Mapped | Streamed:
    """What goes through rows that are not in memory.

    Raises
    ------
    TypeError, ValueError
        For what has no rows, and for targets and weights that belong to none.
    """
    X = examples.X
    if isinstance(X, Blocks):
        if examples.y is not None or examples.sample_weight is not None:
            raise TypeError(
                f"targets and weights are columns of {X!r}; name them there and leave out y and "
                "sample_weight"
            )
        return Streamed(X, net, batch_size, shuffle, limits)
    if sources.is_chunked(X) and examples.y is not None:
        return Streamed(Chunked(*examples, limits), net, batch_size, shuffle, limits)
    return sources.not_in_memory(net, examples, batch_size, shuffle, limits)


class Streamed:
    """Windows of blocks, in memory.

    With `shuffle` the blocks come in a new random order in each epoch, and the rows of a window,
    which has about `limits.part_bytes` of inputs, in a random order of their own. All batches but
    the last are whole, wherever blocks end; without `shuffle` they are those of rows in memory, and
    a window is small, so that training begins soon.

    Parameters
    ----------
    blocks : Blocks
    net : Net
    batch_size : int
    shuffle : bool
    limits : Limits

    Attributes
    ----------
    ended : bool
        Nothing more is read once this is True.
    """

    def __init__(
        self, blocks: Blocks, net: Net, batch_size: int, shuffle: bool, limits: Limits = LIMITS
    ) -> None:
        blocks.check_inputs(net.layer_sizes[0])
        self.blocks = blocks
        self.examples = blocks.examples
        self.net = net
        self.batch_size = min(batch_size, blocks.rows)
        self.updates = -(-blocks.rows // self.batch_size)
        self.shuffle = shuffle
        self.ended = False
        self.random: Random = net.state.random
        row_bytes = blocks.n_in * net.dtype.itemsize
        window_bytes = limits.part_bytes if shuffle else SOON * limits.block_bytes
        batches = max(1, window_bytes // (row_bytes * self.batch_size))
        self.window_rows = batches * self.batch_size
        self.piece_rows = max(1, limits.block_bytes // row_bytes)
        self.factor = blocks.weight_factor(net, limits)

    def __iter__(self) -> Iterator[Examples]:
        order = np.arange(self.blocks.count)
        if self.shuffle:
            next_generator(self.random).shuffle(order)
        window = _Window(self.window_rows, self.blocks.n_in, self.net.dtype)
        for number in order.tolist():
            for piece in self.blocks.read(number, self.piece_rows, self.net):
                if self.ended:
                    return
                rest: Examples | None = piece
                while rest is not None:
                    rest = window.add(rest)
                    if window.full:
                        yield self._scaled(window.taken())
        if window.rows:
            yield self._scaled(window.taken())

    def _scaled(self, examples: Examples) -> Examples:
        if self.factor == 1:
            return examples
        weights = examples.sample_weight
        scaled = np.full(len(examples.X), self.factor) if weights is None else weights * self.factor
        return examples._replace(sample_weight=scaled)


class _Window:
    """Rows that are put together until there are enough.

    Parameters
    ----------
    size : int
        How many rows are enough.
    n_in : int
    dtype : numpy.dtype
        Of X.
    """

    def __init__(self, size: int, n_in: int, dtype: np.dtype[Any]) -> None:
        self.size = size
        self.shape = (size, n_in)
        self.dtype = dtype
        self.rows = 0
        self._others: list[tuple[Any, Any]] = []

    @property
    def full(self) -> bool:
        """Whether there are enough rows."""
        return self.rows == self.size

    def add(self, piece: Examples) -> Examples | None:
        """Take rows over; those that find no room, None where there are none."""
        if not self.rows:
            self._X = np.empty(self.shape, self.dtype)
        room = self.size - self.rows
        head = piece.take(slice(room))
        self._X[self.rows : self.rows + len(head.X)] = head.X
        self._others.append((head.y, head.sample_weight))
        self.rows += len(head.X)
        return piece.take(slice(room, None)) if len(piece.X) > room else None

    def taken(self) -> Examples:
        """All rows; the window is empty then."""
        y, weights = zip(*self._others, strict=True)
        weighted = None if weights[0] is None else np.concatenate(weights)
        examples = Examples(self._X[: self.rows], np.concatenate(y), weighted)
        self.rows = 0
        self._others = []
        del self._X  # the next window has memory of its own: this one is trained on meanwhile
        return examples


class Chunked(Blocks):
    """Rows of an array in chunks, such as ``zarr.Array`` or ``h5py.Dataset``.

    Parameters
    ----------
    X : array-like with `shape`, `dtype`, `chunks` and slices
    y, sample_weight : array or None
        In memory or such arrays too.
    limits : Limits
    """

    def __init__(self, X: Any, y: Any, sample_weight: Any, limits: Limits = LIMITS) -> None:
        y = y if sources.is_chunked(y) else sources.plain("y", y)
        if sample_weight is not None and not sources.is_chunked(sample_weight):
            sample_weight = sources.plain("sample_weight", sample_weight)
        self.examples = Examples(X, y, sample_weight)
        sources.check_rows(self.examples)
        self.rows, self.n_in = X.shape
        a_chunk = X.chunks[0] if X.chunks else 1
        row_bytes = max(1, X.dtype.itemsize * self.n_in)
        self.block_rows = a_chunk * max(1, limits.block_bytes // (row_bytes * a_chunk))
        self.count = -(-self.rows // self.block_rows)

    def __repr__(self) -> str:
        return f"the {type(self.examples.X).__name__} of shape {self.examples.X.shape}"

    def check_inputs(self, n_in: int) -> None:
        """As rows in memory."""
        sources.check_columns(self.examples.X, n_in)

    def weight_factor(self, net: Net, limits: Limits) -> float:
        """See `Blocks`."""
        return sources.factor_to_mean_1(self.examples, net.missing_targets, limits)

    def read(self, number: int, rows: int, net: Net) -> Iterator[Examples]:
        """See `Blocks`; a chunk is decoded as a whole, however large it is."""
        first = number * self.block_rows
        some = slice(first, min(first + self.block_rows, self.rows))
        with reading():
            read = [None if array is None else array[some] for array in self.examples]
        yield checked(Examples(*read), net, f"block {number}", first)


def checked(examples: Examples, net: Net, where: str, first: int, start: int = 0) -> Examples:
    """Rows of a block as arrays of numbers, X in the net's dtype.

    Parameters
    ----------
    examples : Examples
    net : Net
    where : str
        The block, for messages.
    first : int
        The number of its first row among all rows.
    start : int, default=0
        The row of the block that the examples begin with.

    Raises
    ------
    ValueError
        For values that are not finite, and bad weights; the message names block and row.
    """
    X, y, weights = examples
    with np.errstate(over="ignore"):
        X = np.ascontiguousarray(checks.numbers("X", X), net.dtype)
    _check_finite("X", X, where, first, start)
    y = checks.numbers("y", y)
    if not net.missing_targets:
        _check_finite("y", y, where, first, start)
    if weights is not None:
        weights = checks.numbers("sample_weight", weights)
        _check_finite("sample_weight", weights, where, first, start)
    return Examples(X, y, weights)


def _check_finite(name: str, array: npt.NDArray[Any], where: str, first: int, start: int) -> None:
    if array.dtype.kind != "f":
        return
    good = np.isfinite(array)
    if good.all():
        return
    row, *column = (int(i) for i in np.argwhere(~good)[0])
    at = f", column {column[0]}" if column else ""
    in_block = start + row
    raise ValueError(
        f"{name} holds {array[(row, *column)]} at row {first + in_block}{at}: row {in_block} of "
        f"{where}. Remove or fill in such rows first"
    )
