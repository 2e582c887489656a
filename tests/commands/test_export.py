"""``python -m fastbp export``: the files are those of the functions, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastbp
from fastbp.__main__ import main
from fastbp.files import to_c, to_onnx, to_python

safetensors = pytest.importorskip("safetensors.numpy", reason="nets are saved by it")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
SEED = 18
ROWS = np.random.default_rng(SEED).normal(size=(50, 2)).round(3)


def squared(y_pred, y):
    return float(((y_pred - y) ** 2).mean()), 2 * (y_pred - y) / y.size


def bent(z):
    return np.tanh(z), 1 - np.tanh(z) ** 2


def net(**options: Any) -> fastbp.MLP:
    return fastbp.MLP((2, 3, 3), **({"loss": "cross_entropy", "seed": SEED} | options))


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch) -> None:
    """Where all names in these tests are."""
    monkeypatch.chdir(tmp_path)
    net().save("net.safetensors")


def exported(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines that are printed."""
    capsys.readouterr()
    status = main(["export", *arguments])
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    return captured.out.splitlines()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on the standard error."""
    capsys.readouterr()
    assert main(["export", *arguments]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


def size(path: str) -> str:
    return f"{Path(path).stat().st_size:,}"


def same(one: str, other: str) -> bool:
    return Path(one).read_bytes() == Path(other).read_bytes()


# ---- what is written ----------------------------------------------------------------------------


def test_c_and_python(capsys) -> None:
    Path("net.py").write_text("an old file")
    lines = exported(
        capsys, "net.safetensors", "--c", "device", "--python", "net.py", "--name", "iris",
        "--dtype", "float64", "--labels", "a,b, c",
    )  # fmt: skip
    options = {"dtype": "float64", "class_labels": ["a", "b", "c"]}
    to_python(net(), "wanted.py", **options)
    made = to_c(net(), "wanted", name="iris", **options)
    assert same("net.py", "wanted.py")
    assert same("device/iris.c", "wanted/iris.c") and same("device/iris.h", "wanted/iris.h")
    n_bytes = Path("device/iris.c").stat().st_size + Path("device/iris.h").stat().st_size
    assert lines == [
        f"{Path('device/iris.h')}, {Path('device/iris.c')}: {n_bytes:,} bytes of C99",
        f"  {made.flash:,} bytes of flash for constants, {made.ram:,} of RAM in a call",
        f"net.py: {size('net.py')} bytes of Python, which needs NumPy alone",
        "  predict(X) in it, or: python net.py < rows.csv",
    ]


def test_onnx_there_and_back(capsys) -> None:
    pytest.importorskip("onnx", reason="models are written by it")
    lines = exported(capsys, "net.safetensors", "--onnx", "net.onnx")
    to_onnx(net(), "wanted.onnx")
    assert same("net.onnx", "wanted.onnx")
    assert lines == [f"net.onnx: {size('net.onnx')} bytes, a model of ONNX"]
    exported(capsys, "net.onnx", "--python", "net.py")
    to_python(net(), "wanted.py")
    assert same("net.py", "wanted.py")


@pytest.mark.parametrize("name", ["rows.csv", "rows.npy"])
def test_int8(name: str, capsys) -> None:
    if name == "rows.npy":
        np.save(name, ROWS)
    else:
        Path(name).write_text("\n".join(",".join(map(str, row)) for row in ROWS) + "\n\n")
    made = to_c(net(), "wanted", dtype="int8", calibration=ROWS)
    lines = exported(
        capsys, "net.safetensors", "--c", "device", "--dtype", "int8", "--calibration", name
    )
    assert same("device/net.c", "wanted/net.c")
    assert lines[-1] == f"  {made.error}"


def test_training(capsys) -> None:
    net(optimizer="sgd").save("net.safetensors")
    exported(capsys, "net.safetensors", "--c", ".", "--training")
    assert "net_train_step(" in Path("net.h").read_text()


def test_a_loss_in_python_does_not_matter(capsys) -> None:
    net(loss=squared).save("own.safetensors")
    exported(capsys, "own.safetensors", "--python", "own.py")
    to_python(net(loss="squared_error"), "wanted.py")
    assert same("own.py", "wanted.py")


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("2,0,1", [2, 0, 1]),
        ("-1, 0, 1", [-1, 0, 1]),
        ("01,02,03", ["01", "02", "03"]),
        ("1,2,x", ["1", "2", "x"]),
        ('"a, b",c,d e', ["a, b", "c", "d e"]),
        ("é,ü,ß", ["é", "ü", "ß"]),
    ],
)
def test_labels(text: str, labels: list[Any], capsys) -> None:
    exported(capsys, "net.safetensors", "--python", "net.py", f"--labels={text}")
    to_python(net(), "wanted.py", class_labels=labels)
    assert same("net.py", "wanted.py")


def test_estimators_bring_their_classes(capsys) -> None:
    sklearn = pytest.importorskip("fastbp.sklearn")

    class Mine(sklearn.MLPClassifier):
        """Of the user's."""

    y = np.where(ROWS[:, 0] > 0, "up", "down")
    for kind in (sklearn.MLPClassifier, Mine):
        one = kind((3,), max_iter=2, random_state=0).fit(ROWS, y)
        one.save("est.safetensors")
        exported(capsys, "est.safetensors", "--python", "est.py")
        to_python(one, "wanted.py")
        assert same("est.py", "wanted.py")
        text = Path("est.py").read_text()
        assert 0 < text.index("'down'") < text.index("'up'")


