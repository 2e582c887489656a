"""What goes into a wheel, and what is needed to build one."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from fastbp.commands.build import LINKED

ROOT = Path(__file__).resolve().parents[1]

pytest.importorskip("hatchling", reason="builds wheels")


def module(name: str) -> ModuleType:
    """A file beside pyproject.toml, which no package holds."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class App:
    """What hatchling shows."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def display_warning(self, text: str) -> None:
        self.warnings.append(text)

    def display_info(self, text: str) -> None:
        pass


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """The hook, whose build makes a file, or fails where it is told so."""
    hook = module("hatch_build")
    app = App()
    made = SimpleNamespace(app=app, commands=[], fails=False)

    def run(command: list[str], env: dict[str, str], **how: Any) -> SimpleNamespace:
        made.commands.append(command)
        folder = Path(command[command.index("--to") + 1])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "x86-64-v3-a-b.so").touch()
        assert env["FASTBP_OBJECTS"] == "0"
        return SimpleNamespace(returncode=int(made.fails), stdout="made", stderr="no compiler\n")

    def initialize(version: str, wanted: str | None) -> dict[str, Any]:
        if wanted is None:
            monkeypatch.delenv("FASTBP_OBJECTS", raising=False)
        else:
            monkeypatch.setenv("FASTBP_OBJECTS", wanted)
        data: dict[str, Any] = {"force_include": {}, "pure_python": True}
        one = object.__new__(hook.ObjectsHook)
        one._BuildHookInterface__root = str(tmp_path)
        one._BuildHookInterface__app = app
        one.initialize(version, data)
        return data

    monkeypatch.setattr(hook.subprocess, "run", run)
    made.initialize = initialize
    return made


@pytest.mark.skipif(sys.platform != "linux", reason="the tag is that of Linux")
@pytest.mark.parametrize("wanted", [None, "1"])
def test_a_wheel_holds_objects_and_names_its_platform(build: SimpleNamespace, wanted) -> None:
    data = build.initialize("standard", wanted)
    assert list(data["force_include"].values()) == ["fastbp/objects/x86-64-v3-a-b.so"]
    assert data["pure_python"] is False
    assert data["tag"] == f"py3-none-manylinux_2_17_{platform.machine()}"
    ((_, *command),) = build.commands
    assert command[:5] == ["-m", "fastbp", "build", "--level", "all"]


@pytest.mark.parametrize(("version", "wanted"), [("editable", None), ("standard", "0")])
def test_an_editable_installation_has_none(build: SimpleNamespace, version, wanted) -> None:
    assert build.initialize(version, wanted) == {"force_include": {}, "pure_python": True}
    assert not build.commands


def test_the_wheel_of_macos_runs_where_its_object_does() -> None:
    tag = module("hatch_build").TAGS["darwin"]
    (option,) = (o for o in LINKED["darwin"] if o.startswith("-mmacosx-version-min="))
    assert tag == f"macosx_{option.partition('=')[2].replace('.', '_')}_{{machine}}"


def test_without_a_compiler_the_wheel_has_none(build: SimpleNamespace) -> None:
    build.fails = True
    assert build.initialize("standard", None) == {"force_include": {}, "pure_python": True}
    assert build.app.warnings == ["this wheel has no objects: no compiler"]
    with pytest.raises(RuntimeError, match="the objects could not be made:\nno compiler"):
        build.initialize("standard", "1")


def test_only_a_wheel_needs_numba_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("FASTBP_OBJECTS", raising=False)
    backend = module("build_backend")
    assert "numba>=0.61" in backend.get_requires_for_build_wheel()
    for needed in (
        backend.get_requires_for_build_editable(),
        backend.get_requires_for_build_sdist(),
    ):
        assert not any(name.startswith(("numba", "numpy")) for name in needed)
    monkeypatch.setenv("FASTBP_OBJECTS", "0")
    assert not any(name.startswith("num") for name in backend.get_requires_for_build_wheel())


def test_objects_are_not_kept_in_git() -> None:
    command = ["git", "check-ignore", "fastbp/objects/x.so"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    if done.returncode == 128:
        pytest.skip("not a checkout")
    assert done.returncode == 0
