"""``python -m fastbp info``: the processor, what fastbp makes of it, the cache, the versions."""

from __future__ import annotations

import platform

import numpy as np

from fastbp import __version__
from fastbp.commands import DTYPES, UNCOMPILED, printing
from fastbp.machine import objects, peak
from fastbp.machine.jit import cache_info, compiles
from fastbp.machine.notice import silent
from fastbp.machine.processor import (
    TILE_ROWS,
    TILE_VECTORS,
    VECTOR_BITS,
    VECTOR_REGISTERS,
    target_cpu,
    versions,
)


def cache_lines() -> list[str]:
    """The folder of the compiled code, and its state."""
    cache = cache_info()
    state = cache.state
    if cache.entries:
        state += f": {cache.entries} compiled functions, {cache.n_bytes / 1e6:.1f} MB"
    elif state == "empty":
        lacking = "the first call of what the object lacks"
        first = "the first fit" if objects.FOUND is None else lacking
        state += f": {first} compiles (or `python -m fastbp warmup` does, beforehand)"
    return [str(cache.directory or "no folder"), state]


def peak_line() -> str:
    """The FMA peak of both dtypes, measured now, or why it is not."""
    if not compiles():
        return f"not measured: {UNCOMPILED}"
    with silent():  # the loop is compiled in less than a second
        peaks = ", ".join(f"{peak.fma_peak(dtype, 0.2):.1f} {dtype}" for dtype in DTYPES)
    return f"{peaks} (GFLOP/s of one core, measured now)"


def target_line() -> str:
    """The processor that code is compiled for: of the object, and by Numba."""
    name = target_cpu()[0]
    return name if objects.FOUND is None else f"{objects.FOUND.level.name}; the rest for {name}"


def rows() -> list[tuple[str, list[str]]]:
    """Names, and the lines that are said of each."""
    cache = cache_lines()  # as it is before anything is measured
    lanes = {dtype: peak.lanes(dtype) for dtype in DTYPES}
    widths = " and ".join(f"{TILE_VECTORS * lanes[dtype]} {dtype}" for dtype in DTYPES)
    compilers = [f"{name} {version}" for name, version in versions().items()]
    python = f"Python {platform.python_version()}"
    return [
        ("processor", [f"{peak.cpu_model()} ({platform.machine()}, {platform.system()})"]),
        ("compiled for", [target_line()]),
        ("vectors", [f"{VECTOR_REGISTERS} registers of {VECTOR_BITS} bits"]),
        ("lanes", [", ".join(f"{lanes[dtype]} {dtype}" for dtype in DTYPES)]),
        ("tile", [f"{TILE_ROWS} rows of {TILE_VECTORS} vectors: {TILE_ROWS} x {widths}"]),
        ("FMA peak", [peak_line()]),
        ("threads", ["1 (the kernels release the GIL: several nets can train side by side)"]),
        ("objects", [objects.STATE]),
        ("cache", cache),
        ("versions", [f"fastbp {__version__}", *compilers, f"NumPy {np.__version__}", python]),
    ]


def run() -> int:
    """Print the processor, what fastbp makes of it, the cache and the versions.

    Returns
    -------
    int
        The exit status, 0.
    """
    print("\n".join(printing.fields(rows())))
    return 0
