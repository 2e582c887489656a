"""The comparison in README.md and docs/performance.md: each text stands between two markers.

Nothing here imports NumPy before something is written: see `compare.one_thread`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compare.results import Results

SUITE = Path(__file__).resolve().parents[1]
README = SUITE.parent / "README.md"
PAGE = SUITE.parent / "docs" / "performance.md"
PICTURE = SUITE / "compare.png"
#: What stands between which markers of which page.
README_BLOCK = "compare"
PAGE_BLOCKS = ("compare-summary", "compare-tables", "compare-goals")


def begin(name: str) -> str:
    """The marker before a text."""
    return f"<!-- {name}:begin -->"


def end(name: str) -> str:
    """The marker behind it."""
    return f"<!-- {name}:end -->"


def lacking() -> str | None:
    """Say which page lacks which markers, if one does."""
    blocks = [(README, README_BLOCK), *((PAGE, name) for name in PAGE_BLOCKS)]
    for path, name in blocks:
        text = path.read_text(encoding="utf-8")
        if not 0 <= text.find(begin(name)) < text.find(end(name)):
            return f"{path.name} has no {begin(name)} ... {end(name)}"
    return None


def incomplete(results: Results) -> str | None:
    """Say what the results lack for the pages, if anything."""
    from compare import tables
    from workloads import WORKLOADS

    found = {(m.workload.name, m.dtype) for m in results.measured}
    for dtype in ("float32", "float64"):
        for name in WORKLOADS:
            if (name, dtype) not in found:
                return f"{name} in {dtype} was not measured"
    for name in tables.SHOWN:
        if name not in tables.peers_of(results.measured):
            return f"{name} was not measured"
    return None


def put(path: Path, name: str, text: str) -> None:
    """Put a text between its markers."""
    before, _, rest = path.read_text(encoding="utf-8").partition(begin(name))
    after = rest.partition(end(name))[2]
    path.write_text(f"{before}{begin(name)}\n{text}\n{end(name)}{after}", encoding="utf-8")


def image(folder: Path, drawn: Path) -> str:
    """The picture, by its path from the folder of a text."""
    path = os.path.relpath(drawn.resolve(), folder.resolve()).replace(os.sep, "/")
    return f"![How many times faster fastbp trains than other libraries, net by net]({path})"


def in_readme(results: Results) -> str:
    """Picture and short table, and what they were measured on."""
    from compare import tables

    return "\n\n".join(
        [
            image(README.parent, PICTURE),
            tables.short_table(results.measured),
            f"{results.head.partition(';')[0]}; {results.measured[0].dtype}, Adam.",
        ]
    )


def write(results: Results) -> None:
    """Draw the picture, and write every text between its markers."""
    from compare import picture, tables

    picture.save(results.measured, PICTURE, tables.SHOWN)
    put(README, README_BLOCK, in_readme(results))
    shown = [image(PAGE.parent, PICTURE), tables.summary(results)]
    texts = ("\n\n".join(shown), tables.tables(results), tables.goals(results))
    for name, text in zip(PAGE_BLOCKS, texts, strict=True):
        put(PAGE, name, text)
