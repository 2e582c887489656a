"""Random nets that train from one seed: what the tests of determinism and of threads share.

Worker processes import this file by its name.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any, NamedTuple

import numpy as np
from helpers import COMPILED, state

from fastbp import MLP, SGD, Adam

LOSSES = ("squared_error", "binary_cross_entropy", "cross_entropy")
OPTIMIZERS = (
    SGD(0.02),
    SGD(0.02, momentum=0.9),
    SGD(0.02, momentum=0.9, nesterov=True),
    Adam(0.005),
)


class Recipe(NamedTuple):
    """A net, its data, and how to fit it."""

    net: MLP
    X: np.ndarray
    y: np.ndarray
    epochs: int
    batch_size: int
    shuffle: bool


def recipe(seed: int) -> Recipe:
    """The same for the same seed; twelve in a row are every loss with every optimiser."""
    rng = np.random.default_rng([seed, 6])
    loss, dtype = LOSSES[seed % 3], ("float32", "float64")[seed // 3 % 2]
    widest, rows = (40, int(rng.choice([37, 300, 700]))) if COMPILED else (6, 11)
    depth = int(rng.integers(0, 4))
    sizes = [int(n) for n in rng.integers(2, widest, depth + 2)]
    net = MLP(
        sizes,
        activation=[str(a) for a in rng.choice(["relu", "tanh", "sigmoid"], depth)],
        loss=loss,
        optimizer=OPTIMIZERS[seed % 4],
        dtype=dtype,
        seed=seed,
    )
    net.frozen[:] = rng.random(net.frozen.size) < rng.choice([0.0, 0.3])
    X = rng.normal(size=(rows, sizes[0])).astype(dtype)
    y = rng.dirichlet(np.ones(sizes[-1]), rows).astype(dtype)
    if loss == "cross_entropy" and rng.integers(2):
        y = rng.integers(sizes[-1], size=rows)
    # Above 512 rows a batch goes through in several passes.
    batch_size = int(rng.choice([1, 7, 32, 600]))
    return Recipe(net, X, y, 6, batch_size, bool(rng.integers(4)))


def digest(net: MLP, losses: list[float]) -> str:
    """A digest of all bits that training reads or writes, and the losses of all epochs."""
    bits = state(net) + np.array(losses).tobytes()
    return hashlib.blake2b(bits, digest_size=16).hexdigest()


def fit(r: Recipe, **changed: Any) -> list[float]:
    """Losses of one fit, as the recipe says except for what is changed."""
    options = {"epochs": r.epochs, "batch_size": r.batch_size, "shuffle": r.shuffle}
    return list(r.net.fit(r.X, r.y, **(options | changed)).loss)


def fitted(seed: int) -> str:
    """The digest of a net of this recipe after its fit."""
    r = recipe(seed)
    return digest(r.net, fit(r))


def fitted_net(r: Recipe) -> MLP:
    """The net itself, trained: it travels back from worker processes."""
    fit(r)
    return r.net


def in_threads(functions) -> list[Any]:
    """Their results, computed side by side, begun at once; errors are raised here."""
    results: list[Any] = [None] * len(functions)
    errors, barrier = [], threading.Barrier(len(functions))

    def run(i) -> None:
        barrier.wait()
        try:
            results[i] = functions[i]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
