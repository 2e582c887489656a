"""The safe cache of compiled code.

Numba's own cache is stamped with the file a function stands in and nothing else, so it serves old
code after an edit of any other file, ignores ``NUMBA_BOUNDSCHECK`` when warm, and raises on a
damaged file. Here, each compiled signature is one sealed file, in a folder named by a hash of
every source file of the package and of whatever else decides the machine code. A file that is
not exactly what was asked for is deleted and compiled again; without a directory to write to,
functions are compiled without a cache. The cache can cost time but never changes a result.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import sys
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

__all__ = ["CacheInfo", "CacheWarning", "SafeCache", "cache_info", "source_digest"]

# What Numba reads when it compiles; a name that a version of Numba lacks counts as None.
_FLAGS = (
    "BOUNDSCHECK CPU_FEATURES CPU_NAME DEBUGINFO_DEFAULT DEBUG_NRT DISABLE_INTEL_SVML ENABLE_AVX "
    "ENABLE_PROFILING LLVM_REFPRUNE_FLAGS LLVM_REFPRUNE_PASS LOOP_VECTORIZE OPT SLP_VECTORIZE "
    "USING_SVML"
).split()

_KEEP = 6  # sub-folders (states of the sources, settings, CPUs) kept on disk
_SUBFOLDER = re.compile(r"fastbp-[0-9a-f]{32}")
_SUFFIX = ".code"
_SEAL_BYTES = 32


class CacheWarning(RuntimeWarning):
    """Compiled code could not be stored, so it will be compiled again in the next process."""


class CacheInfo(NamedTuple):
    """What ``cache_info`` reports."""

    directory: Path | None
    """The folder for the present sources and settings (it may not exist yet); None if off."""
    state: str
    """One of "warm", "empty", "unwritable: ..." and "off: ...", the latter two with the reason."""
    entries: int
    """How many compiled signatures the folder holds."""
    n_bytes: int
    """Their size on disk, in bytes."""


# ---- what the cache is valid for -------------------------------------------------------------

PACKAGE = Path(__file__).resolve().parents[1]


def _stamp() -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of each source file; nothing if they cannot be read."""
    try:
        files = [
            (str(path), path.stat()) for path in sorted(PACKAGE.rglob("*.py")) if path.is_file()
        ]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in files)


_STAMP = _stamp()  # the sources as this process imports them
_digest = ""


def source_digest() -> str:
    """Hash every source file of the package.

    Returns
    -------
    str
        64 hexadecimal digits, or "" if the sources cannot be read or are no longer those that
        this process imported. The cache is then off: new sources must not vouch for old code.
    """
    global _digest
    if not _digest and _STAMP:
        hasher = hashlib.blake2b(digest_size=32)
        try:
            for name, _, size in _STAMP:
                relative = Path(name).relative_to(PACKAGE).as_posix()
                hasher.update(f"{relative}\0{size}\0".encode())
                hasher.update(Path(name).read_bytes())
        except OSError:
            return ""
        _digest = hasher.hexdigest()
    return _digest if _stamp() == _STAMP else ""


def _settings() -> tuple[Any, ...]:
    """Whatever decides the machine code besides the sources; read anew each time."""
    return (
        (sys.version, sys.implementation.cache_tag, sys.platform),
        (numba.__version__, llvmlite.__version__, np.__version__),
        cpu_target.target_context.codegen().magic_tuple(),  # triple, CPU and features in use
        [(name, str(getattr(config, name, None))) for name in _FLAGS],
    )


# ---- where it is -----------------------------------------------------------------------------

_trouble = ""  # why writing failed, once it has


def _base_directory() -> Path | None:
    """Return the folder of the sub-folders; None if the platform names no place for it."""
    for name, tail in (("FASTBP_CACHE_DIR", ""), ("NUMBA_CACHE_DIR", "fastbp")):
        if value := os.environ.get(name):
            return Path(os.path.abspath(os.path.expanduser(value)), tail)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "fastbp") if os.path.isabs(base) else None


def _directory() -> Path | None:
    """Return the sub-folder for the present sources and settings; None if there can be none."""
    base, sources = _base_directory(), source_digest()
    if base is None or not sources:
        return None
    name = hashlib.blake2b(repr((sources, _settings())).encode(), digest_size=16).hexdigest()
    return base / f"fastbp-{name}"


def _prune(current: Path) -> None:
    """Delete all but the sub-folders used last. Only fastbp's own files are touched."""
    with suppress(OSError):
        folders = [
            path
            for path in current.parent.iterdir()
            if _SUBFOLDER.fullmatch(path.name) and path != current and not path.is_symlink()
        ]
        # A folder that another process deletes meanwhile sorts as the oldest.
        folders.sort(key=lambda path: path.stat().st_mtime if path.exists() else 0, reverse=True)
        for folder in folders[_KEEP - 1 :]:
            with suppress(OSError):
                for path in folder.iterdir():
                    if _SUFFIX in path.suffixes:  # temporary files too
                        path.unlink(missing_ok=True)
                folder.rmdir()


