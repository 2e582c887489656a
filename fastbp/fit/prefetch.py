"""Read the next rows while the kernel works on those before: compiled code runs without the GIL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Protocol

from fastbp.fit.data import Examples
from fastbp.fit.sources import Pieces


class Readable(Pieces, Protocol):
    """Pieces that a thread can read.

    Attributes
    ----------
    ended : bool
        Nothing more is read once this is True.
    """

    ended: bool


class Prefetched:
    """Pieces that a thread reads ahead, one at a time; the bits are those without it.

    The thread begins with the epoch, and ends with it, however that ends. What it raises is raised
    where the piece is asked for. A piece is read while the one before is trained on, so that two
    are in memory.

    Parameters
    ----------
    pieces : Mapped or Streamed
        Draws from the net's random stream before its first piece only: nothing else runs then.
    """

    def __init__(self, pieces: Readable) -> None:
        self.pieces = pieces
        self.batch_size = pieces.batch_size
        self.shuffle = pieces.shuffle
        self.updates = pieces.updates

    def __iter__(self) -> Iterator[Examples]:
        reader = _Reader(self.pieces)
        try:
            while (piece := reader.next()) is not None:
                yield piece
        finally:
            reader.end()


class _Reader:
    """The thread, and what it has read.

    Parameters
    ----------
    pieces : Readable
    """

    def __init__(self, pieces: Readable) -> None:
        self._pieces = pieces
        self._read: SimpleQueue[Examples | BaseException | None] = SimpleQueue()
        self._wanted = threading.Semaphore(0)
        self._thread = threading.Thread(target=self._run, name="fastbp reads", daemon=True)
        self._thread.start()

    def next(self) -> Examples | None:
        """The next piece, None after the last; raises what reading it raised."""
        item = self._read.get()
        if isinstance(item, BaseException):
            raise item
        self._wanted.release()
        return item

    def end(self) -> None:
        """Wait for the thread, which reads to the end of a block at most."""
        self._pieces.ended = True
        self._wanted.release()
        self._thread.join()

    def _run(self) -> None:
        self._pieces.ended = False
        try:
            for piece in self._pieces:
                self._read.put(piece)
                del piece
                self._wanted.acquire()
                if self._pieces.ended:
                    return
            self._read.put(None)
        except BaseException as error:
            self._read.put(error)
