"""Links from pages to files of the repository that are no pages.

The same link serves on GitHub and here: `../examples/07_inside_numba.py` becomes a link to the
page of that example, any other file a link to the file, and a folder plain text. What does not
exist is left alone, so that MyST warns of it.
"""

from __future__ import annotations

import posixpath
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

import gallery

ROOT = gallery.DOCS.parent
INSTEAD = {
    "README.md": "index",
    "examples": "gallery/examples/index",
    "examples/README.md": "gallery/examples/index",
    "examples/lectures": "gallery/lectures/index",
}
"""Files and folders whose content is a page here."""


def place_of(target: str, page: str) -> str:
    """A target's path below the repository: of a link in a page of docs/."""
    folder = posixpath.dirname(page)
    return posixpath.normpath(posixpath.join("docs", folder, target.partition("#")[0]))


class RepositoryLinks(SphinxTransform):
    """Turn links to files into links to pages or to copies of the files."""

    default_priority = 10  # before Sphinx collects what is to be copied

    def apply(self, **kwargs: Any) -> None:
        """Replace the nodes that MyST has made of such links."""
        pages = INSTEAD | gallery.pages()
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("reftype") == "myst":
                self.mend(node, pages)
        for node in list(self.document.findall(addnodes.download_reference)):
            if node.get("reftype") == "myst":
                self.mend(node, pages)

    def mend(self, node: nodes.Element, pages: dict[str, str]) -> None:
        """Replace one node, if it leads to a file that is no page."""
        target, page = node["reftarget"], self.env.docname
        if node.get("refdomain") == "doc":  # MyST takes each .md for a page: here is its full name
            path = self.env.srcdir / f"{target}.md"
            place = posixpath.relpath(path.as_posix(), ROOT.as_posix())
        else:
            place = place_of(target, page)
        if place in pages:
            node.replace_self(link_to_page(pages[place], page, node))
        elif place.startswith("docs/") and place.endswith((".md", ".rst")):
            return
        elif (ROOT / place).is_file():
            path = posixpath.relpath(place, posixpath.join("docs", posixpath.dirname(page)))
            node.replace_self(link_to_file(path, page, node))
        elif (ROOT / place).is_dir() and place != "docs":
            node.replace_self(nodes.literal(text=node.astext()))


def link_to_page(target: str, page: str, node: nodes.Element) -> nodes.Element:
    """A link to a page, with the text of a node."""
    return addnodes.pending_xref(
        "", *node.children, reftarget=f"/{target}", refdoc=page, refdomain="std", reftype="doc",
        refexplicit=True, refwarn=True,
    )  # fmt: skip


def link_to_file(path: str, page: str, node: nodes.Element) -> nodes.Element:
    """A link to a copy of a file, with the text of a node."""
    return addnodes.download_reference(
        "", *node.children, reftarget=path, refdoc=page, refdomain="", reftype="download"
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the transform."""
    app.add_transform(RepositoryLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
