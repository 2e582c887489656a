"""Objects, compiled beforehand: which is loaded, that it computes what Numba's code does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers import SOAK, needs_compiler

import fastbp
from fastbp.machine import layouts, objects, settings

TESTS = Path(__file__).resolve().parents[1]
PACKAGE = Path(fastbp.__file__).parent
KEPT = TESTS.parent / "build" / "test-objects"
"""Objects of the present sources, for later runs: each takes half a minute to make.

Of the lower levels there are those that an installed wheel brings: `make test-wheel` tests each
of them. Soak tests make them.
"""
CALLERS = ("many", "embed", "fit/test_threads.py", "derivatives/test_curvature.py")
"""Tests of what has machine code of its own beside that of the entry points."""
STATE = "from fastbp.machine import objects; print(objects.STATE)"
linked_here = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin") or shutil.which("cc") is None or not objects.LEVELS,
    reason="objects are not made on such a machine, or it has no C compiler",
)
levels = pytest.mark.parametrize("level", objects.supported(), ids=lambda level: level.name)


def run(
    *command: str, package: Path = PACKAGE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program on a package; without Numba's settings and objects but for those given."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("NUMBA_")}
    kept.pop(objects.VARIABLE, None)
    path = os.pathsep.join([str(package.parent), str(TESTS)])
    return subprocess.run(
        [sys.executable, "-P", *command],
        env={**kept, "PYTHONPATH": path, "FASTBP_QUIET": "1", **environment},
        capture_output=True,
        text=True,
        cwd=TESTS,
    )


def output(*command: str, package: Path = PACKAGE, **environment: str) -> str:
    """What a program prints that has no warnings and no errors."""
    done = run(*command, package=package, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def made(level: objects.Level) -> Path:
    """A folder with the object of a level alone: that of the package, or of an earlier run.

    Of several processes that run tests, one makes it and the others wait.
    """
    import fcntl  # of the systems that objects are made on

    KEPT.mkdir(parents=True, exist_ok=True)
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(level)


def _made(level: objects.Level) -> Path:
    folder = KEPT / level.name
    pattern = f"{level.name}-{objects.source_digest()}-*"
    shipped = list(objects.FOLDER.glob(pattern))
    if shipped:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(shipped[0], folder)
    elif not list(folder.glob(pattern)):
        if level != objects.supported()[0] and not SOAK:
            pytest.skip(f"`make test-wheel` or `make soak` makes the object for {level.name}")
        output("-m", "fastbp", "build", "--level", level.name, "--to", str(folder))
    return folder


@pytest.fixture
def native() -> Path:
    """A folder with the object for this processor."""
    return made(objects.supported()[0])


@pytest.fixture
def copied(native: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the package, with the object."""
    package = tmp_path / "fastbp"
    without = shutil.ignore_patterns("__pycache__", "objects")
    shutil.copytree(PACKAGE, package, ignore=without)
    shutil.copytree(native, package / "objects")
    yield package


# ---- what it computes ---------------------------------------------------------------------------


@needs_compiler
@linked_here
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_are_those_of_numba(native: Path, dtype: str) -> None:
    program = str(TESTS / "machine" / "every_kind.py")
    *from_object, state = output(program, dtype, FASTBP_OBJECTS=str(native)).splitlines()
    *from_numba, without = output(program, dtype, FASTBP_OBJECTS="0").splitlines()
    assert state.startswith(f"{objects.supported()[0].name}, made by Numba ")
    assert without == "off: FASTBP_OBJECTS=0"
    assert len(from_object) == 67
    assert from_object == from_numba


@needs_compiler
@linked_here
@pytest.mark.slow
@levels
def test_each_level_agrees_with_the_oracle(level: objects.Level) -> None:
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow")
    files = ("test_gradients.py", "derivatives/test_gradients.py", "test_output_weights.py")
    folder = made(level)
    done = run(*command, *files, FASTBP_OBJECTS=str(folder))
    assert done.returncode == 0, done.stdout[-3000:]
    state = output("-c", STATE, FASTBP_OBJECTS=str(folder))
    assert state.startswith(f"{level.name}, made by ")


@needs_compiler
@linked_here
@pytest.mark.slow
def test_what_calls_code_by_address_finds_it_beside_an_object(native: Path) -> None:
    """The code of an object is for Python: what is compiled calls that of Numba."""
    command = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow")
    done = run(*command, *CALLERS, FASTBP_OBJECTS=str(native))
    assert done.returncode == 0, done.stdout[-3000:]
    state = output("-c", STATE, FASTBP_OBJECTS=str(native))
    assert state.startswith(f"{objects.supported()[0].name}, made by ")


