"""docs/howto/compiled_code.md: each block is a program that runs in an empty folder."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from example_runs import numbers
from helpers import needs_compiler

PAGE = Path(__file__).resolve().parents[1] / "docs" / "howto" / "compiled_code.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


def run(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What a block defines, as a program of its own."""
    monkeypatch.chdir(folder)
    program = folder / "program.py"
    program.write_text(BLOCKS[number])
    return runpy.run_path(str(program), run_name="__main__")


def test_first_block_is_eulers_method(tmp_path, monkeypatch, capsys) -> None:
    names = run(0, tmp_path, monkeypatch)
    y = np.ones(3)
    for _ in range(1000):
        y += 0.01 * names["net"].predict(y[np.newaxis])[0]
    assert numbers(capsys.readouterr().out) == pytest.approx(y, rel=1e-6)


@needs_compiler
def test_second_block_learns(tmp_path, monkeypatch, capsys) -> None:
    names = run(1, tmp_path, monkeypatch)
    assert numbers(capsys.readouterr().out.splitlines()[0])[0] < 0.1
    X = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    right = names["net"].predict(X).argmax(axis=1) == (X[:, 0] * X[:, 1] > 0)
    assert right.mean() > 0.95


@needs_compiler
def test_third_block_integrates(tmp_path, monkeypatch, capsys) -> None:
    integrate = pytest.importorskip("scipy.integrate", reason="the block passes the net to SciPy")
    f = run(2, tmp_path, monkeypatch)["f"]
    want, _ = integrate.quad(lambda x: f.net.predict([[x]])[0, 0], -1, 2)
    assert numbers(capsys.readouterr().out)[0] == pytest.approx(want, rel=1e-10)


def test_every_block_is_one_of_those() -> None:
    assert len(BLOCKS) == 3
    assert len(re.findall(r"^```\w", TEXT, re.MULTILINE)) == 3


def test_what_it_names_is_there() -> None:
    for path in re.findall(r"\((\.\./\.\./[\w/.]+)\)", TEXT):
        assert (PAGE.parent / path).exists(), path
    for path in re.findall(r"(?<!/)asv_benchmarks/[\w/.]+\.py", TEXT):
        assert (PAGE.parents[2] / path).exists(), path
