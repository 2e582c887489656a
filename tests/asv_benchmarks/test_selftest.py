"""The slowdown that the self-test plants: it still fits the sources, and what it then says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import selftest
from judgement import SAME, SLOW
from selftest import NEW, OLD, PATCHED, PLANTED, SelfTestError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / PATCHED).read_text(encoding="utf-8")
SLOW_KEY, OTHER_KEY = f"{PLANTED}(128, 'float32')", "bench_kernels.Forward.time_product(128)"


def test_the_patch_applies_once_to_the_sources() -> None:
    slow = selftest.planted(SOURCE)
    assert slow.count(NEW) == 1
    assert slow.replace(NEW, OLD) == SOURCE
    compile(slow, PATCHED, "exec")


def test_a_patch_that_does_not_apply_once_is_an_error() -> None:
    for source in (SOURCE.replace(OLD, ""), SOURCE + OLD):
        with pytest.raises(SelfTestError, match="stands [02] times"):
            selftest.planted(source)


def test_the_slow_kernel_computes_what_it_did(tmp_path) -> None:
    """Uncompiled, in a copy: the delta of the layer below has the same bits."""
    script = """
import numpy as np
from fastbp import MLP
net = MLP((3, 14, 33, 2), activation="tanh", seed=0)
X = np.random.default_rng(0).standard_normal((40, 3))
loss, gradient = net.loss_and_grad(X, X[:, :2])
print(loss, gradient.tobytes().hex())
"""
    package = tmp_path / "fastbp"
    shutil.copytree(ROOT / "fastbp", package, ignore=shutil.ignore_patterns("__pycache__"))

    def run() -> str:
        environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    before = run()
    (tmp_path / PATCHED).write_text(selftest.planted(SOURCE), encoding="utf-8")
    assert run() == before


def rows(*slow: str) -> list[dict]:
    return [
        {
            "key": key,
            "verdict": SLOW if key in slow else SAME,
            "ratio": 1.16 if key in slow else 0.99,
            "beside_ratio": 1.15 if key in slow else 1.02,
        }
        for key in (SLOW_KEY, OTHER_KEY)
    ]


@pytest.fixture
def gate(monkeypatch):
    """Let the gate find what is said."""

    def finds(status: int, *slow: str) -> None:
        monkeypatch.setattr(selftest, "run_gate", lambda clone, branch: (status, rows(*slow)))

    return finds


def test_the_planted_slowdown_must_be_named_and_no_other(gate) -> None:
    gate(1, SLOW_KEY)
    assert selftest.find_planted(Path()) == f"{SLOW_KEY} 1.160, share 1.150"
    for found in ((0,), (1, OTHER_KEY), (1, SLOW_KEY, OTHER_KEY), (0, SLOW_KEY)):
        gate(*found)
        with pytest.raises(SelfTestError, match="slower should be"):
            selftest.find_planted(Path())


def test_a_false_alarm_fails(gate) -> None:
    gate(0)
    assert selftest.find_nothing(Path()).startswith("nearest to an alarm bench_kernels.")
    for found in ((1, OTHER_KEY), (1,), (0, OTHER_KEY)):
        gate(*found)
        with pytest.raises(SelfTestError, match="a false alarm"):
            selftest.find_nothing(Path())


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_gate_in_trouble_fails(tmp_path, monkeypatch, status) -> None:
    build = tmp_path / "asv_benchmarks" / "build" / "gate"
    build.mkdir(parents=True)
    (build / "verdicts.json").write_text(json.dumps(rows()))
    monkeypatch.setattr(selftest, "git", lambda *arguments: None)
    gate = f"import sys; assert '--base' in sys.argv; sys.exit({status})"
    (tmp_path / "asv_benchmarks" / "gate.py").write_text(gate)
    if status == 2:
        with pytest.raises(SelfTestError, match="exit status 2"):
            selftest.run_gate(tmp_path, "planted")
    else:
        assert selftest.run_gate(tmp_path, "planted") == (status, rows())
