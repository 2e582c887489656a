"""Stand-ins for Numba's types and values in uncompiled runs: addresses, words, registers."""

from __future__ import annotations

import operator

import numpy as np

silently = np.errstate(all="ignore")


class Pointer:
    """An address: `offset` elements into a flat buffer. Only an access has to be inside."""

    __slots__ = ("buffer", "offset")

    def __init__(self, buffer, offset):
        self.buffer = buffer
        self.offset = offset

    @property
    def dtype(self):
        """Type of the values it points to."""
        return self.buffer.dtype

    def check(self, first, count):
        """Raise unless the `count` elements from ``self[first]`` on are inside the buffer."""
        start = self.offset + first
        if start < 0 or start + count > self.buffer.size:
            raise IndexError(
                f"access to {count} element(s) at offset {start} of a buffer of length "
                f"{self.buffer.size}"
            )
        return start

    def block(self, rows, stride, columns):
        """View of `rows` rows of `columns` elements, `stride` apart."""
        reach = (rows - 1) * stride
        start = self.check(0, columns)
        self.check(reach, columns)
        size = self.buffer.itemsize
        return np.ndarray(
            (rows, columns), self.buffer.dtype, self.buffer, start * size, (stride * size, size)
        )


class Word(int):
    """64 bits whose arithmetic wraps around without a warning, as in compiled code."""

    __slots__ = ()
    __array_ufunc__ = None  # so that a NumPy number on the left leaves the operation to this class


def _wrapping(operation):
    def method(self, other):
        return Word(operation(int(self), int(other)) & 0xFFFFFFFFFFFFFFFF)

    def reflected(self, other):
        return Word(operation(int(other), int(self)) & 0xFFFFFFFFFFFFFFFF)

    return method, reflected


for _name, _operation in (
    ("add", operator.add),
    ("sub", operator.sub),
    ("mul", operator.mul),
    ("xor", operator.xor),
    ("or", operator.or_),
    ("and", operator.and_),
    ("lshift", operator.lshift),
    ("rshift", operator.rshift),
):
    _method, _reflected = _wrapping(_operation)
    setattr(Word, f"__{_name}__", _method)
    setattr(Word, f"__r{_name}__", _reflected)


class Vector:
    """One register of values; plain numbers are rounded to its dtype before an operation."""

    __slots__ = ("values",)
    __array_ufunc__ = None  # so that a NumPy number on the left leaves the operation to this class

    def __init__(self, values):
        self.values = values

    @property
    def dtype(self):
        """Type of the values."""
        return self.values.dtype

    def operand(self, other):
        """The other operand of an operation, in this dtype."""
        if isinstance(other, Vector):
            same_dtype(self, other)
            return other.values
        return self.dtype.type(other)

    @silently
    def __add__(self, other):
        return Vector(self.values + self.operand(other))

    @silently
    def __sub__(self, other):
        return Vector(self.values - self.operand(other))

    @silently
    def __mul__(self, other):
        return Vector(self.values * self.operand(other))

    @silently
    def __truediv__(self, other):
        return Vector(self.values / self.operand(other))

    @silently
    def __radd__(self, other):
        return Vector(self.operand(other) + self.values)

    @silently
    def __rsub__(self, other):
        return Vector(self.operand(other) - self.values)

    @silently
    def __rmul__(self, other):
        return Vector(self.operand(other) * self.values)

    @silently
    def __rtruediv__(self, other):
        return Vector(self.operand(other) / self.values)

    def __neg__(self):
        return Vector(-self.values)


class TileShape:
    """Rows of a tile and vectors in each."""

    __slots__ = ("rows", "vectors")

    def __init__(self, rows, vectors):
        self.rows = rows
        self.vectors = vectors


class Tile:
    """``rows x vectors`` vector registers, as an array of shape (rows, vectors x lanes)."""

    __slots__ = ("values",)

    def __init__(self, values):
        self.values = values

    @property
    def dtype(self):
        """Type of the values."""
        return self.values.dtype


class Rows:
    """Where the rows of a tile's left operand stand."""

    __slots__ = ("address", "rows", "stride")

    def __init__(self, address, rows, stride):
        self.address = address
        self.rows = rows
        self.stride = stride


def same_dtype(first, *others):
    """Raise unless all operands have the same dtype."""
    for other in others:
        if other.dtype != first.dtype:
            raise TypeError(f"operands of different dtypes: {first.dtype} and {other.dtype}")


def lanes_inside(width, tail):
    """How many lanes are below `tail`."""
    if tail < 0:
        raise IndexError(f"the number of lanes inside is {tail}; 0 is the smallest")
    return min(tail, width)
