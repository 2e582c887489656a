"""Compiled functions of test files whose machine code is kept, as that of the package is.

A kernel is called from compiled code alone, so each test of one has an entry point of its own.
Compiled anew in every run, these would take most of the time of such tests.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from fastbp.machine.cache import PACKAGE
from fastbp.machine.cache_entries import SafeCache

__all__ = ["entry_point"]


class _Cache(SafeCache):
    """The package's cache, whose entries also bear a hash of the test file."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        source = Path(function.__code__.co_filename).read_bytes()
        self._source = hashlib.blake2b(source, digest_size=12).hexdigest()

    def _locate(self, sig: Any) -> tuple[Path | None, tuple[Any, ...]]:
        path, key = super()._locate(sig)
        if path is None:
            return path, key
        return path.with_name(f"{path.stem}-{self._source}{path.suffix}"), (*key, self._source)


def entry_point(function: Callable[..., Any]) -> Any:
    """Compile a function that a test calls, or load it if it was compiled before.

    It is compiled again after an edit of the package or of the file that it stands in; so it may
    call compiled functions of these alone.

    Raises
    ------
    ValueError
        If the function closes over variables or calls a compiled function of another file.
    """
    dispatcher = numba.njit(function)
    if dispatcher is function:  # NUMBA_DISABLE_JIT=1
        return function
    here = Path(function.__code__.co_filename)
    called = [function.__globals__.get(name) for name in function.__code__.co_names]
    for other in called:
        if isinstance(other, numba.core.registry.CPUDispatcher):
            file = Path(other.py_func.__code__.co_filename)
            if file != here and not file.is_relative_to(PACKAGE):
                raise ValueError(f"{function.__name__} calls {other.__name__} of {file}")
    if function.__closure__ is not None:
        raise ValueError(f"{function.__name__} closes over variables")
    dispatcher._cache = _Cache(function)
    return dispatcher
