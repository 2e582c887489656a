"""What the tests share: how many, and a compiler that is told which size to take."""

from __future__ import annotations

import os

import numba

SOAK = os.environ.get("FASTBP_SOAK") == "1"
COMPILED = not numba.config.DISABLE_JIT


def counts(normal: int, soak: int, uncompiled: int | None = None) -> int:
    """How often to repeat: in every run, under FASTBP_SOAK=1, and with NUMBA_DISABLE_JIT=1."""
    if not COMPILED:
        return max(1, normal // 10) if uncompiled is None else uncompiled
    return soak if SOAK else normal
