"""Files that nobody else can have written: only these are unpickled.

To unpickle a file is to run what its author wrote. So the cache takes only files that belong to
this process's user or to root, in a folder of theirs, and that others may not write.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

__all__ = ["UntrustedError", "check_folder", "make_folder", "read"]

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Windows lacks these: there, folders of a user's profile are closed to others by inheritance.
_HAS_OWNERS = hasattr(os, "geteuid")
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))


class UntrustedError(Exception):
    """Others could have written what stands at a path; or it is no file, or no folder."""


def _check_owner(path: Path, found: os.stat_result) -> None:
    if not _HAS_OWNERS:
        return
    if found.st_uid not in (os.geteuid(), 0):
        raise UntrustedError(f"{path} belongs to another user, number {found.st_uid}")
    if found.st_mode & WRITABLE_BY_OTHERS:
        raise UntrustedError(
            f"others may write to {path}: its mode is {stat.S_IMODE(found.st_mode):04o}"
        )


def check_folder(folder: Path) -> None:
    """Raise an UntrustedError for a folder that others can write to, or a link to one.

    Parameters
    ----------
    folder : path

    Raises
    ------
    UntrustedError
    OSError
        If there is no such folder, or it cannot be looked at.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise UntrustedError(f"{folder} is not a folder")
    _check_owner(folder, found)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone.

    Parameters
    ----------
    folder : path
    """
    for path in (*reversed(folder.parents), folder):
        if not os.path.isdir(path):
            try:
                path.mkdir(mode=0o700)
            except FileExistsError:
                if not os.path.isdir(path):  # not another process's, made a moment ago
                    raise


def read(path: Path) -> bytes:
    """The content of a file that nobody else can have written.

    Pipes and devices are not opened, and links are not followed: fastbp puts none of them there.

    Parameters
    ----------
    path : path

    Raises
    ------
    UntrustedError
    OSError
        If there is no such file, or it cannot be read.
    """
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise UntrustedError(f"{path} is not a file")
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _FLAGS)) as file:
        found = os.fstat(file.fileno())  # of the file that was opened, whatever stands there now
        if not stat.S_ISREG(found.st_mode):
            raise UntrustedError(f"{path} is not a file")
        _check_owner(path, found)
        return file.read()
