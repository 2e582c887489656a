"""The FMA peak of this core, by the loop of this checkout, whichever commit is measured.

So the history holds all commits against one and the same loop: earlier ones had loops that came
out up to a sixth too slow.

The loop runs right before and right after the work, for a millisecond, because the clock follows
the load: a Xeon of 2024 ran the loop at 216 GFLOP/s by itself, for seconds, but at 180 in the first
2 ms after any product of matrices, in the first cache or not, and at 210 some 6 ms later. What
reads its operands cannot have the clock of what does not.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numba
import numpy as np
from numpy.typing import NDArray

from names import VECTOR_BITS, pointer

FILE = Path(__file__).resolve().parents[1] / "fastbp" / "machine" / "fma_loop.py"
#: Length of the array that the loop works on.
LENGTH = 64
#: Seconds of the processor: what another program on the same core takes is not the benchmark's, and
#: on a shared machine that is half of the time. Windows counts them too coarsely.
now = perf_counter if sys.platform == "win32" else process_time
#: Turns of the FMA loop in one call, about 1 ms.
FMA_COUNT = 130_000
#: Turns of the work, and of the FMA loop around each, in one measurement of a share.
TURNS = 11


chains = runpy.run_path(str(FILE))
_multiply_adds = chains["multiply_adds"]


@numba.njit(nogil=True)
def fma_loop(values: NDArray, turns: int) -> None:
    """Carry out `turns` turns of multiply-adds on registers, at least one."""
    _multiply_adds(pointer(values, 0), turns)


def fma_flops(turns: int, dtype: str) -> int:
    """Return the operations of ``fma_loop(values, turns)``; a multiply-add is two."""
    lanes = VECTOR_BITS // (8 * np.dtype(dtype).itemsize)
    return 2 * turns * chains["SUMS"] * chains["UNROLLED"] * lanes


def flops_at_peak(work: Callable[[], object], dtype: str, turns: int = TURNS) -> float:
    """Return how many operations the FMA units could have done during one call of `work`.

    Parameters
    ----------
    work : callable
        Takes some 10 ms, so that the clock has followed it.
    dtype : {"float32", "float64"}
        Whose FMA peak is the measure.
    turns : int, default=11
        Calls of `work` that are measured.

    Returns
    -------
    float
        The median over turns, each beside the FMA loop right before and right after it.
    """
    values = np.zeros(LENGTH, dtype)

    def seconds(function: Callable[..., object], *arguments: object) -> float:
        begin = now()
        function(*arguments)
        return now() - begin

    fma_loop(values, 1)
    work()
    before = seconds(fma_loop, values, FMA_COUNT)
    found = []
    for _ in range(turns):
        worked = seconds(work)
        after = seconds(fma_loop, values, FMA_COUNT)
        found.append(worked / (0.5 * (before + after)))
        before = after
    return float(np.median(found)) * fma_flops(FMA_COUNT, dtype)
