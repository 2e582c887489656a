"""Measure the suite over the project's history and publish the page: `make perf-history`.

A commit is measured where it changed the package and has what the suite needs of it. Benchmarks
are always those of this checkout, so that every commit is measured alike. Results are kept by
commit: an interrupted run goes on where it stopped, and a second one measures what is new.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import page
import pythons

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: The package: commits that changed nothing in it need no measuring.
PACKAGE = "fastbp"
#: What the suite needs of a commit: this text in this file.
NEEDED, NEEDED_IN = "def fma_flops(", f"{PACKAGE}/hardware.py"
COMMITS = 12
#: Where results go that are not worth keeping.
QUICK = ROOT / "build" / "quick-history"
#: What asv's exit code says when it ran, and some benchmarks failed.
SOME_FAILED = 2
ONCE = ("rounds=1", "repeat=1")


class HistoryError(Exception):
    """Nothing can be measured or published; the message says why and what to do."""


def git(*arguments: str, root: Path = ROOT, accepted: Sequence[int] = (0,)) -> list[str]:
    """Run git and return the lines it prints.

    Parameters
    ----------
    *arguments : str
    root : Path
        The repository.
    accepted : sequence of int, default=(0,)
        Its exit codes that are no error.

    Raises
    ------
    subprocess.CalledProcessError
        At any other exit code; what git said stands on standard error.
    """
    process = subprocess.run(["git", *arguments], cwd=root, stdout=subprocess.PIPE, text=True)
    if process.returncode not in accepted:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return process.stdout.splitlines()


def commits_of(revisions: str, root: Path = ROOT) -> list[str]:
    """Return the commits of a range that changed the package, the first parents', oldest first."""
    return git("rev-list", "--first-parent", "--reverse", revisions, "--", PACKAGE, root=root)


def measurable(commits: Sequence[str], root: Path = ROOT) -> list[str]:
    """Return those of the commits that have what the suite needs."""
    if not commits:
        return []
    search = ("grep", "--name-only", "--fixed-strings", "-e", NEEDED, *commits, "--", NEEDED_IN)
    # git grep ends with 1 where it finds nothing.
    found = {line.partition(":")[0] for line in git(*search, root=root, accepted=(0, 1))}
    return [commit for commit in commits if commit in found]


def runs(commit: str, root: Path = ROOT) -> bool:
    """Say whether a commit's package can be imported: of a few, a part came with the next one."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "package.tar"
        git("archive", f"--output={archive}", commit, "--", PACKAGE, root=root)
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        process = subprocess.run(
            [sys.executable, "-c", f"import {PACKAGE}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder, "FASTBP_CACHE_DIR": folder},
            stderr=subprocess.DEVNULL,  # an old commit is not to be mended
        )
    return process.returncode == 0


def spread(commits: Sequence[str], number: int, known: Collection[str] = frozenset()) -> list[str]:
    """Choose commits evenly, with the first and the last.

    Parameters
    ----------
    commits : sequence of str
    number : int
        How many to choose; all if there are no more.
    known : collection of str, optional
        Commits that have results: the one nearest to an even place, less than half the way to the
        next place, is taken for it. So the choice stays when main moves on.
    """
    if number >= len(commits):
        return list(commits)
    if number == 1:
        return [commits[-1]]
    step = (len(commits) - 1) / (number - 1)
    chosen = []
    for place in range(number):
        even = step * place
        near = [
            i
            for i, commit in enumerate(commits[:-1])
            if commit in known and abs(i - even) < step / 2 and 0 < place < number - 1
        ]
        chosen.append(
            commits[min(near, key=lambda i, even=even: abs(i - even), default=round(even))]
        )
    return chosen


def choose(
    revisions: str, number: int, root: Path = ROOT, known: Collection[str] = frozenset()
) -> list[str]:
    """Choose the commits to measure, oldest first, and say what was left out; see `spread`.

    Raises
    ------
    HistoryError
        If there is none.
    """
    changed = commits_of(revisions, root)
    able = measurable(changed, root)
    print(
        f"{revisions}: {len(changed)} commits change {PACKAGE}/, {len(able)} of them have what the "
        f"suite needs ({NEEDED_IN} with `{NEEDED}`)",
        flush=True,
    )
    asked: dict[str, bool] = {}
    while True:
        chosen = spread(able, number, known)
        asked |= {commit: runs(commit, root) for commit in chosen if commit not in asked}
        if all(asked[commit] for commit in chosen):
            break
        able = [commit for commit in able if asked.get(commit, True)]
    if broken := [commit for commit, fine in asked.items() if not fine]:
        print(f"left out, because they cannot be imported: {', '.join(broken)}", flush=True)
    if not chosen:
        raise HistoryError(f"no commit in {revisions} can be measured")
    return chosen


@contextmanager
def hash_file(commits: Sequence[str]) -> Iterator[str]:
    """Write the commits as asv reads them, newest first: with the first it finds the suite."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "commits"
        path.write_text("\n".join(reversed(commits)) + "\n", encoding="utf-8")
        yield f"HASHFILE:{path}"


