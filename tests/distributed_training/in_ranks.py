"""What tests of fastbp.distributed.mpi run on each rank: ``python in_ranks.py CASE FOLDER``.

A case returns what JSON can hold; rank 0 prints the list of all ranks' results.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import warnings
from pathlib import Path

import numpy as np
from mpi4py import MPI

import fastbp
from fastbp import MLP, SGD, Adam, CosineDecay, DivergenceWarning
from fastbp.distributed import WorkerError, mpi

COMM = MPI.COMM_WORLD
ME = COMM.rank
ROWS = 203
RNG = np.random.default_rng(11)
X, Y = RNG.normal(size=(ROWS, 5)), RNG.normal(size=(ROWS, 3))
LABELS = RNG.integers(3, size=ROWS)
WEIGHTS = RNG.uniform(0.1, 2.0, ROWS)
GAPS = np.where(RNG.uniform(size=Y.shape) < 0.2, np.nan, Y)


def make(**options):
    defaults = {"activation": "tanh", "dtype": "float64", "optimizer": Adam(0.01), "seed": 0}
    return MLP((5, 8, 3), **(defaults | options))


def cuts(kind):
    """Where the shards end: in equal parts, ragged, or with nothing for the last rank."""
    if kind == "equal":
        return np.linspace(0, ROWS, COMM.size + 1).astype(int)
    if kind == "ragged":
        return np.array([0, *(7 * 3**i for i in range(COMM.size - 1)), ROWS])
    inner = np.linspace(0, ROWS, COMM.size).astype(int)
    return np.append(inner, ROWS)


def shards(kind, *arrays):
    """The rows of each rank."""
    ends = cuts(kind)
    return [
        tuple(None if a is None else a[first:end] for a in arrays)
        for first, end in zip(ends[:-1], ends[1:], strict=True)
    ]


def batches(kind, batch_size, *arrays):
    """What the ranks take together in each update, in one process."""
    updates = -(-ROWS // batch_size)
    parts = shards(kind, *arrays)
    for u in range(updates):
        cut = [slice(len(p[0]) * u // updates, len(p[0]) * (u + 1) // updates) for p in parts]
        yield [
            None
            if arrays[i] is None
            else np.concatenate([p[i][c] for p, c in zip(parts, cut, strict=True)])
            for i in range(len(arrays))
        ]


CASES = {
    "penalties, clipping, schedule": (
        {"l1": 1e-3, "l2": 1e-2, "clip_norm": 0.5, "optimizer": Adam(CosineDecay(0.02, 12))},
        Y, None,
    ),
    "labels, momentum": (
        {"loss": "cross_entropy", "optimizer": SGD(0.1, momentum=0.9)}, LABELS, None,
    ),
    "weights, max_norm": ({"max_norm": 1.0}, Y, WEIGHTS),
    "missing targets": ({"missing_targets": True}, GAPS, None),
}  # fmt: skip


def equal():
    """Differences from one process that makes the same updates."""
    found = {}
    for name, (options, y, weights) in CASES.items():
        for kind, batch_size in (("equal", ROWS), ("ragged", 32), ("empty", 50)):
            seed = 0 if ME == 0 else 100 + ME  # rank 0 sends its own
            net, alone = make(**options | {"seed": seed}), make(**options)
            mine = shards(kind, X, y, weights)[ME]
            history = mpi.fit(
                net,
                mine[0],
                mine[1],
                sample_weight=mine[2],
                epochs=3,
                batch_size=batch_size,
                shuffle=False,
            )
            whole = weights
            if name == "missing targets":
                there = ~np.isnan(y)
                whole = there / there.mean()
            elif weights is not None:
                whole = weights / weights.mean()
            losses = []
            targets = np.nan_to_num(y) if name == "missing targets" else y
            alone.missing_targets = False
            for _ in range(3):
                done = [
                    (alone.step(*batch), len(batch[0]))
                    for batch in batches(kind, batch_size, X, targets, whole)
                ]
                losses.append(sum(loss * rows for loss, rows in done) / ROWS)
            found[f"{name}, {kind}"] = {
                "params": net.params.tobytes().hex(),
                "difference": float(np.abs(net.params - alone.params).max()),
                "loss": history.loss,
                "expected": losses,
                "rate": [history["learning_rate"][-1], float(alone.state.scalars[0])],
            }
    return found


def shuffled():
    """The rows that each rank takes, by epoch, and the bits of two runs."""
    orders = []

    def loss(y_pred, y):
        orders[-1].extend(y[:, 0].astype(int).tolist())
        return 0.0, np.zeros_like(y)

    numbers = np.repeat(np.arange(float(ROWS))[:, None], 3, axis=1)
    mine = shards("ragged", X, numbers)[ME]
    net = make(loss=loss)
    for _ in range(2):
        orders.append([])
        mpi.fit(net, *mine, epochs=1, batch_size=20)
    again = []
    for _ in range(2):
        net = make()
        mpi.fit(net, *shards("equal", X, Y)[ME], epochs=3, batch_size=20)
        again.append(net.params.tobytes().hex())
    return {"rows": orders, "again": again}


def told(action):
    """What an action raises, its notes included; and that the ranks still go together."""
    try:
        action()
    except Exception as error:
        workers = getattr(error, "workers", None)
        text = "\n".join([str(error), *getattr(error, "__notes__", ())])
        return [type(error).__name__, text, workers, COMM.allreduce(1)]
    return ["nothing", "", None, COMM.allreduce(1)]


def errors():
    """What every rank raises when one has something bad."""
    last = COMM.size - 1
    x, y = shards("equal", X.copy(), Y)[ME]
    nan = x.copy()
    nan[3, 2] = np.nan
    calls = [0]

    def fails(y_pred, target):
        calls[0] += 1
        if ME == last and calls[0] == 7:
            raise OSError("the disk is gone")
        return 0.0, np.zeros_like(target)

    def interrupted(y_pred, target):
        if ME == last:
            os.kill(os.getpid(), signal.SIGINT)
        return 0.0, np.zeros_like(target)

    net = make()
    before = net.params.copy()
    found = {
        "nan": told(lambda: mpi.fit(net, nan if ME == last else x, y)),
        "shape": told(lambda: mpi.fit(net, x[:, :4] if ME == last else x, y)),
        "other net": told(lambda: mpi.fit(make(l2=0.1 * (ME == last)), x, y)),
        "other epochs": told(lambda: mpi.fit(net, x, y, epochs=4 if ME == last else 3)),
        "no rows": told(lambda: mpi.fit(net, x[:0], y[:0])),
        "dropout": told(lambda: mpi.fit(make(dropout=0.5), x, y)),
        "comm": told(lambda: mpi.fit(net, x, y, comm=3)),
        "folder": told(lambda: mpi.fit(make(), x, y, epochs=2, checkpoint="/nowhere/a/net")),
        "loss": told(lambda: mpi.fit(make(loss=fails), x, y, epochs=3, batch_size=60)),
    }
    try:
        mpi.fit(make(loss=interrupted), x, y)
    except KeyboardInterrupt as error:
        found["ctrl-c"] = ["KeyboardInterrupt", error.__notes__[0], None, COMM.allreduce(1)]
    except WorkerError as error:
        found["ctrl-c"] = ["WorkerError", str(error), error.workers, COMM.allreduce(1)]
    found["unchanged"] = bool((net.params == before).all())
    return found


def diverges():
    """What is left after an overflow in the third epoch, on all ranks."""
    calls = [0]
    last = COMM.size - 1

    def rising(y_pred, y):
        calls[0] += 1
        return np.inf if ME == last and calls[0] == 9 else 0.0, y_pred - y

    x, y = shards("equal", X, Y)[ME]
    net, twin = make(loss=rising), make(loss=rising)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = mpi.fit(net, x, y, epochs=9, batch_size=60, shuffle=False)
    warned = [str(w.message) for w in caught if issubclass(w.category, DivergenceWarning)]
    calls[0] = -1000
    mpi.fit(twin, x, y, epochs=2, batch_size=60, shuffle=False)
    return {
        "stop": history.stop_reason,
        "epochs": len(history),
        "warned": warned,
        "kept": bool((net.params == twin.params).all()),
    }


def resumed():
    """The bits of a run that was stopped after two epochs, beside one that was not."""
    path = Path(FOLDER) / "run.safetensors"
    mine = shards("ragged", X, Y)[ME]
    options = {"optimizer": Adam(CosineDecay(0.02, 40)), "l2": 1e-3}
    whole = make(**options)
    expected = mpi.fit(whole, *mine, epochs=5, batch_size=32)
    mpi.fit(make(**options), *mine, epochs=2, batch_size=32, checkpoint=path)
    net = fastbp.load(path) if ME == 0 else make(**options | {"seed": 5})
    history = mpi.fit(net, *mine, epochs=5, batch_size=32, checkpoint=path, resume=True)
    again = mpi.fit(net, *mine, epochs=5, batch_size=32, resume=True)
    bits = [b"".join(a.tobytes() for a in n.get_state().values()) for n in (net, whole)]
    return {
        "same": bits[0] == bits[1],
        "loss": [expected.loss, history.loss, again.loss],
        "saved": (fastbp.load(path).params == net.params).all().item() if ME == 0 else True,
    }


def together():
    """All that leaves the processes alive, in one start of them."""
    cases = (equal, shuffled, errors, diverges, resumed)
    return {case.__name__: case() for case in cases}


def killed():
    """A rank dies by a signal, as when memory is short."""

    def loss(y_pred, y):
        if ME == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.0, np.zeros_like(y)

    mpi.fit(make(loss=loss), *shards("equal", X, Y)[ME])


def alone():
    """A rank raises where no other asks."""
    net = make()
    if ME == 1:

        def failing(*arguments, **options):
            raise MemoryError("no memory for an update")

        object.__setattr__(net, "apply_gradient", failing)
    mpi.fit(net, *shards("equal", X, Y)[ME])


FOLDER = sys.argv[2]
results = COMM.gather(globals()[sys.argv[1]]())
if ME == 0:
    print("RESULTS", json.dumps(results), flush=True)
