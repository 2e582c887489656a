"""fastbp runs from any tree: without sources, moved, linked, archived, frozen, unoptimised."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from fastbp.machine.cache import PACKAGE

pytestmark = [pytest.mark.promise("compiled cache"), pytest.mark.slow]

USE = """
import json, sys, warnings
warnings.simplefilter("error")
import numpy as np
import fastbp
from fastbp.machine import cache
net = fastbp.MLP((2, 2, 1), activation="identity", seed=0)
net.params[:] = 1
y = float(net.predict(np.array([[1, 2]], np.float32))[0, 0])
info = cache.cache_info()
print(json.dumps([y, info.state, info.entries, fastbp.__file__]))
"""
EXPECTED = 9.0  # two units of 1 + 2 + 1, and a bias


def use(root: Path, before: str = "", path: Path | None = None, **environment: str):
    """The prediction, the state of the cache, its entries, and where fastbp came from."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "FASTBP_"))}
    kept |= {"FASTBP_CACHE_DIR": str(root / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", before + USE],
        cwd=root,
        env=kept | {"PYTHONPATH": str(path or root)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    y, state, entries, file = json.loads(done.stdout)
    assert y == EXPECTED
    return state, entries, file


def copy(root: Path) -> Path:
    """A copy of the package, which is not the one that the tests run on."""
    root.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PACKAGE, root / "fastbp", ignore=shutil.ignore_patterns("__pycache__"))
    return root / "fastbp"


def test_a_tree_without_sources_caches(tmp_path, monkeypatch, tally: Counter[str]) -> None:
    # Compiled by a relative path, as distributions do, and then moved.
    package = copy(tmp_path / "built")
    monkeypatch.chdir(tmp_path / "built")
    assert compileall.compile_dir("fastbp", quiet=1, legacy=True)
    for source in package.rglob("*.py"):
        source.unlink()
    (tmp_path / "built").rename(tmp_path / "moved")
    state, entries, file = use(tmp_path, path=tmp_path / "moved")
    assert file == str(tmp_path / "moved" / "fastbp" / "__init__.pyc")
    assert state == "warm" and entries > 0
    assert use(tmp_path, path=tmp_path / "moved")[:2] == ("warm", entries)
    tally["trees"] += 1


def test_an_upgrade_of_a_tree_without_sources_runs_no_old_code(tmp_path) -> None:
    package = copy(tmp_path)
    changed = package / "kernels" / "dense.py"
    digests = set()
    for _ in range(2):
        assert compileall.compile_dir(package, quiet=1, legacy=True)
        for source in package.rglob("*.py"):
            source.rename(tmp_path / "kept.py") if source == changed else source.unlink()
        ask = "from fastbp.machine import cache; print(cache.source_digest())"
        done = subprocess.run(
            [sys.executable, "-c", ask],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(done.stdout)
        (tmp_path / "kept.py").rename(changed)
        changed.write_text(changed.read_text() + "\nNEW = 1\n")
    assert len(digests) == 2 and "\n" not in digests


def test_a_farm_of_links_caches(tmp_path, tally: Counter[str]) -> None:
    # As Bazel and Buck make them: each file is a link to a name that is a hash of its content.
    store = tmp_path / "store"
    for number, source in enumerate(sorted(PACKAGE.rglob("*.py"))):
        link = tmp_path / "farm" / "fastbp" / source.relative_to(PACKAGE)
        stored = store / f"{number % 7}" / f"{number:08x}"
        for path in (stored, link):
            path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, stored)
        link.symlink_to(stored)
    state, entries, file = use(tmp_path, path=tmp_path / "farm")
    assert file == str(tmp_path / "farm" / "fastbp" / "__init__.py")
    assert state == "warm" and entries > 0
    tally["trees"] += 1


def test_an_archive_runs_without_the_cache(tmp_path, tally: Counter[str]) -> None:
    archive = tmp_path / "app.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        for source in PACKAGE.rglob("*.py"):
            file.write(source, Path("fastbp") / source.relative_to(PACKAGE))
    state, entries, file = use(tmp_path, path=archive)
    assert file == str(archive / "fastbp" / "__init__.py")
    assert (state.split(":")[0], entries) == ("off", 0)
    tally["trees"] += 1


# As PyInstaller: modules come from an archive in the program, their code has relative file names,
# and `__file__` names a file that does not exist. Some sources lie beside them as data.
FROZEN = """
import importlib.machinery, importlib.util, sys
from pathlib import Path

class Frozen:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] != "fastbp":
            return None
        where = Path(*name.split("."))
        package = (SOURCES / where / "__init__.py").is_file()
        self.file = (where / "__init__.py") if package else where.with_suffix(".py")
        if not (SOURCES / self.file).is_file():
            return None
        loader = Module(self.file)
        spec = importlib.machinery.ModuleSpec(name, loader, is_package=package)
        spec.origin = str(BUNDLE / self.file.with_suffix(".pyc"))
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [str(BUNDLE / where)]
        return spec

class Module:
    def __init__(self, file):
        self.file = file
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(compile((SOURCES / self.file).read_text(), str(self.file), "exec"), vars(module))

sys.meta_path.insert(0, Frozen())
"""


def test_a_frozen_program_runs_without_the_cache(tmp_path, tally: Counter[str]) -> None:
    bundle = tmp_path / "bundle"
    (bundle / "fastbp" / "kernels").mkdir(parents=True)
    shutil.copy(PACKAGE / "kernels" / "dense.py", bundle / "fastbp" / "kernels")
    places = f"from pathlib import Path; SOURCES = Path({str(PACKAGE.parent)!r}); "
    places += f"BUNDLE = Path({str(bundle)!r})\n"
    (tmp_path / "empty").mkdir()
    state, entries, file = use(tmp_path, places + FROZEN, tmp_path / "empty")
    assert file == str(bundle / "fastbp" / "__init__.pyc")
    assert state.startswith("off: fastbp.") and "does not come from a file below" in state
    assert entries == 0
    tally["trees"] += 1


def test_unoptimised_code_runs(tmp_path, tally: Counter[str]) -> None:
    state, entries, _ = use(tmp_path, path=PACKAGE.parent, NUMBA_OPT="0")
    assert state in ("warm", "empty")
    tally["trees"] += 1
