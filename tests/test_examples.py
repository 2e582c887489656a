"""Each example runs, stays short, and prints what it is there to show."""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import numba
import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PATHS = sorted(EXAMPLES.glob("*.py"))
long_uncompiled = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="takes a minute with NUMBA_DISABLE_JIT=1"
)


def run(name: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, object], str]:
    names = runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return names, capsys.readouterr().out


def numbers(line: str) -> list[float]:
    """Every number that stands alone in a line."""
    return [float(x) for x in re.findall(r"(?<![\w.])-?\d+(?:\.\d*)?(?:e-?\d+)?", line)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_is_short_and_numbered(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 40
    assert ast.get_docstring(ast.parse(text))
    assert [p.name[:3] for p in PATHS] == [f"{i:02}_" for i in range(1, len(PATHS) + 1)]
    assert f"def test_{path.stem[3:]}(" in Path(__file__).read_text(encoding="utf-8")


@long_uncompiled
def test_quickstart(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("01_quickstart.py", capsys)
    assert out.startswith("MLP((2, 64, 64, 2), activation='relu', output_activation='softmax'")
    accuracy = numbers(out.split("accuracy on held-out rows")[1].splitlines()[0])[0]
    assert accuracy >= 98
    drawn = out.splitlines()[-21:]
    assert all(len(line) == 41 and set(line) <= set(".o") for line in drawn)
    # The spirals wind around each other: along the middle row the class changes many times.
    assert len(re.findall(r"\.o|o\.", drawn[10])) >= 4
    assert np.array_equal(names["classes"] == 1, [c == "o" for c in drawn[-1]])


def test_xor(capsys: pytest.CaptureFixture[str]) -> None:
    out = run("02_xor.py", capsys)[1].splitlines()
    assert numbers(out[0]) == [0, 1, 1, 0]
    assert numbers(out[1]) == [0.5, 0.5, 0.5, 0.5]
    assert out[-1].startswith("two layers, trained")
    assert np.allclose(numbers(out[-1]), [0, 1, 1, 0], atol=0.2)


def test_linear_regression(capsys: pytest.CaptureFixture[str]) -> None:
    first, *lines = run("03_linear_regression.py", capsys)[1].splitlines()
    slope, intercept = numbers(first)
    assert slope == pytest.approx(3, abs=0.3)
    assert intercept == pytest.approx(-2, abs=0.2)
    assert numbers(lines[-1])[1:3] == [slope, intercept]  # to the printed digits
    assert numbers(lines[-1])[-1] < 1e-12
    losses = [numbers(line)[3] for line in lines]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > 10 * losses[-1]


@long_uncompiled
def test_own_loop(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("04_own_loop.py", capsys)
    assert names["check"].checked > 70
    assert names["check"].error < 1e-4
    rates = [float(x) for x in re.findall(r"learning rate (\S+)", out)]
    assert rates == [0.1, 0.1, 0.1, 0.025, 0.00625, 0.0015625]
    assert "first layer unchanged while frozen: True" in out
    assert numbers(out.splitlines()[-1])[0] < 0.005


@long_uncompiled
def test_quantiles(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = run("05_quantiles.py", capsys)
    shares = [float(x) for x in re.findall(r"([\d.]+)%", out)]
    assert shares == pytest.approx([10, 50, 90], abs=4)
    ranges = [numbers(line.partition(":")[2]) for line in out.splitlines()[-3:]]
    assert all(low < median < high for median, low, high in ranges)
    assert ranges[1][2] - ranges[1][1] < 0.6 < ranges[0][2] - ranges[0][1]
    assert "no improvement of val_loss for 15 epochs" in out


@long_uncompiled
def test_scikit_learn(capsys: pytest.CaptureFixture[str]) -> None:
    names, out = run("06_scikit_learn.py", capsys)
    lines = out.splitlines()
    assert lines[0].startswith("fastbp.sklearn.")
    assert lines[1].startswith("sklearn.neural_network.")
    assert names["ours"].n_iter_ == names["theirs"].n_iter_
    assert names["apart"] < 1e-6
    assert numbers(lines[-2])[-1] > 0.95
    assert lines[-1].endswith("(450, 32)")
