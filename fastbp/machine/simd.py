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

The functions stand in the files that ``primitives.py`` lists, for Numba to compile; where that is
not needed, they are not imported (``deferred.py``).

With ``NUMBA_DISABLE_JIT=1`` the same names come from ``uncompiled.py``, in NumPy and with
every access checked.
"""

from importlib import import_module
from typing import Any

from fastbp.machine import objects
from fastbp.machine.deferred import Deferred
from fastbp.machine.settings import compiles

SOURCE = "fastbp.machine.primitives" if compiles() else "fastbp.machine.uncompiled"
"""The module that has the functions."""


def __getattr__(name: str) -> Any:
    """A function, by its name."""
    if name.startswith("_") and name != "__all__":  # Python and Numba ask modules for some
        raise AttributeError(name)
    if name == "__all__" or objects.FOUND is None:
        found = getattr(import_module(SOURCE), name)
    else:
        found = Deferred(lambda: getattr(import_module(SOURCE), name))
    return globals().setdefault(name, found)
