"""What the built pages link to: inside the site, elsewhere, and what a browser would fetch."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

FETCHED = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src"}
"""Elements that a browser loads something for, by the attribute that says what."""
ELSEWHERE = re.compile(r"(?:https?:)?//")
IN_STYLES = re.compile(r"(?:url\(|@import\s)\s*[\"']?((?:https?:)?//[^\"')\s]+)")


class Page(NamedTuple):
    """What stands in a page: the ids, the addresses it links to, and those it loads."""

    ids: set[str]
    links: list[str]
    loads: list[str]


class Reader(HTMLParser):
    """Collects what `Page` has."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page(set(), [], [])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element."""
        given = dict(attrs)
        if given.get("id"):
            self.page.ids.add(str(given["id"]))
        if tag == "a" and given.get("name"):
            self.page.ids.add(str(given["name"]))
        if tag == "a" and given.get("href") is not None:
            self.page.links.append(str(given["href"]))
        relation = str(given.get("rel") or "")
        if tag == "link" and re.search("stylesheet|icon|load|fetch|connect", relation):
            self.page.loads.append(str(given.get("href")))
        if tag in FETCHED and given.get(FETCHED[tag]) is not None:
            self.page.loads.append(str(given[FETCHED[tag]]))


def pages(site: Path) -> dict[str, Page]:
    """Each page by its path below the site."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        if name.startswith("_static/"):
            continue  # templates of the theme, which no page links to
        reader = Reader()
        reader.feed(path.read_text(encoding="utf-8"))
        found[name] = reader.page
    return found


def is_elsewhere(address: str) -> bool:
    """Whether an address leads out of the site."""
    return bool(ELSEWHERE.match(address))


def broken(site: Path) -> list[str]:
    """Links that lead nowhere within the site: no such file, or no such place in the page."""
    found = []
    every = pages(site)
    for name, page in every.items():
        for address in {*page.links, *page.loads}:
            parts = urlsplit(address)
            if parts.scheme or is_elsewhere(address):
                continue
            path = unquote(parts.path)
            target = (site / name).parent / path if path else site / name
            place = target.resolve().relative_to(site.resolve()).as_posix()
            if not target.is_file():
                found.append(f"{name}: there is no {address}")
            elif parts.fragment and place in every:
                if unquote(parts.fragment) not in every[place].ids | {"", "top"}:
                    found.append(f"{name}: there is no place {address}")
    return sorted(found)


def external(site: Path) -> list[str]:
    """Addresses outside of the site that pages link to, each with the first page that does."""
    first: dict[str, str] = {}
    for name, page in pages(site).items():
        for address in page.links:
            if is_elsewhere(address):
                first.setdefault(address, name)
    return [f"{address}  {name}" for address, name in sorted(first.items())]


def fetched(site: Path) -> list[str]:
    """What a browser would load from elsewhere: there should be nothing."""
    found = [
        f"{name}: {address}"
        for name, page in pages(site).items()
        for address in page.loads
        if is_elsewhere(address)
    ]
    for path in sorted(site.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(site)}: {address}" for address in IN_STYLES.findall(text)]
    return found
