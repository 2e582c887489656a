"""A row of integers for compiled code, some of which are the addresses of arrays."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

TABLES: WeakValueDictionary[int, AddressTable] = WeakValueDictionary()
"""All tables by the address of their cells: uncompiled code finds the arrays here."""


def address_of(array: npt.NDArray[Any]) -> int:
    """Where the numbers of an array stand."""
    address: int = array.__array_interface__["data"][0]
    return address


class AddressTable:
    """Integers, and the arrays that stand at those that are addresses.

    Compiled code reads the cells by `pointers.floats_at` and its relatives; the table keeps the
    arrays alive. What it reads through an address is not checked: its sizes stand in other cells.

    Parameters
    ----------
    size : int

    Attributes
    ----------
    cells : array of int64, shape (size,)
    arrays : dict of int to array
        By the number of the cell.
    """

    __slots__ = ("__weakref__", "arrays", "cells")

    def __init__(self, size: int) -> None:
        self.cells = np.zeros(size, np.int64)
        self.arrays: dict[int, npt.NDArray[Any]] = {}
        TABLES[address_of(self.cells)] = self

    def put(self, cell: int, array: npt.NDArray[Any]) -> None:
        """Write the address of a C-contiguous array, and keep the array."""
        if self.arrays.get(cell) is not array:  # to look up an address takes ten times as long
            self.cells[cell] = array.__array_interface__["data"][0]
            self.arrays[cell] = array
