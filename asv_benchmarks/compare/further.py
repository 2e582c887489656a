"""The further goals of speed: other dtypes, activations and widths, prediction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compare.peers import FastBP
from compare.tables import Row, at_least, at_most
from compare.timing import median_ratio, repeated, rounds_of_calls, rounds_of_steps
from fastbp.machine import peak as hardware
from peak import flops_at_peak
from workloads import WORKLOADS, Workload

BATCH = 128
ROWS = 4_096
#: Nets with ragged widths, each with the same net at the nearest widths that fill all lanes of
#: 16 or fewer.
RAGGED: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "100 wide": ((64, 100, 100, 64), (64, 112, 112, 64)),
    "17 wide": ((64, 17, 17, 64), (64, 32, 32, 64)),
    "10 outputs": ((64, 128, 128, 10), (64, 128, 128, 16)),
    "1 output": ((64, 128, 128, 1), (64, 128, 128, 16)),
}


def dtype_rows(rounds: int, seconds: float) -> list[Row]:
    """Compare the rate in float64 with that in float32."""
    rows = []
    for name in ("deep", "wide"):
        nets = {dtype: FastBP(WORKLOADS[name], dtype) for dtype in ("float32", "float64")}
        found = rounds_of_steps(nets, rounds=rounds, seconds=seconds)
        share = median_ratio(found, "float32", "float64")
        rows.append(at_least(f"float64 on {name}, of the float32 rate", share, 0.45))
    return rows


def activation_rows(rounds: int, seconds: float) -> list[Row]:
    """Compare the rate with tanh and sigmoid with that of ReLU."""
    nets = {
        activation: FastBP(replace(WORKLOADS["deep"], activation=activation))
        for activation in ("relu", "tanh", "sigmoid")
    }
    found = rounds_of_steps(nets, rounds=rounds, seconds=seconds)
    return [
        at_least(f"{name} on deep, of the ReLU rate", median_ratio(found, "relu", name), 0.85)
        for name in ("tanh", "sigmoid")
    ]


def filled_lanes(workload: Workload, lanes: int) -> float:
    """Return the share of vector lanes that the products of one update can fill.

    Forward product and weight gradient run their vectors over a layer's outputs, the input
    gradient over its inputs; a last vector that is not full costs as much as a full one.
    """

    def full(n: int) -> int:
        return -(-n // lanes) * lanes

    spent = sum(2 * (2 * n_in * full(n_out) + full(n_in) * n_out) for n_in, n_out in workload.pairs)
    n_in, n_out = workload.pairs[0]
    spent -= 2 * full(n_in) * n_out
    return workload.step_flops / workload.batch_size / spent


def ragged_rows(rounds: int, seconds: float) -> list[Row]:
    """Compare the rate at ragged widths with that at the nearest full ones."""
    lanes = hardware.lanes("float32")
    rows = []
    for name, sizes in RAGGED.items():
        ragged, full = (Workload(name, s, ROWS, BATCH) for s in sizes)
        found = rounds_of_steps(
            {"ragged": FastBP(ragged), "full": FastBP(full)}, rounds=rounds, seconds=seconds
        )
        rate = ragged.step_flops / full.step_flops * median_ratio(found, "full", "ragged")
        # At most the empty lanes plus ten points may be lost.
        goal = filled_lanes(ragged, lanes) - 0.10
        shape, nearest = ("-".join(map(str, s)) for s in sizes)
        what = f"{name}: {shape}, of the rate of {nearest}"
        rows.append(at_least(what, rate, goal))
    return rows


def predict_rows(rounds: int, seconds: float) -> list[Row]:
    """Time the prediction of one row from Python, and of many rows of the wide net."""
    rng = np.random.default_rng(2)
    small = FastBP(Workload("one row", (10, 32, 32, 1), 32, 32)).net
    wide = WORKLOADS["wide"]
    large = FastBP(wide).net
    one = rng.standard_normal((1, 10)).astype("float32")
    many = rng.standard_normal((10_000, wide.layer_sizes[0])).astype("float32")
    actions = {"one": repeated(small.predict, one)}
    found = rounds_of_calls(actions, rounds=rounds, seconds=seconds)
    share = wide.forward_flops * len(many) / flops_at_peak(lambda: large.predict(many), "float32")
    return [
        at_most("predict one row of 10-32-32-1, from Python", min(found["one"]) * 1e6, 3, "µs"),
        at_least("predict 10,000 rows of the wide net, of FMA peak", share, 0.80),
    ]


def further_rows(rounds: int, seconds: float) -> list[Row]:
    """Measure every further goal.

    Parameters
    ----------
    rounds, seconds
        As in `timing.rounds_of_calls`.
    """
    rows = dtype_rows(rounds, seconds)
    rows += activation_rows(rounds, seconds)
    rows += ragged_rows(rounds, seconds)
    return rows + predict_rows(rounds, seconds)
