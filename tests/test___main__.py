"""The command line: arguments, exit status, what is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

import fastbp
from fastbp import __main__

ROOT = Path(fastbp.__file__).parents[1]


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
    ("option", "dtypes"),
    [("float32", ("float32",)), ("float64", ("float64",)), ("both", ("float32", "float64"))],
)
def test_dtype_of_warmup(
    option: str, dtypes: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 0)
    monkeypatch.setattr(__main__.warmup, "run", lambda dtypes: asked.append(dtypes) or 0)
    assert __main__.main(["warmup", "--dtype", option]) == 0
    assert asked == [dtypes]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train"], "invalid choice: 'train'"),
        (["info", "more"], "unrecognized arguments: more"),
        (["warmup", "--dtype", "float16"], "invalid choice: 'float16'"),
        (["demo", "--epochs", "0"], "must be at least 1; got 0"),
        (["demo", "--epochs", "many"], "'many'"),
        (["show"], "the following arguments are required: FILE"),
        (["export", "net"], "say where to: --onnx FILE, --c FOLDER or --python FILE"),
        (["export", "net", "--python", "x", "--name", "y"], "--name goes with --c alone"),
        (["export", "net", "--python", "x", "--training"], "--training goes with --c alone"),
        (["export", "net", "--onnx", "x", "--calibration", "y"], "--calibration goes with --c"),
        (["export", "net", "--c", "x", "--calibration", "y"], "int8 and --calibration go togeth"),
        (["export", "net", "--c", "x", "--dtype", "int8"], "int8 and --calibration go together"),
        (
            ["export", "net", "--c", "x", "--python", "y", "--dtype", "int8", "--calibration", "z"],
            "--dtype int8 is for --c alone",
        ),
        (["export", "net", "--c", "x", "--dtype", "float16"], "invalid choice: 'float16'"),
    ],
)
def test_bad_arguments(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        __main__.main(argv)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_without_a_command_it_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main([]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("usage: python -m fastbp [-h]")
    assert all(f"\n    {name} " in captured.out for name in ("demo", "info", "show", "export"))
    assert captured.err == ""


@pytest.mark.parametrize("command", ["show", "export"])
def test_files_need_no_compiler(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert __main__.main([command, "no/net", *["--c", "x"][: 2 * (command == "export")]]) == 1
    assert capsys.readouterr().err == "no/net: No such file or directory\n"


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for argv, text in ((["--version"], f"fastbp {fastbp.__version__}"), (["--help"], "warmup")):
        with pytest.raises(SystemExit) as stopped:
            __main__.main(argv)
        assert stopped.value.code == 0
        assert text in capsys.readouterr().out


@pytest.mark.slow
def test_exit_status_of_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fastbp", "no-such-command"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("usage: python -m fastbp ")
