"""What a loss or activation of one's own costs: a table of ratios, measured in one run.

``python asv_benchmarks/own_functions.py`` trains nets that differ in one part, float32, 32 rows a
batch, in turns, and divides the times of an update by that of the built-in part. Every way computes
the same formula: tanh, and the Huber loss; that they agree is checked first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastbp import MLP, CallableLoss, ElementwiseActivation, ElementwiseLoss, Huber, graph

SIZES = ((3, 32, 1), (64, 64, 10))
ROWS, BATCHES, TURNS = 32, 50, 15


def tanh(z: float) -> tuple[float, float]:
    """Output and slope for one number."""
    y = math.tanh(z)
    return y, 1.0 - y * y


def tanh_of_arrays(z: Any) -> tuple[Any, Any]:
    """The same for a batch, by NumPy."""
    y = np.tanh(z)
    return y, 1 - y * y


def huber(y: float, t: float) -> tuple[float, float]:
    """Loss and slope for one output and target."""
    e = y - t
    c = min(max(e, -1.0), 1.0)
    return c * (e - 0.5 * c), c


def huber_of_arrays(y: Any, t: Any) -> tuple[float, Any]:
    """The same for a batch, by NumPy."""
    e = y - t
    c = np.clip(e, -1, 1)
    return float((c * (e - 0.5 * c)).sum()) / len(y), c / len(y)


def graph_of_huber() -> Any:
    """An expression."""
    y_pred, y = graph.variable("y_pred"), graph.variable("y")
    e = y_pred - y
    c = graph.relu(e + 1.0) - graph.relu(e - 1.0) - 1.0
    return c * (e - 0.5 * c)


WAYS: dict[str, dict[str, Any]] = {
    "built-in": {"activation": "tanh", "loss": Huber()},
    "elementwise": {
        "activation": ElementwiseActivation(tanh), "loss": ElementwiseLoss(huber),
    },
    "graph": {"activation": graph.tanh(graph.variable("z")), "loss": graph_of_huber()},
    "Python function": {"activation": tanh_of_arrays, "loss": CallableLoss(huber_of_arrays)},
}  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def times(sizes: tuple[int, ...], part: str) -> dict[str, float]:
    """Microseconds of an update by the way; the best of several turns."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS * BATCHES, sizes[0])).astype(np.float32)
    y = rng.normal(size=(ROWS * BATCHES, sizes[-1])).astype(np.float32)
    nets = {
        way: MLP(sizes, **(WAYS["built-in"] | {part: options[part]}), weight_init="glorot", seed=0)
        for way, options in WAYS.items()
    }
    expected = nets["built-in"].loss(x, y)
    for way, net in nets.items():
        if abs(net.loss(x, y) - expected) > 1e-5 * expected:
            raise AssertionError(f"{way} computes something else")
        net.fit(x, y, epochs=1, batch_size=ROWS)
    best = dict.fromkeys(nets, math.inf)
    for _ in range(TURNS):
        for way, net in nets.items():
            net.fit(x, y, epochs=1, batch_size=ROWS)  # after another's turn the caches are cold
            spent = seconds(lambda net=net: net.fit(x, y, epochs=4, batch_size=ROWS))
            best[way] = min(best[way], spent / (4 * BATCHES) * 1e6)
    return best


def main() -> None:
    """Print the table."""
    print("| part | net | " + " | ".join(WAYS) + " |")
    print("| --- | --- |" + " ---: |" * len(WAYS))
    for part in ("activation", "loss"):
        for sizes in SIZES:
            found = times(sizes, part)
            base = found["built-in"]
            cells = [f"{us / base:.2f} ({us:.1f} us)" for us in found.values()]
            print(f"| {part} | {'-'.join(map(str, sizes))} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
