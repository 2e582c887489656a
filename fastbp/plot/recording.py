"""`Recorder`: the parameters of a net after some of the epochs of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.callbacks import Callback, Fit


class Recorder(Callback):
    """Keep the parameters before the first epoch and after some of the others.

    Parameters
    ----------
    frames : int, default=100
        How many are kept at most, at least 2. Learning is fast at first: when there are more
        epochs, those that are kept are closer together at the beginning (their numbers grow as
        squares) and the last is among them.

    Attributes
    ----------
    epochs : list of int
        The numbers of finished epochs after which the parameters were kept; the first is 0.
    params : array, shape (kept, n_params)
        The parameters.
    """

    def __init__(self, frames: int = 100) -> None:
        self.frames = checks.count("frames", frames, 2)
        self.epochs: list[int] = []
        self._params: list[npt.NDArray[np.floating]] = []
        self._wanted: frozenset[int] = frozenset()

    @property
    def params(self) -> npt.NDArray[np.floating]:
        """The parameters that were kept, a row each."""
        return np.array(self._params)

    def on_fit_begin(self, fit: Fit) -> None:
        """Start afresh."""
        self.epochs = []
        self._params = []
        self._wanted = frozenset(chosen_epochs(fit.epochs, self.frames))
        self._keep(fit)

    def on_epoch_end(self, fit: Fit) -> None:
        """Keep the parameters where it is time; always those of a last epoch."""
        if fit.epoch in self._wanted or fit.stopped:
            self._keep(fit)

    def _keep(self, fit: Any) -> None:
        self.epochs.append(fit.epoch)
        self._params.append(fit.net.params.copy())


def chosen_epochs(epochs: int, frames: int) -> list[int]:
    """At most `frames` numbers from 0 to `epochs`, both among them, closer at the beginning.

    Parameters
    ----------
    epochs, frames : int
        At least 1 and 2.
    """
    if epochs < frames:
        return list(range(epochs + 1))
    chosen = [0]
    last = frames - 1
    for number in range(1, frames):
        # A square, but each at least one on, and no more than leaves one for each that follows.
        square = round(epochs * (number / last) ** 2)
        chosen.append(min(max(square, chosen[-1] + 1), epochs - (last - number)))
    return chosen
