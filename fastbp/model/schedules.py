"""Learning rates that change from update to update.

Updates are counted from 0, over all calls of a net that update it. Each schedule is a small
immutable object; called with an array of update indices, it returns the rate of each update.
A length may be given in epochs instead, whose updates `fit` knows.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastbp import checks

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

MOST_UPDATES = 2**53
"""Indices of updates up to this one are exact in float64."""
NOMINAL_UPDATES = 1000
"""Updates of an epoch for checks, before a fit says how many there are."""


class Schedule(ABC):
    """The base of all schedules; a subclass may be any function of the updates' indices.

    Examples
    --------
    >>> from fastbp import MLP, Adam, Schedule
    >>> class Sawtooth(Schedule):
    ...     def __call__(self, updates):
    ...         return 1e-3 * (1 + updates % 100 / 100)
    >>> net = MLP((1, 8, 1), optimizer=Adam(Sawtooth()), seed=0)
    >>> net.fit([[0], [1]], [0, 1], epochs=150, batch_size=2)["learning_rate"][-1]
    0.00149
    """

    @abstractmethod
    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates.

        Parameters
        ----------
        updates : array of int64, or int
            Indices of updates, counted from 0.

        Returns
        -------
        array of float64
            One rate per update.
        """

    def in_updates(self, updates_an_epoch: int) -> Schedule:
        """The same schedule with its lengths in updates; itself where it has none in epochs.

        Parameters
        ----------
        updates_an_epoch : int
            ``ceil(rows / batch_size)``.
        """
        return self


Rate = float | Schedule | Callable[[int], float]


