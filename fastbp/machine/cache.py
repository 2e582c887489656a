"""The safe cache of compiled code: what it is valid for, and the folder it is kept in.

Numba's own cache is stamped with the file a function stands in and nothing else, so it serves old
code after an edit of any other file, ignores ``NUMBA_BOUNDSCHECK`` when warm, and raises on a
damaged file. Here, each compiled signature is one sealed file (``cache_entries.py``), in a folder
named by a hash of every source file of the package and of whatever else decides the machine code.
A file that is not exactly what was asked for is deleted and compiled again; without a folder to
write to, or in a tree whose code is not in files, functions are compiled without a cache. The
cache can cost time but never changes a result and never stops a run.

To load an entry is to run it, so only what nobody else can have written is loaded (``trust.py``).
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastbp import whole_files
from fastbp.machine import trust
from fastbp.machine.processor import VECTOR_BITS, VECTOR_REGISTERS, target_cpu
from fastbp.machine.settings import COMPILING, compiles

__all__ = [
    "SUFFIX",
    "CacheInfo",
    "CacheWarning",
    "cache_info",
    "covers",
    "folder",
    "keeps",
    "load",
    "source_digest",
    "store",
    "turn_off",
    "unstored",
]

_KEEP = 6  # sub-folders (states of the sources, settings, CPUs) kept on disk
_SUBFOLDER = re.compile(r"fastbp-[0-9a-f]{32}")
SUFFIX = ".code"
"""Ending of the files that hold compiled code."""


class CacheWarning(RuntimeWarning):
    """Compiled code is not kept or not loaded, so each process compiles it again."""


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

# Links are not resolved: in a farm of links each file may lead to another folder.
PACKAGE = Path(os.path.abspath(__file__)).parents[1]


def _stamp() -> tuple[tuple[str, int, int], ...]:
    """Return name, time and size of each file with code; nothing if they cannot be read.

    These are the sources, and the compiled modules of a tree without sources. Those below
    ``__pycache__`` are only imported where their source is there too.
    """
    stamp = []
    try:
        for folder, folders, names in os.walk(PACKAGE, onerror=_raise):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith((".py", ".pyc")) and os.path.isfile(path):
                    found = os.stat(path)
                    stamp.append((path, found.st_mtime_ns, found.st_size))
    except OSError:
        return ()
    return tuple(sorted(stamp))


def _raise(error: OSError) -> None:
    raise error


_STAMP = _stamp()  # the sources as this process imports them
_FILES = {name for name, _, _ in _STAMP}
_digest = ""


def covers(function: Callable[..., Any]) -> bool:
    """Whether the key of the cache covers a function: its module came from a hashed file.

    Not so in archives and frozen programs, which may have some sources lying beside them.

    Parameters
    ----------
    function : callable
    """
    file = function.__globals__.get("__file__") or ""
    return os.path.abspath(file) in _FILES


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
    import llvmlite
    import llvmlite.binding as llvm
    import numba
    from numba import config

    return (
        (sys.version, sys.implementation.cache_tag, sys.platform),
        (numba.__version__, llvmlite.__version__, np.__version__),
        (llvm.get_process_triple(), *target_cpu(), VECTOR_BITS, VECTOR_REGISTERS),
        [(name, str(getattr(config, name, None))) for name in COMPILING],
    )


# ---- where it is -----------------------------------------------------------------------------

_trouble = ""  # why writing failed, once it has
_off = ""  # why nothing is cached, where that is so
_warned = False


def turn_off(reason: str) -> None:
    """Cache nothing in this process.

    Parameters
    ----------
    reason : str
        For `cache_info`.
    """
    global _off
    _off = _off or reason


def _base_directory() -> Path | None:
    """Return the folder of the sub-folders; None if the platform names none."""
    for name, tail in (("FASTBP_CACHE_DIR", ""), ("NUMBA_CACHE_DIR", "fastbp")):
        if value := os.environ.get(name):
            try:
                return Path(os.path.abspath(os.path.expanduser(value)), tail)
            except OSError:  # relative to a working directory that was deleted
                return None
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base, "fastbp") if os.path.isabs(base) else None


def folder() -> Path | None:
    """Folder for the present sources and settings, which may not exist yet; None if caching is off.

    Its name is the cache's key: a hash of the sources and of `_settings`.
    """
    if _off:
        return None
    base = _base_directory()
    sources = source_digest()
    if base is None or not sources:
        return None
    name = hashlib.blake2b(repr((sources, _settings())).encode(), digest_size=16).hexdigest()
    return base / f"fastbp-{name}"


def keeps() -> bool:
    """Whether compiled code is kept for the next process."""
    return not _trouble and folder() is not None


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
        for unused in folders[_KEEP - 1 :]:
            with suppress(OSError):
                for path in unused.iterdir():
                    if SUFFIX in path.suffixes:  # temporary files too
                        path.unlink(missing_ok=True)
                unused.rmdir()


def cache_info() -> CacheInfo:
    """Describe the cache of compiled code. Writes nothing.

    Returns
    -------
    CacheInfo
        Its directory, its state in words, the number of entries and their bytes.
    """
    if not compiles():
        return CacheInfo(None, "off: NUMBA_DISABLE_JIT is set", 0, 0)
    directory = folder()
    if directory is None:
        sources = "no cache directory" if source_digest() else "the sources changed or are missing"
        reason = _off or sources
        return CacheInfo(None, f"off: {reason}", 0, 0)
    sizes: list[int] = []
    with suppress(OSError):
        sizes = [path.stat().st_size for path in directory.glob("*" + SUFFIX)]
    ancestors = (directory, *directory.parents)
    existing = next((path for path in ancestors if os.path.lexists(path)), directory)
    try:
        if existing == directory:
            trust.check_folder(directory)
    except (OSError, trust.UntrustedError) as error:
        return CacheInfo(directory, f"off: {error}", 0, 0)
    if _trouble:
        state = f"unwritable: {_trouble}"
    elif not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        state = f"unwritable: {existing} is not a directory that can be written to"
    else:
        state = "warm" if sizes else "empty"
    return CacheInfo(directory, state, len(sizes), sum(sizes))


# ---- files -----------------------------------------------------------------------------------


def load(path: Path) -> bytes | None:
    """Read a file of the cache; None if it is missing, or if others could have written it.

    Parameters
    ----------
    path : path
        In `folder`.
    """
    try:
        trust.check_folder(path.parent)
    except OSError:
        return None
    except trust.UntrustedError as error:
        _warn(f"does not use the compiled code in {path.parent}", error)
        return None
    try:
        return trust.read(path)
    except OSError:
        return None
    except trust.UntrustedError:  # in a folder of one's own: it is damage like any other
        with suppress(OSError):
            path.unlink()
        return None


def store(path: Path, content: bytes) -> None:
    """Write a file of the cache; warn, once in a process, if it cannot be written.

    Parameters
    ----------
    path : path
        In `folder`.
    content : bytes
    """
    try:
        _write(path, content)
    except OSError as error:
        unstored(path, error)
    except trust.UntrustedError as error:
        _warn(f"does not store its compiled code in {path.parent}", error)


def unstored(path: Path, error: Exception) -> None:
    """Note and warn, once in a process, that compiled code could not be stored.

    Parameters
    ----------
    path : path
        In `folder`.
    error : Exception
    """
    global _trouble
    _trouble = str(error)
    _warn(f"could not store its compiled code in {path.parent.parent}", error)


def _write(path: Path, content: bytes) -> None:
    """Write a file in one step, so that another process sees all of it or none."""
    created = not path.parent.exists()
    trust.make_folder(path.parent)
    trust.check_folder(path.parent)
    try:
        # Not durable: a first start writes dozens of files, and each would wait for the disk. A
        # power failure may leave torn ones, which their checksums tell from whole ones.
        whole_files.write(path, lambda file: file.write(content), mode=0o600, durable=False)
    except PermissionError:
        # Windows refuses to replace a file that another process has open: it is stored already.
        if not (os.name == "nt" and path.exists()):
            raise
    if created:
        _prune(path.parent)


def _warn(what: str, error: Exception) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"fastbp {what} ({error}), so it compiles again in each new process. To mend this, set the "
        "environment variable FASTBP_CACHE_DIR to a directory that you alone can write to.",
        CacheWarning,
        stacklevel=2,
    )
