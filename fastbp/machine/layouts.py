"""Where CPython and NumPy keep what a built-in function reads of arrays, and what it calls.

These are the structures of their stable ABIs (object.h; ndarraytypes.h): `known` looks at an array
whether they are as written here before anything is loaded that relies on them.
"""

from __future__ import annotations

import ctypes
import sys

import numpy as np

OBJECT_TYPE = 8
ARRAY_DATA, ARRAY_NDIM, ARRAY_SHAPE, ARRAY_DTYPE, ARRAY_FLAGS = 16, 24, 32, 56, 64
"""In an array, as bytes from its start: address, int32, address, address, int32."""
DTYPE_KIND = 24
"""In a dtype: its characters for kind, type and byte order."""
NEEDED_FLAGS = 0x101
"""Contiguous as C has it, and aligned."""

TABLE = "fastbp_python"
"""Symbol of the table of addresses."""
API = (
    "PyLong_AsLongLong", "PyLong_FromLongLong", "PyFloat_FromDouble", "PyType_IsSubtype",
    "PyEval_SaveThread", "PyEval_RestoreThread", "PyObject_CallOneArg", "PyErr_Clear",
    "Py_DecRef", "ndarray", "fail",
)  # fmt: skip
"""What the table holds: functions, the class of arrays, and a function of Python that raises what
its argument says."""


def kind_of(dtype: str) -> int:
    """The kind, type and byte order of a dtype as the integer that is read in an array's."""
    found = np.dtype(dtype)
    return int.from_bytes(f"{found.kind}{found.char}{found.byteorder}".encode(), sys.byteorder)


KIND_OF_CELLS = kind_of("int64")
KINDS = (kind_of("float32"), kind_of("float64"))


def known() -> bool:
    """Whether arrays are laid out in this way, in this Python and NumPy."""
    if sys.implementation.name != "cpython" or object.__basicsize__ != 16:
        return False
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return False
    array = np.zeros((3, 5), np.float32)
    start = id(array)

    def word(at: int) -> int:
        return ctypes.c_int64.from_address(at).value

    def half(at: int) -> int:
        return ctypes.c_int32.from_address(at).value

    return (
        np.ndarray.__basicsize__ >= ARRAY_FLAGS + 4
        and word(start + OBJECT_TYPE) == id(np.ndarray)
        and word(start + ARRAY_DATA) == array.ctypes.data
        and half(start + ARRAY_NDIM) == 2
        and word(start + ARRAY_DTYPE) == id(array.dtype)
        and half(start + ARRAY_FLAGS) & NEEDED_FLAGS == NEEDED_FLAGS
        and (word(word(start + ARRAY_SHAPE)), word(word(start + ARRAY_SHAPE) + 8)) == array.shape
        and half(id(array.dtype) + DTYPE_KIND) & 0xFFFFFF == KINDS[0]
    )