class WithLength(Schedule):
    """The base of schedules with a length, in updates or in epochs.

    Epochs are those of the `fit` that runs, each of ``ceil(rows / batch_size)`` updates.
    """

    epochs: int | None
    length: ClassVar[str]
    """The parameter that is the length in updates."""

    def __repr__(self) -> str:
        given = {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore
        shown = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"{type(self).__name__}({', '.join(shown)})"

    def in_updates(self, updates_an_epoch: int) -> Schedule:
        """The same schedule with its length in updates."""
        if self.epochs is None:
            return self
        changed: Any = {self.length: self.epochs * updates_an_epoch, "epochs": None}
        return replace(self, **changed)  # type: ignore[type-var]

    def _check_length(self, least: int = 1) -> None:
        updates = getattr(self, self.length)
        if (updates is None) == (self.epochs is None):
            raise ValueError(
                f"{type(self).__name__} must have either {self.length}, its length in updates, or "
                f"epochs; got {self.length}={updates!r} and epochs={self.epochs!r}"
            )
        if self.epochs is None:
            checks.count(self.length, updates, least, MOST_UPDATES)
        else:
            checks.count("epochs", self.epochs, 1, MOST_UPDATES // NOMINAL_UPDATES)

    def _updates(self) -> int:
        """The length in updates.

        Raises
        ------
        ValueError
            When it is in epochs.
        """
        if self.epochs is not None:
            raise ValueError(
                f"{self!r} counts epochs, and only fit knows how many updates an epoch has; got "
                f"no fit over rows of a known number. Give {self.length}, which must be in "
                "updates, or ask in_updates(updates_an_epoch) for such a schedule"
            )
        updates: int = getattr(self, self.length)
        return updates


@checks.explained_class
@dataclass(frozen=True, repr=False)
class StepDecay(WithLength):
    """``initial_rate`` times ``factor`` after each `every` updates.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    every : int, optional
        Updates from one step to the next, at least 1.
    factor : float, default=0.1
        Above 0.
    epochs : int, optional
        Epochs from one step to the next, instead of `every`.

    Notes
    -----
    StepLR of PyTorch.

    Examples
    --------
    >>> from fastbp import StepDecay
    >>> StepDecay(0.8, every=2, factor=0.5)([0, 1, 2, 3, 4]).tolist()
    [0.8, 0.8, 0.4, 0.4, 0.2]
    """

    initial_rate: float
    every: int | None = None
    factor: float = 0.1
    epochs: int | None = field(default=None, kw_only=True)

    length: ClassVar[str] = "every"

    def __post_init__(self) -> None:
        checks.positive("initial_rate", self.initial_rate)
        self._check_length()
        checks.positive("factor", self.factor)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        return self.initial_rate * np.power(
            float(self.factor), _indices(updates) // self._updates()
        )


@checks.explained_class
@dataclass(frozen=True, repr=False)
class ExponentialDecay(WithLength):
    """``initial_rate factor^(t / every)``, falling with each update t.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    factor : float
        Above 0.
    every : int, optional
        Updates in which the rate is multiplied by `factor`; 1 by default.
    epochs : int, optional
        Epochs in which the rate is multiplied by `factor`, instead of `every`.

    Notes
    -----
    ExponentialLR of PyTorch, ExponentialDecay of Keras.

    Examples
    --------
    >>> from fastbp import ExponentialDecay
    >>> ExponentialDecay(0.8, factor=0.5)([0, 1, 2]).tolist()
    [0.8, 0.4, 0.2]
    """

    initial_rate: float
    factor: float
    every: int | None = None
    epochs: int | None = field(default=None, kw_only=True)

    length: ClassVar[str] = "every"

    def __post_init__(self) -> None:
        checks.positive("initial_rate", self.initial_rate)
        checks.positive("factor", self.factor)
        if self.every is None and self.epochs is None:
            object.__setattr__(self, "every", 1)
        self._check_length()

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        return self.initial_rate * np.power(float(self.factor), _indices(updates) / self._updates())


@checks.explained_class
@dataclass(frozen=True, repr=False)
class CosineDecay(WithLength):
    """Half a cosine from `initial_rate` down to `min_rate`, once or with warm restarts.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    period : int, optional
        Updates of the first descent, at least 1. Without `restarts` the rate then stays at
        `min_rate`.
    min_rate : float, default=0.0
        From 0 to `initial_rate`.
    restarts : bool, default=False
        Whether the rate begins again at `initial_rate` after each descent.
    growth : int, default=1
        Each descent takes this many times the updates of the one before. Values other than 1 need
        `restarts`.
    epochs : int, optional
        Epochs of the first descent, instead of `period`.

    Notes
    -----
    Loshchilov and Hutter, ICLR 2017, equation 5; CosineAnnealingLR (up to its first end) and
    CosineAnnealingWarmRestarts of PyTorch.

    Examples
    --------
    >>> from fastbp import Adam, CosineDecay
    >>> CosineDecay(0.1, period=4)([0, 2, 4, 6]).round(3).tolist()
    [0.1, 0.05, 0.0, 0.0]

    `fit` knows how many updates an epoch has:

    >>> optimizer = Adam(CosineDecay(0.01, epochs=100, min_rate=1e-4))
    """

    initial_rate: float
    period: int | None = None
    min_rate: float = 0.0
    restarts: bool = False
    growth: int = 1
    epochs: int | None = field(default=None, kw_only=True)

    length: ClassVar[str] = "period"

    def __post_init__(self) -> None:
        highest = checks.positive("initial_rate", self.initial_rate)
        self._check_length()
        checks.at_least_zero("min_rate", self.min_rate)
        if self.min_rate > highest:
            raise ValueError(
                f"min_rate must be at most initial_rate, {self.initial_rate}; got {self.min_rate}"
            )
        checks.flag("restarts", self.restarts)
        if checks.count("growth", self.growth, 1, MOST_UPDATES) > 1 and not self.restarts:
            raise ValueError(f"growth={self.growth} needs restarts=True")

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        t = _indices(updates)
        period = self._updates()
        share = t / period
        if not self.restarts:
            share = np.minimum(share, 1.0)
        elif self.growth == 1:
            share = t % period / period
        else:  # period i begins at update period (growth^i - 1) / (growth - 1)
            last = int(t.max(initial=0))
            starts = [0]
            lengths = [period]
            while starts[-1] + lengths[-1] <= last:
                starts.append(starts[-1] + lengths[-1])
                lengths.append(lengths[-1] * self.growth)
            at = np.searchsorted(starts, t, side="right") - 1
            share = (t - np.asarray(starts)[at]) / np.asarray(lengths, np.float64)[at]
        return _cosine(self.initial_rate, self.min_rate, share)


@checks.explained_class
@dataclass(frozen=True)
class InverseScaling(Schedule):
    """``initial_rate / (t + 1)^power``.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    power : float, default=0.5
        Above 0.

    Notes
    -----
    learning_rate="invscaling" of scikit-learn, which counts samples for t; here t counts updates.

    Examples
    --------
    >>> from fastbp import InverseScaling
    >>> InverseScaling(0.1)([0, 3, 99]).round(3).tolist()
    [0.1, 0.05, 0.01]
    """

    initial_rate: float
    power: float = 0.5

    def __post_init__(self) -> None:
        checks.positive("initial_rate", self.initial_rate)
        checks.positive("power", self.power)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        powers: FloatArray = np.power(_indices(updates) + 1.0, float(self.power))
        return self.initial_rate / powers


@checks.explained_class
@dataclass(frozen=True, repr=False)
class OneCycle(WithLength):
    """Up to `max_rate` along half a cosine, then down along another to nearly nothing.

    Parameters
    ----------
    max_rate : float
        Above 0.
    total : int, optional
        Updates of the whole cycle, at least 2; after them the rate stays at the last one.
    pct_start : float, default=0.3
        Share of the updates during which the rate rises, from 0 to 1.
    div_factor : float, default=25.0
        The first rate is ``max_rate / div_factor``.
    final_div_factor : float, default=1e4
        The last rate is ``max_rate / div_factor / final_div_factor``.
    epochs : int, optional
        Epochs of the whole cycle, instead of `total`.

    Notes
    -----
    Smith and Topin 2018 (arXiv:1708.07120) in the form of PyTorch's OneCycleLR with two phases
    and cosines; its momentum stays as it is.

    Examples
    --------
    >>> from fastbp import OneCycle
    >>> OneCycle(1.0, total=10)([0, 2, 5, 9]).round(3).tolist()
    [0.04, 1.0, 0.611, 0.0]
    """

    max_rate: float
    total: int | None = None
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    epochs: int | None = field(default=None, kw_only=True)

    length: ClassVar[str] = "total"

    def __post_init__(self) -> None:
        checks.positive("max_rate", self.max_rate)
        self._check_length(2)
        checks.at_least_zero("pct_start", self.pct_start)
        if self.pct_start > 1:
            raise ValueError(f"pct_start must be from 0 to 1; got {self.pct_start}")
        checks.positive("div_factor", self.div_factor)
        checks.positive("final_div_factor", self.final_div_factor)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        total = self._updates()
        end = total - 1.0
        peak = self.pct_start * total - 1.0
        t = np.minimum(_indices(updates), end)
        first = self.max_rate / self.div_factor
        up = _cosine(first, self.max_rate, t / peak if peak > 0 else np.ones_like(t))
        share = (t - peak) / (end - peak) if peak < end else np.zeros_like(t)
        down = _cosine(self.max_rate, first / self.final_div_factor, share)
        return np.where(t <= peak, up, down)


@checks.explained_class
@dataclass(frozen=True, repr=False)
class WarmUp(WithLength):
    """A straight line up to a rate, then that rate or another schedule.

    Update t of the first `updates` takes ``(t + 1) / (updates + 1)`` of the first rate of `then`,
    which counts its own updates from 0.

    Parameters
    ----------
    then : float, Schedule or callable
        The rate or schedule that follows.
    updates : int, optional
        Number of updates in the line, at least 1.
    epochs : int, optional
        Number of epochs in the line, instead of `updates`.

    Notes
    -----
    Goyal et al. 2017 (arXiv:1706.02677), section 2.2.

    Examples
    --------
    >>> from fastbp import CosineDecay, WarmUp
    >>> WarmUp(0.1, updates=4)([0, 1, 2, 3, 4, 5]).round(2).tolist()
    [0.02, 0.04, 0.06, 0.08, 0.1, 0.1]
    >>> schedule = WarmUp(CosineDecay(0.1, epochs=45), epochs=5)
    """

    then: Rate
    updates: int | None = None
    epochs: int | None = field(default=None, kw_only=True)

    length: ClassVar[str] = "updates"

    def __post_init__(self) -> None:
        check_rate("then", self.then)
        self._check_length()

    def in_updates(self, updates_an_epoch: int) -> Schedule:
        """The same schedule with its length, and that of what follows, in updates."""
        then = rate_in_updates(self.then, updates_an_epoch)
        line = self if then is self.then else replace(self, then=then)
        return super(WarmUp, line).in_updates(updates_an_epoch)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        t = _indices(updates)
        length = self._updates()
        share = np.minimum((t + 1.0) / (length + 1.0), 1.0)
        rates: FloatArray = rates_at(self.then, np.maximum(t - length, 0)) * share
        return rates


@checks.explained_class
@dataclass(frozen=True)
class ScaledSchedule(Schedule):
    """Another schedule times a factor.

    Parameters
    ----------
    schedule : float, Schedule or callable
        The rate or schedule that is multiplied.
    factor : float
        Above 0.

    Examples
    --------
    >>> from fastbp import ScaledSchedule, StepDecay
    >>> ScaledSchedule(StepDecay(0.8, every=2, factor=0.5), 0.1)([0, 2]).round(3).tolist()
    [0.08, 0.04]
    """

    schedule: Rate
    factor: float

    def __post_init__(self) -> None:
        check_rate("schedule", self.schedule)
        checks.positive("factor", self.factor)

    def in_updates(self, updates_an_epoch: int) -> Schedule:
        """The same schedule with the lengths of the other one in updates."""
        schedule = rate_in_updates(self.schedule, updates_an_epoch)
        return self if schedule is self.schedule else replace(self, schedule=schedule)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        return rates_at(self.schedule, _indices(updates)) * self.factor


def check_rate(name: str, value: Any) -> None:
    """Raise unless `value` is a number above 0, a schedule, or a function of an update's index."""
    if callable(value) and not isinstance(value, type):
        rates_of(rate_in_updates(value, NOMINAL_UPDATES), 0, 1)
    else:
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(
                f"{name} must be a number above 0, a schedule such as CosineDecay(0.01, 1000), or "
                f"a function of the update's index; got {checks.described(value)}"
                f"{checks.instead('learning_rate', value, (), Schedule)}"
            )
        checks.number(name, value, "a finite number above 0 or a schedule", lambda x: x > 0)


def rate_in_updates(rate: Rate, updates_an_epoch: int) -> Rate:
    """A rate whose lengths are in updates; itself where none is in epochs."""
    return rate.in_updates(updates_an_epoch) if isinstance(rate, Schedule) else rate


def counts_epochs(rate: Rate) -> bool:
    """Whether a rate has a length in epochs, so that only a fit can tell its values."""
    return rate_in_updates(rate, NOMINAL_UPDATES) is not rate


def rates_of(learning_rate: Rate, first: int, count: int) -> FloatArray:
    """Learning rates of `count` updates, beginning with update `first`.

    Parameters
    ----------
    learning_rate : float, Schedule or callable
        A callable that is not a Schedule is called with one index at a time, a Python int.
    first, count : int
        Updates are counted from 0.

    Returns
    -------
    array of float64, shape (count,)

    Raises
    ------
    ValueError, TypeError
        When a rate is not a finite number of at least 0.
    """
    return rates_at(learning_rate, np.arange(first, first + count, dtype=np.int64))


def rates_at(learning_rate: Rate, updates: IntArray) -> FloatArray:
    """Learning rates of any updates, in the shape of `updates`; otherwise as `rates_of`."""
    if isinstance(learning_rate, Schedule):
        with np.errstate(over="ignore"):  # checked below
            rates = np.asarray(learning_rate(updates), np.float64)
        if rates.shape != updates.shape:
            raise ValueError(
                f"{learning_rate!r} must give one rate for each update; for {updates.shape} "
                f"updates it gave shape {rates.shape}"
            )
    elif callable(learning_rate):
        indices = updates.reshape(-1).tolist()
        given = [learning_rate(index) for index in indices]
        for index, rate in zip(indices, given, strict=True):
            if isinstance(rate, bool) or not isinstance(
                rate, int | float | np.integer | np.floating
            ):
                raise TypeError(
                    f"the learning rate must be a finite number of at least 0 in each update; "
                    f"for update {index} the function returned {rate!r}"
                )
        rates = np.array(given, np.float64).reshape(updates.shape)
    else:
        check_rate("learning_rate", learning_rate)
        rates = np.full(updates.shape, learning_rate, np.float64)
    bad = ~(np.isfinite(rates) & (rates >= 0))
    if bad.any():
        index = int(updates[bad].flat[0])
        rate = float(rates[bad].flat[0])
        raise ValueError(
            f"the learning rate must be a finite number of at least 0 in each update; for update "
            f"{index} {learning_rate!r} gives {rate}"
        )
    return rates


def _indices(updates: npt.ArrayLike) -> IntArray:
    return np.asarray(updates, np.int64)


def _cosine(start: float, end: float, share: FloatArray) -> FloatArray:
    """Along half a cosine from `start`, where `share` is 0, to `end`, where it is 1."""
    return end + (start - end) * (1.0 + np.cos(math.pi * share)) / 2.0
