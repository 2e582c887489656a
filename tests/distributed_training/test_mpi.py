"""Data-parallel training on ranks that mpirun starts."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import long_uncompiled

import fastbp

MISSING = [
    name
    for name, there in (
        ("mpirun (Debian: openmpi-bin)", shutil.which("mpirun")),
        ("mpi4py (pip install mpi4py)", importlib.util.find_spec("mpi4py")),
    )
    if not there
]
pytestmark = [
    pytest.mark.slow,
    long_uncompiled,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}"),
]
ROWS = 203


def run(ranks: int, case: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a case of in_ranks.py; with more ranks than cores, they yield while they wait."""
    command = ["mpirun", "-n", str(ranks), "--oversubscribe"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-run-as-root")
    program = [sys.executable, "-m", "mpi4py", str(Path(__file__).parent / "in_ranks.py")]
    paths = [str(Path(fastbp.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "OMPI_MCA_mpi_yield_when_idle": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    return subprocess.run(
        [*command, *program, case, str(folder)], env=environment, capture_output=True, text=True,
        timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[2, 4])
def results(request, tmp_path_factory):
    """What each rank found."""
    done = run(request.param, "together", tmp_path_factory.mktemp("mpi"))
    assert done.returncode == 0, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULTS"))
    found = json.loads(line.removeprefix("RESULTS"))
    assert len(found) == request.param
    return found


@pytest.mark.promise("determinism")
def test_updates_are_those_of_one_process(results, tally):
    assert len(results[0]["equal"]) == 12
    for case, first in results[0]["equal"].items():
        assert first["difference"] < 1e-12, case
        assert first["loss"] == pytest.approx(first["expected"], rel=1e-12), case
        assert first["loss"][-1] < first["loss"][0], case
        assert first["rate"][0] == pytest.approx(first["rate"][1], rel=1e-15), case
        for rank in results[1:]:
            assert rank["equal"][case]["params"] == first["params"], case
            assert rank["equal"][case]["loss"] == first["loss"], case
        tally["nets on ranks"] += 1


def test_every_row_once_an_epoch_in_a_new_order(results):
    for epoch in (0, 1):
        taken = [rank["shuffled"]["rows"][epoch] for rank in results]
        assert sorted(sum(taken, [])) == list(range(ROWS))
        assert taken[-1] != sorted(taken[-1])
    assert results[-1]["shuffled"]["rows"][0] != results[-1]["shuffled"]["rows"][1]
    assert len({bits for rank in results for bits in rank["shuffled"]["again"]}) == 1


@pytest.mark.parametrize(
    ("case", "error", "words"),
    [
        ("nan", "ValueError", "X holds nan at row 3, column 2"),
        ("shape", "ValueError", "X must have shape"),
        ("other net", "ValueError", "all ranks must have the same net and options"),
        ("other epochs", "ValueError", "epochs=4"),
        ("loss", "OSError", "the disk is gone"),
        ("ctrl-c", "KeyboardInterrupt", ""),
    ],
)
def test_an_error_of_one_rank_ends_all_and_names_it(results, case, error, words):
    last = len(results) - 1
    *others, mine = (rank["errors"][case] for rank in results)
    assert mine[0] == error
    assert words in mine[1]
    assert f"on rank {last} of {last + 1}" in mine[1]
    for other in others:
        assert other[0] == "WorkerError"
        assert f"rank {last} of {last + 1} on" in other[1]
        assert f"{error}: " in other[1]
        assert words in other[1]
        assert other[2] == [last]
    assert all(rank["errors"][case][3] == last + 1 for rank in results)


def test_what_is_wrong_everywhere_is_said_everywhere(results):
    for rank in results:
        found = rank["errors"]
        assert found["no rows"][:1] == ["ValueError"]
        assert "each shard is empty" in found["no rows"][1]
        assert found["dropout"][0] == "ValueError"
        assert "fastbp.distributed.dask takes dropout" in found["dropout"][1]
        assert found["comm"][0] == "TypeError"
        assert found["unchanged"]
    assert results[0]["errors"]["folder"][0] == "FileNotFoundError"
    assert results[1]["errors"]["folder"][0] == "WorkerError"


def test_divergence_leaves_the_last_finite_epoch(results):
    for rank in results:
        found = rank["diverges"]
        assert found["stop"] == "diverged in epoch 3"
        assert found["epochs"] == 2
        assert len(found["warned"]) == 1
        assert "in epoch 3" in found["warned"][0]
        assert found["kept"]


def test_a_restart_goes_on_with_the_same_bits(results):
    for rank in results:
        found = rank["resumed"]
        assert found["same"]
        assert found["saved"]
        whole, stopped, again = found["loss"]
        assert len(whole) == 5
        assert whole == stopped == again == results[0]["resumed"]["loss"][0]


def test_a_killed_rank_ends_the_others(tmp_path):
    done = run(2, "killed", tmp_path)
    assert done.returncode != 0
    assert "rank 1" in done.stderr + done.stdout
    assert "RESULTS" not in done.stdout


def test_what_is_raised_on_one_rank_alone_ends_the_others(tmp_path):
    done = run(2, "alone", tmp_path)
    assert done.returncode != 0
    assert "MemoryError: no memory for an update" in done.stderr
    assert "fastbp: rank 1 of 2 on " in done.stderr
