"""The hash behind dropout: compiled as in NumPy, even, and with no pattern in lanes or keys."""

from __future__ import annotations

import math

import numpy as np
import pytest
from entry_points import entry_point

from fastbp.machine.hashing import hashed
from fastbp.machine.simd import advance, lanes, pointer, vrandom, vstore

KEYS = (0, 1, 2**31, 2**32 + 1, 0x1234567890ABCDEF, 2**63 - 1, -5)
THRESHOLDS = (0, 1, 2**30, 2**31, 2**32 - 2**20, 2**32 - 1)


@entry_point
def run_random(out, key, first, threshold):
    p = pointer(out, 0)
    for i in range(0, out.shape[0], lanes(p)):
        vstore(advance(p, i), vrandom(p, key, first + i, threshold), out.shape[0] - i)


def in_whole_numbers(index: int, key: int) -> int:
    """h(index, key) as the docstring of hashing.py has it, without NumPy."""
    mask = 2**32 - 1
    x = index * 0x9E3779B9 & mask
    for part, rounds in (
        (key & mask, ((16, 0x7FEB352D), (15, 0x846CA68B))),
        (key >> 32 & mask, ((16, 0x21F0AAAD), (15, 0xD35A2D97))),
    ):
        x = x + part & mask
        for shift, factor in rounds:
            x = (x ^ x >> shift) * factor & mask
        x ^= x >> 16
    return x


@pytest.mark.parametrize("key", KEYS)
def test_formula(key) -> None:
    indices = np.array([0, 1, 2, 255, 10**6, 2**31 - 1, 2**31, 2**32 - 1])
    expected = [in_whole_numbers(int(i), key) for i in indices]
    assert hashed(indices, key).tolist() == expected


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("key", KEYS)
def test_lanes_are_the_formula(key, dtype) -> None:
    count = 67
    for first in (0, 5, 2**31 - 20, 2**32 - 7):  # indices are taken modulo 2^32
        bits = hashed(np.arange(first, first + count), key)
        for threshold in THRESHOLDS:
            out = np.full(count, np.nan, dtype)
            run_random(out, key, first, threshold)
            assert out.tolist() == (bits >= threshold).astype(float).tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_even(seed) -> None:
    """Each value of each byte equally often, and the share of ones is 1 - p."""
    count = 1 << 18
    for key in np.random.default_rng(seed).integers(2**63, size=4):
        bits = hashed(np.arange(count), int(key))
        for shift in (0, 8, 16, 24):
            found = np.bincount((bits >> np.uint32(shift)) & np.uint32(255), minlength=256)
            chi_square = float(((found - count / 256) ** 2 / (count / 256)).sum())
            assert abs(chi_square - 255) < 5 * math.sqrt(2 * 255)
        for p in (0.01, 0.1, 0.5, 0.9):
            kept = float((bits >= round(p * 2**32)).mean())
            assert abs(kept - (1 - p)) < 5 * math.sqrt(p * (1 - p) / count)


def correlation(a, b) -> float:
    """Of two arrays of zeros and ones whose means are 1/2, in standard deviations."""
    return float(((a - 0.5) * (b - 0.5)).sum() * 4 / math.sqrt(a.size))


@pytest.mark.parametrize("seed", [2, 3])
def test_neighbours_are_not_correlated(seed) -> None:
    """Neither in place, at the strides of a workspace included, nor by keys of other layers."""
    count = 1 << 18
    top = np.uint32(31)
    for key in np.random.default_rng(seed).integers(2**62, size=3):
        whole = hashed(np.arange(count + 1024), int(key))
        bits = (whole >> top).astype(float)
        for apart in (1, 2, 3, 4, 8, 16, 32, 40, 264, 520, 1024):
            assert abs(correlation(bits[:count], bits[apart : apart + count])) < 5
        for other in (1, 2, 3, 8, 2**31, 2**32, 2**33):
            there = (hashed(np.arange(count), int(key) + other) >> top).astype(float)
            assert abs(correlation(bits[:count], there)) < 5
        for bit in (0, 1, 15, 16, 30):
            lower = (whole >> np.uint32(bit) & np.uint32(1)).astype(float)
            assert abs(correlation(bits[:count], lower[:count])) < 5


def test_pairs_of_neighbours_are_even() -> None:
    """The sixteen highest bits of two neighbours, four of each: every pair equally often."""
    count = 1 << 18
    high = hashed(np.arange(count + 1), 0x1234567890ABCDEF) >> np.uint32(28)
    found = np.bincount(high[:-1].astype(int) * 16 + high[1:], minlength=256)
    chi_square = float(((found - count / 256) ** 2 / (count / 256)).sum())
    assert abs(chi_square - 255) < 5 * math.sqrt(2 * 255)
