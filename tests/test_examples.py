"""Each example is one page with a test of its own, and the index has them all in order."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from example_runs import EXAMPLES
from PIL import Image

PARTS = EXAMPLES, EXAMPLES / "lectures"  # each numbered from 1
PATHS = [path for part in PARTS for path in sorted(part.glob("*.py"))]
PICTURES = [path for part in PARTS for path in sorted((part / "pictures").iterdir())]
INDEX = (EXAMPLES / "README.md").read_text(encoding="utf-8")
LECTURES = {"TJ", "MC886", "ECE448", "ID2223", "CS109A"}


def linked(path: Path) -> str:
    """How the index links to a file."""
    return path.relative_to(EXAMPLES).as_posix()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_is_short_and_tested(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 70
    title, *body = (ast.get_docstring(ast.parse(text)) or "").splitlines()
    assert len(title) < 75 and title[-1] in ".?"  # the title of its page, and a text below it
    assert not body or body[0] == ""
    folder = Path(__file__).parent / "examples" / path.parent.relative_to(EXAMPLES)
    assert (folder / f"test_{path.stem[3:]}.py").exists()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_are_numbered(part: Path) -> None:
    numbers = [int(path.name[:2]) for path in sorted(part.glob("*.py"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_index_has_each_example_once_and_in_order() -> None:
    entries = re.findall(r"^- \[(.+?)\]\((.+?)\): \w", INDEX, re.MULTILINE)
    assert [target for _, target in entries] == [linked(path) for path in PATHS]
    assert [name for name, _ in entries] == [path.name for path in PATHS]


def test_the_index_shows_each_picture() -> None:
    shown = re.findall(r"^!\[\w.*\]\((.+)\)$", INDEX, re.MULTILINE)
    assert sorted(shown) == sorted(linked(path) for path in PICTURES)
    for path in PICTURES:
        (example,) = path.parent.parent.glob(f"{path.name[:3]}*.py")
        assert INDEX.index(f"({linked(example)})") < INDEX.index(f"({linked(path)})")
        most = 300_000 if path.suffix == ".gif" else 90_000
        assert path.stat().st_size < most, f"{path.name} is too large for the checkout"
        if path.suffix == ".png":  # a picture of few colours has been damaged
            with Image.open(path) as image:
                assert image.mode == "RGBA", path.name


def test_the_index_names_the_lectures() -> None:
    listed = re.findall(r"^\| (\w+) \|", INDEX, re.MULTILINE)
    assert set(listed) == LECTURES
    for named in re.findall(r"\(([A-Z][\w, ]+)\)[.;]", INDEX):
        assert set(named.split(", ")) <= LECTURES, named
    for path in PATHS:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        entry = INDEX[INDEX.index(f"]({linked(path)})") :].split("\n- ")[0].split("\n\n")[0]
        for lecture in LECTURES:  # as the example itself says
            assert (lecture in docstring) == (lecture in entry), (path.name, lecture)
