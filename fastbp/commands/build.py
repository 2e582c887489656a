"""``python -m fastbp build``: compile the entry points beforehand, into shared libraries.

Each level of processors takes a process of its own, which Numba compiles for that level in; what
comes out is linked by the C compiler of the system (``CC``). See `fastbp.machine.objects`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fastbp import whole_files
from fastbp.commands.printing import complain
from fastbp.machine import objects
from fastbp.machine.objects import LEVELS, Level

EMIT = "import sys; from fastbp.commands import build; build.emit_into(sys.argv[1])"
CHOSEN = ("native", "all")
"""Levels that are not called by their names: that of this processor; all of its kind."""
LINKED = {
    "linux": ("-shared", "-nostdlib", "-s", "-Wl,-z,noexecstack", "-Wl,-z,relro"),
    "darwin": ("-dynamiclib", "-undefined", "dynamic_lookup", "-mmacosx-version-min=11.0"),
}
"""How the C compiler links, by system. What is not defined, memset, every process has.

That of macOS is the oldest that `hatch_build.TAGS` names.
"""


def emit_into(path: str) -> None:
    """Write the object file for the processor that Numba compiles for."""
    from fastbp.kernels.entry import SHIPPED
    from fastbp.machine.emission import emit

    Path(path).write_bytes(emit(SHIPPED))


def levels_of(chosen: str) -> tuple[Level, ...]:
    """The levels that were asked for; none where this kind of machine has no such level."""
    if chosen == "native":
        return objects.supported()[:1]
    return tuple(level for level in LEVELS if chosen in ("all", level.name))


def build(level: Level, folder: Path) -> Path:
    """Make the object of a level; older ones of that level are deleted.

    Raises
    ------
    OSError
        If there is no linker, or the file cannot be written.
    subprocess.CalledProcessError
        If compiling or linking fails; the reason is in what it has as its `stderr`.
    """
    if sys.platform not in LINKED:
        raise OSError(f"objects are not linked on {sys.platform}: {' and '.join(LINKED)} can be")
    # It is looked for before Numba compiles for half a minute in vain.
    compiler = shlex.split(os.environ.get("CC", "cc")) or [""]
    if shutil.which(compiler[0]) is None:
        raise OSError(
            f"objects are linked by a C compiler, and there is no {compiler[0]!r}: install one, or "
            "name one in CC"
        )
    settings = {
        "NUMBA_CPU_NAME": level.name,
        "NUMBA_CPU_FEATURES": level.without,
        objects.VARIABLE: "0",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    kept = {name: text for name, text in os.environ.items() if not name.startswith("NUMBA_")}
    digest = objects.source_digest()
    with tempfile.TemporaryDirectory() as scratch:
        compiled, linked = Path(scratch, "code.o"), Path(scratch, "code" + objects.SUFFIX)
        run([sys.executable, "-c", EMIT, str(compiled)], kept | settings)
        run([*compiler, *LINKED[sys.platform], "-o", str(linked), str(compiled)], kept)
        content = linked.read_bytes()
    if not digest or objects.source_digest() != digest:
        raise OSError("the sources cannot be read, or changed meanwhile")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / objects.name_for(level, content)
    whole_files.write(path, lambda file: file.write(content), mode=0o644)
    for other in folder.glob(f"{level.name}-*{objects.SUFFIX}"):
        if other != path:
            other.unlink(missing_ok=True)
    return path


def run(command: Sequence[str], environment: dict[str, str]) -> None:
    """Run a program; what it says is in the error, if it fails."""
    subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def make(levels: Sequence[Level], folder: Path) -> list[Path]:
    """Make the objects of levels, one on each processor at a time; print what was done."""

    def timed(level: Level) -> Path:
        start = time.perf_counter()
        path = build(level, folder)
        seconds = time.perf_counter() - start
        print(f"{level.name:<12}{path.stat().st_size / 1e3:7.0f} kB{seconds:7.1f} s", flush=True)
        return path

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        return list(threads.map(timed, levels))


def command(chosen: str, folder: str | None) -> int:
    """Make objects, in the package's own folder by default.

    Parameters
    ----------
    chosen : str
        The name of a level, or one of CHOSEN.
    folder : str or None

    Returns
    -------
    int
        The exit status.
    """
    levels = levels_of(chosen)
    if not levels:
        known = ", ".join([*CHOSEN, *(level.name for level in LEVELS)])
        return complain(f"this machine has no level {chosen!r}; it knows {known}")
    target = objects.FOLDER if folder is None else Path(folder)
    try:
        paths = make(levels, target)
    except subprocess.CalledProcessError as error:
        return complain(f"{shlex.join(error.cmd)} failed:\n{error.stderr.strip()}")
    except OSError as error:
        return complain(error)
    print(f"in {target}: {', '.join(path.name for path in paths)}")
    return 0
