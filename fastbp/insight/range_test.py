"""`find_learning_rate`: the learning-rate range test, which suggests a learning rate."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.data import check_trainable, rows_to_train_on, scaled_to_mean_1, weights_of
from fastbp.fit.warn import DivergenceWarning
from fastbp.inspection import check_net, twin_of, with_schedule
from fastbp.kernels.optimizers import UPDATES
from fastbp.mlp import MLP

FloatArray = npt.NDArray[np.float64]

LEAST_FALL = 0.02
"""A rate is suggested only if the smoothed loss falls by this share and beyond its noise."""
STILL = 0.1
"""Share of the updates, the first ones, whose rates are too low to train: they show the noise."""
NEAR_THE_LEAST = 0.1
"""A smoothed loss is near the least when it is above it by at most this share of its fall."""
BELOW_IT = 10.0
"""The suggestion is at most the highest rate with a loss near the least, divided by this."""
MOST_OF_THE_FALL = 0.8
"""The suggestion is also at most the rate at which the loss has done this share of its fall."""


@dataclass(frozen=True)
class RangeTest:
    """The result of `find_learning_rate`; it prints as one line, and `plot` draws it.

    Attributes
    ----------
    suggestion : float or None
        A tenth of the highest rate at which the smoothed loss is still near its minimum (within
        10 % of its fall), or the rate at which 80 % of the fall is done if that is lower. None
        when the loss fell by less than 2 % plus three standard deviations of its noise: no rate in
        the range trains this net.
    rates : array of float64, shape (updates,)
        Rising learning rates, up to the end of the test.
    losses, smoothed : array of float64, shape (updates,)
        The loss of each batch before its update, and its exponential running mean.
    diverged : bool
        Whether the test ended because the loss had risen far above its minimum or was not
        finite; otherwise it ended at `max_rate`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, find_learning_rate
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> found = find_learning_rate(MLP((3, 16, 1), seed=0), X, X[:, 0] * X[:, 1])
    >>> bool(1e-4 < found.suggestion < 1)
    True
    >>> ax = found.plot()
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
            found = "no rate lowers the loss; check the data, the net and the range of rates"
        else:
            found = f"suggested learning rate {self.suggestion:.2g}"
        best = int(self.smoothed.argmin())
        count = len(self.rates)
        end = "diverged" if self.diverged else "ended"
        return (
            f"{found} (loss {self.start:.4g}, minimum {self.smoothed[best]:.4g} at "
            f"{self.rates[best]:.2g}, {end} at {self.rates[-1]:.2g} after {count} updates)"
        )

    def _repr_html_(self) -> str:
        """The line for a notebook."""
        return f"<p>{escape(str(self))}</p>"

    def plot(self, ax: Any = None) -> Any:
        """Draw the losses against the learning rate, and the suggestion, with matplotlib.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a figure.

        Returns
        -------
        matplotlib Axes
        """
        from fastbp.axes import axes, readable_log_ticks

        ax = axes(ax)
        ax.plot(self.rates, self.losses, ".", color="0.75", markersize=3, label="a batch")
        ax.plot(self.rates, self.smoothed, color="C0", label="smoothed")
        if self.suggestion is not None:
            best = int(self.smoothed.argmin())
            least = f"minimum, at {self.rates[best]:.2g}"
            ax.plot(self.rates[best], self.smoothed[best], "o", color="C0", label=least)
            label = f"suggestion {self.suggestion:.2g}"
            ax.axvline(self.suggestion, color="C3", linestyle="--", label=label)
        low = float(self.smoothed.min())
        top = self.start
        margin = max(top - low, 0.05 * abs(top), 1e-12)
        ax.set(
            xscale="log", xlabel="Learning rate", ylabel="Loss", title="Learning-rate range test",
            ylim=(low - 0.15 * margin, top + 0.5 * margin),
        )  # fmt: skip
        readable_log_ticks(ax.xaxis)
        ax.legend()
        return ax


