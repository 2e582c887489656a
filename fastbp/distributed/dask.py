"""Local steps and averaged parameters, by Dask: for networks that are slower than mpi needs.

In each round every shard of the rows trains its own copy of the net for some epochs, with dropout,
schedules and all else that `MLP.fit` does; then the mean of what the copies have learnt, weighted
by their rows, is the net (McMahan et al., AISTATS 2017). A round is two messages for each shard.
"""

from __future__ import annotations

import math
import os
import pickle
import time
import warnings
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastbp import checks
from fastbp.distributed.errors import WorkerError
from fastbp.distributed.shards import Shard, factor_to_mean_1
from fastbp.fit.data import check_trainable
from fastbp.fit.guard import Guard, is_finite_before
from fastbp.fit.history import History
from fastbp.fit.sources import next_generator
from fastbp.kernels.optimizers import LEARNING_RATE
from fastbp.kernels.training import DIVERGED
from fastbp.mlp import MLP

__all__ = ["fit"]

SECONDS_A_LOOK = 1.0
"""How often the workers are counted while a round runs."""
SECONDS_FOR_A_LOSS = 5.0
"""How long a lost worker may take to be missed, once its tasks are cancelled."""


class Learnt(NamedTuple):
    """What a shard has come to in a round.

    Attributes
    ----------
    state : dict of str to array
        See `MLP.get_state`.
    loss : float
        The mean over the epochs of the round; NaN where training diverged.
    weight : float
        The sum of the weights of its rows.
    """

    state: dict[str, npt.NDArray[Any]]
    loss: float
    weight: float


