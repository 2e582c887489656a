"""`to_python`: the file alone has the outputs of the net; its text is clean and always the same."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from exchanged import DTYPES, TOLERANCE, UNITS, by_python, cases, imported, largest_error
from sklearn.preprocessing import StandardScaler

import fastbp
from fastbp import MLP
from fastbp.files import in_numpy, python, to_python
from fastbp.graph import dot, variable
from fastbp.graph import max as largest
from fastbp.graph import sum as total
from fastbp.kernels.elementary import normal_tail

COEFFICIENT = r"(-|) ?(\d+\.\d+(?:e-\d+)?)"
CONFIG = Path(fastbp.__file__).parents[1] / "pyproject.toml"


def written(net: object, folder: Path, **options: object) -> tuple[str, object]:
    """The text and the module."""
    path = folder / "net.py"
    to_python(net, path, **options)
    return path.read_text("utf-8"), imported(path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", UNITS)
def test_outputs_are_those_of_the_net(name: str, dtype: str) -> None:
    for net, X in cases(name, dtype):
        predict = by_python(net)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert largest_error(net, predict, X) <= TOLERANCE[dtype]
        assert predict(X).dtype == dtype


def test_weights_are_read_back_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    for dtype, kind in (("float32", np.uint32), ("float64", np.uint64)):
        net = MLP((50, 40, 1), dtype=dtype)
        bits = rng.integers(0, np.iinfo(kind).max, size=net.params.size, dtype=kind)
        found = bits.view(dtype)  # of all magnitudes, denormal numbers too
        net.params[...] = np.where(np.isfinite(found), found, 0.0)
        net.biases[0][:2] = [-0.0, 0.1]
        for most in (10**6, 0):  # as digits, and as base64
            monkeypatch.setattr(python, "MOST_DIGITS", most)
            text, module = written(net, tmp_path)
            assert ("base64" in text) == (most == 0)
            for i, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
                for got, array in (
                    (getattr(module, f"W{i}"), weight), (getattr(module, f"B{i}"), bias),
                ):  # fmt: skip
                    assert got.dtype == array.dtype and got.shape == array.shape
                    assert got.tobytes() == np.ascontiguousarray(array).tobytes()


def test_digits_near_the_middle_between_two_floats() -> None:
    # Read as float64, the shortest digits of this one lie just between it and its neighbour.
    array = np.array([0x15AE43FD], np.uint32).view(np.float32)
    assert str(array[0]) == "7.038531e-26" and np.float32(float("7.038531e-26")) != array[0]
    (text,) = python._digits(array)
    assert np.float32(float(text)) == array[0]


def test_large_nets_are_imported_fast_because_of_base64(tmp_path: Path) -> None:
    net = MLP((784, 128, 10), loss="cross_entropy", seed=0)
    text, module = written(net, tmp_path)
    assert len(text) < 560_000
    assert max(map(len, text.splitlines())) <= 88
    X = np.random.default_rng(0).random((20, 784), np.float32)
    assert largest_error(net, module.predict, X) <= 1e-6


def test_only_what_the_net_needs_is_in_the_file(tmp_path: Path) -> None:
    text, _ = written(MLP((2, 3, 1), activation="tanh", seed=0), tmp_path)
    assert [line for line in text.splitlines() if line.startswith("def ")] == [
        "def predict(X: npt.ArrayLike) -> Array:",
        "def main() -> None:",
    ]
    assert "base64" not in text and "LABELS" not in text and "SCALE" not in text
    text, _ = written(MLP((2, 3, 1), activation="silu", seed=0), tmp_path)
    assert "def silu(" in text and "def sigmoid(" in text and "def gelu(" not in text


def test_the_text_is_always_the_same(tmp_path: Path) -> None:
    texts = {
        written(MLP((2, 3, 1), activation=["gelu"], seed=0), folder)[0]
        for folder in (tmp_path, tmp_path)
    }
    assert len(texts) == 1


def test_labels_and_scaling(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(100.0, 20.0, size=(30, 4))
    scaler = StandardScaler().fit(X)
    net = MLP((4, 3), loss="cross_entropy", seed=0)
    _, module = written(net, tmp_path, input_scaler=scaler, class_labels=["low", "mid", "top"])
    expected = net.predict(scaler.transform(X))
    np.testing.assert_allclose(module.predict(X), expected, rtol=1e-5, atol=1e-7)
    assert module.classify(X).tolist() == [
        ["low", "mid", "top"][i] for i in expected.argmax(axis=1)
    ]
    net = MLP((4, 2), seed=0)
    _, module = written(net, tmp_path, input_scaler=(100.0, 20.0), output_scaler=([1e9, 0], [2, 3]))
    expected = net.predict((X - 100.0) / 20.0) * np.array([2.0, 3.0]) + [1e9, 0.0]
    assert module.predict(X).dtype == np.float64
    np.testing.assert_allclose(module.predict(X), expected, rtol=1e-12, atol=1e-6)


def test_labels_of_any_text_and_whole_number(tmp_path: Path) -> None:
    sentence = "more words than a line of the file has, in a label that must not be broken anywhere"
    texts = [sentence, "  two  spaces  ", "\t", "\r\n", "'\"\\", '"""', "*/ # %s {}", "日本🎉", ""]
    numbers = [-(2**63), 2**63 - 1, *range(1000, 1007)]
    net = MLP((2, 9), loss="cross_entropy", seed=0)
    X = np.random.default_rng(0).normal(size=(50, 2)) * 20.0
    chosen = net.predict(X).argmax(axis=1)
    assert len(set(chosen)) >= 5
    for labels in (texts, numbers):
        _, module = written(net, tmp_path, class_labels=labels)
        assert module.LABELS.tolist() == labels
        assert module.classify(X).tolist() == [labels[i] for i in chosen]


