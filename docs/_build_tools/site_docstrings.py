"""What docstrings need beside numpydoc to become pages."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

SPANS = re.compile(r"(``.+?``|`.+?`|\*\*.+?\*\*)")


def escaped(line: str) -> str:
    r"""The line with what help() shows as it stands and reStructuredText would interpret.

    Outside of markup ``|e|`` is a substitution there, and ``val_`` a link.

    Examples
    --------
    >>> print(escaped('|e| of ``|x|``, "val_" + name, `coef_`'))
    \|e\| of ``|x|``, "val\_" + name, `coef_`
    """
    parts = SPANS.split(line)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"(?<!\\)\|", r"\\|", parts[i])
        parts[i] = re.sub(r"(?<=\w)(?<!\\)_(?!\w)", r"\\_", parts[i])
    return "".join(parts)


def escape(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:  # fmt: skip
    """Escape the lines of a docstring, but for code: doctests and what follows a `::`."""
    code: int | None = None  # how far its lines are indented, at least
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if code is not None and (indent >= code or not line.strip()):
            continue
        code = None
        if line.lstrip().startswith((">>>", "...")):
            continue
        if line.rstrip().endswith("::") or line.lstrip().startswith(".. "):
            code = indent + 1
        elif not (i and lines[i - 1].lstrip().startswith((">>>", "..."))):
            lines[i] = escaped(line)


def leave_out(
    app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:  # fmt: skip
    """Leave out what estimators inherit from scikit-learn: its pages explain that."""
    module = getattr(obj, "__module__", None) or ""
    return True if module.partition(".")[0] == "sklearn" else None


def mend_links_of_sources(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:  # fmt: skip
    """Let the pages of sources lead back to where the objects are documented.

    viewcode takes one name of a module for all of its objects; some here are documented by the
    name that users import, `fastbp.MLP`, and some by that of their module.
    """
    if not pagename.startswith("_modules/"):
        return
    documented = app.env.domains["py"].objects

    def mended(match: re.Match[str]) -> str:
        if match[2] in documented:
            return match[0]
        short = match[2].removeprefix("fastbp.")
        for name, entry in documented.items():
            if name.endswith(f".{short}") and match[1].endswith(f"{entry.docname}.html"):
                return f'href="{match[1]}#{name}"'
        return match[0]

    context["body"] = re.sub(r'href="([^"#]+)#(fastbp\.[\w.]+)"', mended, context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to autodoc, after numpydoc, and to the pages."""
    app.connect("autodoc-process-docstring", escape, priority=900)
    app.connect("autodoc-skip-member", leave_out)
    app.connect("html-page-context", mend_links_of_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
