"""Learning rates that change from update to update.

Updates are counted from 0, over all calls of a net that update it. Each schedule is a small
immutable object; called with an array of update indices, it returns the rate of each update.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

MOST_UPDATES = 2**53
"""Indices of updates up to this one are exact in float64."""


class Schedule(ABC):
    """The base of all schedules; a subclass may be any function of the updates' indices."""

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


Rate = float | Schedule | Callable[[int], float]


@dataclass(frozen=True)
class StepDecay(Schedule):
    """``initial_rate`` times ``factor`` after each `every` updates.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    every : int
        Updates from one step to the next, at least 1.
    factor : float, default=0.1
        Above 0.

    Notes
    -----
    StepLR of PyTorch.
    """

    initial_rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        checks.positive("initial_rate", self.initial_rate)
        checks.count("every", self.every, 1, MOST_UPDATES)
        checks.positive("factor", self.factor)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        return self.initial_rate * np.power(float(self.factor), _indices(updates) // self.every)


@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """``initial_rate factor^(t / every)``, falling with each update t.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    factor : float
        Above 0; what the rate is multiplied by in `every` updates.
    every : int, default=1

    Notes
    -----
    ExponentialLR of PyTorch, ExponentialDecay of Keras.
    """

    initial_rate: float
    factor: float
    every: int = 1

    def __post_init__(self) -> None:
        checks.positive("initial_rate", self.initial_rate)
        checks.positive("factor", self.factor)
        checks.count("every", self.every, 1, MOST_UPDATES)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        return self.initial_rate * np.power(float(self.factor), _indices(updates) / self.every)


@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a cosine from `initial_rate` down to `min_rate`, once or with warm restarts.

    Parameters
    ----------
    initial_rate : float
        Above 0.
    period : int
        Updates of the first descent, at least 1. Afterwards the rate stays at `min_rate` or, with
        `restarts`, begins again at `initial_rate`.
    min_rate : float, default=0.0
        From 0 to `initial_rate`.
    restarts : bool, default=False
    growth : int, default=1
        Each descent takes this many times the updates of the one before. Values other than 1 need
        `restarts`.

    Notes
    -----
    Loshchilov and Hutter, ICLR 2017, equation 5; CosineAnnealingLR (up to its first end) and
    CosineAnnealingWarmRestarts of PyTorch.
    """

    initial_rate: float
    period: int
    min_rate: float = 0.0
    restarts: bool = False
    growth: int = 1

    def __post_init__(self) -> None:
        highest = checks.positive("initial_rate", self.initial_rate)
        checks.count("period", self.period, 1, MOST_UPDATES)
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
        share = t / self.period
        if not self.restarts:
            share = np.minimum(share, 1.0)
        elif self.growth == 1:
            share = t % self.period / self.period
        else:  # period i begins at update period (growth^i - 1) / (growth - 1)
            last = int(t.max(initial=0))
            starts = [0]
            lengths = [self.period]
            while starts[-1] + lengths[-1] <= last:
                starts.append(starts[-1] + lengths[-1])
                lengths.append(lengths[-1] * self.growth)
            at = np.searchsorted(starts, t, side="right") - 1
            share = (t - np.asarray(starts)[at]) / np.asarray(lengths, np.float64)[at]
        return _cosine(self.initial_rate, self.min_rate, share)


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


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to `max_rate` along half a cosine, then down along another to nearly nothing.

    Parameters
    ----------
    max_rate : float
        Above 0.
    total : int
        Updates of the whole cycle, at least 2; after them the rate stays at the last one. One
        epoch has ``ceil(rows / batch_size)`` updates.
    pct_start : float, default=0.3
        Share of the updates during which the rate rises, from 0 to 1.
    div_factor : float, default=25.0
        The first rate is ``max_rate / div_factor``.
    final_div_factor : float, default=1e4
        The last rate is ``max_rate / div_factor / final_div_factor``.

    Notes
    -----
    Smith and Topin 2018 (arXiv:1708.07120) in the form of PyTorch's OneCycleLR with two phases
    and cosines; its momentum stays as it is.
    """

    max_rate: float
    total: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        checks.positive("max_rate", self.max_rate)
        checks.count("total", self.total, 2, MOST_UPDATES)
        checks.at_least_zero("pct_start", self.pct_start)
        if self.pct_start > 1:
            raise ValueError(f"pct_start must be from 0 to 1; got {self.pct_start}")
        checks.positive("div_factor", self.div_factor)
        checks.positive("final_div_factor", self.final_div_factor)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        end = self.total - 1.0
        peak = self.pct_start * self.total - 1.0
        t = np.minimum(_indices(updates), end)
        first = self.max_rate / self.div_factor
        up = _cosine(first, self.max_rate, t / peak if peak > 0 else np.ones_like(t))
        share = (t - peak) / (end - peak) if peak < end else np.zeros_like(t)
        down = _cosine(self.max_rate, first / self.final_div_factor, share)
        return np.where(t <= peak, up, down)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line up to a rate, then that rate or another schedule.

    Update t of the first `updates` takes ``(t + 1) / (updates + 1)`` of the first rate of `then`,
    which counts its own updates from 0.

    Parameters
    ----------
    then : float, Schedule or callable
        The rate or schedule that follows.
    updates : int
        Number of updates in the line, at least 1.

    Notes
    -----
    Goyal et al. 2017 (arXiv:1706.02677), section 2.2.
    """

    then: Rate
    updates: int

    def __post_init__(self) -> None:
        check_rate("then", self.then)
        checks.count("updates", self.updates, 1, MOST_UPDATES)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        t = _indices(updates)
        share = np.minimum((t + 1.0) / (self.updates + 1.0), 1.0)
        rates: FloatArray = rates_at(self.then, np.maximum(t - self.updates, 0)) * share
        return rates


@dataclass(frozen=True)
class Scaled(Schedule):
    """Another schedule times a factor.

    Parameters
    ----------
    schedule : float, Schedule or callable
    factor : float
        Above 0.
    """

    schedule: Rate
    factor: float

    def __post_init__(self) -> None:
        check_rate("schedule", self.schedule)
        checks.positive("factor", self.factor)

    def __call__(self, updates: npt.ArrayLike) -> FloatArray:
        """Learning rates of some updates."""
        return rates_at(self.schedule, _indices(updates)) * self.factor


def check_rate(name: str, value: Any) -> None:
    """Raise unless `value` is a number above 0, a schedule, or a function of an update's index."""
    if callable(value) and not isinstance(value, type):
        rates_of(value, 0, 1)
    else:
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            raise TypeError(
                f"{name} must be a number above 0, a schedule such as CosineDecay(0.01, 1000), or "
                f"a function of the update's index; got {value!r}"
            )
        checks.number(name, value, "a finite number above 0 or a schedule", lambda x: x > 0)


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
