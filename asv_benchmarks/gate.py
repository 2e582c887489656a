"""Did a change slow anything down? `make perf BASE=<commit>` compares that commit with HEAD.

asv measures both commits in one environment, with the benchmarks of the working tree, in passes
of interleaved rounds; judgement.py judges. The first pass measures everything that was chosen;
what looks slow, or fast, is measured again until it does not, in `AGAIN` passes more at most, and
judged by all of them. A pass gives ten samples of each time and, because asv runs those once a
commit, one of each figure beside a time.

Exit status: 0, 1 if something is slower, 2 if that could not be found out, or not for all.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

from asv import util
from asv.benchmarks import Benchmarks
from asv.machine import MachineCollection
from asv.results import Results

import judgement
from judgement import Figures, Key, Row, Sides

SUITE = Path(__file__).resolve().parent
ROOT = SUITE.parent
#: Everything the gate writes; not in git. The environment in it is kept for the next time.
BUILD = SUITE / "build" / "gate"
#: What is installed, and so measured; the benchmarks are those of the working tree.
PACKAGE = ("fastbp", "pyproject.toml")
DEFAULT_BENCH = r"^bench_training\.Training\.|^bench_predict\."
AGAIN = 4
"""Passes after the first for what stays suspected."""
LOG_LINES = 40
"""How much of asv's output is shown when something fails."""


class TroubleError(Exception):
    """Why nothing can be said about the commits."""


class Commits(NamedTuple):
    """Full hashes."""

    base: str
    head: str


def git(*arguments: str) -> str:
    """Return what git prints, without the end of the last line.

    Raises
    ------
    TroubleError
        If git fails, with what it said.
    """
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise TroubleError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def commits_of(base: str) -> Commits:
    """Find the commits to compare: `base` and HEAD.

    Raises
    ------
    TroubleError
        If the base is unknown or HEAD itself, or HEAD is not what would be measured.
    """
    if not base:
        raise TroubleError("say what to compare HEAD with: make perf BASE=<commit>")
    try:
        name = git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    except TroubleError as error:
        raise TroubleError(f"BASE={base} is no commit of this repository") from error
    if changed := git("status", "--porcelain", "--", *PACKAGE):
        raise TroubleError(
            f"commits are measured, and these changes are in none; commit them first:\n{changed}"
        )
    commits = Commits(name, git("rev-parse", "HEAD"))
    if commits.base == commits.head:
        raise TroubleError(f"BASE={base} is HEAD itself: there is nothing to compare")
    return commits


def configure(folder: Path) -> Path:
    """Write asv's configuration of one pass into a new folder; return its path.

    It is that of the suite with results of its own, because the suite's are kept in git, and one
    Python, so that there is one environment.
    """
    folder.mkdir(parents=True)
    configuration = util.load_json(str(SUITE / "asv.conf.json"), js_comments=True)
    configuration |= {
        "repo": str(ROOT),
        "branches": ["HEAD"],
        "pythons": [f"{sys.version_info.major}.{sys.version_info.minor}"],
        "benchmark_dir": str(SUITE / configuration["benchmark_dir"]),
        "env_dir": str(BUILD / "env"),
        "results_dir": "results",
        "html_dir": "html",
    }
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(configuration, indent=4), encoding="utf-8")
    return path


def run_asv(folder: Path, commits: Sequence[str], patterns: Sequence[str]) -> None:
    """Measure two commits once, with interleaved rounds; the output goes into `folder`.

    What asv itself finds different does not matter, and what fails stands in the results.

    Raises
    ------
    TroubleError
        If there are no results.
    """
    configuration, log = configure(folder), folder / "asv.log"
    options = ["--interleave-rounds", "--show-stderr"]
    options += [f"--bench={pattern}" for pattern in patterns]
    command = [sys.executable, "-m", "asv", "continuous", "--config", str(configuration)]
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            [*command, *options, *commits], cwd=folder, stdout=out, stderr=subprocess.STDOUT
        )
    if done.returncode not in (0, 1, 2) or any(not result_files(folder, name) for name in commits):
        said = "\n".join(log.read_text(encoding="utf-8").splitlines()[-LOG_LINES:])
        raise TroubleError(f"asv has measured nothing (exit status {done.returncode}):\n{said}")


def result_files(folder: Path, commit: str) -> list[Path]:
    """Return asv's files of a commit, one an environment; asv names them by 8 digits."""
    return sorted(folder.glob(f"results/*/{commit[:8]}-*.json"))


def units_in(folder: Path) -> dict[str, str]:
    """Return the unit of each benchmark of the suite."""
    path = str(folder / "results" / "benchmarks.json")
    suite = util.load_json(path, api_version=Benchmarks.api_version)
    return {name: benchmark["unit"] for name, benchmark in suite.items()}


