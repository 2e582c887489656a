"""The commands ``python -m fastbp info | warmup | demo``."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import llvmlite
import numba
import numpy as np
import pytest

import fastbp
from fastbp import __main__, hardware, target
from fastbp._cache import CacheInfo
from fastbp.warmup import FirstCall

ROOT = Path(fastbp.__file__).parents[1]
COMPILED = not numba.config.DISABLE_JIT


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process that compiles, also when this one does not."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    return subprocess.run(
        [sys.executable, "-m", "fastbp", *args],
        env=kept | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"} | environment,
        capture_output=True,
        text=True,
    )


def fields(out: str) -> dict[str, list[str]]:
    """The lines of ``info`` by name; a line without a name belongs to the one above."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in out.splitlines():
        name = line[:14].strip() or name
        found.setdefault(name, []).append(line[14:])
    return found


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["info"]) == 0
    found = fields(capsys.readouterr().out)
    assert hardware.cpu_model() in found["processor"][0]
    assert platform.machine() in found["processor"][0]
    assert found["compiled for"] == [target.target_cpu()[0]]
    assert found["vectors"] == [f"{target.VECTOR_REGISTERS} registers of {target.VECTOR_BITS} bits"]
    single = target.VECTOR_BITS // 32
    assert found["lanes"] == [f"{single} float32, {single // 2} float64"]
    tile = f": {target.TILE_ROWS} x {2 * single} float32 and {single} float64"
    assert found["tile"][0].endswith(tile)
    assert found["threads"][0].startswith("1 ")
    assert len(found["cache"]) == 2
    assert found["versions"] == [
        f"fastbp {fastbp.__version__}",
        f"Numba {numba.__version__}",
        f"llvmlite {llvmlite.__version__}",
        f"NumPy {np.__version__}",
        f"Python {platform.python_version()}",
    ]
    if COMPILED:
        peaks = re.fullmatch(r"(\S+) float32, (\S+) float64 \(GFLOP/s .*\)", found["FMA peak"][0])
        single_peak, double_peak = (float(peak) for peak in peaks.groups())
        assert 0 < double_peak < single_peak < 2000
    else:
        assert found["FMA peak"] == ["not measured: NUMBA_DISABLE_JIT is set, so nothing is "
                                     "compiled"]  # fmt: skip


@pytest.mark.skipif(not COMPILED, reason="no cache with NUMBA_DISABLE_JIT=1")
def test_info_of_an_empty_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FASTBP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(
        hardware, "fma_peak", lambda dtype, seconds: {"float32": 8, "float64": 4}[dtype]
    )
    assert __main__.main(["info"]) == 0
    found = fields(capsys.readouterr().out)
    assert found["FMA peak"][0].startswith("8.0 float32, 4.0 float64 (GFLOP/s ")
    directory, state = found["cache"]
    assert Path(directory).parent == tmp_path
    assert state.startswith("empty: ")
    assert "python -m fastbp warmup" in state


def test_info_without_compilation() -> None:
    done = run("info", NUMBA_DISABLE_JIT="1")
    assert (done.returncode, done.stderr) == (0, "")
    found = fields(done.stdout)
    assert found["FMA peak"][0].startswith("not measured: NUMBA_DISABLE_JIT")
    assert found["cache"][0] == "no folder"
    assert found["cache"][1].startswith("off: ")


def test_warmup_fills_the_cache() -> None:
    first = run("warmup")
    assert (first.returncode, first.stderr) == (0, "")
    names = ["fma_loop", "first_not_finite", "predict", "evaluate", "train"]
    names += ["outputs", "descend", "dot", "rprop", "shift_images", "warp_images", "built_in_loss"]
    graphs = ["value", "gradient", "jvp", "local_derivatives"]
    line = re.compile(r"(\w+) +(float32|float64) +(compiled|loaded) +[\d.]+ s")
    calls = [match.groups() for match in map(line.fullmatch, first.stdout.splitlines()) if match]
    assert [call[:2] for call in calls] == [
        *((name, "float64") for name in graphs),
        *((name, dtype) for dtype in ("float32", "float64") for name in names),
    ]
    entries = int(re.search(r"warm: (\d+) compiled functions, [\d.]+ MB", first.stdout)[1])
    assert entries >= len(calls)

    second = run("warmup", "--dtype", "float64")
    calls = [match.groups() for match in map(line.fullmatch, second.stdout.splitlines()) if match]
    assert calls == [(name, "float64", "loaded") for name in graphs + names]
    assert re.search(r"in all +[\d.]+ s\ncache: (.*)\n", second.stdout)[1] in first.stdout


@pytest.fixture
def nothing_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    def warm_up(dtypes: tuple[str, ...]) -> Iterator[FirstCall]:
        return (FirstCall("train", dtype, "compiled", 1.5) for dtype in dtypes)

    monkeypatch.setattr(__main__, "warm_up", warm_up)
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(
    ("option", "dtypes"),
    [("float32", ["float32"]), ("float64", ["float64"]), ("both", ["float32", "float64"])],
)
def test_dtype_of_warmup(
    option: str,
    dtypes: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    info = CacheInfo(Path("/some/place"), "warm", 3, 1_234_567)
    monkeypatch.setattr(__main__, "cache_info", lambda: info)
    assert __main__.main(["warmup", "--dtype", option]) == 0
    *lines, total, directory, state = capsys.readouterr().out.splitlines()
    assert lines == [f"train             {dtype}  compiled     1.50 s" for dtype in dtypes]
    assert total.split()[:2] == ["in", "all"]
    assert directory == f"cache: {Path('/some/place')}"
    assert state.strip() == "warm: 3 compiled functions, 1.2 MB"


@pytest.mark.usefixtures("nothing_compiles")
def test_warmup_that_stores_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = CacheInfo(None, "off: no place for it", 0, 0)
    monkeypatch.setattr(__main__, "cache_info", lambda: info)
    assert __main__.main(["warmup"]) == 1
    captured = capsys.readouterr()
    assert "off: no place for it" in captured.out
    assert "nothing was stored" in captured.err


@pytest.mark.parametrize("command", ["demo", "warmup"])
def test_uncompiled_is_refused(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert __main__.main([command]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("NUMBA_DISABLE_JIT is set, so nothing is compiled")


def test_interruption(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(epochs: int) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    monkeypatch.setattr(__main__.demo, "run", interrupted)
    assert __main__.main(["demo"]) == 130
    assert capsys.readouterr().err == "\ninterrupted\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "arguments are required"),
        (["train"], "invalid choice: 'train'"),
        (["info", "more"], "unrecognized arguments: more"),
        (["warmup", "--dtype", "float16"], "invalid choice: 'float16'"),
        (["demo", "--epochs", "0"], "must be at least 1; got 0"),
        (["demo", "--epochs", "many"], "'many'"),
    ],
)
def test_bad_arguments(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        __main__.main(argv)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, text in ((["--version"], f"fastbp {fastbp.__version__}"), (["--help"], "warmup")):
        with pytest.raises(SystemExit) as stopped:
            __main__.main(argv)
        assert stopped.value.code == 0
        assert text in capsys.readouterr().out


def test_exit_status_of_the_process() -> None:
    done = run("no-such-command")
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m fastbp ")
