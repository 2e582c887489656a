"""Time and memory of fresh processes: import a library, fit a small net, leave.

On Linux the peak memory of a child starts at that of its parent. So a small interpreter stands
between this process, which may have loaded anything, and the one that is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

#: Where fresh processes find `compare`, and what stands beside it.
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
#: The variable with the folder of what a library compiles once for all processes.
CACHES = {"fastbp": "FASTBP_CACHE_DIR", "torch_compile": "TORCHINDUCTOR_CACHE_DIR"}
#: How far losses may lie apart, relative to fastbp's: rounding, and where Adam's epsilon stands.
LOSS_TOLERANCE = 3e-4
#: Exit status of a process whose library cannot do this here; the reason is what it printed.
CANNOT_RUN = 3


class Run(NamedTuple):
    """What a process took, and what it ended at.

    Attributes
    ----------
    seconds : float
        Wall-clock time from start to end.
    memory : float
        Peak resident memory, MiB.
    loss : float
        NaN where none was printed.
    """

    seconds: float
    memory: float
    loss: float = nan


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
    """The library of a fresh process cannot do this here."""


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


def time_script() -> None:
    """Run the script on standard input in a new interpreter; write what it took as JSON."""
    import resource  # not on Windows

    begin = perf_counter()
    command = [sys.executable, "-c", sys.stdin.read()]
    process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    seconds = perf_counter() - begin
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    mib = most / (1 << (20 if sys.platform == "darwin" else 10))
    json.dump((seconds, mib, process.stdout.strip(), process.returncode), sys.stdout)


def fresh_run(script: str, environment: Mapping[str, str]) -> Run:
    """Run a script in a new interpreter from start to end; it may print a loss.

    Raises
    ------
    ChildError
        If it ends with `CANNOT_RUN`, with the reason that it printed.
    RuntimeError
        If the script fails for another reason; what it said stands on standard error.
    """
    process = subprocess.run(
        [sys.executable, "-c", "from compare.startup import time_script; time_script()"],
        input=script,
        env=dict(environment),
        cwd=SUITE,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, memory, printed, status = json.loads(process.stdout)
    if status == CANNOT_RUN:
        raise ChildError(printed)
    if status != 0:
        raise RuntimeError(f"a script in a fresh process failed with status {status}")
    return Run(seconds, memory, float(printed or nan))


def run(name: str, environment: Mapping[str, str]) -> Run:
    """Import a library and fit in a new interpreter; raises what `fresh_run` does."""
    script = f"from compare.startup import child\nraise SystemExit(child({name!r}))"
    return fresh_run(script, environment)


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


def check_same_loss(startup: Startup) -> None:
    """Compare the losses that the processes ended at.

    Raises
    ------
    DisagreementError
        If one differs from fastbp's by more than rounding explains.
    """
    from compare.timing import DisagreementError  # the small interpreter must not load NumPy

    losses = {name: found.loss for name, found in startup.warm.items()}
    expected = next(iter(losses.values()))
    # Written so that a NaN fails as well.
    if not all(abs(loss - expected) <= LOSS_TOLERANCE * expected for loss in losses.values()):
        lines = [f"  {name}: loss {loss:.7g}" for name, loss in losses.items()]
        what = "fresh processes: the libraries did not do the same work"
        raise DisagreementError("\n".join([what, *lines]))
