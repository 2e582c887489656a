"""Loops between two evaluations, on ragged lengths."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import DTYPES

from fastbp.methods.kernels import BLOCK, RpropSettings, combine, dot, rprop

LENGTHS = (1, 7, 16, 33, 200)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", [*LENGTHS, BLOCK, BLOCK + 5, 3 * BLOCK + 1])
def test_dot(count, dtype) -> None:
    rng = np.random.default_rng(count)
    x, y = rng.normal(size=(2, count)).astype(dtype)
    exact = np.dot(x.astype(np.longdouble), y.astype(np.longdouble))
    scale = np.abs(x.astype(np.float64) * y).sum()
    assert abs(dot(x, y) - exact) <= 30 * np.finfo(dtype).eps * scale


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("count", LENGTHS)
def test_combine(count, dtype) -> None:
    rng = np.random.default_rng(count)
    x, y = rng.normal(size=(2, count)).astype(dtype)
    expected, out = 0.5 * x.astype(np.float64) - 3 * y, np.full(count + 3, 7, dtype)
    tolerance = {"rtol": 4 * np.finfo(dtype).eps, "atol": 8 * np.finfo(dtype).eps}
    combine(out[:count], x, y, 0.5, -3.0)
    np.testing.assert_allclose(out[:count], expected, **tolerance)
    assert (out[count:] == 7).all()
    combine(y, x, y, 0.5, -3.0)
    np.testing.assert_allclose(y, expected, **tolerance)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rprop_case_by_case(dtype, back) -> None:
    """Signs that agree, changed, were or are 0; sizes that reach their bounds; tiny gradients."""
    tiny = 1e-30
    g = np.array([2, -3, 4, -tiny, 0, 1, 5, tiny, -1], dtype)
    p = np.array([1, -1, -1, 1, 1, 0, 1, 1, 1], dtype)
    s = np.array([1, 1, 1, 1, 1, 1, 9, 1, 0.15], dtype)
    m = np.array([-1, 1, 0.5, -0.25, -1, 0, -9, -1, -0.15], dtype)
    w = np.zeros(9, dtype)
    rprop(w, g, p, s, m, RpropSettings(0.5, 1.2, 0.1, 10.0), back)
    np.testing.assert_allclose(s, [1.2, 1.2, 0.5, 0.5, 1, 1, 10, 1.2, 0.1], rtol=1e-6)
    turned = [-0.5, 0.25, 0.15] if back else [0, 0, 0]
    expected = [-1.2, 1.2, turned[0], turned[1], 0, -1, -10, -1.2, turned[2]]
    np.testing.assert_allclose(w, expected, rtol=1e-6)
    np.testing.assert_allclose(m, expected, rtol=1e-6)
    assert p.tolist() == [1, -1, 0, 0, 0, 1, 1, 1, 0]
