"""Compile what `fastbp.files.to_c` writes, and call it: many nets in one shared library."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
needs_cplusplus = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")

WARNINGS = (
    "-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wdouble-promotion", "-Wshadow",
)  # fmt: skip


def unit(folder: Path, names: list[str], more: str = "") -> Path:
    """One source that includes those of all names."""
    path = folder / "all_of_them.c"
    path.write_text("".join(f'#include "{name}.c"\n' for name in names) + more)
    return path


def compiles(source: Path, *options: str) -> None:
    """Fail with what the compiler says, if it says anything."""
    command = [*options, str(source), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr[:4000]


class Library:
    """The functions of several nets, compiled by gcc without a warning.

    Parameters
    ----------
    folder : Path
        Where the files are.
    names : list of str
        Of the nets.
    more : str, optional
        Functions to add.
    optimize : str, optional
    """

    def __init__(
        self, folder: Path, names: list[str], more: str = "", optimize: str = "-O2"
    ) -> None:
        path = folder / f"{names[0]}_and_others.so"
        source = unit(folder, names, more)
        shared = ("-fPIC", "-shared", "-o", str(path))
        compiles(source, "gcc", "-std=c99", *WARNINGS, optimize, *shared)
        self.functions = ctypes.CDLL(str(path))

    def rows(self, name: str, x: np.ndarray, out: np.ndarray, *more: Any) -> np.ndarray:
        """Call ``name(*more, x[i], out[i])`` for each row, with a scratch that may be unused."""
        function = getattr(self.functions, name)
        x = np.ascontiguousarray(x)
        scratch = np.zeros(10_000)
        for i in range(len(x)):
            function(*more, address(x[i]), address(out[i]), address(scratch))
        return out

    def predict(self, name: str, x: np.ndarray, n_out: int, *more: Any) -> np.ndarray:
        """The outputs of a net, in the dtype of x."""
        return self.rows(f"{name}_predict", x, np.full((len(x), n_out), np.nan, x.dtype), *more)

    def classes(self, name: str, x: np.ndarray, *more: Any) -> list[int]:
        """The classes of rows."""
        function = getattr(self.functions, f"{name}_class")
        x = np.ascontiguousarray(x)
        scratch = np.zeros(10_000)
        return [function(*more, address(row), address(scratch)) for row in x]


def address(array: np.ndarray) -> ctypes.c_void_p:
    """Where an array starts."""
    return array.ctypes.data_as(ctypes.c_void_p)
