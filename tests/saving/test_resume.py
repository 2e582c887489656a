"""Stopped after any epoch, saved, loaded in a new process: the same bits as without a stop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import resumed
from helpers import counts

import fastbp

pytest.importorskip("safetensors", reason="nets are saved by it")
pytestmark = pytest.mark.promise("resume")
RUNS = counts(63, 1000, 4)
ROOT = Path(fastbp.__file__).parents[1]
TESTS = Path(resumed.__file__).parent


@pytest.mark.slow
def test_a_net_goes_on_in_a_new_process_as_if_it_had_never_stopped(
    tmp_path, tally: Counter[str]
) -> None:
    seeds = [str(seed) for seed in range(RUNS)]
    expected = []
    for seed in range(RUNS):
        r = resumed.run(seed)
        resumed.fit(r.net, r, r.stop)
        r.net.save(tmp_path / f"{seed}.safetensors")
        whole = resumed.run(seed)
        measured = resumed.fit(whole.net, whole, resumed.EPOCHS)
        left = [column[r.stop :] for column in measured]
        expected.append(resumed.digest(whole.net, left))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(TESTS), *sys.path[1:]])
    }
    command = [sys.executable, str(TESTS / "resumed.py"), str(tmp_path), *seeds]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    got = done.stdout.split()
    wrong = [seed for seed, a, b in zip(seeds, got, expected, strict=True) if a != b]
    assert not wrong
    tally["nets"] += RUNS


def test_the_random_runs_differ_in_what_matters() -> None:
    runs = [resumed.run(seed) for seed in range(63)]
    assert len({type(r.net.optimizer) for r in runs}) == 9
    assert len({(type(r.net.optimizer), type(r.net.optimizer.learning_rate)) for r in runs}) == 63
    for has in (
        lambda r: r.net.missing_targets,
        lambda r: r.net.regularization.input_dropout > 0,
        lambda r: any(r.net.regularization.dropout),
        lambda r: "augment" in r.options,
        lambda r: "validation_fraction" in r.options,
        lambda r: r.data[2] is not None,
        lambda r: r.net.loss_name == "graph",
        lambda r: r.net.frozen.any(),
    ):
        assert 5 < sum(map(bool, map(has, runs))) < 63
    assert len({r.stop for r in runs}) > 20


def test_a_net_that_is_saved_goes_on_too(tmp_path) -> None:
    r = resumed.run(5)
    whole = resumed.run(5)
    resumed.fit(r.net, r, 3)
    r.net.save(tmp_path / "net.safetensors")
    resumed.fit(r.net, r, 2)
    resumed.fit(whole.net, whole, 5)
    assert np.array_equal(r.net.params, whole.net.params)
