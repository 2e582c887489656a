"""`fit_many`: nets side by side, each trained by one of some threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.fit.calls import native_address
from fastbp.fit.data import Examples
from fastbp.fit.fit import SUSPICIOUS_LOSS
from fastbp.fit.history import History
from fastbp.fit.threads import usable_cores
from fastbp.fit.warn import DivergenceWarning, warn
from fastbp.kernels.table import Table
from fastbp.kernels.workspace import aligned_zeros
from fastbp.machine import jit
from fastbp.machine.addresses import AddressTable, address_of
from fastbp.many import kernels
from fastbp.many.jobs import Job, Planner, Settings
from fastbp.mlp import BATCH_SIZE, MLP

INTEGERS = {
    kernels.ROOM_FOR_OFFSETS,
    kernels.VALIDATION_OFFSETS,
    kernels.ROOM_FOR_ORDER,
}
"""Cells of a thread with the addresses of integers; others are those of the nets' dtype."""


def fit_many(
    nets: Iterable[MLP],
    X: Any,
    y: Any,
    *,
    epochs: int = 10,
    batch_size: int | None = None,
    shuffle: bool = True,
    sample_weights: Any = None,
    validation_fraction: float | None = None,
    patience: int | None = None,
    threads: int | str = 1,
) -> list[History]:
    """Train many nets, each as its own `fit` does, to the bit.

    All are trained in one compiled call a thread: a thread takes the next net when it is done with
    one, those that take longest first. That spares small nets the Python of `fit`, and several
    threads share the work without waiting for each other.

    Parameters
    ----------
    nets : iterable of MLP
        Of any shapes, losses, optimisers and dtypes. No two may share parameters or a random
        stream, as ``copy.copy`` of a net does; `copy.deepcopy` makes a net of its own.
    X, y : array-like or list of arrays
        Rows and targets as in `MLP.fit`, for all nets; or a list of arrays, one for each net: of
        two-dimensional arrays X, of NumPy arrays y.
    epochs : int, default=10
    batch_size : int, optional
    shuffle : bool, default=True
        As in `MLP.fit`.
    sample_weights : array-like or list of arrays, optional
        As `sample_weight` in `MLP.fit`; or a list of NumPy arrays and None, one for each net.
    validation_fraction : float, optional
    patience : int, optional
        As in `MLP.fit`: each net holds out rows by its own seed, and stops by their loss, or by
        that of training. Drawn rows are copied for each net. A fraction of 0 is none.
    threads : int or "auto", default=1
        How many nets are trained at a time; "auto" is one for each core that the process may use.

    Returns
    -------
    list of History
        One for each net, as `fit` returns it; it is ``net.history``, too. Nobody looks at the clock
        while compiled code runs: "seconds" are shares in the time of the whole call, by weights
        times rows.

    Raises
    ------
    ValueError, TypeError
        Bad input, and nets that share what training changes; all nets are as they were.
    KeyboardInterrupt
        On Ctrl-C, within about a fifth of a second. The nets that were in training are where their
        own `fit` would have left them, those before them are finished, the rest are as they were;
        all have a history.

    Warns
    -----
    DivergenceWarning
        At the end, with the numbers of the nets that have diverged: each is restored as `fit` does
        it, and the others go on.

    Notes
    -----
    Some nets are trained by their own `fit`, one after the other, when the others are done: those
    with a loss, an activation or a learning rate that is a function in Python, rows of a large
    `numpy.memmap`, and a few more for which there is no compiled call. Callbacks and metrics are
    options of `fit` alone.

    Examples
    --------
    >>> import numpy as np
    >>> from fastbp import MLP, fit_many
    >>> X = np.linspace(-1, 1, 50).reshape(-1, 1)
    >>> nets = [MLP((1, width, 1), seed=0) for width in (4, 8, 16)]
    >>> histories = fit_many(nets, X, X**2, epochs=20)
    >>> histories[1].loss == MLP((1, 8, 1), seed=0).fit(X, X**2, epochs=20).loss
    True
    """
    nets = checked_nets(nets)
    settings = Settings(
        epochs=checks.count("epochs", epochs, 0, 2**31 - 1),
        batch_size=checks.count("batch_size", BATCH_SIZE if batch_size is None else batch_size),
        shuffle=checks.flag("shuffle", shuffle),
        validation_fraction=validation_fraction or None,
        patience=None if patience is None else checks.count("patience", patience),
    )
    threads = checks.threads(threads)
    n_threads = usable_cores() if isinstance(threads, str) else threads
    count = len(nets)
    given = zip(
        each("X", X, count, 2), each("y", y, count), each("sample_weights", sample_weights, count),
        strict=True,
    )  # fmt: skip
    pairs = zip(nets, given, strict=True)
    jobs = [Job(i, net, Examples(*rows)) for i, (net, rows) in enumerate(pairs)]
    planners = {dtype: Planner(settings) for dtype in {net.dtype for net in nets}}
    for job in jobs:
        try:
            planners[job.net.dtype].plan(job)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"net {job.index}: {error}") from error
    crews = [
        Crew([job for job in jobs if job.table and job.net.dtype == dtype], planner, n_threads)
        for dtype, planner in planners.items()
    ]
    for job in jobs:
        job.net.history = job.history
    for crew in crews:
        crew.train()
    for job in jobs:
        if job.table is None:
            _fit_alone(job, settings)
    _warn_of_divergence(jobs, settings)
    return [job.net.history for job in jobs]


