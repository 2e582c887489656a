"""How commands print: names with what is said of each, and text from files."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

NAME_WIDTH = 16
"""Characters before what is said of a name."""


def fields(rows: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
    """Lines of names, and of what is said of each.

    Parameters
    ----------
    rows : iterable of (str, sequence of str)
        A name and its lines.
    """
    return [
        f"{name if index == 0 else '':<{NAME_WIDTH}}{line}"
        for name, lines in rows
        for index, line in enumerate(lines)
    ]


def printable(text: str) -> str:
    """A line as a terminal can show it; from a file it might hold what steers the terminal.

    Parameters
    ----------
    text : str
        Characters that cannot be printed, line ends among them, become escapes as in Python.
    """
    shown = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    encoding = sys.stdout.encoding or "utf-8"
    return shown.encode(encoding, "backslashreplace").decode(encoding)


def complain(error: Exception | str) -> int:
    """Print an error as a line on the standard error.

    Parameters
    ----------
    error : Exception or str

    Returns
    -------
    int
        The exit status, 1.
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(printable(text), file=sys.stderr)
    return 1
