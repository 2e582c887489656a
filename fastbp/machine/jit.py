"""The one place with Numba options: the ``kernel`` decorator.

``@kernel`` compiles a module-level function into those that call it. ``@kernel(cached=True)`` is
for the functions that Python calls; their machine code is kept on disk, in a cache that never
serves old or damaged code (``cache.py``).

Both lean on Numba's internals, which stand in ``linked.py`` and ``cache_entries.py``. Where a name
of theirs is missing, as another Numba may have it, functions are compiled by plain ``numba.njit``
or without a cache: that takes longer, and one warning says so; results are the same.
"""

from __future__ import annotations

import gc
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, overload

import numba
from numba.extending import is_jitted

from fastbp.machine.cache import (
    PACKAGE,
    CacheInfo,
    CacheWarning,
    cache_info,
    covers,
    source_digest,
    turn_off,
)
from fastbp.machine.internals import InternalsWarning
from fastbp.machine.notice import Notice

__all__ = [
    "CacheInfo",
    "CacheWarning",
    "InternalsWarning",
    "cache_info",
    "call",
    "compiles",
    "inlined",
    "kernel",
    "optimized_whole",
    "ready",
    "seconds_compiling",
    "source_digest",
    "without_compiling",
]

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

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def kernel(function: _F, /) -> _F: ...
@overload
def kernel(*, cached: bool = False) -> Callable[[_F], _F]: ...
def kernel(function: Callable[..., Any] | None = None, /, *, cached: bool = False) -> Any:
    """Compile a module-level function with the options all of fastbp shares.

    Parameters
    ----------
    function : callable, optional
        The function, when used as plain ``@kernel``.
    cached : bool, default False
        Keep the machine code on disk. For functions that Python calls.

    Returns
    -------
    callable
        A Numba dispatcher; with ``NUMBA_DISABLE_JIT=1``, the function itself.

    Notes
    -----
    A function that closes over variables or stands outside the package is compiled without the
    cache: the name of the cache folder does not cover what it depends on. Where the package's own
    modules do not come from files, as in an archive or a frozen program, nothing is cached.
    """
    if function is None:
        return lambda function: _compile(function, cached)
    return _compile(function, cached)


def _compile(function: Callable[..., Any], cached: bool) -> Any:
    if not compiles():
        return function
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
    dispatcher = numba.njit(**linked_options())(function)
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


def compiles() -> bool:
    """Whether functions are compiled: not with ``NUMBA_DISABLE_JIT=1``."""
    return not numba.config.DISABLE_JIT


if _missing and compiles():
    warnings.warn(
        f"Numba {numba.__version__} lacks internals that fastbp uses: {'; '.join(_missing)}. "
        "Compiling takes longer; results are the same. Another version of fastbp or Numba mends it",
        InternalsWarning,
        stacklevel=2,
    )

_READY: set[tuple[Any, str]] = set()


class _Spent(threading.local):
    """What each thread has spent on `ready`."""

    seconds = 0.0


_spent = _Spent()


def without_compiling(clock: Callable[[], float]) -> Callable[[], float]:
    """A clock that stands still while this thread compiles, or loads compiled code.

    Parameters
    ----------
    clock : callable
        Returns seconds since some moment.
    """
    return lambda: clock() - _spent.seconds


def seconds_compiling() -> float:
    """What this thread has spent on compiling, and on loading compiled code."""
    return _spent.seconds


def call(function: Any, kind: str, *arguments: Any) -> Any:
    """Call a compiled function, after `ready`.

    Parameters
    ----------
    function : dispatcher
    kind : str
        What the types of the arguments depend on, as in `ready`.
    *arguments
        Passed to the function.

    Returns
    -------
    object
        What the function returns.
    """
    if (function, kind) not in _READY:  # here too: it spares one row's prediction a call
        ready(function, kind, arguments)
    return function(*arguments)


def ready(function: Any, kind: str, arguments: tuple[Any, ...]) -> None:
    """Compile a function for these arguments, or load it from the cache, unless that was done.

    `call` does it; by itself it serves callers that time the call. LLVM cannot be interrupted for
    seconds. So that Ctrl-C is heard, it runs in a thread that the caller waits for; after Ctrl-C
    the thread ends by itself, and its result is there the next time. What takes longer than half
    a second is told (`fastbp.machine.notice`).

    Parameters
    ----------
    function : dispatcher
    kind : str
        What the types of the arguments depend on, such as the character of a dtype, which is the
        first if there is one: looking it up is faster than asking Numba for the types.
    arguments : tuple
        Arguments of the call that follows.
    """
    if (function, kind) in _READY or not is_jitted(function):
        return
    start = time.perf_counter()
    types = tuple(numba.typeof(argument) for argument in arguments)
    collecting = gc.isenabled()
    gc.disable()  # the compiler makes millions of objects that live: collecting takes 7 % of it
    try:
        _compile_in_thread(function, types, Notice(function, kind))
    finally:
        if collecting:
            gc.enable()
            gc.collect(0)  # else the next object that the caller makes waits for it
        _spent.seconds += time.perf_counter() - start
    _READY.add((function, kind))


def _compile_in_thread(function: Any, types: tuple[Any, ...], notice: Notice) -> None:
    errors: list[BaseException] = []

    def compile_it() -> None:
        try:
            function.compile(types)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=compile_it, name="fastbp compiler", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.05)
        notice.look()
    if errors:
        raise errors[0]
