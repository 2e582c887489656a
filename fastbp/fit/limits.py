"""How much is done between two looks at Ctrl-C and the clock, and how much is read at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastbp.model.net import SECONDS_A_CALL

Clock = Callable[[], float]
"""Seconds since some moment, such as `time.perf_counter`."""


class Limits(NamedTuple):
    """Bounds on what is done at a time; results do not depend on those of compiled calls.

    Attributes
    ----------
    seconds_a_call : float
        About how long a compiled call lasts: Ctrl-C and the clock are seen between calls.
    first_passes : int
        Bound on the passes of the first call, before any is measured: even a tiny net needs
        0.2 us a pass.
    most_passes : int
        Bound on the passes of any call.
    most_rates : int
        Learning rates of a schedule that are computed in advance for one call.
    epochs_a_block : int
        Epochs whose losses are kept in one array.
    trail_bytes : int
        Bound on the parameters of several epochs that are kept to be validated afterwards.
    part_bytes, block_bytes : int
        About how much of an array on disk is read at a time, and how much of it in one piece.
    augmented_bytes : int
        About how much of the inputs in memory is changed at a time, batch by batch, and then
        trained on.
    """

    seconds_a_call: float = SECONDS_A_CALL
    first_passes: int = 10_000
    most_passes: int = 1 << 40
    most_rates: int = 10_000
    epochs_a_block: int = 1 << 16
    trail_bytes: int = 1 << 24
    part_bytes: int = 1 << 26
    block_bytes: int = 1 << 20
    augmented_bytes: int = 1 << 22


LIMITS = Limits()
"""The limits of `MLP.fit` and of the estimators."""
