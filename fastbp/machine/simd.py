"""Register tiles and vectors as Numba values: the vocabulary of the kernels.

LLVM does not keep a block of outputs in registers across a plain loop over buffers that may
alias, so plain loops stop at a tenth of the hardware's speed. The values here lift that limit
and leave the loops explicit:

========  ==================================================================================
pointer   an address in a flat buffer; costs one register to pass, carries no reference
tile      ``rows x vectors`` vector registers, a block of a matrix held in registers
vector    one vector register; ``+ - * /`` and the functions of ``vectors.py`` work by lane
========  ==================================================================================

Symbols: ``lanes`` is how many values a vector register holds (16 float32 under AVX-512);
``tail`` is how many lanes of the last vector are inside the matrix (a larger number means all
of them). Lanes outside are neither read nor written.

With ``NUMBA_DISABLE_JIT=1`` the same names come from ``uncompiled.py``, in NumPy and with
every access checked.
"""

# The lists of names stand beside the functions, in `__all__` of each file.
from fastbp.machine.jit import compiles

if compiles():
    from fastbp.machine import atomics, fma_loop, numpy_bits, pointers, tiles, vectors
    from fastbp.machine.atomics import *  # noqa: F403
    from fastbp.machine.fma_loop import *  # noqa: F403
    from fastbp.machine.numpy_bits import *  # noqa: F403
    from fastbp.machine.pointers import *  # noqa: F403
    from fastbp.machine.tiles import *  # noqa: F403
    from fastbp.machine.vectors import *  # noqa: F403

    _sources = (atomics, fma_loop, numpy_bits, pointers, tiles, vectors)
else:
    from fastbp.machine import uncompiled
    from fastbp.machine.uncompiled import *  # noqa: F403

    _sources = (uncompiled,)

__all__ = sorted(name for source in _sources for name in source.__all__)
