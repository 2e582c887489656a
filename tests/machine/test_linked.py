"""Inner kernels in the entry points that call them: all is there, and nothing else is called."""

from __future__ import annotations

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
