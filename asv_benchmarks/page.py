"""The page of the history: asv's, made whole so that it needs nothing from elsewhere.

asv's page takes its scripts from content delivery networks. Here they are fetched once from npm,
by the versions and the contents that the page asks for, and laid beside it. Where that cannot be
done the page still works, with a network.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: Where the scripts are kept, once fetched.
SCRIPTS = ROOT / "build" / "page-scripts"


class PageError(Exception):
    """There is nothing to publish; the message says why and what to do."""


# ---- publishing -----------------------------------------------------------------------------


def asv(configuration: Path) -> list[str]:
    """Return the command of asv with this configuration."""
    return [sys.executable, "-m", "asv", "--config", str(configuration)]


def has_commit(name: str, root: Path) -> bool:
    """Say whether a name is that of a commit of the repository."""
    command = ["git", "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"]
    return subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL).returncode == 0


def main_branch(root: Path = ROOT) -> str:
    """Return a name of main: a checkout of one commit, as services make it, has no branch."""
    return next(name for name in ("main", "origin/main", "HEAD") if has_commit(name, root))


@contextmanager
def configuration(results: Path, html: Path, root: Path = ROOT) -> Iterator[Path]:
    """Write asv's configuration with full paths, other folders and a branch that is there."""
    values = json.loads((HERE / "asv.conf.json").read_text(encoding="utf-8"))
    for name in ("benchmark_dir", "env_dir"):
        values[name] = str(HERE / values[name])
    values |= {"repo": str(root), "results_dir": str(results), "html_dir": str(html)}
    values["branches"] = [main_branch(root)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asv.conf.json"
        path.write_text(json.dumps(values), encoding="utf-8")
        yield path


def measured_commits(results: Path, machine: str = "*") -> set[str]:
    """Return the commits that have results, of one machine or of any."""
    return {
        json.loads(path.read_text(encoding="utf-8"))["commit_hash"]
        for path in results.glob(f"{machine}/*.json")
        if path.name != "machine.json"
    }


def check_results(results: Path, root: Path = ROOT) -> None:
    """See that there is something to publish.

    Raises
    ------
    PageError
        If there are no results, or none of a commit that this clone has on main.
    """
    measured = measured_commits(results)
    if not measured or not (results / "benchmarks.json").exists():
        raise PageError(f"there are no results in {results}; `make perf-history` measures some")
    branch = main_branch(root)
    command = ["git", "rev-list", "--first-parent", branch]
    known = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout
    if not measured & set(known.split()):
        raise PageError(
            f"{branch} has none of the {len(measured)} commits that have results; in a shallow "
            "clone `git fetch --unshallow` brings them"
        )


def publish(results: Path, html: Path, root: Path = ROOT) -> None:
    """Make the page of all results, and make it whole.

    Parameters
    ----------
    results, html : Path
        Folders; the second is made anew.
    root : Path
        The repository.

    Raises
    ------
    PageError
        If there is nothing to publish.
    subprocess.CalledProcessError
        If asv cannot publish; it has said why.
    """
    check_results(results, root)
    with configuration(results, html, root) as path:
        subprocess.run([*asv(path), "publish", "--no-pull"], check=True)
    if reason := fetch(SCRIPTS):
        print(f"The page takes its scripts from the network: {reason}")
    else:
        for address in make_whole(html, SCRIPTS):
            print(f"The page takes {address} from the network: page.py does not know it")


# ---- its scripts ----------------------------------------------------------------------------


class Script(NamedTuple):
    """A script or style sheet of the page: where it is found on npm, and what it contains."""

    package: str
    member: str
    sha256: str

    @property
    def name(self) -> str:
        """What it is called beside the page."""
        return Path(self.member).name


#: By the end of the address under which asv's page asks for them. Where the contents are those
#: that asv's page asks for, too, the hashes are asv's. Flot on npm is not minified, and of
#: stupidtable there is another version.
KNOWN = {
    "/jquery-3.3.1.min.js": Script(
        "jquery@3.3.1", "dist/jquery.min.js", "FgpCb/KJQlLNfOu91ta32o/NMZxltwRo8QtmkMRdAu8="
    ),
    "/flot/0.8.3/jquery.flot.min.js": Script(
        "flot@0.8.3", "jquery.flot.js", "t7kx8nPDixJ3ucbB9OBcTsCYhaSHvdrzJ54tfkmjjhI="
    ),
    "/flot/0.8.3/jquery.flot.time.min.js": Script(
        "flot@0.8.3", "jquery.flot.time.js", "pYLIMq3HE4prBar2HxbrrCdHAfG+Sv6nfnOaHDS5xBo="
    ),
    "/flot/0.8.3/jquery.flot.selection.min.js": Script(
        "flot@0.8.3", "jquery.flot.selection.js", "5shfbB6+S02inYriOMfFBgKD8F9+8FT2uRgX0CwJKRg="
    ),
    "/flot/0.8.3/jquery.flot.categories.min.js": Script(
        "flot@0.8.3", "jquery.flot.categories.js", "boFmSyjqeVxzSQb0qhVhRkCnWsf705mn+5CEBAaYNRo="
    ),
    "/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": Script(
        "flot-orderbars@1.0.0",
        "js/jquery.flot.orderBars.js",
        "OXNbT0b5b/TgglckAfR8VaJ2ezZv0dHoIeRKjYMKEr8=",
    ),
    "/stupidtable/1.0.1/stupidtable.min.js": Script(
        "stupid-table-plugin@1.1.3",
        "stupidtable.min.js",
        "RkI4Dyjr6e18rCUXk7KB74YgxDhiBdkniPmxL1zOtOA=",
    ),
    "/blueimp-md5/2.19.0/js/md5.min.js": Script(
        "blueimp-md5@2.19.0", "js/md5.min.js", "ZNfe04jFYuS96eWM4gXl+gG5c0/NQ01Jbre0+/6bkn0="
    ),
    "/bootstrap@3.1.1/dist/js/bootstrap.min.js": Script(
        "bootstrap@3.1.1",
        "dist/js/bootstrap.min.js",
        "iY0FoX8s/FEg3c26R6iFw3jAtGbzDwcA5QJ1fiS0A6E=",
    ),
    "/bootstrap@3.1.1/dist/css/bootstrap.min.css": Script(
        "bootstrap@3.1.1",
        "dist/css/bootstrap.min.css",
        "6VA0SGkrc43SYPvX98q/LhHwm2APqX5us6Vuulsafps=",
    ),
}
#: A tag that takes something from elsewhere, and what stands before and after the address.
ELSEWHERE = re.compile(r'(<(?:script|link)\b[^>]*?\b(?:src|href)=")(https?://[^"]+)("[^>]*>)')
INTEGRITY = re.compile(r' (integrity|crossorigin|referrerpolicy)="[^"]*"')


def hash_of(contents: bytes) -> str:
    """SHA-256 as browsers write it."""
    return base64.b64encode(hashlib.sha256(contents).digest()).decode("ascii")


def missing(folder: Path) -> list[Script]:
    """Return the scripts that a folder does not have, or has with other contents."""
    return [
        script
        for script in KNOWN.values()
        if not (folder / script.name).is_file()
        or hash_of((folder / script.name).read_bytes()) != script.sha256
    ]


def fetch(folder: Path) -> str:
    """Bring the scripts that a folder lacks from npm.

    Returns
    -------
    str
        Why it cannot be done; empty if all are there.

    Raises
    ------
    PageError
        If npm has other contents under a version than those known.
    """
    wanted = missing(folder)
    if not wanted:
        return ""
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    packages = sorted({script.package for script in wanted})
    with tempfile.TemporaryDirectory() as place:
        # Nothing is installed and nothing of the packages is run.
        command = [npm, "pack", "--silent", "--fetch-retries=1", f"--pack-destination={place}"]
        process = subprocess.run(
            [*command, *packages], cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        if process.returncode:
            return f"npm ended with exit code {process.returncode}"
        folder.mkdir(parents=True, exist_ok=True)
        for script in wanted:
            unpack(script, Path(place), folder)
    return ""


def unpack(script: Script, archives: Path, folder: Path) -> None:
    """Take a script from its package."""
    with tarfile.open(archives / f"{script.package.replace('@', '-')}.tgz") as archive:
        member = archive.extractfile(f"package/{script.member}")
        contents = b"" if member is None else member.read()
    if hash_of(contents) != script.sha256:
        raise PageError(f"{script.member} of {script.package} is not what it was")
    (folder / script.name).write_bytes(contents)


def make_whole(html: Path, folder: Path) -> list[str]:
    """Lay the scripts beside the page and let it take them from there.

    Parameters
    ----------
    html : Path
        The folder of the page.
    folder : Path
        That of the scripts.

    Returns
    -------
    list of str
        The addresses that it still takes something from: those nothing is known about.
    """
    index, beside, unknown = html / "index.html", html / "scripts", []
    beside.mkdir(exist_ok=True)

    def local(tag: re.Match[str]) -> str:
        before, address, after = tag.groups()
        script = next((s for end, s in KNOWN.items() if address.endswith(end)), None)
        if script is None:
            unknown.append(address)
            return tag[0]
        shutil.copy(folder / script.name, beside)
        after = INTEGRITY.sub("", after).replace('"', f'" integrity="sha256-{script.sha256}"', 1)
        return f"{INTEGRITY.sub('', before)}scripts/{script.name}{after}"

    index.write_text(ELSEWHERE.sub(local, index.read_text(encoding="utf-8")), encoding="utf-8")
    return unknown


def main() -> int:
    """Fetch the scripts, so that pages can be made without a network; return the exit code."""
    if reason := fetch(SCRIPTS):
        print(f"The page of the history will take its scripts from the network: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
