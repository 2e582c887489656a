"""Random streams: known values, repeatable, uniform."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest

from fastbp.kernels.sampling import draw_order, next_random
from fastbp.simd import pointer, store


@numba.njit
def draw(out, state):
    p, s = pointer(out, 0), pointer(state, 0)
    for i in range(out.shape[0]):
        store(p, i, next_random(s))


@numba.njit
def run_order(order, state):
    draw_order(pointer(order, 0), order.shape[0], pointer(state, 0))


@numba.njit
def count_places(counts, order, state, times):
    """Draw `times` orders; counts[i, j] is how often i came to place j."""
    p, s, n = pointer(order, 0), pointer(state, 0), order.shape[0]
    for _ in range(times):
        draw_order(p, n, s)
        for j in range(n):
            counts[order[j], j] += 1


def test_published_values() -> None:
    """The stream of seed 1234567, as in the reference implementation's published test."""
    out, state = np.zeros(5, np.uint64), np.array([1234567], np.uint64)
    draw(out, state)
    assert out.tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert int(state[0]) == (1234567 + 5 * 0x9E3779B97F4A7C15) % 2**64


@pytest.mark.parametrize("seed", [0, 7, 2**64 - 1])
def test_order_permutes_and_repeats(seed) -> None:
    for count in (0, 1, 2, 3, 17, 1000):
        orders, states = [], []
        for before in (0, -99):  # what stood there plays no part
            order, state = np.full(count, before), np.array([seed], np.uint64)
            run_order(order, state)
            orders.append(order)
            states.append(state)
        assert np.array_equal(*orders)
        assert np.array_equal(*states)
        assert np.array_equal(np.sort(orders[0]), np.arange(count))
        if count >= 17:
            assert not np.array_equal(orders[0], np.arange(count))
            run_order(orders[0], states[0])  # the stream goes on
            assert not np.array_equal(orders[0], orders[1])


@pytest.mark.parametrize("seed", [3, 4])
def test_order_is_uniform(seed) -> None:
    """Every row in every place equally often, and every permutation of four."""
    n, times = 9, 3000 if numba.config.DISABLE_JIT else 100_000
    counts, order = np.zeros((n, n), np.int64), np.zeros(n, np.int64)
    count_places(counts, order, np.array([seed], np.uint64), times)
    expected = times / n
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    freedom = (n - 1) ** 2
    # Four standard deviations; the seeds are fixed, so this passes always or never.
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)

    found: dict[tuple[int, ...], int] = {}
    state, times, four = np.array([seed], np.uint64), 2400, np.zeros(4, np.int64)
    for _ in range(times):
        run_order(four, state)
        found[tuple(four.tolist())] = found.get(tuple(four.tolist()), 0) + 1
    assert len(found) == 24
    chi_square = sum((count - times / 24) ** 2 / (times / 24) for count in found.values())
    assert abs(chi_square - 23) < 4 * math.sqrt(2 * 23)
