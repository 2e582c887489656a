"""Random fits that are stopped and go on: what the tests of resuming and its child process share.

The child process imports this file by its name.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from helpers import state

import fastbp
from fastbp import MLP, graph
from fastbp.model.optimizers import OPTIMIZERS, Group

EPOCHS = 50


def schedules(rate: float, updates: int) -> list[Any]:
    """Learning rates of every kind, in updates and in epochs."""
    cosine = fastbp.CosineDecay(rate, epochs=7, restarts=True, growth=2)
    return [
        rate,
        fastbp.StepDecay(rate, updates, 0.9),
        fastbp.ExponentialDecay(rate, 0.8, epochs=3),
        fastbp.CosineDecay(np.float32(rate), 20 * updates, rate / 10),
        fastbp.InverseScaling(rate, 0.3),
        fastbp.OneCycle(rate, epochs=EPOCHS),
        fastbp.WarmUp(fastbp.ScaledSchedule(cosine, 0.7), epochs=4),
    ]


class Run(NamedTuple):
    """A net before its fit, and the arguments of the fit without its epochs."""

    net: MLP
    data: tuple[Any, ...]
    options: dict[str, Any]
    stop: int


def run(seed: int) -> Run:
    """The same for the same seed; 63 in a row are every optimiser with every kind of schedule."""
    rng = np.random.default_rng([seed, 17])
    dtype = str(rng.choice(["float32", "float64"]))
    n_in, n_out = (int(n) for n in rng.integers(2, 6, 2))
    depth = int(rng.integers(0, 3))
    rows = int(rng.integers(8, 60))
    batch_size = int(rng.choice([1, 7, 32]))
    held = float(rng.choice([0.0, 0.25]))
    updates = -(-(rows - int(np.ceil(held * rows))) // batch_size)
    kind = list(OPTIMIZERS.values())[seed % 9]
    rates = schedules(1.0 if kind is fastbp.Adadelta else 0.002, updates)
    optimizer = kind(
        rates[seed // 9 % len(rates)],
        groups=[Group([0], biases=False, weight_decay=0.01)] if rng.integers(2) else (),
    )
    loss = ["squared_error", "cross_entropy", fastbp.Huber(0.7), "graph"][int(rng.integers(4))]
    z, y_pred, target = graph.variables("z y_pred y")
    if loss == "graph":
        loss = (y_pred - target) ** 2 / 3
    by_output = loss != "cross_entropy"
    missing = bool(by_output and rng.integers(2))
    units: list[Any] = ["relu", "tanh", "gelu", z * graph.sigmoid(z)]
    net = MLP(
        [n_in, *rng.integers(2, 9, depth).tolist(), n_out],
        activation=[units[i] for i in rng.integers(4, size=depth)],
        loss=loss,
        optimizer=optimizer,
        dtype=dtype,
        bias=bool(rng.integers(2)),
        l2=float(rng.choice([0.0, 0.001])),
        dropout=[float(rate) for rate in rng.choice([0.0, 0.3], depth)],
        input_dropout=float(rng.choice([0.0, 0.1])),
        clip_norm=[None, 1.0][int(rng.integers(2))],
        max_norm=[None, 2.0][int(rng.integers(2))],
        missing_targets=missing,
        seed=seed,
    )
    net.frozen[:] = rng.random(net.frozen.size) < rng.choice([0.0, 0.2])
    X = rng.normal(size=(rows, n_in))
    y = rng.normal(size=(rows, n_out)) if by_output else rng.integers(n_out, size=rows)
    if missing:
        y[rng.random(y.shape) < 0.1] = np.nan
    weights = rng.random((rows, n_out) if by_output else rows) + 0.1 if rng.integers(2) else None
    options: dict[str, Any] = {"batch_size": batch_size, "shuffle": bool(rng.integers(4))}
    if held:
        options["validation_fraction"] = held
    if rng.integers(3) == 0:
        options["augment"] = fastbp.GaussianNoise(0.1)
    return Run(net, (X, y, weights), options, int(rng.integers(0, EPOCHS)))


def fit(net: MLP, r: Run, epochs: int) -> list[list[float]]:
    """Train, and return what was measured, without the seconds."""
    X, y, weights = r.data
    history = net.fit(X, y, sample_weight=weights, epochs=epochs, **r.options)
    return [history[name] for name in history.names[:-1]]


def digest(net: MLP, measured: list[list[float]]) -> str:
    """A digest of all bits that training reads or writes, and of the last epochs."""
    return hashlib.sha256(state(net) + repr(measured).encode()).hexdigest()


def gone_on(seed: int, path: Path) -> str:
    """The digest after the epochs that were left when the net was saved."""
    r = run(seed)
    net = fastbp.load(path)
    return digest(net, fit(net, r, EPOCHS - r.stop))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for seed in map(int, sys.argv[2:]):
        print(gone_on(seed, folder / f"{seed}.safetensors"))
