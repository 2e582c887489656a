"""Links to files, names of the library in pages, and docstrings: what is made of them."""

from __future__ import annotations

import pytest

pytest.importorskip("sphinx_gallery", reason="the site needs the extra docs")

from sphinx import addnodes
from sphinx.application import Sphinx

import code_links
import gallery
import repository_links
import site_docstrings


@pytest.mark.parametrize(
    ("target", "page", "place"),
    [
        ("../examples/01_regression.py", "objects", "examples/01_regression.py"),
        ("../../fastbp/plain.py", "howto/search", "fastbp/plain.py"),
        ("objects.md#size", "decisions", "docs/objects.md"),
        ("../README.md", "howto/search", "docs/README.md"),
    ],
)
def test_places_of_targets(target, page, place) -> None:
    assert repository_links.place_of(target, page) == place


@pytest.fixture
def doctree(tmp_path, monkeypatch):
    """How a page of Markdown is read, in a small repository."""
    pytest.importorskip("myst_parser", reason="the site needs the extra docs")
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "01_one.py").write_text("")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "tool.py").write_text("")
    (tmp_path / "NOTES.md").write_text("# Notes\n")
    (docs / "page.md").write_text("# Page\n")
    (docs / "conf.py").write_text("")
    monkeypatch.setattr(repository_links, "ROOT", tmp_path)
    monkeypatch.setattr(gallery, "pages", lambda: {"examples/01_one.py": "gallery/one"})

    def read(text: str):
        (docs / "index.md").write_text(f"# Index\n\n{text}\n")
        confoverrides = {"extensions": ["myst_parser", "repository_links", "code_links"]}
        app = Sphinx(
            docs, docs, tmp_path / "out", tmp_path / "trees", "html", confoverrides, freshenv=True,
            status=None, warning=None,
        )  # fmt: skip
        app.builder.read()
        return app.env.get_doctree("index")

    return read


def test_a_link_to_an_example_leads_to_its_page(doctree) -> None:
    (link,) = doctree("[one](../examples/01_one.py)").findall(addnodes.pending_xref)
    assert (link["reftype"], link["reftarget"]) == ("doc", "/gallery/one")
    assert link.astext() == "one"


@pytest.mark.parametrize("path", ["../tools/tool.py", "../NOTES.md"])
def test_a_link_to_another_file_leads_to_a_copy(doctree, path) -> None:
    tree = doctree(f"[that](<{path}>)")
    (link,) = tree.findall(addnodes.download_reference)
    assert link["filename"].endswith(path.rpartition("/")[2])
    assert not list(tree.findall(addnodes.pending_xref))


def test_a_link_to_the_readme_leads_to_the_first_page(doctree, tmp_path) -> None:
    (tmp_path / "README.md").write_text("# Read me\n")
    (link,) = doctree("[start](../README.md)").findall(addnodes.pending_xref)
    assert (link["reftype"], link["reftarget"]) == ("doc", "/index")


def test_a_link_to_a_folder_is_text(doctree) -> None:
    tree = doctree("in [tools](../tools)")
    assert not list(tree.findall(addnodes.pending_xref))
    assert "in tools" in tree.astext()


def test_links_to_pages_and_to_nothing_are_left_to_myst(doctree) -> None:
    there, gone = doctree("[a](page.md) [b](../gone.py)").findall(addnodes.pending_xref)
    assert (there["refdomain"], there["reftarget"]) == ("doc", "page")
    assert gone["reftarget"] == "../gone.py"


def test_names_in_pages_refer_to_the_reference(doctree) -> None:
    tree = doctree(
        "`Adam`, `MLP.fit()` and `fastbp.plot`, but not `plot` or [`SGD`](page.md) or `x`"
    )
    found = [x["reftarget"] for x in tree.findall(addnodes.pending_xref) if x["reftype"] == "obj"]
    assert found == ["Adam", "MLP.fit", "fastbp.plot"]


@pytest.mark.parametrize("text", ["x", "plot", "net.save", "Adam(1e-3)", "fit"])
def test_other_code_is_no_name(text) -> None:
    assert not code_links.is_meant(text)


def test_docstrings_are_escaped_but_for_code() -> None:
    lines = [
        '|e| of "val_", `a_`:',
        "As in::",
        "",
        "    a | b",
        "",
        "Then |x|.",
        ">>> a | b_",
        "c|",
    ]
    site_docstrings.escape(None, "function", "f", None, None, lines)
    assert lines[0] == r'\|e\| of "val\_", `a_`:'
    assert lines[1:5] == ["As in::", "", "    a | b", ""]
    assert lines[5:] == [r"Then \|x\|.", ">>> a | b_", "c|"]
