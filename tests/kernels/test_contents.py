"""The table of contents of the kernels: every file once, in an order in which they can be read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from fastbp import kernels

FOLDER = Path(kernels.__path__[0])
FILES = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
# The first table of the docstring; the second one names functions.
TABLE = str(kernels.__doc__).split("\n\n")[2]
ORDER = re.findall(r"^([a-z_]+)  ", TABLE, re.MULTILINE)


def test_every_file_stands_in_it_once() -> None:
    assert sorted(ORDER) == sorted(FILES)


def test_a_file_imports_only_from_those_above_it() -> None:
    for index, name in enumerate(ORDER):
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            module = str(node.module).removeprefix("fastbp.")
            if module == "kernels":
                below = {alias.name for alias in node.names}
            else:
                below = {module.split(".")[1]} if module.startswith("kernels.") else set()
            assert below <= set(ORDER[:index]), f"{name} imports {below}, not all above it"
