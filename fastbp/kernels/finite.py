"""NaN and infinity in flat arrays."""

import math

from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, lanes, load, splat, vload, vsum


@kernel
def all_finite(p, count):
    """Whether no value is NaN or infinite: 0 times such a value is NaN."""
    total = splat(p, 0.0)
    for i in range(0, count, lanes(p)):
        total = total + vload(advance(p, i), count - i) * 0.0
    return vsum(total) == 0.0


@kernel
def find_not_finite(p, count):
    """Index of the first NaN or infinity, -1 when there is none."""
    if not all_finite(p, count):
        for i in range(count):
            if not math.isfinite(load(p, i)):
                return i
    return -1


@kernel
def all_between(p, count, low, high):
    """Whether all values lie from `low` to `high`, which NaN does not."""
    for i in range(count):
        if not low <= load(p, i) <= high:
            return False
    return True