def cache_info() -> CacheInfo:
    """Describe the cache of compiled code. Writes nothing.

    Returns
    -------
    CacheInfo
        Its directory, its state in words, the number of entries and their bytes.
    """
    if config.DISABLE_JIT:
        return CacheInfo(None, "off: NUMBA_DISABLE_JIT is set", 0, 0)
    directory = _directory()
    if directory is None:
        reason = "no cache directory" if source_digest() else "the sources changed or are missing"
        return CacheInfo(None, f"off: {reason}", 0, 0)
    sizes: list[int] = []
    with suppress(OSError):
        sizes = [path.stat().st_size for path in directory.glob("*" + _SUFFIX)]
    places = (directory, *directory.parents)
    existing = next((path for path in places if os.path.lexists(path)), directory)
    if _trouble:
        state = f"unwritable: {_trouble}"
    elif not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        state = f"unwritable: {existing} is not a directory that can be written to"
    else:
        state = "warm" if sizes else "empty"
    return CacheInfo(directory, state, len(sizes), sum(sizes))


# ---- the cache -------------------------------------------------------------------------------


def _seal(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_SEAL_BYTES).digest()


class SafeCache(_Cache):  # type: ignore[misc]
    """The cache of one function, in the form a Numba dispatcher expects.

    An entry is a file: a checksum, then a pickled key, the names of the functions the code calls,
    and Numba's reduced result. The file's name hashes the key, but the key read back must also be
    equal, so that a misplaced or colliding file is never run. The checksum finds damage; it is no
    defence against an attacker who can write to the directory (nor is Numba's cache).
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """The folder, or None where nothing can be cached."""
        directory = _directory()
        return None if directory is None else str(directory)

    def enable(self) -> None:
        """Load and save from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither load nor save from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Delete this function's entries (Numba calls it from ``dispatcher.recompile``)."""
        directory = _directory()
        if directory is not None:
            with suppress(OSError):
                for path in directory.glob(f"{self._function.__name__}-*{_SUFFIX}"):
                    path.unlink(missing_ok=True)

    def _locate(self, sig: Any) -> tuple[Path | None, tuple[Any, ...]]:
        directory = _directory() if self._enabled else None
        if directory is None:
            return None, ()
        function = self._function
        where = (directory.name, function.__module__, function.__qualname__)
        name = hashlib.blake2b(repr((where, str(sig))).encode(), digest_size=12).hexdigest()
        return directory / f"{function.__name__}-{name}{_SUFFIX}", (*where, sig)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the stored result for the signature, or None to have it compiled.

        Numba's cache first calls ``target_context.refresh()``, which imports all of Numba's
        implementations and ``scipy.linalg`` if there is one: nearly the whole time of a warm
        start. Machine code needs of it only the addresses of the functions it calls, so that is
        done only if one is unknown without. (A compilation does it in any case.)
        """
        path, key = self._locate(sig)
        if path is None:
            return None
        try:
            content = path.read_bytes()
        except OSError:
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
        """Store a compiled result; warn, once in a process, if it cannot be written."""
        path, key = self._locate(sig)
        if path is None:
            return
        if data.lifted or data.library.has_dynamic_globals:
            # Addresses are only valid in this process.
            raise ValueError(
                f"{key[2]} refers to an address or a large global array, so it cannot be cached: "
                "pass it as an argument"
            )
        module = data.library._final_module
        symbols = [
            value.name
            for value in (*module.functions, *module.global_variables)
            if value.is_declaration and not value.name.startswith("llvm.")
        ]
        payload = dumps((key, symbols, data._reduce()))
        try:
            _write(path, _seal(payload) + payload)
        except OSError as error:
            _warn(path, error)


def _write(path: Path, content: bytes) -> None:
    """Put a file in place at once, so that another process sees all of it or none."""
    created = not path.parent.exists()
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        # Windows refuses to replace a file that another process has open: it is stored already.
        if not (isinstance(error, PermissionError) and os.name == "nt" and path.exists()):
            raise
    if created:
        _prune(path.parent)


def _warn(path: Path, error: OSError) -> None:
    global _trouble
    first, _trouble = not _trouble, str(error)
    if first:
        warnings.warn(
            f"fastbp could not store its compiled code in {path.parent.parent} ({error}), so it "
            "compiles again in each new process. To mend this, set the environment variable "
            "FASTBP_CACHE_DIR to a directory that can be written to.",
            CacheWarning,
            stacklevel=2,
        )
