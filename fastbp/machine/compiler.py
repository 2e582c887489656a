"""Numba's options, and what compiles by them. Importing this file imports Numba.

It leans on Numba's internals, which stand in ``linked.py`` and ``cache_entries.py``. Where a name
of theirs is missing, as another Numba may have it, functions are compiled by plain ``numba.njit``
or without a cache: that takes longer, and one warning says so; results are the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.extending import is_jitted as is_jitted

from fastbp.machine.cache import PACKAGE, covers, turn_off
from fastbp.machine.internals import InternalsWarning
from fastbp.machine.settings import compiles

_linked: Any = None
_entries: Any = None
_missing: list[str] = []  # of the internals
try:
    from fastbp.machine import linked as _linked
except (ImportError, AttributeError) as error:
    _missing.append(f"inner functions are compiled more than once ({error})")
try:
    from fastbp.machine import cache_entries as _entries
except (ImportError, AttributeError) as error:
    _missing.append(f"nothing is cached ({error})")
    turn_off(f"Numba {numba.__version__} has other internals")

# Never "nnan" or "ninf" (they make isnan return False), nor "reassoc" (the order of a sum, and so
# its bits, would be the compiler's choice).
_FASTMATH = {"contract", "nsz", "arcp", "afn"}
# boundscheck=False yields to NUMBA_BOUNDSCHECK=1, which Numba looks at when it compiles.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "fastmath": _FASTMATH,
    "error_model": "numpy",
    "boundscheck": False,
}
# An inner kernel is linked into its callers and never called from Python.
_LINKED_OPTIONS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Callable[..., Any], cached: bool) -> Any:
    """What `jit.kernel` returns, of Numba."""
    inside = function.__module__.partition(".")[0] == __name__.partition(".")[0]
    covered = covers(function)
    if inside and not covered:  # linked into its callers, it must not be in their stored code
        turn_off(f"{function.__module__} does not come from a file below {PACKAGE}")
    if cached:
        compiler = {} if _linked is None else {"pipeline_class": _linked.EntryCompiler}
        dispatcher = numba.njit(**_OPTIONS, **compiler)(function)
        if covered and function.__closure__ is None and _entries is not None:
            dispatcher._cache = _entries.SafeCache(function)
        return dispatcher
    counts = {} if _linked is None else {"_nrt": False}  # no references to memory of Numba's
    dispatcher = numba.njit(**linked_options(), **counts)(function)
    if _linked is None:
        return dispatcher
    dispatcher.__class__ = _linked.LinkedDispatcher
    return dispatcher


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a function of a user, for callers that are compiled too; by all passes of Numba.

    Indices are checked: an index that may be outside an array may raise, which is found out.
    """
    return numba.njit(**_OPTIONS | _LINKED_OPTIONS | {"boundscheck": True})(function)


def optimized_whole(function: Any) -> Any:
    """Compile a kernel together with functions of users, each time anew; called by address."""
    compiler = {} if _linked is None else {"pipeline_class": _linked.LoopCompiler}
    return numba.njit(**_OPTIONS, **_LINKED_OPTIONS, **compiler)(function.py_func)


def linked_options() -> dict[str, Any]:
    """Options of functions that are compiled only into those that call them."""
    if _linked is None:
        return _OPTIONS
    return _OPTIONS | _LINKED_OPTIONS | {"pipeline_class": _linked.LinkedCompiler}


def type_of(function: Any) -> Any:
    """The type of a dispatcher, or of one of the functions of `simd`, in compiled code."""
    return numba.typeof(function) if _linked is None else _linked.type_of(function)


if _missing and compiles():
    warnings.warn(
        f"Numba {numba.__version__} lacks internals that fastbp uses: {'; '.join(_missing)}. "
        "Compiling takes longer; results are the same. Another version of fastbp or Numba mends it",
        InternalsWarning,
        stacklevel=2,
    )
