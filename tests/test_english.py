"""The shortest list of phrases that keeps native readers from stumbling."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("fastbp", "examples", "asv_benchmarks", "docs")
#: Folders of the suite that asv fills with whole environments.
FILLED = ("build", "env", "html")
FILES = sorted(
    path
    for folder in FOLDERS
    for ending in ("py", "md")
    for path in (ROOT / folder).rglob(f"*.{ending}")
    if path.relative_to(ROOT / folder).parts[0] not in FILLED
) + sorted(ROOT.glob("*.md"))
PATTERNS = {
    "as of, where `as in` is meant": r"\b[Aa]s of\b",
    "a sentence that begins with a genitive": (
        r'(?:^\s*|"""|[.:;] )Of (?:the|all|a|an|its|their|these|this|each)\b'
    ),
    "a pronoun without its noun": r"\bWho (?:has|gives|wants|needs|passes|changes|edits)\b",
    "instead of": r"\bin place of\b",
    "a reference without its place": r"\b(?:see|as) there\b",
    "not a ...": r"\bwhat (?:is|are) no\b",
    "per": r"\bone (?:column|row|name|rate|number|thread) an? (?:output|input|layer|epoch|net)\b",
    "the same number of": r"\bas many rows\b",
    "parameters or values": r"\bwith numbers of (?:its|their) own\b",
    "an animation": r"\bfilm\b",
}
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


@each_file
def test_nothing_to_stumble_over(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        f"line {number}: {line.strip()!r} ({name})"
        for number, line in enumerate(lines, 1)
        for name, pattern in PATTERNS.items()
        if re.search(pattern, line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("as of, where `as in` is meant", "As of `MLP`."),
        ("a sentence that begins with a genitive", '"""Of the parameters and all arithmetic.'),
        ("a sentence that begins with a genitive", "        Of the hidden layers: relu"),
        ("a pronoun without its noun", "Who has no use for it passes z."),
        ("per", "one column an input"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: str, text: str) -> None:
    assert re.search(PATTERNS[pattern], text)