@pytest.mark.parametrize(("loss", "threshold"), [("binary_cross_entropy", 0.5), ("hinge", 0.0)])
def test_one_output_and_two_labels(loss: str, threshold: float, tmp_path: Path) -> None:
    net = MLP((2, 5, 1), loss=loss, seed=0)
    _, module = written(net, tmp_path, class_labels=[-1, 7])
    X = np.random.default_rng(0).normal(size=(40, 2))
    expected = np.where(net.predict(X)[:, 0] > threshold, 7, -1)
    assert set(expected) == {-1, 7}
    np.testing.assert_array_equal(module.classify(X), expected)


def test_without_biases_and_in_another_dtype(tmp_path: Path) -> None:
    net = MLP((3, 4, 2), bias=False, dtype="float64", seed=0)
    text, module = written(net, tmp_path, dtype="float32")
    assert "B0" not in text
    X = np.random.default_rng(0).normal(size=(9, 3))
    assert module.predict(X).dtype == np.float32
    np.testing.assert_allclose(module.predict(X), net.predict(X), rtol=1e-5, atol=1e-6)


def test_estimators_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.neural_network import MLPClassifier

    from fastbp.sklearn import MLPClassifier as Ours

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.where(X[:, 0] > 0.0, "right", "left")
    for kind, options in ((MLPClassifier, {"max_iter": 2000}), (Ours, {})):
        estimator = kind((8,), random_state=0, solver="lbfgs", **options).fit(X, y)
        _, module = written(estimator, tmp_path)
        np.testing.assert_array_equal(module.classify(X), estimator.predict(X))
        got = module.predict(X)[:, 0]
        np.testing.assert_allclose(got, estimator.predict_proba(X)[:, 1], rtol=1e-5, atol=1e-9)


def test_deep_graphs_and_operations_of_many(tmp_path: Path) -> None:
    z = variable("a name with blanks")
    steps = z
    for i in range(300):
        steps = (steps + 0.001 * i) * 0.9 if i % 2 else largest(steps, -steps, 0.1)
    many = total([z * 0.01] * 200) - dot([z, 2.0, steps], [0.5, steps, z]) + abs(-z) ** 1.5
    net = MLP((2, 3, 1), activation=many, dtype="float64", seed=0)
    text, module = written(net, tmp_path)
    assert "blanks" not in text and max(map(len, text.splitlines())) < 200
    X = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(module.predict(X), net.predict(X), rtol=1e-12)


