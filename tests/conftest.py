"""What the tests share: how many repetitions, and errors against mpmath."""

from __future__ import annotations

import os

import mpmath
import numba
import numpy as np

SOAK = os.environ.get("FASTBP_SOAK") == "1"
COMPILED = not numba.config.DISABLE_JIT


def counts(normal: int, soak: int, uncompiled: int | None = None) -> int:
    """How often to repeat: in every run, under FASTBP_SOAK=1, and with NUMBA_DISABLE_JIT=1."""
    if not COMPILED:
        return max(1, normal // 10) if uncompiled is None else uncompiled
    return soak if SOAK else normal


def errors(got, function, x):
    """Relative errors, and errors in units in the last place, against 40 digits."""
    relative, in_ulp = np.zeros(len(x)), np.zeros(len(x))
    with mpmath.workdps(40):
        for i, (value, argument) in enumerate(zip(got, x, strict=True)):
            exact = function(mpmath.mpf(float(argument)))
            error = abs(mpmath.mpf(float(value)) - exact)
            relative[i] = error / abs(exact) if exact else error
            in_ulp[i] = error / mpmath.mpf(float(np.spacing(x.dtype.type(abs(exact)))))
    return relative, in_ulp
