"""Register tiles and vectors as Numba values: the one room that speaks LLVM.

LLVM does not keep a block of outputs in registers across a plain loop over buffers that may
alias, so plain loops stop at a tenth of the hardware's speed. The values here lift that limit
and leave the loops explicit:

========  ==================================================================================
pointer   an address in a flat buffer; costs one register to pass, carries no reference
tile      ``rows x vectors`` vector registers, a block of a matrix held in registers
vector    one vector register; ``+ - * /`` and the functions of ``vectors.py`` work by lane
========  ==================================================================================

Symbols: ``lanes`` is how many numbers a vector register holds (16 float32 under AVX-512);
``tail`` is how many lanes of the last vector are inside the matrix (a larger number means all
of them). Lanes outside are neither read nor written.

With ``NUMBA_DISABLE_JIT=1`` the same names come from ``uncompiled.py``, in NumPy and with
every access checked.
"""

from numba import config

if config.DISABLE_JIT:
    from fastbp.machine.uncompiled import (
        advance,
        flush_denormals,
        is_single,
        lanes,
        load,
        multiply_adds,
        next_uint32,
        pointer,
        restore_denormals,
        rows_at,
        rows_next,
        splat,
        store,
        tile_add_products,
        tile_add_some_products,
        tile_fill,
        tile_fma,
        tile_gather,
        tile_gather_whole,
        tile_load,
        tile_put,
        tile_relu,
        tile_shape,
        tile_square,
        tile_store,
        tile_sums,
        tile_transpose,
        tile_where_positive,
        tile_zeros,
        vabs,
        vexponent,
        vfma,
        vload,
        vmax,
        vmin,
        vpow2,
        vquotient,
        vrandom,
        vreciprocal,
        vreciprocal_estimate,
        vround,
        vsqrt,
        vstore,
        vsum,
        vwhere_greater,
    )
else:
    from fastbp.machine.fma_loop import multiply_adds
    from fastbp.machine.numpy_bits import next_uint32
    from fastbp.machine.pointers import (
        advance,
        flush_denormals,
        load,
        pointer,
        restore_denormals,
        store,
    )
    from fastbp.machine.tiles import (
        rows_at,
        rows_next,
        tile_add_products,
        tile_add_some_products,
        tile_fill,
        tile_fma,
        tile_gather,
        tile_gather_whole,
        tile_load,
        tile_put,
        tile_relu,
        tile_shape,
        tile_square,
        tile_store,
        tile_sums,
        tile_transpose,
        tile_where_positive,
        tile_zeros,
    )
    from fastbp.machine.vectors import (
        is_single,
        lanes,
        splat,
        vabs,
        vexponent,
        vfma,
        vload,
        vmax,
        vmin,
        vpow2,
        vquotient,
        vrandom,
        vreciprocal,
        vreciprocal_estimate,
        vround,
        vsqrt,
        vstore,
        vsum,
        vwhere_greater,
    )

__all__ = [
    "advance",
    "flush_denormals",
    "is_single",
    "lanes",
    "load",
    "multiply_adds",
    "next_uint32",
    "pointer",
    "restore_denormals",
    "rows_at",
    "rows_next",
    "splat",
    "store",
    "tile_add_products",
    "tile_add_some_products",
    "tile_fill",
    "tile_fma",
    "tile_gather",
    "tile_gather_whole",
    "tile_load",
    "tile_put",
    "tile_relu",
    "tile_shape",
    "tile_square",
    "tile_store",
    "tile_sums",
    "tile_transpose",
    "tile_where_positive",
    "tile_zeros",
    "vabs",
    "vexponent",
    "vfma",
    "vload",
    "vmax",
    "vmin",
    "vpow2",
    "vquotient",
    "vrandom",
    "vreciprocal",
    "vreciprocal_estimate",
    "vround",
    "vsqrt",
    "vstore",
    "vsum",
    "vwhere_greater",
]
