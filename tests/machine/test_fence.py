"""Products that are not fused with what they are added to."""

from __future__ import annotations

import numpy as np
import pytest
from entry_points import entry_point
from helpers import DTYPES

from fastbp.machine.processor import VECTOR_BITS
from fastbp.machine.simd import pointer, vload, vrounded, vstore


@entry_point
def rounded(out, x, y, z):
    product = vload(pointer(x, 0), x.size) * vload(pointer(y, 0), x.size)
    vstore(pointer(out, 0), vrounded(product) + vload(pointer(z, 0), x.size), x.size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_rounded_product(dtype):
    rng = np.random.default_rng(0)
    count = VECTOR_BITS // 8 // np.dtype(dtype).itemsize
    x, y, z = (rng.normal(size=count).astype(dtype) for _ in range(3))
    out = np.zeros(count, dtype)
    rounded(out, x, y, z)
    assert np.array_equal(out, x * y + z)
