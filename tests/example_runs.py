"""Run an example as a program would be run, and read the numbers it prints."""

from __future__ import annotations

import os
import re
import runpy
import sys
from pathlib import Path
from unittest import mock

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def run(
    name: str, capsys: pytest.CaptureFixture[str], *options: str
) -> tuple[dict[str, object], str]:
    """The names that examples/`name` defines and what it prints, given `options`."""
    with (
        mock.patch("sys.argv", [name, *options]),
        mock.patch.dict(os.environ, {"MPLBACKEND": "Agg"}),
    ):
        names = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    if "matplotlib.pyplot" in sys.modules:  # which keeps figures, and warns of more than 20
        sys.modules["matplotlib.pyplot"].close("all")
    return names, capsys.readouterr().out


def numbers(line: str) -> list[float]:
    """Every number that stands alone in a line."""
    return [float(x) for x in re.findall(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e-?\d+)?", line)]
