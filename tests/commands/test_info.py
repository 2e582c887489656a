"""What ``python -m fastbp info`` says."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import llvmlite
import numba
import numpy as np
import pytest
from helpers import COMPILED, needs_compiler

import fastbp
from fastbp.commands import info, printing
from fastbp.machine import notice, objects, peak, processor

ROOT = Path(fastbp.__file__).parents[1]


def fields(out: str) -> dict[str, list[str]]:
    """The lines of ``info`` by name; a line without a name belongs to the one above."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in out.splitlines():
        name = line[: printing.NAME_WIDTH].strip() or name
        found.setdefault(name, []).append(line[printing.NAME_WIDTH :])
    return found


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert info.run() == 0
    found = fields(capsys.readouterr().out)
    assert peak.cpu_model() in found["processor"][0]
    assert platform.machine() in found["processor"][0]
    assert found["compiled for"][0].endswith(processor.target_cpu()[0])
    registers = f"{processor.VECTOR_REGISTERS} registers of {processor.VECTOR_BITS} bits"
    assert found["vectors"] == [registers]
    single = processor.VECTOR_BITS // 32
    assert found["lanes"] == [f"{single} float32, {single // 2} float64"]
    tile = f": {processor.TILE_ROWS} x {2 * single} float32 and {single} float64"
    assert found["tile"][0].endswith(tile)
    assert found["threads"][0].startswith("1 ")
    assert len(found["cache"]) == 2
    assert found["versions"] == [
        f"fastbp {fastbp.__version__}",
        f"Numba {numba.__version__}",
        f"llvmlite {llvmlite.__version__}",
        f"NumPy {np.__version__}",
        f"Python {platform.python_version()}",
    ]
    if COMPILED:
        peaks = re.fullmatch(r"(\S+) float32, (\S+) float64 \(GFLOP/s .*\)", found["FMA peak"][0])
        single_peak, double_peak = (float(value) for value in peaks.groups())
        assert 0 < double_peak < single_peak < 2000
    else:
        why = "NUMBA_DISABLE_JIT is set, so nothing is compiled"
        assert found["FMA peak"] == [f"not measured: {why}"]


@needs_compiler
def test_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path))
    measured = {"float32": 8, "float64": 4}
    monkeypatch.setattr(peak, "fma_peak", lambda dtype, seconds: measured[dtype])
    assert info.run() == 0
    found = fields(capsys.readouterr().out)
    assert found["FMA peak"][0].startswith("8.0 float32, 4.0 float64 (GFLOP/s ")
    directory, state = found["cache"]
    assert Path(directory).parent == tmp_path
    assert state.startswith("empty: ")
    assert "python -m fastbp warmup" in state


@needs_compiler
def test_the_loop_that_is_measured_compiles_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(notice.QUIET, raising=False)

    def compiles(dtype: str, seconds: float) -> float:
        notice.say("measured in test_info", dtype)
        return 8.0

    monkeypatch.setattr(peak, "fma_peak", compiles)
    info.peak_line()
    assert capsys.readouterr().err == ""


@needs_compiler
def test_with_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(peak, "fma_peak", lambda dtype, seconds: 8.0)
    level = objects._X86[1]
    found = objects.Found(level, tmp_path / "x86-64-v3.so", "Numba 1.0", {})
    monkeypatch.setattr(objects, "FOUND", found)
    rows = dict(info.rows())
    assert rows["compiled for"] == [f"x86-64-v3; the rest for {processor.target_cpu()[0]}"]
    assert rows["cache"][1].startswith("empty: the first call of what the object lacks compiles")


@pytest.mark.slow
def test_without_compilation() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastbp", "info"],
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = fields(done.stdout)
    assert found["FMA peak"][0].startswith("not measured: NUMBA_DISABLE_JIT")
    assert found["cache"][0] == "no folder"
    assert found["cache"][1].startswith("off: ")
