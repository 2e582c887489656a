"""Did a change slow anything down? `make perf BASE=<commit>` compares that commit with HEAD.

asv measures both commits in one environment, with the benchmarks of the working tree and
interleaved rounds; judgement.py judges: by instructions where they can be counted, else by times,
and then what looks slow is measured again, in `AGAIN` passes at most, and judged by all of them.

Exit status: 0, 1 if something is slower, 2 if that could not be found out, or not for all.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from asv.results import Results

import asv_calls
import judgement
from asv_calls import SUITE, Key, TroubleError, git
from judgement import Row, Sides

#: Everything the gate writes; not in git. The environment in it is kept for the next time.
BUILD = SUITE / "build" / "gate"
#: What is installed, and so measured; the benchmarks are those of the working tree.
PACKAGE = ("fastbp", "pyproject.toml")
DEFAULT_BENCH = r"^bench_training\.|^bench_predict\."
#: What this machine is called in the results, which nobody keeps.
MACHINE = "local"
AGAIN = 2
"""Passes after the first where times are judged and something looks slow."""
LOG_LINES = 40
"""How much of asv's output is shown when something fails."""


class Commits(NamedTuple):
    """Full hashes."""

    base: str
    head: str


def commits_of(base: str) -> Commits:
    """Find the commits to compare: `base` and HEAD.

    Raises
    ------
    TroubleError
        If the base is unknown or HEAD itself, or HEAD is not what would be measured.
    """
    if not base:
        raise TroubleError("say what to compare HEAD with: make perf BASE=<commit>")
    commits = Commits(asv_calls.commit_of(base), git("rev-parse", "HEAD"))
    if not commits.base:
        raise TroubleError(f"BASE={base} is no commit of this repository")
    if changed := git("status", "--porcelain", "--", *PACKAGE):
        raise TroubleError(
            f"commits are measured, and these changes are in none; commit them first:\n{changed}"
        )
    if commits.base == commits.head:
        raise TroubleError(f"BASE={base} is HEAD itself: there is nothing to compare")
    return commits


def run_asv(folder: Path, commits: Commits, patterns: Sequence[str]) -> None:
    """Measure two commits once, with results of their own; the output goes into `folder`.

    What asv itself finds different does not matter, and what fails stands in the results.

    Raises
    ------
    TroubleError
        If there are no results.
    """
    configuration = asv_calls.configure(
        folder,
        branches=["HEAD"],
        pythons=[f"{sys.version_info.major}.{sys.version_info.minor}"],
        env_dir=str(BUILD / "env"),
        results_dir=str(folder / "results"),
    )
    options = ["--interleave-rounds", "--show-stderr", f"--machine={MACHINE}"]
    options += [f"--bench={pattern}" for pattern in patterns]
    log = folder / "asv.log"
    with log.open("w", encoding="utf-8") as out:
        status = asv_calls.asv(
            configuration, "continuous", *options, *commits,
            cwd=folder, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    measured = [list(folder.glob(f"results/*/{commit[:8]}-*.json")) for commit in commits]
    if status not in asv_calls.RAN or any(len(files) != 1 for files in measured):
        said = "\n".join(log.read_text(encoding="utf-8").splitlines()[-LOG_LINES:])
        raise TroubleError(f"asv has measured nothing (exit status {status}):\n{said}")


def add(found: dict[Key, Sides], folder: Path, commits: Commits) -> None:
    """Add the figures of a pass to those of the passes before it."""
    for side, commit in zip(Sides._fields, commits, strict=True):
        (file,) = folder.glob(f"results/*/{commit[:8]}-*.json")
        for key, values in asv_calls.figures(Results.load(str(file))).items():
            before = found.get(key, Sides())
            found[key] = before._replace(**{side: getattr(before, side) + values})


def beside(key: Key) -> str:
    """Return a regular expression for all that a class measures with the same parameters."""
    room = key.benchmark.rpartition(".")[0]
    parameters = str(key).removeprefix(key.benchmark)
    return rf"^{re.escape(room)}\.\w+{re.escape(parameters)}$"


def measure(commits: Commits, patterns: Sequence[str]) -> list[Row]:
    """Measure in passes and judge.

    Parameters
    ----------
    commits : Commits
    patterns : sequence of str
        Regular expressions: what is measured in the first pass. What looks slow is measured
        again, `AGAIN` times at most, if that may give other figures.
    """
    found: dict[Key, Sides] = {}
    rows: list[Row] = []
    for turn in range(1 + AGAIN):
        folder = BUILD / f"pass-{turn + 1}"
        run_asv(folder, commits, patterns)
        add(found, folder, commits)
        listed = json.loads((folder / "results" / "benchmarks.json").read_text(encoding="utf-8"))
        units = {name: benchmark["unit"] for name, benchmark in listed.items() if name != "version"}
        rows = judgement.judge(units, found)
        doubtful = [
            row.key
            for row in rows
            if row.verdict == judgement.SLOW and row.unit == judgement.SECONDS
        ]
        if not doubtful:
            break
        patterns = [beside(key) for key in doubtful]
    return rows


def report(rows: Sequence[Row]) -> int:
    """Print the table and what follows from it; return the exit status."""
    print(judgement.table(rows))
    verdicts = [row.verdict for row in rows]
    for row in rows:
        if row.verdict in (judgement.SLOW, judgement.FAILED):
            print(f"{row.verdict}: {row.key}")
    if judgement.FAILED in verdicts:
        print(f"what fails at HEAD alone: asv.log in {BUILD}/pass-* says why")
        return 2
    judged = verdicts.count(judgement.SLOW) + verdicts.count(judgement.SAME)
    if not judged:
        print("nothing that can be judged was measured at both commits")
        return 2
    print(f"{verdicts.count(judgement.SLOW)} of {judged} are slower")
    return 1 if judgement.SLOW in verdicts else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare a commit with HEAD and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", default="", help="the commit to compare HEAD with")
    parser.add_argument(
        "--bench",
        action="append",
        help="regular expression of benchmarks, `name(parameters)`; may be repeated; "
        "by default training and prediction",
    )
    options = parser.parse_args(arguments)
    try:
        commits = commits_of(options.base)
        for folder in BUILD.glob("pass-*"):
            shutil.rmtree(folder)
        asv_calls.declare_machine(MACHINE)
        print(f"base {commits.base}\nhead {commits.head}", flush=True)
        return report(measure(commits, options.bench or [DEFAULT_BENCH]))
    except TroubleError as error:
        print(f"trouble: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
