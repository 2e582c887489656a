"""The named workloads: what is trained, on how much data, and the goals it is held to.

Benchmarks, the comparison with other libraries and the README's table all take their nets and
their data from here, so that their figures can be laid side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Goals(NamedTuple):
    """What a step of training is held to on one thread; more is better.

    The first three say how many times faster than the library of that name (the names are those
    of ``peers.PEERS``); `peak` is the share of the FMA peak, or None where there is no goal.
    """

    sklearn: float
    torch: float
    jax: float
    peak: float | None


@dataclass(frozen=True)
class Workload:
    """One net and the data it is trained on.

    Attributes
    ----------
    name : str
        What the workload is called in every table.
    layer_sizes : tuple of int
        Inputs, hidden layers, outputs.
    rows : int
        Rows of data there are; an epoch uses the first `rows_used` of them.
    batch_size : int
        Rows in a mini-batch.
    activation : {"relu", "tanh", "sigmoid"}
        Activation of the hidden layers; the outputs are linear.
    goals : Goals or None
        What training is held to, if anything.
    """

    name: str
    layer_sizes: tuple[int, ...]
    rows: int
    batch_size: int
    activation: str = "relu"
    goals: Goals | None = None

    @property
    def steps(self) -> int:
        """Updates in an epoch."""
        return self.rows // self.batch_size

    @property
    def rows_used(self) -> int:
        """Rows in an epoch: whole batches only, so that every library makes the same updates."""
        return self.steps * self.batch_size

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer of weights."""
        return list(zip(self.layer_sizes, self.layer_sizes[1:], strict=False))

    @property
    def forward_flops(self) -> int:
        """Floating-point operations of the products of one row's forward pass."""
        return sum(2 * n_in * n_out for n_in, n_out in self.pairs)

    @property
    def step_flops(self) -> int:
        """Useful floating-point operations of one update.

        The forward product, the weight gradient and, except in the first layer, the input
        gradient count 2 ``n_in n_out`` a row each; activations, loss and optimiser count nothing.
        """
        n_in, n_out = self.pairs[0]
        return self.batch_size * (3 * self.forward_flops - 2 * n_in * n_out)

    def data(self, dtype: str = "float32") -> tuple[NDArray, NDArray]:
        """Random normal inputs and targets, `rows_used` rows of each, the same at every call."""
        rng = np.random.default_rng(0)
        X = rng.standard_normal((self.rows_used, self.layer_sizes[0]))
        Y = rng.standard_normal((self.rows_used, self.layer_sizes[-1]))
        return X.astype(dtype), Y.astype(dtype)

    def weights(self, dtype: str = "float32") -> list[NDArray]:
        """Return initial weights, (n_in, n_out) for each layer; the biases start at zero."""
        rng = np.random.default_rng(1)
        gain = 2.0 if self.activation == "relu" else 1.0
        return [
            (rng.standard_normal((n_in, n_out)) * np.sqrt(gain / n_in)).astype(dtype)
            for n_in, n_out in self.pairs
        ]


#: The workloads by name. What each stands for: call overhead in toy problems; a stream of single
#: samples; SimpleChains.jl's published case; scikit-learn's digits; ragged widths at
#: scikit-learn's default batch; one wide input layer; compute-bound square layers; the upper end
#: of "small".
WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Workload("tiny", (2, 16, 16, 1), 2_000, 32, goals=Goals(150, 150, 14, 0.20)),
        Workload("online", (10, 32, 1), 2_000, 1, goals=Goals(450, 800, 6, None)),
        Workload("surrogate", (4, 32, 16, 4), 10_000, 10_000, "tanh", Goals(7, 4.5, 2.5, 0.45)),
        Workload("digits", (64, 64, 10), 1_797, 32, goals=Goals(40, 40, 3.5, 0.60)),
        Workload("default", (20, 100, 100, 1), 10_000, 200, goals=Goals(6, 3.5, 1.7, 0.70)),
        Workload("mnist", (784, 128, 10), 20_000, 128, goals=Goals(2.8, 2.4, 1.4, 0.82)),
        Workload("deep", (64, 256, 256, 256, 10), 4_000, 128, goals=Goals(3, 2.2, 1.25, 0.85)),
        Workload("wide", (784, 512, 512, 10), 6_000, 256, goals=Goals(2.2, 1.6, 1.2, 0.87)),
    )
}
