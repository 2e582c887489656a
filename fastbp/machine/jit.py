"""The one place with Numba options: the ``kernel`` decorator.

``@kernel`` compiles a module-level function into those that call it. ``@kernel(cached=True)`` is
for the functions that Python calls; their machine code is kept on disk, in a cache that never
serves old or damaged code (see ``cache.py``).
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
from numba.core.registry import CPUDispatcher

from fastbp.machine.cache import (
    PACKAGE,
    CacheInfo,
    CacheWarning,
    SafeCache,
    cache_info,
    source_digest,
)
from fastbp.machine.linked import LinkedCompiler, LinkedDispatcher

__all__ = ["CacheInfo", "CacheWarning", "cache_info", "kernel", "ready", "source_digest"]

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
_LINKED_OPTIONS: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": LinkedCompiler,
}

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

    Raises
    ------
    ValueError
        If a cached function closes over variables or stands outside the package: the name of the
        cache folder would not cover what it depends on.
    """
    if function is None:
        return lambda function: _compile(function, cached)
    return _compile(function, cached)


def _compile(function: Callable[..., Any], cached: bool) -> Any:
    options = _OPTIONS if cached else _OPTIONS | _LINKED_OPTIONS
    dispatcher = numba.njit(**options)(function)
    if not cached and dispatcher is not function:
        dispatcher.__class__ = LinkedDispatcher
    if cached:
        file = Path(function.__code__.co_filename).resolve()
        if function.__closure__ is not None or not file.is_relative_to(PACKAGE):
            raise ValueError(
                f"{function.__qualname__} in {file} cannot be cached: only functions that stand "
                f"below {PACKAGE} and close over nothing can"
            )
        if dispatcher is not function:
            dispatcher._cache = SafeCache(function)
    return dispatcher


_READY: set[tuple[Any, str]] = set()


def call(function: Any, kind: str, *arguments: Any) -> Any:
    """Call a compiled function with arrays, compiled or loaded before as `ready` does it.

    Parameters
    ----------
    function : dispatcher
    kind : str
        As in `ready`.
    *arguments
        Those of the function.
    """
    ready(function, kind, arguments)
    return function(*arguments)


def ready(function: Any, kind: str, arguments: tuple[Any, ...]) -> None:
    """Compile a function for these arguments, or load it from the cache, if that is to be done.

    LLVM cannot be interrupted for seconds. So that Ctrl-C is heard, it runs in a thread that the
    main thread waits for; after Ctrl-C it ends by itself, and its result is there the next time.

    Parameters
    ----------
    function : dispatcher
    kind : str
        Whatever the types of the arguments depend on, such as the name of a dtype: it is looked
        up at once, the types are not.
    arguments : tuple
        Those of the call that follows.
    """
    if (function, kind) in _READY or not isinstance(function, CPUDispatcher):
        return
    types = tuple(numba.typeof(argument) for argument in arguments)
    collecting = gc.isenabled()
    gc.disable()  # the compiler makes millions of objects that live: collecting takes 7 % of it
    try:
        if threading.current_thread() is threading.main_thread():
            _compile_in_thread(function, types)
        else:
            function.compile(types)
    finally:
        if collecting:
            gc.enable()
    _READY.add((function, kind))


def _compile_in_thread(function: Any, types: tuple[Any, ...]) -> None:
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
    if errors:
        raise errors[0]
