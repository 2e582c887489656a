"""`lr_find`: the learning-rate range test, which suggests a learning rate."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit import data as dataset
from fastbp.fit.warn import DivergenceWarning
from fastbp.inspection import check_net, twin_of, with_schedule
from fastbp.kernels.optimizers import UPDATES
from fastbp.mlp import MLP

FloatArray = npt.NDArray[np.float64]

LEAST_FALL = 0.02
"""Share by which the smoothed loss must fall for a rate to be suggested, beyond its noise."""
STILL = 0.1
"""Share of the updates whose rates are so low that they show the noise of the loss."""
NEAR_THE_LEAST, BELOW_IT = 0.1, 10.0
"""The suggestion is at most the highest rate at which the smoothed loss is still within this share
of its fall of the least, divided by the second number."""
MOST_OF_THE_FALL = 0.8
"""And at most the rate at which this share of the fall is done."""


@dataclass(frozen=True)
class LRFind:
    """What `lr_find` found; printed, it is one line, and `plot` draws it.

    Attributes
    ----------
    suggestion : float or None
        A tenth of the highest rate at which the smoothed loss is still about at its least
        (within 10 % of its fall), or the rate at which 80 % of the fall is done where that is
        lower. None when the loss fell by less than 2 % and three standard deviations of its
        noise: no rate in the range trains this net.
    rates : array of float64, shape (updates,)
        Learning rates, rising; those up to the end of the test.
    losses, smoothed : array of float64, shape (updates,)
        The loss of each batch before its update, and its exponential running mean.
    diverged : bool
        Whether the test ended because the loss had risen far above its minimum or was not
        finite; otherwise at `max_rate`.
    """

    suggestion: float | None
    rates: FloatArray = field(repr=False)
    losses: FloatArray = field(repr=False)
    smoothed: FloatArray = field(repr=False)
    diverged: bool

    @property
    def start(self) -> float:
        """The mean loss of the first tenth of the updates, whose rates hardly train."""
        return float(self.losses[: _early(len(self.losses)) + 1].mean())

    def __str__(self) -> str:
        if self.suggestion is None:
            found = "no rate lowers the loss; look at the data, the net and the range of the rates"
        else:
            found = f"suggested learning rate {self.suggestion:.2g}"
        best, count = int(self.smoothed.argmin()), len(self.rates)
        end = "diverged" if self.diverged else "ended"
        return (
            f"{found} (loss {self.start:.4g}, least {self.smoothed[best]:.4g} at "
            f"{self.rates[best]:.2g}, {end} at {self.rates[-1]:.2g} after {count} updates)"
        )

    def _repr_html_(self) -> str:
        """The line for a notebook."""
        return f"<p>{escape(str(self))}</p>"

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses over the learning rate, the suggestion marked.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            Without matplotlib: ``pip install 'fastbp[plot]'``.
        """
        from fastbp.plot.axes import axes

        ax = axes(ax)
        ax.plot(self.rates, self.losses, color="0.8", linewidth=0.8, label="batch")
        ax.plot(self.rates, self.smoothed, color="C0", label="smoothed")
        if self.suggestion is not None:
            label = f"suggestion {self.suggestion:.2g}"
            ax.axvline(self.suggestion, color="C3", linestyle="--", label=label)
        low, top = float(self.smoothed.min()), self.start
        room = max(top - low, 0.05 * abs(top), 1e-12)
        ax.set(
            xscale="log", xlabel="Learning rate", ylabel="Loss", title="Learning-rate range test",
            ylim=(low - 0.15 * room, top + 0.5 * room),
        )  # fmt: skip
        ax.legend()
        return ax


