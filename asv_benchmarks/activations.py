"""Activations: nanoseconds an element, beside ReLU and NumPy, as a Markdown table.

Run it on one core, such as ``taskset -c 0 python asv_benchmarks/activations.py``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from fastbp.kernels.activations import ACTIVATIONS, activate
from fastbp.machine.simd import flush_denormals, pointer, restore_denormals
from timing import rounds_of_calls

ELEMENTS = 10_000
#: 1.5 times three passes of ReLU.
GOAL = 4.5
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
#: What one would write in NumPy, without a thought for its error.
NUMPY: dict[str, Callable[[NDArray], NDArray]] = {
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "hard_sigmoid": lambda z: np.clip(z + 3, 0, 6) / 6,
    "exp": np.exp,
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "selu": lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0))),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "silu": lambda z: z / (1 + np.exp(-z)),
    "softplus": lambda z: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
    "gelu": lambda z: z * (1 + erf(z / np.sqrt(2, dtype=z.dtype))) / 2,
}


@numba.njit
def run(code, z, slope, repetitions):
    """Activate z in place, again and again: there is no branch that its values could take."""
    mode = flush_denormals()
    for _ in range(repetitions):
        activate(code, pointer(z, 0), pointer(slope, 0), 1, len(z), 1)
    restore_denormals(mode)


def worst_error(name: str, z: NDArray) -> float:
    """Return the largest error in ulp where NumPy in float64 says what is right.

    Raises
    ------
    ArithmeticError
        If it is beyond the stated 4 ulp.
    """
    y, exact = z.copy(), NUMPY[name](z.astype(np.float64))
    run(ACTIVATIONS[name].code, y, np.zeros_like(y), 1)
    error = float(np.max(np.abs(y - exact) / np.spacing(np.abs(exact).astype(y.dtype))))
    if not error <= 4.0:
        raise ArithmeticError(f"{name} is off by {error:.1f} ulp")
    return error


def action(name: str, z: NDArray, with_slope: bool) -> Callable[[int], object]:
    """Return what carries out repetitions of an activation in training or in prediction."""
    code = ACTIVATIONS[name].code
    y, slope = z.copy(), z.copy()
    return lambda repetitions: run(code, y, slope if with_slope else y, repetitions)


def numpy_action(name: str, z: NDArray) -> Callable[[int], object]:
    """Return the same with NumPy."""

    def repeat(repetitions: int) -> None:
        for _ in range(repetitions):
            NUMPY[name](z)

    return repeat


def table(rounds: int, seconds: float) -> str:
    """Measure every activation.

    Parameters
    ----------
    rounds, seconds
        As in `timing.rounds_of_calls`.
    """
    z = np.random.default_rng(0).uniform(-4.0, 4.0, ELEMENTS).astype("float32")
    errors = {name: worst_error(name, z) for name in NUMPY}
    ours = {name: action(name, z, False) for name in NUMPY}
    ours |= {
        f"{name} and its slope": action(name, z, True)
        for name, traits in ACTIVATIONS.items()
        if traits.stores_slope
    }
    numpys = {f"NumPy {name}": numpy_action(name, z) for name in NUMPY}
    found = rounds_of_calls(ours | numpys, rounds=rounds, seconds=seconds)
    best = {name: min(times) / ELEMENTS * 1e9 for name, times in found.items()}

    lines = [
        f"| float32, {ELEMENTS:,} elements | ns an element | x ReLU | NumPy, ns | error, ulp |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name in ours:
        plain, ratio = name.split()[0], best[name] / best["relu"]
        missed = "" if ratio <= GOAL else " (missed)"
        lines.append(
            f"| {name} | {best[name]:.3f} | {ratio:.1f}{missed} | "
            f"{best['NumPy ' + plain]:.2f} | {errors[plain]:.1f} |"
        )
    return "\n".join([*lines, "", f"Goal: at most {GOAL:g} times ReLU, 1.5 times three passes."])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.02, help="of a turn, at least")
    options = parser.parse_args()
    print(table(options.rounds, options.seconds))


if __name__ == "__main__":
    main()
