"""The rows of a worker, and their weights among those of all workers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbp.fit import data
from fastbp.fit.data import Examples
from fastbp.model.net import Net


class Shard:
    """Rows of one rank, checked; there may be none.

    Parameters
    ----------
    net : MLP
    X, y, sample_weight
        As in `MLP.fit`.

    Attributes
    ----------
    count : int
        How many rows there are.
    weight : float
        The sum of their weights; without weights it is `count`.
    weighted : bool
        Whether there are weights, or targets that are missing.
    """

    def __init__(self, net: Net, X: Any, y: Any, sample_weight: Any) -> None:
        self.count = 0
        self.weight = 0.0
        self.weighted = sample_weight is not None
        if np.shape(X)[:1] == (0,) and np.shape(y)[:1] == (0,):
            return
        rows, self.count = data.rows_to_train_on(X, y, sample_weight, net)
        data.check_dropout(net, rows)
        self.examples = data.examples_of(rows, y, net)
        weights = self.examples.sample_weight
        self.weighted = weights is not None
        self.weight = float(self.count if weights is None else data.row_weights(weights).sum())

    def scale(self, factor: float) -> None:
        """Multiply the weights of the rows, 1 where there are none."""
        if self.count:
            weights = self.examples.sample_weight
            scaled = np.full(self.count, factor) if weights is None else weights * factor
            self.examples = self.examples._replace(sample_weight=scaled)

    def take(self, rows: Any) -> Examples:
        """Some of the rows."""
        return self.examples.take(rows)


def factor_to_mean_1(counts: Sequence[int], weights: Sequence[float]) -> float:
    """What scales the weights of all shards to a mean of 1 over all rows.

    Raises
    ------
    ValueError
        When there are no rows, or their weights add up to nothing.
    """
    if not sum(counts):
        raise ValueError("there are no rows to train on: each shard is empty")
    return sum(counts) / data.total_weight(np.array([math.fsum(weights)]))