@checks.explained
def fit(
    net: MLP,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    rounds: int = 10,
    local_epochs: int = 1,
    batch_size: int = 32,
    shuffle: bool = True,
    client: Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> History:
    """Train a net on the workers of a Dask cluster.

    The bits depend on the shards, not on the workers that happen to train them.

    Parameters
    ----------
    net : MLP
    X, y : array-like or dask.array.Array
    sample_weight : array-like or dask.array.Array, optional
        As in `MLP.fit`. Arrays are dealt out, row by row, to one shard for each worker; of dask
        arrays each chunk of rows is a shard, and all of them must be cut into the same ones.
    rounds : int, default=10
        How often the shards are trained and their parameters averaged.
    local_epochs : int, default=1
        Epochs that each shard trains before parameters are averaged. More need fewer messages, and
        more rounds come to less where shards differ from each other.
    batch_size : int, default=32
        Rows of an update of a shard.
    shuffle : bool, default=True
        As in `MLP.fit`, within each shard.
    client : dask.distributed.Client, optional
        By default the one that was made last.
    checkpoint : str or path, optional
        Where the net is saved after each round, as `MLP.save` does.
    resume : bool, default=False
        Go on with ``net.history``, as in `MLP.fit`: its rounds count among `rounds`. With the net
        of a `checkpoint` and the same shards the bits are those of a run that was never stopped.

    Returns
    -------
    History
        A row for each round.

    Raises
    ------
    ValueError, TypeError
        Bad input; what a shard raises has the shard in its notes.
    WorkerError
        When a worker dies, with its address. The net is that of the round before.
    ImportError
        Without Dask: ``pip install 'dask[distributed]'``.

    Warns
    -----
    DivergenceWarning
        As in `MLP.fit`, when a shard diverges; the parameters are those of the round before.

    Examples
    --------
    The last lines need Dask.

    >>> import numpy as np
    >>> import fastbp
    >>> from fastbp.distributed import dask
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> net = fastbp.MLP((2, 32, 1), seed=0)
    >>> from dask.distributed import Client  # doctest: +SKIP
    >>> with Client(n_workers=4, threads_per_worker=1):  # doctest: +SKIP
    ...     history = dask.fit(net, X, X[:, 0] * X[:, 1], rounds=20, local_epochs=2)
    """
    distributed = _library()
    if not isinstance(net, MLP):
        raise TypeError(f"net must be a fastbp.MLP; got {checks.described(net)}")
    rounds = checks.count("rounds", rounds, 0, 2**31 - 1)
    options = {
        "epochs": checks.count("local_epochs", local_epochs),
        "batch_size": checks.count("batch_size", batch_size),
        "shuffle": checks.flag("shuffle", shuffle),
    }
    resume = checks.flag("resume", resume)
    check_trainable(net.activations)
    if client is None:
        client = distributed.get_client()
    history = History(other_columns={"learning_rate": []})
    if resume and len(net.history):
        history.go_on(net.history)
    cluster = _Cluster(client, distributed)
    shards = cluster.shards(X, y, sample_weight)
    sizes = cluster.gathered([
        client.submit(_size, _sent(net), *shard, pure=False) for shard in shards
    ])  # fmt: skip
    counts, weights = zip(*sizes, strict=True)
    factor_to_mean_1(counts, weights)  # refuses no rows, and no weight
    shards = [shard for shard, count in zip(shards, counts, strict=True) if count]
    net.history = history
    if len(history) < rounds and is_finite_before(net):
        history.stop_reason = ""
        with Guard(net, history) as guard:
            while len(history) < rounds:
                start = time.perf_counter()
                loss = _round(net, shards, options, cluster)
                if not math.isfinite(loss):
                    guard.status = DIVERGED
                    break
                rate = float(net.state.scalars[LEARNING_RATE])
                history.add(loss, time.perf_counter() - start, learning_rate=rate)
                guard.snapshot[:] = net.params
                if checkpoint is not None:
                    net.save(checkpoint)
    return history


def _round(net: MLP, shards: list[Any], options: dict[str, Any], cluster: _Cluster) -> float:
    """Train the copies, average them; the loss, NaN where one diverged: then nothing changes."""
    before = net.get_state()
    try:
        seeds = next_generator(net.state.random).integers(2**64, size=len(shards), dtype=np.uint64)
        copy = cluster.client.scatter(_sent(net), broadcast=True, hash=False)
        tasks = [
            cluster.client.submit(_train, copy, seed, *shard, options, pure=False)
            for seed, shard in zip(seeds, shards, strict=True)
        ]
        learnt = cluster.gathered(tasks)
    except BaseException:
        net.set_state(before)
        raise
    losses = math.fsum(one.weight * one.loss for one in learnt)
    loss = losses / math.fsum(one.weight for one in learnt)
    if math.isfinite(loss):
        state = _mean(learnt) | {"random": net.get_state()["random"]}
        if np.isfinite(state["params"]).all() and np.isfinite(state["slots"]).all():
            net.set_state(state)
            return loss
    return math.nan


def _mean(learnt: list[Learnt]) -> dict[str, npt.NDArray[Any]]:
    """The weighted mean of what shards have come to, in their order."""
    total = sum(one.weight for one in learnt)
    mean = dict(learnt[0].state)  # what it counts are whole numbers
    for name in ("params", "slots"):
        parts = [one.state[name] * (one.weight / total) for one in learnt]
        mean[name] = np.sum(parts, axis=0, dtype=mean[name].dtype)
    return mean


# ---- what runs on the workers -------------------------------------------------------------------


def _size(copy: bytes, X: Any, y: Any, sample_weight: Any) -> tuple[int, float]:
    """Check the rows of a shard: how many they are, and the sum of their weights."""
    shard = Shard(pickle.loads(copy), X, y, sample_weight)
    return shard.count, shard.weight


def _train(
    copy: bytes, seed: np.uint64, X: Any, y: Any, sample_weight: Any, options: dict[str, Any]
) -> Learnt:
    """Train a copy of the net on a shard."""
    net: MLP = pickle.loads(copy)
    net.state.random[:] = seed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # divergence is in the loss that is returned
        history = net.fit(X, y, sample_weight=sample_weight, **options)
    diverged = "diverged" in history.stop_reason
    loss = math.nan if diverged else float(np.mean(history.loss))
    return Learnt(net.get_state(), loss, Shard(net, X, y, sample_weight).weight)


def _sent(net: MLP) -> bytes:
    return pickle.dumps(net)


# ---- the cluster --------------------------------------------------------------------------------


class _Cluster:
    """A client, and the workers that were there when training began.

    Parameters
    ----------
    client : dask.distributed.Client
    distributed : module
    """

    def __init__(self, client: Any, distributed: Any) -> None:
        if not isinstance(client, distributed.Client):
            raise TypeError(
                f"client must be a dask.distributed.Client; got {checks.described(client)}"
            )
        self.client = client
        self._distributed = distributed
        self.workers = tuple(client.nthreads())
        if not self.workers:
            raise WorkerError("the cluster has no workers: client.wait_for_workers(1)", ())

    def shards(self, *arrays: Any) -> list[list[Any]]:
        """X, y and weights of each shard, on the workers; None for what there is not."""
        if any(hasattr(array, "to_delayed") for array in arrays):
            return self._of_chunks(arrays)
        count = len(self.workers)
        rows = [
            array if array is None or checks.is_sparse(array) else checks.numbers(name, array)
            for name, array in zip(("X", "y", "sample_weight"), arrays, strict=True)
        ]
        return [
            [
                None
                if array is None
                else self.client.scatter(array[first::count], workers=[worker], hash=False)
                for array in rows
            ]
            for first, worker in enumerate(self.workers)
        ]

    def _of_chunks(self, arrays: tuple[Any, ...]) -> list[list[Any]]:
        columns = []
        for name, array in zip(("X", "y", "sample_weight"), arrays, strict=True):
            if array is None:
                continue
            if not hasattr(array, "to_delayed"):
                raise TypeError(
                    f"X, y and sample_weight must be dask arrays all together, or none of them; "
                    f"{name} is {checks.described(array)}"
                )
            whole = array.rechunk(dict.fromkeys(range(1, array.ndim), -1))
            columns.append(self.client.compute(whole.to_delayed().ravel().tolist()))
        if len({len(column) for column in columns}) > 1:
            raise ValueError(
                "X, y and sample_weight must be cut into the same chunks of rows; they have "
                f"{', '.join(str(len(column)) for column in columns)} of them. Call "
                "y.rechunk({0: X.chunks[0]})"
            )
        shards = [list(shard) for shard in zip(*columns, strict=True)]
        return [shard + [None] * (3 - len(shard)) for shard in shards]

    def gathered(self, tasks: list[Any]) -> list[Any]:
        """The results of tasks, in their order.

        Raises
        ------
        WorkerError
            When a worker is gone: what it held is lost, and its tasks would wait for ever.
        Exception
            Whatever a task raises.
        """
        done = None
        while done is None:
            try:
                done = self._distributed.wait(tasks, timeout=SECONDS_A_LOOK)
            except (TimeoutError, self._distributed.TimeoutError):
                self._check_workers()
            except CancelledError:
                break
        results = []
        for number, task in enumerate(tasks):
            try:
                results.append(task.result())
            except CancelledError:
                self._wait_for_a_loss()
                raise
            except Exception as error:
                self._check_workers()
                error.add_note(f"in shard {number} of {len(tasks)}")
                raise
        return results

    def _wait_for_a_loss(self) -> None:
        """A task was cancelled: the scheduler is about to say which worker is gone."""
        end = time.monotonic() + SECONDS_FOR_A_LOSS
        while time.monotonic() < end:
            self._check_workers()
            time.sleep(0.1)

    def _check_workers(self) -> None:
        there = self.client.nthreads()
        lost = tuple(worker for worker in self.workers if worker not in there)
        if lost:
            raise WorkerError(
                f"the worker {' and the worker '.join(lost)} died or left while it was training; "
                "the net is that of the round before. Go on from a checkpoint, with resume=True",
                lost,
            )


def _library() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ImportError(
            "fastbp.distributed.dask needs Dask: pip install 'dask[distributed]'"
        ) from error
    return distributed
