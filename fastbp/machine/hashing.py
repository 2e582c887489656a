"""Random bits as a hash of where they are needed: no state runs through the lanes.

h(i, key) = r2(r1(i STEP + low half of key) + high half of key) in 32-bit arithmetic, where a
round r applies ``x <- (x ^ x >> shift) factor`` for each pair in ROUNDS, then ``x ^ x >> 16``.
The factors and shifts are those of Wellons, "Prospecting for Hash Functions", 2018.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

STEP = 0x9E3779B9
"""The golden ratio times 2^32: spreads neighbouring indices."""
ROUNDS = (
    ((16, 0x7FEB352D), (15, 0x846CA68B)),
    ((16, 0x21F0AAAD), (15, 0xD35A2D97)),
)
LAST_SHIFT = 16


def hashed(indices: npt.NDArray[np.integer], key: int) -> npt.NDArray[np.uint32]:
    """h(i, key) of each index, in NumPy."""
    x = indices.astype(np.uint32) * np.uint32(STEP)
    for bits, rounds in zip((0, 32), ROUNDS, strict=True):
        x = x + np.uint32((key >> bits) & 0xFFFFFFFF)
        for shift, factor in rounds:
            x = (x ^ (x >> np.uint32(shift))) * np.uint32(factor)
        x = x ^ (x >> np.uint32(LAST_SHIFT))
    return x
