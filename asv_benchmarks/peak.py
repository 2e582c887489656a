"""The FMA peak of this core, by the loop of this checkout, whichever commit is measured.

So the history holds all commits against one and the same loop: earlier ones had loops that came
out up to a sixth too slow.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numba
import numpy as np
from numpy.typing import NDArray

from fastbp.simd import pointer
from fastbp.target import VECTOR_BITS

FILE = Path(__file__).resolve().parents[1] / "fastbp" / "simd" / "chains.py"
#: Length of the array that the loop works on.
NUMBERS = 64


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fastbp_chains_of_this_checkout", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


chains = _load(FILE)
_multiply_adds = chains.multiply_adds


@numba.njit(nogil=True)
def fma_loop(numbers: NDArray, turns: int) -> None:
    """Carry out `turns` turns of multiply-adds on registers, at least one."""
    _multiply_adds(pointer(numbers, 0), turns)


def fma_flops(turns: int, dtype: str) -> int:
    """Return the operations of ``fma_loop(numbers, turns)``; a multiply-add is two."""
    lanes = VECTOR_BITS // (8 * np.dtype(dtype).itemsize)
    return 2 * turns * int(chains.SUMS) * int(chains.UNROLLED) * lanes
