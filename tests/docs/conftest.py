"""The site, built once for all processes of a run of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "_build_tools" / "build_site.py"
SITE = ROOT / "build" / "docs" / "html"
LONGEST = 600  # seconds to wait for another process that builds it


def build(report: Path) -> None:
    """Build the site; the report is there when that is done, and empty if it went well."""
    process = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True)
    said = f"{process.stdout}\n{process.stderr}" if process.returncode else ""
    unfinished = report.with_suffix(".part")
    unfinished.write_text(said, encoding="utf-8")
    unfinished.rename(report)


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the built site."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of all processes
    report = folder / "site.txt"
    try:
        (folder / "site").mkdir()
    except FileExistsError:
        deadline = time.monotonic() + LONGEST
        while not report.exists():
            assert time.monotonic() < deadline, "another process builds the site for too long"
            time.sleep(0.5)
    else:
        build(report)
    said = report.read_text(encoding="utf-8")
    assert not said, said
    return SITE