@checks.explained
def find_learning_rate(
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
) -> RangeTest:
    """Find a learning rate by the range test: train while the rate rises, and watch the loss.

    A copy of the net is trained on mini-batches, in its dtype and with its optimiser, starting
    from its current parameters and state; the net itself is not changed. The rate rises
    exponentially from one update to the next. The losses are smoothed by a running mean with bias
    correction.

    Parameters
    ----------
    net : MLP
    X, y : array-like
    sample_weight : array-like, optional
        As in `MLP.fit`.
    min_rate, max_rate : float, default=1e-06 and 10.0
        First and last learning rate. A schedule of the optimiser is not used; the rates of its
        groups keep their ratio to the rate.
    updates : int, default=200
        Number of updates from the first rate to the last, at least 10.
    batch_size : int, default=32
        Use the batch size of the later training. The rows are shuffled in each epoch.
    smoothing : float, default=0.9
        Decay of the running mean: below 1 and at least 0, which is no smoothing.
    divergence : float, default=4.0
        Above 1. The test ends when the smoothed loss exceeds its minimum by more than
        ``divergence - 1`` times the minimum, or times its fall so far if that is larger.
    seed : int or None, default=0
        Seed for the order of the rows; None draws a new one.

    Returns
    -------
    RangeTest

    Raises
    ------
    ValueError, TypeError
        Bad input, or `max_rate` not above `min_rate`.

    Notes
    -----
    Smith, "Cyclical learning rates for training neural networks", WACV 2017, section 3.3; a tenth
    of the rate with the least loss, and the end on divergence, as in fastai. Where the loss has a
    flat bottom that rate is a matter of chance, hence the two rules of `suggestion`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, SGD, find_learning_rate
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> net = MLP((3, 16, 1), optimizer=SGD(), seed=0)
    >>> found = find_learning_rate(net, X, X[:, 0] * X[:, 1])
    >>> net.optimizer = SGD(found.suggestion)
    """
    check_trainable(check_net(net).activations)
    low, high = checks.positive("min_rate", min_rate), checks.positive("max_rate", max_rate)
    if low >= high:
        raise ValueError(f"max_rate must be above min_rate, {min_rate}; got {max_rate}")
    updates = checks.count("updates", updates, 10)
    batch_size = checks.count("batch_size", batch_size)
    beta = checks.number("smoothing", smoothing, "at least 0 and below 1", lambda x: 0 <= x < 1)
    factor = checks.number("divergence", divergence, "a finite number above 1", lambda x: x > 1)
    checks.refuse_sparse("X", X, "find_learning_rate")
    data, rows = rows_to_train_on(X, y, sample_weight, net)
    inputs = data.inputs.reshape(rows, -1)
    targets = checks.numbers("y", y)
    given = weights_of(data)
    weights = None if given is None else scaled_to_mean_1(given)  # as a fit takes them
    twin = twin_of(net)
    first = int(twin.state.scalars[UPDATES])
    ratio = (high / low) ** (1 / (updates - 1))
    twin.optimizer = with_schedule(net.optimizer, lambda n: low * ratio ** (n - first))
    losses = []
    smoothed = []
    mean = 0.0
    diverged = False
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
        margin = (factor - 1) * max(abs(best), smoothed[0] - best)
        diverged = bool(caught) or smoothed[-1] > best + margin
        if diverged:
            break
    if not losses:
        raise ValueError(
            "the loss of the first batch is not finite; check net.params and scale the inputs"
        )
    noise = 3 * math.sqrt((1 - beta) / (1 + beta))
    return _result(low, ratio, np.array(losses), np.array(smoothed), diverged, noise)


def _batches(rows: int, batch_size: int, count: int, seed: int | None) -> Any:
    """Row indices of `count` batches, shuffled in each epoch."""
    generator = checks.generator(seed)
    order = np.empty(0, np.int64)
    at = 0
    for _ in range(count):
        if at + batch_size > len(order):
            order = generator.permutation(rows)
            at = 0
        yield order[at : at + batch_size]
        at += batch_size


def _early(count: int) -> int:
    """Index of the last update that shows the noise of the loss."""
    return min(max(5, int(STILL * count)), count - 1)


def _result(
    low: float, ratio: float, losses: FloatArray, smoothed: FloatArray, diverged: bool, noise: float
) -> RangeTest:
    """The result with the suggestion; a fall within `noise` standard deviations does not count."""
    rates = low * np.power(ratio, np.arange(len(losses), dtype=np.float64))
    early = _early(len(losses))
    still = losses[: early + 1]
    best = early + int(smoothed[early:].argmin())
    start = float(still.mean())
    fall = start - float(smoothed[best])
    if fall <= LEAST_FALL * abs(start) + noise * float(still.std()):
        return RangeTest(None, rates, losses, smoothed, diverged)
    fallen = float(rates[int((smoothed <= start - MOST_OF_THE_FALL * fall).argmax())])
    edge = float(rates[smoothed <= smoothed[best] + NEAR_THE_LEAST * fall][-1])
    suggestion = max(min(edge / BELOW_IT, fallen), low)
    return RangeTest(suggestion, rates, losses, smoothed, diverged)
