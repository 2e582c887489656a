"""``python -m fastbp show``: what it prints, and what it refuses, whoever made the file."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import counts
from sealed import joined, mutated, parts_of

import fastbp
from fastbp import graph
from fastbp.__main__ import main
from fastbp.files import to_onnx
from fastbp.saving import container

safetensors = pytest.importorskip("safetensors.numpy", reason="nets are saved by it")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ROOT = Path(fastbp.__file__).parents[1]
SEED = 17
MUTATIONS = counts(150, 20_000, 15)

rng = np.random.default_rng(SEED)
X = rng.normal(size=(20, 2))
Y = np.where(X[:, 0] > 0, "up", "down")


def squared(y_pred, y):
    return float(((y_pred - y) ** 2).mean()), 2 * (y_pred - y) / y.size


def falling(update: int) -> float:
    return 0.1 / (1 + update)


def bent(z):
    return np.tanh(z), 1 - np.tanh(z) ** 2


def net(**options: Any) -> fastbp.MLP:
    """A net of known numbers with a history."""
    made = fastbp.MLP((2, 3, 1), seed=SEED, **options)
    made.params[...] = np.arange(made.n_params) / 8 - 0.5
    made.state.scalars[1] = 1234
    made.history = fastbp.History(
        [0.5, 0.25, 0.3],
        [0.5, 0.25, 0.25],
        {"val_loss": [0.75, 0.5, float("nan")], "learning_rate": [0.1, 0.1, 0.05]},
        stop_reason="no improvement of val_loss for 1 epochs",
        restored_epoch=2,
    )
    return made


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """A file in the current folder, so that what is printed does not depend on its name."""
    monkeypatch.chdir(tmp_path)
    return Path("net.safetensors")


def shown(path: Any, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    capsys.readouterr()
    assert main(["show", str(path), *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(path: Any, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on the standard error."""
    capsys.readouterr()
    assert main(["show", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip("\n")


NET = """\
file            net.safetensors, {n_bytes:,} bytes
format          safetensors, format 1 of fastbp; its SHA-256 is right
net             MLP 2-3-1, float32, 13 parameters in 52 bytes

layer  inputs  outputs  activation  parameters         weights       biases  frozen
    0       2        3        tanh           9   -0.5 to 0.125  0.25 to 0.5       6
    1       3        1     sigmoid           4  0.625 to 0.875            1       0

loss            BinaryCrossEntropy(label_smoothing=0.1)
optimizer       SGD(learning_rate=StepDecay(initial_rate=0.1, every=2, factor=0.5), momentum=0.9,
                nesterov=False)
                1,234 updates so far
regularization  l2=0.001, dropout=(0.5,)
targets         may be missing: NaN
history         3 epochs in 1 s; the best by val_loss is epoch 2; restored: epoch 2
                stopped: no improvement of val_loss for 1 epochs
                               epoch 1  epoch 2  epoch 3
                         loss      0.5     0.25      0.3
                     val_loss     0.75      0.5      nan
                learning_rate      0.1      0.1     0.05
"""


def test_a_net(path, capsys) -> None:
    made = net(
        activation="tanh", loss=fastbp.BinaryCrossEntropy(0.1), l2=0.001, dropout=[0.5],
        optimizer=fastbp.SGD(fastbp.StepDecay(0.1, 2, 0.5), momentum=0.9), missing_targets=True,
    )  # fmt: skip
    made.freeze(layers=[0], biases=False)
    made.save(path)
    assert shown(path, capsys) == NET.format(n_bytes=path.stat().st_size)


def test_a_net_that_was_never_trained(path, capsys) -> None:
    z = graph.variable("z")
    fastbp.MLP((2, 2, 1), activation=z * graph.sigmoid(z), bias=False, weight_init="zeros").save(
        path
    )
    lines = shown(path, capsys).splitlines()
    assert lines[5].split() == ["0", "2", "2", "z", "*", "sigmoid(z)", "4", "0", "none"]
    assert lines[-2:] == [" " * 16 + "0 updates so far", "history         no epochs"]


def test_code_is_shown_by_its_name(path, capsys) -> None:
    made = net(loss=squared, activation=bent, optimizer=fastbp.Adam(fastbp.WarmUp(falling, 9)))
    made.save(path)
    out = shown(path, capsys)
    assert "        bent  " in out
    assert "learning_rate=WarmUp(then=falling, updates=9)" in out
    assert (
        "code in Python  loss squared, learning_rate falling, activation bent\n"
        "                No file holds it: it is passed to fastbp.load(path, loss=..., "
        "learning_rate=..., activation=...)\n"
    ) in out


# ---- estimators ---------------------------------------------------------------------------------


def test_an_estimator(path, capsys) -> None:
    sklearn = pytest.importorskip("fastbp.sklearn")
    pandas = pytest.importorskip("pandas")
    columns = pandas.DataFrame(X, columns=["width", "height"])
    one = sklearn.MLPClassifier(
        (3,), max_iter=2, tol=0.0, random_state=np.random.RandomState(0), early_stopping=True,
        scoring=squared,
    )  # fmt: skip
    one.scoring = None
    one.fit(columns, Y)
    one.scoring = squared
    one.save(path)
    lines = shown(path, capsys).splitlines()
    start = lines.index("estimator       fastbp.sklearn.MLPClassifier")
    assert [line[16:] for line in lines[start + 1 : start + 6]] == [
        "early_stopping=True", "hidden_layer_sizes=(3,)", "max_iter=2",
        "random_state=RandomState(MT19937)", "tol=0.0",
    ]  # fmt: skip
    assert "network         MLP 2-3-1, float64, 13 parameters in 104 bytes" in lines
    assert "classes         2: 'down', 'up'" in lines
    assert "features        2: 'width', 'height'" in lines
    assert "iterations      2" in lines
    curve = next(line for line in lines if line.split()[:1] == ["loss_curve_"])
    first, last = one.loss_curve_
    assert curve.split()[1:] == [f"{x:.6g}" for x in (first, last, min(first, last))]
    assert lines[-2:] == [
        "code in Python  scoring squared",
        " " * 16 + "No file holds it: it is passed to fastbp.sklearn.load(path, scoring=...)",
    ]


def test_a_perceptron_and_one_that_is_not_fitted(path, capsys) -> None:
    sklearn = pytest.importorskip("fastbp.sklearn")
    unit = sklearn.Perceptron()
    unit.save(path)
    lines = shown(path, capsys).splitlines()
    assert lines[-2:] == ["parameters      all as by default", "network         not fitted"]
    unit.fit(X, Y)
    for change in ("densify", "sparsify"):
        getattr(unit, change)().save(path)
        lines = shown(path, capsys).splitlines()
        assert "network         2 inputs, 1 threshold units, float64" in lines
        coef = unit.coef_.toarray() if change == "sparsify" else unit.coef_
        row = ["0", "2", "1", "threshold", "3", f"{coef.min():.3g}", "to", f"{coef.max():.3g}"]
        assert [*row, f"{unit.intercept_[0]:.3g}"] in [line.split() for line in lines]


def test_a_class_of_the_users(path, capsys) -> None:
    sklearn = pytest.importorskip("fastbp.sklearn")

    class Mine(sklearn.MLPRegressor):
        def __init__(self, loss=None, optimizer=None, missing_targets=False, bound=9) -> None:
            super().__init__(loss=loss, optimizer=optimizer, missing_targets=missing_targets)
            self.bound = bound

    one = Mine(squared, fastbp.Adam(falling))
    one.max_iter = 1
    one.fit(X, X[:, 0]).save(path)
    out = shown(path, capsys)
    assert "estimator       Mine, derived from MLPRegressor of fastbp.sklearn\n" in out
    assert "parameters      bound=9\n" in out
    assert "code in Python  loss squared, optimizer falling, estimator Mine\n" in out


# ---- other files --------------------------------------------------------------------------------


def test_other_arrays(path, capsys) -> None:
    arrays = {"w": np.zeros((3, 4), np.float16), "n": np.zeros((), np.int8)}
    safetensors.save_file(arrays, path, {"author": "\x1b[31mme"})
    assert shown(path, capsys) == (
        f"file            net.safetensors, {path.stat().st_size} bytes\n"
        "format          safetensors, with nothing of fastbp in it\n"
        "metadata        author: \\x1b[31mme\n\n"
        "array  dtype       shape\n    n     I8  one number\n    w    F16       3 x 4\n\n"
    )
    found = json.loads(shown(path, capsys, "--json"))
    assert found["metadata"] == {"author": "\x1b[31mme"}
    assert found["arrays"]["w"] == {"dtype": "F16", "shape": [3, 4]}


def test_large_arrays_are_not_read(path, capsys) -> None:
    size = 2**32
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**30], "data_offsets": [0, size]}})
    with open(path, "wb") as file:  # a hole
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + size)
    tracemalloc.start()
    try:
        out = shown(path, capsys)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "w    F32  1073741824" in out
    assert peak < 2**24