def checked_nets(nets: Any) -> list[Any]:
    """The nets as a list; no two may share what training changes."""
    if isinstance(nets, MLP) or not isinstance(nets, Iterable):
        raise TypeError(f"nets must be a list of MLP; got {checks.described(nets)}")
    given: list[Any] = list(nets)
    owners: dict[int, int] = {}
    for i, net in enumerate(given):
        if not isinstance(net, MLP):
            raise TypeError(f"nets must be a list of MLP; got {checks.described(net)} at {i}")
        for what, array in (("parameters", net.params), ("a random stream", net.state.random)):
            first = owners.setdefault(address_of(array), i)
            if first != i:
                same = "are the same net" if given[first] is net else f"share {what}"
                raise ValueError(
                    f"nets {first} and {i} {same}, so that neither could be trained as by itself. "
                    "Pass each net once; copy.deepcopy(net) makes another with all it has"
                )
    return given


def each(name: str, given: Any, count: int, ndim: int = 1) -> Sequence[Any]:
    """What is given, for each net: a list of arrays of at least `ndim` dimensions, or the same."""
    is_list = isinstance(given, list | tuple) and len(given) > 0
    if not is_list or not all(item is None or _is_array(item, ndim) for item in given):
        return [given] * count
    if len(given) != count:
        raise ValueError(
            f"{name} must be one array, or a list of one for each of the {count} nets; got a list "
            f"of {len(given)}"
        )
    found: Sequence[Any] = given
    return found


def _is_array(item: Any, ndim: int) -> bool:
    return not isinstance(item, np.generic) and int(getattr(item, "ndim", 0)) >= ndim


def _fit_alone(job: Job, settings: Settings) -> None:
    """Train a net by its own fit."""
    X, y, weights = job.examples
    try:
        job.net.fit(
            X, y, sample_weight=weights, epochs=settings.epochs, batch_size=settings.batch_size,
            shuffle=settings.shuffle, validation_fraction=settings.validation_fraction,
            patience=settings.patience, threads=1,
        )  # fmt: skip
    except Exception as error:
        error.add_note(f"in net {job.index}, which fit_many trains by its own fit")
        raise


