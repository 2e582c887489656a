"""Copies of a user's functions: their constants, and the functions that they call."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from helpers import COMPILED

from fastbp.machine.elementwise import rebound

SCALE = 0.1
PARTS = (0.25, 3)


@numba.njit
def doubled(x):
    """In place of math.exp."""
    return 2.0 * x


@numba.njit
def inner(x):
    return math.exp(x) / 3.0


def outer(x, third=0.3):
    return SCALE * inner(x) + np.exp(x) + math.sqrt(4.0) + math.pi + third + PARTS[1] * (0.5, 2)[0]


REPLACEMENTS = {math.exp: doubled, np.exp: doubled}


@pytest.mark.skipif(not COMPILED, reason="uncompiled, functions are called as they are")
def test_floats_and_functions_are_exchanged():
    copy = rebound(outer, REPLACEMENTS, np.dtype("float32"), {})
    space = copy.__globals__
    assert type(space["SCALE"]) is np.float32
    assert [type(part) for part in space["PARTS"]] == [np.float32, int]
    assert type(copy.__defaults__[0]) is np.float32
    assert space["math"].exp is space["np"].exp is doubled
    assert space["math"].sqrt is math.sqrt
    assert type(space["math"].pi) is np.float32
    assert space["inner"].py_func.__globals__["math"].exp is doubled
    assert type(outer.__defaults__[0]) is float
    assert math.exp(0.0) == 1.0
    compiled = numba.njit(copy)
    got = compiled(np.float32(3.0))
    expected = 0.1 * 2.0 + 6.0 + 2.0 + math.pi + 0.3 + 1.5
    assert compiled.nopython_signatures[0].return_type == numba.float64  # by the 3 in PARTS
    assert got == pytest.approx(expected, rel=1e-6)


def test_functions_that_call_each_other_and_closures():
    factor = 0.5

    def even(x):
        return x if x < 1.0 else odd(x - 1.0)

    def odd(x):
        return factor * x if x < 1.0 else even(x - 1.0)

    made = {}
    copy = rebound(even, {}, np.dtype("float32"), made)
    assert set(made) == {even, odd}
    cells = dict(zip(made[odd].__code__.co_freevars, made[odd].__closure__, strict=True))
    assert type(cells["factor"].cell_contents) is np.float32
    assert copy.__name__ == "even"
