"""The table of `make soak`: it shows what ran, what failed, and where too little ran."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROMISES

pytestmark = pytest.mark.slow

TESTS = """
import pytest

@pytest.mark.promise("divergence")
@pytest.mark.parametrize("n", [150, 60])
def test_divergence(n, tally):
    tally["runs"] += n
    tally["diverged"] += 1

@pytest.mark.promise("threads")
@pytest.mark.parametrize("n", [100, THREADS])
def test_threads(n, tally):
    assert n > 0
    tally["fits"] += n

@pytest.mark.promise("determinism")
def test_error_before(broken, tally):
    tally["seeds"] += 20
    tally["nets among others"] += 500
    tally["nets by several threads"] += 2000

def test_other():
    pass

@pytest.fixture
def broken():
    assert BROKEN
"""


def soak(folder: Path, threads: int = 105, broken: bool = False, soak: str = "1"):
    """Exit status, and the rows of the table by promise."""
    for name in ("conftest.py", "helpers.py"):
        shutil.copy(Path(__file__).with_name(name), folder)
    tests = TESTS.replace("THREADS", str(threads)).replace("BROKEN", str(not broken))
    (folder / "test_some.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        cwd=folder,
        env=os.environ | {"FASTBP_SOAK": soak, "NUMBA_DISABLE_JIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    table = done.stdout.partition("= promises =")[2].splitlines()
    rows = [re.fullmatch(r"(\S.*?)  +(\d+)  (.*?) +(\d+) +[\d.]+", line) for line in table]
    return done.returncode, {row[1]: (int(row[2]), row[3], int(row[4])) for row in rows if row}


def test_all_is_well(tmp_path):
    assert soak(tmp_path) == (0, {
        "divergence": (2, "210 runs, 2 diverged", 0),
        "determinism": (
            1,
            "20 seeds, 500 nets among others, 2,000 nets by several threads",
            0,
        ),
        "threads": (2, "205 fits", 0),
        "(other tests)": (1, "", 0),
    })  # fmt: skip


def test_failures_and_errors_are_counted(tmp_path):
    status, rows = soak(tmp_path, threads=0, broken=True)
    assert status == 1
    assert rows["threads"] == (2, "100 fits, fits: fewer than 200", 1)
    assert rows["determinism"] == (
        0,
        "seeds: fewer than 20, nets among others: fewer than 500, "
        "nets by several threads: fewer than 2,000",
        1,
    )
    assert rows["divergence"] == (2, "210 runs, 2 diverged", 0)


def test_too_few_are_a_failure(tmp_path):
    status, rows = soak(tmp_path, threads=99)
    assert status == 1
    assert rows["threads"] == (2, "199 fits, fits: fewer than 200", 0)


def test_no_table_in_a_normal_run(tmp_path):
    assert soak(tmp_path, soak="0") == (0, {})


@pytest.mark.parametrize("promise", PROMISES)
def test_every_promise_has_a_test(promise):
    files = Path(__file__).parent.rglob("test_*.py")
    marked = [f.name for f in files if f'mark.promise("{promise}")' in f.read_text("utf-8")]
    assert set(marked) - {Path(__file__).name}
