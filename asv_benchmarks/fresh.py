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

from startup import Run

BETWEEN = """
import json, os, sys
from startup import run
json.dump(run(sys.stdin.read(), os.environ), sys.stdout)
"""


def fresh_run(script: str, environment: Mapping[str, str]) -> Run:
    """Run a script in a new interpreter and measure it from start to end.

    Parameters
    ----------
    script : str
        Python; it prints nothing.
    environment : mapping of str to str
        Its environment variables.

    Raises
    ------
    subprocess.CalledProcessError
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
    return Run(*json.loads(process.stdout))
