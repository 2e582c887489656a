"""Tables of text: aligned, for printing, and as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["as_html", "as_lines"]

Cells = Sequence[str]
STYLE = ' style="text-align: left; white-space: nowrap"'
"""The style of a caption, whose lines would wrap where the table is narrower."""


def as_lines(rows: Sequence[Cells]) -> list[str]:
    """The rows as lines, their cells flush right.

    Parameters
    ----------
    rows : sequence of sequence of str
        The header first.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.rjust, row, widths)) for row in rows]


def as_html(header: Cells, rows: Sequence[Cells], caption: Cells = ()) -> str:
    """The table as HTML.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str
    caption : sequence of str, default=()
        Lines, of which the first is the title.
    """
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows
    )
    lines = [f"<b>{escape(line)}</b>" if not i else escape(line) for i, line in enumerate(caption)]
    above = f"<caption{STYLE}>{'<br>'.join(lines)}</caption>\n" if lines else ""
    return f"<table>\n{above}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"
