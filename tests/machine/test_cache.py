"""The cache of compiled code: each case in fresh processes, on a small package of its own."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from helpers import SOAK, needs_compiler

from fastbp.machine import cache

pytestmark = [pytest.mark.promise("compiled cache"), pytest.mark.slow]
of_others = pytest.mark.promise("other people's files")
posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files or permissions")
PROCESSES = 16 if SOAK else 4
FLIPS = 5000 if SOAK else 100

MACHINE = (
    "__init__", "cache", "cache_entries", "compiler", "deferred", "internals", "jit", "layouts",
    "linked", "notice", "objects", "passes", "processor", "settings", "trust",
)  # fmt: skip
HELPER = """
from fastbp.machine.jit import kernel

@kernel
def scaled(x, i):
    return 2.0 * x[i]
"""
WORK = """
import numpy as np
from fastbp.machine.jit import kernel
from fastbp.helper import scaled

LARGE = np.ones(1_000_000)

@kernel(cached=True)
def total(x, n):
    s = 0.0
    for i in range(n):
        s += scaled(x, i)
    return s

@kernel(cached=True)
def first(x, n):
    return x[0] + n

@kernel(cached=True)
def draw(seed):
    np.random.seed(seed)
    return np.random.random()

@kernel(cached=True)
def from_large(i):
    return LARGE[i]
"""
# What every process runs, before and after the lines of the test.
BEFORE = """
import json, sys, warnings
from pathlib import Path
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from fastbp import work
    from fastbp.machine import cache, cache_entries as entries
    from numba.core.registry import cpu_target
    x = np.arange(16.0)[:4]
    def hits(function):
        return sum(function.stats.cache_hits.values())
    def stored(function):
        context = cpu_target.target_context
        own = entries.SafeCache(function.py_func)
        return [own.load_overload(sig, context) is not None for sig in function.overloads]
"""
AFTER = """
    info = cache.cache_info()
    out.update(warnings=[f"{w.category.__name__}: {w.message}" for w in caught])
    out.update(state=info.state, entries=info.entries, n_bytes=info.n_bytes)
    out.update(directory=info.directory and str(info.directory))
print(json.dumps(out))
"""
CALL = "out = dict(result=work.total(x, 4), hits=hits(work.total), stored=stored(work.total))"
# Root may write everywhere, whatever the mode says; an audit hook holds root too.
DENY = """
def deny(event, args):
    writes = {"os.mkdir", "os.rename", "os.remove", "os.utime", "os.rmdir"}
    if event in writes or event == "open" and args[1] and set(args[1]) & set("wax+"):
        if "cache" in str(args[0]):
            raise PermissionError(13, "denied", str(args[0]))
sys.addaudithook(deny)
"""


class Project:
    """A folder with a small package named fastbp and a cache."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "fastbp"
        self.cache = root / "cache"

    def start(self, lines: str, before: str = BEFORE, **environment: str) -> subprocess.Popen[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "FASTBP_"))}
        body = "".join(f"    {line}\n" for line in lines.strip().splitlines())
        return subprocess.Popen(
            [sys.executable, "-c", before + body + AFTER],
            cwd=self.root,
            env=kept
            | {"FASTBP_CACHE_DIR": str(self.cache), "PYTHONPATH": str(self.root)}
            | {"PYTHONDONTWRITEBYTECODE": "1"}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, lines: str = CALL, before: str = BEFORE, **environment: str) -> dict[str, Any]:
        return finish(self.start(lines, before, **environment))

    def entries(self, name: str = "total") -> list[Path]:
        return sorted(self.cache.glob(f"fastbp-*/{name}-*"))

    def entry(self, name: str = "total") -> Path:
        [path] = self.entries(name)
        return path


