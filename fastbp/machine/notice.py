"""One line on standard error while something compiles for long, so that nobody thinks it hangs."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from fastbp.machine import cache

PATIENCE = 0.5
"""Seconds that something may compile without a word."""
QUIET = "FASTBP_QUIET"
"""Environment variable: unless empty or "0", nothing is said."""

_lock = threading.Lock()
_said: set[tuple[str, str]] = set()
_importer = os.getpid()
_silenced = 0


@contextmanager
def silent() -> Iterator[None]:
    """Say nothing inside this context, where something else tells what compiles."""
    global _silenced
    with _lock:
        _silenced += 1
    try:
        yield
    finally:
        with _lock:
            _silenced -= 1


class Notice:
    """Says that a function compiles, once that has taken a while.

    Parameters
    ----------
    function : dispatcher
    kind : str
        As in `fastbp.machine.jit.ready`.
    """

    def __init__(self, function: Any, kind: str) -> None:
        self.function = function
        self.kind = kind
        self.before = self._misses()
        self.start = time.perf_counter()
        self.done = False

    def _misses(self) -> int:
        """How often the function was not in the cache."""
        return sum(self.function.stats.cache_misses.values())

    def look(self) -> None:
        """See whether there is something to say: not while code is loaded from the cache."""
        if self.done or time.perf_counter() - self.start < PATIENCE:
            return
        if self._misses() > self.before:
            self.done = True
            say(self.function.__name__, self.kind)


def say(name: str, kind: str) -> None:
    """Write the line, unless it was written before.

    A forked worker says nothing: the process that imported fastbp speaks for all of them.

    Parameters
    ----------
    name : str
        What compiles.
    kind : str
        As in `fastbp.machine.jit.ready`.
    """
    with _lock:
        known = (name, kind) in _said or _silenced
        _said.add((name, kind))
    if known or os.getpid() != _importer or os.environ.get(QUIET, "0") not in ("", "0"):
        return
    stream = sys.stderr
    if stream is None:  # as under pythonw
        return
    with suppress(OSError, ValueError):  # closed: a notice is no reason to fail
        stream.write(_placed(line_about(name, kind), stream.isatty()))
        stream.flush()


def line_about(name: str, kind: str) -> str:
    """What is said.

    Parameters
    ----------
    name, kind : str
        As in `say`.
    """
    what = f"for {np.dtype(kind[0]).name} ({name})" if kind else f"({name})"
    often = "once per processor" if cache.keeps() else "in each process, as nothing is cached"
    return f"fastbp: compiling {what}, {often}, about 10 s"


def _placed(line: str, in_terminal: bool) -> str:
    """The line as it is written; in a terminal a progress bar may have left its row unfinished."""
    if not in_terminal:
        return line + "\n"
    width = shutil.get_terminal_size().columns - 1
    return f"\r{line:<{width}}\n"
