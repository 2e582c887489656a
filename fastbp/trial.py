"""Training on trial: copies of a net, whose own parameters and state stay as they are."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

from fastbp.mlp import MLP
from fastbp.optimizer_base import Optimizer
from fastbp.schedules import Rate


def twin_of(net: MLP) -> MLP:
    """A copy with buffers of its own: parameters, optimiser state, random stream and the rest."""
    return copy.deepcopy(net)


def with_schedule(optimizer: Optimizer, schedule: Rate) -> Optimizer:
    """The optimiser with a schedule in place of its rate.

    The rates of its groups keep their ratio to it, which is how a schedule takes them.
    """
    rate = optimizer.learning_rate
    groups = optimizer.groups
    if not callable(rate):
        groups = tuple(
            group
            if group.learning_rate is None
            else dataclasses.replace(group, learning_rate=group.learning_rate / rate)
            for group in groups
        )
    changed: dict[str, Any] = {"learning_rate": schedule, "groups": groups}
    return dataclasses.replace(optimizer, **changed)
