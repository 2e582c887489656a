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
        The largest number of copies, at least 2. Learning is fast at first: with more epochs than
        frames, the copies are closer together at the beginning (the epochs grow as squares) and
        the last epoch is among them.

    Attributes
    ----------
    epochs : list of int
        How many epochs had finished when each copy was made; the first is 0.
    params : array, shape (kept, n_params)
        The copies, one per row.

    Examples
    --------
    >>> from fastbp import MLP, plot
    >>> recorder = plot.Recorder(frames=3)
    >>> history = MLP((1, 1), seed=0).fit([[0], [1]], [0, 1], epochs=100, callbacks=recorder)
    >>> recorder.epochs, recorder.params.shape
    ([0, 25, 100], (3, 2))
    """

    def __init__(self, frames: int = 100) -> None:
        self.frames = checks.count("frames", frames, 2)
        self.epochs: list[int] = []
        self._params: list[npt.NDArray[np.floating]] = []
        self._wanted: frozenset[int] = frozenset()

    @property
    def params(self) -> npt.NDArray[np.floating]:
        """The copies of the parameters, one per row."""
        return np.array(self._params)

    def on_fit_begin(self, fit: Fit) -> None:
        """Start afresh."""
        self.epochs = []
        self._params = []
        self._wanted = frozenset(chosen_epochs(fit.epochs, self.frames))
        self._keep(fit)

    def on_epoch_end(self, fit: Fit) -> None:
        """Keep the parameters of a chosen epoch, and always those of the last."""
        if fit.epoch in self._wanted or fit.stop_reason:
            self._keep(fit)

    def _keep(self, fit: Any) -> None:
        self.epochs.append(fit.epoch)
        self._params.append(fit.net.params.copy())


def chosen_epochs(epochs: int, frames: int) -> list[int]:
    """At most `frames` epochs from 0 to `epochs`, both included, closer at the beginning.

    Parameters
    ----------
    epochs, frames : int
        `epochs` is at least 1, `frames` at least 2.
    """
    if epochs < frames:
        return list(range(epochs + 1))
    chosen = [0]
    last = frames - 1
    for number in range(1, frames):
        # A square, but above the one before, and leaving an epoch for each that follows.
        square = round(epochs * (number / last) ** 2)
        chosen.append(min(max(square, chosen[-1] + 1), epochs - (last - number)))
    return chosen
