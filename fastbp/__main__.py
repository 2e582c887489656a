"""``python -m fastbp demo | info | warmup``."""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Sequence

import llvmlite
import numba
import numpy as np

from fastbp import __version__
from fastbp.commands import demo
from fastbp.commands.warmup import warm_up
from fastbp.machine import peak as hardware
from fastbp.machine.jit import cache_info
from fastbp.machine.processor import (
    TILE_ROWS,
    TILE_VECTORS,
    VECTOR_BITS,
    VECTOR_REGISTERS,
    target_cpu,
)

DTYPES = ("float32", "float64")
UNCOMPILED = "NUMBA_DISABLE_JIT is set, so nothing is compiled"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        The command and its options; those of this process by default.

    Returns
    -------
    int
        The exit status: 0, 1 when the command could not do its work, 130 after Ctrl-C. Bad
        arguments leave the program with status 2.
    """
    args = _parser().parse_args(argv)
    if args.command == "info":
        return info()
    if numba.config.DISABLE_JIT:
        print(f"{UNCOMPILED}: unset it to run this command", file=sys.stderr)
        return 1
    try:
        if args.command == "warmup":
            return warmup(DTYPES if args.dtype == "both" else (args.dtype,))
        return demo.run(args.epochs)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fastbp", description="Train small neural networks on a CPU, fast."
    )
    parser.add_argument("--version", action="version", version=f"fastbp {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    text = "train a digit classifier, with scikit-learn's beside it"
    command = commands.add_parser("demo", help=text, description=text.capitalize() + ".")
    command.add_argument("--epochs", type=_count, default=demo.EPOCHS, help="default: %(default)s")
    text = "describe the processor, the cache of compiled code and the versions"
    commands.add_parser("info", help=text, description=text.capitalize() + ".")
    text = "compile everything into the cache, so that the first fit need not"
    command = commands.add_parser("warmup", help=text, description=text.capitalize() + ".")
    command.add_argument(
        "--dtype", choices=(*DTYPES, "both"), default="both", help="default: %(default)s"
    )
    return parser


def _count(text: str) -> int:
    """A whole number of at least 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1; got {number}")
    return number


def _cache_lines() -> list[str]:
    """The folder of the compiled code, and its state."""
    cache = cache_info()
    state = cache.state
    if cache.entries:
        state += f": {cache.entries} compiled functions, {cache.n_bytes / 1e6:.1f} MB"
    elif state == "empty":
        state += ": the first fit compiles (or `python -m fastbp warmup` does, beforehand)"
    return [str(cache.directory or "no folder"), state]


def info() -> int:
    """Print the processor, what fastbp makes of it, the cache and the versions."""
    cache = _cache_lines()  # as it is before anything is measured
    lanes = {dtype: hardware.lanes(dtype) for dtype in DTYPES}
    if numba.config.DISABLE_JIT:
        peak = f"not measured: {UNCOMPILED}"
    else:
        peaks = ", ".join(f"{hardware.fma_peak(dtype, 0.2):.1f} {dtype}" for dtype in DTYPES)
        peak = f"{peaks} (GFLOP/s of one core, measured now)"
    widths = " and ".join(f"{TILE_VECTORS * lanes[dtype]} {dtype}" for dtype in DTYPES)
    rows = [
        ("processor", [f"{hardware.cpu_model()} ({platform.machine()}, {platform.system()})"]),
        ("compiled for", [target_cpu()[0]]),
        ("vectors", [f"{VECTOR_REGISTERS} registers of {VECTOR_BITS} bits"]),
        ("lanes", [", ".join(f"{lanes[dtype]} {dtype}" for dtype in DTYPES)]),
        ("tile", [f"{TILE_ROWS} rows of {TILE_VECTORS} vectors: {TILE_ROWS} x {widths}"]),
        ("FMA peak", [peak]),
        ("threads", ["1 (the kernels release the GIL: several nets can train side by side)"]),
        ("cache", cache),
        (
            "versions",
            [
                f"fastbp {__version__}",
                f"Numba {numba.__version__}",
                f"llvmlite {llvmlite.__version__}",
                f"NumPy {np.__version__}",
                f"Python {platform.python_version()}",
            ],
        ),
    ]
    for name, lines in rows:
        for index, line in enumerate(lines):
            print(f"{name if index == 0 else '':<14}{line}")
    return 0


def warmup(dtypes: Sequence[str]) -> int:
    """Compile into the cache whatever is not there; print what was done."""
    start = time.perf_counter()
    for function, dtype, how, seconds in warm_up(dtypes):
        print(f"{function:<18}{dtype:<9}{how:<10}{seconds:7.2f} s", flush=True)
    print(f"{'':<27}{'in all':<10}{time.perf_counter() - start:7.2f} s")
    directory, state = _cache_lines()
    print(f"cache: {directory}\n       {state}")
    if not cache_info().entries:
        print("nothing was stored: each new process compiles again", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
