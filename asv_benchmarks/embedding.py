"""What a net costs inside a user's compiled function, beside code that is written by hand.

``python asv_benchmarks/embedding.py`` prints tables as Markdown; with --docs they go into
docs/howto/compiled_code.md. Results are checked first. A figure is the best of many short turns, in
nanoseconds a row, so that what else the machine does counts little, and all of a row of a table are
of the same minute.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time

import numba
import numpy as np
from llvmlite import binding

from embedding_rivals import rivals
from fastbp import MLP
from fastbp.machine.peak import cpu_model

SHAPES = (
    (2, 2, 1), (4, 32, 16, 4), (10, 32, 32, 1), (64, 64, 10), (20, 100, 100, 1), (64, 128, 64, 10),
    (784, 128, 10),
)  # fmt: skip
#: Calls in a turn at most, and about how many nanoseconds it takes, so that some are not disturbed.
CALLS = 200
TURN = 50_000
#: Seconds for each figure.
SECONDS = 0.3
DOCS = Path(__file__).resolve().parents[1] / "docs" / "howto" / "compiled_code.md"
BEGIN = "<!-- embedding:begin -->"
END = "<!-- embedding:end -->"
USER = Path(__file__).with_name("embedding_user.py")


def predict(f, x, out, n):
    """Outputs of a row, n times; the row changes."""
    for i in range(n):
        x[0] = i * 1e-3
        f.predict(x, out)


def differentiate(f, x, y, grad, n):
    """Loss and gradient of a row, n times."""
    for _ in range(n):
        f.loss_and_grad(x, y, grad)


def derive(f, x, dy, dx, grad, n):
    """Derivatives by inputs and parameters, n times."""
    for _ in range(n):
        f.vjp(x, dy, dx, grad)


def learn(f, x, y, grad, n):
    """Gradient and update by a row, n times."""
    for _ in range(n):
        f.loss_and_grad(x, y, grad)
        f.apply_gradient(grad)


def step(f, x, y, n):
    """The same as one step."""
    for _ in range(n):
        f.step(x, y)


def took(run: Callable[[int], object], calls: int) -> int:
    """Nanoseconds of a turn."""
    start = perf_counter_ns()
    run(calls)
    return perf_counter_ns() - start


def best(run: Callable[[int], object]) -> float:
    """Nanoseconds of one of the n calls that `run(n)` makes, in its best turn."""
    run(1)
    each = min(took(run, CALLS) for _ in range(3)) // CALLS + 1
    calls = max(1, min(CALLS, TURN // each))
    found = empty = float("inf")
    end = perf_counter() + SECONDS
    while perf_counter() < end:
        empty = min(empty, took(run, 0))  # what the way into other code takes
        found = min(found, took(run, calls))
    return (found - empty) / calls


def compiled_in(call: Callable[[], object]) -> float:
    """Seconds of the processor for the first call."""
    start = process_time()
    call()
    return process_time() - start


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown; columns but the first two are of numbers."""
    heads = list(heads)
    rule = ["---"] * 2 + ["---:"] * (len(heads) - 2)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows)) + "\n"


def name_of(net: MLP) -> list[str]:
    """The cells that say which net it is."""
    return ["-".join(map(str, net.layer_sizes)), net.activations[0]]


def of_predict(sizes: tuple[int, ...], activation: str, folder: Path) -> dict[str, str]:
    """A row of the table of predictions, by its columns."""
    net = MLP(sizes, activation=activation, seed=0)
    x = np.linspace(-1, 1, sizes[0], dtype=np.float32)
    out = np.zeros(sizes[-1], np.float32)
    cells = dict(zip(("net", "hidden"), name_of(net), strict=True))
    cells["net.predict"] = f"{best(lambda n: [net.predict(x[np.newaxis]) for _ in range(n)]):.0f}"
    seconds = []
    for kind in ("address", "unrolled"):
        f = net.compiled(kind=kind)
        if kind == "unrolled" and f.net.compiled().kind != f.kind:
            cells[kind] = "-"  # too large: it would take seconds to compile
            continue
        user = numba.njit(predict)
        seconds.append(f"{compiled_in(lambda f=f, user=user: user(f, x, out, 1)):.2f}")
        taken = best(lambda n, f=f, user=user: user(f, x, out, n))
        assert np.array_equal(out, net.predict(x[np.newaxis])[0])
        cells[kind] = f"{taken:.0f}"
    for name, turn in rivals(net, folder).items():
        taken = best(lambda n, turn=turn: turn(x, out, n))
        assert np.allclose(out, net.predict(x[np.newaxis])[0], rtol=1e-4, atol=1e-5)
        cells[name] = f"{taken:.0f}"
    cells["user's compile, CPU s"] = ", ".join(seconds)
    return cells


