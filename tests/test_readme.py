"""The README: one page, each of whose blocks runs by itself, and whose links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import long_uncompiled
from pages import Block, blocks

import fastbp

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = [block for block in blocks(TEXT) if block.language == "python"]
MISSING = ("matplotlib", "onnx", "pandas", "polars", "pyarrow", "skl2onnx", "tqdm", "zarr")
"""What a user has not, who installed scikit-learn and safetensors beside fastbp."""
WITHOUT = """
import runpy, sys

class Missing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in {MISSING!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Missing)
runpy.run_path("block.py")
"""


def printed_by(block: Block, folder: Path) -> str:
    """What a block prints as a program in an empty folder."""
    (folder / "block.py").write_text(block.code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT.format(MISSING=MISSING)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(fastbp.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@long_uncompiled
def test_a_regression(tmp_path: Path) -> None:
    (score,) = printed_by(PYTHON[0], tmp_path).split()
    assert f"R^2: {float(score):.2f}" in PYTHON[0].code
    loaded = fastbp.load(tmp_path / "friedman.safetensors")
    assert loaded.layer_sizes == (10, 32, 32, 1)
    epochs = len(loaded.history)
    assert 70 < epochs < 150  # the text says a hundred
    assert loaded.history.stop_reason == "no improvement of val_loss for 20 epochs"


@long_uncompiled
def test_in_place_of_scikit_learn(tmp_path: Path) -> None:
    (score,) = printed_by(PYTHON[1], tmp_path).split()
    assert float(score) > 0.96
    theirs = re.search(r"# was: (.*)", PYTHON[1].code)
    assert theirs is not None
    exec(theirs[1], {})


@long_uncompiled
def test_inside_compiled_code(tmp_path: Path) -> None:
    numbers = printed_by(PYTHON[2], tmp_path).strip(" []\n").split()
    assert len(numbers) == 3
    assert all(abs(float(number)) < 1e3 for number in numbers)


def test_is_one_page() -> None:
    assert len(TEXT.splitlines()) <= 120
    assert len(PYTHON) == 3
    assert len(blocks(TEXT)) == 4
    assert "pip install fastbp" not in TEXT
    assert "pip install 'fastbp" not in TEXT


def test_what_it_names_is_there() -> None:
    assert 0 < TEXT.find("<!-- compare:begin -->") < TEXT.find("<!-- compare:end -->")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([\w-]+)", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path, anchor in re.findall(r"\]\(([^)#:]+)(?:#([\w-]+))?\)", TEXT):
        assert (ROOT / path).exists(), path
        if anchor:
            titles = re.findall(
                r"^#+ (.*)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE
            )
            assert anchor in [title.lower().replace(" ", "-") for title in titles], anchor


@pytest.mark.parametrize("extra", ["files", "sklearn"])
def test_the_extras_are_there(extra: str) -> None:
    assert re.search(rf"^{extra} = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
