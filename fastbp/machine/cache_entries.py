"""Entries of the cache: a compiled signature as a sealed file. Leans on Numba's internals."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
from numba.core.base import BaseContext
from numba.core.caching import _Cache
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompileResult
from numba.core.registry import CPUDispatcher
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from fastbp.machine import cache
from fastbp.machine.internals import require

require(_Cache, "cache_path disable enable flush load_overload save_overload")
require(BaseContext, "refresh")
require(CompileResult, "_rebuild _reduce library lifted")
require(CPUDispatcher, "_cache")
require(JITCodeLibrary, "_final_module has_dynamic_globals")
require(type(rtsys), "initialize")

_SEAL_BYTES = 32


def _seal(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_SEAL_BYTES).digest()


class SafeCache(_Cache):  # type: ignore[misc]
    """The cache of one function, in the form a Numba dispatcher expects.

    Parameters
    ----------
    function : callable
        The Python function that is compiled.

    Notes
    -----
    An entry is a file: a checksum, then a pickled key, the names of the functions the code calls,
    and Numba's reduced result. The file's name hashes the key, but the key read back must also be
    equal, so that a misplaced or colliding file is never run. The checksum finds damage; it is no
    defence against an attacker, who is kept out by the owners of folder and file (``trust.py``).
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """The folder, or None where nothing can be cached."""
        directory = cache.folder()
        return None if directory is None else str(directory)

    def enable(self) -> None:
        """Load and save from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither load nor save from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Delete this function's entries (Numba calls it from ``dispatcher.recompile``)."""
        directory = cache.folder()
        if directory is not None:
            with suppress(OSError):
                for path in directory.glob(f"{self._function.__name__}-*{cache.SUFFIX}"):
                    path.unlink(missing_ok=True)

    def _locate(self, sig: Any) -> tuple[Path | None, tuple[Any, ...]]:
        """File of an entry, None if nothing is cached, and the entry's key."""
        directory = cache.folder() if self._enabled else None
        if directory is None:
            return None, ()
        function = self._function
        where = (directory.name, function.__module__, function.__qualname__)
        name = hashlib.blake2b(repr((where, str(sig))).encode(), digest_size=12).hexdigest()
        return directory / f"{function.__name__}-{name}{cache.SUFFIX}", (*where, sig)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored result for the signature, or None to have it compiled.

        Numba's cache first calls ``target_context.refresh()``, which imports all of Numba's
        implementations and ``scipy.linalg`` if there is one: nearly the whole time of a warm
        start. Machine code needs only the addresses of the functions that it calls, so the context
        is refreshed only if one of them is unknown. (A compilation refreshes it in any case.)
        """
        path, key = self._locate(sig)
        if path is None:
            return None
        content = cache.load(path)
        if content is None:
            return None
        try:
            payload = content[_SEAL_BYTES:]
            if _seal(payload) != content[:_SEAL_BYTES]:
                raise ValueError("damaged")
            stored_key, symbols, reduced = pickle.loads(payload)
            if stored_key != key:
                raise ValueError("not the entry asked for")
            rtsys.initialize(target_context)
            if any(llvm.address_of_symbol(name) is None for name in symbols):
                target_context.refresh()
            result = CompileResult._rebuild(target_context, *reduced)
        except Exception:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path.parent)  # mark the folder as used, for _prune
        return result

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store a compiled result, unless it refers to an address, valid in this process only.

        Numba puts arrays that are global to a function into its code by address. No kernel of
        fastbp has them, but unoptimised code (``NUMBA_OPT=0``) keeps some of Numba's own.
        """
        path, key = self._locate(sig)
        if path is None or data.lifted or data.library.has_dynamic_globals:
            return
        try:
            module = data.library._final_module
            symbols = [
                value.name
                for value in (*module.functions, *module.global_variables)
                if value.is_declaration and not value.name.startswith("llvm.")
            ]
            payload = dumps((key, symbols, data._reduce()))
        except Exception as error:  # what was compiled is sound, whatever cannot be pickled
            cache.unstored(path, error)
            return
        cache.store(path, _seal(payload) + payload)