def test_a_model_of_onnx(tmp_path, capsys) -> None:
    pytest.importorskip("onnx", reason="models are read by it")
    for name in ("net.onnx", "model"):
        to_onnx(net(), tmp_path / name)
        out = shown(tmp_path / name, capsys)
        assert "net             MLP 2-3-1, float32, 13 parameters in 52 bytes\n" in out
        assert "0       2        3        relu           9   -0.5 to 0.125  0.25 to 0.5" in out
    found = json.loads(shown(tmp_path / "net.onnx", capsys, "--json"))
    assert found["layer_sizes"] == [2, 3, 1]
    assert found["activations"] == ["relu", "identity"]


def test_json(path, capsys) -> None:
    net().save(path)
    found = json.loads(shown(path, capsys, "--json"))
    arrays, recipe = container.unpacked(path.read_bytes())
    assert (found["file"], found["kind"], found["format"]) == ("net.safetensors", "net", 1)
    assert found["bytes"] == path.stat().st_size
    assert found["recipe"] == recipe
    assert found["arrays"] == {
        name: {"dtype": dtype, "shape": list(shape)} for name, (dtype, shape) in arrays.items()
    }


# ---- what is refused ----------------------------------------------------------------------------


def test_damaged_files(path, capsys) -> None:
    net().save(path)
    sound = path.read_bytes()
    for at in range(0, len(sound), 97):
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 4]) + sound[at + 1 :])
        assert "damaged" in refused(path, capsys)
        path.write_bytes(sound[:at])
        assert refused(path, capsys).startswith("net.safetensors is ")