def figures_in(folder: Path, commit: str, patterns: Sequence[str]) -> dict[Key, Figures]:
    """Read what a pass has measured of a commit; what was skipped has no values.

    Where a commit cannot be built, asv writes that all parameters have failed, chosen or not: so
    what does not match the patterns is left out.

    Raises
    ------
    TroubleError
        If it was measured in several environments: their figures cannot be compared.
    """
    files = result_files(folder, commit)
    if len(files) != 1:
        raise TroubleError(f"{commit} was measured in {len(files)} environments in place of one")
    results, found = Results.load(str(files[0])), {}
    for name in results.get_all_result_keys():
        parameters = results.get_result_params(name)
        values = results.get_result_value(name, parameters)
        samples = results.get_result_samples(name, parameters)
        for chosen, value, taken in zip(product(*parameters), values, samples, strict=True):
            key = Key(name, chosen)
            if not any(re.search(pattern, str(key)) for pattern in patterns):
                continue
            if value is None:
                found[key] = Figures(failed=True)
            elif math.isnan(value):
                found[key] = Figures()
            else:
                found[key] = Figures(tuple(taken or [value]))
    return found


def add(found: dict[Key, Sides], folder: Path, commits: Commits, patterns: Sequence[str]) -> None:
    """Add the figures of a pass to those of the passes before it."""
    base, head = (figures_in(folder, commit, patterns) for commit in commits)
    for key in dict.fromkeys([*base, *head]):
        sides = Sides(base.get(key, Figures()), head.get(key, Figures()))
        before = found.get(key, Sides(Figures(), Figures()))
        found[key] = Sides(before.base + sides.base, before.head + sides.head)


def measure(commits: Commits, patterns: Sequence[str], again: int) -> list[Row]:
    """Measure in passes and judge.

    Parameters
    ----------
    commits : Commits
    patterns : sequence of str
        Regular expressions: what is measured in the first pass.
    again : int
        How often suspects are measured again at most; who is none any more is left out.
    """
    found: dict[Key, Sides] = {}
    rows: list[Row] = []
    for turn in range(1 + again):
        folder = BUILD / f"pass-{turn + 1}"
        # The commit that comes first changes from pass to pass.
        run_asv(folder, commits if turn % 2 == 0 else commits[::-1], patterns)
        add(found, folder, commits, patterns)
        rows = judgement.judge(units_in(folder), found)
        doubtful = judgement.suspects(rows)
        said = f"{len(doubtful)} of {len(rows)} are in doubt"
        print(f"pass {turn + 1} of at most {1 + again}: {said}", flush=True)
        if not doubtful:
            break
        keys = [key for row in doubtful for key in (row.key, row.beside) if key is not None]
        patterns = [f"^{re.escape(str(key))}$" for key in keys]
    return rows


def clear() -> None:
    """Remove what the gate has written the last time, but for the environment."""
    for folder in BUILD.glob("pass-*"):
        shutil.rmtree(folder)
    (BUILD / "verdicts.json").unlink(missing_ok=True)


def report(rows: Sequence[Row]) -> int:
    """Print the table and what follows from it, write verdicts.json, return the exit status."""
    written = [row._asdict() | {"key": str(row.key), "beside": str(row.beside)} for row in rows]
    (BUILD / "verdicts.json").write_text(json.dumps(written, indent=1), encoding="utf-8")
    print(judgement.table(rows))
    for verdict in (judgement.FAST, judgement.SLOW, judgement.FAILED):
        for row in rows:
            if row.verdict == verdict:
                print(f"{verdict}: {row.key}")
    failed = [row for row in rows if row.verdict == judgement.FAILED]
    if failed:
        print(f"{len(failed)} fail at HEAD alone; asv.log in {BUILD}/pass-* says why")
        return 2
    if not any(row.verdict in judgement.MEASURED for row in rows):
        print("nothing was measured at both commits")
        return 2
    slower = sum(row.verdict == judgement.SLOW for row in rows)
    print(f"{slower} of {len(rows)} are slower")
    return 1 if slower else 0


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
        if not Path(MachineCollection.get_machine_file_path()).exists():
            # Otherwise asv asks what machine this is.
            subprocess.run([sys.executable, "-m", "asv", "machine", "--yes"], check=True)
        clear()
        print(f"base {commits.base}\nhead {commits.head}", flush=True)
        return report(measure(commits, options.bench or [DEFAULT_BENCH], AGAIN))
    except (TroubleError, judgement.UnjudgedError) as error:
        print(f"trouble: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
