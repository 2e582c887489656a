"""`fit` with a method that takes all rows at once: iterations, what they leave, how they end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from fastbp import checks
from fastbp.fit import data
from fastbp.fit.between_epochs import Hooks, Options
from fastbp.fit.callbacks import LearningRateSchedule, ReduceOnPlateau
from fastbp.fit.data import Examples
from fastbp.fit.fit import rows_in_memory
from fastbp.fit.history import History
from fastbp.fit.limits import LIMITS, Clock, Limits
from fastbp.fit.sources import is_in_memory
from fastbp.fit.warn import DivergenceWarning, warn
from fastbp.machine.jit import without_compiling
from fastbp.methods.algorithms import as_method
from fastbp.methods.method import Method, NotFiniteError
from fastbp.methods.objective import Objective
from fastbp.model.net import Net

COLUMNS = ("gradient_norm", "step_size", "evaluations")
"""Columns of the history, instead of "learning_rate"; a method may have more."""


class _OutOfTimeError(Exception):
    """The time has run out within an iteration."""


def fit(
    net: Net, examples: Examples, method: str | Method, epochs: int, shuffle: bool,
    options: Options, begin: Callable[[History], None] | None = None, limits: Limits = LIMITS,
    clock: Clock = time.perf_counter,
) -> History:  # fmt: skip
    """`MLP.fit` with a method.

    Parameters
    ----------
    net, examples, method, epochs, shuffle, options
        As in `MLP.fit`.
    begin : callable, optional
        Is given the history when all is checked and the callbacks have begun.
    limits : Limits
    clock : callable
    """
    method = as_method(method)
    epochs = checks.count("epochs", epochs, 0, 2**31 - 1)
    shuffle = checks.flag("shuffle", shuffle)
    data.check_trainable(net.activations)
    _check_deterministic(net, method)
    method.check(net)
    columns = (*COLUMNS, *method.columns)
    if not is_in_memory(examples, limits):
        raise ValueError(
            f"method={method.name!r} takes all rows at once, from memory; got "
            + ("an iterable of batches" if examples.y is None else "an array on disk")
            + ". Leave method out, or pass arrays X and y"
        )
    (rows, count), hooks, _ = rows_in_memory(net, examples, epochs, shuffle, options, limits, clock)
    history = History() if hooks is None else hooks.fit.history
    if hooks is not None:
        _check_callbacks(hooks, method)
        history.other_columns = {name: [] for name in (*hooks.evaluate.names, *columns)}
    with hooks if hooks is not None and epochs else nullcontext():
        if begin is not None:
            begin(history)
        if epochs:
            rows = data.to_evaluate(rows)
            objective = Objective(net, rows, count, net.optimizer_state(), _deadline(hooks))
            iterations = _Iterations(objective, history, hooks, epochs, method.tolerance)
            for name in columns:
                history.other_columns.setdefault(name, [])
            _run(iterations, method)
    return history


def check_alone(batch_size: Any, augment: Any) -> None:
    """Raise a ValueError for options of mini-batches beside a method."""
    for name, value in (("batch_size", batch_size), ("augment", augment)):
        if value is not None:
            raise ValueError(
                f"a method takes all rows at once, as they are; got {name}={value!r}. Leave "
                f"{name} out, or leave method out to train on mini-batches"
            )


def _check_deterministic(net: Net, method: Method) -> None:
    """Raise a ValueError for what is not part of the loss, or makes it random."""
    regularization = net.regularization
    limits = ("clip_value", "clip_norm", "max_norm")
    given = [name for name in limits if getattr(regularization, name) is not None]
    given += [
        name for name in ("dropout", "input_dropout") if np.any(getattr(regularization, name))
    ]
    given += ["l1"] if method.smooth_only and regularization.l1 > 0 else []
    if given:
        raise ValueError(
            f"method={method.name!r} minimises a {'smooth ' * method.smooth_only}function of the "
            f"parameters and cannot be used with {' and '.join(given)}. Make the net without, or "
            "leave method out"
        )


def _check_callbacks(hooks: Hooks, method: Method) -> None:
    for callback in hooks.callbacks:
        if isinstance(callback, LearningRateSchedule | ReduceOnPlateau):
            raise ValueError(
                f"{type(callback).__name__} sets the optimizer's learning rate, which "
                f"method={method.name!r} does not use. Leave one of them out"
            )


def _deadline(hooks: Hooks | None) -> Any:
    """What looks at the clock before each evaluation, None where that is not needed."""
    if hooks is None or hooks.deadline == math.inf:
        return None

    def look() -> None:
        if hooks.out_of_time():
            raise _OutOfTimeError

    return look


class _Iterations:
    """Writes down each iteration, calls the hooks, says when to stop.

    Parameters
    ----------
    objective : Objective
    history : History
    hooks : Hooks or None
    epochs : int
        Iterations at the most.
    tolerance : float
        The largest partial derivative at which to stop.
    """

    def __init__(
        self, objective: Objective, history: History, hooks: Hooks | None, epochs: int,
        tolerance: float,
    ) -> None:  # fmt: skip
        self.objective = objective
        self.history = history
        self.hooks = hooks
        self.epochs = epochs
        self.tolerance = tolerance
        self.kept = objective.params.copy()
        self.changed = False
        self.clock = without_compiling(time.perf_counter)
        self.start = 0.0
        self._change = np.empty_like(objective.params)
        self._frozen = objective.net.frozen.copy()

    def begin(self) -> None:
        """Evaluate where the parameters are."""
        self.start = self.clock()
        self.changed = False
        if not math.isfinite(self.objective()):
            raise NotFiniteError
        self._look_for_the_end()

    def end(self, **others: float) -> bool:
        """Take in an iteration, with the method's own columns; whether it must stop."""
        objective = self.objective
        params = objective.params
        square = objective.dot(objective.grad, objective.grad)
        if not math.isfinite(square):
            raise NotFiniteError
        objective.combine(self._change, params, self.kept, 1.0, -1.0)
        self.kept[:] = params
        self.history.add(
            objective.loss,
            self.clock() - self.start,
            gradient_norm=math.sqrt(square),
            step_size=math.sqrt(objective.dot(self._change, self._change)),
            evaluations=float(objective.evaluations),
            **others,
        )
        if self.hooks is not None:
            self.hooks.end_epoch()
            frozen = objective.net.frozen
            self.changed = not (
                np.array_equal(params, self.kept) and np.array_equal(frozen, self._frozen)
            )
            self.kept[:] = params
            self._frozen[:] = frozen
        self._look_for_the_end()
        self.start = self.clock()
        return self.over or self.changed

    @property
    def over(self) -> bool:
        """Whether there is to be no further iteration."""
        return bool(self.history.stop_reason) or len(self.history) == self.epochs

    def _look_for_the_end(self) -> None:
        largest = float(np.abs(self.objective.grad).max())
        if largest <= self.tolerance and not self.changed:
            self.stop(
                f"converged after iteration {len(self.history)}: the largest partial derivative "
                f"is {largest:.2g}, the tolerance {self.tolerance:g}"
            )

    def stop(self, reason: str) -> None:
        """Keep the first reason."""
        self.history.stop_reason = self.history.stop_reason or reason


def _run(iterations: _Iterations, method: Method) -> None:
    """Iterate; the parameters are always those after the last iteration, or what hooks restore."""
    params = iterations.objective.params
    try:
        iterations.begin()
        while not iterations.over:
            reason = method.minimise(iterations.objective, iterations.end)
            if reason:
                iterations.stop(reason)
            elif iterations.changed and not iterations.over:
                iterations.begin()
        params[:] = iterations.kept
    except _OutOfTimeError:
        params[:] = iterations.kept
    except NotFiniteError:
        params[:] = iterations.kept
        _diverged(iterations)
    except BaseException:
        params[:] = iterations.kept
        raise


def _diverged(iterations: _Iterations) -> None:
    history = iterations.history
    hooks = iterations.hooks
    kept = "the last finite iteration"
    number = len(history) + 1
    iterations.stop(f"diverged in iteration {number}")
    if hooks is not None:
        hooks.end()
        if hooks.fit.restored_epoch:
            kept = f"iteration {hooks.fit.restored_epoch}, the best"
    warn(
        f"training diverged in iteration {number}: the loss or its gradient is not finite. The "
        f"parameters are those after {kept}. Scale the inputs, or make the net anew",
        DivergenceWarning,
    )
