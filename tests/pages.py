"""Pages of Markdown: their blocks of code, how they are run, and what they are to print."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

FENCE = re.compile(r"^```(?P<language>\S*)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!-- (?P<what>not run|not checked|within)(?P<rest>[^\n]*) -->\s*\Z")
NUMBER = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
EXACT = 1e-3
"""How far a number with a point may be from what a page shows, relatively."""


class Block(NamedTuple):
    """A block of code or of output.

    Attributes
    ----------
    language : str
        As behind the fence: "python", "pycon", "sh", "text".
    code : str
    line : int
        Of the page, where the code begins, counted from 1.
    option, value : str
        What the comment directly above says, ``<!-- not run: it installs -->`` or
        ``<!-- within 20 % -->``; "" without one.
    below_code : bool
        Whether nothing stands between this block and the one before.
    """

    language: str
    code: str
    line: int
    option: str
    value: str
    below_code: bool

    @property
    def tolerance(self) -> float | None:
        """How far numbers may be off, relatively; None where the page does not say."""
        return float(self.value.removesuffix("%")) / 100 if self.option == "within" else None


def blocks(text: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = []
    end = 0
    for match in FENCE.finditer(text):
        between = text[end : match.start()]
        comment = COMMENT.search(between)
        option, value = (comment["what"], comment["rest"].strip(" :")) if comment else ("", "")
        nothing = not (between[: comment.start()] if comment else between).strip()
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(
            Block(match["language"], match["code"], line, option, value, bool(end) and nothing)
        )
        end = match.end()
    return found


def run_python(block: Block, page: Path, folder: Path, names: dict[str, Any]) -> None:
    """Run a block as a part of a program: what Numba caches has to stand in a file."""
    program = folder / f"{page.stem}_{block.line}.py"
    program.write_text(block.code, encoding="utf-8")
    exec(compile(block.code, str(program), "exec"), names)


def run_session(block: Block, page: Path, names: dict[str, Any]) -> None:
    """Run a session at the prompt, and compare what it prints."""
    session = doctest.DocTestParser().get_doctest(
        block.code, names, page.stem, page.name, block.line - 1
    )
    assert session.examples, f"{page.name}, line {block.line}: no session"
    session.globs = names  # not a copy: later blocks go on with what it defines
    report: list[str] = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    result = runner.run(session, out=report.append, clear_globs=False)
    assert result.failed == 0, "".join(report)


def run_commands(block: Block, folder: Path) -> str:
    """Run a block of commands, a line each, by this Python; return what they print."""
    printed = []
    for line in block.code.splitlines():
        words = shlex.split(line)
        assert words[0] == "python", f"cannot run {line!r}: say <!-- not run: why -->"
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=folder, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    return "".join(printed)


def compare(printed: str, shown: str, tolerance: float | None = None) -> None:
    """Assert that what was printed is what a page shows.

    "..." stands for anything, any white space for any other. Numbers with a point may differ by a
    thousandth, or one in the last place that is shown, and with a tolerance, which is relative,
    whole numbers may, too.
    """
    pattern = ""
    wanted = []
    for part in re.split(rf"(\.\.\.|\s+|{NUMBER})", shown.strip()):
        if part == "...":
            pattern += r".*?"
        elif re.fullmatch(NUMBER, part):
            pattern += rf"({NUMBER})"
            wanted.append(part)
        else:
            pattern += r"\s+" if part.isspace() else re.escape(part)
    match = re.fullmatch(pattern, printed.strip(), re.DOTALL)
    assert match, f"printed:\n{printed}\nthe page shows:\n{shown}"
    for got, want in zip(match.groups(), wanted, strict=True):
        digits = re.search(r"\.(\d+)", want)
        whole = digits is None and "e" not in want
        relative = tolerance or (0.0 if whole else EXACT)
        last = 0.0 if whole else 1.001 * 10.0 ** -len(digits[1] if digits else "")
        if "e" in want:
            last = 0.0
        assert float(got) == pytest.approx(float(want), rel=relative, abs=last), (
            f"printed {got}, the page shows {want}, in\n{printed}"
        )
