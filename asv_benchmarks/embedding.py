"""What a call of a net takes inside a user's compiled function: a table, as Markdown.

Every figure is the best of many short turns, in nanoseconds a row, so that what else the machine
does counts little; the ratios to `net.predict` from Python are of the same run.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, perf_counter_ns, process_time

import numba
import numpy as np

from fastbp import MLP

SHAPES = ((2, 2, 1), (4, 32, 16, 4), (10, 32, 32, 1), (64, 64, 10), (784, 128, 10))
#: Calls in a turn.
CALLS = 200
#: Seconds for each figure.
SECONDS = 0.5


def predict(f, x, out, n):
    """Outputs of a row, n times; the row changes."""
    for i in range(n):
        x[0] = i * 1e-3
        f.predict(x, out)


def learn(f, x, y, grad, n):
    """Gradient and update by a row, n times."""
    for _ in range(n):
        f.loss_and_grad(x, y, grad)
        f.apply_gradient(grad)


def step(f, x, y, n):
    """The same as one step."""
    for _ in range(n):
        f.step(x, y)


def best(call: Callable[[], object], calls: int) -> float:
    """Nanoseconds of one of the calls that `call` makes, in its best turn."""
    call()
    found = float("inf")
    end = perf_counter() + SECONDS
    while perf_counter() < end:
        start = perf_counter_ns()
        call()
        found = min(found, perf_counter_ns() - start)
    return found / calls


def compiled_in(call: Callable[[], object]) -> float:
    """Seconds of the processor for the first call."""
    start = process_time()
    call()
    return process_time() - start


def measured(sizes: tuple[int, ...], activation: str) -> list[str]:
    """A row of the table."""
    net = MLP(sizes, activation=activation, seed=0)
    x = np.linspace(-1, 1, sizes[0], dtype=np.float32)
    y = np.zeros(sizes[-1], np.float32)
    out = np.zeros(sizes[-1], np.float32)
    grad = np.zeros_like(net.params)
    python = best(lambda: net.predict(x[np.newaxis]), 1)
    cells = ["-".join(map(str, sizes)), activation, f"{python:.0f}"]
    seconds = []
    for kind in ("address", "unrolled"):
        if kind == "unrolled" and "-" not in net.compiled().kind.split(",")[1]:
            cells.append("-")
            continue
        f = net.compiled(kind=kind)
        user = numba.njit(predict)
        seconds.append(f"{compiled_in(lambda f=f, user=user: user(f, x, out, 1)):.2f}")
        taken = best(lambda f=f, user=user: user(f, x, out, CALLS), CALLS)
        assert np.array_equal(out, net.predict(x[np.newaxis])[0])
        cells.append(f"{taken:.0f} ({python / taken:.0f}x)")
    f = net.compiled(kind="address")
    for user, given in ((numba.njit(learn), (x, y, grad)), (numba.njit(step), (x, y))):
        cells.append(f"{best(lambda u=user, g=given: u(f, *g, CALLS), CALLS):.0f}")
    return [*cells, ", ".join(seconds)]


def main() -> None:
    """Print the table."""

    @numba.njit
    def nothing(x: float) -> float:
        return x + 1

    nothing(1.0)  # what Numba loads for the first function of a process
    heads = ["net", "hidden", "net.predict", "address", "unrolled", "gradient + Adam", "step",
             "user's compile, CPU s"]  # fmt: skip
    print(f"| {' | '.join(heads)} |")
    print(f"|{' --- |' * len(heads)}")
    for activation in ("relu", "tanh"):
        for sizes in SHAPES:
            print(f"| {' | '.join(measured(sizes, activation))} |", flush=True)


if __name__ == "__main__":
    main()
