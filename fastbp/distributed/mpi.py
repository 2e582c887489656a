"""Data-parallel training by MPI: each update is that of one process with the rows of all ranks.

Each rank computes the gradient of its rows, `Allreduce` adds them up, and each rank makes the same
update. So the parameters are the same on all ranks, to the byte. Start it as

    mpirun -n 4 python -m mpi4py train.py

where ``-m mpi4py`` ends all ranks when the program fails outside `fit`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.distributed.errors import WorkerError
from fastbp.distributed.shards import Shard, factor_to_mean_1
from fastbp.fit import data
from fastbp.fit.fit import check_rate_beside
from fastbp.fit.guard import Guard, is_finite_before
from fastbp.fit.history import History
from fastbp.fit.sources import next_generator
from fastbp.fit.warn import DivergenceWarning
from fastbp.kernels.optimizers import LEARNING_RATE
from fastbp.kernels.training import DIVERGED
from fastbp.mlp import MLP

__all__ = ["fit"]

Result = TypeVar("Result")


@checks.explained
def fit(
    net: MLP,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    epochs: int = 10,
    batch_size: int = 32,
    shuffle: bool = True,
    comm: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> History:
    """Train a net on the rows of all ranks; all of them call it.

    The net of rank 0, with its optimiser's state and random stream, is sent to all others first. An
    epoch makes as many updates on every rank, each on a share of the rank's rows in proportion, so
    that shards may have different numbers of rows, or none. Penalties, clipping, max_norm, frozen
    parameters, groups and schedules are as in `MLP.fit`; dropout is refused, since the gradients
    have none.

    Parameters
    ----------
    net : MLP
        The same layers and options on all ranks.
    X, y : array-like
    sample_weight : array-like, optional
        The rows of this rank, in memory, as in `MLP.fit`. Weights are scaled to a mean of 1 over
        the rows of all ranks.
    epochs : int, default=10
        How often the net goes through all rows.
    batch_size : int, default=32
        Rows of an update, on all ranks together; about `batch_size` divided by the number of ranks
        on each. An update of less than some milliseconds is faster on one core.
    shuffle : bool, default=True
        Take the rows of each rank in a new order in each epoch, drawn from the net's stream.
    comm : mpi4py.MPI.Intracomm, optional
        By default ``MPI.COMM_WORLD``.
    checkpoint : str or path, optional
        Rank 0 saves the net after each epoch, as `MLP.save` does.
    resume : bool, default=False
        Go on with ``net.history`` of rank 0, as in `MLP.fit`. With the net of a `checkpoint` and as
        many ranks the bits are those of a run that was never stopped.

    Returns
    -------
    History
        The same on all ranks: the loss of all rows, and the seconds of the slowest rank.

    Raises
    ------
    ValueError, TypeError
        Bad input, on the rank that has it; all nets are as they were.
    WorkerError
        On the other ranks, when one fails; it names the rank and says what was raised there.
    ImportError
        Without mpi4py: ``pip install mpi4py``, with an MPI library such as OpenMPI.

    Warns
    -----
    DivergenceWarning
        As in `MLP.fit`, on all ranks.

    Examples
    --------
    A program that goes on where it was stopped, whatever stopped it; ``mpirun -n 4 python
    program.py`` starts it on four cores. The last line needs mpi4py.

    >>> import os
    >>> import numpy as np
    >>> import fastbp
    >>> from fastbp.distributed import mpi
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))  # the rows of this rank
    >>> path = "run.safetensors"
    >>> net = fastbp.load(path) if os.path.exists(path) else fastbp.MLP((2, 32, 1))
    >>> options = {"batch_size": 4096, "checkpoint": path, "resume": True}
    >>> history = mpi.fit(net, X, X[:, 0] * X[:, 1], epochs=50, **options)  # doctest: +SKIP
    """
    with Ranks(comm) as ranks:
        shard = ranks.together(
            lambda: _checked(net, X, y, sample_weight, epochs, batch_size, shuffle, resume)
        )
        ranks.check_alike(f"{net!r}, {epochs=}, {batch_size=}, {shuffle=}, {resume=}")
        shares = ranks.comm.allgather((shard.count, shard.weight, shard.weighted))
        counts, weights, weighted = zip(*shares, strict=True)
        factor = ranks.together(lambda: factor_to_mean_1(counts, weights))
        if any(weighted):
            shard.scale(factor)
        of_first = (net.get_state(), net.history) if ranks.rank == 0 else None
        state, before = ranks.comm.bcast(of_first)
        net.set_state(state)
        history = History(other_columns={"learning_rate": []})
        if resume and len(before):
            ranks.together(lambda: history.go_on(before))
        net.history = history
        if len(history) < epochs and is_finite_before(net):
            training = _Training(net, shard, ranks, np.array(counts), batch_size, shuffle)
            _train(training, history, epochs, checkpoint)
    return history


def _checked(
    net: Any, X: Any, y: Any, sample_weight: Any, epochs: Any, batch_size: Any, shuffle: Any,
    resume: Any,
) -> Shard:  # fmt: skip
    """The rows of this rank; all that can be wrong before training is found here."""
    if not isinstance(net, MLP):
        raise TypeError(f"net must be a fastbp.MLP; got {checks.described(net)}")
    checks.count("epochs", epochs, 0, 2**31 - 1)
    checks.count("batch_size", batch_size)
    checks.flag("shuffle", shuffle)
    checks.flag("resume", resume)
    data.check_trainable(net.activations)
    check_rate_beside(net, "apply_gradient, by which ranks make an update")
    rates = net.regularization.dropout_rates(len(net.layer_sizes) - 1)
    if any(rates):
        raise ValueError(
            "dropout is not for mpi.fit: ranks add up the gradients of loss_and_grad, in which "
            f"nothing is dropped out; got rates {rates}. fastbp.distributed.dask takes dropout"
        )
    return Shard(net, X, y, sample_weight)


def _train(
    training: _Training, history: History, epochs: int,
    checkpoint: str | os.PathLike[str] | None,
) -> None:  # fmt: skip
    """The epochs that are left."""
    net, ranks = training.net, training.ranks
    history.stop_reason = ""
    with Guard(net, history) as guard, warnings.catch_warnings():
        warnings.simplefilter("error", DivergenceWarning)  # of an update; the guard tells of epochs
        while len(history) < epochs:
            try:
                loss, seconds = training.epoch()
            except DivergenceWarning:
                guard.status = DIVERGED
                return
            rate = float(net.state.scalars[LEARNING_RATE])
            history.add(loss, seconds, learning_rate=rate)
            guard.snapshot[:] = net.params
            if checkpoint is not None:
                ranks.together(lambda: net.save(checkpoint) if ranks.rank == 0 else None)


class _Training:
    """Epochs of a net on the rows of all ranks.

    Parameters
    ----------
    net : MLP
    shard : Shard
        The rows of this rank.
    ranks : Ranks
    counts : array of int, shape (ranks,)
        The rows of each.
    batch_size : int
    shuffle : bool
    """

    def __init__(
        self, net: MLP, shard: Shard, ranks: Ranks, counts: npt.NDArray[np.int64],
        batch_size: int, shuffle: bool,
    ) -> None:  # fmt: skip
        self.net = net
        self.shard = shard
        self.ranks = ranks
        self.counts = counts
        self.rows = int(counts.sum())
        self.updates = -(-self.rows // batch_size)
        self.shuffle = shuffle and self.updates > 1
        self.grad = np.zeros_like(net.params)

    def epoch(self) -> tuple[float, float]:
        """Make the updates of an epoch; its loss, and the seconds of the slowest rank.

        Raises
        ------
        DivergenceWarning
            On all ranks, when a loss or a parameter is not finite.
        WorkerError
            When another rank fails, and whatever fails on this one.
        """
        start = time.perf_counter()
        net, ranks, grad = self.net, self.ranks, self.grad
        order = None
        if self.shuffle:
            seed = next_generator(net.state.random).integers(2**63)  # the same on all ranks
            order = np.random.default_rng([seed, ranks.rank]).permutation(self.shard.count)
        losses = 0.0
        penalties = 0.0
        for update in range(self.updates):
            first, end = (self.counts * (update + i) // self.updates for i in (0, 1))
            mine = slice(int(first[ranks.rank]), int(end[ranks.rank]))
            loss, error = self._gradient(mine, order)
            ranks.add_up(grad)
            if not np.isfinite(grad).all():
                ranks.raise_together(error)
                raise DivergenceWarning("the gradient is not finite")
            count = int((end - first).sum())
            losses += loss
            penalties += count * self._penalties()
            net.apply_gradient(np.divide(grad, count, out=grad), penalties=True)
        parts, seconds, digests = zip(
            *ranks.comm.allgather((losses, time.perf_counter() - start, digest_of(net.params))),
            strict=True,
        )
        ranks.check_same(digests)
        return (math.fsum(parts) + penalties) / self.rows, max(seconds)

    def _gradient(
        self, mine: slice, order: npt.NDArray[np.int64] | None
    ) -> tuple[float, BaseException | None]:
        """The gradient of these rows, summed, in `grad`: NaN where something is wrong.

        NaN reaches all ranks with the sum, so that ranks ask for the reason at the same time, and
        in no other update.
        """
        self.grad.fill(0.0)
        if mine.start == mine.stop:
            return 0.0, None
        try:
            examples = self.shard.take(mine if order is None else order[mine])
            loss, _ = self.net.loss_and_grad(*examples, out=self.grad, reduction="sum")
        except BaseException as error:
            self.grad.fill(np.nan)
            return 0.0, error
        if not math.isfinite(loss):
            self.grad.fill(np.nan)
        return loss, None

    def _penalties(self) -> float:
        """Those of the loss, of the parameters before the update."""
        rules = self.net.regularization
        if not (rules.l1 or rules.l2):
            return 0.0
        l1 = sum(float(np.abs(w).sum(dtype=np.float64)) for w in self.net.weights)
        l2 = sum(float(np.square(w, dtype=np.float64).sum()) for w in self.net.weights)
        return rules.l1 * l1 + 0.5 * rules.l2 * l2


class Ranks:
    """The processes that train together: a context in which no rank waits for one that failed.

    What is raised within it on this rank alone, such as KeyboardInterrupt, ends all by
    ``comm.Abort``, since the others would wait for ever.

    Parameters
    ----------
    comm : mpi4py.MPI.Intracomm or None
        None is ``MPI.COMM_WORLD``.
    """

    def __init__(self, comm: Any) -> None:
        MPI = _library()
        comm = MPI.COMM_WORLD if comm is None else comm
        if not isinstance(comm, MPI.Intracomm):
            raise TypeError(
                f"comm must be an intracommunicator of mpi4py, such as MPI.COMM_WORLD; got "
                f"{checks.described(comm)}"
            )
        self.comm = comm
        self.rank = comm.rank
        self.in_place = MPI.IN_PLACE
        self._known = False  # whether all ranks raise now

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or self._known or self.comm.size == 1:
            return
        text = "".join(traceback.format_exception(error))
        print(f"{text}fastbp: {self._me()} ends all ranks", file=sys.stderr, flush=True)
        self.comm.Abort(1)

    def _me(self) -> str:
        return f"rank {self.rank} of {self.comm.size} on {socket.gethostname()}"

    def add_up(self, array: npt.NDArray[Any]) -> None:
        """Replace the array by its sum over all ranks."""
        self.comm.Allreduce(self.in_place, array)

    def together(self, action: Callable[[], Result]) -> Result:
        """Do something on each rank; when it fails on one, all raise."""
        failure: BaseException | None = None
        try:
            result = action()
        except BaseException as error:
            failure = error
        self.raise_together(failure)
        return result

    def raise_together(self, error: BaseException | None) -> None:
        """Raise the error of this rank, or a WorkerError that names the ranks that have one."""
        text = None if error is None else f"{self._me()}: {type(error).__name__}: {error}"
        told = self.comm.allgather(text)
        failed = tuple(rank for rank, one in enumerate(told) if one is not None)
        if not failed:
            return
        self._known = True
        if error is not None:
            error.add_note(f"on {self._me()}; all ranks have ended training")
            raise error
        raise WorkerError("; ".join(told[rank] for rank in failed), failed)

    def check_alike(self, options: str) -> None:
        """Raise a ValueError where ranks have other nets or options than rank 0."""
        plain = re.sub(r" at 0x[0-9a-fA-F]+", "", options)
        first = self.comm.bcast(plain)
        error = None
        if plain != first:
            error = ValueError(
                f"all ranks must have the same net and options; rank 0 has {first}, and rank "
                f"{self.rank} has {plain}"
            )
        self.raise_together(error)

    def check_same(self, digests: tuple[bytes, ...]) -> None:
        """Raise a WorkerError where ranks have come to other parameters than rank 0."""
        others = tuple(rank for rank, one in enumerate(digests) if one != digests[0])
        if others:
            self._known = True
            raise WorkerError(
                f"ranks {', '.join(map(str, others))} have come to other parameters than rank 0: "
                "their processors, libraries or versions of fastbp differ",
                others,
            )


def digest_of(params: npt.NDArray[Any]) -> bytes:
    """A digest of the bytes of an array."""
    return hashlib.blake2b(params.tobytes(), digest_size=16).digest()


def _library() -> Any:
    """``mpi4py.MPI``, whose import starts MPI."""
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "fastbp.distributed.mpi needs mpi4py, pip install mpi4py, and an MPI library, "
            "such as Debian's openmpi-bin and libopenmpi-dev"
        ) from error
    return MPI
