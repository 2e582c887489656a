"""Random streams: known values, repeatable, uniform; and dropout, which takes its key from one."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from entry_points import entry_point

from fastbp.kernels.sampling import (
    draw_order,
    drop_out,
    dropout_key,
    next_order,
    next_random,
    shuffle_as_numpy,
)
from fastbp.machine.hashing import hashed
from fastbp.machine.processor import VECTOR_BITS
from fastbp.machine.simd import pointer, store


@entry_point
def draw(out, state):
    p, s = pointer(out, 0), pointer(state, 0)
    for i in range(out.shape[0]):
        store(p, i, next_random(s))


@entry_point
def run_order(order, state):
    draw_order(pointer(order, 0), order.shape[0], pointer(state, 0))


@entry_point
def run_shuffle(order, generator):
    shuffle_as_numpy(pointer(order, 0), order.shape[0], generator)


@entry_point
def run_next_order(order, generator, state):
    next_order(pointer(order, 0), order.shape[0], generator, pointer(state, 0))


def bit_generator_of(random_state):
    return int(random_state._bit_generator.ctypes.bit_generator.value)


@entry_point
def count_places(counts, order, state, times):
    """Draw `times` orders; counts[i, j] is how often i came to index j."""
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


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 31, 32, 33, 442, 1024, 1797])
@pytest.mark.parametrize("kind", [np.random.MT19937, np.random.PCG64])
def test_shuffles_are_numpys(count, kind) -> None:
    ours, theirs = (np.random.RandomState(kind(count)) for _ in range(2))
    order, expected = np.arange(count)[::-1].copy(), np.arange(count)[::-1].copy()
    for _ in range(3):
        run_shuffle(order, bit_generator_of(ours))
        theirs.shuffle(expected)
        assert np.array_equal(order, expected)
    assert ours.randint(2**31) == theirs.randint(2**31), "the same number of bits is drawn"


def test_the_next_order_is_drawn_where_it_is_told() -> None:
    ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
    order, state = np.arange(20), np.array([9], np.uint64)
    run_next_order(order, bit_generator_of(ours), state)
    assert np.array_equal(order, theirs.permutation(20))
    assert state[0] == 9
    run_next_order(order, 0, state)
    expected, same = np.arange(20), np.array([9], np.uint64)
    run_order(expected, same)
    assert np.array_equal(order, expected)
    assert state[0] == same[0]


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
    """Every row at every index equally often, and every permutation of four."""
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


@entry_point
def run_drop_out(x, stride, n, batch, share, key):
    drop_out(pointer(x, 0), stride, n, batch, share, key, 0)


@entry_point
def run_key(state):
    return dropout_key(next_random(pointer(state, 0)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.125, 0.5, 0.9])
@pytest.mark.parametrize("batch", [2, 16, 19, 40])
def test_drop_out(batch, rate, dtype) -> None:
    """What is kept is divided by 1 - p; the offset i stride + b decides, the padding is finite."""
    n, share, key = 5, round(rate * 2**32), 0x0123456789ABCDEF
    lane_count = VECTOR_BITS // 8 // np.dtype(dtype).itemsize
    stride = -(-batch // lane_count) * lane_count + lane_count
    x = np.random.default_rng(batch).normal(size=(n + 1, stride)).astype(dtype)
    out = x.copy()
    run_drop_out(out.reshape(-1), stride, n, batch, share, key)
    kept = hashed(np.arange(n * stride), key).reshape(n, stride) >= share
    scale = np.array(2**32 / (2**32 - share), dtype)
    padded = -(-batch // lane_count) * lane_count
    assert np.array_equal(out[:n, :padded], x[:n, :padded] * (kept[:, :padded] * scale))
    assert np.array_equal(out[:n, padded:], x[:n, padded:])  # the lanes that nothing reads
    assert np.array_equal(out[n], x[n])
    again = np.ones_like(x)
    run_drop_out(again.reshape(-1), stride, n, batch, share, key)
    assert np.array_equal(again[:n, :padded] > 0, kept[:, :padded])  # the same key and mask
    run_drop_out(out.reshape(-1), stride, n, batch, share, key)
    assert np.array_equal(out[:n, :padded] != 0, kept[:, :padded])
    other = np.ones_like(x)
    run_drop_out(other.reshape(-1), stride, n, batch, share, key + 1)
    assert not np.array_equal(other[:n, :padded], again[:n, :padded])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 3, 16, 37])
def test_drop_out_of_a_single_sample(n, dtype) -> None:
    share, key = 2**31, 77
    x = np.random.default_rng(n).normal(size=64).astype(dtype)
    out = x.copy()
    run_drop_out(out, 1, n, 1, share, key)
    lane_count = VECTOR_BITS // 8 // np.dtype(dtype).itemsize
    padded = -(-n // lane_count) * lane_count
    kept = hashed(np.arange(padded), key) >= share
    assert np.array_equal(out[:padded], x[:padded] * kept * 2)
    assert np.array_equal(out[padded:], x[padded:])


@pytest.mark.parametrize("seed", [0, 5])
def test_keys(seed) -> None:
    """One draw of the stream each, odd, so never 0, and at least 0."""
    state, twin = np.array([seed], np.uint64), np.array([seed], np.uint64)
    bits = np.zeros(100, np.uint64)
    draw(bits, twin)
    assert [int(run_key(state)) for _ in bits] == [int(b) >> 1 | 1 for b in bits]
    assert state[0] == twin[0]
