"""Inner kernels in the entry points that call them: all is there, and nothing else is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from entry_points import entry_point
from helpers import COMPILED
from llvmlite.binding import Linkage

from fastbp.machine.jit import kernel
from fastbp.machine.simd import load, pointer, store
from fastbp.methods import kernels

NEVER = False


@kernel
def plus_one(x):
    return x + 1.0


@kernel
def in_a_dead_branch(x):
    return plus_one(x) - 1.0


@kernel
def twice(x):
    return 2.0 * plus_one(x)


@kernel
def choose(x):
    if NEVER:
        return in_a_dead_branch(x)
    return twice(x)


@entry_point
def chosen(values):
    p = pointer(values, 0)
    store(p, 0, choose(load(p, 0)))


def test_what_a_dead_branch_calls_too_is_linked() -> None:
    """Else the call goes to address 0."""
    values = np.array([3.0])
    chosen(values)
    assert values[0] == 8.0


@pytest.mark.skipif(not COMPILED, reason="needs machine code")
@pytest.mark.slow
def test_an_entry_point_defines_nothing_that_others_could_call() -> None:
    """What is linked in is private: nothing of the same name can be called in its place."""
    types = (numba.typeof(np.zeros(3)),) * 2
    library = kernels.dot._compiler.compile(types, None).library
    kept = [f for f in library._final_module.functions if not f.is_declaration]
    assert kept
    found = {f.linkage for f in kept} - {Linkage.external}
    assert not found & {Linkage.linkonce_odr, Linkage.internal}, found


@pytest.fixture
def interval() -> Iterator[float]:
    """How long threads wait for each other, which is to be left as it was."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(0.004)
    yield 0.004
    sys.setswitchinterval(before)


@pytest.mark.skipif(not COMPILED, reason="needs machine code")
@pytest.mark.parametrize("cores", [1, 2])
def test_with_a_helper_and_without_the_same_is_linked(monkeypatch, cores, interval) -> None:
    """Neither is kept on disk: they close over a kernel."""
    from fastbp.machine import linked  # needs llvmlite

    helpers = []
    monkeypatch.setattr(linked, "usable_cores", lambda: cores)
    compile_extra = linked.Compiler.compile_extra

    def spied(self, function):
        helpers.append(len(linked._helpers))
        return compile_extra(self, function)

    monkeypatch.setattr(linked.Compiler, "compile_extra", spied)

    @kernel
    def thrice(x):
        return 3.0 * plus_one(x)

    @kernel(cached=True)
    def tripled(values):
        p = pointer(values, 0)
        store(p, 0, thrice(load(p, 0)))

    values = np.array([1.0])
    tripled(values)
    assert values[0] == 6.0
    assert set(helpers) == {cores - 1}
    assert (linked._helpers, sys.getswitchinterval()) == ([], interval)


@pytest.mark.skipif(not COMPILED, reason="needs machine code")
def test_a_kernel_that_does_not_compile_leaves_nothing_behind(monkeypatch, interval) -> None:
    from numba.core.registry import cpu_target

    from fastbp.machine import linked

    monkeypatch.setattr(linked, "usable_cores", lambda: 2)

    @kernel
    def wrong(x):
        return x.missing

    @kernel(cached=True)
    def calls_it(values):
        p = pointer(values, 0)
        store(p, 0, wrong(load(p, 0)))

    with pytest.raises(numba.TypingError, match="missing"):
        calls_it(np.array([1.0]))
    assert (linked._helpers, sys.getswitchinterval()) == ([], interval)
    for context in (cpu_target.typing_context, cpu_target.target_context):
        assert not {"refresh", "resolve_function_type"} & vars(context).keys()
    values = np.array([3.0])
    chosen(values)
    assert values[0] == 8.0


@pytest.mark.skipif(not COMPILED, reason="needs machine code")
def test_what_a_call_means_is_found_once(monkeypatch) -> None:
    import operator

    from numba import types
    from numba.core.registry import cpu_target

    from fastbp.machine import passes

    typing = cpu_target.typing_context
    typing.refresh()
    asked = []
    plain = type(typing).resolve_function_type

    def resolve(self, func, args, kws):
        asked.append((func, args))
        return plain(self, func, args, kws)

    monkeypatch.setattr(type(typing), "resolve_function_type", resolve)
    product = typing.resolve_value_type(operator.mul)
    numbers, integers = (types.float32, types.float32), (types.int64, types.int64)
    with passes.looking_once(typing, cpu_target.target_context):
        found = [typing.resolve_function_type(product, args, {}) for args in [numbers] * 3]
        assert [sig.return_type for sig in found] == [types.float32] * 3
        assert typing.resolve_function_type(product, integers, {}).return_type == types.int64
        assert asked == [(product, numbers), (product, integers)]
        for _ in range(2):  # what has no meaning is asked again: it may get one
            with pytest.raises(numba.TypingError):
                typing.resolve_function_type(product, (types.float32, types.none), {})
        assert len(asked) == 4
