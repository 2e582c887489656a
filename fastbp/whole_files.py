"""Write a file as a whole: a reader finds the old one or the new one, never a part.

Every file that fastbp writes goes through `write`, but for logs, which grow line by line.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl: Any = None  # type: ignore[no-redef]

LONGEST_STEM = 200
"""Bytes of the file's name that a temporary name repeats; most systems allow 255 in all."""
CLOSED_SECONDS = 60.0
"""Without locks, a closed temporary file of that age is one that its writer has left behind."""
WINDOWS_WAITS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Seconds between attempts to replace a file that another process has open, on Windows."""

_SEPARATORS = tuple({"/", os.sep, os.altsep or os.sep})
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)


class NotAFileError(OSError):
    """What stands at a path is not a file that could be replaced."""


def target_of(path: str | os.PathLike[str]) -> tuple[Path, os.stat_result | None]:
    """The file that `write` would write.

    Parameters
    ----------
    path : str or path
        Symbolic links are followed, to a file that need not exist.

    Returns
    -------
    path : Path
        Without links.
    found : os.stat_result or None
        None where there is no file yet.

    Raises
    ------
    NotAFileError
        For a folder, also one that does not exist, a device, a named pipe, a socket, and links
        that lead in a circle.
    """
    if os.fspath(path).endswith(_SEPARATORS):  # a Path forgets it
        raise NotAFileError(f"{path} ends as a folder does; name a file in it")
    path = Path(path)
    target = Path(os.path.realpath(path))
    try:
        found = os.stat(path)
    except FileNotFoundError:
        found = None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise NotAFileError(f"{path} is a link that leads in a circle. Remove it") from None
    if found is not None and not stat.S_ISREG(found.st_mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(found.st_mode)), "not a file")
        raise NotAFileError(
            f"{path} is {kind}; a file is replaced as a whole, which would destroy it. Name an "
            "ordinary file, or one that does not exist yet"
        )
    return target, found


def write(
    path: str | os.PathLike[str],
    fill: Callable[[BinaryIO], Any],
    *,
    mode: int = 0o666,
    durable: bool = True,
) -> None:
    """Replace a file by a new one, in one step.

    The new file is written beside the old one under a name of its own, and takes its place when it
    is complete. After an error the old one is there as before. What writers that were killed have
    left of this file is removed.

    Parameters
    ----------
    path : str or path
        A link is followed: what it points to is replaced.
    fill : callable
        Takes the open binary file and writes into it.
    mode : int, default=0o666
        Permissions of a file that did not exist, less the umask; an existing one keeps its own.
    durable : bool, default=True
        Wait until the disk has the file, so that a power failure leaves the old one or the new.

    Raises
    ------
    NotAFileError
        See `target_of`.
    OSError
        Whatever the system says, such as a full disk.
    """
    target, found = target_of(path)
    _remove_abandoned(target)
    if found is not None:
        mode = found.st_mode & 0o777
    while True:
        temporary = target.with_name(f"{_stem(target)}.{uuid.uuid4().hex}.tmp")
        try:
            with _created(temporary, mode) as file:
                if not _locked(file):
                    continue  # another writer took it for abandoned before it was locked
                if found is not None:
                    _keep_permissions(temporary, found)
                fill(file)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
                if _fcntl is not None:  # under the lock, which says that its writer lives
                    os.replace(temporary, target)
            if _fcntl is None:
                _replace_closed(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        break
    if durable:
        _sync_folder(target.parent)


def _stem(target: Path) -> str:
    stem = target.name
    while len(os.fsencode(stem)) > LONGEST_STEM:
        stem = stem[:-1]
    return stem


def _created(temporary: Path, mode: int) -> BinaryIO:
    return open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _locked(file: BinaryIO) -> bool:
    """Lock a new file; False if it was removed before the lock was there."""
    if _fcntl is None:
        return True
    try:
        _fcntl.flock(file.fileno(), _fcntl.LOCK_EX)
    except OSError:
        return True  # a file system without locks: then nothing is taken for abandoned either
    return os.fstat(file.fileno()).st_nlink > 0


def _keep_permissions(temporary: Path, found: os.stat_result) -> None:
    """Owner, group and bits of the file that is replaced, as far as the system allows."""
    if os.name == "nt":  # where the bits say nothing but "read-only", which forbids the next save
        return
    new = os.stat(temporary)
    if (new.st_uid, new.st_gid) != (found.st_uid, found.st_gid):
        with suppress(PermissionError):  # only root may give files away
            os.chown(temporary, found.st_uid, found.st_gid)
    if (new.st_mode ^ found.st_mode) & 0o777:  # the umask has cut them
        os.chmod(temporary, found.st_mode & 0o777)


def _remove_abandoned(target: Path) -> None:
    """Remove the unfinished files of this target whose writers are no more."""
    unfinished = re.compile(re.escape(_stem(target)) + r"\.[0-9a-f]{32}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if unfinished.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # it is in use, another's, or gone
                    _remove_if_abandoned(entry)


def _remove_if_abandoned(entry: os.DirEntry[str]) -> None:
    """Remove a file that nobody writes.

    A writer holds a lock until the file has its final name, and locks end with their process.
    Windows refuses to remove an open file; a writer closes it a moment before it gets that name.
    """
    if _fcntl is None:
        if time.time() - entry.stat().st_mtime > CLOSED_SECONDS:
            os.unlink(entry.path)
        return
    with open(entry.path, "r+b") as file:  # NFS locks only files that are open for writing
        _fcntl.flock(file.fileno(), _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        os.unlink(entry.path)


def _replace_closed(temporary: Path, target: Path) -> None:
    """Replace the target, which Windows refuses while another process has it open."""
    for wait in WINDOWS_WAITS:
        try:
            os.replace(temporary, target)
        except PermissionError:
            time.sleep(wait)
        else:
            return
    os.replace(temporary, target)


def _sync_folder(folder: Path) -> None:
    """Wait until the disk has the new name."""
    if os.name == "nt":  # folders cannot be opened there
        return
    try:
        opened = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written to but not read
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(opened)
