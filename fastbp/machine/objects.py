"""Machine code of the entry points that was made beforehand: shared libraries, one a level.

A wheel brings them, or ``python -m fastbp build`` makes them: files in `fastbp/objects`, whose
names are the level of the processor, the digest of the sources with kernels, and that of the file.
At most one is loaded, when fastbp is imported: that of the best level that this processor has. It
is passed over where the sources are others, where a setting of Numba's says how to compile, or
with ``FASTBP_OBJECTS=0``; then Numba compiles, as it does whatever the objects do not hold.

The functions in it are called as built-in functions of Python (`builtin.py`).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
import platform
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastbp.machine import layouts, settings

VARIABLE = "FASTBP_OBJECTS"
"""Environment variable: with "0", no object is loaded; or a folder of objects to look in."""
PACKAGE = Path(__file__).parents[1]
FOLDER = PACKAGE / "objects"
SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
ROOMS = ("kernels", "machine")
"""Folders of the sources that decide the code."""
FUNCTIONS = ("train_and_predict", "train_and_predict_sparse")
"""What an object holds, for both dtypes."""
MADE_BY = "fastbp_made_by"
"""Symbol of a text: the compilers."""
_DIGITS = 32


class Level(NamedTuple):
    """A kind of processors, for which there is one object.

    Attributes
    ----------
    name : str
        As LLVM has it.
    without : str
        Features in LLVM's words that the processor's name has and NumPy of any version does not
        know: no code is made with them.
    needs : tuple of str
        What such a processor has, in the words of NumPy, which asks the processor.
    vector_bits, registers : int
        See `processor.py`.
    is_x86, has_fma : bool
    """

    name: str
    without: str
    needs: tuple[str, ...]
    vector_bits: int
    registers: int
    is_x86: bool
    has_fma: bool


_V2 = ("SSE3", "SSSE3", "SSE41", "POPCNT", "SSE42")
_V3 = (*_V2, "AVX", "F16C", "FMA3", "AVX2")
_V4 = (*_V3, "AVX512F", "AVX512CD", "AVX512VL", "AVX512BW", "AVX512DQ")
_UNASKED = "-bmi,-bmi2,-lzcnt,-movbe"
_X86 = (
    Level("x86-64-v4", _UNASKED, _V4, 512, 32, True, True),
    Level("x86-64-v3", _UNASKED, _V3, 256, 16, True, True),
    Level("x86-64-v2", "", _V2, 128, 16, True, False),
)
_ARM_NAME = "apple-m1" if sys.platform == "darwin" else "generic"
_ARM = (Level(_ARM_NAME, "", ("ASIMD",), 128, 32, False, True),)
LEVELS = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}.get(
    platform.machine().lower(), ()
)
"""The levels of this kind of machine, the best first."""


class Found(NamedTuple):
    """An object that was loaded.

    Attributes
    ----------
    level : Level
    path : path
    made_by : str
        The compilers.
    functions : dict of str to callable
        By the names of FUNCTIONS.
    """

    level: Level
    path: Path
    made_by: str
    functions: dict[str, Callable[..., float]]


# ---- what belongs to these sources --------------------------------------------------------------


def source_digest() -> str:
    """Hash the sources that decide the code; "" where they cannot be read."""
    hasher = hashlib.blake2b(digest_size=_DIGITS // 2)
    try:
        for path in (path for room in ROOMS for path in sorted((PACKAGE / room).glob("*.py"))):
            content = path.read_bytes()
            hasher.update(f"{path.parent.name}/{path.name}\0{len(content)}\0".encode())
            hasher.update(content)
    except OSError:
        return ""
    return hasher.hexdigest()


def _of_file(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=_DIGITS // 2).hexdigest()


def name_for(level: Level, content: bytes) -> str:
    """The name of the file of an object that is made from the present sources."""
    return f"{level.name}-{source_digest()}-{_of_file(content)}{SUFFIX}"


def supported() -> tuple[Level, ...]:
    """The levels that this processor has, the best first."""
    features = import_module("numpy._core._multiarray_umath").__cpu_features__
    return tuple(level for level in LEVELS if all(map(features.get, level.needs)))


# ---- loading ------------------------------------------------------------------------------------


def _reason() -> str:
    """Why no object is looked for; empty where one is."""
    if os.environ.get(VARIABLE, "").strip() == "0":
        return f"{VARIABLE}=0"
    setting = settings.chosen()
    if setting:
        return f"{setting} is set"
    return "" if layouts.known() else "this Python or NumPy keeps arrays in another way"


def folder() -> Path:
    """Where objects are looked for."""
    chosen = os.environ.get(VARIABLE, "").strip()
    return FOLDER if chosen in ("", "1") else Path(os.path.abspath(chosen))


def _files() -> dict[str, Path]:
    """The objects of all sources, by their names without the digest of the file."""
    try:
        paths = sorted(folder().glob(f"*{SUFFIX}"))
    except OSError:
        return {}
    return {path.stem.rpartition("-")[0]: path for path in paths}


def find() -> tuple[Found | None, str]:
    """Load the object for this processor and these sources, if there is one; say what was done."""
    reason = _reason()
    if reason:
        return None, f"off: {reason}"
    files = _files()
    if not files:
        return None, "none"
    digest = source_digest()
    for level in supported():
        path = files.get(f"{level.name}-{digest}")
        if path is not None:
            return _loaded(level, path)
    if any(name.endswith(digest) for name in files):
        return None, "none for this processor"
    return None, "none for these sources"


def _loaded(level: Level, path: Path) -> tuple[Found | None, str]:
    try:
        # A file that is cut off could end the process where it is mapped into memory.
        if _of_file(path.read_bytes()) != path.stem.rpartition("-")[2]:
            raise OSError("its content is not what it was")
        found = _open(level, path)
    except (OSError, AttributeError, ValueError) as error:
        warnings.warn(
            f"fastbp passes over the damaged file {path} ({error}), so Numba compiles instead. "
            f"Install fastbp again, or set {VARIABLE}=0 to leave such files alone",
            RuntimeWarning,
            stacklevel=2,
        )
        return None, f"damaged: {path}"
    return found, f"{level.name}, made by {found.made_by}"


class _Definition(ctypes.Structure):
    """Python's PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_METH_FASTCALL = 0x80