def of_learning(sizes: tuple[int, ...], activation: str) -> list[str]:
    """A row of the table of derivatives and updates."""
    net, other = (MLP(sizes, activation=activation, seed=0) for _ in range(2))
    f = net.compiled(kind="address")
    x = np.linspace(-1, 1, sizes[0], dtype=np.float32)
    y = np.linspace(-1, 1, sizes[-1], dtype=np.float32)
    dx, grad = np.zeros_like(x), np.zeros_like(net.params)
    users = {
        differentiate: (x, y, grad),
        derive: (x, y, dx, grad),
        learn: (x, y, grad),
        step: (x, y),
    }
    fresh = net.get_state()
    cells = name_of(net)
    for function, given in users.items():
        user = numba.njit(function)
        net.set_state(fresh)
        user(f, *given, 1)
        if function in (learn, step):
            other.set_state(fresh)
            other.step(x[np.newaxis], y[np.newaxis])
            assert np.array_equal(net.params, other.params)
        taken = best(lambda n, user=user, given=given: user(f, *given, n))
        cells.append(f"{taken:.0f}")
    python = best(lambda n: [other.step(x[np.newaxis], y[np.newaxis]) for _ in range(n)])
    return [*cells, f"{python:.0f}"]


def in_new_processes(kind: str) -> list[str]:
    """A row of the table of the cache: a user's program, and again with another net."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        printed = []
        for hidden in (32, *[24 if kind == "address" else 32] * 5):
            command = [sys.executable, str(USER), kind, str(hidden)]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
            printed.append([float(number) for number in done.stdout.split()])
    compiled, *loaded = printed
    assert compiled[-1] == 0
    assert all(figures[-1] == 1 for figures in loaded)
    least = [min(figures) for figures in zip(*loaded, strict=True)]
    return [kind, *(f"{ms:.0f}" for ms in (compiled[3], least[3], least[0], least[1], least[2]))]


def report() -> str:
    """The tables."""
    command = ["git", "-C", str(DOCS.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
    gcc = shutil.which("gcc")
    version = "no gcc was found, so its columns are missing"
    if gcc:
        version = subprocess.check_output([gcc, "--version"], text=True).splitlines()[0]
    with tempfile.TemporaryDirectory() as folder:
        cells = [of_predict(s, a, Path(folder)) for a in ("relu", "tanh") for s in SHAPES]
    predicted = table(cells[0], (row.values() for row in cells))
    learnt = table(
        ["net", "hidden", "loss_and_grad", "vjp", "gradient + Adam", "step", "net.step"],
        (of_learning(s, a) for a in ("relu", "tanh") for s in SHAPES),
    )
    cached = table(
        ["form", "compiled", "loaded", "imports", "net.compiled()", "another function, loaded"],
        map(in_new_processes, ("address", "unrolled")),
    ).replace("| --- | --- |", "| --- | ---: |")
    return (
        f"Commit {commit}; {cpu_model()} ({binding.get_host_cpu_name()}), one core; "
        f"Numba {numba.__version__}, {version}.\n\n"
        f"Outputs of one row, nanoseconds:\n\n{predicted}\n"
        f"Derivatives and updates by one row, by address, nanoseconds:\n\n{learnt}\n"
        f"A function cached by Numba in a new process, first call, milliseconds of the processor:"
        f"\n\n{cached}"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--docs", action="store_true", help=f"write them into {DOCS.name}")

    @numba.njit
    def nothing(x: float) -> float:
        return x + 1

    in_docs = parser.parse_args().docs
    nothing(1.0)  # what Numba loads for the first function of a process
    found = report()
    print(found)
    if in_docs:
        before, begin, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        DOCS.write_text(f"{before}{begin}\n{found}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