class Crew:
    """Threads that train the nets of one dtype.

    Parameters
    ----------
    jobs : list of Job
    planner : Planner
        Knows what room they need.
    n_threads : int
    """

    def __init__(self, jobs: list[Job], planner: Planner, n_threads: int) -> None:
        self.jobs = sorted(jobs, key=lambda job: -job.cost)  # the longest first
        self.patience = planner.settings.patience
        self.control = aligned_zeros(kernels.N_CONTROL, np.dtype(np.int64))
        self.threads: list[AddressTable] = []
        self._entries: dict[bool, int] = {}
        if not jobs:
            return
        self.like = np.zeros(1, jobs[0].net.dtype)
        numbers = AddressTable(len(jobs))
        for place, job in enumerate(self.jobs):
            table = job.table
            assert table is not None
            table.cells[kernels.ENTRY] = self._entry(table, job.sparse)
            numbers.put(place, table.cells)
        self.numbers = numbers
        for _ in range(min(n_threads, len(jobs))):
            self.threads.append(self._thread(planner.room))
        jit.ready(kernels.train_many, self.like.dtype.char, (self.threads[0].cells, self.like))

    def _entry(self, table: Table, sparse: bool) -> int:
        """Where the code stands that trains; compiled, or loaded, unless that was done."""
        if not jit.compiles():
            return int(sparse)
        found = self._entries.get(sparse)
        if found is None:
            found = self._entries[sparse] = native_address(table, sparse)
        return found

    def _thread(self, room: dict[int, int]) -> AddressTable:
        """The cells of a thread, with buffers of its own."""
        thread = AddressTable(kernels.N_THREAD_CELLS)
        thread.put(kernels.CONTROL, self.control)
        thread.put(kernels.JOBS, self.numbers.cells)
        thread.cells[kernels.N_JOBS] = len(self.jobs)
        whole = np.dtype(np.int64)
        thread.put(kernels.ROOM_FOR_PROGRESS, aligned_zeros(kernels.N_CONTROL, whole))
        for cell, count in room.items():
            dtype = whole if cell in INTEGERS else self.like.dtype
            thread.put(cell, aligned_zeros(count, dtype))
        return thread

    def train(self) -> None:
        """Train all nets and write their histories, however it ends."""
        if not self.jobs:
            return
        start = time.perf_counter()
        try:
            self._run()
        finally:
            seconds = (time.perf_counter() - start) * len(self.threads)
            whole = sum(job.cost * len_of(job) for job in self.jobs)
            for job in self.jobs:
                job.write(seconds * job.cost / max(whole, 1.0), self.patience)

    def _run(self) -> None:
        """Let the threads work until all is done; on Ctrl-C and errors until each has stopped."""
        errors: list[BaseException] = []

        def take_part(cells: npt.NDArray[np.int64]) -> None:
            try:
                kernels.train_many(cells, self.like)
            except BaseException as error:
                self.control[kernels.STOP] = 1
                errors.append(error)

        started: list[threading.Thread] = []
        try:
            for table in self.threads:
                thread = threading.Thread(target=take_part, args=(table.cells,), daemon=True)
                started.append(thread)  # first: Ctrl-C may come while it starts
                thread.start()
            for thread in started:
                while thread.is_alive():
                    thread.join(0.1)
        except BaseException:
            self.control[kernels.STOP] = 1
            for thread in started:
                while thread.is_alive():
                    with suppress(KeyboardInterrupt):  # another one: the first is raised
                        thread.join()
            raise
        if errors:
            raise errors[0]


def len_of(job: Job) -> int:
    """How many epochs a job has done."""
    return 0 if job.table is None else int(job.table.cells[kernels.EPOCHS_DONE])


def _warn_of_divergence(jobs: list[Job], settings: Settings) -> None:
    """Warn of nets that have diverged, and of losses that are far too large, all at once."""
    diverged = [job.index for job in jobs if job.diverged]
    if diverged:
        best = ", the best where there is a patience" if settings.patience else ""
        warn(
            f"training of {len(diverged)} of {len(jobs)} nets diverged: nets {some(diverged)}. The "
            f"loss or a parameter is not finite. Their parameters are those after the last finite "
            f"epoch{best}, their optimizers' state is reset. Try a smaller learning_rate or scale "
            "the inputs; diagnose(net, X, y) looks for causes",
            DivergenceWarning,
        )
    large = [
        job.index
        for job in jobs
        if job.table is not None
        and not job.diverged
        and job.history.loss
        and job.history.loss[0] > SUSPICIOUS_LOSS
    ]
    if large:
        warn(
            f"the mean loss of the first epoch was above {SUSPICIOUS_LOSS:.3g} in {len(large)} of "
            f"{len(jobs)} nets: nets {some(large)}. Inputs or targets are far from a scale of 1, "
            "or the learning rate is too large. Scale each column, for instance to mean 0 and "
            "standard deviation 1; diagnose(net, X, y) looks for causes"
        )


def some(indices: list[int]) -> str:
    """The first of these numbers, in words."""
    shown = ", ".join(map(str, indices[:10]))
    return shown if len(indices) <= 10 else f"{shown}, ..."
