"""The asv suite: every benchmark runs at its first parameters, and none has lost its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from asv.results import Results
from helpers import COMPILED

import fastbp

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "asv_benchmarks"
#: The benchmarks that the committed results are of, by name, with their units and versions.
KEPT = json.loads((SUITE / "results" / "benchmarks.json").read_text(encoding="utf-8"))
del KEPT["version"]
ROOMS = sorted(path.stem for path in (SUITE / "benchmarks").glob("bench_*.py"))
SKIPS = ("valgrind is not installed", "instructions are counted on x86-64 Linux")
compiled = pytest.mark.skipif(not COMPILED, reason="benchmarks measure compiled code")


def test_results_are_kept_of_benchmarks_that_are_listed() -> None:
    files = list(SUITE.glob("results/reference/*-*.json"))
    measured = [set(Results.load(str(file)).get_all_result_keys()) for file in files]
    assert measured and set().union(*measured) <= set(KEPT)
    assert {name.partition(".")[0] for name in KEPT} <= set(ROOMS)


@compiled
@pytest.mark.parametrize("room", ROOMS)
def test_each_benchmark_runs(room) -> None:
    """With the name and unit of its results; who measures something else counts it up."""
    path = os.pathsep.join(
        [str(Path(fastbp.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    )
    process = subprocess.run(
        [sys.executable, Path(__file__).with_name("run_benchmarks.py"), room],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found = json.loads(process.stdout)
    kept = {name: of_name for name, of_name in KEPT.items() if name.startswith(f"{room}.")}
    assert {name: found[name][1] for name in kept} == {name: kept[name]["unit"] for name in kept}
    assert all(int(found[name][2]) >= int(kept[name]["version"]) for name in kept)
    for name, (value, _, version) in found.items():
        assert version.isdigit(), f"{name}: asv would take a hash of its source for the version"
        if value in SKIPS:
            pytest.skip(f"{name}: {value}")
        assert value > 0, name
        if name.endswith(("share_of_peak", "accuracy", "r2")):
            assert value < 1, name


def test_the_configuration_pins_what_it_installs() -> None:
    configuration = json.loads((SUITE / "asv.conf.json").read_text(encoding="utf-8"))
    assert configuration["repo"] == ".."
    pinned = configuration["matrix"]["req"]
    assert {"numpy", "numba"} <= set(pinned)
    assert all(len(versions) == 1 and versions[0][0].isdigit() for versions in pinned.values())
