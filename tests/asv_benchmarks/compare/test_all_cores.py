"""Rows with as many threads as cores: what is made of another process's measurements."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from compare import all_cores
from compare.timing import DisagreementError

FOUND = {"cores": 4, "steps": {"mnist": {"fastbp": 2e-4, "alone": 5e-4, "sklearn": 1e-3}}}


def answer(code):
    return lambda command, **_: subprocess.CompletedProcess(command, code, json.dumps(FOUND))


def test_rows(monkeypatch):
    monkeypatch.setattr(all_cores.subprocess, "run", answer(0))
    (row,) = all_cores.all_core_rows(["sklearn"], 1, 0.1)
    assert row.what == "mnist 784-128-10, 128: 4 threads"
    assert row.measured == "200 µs, 2.50x one thread; 5x scikit-learn"
    assert row.met


def test_a_process_that_fails(monkeypatch):
    monkeypatch.setattr(all_cores.subprocess, "run", answer(1))
    with pytest.raises(DisagreementError, match="exit status 1"):
        all_cores.all_core_rows([], 1, 0.1)


def test_all_threads(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    assert all_cores.all_threads() == 3
    assert {os.environ[f"{name}_NUM_THREADS"] for name in all_cores.THREADS} == {"3"}
