"""`fit` and `step`: epochs of compiled calls, and what they leave, however they end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import numpy as np

from fastbp import checks
from fastbp.fit import data, one_step, sources
from fastbp.fit.between_epochs import Hooks, Options, prepare
from fastbp.fit.blocks import Blocks, Streamed, stream_of
from fastbp.fit.data import Examples, Job
from fastbp.fit.epochs import Epochs
from fastbp.fit.guard import Guard, is_finite_before
from fastbp.fit.history import History
from fastbp.fit.limits import LIMITS, Clock, Limits
from fastbp.fit.log import BlockLog, EpochLog
from fastbp.fit.one_step import Update
from fastbp.fit.prefetch import Prefetched
from fastbp.fit.warn import warn
from fastbp.kernels.entry import REFUSED
from fastbp.kernels.state import Data
from fastbp.kernels.training import FINISHED
from fastbp.machine.jit import without_compiling
from fastbp.model.net import Net
from fastbp.model.schedules import counts_epochs

SUSPICIOUS_LOSS = 1e8
"""A mean loss of the first epoch above which `fit` warns: errors of 10,000 and more."""


def fit(
    net: Net, examples: Examples, epochs: int, batch_size: int, shuffle: bool, options: Options,
    augment: Any = None, begin: Callable[[History], None] | None = None, limits: Limits = LIMITS,
    clock: Clock = time.perf_counter, before: History | None = None, threads: Any = None,
) -> History:  # fmt: skip
    """`MLP.fit` on mini-batches.

    Parameters
    ----------
    net, examples, epochs, batch_size, shuffle, options, augment
        As in `MLP.fit`.
    begin : callable, optional
        Is given the history when all is checked and the callbacks have begun.
    limits : Limits
    clock : callable
    before : History, optional
        The epochs that were done before; they count among `epochs`.
    threads : int, "auto" or None
        As in `MLP.fit`.
    """
    threads = checks.threads(net.threads if threads is None else threads)
    epochs = checks.count("epochs", epochs, 0, 2**31 - 1)
    batch_size = checks.count("batch_size", batch_size)
    shuffle = checks.flag("shuffle", shuffle)
    data.check_trainable(net.activations)
    functions = sources.augmentations(augment)
    if functions:
        checks.refuse_sparse("X", examples.X, "augment")
    source: sources.Source
    if sources.is_in_memory(examples, limits) and not isinstance(examples.X, Blocks):
        rows, hooks, examples = rows_in_memory(
            net, examples, epochs, shuffle, options, limits, clock
        )
        rows, examples = with_scaled_weights(rows, examples)
        if functions:
            pieces = sources.Rows(*examples, batch_size, shuffle, net.state.random, limits)
            source = _changed(net, pieces, functions)
        else:
            source = sources.Memory(*rows, batch_size, shuffle)
    else:
        stream = stream_of(net, examples, batch_size, shuffle, limits)
        hooks = _hooks_beside(net, stream, epochs, shuffle, options, limits, clock)
        source = _changed(net, stream, functions)
    if source.updates == 0:
        check_rate_beside(net, "batches of an iterable without a length")
    history = History() if hooks is None else hooks.fit.history
    if before:
        history.go_on(before)
        if hooks is not None:
            hooks.fit.epoch = len(history)
    left = max(0, epochs - len(history))
    with hooks if hooks is not None and left else nullcontext():
        if begin is not None:
            begin(history)
        if left and is_finite_before(net):
            history.restored_epoch = None
            with Guard(net, history, hooks) as guard:
                guard.status = _run(net, source, left, guard, hooks, limits, clock, threads)
    _warn_of_scale(history)
    return history


def _warn_of_scale(history: History) -> None:
    """Warn of a loss that falls, but from where it comes to nothing good."""
    if history.loss and history.loss[0] > SUSPICIOUS_LOSS and "diverged" not in history.stop_reason:
        warn(
            f"the mean loss of the first epoch was {history.loss[0]:.3g}: inputs or targets are "
            "far from a scale of 1, or the learning rate is too large. Scale each column, for "
            "instance to mean 0 and standard deviation 1; diagnose(net, X, y) looks for causes"
        )


def rows_in_memory(
    net: Net, examples: Examples, epochs: int, shuffle: bool, options: Options,
    limits: Limits = LIMITS, clock: Clock = time.perf_counter,
) -> tuple[tuple[Data, int], Hooks | None, Examples]:  # fmt: skip
    """The rows to train on, checked, and how many they are; the hooks; the rows as arrays."""
    rows, count = data.rows_to_train_on(*examples, net)
    data.check_dropout(net, rows)
    hooks = None
    whole = data.examples_of(rows, examples.y, net)
    if options.any_given():
        hooks, kept = prepare(net, whole, shuffle, epochs, options, limits, clock)
        if kept is not None:
            whole = whole.take(kept)
            rows, count = data.rows_to_train_on(*whole, net)
    return (rows, count), hooks, whole


def with_scaled_weights(
    rows: tuple[Data, int], examples: Examples
) -> tuple[tuple[Data, int], Examples]:
    """Rows from `rows_in_memory` with weights as mini-batches take them."""
    if examples.sample_weight is None:
        return rows, examples
    weights = data.scaled_to_mean_1(examples.sample_weight)
    rows = rows[0]._replace(weights=weights.reshape(-1)), rows[1]
    return rows, examples._replace(sample_weight=weights)


def _hooks_beside(
    net: Net, stream: sources.Batches | sources.Mapped | Streamed, epochs: int, shuffle: bool,
    options: Options, limits: Limits, clock: Clock,
) -> Hooks | None:  # fmt: skip
    """The hooks beside rows that are not in memory."""
    if isinstance(stream, sources.Mapped):
        sources.check_columns(stream.examples.X, net.layer_sizes[0])
    if not options.any_given():
        return None
    examples = stream.examples
    if sources.is_chunked(examples.y):
        examples = examples._replace(y=np.asarray(examples.y[:]))  # metrics compare all of it
    return prepare(net, examples, shuffle, epochs, options, limits, clock)[0]


def _changed(
    net: Net, pieces: sources.Pieces, functions: tuple[sources.Augmentation, ...]
) -> sources.Jobs:
    """Jobs from pieces of the rows, whose batches the functions have changed."""
    if isinstance(pieces, sources.Mapped | Streamed):
        pieces = Prefetched(pieces)
    if functions:
        pieces = sources.Augmented(pieces, functions, net.dtype, net.state.random)
    return sources.Jobs(net, pieces)


def _run(
    net: Net, source: sources.Source, n_epochs: int, guard: Guard, hooks: Hooks | None,
    limits: Limits, clock: Clock, threads: int | str = 1,
) -> int:  # fmt: skip
    """Go through a source once an epoch.

    Returns FINISHED or DIVERGED; RUNNING when the time ran out within an epoch.
    """
    history = guard.history
    # Of several jobs, each would overwrite what the last epoch left.
    snapshot = guard.snapshot if source.whole else guard.snapshot.copy()
    updates = source.updates
    clock = without_compiling(clock)
    epochs = Epochs(
        net, snapshot, limits=limits, clock=clock, updates_an_epoch=updates, threads=threads
    )
    log = BlockLog(history, epochs, hooks) if source.whole else EpochLog(history, epochs, hooks)
    at_once = limits.epochs_a_block if source.whole and hooks is None else 1
    left = n_epochs
    while left and not history.stop_reason:
        block = min(left, at_once)
        with log:
            for job in source:
                if isinstance(job, Update):
                    status = job.run()
                    if status == REFUSED:  # the source finds out why, or has another job
                        continue
                    status = cast(EpochLog, log).end_update(job, status)
                else:
                    epochs.take(job)
                    status = log.end_job(epochs.run(block, log))
                if status != FINISHED:
                    return status
            log.end()
        if history.stop_reason:  # there were no more batches
            warn(
                f"the batches ran out after epoch {len(history)} of {len(history) + left}: an "
                "iterator, such as a generator, can be gone through once. Pass a list of the "
                "batches, or an object whose __iter__ begins anew"
            )
            break
        guard.snapshot[:] = net.state.params
        left -= block
        if hooks is not None:
            hooks.end_epoch()
            epochs.refresh()
    return FINISHED


def step(net: Net, X: Any, y: Any, sample_weight: Any) -> float:
    """`MLP.step`."""
    if sample_weight is None:
        loss = one_step.step(net, X, y)
        if loss is not None:
            return loss
    data.check_trainable(net.activations)
    check_rate_beside(net, "step, which makes one update")
    rows, count = data.rows_to_train_on(X, y, sample_weight, net)
    data.check_dropout(net, rows)
    if not is_finite_before(net):
        return math.nan
    with Guard(net, History()) as guard:
        epochs = Epochs(net, guard.snapshot)
        epochs.take(Job(rows, count, count))
        guard.status = epochs.run(1)
    return float(epochs.losses[0])


def check_rate_beside(net: Net, what: str) -> None:
    """Raise a ValueError for a rate that counts epochs beside `what`, which has none."""
    rate = net.optimizer.learning_rate
    if callable(rate) and counts_epochs(rate):
        raise ValueError(
            f"the learning rate counts epochs, and must count updates beside {what}; got {rate!r}. "
            "Its in_updates(updates_an_epoch) does"
        )
