"""The ``kernel`` decorator: which options it sets and what it refuses."""

from __future__ import annotations

import threading
import types

import pytest
from helpers import COMPILED, needs_compiler

from fastbp.machine import cache, jit
from fastbp.machine.cache import PACKAGE
from fastbp.machine.cache_entries import SafeCache
from fastbp.machine.deferred import made


def plain(x):
    return x + 1.0


def in_package(function: types.FunctionType) -> types.FunctionType:
    """Return the same function, as if its module were one of the package."""
    names = function.__globals__ | {"__file__": str(PACKAGE / "mlp.py")}
    return types.FunctionType(
        function.__code__, names, function.__name__, closure=function.__closure__
    )


@pytest.mark.skipif(COMPILED, reason="only with NUMBA_DISABLE_JIT=1")
def test_uncompiled_function_is_itself() -> None:
    function = in_package(plain)
    assert jit.kernel(plain) is plain
    assert jit.kernel(cached=True)(function) is function


@needs_compiler
def test_options_are_shared() -> None:
    inner = jit.kernel(plain)
    entry = jit.kernel(cached=True)(in_package(plain))
    for dispatcher in (inner, entry):
        options = dispatcher.targetoptions
        assert options["nogil"] is True
        assert options["error_model"] == "numpy"
        assert options["fastmath"] == {"contract", "nsz", "arcp", "afn"}
        assert not options["boundscheck"]
    assert isinstance(entry._cache, SafeCache)
    assert not isinstance(inner._cache, SafeCache)


@needs_compiler
def test_not_a_number_and_division_by_zero() -> None:
    def special(x, y):
        return x != x, 1.0 / y

    entry = jit.kernel(cached=True)(in_package(special))
    entry._cache.disable()  # its source file is made up
    assert entry(float("nan"), 0.0) == (True, float("inf"))
    assert entry(1.0, -2.0) == (False, -0.5)
    assert entry._cache.load_overload(entry.signatures[0], None) is None


def test_a_clock_stands_still_while_this_thread_compiles(monkeypatch) -> None:
    clock = types.SimpleNamespace(now=5.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(jit, "time", clock)

    def compile_it(function, arguments, kind) -> None:
        clock.now += 100.0

    monkeypatch.setattr(jit, "_compile_in_thread", compile_it)
    monkeypatch.setattr(jit, "_READY", set())
    working = jit.without_compiling(lambda: clock.now)
    before, spent = working(), jit.seconds_compiling()
    jit.ready(type("Function", (), {"overloads": {}})(), "f", ())
    clock.now += 3.0
    assert working() - before == pytest.approx(3.0)
    assert jit.seconds_compiling() - spent == pytest.approx(100.0)
    elsewhere = []
    thread = threading.Thread(target=lambda: elsewhere.append(jit.seconds_compiling()))
    thread.start()
    thread.join()
    assert elsewhere == [0.0]


@needs_compiler
def test_what_the_cache_does_not_cover_is_compiled_without_it() -> None:
    factor = 2.0

    def scaled(x):
        return factor * x

    for function in (plain, in_package(scaled)):
        entry = jit.kernel(cached=True)(function)
        assert not isinstance(entry._cache, SafeCache)
        assert entry(1.0) == 2.0
    assert cache.folder() is not None  # the package's own functions are cached as before


@needs_compiler
def test_a_module_of_the_package_without_a_file_turns_the_cache_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cache, "_off", "")
    names = {"__name__": "fastbp.kernels.frozen", "__file__": "fastbp/kernels/frozen.pyc"}
    function = types.FunctionType(plain.__code__, names, "plain")
    assert function.__module__ == "fastbp.kernels.frozen"
    made(jit.kernel(function))  # an inner one: its code would be part of what its callers store
    assert cache.folder() is None
    assert cache.cache_info().state == (
        f"off: fastbp.kernels.frozen does not come from a file below {PACKAGE}"
    )
