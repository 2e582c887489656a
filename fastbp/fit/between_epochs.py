"""What `fit` does between epochs when it is asked to: validation, metrics, callbacks, the clock."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from fastbp import checks
from fastbp.fit import data
from fastbp.fit.callbacks import Callback, Checkpoint, EarlyStopping, Fit, Progress, TimeLimit
from fastbp.fit.data import Examples
from fastbp.fit.evaluation import measured
from fastbp.fit.history import History
from fastbp.fit.limits import LIMITS, Clock, Limits
from fastbp.fit.metrics import Metric, is_named, named_metrics
from fastbp.fit.sources import is_in_memory


class Options(NamedTuple):
    """The options of `fit` that need control between epochs, as in `MLP.fit`."""

    validation_data: Any = None
    validation_fraction: float | None = None
    metrics: Any = ()
    patience: int | None = None
    min_delta: float = 0.0
    callbacks: Any = ()
    max_seconds: float | None = None
    verbose: int = 0

    def any_given(self) -> bool:
        """Whether one is not its default; quick, since every fit asks."""
        for given, default in zip(self, DEFAULTS, strict=True):
            if type(given) is not type(default) or given:
                return True
        return False


DEFAULTS = Options()


class Evaluation:
    """Measures a net after each epoch.

    Parameters
    ----------
    net : MLP
    metrics : dict of str to callable
    training : Examples
        Measured by the metrics alone; the loss of training comes with the epoch.
    validation : Examples or None
    limits : Limits
    """

    def __init__(
        self,
        net: Any,
        metrics: dict[str, Metric],
        training: Examples,
        validation: Examples | None,
        limits: Limits = LIMITS,
    ) -> None:
        self.net = net
        self.metrics = metrics
        self.training = training
        self.validation = validation
        self.limits = limits

    @property
    def names(self) -> list[str]:
        """What `__call__` measures."""
        names = [] if self.training.y is None else list(self.metrics)
        if self.validation is None:
            return names
        return [*names, "val_loss", *(f"val_{name}" for name in self.metrics)]

    def __call__(self) -> dict[str, float]:
        """The measured values by their names."""
        values: dict[str, float] = {}
        if self.training.y is not None:
            values |= measured(self.net, self.metrics, self.training, self.limits)
        if self.validation is not None:
            values["val_loss"] = self.net.loss(*self.validation)
            of_validation = measured(self.net, self.metrics, self.validation, self.limits)
            values |= {f"val_{name}": value for name, value in of_validation.items()}
        return values


class Hooks:
    """Runs callbacks around a fit, as a context, and after each of its epochs.

    Parameters
    ----------
    fit : Fit
    callbacks : list of Callback
    evaluate : Evaluation
    max_seconds : float
        From the creation of this object on.
    clock : callable
    """

    def __init__(
        self, fit: Fit, callbacks: list[Callback], evaluate: Evaluation, max_seconds: float,
        clock: Clock = time.perf_counter,
    ) -> None:  # fmt: skip
        self.fit = fit
        self.callbacks = callbacks
        self.evaluate = evaluate
        self.clock = clock
        self.deadline = clock() + max_seconds
        self.reason = f"max_seconds={max_seconds:g} ran out"
        self._begun: list[Callback] = []
        fit.history.other_columns = {name: [] for name in (*evaluate.names, "learning_rate")}

    def __enter__(self) -> Hooks:
        try:
            for callback in self.callbacks:
                self._begun.append(callback)
                callback.on_fit_begin(self.fit)
        except BaseException as error:
            self.end(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    def end(self, error: BaseException | None = None) -> None:
        """Tell the callbacks that the fit is over, each of them once, whatever they raise."""
        self.fit.error = failure = error
        while self._begun:
            callback = self._begun.pop(0)
            try:
                callback.on_fit_end(self.fit)
            except BaseException as another:
                if failure is None:
                    failure = another
                else:
                    failure.add_note(f"on_fit_end of {callback!r} failed too: {another!r}")
        if failure is not None and failure is not error:
            raise failure

    def end_epoch(self) -> None:
        """Measure, call the callbacks, look at the clock."""
        fit = self.fit
        history = fit.history
        fit.epoch = len(history)
        for name, value in self.evaluate().items():
            history.other_columns[name][-1] = value
        fit.losses = {name: history[name][-1] for name in history.names}
        for callback in self.callbacks:
            callback.on_epoch_end(fit)
        if fit.epoch < fit.epochs:
            self.out_of_time()

    def seconds_left(self) -> float:
        """Until the time runs out, at least 0."""
        return max(0.0, self.deadline - self.clock())

    def out_of_time(self) -> bool:
        """Whether the time has run out; then training stops."""
        if self.seconds_left() > 0:
            return False
        self.fit.stop(self.reason)
        return True


def prepare(
    net: Any, examples: Examples, shuffle: bool, epochs: int, options: Options,
    limits: Limits = LIMITS, clock: Clock = time.perf_counter,
) -> tuple[Hooks | None, Any]:  # fmt: skip
    """Check the options of `fit`, make the hooks that they need, split off validation rows.

    Parameters
    ----------
    net : MLP
    examples : Examples
        The rows to train on, checked; without y where they come from an iterable.
    shuffle : bool
        Whether validation rows are drawn at random; else they are the last.
    epochs : int
    options : Options
    limits : Limits
    clock : callable

    Returns
    -------
    hooks : Hooks or None
        None when there is nothing to do between epochs.
    kept : array of int, slice or None
        The rows to train on; None for all.

    Raises
    ------
    ValueError, TypeError
        Bad options; nothing has changed.
    """
    metrics = named_metrics(options.metrics)
    callbacks = _callbacks(options)
    verbose = checks.count("verbose", options.verbose, 0, 2)
    max_seconds = math.inf
    if options.max_seconds is not None:
        max_seconds = checks.positive("max_seconds", options.max_seconds)
    held = _held_rows(options, examples, limits)
    validation = None
    kept = None
    if options.validation_data is not None:
        validation = _validation(net, options.validation_data)
    checked = validation if examples.y is None else examples
    if metrics and checked is None:
        raise ValueError(
            "metrics beside batches are measured on the validation data; pass validation_data=(X, "
            "y)"
        )
    if checked is not None:  # shapes that do not fit are seen before a change
        named = {name: metric for name, metric in metrics.items() if is_named(metric)}
        measured(net, named, checked.take(slice(256)), limits)
    if not (validation or held or metrics or callbacks or verbose or max_seconds < math.inf):
        return None, None
    if held:
        kept, out = _split(len(examples.X), held, net.split_seed if shuffle else None)
        validation = examples.take(out)
        examples = examples.take(kept)
        try:
            for part in (examples, validation):
                if part.sample_weight is not None:
                    data.total_weight(part.sample_weight)
        except ValueError as error:
            raise ValueError(f"after the split by validation_fraction: {error}") from None
    evaluation = Evaluation(net, metrics, examples, validation, limits)
    hooks = Hooks(Fit(net, epochs, History()), callbacks, evaluation, max_seconds, clock)
    if max_seconds < math.inf:
        callbacks.insert(0, TimeLimit(hooks.reason))
    if verbose:
        callbacks.append(Progress(bar=verbose == 1))
    return hooks, kept


def _callbacks(options: Options) -> list[Callback]:
    given = options.callbacks
    if isinstance(given, Callback):
        given = [given]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(
            f"callbacks must be a list of Callback objects; got {checks.described(given)}"
            f"{checks.instead('callbacks', given, (), Callback)}"
        )
    callbacks = list(given)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"callbacks must be objects of classes derived from fastbp.Callback; got "
                f"{checks.described(callback)}"
                f"{checks.instead('callbacks', callback, (), Callback)}"
            )
    # What the others change after an epoch, such as the learning rate, is saved with it.
    callbacks.sort(key=lambda callback: isinstance(callback, Checkpoint))
    min_delta = checks.at_least_zero("min_delta", options.min_delta)
    if options.patience is not None:
        callbacks.insert(0, EarlyStopping(options.patience, min_delta))
    elif min_delta:
        raise ValueError(f"min_delta={min_delta:g} needs a patience, such as patience=10")
    return callbacks


def _held_rows(options: Options, examples: Examples, limits: Limits) -> int:
    """How many rows to hold out for validation."""
    if options.validation_fraction is None:
        return 0
    if not is_in_memory(examples, limits):
        raise ValueError(
            "validation_fraction needs rows in memory; pass validation_data=(X, y) beside batches "
            "or an array on disk"
        )
    rows = len(examples.X)
    fraction = checks.positive("validation_fraction", options.validation_fraction)
    if options.validation_data is not None:
        raise ValueError("pass validation_data or validation_fraction, not both")
    if fraction >= 1:
        raise ValueError(f"validation_fraction must be above 0 and below 1; got {fraction:g}")
    held = math.ceil(fraction * rows)
    if held >= rows:
        raise ValueError(
            f"validation_fraction must leave rows to train on; {fraction:g} of {rows} rows leaves "
            "none. Pass more rows or a smaller fraction"
        )
    return held


def _validation(net: Any, given: Any) -> Examples:
    """What the net's `loss` is to take, checked."""
    accepted = "validation_data must be a tuple (X, y) or (X, y, sample_weight)"
    if not isinstance(given, tuple | list):
        raise TypeError(f"{accepted}; got {type(given).__name__}")
    if len(given) not in (2, 3):
        raise ValueError(f"{accepted}; got {len(given)} parts")
    X, y, weights = Examples(*given)
    try:
        rows, _ = data.rows_and_targets(X, y, weights, net)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"validation_data: {error}") from None
    return data.examples_of(rows, y, net)


def _split(rows: int, held: int, seed: int | None) -> tuple[Any, Any]:
    """Rows to keep and rows to hold out: the last, or drawn at random.

    The draw follows from the arguments alone. A fit that goes on holds out the same rows as the one
    before: rows that were trained on would say nothing about others.
    """
    if seed is None:
        return slice(rows - held), slice(rows - held, rows)
    order = np.random.default_rng([seed, rows, held]).permutation(rows)
    return np.sort(order[held:]), np.sort(order[:held])
