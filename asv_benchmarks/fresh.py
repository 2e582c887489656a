"""Scripts in fresh processes, started from where nothing large is loaded.

On Linux the peak memory of a child starts at that of its parent, so between a benchmark, which
has loaded Numba, and the script stands a small interpreter that starts and measures it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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
BETWEEN = """
import json, os, sys
from startup import timed
json.dump(timed([sys.executable, "-c", sys.stdin.read()], os.environ), sys.stdout)
"""


class Fresh(NamedTuple):
    """What a script took: wall-clock seconds, and peak resident memory in MiB."""

    seconds: float
    memory: float


def fresh_run(script: str, environment: Mapping[str, str]) -> Fresh:
    """Run a script in a new interpreter and measure it from start to end.

    Parameters
    ----------
    script : str
        Python.
    environment : mapping of str to str
        Its environment variables.

    Raises
    ------
    RuntimeError
        If the script fails; what it said stands on standard error.
    """
    process = subprocess.run(
        [sys.executable, "-c", BETWEEN],
        input=script,
        env=dict(environment),
        cwd=Path(__file__).parent,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    seconds, memory, _, status = json.loads(process.stdout)
    if status != 0:
        raise RuntimeError(f"a script in a fresh process failed with status {status}")
    return Fresh(seconds, memory)
