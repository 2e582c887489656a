"""The functions of `simd`, as Numba compiles them."""

# The lists of names stand beside the functions, in `__all__` of each file.
from fastbp.machine import atomics, fma_loop, numpy_bits, pointers, tiles, vectors
from fastbp.machine.atomics import *  # noqa: F403
from fastbp.machine.fma_loop import *  # noqa: F403
from fastbp.machine.numpy_bits import *  # noqa: F403
from fastbp.machine.pointers import *  # noqa: F403
from fastbp.machine.tiles import *  # noqa: F403
from fastbp.machine.vectors import *  # noqa: F403

_sources = (atomics, fma_loop, numpy_bits, pointers, tiles, vectors)
__all__ = sorted(name for source in _sources for name in source.__all__)