def declare_machine(name: str, results: Path) -> None:
    """Tell asv about this machine, under a name that says nothing about it.

    Raises
    ------
    HistoryError
        If there are results of another processor under this name: a history of two machines
        would show steps that no commit made.
    """
    from asv.machine import Machine, MachineCollection
    from llvmlite.binding import get_host_cpu_name

    info = Machine.get_defaults()
    # Neither the host's name nor its kernel's release belongs to the results.
    cpu = f"{info['cpu']} ({get_host_cpu_name()})"
    info |= {"machine": name, "os": platform.system(), "cpu": cpu}
    known = results / name / "machine.json"
    if known.exists():
        before = json.loads(known.read_text(encoding="utf-8"))["cpu"]
        if before != cpu:
            raise HistoryError(
                f"the results of machine {name!r} are those of {before}, but this is {cpu}; "
                "choose another name with --machine"
            )
    MachineCollection.save(name, info)


def run_suite(
    configuration: Path,
    commits: str,
    environment: pythons.Environment,
    *,
    machine: str,
    bench: Sequence[str] = (),
    once: bool = False,
) -> bool:
    """Measure the commits; benchmarks that have a result of a commit are not run again.

    Parameters
    ----------
    configuration : Path
        Of asv, with full paths.
    commits : str
        As asv takes them.
    environment : pythons.Environment
        Which Python versions, and where they are found.
    machine : str
        The name of this machine.
    bench : sequence of str, optional
        Regular expressions of the benchmarks to run; all by default.
    once : bool, default=False
        Take one sample of each.

    Returns
    -------
    bool
        Whether every benchmark had a result. Some have none at old commits that lack what they
        measure; asv has named them.

    Raises
    ------
    subprocess.CalledProcessError
        If asv could not do its work; it has said why.
    """
    command = [*page.asv(configuration), "run", commits, "--machine", machine]
    command += ["--skip-existing-successful"]
    command += [f"--environment=virtualenv:{version}" for version in environment.versions]
    command += [f"--bench={pattern}" for pattern in bench]
    command += [f"--attribute={attribute}" for attribute in ONCE if once]
    path = os.pathsep.join([*map(str, environment.folders), os.environ["PATH"]])
    code = subprocess.run(command, env={**os.environ, "PATH": path}).returncode
    if code not in (0, SOME_FAILED):
        raise subprocess.CalledProcessError(code, command)
    return code == 0


def measure(options: argparse.Namespace, results: Path) -> None:
    """Choose commits and Pythons and measure."""
    known = page.measured_commits(results, options.machine)
    chosen = choose(options.range or page.main_branch(ROOT), options.commits, known=known)
    for line in git("show", "--no-patch", "--format=%h %cs %s", *chosen):
        print(f"  {line}", flush=True)
    environment = pythons.installed(options.python)
    print(f"Python {', '.join(environment.versions)}; machine {options.machine!r}", flush=True)
    declare_machine(options.machine, results)
    with (
        page.configuration(results, results.parent / "html") as configuration,
        hash_file(chosen) as commits,
    ):
        complete = run_suite(
            configuration,
            commits,
            environment,
            machine=options.machine,
            bench=options.bench,
            once=options.quick,
        )
    if not complete:
        print("Some benchmarks have no result at some commits; they are named above.")


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    result = argparse.ArgumentParser(prog="history.py", description=__doc__)
    add = result.add_argument
    add("--commits", type=int, default=COMMITS, metavar="N", help="how many (default %(default)s)")
    add("--range", metavar="A..B", help="choose from these commits (default: all of main)")
    add("--bench", action="append", default=[], metavar="REGEX", help="only these benchmarks")
    add("--python", action="append", default=[], metavar="3.X", help="only these Pythons")
    add("--machine", default="local", metavar="NAME", help="name of this machine in the results")
    add("--quick", action="store_true", help=f"one sample each, kept apart in {QUICK.name}")
    add("--publish-only", action="store_true", help="measure nothing")
    add("--results", type=Path, metavar="FOLDER", help="where results are kept")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and publish; return the exit code."""
    options = parser().parse_args(arguments)
    if options.commits < 1:
        parser().error("--commits must be at least 1")
    results = QUICK / "results" if options.quick else HERE / "results"
    results = (options.results or results).resolve()
    html = results.parent / "html"
    try:
        if not options.publish_only:
            measure(options, results)
        page.publish(results, html)
    except (HistoryError, pythons.NoPythonError, page.PageError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        print("\nStopped. What is measured is kept; the same command goes on.", file=sys.stderr)
        return 130
    print(f"\nThe page is {html}; browsers need a server for it:")
    print(f"  {Path(sys.executable)} -m asv --config {HERE / 'asv.conf.json'} preview -o {html}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