WITHOUT_NUMBA = """
import sys, tempfile
import numpy as np
import fastbp, fastbp.sklearn
from fastbp import MLP
X = np.random.default_rng(0).normal(size=(300, 5))
y = (X[:, 0] > 0).astype(int)
for dtype in ("float32", "float64"):
    net = MLP((5, 8, 1), loss="binary_cross_entropy", dtype=dtype, dropout=0.1, seed=0)
    net.fit(X, y, epochs=3, validation_fraction=0.1, patience=2)
    net.predict(X), net.evaluate(X, y), net.score(X, y), net.step(X, y), net.loss_and_grad(X, y)
    with tempfile.TemporaryDirectory() as folder:
        net.save(folder + "/net.safetensors")
        fastbp.load(folder + "/net.safetensors").predict(X)
    options = {"hidden_layer_sizes": (8,), "max_iter": 3, "tol": 0.0}
    for estimator in fastbp.sklearn.MLPClassifier, fastbp.sklearn.MLPRegressor:
        estimator(**options).fit(X.astype(dtype), y).score(X, y)
print([name for name in ("numba", "llvmlite") if name in sys.modules])
MLP((5, 1)).fit(X, y, epochs=1, method="conjugate_gradient")  # its kernels are not in the object
z = fastbp.graph.variable("z")
MLP((5, 3, 1), activation=fastbp.ElementwiseActivation(lambda z: (z * z, z + z))).fit(X, y)
print([name for name in ("numba", "llvmlite") if name in sys.modules], z.value({"z": 2.0}))
"""


@needs_compiler
@linked_here
@pytest.mark.slow
def test_numba_is_imported_when_something_else_is_called(native: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    done = run("-W", "ignore", "-c", WITHOUT_NUMBA, FASTBP_OBJECTS=str(native))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[]\n['numba', 'llvmlite'] 2.0\n"


CALLS = """
import json
import numpy as np
from fastbp import MLP
from fastbp.kernels import entry
net = MLP((2, 1), seed=0)
x = np.zeros((1, 2), np.float32)
out = np.zeros((1, 1), np.float32)
net.predict(x)
cells = net.new_workspace(1, training=False).cells
class Own(np.ndarray):
    pass
good = [cells, entry.PREDICT, x, out]
def said(*arguments):
    try:
        return entry.train_and_predict(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
def but(**given):
    names = "cells", "operation", "x", "y"
    return said(*[given.get(name, old) for name, old in zip(names, good, strict=True)])
half = np.float16
told = {
    "good": but(),
    "own class": but(x=x.view(Own)),
    "unknown": but(operation=99),
    "refused": [
        said(), said(*good[:3]), said(*good, 1),
        but(operation=-1), but(operation="x"), but(operation=2**70),
        but(x=[[0.0, 0.0]]), but(x=None), but(x=x.astype(float)), but(x=x.astype(">f4")),
        but(x=x[0]), but(y=out[..., None]), but(x=x.astype(np.int32)),
        but(x=np.zeros((4, 4), np.float32)[:, ::2]),
        but(cells=cells.astype(float)), but(cells=cells[::2]),
        but(cells=x.astype(half), x=x.astype(half), y=out.astype(half)),
    ],
}
print(json.dumps(told))
"""


@needs_compiler
@linked_here
@pytest.mark.slow
def test_an_entry_point_looks_at_what_it_is_given(native: Path) -> None:
    told = json.loads(output("-c", CALLS, FASTBP_OBJECTS=str(native)))
    assert told["good"] == told["own class"] == -1.0  # no input that is not finite
    assert told["unknown"] == "ValueError: unknown operation"
    assert set(told["refused"]) == {
        "TypeError: an entry point takes (cells, operation, x, y): an array of int64, an operation "
        "and two C-contiguous matrices, both float32 or both float64"
    }


@linked_here
@pytest.mark.slow
@levels
@pytest.mark.skipif(shutil.which("nm") is None, reason="nm lists symbols")
def test_an_object_needs_nothing_but_memset(level: objects.Level) -> None:
    (path,) = made(level).glob(f"{level.name}-{objects.source_digest()}-*")
    option = "-u" if sys.platform == "darwin" else "-uD"
    listed = subprocess.run(["nm", option, path], capture_output=True, text=True, check=True)
    assert set(listed.stdout.split()) <= {"U", "memset", "_memset"}


# ---- which is loaded ----------------------------------------------------------------------------


@needs_compiler
@linked_here
@pytest.mark.slow
def test_an_edited_source_has_no_object(copied: Path) -> None:
    name = objects.supported()[0].name
    assert output("-c", STATE, package=copied).startswith(f"{name}, made by ")
    for room in objects.ROOMS:
        source = sorted((copied / room).glob("*.py"))[-1]
        before = source.read_bytes()
        source.write_bytes(before + b"\n# edited\n")
        assert output("-c", STATE, package=copied) == "none for these sources\n"
        source.write_bytes(before)
    other = copied / "mlp.py"  # holds no kernels
    other.write_bytes(other.read_bytes() + b"\n# edited\n")
    assert output("-c", STATE, package=copied).startswith(f"{name}, made by ")
    (copied / "kernels" / "more.py").write_text("")
    assert output("-c", STATE, package=copied) == "none for these sources\n"


@needs_compiler
@linked_here
@pytest.mark.slow
def test_a_damaged_object_is_passed_over_with_a_warning(copied: Path) -> None:
    (path,) = (copied / "objects").iterdir()
    whole = path.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    for content in (b"", whole[:half], whole[:-1], whole + b"\0", flipped):
        path.write_bytes(content)
        done = run("-c", STATE, package=copied)
        assert (done.returncode, done.stdout) == (0, f"damaged: {path}\n")
        assert f"RuntimeWarning: fastbp passes over the damaged file {path} " in done.stderr
        assert "FASTBP_OBJECTS=0" in done.stderr
        assert "Error" not in done.stderr
    path.write_bytes(whole)
    assert "made by" in output("-c", STATE, package=copied)


@needs_compiler
@linked_here
@pytest.mark.slow
def test_what_is_no_object_is_passed_over_with_a_warning(copied: Path) -> None:
    level = objects.supported()[0]
    for path in (copied / "objects").iterdir():
        path.unlink()
    content = b"no library"
    path = copied / "objects" / objects.name_for(level, content)
    path.write_bytes(content)
    done = run("-c", STATE, package=copied)
    assert (done.returncode, done.stdout) == (0, f"damaged: {path}\n")
    assert "RuntimeWarning: fastbp passes over the damaged file" in done.stderr


@needs_compiler
@linked_here
@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "state"),
    [
        ({"FASTBP_OBJECTS": "0"}, "off: FASTBP_OBJECTS=0"),
        ({"NUMBA_DISABLE_JIT": "1"}, "off: NUMBA_DISABLE_JIT is set"),
        ({"NUMBA_BOUNDSCHECK": "1"}, "off: NUMBA_BOUNDSCHECK is set"),
        ({"NUMBA_CPU_NAME": "generic"}, "off: NUMBA_CPU_NAME is set"),
    ],
)
def test_a_setting_turns_it_off(copied: Path, setting: dict[str, str], state: str) -> None:
    assert output("-c", STATE, package=copied, **setting) == state + "\n"


