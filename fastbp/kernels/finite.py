"""NaN and infinity in flat arrays."""

import math

from fastbp.machine.jit import kernel
from fastbp.machine.simd import advance, lanes, load, pointer, splat, vload, vsum


@kernel
def all_finite(p, count):
    """Whether no number is NaN or infinite: 0 times such a number is NaN."""
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


@kernel(cached=True)
def first_not_finite(numbers):
    """Index of the first NaN or infinity in a flat array, -1 when there is none."""
    piece = 4096
    for start in range(0, numbers.shape[0], piece):
        count = min(piece, numbers.shape[0] - start)
        index = find_not_finite(pointer(numbers, start), count)
        if index >= 0:
            return start + index
    return -1
