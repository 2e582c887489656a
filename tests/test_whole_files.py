"""Files are the old one or the new one, whoever writes, is killed or fails meanwhile."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers import SOAK

from fastbp import whole_files
from fastbp.whole_files import NotAFileError, write

pytestmark = pytest.mark.promise("saving")
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or permissions")
KILLS = 500 if SOAK else 5


def put(path: Path, content: bytes, **options) -> None:
    write(path, lambda file: file.write(content), **options)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def abandoned(path: Path) -> Path:
    """What a killed writer leaves behind."""
    left = path.with_name(f"{path.name}.{'0' * 31}1.tmp")
    left.write_bytes(b"half")
    return left


def bits(path: Path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_new_and_old_files_are_written(tmp_path) -> None:
    path = tmp_path / "net.npz"
    put(path, b"one")
    assert path.read_bytes() == b"one"
    put(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["net.npz"]


def test_a_long_name_leaves_room_for_the_temporary_one(tmp_path) -> None:
    path = tmp_path / ("ü" * 120 + ".npz")  # 244 bytes of 255
    put(path, b"one")
    assert names(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_and_nothing_else(error, tmp_path) -> None:
    path = tmp_path / "net.npz"
    put(path, b"old")

    def fail(file) -> None:
        file.write(b"half")
        raise error

    with pytest.raises(type(error)):
        write(path, fail)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["net.npz"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_system_call_leaves_the_old_file(call, tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.npz"
    put(path, b"old")

    def fail(*args) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        put(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["net.npz"]


@posix
def test_file_and_folder_reach_the_disk_in_order(tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.npz"
    done = []
    fsync, replace = os.fsync, os.replace

    def sync(number) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        fsync(number)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", lambda *args: (done.append("name"), replace(*args)))
    put(path, b"one")
    assert done == ["file", "name", "folder"]
    done.clear()
    put(path, b"two", durable=False)
    assert done == ["name"]


@posix
def test_a_link_is_followed_and_permissions_stay(tmp_path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "net.npz", tmp_path / "latest.npz"
    link.symlink_to(target)
    put(link, b"first")  # its target need not exist
    target.chmod(0o600)
    put(link, b"second")
    assert link.is_symlink() and target.read_bytes() == b"second"
    assert bits(target) == 0o600
    target.chmod(0o666)  # more than the umask leaves to a new file
    put(link, b"third")
    assert (bits(target), target.read_bytes()) == (0o666, b"third")
    assert names(tmp_path) == ["latest.npz", "there"]
    assert names(tmp_path / "there") == ["net.npz"]


@posix
def test_permissions_of_a_new_file_follow_the_umask(tmp_path) -> None:
    before = os.umask(0o027)
    try:
        put(tmp_path / "a", b"")
        put(tmp_path / "b", b"", mode=0o600)
    finally:
        os.umask(before)
    assert (bits(tmp_path / "a"), bits(tmp_path / "b")) == (0o640, 0o600)


@posix
@pytest.mark.skipif(os.name != "nt" and os.geteuid() != 0, reason="only root gives files away")
def test_root_leaves_a_file_to_its_owner(tmp_path) -> None:
    path = tmp_path / "net.npz"
    put(path, b"old")
    os.chown(path, 65534, 65534)
    put(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


@posix
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkdir, "a folder"),
        (os.mkfifo if os.name != "nt" else None, "a named pipe"),
        (lambda path: os.symlink("/dev/null", path), "a character device"),
        (lambda path: os.symlink(path, path), "a link that leads in a circle"),
    ],
)
def test_what_is_no_file_is_refused(make, kind, tmp_path) -> None:
    path = tmp_path / "net.npz"
    make(path)
    before = os.lstat(path)
    with pytest.raises(NotAFileError, match=f"net.npz is {kind}"):
        put(path, b"new")
    assert os.lstat(path).st_mode == before.st_mode
    assert names(tmp_path) == ["net.npz"]
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("name", ["models", "file", "folder"])
def test_a_path_with_a_slash_at_its_end_is_no_file(name, tmp_path) -> None:
    put(tmp_path / "file", b"old")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotAFileError, match="a folder"):
        put(f"{tmp_path}/{name}/", b"new")
    assert names(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_missing_folder_is_an_error(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        put(tmp_path / "missing" / "net.npz", b"")


# ---- writers side by side -----------------------------------------------------------------------


def test_threads_that_write_one_path_all_succeed(tmp_path) -> None:
    path = tmp_path / "net.npz"
    whole = [bytes([i]) * 10_000 for i in range(4)]
    errors: list[BaseException] = []

    def save(content: bytes) -> None:
        try:
            for _ in range(25):
                put(path, content, durable=False)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=save, args=(content,)) for content in whole]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert path.read_bytes() in whole
    assert not errors
    assert names(tmp_path) == ["net.npz"]


def test_the_next_save_removes_what_killed_writers_left(tmp_path) -> None:
    path = tmp_path / "net.npz"
    left = abandoned(path)
    others = [abandoned(tmp_path / "other.npz"), tmp_path / "net.npz.notes.tmp"]
    others[1].touch()
    if whole_files._fcntl is None:
        os.utime(left, (1, 1))
    put(path, b"one")
    assert names(tmp_path) == sorted(["net.npz", *(other.name for other in others)])


@posix
def test_a_living_writers_file_stays(tmp_path) -> None:
    path = tmp_path / "net.npz"

    def fill_while_another_saves(file) -> None:
        file.write(b"slow")
        put(path, b"fast")
        assert path.read_bytes() == b"fast"
        assert len(names(tmp_path)) == 2

    write(path, fill_while_another_saves)
    assert path.read_bytes() == b"slow"
    assert names(tmp_path) == ["net.npz"]


@posix
def test_a_file_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.npz"
    created = whole_files._created
    made = []

    def created_and_taken_for_abandoned(temporary, mode):
        file = created(temporary, mode)
        made.append(temporary)
        if len(made) == 1:
            whole_files._remove_abandoned(path)
            assert not temporary.exists()
        return file

    monkeypatch.setattr(whole_files, "_created", created_and_taken_for_abandoned)
    put(path, b"one")
    assert path.read_bytes() == b"one"
    assert len(made) == 2 and names(tmp_path) == ["net.npz"]


def test_without_locks_only_old_files_count_as_abandoned(tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.npz"
    left = abandoned(path)
    refused = iter([PermissionError(13, "in use"), PermissionError(13, "in use")])
    replace = os.replace

    def replace_later(*args) -> None:
        for error in refused:
            raise error
        replace(*args)

    monkeypatch.setattr(whole_files, "_fcntl", None)  # as on Windows
    monkeypatch.setattr(os, "replace", replace_later)
    put(path, b"one")
    assert path.read_bytes() == b"one" and left.exists()
    os.utime(left, (1, 1))
    put(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["net.npz"]


@posix
def test_a_file_system_without_locks_will_do(tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.npz"
    left = abandoned(path)

    def refuse(*args) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(whole_files._fcntl, "flock", refuse)
    put(path, b"one")
    assert path.read_bytes() == b"one"
    assert left.exists()  # nobody can know whether its writer lives


WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
import whole_files  # without the rest of the package, whose import takes most of a second
contents = [bytes([i]) * 300_000 for i in range(2)]
print("ready", flush=True)
while True:
    for content in contents:
        whole_files.write(sys.argv[1], lambda file: file.write(content))
"""


@posix
def test_killed_writers_leave_a_whole_file(tmp_path, tally: Counter[str]) -> None:
    path = tmp_path / "net.npz"
    package = str(Path(whole_files.__file__).parent)
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    whole = {bytes([i]) * 300_000 for i in range(2)}
    left = 0
    for kill in range(KILLS):
        command = [sys.executable, "-S", "-c", WRITER, str(path), package]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            time.sleep(0.002 + (seed * (kill + 1) % 997) / 997 * 0.02)
            process.send_signal(signal.SIGKILL)
        left += len(names(tmp_path)) - path.exists()
        assert not path.exists() or path.read_bytes() in whole
        assert len(names(tmp_path)) <= 2  # what the one before left is gone
        tally["kills"] += 1
    put(path, b"last")
    assert names(tmp_path) == ["net.npz"]
    print(left, "unfinished files")
