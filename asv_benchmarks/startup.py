"""Time and memory of fresh processes: import a library, fit a small net, leave.

Only the standard library is imported here, because on Linux the peak memory of a child starts at
that of its parent: measure before anything large has been loaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from time import perf_counter
from typing import NamedTuple

DATA = """
import numpy as np
rng = np.random.default_rng(0)
X = rng.standard_normal((500, 64)).astype("float32")
Y = rng.standard_normal((500, 10)).astype("float32")
"""

#: The same fit of 500 rows for 20 epochs, by library.
SCRIPTS: dict[str, str] = {
    "fastbp": DATA
    + """
from fastbp import MLP
MLP((64, 64, 10), optimizer="adam", seed=0).fit(X, Y, epochs=20, batch_size=32)
""",
    "sklearn": DATA
    + """
import warnings
from sklearn.neural_network import MLPRegressor
warnings.simplefilter("ignore")
MLPRegressor(
    hidden_layer_sizes=64, alpha=0, batch_size=32, max_iter=20, n_iter_no_change=20, random_state=0
).fit(X, Y)
""",
}


class Run(NamedTuple):
    """What one process took: wall-clock seconds and peak resident memory in MiB."""

    seconds: float
    memory: float


class Startup(NamedTuple):
    """What is known of fresh processes; `warm` holds the best run of each library."""

    cold: Run
    warm: dict[str, Run]


def run(script: str, environment: Mapping[str, str]) -> Run:
    """Run a script in a new interpreter and measure it from start to end.

    Raises
    ------
    RuntimeError
        If the script fails.
    """
    begin = perf_counter()
    process = subprocess.Popen([sys.executable, "-c", script], env=dict(environment))
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"a script to be timed failed with status {process.returncode}")
    kib = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Run(seconds, kib / 1024)


def measure(*, rounds: int, with_sklearn: bool) -> Startup:
    """Measure a first fit with an empty cache, then warm processes in turn.

    Parameters
    ----------
    rounds : int
        Warm processes of each library; the best counts, for time and memory separately.
    with_sklearn : bool
        Whether scikit-learn is there to compare with.
    """
    names = ["fastbp", "sklearn"] if with_sklearn else ["fastbp"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "FASTBP_CACHE_DIR": cache}
        run(DATA, environment)  # NumPy's files are read from disk once
        cold = run(SCRIPTS["fastbp"], environment)
        runs: dict[str, list[Run]] = {name: [] for name in names}
        for turn in range(rounds + 1):
            for name in names:
                measured = run(SCRIPTS[name], environment)
                if turn > 0:  # the first warms the disk cache
                    runs[name].append(measured)
    warm = {
        name: Run(min(r.seconds for r in several), min(r.memory for r in several))
        for name, several in runs.items()
    }
    return Startup(cold, warm)