def test_layers_share_the_function_of_a_graph(tmp_path: Path) -> None:
    z = variable("z")
    unit = z / (1.0 + abs(z))
    net = MLP((2, 3, 3, 1), activation=[unit, unit], output_activation=z * 2.0, seed=0)
    text, module = written(net, tmp_path)
    assert text.count("def activation_") == 2
    X = np.random.default_rng(0).normal(size=(9, 2))
    np.testing.assert_allclose(module.predict(X), net.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([1.0, 2.0], r"X must have shape \(rows, 2\); got shape \(2,\)"),
        ([[1.0, 2.0, 3.0]], r"got shape \(1, 3\)"),
        ([[1.0, np.nan]], "X must hold finite numbers within float32"),
        ([[1.0, 1e300]], "X must hold finite numbers within float32"),
    ],
)
def test_the_file_refuses_what_the_net_refuses(X: list, message: str, tmp_path: Path) -> None:
    net = MLP((2, 1), seed=0)
    _, module = written(net, tmp_path)
    with pytest.raises(ValueError):
        net.predict(X)
    with pytest.raises(ValueError, match=message):
        module.predict(X)


def run(path: Path, text: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(path)], input=text, capture_output=True, text=True, cwd=path.parent
    )


def test_the_file_is_a_program(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    net = MLP((2, 3, 2), loss="cross_entropy", seed=0)
    to_python(net, path)
    done = run(path, "1,2\n-0.5,3e0\n")
    assert done.stderr == ""
    got = np.array([line.split(",") for line in done.stdout.split()], float)
    np.testing.assert_allclose(got, net.predict([[1.0, 2.0], [-0.5, 3.0]]), rtol=1e-6)
    to_python(net, path, class_labels=["yes", "no"])
    expected = ["yes", "no"][net.predict([[1.0, 2.0]]).argmax()]
    assert run(path, "1,2\n").stdout == f"{expected}\n"
    done = run(path, "width,height\n1,2\n")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "Wanted: lines of 2 comma-separated numbers, no header" in done.stderr


@pytest.mark.slow
def test_ruff_and_mypy_find_nothing(tmp_path: Path) -> None:
    paths = []
    for i, unit in enumerate([*UNITS.values(), "relu"]):
        hidden = "tanh" if unit in ("softmax", "exp") else unit
        net = MLP((3, 200 if unit == "relu" else 4, 150, 2), activation=hidden, seed=0,
                  output_activation=unit)  # fmt: skip
        paths.append(tmp_path / f"net_{i}.py")
        to_python(net, paths[-1], class_labels=["a", 'b"""'], input_scaler=(0, 1))
    for command in (
        ["ruff", "check", "--isolated", "--select", "E,F,W,I,UP,B,C4,NPY,RUF100"],
        ["ruff", "check", "--config", str(CONFIG), "--config", "lint.per-file-ignores={}"],
        ["ruff", "format", "--isolated", "--check"],
        ["mypy", "--strict", "--no-incremental"],
    ):
        command = [sys.executable, "-m", *command, *map(str, paths)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_be_written_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("old")
    net = MLP((2, 3, 1), activation=lambda z: (z, np.ones_like(z)), seed=0)
    with pytest.raises(ValueError, match="a function in Python, which no other format has"):
        to_python(net, path)
    with pytest.raises(TypeError, match="net must be an MLP"):
        to_python("net", path)
    net = MLP((2, 3, 1), seed=0)
    net.weights[0][0, 0] = np.nan
    with pytest.raises(ValueError, match="the weight of layer 0 holds nan"):
        to_python(net, path)
    assert path.read_text() == "old"


def test_the_coefficients_are_those_of_the_kernel() -> None:
    """They stand twice: the kernel adds them up line by line, without a loop over a tuple."""
    source = inspect.getsource(getattr(normal_tail, "py_func", normal_tail))
    double = source.split("    else:\n")[1].split("    share =")[0]
    found = [float(f"{sign}{number}") for sign, number in re.findall(COEFFICIENT, double)]
    assert tuple(found) == in_numpy.NORMAL_TAIL
