"""What keeps a net from fitting noise: penalties, dropout and limits in one immutable object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.kernels.state import CLIP_NORM, CLIP_VALUE, GROUPS, L1, L2, MAX_NORM, REGULATED
from fastbp.model.optimizers import Optimizer


@dataclass(frozen=True)
class Regularization:
    """Penalties, dropout and limits, each off by default; the parameters are those of `MLP`."""

    l1: float = 0.0
    l2: float = 0.0
    dropout: float | Iterable[float] = 0.0
    input_dropout: float = 0.0
    clip_value: float | None = None
    clip_norm: float | None = None
    max_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("l1", "l2"):
            checks.at_least_zero(name, getattr(self, name))
        for name in ("clip_value", "clip_norm", "max_norm"):
            value = getattr(self, name)
            if value is not None:
                checks.number(name, value, "None or a finite number above 0", lambda x: x > 0)
        checks.fraction("input_dropout", self.input_dropout)
        if isinstance(self.dropout, Iterable):
            unordered = isinstance(self.dropout, str | bytes | Set | Mapping)
            if unordered or (isinstance(self.dropout, np.ndarray) and self.dropout.ndim == 0):
                checks.fraction("dropout", self.dropout)  # raises: neither a number nor a sequence
            object.__setattr__(self, "dropout", tuple(self.dropout))
        for value in self.dropout if isinstance(self.dropout, tuple) else (self.dropout,):
            checks.fraction("dropout", value)

    def given(self) -> dict[str, Any]:
        """What is not its default."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            item.name: values[item.name]
            for item in fields(self)
            if values[item.name] != item.default
        }

    def dropout_rates(self, n_layers: int) -> tuple[float, ...]:
        """Dropout rates of the inputs and of each hidden layer."""
        hidden = n_layers - 1
        if not isinstance(self.dropout, tuple):
            return float(self.input_dropout), *([float(self.dropout)] * hidden)  # type: ignore
        if len(self.dropout) != hidden:
            raise ValueError(
                f"dropout must be one rate or one for each of the {hidden} hidden layers; got "
                f"{len(self.dropout)}: {self.dropout}"
            )
        return float(self.input_dropout), *map(float, self.dropout)

    def settings(self, optimizer: Optimizer, n_layers: int) -> npt.NDArray[np.float64]:
        """Settings as the kernels take them, with the optimiser's groups but without a schedule."""
        self.dropout_rates(n_layers)  # refuses another number of rates than of hidden layers
        values = np.zeros(GROUPS)
        values[L1] = self.l1
        values[L2] = self.l2
        values[CLIP_VALUE] = self.clip_value or 0.0
        values[CLIP_NORM] = self.clip_norm or 0.0
        values[MAX_NORM] = self.max_norm or 0.0
        groups = optimizer.group_table(n_layers)
        values[REGULATED] = values.any() or (groups.reshape(-1, 2) != (1.0, 0.0)).any()
        return np.concatenate([values, groups])
