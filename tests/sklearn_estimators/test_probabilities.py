"""Probabilities and their logarithms from logits, against mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from fastbp.sklearn.probabilities import (
    log_sigmoid,
    log_softmax,
    log_softmax_of_blocks,
    of_two_classes,
    softmax_of_blocks,
)

LOGITS = [-1e6, -745.2, -89.5, -37.0, -17.0, -1.5, -1e-9, 0.0, 1e-9, 0.3, 17.0, 37.0, 89.5, 1e6]
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def exact_log_sigmoid(z) -> float:
    with mpmath.workdps(50):
        return float(-mpmath.log1p(mpmath.exp(-mpmath.mpf(float(z)))))


@each_dtype
def test_both_probabilities_have_all_their_digits(dtype) -> None:
    z = np.array(LOGITS, dtype)[:, np.newaxis]
    found = of_two_classes(z)
    assert found.dtype == dtype
    with mpmath.workdps(50):
        expected = [[float(1 / (1 + mpmath.exp(s * mpmath.mpf(float(x))))) for s in (1, -1)]
                    for x in z[:, 0]]  # fmt: skip
    info = np.finfo(dtype)
    np.testing.assert_allclose(found, expected, rtol=4 * info.eps, atol=info.smallest_subnormal)
    assert np.array_equal(found[:, 1] > found[:, 0], (z > info.eps)[:, 0])


@each_dtype
def test_the_logarithm_of_a_sigmoid_is_exact_and_finite(dtype) -> None:
    z = np.array(LOGITS, dtype)[:, np.newaxis]
    found = log_sigmoid(z)
    assert found.dtype == dtype
    expected = [[exact_log_sigmoid(x)] for x in z[:, 0]]
    tiny = np.finfo(dtype).tiny
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps, atol=tiny)


@each_dtype
def test_the_logarithm_of_a_softmax_is_exact_and_finite(dtype) -> None:
    rng = np.random.default_rng(0)
    rows = [[-431.0, 279.0, 427.0], [0.0, 20.0, -20.0], [1e6, -1e6, 0.0], [2.0, 2.0, 2.0]]
    z = np.concatenate([rows, rng.normal(scale=10, size=(50, 3))]).astype(dtype)
    found = log_softmax(z)
    assert found.dtype == dtype
    with mpmath.workdps(50):
        expected = []
        for row in z:
            numbers = [mpmath.mpf(float(x)) for x in row]
            total = mpmath.log(sum(map(mpmath.exp, numbers)))
            expected.append([float(x - total) for x in numbers])
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found, expected, rtol=4 * eps, atol=1e-6 * eps)


def test_blocks_are_independent() -> None:
    z = np.random.default_rng(0).normal(size=(20, 6))
    logarithms = log_softmax_of_blocks(z, (3, 2, 1))
    for some, expected in zip(logarithms, np.split(z, [3, 5], axis=1), strict=True):
        assert np.array_equal(some, log_softmax(expected))
    for p, logarithm in zip(softmax_of_blocks(z, (3, 2, 1)), logarithms, strict=True):
        np.testing.assert_allclose(p, np.exp(logarithm), rtol=1e-14)
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