def test_a_damaged_name_does_not_make_it_a_file_of_others(path, capsys) -> None:
    net().save(path)
    path.write_bytes(path.read_bytes().replace(b'"fastbp"', b'"fastbq"'))
    assert "its SHA-256 is not the one" in refused(path, capsys)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"1,2,3\n4,5,6\n", pickle.dumps([1, 2]), b"\0" * 100, b"PK\x03\x04" + b"\0" * 50],
)
def test_files_of_another_kind(content: bytes, path, capsys) -> None:
    path.write_bytes(content)
    assert refused(path, capsys).startswith("net.safetensors is damaged, or none of what is read")


def test_what_is_no_file(tmp_path, capsys) -> None:
    assert refused(tmp_path, capsys) == f"{tmp_path} is not an ordinary file; only such are read"
    missing = tmp_path / "missing"
    assert refused(missing, capsys) == f"{missing}: No such file or directory"
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe", capsys).endswith(
        "is not an ordinary file; only such are read"
    )


def test_missing_libraries_are_named(path, capsys, monkeypatch) -> None:
    table, recipe, payload = net_parts(path)
    recipe["estimator"] = recipe.pop("layer_sizes")
    path.write_bytes(joined(table, recipe, payload))
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fastbp.sklearn.stand_ins", None)
        assert refused(path, capsys).endswith("pip install scikit-learn")
    net().save(path)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert refused(path, capsys).endswith("pip install safetensors")
    path.write_bytes(b"\x08")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert refused(path, capsys).endswith("pip install onnx")


# ---- strangers ----------------------------------------------------------------------------------


def net_parts(path: Path, **options: Any) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    net(**options).save(path)
    return parts_of(path.read_bytes())


def test_nothing_in_a_file_steers_the_terminal(path, capsys) -> None:
    table, recipe, payload = net_parts(path, loss=squared)
    recipe["loss"]["name"] = "\x1b[2Jclear\r\n\ud800\u202e"
    recipe["history"]["stop_reason"] = "\x07" * 1000
    path.write_bytes(joined(table, recipe, payload))
    out = shown(path, capsys)
    assert r"loss \x1b[2Jclear\r\n\ud800\u202e" in out
    assert all(line.isprintable() for line in out.splitlines())
    assert max(map(len, out.splitlines())) < 1000
    recipe["\x1b[2J"] = 0
    path.write_bytes(joined(table, recipe, payload))
    assert refused(path, capsys).isprintable()


def test_what_a_terminal_cannot_encode_is_escaped(path, capsys, monkeypatch) -> None:
    safetensors.save_file({"größe": np.zeros(1)}, path)
    assert "größe" in shown(path, capsys)
    monkeypatch.setattr(type(sys.stdout), "encoding", "ascii", raising=False)
    assert r"gr\xf6\xdfe" in shown(path, capsys)


@pytest.mark.parametrize("kind", ["net", "MLPClassifier", "Perceptron"])
def test_mutated_files_are_shown_or_refused(kind: str, path, capsys) -> None:
    if kind == "net":
        made: Any = net(loss=squared, optimizer=fastbp.Adam(falling))
    else:
        sklearn = pytest.importorskip("fastbp.sklearn")
        made = getattr(sklearn, kind)(max_iter=2, random_state=0).fit(X, Y)
    made.save(path)
    sound = path.read_bytes()
    draw = np.random.default_rng(SEED)
    statuses = {0: 0, 1: 0}
    for number in range(MUTATIONS):
        path.write_bytes(mutated(sound, draw))
        status = main(["show", str(path)])
        captured = capsys.readouterr()
        assert captured.err.count("\n") == status, f"mutation {number} of seed {SEED}"
        assert (captured.out == "") == (status == 1)
        assert all(line.isprintable() for line in captured.out.splitlines())
        statuses[status] += 1
    assert statuses[1] > 0


@pytest.mark.slow
def test_scikit_learn_is_not_imported_for_a_net(path) -> None:
    net(loss=squared).save(path)
    code = (
        "import sys; from fastbp.__main__ import main; main(['show', sys.argv[1]]);"
        "print(*sorted(name for name in sys.modules if 'sklearn' in name))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(path.resolve())],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == ""