def test_numbas_file_of_settings_turns_it_off(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "compiles", lambda: True)
    for name in settings.COMPILING:
        monkeypatch.delenv(f"NUMBA_{name}", raising=False)
    assert settings.chosen() == ""
    (tmp_path / ".numba_config.yaml").write_text("opt: 1\n")
    assert settings.chosen() == ".numba_config.yaml"


@pytest.mark.parametrize(
    ("lacking", "best"),
    [("AVX512VL", "x86-64-v3"), ("FMA3", "x86-64-v2"), ("F16C", "x86-64-v2"), ("SSE42", None)],
)
def test_a_processor_without_a_feature_has_no_level_with_it(monkeypatch, lacking, best) -> None:
    monkeypatch.setattr(objects, "LEVELS", objects._X86)
    features = dict.fromkeys(objects._V4, True) | {lacking: False}
    monkeypatch.setattr(
        objects, "import_module", lambda name: type("Module", (), {"__cpu_features__": features})
    )
    assert [level.name for level in objects.supported()][:1] == ([best] if best else [])
    features.clear()  # a NumPy that does not know them
    assert objects.supported() == ()


def test_an_object_for_another_processor_is_not_loaded(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(objects, "_reason", lambda: "")
    monkeypatch.setattr(objects, "FOLDER", tmp_path)
    monkeypatch.delenv(objects.VARIABLE, raising=False)
    assert objects.find() == (None, "none")
    (tmp_path / f"x86-64-v9-{objects.source_digest()}-00{objects.SUFFIX}").touch()
    assert objects.find() == (None, "none for this processor")


def test_arrays_are_laid_out_as_the_objects_take_them(monkeypatch) -> None:
    assert layouts.known() is (object.__basicsize__ == 16)
    monkeypatch.setattr(layouts, "ARRAY_FLAGS", layouts.ARRAY_FLAGS - 8)
    assert not layouts.known()
    assert layouts.kind_of("float32") == int.from_bytes(b"ff=", "little")
    assert np.dtype("<f4").byteorder == "="  # how the machine's own order is written
