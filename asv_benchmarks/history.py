"""Measure the suite over the project's history and publish the page: `make perf-history`.

Commits of main that changed the package, every n-th of them, are measured with the benchmarks of
this checkout. asv keeps the results by commit: an interrupted run goes on where it stopped, and a
second one measures what is new.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import asv_calls
import page
from asv_calls import ROOT, SUITE, TroubleError, git

#: The package: commits that changed nothing in it need no measuring.
PACKAGE = "fastbp"
#: The first commit that has what the suite needs.
FIRST = "4557c5ddc99a57e9d9cf64dccfa3e339be4e313b"
COMMITS = 12
#: Where results go that are not worth keeping.
QUICK = ROOT / "build" / "quick-history"
ONCE = ("--attribute=rounds=1", "--attribute=repeat=1")


def choose(revisions: str, number: int, root: Path = ROOT) -> list[str]:
    """Choose about `number` commits of a range, newest first, with the newest.

    They are counted from the oldest, so that the choice stays when main moves on a little.

    Raises
    ------
    TroubleError
        If there is none.
    """
    commits = git("rev-list", "--first-parent", "--reverse", revisions, "--", PACKAGE, root=root)
    changed = commits.split()
    if not changed:
        raise TroubleError(f"no commit in {revisions} changes {PACKAGE}/")
    chosen = changed[:: ceil(len(changed) / number)]
    return list(dict.fromkeys([*chosen, changed[-1]]))[::-1]


def measure(options: argparse.Namespace, results: Path, html: Path) -> None:
    """Choose commits and measure them; benchmarks that have a result are not run again.

    Raises
    ------
    TroubleError
        If nothing is chosen, or asv could not do its work; it has said why.
    """
    chosen = choose(options.range or f"{FIRST}^..{asv_calls.main_branch()}", options.commits)
    print(git("show", "--no-patch", "--format=  %h %cs %s", *chosen), flush=True)
    asv_calls.declare_machine(options.machine, results)
    arguments = [f"--machine={options.machine}", "--skip-existing-successful"]
    versions = options.python or [f"{sys.version_info.major}.{sys.version_info.minor}"]
    arguments += [f"--environment=virtualenv:{version}" for version in versions]
    arguments += [f"--bench={pattern}" for pattern in options.bench]
    arguments += ONCE if options.quick else ()
    with tempfile.TemporaryDirectory() as folder:
        hashes = Path(folder) / "commits"
        hashes.write_text("\n".join(chosen) + "\n", encoding="utf-8")
        configuration = page.configure(Path(folder), results, html)
        status = asv_calls.asv(configuration, "run", f"HASHFILE:{hashes}", *arguments)
    if status not in asv_calls.RAN:
        raise TroubleError(f"asv ended with exit status {status}")
    if status:
        print("Some benchmarks have no result at some commits; they are named above.")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(prog="history.py", description=__doc__)
    add = result.add_argument
    add("--commits", type=int, default=COMMITS, metavar="N", help="about how many (%(default)s)")
    add("--range", metavar="A..B", help="choose from these commits (default: all of main)")
    add("--bench", action="append", default=[], metavar="REGEX", help="only these benchmarks")
    add("--python", action="append", metavar="3.X", help="these Pythons (default: this one)")
    add("--machine", default="local", metavar="NAME", help="name of this machine in the results")
    add("--quick", action="store_true", help=f"one sample each, kept apart in {QUICK.name}")
    add("--publish-only", action="store_true", help="measure nothing")
    add("--results", type=Path, metavar="FOLDER", help="where results are kept")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and publish; return the exit status."""
    options = parser().parse_args(arguments)
    if options.commits < 1:
        parser().error("--commits must be at least 1")
    results = QUICK / "results" if options.quick else SUITE / "results"
    results = (options.results or results).resolve()
    html = results.parent / "html"
    try:
        if not options.publish_only:
            measure(options, results, html)
        page.publish(results, html)
    except TroubleError as error:
        print(f"trouble: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. What is measured is kept; the same command goes on.", file=sys.stderr)
        return 130
    print(f"\nThe page is {html}; browsers need a server for it:")
    print(f"  {Path(sys.executable)} -m asv --config {SUITE / 'asv.conf.json'} preview -o {html}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
