"""The Python versions that are installed here.

Each is run: a name on the path may be a shim without an interpreter behind it, as pyenv's are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

OLDEST = (3, 11)
NAME = re.compile(r"python3\.(\d+)(\.exe)?")
#: What an interpreter says about itself.
QUESTION = "import sys; print('%d.%d' % sys.version_info[:2], sys.prefix == sys.base_prefix)"


class NoPythonError(Exception):
    """A Python version is asked for that is not here."""


class Environment(NamedTuple):
    """Python versions, as "3.x" and oldest first, and folders to be put before the path."""

    versions: list[str]
    folders: list[Path]


def folders_of_path() -> list[Path]:
    """Return the folders of the path, and those where pyenv keeps interpreters."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [*folders, *sorted(pyenv.glob("versions/*/bin"), reverse=True)]


def candidates(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield version and file of everything that is called like a Python we support."""
    for folder in folders:
        if folder.is_dir():
            for file in sorted(folder.iterdir()):
                found = NAME.fullmatch(file.name)
                if found and (3, int(found.group(1))) >= OLDEST:
                    yield f"3.{found.group(1)}", file


def runs(version: str, file: Path) -> bool:
    """Say whether the file is an interpreter of this version, and not one of a virtualenv."""
    try:
        process = subprocess.run(
            [file, "-I", "-c", QUESTION], capture_output=True, text=True, timeout=60
        )
    except OSError:  # not a program for this machine
        return False
    return process.returncode == 0 and process.stdout.split() == [version, "True"]


def installed(wanted: Sequence[str] = (), folders: Sequence[Path] | None = None) -> Environment:
    """Find the Python versions that are really installed.

    Parameters
    ----------
    wanted : sequence of str, optional
        Versions as "3.x"; by default all from 3.11 on.
    folders : sequence of Path, optional
        Where to look; by default the path and pyenv's folders.

    Raises
    ------
    NoPythonError
        If one that is wanted is not there, or none is.
    """
    found: dict[str, Path] = {}
    for version, file in candidates(folders_of_path() if folders is None else folders):
        if version not in found and (not wanted or version in wanted) and runs(version, file):
            found[version] = file
    # asv falls back on the Python that runs it.
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    missing = sorted(set(wanted) - {*found, own})
    if missing:
        raise NoPythonError(f"Python {', '.join(missing)} is not installed; found {list(found)}")
    versions = set(found) | ({own} if not wanted or own in wanted else set())
    # asv takes the first of a name on the path, whether it runs or not.
    hidden = [
        file.parent for file in found.values() if shutil.which(file.name) not in (None, str(file))
    ]
    unseen = [file.parent for file in found.values() if shutil.which(file.name) is None]
    return Environment(sorted(versions, key=lambda v: int(v[2:])), [*hidden, *unseen])
