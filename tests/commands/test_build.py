"""``python -m fastbp build``: what it makes of levels, and what it says where it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers import needs_compiler

from fastbp.__main__ import main
from fastbp.commands import build
from fastbp.machine import objects

V3, V2 = (level for level in objects._X86 if level.name != "x86-64-v4")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """The programs that were run: a compiler and a linker that write a line."""
    seen: list[tuple[list[str], dict[str, str]]] = []

    def run(command: list[str], environment: dict[str, str]) -> None:
        seen.append((command, environment))
        if "-o" in command:
            Path(command[command.index("-o") + 1]).write_bytes(b"linked")

    monkeypatch.setattr(build, "run", run)
    monkeypatch.setattr(build.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(build, "LEVELS", (V3, V2))
    monkeypatch.setattr(build.sys, "platform", "linux")
    return seen


@needs_compiler
def test_each_level_is_compiled_for_itself(commands, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("NUMBA_OPT", "1")
    monkeypatch.setenv("CC", "gcc -m64")
    old = tmp_path / f"{V3.name}-of-others{objects.SUFFIX}"
    other = tmp_path / f"x86-64-v4-of-others{objects.SUFFIX}"
    for path in (old, other):
        path.touch()
    assert main(["build", "--level", V3.name, "--to", str(tmp_path)]) == 0
    (compiling, settings), (linking, _) = commands
    assert compiling[:2] == [sys.executable, "-c"]
    assert settings["NUMBA_CPU_NAME"] == V3.name
    assert settings["NUMBA_CPU_FEATURES"] == V3.without
    assert settings["FASTBP_OBJECTS"] == "0"
    assert "NUMBA_OPT" not in settings
    assert linking[:2] == ["gcc", "-m64"] and linking[-1] == compiling[-1]
    made = tmp_path / objects.name_for(V3, b"linked")
    assert made.read_bytes() == b"linked"
    assert sorted(tmp_path.iterdir()) == sorted([made, other])
    assert made.name in capsys.readouterr().out


@needs_compiler
def test_nothing_is_compiled_without_a_linker(commands, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    for compiler in ("no-such-cc -m64", " "):
        monkeypatch.setenv("CC", compiler)
        assert main(["build", "--level", V3.name, "--to", str(tmp_path)]) == 1
        assert capsys.readouterr().err == (
            f"objects are linked by a C compiler, and there is no {compiler.split(' ')[0]!r}: "
            "install one, or name one in CC\n"
        )
    assert not commands


@needs_compiler
def test_all_levels(commands, tmp_path: Path) -> None:
    assert main(["build", "--level", "all", "--to", str(tmp_path)]) == 0
    names = {environment.get("NUMBA_CPU_NAME") for _, environment in commands} - {None}
    assert names == {V3.name, V2.name}
    assert len(list(tmp_path.iterdir())) == 2


@needs_compiler
def test_what_cannot_be_made_is_said(commands, tmp_path: Path, monkeypatch, capsys) -> None:
    def said(*arguments: str) -> str:
        assert main(["build", "--to", str(tmp_path), *arguments]) == 1
        return capsys.readouterr().err

    assert said("--level", "z80") == (
        "this machine has no level 'z80'; it knows native, all, x86-64-v3, x86-64-v2\n"
    )

    def fail(command: list[str], environment: dict[str, str]) -> None:
        raise subprocess.CalledProcessError(1, ["cc", "a b"], stderr="no such thing\n")

    monkeypatch.setattr(build, "run", fail)
    assert "cc 'a b' failed:" in said("--level", V2.name)
    digests = iter("ab")
    monkeypatch.setattr(build, "run", lambda command, environment: None)
    monkeypatch.setattr(objects, "source_digest", lambda: next(digests))
    monkeypatch.setattr(Path, "read_bytes", lambda path: b"linked")
    assert "changed meanwhile" in said("--level", V2.name)
    monkeypatch.setattr(build.sys, "platform", "plan9")
    assert "objects are not linked on plan9" in said("--level", V2.name)
    assert not list(tmp_path.iterdir())
