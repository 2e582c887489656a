"""Time and memory of fresh processes: import a library, fit a small net, leave.

Only the standard library is imported here before a child needs more, because on Linux the peak
memory of a child starts at that of its parent: measure before anything large has been loaded. A
benchmark, which has loaded Numba, puts a small interpreter between itself and the child.

The child is this file as a program: ``python -m compare.startup NAME`` prints the loss after the
fit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

#: Where the child finds `compare`, and what stands beside it.
SUITE = Path(__file__).resolve().parents[1]
ROWS = 500
EPOCHS = 20
DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.standard_normal((500, 64)).astype("float32")
Y = rng.standard_normal((500, 10)).astype("float32")
"""
FIT = f"""{DATA}
from fastbp import MLP
MLP((64, 64, 10), optimizer="adam", seed=0).fit(X, Y, epochs=20, batch_size=32)
"""
#: The interpreter between a benchmark and the script that it measures.
BETWEEN = """
import json, os, sys
from compare.startup import timed
json.dump(timed([sys.executable, "-c", sys.stdin.read()], os.environ), sys.stdout)
"""
#: The variable with the folder of what a library compiles once for all processes.
CACHES = {"fastbp": "FASTBP_CACHE_DIR", "torch_compile": "TORCHINDUCTOR_CACHE_DIR"}
#: How far losses may lie apart, relative to fastbp's: rounding, and where Adam's epsilon stands.
LOSS_TOLERANCE = 3e-4
#: Exit status of a child whose library cannot do this here; the reason is what it printed.
CANNOT_RUN = 3


class Run(NamedTuple):
    """What a process took, and the loss it ended at.

    Attributes
    ----------
    seconds : float
        Wall-clock time from start to end.
    memory : float
        Peak resident memory, MiB.
    loss : float
    """

    seconds: float
    memory: float
    loss: float


class Startup(NamedTuple):
    """What is known of fresh processes, by library.

    Attributes
    ----------
    cold : dict of str to Run
        With an empty cache, of those that have one.
    warm : dict of str to Run
        The best of several.
    failures : dict of str to str
        Why a library that is installed could not do this.
    """

    cold: dict[str, Run]
    warm: dict[str, Run]
    failures: dict[str, str]


class ChildError(Exception):
    """A child's library cannot do this here."""


def child(name: str) -> int:
    """Import a library, fit and print the loss; return the exit status."""
    from compare.peer_base import CannotRunError
    from compare.peers import PEERS, FastBP, NumPy
    from workloads import Workload

    workload = Workload("fresh process", (64, 64, 10), ROWS, 50)
    try:
        peer = {"fastbp": FastBP, **PEERS}[name](workload)
        peer.train(EPOCHS, shuffle=False)
    except CannotRunError as error:
        print(error)
        return CANNOT_RUN
    judge = NumPy(workload)  # one that compiles nothing
    for ours, theirs in zip((*judge.weights, *judge.biases), peer.parameters(), strict=True):
        ours[...] = theirs
    print(judge.loss())
    return 0


def timed(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float, str, int]:
    """Run a program from start to end.

    Returns
    -------
    seconds : float
        Wall-clock time.
    memory : float
        Peak resident memory, MiB.
    printed : str
    status : int
        Its exit status.
    """
    begin = perf_counter()
    with subprocess.Popen(
        command, env=dict(environment), cwd=SUITE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        printed = process.stdout.read().strip()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return seconds, kib / 1024, printed, process.returncode


def run(name: str, environment: Mapping[str, str]) -> Run:
    """Run a child in a new interpreter and measure it.

    Raises
    ------
    ChildError
        If the library cannot do this here.
    RuntimeError
        If the child fails for another reason.
    """
    command = [sys.executable, "-m", "compare.startup", name]
    seconds, memory, printed, status = timed(command, environment)
    if status == CANNOT_RUN:
        raise ChildError(printed)
    if status != 0:
        raise RuntimeError(f"a fresh process with {name} failed, status {status}")
    return Run(seconds, memory, float(printed.splitlines()[-1]))


class Fresh(NamedTuple):
    """What a script took: wall-clock seconds, and peak resident memory in MiB."""

    seconds: float
    memory: float


def fresh_run(script: str, environment: Mapping[str, str]) -> Fresh:
    """Run a script in a new interpreter, started from a small one, from start to end.

    Raises
    ------
    RuntimeError
        If the script fails; what it said stands on standard error.
    """
    process = subprocess.run(
        [sys.executable, "-c", BETWEEN],
        input=script,
        env=dict(environment),
        cwd=SUITE,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, memory, _, status = json.loads(process.stdout)
    if status != 0:
        raise RuntimeError(f"a script in a fresh process failed with status {status}")
    return Fresh(seconds, memory)


def best(runs: Sequence[Run]) -> Run:
    """Return the least time and the least memory of several runs, which end at one loss."""
    return Run(min(r.seconds for r in runs), min(r.memory for r in runs), runs[-1].loss)


def measure(names: Sequence[str], *, rounds: int) -> Startup:
    """Measure a first fit with an empty cache, then warm processes in turn.

    Parameters
    ----------
    names : sequence of str
        The libraries, fastbp first.
    rounds : int
        Warm processes of each library; the best counts, for time and memory separately.
    """
    cold: dict[str, Run] = {}
    runs: dict[str, list[Run]] = {}
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        caches = {variable: f"{folder}/{name}" for name, variable in CACHES.items()}
        environment = {**os.environ, **caches}
        run("numpy", environment)  # NumPy's files are read from disk once
        for name in names:
            print(f"fresh processes: {name}", file=sys.stderr, flush=True)
            try:
                first = run(name, environment)  # without a cache this warms the disk cache alone
            except ChildError as error:
                failures[name] = str(error)
                print(f"fresh processes: {name} fails: {error}", file=sys.stderr)
                continue
            runs[name] = []
            if name in CACHES:
                cold[name] = first
                run(name, environment)  # what is read from the cache comes from disk once, too
        for _ in range(rounds):
            for name, several in runs.items():
                several.append(run(name, environment))
    return Startup(cold, {name: best(several) for name, several in runs.items()}, failures)


def disagreement(startup: Startup) -> str | None:
    """Return what to say if the processes did not end at the same loss, or None if they did."""
    losses = {name: found.loss for name, found in startup.warm.items()}
    expected = next(iter(losses.values()))
    # Written so that a NaN fails as well.
    if all(abs(loss - expected) <= LOSS_TOLERANCE * expected for loss in losses.values()):
        return None
    lines = [f"  {name}: loss {loss:.7g}" for name, loss in losses.items()]
    return "\n".join(["fresh processes: the libraries did not do the same work", *lines])


if __name__ == "__main__":
    sys.exit(child(sys.argv[1]))
