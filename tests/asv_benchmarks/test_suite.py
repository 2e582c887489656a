"""The asv suite: every benchmark runs at its first parameters, and none has lost its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import COMPILED

import fastbp

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SUITE = ROOT / "asv_benchmarks"
PEAK = "of FMA peak"
FLOPS = "flops at the FMA peak"
SECONDS = "seconds"
NUMBA = "x import numba"

# Results are kept by these names. Who measures something else counts the version up.
UNITS = {
    "bench_cold": {
        "Cold.track_first_fit_empty_cache": SECONDS,
        "Cold.track_first_fit_empty_cache_ratio": NUMBA,
        "Cold.track_first_fit_warm_cache": SECONDS,
        "Cold.track_first_fit_warm_cache_ratio": NUMBA,
        "Cold.track_import": SECONDS,
        "Cold.track_import_ratio": NUMBA,
    },
    "bench_graph": {
        "Graph.time_value_and_gradient": SECONDS,
        "Graph.track_times_faster": "x faster",
        "Graph.track_times_faster_than_backward": "x faster",
    },
    "bench_kernels": {
        "Activation.time_element": SECONDS,
        "Activation.track_flops_at_peak": FLOPS,
        "Forward.time_product": SECONDS,
        "Forward.track_share_of_peak": PEAK,
        "InputGradient.time_product": SECONDS,
        "InputGradient.track_share_of_peak": PEAK,
        "Loss.time_element": SECONDS,
        "Loss.track_flops_at_peak": FLOPS,
        "Update.time_parameter": SECONDS,
        "Update.track_flops_at_peak": FLOPS,
        "WeightGradient.time_product": SECONDS,
        "WeightGradient.track_share_of_peak": PEAK,
    },
    "bench_memory": {
        "Fit.track_bytes_allocated": "bytes",
        "Fit.track_bytes_allocated_of_parameters": "x the parameters",
        "Process.track_peak_rss": "MiB",
        "Process.track_peak_rss_beyond_numpy": "MiB",
    },
    "bench_peers": {"Peers.track_times_faster": "x faster"},
    "bench_predict": {
        "OneRow.time_predict": SECONDS,
        "OneRow.track_flops_at_peak": FLOPS,
        "Rows.time_row": SECONDS,
        "Rows.track_share_of_peak": PEAK,
    },
    "bench_quality": {
        "Quality.track_breast_cancer_accuracy": "of the test rows",
        "Quality.track_diabetes_r2": "R^2",
        "Quality.track_digits_accuracy": "of the test rows",
    },
    "bench_training": {
        "Instructions.track_instructions_of_step": "instructions",
        "Training.time_step": SECONDS,
        "Training.track_share_of_peak": PEAK,
    },
}
SKIPS = ("valgrind is not installed", "instructions are counted on x86-64 Linux")
compiled = pytest.mark.skipif(not COMPILED, reason="benchmarks measure compiled code")


def test_there_is_no_other_room() -> None:
    rooms = {path.stem for path in (SUITE / "benchmarks").glob("bench_*.py")}
    assert rooms == set(UNITS)


@compiled
@pytest.mark.parametrize("room", UNITS)
def test_each_benchmark_runs(room) -> None:
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
    assert {name.partition(".")[2]: unit for name, (_, unit, _) in found.items()} == UNITS[room]
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
