"""`MLP.fit` with other limits on what is done at a time, or another clock."""

from __future__ import annotations

import time
from typing import Any

from fastbp import MLP, History
from fastbp.fit import fit as fit_module
from fastbp.fit import limits as bounds
from fastbp.fit.between_epochs import Options
from fastbp.fit.data import Examples
from fastbp.fit.limits import LIMITS, Limits
from fastbp.methods import full_batch

A_PASS_A_CALL = Limits(seconds_a_call=0.0, first_passes=1)
"""As if each pass took long."""


def fit(
    net: MLP,
    X: Any,
    y: Any = None,
    *,
    limits: Limits = LIMITS,
    clock: bounds.Clock = time.perf_counter,
    epochs: int = 10,
    batch_size: int = 32,
    shuffle: bool = True,
    method: Any = None,
    augment: Any = None,
    sample_weight: Any = None,
    **options: Any,
) -> History:
    """Train as `MLP.fit` does."""
    rows = Examples(X, y, sample_weight)
    if method is not None:
        return full_batch.fit(
            net, rows, method, epochs, shuffle, Options(**options), net._begin, limits, clock
        )
    return fit_module.fit(
        net, rows, epochs, batch_size, shuffle, Options(**options), augment, net._begin, limits,
        clock,
    )  # fmt: skip


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now