def test_an_estimator_whose_loss_and_rate_are_code(capsys) -> None:
    sklearn = pytest.importorskip("fastbp.sklearn")
    one = sklearn.MLPRegressor(
        hidden_layer_sizes=(3,), loss=squared, optimizer=fastbp.Adam(lambda i: 0.1), max_iter=1,
        random_state=0,
    )  # fmt: skip
    one.fit(ROWS, ROWS[:, 0]).save("est.safetensors")
    exported(capsys, "est.safetensors", "--python", "est.py")
    to_python(one, "wanted.py")
    assert same("est.py", "wanted.py")


# ---- what is refused ----------------------------------------------------------------------------


def test_an_activation_in_python_is_refused(capsys) -> None:
    net(activation=bent).save("own.safetensors")
    assert refused(capsys, "own.safetensors", "--python", "own.py").startswith(
        "layer 0 has the activation bent, a function in Python, which no other format has. Take"
    )
    assert not Path("own.py").exists()


def test_what_has_no_net_is_refused(capsys) -> None:
    sklearn = pytest.importorskip("fastbp.sklearn")
    sklearn.MLPClassifier().save("empty.safetensors")
    sklearn.Perceptron().fit(ROWS, ROWS[:, 0] > 0).save("unit.safetensors")
    safetensors.save_file({"w": ROWS}, "rows.safetensors")
    for name, what in (
        ("empty", "an estimator that is not fitted"),
        ("unit", "a Perceptron, whose threshold units none of these formats has"),
        ("rows", "arrays, and nothing that says how they make a net"),
    ):
        assert refused(capsys, f"{name}.safetensors", "--python", "x.py") == (
            f"{name}.safetensors holds {what}. Take the file of an MLP, or of a fitted "
            "MLPClassifier or MLPRegressor"
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--python", "net.safetensors"], "net.safetensors would be written over; give each"),
        (["--python", "./x/../net.safetensors"], "net.safetensors would be written over; give"),
        (["--python", "x", "--onnx", "x"], "x would be written over; give each file a name"),
        (["--python", "c/net.c", "--c", "c"], "net.c would be written over; give each file a"),
        (["--python", "missing/net.py"], "missing/net.py cannot be written: No such file or dir"),
        (["--c", "net.safetensors"], "net.safetensors cannot be written: File exists"),
        (["--python", "."], ". is a folder; a file is replaced as a whole"),
        (["--c", "c", "--name", "3x"], "name must be an identifier of C"),
        (["--python", "x", "--labels", "a,b"], "class_labels must be 3 different whole numbers"),
        (["--python", "x", "--labels", ""], "class_labels must be 3 different whole numbers"),
        (["--c", "c", "--training"], "training=True makes steps of plain SGD"),
    ],
)
def test_bad_requests(arguments: list[str], message: str, capsys) -> None:
    Path("x").mkdir() if "./x/" in str(arguments) else None
    before = Path("net.safetensors").read_bytes()
    assert message in refused(capsys, "net.safetensors", *arguments)
    assert Path("net.safetensors").read_bytes() == before


def npy(**lies: Any) -> bytes:
    """A file of NumPy whose header says what it likes."""
    given = {"descr": "<f8", "fortran_order": False, "shape": (50, 2)} | lies
    header = repr(given).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + ROWS.tobytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: it is empty. Wanted are rows of 2 numbers: lines with commas"),
        ("a.csv", b"a,b\n1,2\n", "a.csv: could not convert string 'a' to float64 at row 0, col"),
        ("a.csv", b"1,2\n3\n", "a.csv: the number of columns changed from 2 to 1"),
        ("a.csv", b"\xff\xfe1", "a.csv: it is not text. Wanted are rows of 2 numbers"),
        ("a.csv", b"1,2,3\n", "calibration must have shape (rows, 2), the net's inputs"),
        ("a.csv", b"1,nan\n", "calibration holds nan at row 0, column 1"),
        ("a.npy", b"", "a.npy: EOF: reading magic string"),
        ("a.npy", npy(shape=(2**40, 2)), "a.npy: mmap length is greater than file size"),
        ("a.npy", npy(descr="|O"), "a.npy: Array can't be memory-mapped: Python objects"),
        ("a.npy", npy(descr="<c16", shape=(25, 2)), "calibration must hold real numbers"),
        ("a.npy", b"\x80\x04N.", "a.npy: EOF: reading magic string"),
        ("a.npy", b"PK\x03\x04" + b"\0" * 20, "a.npy: the magic string is not correct"),
    ],
)
def test_bad_calibration(name: str, content: bytes, message: str, capsys) -> None:
    Path(name).write_bytes(content)
    line = refused(capsys, "net.safetensors", "--c", "c", "--dtype", "int8", "--calibration", name)
    assert line.startswith(message)
    assert not Path("c").exists()


def test_a_calibration_that_is_not_there(capsys) -> None:
    arguments = ["net.safetensors", "--c", "c", "--dtype", "int8", "--calibration"]
    for name in ("rows.npy", "rows.csv"):
        assert refused(capsys, *arguments, name) == f"{name}: No such file or directory"


def test_a_missing_library_is_named(capsys, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    line = refused(capsys, "net.safetensors", "--onnx", "net.onnx")
    assert line.endswith("pip install onnx")


def test_a_damaged_file_is_refused(capsys) -> None:
    content = Path("net.safetensors").read_bytes()
    Path("net.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    line = refused(capsys, "net.safetensors", "--python", "net.py")
    assert line.startswith("net.safetensors is not loaded: it is damaged")
    assert not Path("net.py").exists()
