"""The ``kernel`` decorator, and calls of what it compiles.

``@kernel`` compiles a module-level function into those that call it. ``@kernel(cached=True)`` is
for the functions that Python calls; their machine code is kept on disk, in a cache that never
serves old or damaged code (``cache.py``).

Numba's options stand in ``compiler.py``. Where the code of nets was compiled beforehand
(``objects.py``), Numba is not imported before something else is compiled.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar, overload

from fastbp.machine import objects
from fastbp.machine.cache import CacheInfo, CacheWarning, cache_info, source_digest
from fastbp.machine.deferred import Deferred, made
from fastbp.machine.internals import InternalsWarning
from fastbp.machine.notice import Notice
from fastbp.machine.settings import compiles

__all__ = [
    "CacheInfo",
    "CacheWarning",
    "InternalsWarning",
    "cache_info",
    "call",
    "compiles",
    "dispatcher_of",
    "is_shipped",
    "kernel",
    "ready",
    "seconds_compiling",
    "source_digest",
    "when_needed",
    "without_compiling",
]

if compiles() and objects.FOUND is None:
    from fastbp.machine import compiler as compiler

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def kernel(function: _F, /) -> _F: ...
@overload
def kernel(*, cached: bool = False, shipped: bool = False) -> Callable[[_F], _F]: ...
def kernel(
    function: Callable[..., Any] | None = None, /, *, cached: bool = False, shipped: bool = False
) -> Any:
    """Compile a module-level function with the options all of fastbp shares.

    Parameters
    ----------
    function : callable, optional
        The function, when used as plain ``@kernel``.
    cached : bool, default False
        Keep the machine code on disk. For functions that Python calls.
    shipped : bool, default False
        Take the machine code of the objects, where there are any: see `objects.py`.

    Returns
    -------
    callable
        A Numba dispatcher, or what makes one when it is needed; with ``NUMBA_DISABLE_JIT=1``, the
        function itself.

    Notes
    -----
    A function that closes over variables or stands outside the package is compiled without the
    cache: the name of the cache folder does not cover what it depends on. Where the package's own
    modules do not come from files, as in an archive or a frozen program, nothing is cached.
    """
    if function is None:
        return lambda function: _compile(function, cached, shipped)
    return _compile(function, cached, shipped)


def _compile(function: Callable[..., Any], cached: bool, shipped: bool) -> Any:
    if not compiles():
        return function

    def compile_it() -> Any:
        from fastbp.machine import compiler

        return compiler.compiled(function, cached)

    if objects.FOUND is None:
        return compile_it()
    deferred = Deferred(compile_it, function)
    if not shipped:
        return deferred
    builtin = objects.FOUND.functions[function.__name__]
    _DISPATCHERS[builtin] = deferred
    return builtin


def when_needed(make: Callable[[], Any]) -> Any:
    """What a function returns that imports Numba; called at once where there are no objects."""
    return make() if objects.FOUND is None else Deferred(make)


def is_shipped(function: Any) -> bool:
    """Whether the code of a function was compiled beforehand."""
    return objects.FOUND is not None and function in _DISPATCHERS


def dispatcher_of(function: Any) -> Any:
    """The function for Numba to compile, of one that may be in an object."""
    return made(_DISPATCHERS.get(function, function))


_READY: set[tuple[Any, str]] = set()
_DISPATCHERS: dict[Any, Deferred] = {}
"""By the function of an object: the same function, for Numba to compile."""


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
    if (function, kind) in _READY:
        return
    if not _is_to_compile(function):
        _READY.add((function, kind))
        return
    start = time.perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # the compiler makes millions of objects that live: collecting takes 7 % of it
    try:
        _compile_in_thread(made(function), arguments, kind)
    finally:
        if collecting:
            gc.enable()
            gc.collect(0)  # else the next object that the caller makes waits for it
        _spent.seconds += time.perf_counter() - start
    _READY.add((function, kind))


def _is_to_compile(function: Any) -> bool:
    """Whether it is a function of Numba's, not one that was compiled beforehand, or a stand-in."""
    return isinstance(function, Deferred) or hasattr(function, "overloads")


def _compile_in_thread(function: Any, arguments: tuple[Any, ...], kind: str) -> None:
    import numba

    types = tuple(numba.typeof(argument) for argument in arguments)
    notice = Notice(function, kind)
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
