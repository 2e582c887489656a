"""How asv is called: its configuration with full paths, this machine, the commits, the results."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from asv.machine import Machine, MachineCollection
from asv.results import Results

SUITE = Path(__file__).resolve().parent
ROOT = SUITE.parent
#: What asv's exit status says when it ran: all is well, something is slower, something failed.
RAN = (0, 1, 2)


class TroubleError(Exception):
    """Nothing can be measured, judged or published; the message says why and what to do."""


class Key(NamedTuple):
    """A benchmark and one set of its parameters, as asv writes them: strings in quotes."""

    benchmark: str
    parameters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.benchmark}({', '.join(self.parameters)})" if self.parameters else self[0]


def git(*arguments: str, root: Path = ROOT) -> str:
    """Return what git prints, without the end of the last line.

    Raises
    ------
    TroubleError
        If git fails, with what it said.
    """
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        raise TroubleError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip("\n")


def commit_of(name: str, root: Path = ROOT) -> str:
    """Return the full hash of a commit, empty if there is none of this name."""
    try:
        return git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", root=root)
    except TroubleError:
        return ""


def main_branch(root: Path = ROOT) -> str:
    """Return a name of main: a checkout of one commit, as services make it, has no branch."""
    return next(name for name in ("main", "origin/main", "HEAD") if commit_of(name, root))


def configure(folder: Path, **changed: Any) -> Path:
    """Write the suite's configuration into a folder, with full paths; return its path."""
    configuration = json.loads((SUITE / "asv.conf.json").read_text(encoding="utf-8"))
    for name in ("benchmark_dir", "env_dir", "results_dir", "html_dir"):
        configuration[name] = str(SUITE / configuration[name])
    configuration |= {"repo": str(ROOT)} | changed
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "asv.conf.json"
    path.write_text(json.dumps(configuration, indent=4), encoding="utf-8")
    return path


def declare_machine(name: str, results: Path | None = None) -> None:
    """Tell asv about this machine, under a name that says nothing about it.

    Without that asv asks, at the first run on a machine, and there may be nobody to answer.

    Raises
    ------
    TroubleError
        If there are results of another processor under this name: a history of two machines
        would show steps that no commit made.
    """
    from llvmlite.binding import get_host_cpu_name

    info = Machine.get_defaults()
    # Neither the host's name nor its kernel's release belongs to the results.
    info |= {"machine": name, "os": platform.system()}
    info["cpu"] = f"{info['cpu']} ({get_host_cpu_name()})"
    known = None if results is None else results / name / "machine.json"
    if known is not None and known.exists():
        before = json.loads(known.read_text(encoding="utf-8"))["cpu"]
        if before != info["cpu"]:
            raise TroubleError(
                f"the results of machine {name!r} are those of {before}, but this is "
                f"{info['cpu']}; choose another name with --machine"
            )
    MachineCollection.save(name, info)


def asv(configuration: Path, command: str, *arguments: str, **options: Any) -> int:
    """Run asv and return its exit status; `options` are those of `subprocess.run`."""
    program = [sys.executable, "-m", "asv", command, "--config", str(configuration)]
    return subprocess.run([*program, *arguments], **options).returncode


def figures(results: Results) -> dict[Key, tuple[float, ...]]:
    """Return what a file of asv's holds: one commit in one environment.

    The values are the samples of a time, one of all else, and none if it failed or was skipped.
    """
    found = {}
    for name in results.get_all_result_keys():
        axes = results.get_result_params(name)
        values = results.get_result_value(name, axes)
        samples = results.get_result_samples(name, axes)
        for parameters, value, taken in zip(product(*axes), values, samples, strict=False):
            # None where it failed, NaN where it was skipped.
            measured = value is not None and value == value
            found[Key(name, parameters)] = tuple(taken or [value]) if measured else ()
    return found
