"""A loop of one's own: one update a call, on batches that are drawn in Python.

What `fit` makes in one compiled call, this makes batch by batch, as streams, simulations and
reinforcement learning do. PyTorch, torch.compile and NumPy train so in any case.
"""

from __future__ import annotations

import os
import sys
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from compare.peers import JAX, PEERS, FastBP, Peer, ScikitLearn
from compare.tables import NO_GOAL, Row
from compare.timing import check_same_work, median_ratio, rounds_of_steps
from workloads import WORKLOADS

#: The workloads, each with the most microseconds a step may take, if that is a goal.
STREAMS: dict[str, float | None] = {"online": 4.0, "tiny": None, "digits": 10.0}


class Stream(Peer):
    """A peer whose epochs are loops over batches, gathered by index."""

    @abstractmethod
    def step(self, rows: Any) -> None:
        """Make an update by these rows of the data."""

    def train(self, epochs: int, shuffle: bool = True) -> None:
        """Train for several epochs, a batch at a time."""
        n = self.workload.rows_used
        for _ in range(epochs):
            order = np.random.permutation(n) if shuffle else np.arange(n)  # noqa: NPY002 - faster
            for rows in order.reshape(-1, self.workload.batch_size):
                self.step(rows)


class StreamFastBP(Stream, FastBP):
    """fastbp, by `MLP.step`."""

    def step(self, rows: Any) -> None:
        """Make an update."""
        self.net.step(self.X[rows], self.Y[rows])


class StreamScikitLearn(Stream, ScikitLearn):
    """scikit-learn, by `partial_fit`."""

    def step(self, rows: Any) -> None:
        """Make an update."""
        self.net.partial_fit(self.X[rows], self.targets[rows])


class StreamJAX(Stream, JAX):
    """JAX, by a compiled update; the calls are started one after the other."""

    def setup(self) -> None:
        """Define the update, to be compiled at its first call."""
        super().setup()
        jax = self.jax
        import optax

        def loss(params: Any, x: Any, y: Any) -> Any:
            return ((self.forward(params, x) - y) ** 2).sum(1).mean() / 2

        def update(params: Any, state: Any, x: Any, y: Any) -> Any:
            gradient = jax.grad(loss)(params, x, y)
            updates, state = self.optimizer.update(gradient, state, params)
            return optax.apply_updates(params, updates), state

        self.update = jax.jit(update, donate_argnums=(0, 1))

    def step(self, rows: Any) -> None:
        """Start an update."""
        self.params, self.state = self.update(self.params, self.state, self.X[rows], self.Y[rows])

    def train(self, epochs: int, shuffle: bool = True) -> None:
        """Train, and wait for the last update."""
        with self.precision():
            super().train(epochs, shuffle)
        self.jax.block_until_ready(self.params)


#: Those that otherwise run more than an update in a call.
BY_STEPS: dict[str, type[Peer]] = {
    "fastbp": StreamFastBP, "sklearn": StreamScikitLearn, "jax": StreamJAX,
}  # fmt: skip


def streaming_rows(peers: Sequence[str], rounds: int, seconds: float) -> list[Row]:
    """Time steps of a loop in Python, in float32.

    Parameters
    ----------
    peers : sequence of str
        Names of PEERS.
    rounds, seconds
        As in `timing.rounds_of_calls`.

    Raises
    ------
    DisagreementError
        If the libraries' nets differ after the same batches.
    """
    rows = []
    for name, goal in STREAMS.items():
        workload = WORKLOADS[name]
        made = {"fastbp": StreamFastBP(workload)}
        made |= {peer: BY_STEPS.get(peer, PEERS[peer])(workload) for peer in peers}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_same_work(made)
            found = rounds_of_steps(made, rounds=rounds, seconds=seconds)
        best = min(found["fastbp"]) * 1e6
        ratios = ", ".join(
            f"{median_ratio(found, peer, 'fastbp'):.3g}x {PEERS[peer].title}" for peer in peers
        )
        sizes = "-".join(map(str, workload.layer_sizes))
        rows.append(
            Row(
                f"{name} {sizes}, {workload.batch_size}: a step in a loop of one's own",
                f"{best:.3g} µs" + (f"; {ratios}" if peers else ""),
                NO_GOAL if goal is None else f"<= {goal:g} µs",
                goal is None or best <= goal,
            )
        )
    return rows


def main() -> None:
    """Print the rows, for the peers that are installed."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    peers = [name for name, peer in PEERS.items() if peer.installed()]
    for row in streaming_rows(peers, rounds=5, seconds=0.2):
        print(f"{row.what}\n    {row.measured}   {row.goal} {'' if row.met else 'not met'}")


if __name__ == "__main__":
    sys.exit(main())
