"""Build the site, which is `make docs`: build/docs/html. A warning or a broken link is an error."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

import site_links

DOCS = Path(__file__).resolve().parents[1]
BUILD = DOCS.parent / "build" / "docs"
SITE = BUILD / "html"
EXTERNAL = BUILD / "external_links.txt"


def main() -> int:
    """Build it from nothing, but for the output of examples that have not changed.

    Returns
    -------
    int
        The exit status.
    """
    # A page that is not read again does not warn again, and a page that is gone would stay.
    shutil.rmtree(SITE, ignore_errors=True)
    options = ["--fresh-env", "--fail-on-warning", "--keep-going", "--quiet", "--jobs", "auto"]
    status = build_main([*options, "--doctree-dir", str(BUILD / "doctrees"), str(DOCS), str(SITE)])
    if status != 0:
        return status
    EXTERNAL.write_text("\n".join(site_links.external(SITE)) + "\n", encoding="utf-8")
    wrong = site_links.broken(SITE)
    wrong += [f"{line} would be fetched" for line in site_links.fetched(SITE)]
    print("\n".join([*wrong, f"{SITE.relative_to(DOCS.parent)}: {len(wrong)} broken links"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
