"""What many tests share: how long they may take, nets, a net's bits, a callback that acts."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import mpmath
import numba
import numpy as np
import pytest

from fastbp import MLP, Callback
from fastbp.machine import objects

SOAK = os.environ.get("FASTBP_SOAK") == "1"
COMPILED = not numba.config.DISABLE_JIT
SHIPPED = objects.FOUND is not None
DTYPES = ("float32", "float64")

needs_compiler = pytest.mark.skipif(not COMPILED, reason="is about compiled code")
long_uncompiled = pytest.mark.skipif(
    not COMPILED, reason="takes a minute or more with NUMBA_DISABLE_JIT=1"
)


def counts(normal: int, soak: int, uncompiled: int | None = None) -> int:
    """How often to repeat: in every run, under FASTBP_SOAK=1, and with NUMBA_DISABLE_JIT=1."""
    if not COMPILED:
        return max(1, normal // 10) if uncompiled is None else uncompiled
    return soak if SOAK else normal


def errors(got: np.ndarray, function: Callable[[Any], Any], x: np.ndarray) -> tuple:
    """Relative errors, and errors in units in the last place, against 40 digits."""
    relative = np.zeros(len(x))
    in_ulp = np.zeros(len(x))
    with mpmath.workdps(40):
        for i, (value, argument) in enumerate(zip(got, x, strict=True)):
            exact = function(mpmath.mpf(float(argument)))
            error = abs(mpmath.mpf(float(value)) - exact)
            relative[i] = error / abs(exact) if exact else error
            in_ulp[i] = error / mpmath.mpf(float(np.spacing(x.dtype.type(abs(exact)))))
    return relative, in_ulp


def make(sizes: tuple[int, ...], **options: Any) -> MLP:
    """A net with tanh in float64 from seed 0, unless the options say otherwise."""
    return MLP(sizes, **({"activation": "tanh", "dtype": "float64", "seed": 0} | options))


def state(net: MLP) -> bytes:
    """All bits that training reads or writes."""
    arrays = (net.params, net.state.slots, net.state.scalars, net.state.random, net.frozen)
    return b"".join(array.tobytes() for array in arrays)


class At(Callback):
    """Calls `action` with the fit at the end of one epoch."""

    def __init__(self, epoch: int, action: Callable[[Any], object]) -> None:
        self.epoch = epoch
        self.action = action

    def on_epoch_end(self, fit: Any) -> None:
        if fit.epoch == self.epoch:
            self.action(fit)


def interrupt(fit: Any) -> None:
    """What Ctrl-C does to a fit."""
    raise KeyboardInterrupt
