"""The page of the history: asv's, made whole so that it needs nothing from elsewhere.

asv's page takes its scripts from content delivery networks. Here npm brings them once, by the
versions and hashes of page_scripts/package-lock.json, and they are laid beside the page. Where
that cannot be done the page still works, with a network.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import asv_calls
from asv_calls import ROOT, SUITE, TroubleError, git

LOCKED = SUITE / "page_scripts"
#: Where npm puts them.
SCRIPTS = ROOT / "build" / "page-scripts"
#: Scripts and style sheets in npm's packages, by the end of the address that asv's page asks for.
#: Flot on npm is not minified, and of stupidtable there is another version.
KNOWN = {
    "/jquery-3.3.1.min.js": "jquery/dist/jquery.min.js",
    "/flot/0.8.3/jquery.flot.min.js": "flot/jquery.flot.js",
    "/flot/0.8.3/jquery.flot.time.min.js": "flot/jquery.flot.time.js",
    "/flot/0.8.3/jquery.flot.selection.min.js": "flot/jquery.flot.selection.js",
    "/flot/0.8.3/jquery.flot.categories.min.js": "flot/jquery.flot.categories.js",
    "/js/jquery.flot.orderBars.js": "flot-orderbars/js/jquery.flot.orderBars.js",
    "/stupidtable/1.0.1/stupidtable.min.js": "stupid-table-plugin/stupidtable.min.js",
    "/blueimp-md5/2.19.0/js/md5.min.js": "blueimp-md5/js/md5.min.js",
    "/bootstrap@3.1.1/dist/js/bootstrap.min.js": "bootstrap/dist/js/bootstrap.min.js",
    "/bootstrap@3.1.1/dist/css/bootstrap.min.css": "bootstrap/dist/css/bootstrap.min.css",
}
#: A tag that takes something from elsewhere, and what stands before and after the address.
ELSEWHERE = re.compile(r'(<(?:script|link)\b[^>]*?\b(?:src|href)=")(https?://[^"]+)("[^>]*>)')
INTEGRITY = re.compile(r' (integrity|crossorigin|referrerpolicy)="[^"]*"')


def configure(folder: Path, results: Path, html: Path) -> Path:
    """Write asv's configuration for results and a page of the history."""
    return asv_calls.configure(
        folder, branches=[asv_calls.main_branch()], results_dir=str(results), html_dir=str(html)
    )


def check_results(results: Path, root: Path = ROOT) -> None:
    """See that there is something to publish.

    Raises
    ------
    TroubleError
        If there are no results, or none of a commit that this clone has on main.
    """
    files = [path for path in results.glob("*/*.json") if path.name != "machine.json"]
    measured = {json.loads(path.read_text(encoding="utf-8"))["commit_hash"] for path in files}
    if not measured or not (results / "benchmarks.json").exists():
        raise TroubleError(f"there are no results in {results}; `make perf-history` measures some")
    branch = asv_calls.main_branch(root)
    if not measured & set(git("rev-list", "--first-parent", branch, root=root).split()):
        raise TroubleError(
            f"{branch} has none of the {len(measured)} commits that have results; in a shallow "
            "clone `git fetch --unshallow` brings them"
        )


def publish(results: Path, html: Path) -> None:
    """Make the page of all results in the folder `html`, and make it whole.

    Raises
    ------
    TroubleError
        If there is nothing to publish, or asv cannot publish; it has said why.
    """
    check_results(results)
    with tempfile.TemporaryDirectory() as folder:
        configuration = configure(Path(folder), results, html)
        if status := asv_calls.asv(configuration, "publish", "--no-pull"):
            raise TroubleError(f"asv ended with exit status {status}")
    if reason := fetch():
        print(f"The page takes its scripts from the network: {reason}")
    else:
        for address in make_whole(html, SCRIPTS / "node_modules"):
            print(f"The page takes {address} from the network: page.py does not know it")


def fetch() -> str:
    """Bring the scripts from npm if they are not there; return why that cannot be done."""
    if all((SCRIPTS / "node_modules" / file).is_file() for file in KNOWN.values()):
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    shutil.copytree(LOCKED, SCRIPTS, dirs_exist_ok=True)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    status = subprocess.run(
        command, cwd=SCRIPTS, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ).returncode
    return f"npm ended with exit status {status}" if status else ""


def make_whole(html: Path, modules: Path) -> list[str]:
    """Lay the scripts beside the page and let it take them from there.

    Returns
    -------
    list of str
        The addresses that it still takes something from: those nothing is known about.
    """
    beside = html / "scripts"
    beside.mkdir(exist_ok=True)
    unknown = []

    def local(tag: re.Match[str]) -> str:
        before, address, after = tag.groups()
        file = next((KNOWN[end] for end in KNOWN if address.endswith(end)), None)
        if file is None:
            unknown.append(address)
            return tag[0]
        shutil.copy(modules / file, beside)
        return INTEGRITY.sub("", f"{before}scripts/{Path(file).name}{after}")

    index = html / "index.html"
    index.write_text(ELSEWHERE.sub(local, index.read_text(encoding="utf-8")), encoding="utf-8")
    return unknown


def main() -> int:
    """Fetch the scripts, so that pages can be made without a network; return the exit status."""
    if reason := fetch():
        print(f"The page of the history will take its scripts from the network: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
