"""`from_onnx`: what is read, in every way that it is written, and what is refused by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastbp.files import from_onnx
from fastbp.graph.in_nets import GraphActivation
from fastbp.kernels.activations import ACTIVATIONS

onnx = pytest.importorskip("onnx", reason="models are read by the onnx library")
pytest.importorskip("onnxruntime", reason="models are computed by ONNX Runtime")

from made_onnx import ARRAYS, B, V, W, X, model, node, written  # noqa: E402 (they need onnx)
from onnx import TensorProto, helper  # noqa: E402
from onnx_errors import error  # noqa: E402


def computed(path: Path, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


LAYER = node("Gemm", ["x", "W", "B"], ["z"])
ONE: dict[str, list[Any]] = {
    "a product": [node("MatMul", ["x", "W"], ["y"])],
    "a product and a bias": [node("MatMul", ["x", "W"], ["z"]), node("Add", ["z", "B"], ["y"])],
    "the bias first": [node("MatMul", ["x", "W"], ["z"]), node("Add", ["B", "z"], ["y"])],
    "a bias with two axes": [node("MatMul", ["x", "W"], ["z"]), node("Add", ["z", "row"], ["y"])],
    "a subtracted bias": [node("MatMul", ["x", "W"], ["z"]), node("Sub", ["z", "B"], ["y"])],
    "Gemm": [node("Gemm", ["x", "W", "B"], ["y"])],
    "Gemm without a bias": [node("Gemm", ["x", "W"], ["y"])],
    "Gemm with a bias left out": [node("Gemm", ["x", "W", ""], ["y"])],
    "Gemm of one bias": [node("Gemm", ["x", "W", "two"], ["y"])],
    "Gemm of a row": [node("Gemm", ["x", "W", "row"], ["y"])],
    "Gemm with all attributes": [
        node("Gemm", ["x", "WT", "B"], ["y"], alpha=0.5, beta=-2.0, transB=1, transA=0)],
    "columns of samples": [
        node("Transpose", ["x"], ["t"]), node("Gemm", ["t", "W", "B"], ["y"], transA=1)],
    "transposed weights": [
        node("Transpose", ["WT"], ["w"], perm=[1, 0]), node("MatMul", ["x", "w"], ["y"])],
    "scaled inputs": [
        node("Sub", ["x", "threshold"], ["a"]), node("Div", ["a", "threshold"], ["b"]),
        node("Gemm", ["b", "W", "B"], ["y"])],
    "inputs scaled by a number": [
        node("Mul", ["half", "x"], ["a"]), node("Sub", ["one", "a"], ["b"]),
        node("MatMul", ["b", "W"], ["y"])],
    "scaled outputs": [
        LAYER, node("Mul", ["z", "row"], ["a"]), node("Neg", ["a"], ["b"]),
        node("Add", ["b", "three"], ["y"])],
    "scaling between layers": [
        LAYER, node("Tanh", ["z"], ["a"]), node("Mul", ["a", "row"], ["b"]),
        node("Sub", ["b", "two"], ["c"]), node("Gemm", ["c", "V"], ["y"])],
    "what changes nothing": [
        node("Identity", ["x"], ["a"]), node("Cast", ["a"], ["b"], to=TensorProto.DOUBLE),
        node("Cast", ["b"], ["c"], to=TensorProto.FLOAT), node("Flatten", ["c"], ["d"]),
        node("Dropout", ["d", "half", "flag"], ["e"]), node("Reshape", ["e", "shape"], ["f"]),
        node("Gemm", ["f", "W", "B"], ["z"]), node("Reshape", ["z", "rows"], ["g"]),
        node("Reshape", ["g", "n1"], ["y"])],
    "constants in nodes": [
        node("Constant", [], ["c"], value_floats=[1.0, -2.0]),
        node("Constant", [], ["d"], value_float=3.0),
        node("Constant", [], ["s"], value_ints=[0, 3]),
        node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(W)),
        node("Reshape", ["x", "s"], ["r"]), node("MatMul", ["r", "w"], ["z"]),
        node("Add", ["z", "c"], ["a"]), node("Mul", ["a", "d"], ["y"])],
    "what nobody needs": [
        node("ArgMax", ["y"], ["label"], axis=1), node("Gemm", ["x", "W"], ["y"])][::-1],
}  # fmt: skip


@pytest.mark.parametrize("case", ONE)
def test_layers(case, tmp_path) -> None:
    path = written(model(ONE[case]), tmp_path)
    assert error(from_onnx(path).predict(X), computed(path, X)) < 1e-6


def test_weights_that_are_not_scaled_come_as_they_are(tmp_path) -> None:
    net = from_onnx(written(model([LAYER, node("Relu", ["z"], ["a"]),
                                   node("Gemm", ["a", "V"], ["y"])]), tmp_path))  # fmt: skip
    assert (net.weights[0] == W).all()
    assert (net.weights[1] == V).all()
    assert (net.biases[0] == B).all()
    assert (net.biases[1] == 0.0).all()
    assert net.dtype == np.float32


IMAGES = np.random.default_rng(1).normal(size=(4, 1, 3, 1)).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "before"),
    [
        (("n", 1, 3, 1), node("Flatten", ["x"], ["a"])),
        (("n", 1, 3, 1), node("Reshape", ["x", "shape"], ["a"])),
        (("n", 1, 3, 1), node("Reshape", ["x", "n1"], ["a"])),
        ((4, 1, 3, 1), node("Reshape", ["x", "fixed"], ["a"])),
        (("n", "c", "h", "w"), node("Flatten", ["x"], ["a"], axis=1)),
    ],
)
def test_images_become_flat_rows(shape, before, tmp_path) -> None:
    nodes = [node("Div", ["x", "two"], ["s"]), before, node("Gemm", ["a", "W"], ["y"])]
    before.input[0] = "s"
    arrays = {"fixed": np.array([4, -1])} if "fixed" in before.input else None
    path = written(model(nodes, shape=shape, arrays=arrays), tmp_path)
    assert error(from_onnx(path).predict(IMAGES.reshape(4, 3)), computed(path, IMAGES)) < 1e-6


# ---- types --------------------------------------------------------------------------------------


def tensor(kind: int, values: np.ndarray, raw: bool) -> Any:
    content = values.tobytes() if raw else values.ravel()
    return helper.make_tensor("W", kind, values.shape, content, raw=raw)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (TensorProto.FLOAT, "float32"),
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.FLOAT16, "float16"),
    ],
)
def test_types_of_weights(kind, dtype, raw, tmp_path) -> None:
    values = W.astype(dtype)
    made = model([node("MatMul", ["x", "W"], ["y"])], kind=kind,
                 arrays={"W": tensor(kind, values, raw)})  # fmt: skip
    net = from_onnx(written(made, tmp_path))
    assert net.dtype == ("float64" if dtype == "float64" else "float32")
    assert (net.weights[0] == values).all()
    assert from_onnx(written(made, tmp_path), dtype="float64").dtype == np.float64


# ---- activations --------------------------------------------------------------------------------

FORMS: dict[str, tuple[str, list[Any]]] = {
    **{operator: (name, [node(operator, ["z"], ["y"])]) for operator, name in (
        ("Relu", "relu"), ("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("Elu", "elu"), ("Exp", "exp"),
        ("Selu", "selu"), ("Softplus", "softplus"), ("LeakyRelu", "leaky_relu"), ("Gelu", "gelu"),
        ("Softmax", "softmax"), ("Identity", "identity"))},
    "a leak": ("leaky_relu", [node("Mul", ["z", "leak"], ["a"]), node("Max", ["a", "z"], ["y"])]),
    "a leak of its own": ("leaky_relu", [
        node("LeakyRelu", ["z"], ["y"], alpha=0.009999999776482582)]),
    "hard_sigmoid": ("hard_sigmoid", [node("HardSigmoid", ["z"], ["y"], alpha=1 / 6)]),
    "hard_sigmoid by Clip": ("hard_sigmoid", [
        node("Add", ["z", "three"], ["a"]), node("Clip", ["a", "zero", "six"], ["b"]),
        node("Div", ["b", "six"], ["y"])]),
    "hard_sigmoid by Min and Max": ("hard_sigmoid", [
        node("Mul", ["z", "sixth"], ["a"]), node("Add", ["a", "half"], ["b"]),
        node("Max", ["b", "zero"], ["c"]), node("Min", ["one", "c"], ["y"])]),
    "relu by Max": ("relu", [node("Max", ["zero", "z"], ["y"])]),
    "relu by Clip": ("relu", [node("Clip", ["z", "zero"], ["y"])]),
    "relu by Where": ("relu", [
        node("Greater", ["z", "zero"], ["a"]), node("Where", ["a", "z", "zero"], ["y"])]),
    "silu": ("silu", [node("Sigmoid", ["z"], ["a"]), node("Mul", ["a", "z"], ["y"])]),
    "silu by Exp": ("silu", [
        node("Neg", ["z"], ["a"]), node("Exp", ["a"], ["b"]), node("Add", ["one", "b"], ["c"]),
        node("Div", ["z", "c"], ["y"])]),
    "sigmoid by Tanh": ("sigmoid", [
        node("Mul", ["half", "z"], ["a"]), node("Tanh", ["a"], ["b"]),
        node("Add", ["b", "one"], ["c"]), node("Mul", ["c", "half"], ["y"])]),
    "gelu of PyTorch": ("gelu", [
        node("Div", ["z", "root"], ["a"]), node("Erf", ["a"], ["b"]),
        node("Add", ["b", "one"], ["c"]), node("Mul", ["z", "c"], ["d"]),
        node("Mul", ["d", "half"], ["y"])]),
    "gelu of TensorFlow": ("gelu", [
        node("Mul", ["inverse root", "z"], ["a"]), node("Erf", ["a"], ["b"]),
        node("Add", ["one", "b"], ["c"]), node("Mul", ["half", "z"], ["d"]),
        node("Mul", ["d", "c"], ["y"])]),
    "softplus by Log": ("softplus", [
        node("Exp", ["z"], ["a"]), node("Add", ["a", "one"], ["b"]), node("Log", ["b"], ["y"])]),
    "softplus with a threshold": ("softplus", [
        node("Softplus", ["z"], ["a"]), node("Greater", ["z", "twenty"], ["b"]),
        node("Where", ["b", "z", "a"], ["y"])]),
    "step": ("step", [
        node("Greater", ["z", "zero"], ["a"]), node("Cast", ["a"], ["y"], to=TensorProto.FLOAT)]),
    "a shifted sigmoid": ("sigmoid", [
        node("Add", ["z", "three"], ["a"]), node("Sigmoid", ["a"], ["y"])]),
    "a stretched tanh": ("tanh", [
        node("Mul", ["z", "row"], ["a"]), node("Tanh", ["a"], ["y"])]),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_activations(case, tmp_path) -> None:
    name, nodes = FORMS[case]
    path = written(model([LAYER, *nodes], opset=20), tmp_path)
    net = from_onnx(path)
    assert net.activations == (name,)
    x = np.vstack([X, 10.0 * X])
    assert error(net.predict(x), computed(path, x)) < 2e-6


def test_every_activation_is_among_them() -> None:
    assert {name for name, _ in FORMS.values()} == set(ACTIVATIONS)


GRAPHS: dict[str, list[Any]] = {
    "relu6": [node("Clip", ["z", "zero", "six"], ["y"])],
    "at most 6": [node("Clip", ["z", "", "six"], ["y"])],
    "a long leak": [node("LeakyRelu", ["z"], ["y"], alpha=0.2)],
    "half an elu": [node("Elu", ["z"], ["y"], alpha=0.5)],
    "another selu": [node("Selu", ["z"], ["y"], alpha=1.5, gamma=1.25)],
    "Keras's old hard_sigmoid": [node("HardSigmoid", ["z"], ["y"])],
    "hard swish": [node("HardSwish", ["z"], ["y"])],
    "mish": [node("Mish", ["z"], ["y"])],
    "gelu by tanh": [node("Gelu", ["z"], ["y"], approximate="tanh")],
    "softsign": [node("Softsign", ["z"], ["y"])],
    "sine": [node("Sin", ["z"], ["a"]), node("Cos", ["a"], ["b"]), node("Sum", ["a", "b"], ["y"])],
    "square": [node("Pow", ["z", "two"], ["y"])],
    "roots": [node("Abs", ["z"], ["a"]), node("Sqrt", ["a"], ["b"]),
              node("Add", ["b", "one"], ["c"]), node("Reciprocal", ["c"], ["y"])],
    "a ramp": [node("Min", ["z", "one"], ["a"]), node("Max", ["a", "zero", "leak"], ["y"])],
    "a scaled tanh": [node("Tanh", ["z"], ["a"]), node("Mul", ["a", "twos"], ["y"])],
}  # fmt: skip


@pytest.mark.parametrize("case", GRAPHS)
def test_other_activations_become_graphs(case, tmp_path) -> None:
    path = written(model([LAYER, *GRAPHS[case]], opset=20), tmp_path)
    net = from_onnx(path)
    assert isinstance(net.activations[0], GraphActivation)
    x = np.vstack([X, 5.0 * X])
    assert error(net.predict(x), computed(path, x)) < 2e-6


def test_a_hidden_exp_becomes_a_graph(tmp_path) -> None:
    nodes = [LAYER, node("Exp", ["z"], ["a"]), node("Gemm", ["a", "V"], ["y"])]
    path = written(model(nodes), tmp_path)
    net = from_onnx(path)
    assert [str(unit) for unit in net.activations] == ["exp(z)", "identity"]
    assert error(net.predict(X), computed(path, X)) < 1e-6


def test_clip_of_old_models(tmp_path) -> None:
    nodes = [LAYER, node("Clip", ["z"], ["y"], min=0.0, max=6.0)]
    path = written(model(nodes, opset=10), tmp_path)
    assert error(from_onnx(path).predict(X), computed(path, X)) < 1e-6


def test_softmax_of_old_models(tmp_path) -> None:
    path = written(model([LAYER, node("Softmax", ["z"], ["y"], axis=1)], opset=11), tmp_path)
    net = from_onnx(path)
    assert (net.activations, net.spec.loss.name) == (("softmax",), "cross_entropy")
    assert error(net.predict(X), computed(path, X)) < 1e-6


# ---- what is refused ----------------------------------------------------------------------------

REFUSED: dict[str, tuple[list[Any], str]] = {
    "convolution": (
        [node("Conv", ["x", "W"], ["y"], name="c1")],
        r"node 'c1' \(Conv\) has an operator that is not read; accepted are Abs, Add"),
    "another domain": (
        [node("Gemm", ["x", "W"], ["y"], domain="com.microsoft")],
        r"node '' \(com.microsoft.Gemm\) is no standard operator"),
    "no layer": ([node("Relu", ["x"], ["y"])], "the output must be that of the last layer"),
    "an activation in front": (
        [node("Relu", ["x"], ["a"], name="r"), node("Gemm", ["a", "W"], ["y"])],
        r"is the first layer and must take the input, .* node 'r' \(Relu\)"),
    "a residual connection": (
        [LAYER, node("Gemm", ["z", "V"], ["a"]), node("Add", ["a", "z"], ["y"], name="s")],
        r"node 's' \(Add\) joins two branches"),
    "two branches": (
        [LAYER, node("Gemm", ["x", "W"], ["a"], name="g"), node("Add", ["a", "z"], ["y"])],
        r"node 'g' \(Gemm\) begins a second branch"),
    "weights first": (
        [node("MatMul", ["WT", "x"], ["y"], name="m")],
        r"node 'm' \(MatMul\) must take rows first"),
    "two inputs multiplied": ([node("MatMul", ["x", "x"], ["y"])], "must take rows first"),
    "columns of samples": (
        [node("Gemm", ["x", "W"], ["y"], transA=1)], "a sample in each row, not in each column"),
    "a product of transposed": (
        [node("Transpose", ["x"], ["a"]), node("MatMul", ["a", "W"], ["y"])], "in each row"),
    "a transposed output": (
        [LAYER, node("Transpose", ["z"], ["y"])], "must be computed from the input, row by row"),
    "other sizes": (
        [LAYER, node("Gemm", ["z", "W"], ["y"])], "as its weights have rows, 3; got 2"),
    "weights with three axes": (
        [node("MatMul", ["x", "cube"], ["y"])], r"weights of the shape \(a, b\).*\(3, 2, 1\)"),
    "a computed weight": (
        [node("Mul", ["W", "two"], ["w"], name="w"), node("MatMul", ["x", "w"], ["y"])],
        r"node 'w' \(Mul\) computes with constants alone"),
    "an own dtype of weights": ([node("MatMul", ["x", "shape"], ["y"])], "floats; got"),
    "a bias for each row": (
        [node("Gemm", ["x", "W", "column"], ["y"])], r"a bias of the shape \(2,\); got \(6, 1\)"),
    "a bias of integers": ([node("Gemm", ["x", "W", "rows"], ["y"])], "constant bias of floats"),
    "a constant for each row": (
        [LAYER, node("Add", ["z", "column"], ["y"])], r"one for each of the 2 columns.*\(6, 1\)"),
    "a scaled activation at the end": (
        [LAYER, node("Tanh", ["z"], ["a"]), node("Mul", ["a", "row"], ["y"], name="m")],
        r"node 'm' \(Mul\) is part of no activation"),
    "different slopes": (
        [LAYER, node("Mul", ["z", "row"], ["a"]), node("Max", ["a", "z"], ["y"], name="p")],
        r"\((Mul|Max)\) is part of no activation"),
    "Erf in another form": (
        [LAYER, node("Erf", ["z"], ["y"], name="e")], r"node 'e' \(Erf\) is part of no activation"),
    "softmax of columns": (
        [LAYER, node("Softmax", ["z"], ["y"], axis=0)], "must have the last axis .* got 0"),
    "log of softmax": (
        [LAYER, node("Softmax", ["z"], ["a"], name="s"), node("Log", ["a"], ["y"])],
        r"node 's' \(Softmax\) is part of no activation"),
    "softmax in between": (
        [LAYER, node("Softmax", ["z"], ["a"], name="s"), node("Gemm", ["a", "V"], ["y"])],
        r"node 's' \(Softmax\) must be the last"),
    "dropout while training": (
        [LAYER, node("Dropout", ["z", "half", "on"], ["y"])], "must not be training"),
    "dropout's mask": (
        [LAYER, node("Dropout", ["z", "half", "flag"], ["a", "y"])], "must be computed from"),
    "a cast to integers": (
        [LAYER, node("Cast", ["z"], ["y"], to=TensorProto.INT64)], "must give floats"),
    "other rows": ([node("Reshape", ["x", "rows"], ["y"])], "must keep the rows, with 3 columns"),
    "a fixed number of rows": ([node("Reshape", ["x", "pair"], ["y"])], "must keep the rows"),
    "no number is fixed": ([node("Reshape", ["x", "any"], ["y"])], "must keep the rows"),
    "other probabilities": (
        [node("MatMul", ["x", "one column"], ["z"]), node("Sub", ["two", "z"], ["a"]),
         node("Concat", ["a", "z"], ["y"], axis=1)], "the probabilities 1 - p and p"),
    "a computed shape": (
        [node("Shape", ["x"], ["s"]), node("Reshape", ["x", "s"], ["y"])], "Shape"),
    "flat rows": ([node("Flatten", ["x"], ["y"], axis=0)], "must keep the rows, axis=1; got 0"),
    "an attribute that Gemm has not": (
        [node("Gemm", ["x", "W"], ["y"], gamma=2.0)], r"must not have the attributes \['gamma'\]"),
    "an attribute of another type": (
        [node("Gemm", ["x", "W"], ["y"], alpha=2)], "its attribute 'alpha' must be float"),
    "a list for a number": (
        [node("Gemm", ["x", "W"], ["y"], transB=[1])], "its attribute 'transB' must be int"),
    "inputs that are not there": (
        [node("Gemm", ["x", "nothing"], ["y"], name="g")],
        r"node 'g' \(Gemm\) takes 'nothing', which no node before it makes"),
    "too few inputs": ([node("Gemm", ["x"], ["y"])], "must have 2 to 3 inputs .*; got 1"),
    "an input left out": ([LAYER, node("Add", ["z", ""], ["y"])], "must have all of its inputs"),
    "a circle": (
        [node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"]),
         node("Gemm", ["b", "W"], ["y"])],
        "takes 'b', which no node before it makes"),
    "a name twice": (
        [node("Gemm", ["x", "W"], ["y"]), node("Gemm", ["x", "W"], ["y"])],
        "the name 'y' must belong to one tensor"),
    "a constant's name": ([node("Gemm", ["x", "W"], ["W"])], "the name 'W' must belong to one"),
    "no output": ([node("Gemm", ["x", "W"], ["z"])], "must be computed from the input"),
    "two classes of other scores": (
        [LAYER, node("Concat", ["z", "z"], ["y"], axis=1)], "the probabilities 1 - p and p"),
    "a constant of text": (
        [node("Constant", [], ["w"], value_string="w"), node("MatMul", ["x", "w"], ["y"])],
        "must have a value of numbers"),
    "a loop": (
        [node("Loop", ["x"], ["y"], name="l",
              body=helper.make_graph([], "body", [], []))], r"node 'l' \(Loop\) has an operator"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_everything_else_is_refused_by_name(case, tmp_path) -> None:
    nodes, message = REFUSED[case]
    arrays = {"cube": W[:, :, None]} if any("cube" in one.input for one in nodes) else None
    with pytest.raises(ValueError, match="made.onnx is not read: .*" + message):
        from_onnx(written(model(nodes, arrays=arrays), tmp_path))


def test_models_with_other_inputs_and_outputs_are_refused(tmp_path) -> None:
    made = model([node("Gemm", ["x", "W"], ["y"])])
    more = helper.make_tensor_value_info("more", TensorProto.FLOAT, ["n", 3])
    whole = model([node("Gemm", ["x", "W"], ["y"])], kind=TensorProto.INT64)
    flat = model([node("Gemm", ["x", "W"], ["y"])], shape=(3,))
    for change, message in (
        (lambda m: m.graph.input.append(more), r"must have one input; got 2: \['x', 'more'\]"),
        (lambda m: m.graph.output.append(more), "one output beside labels; got 2"),
        (lambda m: m.graph.ClearField("output"), "one output beside labels; got 0"),
        (lambda m: m.CopyFrom(whole), "the input must be float32, float64 or float16"),
        (lambda m: m.CopyFrom(flat), "the input must have rows and columns; got 1 axes"),
        (lambda m: m.ClearField("opset_import"), "must say once which opset it has"),
        (lambda m: m.opset_import.add(version=11), "must say once which opset it has"),
        (lambda m: m.opset_import[0].__setattr__("version", 6), "from 7 on; got"),
        (lambda m: m.functions.add(name="Relu", domain=""), "no functions of its own"),
        (lambda m: m.graph.sparse_initializer.add(), "sparse arrays are not read"),
    ):
        changed = onnx.ModelProto()
        changed.CopyFrom(made)
        change(changed)
        with pytest.raises(ValueError, match=f"is not read: .*{message}"):
            from_onnx(written(changed, tmp_path))


def test_the_users_own_mistakes_are_not_the_files(tmp_path) -> None:
    path = written(model([node("Gemm", ["x", "W"], ["y"])]), tmp_path)
    with pytest.raises(ValueError, match="^loss must be"):
        from_onnx(path, loss="nothing")
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "nothing.onnx")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_is_not_a_file_is_not_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ValueError, match="is not an ordinary file"):
            from_onnx(path)


def test_the_arrays_are_all_in_use() -> None:
    cases = [*ONE.values(), *(nodes for _, nodes in FORMS.values()), *GRAPHS.values(),
             *(nodes for nodes, _ in REFUSED.values())]  # fmt: skip
    used = {name for nodes in cases for one in nodes for name in one.input}
    assert set(ARRAYS) <= used
