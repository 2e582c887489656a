"""The pages of docs/: each runs from top to bottom in an empty folder, and prints what it shows."""

from __future__ import annotations

import os
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from helpers import long_uncompiled
from pages import Block, blocks, compare, run_commands, run_python, run_session

DOCS = Path(__file__).resolve().parents[2] / "docs"
MADE = {"gallery", "generated"}
"""Folders that Sphinx fills."""
PAGES = sorted(path for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in MADE)
LANGUAGES = {"python", "pycon", "sh", "text", "c"}
RUN = {"python", "pycon", "sh"}
SLOW = {"compiled_code.md", "custom_loss.md", "export.md", "saving.md"}
"""Pages whose functions Numba compiles anew, or that start processes."""
each_page = pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=path.relative_to(DOCS).as_posix(),
            marks=[pytest.mark.slow] if path.name in SLOW else [],
        )
        for path in PAGES
    ],
)


def blocks_of(path: Path) -> list[Block]:
    return blocks(path.read_text(encoding="utf-8"))


def output_of(block: Block, path: Path, folder: Path, names: dict[str, Any], capsys: Any) -> str:
    if block.language == "sh":
        return run_commands(block, folder)
    if block.language == "pycon":
        run_session(block, path, names)
    else:
        run_python(block, path, folder, names)
    return str(capsys.readouterr().out)


@each_page
@long_uncompiled
def test_runs_and_prints_what_it_shows(path, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    found = blocks_of(path)
    with mock.patch.dict(os.environ, {"MPLBACKEND": "Agg"}):
        for block, below in pairwise([*found, None]):
            if block is None or block.language not in RUN or block.option == "not run":
                continue
            printed = output_of(block, path, tmp_path, names, capsys)
            shows = below is not None and below.language == "text" and below.below_code
            if shows and below.option != "not checked":
                compare(printed, below.code, below.tolerance)
            elif not shows:
                assert not printed.strip(), f"line {block.line} prints, unseen:\n{printed}"
    for name, module in list(sys.modules.items()):  # what the page has written and imported
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@each_page
def test_says_why_a_block_is_not_run(path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"^[ >]+```", text, re.MULTILINE), "an indented block would not be run"
    assert text.count("\n```") + text.startswith("```") == 2 * len(blocks(text))
    for block in blocks(text):
        at = f"line {block.line}"
        assert block.language in LANGUAGES or block.language.startswith("{"), at
        if block.option in ("not run", "not checked"):
            assert re.search(r"\w+ \w+", block.value), f"{at}: give a reason"
        if block.option == "not run":
            assert block.language in RUN, at
        if block.option in ("not checked", "within"):
            assert block.language == "text", at
        if block.language == "text":
            checked = block.below_code or block.option == "not checked"
            assert checked, f"{at}: output stands below its block, or says why it is not checked"


@each_page
def test_what_it_links_to_is_there(path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target and not MADE & set(Path(target).parts):
            assert (path.parent / target).exists(), target
    for name in re.findall(r"(?<![/\w])(?:asv_benchmarks|examples)/[\w/.]+\.py", text):
        assert (DOCS.parent / name).exists(), name


def test_the_list_of_how_to_pages_is_whole() -> None:
    folder = DOCS / "howto"
    text = (folder / "index.md").read_text(encoding="utf-8")
    (toctree,) = [block for block in blocks(text) if block.language == "{toctree}"]
    listed = re.findall(r"^- \[.+\]\((\w+)\.md\): \w", text, re.MULTILINE)
    assert sorted(listed) == sorted({path.stem for path in folder.glob("*.md")} - {"index"})
    assert [line for line in toctree.code.split() if not line.startswith(":")] == listed
