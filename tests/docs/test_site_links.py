"""The check of links, on made-up pages."""

from __future__ import annotations

import pytest

import site_links


@pytest.fixture
def made(tmp_path):
    """A site of two pages with faults of each kind."""
    (tmp_path / "below").mkdir()
    (tmp_path / "_static").mkdir()
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(
        '<h1 id="top-of">x</h1><a name="old"></a><a href="below/b.html#here">good</a>'
        '<a href="below/b.html#nowhere">bad</a><a href="#old">good</a><a href="gone.html">bad</a>'
        '<a href="https://a.example/x">elsewhere</a><a href="mailto:a@a.example">mail</a>'
        '<img src="a.png"><img src="lost.png"><script src="//cdn.example/s.js"></script>'
        '<link rel="stylesheet" href="https://cdn.example/s.css">'
        '<link rel="next" href="below/b.html">'
    )
    (tmp_path / "below" / "b.html").write_text(
        '<p id="here"><a href="../index.html#top-of">good</a><a href="https://a.example/x"></a>'
    )
    (tmp_path / "_static" / "template.html").write_text('<a href="nothing.html">')
    (tmp_path / "_static" / "site.css").write_text(
        "@import url('https://fonts.example/f.css'); a { background: url(b.png) }"
    )
    return tmp_path


def test_broken_links_are_found(made) -> None:
    assert site_links.broken(made) == [
        "index.html: there is no gone.html",
        "index.html: there is no lost.png",
        "index.html: there is no place below/b.html#nowhere",
    ]


def test_external_links_are_listed_once(made) -> None:
    assert site_links.external(made) == ["https://a.example/x  below/b.html"]


def test_what_would_be_fetched_is_found(made) -> None:
    assert sorted(site_links.fetched(made)) == [
        "_static/site.css: https://fonts.example/f.css",
        "index.html: //cdn.example/s.js",
        "index.html: https://cdn.example/s.css",
    ]