def _open(level: Level, path: Path) -> Found:
    library = ctypes.CDLL(str(path))
    table = (ctypes.c_void_p * len(layouts.API)).in_dll(library, layouts.TABLE)
    table[:] = [_address(name) for name in layouts.API]
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.c_void_p] * 3)
    new = prototype(("PyCFunction_NewEx", ctypes.pythonapi))
    functions = {}
    for name in FUNCTIONS:
        function = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        definition = _Definition(name.encode(), function, _METH_FASTCALL, None)
        _keep_for_ever(definition)
        functions[name] = new(ctypes.addressof(definition), None, None)
    _keep_for_ever(raise_at)
    text = ctypes.c_char.in_dll(library, MADE_BY)
    made_by = ctypes.string_at(ctypes.addressof(text)).decode()
    return Found(level, path, made_by, functions)


def _keep_for_ever(thing: Any) -> None:
    """Let an object outlive its module: at the end of a process, functions may go after it."""
    ctypes.PYFUNCTYPE(None, ctypes.py_object)(("Py_IncRef", ctypes.pythonapi))(thing)


def _address(name: str) -> int | None:
    """What stands in the table of an object."""
    if name == "ndarray":
        return id(np.ndarray)
    if name == "fail":
        return id(raise_at)
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value


class _Raised(ctypes.Structure):
    """What Numba's code says of an exception: a pickle of its class, arguments and place."""

    _fields_ = [("pickled", ctypes.c_void_p), ("size", ctypes.c_int32)]


def raise_at(address: int) -> None:
    """Raise what the code of an object has raised; with 0, that its arguments are refused."""
    if address == 0:
        raise TypeError(
            "an entry point takes (cells, operation, x, y): an array of int64, an operation and "
            "two C-contiguous matrices, both float32 or both float64"
        )
    raised = _Raised.from_address(address)
    kind, arguments, *_ = pickle.loads(ctypes.string_at(raised.pickled, raised.size))
    raise kind(*arguments)


FOUND, STATE = find()
"""The object that was loaded, or None; and which, or why there is none, in words."""
