"""Each example is one page with a test of its own, and the index has them all in order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from example_runs import EXAMPLES

PATHS = sorted(EXAMPLES.glob("*.py"))
PICTURES = EXAMPLES / "pictures"
INDEX = (EXAMPLES / "README.md").read_text(encoding="utf-8")
LECTURES = {"TJ", "MC886", "ECE448", "ID2223", "CS109A"}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_is_short_and_tested(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 70
    assert ast.get_docstring(ast.parse(text))
    assert (Path(__file__).parent / "examples" / f"test_{path.stem[3:]}.py").exists()


def test_numbers_are_unique() -> None:
    assert len({path.name[:3] for path in PATHS}) == len(PATHS)


def test_the_index_has_each_example_once_and_in_order() -> None:
    entries = re.findall(r"^- \[(.+?)\]\((.+?)\): \w", INDEX, re.MULTILINE)
    assert [name for name, _ in entries] == [target for _, target in entries]
    named = [name for name, _ in entries]
    assert named == [path.name for path in PATHS]
    assert [int(name[:2]) for name in named] == list(range(1, len(named) + 1))


def test_the_index_shows_each_picture() -> None:
    linked = re.findall(r"^!\[\w.*\]\(pictures/(.+)\)$", INDEX, re.MULTILINE)
    assert sorted(linked) == sorted(path.name for path in PICTURES.iterdir())
    for name in linked:
        (example,) = (path for path in PATHS if name.startswith(path.name[:3]))
        assert INDEX.index(f"({example.name})") < INDEX.index(f"(pictures/{name})")
        assert (PICTURES / name).stat().st_size < 60_000, f"{name} is too large for the checkout"


def test_the_index_names_the_lectures() -> None:
    listed = re.findall(r"^\| (\w+) \|", INDEX, re.MULTILINE)
    assert set(listed) == LECTURES
    for named in re.findall(r"\(([A-Z][\w, ]+)\)[.;]", INDEX):
        assert set(named.split(", ")) <= LECTURES, named
    for path in PATHS:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        entry = INDEX[INDEX.index(f"]({path.name})") :].split("\n- ")[0].split("\n\n")[0]
        for lecture in LECTURES:  # as the example itself says
            assert (lecture in docstring) == (lecture in entry), (path.name, lecture)
