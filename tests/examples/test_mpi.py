"""Training on one rank, in a process of its own, which goes on from its checkpoint."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from example_runs import EXAMPLES
from helpers import long_uncompiled

import fastbp


@long_uncompiled
@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py: pip install mpi4py"
)
def test_mpi(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    program = [sys.executable, str(EXAMPLES / "14_mpi.py"), "--checkpoint", str(path)]
    paths = [str(Path(fastbp.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    for epochs in (1, 2):
        done = subprocess.run(
            [*program, "--epochs", str(epochs)],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if "MPI" in done.stderr and "ImportError" in done.stderr:
            pytest.skip("mpi4py finds no MPI library: Debian's is openmpi-bin")
        assert done.returncode == 0, done.stderr
        assert f"History({epochs} epochs" in done.stdout
        assert "1 ranks, the same parameters on all of them: True" in done.stdout
    assert fastbp.load(path).history.loss[1] < fastbp.load(path).history.loss[0]