def lr_find(
    net: MLP,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None = None,
    *,
    min_rate: float = 1e-6,
    max_rate: float = 10.0,
    updates: int = 200,
    batch_size: int = 32,
    smoothing: float = 0.9,
    divergence: float = 4.0,
    seed: int | None = 0,
) -> LRFind:
    """Find a learning rate by the range test: train while the rate rises, and watch the loss.

    A copy of the net is trained on mini-batches, in its dtype and by its optimiser, from its
    present parameters and state; the net itself is not changed. The rate rises exponentially
    from one update to the next. The losses are smoothed by a running mean without the bias of
    its start.

    Parameters
    ----------
    net : MLP
    X, y, sample_weight : array-like
        As in `MLP.fit`.
    min_rate, max_rate : float, default=1e-6 and 10
        First and last learning rate. A schedule of the optimiser is left out; the rates of its
        groups keep their ratio.
    updates : int, default=200
        From the first rate to the last, at least 10.
    batch_size : int, default=32
        The one to train with later. The rows are taken in a new order in each epoch.
    smoothing : float, default=0.9
        Of the running mean: at least 0, which is none, and below 1.
    divergence : float, default=4.0
        Above 1. The test ends when the smoothed loss exceeds its minimum by this factor, or its
        fall so far as much.
    seed : int or None, default=0
        Of the order of the rows; None draws a new one.

    Returns
    -------
    LRFind

    Raises
    ------
    ValueError, TypeError
        Bad input; rates that do not rise.

    Notes
    -----
    Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3; a tenth
    of the rate with the least loss, and the end on divergence, as in fastai. That rate is a matter
    of chance where the loss has a flat bottom, hence the two rules of `suggestion`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, SGD, lr_find
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> net = MLP((3, 16, 1), optimizer=SGD(), seed=0)
    >>> found = lr_find(net, X, X[:, 0] * X[:, 1])
    >>> net.optimizer = SGD(found.suggestion)
    """
    dataset.check_trainable(check_net(net).activations)
    low, high = checks.positive("min_rate", min_rate), checks.positive("max_rate", max_rate)
    if low >= high:
        raise ValueError(f"max_rate must be above min_rate, {min_rate}; got {max_rate}")
    updates, batch_size = (
        checks.count("updates", updates, 10),
        checks.count("batch_size", batch_size),
    )
    beta = checks.number("smoothing", smoothing, "at least 0 and below 1", lambda x: 0 <= x < 1)
    factor = checks.number("divergence", divergence, "a finite number above 1", lambda x: x > 1)
    data, rows = dataset.rows_and_targets(
        X, y, sample_weight, net.layer_sizes, net.spec.loss, net.dtype
    )
    inputs, targets = data.inputs.reshape(rows, -1), np.asarray(y)
    weights = data.weights if data.n_weights else None
    twin = twin_of(net)
    first, ratio = int(twin.state.scalars[UPDATES]), (high / low) ** (1 / (updates - 1))
    twin.optimizer = with_schedule(net.optimizer, lambda n: low * ratio ** (n - first))
    losses, smoothed, mean, diverged = [], [], 0.0, False
    for number, chosen in enumerate(_batches(rows, min(batch_size, rows), updates, seed), 1):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", DivergenceWarning)
            some = None if weights is None else weights[chosen]
            loss = twin.step(inputs[chosen], targets[chosen], some)
        if not math.isfinite(loss):
            diverged = True
            break
        mean = beta * mean + (1 - beta) * loss
        losses.append(loss)
        smoothed.append(mean / (1 - beta**number))
        best = min(smoothed)
        room = (factor - 1) * max(abs(best), smoothed[0] - best)
        diverged = bool(caught) or smoothed[-1] > best + room
        if diverged:
            break
    if not losses:
        raise ValueError(
            "the loss of the first batch is not finite; look at net.params and scale the inputs"
        )
    noise = 3 * math.sqrt((1 - beta) / (1 + beta))
    return _result(low, ratio, np.array(losses), np.array(smoothed), diverged, noise)


def _batches(rows: int, batch_size: int, count: int, seed: int | None) -> Any:
    """Numbers of the rows of so many batches, a new order in each epoch."""
    generator, order, at = checks.generator(seed), np.empty(0, np.int64), 0
    for _ in range(count):
        if at + batch_size > len(order):
            order, at = generator.permutation(rows), 0
        yield order[at : at + batch_size]
        at += batch_size


def _early(count: int) -> int:
    """The last of the updates that show the noise of the loss."""
    return min(max(5, int(STILL * count)), count - 1)


def _result(
    low: float, ratio: float, losses: FloatArray, smoothed: FloatArray, diverged: bool, noise: float
) -> LRFind:
    """The result, with the suggestion; `noise` times its deviation is no fall of the loss."""
    rates = low * np.power(ratio, np.arange(len(losses), dtype=np.float64))
    early = _early(len(losses))
    still, best = losses[: early + 1], early + int(smoothed[early:].argmin())
    start = float(still.mean())
    fall = start - float(smoothed[best])
    if fall <= LEAST_FALL * abs(start) + noise * float(still.std()):
        return LRFind(None, rates, losses, smoothed, diverged)
    fallen = float(rates[int((smoothed <= start - MOST_OF_THE_FALL * fall).argmax())])
    edge = float(rates[smoothed <= smoothed[best] + NEAR_THE_LEAST * fall][-1])
    suggestion = max(min(edge / BELOW_IT, fallen), low)
    return LRFind(suggestion, rates, losses, smoothed, diverged)
