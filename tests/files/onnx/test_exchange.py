"""`to_onnx` in ONNX Runtime: names, labels, scalers, estimators, random nets; and back."""

from __future__ import annotations

import os
import stat
import sys
from typing import Any

import numpy as np
import pytest
from helpers import counts

import fastbp
from fastbp import MLP, graph
from fastbp.files import from_onnx, to_onnx
from fastbp.files.onnx import writing
from fastbp.kernels.activations import HIDDEN_ACTIVATIONS
from fastbp.sklearn import MLPClassifier, MLPRegressor

onnx = pytest.importorskip("onnx", reason="models are written by the onnx library")
pytest.importorskip("onnxruntime", reason="models are computed by ONNX Runtime")

from onnx_errors import GRAPHS, TOLERANCES, error, run  # noqa: E402 (it needs ONNX Runtime)

SEED = 29


def rows(n: int = 50, columns: int = 3, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(SEED).normal(1.0, 2.0, (n, columns)).astype(dtype)


def net(*sizes: int, **options: Any) -> MLP:
    made = MLP(sizes or (3, 5, 2), **({"activation": "tanh", "seed": SEED} | options))
    for bias in made.biases:
        bias[...] = np.random.default_rng(SEED).normal(size=bias.shape)
    return made


def shapes(values: Any) -> dict[str, tuple[int, list[Any]]]:
    """Types and shapes of inputs or outputs, by name."""
    return {
        item.name: (
            item.type.tensor_type.elem_type,
            [dim.dim_param or dim.dim_value for dim in item.type.tensor_type.shape.dim],
        )
        for item in values
    }


# ---- the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("dtype", "code"), [("float32", 1), ("float64", 11)])
def test_what_the_file_says_of_itself(dtype, code, tmp_path) -> None:
    to_onnx(net(dtype=dtype), tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    assert (model.producer_name, model.producer_version) == ("fastbp", fastbp.__version__)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    assert shapes(model.graph.input) == {"input": (code, ["batch", 3])}
    assert shapes(model.graph.output) == {"output": (code, ["batch", 2])}
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Tanh", "Gemm"]
    assert [node.name for node in model.graph.node] == [
        "layers.0/Gemm", "layers.0/tanh/Tanh", "layers.1/Gemm",
    ]  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_any_number_of_rows(n, tmp_path) -> None:
    made = net(loss="cross_entropy")
    to_onnx(made, tmp_path / "net.onnx", class_labels=["no", "yes"])
    label, probabilities = run(tmp_path / "net.onnx", rows(n))
    assert label.shape == (n,)
    y = made.predict(rows(n)) if n else np.empty((0, 2), np.float32)  # which fastbp refuses
    assert error(probabilities, y) < 1e-6


def test_a_dtype_of_its_own(tmp_path) -> None:
    made = net(dtype="float64", activation="gelu")
    to_onnx(made, tmp_path / "net.onnx", dtype="float32")
    got = run(tmp_path / "net.onnx", rows())[0]
    assert error(got, made.predict(rows()).astype(np.float32)) < 1e-6
    to_onnx(net(activation="gelu"), tmp_path / "net.onnx", dtype="float64")
    assert run(tmp_path / "net.onnx", rows(dtype="float64"))[0].dtype == np.float64


def test_an_old_file_stays_when_writing_fails(tmp_path, monkeypatch) -> None:
    path = tmp_path / "net.onnx"
    to_onnx(net(), path)
    before = path.read_bytes()

    def fail(number: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space left"):
        to_onnx(net(seed=1), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["net.onnx"]
    if os.name != "nt":
        assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


# ---- labels -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "outputs", "labels", "name"),
    [
        ("cross_entropy", 3, [7, -1, 3], "probabilities"),
        ("cross_entropy", 2, ["no", "yes"], "probabilities"),
        ("binary_cross_entropy", 1, ["no", "yes"], "probabilities"),
        ("binary_cross_entropy", 3, ["a", "b", "ü"], "probabilities"),
        ("hinge", 1, [-1, 1], "scores"),
        ("squared_error", 1, [False, True], "scores"),
        ("squared_error", 4, list("abcd"), "scores"),
    ],
)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_labels(loss, outputs, labels, name, dtype, tmp_path) -> None:
    made = net(3, 5, outputs, loss=loss, dtype=dtype)
    X = rows(200, dtype=dtype)
    to_onnx(made, tmp_path / "net.onnx", class_labels=labels)
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [item.name for item in model.graph.output] == ["label", name]
    label, scores = run(tmp_path / "net.onnx", X)
    y = made.predict(X)
    if outputs == 1:
        chosen = (y[:, 0] > (0.0 if loss == "hinge" else 0.5)).astype(int)
    else:
        chosen = y.argmax(axis=1)
    assert set(chosen) == set(range(max(outputs, 2)))
    assert label.tolist() == [labels[i] for i in chosen]
    if outputs == 1 and name == "probabilities":
        y = np.hstack([1.0 - y, y])
    assert error(scores, y) < TOLERANCES[dtype]
    back = from_onnx(tmp_path / "net.onnx", loss=loss)
    assert back.layer_sizes == made.layer_sizes
    assert (back.params == made.params).all()


def test_of_equal_outputs_the_first_is_the_label(tmp_path) -> None:
    made = net(3, 4, loss="cross_entropy")
    made.params[...] = 0.0
    to_onnx(made, tmp_path / "net.onnx", class_labels=list("abcd"))
    assert set(run(tmp_path / "net.onnx", rows())[0]) == {"a"}


@pytest.mark.parametrize("library", ["fastbp.sklearn", "sklearn.neural_network"])
@pytest.mark.parametrize("classes", [["no", "yes"], [3, 5, 9]])
def test_classifiers(library, classes, tmp_path) -> None:
    kind = pytest.importorskip(library).MLPClassifier
    X = rows(120).astype(np.float64)
    y = np.array(classes)[np.random.default_rng(SEED).integers(len(classes), size=120)]
    with pytest.warns(UserWarning, match="onverge"):
        made = kind(hidden_layer_sizes=(6,), max_iter=20, random_state=0).fit(X, y)
    to_onnx(made, tmp_path / "net.onnx")
    label, probabilities = run(tmp_path / "net.onnx", X)
    assert label.tolist() == made.predict(X).tolist()
    assert error(probabilities, made.predict_proba(X)) < 1e-12
    back = from_onnx(tmp_path / "net.onnx")
    assert error(back.predict(X)[:, -1], made.predict_proba(X)[:, -1]) < 1e-12


@pytest.mark.parametrize("columns", [1, 2])
def test_regressors(columns, tmp_path) -> None:
    X = rows(60).astype(np.float64)
    with pytest.warns(UserWarning, match="onverge"):
        made = MLPRegressor(hidden_layer_sizes=(6,), activation="gelu", max_iter=5, random_state=0)
        made.fit(X, X[:, 0] if columns == 1 else X[:, :2])
    to_onnx(made, tmp_path / "net.onnx")
    assert error(run(tmp_path / "net.onnx", X)[0], made.predict(X).reshape(60, -1)) < 1e-12


# ---- scalers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_scalers(kind, dtype, tmp_path) -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    far = 1e6 if dtype == "float32" else 1e3  # MinMaxScaler's own numbers lose digits
    X = (rows(200) * np.array([0.01, 30.0, 1.0]) + np.array([0.0, 2026.0, far])).astype(dtype)
    targets = rows(200, 2).astype(np.float64) * 1000.0 + 5e4
    inputs, outputs = getattr(preprocessing, kind)(), getattr(preprocessing, kind)()
    inputs.fit(X.astype(np.float64))
    outputs.fit(targets)
    made = net(dtype=dtype)
    wanted = outputs.inverse_transform(made.predict(inputs.transform(X.astype(np.float64))))
    to_onnx(made, tmp_path / "net.onnx", input_scaler=inputs, output_scaler=outputs)
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    got = run(tmp_path / "net.onnx", X)[0]
    assert error(got, wanted.astype(dtype)) < TOLERANCES[dtype]
    if dtype == "float64":  # in float32, the folded weights would lose digits
        assert error(from_onnx(tmp_path / "net.onnx").predict(X), wanted) < 1e-12


def test_scalings_are_folded_into_the_first_and_the_last_layer(tmp_path) -> None:
    made = net(dtype="float64", bias=False)
    scales = {"input_scaler": (2.0, 4.0), "output_scaler": ([1.0, -1.0], [8.0, 0.5])}
    to_onnx(made, tmp_path / "net.onnx", **scales)
    back = from_onnx(tmp_path / "net.onnx")
    assert (back.weights[0] == made.weights[0] / 4.0).all()
    assert np.allclose(back.biases[0], -0.5 * made.weights[0].sum(axis=0), rtol=1e-15)
    assert (back.weights[1] == made.weights[1] * [8.0, 0.5]).all()
    assert (back.biases[1] == [1.0, -1.0]).all()


def test_a_scaled_output_after_an_activation_is_a_graph_or_refused(tmp_path) -> None:
    made = net(output_activation="tanh", dtype="float64")
    to_onnx(made, tmp_path / "net.onnx", output_scaler=(3.0, 2.0))
    back = from_onnx(tmp_path / "net.onnx")
    assert error(back.predict(rows()), made.predict(rows()) * 2.0 + 3.0) < 1e-15
    to_onnx(made, tmp_path / "net.onnx", output_scaler=([3.0, 4.0], 2.0))
    with pytest.raises(ValueError, match=r"node 'output_scaling/Add' \(Add\) is part of no activ"):
        from_onnx(tmp_path / "net.onnx")


# ---- at random ----------------------------------------------------------------------------------

LOSSES = (
    ("squared_error", None), ("cross_entropy", None), ("binary_cross_entropy", None),
    ("poisson", None), ("hinge", None), ("squared_error", "tanh"), ("squared_error", "elu"),
)  # fmt: skip
CHOICES = [*HIDDEN_ACTIVATIONS, *(unit for name, unit in GRAPHS.items() if name != "cancellation")]
"""The one with cancellation comes back as sigmoid."""


def random_net(rng: np.random.Generator) -> MLP:
    sizes = rng.integers(1, 12, size=rng.integers(2, 6)).tolist()
    loss, output = LOSSES[rng.integers(len(LOSSES))]
    sizes[-1] = max(sizes[-1], 2 if loss == "cross_entropy" else 1)
    return net(
        *sizes,
        activation=[CHOICES[i] for i in rng.integers(len(CHOICES), size=len(sizes) - 2)],
        loss=loss,
        output_activation=output,
        dtype=str(rng.choice(list(TOLERANCES))),
        bias=bool(rng.integers(2)),
        seed=int(rng.integers(1000)),
    )


def in_double(made: MLP, X: np.ndarray) -> np.ndarray:
    """What the same parameters give in float64."""
    output = made.activations[-1]
    other = MLP(
        made.layer_sizes,
        activation=list(made.activations[:-1]),
        output_activation=None if output == "identity" else output,
        loss=made.spec.loss,
        dtype="float64",
        bias=bool(made.biases),
    )
    other.params[...] = made.params
    return other.predict(X)


def test_random_nets_there_and_back(tmp_path) -> None:
    seed = int.from_bytes(os.urandom(4), "little")
    print("seed", seed)
    path = tmp_path / "net.onnx"
    for number in range(counts(30, 3000, 3)):
        rng = np.random.default_rng([seed, number])
        made = random_net(rng)
        X = rng.normal(size=(rng.choice([1, 2, 300]), made.layer_sizes[0])).astype(made.dtype)
        y = made.predict(X)
        to_onnx(made, path, opset=int(rng.integers(13, 21)))
        # as far as fastbp's own sums are from exact ones, in another order, is no fault of either
        own = error(y.astype(np.float64), in_double(made, X)) if made.dtype == "float32" else 0.0
        assert error(run(path, X)[0], y) <= TOLERANCES[made.dtype.name] + 4.0 * own, number
        back = from_onnx(path, loss=made.spec.loss)
        assert back.dtype == made.dtype
        assert (back.params == made.params).all(), number
        assert error(back.predict(X), y) <= TOLERANCES[made.dtype.name], number
        names = [unit for unit in made.activations if isinstance(unit, str)]
        assert [unit for unit in back.activations if isinstance(unit, str)] == names, number


def test_a_net_that_came_back_can_be_trained(tmp_path) -> None:
    made = net(loss="cross_entropy", activation=graph.variable("a") ** 2)
    X, y = rows(), np.arange(50) % 2
    to_onnx(made, tmp_path / "net.onnx")
    back = from_onnx(tmp_path / "net.onnx", optimizer="rmsprop", dtype="float64")
    assert (type(back.optimizer).__name__, back.dtype) == ("RMSprop", np.float64)
    history = back.fit(X, y, epochs=20)
    assert history["loss"][-1] < history["loss"][0]


# ---- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [12, 1000, 13.5, "13"])
def test_other_opsets_are_refused(opset, tmp_path) -> None:
    with pytest.raises((ValueError, TypeError), match="opset must be"):
        to_onnx(net(), tmp_path / "net.onnx", opset=opset)
    assert not list(tmp_path.iterdir())


def test_more_than_a_file_holds_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(writing, "LONGEST", 100)
    with pytest.raises(ValueError, match="at most 100 bytes of weights and biases, .*; got 128"):
        to_onnx(net(), tmp_path / "net.onnx")


@pytest.mark.parametrize("scaler", ["input_scaler", "output_scaler"])
@pytest.mark.parametrize("wrong", [(0.0, 1e-50), (0.0, 1e39), (1e300, 1e300), (0.0, 1e-40)])
def test_scales_beyond_float32_are_refused(scaler, wrong, tmp_path) -> None:
    with pytest.raises(ValueError, match=f"{scaler} must have means, scales .*float32"):
        to_onnx(net(), tmp_path / "net.onnx", **{scaler: wrong})
    assert not list(tmp_path.iterdir())
    to_onnx(net(), tmp_path / "net.onnx", dtype="float64", **{scaler: wrong})


def test_a_function_in_python_is_refused(tmp_path) -> None:
    made = net(activation=lambda z: (z, np.ones_like(z)))
    with pytest.raises(ValueError, match="a function in Python"):
        to_onnx(made, tmp_path / "net.onnx")


def test_an_estimator_that_is_not_fitted_is_refused(tmp_path) -> None:
    with pytest.raises(TypeError, match="Fit it first"):
        to_onnx(MLPClassifier(), tmp_path / "net.onnx")


def test_without_the_library(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for call in (lambda: to_onnx(net(), tmp_path / "a"), lambda: from_onnx(tmp_path / "a")):
        with pytest.raises(ImportError, match="need the onnx library: pip install onnx"):
            call()
