"""Names of the library in pages of Markdown, such as `Adam`, become links to the reference."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import fastbp
from fastbp import files

ELSEWHERE = {"MLPClassifier": "fastbp.sklearn", "MLPRegressor": "fastbp.sklearn"} | {
    name: "fastbp.files" for name in vars(files) if name.startswith(("to_", "from_"))
}
"""Names that pages use without their module, and the module."""
MEANT = re.compile(r"(?:fastbp\.)?(\w+)(?:\.\w+)*")
PLAIN = {"graph", "plot"}
"""Modules: as single words they may be anything."""
LINKS = (nodes.reference, nodes.title, addnodes.pending_xref, addnodes.download_reference)


def is_meant(text: str) -> bool:
    """Whether code names something public, by its first word or from fastbp on."""
    found = MEANT.fullmatch(text.removesuffix("()"))
    if found is None or text in PLAIN:
        return False
    return text.startswith("fastbp.") or found[1] in {*fastbp.__all__, *ELSEWHERE}


def is_linked(node: nodes.Node | None) -> bool:
    """Whether a node stands in a link, or in a title, which other places link to."""
    while node is not None:
        if isinstance(node, LINKS):
            return True
        node = node.parent
    return False


class CodeLinks(SphinxTransform):
    """Make references of inline code; what has no reference stays code."""

    default_priority = 15

    def apply(self, **kwargs: Any) -> None:
        """Wrap the nodes."""
        if not str(self.document["source"]).endswith(".md"):
            return
        for node in list(self.document.findall(nodes.literal)):
            if not is_linked(node) and not node["classes"] and is_meant(node.astext()):
                name = node.astext().removesuffix("()")
                link = addnodes.pending_xref(
                    "", node.deepcopy(), refdomain="py", reftype="obj", reftarget=name,
                    refwarn=False, refexplicit=True, refdoc=self.env.docname,
                )  # fmt: skip
                link["py:module"] = ELSEWHERE.get(name.partition(".")[0], "fastbp")
                node.replace_self(link)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the transform."""
    app.add_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
