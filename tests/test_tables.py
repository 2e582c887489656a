"""Tables as text and as HTML."""

from __future__ import annotations

from fastbp.tables import as_html, as_lines


def test_cells_are_flush_right() -> None:
    assert as_lines([("name", "n"), ("a", "1,000"), ("", "")]) == [
        "name      n",
        "   a  1,000",
        "           ",
    ]


def test_html_is_escaped() -> None:
    html = as_html(("a<b",), [("1 & 2",), ("3",)], ("<title>", "second line"))
    assert html == (
        '<table>\n<caption style="text-align: left; white-space: nowrap">'
        "<b>&lt;title&gt;</b><br>second line</caption>\n"
        "<thead><tr><th>a&lt;b</th></tr></thead>\n"
        "<tbody>\n<tr><td>1 &amp; 2</td></tr>\n<tr><td>3</td></tr>\n</tbody>\n</table>"
    )
    assert as_html(("a",), []) == (
        "<table>\n<thead><tr><th>a</th></tr></thead>\n<tbody>\n</tbody>\n</table>"
    )