def finish(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, stderr
    result: dict[str, Any] = json.loads(stdout)
    return result


@pytest.fixture(scope="module")
def warm_original(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("warm"))
    project.package.mkdir()
    (project.package / "__init__.py").touch()
    (project.package / "machine").mkdir()
    for name in MACHINE:
        shutil.copy(cache.PACKAGE / "machine" / f"{name}.py", project.package / "machine")
    shutil.copy(cache.PACKAGE / "whole_files.py", project.package)
    (project.package / "helper.py").write_text(HELPER)
    (project.package / "work.py").write_text(WORK)
    out = project.run(CALL + "\nwork.first(x, 1)")
    assert (out["result"], out["hits"], out["stored"]) == (12.0, 0, [True])
    assert (out["state"], out["entries"], out["warnings"]) == ("warm", 2, [])
    return project


@pytest.fixture
def warm(warm_original: Project, tmp_path: Path) -> Project:
    """Return a project whose cache holds total(float64[:], int64) and first(the same)."""
    shutil.copytree(warm_original.root, tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture
def cold(warm: Project) -> Project:
    """Return a project that was never run."""
    shutil.rmtree(warm.cache)
    return warm


# ---- a sound cache ---------------------------------------------------------------------------


def test_warm_start_loads_and_skips_numbas_registries(warm: Project) -> None:
    out = warm.run(CALL + '\nout["registries"] = "numba.np.linalg" in sys.modules')
    assert (out["result"], out["hits"], out["registries"]) == (12.0, 1, False)
    assert (out["state"], out["entries"], out["warnings"]) == ("warm", 2, [])
    assert out["n_bytes"] == sum(path.stat().st_size for path in warm.entries("*"))
    assert out["directory"] == str(warm.entry().parent)


def test_unknown_address_loads_numbas_registries_first(warm: Project) -> None:
    # As if the entry called a function that has no address yet.
    lines = """
path = next(Path(cache.cache_info().directory).glob("total-*"))
key, symbols, reduced = entries.pickle.loads(path.read_bytes()[32:])
assert "PyArg_UnpackTuple" in symbols
payload = entries.dumps((key, [*symbols, "no_such_function"], reduced))
path.write_bytes(entries._seal(payload) + payload)
"""
    out = warm.run(lines + CALL + '\nout["registries"] = "numba.np.linalg" in sys.modules')
    assert (out["result"], out["hits"], out["registries"]) == (12.0, 1, True)


def test_compiles_after_a_warm_start(warm: Project) -> None:
    # Another signature, and a function that calls into Numba's run-time library.
    lines = (
        CALL
        + """
out |= dict(single=work.total(x.astype(np.float32), 3), draw=work.draw(3))
out |= dict(hits=hits(work.total) + hits(work.draw))
"""
    )
    out = warm.run(lines)
    assert (out["result"], out["hits"], out["single"]) == (12.0, 1, 6.0)
    assert out["entries"] == 4
    again = warm.run(lines)
    assert (again["result"], again["hits"], again["single"]) == (12.0, 3, 6.0)
    assert again["draw"] == out["draw"] == np.random.RandomState(3).random_sample()


def test_addresses_are_not_stored(warm: Project) -> None:
    for _ in range(2):
        out = warm.run("out = dict(result=work.from_large(1), hits=hits(work.from_large))")
        assert (out["result"], out["hits"], out["warnings"]) == (1.0, 0, [])
    assert warm.entries("from_large") == []


def test_code_that_cannot_be_pickled_is_not_stored(warm: Project) -> None:
    lines = """
def fail(*args):
    raise RecursionError("too deep")
entries.dumps = fail
out = dict(result=work.draw(3), again=work.draw(3))
"""
    out = warm.run(lines)
    assert out["result"] == out["again"] == np.random.RandomState(3).random_sample()
    [warning] = out["warnings"]
    assert "could not store its compiled code" in warning and "too deep" in warning


def test_recompile_discards_the_entry(warm: Project) -> None:
    before = warm.entry("first").read_bytes()
    warm.entry("first").write_bytes(before)
    out = warm.run(CALL + "\nwork.total.recompile(); out |= dict(hits=hits(work.total))")
    assert (out["result"], out["hits"], out["stored"]) == (12.0, 1, [True])
    assert warm.entry("first").read_bytes() == before


def test_disabled_cache_neither_loads_nor_stores(warm: Project) -> None:
    lines = "work.total._cache.disable(); work.draw._cache.disable()"
    out = warm.run(lines + "\nwork.draw(1)\n" + CALL)
    assert (out["result"], out["hits"], out["entries"]) == (12.0, 0, 2)
    out = warm.run("work.total._cache.disable(); work.total._cache.enable()\n" + CALL)
    assert (out["result"], out["hits"]) == (12.0, 1)


def test_disable_jit_leaves_plain_functions(cold: Project) -> None:
    lines = "out = dict(result=work.total(x, 4), type=type(work.total).__name__)"
    out = cold.run(lines, NUMBA_DISABLE_JIT="1")
    assert (out["result"], out["type"]) == (12.0, "function")
    assert (out["state"], out["directory"]) == ("off: NUMBA_DISABLE_JIT is set", None)
    assert not cold.cache.exists()


def test_cache_info_writes_nothing(cold: Project) -> None:
    out = cold.run("out = {}")
    assert (out["state"], out["entries"], out["n_bytes"]) == ("empty", 0, 0)
    assert not cold.cache.exists()


# ---- damage ----------------------------------------------------------------------------------


def flip(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def sealed(thing: Any) -> bytes:
    payload = pickle.dumps(thing)
    return hashlib.blake2b(payload, digest_size=32).digest() + payload


DAMAGE: dict[str, Callable[[bytes, Project], bytes]] = {
    "empty": lambda content, project: b"",
    "truncated": lambda content, project: content[: len(content) // 2],
    "garbage": lambda content, project: bytes(range(256)) * 64,
    "bit flipped in the code": lambda content, project: flip(content, 4 * len(content)),
    "bit flipped in the checksum": lambda content, project: flip(content, 17),
    "pickle of something else": lambda content, project: pickle.dumps({"a": 1}),
    "sealed pickle of something else": lambda content, project: sealed({"a": 1}),
    "entry of another function": lambda content, project: project.entry("first").read_bytes(),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_entry_is_compiled_again(case: str, warm: Project, tally: Counter[str]) -> None:
    entry = warm.entry()
    sound = entry.read_bytes()
    damaged = DAMAGE[case](sound, warm)
    assert damaged != sound
    entry.write_bytes(damaged)
    out = warm.run()
    # Right at once, silently, and stored again.
    assert (out["result"], out["hits"], out["warnings"]) == (12.0, 0, [])
    assert (out["stored"], out["entries"]) == ([True], 2)
    tally["damage cases"] += 1


def test_sealed_entry_that_cannot_be_rebuilt_is_compiled_again(warm: Project) -> None:
    lines = """
path = next(Path(cache.cache_info().directory).glob("total-*"))
key, symbols, reduced = entries.pickle.loads(path.read_bytes()[32:])
payload = entries.dumps((key, symbols, reduced[:3]))
path.write_bytes(entries._seal(payload) + payload)
"""
    out = warm.run(lines + CALL)
    assert (out["result"], out["hits"], out["stored"]) == (12.0, 0, [True])


def test_no_flipped_bit_is_loaded(warm: Project, tally: Counter[str]) -> None:
    sound = warm.entry().read_bytes()
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    bits = np.random.default_rng(seed).integers(8 * len(sound), size=FLIPS).tolist()
    lines = f"""
work.total(x, 4)
path = next(Path(cache.cache_info().directory).glob("total-*"))
sound = path.read_bytes()
loaded = [stored(work.total)]
for bit in {bits}:
    changed = bytearray(sound)
    changed[bit // 8] ^= 1 << bit % 8
    path.write_bytes(changed)
    loaded += [stored(work.total), path.exists()]
out = dict(loaded=loaded)
"""
    assert warm.run(lines)["loaded"] == [[True]] + [[False], False] * FLIPS
    tally["flipped bits"] += len(bits)


# ---- stale code ------------------------------------------------------------------------------


def test_edit_of_another_file_between_two_runs(warm: Project, tally: Counter[str]) -> None:
    helper = warm.package / "helper.py"
    helper.write_text(HELPER.replace("2.0", "3.0"))
    out = warm.run()
    assert (out["result"], out["hits"]) == (18.0, 0)
    helper.write_text(HELPER)
    out = warm.run()
    assert (out["result"], out["hits"]) == (12.0, 1)
    tally["edits"] += 1


def test_new_file_in_a_sub_folder_counts(warm: Project) -> None:
    (warm.package / "sub").mkdir()
    (warm.package / "sub" / "new.py").write_text("")
    assert warm.run()["hits"] == 0


def test_edit_while_running_turns_the_cache_off(cold: Project, tally: Counter[str]) -> None:
    lines = """
helper = Path("fastbp/helper.py")
helper.write_text(helper.read_text().replace("2.0", "300.0"))
"""
    out = cold.run(lines + CALL)
    # The code in memory is the old one: it must not be stored under the new sources' name.
    assert (out["result"], out["stored"], out["directory"]) == (12.0, [False], None)
    assert out["state"] == "off: the sources changed or are missing"
    assert cold.run()["result"] == 1800.0
    tally["edits"] += 1


def test_boundscheck_is_honoured_on_a_warm_cache(warm: Project) -> None:
    lines = """
try: out = dict(result=work.total(x, 10))
except IndexError: out = dict(result="IndexError")
out |= dict(hits=hits(work.total))
"""
    # x is the start of a longer array, so that the unchecked read stays inside memory.
    out = warm.run(lines)
    assert (out["result"], out["hits"]) == (90.0, 1)
    out = warm.run(lines, NUMBA_BOUNDSCHECK="1")
    assert (out["result"], out["hits"]) == ("IndexError", 0)
    out = warm.run(lines, NUMBA_BOUNDSCHECK="1")
    assert (out["result"], out["hits"]) == ("IndexError", 1)


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (numba, "__version__", "0.0"),
        (llvmlite, "__version__", "0.0"),
        (np, "__version__", "0.0"),
        (sys, "version", "0.0"),
        (llvm, "get_host_cpu_name", lambda: "another"),
        (numba.config, "BOUNDSCHECK", 1),
        (numba.config, "CPU_FEATURES", "+nothing"),
        (numba.config, "CPU_NAME", "generic"),
        (numba.config, "DEBUGINFO_DEFAULT", 1),
        (numba.config, "LOOP_VECTORIZE", 0),
        (numba.config, "OPT", 1),
        (cache, "_digest", "0"),
    ],
)
def test_directory_depends_on(
    owner: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cache.folder()
    assert before is not None and before == cache.folder()
    monkeypatch.setattr(owner, name, value)
    after = cache.folder()
    assert after is not None and after.parent == before.parent and after != before


def test_source_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = cache.source_digest()
    assert len(digest) == 64 and int(digest, 16) > 0
    monkeypatch.setattr(cache, "_STAMP", ())  # as in an archive without source files
    assert cache.source_digest() == ""
    assert cache.folder() is None


# ---- another Numba ---------------------------------------------------------------------------

# As if a name had moved. Numba itself has imported it before, so that it can do without.
WITHOUT = {
    "no linked compiler": "import numba.core.untyped_passes as m; del m.RewriteDynamicRaises",
    "no cache": "import numba.core.caching as m; del m._Cache",
    "neither": (
        "import numba.core.untyped_passes as m; del m.RewriteDynamicRaises; "
        "import numba.core.caching as m; del m._Cache"
    ),
}
IN_ANOTHER_NUMBA = """
import json, warnings
{0}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import numpy as np
    from fastbp import work
    from fastbp.machine import cache
    x = np.arange(4.0)
"""
COMPUTE = "out = dict(result=work.total(x, 4), of=work.first(x, 2))"


@pytest.mark.parametrize("case", WITHOUT)
def test_another_numba_compiles_with_one_warning(case: str, cold: Project) -> None:
    before = IN_ANOTHER_NUMBA.format(WITHOUT[case])
    out = cold.run(COMPUTE, before)
    assert (out["result"], out["of"]) == (12.0, 2.0)
    (warning,) = out["warnings"]
    assert warning.startswith(f"InternalsWarning: Numba {numba.__version__} lacks internals")
    assert ("RewriteDynamicRaises" in warning) is (case != "no cache")
    assert ("_Cache" in warning) is (case != "no linked compiler")
    if case == "no linked compiler":
        assert (out["state"], out["entries"]) == ("warm", 2)
    else:
        assert out["state"] == f"off: Numba {numba.__version__} has other internals"
        assert not cold.cache.exists()
    again = cold.run(COMPUTE, before, NUMBA_DISABLE_JIT="1")
    assert (again["result"], again["of"], again["warnings"]) == (12.0, 2.0, [])


# ---- directories -----------------------------------------------------------------------------


# What a folder for the cache may be instead: a run goes on in each case.
def too_long(project: Project) -> dict[str, str]:
    return {"FASTBP_CACHE_DIR": str(project.root / ("long" * 100))}


def a_link_to_nowhere(project: Project) -> dict[str, str]:
    project.cache.symlink_to(project.root / "nowhere" / "else")
    return {}


def a_link_in_a_circle(project: Project) -> dict[str, str]:
    project.cache.symlink_to(project.cache)
    return {}


def a_device(project: Project) -> dict[str, str]:
    return {"FASTBP_CACHE_DIR": "/dev/full"}


FOLDERS = [too_long, a_link_to_nowhere, a_link_in_a_circle, a_device]


@posix
@pytest.mark.parametrize("make", FOLDERS)
def test_no_folder_for_the_cache_stops_a_run(
    make: Callable[[Project], dict[str, str]], cold: Project, tally: Counter[str]
) -> None:
    out = cold.run(**make(cold))
    assert out["result"] == 12.0
    assert len(out["warnings"]) <= 1
    tally["folders"] += 1


@posix
def test_a_full_disk_warns_once(cold: Project, tally: Counter[str]) -> None:
    lines = """
def full(*args):
    raise OSError(28, "No space left on device")
cache.os.replace = full
"""
    out = cold.run(lines + CALL + "\nwork.first(x, 1)")
    assert (out["result"], out["stored"], out["entries"]) == (12.0, [False], 0)
    [warning] = out["warnings"]
    assert "No space left on device" in warning
    assert list(Path(out["directory"]).iterdir()) == []
    tally["folders"] += 1


def test_unwritable_directory_warns_once(cold: Project) -> None:
    (cold.root / "file").touch(mode=0o755)
    inside = str(cold.root / "file" / "inside")
    out = cold.run(CALL + "\nwork.first(x, 1)", FASTBP_CACHE_DIR=inside)
    assert (out["result"], out["stored"]) == (12.0, [False])
    [warning] = out["warnings"]
    assert warning.startswith("CacheWarning: fastbp could not store its compiled code in")
    assert inside in warning and "FASTBP_CACHE_DIR" in warning
    assert out["state"].startswith("unwritable: ")
    # Known before the first write, too.
    out = cold.run("out = {}", FASTBP_CACHE_DIR=inside)
    assert out["state"] == f"unwritable: {cold.root}/file is not a directory that can be written to"


# ---- other people's files --------------------------------------------------------------------


def planted(project: Project) -> Path:
    """An entry that runs code when it is unpickled, with a seal, in the place of `total`'s."""
    entry = project.entry()

    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(project.root / "planted code ran").touch, ())

    entry.write_bytes(sealed(Runs()))
    return entry


def of_another_user(project: Project) -> None:
    os.chown(planted(project), 65534, 65534)


def writable_by_the_group(project: Project) -> None:
    planted(project).chmod(0o664)


def writable_by_all(project: Project) -> None:
    planted(project).chmod(0o646)


def a_link(project: Project) -> None:
    entry = planted(project)
    entry.rename(project.root / "elsewhere.code")
    entry.symlink_to(project.root / "elsewhere.code")


def a_pipe(project: Project) -> None:
    entry = project.entry()
    entry.unlink()
    os.mkfifo(entry)


def a_device_link(project: Project) -> None:
    entry = project.entry()
    entry.unlink()
    entry.symlink_to("/dev/zero")


def a_socket(project: Project) -> None:
    entry = project.entry()
    entry.unlink()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")  # the path of a socket is short
        os.rename(f"{folder}/s", entry)


def folder_of_another_user(project: Project) -> None:
    os.chown(planted(project).parent, 65534, 65534)


def folder_writable_by_all(project: Project) -> None:
    planted(project).parent.chmod(0o777)


def folder_writable_by_the_group(project: Project) -> None:
    planted(project).parent.chmod(0o770)


def folder_is_a_pipe(project: Project) -> None:
    folder = planted(project).parent
    folder.rename(project.root / "elsewhere")
    os.mkfifo(folder)


def folder_is_a_link(project: Project) -> None:
    folder = planted(project).parent
    folder.rename(project.root / "elsewhere")
    folder.symlink_to(project.root / "elsewhere")


FILES_OF_OTHERS = [
    of_another_user, writable_by_the_group, writable_by_all, a_link, a_pipe, a_device_link, a_socket
]  # fmt: skip
FOLDERS_OF_OTHERS = [
    folder_of_another_user, folder_writable_by_all, folder_writable_by_the_group, folder_is_a_link,
    folder_is_a_pipe,
]  # fmt: skip
as_root = pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root gives files away"
)
OF_ANOTHER = (of_another_user, folder_of_another_user)


def cases(some: list[Any]) -> list[Any]:
    return [pytest.param(case, marks=[as_root] if case in OF_ANOTHER else []) for case in some]


@posix
@of_others
@pytest.mark.parametrize("make", cases(FILES_OF_OTHERS))
def test_a_planted_file_is_not_unpickled_but_replaced(
    make: Callable[[Project], None], warm: Project, tally: Counter[str]
) -> None:
    make(warm)
    out = warm.run()
    assert not (warm.root / "planted code ran").exists()
    assert (out["result"], out["hits"], out["warnings"]) == (12.0, 0, [])
    assert (out["stored"], out["entries"]) == ([True], 2)
    found = warm.entry().lstat()
    assert stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    tally["plants"] += 1


@posix
@of_others
@pytest.mark.parametrize("make", cases(FOLDERS_OF_OTHERS))
def test_a_folder_that_others_can_write_to_is_left_alone(
    make: Callable[[Project], None], warm: Project, tally: Counter[str]
) -> None:
    make(warm)
    before = sorted(path.read_bytes() for path in warm.entries("*"))
    out = warm.run(CALL + "\nwork.first(x, 1)")
    assert not (warm.root / "planted code ran").exists()
    assert (out["result"], out["hits"], out["stored"]) == (12.0, 0, [False])
    [warning] = out["warnings"]
    assert warning.startswith("CacheWarning: fastbp does not use the compiled code in")
    assert "FASTBP_CACHE_DIR to a directory that you alone can write to" in warning
    assert out["state"].startswith("off: ")
    assert sorted(path.read_bytes() for path in warm.entries("*")) == before
    tally["plants"] += 1


@posix
@of_others
@pytest.mark.parametrize("mask", [0o000, 0o002, 0o007, 0o022, 0o027, 0o077])
def test_the_cache_is_closed_to_others_whatever_the_umask(
    mask: int, cold: Project, tally: Counter[str]
) -> None:
    inside = cold.cache / "new" / "newer"
    out = cold.run(f"import os; os.umask({mask})\n" + CALL, FASTBP_CACHE_DIR=str(inside))
    assert (out["stored"], out["state"]) == ([True], "warm")
    made = [path for path in (cold.cache, *cold.cache.rglob("*")) if path.is_dir()]
    assert len(made) == 4  # with the missing folders above it
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}
    assert [stat.S_IMODE(path.stat().st_mode) for path in inside.rglob("*.code")] == [0o600]
    tally["plants"] += 1


@posix
@of_others
def test_a_folder_in_the_place_of_an_entry_costs_time_only(
    warm: Project, tally: Counter[str]
) -> None:
    entry = warm.entry()
    entry.unlink()
    entry.mkdir()
    out = warm.run()
    assert (out["result"], out["stored"]) == (12.0, [False])
    [warning] = out["warnings"]
    assert "is a folder" in warning
    tally["plants"] += 1


@posix
@of_others
def test_a_cache_that_others_can_read_serves(warm: Project, tally: Counter[str]) -> None:
    warm.entry().parent.chmod(0o755)
    warm.entry().chmod(0o644)
    assert warm.run()["hits"] == 1
    tally["plants"] += 1


@of_others
def test_a_system_without_owners_serves(warm: Project) -> None:
    lines = "from fastbp.machine import trust; trust._HAS_OWNERS = False\n"  # as on Windows
    warm.entry().chmod(0o666)
    out = warm.run(lines + CALL)
    assert (out["hits"], out["stored"]) == (1, [True])


# ---- directories that cannot be written to ------------------------------------------------------


def test_read_only_warm_directory_serves(warm: Project) -> None:
    out = warm.run(DENY + CALL)
    assert (out["result"], out["hits"], out["warnings"]) == (12.0, 1, [])


def test_read_only_damaged_directory_compiles(warm: Project) -> None:
    damaged = warm.entry().read_bytes()[:1000]
    warm.entry().write_bytes(damaged)
    out = warm.run(DENY + CALL)
    assert (out["result"], out["hits"], out["stored"]) == (12.0, 0, [False])
    assert len(out["warnings"]) == 1 and "denied" in out["warnings"][0]
    assert warm.entry().read_bytes() == damaged


def test_base_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("FASTBP_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache._base_directory() == tmp_path / ".cache" / "fastbp"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache._base_directory() == tmp_path / "xdg" / "fastbp"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache._base_directory() == tmp_path / "Library" / "Caches" / "fastbp"
    monkeypatch.setattr(sys, "platform", "win32")
    assert cache._base_directory() == tmp_path / "AppData" / "Local" / "fastbp"
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert cache._base_directory() == tmp_path / "local" / "fastbp"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    assert cache._base_directory() == tmp_path / "numba" / "fastbp"
    monkeypatch.setenv("FASTBP_CACHE_DIR", "~/own")
    assert cache._base_directory() == tmp_path / "own"


def test_no_home_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FASTBP_CACHE_DIR", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what it does without a home
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    assert cache._base_directory() is None
    assert cache.cache_info() == (None, "off: no cache directory", 0, 0)


@posix
@needs_compiler
def test_no_cache_relative_to_a_folder_that_was_deleted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setenv("FASTBP_CACHE_DIR", "relative")
    assert cache._base_directory() is None
    assert cache.cache_info().state == "off: no cache directory"


def test_old_sub_folders_are_removed(cold: Project) -> None:
    folders = [cold.cache / f"fastbp-{i:032x}" for i in range(10)]
    for age, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for name in ("total-00.code", "total-00.code.1234"):  # an entry, an unfinished one
            (folder / name).touch()
        if age == 9:
            (folder / "notes.txt").touch()
        os.utime(folder, (10_000_000 - age, 10_000_000 - age))
    others = [cold.cache / "fastbp-notes", cold.cache / "numpy"]
    for other in others:
        other.mkdir()
        (other / "a.code").touch()
        os.utime(other, (1, 1))
    out = cold.run()
    current = Path(out["directory"])
    assert (out["result"], out["stored"]) == (12.0, [True])
    # The five used last beside the new one; of the rest, nothing that is not fastbp's.
    assert {path for path in cold.cache.iterdir() if path not in others} == {
        current,
        *folders[:5],
        folders[9],
    }
    assert [path.name for path in folders[9].iterdir()] == ["notes.txt"]
    assert all((other / "a.code").exists() for other in others)
    assert len(list(folders[4].iterdir())) == 2


def test_a_warm_start_marks_the_folder_as_used(warm: Project) -> None:
    folder = warm.entry().parent
    os.utime(folder, (1, 1))
    warm.run()
    assert folder.stat().st_mtime > 1_000_000


# ---- processes side by side ------------------------------------------------------------------


def test_concurrent_cold_starts(cold: Project, tally: Counter[str]) -> None:
    processes = [cold.start(CALL) for _ in range(PROCESSES)]
    outs = [finish(process) for process in processes]
    assert [out["result"] for out in outs] == [12.0] * PROCESSES
    assert [out["stored"] for out in outs] == [[True]] * PROCESSES
    assert [out["warnings"] for out in outs] == [[]] * PROCESSES
    assert len(cold.entries("*")) == 1  # and no unfinished files
    assert cold.run()["hits"] == 1
    tally["starts at once"] += len(outs)


def test_two_writers_of_one_entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "fastbp" / "total-00.code"
    replace = os.replace

    def replace_after_another(*args: Any) -> None:
        monkeypatch.setattr(os, "replace", replace)
        cache._write(path, b"another")
        assert path.read_bytes() == b"another"
        replace(*args)

    monkeypatch.setattr(os, "replace", replace_after_another)
    cache._write(path, b"one")
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]


def test_interrupted_write_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "fastbp" / "total-00.code"
    cache._write(path, b"old")

    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache._write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]
